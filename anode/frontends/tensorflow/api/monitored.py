"""Monitored sessions: hooks around runs, checkpoints, summaries, and a graph that is complete."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from anode.frontends.tensorflow import errors
from anode.frontends.tensorflow.api import session_hooks as hooks_module
from anode.frontends.tensorflow.api import variable_lists
from anode.frontends.tensorflow.api.graph_keys import GraphKeys
from anode.frontends.tensorflow.api.saver import Saver
from anode.frontends.tensorflow.api.session_hooks import (
    SessionRunArgs,
    SessionRunContext,
    SessionRunValues,
)
from anode.frontends.tensorflow.api.session_manager import SessionManager
from anode.frontends.tensorflow.graph import get_default_graph, group
from anode.frontends.tensorflow.opdef import export

log = logging.getLogger("tensorflow")
USE_DEFAULT = object()
PATH = "python.training.monitored_session."
CLEAN = (errors.OutOfRangeError, StopIteration)  # what ends a session without being an error


@export("train.Scaffold", PATH + "Scaffold")
class Scaffold:
    """The operations that a complete training graph has: to initialise, check, save, summarise."""

    _saver: Any

    def __init__(
        self,
        init_op: Any = None,
        init_feed_dict: Any = None,
        init_fn: Callable[..., Any] | None = None,
        ready_op: Any = None,
        ready_for_local_init_op: Any = None,
        local_init_op: Any = None,
        summary_op: Any = None,
        saver: Any = None,
        copy_from_scaffold: Any = None,
        local_init_feed_dict: Any = None,
    ) -> None:
        given = dict(locals())
        base = copy_from_scaffold
        if base is not None and not isinstance(base, Scaffold):
            raise TypeError(f"copy_from_scaffold is not a Scaffold instance: {base}")
        for key in PARTS:
            value = given[key]
            if value is None and base is not None:
                value = getattr(base, f"_{key}")
            setattr(self, f"_{key}", value)
        user_fn, self._user_init_fn = init_fn, init_fn
        self._init_fn = None if user_fn is None else lambda sess: user_fn(self, sess)
        if user_fn is None and base is not None:
            self._init_fn, self._user_init_fn = base._init_fn, base._user_init_fn

    def finalize(self) -> Scaffold:
        """Make what was not given, and finalise the graph."""
        from anode.frontends.tensorflow.api.summary import merge_all

        self._default("init_op", GraphKeys.INIT_OP, _init_op)
        self._default(
            "ready_op",
            GraphKeys.READY_OP,
            lambda: variable_lists.report_uninitialized_variables(),
        )
        self._default(
            "ready_for_local_init_op",
            GraphKeys.READY_FOR_LOCAL_INIT_OP,
            lambda: variable_lists.report_uninitialized_variables(
                variable_lists.global_variables()
            ),
        )
        self._default("local_init_op", GraphKeys.LOCAL_INIT_OP, self.default_local_init_op)
        self._default("summary_op", GraphKeys.SUMMARY_OP, merge_all)
        self._default("saver", GraphKeys.SAVERS, lambda: Saver(sharded=True, allow_empty=True))
        if isinstance(self._saver, Saver):
            self._saver.build()
        get_default_graph().finalize()
        log.info("Graph was finalized.")
        return self

    def _default(self, part: str, collection: str, make: Callable[[], Any]) -> None:
        if getattr(self, f"_{part}") is None:
            value = self.get_or_default(part, collection, make)
            setattr(self, f"_{part}", value)

    @staticmethod
    def get_or_default(arg_name: str, collection_key: str, default_constructor: Any) -> Any:
        """The only item of a collection, or a new one; RuntimeError if there are several."""
        graph = get_default_graph()
        found = graph.get_collection(collection_key)
        if len(found) > 1:
            raise RuntimeError(
                f"More than one item in the collection {collection_key}. Please indicate which one "
                f"to use by passing it to the tf.Scaffold constructor as:  tf.Scaffold({arg_name}="
                "item to use)"
            )
        if found:
            return found[0]
        made = default_constructor()
        if made is not None:
            graph.add_to_collection(collection_key, made)
        return made

    @staticmethod
    def default_local_init_op() -> Any:
        """Local variables and tables initialised."""
        from anode.frontends.tensorflow.api.lookup_ops import tables_initializer

        return group(variable_lists.local_variables_initializer(), tables_initializer())


PARTS = (
    "init_op",
    "init_feed_dict",
    "ready_op",
    "ready_for_local_init_op",
    "local_init_op",
    "local_init_feed_dict",
    "summary_op",
    "saver",
)


def _part(name: str) -> property:
    return property(lambda self: getattr(self, f"_{name}"))


for _name in (*PARTS, "init_fn"):
    setattr(Scaffold, _name, _part(_name))


def _init_op() -> Any:
    return group(variable_lists.global_variables_initializer())


@export("train.SessionCreator", PATH + "SessionCreator")
class SessionCreator:
    """Makes the session of a monitored one, to derive from."""

    def create_session(self) -> Any:
        raise NotImplementedError("create_session is not implemented.")


@export("train.ChiefSessionCreator", PATH + "ChiefSessionCreator")
class ChiefSessionCreator(SessionCreator):
    """Restores the newest checkpoint of a folder, or one checkpoint, or initialises."""

    def __init__(
        self,
        scaffold: Any = None,
        master: str = "",
        config: Any = None,
        checkpoint_dir: str | None = None,
        checkpoint_filename_with_path: str | None = None,
    ) -> None:
        self._checkpoint_dir, self._path = checkpoint_dir, checkpoint_filename_with_path
        self._scaffold, self._master, self._config = scaffold or Scaffold(), master, config

    def _manager(self) -> SessionManager:
        scaffold: Any = self._scaffold
        return SessionManager(
            local_init_op=scaffold.local_init_op,
            local_init_feed_dict=scaffold.local_init_feed_dict,
            ready_op=scaffold.ready_op,
            ready_for_local_init_op=scaffold.ready_for_local_init_op,
            graph=get_default_graph(),
        )

    def create_session(self) -> Any:
        scaffold: Any = self._scaffold.finalize()
        return self._manager().prepare_session(
            self._master,
            saver=scaffold.saver,
            checkpoint_dir=self._checkpoint_dir,
            checkpoint_filename_with_path=self._path,
            config=self._config,
            init_op=scaffold.init_op,
            init_feed_dict=scaffold.init_feed_dict,
            init_fn=scaffold.init_fn,
        )


@export("train.WorkerSessionCreator", PATH + "WorkerSessionCreator")
class WorkerSessionCreator(SessionCreator):
    """Not supported: a worker waits for variables that another process initialises."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(
            "tf.train.WorkerSessionCreator waits for the chief of a cluster, which anode has not; "
            "use tf.train.ChiefSessionCreator"
        )


class _Monitored:
    """A session with hooks, threads that run until its end, and clean ends of input."""

    def __init__(self, session_creator: Any, hooks: Sequence[Any] | None, grace: float) -> None:
        from anode.frontends.tensorflow.api.coordinator import Coordinator, start_queue_runners

        self._hooks, self._grace = list(hooks or []), grace
        self._graph_was_finalized = get_default_graph().finalized
        for hook in self._hooks:
            hook.begin()
        creator = session_creator or ChiefSessionCreator()
        self._coord = Coordinator(clean_stop_exception_types=CLEAN)
        self._session = creator.create_session()
        self._stop, self._closed = False, False
        self._scopes: list[Any] = []
        start_queue_runners(sess=self._session, coord=self._coord)
        for hook in self._hooks:
            hook.after_create_session(self._session, self._coord)

    @property
    def graph(self) -> Any:
        return None if self._closed else self._session.graph

    def run(
        self, fetches: Any, feed_dict: Any = None, options: Any = None, run_metadata: Any = None
    ) -> Any:
        """As Session.run, with the hooks' fetches and feeds beside those of the caller."""
        if self.should_stop():
            raise RuntimeError("Run called even after should_stop requested.")
        context = SessionRunContext(SessionRunArgs(fetches, feed_dict), self._session)
        asked: dict[str, Any] = {"caller": fetches}
        feeds = dict(feed_dict or {})
        for i, hook in enumerate(self._hooks):
            request = hook.before_run(context)
            if request is None:
                continue
            if request.fetches is not None:
                asked[f"hook {i}"] = request.fetches
            feeds = _merged(feeds, request.feed_dict or {})
            options = options or request.options
        if run_metadata is None and options is not None:
            from anode.frontends.tensorflow.formats import proto

            run_metadata = proto.RunMetadata()
        found = self._session.run(asked, feeds or None, options, run_metadata)
        for i, hook in enumerate(self._hooks):
            values = SessionRunValues(found.get(f"hook {i}"), options, run_metadata)
            hook.after_run(context, values)
        self._stop = self._stop or context.stop_requested
        return found["caller"]

    def run_step_fn(self, step_fn: Callable[..., Any]) -> Any:
        """Call a function with a context: its `session`, `run_with_hooks` and `request_stop`."""
        if self.should_stop():
            return None
        return step_fn(StepContext(self._session, self))

    def should_stop(self) -> bool:
        return self._closed or self._stop or self._coord.should_stop()

    def close(self) -> None:
        self._close(None)

    def _close(self, exception: type[BaseException] | None) -> None:
        if self._closed:
            return
        try:
            if exception is None:
                for hook in self._hooks:
                    hook.end(self._session)
        finally:
            self._coord.request_stop()
            try:
                self._coord.join(stop_grace_period_secs=self._grace, ignore_live_threads=True)
            finally:
                self._session.close()
                self._closed = True
                if not self._graph_was_finalized:
                    self._session.graph._unsafe_unfinalize()

    def __enter__(self) -> Any:
        self._scopes.append(self._session.as_default())
        self._scopes[-1].__enter__()
        return self

    def __exit__(self, kind: Any, value: Any, trace: Any) -> bool:
        clean = kind is not None and issubclass(kind, CLEAN)
        try:
            self._close(None if clean else kind)
        finally:
            self._scopes.pop().__exit__(None, None, None)
        return clean


def _merged(feeds: dict[Any, Any], more: dict[Any, Any]) -> dict[Any, Any]:
    both = feeds.keys() & more.keys()
    if both:
        raise RuntimeError(
            f"Same tensor is fed by two hooks, or by a hook and the user: {sorted(map(str, both))}"
        )
    return {**feeds, **more}


class StepContext:
    """What `run_step_fn` gives a function to run with."""

    def __init__(self, session: Any, monitored: Any) -> None:
        self._session, self._monitored = session, monitored

    @property
    def session(self) -> Any:
        return self._session

    def run_with_hooks(self, *args: Any, **kwargs: Any) -> Any:
        return self._monitored.run(*args, **kwargs)

    def request_stop(self) -> None:
        raise StopIteration("step_fn has requested the iterations to stop.")


@export("train.MonitoredSession", PATH + "MonitoredSession")
class MonitoredSession(_Monitored):
    """A session whose hooks run around each run; errors at the end of input end it cleanly."""

    StepContext = StepContext

    def __init__(
        self,
        session_creator: Any = None,
        hooks: Sequence[Any] | None = None,
        stop_grace_period_secs: float = 120,
    ) -> None:
        super().__init__(session_creator, hooks, stop_grace_period_secs)


@export("train.SingularMonitoredSession", PATH + "SingularMonitoredSession")
class SingularMonitoredSession(_Monitored):
    """A monitored session that shows the session inside: `raw_session()`."""

    def __init__(
        self,
        hooks: Sequence[Any] | None = None,
        scaffold: Any = None,
        master: str = "",
        config: Any = None,
        checkpoint_dir: str | None = None,
        stop_grace_period_secs: float = 120,
        checkpoint_filename_with_path: str | None = None,
    ) -> None:
        creator = ChiefSessionCreator(
            scaffold, master, config, checkpoint_dir, checkpoint_filename_with_path
        )
        super().__init__(creator, hooks, stop_grace_period_secs)

    def raw_session(self) -> Any:
        return self._session


@export("train.MonitoredTrainingSession", PATH + "MonitoredTrainingSession")
def MonitoredTrainingSession(
    master: str = "",
    is_chief: bool = True,
    checkpoint_dir: str | None = None,
    scaffold: Any = None,
    hooks: Sequence[Any] | None = None,
    chief_only_hooks: Sequence[Any] | None = None,
    save_checkpoint_secs: Any = USE_DEFAULT,
    save_summaries_steps: Any = USE_DEFAULT,
    save_summaries_secs: Any = USE_DEFAULT,
    config: Any = None,
    stop_grace_period_secs: float = 120,
    log_step_count_steps: int | None = 100,
    max_wait_secs: float = 7200,
    save_checkpoint_steps: Any = USE_DEFAULT,
    summary_dir: str | None = None,
) -> MonitoredSession:
    """A MonitoredSession that restores, saves checkpoints and writes summaries in a folder.

    `max_wait_secs` is how long workers wait for their chief: NotImplementedError unless `is_chief`.
    """
    if not is_chief:
        raise NotImplementedError(
            "tf.train.MonitoredTrainingSession(is_chief=False): anode runs one process, the chief"
        )
    if save_summaries_steps is USE_DEFAULT and save_summaries_secs is USE_DEFAULT:
        save_summaries_steps, save_summaries_secs = 100, None
    if save_checkpoint_secs is USE_DEFAULT and save_checkpoint_steps is USE_DEFAULT:
        save_checkpoint_secs, save_checkpoint_steps = 600, None
    times = [save_summaries_steps, save_summaries_secs, save_checkpoint_secs, save_checkpoint_steps]
    summary_steps, summary_secs, secs, steps = [None if t is USE_DEFAULT else t for t in times]
    scaffold = scaffold or Scaffold()
    summary_dir = summary_dir or checkpoint_dir
    own: list[Any] = list(chief_only_hooks or [])
    if summary_dir:
        if log_step_count_steps and log_step_count_steps > 0:
            own.append(hooks_module.StepCounterHook(log_step_count_steps, output_dir=summary_dir))
        if summary_steps or summary_secs:
            own.append(
                hooks_module.SummarySaverHook(
                    summary_steps, summary_secs, output_dir=summary_dir, scaffold=scaffold
                )
            )
    if checkpoint_dir and (secs or steps):
        own.append(
            hooks_module.CheckpointSaverHook(
                checkpoint_dir, save_secs=secs, save_steps=steps, scaffold=scaffold
            )
        )
    creator = ChiefSessionCreator(scaffold, master, config, checkpoint_dir)
    return MonitoredSession(creator, [*own, *(hooks or [])], stop_grace_period_secs)

"""What happens around each run of a monitored session: stopping, saving, logging, checking."""

from __future__ import annotations

import logging
import os
import time
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from anode.frontends.tensorflow.api import training_util
from anode.frontends.tensorflow.api.graph_keys import GraphKeys
from anode.frontends.tensorflow.graph import get_default_graph
from anode.frontends.tensorflow.opdef import EXPORTS, export

log = logging.getLogger("tensorflow")
BASIC = "python.training.basic_session_run_hooks."
RUN = "python.training.session_run_hook."

SessionRunValues = namedtuple("SessionRunValues", ["results", "options", "run_metadata"])
export("train.SessionRunValues", "estimator.SessionRunValues", RUN + "SessionRunValues")(
    SessionRunValues
)


class SessionRunArgs(namedtuple("SessionRunArgs", ["fetches", "feed_dict", "options"])):
    """What a hook adds to a run: fetches, feeds, options."""

    __slots__ = ()

    def __new__(cls, fetches: Any, feed_dict: Any = None, options: Any = None) -> SessionRunArgs:
        return super().__new__(cls, fetches, feed_dict, options)


export("train.SessionRunArgs", "estimator.SessionRunArgs", RUN + "SessionRunArgs")(SessionRunArgs)


@export("train.SessionRunContext", "estimator.SessionRunContext", RUN + "SessionRunContext")
class SessionRunContext:
    """What a hook may know of a run, and its way to ask for the end."""

    def __init__(self, original_args: Any, session: Any) -> None:
        self._original_args, self._session, self._stop_requested = original_args, session, False

    @property
    def original_args(self) -> Any:
        return self._original_args

    @property
    def session(self) -> Any:
        return self._session

    @property
    def stop_requested(self) -> bool:
        return self._stop_requested

    def request_stop(self) -> None:
        self._stop_requested = True


@export("train.SessionRunHook", "estimator.SessionRunHook", RUN + "SessionRunHook")
class SessionRunHook:
    """The base of hooks, whose methods do nothing."""

    def begin(self) -> None:
        """Called once before the graph is finalised."""

    def after_create_session(self, session: Any, coord: Any) -> None:
        """Called when a session was made."""

    def before_run(self, run_context: Any) -> Any:
        """Called before each run; may return SessionRunArgs."""
        return None

    def after_run(self, run_context: Any, run_values: Any) -> None:
        """Called after each run with what was fetched for the hook."""

    def end(self, session: Any) -> None:
        """Called at the end, unless an exception was raised."""


def _hook(*names: str) -> Callable[[Any], Any]:
    def note(cls: Any) -> Any:
        for name in names or (cls.__name__,):
            for space in ("train.", "estimator.", BASIC):
                EXPORTS[space + name] = f"{cls.__module__}:{cls.__qualname__}"
        return cls

    return note


@_hook()
class SecondOrStepTimer:
    """Says when to act: every so many seconds, or every so many steps."""

    def __init__(self, every_secs: float | None = None, every_steps: int | None = None) -> None:
        self._every_secs, self._every_steps = every_secs, every_steps
        if (every_secs is None) == (every_steps is None):
            raise ValueError("exactly one of every_secs and every_steps should be provided.")
        self.reset()

    def reset(self) -> None:
        self._last_triggered_step: int | None = None
        self._last_triggered_time: float | None = None

    def should_trigger_for_step(self, step: int) -> bool:
        """Whether to act now."""
        if self._last_triggered_step is None or self._last_triggered_time is None:
            return True
        if step == self._last_triggered_step:
            return False
        if self._every_secs is not None:
            return time.time() >= self._last_triggered_time + self._every_secs
        assert self._every_steps is not None
        return step >= self._last_triggered_step + self._every_steps

    def update_last_triggered_step(self, step: int) -> tuple[float | None, int | None]:
        """Note that it was acted on; gives seconds and steps since the time before."""
        now = time.time()
        if self._last_triggered_step is None or self._last_triggered_time is None:
            elapsed: tuple[float | None, int | None] = (None, None)
        else:
            elapsed = (now - self._last_triggered_time, step - self._last_triggered_step)
        self._last_triggered_time, self._last_triggered_step = now, step
        return elapsed

    def last_triggered_step(self) -> int | None:
        return self._last_triggered_step


def _step_tensor() -> Any:
    step = training_util.get_global_step()
    if step is None:
        raise RuntimeError("Global step should be created to use this hook.")
    return step


@_hook()
class LoggingTensorHook(SessionRunHook):
    """Logs tensors, given as a list or with tags, every so many runs or seconds, or at the end."""

    def __init__(
        self,
        tensors: Any,
        every_n_iter: int | None = None,
        every_n_secs: float | None = None,
        at_end: bool = False,
        formatter: Callable[[dict[str, Any]], str] | None = None,
    ) -> None:
        only_at_end = at_end and every_n_iter is None and every_n_secs is None
        if not only_at_end and (every_n_iter is None) == (every_n_secs is None):
            raise ValueError(
                "either at_end and/or exactly one of every_n_iter and every_n_secs must be "
                "provided."
            )
        if every_n_iter is not None and every_n_iter <= 0:
            raise ValueError(f"invalid every_n_iter={every_n_iter}.")
        self._order = list(tensors)
        if isinstance(tensors, Mapping):
            self._tensors = dict(tensors)
        else:
            self._tensors = {t: t for t in tensors}
        self._formatter, self._at_end = formatter, at_end
        self._timer = None if only_at_end else SecondOrStepTimer(every_n_secs, every_n_iter)
        self._iteration, self._due = 0, False

    def begin(self) -> None:
        if self._timer is not None:
            self._timer.reset()
        self._iteration = 0
        graph = get_default_graph()
        self._fetched = {
            str(i): graph.as_graph_element(_output(self._tensors[tag]))
            for i, tag in enumerate(self._order)
        }

    def before_run(self, run_context: Any) -> Any:
        timer = self._timer
        self._due = timer is not None and timer.should_trigger_for_step(self._iteration)
        return SessionRunArgs(self._fetched) if self._due else None

    def after_run(self, run_context: Any, run_values: Any) -> None:
        if self._due:
            self._log(run_values.results)
        self._iteration += 1

    def end(self, session: Any) -> None:
        if self._at_end:
            self._log(session.run(self._fetched))

    def _log(self, found: Mapping[str, Any]) -> None:
        values = {tag: found[str(i)] for i, tag in enumerate(self._order)}
        seconds = None
        if self._timer is not None:
            seconds, _ = self._timer.update_last_triggered_step(self._iteration)
        if self._formatter is not None:
            log.info(self._formatter(values))
            return
        with np.printoptions(suppress=True):
            text = ", ".join(f"{_tag(tag)} = {value!s}" for tag, value in values.items())
        log.info(text if seconds is None else f"{text} ({seconds:.3f} sec)")


def _output(thing: Any) -> Any:
    """The name of an operation stands for its first output."""
    return f"{thing}:0" if isinstance(thing, str) and ":" not in thing else thing


def _tag(tag: Any) -> str:
    return tag if isinstance(tag, str) else tag.name


@_hook()
class StopAtStepHook(SessionRunHook):
    """Asks for the end after a number of steps, or at a step."""

    def __init__(self, num_steps: int | None = None, last_step: int | None = None) -> None:
        if num_steps is None and last_step is None:
            raise ValueError("One of num_steps or last_step must be specified.")
        if num_steps is not None and last_step is not None:
            raise ValueError("Only one of num_steps or last_step can be specified.")
        self._num_steps, self._last_step = num_steps, last_step

    def begin(self) -> None:
        self._step = _step_tensor()

    def after_create_session(self, session: Any, coord: Any) -> None:
        if self._last_step is None:
            assert self._num_steps is not None
            self._last_step = int(session.run(self._step)) + self._num_steps

    def before_run(self, run_context: Any) -> Any:
        return SessionRunArgs(self._step)

    def after_run(self, run_context: Any, run_values: Any) -> None:
        assert self._last_step is not None
        if run_values.results + 1 < self._last_step:
            return
        # the step may have been read before this run counted it up
        if int(run_context.session.run(self._step)) >= self._last_step:
            run_context.request_stop()


@_hook()
class CheckpointSaverListener:
    """What to do around each save of a CheckpointSaverHook, to derive from."""

    def begin(self) -> None:
        """Called once before the graph is finalised."""

    def before_save(self, session: Any, global_step_value: int) -> None:
        """Called before each save."""

    def after_save(self, session: Any, global_step_value: int) -> Any:
        """Called after each save; True asks for the end."""

    def end(self, session: Any, global_step_value: int) -> None:
        """Called at the end."""


@_hook()
class CheckpointSaverHook(SessionRunHook):
    """Saves checkpoints every so many seconds or steps, at the start and at the end."""

    def __init__(
        self,
        checkpoint_dir: str,
        save_secs: float | None = None,
        save_steps: int | None = None,
        saver: Any = None,
        checkpoint_basename: str = "model.ckpt",
        scaffold: Any = None,
        listeners: Sequence[Any] | None = None,
    ) -> None:
        log.info("Create CheckpointSaverHook.")
        if saver is not None and scaffold is not None:
            raise ValueError("You cannot provide both saver and scaffold.")
        self._saver, self._scaffold, self._checkpoint_dir = saver, scaffold, checkpoint_dir
        self._save_path = os.path.join(checkpoint_dir, checkpoint_basename)
        self._timer = SecondOrStepTimer(save_secs, save_steps)
        self._listeners = list(listeners or [])

    def begin(self) -> None:
        from anode.frontends.tensorflow.api.summary_writer import FileWriterCache

        self._summary_writer = FileWriterCache.get(self._checkpoint_dir)
        self._step = _step_tensor()
        for listener in self._listeners:
            listener.begin()

    def after_create_session(self, session: Any, coord: Any) -> None:
        from anode.frontends.tensorflow.formats import text

        step = int(session.run(self._step))
        graph = get_default_graph()
        os.makedirs(self._checkpoint_dir, exist_ok=True)
        path = os.path.join(self._checkpoint_dir, "graph.pbtxt")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.MessageToString(graph.as_graph_def(add_shapes=True)))
        self._summary_writer.add_graph(graph)
        self._save(session, step)
        self._timer.update_last_triggered_step(step)

    def before_run(self, run_context: Any) -> Any:
        return SessionRunArgs(self._step)

    def after_run(self, run_context: Any, run_values: Any) -> None:
        if self._timer.should_trigger_for_step(int(run_values.results) + 1):
            step = int(run_context.session.run(self._step))
            if self._timer.should_trigger_for_step(step):
                self._timer.update_last_triggered_step(step)
                if self._save(run_context.session, step):
                    run_context.request_stop()

    def end(self, session: Any) -> None:
        step = int(session.run(self._step))
        if step != self._timer.last_triggered_step():
            self._save(session, step)
        for listener in self._listeners:
            listener.end(session, step)

    def _save(self, session: Any, step: int) -> bool:
        log.info("Saving checkpoints for %d into %s.", step, self._save_path)
        for listener in self._listeners:
            listener.before_save(session, step)
        self._get_saver().save(session, self._save_path, global_step=step)
        stops = [bool(listener.after_save(session, step)) for listener in self._listeners]
        return any(stops)

    def _get_saver(self) -> Any:
        if self._saver is not None:
            return self._saver
        if self._scaffold is not None:
            return self._scaffold.saver
        savers = get_default_graph().get_collection(GraphKeys.SAVERS)
        if len(savers) != 1:
            raise RuntimeError(
                "No items in collection SAVERS. Please add a saver to the collection or provide a "
                "saver or scaffold."
                if not savers
                else "More than one item in collection SAVERS. Please indicate which one to use by "
                "passing it to the constructor."
            )
        self._saver = savers[0]
        return self._saver


@_hook()
class StepCounterHook(SessionRunHook):
    """Logs, and writes as a summary, how many steps are done in a second."""

    def __init__(
        self,
        every_n_steps: int | None = 100,
        every_n_secs: float | None = None,
        output_dir: str | None = None,
        summary_writer: Any = None,
    ) -> None:
        self._timer = SecondOrStepTimer(every_n_secs, every_n_steps)
        self._summary_writer, self._output_dir = summary_writer, output_dir

    def begin(self) -> None:
        self._summary_writer = _writer(self._summary_writer, self._output_dir)
        self._step = _step_tensor()
        self._summary_tag = f"{self._step.op.name}/sec"

    def before_run(self, run_context: Any) -> Any:
        return SessionRunArgs(self._step)

    def after_run(self, run_context: Any, run_values: Any) -> None:
        if not self._timer.should_trigger_for_step(int(run_values.results) + 1):
            return
        step = int(run_context.session.run(self._step))
        if self._timer.should_trigger_for_step(step):
            seconds, steps = self._timer.update_last_triggered_step(step)
            if seconds is not None and steps is not None:
                self._log_and_record(steps, seconds, step)

    def _log_and_record(self, steps: int, seconds: float, step: int) -> None:
        from anode.frontends.tensorflow.formats import proto

        rate = steps / max(seconds, 1e-9)
        log.info("%s: %g", self._summary_tag, rate)
        if self._summary_writer is not None:
            summary = proto.Summary()
            summary.value.add(tag=self._summary_tag, simple_value=rate)
            self._summary_writer.add_summary(summary, step)


def _writer(given: Any, folder: str | None) -> Any:
    from anode.frontends.tensorflow.api.summary_writer import FileWriterCache

    return FileWriterCache.get(folder) if given is None and folder else given


@_hook()
class NanLossDuringTrainingError(RuntimeError):
    def __str__(self) -> str:
        return "NaN loss during training."


@_hook()
class NanTensorHook(SessionRunHook):
    """Stops, or raises NanLossDuringTrainingError, when a tensor is NaN."""

    def __init__(self, loss_tensor: Any, fail_on_nan_loss: bool = True) -> None:
        self._loss_tensor, self._fail_on_nan_loss = loss_tensor, fail_on_nan_loss

    def before_run(self, run_context: Any) -> Any:
        return SessionRunArgs(self._loss_tensor)

    def after_run(self, run_context: Any, run_values: Any) -> None:
        if np.isnan(run_values.results).any():
            if self._fail_on_nan_loss:
                log.error("Model diverged with loss = NaN.")
                raise NanLossDuringTrainingError
            log.warning("Model diverged with loss = NaN.")
            run_context.request_stop()


@_hook()
class SummarySaverHook(SessionRunHook):
    """Writes summaries every so many seconds or steps."""

    def __init__(
        self,
        save_steps: int | None = None,
        save_secs: float | None = None,
        output_dir: str | None = None,
        summary_writer: Any = None,
        scaffold: Any = None,
        summary_op: Any = None,
    ) -> None:
        if (scaffold is None) == (summary_op is None):
            raise ValueError("Exactly one of scaffold or summary_op must be provided.")
        self._summary_op, self._scaffold = summary_op, scaffold
        self._summary_writer, self._output_dir = summary_writer, output_dir
        self._timer = SecondOrStepTimer(save_secs, save_steps)

    def begin(self) -> None:
        self._summary_writer = _writer(self._summary_writer, self._output_dir)
        self._next_step: int | None = None
        self._step = _step_tensor()

    def before_run(self, run_context: Any) -> Any:
        due = self._next_step is None or self._timer.should_trigger_for_step(self._next_step)
        requests: dict[str, Any] = {"global_step": self._step}
        self._requested = due
        summaries = self._summaries() if due else []
        if summaries:
            requests["summary"] = summaries
        return SessionRunArgs(requests)

    def after_run(self, run_context: Any, run_values: Any) -> None:
        if self._summary_writer is None:
            return
        step = int(run_values.results["global_step"])
        if self._next_step is None or self._requested:
            step = int(run_context.session.run(self._step))
        if self._requested:
            self._timer.update_last_triggered_step(step)
            for summary in run_values.results.get("summary", []):
                self._summary_writer.add_summary(summary, step)
        self._next_step = step + 1

    def end(self, session: Any) -> None:
        if self._summary_writer is not None:
            self._summary_writer.flush()

    def _summaries(self) -> list[Any]:
        found = self._scaffold.summary_op if self._summary_op is None else self._summary_op
        if found is None:
            return []
        return list(found) if isinstance(found, (list, tuple)) else [found]


@_hook()
class GlobalStepWaiterHook(SessionRunHook):
    """Waits before its first run until the global step has reached a number."""

    def __init__(self, wait_until_step: int) -> None:
        self._wait_until_step, self._done = wait_until_step, wait_until_step <= 0

    def begin(self) -> None:
        self._step = _step_tensor()

    def before_run(self, run_context: Any) -> Any:
        while not self._done:
            self._done = int(run_context.session.run(self._step)) >= self._wait_until_step
            if not self._done:
                time.sleep(0.5)
        return None


@_hook()
class FinalOpsHook(SessionRunHook):
    """Evaluates tensors at the end: `final_ops_values`."""

    def __init__(self, final_ops: Any, final_ops_feed_dict: Any = None) -> None:
        self._final_ops, self._feed = final_ops, final_ops_feed_dict
        self._final_ops_values: Any = None

    @property
    def final_ops_values(self) -> Any:
        return self._final_ops_values

    def end(self, session: Any) -> None:
        if self._final_ops is not None:
            self._final_ops_values = session.run(self._final_ops, feed_dict=self._feed)


@_hook()
class FeedFnHook(SessionRunHook):
    """Feeds what a function gives in each run."""

    def __init__(self, feed_fn: Callable[[], Any]) -> None:
        self.feed_fn = feed_fn

    def before_run(self, run_context: Any) -> Any:
        return SessionRunArgs(fetches=None, feed_dict=self.feed_fn())


@_hook()
class ProfilerHook(SessionRunHook):
    """Writes a timeline of a run, for chrome://tracing, every so many steps or seconds."""

    def __init__(
        self,
        save_steps: int | None = None,
        save_secs: float | None = None,
        output_dir: str = "",
        show_dataflow: bool = True,
        show_memory: bool = False,
    ) -> None:
        self._output_file = os.path.join(output_dir, "timeline-{}.json")
        self._timer = SecondOrStepTimer(save_secs, save_steps)
        self._show_dataflow, self._show_memory = show_dataflow, show_memory

    def begin(self) -> None:
        self._next_step: int | None = None
        self._step = _step_tensor()

    def before_run(self, run_context: Any) -> Any:
        from anode.frontends.tensorflow.modules import load, target

        self._requested = self._next_step is not None and self._timer.should_trigger_for_step(
            self._next_step
        )
        place = target("RunOptions")
        assert place is not None
        cls = load(place)
        options = cls(trace_level=cls.FULL_TRACE) if self._requested else None
        return SessionRunArgs(self._step, options=options)

    def after_run(self, run_context: Any, run_values: Any) -> None:
        from anode.frontends.tensorflow.api.timeline import Timeline

        step = int(run_values.results)
        if self._next_step is None:
            self._timer.update_last_triggered_step(step)
        if self._requested:
            self._timer.update_last_triggered_step(step)
            timeline = Timeline(run_values.run_metadata.step_stats)
            with open(self._output_file.format(step), "w", encoding="utf-8") as file:
                file.write(
                    timeline.generate_chrome_trace_format(self._show_dataflow, self._show_memory)
                )
        self._next_step = step + 1

"""Sessions made ready: variables restored from a checkpoint or initialised, and checked."""

from __future__ import annotations

import logging
import time
from typing import Any

from anode.frontends.tensorflow import errors
from anode.frontends.tensorflow.api import checkpoints
from anode.frontends.tensorflow.core import Graph, get_default_graph
from anode.frontends.tensorflow.opdef import export

log = logging.getLogger("tensorflow")
POLL_SECS = 0.5


def _missing(op: Any, session: Any) -> list[str]:
    """The names that a ready operation reports; none if there is no such operation."""
    if op is None:
        return []
    try:
        found = session.run(op)
    except errors.FailedPreconditionError as error:
        return [str(error.message)]
    if found is None or found.size == 0:
        return []
    return [item.decode() for item in found.reshape(-1).tolist()]


@export("train.SessionManager", "python.training.session_manager.SessionManager")
class SessionManager:
    """Makes sessions of a graph and brings its variables to life."""

    def __init__(
        self,
        local_init_op: Any = None,
        ready_op: Any = None,
        ready_for_local_init_op: Any = None,
        graph: Graph | None = None,
        recovery_wait_secs: float = 30,
        local_init_run_options: Any = None,
        local_init_feed_dict: Any = None,
    ) -> None:
        if ready_for_local_init_op is not None and local_init_op is None:
            raise ValueError(
                "If you pass a ready_for_local_init_op you must also pass a local_init_op , "
                f"ready_for_local_init_op [{ready_for_local_init_op}]"
            )
        self._local_init_op, self._ready_op = local_init_op, ready_op
        self._ready_for_local_init_op = ready_for_local_init_op
        self._graph = get_default_graph() if graph is None else graph
        self._wait, self._local_feed = recovery_wait_secs, local_init_feed_dict

    def _session(self, master: str, config: Any) -> Any:
        from anode.frontends.tensorflow.session import Session

        return Session(master, graph=self._graph, config=config)

    def prepare_session(
        self,
        master: str,
        init_op: Any = None,
        saver: Any = None,
        checkpoint_dir: str | None = None,
        checkpoint_filename_with_path: str | None = None,
        wait_for_checkpoint: bool = False,
        max_wait_secs: float = 7200,
        config: Any = None,
        init_feed_dict: Any = None,
        init_fn: Any = None,
    ) -> Any:
        """A session with all variables restored, or initialised; RuntimeError if some are not."""
        session = self._session(master, config)
        restored = self._restored(
            session,
            saver,
            checkpoint_dir,
            checkpoint_filename_with_path,
            wait_for_checkpoint,
            max_wait_secs,
        )
        if not restored:
            if init_op is None and not init_fn and self._local_init_op is None:
                raise RuntimeError(
                    "Model is not initialized and no init_op or init_fn or local_init_op was given"
                )
            if init_op is not None:
                session.run(init_op, feed_dict=init_feed_dict)
            if init_fn:
                init_fn(session)
        what = f"Init op: {_name(init_op)}, init fn: {init_fn}"
        self._begin_locals(session, what)
        missing = _missing(self._ready_op, session)
        if missing:
            raise RuntimeError(
                f"Init operations did not make model ready.  {what}, local_init_op: "
                f"{_name(self._local_init_op)}, error: Variables not initialized: "
                f"{', '.join(missing)}"
            )
        return session

    def _begin_locals(self, session: Any, what: str) -> None:
        if self._local_init_op is None:
            return
        missing = _missing(self._ready_for_local_init_op, session)
        if missing:
            raise RuntimeError(
                f"Init operations did not make model ready for local_init.  {what}, error: "
                f"Variables not initialized: {', '.join(missing)}"
            )
        log.info("Running local_init_op.")
        session.run(self._local_init_op, feed_dict=self._local_feed)
        log.info("Done running local_init_op.")

    def _restored(
        self,
        session: Any,
        saver: Any,
        folder: str | None,
        path: str | None,
        wait: bool,
        most_secs: float,
    ) -> bool:
        if folder and path:
            raise ValueError(
                "Can not provide both checkpoint_dir and checkpoint_filename_with_path."
            )
        if saver is None or not (folder or path):
            return False
        if path:
            saver.restore(session, path)
            return True
        start = time.time()
        state = checkpoints.get_checkpoint_state(folder)
        while not (state and state.model_checkpoint_path):
            if not wait or time.time() - start > most_secs:
                return False
            time.sleep(self._wait)
            state = checkpoints.get_checkpoint_state(folder)
        saver.restore(session, state.model_checkpoint_path)
        saver.recover_last_checkpoints(state.all_model_checkpoint_paths)
        return True

    def recover_session(
        self,
        master: str,
        saver: Any = None,
        checkpoint_dir: str | None = None,
        checkpoint_filename_with_path: str | None = None,
        wait_for_checkpoint: bool = False,
        max_wait_secs: float = 7200,
        config: Any = None,
    ) -> tuple[Any, bool]:
        """A session, and whether its variables were restored from a checkpoint."""
        session = self._session(master, config)
        restored = self._restored(
            session,
            saver,
            checkpoint_dir,
            checkpoint_filename_with_path,
            wait_for_checkpoint,
            max_wait_secs,
        )
        if not restored:
            return session, False
        self._begin_locals(session, "Restoring")
        return session, not _missing(self._ready_op, session)

    def wait_for_session(
        self, master: str, config: Any = None, max_wait_secs: float = float("inf")
    ) -> Any:
        """A session once its variables have values; DeadlineExceededError if they do not get any.

        Variables belong to a session here, so only local ones can become ready.
        """
        session, start = self._session(master, config), time.time()
        while True:
            if not _missing(self._ready_for_local_init_op, session):
                self._begin_locals(session, "Waiting")
                if not _missing(self._ready_op, session):
                    return session
            if time.time() - start > max_wait_secs:
                message = f"Session was not ready after waiting {max_wait_secs} secs."
                raise errors.DeadlineExceededError(None, None, message)
            time.sleep(min(self._wait, POLL_SECS))


def _name(op: Any) -> str:
    return str(getattr(op, "name", op))

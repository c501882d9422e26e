"""Threads that stop together: Coordinator, LooperThread, QueueRunner and its collection."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from anode.frontends.tensorflow import errors
from anode.frontends.tensorflow.core import get_default_session
from anode.frontends.tensorflow.graph import add_to_collection, get_default_graph
from anode.frontends.tensorflow.opdef import export

QUEUE_RUNNERS = "queue_runners"
RUNNERS = "train.queue_runner"


@export("train.Coordinator", "train.coordinator.Coordinator")
class Coordinator:
    """Asks a set of threads to stop, waits for them, and raises what the first of them raised."""

    def __init__(self, clean_stop_exception_types: Any = None) -> None:
        if clean_stop_exception_types is None:
            clean_stop_exception_types = (errors.OutOfRangeError,)
        self._clean = tuple(clean_stop_exception_types)
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._raised: BaseException | None = None
        self._registered: set[threading.Thread] = set()
        self._joined = False

    def request_stop(self, ex: Any = None) -> None:
        """Ask the threads to stop; `ex` is an exception, or `sys.exc_info()`, that `join` raises.

        Exceptions of the clean types, and errors after the first, are not raised.
        """
        with self._lock:
            error = ex[1] if isinstance(ex, tuple) else ex
            if error is not None and not isinstance(error, BaseException):
                raise TypeError(f"request_stop: {ex!r} is no exception and no sys.exc_info()")
            if self._joined and self._stop.is_set() and error is not None:
                raise error
            if not self._stop.is_set():
                if error is not None and not isinstance(error, self._clean):
                    self._raised = error
                self._stop.set()

    def clear_stop(self) -> None:
        """Forget that a stop was requested, to use the coordinator again."""
        with self._lock:
            self._joined = False
            self._raised = None
            self._stop.clear()

    def should_stop(self) -> bool:
        """Whether a stop was requested."""
        return self._stop.is_set()

    @contextmanager
    def stop_on_exception(self) -> Iterator[None]:
        """Turns an exception of the block into a request to stop."""
        try:
            yield
        except BaseException:  # KeyboardInterrupt stops the others too
            self.request_stop(ex=sys.exc_info())

    def wait_for_stop(self, timeout: float | None = None) -> bool:
        """Wait until a stop is requested; False if the time ran out."""
        return self._stop.wait(timeout)

    def register_thread(self, thread: threading.Thread) -> None:
        """Have `join` wait for the thread."""
        with self._lock:
            self._registered.add(thread)

    def join(
        self,
        threads: Any = None,
        stop_grace_period_secs: float = 120,
        ignore_live_threads: bool = False,
    ) -> None:
        """Wait for the threads to end; then raise the error that was requested, if any.

        RuntimeError if some still run `stop_grace_period_secs` after the request to stop.
        """
        with self._lock:
            waited = set(self._registered) | set(threads or ())
        while any(t.is_alive() for t in waited) and not self.wait_for_stop(0.05):
            pass
        deadline = time.monotonic() + stop_grace_period_secs
        while any(t.is_alive() for t in waited) and time.monotonic() < deadline:
            for thread in waited:
                thread.join(0.01)
        alive = [thread.name for thread in waited if thread.is_alive()]
        with self._lock:
            self._joined = True
            self._registered = set()
            if self._raised is not None:
                raise self._raised
            if alive and not ignore_live_threads:
                raise RuntimeError(
                    f"Coordinator stopped with threads still running: {' '.join(alive)}"
                )

    @property
    def joined(self) -> bool:
        """Whether `join` is done."""
        return self._joined

    def raise_requested_exception(self) -> None:
        """Raise the error that a stop was requested with, if any."""
        with self._lock:
            if self._raised is not None:
                raise self._raised


@export("train.LooperThread", "train.coordinator.LooperThread")
class LooperThread(threading.Thread):
    """A thread that calls a function again and again until its coordinator says stop."""

    def __init__(
        self,
        coord: Coordinator,
        timer_interval_secs: float | None,
        target: Callable[..., Any] | None = None,
        args: Sequence[Any] | None = None,
        kwargs: dict[str, Any] | None = None,
    ) -> None:
        if not isinstance(coord, Coordinator):
            raise ValueError(f"'coord' argument must be a Coordinator: {coord}")
        super().__init__(daemon=True)
        self._coord = coord
        self._interval = timer_interval_secs
        self._function, self._arguments = target, tuple(args or ())
        self._keywords = dict(kwargs or {})
        coord.register_thread(self)

    @staticmethod
    def loop(
        coord: Coordinator,
        timer_interval_secs: float | None,
        target: Callable[..., Any],
        args: Sequence[Any] | None = None,
        kwargs: dict[str, Any] | None = None,
    ) -> LooperThread:
        """A thread that was made and started."""
        looper = LooperThread(coord, timer_interval_secs, target, args, kwargs)
        looper.start()
        return looper

    def run(self) -> None:
        with self._coord.stop_on_exception():
            self.start_loop()
            if self._interval is None:
                while not self._coord.should_stop():
                    self.run_loop()
            else:
                self._run_timed(self._interval)
            self.stop_loop()

    def _run_timed(self, interval: float) -> None:
        due = time.time()
        while not self._coord.wait_for_stop(max(0.0, due - time.time())):
            due += interval
            self.run_loop()

    def start_loop(self) -> None:
        """Called before the first call."""

    def stop_loop(self) -> None:
        """Called after the last call."""

    def run_loop(self) -> None:
        """One call."""
        if self._function:
            self._function(*self._arguments, **self._keywords)


@export("train.QueueRunner", "train.queue_runner.QueueRunner")
class QueueRunner:
    """Enqueue operations of a queue, each of which a thread runs until the queue is closed."""

    def __init__(
        self,
        queue: Any = None,
        enqueue_ops: Any = None,
        close_op: Any = None,
        cancel_op: Any = None,
        queue_closed_exception_types: Any = None,
        queue_runner_def: Any = None,
        import_scope: str | None = None,
    ) -> None:
        if queue_runner_def is not None:
            if queue or enqueue_ops:
                raise ValueError("queue_runner_def and queue are mutually exclusive.")
            self._from_def(queue_runner_def, import_scope)
        else:
            self._from_args(queue, enqueue_ops, close_op, cancel_op, queue_closed_exception_types)
        self._lock = threading.Lock()
        self._runs_per_session: dict[int, int] = {}
        self._exceptions_raised: list[BaseException] = []

    def _from_args(
        self, queue: Any, enqueue_ops: Any, close_op: Any, cancel_op: Any, closed_types: Any
    ) -> None:
        if not queue or not enqueue_ops:
            raise ValueError("Must provide queue and enqueue_ops.")
        if closed_types is None:
            closed_types = (errors.OutOfRangeError,)
        kinds = isinstance(closed_types, tuple) and all(
            isinstance(kind, type) and issubclass(kind, errors.OpError) for kind in closed_types
        )
        if not closed_types or not kinds:
            raise TypeError(
                "queue_closed_exception_types, when provided, must be a tuple of tf.error types, "
                f"but saw: {closed_types}"
            )
        self._queue, self._enqueue_ops = queue, list(enqueue_ops)
        self._close_op, self._cancel_op = close_op, cancel_op
        self._queue_closed_exception_types = closed_types
        if self._close_op is None:
            self._close_op = queue.close()
        if self._cancel_op is None:
            self._cancel_op = queue.close(cancel_pending_enqueues=True)

    def _from_def(self, definition: Any, import_scope: str | None) -> None:
        graph = get_default_graph()
        prefix = f"{import_scope}/" if import_scope else ""

        def find(name: str) -> Any:
            return graph.as_graph_element(prefix + name)

        self._queue = find(definition.queue_name)
        self._enqueue_ops = [find(name) for name in definition.enqueue_op_name]
        self._close_op = find(definition.close_op_name)
        self._cancel_op = find(definition.cancel_op_name)
        codes = list(definition.queue_closed_exception_types) or [errors.OUT_OF_RANGE]
        self._queue_closed_exception_types = tuple(
            errors.exception_type_from_error_code(code) for code in codes
        )

    @property
    def queue(self) -> Any:
        return self._queue

    @property
    def enqueue_ops(self) -> list[Any]:
        return self._enqueue_ops

    @property
    def close_op(self) -> Any:
        return self._close_op

    @property
    def cancel_op(self) -> Any:
        return self._cancel_op

    @property
    def queue_closed_exception_types(self) -> tuple[type, ...]:
        return self._queue_closed_exception_types

    @property
    def exceptions_raised(self) -> list[BaseException]:
        """What the threads raised, where no coordinator heard of it."""
        return self._exceptions_raised

    @property
    def name(self) -> str:
        """The name of the queue."""
        name: str = self._queue.name
        return name

    def _run(self, session: Any, op: Any, coord: Coordinator | None = None) -> None:
        """The body of a thread: run the op until the queue is closed or somebody stops us."""
        try:
            while not (coord and coord.should_stop()):
                try:
                    session.run(op)
                except self._queue_closed_exception_types:
                    self._end_of_input(session)
                    return
        except Exception as error:
            if coord:
                coord.request_stop(error)
            else:
                with self._lock:
                    self._exceptions_raised.append(error)
                raise
        finally:
            with self._lock:
                self._runs_per_session[id(session)] -= 1

    def _end_of_input(self, session: Any) -> None:
        """The last of the threads closes the queue."""
        with self._lock:
            last = self._runs_per_session[id(session)] == 1
        if last:
            try:
                session.run(self._close_op)
            except Exception:  # the queue is closed already, or the session is
                return

    def _close_on_stop(self, session: Any, coord: Coordinator) -> None:
        coord.wait_for_stop()
        try:
            session.run(self._cancel_op)
        except Exception:  # the queue is closed already, or the session is
            return

    def create_threads(
        self, sess: Any, coord: Coordinator | None = None, daemon: bool = False, start: bool = False
    ) -> list[threading.Thread]:
        """A thread for each enqueue operation, and one that closes the queue on a stop.

        An empty list if those made before for this session still run.
        """
        with self._lock:
            if self._runs_per_session.get(id(sess), 0) > 0:
                return []
            self._runs_per_session[id(sess)] = len(self._enqueue_ops)
            self._exceptions_raised = []
        threads = [
            threading.Thread(target=self._run, args=(sess, op, coord), daemon=daemon)
            for op in self._enqueue_ops
        ]
        for thread, op in zip(threads, self._enqueue_ops, strict=True):
            thread.name = f"QueueRunnerThread-{self.name}-{op.name}"
        if coord:
            threads.append(
                threading.Thread(target=self._close_on_stop, args=(sess, coord), daemon=daemon)
            )
            threads[-1].name = f"QueueRunnerThread-{self.name}-close_on_stop"
        for thread in threads:
            if coord:
                coord.register_thread(thread)
            if start:
                thread.start()
        return threads

    def to_proto(self, export_scope: str | None = None) -> Any:
        """The QueueRunnerDef; None for a runner outside of `export_scope`."""
        from anode.frontends.tensorflow.formats import proto

        prefix = f"{export_scope}/" if export_scope else ""
        if not self.queue.name.startswith(prefix):
            return None

        def inside(name: str) -> str:
            return name[len(prefix) :]

        definition = proto.QueueRunnerDef()
        definition.queue_name = inside(self.queue.name)
        definition.enqueue_op_name.extend(inside(op.name) for op in self.enqueue_ops)
        definition.close_op_name = inside(self.close_op.name)
        definition.cancel_op_name = inside(self.cancel_op.name)
        definition.queue_closed_exception_types.extend(
            errors.error_code_from_exception_type(kind)
            for kind in self._queue_closed_exception_types
        )
        return definition

    @staticmethod
    def from_proto(queue_runner_def: Any, import_scope: str | None = None) -> QueueRunner:
        """The runner that a QueueRunnerDef describes, in the default graph."""
        return QueueRunner(queue_runner_def=queue_runner_def, import_scope=import_scope)


@export("train.add_queue_runner", f"{RUNNERS}.add_queue_runner")
def add_queue_runner(qr: QueueRunner, collection: str = QUEUE_RUNNERS) -> None:
    """Have `start_queue_runners` start the runner."""
    add_to_collection(collection, qr)


@export("train.start_queue_runners", f"{RUNNERS}.start_queue_runners")
def start_queue_runners(
    sess: Any = None,
    coord: Coordinator | None = None,
    daemon: bool = True,
    start: bool = True,
    collection: str = QUEUE_RUNNERS,
) -> list[threading.Thread]:
    """The threads of all runners in the collection, started unless asked otherwise."""
    if sess is None:
        sess = get_default_session()
        if not sess:
            raise ValueError(
                "Cannot start queue runners: No default session is registered. Use "
                "`with sess.as_default()` or pass an explicit session to "
                "tf.start_queue_runners(sess=sess)"
            )
    if not hasattr(sess, "run"):
        raise TypeError(f"sess must be a `tf.Session` object. Given class: {type(sess)}")
    with sess.graph.as_default():
        return [
            thread
            for runner in get_default_graph().get_collection(collection)
            for thread in runner.create_threads(sess, coord=coord, daemon=daemon, start=start)
        ]

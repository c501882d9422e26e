"""tf.train.Supervisor: a session that restores, and threads that save and summarise beside it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from anode.frontends.tensorflow.api import training_util, variable_lists
from anode.frontends.tensorflow.api.coordinator import Coordinator, LooperThread
from anode.frontends.tensorflow.api.graph_keys import GraphKeys
from anode.frontends.tensorflow.api.monitored import Scaffold
from anode.frontends.tensorflow.api.saver import Saver
from anode.frontends.tensorflow.api.session_manager import SessionManager
from anode.frontends.tensorflow.core import Graph, get_default_graph
from anode.frontends.tensorflow.graph import group
from anode.frontends.tensorflow.opdef import export


@export("train.Supervisor", "python.training.supervisor.Supervisor")
class Supervisor:
    """Trains with checkpoints and summaries in `logdir`, every so many seconds by its threads."""

    USE_DEFAULT = 0

    def __init__(
        self,
        graph: Graph | None = None,
        ready_op: Any = USE_DEFAULT,
        ready_for_local_init_op: Any = USE_DEFAULT,
        is_chief: bool = True,
        init_op: Any = USE_DEFAULT,
        init_feed_dict: Any = None,
        local_init_op: Any = USE_DEFAULT,
        logdir: str | None = None,
        summary_op: Any = USE_DEFAULT,
        saver: Any = USE_DEFAULT,
        global_step: Any = USE_DEFAULT,
        save_summaries_secs: float = 120,
        save_model_secs: float = 600,
        recovery_wait_secs: float = 30,
        stop_grace_secs: float = 120,
        checkpoint_basename: str = "model.ckpt",
        session_manager: Any = None,
        summary_writer: Any = USE_DEFAULT,
        init_fn: Callable[[Any], Any] | None = None,
        local_init_run_options: Any = None,
    ) -> None:
        if not is_chief:
            raise NotImplementedError(
                "tf.train.Supervisor(is_chief=False): anode runs one process, the chief"
            )
        self._graph = get_default_graph() if graph is None else graph
        self._init_feed_dict, self._init_fn = init_feed_dict, init_fn
        self._coord = Coordinator()
        self._stop_grace_secs, self._logdir = stop_grace_secs, logdir
        self._save_summaries_secs, self._save_model_secs = save_summaries_secs, save_model_secs
        self._recovery_wait_secs = recovery_wait_secs
        self._save_path = os.path.join(logdir, checkpoint_basename) if logdir else None
        self._started_threads: list[Any] = []
        self._wrote_graph = False
        with self._graph.as_default():
            self._complete(
                ready_op,
                ready_for_local_init_op,
                init_op,
                local_init_op,
                summary_op,
                saver,
                global_step,
            )
        self._session_manager = session_manager or SessionManager(
            local_init_op=self._local_init_op,
            ready_op=self._ready_op,
            ready_for_local_init_op=self._ready_for_local_init_op,
            graph=self._graph,
            recovery_wait_secs=recovery_wait_secs,
        )
        self._summary_writer = self._writer(summary_writer)
        self._graph.finalize()

    def _complete(
        self,
        ready_op: Any,
        ready_for_local: Any,
        init_op: Any,
        local_init_op: Any,
        summary_op: Any,
        saver: Any,
        global_step: Any,
    ) -> None:
        """Make the operations that were not given; None stands for none at all."""
        from anode.frontends.tensorflow.api.summary import merge_all

        def chosen(given: Any, key: str, make: Callable[[], Any]) -> Any:
            if given is not self.USE_DEFAULT:
                return given
            found = self._graph.get_collection(key)
            if found:
                return found[0]
            made = make()
            if made is not None:
                self._graph.add_to_collection(key, made)
            return made

        variables = variable_lists.global_variables
        report = variable_lists.report_uninitialized_variables
        self._ready_op = chosen(ready_op, GraphKeys.READY_OP, report)
        self._init_op = chosen(
            init_op, GraphKeys.INIT_OP, variable_lists.global_variables_initializer
        )
        self._local_init_op = chosen(
            local_init_op,
            GraphKeys.LOCAL_INIT_OP,
            lambda: group(Scaffold.default_local_init_op()),
        )
        self._ready_for_local_init_op = (
            None
            if ready_for_local is self.USE_DEFAULT or self._local_init_op is None
            else ready_for_local
        )
        self._summary_op = chosen(summary_op, GraphKeys.SUMMARY_OP, merge_all)
        self._saver = chosen(saver, GraphKeys.SAVERS, lambda: Saver() if variables() else None)
        self._global_step = global_step
        if global_step is self.USE_DEFAULT:
            self._global_step = training_util.get_global_step(self._graph)

    def _writer(self, given: Any) -> Any:
        from anode.frontends.tensorflow.api.summary_writer import FileWriter

        if given is not self.USE_DEFAULT:
            return given
        return FileWriter(self._logdir) if self._logdir else None

    is_chief = True
    coord = property(lambda self: self._coord)
    init_op = property(lambda self: self._init_op)
    init_feed_dict = property(lambda self: self._init_feed_dict)
    ready_op = property(lambda self: self._ready_op)
    ready_for_local_init_op = property(lambda self: self._ready_for_local_init_op)
    summary_writer = property(lambda self: self._summary_writer)
    summary_op = property(lambda self: self._summary_op)
    save_summaries_secs = property(lambda self: self._save_summaries_secs)
    save_model_secs = property(lambda self: self._save_model_secs)
    global_step = property(lambda self: self._global_step)
    saver = property(lambda self: self._saver)
    save_path = property(lambda self: self._save_path)
    session_manager = property(lambda self: self._session_manager)

    def prepare_or_wait_for_session(
        self,
        master: str = "",
        config: Any = None,
        wait_for_checkpoint: bool = False,
        max_wait_secs: float = 7200,
        start_standard_services: bool = True,
    ) -> Any:
        """A session that is ready to train, with the threads beside it started."""
        self._coord.clear_stop()
        if self._summary_writer is not None:
            self._summary_writer.reopen()
        session = self._session_manager.prepare_session(
            master,
            init_op=self._init_op,
            saver=self._saver,
            checkpoint_dir=self._logdir,
            wait_for_checkpoint=wait_for_checkpoint,
            max_wait_secs=max_wait_secs,
            config=config,
            init_feed_dict=self._init_feed_dict,
            init_fn=self._init_fn,
        )
        self._write_graph()
        if start_standard_services:
            self.start_standard_services(session)
        self.start_queue_runners(session)
        return session

    PrepareSession = prepare_or_wait_for_session

    def _write_graph(self) -> None:
        from anode.frontends.tensorflow.formats import text

        if self._wrote_graph or not self._logdir:
            return
        self._wrote_graph = True
        os.makedirs(self._logdir, exist_ok=True)
        with open(os.path.join(self._logdir, "graph.pbtxt"), "w", encoding="utf-8") as file:
            file.write(text.MessageToString(self._graph.as_graph_def(add_shapes=True)))
        if self._summary_writer is not None:
            self._summary_writer.add_graph(self._graph)

    def start_standard_services(self, sess: Any) -> list[Any]:
        """Start the threads that save, summarise and count steps; they need a `logdir`."""
        if not self._logdir:
            return []
        loops = []
        if self._summary_op is not None and self._save_summaries_secs:
            loops.append((self._save_summaries_secs, self._summarise))
        if self._global_step is not None and self._save_summaries_secs:
            loops.append((self._save_summaries_secs, _StepCounter(self)))
        if self._saver is not None and self._save_model_secs:
            loops.append((self._save_model_secs, self._save))
        threads = [
            LooperThread.loop(self._coord, seconds, target=target, args=(sess,))
            for seconds, target in loops
        ]
        self._started_threads += threads
        return threads

    StartStandardServices = start_standard_services

    def _summarise(self, sess: Any) -> None:
        if self._global_step is not None:
            summary, step = sess.run([self._summary_op, self._global_step])
        else:
            summary, step = sess.run(self._summary_op), None
        if self._summary_writer is not None:
            self._summary_writer.add_summary(summary, step)

    def _save(self, sess: Any) -> None:
        self._saver.save(sess, self._save_path, global_step=self._global_step)

    def start_queue_runners(self, sess: Any, queue_runners: Any = None) -> list[Any]:
        """Start the threads of queue runners, those of the graph by default."""
        if queue_runners is None:
            queue_runners = self._graph.get_collection(GraphKeys.QUEUE_RUNNERS)
        threads = [
            thread
            for runner in queue_runners
            for thread in runner.create_threads(sess, coord=self._coord, daemon=True, start=True)
        ]
        self._started_threads += threads
        return threads

    StartQueueRunners = start_queue_runners

    def loop(
        self, timer_interval_secs: float | None, target: Any, args: Any = None, kwargs: Any = None
    ) -> Any:
        """A thread that calls a function every so many seconds until the end."""
        thread = LooperThread(
            self._coord, timer_interval_secs, target=target, args=args, kwargs=kwargs
        )
        thread.start()
        return thread

    Loop = loop

    def should_stop(self) -> bool:
        return bool(self._coord.should_stop())

    ShouldStop = should_stop

    def request_stop(self, ex: Any = None) -> None:
        self._coord.request_stop(ex=ex)

    RequestStop = request_stop

    def stop_on_exception(self) -> Any:
        return self._coord.stop_on_exception()

    StopOnException = stop_on_exception

    def wait_for_stop(self) -> None:
        self._coord.wait_for_stop()

    WaitForStop = wait_for_stop

    def stop(
        self,
        threads: Any = None,
        close_summary_writer: bool = True,
        ignore_live_threads: bool = False,
    ) -> None:
        """Ask all threads to end and wait for them."""
        self._coord.request_stop()
        try:
            self._coord.join(
                self._started_threads if threads is None else threads,
                stop_grace_period_secs=self._stop_grace_secs,
                ignore_live_threads=ignore_live_threads,
            )
        finally:
            if close_summary_writer and self._summary_writer is not None:
                self._summary_writer.close()
            self._started_threads = []

    Stop = stop

    def summary_computed(self, sess: Any, summary: Any, global_step: Any = None) -> None:
        """Write a summary that the program computed itself."""
        if self._summary_writer is None:
            raise RuntimeError("Writing a summary requires a summary writer.")
        if global_step is None and self._global_step is not None:
            global_step = training_util.global_step(sess, self._global_step)
        self._summary_writer.add_summary(summary, global_step)

    SummaryComputed = summary_computed

    @contextmanager
    def managed_session(
        self,
        master: str = "",
        config: Any = None,
        start_standard_services: bool = True,
        close_summary_writer: bool = True,
    ) -> Iterator[Any]:
        """A ready session; at the end the threads stop, and errors of theirs are raised."""
        session = None
        try:
            session = self.prepare_or_wait_for_session(
                master, config, start_standard_services=start_standard_services
            )
            with session.as_default(), self._graph.as_default():
                yield session
        except Exception as error:
            self.request_stop(error)
        finally:
            try:
                self.stop(close_summary_writer=close_summary_writer)
            finally:
                if session is not None:
                    session.close()


class _StepCounter:
    """Writes how many steps are done in a second."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._last: tuple[float, int] | None = None

    def __call__(self, sess: Any) -> None:
        from anode.frontends.tensorflow.formats import proto

        supervisor = self._supervisor
        now, step = time.time(), training_util.global_step(sess, supervisor.global_step)
        if self._last is not None and supervisor.summary_writer is not None:
            rate = (step - self._last[1]) / max(now - self._last[0], 1e-9)
            summary = proto.Summary()
            summary.value.add(tag=f"{supervisor.global_step.op.name}/sec", simple_value=rate)
            supervisor.summary_writer.add_summary(summary, step)
        self._last = now, step

"""Evaluation of one checkpoint: metrics updated batch by batch, then read."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

from anode.frontends.tensorflow.api.session_hooks import (
    FinalOpsHook,
    SessionRunArgs,
    SessionRunHook,
)
from anode.frontends.tensorflow.modules import tensorflow as tf
from anode.frontends.tensorflow.opdef import export

log = logging.getLogger("tensorflow")
EVAL_STEP = "eval_step"


@export("contrib.training.get_or_create_eval_step")
def get_or_create_eval_step() -> Any:
    """The local variable that counts the batches of an evaluation."""
    graph = tf.get_default_graph()
    found = graph.get_collection("eval_step")
    if len(found) > 1:
        raise ValueError("Multiple tensors added to tf.GraphKeys.EVAL_STEP")
    if found:
        return found[0]
    with graph.as_default(), graph.name_scope(None):
        return tf.get_variable(
            EVAL_STEP,
            shape=[],
            dtype=tf.int64,
            initializer=tf.zeros_initializer(),
            trainable=False,
            collections=[tf.GraphKeys.LOCAL_VARIABLES, "eval_step"],
        )


@export("contrib.training.StopAfterNEvalsHook")
class StopAfterNEvalsHook(SessionRunHook):
    """Ends an evaluation after so many batches, and logs how far it is."""

    def __init__(self, num_evals: int | None, log_progress: bool = True) -> None:
        self._num_evals, self._log_progress = num_evals, log_progress
        few = num_evals is None or num_evals < 20
        self._log_frequency = 1 if few else math.floor((num_evals or 0) / 10.0)
        self._evals_completed: Any = None

    def _set_evals_completed_tensor(self, updated_eval_step: Any) -> None:
        self._evals_completed = updated_eval_step

    def before_run(self, run_context: Any) -> Any:
        return SessionRunArgs({"evals_completed": self._evals_completed})

    def after_run(self, run_context: Any, run_values: Any) -> None:
        done = int(run_values.results["evals_completed"])
        if self._log_progress:
            if self._num_evals is None:
                log.info("Evaluation [%d]", done)
            elif done % self._log_frequency == 0 or self._num_evals == done:
                log.info("Evaluation [%d/%d]", done, self._num_evals)
        if self._num_evals is not None and done >= self._num_evals:
            run_context.request_stop()


@export("contrib.training.SummaryAtEndHook")
class SummaryAtEndHook(SessionRunHook):
    """Writes the summaries when an evaluation ends."""

    def __init__(
        self,
        log_dir: str | None = None,
        summary_writer: Any = None,
        summary_op: Any = None,
        feed_dict: Any = None,
    ) -> None:
        if log_dir is None and summary_writer is None:
            raise ValueError("One of log_dir or summary_writer should be used.")
        self._log_dir, self._summary_writer = log_dir, summary_writer
        self._summary_op, self._feed_dict = summary_op, feed_dict

    def begin(self) -> None:
        if self._summary_op is None:
            self._summary_op = tf.summary.merge_all()
        if self._summary_writer is None:
            self._summary_writer = tf.summary.FileWriterCache.get(self._log_dir)
        self._global_step = tf.train.get_or_create_global_step()

    def end(self, session: Any) -> None:
        step = int(session.run(self._global_step))
        if self._summary_op is not None:
            found = session.run(self._summary_op, self._feed_dict)
            self._summary_writer.add_summary(found, step)
        self._summary_writer.flush()


def _counted(eval_ops: Any, hooks: Sequence[Any]) -> Any:
    """The operations of one batch, with the count of batches after them."""
    eval_step = get_or_create_eval_step()
    update = tf.assign_add(eval_step, 1)
    for hook in hooks:
        if isinstance(hook, StopAfterNEvalsHook):
            hook._set_evals_completed_tensor(update)
    if eval_ops is None:
        return update
    if isinstance(eval_ops, Mapping):
        return {**eval_ops, "update_eval_step": update}
    several = isinstance(eval_ops, (list, tuple))
    return [*(eval_ops if several else [eval_ops]), update]


@export("contrib.training.evaluate_once")
def evaluate_once(
    checkpoint_path: str | None,
    master: str = "",
    scaffold: Any = None,
    eval_ops: Any = None,
    feed_dict: Any = None,
    final_ops: Any = None,
    final_ops_feed_dict: Any = None,
    hooks: Sequence[Any] | None = None,
    config: Any = None,
) -> Any:
    """The values of `final_ops` after `eval_ops` ran until the input's or a hook's end.

    Without a checkpoint the variables are initialised.
    """
    hooks = list(hooks or [])
    eval_ops = _counted(eval_ops, hooks)
    log.info("Starting evaluation at %s", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.localtime()))
    creator = tf.train.ChiefSessionCreator(
        scaffold=scaffold,
        checkpoint_filename_with_path=checkpoint_path,
        master=master,
        config=config,
    )
    final: Any = FinalOpsHook(final_ops, final_ops_feed_dict)
    hooks.append(final)
    with tf.train.MonitoredSession(session_creator=creator, hooks=hooks) as session:
        while not session.should_stop():
            session.run(eval_ops, feed_dict)
    log.info("Finished evaluation at %s", time.strftime("%Y-%m-%d-%H:%M:%S", time.localtime()))
    return final.final_ops_values


@export("contrib.training.evaluate_repeatedly")
def evaluate_repeatedly(
    checkpoint_dir: str,
    master: str = "",
    scaffold: Any = None,
    eval_ops: Any = None,
    feed_dict: Any = None,
    final_ops: Any = None,
    final_ops_feed_dict: Any = None,
    eval_interval_secs: float = 60,
    hooks: Sequence[Any] | None = None,
    config: Any = None,
    max_number_of_evaluations: int | None = None,
    timeout: float | None = None,
    timeout_fn: Any = None,
) -> Any:
    """`evaluate_once` for each new checkpoint of a folder; gives the last values."""
    hooks = list(hooks or [])
    eval_ops, found = _counted(eval_ops, hooks), None
    paths = tf.train.checkpoints_iterator(checkpoint_dir, eval_interval_secs, timeout, timeout_fn)
    for count, path in enumerate(paths, 1):
        creator = tf.train.ChiefSessionCreator(
            scaffold=scaffold, checkpoint_filename_with_path=path, master=master, config=config
        )
        final: Any = FinalOpsHook(final_ops, final_ops_feed_dict)
        with tf.train.MonitoredSession(creator, [*hooks, final]) as session:
            while not session.should_stop():
                session.run(eval_ops, feed_dict)
        found = final.final_ops_values
        if max_number_of_evaluations is not None and count >= max_number_of_evaluations:
            break
    return found

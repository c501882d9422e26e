"""tf.contrib.slim: training and evaluation loops, and a list of a model's variables."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from anode.frontends.tensorflow.api.control_flow import with_dependencies
from anode.frontends.tensorflow.api.layers_options import public
from anode.frontends.tensorflow.graph import (
    apply,
    convert_to_tensor,
    get_collection,
    get_default_graph,
    group,
    name_scope,
)
from anode.frontends.tensorflow.opdef import EXPORTS

USE_DEFAULT = 0


def _export(*modules: str) -> Callable[[Any], Any]:
    def note(thing: Any) -> Any:
        for module in modules:
            EXPORTS[f"{module}.{thing.__name__}"] = f"{__name__}:{thing.__name__}"
        return thing

    return note


_LEARNING = ("contrib.slim.learning", "contrib.training", "contrib.slim.python.slim.learning")
_EVALUATION = ("contrib.slim.evaluation", "contrib.slim.python.slim.evaluation")
_ANALYZER = ("contrib.slim.model_analyzer", "contrib.slim.python.slim.model_analyzer")


@_export(*_LEARNING)
def clip_gradient_norms(gradients_to_variables: Sequence[Any], max_norm: float) -> list[Any]:
    """(gradient, variable) pairs, each gradient's length at most `max_norm`."""
    return [
        (None if gradient is None else public("clip_by_norm")(gradient, max_norm), variable)
        for gradient, variable in gradients_to_variables
    ]


@_export(*_LEARNING)
def multiply_gradients(grads_and_vars: Any, gradient_multipliers: Any) -> list[Any]:
    """(gradient, variable) pairs, with gradients multiplied by variable or by its name."""
    if not isinstance(grads_and_vars, list):
        raise ValueError("`grads_and_vars` must be a list.")
    if not gradient_multipliers:
        raise ValueError("`gradient_multipliers` is empty.")
    if not isinstance(gradient_multipliers, dict):
        raise ValueError("`gradient_multipliers` must be a dict.")
    found = []
    for gradient, variable in grads_and_vars:
        for key in (variable, variable.op.name):
            if key in gradient_multipliers:
                if gradient is None:
                    raise ValueError("Requested multiple of `None` gradient.")
                gradient = convert_to_tensor(gradient) * gradient_multipliers[key]
                break
        found.append((gradient, variable))
    return found


@_export(*_LEARNING)
def add_gradients_summaries(grads_and_vars: Sequence[Any]) -> list[Any]:
    """A histogram and the norm of each gradient."""
    summaries = []
    for gradient, variable in grads_and_vars:
        if gradient is None:
            continue
        values = getattr(gradient, "values", gradient)
        name = variable.op.name
        summaries.append(public("summary.histogram")(f"{name}_gradient", values))
        norm = public("global_norm")([values])
        summaries.append(public("summary.scalar")(f"{name}_gradient_norm", norm))
    return summaries


@_export(*_LEARNING)
def create_train_op(
    total_loss: Any,
    optimizer: Any,
    global_step: Any = USE_DEFAULT,
    update_ops: Any = None,
    variables_to_train: Any = None,
    clip_gradient_norm: float = 0,
    summarize_gradients: bool = False,
    gate_gradients: int = 1,
    aggregation_method: Any = None,
    colocate_gradients_with_ops: bool = False,
    gradient_multipliers: Any = None,
    check_numerics: bool = True,
) -> Any:
    """The loss, after a step of the optimiser and the updates of UPDATE_OPS."""
    global_step = _global_step(_is_default(global_step), global_step)
    updates = get_collection("update_ops") if update_ops is None else list(update_ops)
    if updates:
        total_loss = with_dependencies([group(*dict.fromkeys(updates))], total_loss)
    trained = variables_to_train or public("trainable_variables")()
    gradients = optimizer.compute_gradients(
        total_loss,
        trained,
        gate_gradients=gate_gradients,
        aggregation_method=aggregation_method,
        colocate_gradients_with_ops=colocate_gradients_with_ops,
    )
    if gradient_multipliers:
        gradients = multiply_gradients(gradients, gradient_multipliers)
    if clip_gradient_norm > 0:
        gradients = clip_gradient_norms(gradients, clip_gradient_norm)
    if summarize_gradients:
        with name_scope("summarize_grads"):
            add_gradients_summaries(gradients)
    step = optimizer.apply_gradients(gradients, global_step=global_step)
    with name_scope("train_op"):
        if check_numerics:
            total_loss = apply("CheckNumerics", total_loss, message="LossTensor is inf or nan")
        train_op = with_dependencies([step], total_loss)
    if not any(train_op is known for known in get_collection("train_op")):
        get_default_graph().add_to_collection("train_op", train_op)
    return train_op


@_export(*_LEARNING)
def train_step(
    sess: Any, train_op: Any, global_step: Any, train_step_kwargs: dict[str, Any]
) -> tuple[Any, bool]:
    """One step: (loss, whether to stop)."""
    start = time.time()
    loss, step = sess.run([train_op, global_step])
    elapsed = time.time() - start
    if "should_log" in train_step_kwargs and sess.run(train_step_kwargs["should_log"]):
        public("logging.info")("global step %d: loss = %.4f (%.3f sec/step)", step, loss, elapsed)
    stop = train_step_kwargs.get("should_stop")
    return loss, bool(sess.run(stop)) if stop is not None else False


def _options(given: Any, global_step: Any, every: int, number_of_steps: Any) -> Any:
    """What `train_step` looks at, unless it is given: whether to log, whether to stop."""
    if not _is_default(given):
        return given
    options = {}
    if number_of_steps:
        options["should_stop"] = apply("GreaterEqual", global_step, number_of_steps)
    if every:
        rest = apply("FloorMod", global_step, every)
        options["should_log"] = apply("Equal", rest, 0)
    return options


@_export(*_LEARNING)
def train(
    train_op: Any,
    logdir: str | None,
    train_step_fn: Any = train_step,
    train_step_kwargs: Any = USE_DEFAULT,
    log_every_n_steps: int = 1,
    graph: Any = None,
    master: str = "",
    is_chief: bool = True,
    global_step: Any = None,
    number_of_steps: int | None = None,
    init_op: Any = USE_DEFAULT,
    init_feed_dict: Any = None,
    local_init_op: Any = USE_DEFAULT,
    init_fn: Any = None,
    ready_op: Any = USE_DEFAULT,
    summary_op: Any = USE_DEFAULT,
    save_summaries_secs: float = 600,
    summary_writer: Any = USE_DEFAULT,
    startup_delay_steps: int = 0,
    saver: Any = None,
    save_interval_secs: float = 600,
    sync_optimizer: Any = None,
    session_config: Any = None,
    session_wrapper: Any = None,
    trace_every_n_steps: int | None = None,
    ignore_live_threads: bool = False,
) -> Any:
    """Run a training operation until `number_of_steps`; the last loss.

    A Supervisor writes checkpoints and summaries to `logdir`, and refuses workers beside the chief,
    which alone `startup_delay_steps` is for.
    """
    if logdir is None and summary_op not in (USE_DEFAULT, None):
        raise ValueError("Cannot provide summary_op because logdir=None")
    _check(train_op, sync_optimizer=sync_optimizer, trace_every_n_steps=trace_every_n_steps)
    graph = graph or get_default_graph()
    with graph.as_default():
        global_step = _global_step(global_step is None, global_step)
        kwargs = _options(train_step_kwargs, global_step, log_every_n_steps, number_of_steps)
        supervisor = public("train.Supervisor")(
            graph=graph,
            is_chief=is_chief,
            logdir=logdir,
            init_op=init_op,
            init_feed_dict=init_feed_dict,
            local_init_op=local_init_op,
            ready_op=ready_op,
            summary_op=_summary(summary_op),
            summary_writer=summary_writer,
            global_step=global_step,
            saver=saver or public("train.Saver")(),
            save_summaries_secs=save_summaries_secs,
            save_model_secs=save_interval_secs,
            init_fn=init_fn,
        )
    with supervisor.managed_session(master, session_config, False) as session:
        session = session if session_wrapper is None else session_wrapper(session)
        step = (train_step_fn, train_op, global_step, kwargs)
        return _train_steps(supervisor, session, step, logdir, ignore_live_threads)


def _summary(summary_op: Any) -> Any:
    return public("summary.merge_all")() if _is_default(summary_op) else summary_op


def _global_step(make: bool, given: Any) -> Any:
    return public("train.get_or_create_global_step")() if make else given


def _is_default(value: Any) -> bool:
    return isinstance(value, int) and value == USE_DEFAULT


def _check(train_op: Any, **unsupported: Any) -> None:
    if train_op is None:
        raise ValueError("train_op cannot be None.")
    for name, value in unsupported.items():
        if value is not None:
            raise NotImplementedError(f"slim.learning.train({name}=) is not implemented by anode")


def _train_steps(
    supervisor: Any, session: Any, step: tuple[Any, ...], logdir: str | None, ignore_live: bool
) -> Any:
    function, train_op, global_step, kwargs = step
    if supervisor.is_chief and logdir:
        supervisor.start_standard_services(session)
    supervisor.start_queue_runners(session)
    total_loss: Any = None
    try:
        while not supervisor.should_stop():
            total_loss, should_stop = function(session, train_op, global_step, kwargs)
            if should_stop:
                public("logging.info")("Stopping Training.")
                supervisor.request_stop()
                break
    except public("errors.OutOfRangeError") as error:
        public("logging.info")("Caught OutOfRangeError. Stopping Training. %s", error)
    if logdir and supervisor.is_chief:
        public("logging.info")("Finished training! Saving model to disk.")
        supervisor.saver.save(session, supervisor.save_path, global_step=supervisor.global_step)
    supervisor.stop(ignore_live_threads=ignore_live)
    return total_loss


# evaluation


def _restored(
    session: Any, checkpoint_path: str, variables_to_restore: Any, initial: tuple[Any, Any]
) -> None:
    restore = public("train.Saver")(variables_to_restore or public("global_variables")())
    others = public("variables_initializer")(public("local_variables")())
    session.run([others, public("tables_initializer")()])
    restore.restore(session, checkpoint_path)
    if initial[0] is not None:
        session.run(initial[0], initial[1])


@_export(*_EVALUATION)
def evaluate_once(
    master: str,
    checkpoint_path: str,
    logdir: str | None,
    num_evals: int = 1,
    initial_op: Any = None,
    initial_op_feed_dict: Any = None,
    eval_op: Any = None,
    eval_op_feed_dict: Any = None,
    final_op: Any = None,
    final_op_feed_dict: Any = None,
    summary_op: Any = USE_DEFAULT,
    summary_op_feed_dict: Any = None,
    variables_to_restore: Any = None,
    session_config: Any = None,
    hooks: Any = None,
) -> Any:
    """Restore a checkpoint, run `eval_op` `num_evals` times, then `final_op`: its value."""
    if hooks:
        raise NotImplementedError("slim.evaluation with hooks is not implemented by anode")
    if isinstance(summary_op, int) and summary_op == USE_DEFAULT:
        summary_op = public("summary.merge_all")()
    step = public("train.get_or_create_global_step")()
    coordinator = public("train.Coordinator")()
    with public("Session")(master, config=session_config) as session:
        initial = (initial_op, initial_op_feed_dict)
        _restored(session, checkpoint_path, variables_to_restore, initial)
        threads = public("train.start_queue_runners")(session, coordinator)
        for _ in range(num_evals if eval_op is not None else 0):
            session.run(eval_op, eval_op_feed_dict)
        final = session.run(final_op, final_op_feed_dict) if final_op is not None else None
        if logdir and summary_op is not None:
            writer = public("summary.FileWriter")(logdir)
            writer.add_summary(session.run(summary_op, summary_op_feed_dict), session.run(step))
            writer.close()
        coordinator.request_stop()
        coordinator.join(threads, ignore_live_threads=True)
    return final


@_export(*_EVALUATION)
def evaluation_loop(
    master: str,
    checkpoint_dir: str,
    logdir: str | None,
    num_evals: int = 1,
    initial_op: Any = None,
    initial_op_feed_dict: Any = None,
    init_fn: Any = None,
    eval_op: Any = None,
    eval_op_feed_dict: Any = None,
    final_op: Any = None,
    final_op_feed_dict: Any = None,
    summary_op: Any = USE_DEFAULT,
    summary_op_feed_dict: Any = None,
    variables_to_restore: Any = None,
    eval_interval_secs: float = 60,
    max_number_of_evaluations: int | None = None,
    session_config: Any = None,
    timeout: float | None = None,
    timeout_fn: Any = None,
    hooks: Any = None,
) -> Any:
    """`evaluate_once` for every new checkpoint of a folder; the last value of `final_op`."""
    if init_fn is not None:
        raise NotImplementedError("evaluation_loop(init_fn=) is not implemented by anode")
    final, seen, done, waited = None, None, 0, 0.0
    while max_number_of_evaluations is None or done < max_number_of_evaluations:
        path = public("train.latest_checkpoint")(checkpoint_dir)
        if path is None or path == seen:
            if timeout is not None and waited >= timeout and (timeout_fn is None or timeout_fn()):
                break
            time.sleep(min(eval_interval_secs, 1.0))
            waited += min(eval_interval_secs, 1.0)
            continue
        seen, waited, done = path, 0.0, done + 1
        final = evaluate_once(
            master,
            path,
            logdir,
            num_evals,
            initial_op,
            initial_op_feed_dict,
            eval_op,
            eval_op_feed_dict,
            final_op,
            final_op_feed_dict,
            summary_op,
            summary_op_feed_dict,
            variables_to_restore,
            session_config,
            hooks,
        )
    return final


@_export("contrib.slim.evaluation", "contrib.training")
def wait_for_new_checkpoint(
    checkpoint_dir: str,
    last_checkpoint: str | None = None,
    seconds_to_sleep: float = 1,
    timeout: float | None = None,
) -> str | None:
    """The newest checkpoint of a folder once it is not `last_checkpoint`; None after `timeout`."""
    stop = None if timeout is None else time.time() + timeout
    while True:
        path: str | None = public("train.latest_checkpoint")(checkpoint_dir)
        if path is not None and path != last_checkpoint:
            return path
        if stop is not None and time.time() + seconds_to_sleep > stop:
            return None
        time.sleep(seconds_to_sleep)


# what a model holds


@_export(*_ANALYZER)
def tensor_description(var: Any) -> str:
    """A tensor's type and shape: `(float32_ref 2x3)`."""
    shape = var.get_shape().as_list()
    sizes = [str(size) for size in shape]
    return f"({var.dtype.name}{' ' if sizes else ''}{'x'.join(sizes)})"


@_export(*_ANALYZER)
def analyze_vars(variables: Sequence[Any], print_info: bool = False) -> tuple[int, int]:
    """The number of elements and of bytes of variables; printed with `print_info`."""
    out = sys.stdout.write if print_info else (lambda _: 0)
    out("---------\nVariables: name (type shape) [size]\n---------\n")
    total, size_in_bytes = 0, 0
    for var in variables:
        count = int(np.prod(var.get_shape().as_list()))
        bytes_ = count * var.dtype.size
        total, size_in_bytes = total + count, size_in_bytes + bytes_
        out(f"{var.name} {tensor_description(var)} [{count}, bytes: {bytes_}]\n")
    out(f"Total size of variables: {total}\nTotal bytes of variables: {size_in_bytes}\n")
    return total, size_in_bytes


@_export(*_ANALYZER)
def analyze_ops(graph: Any, print_info: bool = False) -> int:
    """The number of elements of all operations' results; printed with `print_info`."""
    out = sys.stdout.write if print_info else (lambda _: 0)
    out("---------\nOperations: name -> (type shapes) [size]\n---------\n")
    total = 0
    for op in graph.get_operations():
        shapes, size = [], 0
        for output in op.outputs:
            count = output.get_shape().num_elements() or 0
            if output.get_shape().rank is not None and count:
                shapes.append(tensor_description(output))
            size += count
        total += size
        out(f"{op.name}\t-> {', '.join(shapes) if shapes else op.type} [{size or ''}]\n")
    out(f"Total size: {total}\n")
    return total

"""tf.contrib.layers' training operation, and summaries of tensors and collections."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from anode.frontends.tensorflow.api import variable_scope as vs
from anode.frontends.tensorflow.api.control_flow import with_dependencies
from anode.frontends.tensorflow.api.initializers import Constant
from anode.frontends.tensorflow.api.layers_options import public
from anode.frontends.tensorflow.core import Tensor
from anode.frontends.tensorflow.graph import apply, convert_to_tensor, get_collection
from anode.frontends.tensorflow.opdef import export, export_values

_TRAINERS = {
    "Adagrad": "AdagradOptimizer",
    "Adam": "AdamOptimizer",
    "Ftrl": "FtrlOptimizer",
    "RMSProp": "RMSPropOptimizer",
    "SGD": "GradientDescentOptimizer",
}


def _trainer(name: str) -> Callable[..., Any]:
    def make(learning_rate: Any) -> Any:
        if name == "Momentum":
            return public("train.MomentumOptimizer")(learning_rate, momentum=0.9)
        return public(f"train.{_TRAINERS[name]}")(learning_rate)

    return make


OPTIMIZER_CLS_NAMES = {name: _trainer(name) for name in (*_TRAINERS, "Momentum")}
OPTIMIZER_SUMMARIES = [
    "learning_rate",
    "loss",
    "gradients",
    "gradient_norm",
    "global_gradient_norm",
]
for _name in ("OPTIMIZER_CLS_NAMES", "OPTIMIZER_SUMMARIES"):
    export_values(__name__, {f"contrib.layers.{_name}": _name})
    export_values(__name__, {f"contrib.layers.optimizers.{_name}": _name})


def _rate(learning_rate: Any) -> Any:
    """A tensor of the learning rate: a number becomes the variable `learning_rate`."""
    if learning_rate is None:
        return None
    if isinstance(learning_rate, Tensor) and learning_rate.shape.rank == 0:
        return learning_rate
    if not isinstance(learning_rate, float):
        raise ValueError(
            f"Learning rate should be 0d Tensor or float. Got {learning_rate} of type "
            f"{type(learning_rate)}"
        )
    if learning_rate < 0.0:
        raise ValueError("Invalid learning_rate %s.", learning_rate)
    made = Constant(learning_rate)
    return vs.get_variable("learning_rate", [], trainable=False, initializer=made)


def _optimizer(optimizer: Any, rate: Any) -> Any:
    """An optimiser from its name, its class, a function that makes it, or one."""
    from anode.frontends.tensorflow.api.optimizer import Optimizer

    needs_rate = isinstance(optimizer, str) or (
        isinstance(optimizer, type) and issubclass(optimizer, Optimizer)
    )
    if needs_rate and rate is None:
        raise ValueError(
            f"Learning rate is None, but should be specified if optimizer is given as {optimizer}."
        )
    if isinstance(optimizer, str):
        if optimizer not in OPTIMIZER_CLS_NAMES:
            raise ValueError(
                f"Optimizer name should be one of [{', '.join(OPTIMIZER_CLS_NAMES)}], you provided "
                f"{optimizer}."
            )
        return OPTIMIZER_CLS_NAMES[optimizer](learning_rate=rate)
    if needs_rate:
        return optimizer(learning_rate=rate)
    if isinstance(optimizer, Optimizer):
        return optimizer
    if callable(optimizer):
        made = optimizer(rate) if rate is not None else optimizer()
        if isinstance(made, Optimizer):
            return made
    raise ValueError(
        "Unrecognized optimizer: should be string, subclass of Optimizer, instance of subclass of "
        f"Optimizer or function with one argument. Got {optimizer}."
    )


def _noisy(gradients: Sequence[Any], scale: float) -> list[Any]:
    """Gradients with normal noise added, scaled by `scale`."""
    found = []
    for gradient, variable in gradients:
        if gradient is not None:
            shape = public("shape")(gradient)
            noise = public("truncated_normal")(shape) * scale
            gradient = convert_to_tensor(gradient) + noise
        found.append((gradient, variable))
    return found


def _multiplied(gradients: Sequence[Any], multipliers: Any) -> list[Any]:
    found = []
    for gradient, variable in gradients:
        key = variable if variable in multipliers else variable.name
        if gradient is not None and key in multipliers:
            gradient = convert_to_tensor(gradient) * apply(
                "Cast", multipliers[key], DstT=gradient.dtype.base_dtype
            )
        found.append((gradient, variable))
    if not found:
        raise ValueError("Empty list of (gradient, var) pairs encountered.")
    return found


def _clipped(gradients: list[Any], clip: Any) -> list[Any]:
    if clip is None:
        return gradients
    if isinstance(clip, float):
        values, variables = zip(*gradients, strict=True)
        clipped, _ = public("clip_by_global_norm")(values, clip)
        return list(zip(clipped, variables, strict=True))
    if callable(clip):
        return list(clip(gradients))
    raise ValueError(f"Unknown type {type(clip)} for clip_gradients")


def _summarize(gradients: Sequence[Any], summaries: Sequence[str]) -> None:
    for gradient, variable in gradients:
        values = getattr(gradient, "values", gradient)
        if values is None:
            continue
        name = variable.name.replace(":", "_")
        if "gradients" in summaries:
            public("summary.histogram")(f"gradients/{name}", values)
        if "gradient_norm" in summaries:
            norm = public("global_norm")([values])
            public("summary.scalar")(f"gradient_norm/{name}", norm)


def _norm_summary(name: str, gradients: Sequence[Any], summaries: Sequence[str]) -> None:
    if "global_gradient_norm" in summaries or "gradient_norm" in summaries:
        norm = public("global_norm")([gradient for gradient, _ in gradients])
        public("summary.scalar")(f"global_norm/{name}", norm)


@export(
    "contrib.layers.optimize_loss",
    "contrib.layers.optimizers.optimize_loss",
    "contrib.layers.python.layers.optimizers.optimize_loss",
)
def optimize_loss(
    loss: Any,
    global_step: Any,
    learning_rate: Any,
    optimizer: Any,
    gradient_noise_scale: float | None = None,
    gradient_multipliers: Any = None,
    clip_gradients: Any = None,
    learning_rate_decay_fn: Any = None,
    update_ops: Any = None,
    variables: Any = None,
    name: str | None = None,
    summaries: Sequence[str] | None = None,
    colocate_gradients_with_ops: bool = False,
    increment_global_step: bool = True,
) -> Any:
    """The loss, after a step of an optimiser given by name, class, function or itself."""
    loss = convert_to_tensor(loss)
    public("contrib.framework.assert_scalar")(loss)
    if global_step is None:
        global_step = public("train.get_global_step")()
    else:
        public("train.assert_global_step")(global_step)
    with vs.variable_scope(name, "OptimizeLoss", [loss, global_step]):
        updates = get_collection("update_ops") if update_ops is None else list(update_ops)
        if updates:
            loss = with_dependencies(list(dict.fromkeys(updates)), loss)
        rate = _rate(learning_rate)
        wanted = _wanted(summaries)
        if rate is not None and learning_rate_decay_fn is not None:
            if global_step is None:
                raise ValueError("global_step is required for learning_rate_decay_fn.")
            rate = learning_rate_decay_fn(rate, global_step)
            if "learning_rate" in wanted:
                public("summary.scalar")("learning_rate", rate)
        opt = _optimizer(optimizer, rate)
        trained = public("trainable_variables")() if variables is None else variables
        gradients = opt.compute_gradients(
            loss, trained, colocate_gradients_with_ops=colocate_gradients_with_ops
        )
        if gradient_noise_scale is not None:
            gradients = _noisy(gradients, gradient_noise_scale)
        if gradient_multipliers is not None:
            gradients = _multiplied(gradients, gradient_multipliers)
        _norm_summary("gradient_norm", gradients, wanted)
        gradients = _clipped(gradients, clip_gradients)
        if "loss" in wanted:
            public("summary.scalar")("loss", loss)
        _summarize(gradients, wanted)
        if clip_gradients is not None:
            _norm_summary("clipped_gradient_norm", gradients, wanted)
        step = global_step if increment_global_step else None
        return with_dependencies(
            [opt.apply_gradients(gradients, global_step=step, name="train")], loss
        )


def _wanted(summaries: Sequence[str] | None) -> Sequence[str]:
    if summaries is None:
        return ("loss", "learning_rate", "global_gradient_norm")
    for summary in summaries:
        if summary not in OPTIMIZER_SUMMARIES:
            raise ValueError(
                f"Summaries should be one of [{', '.join(OPTIMIZER_SUMMARIES)}], you provided "
                f"{summary}."
            )
    return summaries


# summaries


def _summaries(*names: str) -> list[str]:
    places = (
        "contrib.layers",
        "contrib.layers.summaries",
        "contrib.layers.python.layers.summaries",
    )
    return [f"{place}.{name}" for place in places for name in names]


@export(*_summaries("summarize_tensor"))
def summarize_tensor(tensor: Any, tag: str | None = None) -> Any:
    """A scalar or histogram summary of a tensor."""
    if tensor.shape.rank == 0:
        return public("summary.scalar")(tag or tensor.op.name, tensor)
    return public("summary.histogram")(tag or tensor.op.name, tensor)


@export(*_summaries("summarize_activation"))
def summarize_activation(op: Any) -> Any:
    """A histogram of an activation, and how much of it is zero where that can be."""
    if op.op.type in ("Relu", "Softplus", "Relu6"):
        public("summary.scalar")(f"{op.op.name}/zeros", public("nn.zero_fraction")(op))
    if op.op.type == "Relu6":
        top = public("reduce_mean")(apply("Cast", apply("Equal", op, 6.0), DstT="float32"))
        public("summary.scalar")(f"{op.op.name}/sixes", top)
    return public("summary.histogram")(f"{op.op.name}/activation", op)


@export(*_summaries("summarize_tensors"))
def summarize_tensors(tensors: Sequence[Any], summarizer: Any = summarize_tensor) -> list[Any]:
    """Summaries of each of some tensors."""
    return [summarizer(tensor) for tensor in tensors]


@export(*_summaries("summarize_collection"))
def summarize_collection(
    collection: str, name_filter: str | None = None, summarizer: Any = summarize_tensor
) -> list[Any]:
    """Summaries of the tensors of a collection whose names match."""
    tensors = [
        t
        for t in get_collection(collection)
        if name_filter is None or re.match(name_filter, t.op.name)
    ]
    return summarize_tensors(tensors, summarizer)


def _of(collection: str, summarizer: Any = summarize_tensor) -> Callable[..., list[Any]]:
    def summarize(name_filter: str | None = None, summarizer: Any = summarizer) -> list[Any]:
        return summarize_collection(collection, name_filter, summarizer)

    summarize.__doc__ = f"Summaries of the collection {collection}."
    return summarize


summarize_variables = _of("variables")
summarize_weights = _of("weights")
summarize_biases = _of("biases")
summarize_activations = _of("activations", summarize_activation)
for _what in ("variables", "weights", "biases", "activations"):
    for _path in _summaries(f"summarize_{_what}"):
        export_values(__name__, {_path: f"summarize_{_what}"})

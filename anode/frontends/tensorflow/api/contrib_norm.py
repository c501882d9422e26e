"""tf.contrib.layers and slim: batch, layer, instance and group normalisation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from anode.frontends.tensorflow.api import nn
from anode.frontends.tensorflow.api import variable_scope as vs
from anode.frontends.tensorflow.api.arg_scope import add_arg_scope
from anode.frontends.tensorflow.api.contrib_framework import model_variable
from anode.frontends.tensorflow.api.contrib_scope import (
    collect_variable,
    finished,
    get_variable_collections,
    layer_export,
    layer_getter,
    scoped,
)
from anode.frontends.tensorflow.api.initializers import Ones, Zeros
from anode.frontends.tensorflow.api.layers_norm import BatchNormCore
from anode.frontends.tensorflow.api.layers_scope import Layer
from anode.frontends.tensorflow.graph import (
    add_to_collections,
    apply,
    control_dependencies,
    convert_to_tensor,
)
from anode.frontends.tensorflow.tensor_shape import TensorShape

UPDATE_OPS = "update_ops"
STARTS = {"beta": Zeros, "gamma": Ones, "moving_mean": Zeros, "moving_variance": Ones}


class _Normalization(BatchNormCore, Layer):
    """Batch normalisation that keeps its updates to itself, for `batch_norm` to place them."""

    def __init__(self, *args: Any, beta_first: bool, zero_debias: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._order = ("beta", "gamma") if beta_first else ("gamma", "beta")
        self._zero_debias = zero_debias
        self.pending: list[Any] = []

    def add_update(self, updates: Any, inputs: Any = None) -> None:
        self.pending.append(updates)

    def _follow(self, variable: Any, value: Any, inputs: Any) -> None:
        if self._zero_debias and variable is self.moving_mean:
            from anode.frontends.tensorflow.api.moving_averages import assign_moving_average

            update = assign_moving_average(variable, value, self.momentum, zero_debias=True)
            self.add_update(update, inputs)
        else:
            super()._follow(variable, value, inputs)


def _unsupported(**options: Any) -> None:
    for name, value in options.items():
        if value is not None and value is not False:
            raise NotImplementedError(f"batch_norm({name}=) is not implemented by anode")


def _check_format(data_format: str) -> None:
    if data_format not in ("NHWC", "NCHW"):
        raise ValueError("data_format has to be either NCHW or NHWC.")


def _known_rank(inputs: Any) -> int:
    rank: int | None = inputs.shape.rank
    if rank is None:
        raise ValueError(f"Inputs {inputs.name} has undefined rank.")
    return rank


def _of_parameters(initializers: Any, regularizers: Any) -> dict[str, Any]:
    """The layer's arguments for how its parameters begin and what regularises them."""
    starts = {f"{name}_initializer": initializers.get(name) or STARTS[name]() for name in STARTS}
    return starts | {f"{name}_regularizer": regularizers.get(name) for name in ("beta", "gamma")}


@layer_export("batch_norm")
@add_arg_scope
def batch_norm(
    inputs: Any,
    decay: float = 0.999,
    center: bool = True,
    scale: bool = False,
    epsilon: float = 0.001,
    activation_fn: Any = None,
    param_initializers: Any = None,
    param_regularizers: Any = None,
    updates_collections: Any = UPDATE_OPS,
    is_training: Any = True,
    reuse: Any = None,
    variables_collections: Any = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    batch_weights: Any = None,
    fused: bool | None = None,
    data_format: str = "NHWC",
    zero_debias_moving_mean: bool = False,
    scope: Any = None,
    renorm: bool = False,
    renorm_clipping: Any = None,
    renorm_decay: float = 0.99,
    adjustment: Any = None,
) -> Any:
    """Batch normalisation of [batch, ..., channels].

    The updates of the moving averages go to `updates_collections`; None makes the result wait for
    them. Raises NotImplementedError for batch weights, renormalisation and adjustment.
    """
    _unsupported(batch_weights=batch_weights, renorm=renorm, adjustment=adjustment)
    _check_format(data_format)
    with vs.variable_scope(
        scope, "BatchNorm", [inputs], reuse=reuse, custom_getter=layer_getter()
    ) as sc:
        inputs = convert_to_tensor(inputs)
        rank = _known_rank(inputs)
        flat = rank == 2 and fused is not False
        layer = _Normalization(
            axis=1 if data_format == "NCHW" else -1,
            momentum=decay,
            epsilon=epsilon,
            center=center,
            scale=scale,
            **_of_parameters(param_initializers or {}, param_regularizers or {}),
            fused=None if flat or (rank == 4 and fused is not False) else False,
            beta_first=rank == 2 or updates_collections != UPDATE_OPS or zero_debias_moving_mean,
            zero_debias=zero_debias_moving_mean,
            **scoped(sc, reuse, trainable),
        )
        outputs = _applied(layer, inputs, is_training, flat)
        for name in STARTS:
            collect_variable(getattr(layer, name), variables_collections, name)
        outputs = _updated(outputs, layer.pending, updates_collections)
        outputs.set_shape(inputs.shape)
        return finished(outputs, sc.name, outputs_collections, activation_fn)


def _applied(layer: Any, inputs: Any, is_training: Any, flat: bool) -> Any:
    """The layer on its inputs; a matrix is taken as pictures of size 1, as TensorFlow does."""
    if not flat:
        return layer(inputs, training=is_training)
    channels = inputs.shape.as_list()[-1]
    if channels is None:
        raise ValueError(f"Inputs {inputs.name} has undefined channels dimension {inputs.shape}.")
    layer.axis = -1
    wide = apply("Reshape", inputs, [-1, 1, 1, channels])
    return apply("Reshape", layer(wide, training=is_training), apply("Shape", inputs))


def _updated(outputs: Any, updates: Sequence[Any], collections: Any) -> Any:
    """The outputs; the updates are put into collections, or without any waited for."""
    if collections is not None:
        for update in updates:
            add_to_collections(collections, update)
        return outputs
    with control_dependencies(list(updates)):
        return apply("Identity", outputs) if updates else outputs


def _parameters(
    names: Sequence[tuple[str, bool, Any]],
    shape: Sequence[Any],
    dtype: Any,
    collections: Any,
    trainable: bool,
    initializers: Any = None,
) -> list[Any]:
    """A variable for each (name, wanted, initialiser), None where it is not wanted."""
    return [
        model_variable(
            name,
            shape=shape,
            dtype=dtype,
            initializer=(initializers or {}).get(name) or made,
            collections=get_variable_collections(collections, name),
            trainable=trainable,
        )
        if wanted
        else None
        for name, wanted, made in names
    ]


@layer_export("layer_norm")
@add_arg_scope
def layer_norm(
    inputs: Any,
    center: bool = True,
    scale: bool = True,
    activation_fn: Any = None,
    reuse: Any = None,
    variables_collections: Any = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    begin_norm_axis: int = 1,
    begin_params_axis: int = -1,
    scope: Any = None,
) -> Any:
    """Each example with mean 0 and variance 1 over its axes. Source: Ba et al. 2016."""
    with vs.variable_scope(scope, "LayerNorm", [inputs], reuse=reuse) as sc:
        inputs = convert_to_tensor(inputs)
        shape, rank = inputs.shape, _known_rank(inputs)
        begin = begin_norm_axis + rank if begin_norm_axis < 0 else begin_norm_axis
        if begin_params_axis >= rank or begin >= rank:
            raise ValueError(
                f"begin_params_axis ({begin_params_axis}) and begin_norm_axis ({begin_norm_axis}) "
                f"must be < rank(inputs) ({rank})"
            )
        params = shape.as_list()[begin_params_axis:]
        if None in params:
            raise ValueError(
                f"Inputs {inputs.name}: shape(inputs)[{begin_params_axis}:] is not fully defined: "
                f"{TensorShape(params)}"
            )
        dtype = inputs.dtype.base_dtype
        names = [("beta", center, Zeros()), ("gamma", scale, Ones())]
        beta, gamma = _parameters(names, params, dtype, variables_collections, trainable)
        mean, variance = nn.moments(inputs, list(range(begin, rank)), keep_dims=True)
        epsilon = 1e-3 if dtype.name == "float16" else 1e-12
        outputs = nn.batch_normalization(inputs, mean, variance, beta, gamma, epsilon)
        outputs.set_shape(shape)
        return finished(outputs, sc.name, outputs_collections, activation_fn)


@layer_export("instance_norm")
@add_arg_scope
def instance_norm(
    inputs: Any,
    center: bool = True,
    scale: bool = True,
    epsilon: float = 1e-6,
    activation_fn: Any = None,
    param_initializers: Any = None,
    reuse: Any = None,
    variables_collections: Any = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    data_format: str = "NHWC",
    scope: Any = None,
) -> Any:
    """Each channel of each example with mean 0 and variance 1. Source: Ulyanov et al. 2016."""
    with vs.variable_scope(scope, "InstanceNorm", [inputs], reuse=reuse) as sc:
        inputs = convert_to_tensor(inputs)
        rank = _known_rank(inputs)
        _check_format(data_format)
        axis = 1 if data_format == "NCHW" else rank - 1
        channels = inputs.shape.as_list()[axis]
        names = [("beta", center, Zeros()), ("gamma", scale, Ones())]
        beta, gamma = _parameters(
            names,
            [channels],
            inputs.dtype.base_dtype,
            variables_collections,
            trainable,
            param_initializers,
        )
        axes = [i for i in range(1, rank) if i != axis]
        outputs = _by_groups(inputs, axes, _beside(axis, rank, channels), beta, gamma, epsilon)
        return finished(outputs, sc.name, outputs_collections, activation_fn)


def _beside(axis: int, rank: int, channels: int) -> Callable[[Any], Any]:
    """Shapes a vector of channels to be broadcast against the inputs."""
    if axis == rank - 1:
        return lambda value: value
    shape = [channels if i == axis else 1 for i in range(rank)]
    return lambda value: None if value is None else apply("Reshape", value, shape)


def _by_groups(
    x: Any, axes: list[int], beside: Callable[[Any], Any], beta: Any, gamma: Any, epsilon: float
) -> Any:
    mean, variance = nn.moments(x, axes, keep_dims=True)
    outputs = nn.batch_normalization(x, mean, variance, beside(beta), beside(gamma), epsilon)
    outputs.set_shape(x.shape)
    return outputs


@layer_export("group_norm")
@add_arg_scope
def group_norm(
    inputs: Any,
    groups: int = 32,
    channels_axis: int = -1,
    reduction_axes: Any = (-3, -2),
    center: bool = True,
    scale: bool = True,
    epsilon: float = 1e-6,
    activation_fn: Any = None,
    param_initializers: Any = None,
    reuse: Any = None,
    variables_collections: Any = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    scope: Any = None,
    mean_close_to_zero: bool = False,
) -> Any:
    """Groups of channels of each example with mean 0 and variance 1. Source: Wu and He 2018."""
    inputs = convert_to_tensor(inputs)
    dims, rank = inputs.shape.as_list(), inputs.shape.rank
    axis = channels_axis % rank
    reduced = [a % rank for a in reduction_axes]
    channels = dims[axis]
    if channels is None or channels % groups:
        raise ValueError(f"{groups} groups of {channels} channels for inputs {inputs.name}")
    with vs.variable_scope(scope, "GroupNorm", [inputs], reuse=reuse) as sc:
        names = [("beta", center, Zeros()), ("gamma", scale, Ones())]
        shape = [groups, channels // groups]
        beta, gamma = _parameters(
            names,
            [channels],
            inputs.dtype.base_dtype,
            variables_collections,
            trainable,
            param_initializers,
        )
        sizes = apply("Shape", inputs)
        split = apply("ConcatV2", [sizes[:axis], shape, sizes[axis + 1 :]], 0)
        x = apply("Reshape", inputs, split)
        x.set_shape([*dims[:axis], *shape, *dims[axis + 1 :]])
        axes = [a if a < axis else a + 1 for a in reduced] + [axis + 1]
        wide = [*[1] * axis, *shape, *[1] * (rank - 1 - axis)]

        def beside(value: Any) -> Any:
            return None if value is None else apply("Reshape", value, wide)

        outputs = apply("Reshape", _by_groups(x, axes, beside, beta, gamma, epsilon), sizes)
        outputs.set_shape(dims)
        return finished(outputs, sc.name, outputs_collections, activation_fn)

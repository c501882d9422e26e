"""tf.keras.backend: TensorFlow's functions under Keras's names."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from anode.frontends.tensorflow.core import Tensor
from anode.frontends.tensorflow.dtypes import as_dtype
from anode.frontends.tensorflow.graph import convert_to_tensor
from anode.frontends.tensorflow.graph import placeholder as make_placeholder
from anode.frontends.tensorflow.keras import options, state
from anode.frontends.tensorflow.modules import tensorflow as tf
from anode.frontends.tensorflow.opdef import export


def _k(function: Any) -> Any:
    return export(f"keras.backend.{function.__name__.rstrip('_')}")(function)


def __getattr__(name: str) -> Any:
    """Settings and functions that live elsewhere."""
    from anode.frontends.tensorflow.keras import backend_functions

    for module in (state, options, backend_functions):
        if hasattr(module, name):
            return getattr(module, name)
    raise AttributeError(name)


# variables and values


@_k
def variable(value: Any, dtype: Any = None, name: str | None = None, constraint: Any = None) -> Any:
    """A variable that Keras initialises."""
    from anode.frontends.tensorflow.api.variables import Variable

    dtype = state.floatx() if dtype is None else dtype
    made = Variable(
        value if isinstance(value, Tensor) else np.asarray(value, as_dtype(dtype).as_numpy_dtype),
        dtype=as_dtype(dtype),
        name=name,
        constraint=constraint,
        use_resource=True,
    )
    state.track_variable(made)
    return made


def _filled(make: str) -> Callable[..., Any]:
    def fill(shape: Any, dtype: Any = None, name: str | None = None) -> Any:
        value = getattr(tf, make)(shape, dtype or state.floatx())
        return variable(value, dtype, name) if value.shape.is_fully_defined() else value

    fill.__name__ = fill.__qualname__ = make
    fill.__doc__ = f"A variable of {make}, or a tensor where the shape is not known."
    return _k(fill)


zeros, ones = _filled("zeros"), _filled("ones")


@_k
def zeros_like(x: Any, dtype: Any = None, name: str | None = None) -> Any:
    return tf.zeros_like(x, dtype=dtype, name=name)


@_k
def ones_like(x: Any, dtype: Any = None, name: str | None = None) -> Any:
    return tf.ones_like(x, dtype=dtype, name=name)


@_k
def eye(size: int, dtype: Any = None, name: str | None = None) -> Any:
    return variable(np.eye(size), dtype, name)


@_k
def constant(value: Any, dtype: Any = None, shape: Any = None, name: str | None = None) -> Any:
    return tf.constant(value, dtype=dtype or state.floatx(), shape=shape, name=name or "Const")


@_k
def placeholder(
    shape: Any = None,
    ndim: int | None = None,
    dtype: Any = None,
    sparse: bool = False,
    name: str | None = None,
    ragged: bool = False,
) -> Any:
    """A tensor to be fed."""
    if sparse or ragged:
        raise NotImplementedError("K.placeholder: sparse and ragged are not implemented by anode")
    if not shape and ndim:
        shape = (None,) * ndim
    return make_placeholder(dtype or state.floatx(), shape, name)


@_k
def get_value(x: Any) -> Any:
    """The value of a variable or tensor."""
    return x if isinstance(x, (np.ndarray, float, int)) else state.get_session().run(x)


eval_ = export("keras.backend.eval")(get_value)


@_k
def batch_get_value(tensors: Sequence[Any]) -> Any:
    return list(state.get_session().run(list(tensors))) if tensors else []


@_k
def set_value(x: Any, value: Any) -> None:
    """Give a variable a value."""
    state.get_session().set_variable(x.op, np.asarray(value))


@_k
def batch_set_value(tuples: Sequence[tuple[Any, Any]]) -> None:
    for x, value in tuples:
        set_value(x, value)


@_k
def count_params(x: Any) -> int:
    return int(np.prod(x.shape.as_list()))


@_k
def dtype(x: Any) -> str:
    return str(x.dtype.base_dtype.name)


@_k
def ndim(x: Any) -> int | None:
    rank: int | None = x.shape.rank
    return rank


@_k
def int_shape(x: Any) -> Any:
    """The static shape as a tuple, None where the rank is unknown."""
    shape = x.shape
    if isinstance(shape, tuple):
        return shape
    return None if shape.rank is None else tuple(shape.as_list())


@_k
def is_sparse(tensor: Any) -> bool:
    return hasattr(tensor, "indices") and hasattr(tensor, "dense_shape")


@_k
def is_keras_tensor(x: Any) -> bool:
    """Whether a layer made the tensor; ValueError for what is not a tensor."""
    if not isinstance(x, Tensor):
        raise ValueError(
            f"Unexpectedly found an instance of type `{type(x)}`. Expected a symbolic tensor "
            "instance."
        )
    return hasattr(x, "_keras_history")


@export("keras.backend.is_placeholder")
def is_placeholder(x: Any) -> bool:
    """Whether a tensor is one that is fed."""
    return bool(x.op.type == "Placeholder")


# equal functions under other names: Keras's, TensorFlow's

_SAME = {
    "abs": "abs",
    "square": "square",
    "sqrt": None,
    "exp": "exp",
    "log": "log",
    "round": "round",
    "sign": "sign",
    "pow": "pow",
    "sin": "sin",
    "cos": "cos",
    "shape": "shape",
    "cast": "cast",
    "transpose": "transpose",
    "gather": "gather",
    "equal": "equal",
    "not_equal": "not_equal",
    "greater": "greater",
    "greater_equal": "greater_equal",
    "less": "less",
    "less_equal": "less_equal",
    "maximum": "maximum",
    "minimum": "minimum",
    "tile": "tile",
    "softplus": "nn.softplus",
    "softsign": "nn.softsign",
    "tanh": "nn.tanh",
    "sigmoid": "nn.sigmoid",
    "stop_gradient": "stop_gradient",
    "identity": "identity",
}


def _served(name: str, path: str) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        function: Any = tf
        for part in path.split("."):
            function = getattr(function, part)
        return function(*args, **kwargs)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"tf.{path}."
    return export(f"keras.backend.{name}")(call)


for _name, _path in _SAME.items():
    if _path is not None:
        globals()[_name] = _served(_name, _path)


@_k
def sqrt(x: Any) -> Any:
    return tf.sqrt(tf.clip_by_value(x, 0.0, np.inf))


# reductions


def _reduction(name: str, path: str) -> Any:
    def reduce(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        x = convert_to_tensor(x)
        if name in ("mean", "all", "any"):
            wanted = state.floatx() if name == "mean" else "bool"
            if x.dtype.base_dtype.name == "bool" or name != "mean":
                x = tf.cast(x, wanted)
        return getattr(tf, path)(x, axis, keepdims)

    reduce.__name__ = reduce.__qualname__ = name
    reduce.__doc__ = f"tf.{path}."
    return export(f"keras.backend.{name}")(reduce)


for _name in ("sum", "mean", "max", "min", "prod", "all", "any"):
    globals()[_name] = _reduction(_name, f"reduce_{_name}")


@_k
def var(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return tf.math.reduce_variance(x, axis=axis, keepdims=keepdims)


@_k
def std(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return tf.sqrt(var(x, axis, keepdims))


@_k
def argmax(x: Any, axis: int = -1) -> Any:
    return tf.argmax(x, axis)


@_k
def argmin(x: Any, axis: int = -1) -> Any:
    return tf.argmin(x, axis)


@_k
def cumsum(x: Any, axis: int = 0) -> Any:
    return tf.cumsum(x, axis=axis)


@_k
def cumprod(x: Any, axis: int = 0) -> Any:
    return tf.cumprod(x, axis=axis)


@_k
def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return tf.reduce_logsumexp(x, axis, keepdims)


# elements


@_k
def clip(x: Any, min_value: Any, max_value: Any) -> Any:
    """x held between two bounds; None is no bound."""
    if isinstance(min_value, (int, float)) and isinstance(max_value, (int, float)):
        max_value = builtins.max(max_value, min_value)
    low = -np.inf if min_value is None else min_value
    high = np.inf if max_value is None else max_value
    return tf.clip_by_value(x, float(low), float(high))


@_k
def softmax(x: Any, axis: int = -1) -> Any:
    return tf.nn.softmax(x, axis=axis)


@_k
def elu(x: Any, alpha: float = 1.0) -> Any:
    return options.elu(x, alpha)


@_k
def l2_normalize(x: Any, axis: Any = None) -> Any:
    return tf.nn.l2_normalize(x, axis=axis)


@_k
def switch(condition: Any, then_expression: Any, else_expression: Any) -> Any:
    """One of two by a scalar, or element by element."""
    if condition.dtype.base_dtype.name != "bool":
        condition = tf.cast(condition, "bool")
    if not condition.shape.rank:
        branches = [
            x if callable(x) and not isinstance(x, Tensor) else (lambda x=x: tf.identity(x))
            for x in (then_expression, else_expression)
        ]
        return tf.cond(condition, *branches)
    yes = then_expression() if callable(then_expression) else then_expression
    no = else_expression() if callable(else_expression) else else_expression
    more = convert_to_tensor(yes).shape.rank - condition.shape.rank
    for _ in range(more):
        condition = tf.expand_dims(condition, -1)
    return tf.where(tf.broadcast_to(condition, tf.shape(yes)), yes, no)


@_k
def in_train_phase(x: Any, alt: Any, training: Any = None) -> Any:
    """x while training, else alt."""
    training = state.learning_phase() if training is None else training
    if not isinstance(training, Tensor):
        found = x if training in (1, True) else alt
        return found() if callable(found) and not isinstance(found, Tensor) else found
    return switch(training, x, alt)


@_k
def in_test_phase(x: Any, alt: Any, training: Any = None) -> Any:
    return in_train_phase(alt, x, training)


@_k
def dropout(x: Any, level: float, noise_shape: Any = None, seed: int | None = None) -> Any:
    seed = np.random.randint(10_000_000) if seed is None else seed
    return tf.nn.dropout(x, rate=level, noise_shape=noise_shape, seed=seed)


@_k
def in_top_k(predictions: Any, targets: Any, k: int) -> Any:
    return tf.nn.in_top_k(predictions, targets, k)


# losses


@_k
def categorical_crossentropy(
    target: Any, output: Any, from_logits: bool = False, axis: int = -1
) -> Any:
    """Cross entropy; of what a softmax made, its logits are used."""
    logits = output if from_logits else logits_of(output, "Softmax")
    if logits is not None:
        return tf.nn.softmax_cross_entropy_with_logits_v2(labels=target, logits=logits, axis=axis)
    output = output / tf.reduce_sum(output, axis, True)
    small = state.epsilon()
    output = tf.clip_by_value(output, small, 1.0 - small)
    return -tf.reduce_sum(target * tf.log(output), axis)


def logits_of(output: Any, type: str) -> Any:
    """What went into the operation that made a tensor, if it is of this type."""
    op = getattr(output, "op", None)
    return op.inputs[0] if op is not None and op.type == type else None


@_k
def sparse_categorical_crossentropy(
    target: Any, output: Any, from_logits: bool = False, axis: int = -1
) -> Any:
    """Cross entropy with class numbers."""
    output = convert_to_tensor(output)
    logits = output if from_logits else logits_of(output, "Softmax")
    if logits is None:
        small = state.epsilon()
        logits = tf.log(tf.clip_by_value(output, small, 1.0 - small))
    rank = logits.shape.rank
    if rank is not None and axis % rank != rank - 1:
        order = [i for i in range(rank) if i != axis % rank] + [axis % rank]
        logits = tf.transpose(logits, order)
    labels = tf.cast(target, "int64")
    if labels.shape.rank is None or labels.shape.rank != 1 or rank != 2:
        labels = tf.reshape(labels, [-1])
    shape = tf.shape(logits)
    flat = tf.reshape(logits, [-1, shape[-1]]) if rank != 2 else logits
    found = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=flat)
    return tf.reshape(found, shape[:-1]) if rank is not None and rank >= 3 else found


@_k
def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Any:
    """Cross entropy of each element; of what a sigmoid made, its logits are used."""
    logits = output if from_logits else logits_of(output, "Sigmoid")
    if logits is not None:
        return tf.nn.sigmoid_cross_entropy_with_logits(labels=target, logits=logits)
    small = state.epsilon()
    output = tf.clip_by_value(output, small, 1.0 - small)
    return -(target * tf.log(output + small) + (1 - target) * tf.log(1 - output + small))


# shapes


@_k
def reshape(x: Any, shape: Any) -> Any:
    return tf.reshape(x, shape)


@_k
def permute_dimensions(x: Any, pattern: Any) -> Any:
    return tf.transpose(x, perm=pattern)


@_k
def expand_dims(x: Any, axis: int = -1) -> Any:
    return tf.expand_dims(x, axis)


@_k
def squeeze(x: Any, axis: int) -> Any:
    return tf.squeeze(x, [axis])


@_k
def flatten(x: Any) -> Any:
    return tf.reshape(x, [-1])


@_k
def batch_flatten(x: Any) -> Any:
    return tf.reshape(x, tf.stack([-1, tf.reduce_prod(tf.shape(x)[1:])]))


@_k
def concatenate(tensors: Sequence[Any], axis: int = -1) -> Any:
    if axis < 0:
        axis = axis % tensors[0].shape.rank if tensors[0].shape.rank else 0
    return tf.concat([convert_to_tensor(t) for t in tensors], axis)


@_k
def stack(x: Any, axis: int = 0) -> Any:
    return tf.stack(x, axis=axis)


@_k
def reverse(x: Any, axes: Any) -> Any:
    return tf.reverse(x, [axes] if isinstance(axes, int) else axes)


@_k
def repeat(x: Any, n: int) -> Any:
    return tf.tile(tf.expand_dims(x, 1), tf.stack([1, n, 1]))


@_k
def repeat_elements(x: Any, rep: int, axis: int) -> Any:
    """Each index along an axis `rep` times."""
    return tf.repeat(x, rep, axis=axis)


@_k
def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = "int32") -> Any:
    start, stop = (0, start) if stop is None else (start, stop)
    found = tf.range(start, limit=stop, delta=step, name="arange")
    return found if dtype == "int32" else tf.cast(found, dtype)


@_k
def one_hot(indices: Any, num_classes: int) -> Any:
    return tf.one_hot(indices, depth=num_classes, axis=-1)


@_k
def temporal_padding(x: Any, padding: Any = (1, 1)) -> Any:
    return tf.pad(x, [[0, 0], list(padding), [0, 0]])


@_k
def spatial_2d_padding(x: Any, padding: Any = ((1, 1), (1, 1)), data_format: Any = None) -> Any:
    pads = [list(p) for p in padding]
    if (data_format or state.image_data_format()) == "channels_first":
        return tf.pad(x, [[0, 0], [0, 0], *pads])
    return tf.pad(x, [[0, 0], *pads, [0, 0]])


# linear algebra


@_k
def dot(x: Any, y: Any) -> Any:
    """The product over the last axis of x and the last but one of y."""
    x, y = convert_to_tensor(x), convert_to_tensor(y)
    ranks = x.shape.rank, y.shape.rank
    if ranks == (2, 2) or None in ranks:
        return tf.matmul(x, y)
    return tf.tensordot(x, y, [[ranks[0] - 1], [builtins.max(ranks[1] - 2, 0)]])


@_k
def batch_dot(x: Any, y: Any, axes: Any = None) -> Any:
    """Products of samples over one axis of each."""
    ranks = x.shape.rank, y.shape.rank
    if axes is None:
        axes = [1, 1] if ranks == (2, 2) else [ranks[0] - 1, ranks[1] - 2]
    first, second = (axes, axes) if isinstance(axes, int) else tuple(axes)
    first, second = first % ranks[0], second % ranks[1]
    left = tf.transpose(x, [i for i in range(ranks[0]) if i != first] + [first])
    right = tf.transpose(y, [0, second, *(i for i in range(1, ranks[1]) if i != second)])
    heads, tails = tf.shape(left)[1:-1], tf.shape(right)[2:]
    size = tf.shape(left)[-1]
    batch = tf.shape(x)[:1]
    a = tf.reshape(left, tf.concat([batch, [-1], [size]], 0))
    b = tf.reshape(right, tf.concat([batch, [size], [-1]], 0))
    found = tf.reshape(tf.matmul(a, b), tf.concat([batch, heads, tails], 0))
    dims = x.shape.as_list(), y.shape.as_list()
    rest = [d for i, d in enumerate(dims[0]) if i != first]
    rest += [d for i, d in enumerate(dims[1]) if i not in (0, second)]
    found.set_shape(rest)
    return tf.expand_dims(found, 1) if len(rest) == 1 else found


@_k
def bias_add(x: Any, bias: Any, data_format: Any = None) -> Any:
    """A vector added to channels."""
    first = (data_format or state.image_data_format()) == "channels_first"
    rank = x.shape.rank
    if len(bias.shape) == 1 and (not first or rank == 4):
        return tf.nn.bias_add(x, bias, data_format="NCHW" if first and rank == 4 else None)
    if len(bias.shape) == 1:
        return x + tf.reshape(bias, [1, -1, *([1] * (rank - 2))])
    return x + tf.expand_dims(bias, 0)

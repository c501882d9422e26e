"""tf.keras.backend: random numbers, updates and functions of arrays, under Keras's names."""

from __future__ import annotations

from typing import Any

import numpy as np

from anode.frontends.tensorflow.api import nest
from anode.frontends.tensorflow.core import Tensor
from anode.frontends.tensorflow.keras import state
from anode.frontends.tensorflow.keras.backend import _k, variable
from anode.frontends.tensorflow.modules import tensorflow as tf
from anode.frontends.tensorflow.opdef import export

# random numbers


def _random(name: str, path: str, first: str, second: str, defaults: tuple[Any, Any]) -> Any:
    def draw(
        shape: Any, a: Any = None, b: Any = None, dtype: Any = None, seed: Any = None, **kw: Any
    ) -> Any:
        low = kw.pop(first, defaults[0] if a is None else a)
        high = kw.pop(second, defaults[1] if b is None else b)
        if kw:
            raise TypeError(f"{name}: unexpected arguments {sorted(kw)}")
        seed = np.random.randint(10_000_000) if seed is None else seed
        return getattr(tf, path)(shape, low, high, dtype=dtype or state.floatx(), seed=seed)

    draw.__name__ = draw.__qualname__ = name
    draw.__doc__ = f"tf.{path} with a seed drawn by NumPy unless one is given."
    return export(f"keras.backend.{name}")(draw)


random_normal = _random("random_normal", "random_normal", "mean", "stddev", (0.0, 1.0))
random_uniform = _random("random_uniform", "random_uniform", "minval", "maxval", (0.0, 1.0))
truncated_normal = _random("truncated_normal", "truncated_normal", "mean", "stddev", (0.0, 1.0))


@_k
def random_binomial(shape: Any, p: float = 0.0, dtype: Any = None, seed: Any = None) -> Any:
    dtype = dtype or state.floatx()
    drawn = random_uniform(shape, dtype=dtype, seed=seed)
    return tf.where(drawn <= p, tf.ones(shape, dtype), tf.zeros(shape, dtype))


@_k
def random_uniform_variable(
    shape: Any, low: float, high: float, dtype: Any = None, name: Any = None, seed: Any = None
) -> Any:
    return variable(random_uniform(shape, low, high, dtype, seed), dtype, name)


@_k
def random_normal_variable(
    shape: Any, mean: float, scale: float, dtype: Any = None, name: Any = None, seed: Any = None
) -> Any:
    return variable(random_normal(shape, mean, scale, dtype, seed), dtype, name)


# functions, gradients, updates


@_k
def gradients(loss: Any, variables: Any) -> Any:
    return tf.gradients(loss, variables)


@_k
def update(x: Any, new_x: Any) -> Any:
    return x.assign(new_x)


@_k
def update_add(x: Any, increment: Any) -> Any:
    return x.assign_add(increment)


@_k
def update_sub(x: Any, decrement: Any) -> Any:
    return x.assign_sub(decrement)


@_k
def moving_average_update(x: Any, value: Any, momentum: Any) -> Any:
    return x.assign_sub((x - value) * (1.0 - momentum))


@_k
def print_tensor(x: Any, message: str = "") -> Any:
    return tf.Print(x, [x], message)


class Function:
    """A run of the session that takes the inputs' values and gives those of the outputs."""

    def __init__(self, inputs: Any, outputs: Any, updates: Any, name: Any) -> None:
        self.inputs, self.outputs, self.name = inputs, outputs, name
        self._updates = [getattr(u, "op", u) for u in updates or ()]

    def __call__(self, inputs: Any) -> Any:
        feeds, session = {}, state.get_session()
        values = nest.flatten(inputs) if not isinstance(inputs, (list, tuple)) else inputs
        for tensor, value in zip(nest.flatten(self.inputs), values, strict=True):
            if isinstance(tensor, Tensor):
                feeds[tensor] = value
        flat = list(nest.flatten(self.outputs))
        found = session.run([*flat, *self._updates], feeds)[: len(flat)]
        return nest.pack_sequence_as(self.outputs, found)


@_k
def function(
    inputs: Any, outputs: Any, updates: Any = None, name: str | None = None, **kwargs: Any
) -> Any:
    """A function of arrays from tensors to tensors."""
    if kwargs:
        raise ValueError(f"Session keyword arguments are not implemented by anode: {list(kwargs)}")
    return Function(inputs, outputs, updates, name)


@_k
def map_fn(fn: Any, elems: Any, name: str | None = None, dtype: Any = None) -> Any:
    return tf.map_fn(fn, elems, name=name, dtype=dtype)


@_k
def foldl(fn: Any, elems: Any, initializer: Any = None, name: str | None = None) -> Any:
    return tf.foldl(fn, elems, initializer=initializer, name=name)


@_k
def foldr(fn: Any, elems: Any, initializer: Any = None, name: str | None = None) -> Any:
    return tf.foldr(fn, elems, initializer=initializer, name=name)


@_k
def ctc_label_dense_to_sparse(labels: Any, label_lengths: Any) -> Any:
    """Rows of labels, each of its length, as a SparseTensor."""
    width = tf.shape(labels)[1]
    inside = tf.sequence_mask(tf.cast(label_lengths, "int32"), width)
    indices = tf.where(inside)
    shape = tf.cast(tf.shape(labels), "int64")
    return tf.SparseTensor(indices, tf.gather_nd(labels, indices), shape)


@_k
def ctc_batch_cost(y_true: Any, y_pred: Any, input_length: Any, label_length: Any) -> Any:
    """The CTC loss of each sample, [batch, 1], of probabilities [batch, time, classes]."""
    lengths = tf.cast(tf.squeeze(label_length, [-1]), "int32")
    times = tf.cast(tf.squeeze(input_length, [-1]), "int32")
    labels = tf.cast(ctc_label_dense_to_sparse(y_true, lengths), "int32")
    logits = tf.log(tf.transpose(y_pred, [1, 0, 2]) + state.epsilon())
    loss = tf.nn.ctc_loss(inputs=logits, labels=labels, sequence_length=times)
    return tf.expand_dims(loss, 1)

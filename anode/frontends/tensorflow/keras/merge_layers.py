"""Layers and functions that put several tensors together."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from anode.frontends.tensorflow.keras import backend as K
from anode.frontends.tensorflow.keras.core_layers import Configured, layer_export
from anode.frontends.tensorflow.modules import tensorflow as tf
from anode.frontends.tensorflow.tensor_shape import TensorShape


def _common(shapes: Sequence[Any]) -> list[Any]:
    """The shape that several broadcast to, axis by axis from the last."""
    rank = max(len(s) for s in shapes)
    found: list[Any] = []
    for column in zip(*([1] * (rank - len(s)) + list(s) for s in shapes), strict=True):
        sizes = {size for size in column if size != 1}
        if len(sizes - {None}) > 1:
            raise ValueError(f"Operands could not be broadcast together with shapes {shapes}")
        known = sizes - {None}
        found.append(None if None in sizes else known.pop() if known else 1)
    return found


class _Merge(Configured):
    """A function of a list of tensors of equal shapes, or shapes that broadcast."""

    least = 2

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def _merged(self, inputs: list[Any]) -> Any:
        raise NotImplementedError

    def build(self, input_shape: Any) -> None:
        if not isinstance(input_shape, list) or len(input_shape) < self.least:
            raise ValueError(
                f"A merge layer should be called on a list of at least 2 inputs. Got {input_shape}"
            )
        self._check([TensorShape(s).as_list() for s in input_shape])
        self.built = True

    def _check(self, shapes: list[Any]) -> None:
        _common([s[1:] for s in shapes])

    def call(self, inputs: Any) -> Any:
        if not isinstance(inputs, (list, tuple)):
            raise ValueError("A merge layer should be called on a list of inputs.")
        rank = max(t.shape.rank for t in inputs)
        level = []
        for tensor in inputs:
            for _ in range(rank - tensor.shape.rank):
                tensor = tf.expand_dims(tensor, 1)
            level.append(tensor)
        return self._merged(level)

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        return TensorShape(_common([TensorShape(s).as_list() for s in input_shape]))

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None or all(m is None for m in mask):
            return None
        return tf.reduce_all(tf.stack([m for m in mask if m is not None]), axis=0)


def _folded(name: str, binary: Any, doc: str) -> Any:
    def merged(self: Any, inputs: list[Any]) -> Any:
        return functools.reduce(binary, inputs)

    made = type(name, (_Merge,), {"_merged": merged, "__doc__": doc})
    made.__module__, made.__qualname__ = __name__, name
    return layer_export(name)(made)


Add = _folded("Add", lambda a, b: a + b, "The sum of tensors.")
Multiply = _folded("Multiply", lambda a, b: a * b, "The product of tensors.")
Maximum = _folded("Maximum", lambda a, b: tf.maximum(a, b), "The largest of each element.")
Minimum = _folded("Minimum", lambda a, b: tf.minimum(a, b), "The smallest of each element.")


@layer_export("Average")
class Average(_Merge):
    """The mean of tensors."""

    def _merged(self, inputs: list[Any]) -> Any:
        return functools.reduce(lambda a, b: a + b, inputs) / len(inputs)


@layer_export("Subtract")
class Subtract(_Merge):
    """The first of two tensors less the second."""

    def _merged(self, inputs: list[Any]) -> Any:
        if len(inputs) != 2:
            raise ValueError("A `Subtract` layer should be called on exactly 2 inputs")
        return inputs[0] - inputs[1]


@layer_export("Concatenate")
class Concatenate(_Merge):
    """Tensors one after the other along an axis."""

    config = ("axis",)

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def _check(self, shapes: list[Any]) -> None:
        rest = []
        for shape in shapes:
            axis = self.axis % len(shape)
            rest.append([d for i, d in enumerate(shape) if i != axis])
        for other in rest[1:]:
            if len(other) != len(rest[0]) or any(
                None not in pair and pair[0] != pair[1] for pair in zip(rest[0], other, strict=True)
            ):
                raise ValueError(
                    "A `Concatenate` layer requires inputs with matching shapes except for the "
                    f"concat axis. Got inputs shapes: {[tuple(s) for s in shapes]}"
                )

    def call(self, inputs: Any) -> Any:
        return K.concatenate(list(inputs), axis=self.axis)

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        shapes = [TensorShape(s).as_list() for s in input_shape]
        axis = self.axis % len(shapes[0])
        parts = [s[axis] for s in shapes]
        found = list(shapes[0])
        found[axis] = None if None in parts else sum(parts)
        return TensorShape(found)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None or all(m is None for m in mask):
            return None
        full = []
        for tensor, item in zip(inputs, mask, strict=True):
            if item is None:
                full.append(tf.ones_like(tensor, dtype="bool"))
            elif item.shape.rank < tensor.shape.rank:
                full.append(tf.expand_dims(item, -1))
            else:
                full.append(item)
        return tf.reduce_all(tf.concat(full, axis=self.axis), axis=-1)


@layer_export("Dot")
class Dot(_Merge):
    """Products of samples of two tensors over one axis of each."""

    config = ("axes", "normalize")

    def __init__(self, axes: Any, normalize: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axes, self.normalize = axes, normalize

    def _axes(self, ranks: Sequence[int]) -> list[int]:
        axes = [self.axes] * 2 if isinstance(self.axes, int) else list(self.axes)
        return [axis % rank for axis, rank in zip(axes, ranks, strict=True)]

    def _check(self, shapes: list[Any]) -> None:
        axes = self._axes([len(s) for s in shapes])
        if shapes[0][axes[0]] != shapes[1][axes[1]]:
            raise ValueError(
                f"Dimension incompatibility {shapes[0][axes[0]]} != {shapes[1][axes[1]]}. Layer "
                f"shapes: {shapes[0]}, {shapes[1]}"
            )

    def call(self, inputs: Any) -> Any:
        x, y = inputs
        axes = self._axes([x.shape.rank, y.shape.rank])
        if self.normalize:
            x, y = (tf.nn.l2_normalize(t, a) for t, a in zip((x, y), axes, strict=True))
        return K.batch_dot(x, y, axes)

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        first, second = (TensorShape(s).as_list() for s in input_shape)
        axes = self._axes([len(first), len(second)])
        first.pop(axes[0])
        second.pop(axes[1])
        found = first + second[1:]
        return TensorShape([*found, 1] if len(found) == 1 else found)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return None


@layer_export("add")
def add(inputs: Any, **kwargs: Any) -> Any:
    return Add(**kwargs)(inputs)


@layer_export("subtract")
def subtract(inputs: Any, **kwargs: Any) -> Any:
    return Subtract(**kwargs)(inputs)


@layer_export("multiply")
def multiply(inputs: Any, **kwargs: Any) -> Any:
    return Multiply(**kwargs)(inputs)


@layer_export("average")
def average(inputs: Any, **kwargs: Any) -> Any:
    return Average(**kwargs)(inputs)


@layer_export("maximum")
def maximum(inputs: Any, **kwargs: Any) -> Any:
    return Maximum(**kwargs)(inputs)


@layer_export("minimum")
def minimum(inputs: Any, **kwargs: Any) -> Any:
    return Minimum(**kwargs)(inputs)


@layer_export("concatenate")
def concatenate(inputs: Any, axis: int = -1, **kwargs: Any) -> Any:
    return Concatenate(axis=axis, **kwargs)(inputs)


@layer_export("dot")
def dot(inputs: Any, axes: Any, normalize: bool = False, **kwargs: Any) -> Any:
    return Dot(axes=axes, normalize=normalize, **kwargs)(inputs)

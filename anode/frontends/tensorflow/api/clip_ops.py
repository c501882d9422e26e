"""Clipping of values and of norms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from anode.frontends.tensorflow.api.reductions import reduce_sum
from anode.frontends.tensorflow.dtypes import float32
from anode.frontends.tensorflow.graph import apply, constant, convert_to_tensor, name_scope
from anode.frontends.tensorflow.opdef import export


def _values(t: Any) -> Any:
    """The tensor that holds the numbers of a Tensor or an IndexedSlices."""
    return t.values if hasattr(t, "indices") else convert_to_tensor(t, name="t")


def _like(t: Any, values: Any) -> Any:
    return type(t)(values, t.indices, t.dense_shape) if hasattr(t, "indices") else values


@export("clip_by_value")
def clip_by_value(t: Any, clip_value_min: Any, clip_value_max: Any, name: str | None = None) -> Any:
    """Each element moved between the bounds."""
    with name_scope(name, "clip_by_value", [t, clip_value_min, clip_value_max]) as scope:
        values = _values(t)
        below = apply("Minimum", values, clip_value_max)
        values.shape.assert_is_compatible_with(below.shape)
        clipped = apply("Maximum", below, clip_value_min, name=scope)
        values.shape.assert_is_compatible_with(clipped.shape)
        return _like(t, clipped)


@export("clip_by_norm")
def clip_by_norm(t: Any, clip_norm: Any, axes: Any = None, name: str | None = None) -> Any:
    """`t` scaled so that its norm along `axes` is at most `clip_norm`."""
    with name_scope(name, "clip_by_norm", [t, clip_norm]) as scope:
        values = _values(t)
        square = reduce_sum(values * values, axes, keepdims=True)
        positive = apply("Greater", square, 0)
        safe = apply("Select", positive, square, apply("OnesLike", square))
        norm = apply("Select", positive, apply("Sqrt", safe), square)
        scaled = values * clip_norm
        clipped = apply("Identity", scaled / apply("Maximum", norm, clip_norm), name=scope)
        values.shape.assert_is_compatible_with(clipped.shape)
        return _like(t, clipped)


@export("clip_by_average_norm")
def clip_by_average_norm(t: Any, clip_norm: Any, name: str | None = None) -> Any:
    """`t` scaled so that its norm, divided by its number of elements, is at most `clip_norm`."""
    with name_scope(name, "clip_by_average_norm", [t, clip_norm]) as scope:
        t = convert_to_tensor(t, name="t")
        count = apply("Cast", apply("Size", t), DstT=float32)
        inverse = count * apply("Rsqrt", reduce_sum(t * t, None))
        most = constant(1.0, t.dtype.base_dtype) / clip_norm
        clipped = t * clip_norm * apply("Minimum", inverse, most)
        return apply("Identity", clipped, name=scope)


def _checked(t_list: Any) -> list[Any]:
    if not isinstance(t_list, Sequence) or isinstance(t_list, str):
        raise TypeError("t_list should be a sequence")
    return list(t_list)


@export("global_norm", "linalg.global_norm")
def global_norm(t_list: Any, name: str | None = None) -> Any:
    """The square root of the sum of squares of all elements of all tensors; None counts as 0."""
    tensors = [t for t in _checked(t_list) if t is not None]
    with name_scope(name, "global_norm", tensors):
        halves = [apply("L2Loss", _values(t)) for t in tensors]
        total = reduce_sum(apply("Pack", halves)) if halves else constant(0.0)
        two = constant(2.0, total.dtype.base_dtype)
        return apply("Sqrt", total * two, name="global_norm")


@export("clip_by_global_norm")
def clip_by_global_norm(
    t_list: Any, clip_norm: Any, use_norm: Any = None, name: str | None = None
) -> tuple[list[Any], Any]:
    """The tensors scaled so that their joint norm is at most `clip_norm`, and that norm before.

    A norm that is not finite makes every element NaN.
    """
    tensors = _checked(t_list)
    if use_norm is None:
        use_norm = global_norm(tensors, name)
    with name_scope(name, "clip_by_global_norm", [*filter(_given, tensors), clip_norm]) as scope:
        dtype = use_norm.dtype.base_dtype
        inverse = apply("Minimum", 1.0 / use_norm, constant(1.0, dtype) / clip_norm)
        scale = (use_norm - use_norm) + clip_norm * inverse  # NaN where the norm is not finite
        clipped: list[Any] = []
        for i, t in enumerate(tensors):
            if t is None:
                clipped.append(None)
                continue
            scaled = apply("Identity", _values(t) * scale, name=f"{scope}_{i}")
            clipped.append(_like(t, scaled))
    return clipped, use_norm


def _given(t: Any) -> bool:
    return t is not None

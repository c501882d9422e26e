"""Ops that move elements without computing: reshape, broadcast, transpose, slice, pad and their kin."""

from __future__ import annotations

from typing import Any

import numpy as np

from anode.errors import ShapeError
from anode.ir.node import Node
from anode.ir.types import Shape, TensorType
from anode.ops.declare import primitive


@primitive
def broadcast_in_dim(x: TensorType, *, shape: Shape, axes: tuple[int, ...]) -> TensorType:
    """Repeat `x` to `shape`; its dim i becomes dim `axes[i]` (increasing). Source: StableHLO."""
    if len(axes) != x.rank or list(axes) != sorted(set(axes)):
        raise ShapeError(f"broadcast_in_dim: axes {axes} do not place the dims of {x} in order")
    for size, axis in zip(x.shape, axes, strict=True):
        if not 0 <= axis < len(shape) or (size != shape[axis] and size != 1):
            raise ShapeError(f"broadcast_in_dim: {x} does not broadcast to {shape} along {axes}")
    return x.with_shape(shape)


@broadcast_in_dim.evaluate
def _(x: np.ndarray, *, shape: tuple[int, ...], axes: tuple[int, ...]) -> np.ndarray:
    placed = [1] * len(shape)
    for size, axis in zip(x.shape, axes, strict=True):
        placed[axis] = size
    return np.broadcast_to(x.reshape(placed), shape)

"""Half types are stored, not computed in: operands widened to f32, results rounded once."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from anode.ir.dtypes import DType
from anode.ir.node import Node
from anode.ops.elementwise import convert


def as_dtype(x: Node, dtype: DType) -> Node:
    """`x` converted to `dtype`; itself if it has it already."""
    return x if x.dtype is dtype else convert(x, dtype=dtype)


def in_f32(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` computed in f32 where its operands are of a half type."""

    @functools.wraps(function)
    def widened(*xs: Node, **attrs: Any) -> Any:
        dtype = xs[0].dtype
        if dtype.compute is dtype:
            return function(*xs, **attrs)
        wide = [convert(x, dtype=dtype.compute) if x.dtype is dtype else x for x in xs]
        found = function(*wide, **attrs)
        if isinstance(found, tuple):
            return tuple([y if y is None else as_dtype(y, dtype) for y in found])
        return as_dtype(found, dtype)

    return widened

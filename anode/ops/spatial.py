"""What ops over images share: their attributes, padding rules and data formats.

Ops hold images channels last, (n, *spatial, c), and pad by elements; users also write "NCHW" and
"SAME". This module turns the second into the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import index
from typing import Any

from anode.errors import ShapeError, UnsupportedOp
from anode.ir.node import Node, constant
from anode.ir.types import Shape, Size, TensorType
from anode.ops.rules import check_tensors, mismatch
from anode.ops.shape import moveaxis, pad

Ints = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]
Padding = str | int | Sequence[int | tuple[int, int]]

FORMATS = ("NCW", "NWC", "NCHW", "NHWC", "NCDHW", "NDHWC")
DEFAULTS = {"strides": 1, "dilations": 1, "low": 0, "high": 0, "overhang": 0}


def spatial_attributes(op: str, x: TensorType, attrs: dict[str, Any]) -> dict[str, Any]:
    """The attributes of an op over images: each has an entry per spatial dim, () is the default."""
    check_tensors(op, x)
    d = x.rank - 2
    if d < 1:
        raise mismatch(op, "there is no spatial dim", [x], "images are (n, *spatial, c)")
    for name in ("kernel", "sizes", "strides", "dilations", "low", "high", "overhang"):
        if name not in attrs:
            continue
        if attrs[name] == ():
            attrs[name] = (DEFAULTS.get(name, 1),) * d
        if len(attrs[name]) != d:
            raise mismatch(op, f"{name} {attrs[name]} needs {d} entries, one a spatial dim", [x])
        if name not in ("low", "high") and min(attrs[name]) < (name != "overhang"):
            raise mismatch(op, f"{name} {attrs[name]} must be positive", [x])
    return attrs


def window_counts(
    op: str,
    x: Node,
    sizes: Shape,
    kernel: Shape,
    strides: Ints,
    low: Sequence[int],
    high: Sequence[int],
    dilations: Ints,
) -> Shape:
    """How many windows there are along each spatial dim of `sizes`: the result's sizes."""
    found = []
    for n, k, s, a, b, d in zip(sizes, kernel, strides, low, high, dilations, strict=True):
        rest = n + a + b - (k - 1) * d - 1
        if rest < 0 or k < 1:
            raise mismatch(
                op,
                f"a kernel of {k} (dilation {d}) does not fit into {n} elements padded "
                f"by {a} and {b}",
                [x.type],
                "pad more, or take a smaller kernel",
            )
        found.append(rest // s + 1)
    return tuple(found)


def padded(
    x: Node, low: Sequence[int], high: Sequence[int], value: Any = 0, first: int = 1
) -> Node:
    """`x` with `value` around the dims from `first` on; negative widths remove elements."""
    if not any((*low, *high)):
        return x
    before, after = (0,) * first, (0,) * (len(x.shape) - first - len(low))
    low, high = (*before, *low, *after), (*before, *high, *after)
    return pad(x, constant(value, x.dtype), low=low, high=high)


def spatial_rank(op: str, x: Node, data_format: str) -> int:
    """How many spatial dims `x` has, by its data format."""
    if data_format not in FORMATS:
        raise UnsupportedOp(f"{op}: there is no data format {data_format!r}, only {FORMATS}")
    if x.tensor.rank != len(data_format):
        raise mismatch(op, f"{data_format} names {len(data_format)} dims", [x.type])
    return len(data_format) - 2


def channels_last(x: Node, data_format: str) -> Node:
    """`x` with the channels moved to the last dim."""
    return x if data_format.endswith("C") else moveaxis(x, 1, -1)


def in_format(x: Node, data_format: str) -> Node:
    """`x`, whose channels are last, in a data format."""
    return x if data_format.endswith("C") else moveaxis(x, -1, 1)


def integer(op: str, name: str, value: Any) -> int:
    """`value` as an int, NumPy's integers too; ShapeError for anything else."""
    try:
        return index(value)
    except TypeError:
        raise ShapeError(f"{op}: {name} takes integers, not {value!r}") from None


def each(op: str, name: str, value: int | Sequence[int], d: int) -> Ints:
    """A number for each spatial dim; one number counts for all."""
    listed = value if isinstance(value, Iterable) else (value,) * d
    values = tuple([integer(op, name, v) for v in listed])
    if len(values) != d:
        raise ShapeError(f"{op}: {name} {values} needs {d} entries, one a spatial dim")
    return values


def paddings(
    op: str, padding: Padding, sizes: Shape, kernel: Ints, strides: Ints, dilations: Ints
) -> Pairs:
    """The elements before and after each spatial dim of `sizes`.

    "VALID" is none. "SAME" gives ⌈size/stride⌉ windows, the odd element after, as TensorFlow;
    "SAME_LOWER" puts it before. A number is for all sides, one per dim for both of its sides, or
    (low, high) pairs.
    """
    if padding == "VALID":
        return ((0, 0),) * len(sizes)
    if padding in ("SAME", "SAME_LOWER"):
        steps = zip(sizes, kernel, strides, dilations, strict=True)
        halves = [_same(n, (k - 1) * d + 1, s) for n, k, s, d in steps]
        return tuple(halves if padding == "SAME" else [(b, a) for a, b in halves])
    if isinstance(padding, str):
        raise UnsupportedOp(f"{op}: there is no padding {padding!r}, only VALID, SAME, SAME_LOWER")
    values = list(padding) if isinstance(padding, Iterable) else [padding] * len(sizes)
    if len(values) != len(sizes):
        raise ShapeError(f"{op}: padding {padding} needs {len(sizes)} entries, one a spatial dim")
    return tuple([_pair(op, value) for value in values])


def _pair(op: str, value: Any) -> tuple[int, int]:
    """The elements before and after a dim, written as a number for both or as (low, high)."""
    pair = tuple(value) if isinstance(value, Iterable) else (value, value)
    if len(pair) != 2:
        raise ShapeError(f"{op}: padding {pair} of a dim is no pair (low, high)")
    return integer(op, "padding", pair[0]), integer(op, "padding", pair[1])


def _same(size: Size, reach: int, stride: int) -> tuple[int, int]:
    """The padding for one window every stride-th element, windows of which reach `reach` far."""
    past = 1 if stride == 1 else int(size) % stride or stride
    total = max(reach - past, 0)
    return total // 2, total - total // 2

"""Static shapes where sizes are known in part: of reshapes, fills, tiles and slices."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from anode.frontends.tensorflow.infer import known_sizes, known_value
from anode.frontends.tensorflow.tensor_shape import TensorShape

Sizes = list[int | None]
Bound = tuple[int | None, bool]  # one end of a slice, None if unknown, and whether it is left out


def sizes_of(tensor: Any) -> Sizes | None:
    """The static shape of a tensor, None for an unknown rank."""
    return None if tensor.shape.ndims is None else list(tensor.shape.as_list())


def sizes_at(index: int) -> Callable[[Any], list[Any]]:
    """The shape that an operand says: that of Fill, for instance."""
    return lambda op: [known_sizes(op.inputs[index])]


def numbers(tensor: Any) -> Sizes | None:
    """The elements of a vector, None for each that is not known; None if its length is not."""
    value = known_value(tensor)
    if value is not None:
        return [int(n) for n in value.reshape(-1)]
    if tensor.op.type == "Pack" and tensor.op._attrs.get("axis", 0) == 0:
        found = [known_value(t) for t in tensor.op.inputs]
        return [None if n is None else int(n) for n in found]
    dims = sizes_of(tensor)
    return [None] * dims[0] if dims and len(dims) == 1 and dims[0] is not None else None


def reshaped(op: Any) -> list[Any]:
    """What the operand says; one size that it leaves open follows from the number of elements."""
    tensor, shape = op.inputs
    wanted, sizes = known_sizes(shape), sizes_of(tensor)
    if wanted is None:
        return [None]
    if sizes is not None and None not in sizes:
        total, rest = prod(map(int, sizes)), prod(n for n in wanted if n is not None)  # type: ignore[arg-type]
        _check_reshape(op, known_value(shape), sizes, wanted, total, rest)
        if wanted.count(None) == 1 and rest:
            wanted[wanted.index(None)] = total // rest
    return [wanted]


def _check_reshape(op: Any, value: Any, sizes: Any, wanted: Any, total: int, rest: int) -> None:
    if value is None:
        return
    fits = total == rest if None not in wanted else rest and total % rest == 0
    if wanted.count(None) > 1 or not (fits or total == 0):
        raise ValueError(
            f"Cannot reshape a tensor with {total} elements to shape {TensorShape(wanted)} "
            f"({rest} elements) for '{op.name}' (op: 'Reshape') with input shapes: "
            f"{TensorShape(sizes)}, {op.inputs[1].shape}."
        )


def tiled(op: Any) -> list[Any]:
    sizes, repeats = sizes_of(op.inputs[0]), numbers(op.inputs[1])
    if sizes is None:
        return [None if repeats is None else [None] * len(repeats)]
    if repeats is None:
        return [[None] * len(sizes)]
    if len(sizes) != len(repeats):
        raise ValueError(
            f"Shape must be rank {len(sizes)} but is rank {len(repeats)} for '{op.name}' (op: "
            f"'Tile') with input shapes: {op.inputs[0].shape}, {op.inputs[1].shape}."
        )
    pairs = zip(sizes, repeats, strict=True)
    return [[None if n is None or r is None else n * r for n, r in pairs]]


def boxed(op: Any) -> list[Any]:
    """Of Slice: sizes as given; -1 reaches to the end."""
    sizes, begin, size = sizes_of(op.inputs[0]), numbers(op.inputs[1]), numbers(op.inputs[2])
    if size is None:
        return [None if sizes is None else [None] * len(sizes)]
    sizes = sizes or [None] * len(size)
    starts = begin or [None] * len(size)
    dims = zip(sizes, starts, size, strict=True)
    return [[_reach(n, start, length) for n, start, length in dims]]


def _reach(size: int | None, start: int | None, length: int | None) -> int | None:
    if length != -1:
        return length
    return None if size is None or start is None else size - start


def strided(op: Any) -> list[Any]:
    """Of StridedSlice: each dim by its entry of the masks."""
    x, *bounds = op.inputs
    begin, end, strides = (numbers(t) for t in bounds)
    sizes, masks = sizes_of(x), op._attrs
    if sizes is None or strides is None:
        return [None]
    begin, end = begin or [None] * len(strides), end or [None] * len(strides)
    return [_strided(op, sizes, begin, end, strides, masks)]


def _strided(op: Any, sizes: Sizes, begin: Sizes, end: Sizes, strides: Sizes, masks: Any) -> Sizes:
    def has(mask: str, i: int) -> bool:
        return bool(masks[mask] >> i & 1)

    used = sum(
        not has("new_axis_mask", i) and not has("ellipsis_mask", i) for i in range(len(strides))
    )
    if used > len(sizes):
        raise ValueError(
            f"Index out of range using input dim {len(sizes)}; input has only {len(sizes)} dims "
            f"for '{op.name}' (op: 'StridedSlice')"
        )
    result: Sizes = []
    rest = list(sizes)
    for i, stride in enumerate(strides):
        if has("ellipsis_mask", i):
            after = sum(not has("new_axis_mask", j) for j in range(i + 1, len(strides)))
            kept = len(rest) - after
            result, rest = result + rest[:kept], rest[kept:]
        elif has("new_axis_mask", i):
            result.append(1)
        elif has("shrink_axis_mask", i):
            _check_index(op, begin[i], len(sizes) - len(rest), rest.pop(0))
        else:
            low = (begin[i], has("begin_mask", i))
            high = (end[i], has("end_mask", i))
            result.append(_length(rest.pop(0), low, high, stride))
    return result + rest


def _check_index(op: Any, index: int | None, axis: int, size: int | None) -> None:
    if index is not None and size is not None and not -size <= index < size:
        raise ValueError(
            f"slice index {index} of dimension {axis} out of bounds. for '{op.name}' (op: "
            f"'StridedSlice') with input shapes: {op.inputs[0].shape}."
        )


def _length(size: int | None, low: Bound, high: Bound, stride: int | None) -> int | None:
    if size is None or stride is None or any(v is None and not open for v, open in (low, high)):
        whole = low[1] and high[1] and stride in (1, -1)
        return size if whole else None
    start, stop = (None if open else value for value, open in (low, high))
    return len(range(*slice(start, stop, stride).indices(size)))

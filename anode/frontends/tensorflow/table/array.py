"""Ops that rearrange: identities, shapes, concatenation, splitting, slicing, padding, filling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from anode import ops
from anode.errors import ShapeError
from anode.frontends.tensorflow import dtypes as tf
from anode.frontends.tensorflow.opdef import OPS, REQUIRED, NotStatic, host_kernel, op, static
from anode.frontends.tensorflow.table import array_shapes as shapes
from anode.ir.dtypes import DType, dtype_of
from anode.ir.node import Node, constant

Array = np.ndarray
MASKS: dict[str, Any] = dict.fromkeys(
    ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask"), 0
)


def ints(node: Any) -> tuple[int, ...]:
    """A shape, axes or paddings: the numbers of a static node, flat."""
    return tuple(int(n) for n in static(node).ravel())


def number(node: Any) -> int:
    """A static node of one element, as an int."""
    return int(static(node).reshape(()))


def axis_of(node: Any, rank: int) -> int:
    """A static axis counted from the front; one outside is left to the op to refuse."""
    axis = number(node)
    return axis + rank if axis < 0 else axis


# identities


@op("Identity", "input:T -> T", shape="same")
def _(input: Node) -> Node:
    return input


@op("IdentityN", "input:[T] -> [T]", shape=lambda op: [t.shape for t in op.inputs])
def _(input: list[Node]) -> list[Node]:
    return input


@op("StopGradient", "input:T -> T", shape="same")
def _(input: Node) -> Node:
    return ops.stop_gradient(input)


@op("PreventGradient", "input:T -> T", shape="same", message="")
def _(input: Node, *, message: str) -> Node:
    return ops.stop_gradient(input)


@op("GuaranteeConst", "input:T -> T", shape="same")
def _(input: Node) -> Node:
    return input


# shapes


def _numbers(values: Any, dtype: DType) -> Node:
    return constant(np.asarray(values, dtype.numpy))


@op("Shape", "input:T -> out_type", out_type=tf.int32)
def _(input: Node, *, out_type: DType) -> Node:
    return _numbers(input.shape, out_type)


@op("ShapeN", "input:N*T -> N*out_type", out_type=tf.int32)
def _(input: Sequence[Node], *, out_type: DType) -> tuple[Node, ...]:
    return tuple(_numbers(x.shape, out_type) for x in input)


@op("Size", "input:T -> out_type", shape="scalar", out_type=tf.int32)
def _(input: Node, *, out_type: DType) -> Node:
    return _numbers(input.tensor.size, out_type)


@op("Rank", "input:T -> int32", shape="scalar")
def _(input: Node) -> Node:
    return constant(len(input.shape), "i32")


@op("Reshape", "tensor:T shape:Tshape -> T", shape=shapes.reshaped)
def _(tensor: Node, shape: Node) -> Node:
    return ops.reshape(tensor, shape=ints(shape))


@op("ExpandDims", "input:T dim:Tdim -> T")
def _(input: Node, dim: Node) -> Node:
    return ops.expand_dims(input, number(dim))


@op("Squeeze", "input:T -> T", squeeze_dims=())
def _(input: Node, *, squeeze_dims: Sequence[int]) -> Node:
    return ops.squeeze(input, tuple(squeeze_dims) or None)


@op("Transpose", "x:T perm:Tperm -> T")
def _(x: Node, perm: Node) -> Node:
    rank = len(x.shape)
    return ops.transpose(x, permutation=[p % rank for p in ints(perm)])


@op("ConjugateTranspose", "x:T perm:Tperm -> T")
def _(x: Node, perm: Node) -> Node:
    return ops.transpose(x, permutation=ints(perm))


@op("BroadcastTo", "input:T shape:Tidx -> T", shape=shapes.sizes_at(1))
def _(input: Node, shape: Node) -> Node:
    return ops.broadcast_to(input, ints(shape))


@op("BroadcastArgs", "s0:T s1:T -> T")
def _(s0: Node, s1: Node) -> Node:
    shape = np.broadcast_shapes(ints(s0), ints(s1))
    return _numbers(shape, s0.dtype)


def _ensured(input: Node, *, shape: Any) -> Node:
    if not shape.is_compatible_with(input.tensor.static):
        raise ShapeError(f"EnsureShape: {list(input.shape)} is not compatible with {shape}")
    return input


op("EnsureShape", "input:T -> T", shape=lambda op: [op.get_attr("shape")])(_ensured)
OPS["EnsureShape"].attrs = {"shape": REQUIRED}  # `shape` above names the rule


# joining and splitting


def _joined(values: Sequence[Node], axis: int) -> Node:
    return ops.concatenate(*values, axis=axis) if len(values) > 1 else values[0]


@op("ConcatV2", "values:N*T axis:Tidx -> T")
def _(values: Sequence[Node], axis: Node) -> Node:
    return _joined(values, axis_of(axis, len(values[0].shape)))


@op("Concat", "concat_dim:int32 values:N*T -> T")
def _(concat_dim: Node, values: Sequence[Node]) -> Node:
    return _joined(values, axis_of(concat_dim, len(values[0].shape)))


@op("ConcatOffset", "concat_dim:int32 shape:N*int32 -> N*int32")
def _(concat_dim: Node, shape: Sequence[Node]) -> tuple[Node, ...]:
    axis = number(concat_dim)
    sizes = [ints(s) for s in shape]
    starts = np.cumsum([0, *[s[axis] for s in sizes[:-1]]])
    rows = (np.eye(len(sizes[0]), dtype=np.int32)[axis] * start for start in starts)
    return tuple(_numbers(row, dtype_of("i32")) for row in rows)


@op("Pack", "values:N*T -> T", axis=0)
def _(values: Sequence[Node], *, axis: int) -> Node:
    return ops.stack(values, axis)


@op("ParallelConcat", "values:N*T -> T")
def _(values: Sequence[Node]) -> Node:
    return _joined(values, 0)


@op("Unpack", "value:T -> num*T", num=REQUIRED, axis=0)
def _(value: Node, *, num: int, axis: int) -> tuple[Node, ...]:
    return tuple(ops.squeeze(x, axis) for x in ops.split(value, num, axis)) if num else ()


@op("Split", "split_dim:int32 value:T -> num_split*T", num_split=REQUIRED)
def _(split_dim: Node, value: Node, *, num_split: int) -> tuple[Node, ...]:
    return ops.split(value, num_split, axis_of(split_dim, len(value.shape)))


@op("SplitV", "value:T size_splits:Tlen split_dim:int32 -> num_split*T", num_split=REQUIRED)
def _(value: Node, size_splits: Node, split_dim: Node, *, num_split: int) -> tuple[Node, ...]:
    axis = axis_of(split_dim, len(value.shape))
    return ops.split(value, _sizes(ints(size_splits), int(value.shape[axis])), axis)


def _sizes(sizes: Sequence[int], total: int) -> list[int]:
    """`sizes` with the one that is -1 replaced by what the others leave of `total`."""
    rest = total - sum(size for size in sizes if size != -1)
    return [rest if size == -1 else size for size in sizes]


# slicing


@op("Slice", "input:T begin:Index size:Index -> T", shape=shapes.boxed)
def _(input: Node, begin: Node, size: Node, *, op: Any) -> Node:
    try:
        starts, sizes = ints(begin), ints(size)
    except NotStatic:
        lengths = shapes.numbers(op.inputs[2]) or [None]
        if None in lengths or -1 in lengths:
            _leave_to_host(op)
            raise
        places = [begin[i] for i in range(len(lengths))]  # a box of known size: any place will do
        return ops.dynamic_slice(input, *places, sizes=lengths)
    return ops.slice(input, start=starts, limit=_ends(input.shape, starts, sizes))


def _ends(shape: Sequence[Any], begin: Sequence[int], size: Sequence[int]) -> tuple[int, ...]:
    dims = zip(shape, begin, size, strict=True)
    return tuple(n if length == -1 else start + length for n, start, length in dims)


def slice_key(begin: Any, end: Any, strides: Any, **masks: int) -> tuple[Any, ...]:
    """The Python index that the operands and masks of a strided slice stand for."""

    def has(mask: str, i: int) -> bool:
        return bool(masks[mask] >> i & 1)

    def entry(i: int) -> Any:
        if has("ellipsis_mask", i):
            return Ellipsis
        if has("new_axis_mask", i):
            return None
        if has("shrink_axis_mask", i):
            return int(begin[i])
        low = None if has("begin_mask", i) else int(begin[i])
        high = None if has("end_mask", i) else int(end[i])
        return slice(low, high, int(strides[i]))

    return tuple(map(entry, range(len(strides))))


@op(
    "StridedSlice",
    "input:T begin:Index end:Index strides:Index -> T",
    shape=shapes.strided,
    **MASKS,
)
def _(input: Node, begin: Node, end: Node, strides: Node, *, op: Any, **masks: int) -> Node:
    try:
        return ops.getitem(input, slice_key(static(begin), static(end), static(strides), **masks))
    except NotStatic:
        bounds = [numbers for t in op.inputs[1:] if (numbers := shapes.numbers(t)) is not None]
        if len(bounds) < 3 or not _takes_elements(bounds, masks):
            _leave_to_host(op)
            raise
        return _elements(input, begin, bounds, masks)


def _leave_to_host(op: Any) -> None:
    """Slices of data at run-time bounds are cut by the host: no gradient passes through data, and
    what is computed of the slice need not be compiled for each place of it."""
    from anode.frontends.tensorflow.trace import NotTraced

    source = op.inputs[0]
    while source.op.type == "Identity":
        source = source.op.inputs[0]
    if source.op.type == "Const" or not source.dtype.base_dtype.is_floating:
        raise NotTraced(op, "its bounds are only known when it runs")


def _takes_elements(bounds: Sequence[shapes.Sizes], masks: dict[str, int]) -> bool:
    """Whether every bound that is not known is that of a single element, or does not count."""
    free = masks["ellipsis_mask"] | masks["new_axis_mask"]
    one = free | masks["shrink_axis_mask"]
    free_of = (one | masks["begin_mask"], one | masks["end_mask"], one)
    return all(
        value is not None or mask >> i & 1
        for values, mask in zip(bounds, free_of, strict=True)
        for i, value in enumerate(values)
    )


def _elements(x: Node, places: Node, bounds: Sequence[shapes.Sizes], masks: dict[str, int]) -> Node:
    """A strided slice some of whose single elements lie at run-time places."""
    shrunk = masks["shrink_axis_mask"]
    unknown = {i for i, n in enumerate(bounds[0]) if n is None and shrunk >> i & 1}
    begin, end, strides = ([0 if n is None else n for n in bound] for bound in bounds)
    key = slice_key(begin, end, strides, **masks)
    chosen, axis = {}, 0
    for i, part in enumerate(key):
        if part is Ellipsis:
            axis = len(x.shape) - sum(p is not None for p in key[i + 1 :])
        elif part is not None:
            if i in unknown:
                chosen[axis] = places[i]
            axis += 1
    starts = [
        _counted(chosen[d], n) if d in chosen else constant(0, places.dtype)
        for d, n in enumerate(x.shape)
    ]
    sizes = [1 if d in chosen else n for d, n in enumerate(x.shape)]
    return ops.getitem(ops.dynamic_slice(x, *starts, sizes=sizes), key)


def _counted(index: Node, size: Any) -> Node:
    """A run-time index, from the back where it is negative."""
    return ops.select(index < 0, index + size, index)


@op("StridedSliceGrad", "shape:Index begin:Index end:Index strides:Index dy:T -> T", **MASKS)
def _(shape: Node, begin: Node, end: Node, strides: Node, dy: Node, **masks: int) -> Node:
    key = slice_key(static(begin), static(end), static(strides), **masks)
    return assigned(ops.zeros(ints(shape), dy.dtype), key, dy)


def assigned(x: Node, key: tuple[Any, ...], value: Node) -> Node:
    """`x` with `x[key] = value`, the value broadcast to the slice."""
    size = int(x.tensor.size)
    places = ops.getitem(ops.reshape(ops.iota(shape=(size,), dtype="i32"), shape=x.shape), key)
    updates = ops.reshape(ops.broadcast_to(value, places.shape), shape=(places.tensor.size,))
    flat = ops.scatter(
        ops.reshape(x, shape=(size,)),
        ops.reshape(places, shape=(places.tensor.size,)),
        updates,
        body=ops.second(x.dtype),
        update_window_dims=(),
        inserted_window_dims=(0,),
        scatter_dims_to_operand_dims=(0,),
        index_vector_dim=1,
    )
    return ops.reshape(flat, shape=x.shape)


# repeating, padding, filling


@op("Tile", "input:T multiples:Tmultiples -> T", shape=shapes.tiled)
def _(input: Node, multiples: Node) -> Node:
    return ops.tile(input, ints(multiples))


def _pairs(paddings: Node) -> tuple[list[int], list[int]]:
    low, high = static(paddings).reshape(-1, 2).T.tolist()
    return low, high


@op("Pad", "input:T paddings:Tpaddings -> T")
def _(input: Node, paddings: Node) -> Node:
    low, high = _pairs(paddings)
    return ops.pad(input, constant(0, input.dtype), low=low, high=high)


@op("PadV2", "input:T paddings:Tpaddings constant_values:T -> T")
def _(input: Node, paddings: Node, constant_values: Node) -> Node:
    low, high = _pairs(paddings)
    return ops.pad(input, constant_values, low=low, high=high)


@op("MirrorPad", "input:T paddings:Tpaddings -> T", mode=REQUIRED)
def _(input: Node, paddings: Node, *, mode: str) -> Node:
    return ops.extend(input, *_pairs(paddings), mode=mode.lower())


@op("Fill", "dims:index_type value:T -> T", shape=shapes.sizes_at(0))
def _(dims: Node, value: Node) -> Node:
    return ops.full(ints(dims), value)


@op("ZerosLike", "x:T -> T", shape="same")
def _(x: Node) -> Node:
    return ops.zeros_like(x)


@op("OnesLike", "x:T -> T", shape="same")
def _(x: Node) -> Node:
    return ops.ones_like(x)


@op("Roll", "input:T shift:Tshift axis:Taxis -> T")
def _(input: Node, shift: Node, axis: Node) -> Node:
    for places, dim in zip(ints(shift), ints(axis), strict=True):
        input = ops.roll(input, places, dim)
    return input


# blocks


@op("SpaceToBatchND", "input:T block_shape:Tblock_shape paddings:Tpaddings -> T")
def _(input: Node, block_shape: Node, paddings: Node) -> Node:
    return to_batch(input, ints(block_shape), *_pairs(paddings))


@op("SpaceToBatch", "input:T paddings:Tpaddings -> T", block_size=REQUIRED)
def _(input: Node, paddings: Node, *, block_size: int) -> Node:
    return to_batch(input, (block_size, block_size), *_pairs(paddings))


@op("BatchToSpaceND", "input:T block_shape:Tblock_shape crops:Tcrops -> T")
def _(input: Node, block_shape: Node, crops: Node) -> Node:
    return to_space(input, ints(block_shape), *_pairs(crops))


@op("BatchToSpace", "input:T crops:Tidx -> T", block_size=REQUIRED)
def _(input: Node, crops: Node, *, block_size: int) -> Node:
    return to_space(input, (block_size, block_size), *_pairs(crops))


def to_batch(x: Node, block: Sequence[int], low: Sequence[int], high: Sequence[int]) -> Node:
    """Padded dims 1, 2, … cut into blocks, whose elements become the outer part of dim 0."""
    d, rest = len(block), len(x.shape) - len(block) - 1
    low, high = [0, *low, *[0] * rest], [0, *high, *[0] * rest]
    x = ops.pad(x, constant(0, x.dtype), low=low, high=high)
    counts = [n // b for n, b in zip(x.shape[1:], block, strict=False)]
    split = [size for pair in zip(counts, block, strict=True) for size in pair]
    inner = x.shape[d + 1 :]
    apart = ops.reshape(x, shape=(x.shape[0], *split, *inner))
    order = [*range(2, 2 * d + 1, 2), 0, *range(1, 2 * d + 1, 2)]
    moved = ops.transpose(apart, permutation=[*order, *range(2 * d + 1, 2 * d + 1 + rest)])
    return ops.reshape(moved, shape=(-1 if x.tensor.size else 0, *counts, *inner))


def to_space(x: Node, block: Sequence[int], low: Sequence[int], high: Sequence[int]) -> Node:
    """The inverse of `to_batch`: crops instead of padding."""
    d, rest = len(block), len(x.shape) - len(block) - 1
    batch = x.shape[0] // int(np.prod(block))
    apart = ops.reshape(x, shape=(*block, batch, *x.shape[1:]))
    order = [d, *[i for pair in zip(range(d + 1, 2 * d + 1), range(d), strict=True) for i in pair]]
    moved = ops.transpose(apart, permutation=[*order, *range(2 * d + 1, 2 * d + 1 + rest)])
    sizes = [n * b for n, b in zip(x.shape[1:], block, strict=False)]
    whole = ops.reshape(moved, shape=(batch, *sizes, *x.shape[d + 1 :]))
    edges = zip(low, high, sizes, strict=True)
    cuts = [slice(before, size - after) for before, after, size in edges]
    return ops.getitem(whole, (slice(None), *cuts))


@op("SpaceToDepth", "input:T -> T", block_size=REQUIRED, data_format="NHWC")
def _(input: Node, *, block_size: int, data_format: str) -> Node:
    return ops.space_to_depth(input, block_size, "DCR", data_format)


@op("DepthToSpace", "input:T -> T", block_size=REQUIRED, data_format="NHWC")
def _(input: Node, *, block_size: int, data_format: str) -> Node:
    return ops.depth_to_space(input, block_size, "DCR", data_format)


@op(
    "ExtractImagePatches",
    "images:T -> T",
    ksizes=REQUIRED,
    strides=REQUIRED,
    rates=REQUIRED,
    padding=REQUIRED,
)
def _(images: Node, *, ksizes: Any, strides: Any, rates: Any, padding: str) -> Node:
    size, stride, rate = (list(v)[1:3] for v in (ksizes, strides, rates))
    return ops.unfold(images, size, stride, padding, rate, "NHWC")


@op("Bitcast", "input:T -> type", type=REQUIRED)
def _(input: Node, *, type: DType) -> Node:
    return ops.bitcast(input, dtype=type)


# strings have no device: NumPy's arrays of objects do the same


def _taken(value: Array, key: Any) -> Array:
    return np.asarray(value[key], value.dtype)


def _unpacked(value: Array, *, num: int, axis: int) -> tuple[Array, ...]:
    return tuple(_taken(np.moveaxis(value, axis, 0), i) for i in range(num))


def _parts(value: Array, sizes: Sequence[int], axis: Any) -> tuple[Array, ...]:
    edges = np.cumsum(_sizes(sizes, value.shape[int(axis)]))[:-1]
    return tuple(np.split(value, edges, int(axis)))


def _box(input: Array, begin: Array, size: Array) -> Array:
    ends = _ends(input.shape, begin.tolist(), size.tolist())
    return input[tuple(map(slice, begin.tolist(), ends))]


def _strided(input: Array, begin: Array, end: Array, strides: Array, **masks: int) -> Array:
    return _taken(input, slice_key(begin, end, strides, **masks))


def _squeezed(input: Array, *, squeeze_dims: Sequence[int]) -> Array:
    return input.squeeze(tuple(squeeze_dims) or None)


def _shape(input: Array, *, out_type: Any) -> Array:
    return np.array(input.shape, out_type.as_numpy_dtype)


def _filled(dims: Array, value: Array) -> Array:
    return np.full(tuple(dims), value[()], object)


def _padded(input: Array, paddings: Array, constant_values: Any = b"") -> Array:
    return np.pad(input, paddings, constant_values=np.asarray(constant_values, object)[()])


_STRINGS: dict[str, Any] = {
    "Identity": lambda input: input,
    "IdentityN": lambda input: input,
    "StopGradient": lambda input: input,
    "Shape": _shape,
    "Size": lambda input, *, out_type: np.array(input.size, out_type.as_numpy_dtype),
    "Rank": lambda input: np.array(input.ndim, np.int32),
    "Reshape": lambda tensor, shape: tensor.reshape(tuple(shape)),
    "ExpandDims": lambda input, dim: np.expand_dims(input, int(dim.reshape(()))),
    "Squeeze": _squeezed,
    "Transpose": lambda x, perm: x.transpose(tuple(perm)),
    "BroadcastTo": lambda input, shape: np.broadcast_to(input, tuple(shape)),
    "ConcatV2": lambda values, axis: np.concatenate(values, int(axis)),
    "Concat": lambda concat_dim, values: np.concatenate(values, int(concat_dim)),
    "Pack": lambda values, *, axis: np.stack(values, axis),
    "Unpack": _unpacked,
    "Split": lambda split_dim, value, *, num_split: tuple(
        np.split(value, num_split, int(split_dim))
    ),
    "SplitV": lambda value, size_splits, split_dim, *, num_split: _parts(
        value, size_splits.tolist(), split_dim
    ),
    "Slice": _box,
    "StridedSlice": _strided,
    "Tile": lambda input, multiples: np.tile(input, tuple(multiples)),
    "Pad": _padded,
    "PadV2": _padded,
    "Fill": _filled,
    "ZerosLike": lambda x: np.full(x.shape, b"", object),
}
for _name, _kernel in _STRINGS.items():
    host_kernel(_name)(_kernel)

"""Functions that read and write at indices: gather, scatter, masks, diagonals, uniqueness."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from anode.frontends.tensorflow.api.array_ops import (
    cast,
    concat,
    expand_dims,
    ones,
    rank,
    shape,
    shape_internal,
    size,
    squeeze,
    stack,
    zeros,
)
from anode.frontends.tensorflow.api.generated import define
from anode.frontends.tensorflow.dtypes import as_dtype, float32, int32
from anode.frontends.tensorflow.dtypes import bool as bool_
from anode.frontends.tensorflow.graph import (
    apply,
    constant,
    constant_value,
    convert_to_tensor,
    name_scope,
)
from anode.frontends.tensorflow.opdef import export, renamed
from anode.frontends.tensorflow.tensor_shape import TensorShape

FUNCTIONS = {
    "ScatterNd": "indices updates shape | scatter_nd manip.scatter_nd",
    "TensorScatterUpdate": "tensor indices updates"
    " | tensor_scatter_update tensor_scatter_nd_update",
    "TensorScatterAdd": "tensor indices updates | tensor_scatter_nd_add tensor_scatter_add",
    "TensorScatterSub": "tensor indices updates | tensor_scatter_nd_sub tensor_scatter_sub",
    "Diag": "diagonal | linalg.tensor_diag diag",
    "DiagPart": "input | linalg.tensor_diag_part diag_part",
    "MatrixBandPart": "input num_lower num_upper | linalg.band_part matrix_band_part",
    "Unique": "x out_idx=int32 | unique",
    "UniqueWithCounts": "x out_idx=int32 | unique_with_counts",
    "ListDiff": "x y out_idx=int32 | python.ops.gen_array_ops.list_diff",
    "DynamicStitch": "indices data | dynamic_stitch",
    "ParallelDynamicStitch": "indices data | python.ops.gen_array_ops.parallel_dynamic_stitch",
}
globals().update(define(__name__, FUNCTIONS))
if TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """What the table defines."""


@export("dynamic_partition")
def dynamic_partition(
    data: Any, partitions: Any, num_partitions: int, name: str | None = None
) -> list[Any]:
    """The elements of `data` of each partition."""
    found = apply("DynamicPartition", data, partitions, num_partitions=num_partitions, name=name)
    return list(found)


@export("setdiff1d")
def setdiff1d(x: Any, y: Any, index_dtype: Any = int32, name: str | None = None) -> Any:
    """The elements of `x` that are not in `y`, and their places."""
    return apply("ListDiff", x, y, out_idx=index_dtype, name=name)


# gather


@export("gather")
def gather(
    params: Any,
    indices: Any,
    validate_indices: bool | None = None,
    name: str | None = None,
    axis: Any = None,
    batch_dims: int = 0,
) -> Any:
    """The slices of `params` at `indices` along `axis`."""
    del validate_indices  # TensorFlow ignores it too
    axis = batch_dims if axis is None else axis
    return apply("GatherV2", params, indices, axis, batch_dims=batch_dims, name=name)


@export("batch_gather")
def batch_gather(params: Any, indices: Any, name: str | None = None) -> Any:
    """Along the last dim of `indices`, the dims before it side by side."""
    with name_scope(name, "BatchGather", [params, indices]):
        indices = convert_to_tensor(indices, name="indices")
        if indices.shape.ndims is None:
            raise ValueError("batch_gather does not allow indices with unknown shape.")
        return gather(
            params, indices, axis=-1 + indices.shape.ndims, batch_dims=indices.shape.ndims - 1
        )


@export("gather_nd", "manip.gather_nd")
def gather_nd(params: Any, indices: Any, name: str | None = None, batch_dims: int = 0) -> Any:
    """The slices of `params` at the index vectors along the last dim of `indices`."""
    batch = constant_value(batch_dims)
    if batch is None or int(batch) != 0:
        raise NotImplementedError("gather_nd: batch_dims is not implemented by anode; use 0")
    return apply("GatherNd", params, indices, name=name)


# choice


@export("where")
def where(condition: Any, x: Any = None, y: Any = None, name: str | None = None) -> Any:
    """`x` where the condition holds, else `y`; without them the indices where it holds."""
    if x is None and y is None:
        with name_scope(name, "Where", [condition]) as scope:
            condition = convert_to_tensor(condition, preferred_dtype=bool_, name="condition")
            return apply("Where", condition, name=scope)
    if x is None or y is None:
        raise ValueError("x and y must both be non-None or both be None.")
    return apply("Select", condition, x, y, name=name)


@export("where_v2")
def where_v2(condition: Any, x: Any = None, y: Any = None, name: str | None = None) -> Any:
    """`where` that broadcasts its arguments."""
    if x is None and y is None:
        return where(condition, name=name)
    if x is None or y is None:
        raise ValueError("x and y must both be non-None or both be None.")
    return apply("SelectV2", condition, x, y, name=name)


@export("boolean_mask")
def boolean_mask(
    tensor: Any, mask: Any, name: str = "boolean_mask", axis: int | None = None
) -> Any:
    """The slices along `axis` where the mask holds; its dims are merged into one."""
    with name_scope(name, values=[tensor, mask]):
        tensor = convert_to_tensor(tensor, name="tensor")
        mask = convert_to_tensor(mask, name="mask")
        ndims = mask.shape.ndims
        if ndims == 0:
            raise ValueError("mask cannot be scalar.")
        if ndims is None:
            raise ValueError(
                "Number of mask dimensions must be specified, even if some dimensions are None.  "
                "E.g. shape=[None] is ok, but shape=None is not."
            )
        axis = 0 if axis is None else int(constant_value(axis))  # type: ignore[arg-type]
        tensor.shape[axis : axis + ndims].assert_is_compatible_with(mask.shape)
        sizes = shape(tensor)
        leading = apply("Prod", sizes[axis : axis + ndims], [0])
        merged = concat([sizes[:axis], [leading], sizes[axis + ndims :]], 0)
        flat = apply("Reshape", tensor, merged)
        flat.set_shape(_masked_shape(tensor.shape, axis, ndims))
        places = squeeze(where(apply("Reshape", mask, [-1])), axis=[1])
        return gather(flat, places, axis=axis)


def _masked_shape(full: TensorShape, axis: int, ndims: int) -> TensorShape:
    if full.ndims is None:
        return full
    sizes = full.as_list()
    merged = sizes[axis : axis + ndims]
    count = None if None in merged else int(np.prod(merged))
    return TensorShape([*sizes[:axis], count, *sizes[axis + ndims :]])


@export("sequence_mask")
def sequence_mask(
    lengths: Any, maxlen: Any = None, dtype: Any = bool_, name: str | None = None
) -> Any:
    """Rows whose first elements are true, as many as each length says."""
    with name_scope(name, "SequenceMask", [lengths, maxlen]):
        lengths = convert_to_tensor(lengths)
        if maxlen is None:
            axes = apply("Range", 0, rank(lengths), 1)
            longest = apply("Max", lengths, axes)
            maxlen = apply("Maximum", constant(0, longest.dtype), longest)
        else:
            maxlen = convert_to_tensor(maxlen)
        if maxlen.shape.ndims not in (None, 0):
            raise ValueError("maxlen must be scalar for sequence_mask")
        zero, one = (constant(n, maxlen.dtype) for n in (0, 1))
        row = apply("Range", zero, maxlen, one)
        matrix = apply("Cast", expand_dims(lengths, -1), DstT=maxlen.dtype)
        return cast(apply("Less", row, matrix), dtype)


# one-hot and diagonals


@export("one_hot")
def one_hot(
    indices: Any,
    depth: Any,
    on_value: Any = None,
    off_value: Any = None,
    axis: int | None = None,
    dtype: Any = None,
    name: str | None = None,
) -> Any:
    """`on_value` at the index along a new dim, elsewhere `off_value`."""
    with name_scope(name, "one_hot", [indices, depth, on_value, off_value]) as scope:
        wanted = None if dtype is None else as_dtype(dtype).base_dtype
        given = [
            None if v is None else convert_to_tensor(v, preferred_dtype=wanted, name=n)
            for v, n in ((on_value, "on_value"), (off_value, "off_value"))
        ]
        found = {value.dtype.base_dtype for value in given if value is not None}
        if len(found | ({wanted} - {None})) > 1:
            raise TypeError(
                f"one_hot: dtype {dtype} of on_value {on_value} and off_value {off_value} differ"
            )
        kind = wanted or (found.pop() if found else float32)
        on, off = (
            convert_to_tensor(default, kind, name=n) if value is None else value
            for value, default, n in zip(given, _ones(kind), ("on_value", "off_value"), strict=True)
        )
        axis = -1 if axis is None else axis
        return apply("OneHot", indices, depth, on, off, axis=axis, name=scope)


def _ones(dtype: Any) -> tuple[Any, Any]:
    return (True, False) if dtype == bool_ else (1, 0)


def _main_diagonal(function: str, k: Any, num_rows: Any = -1, num_cols: Any = -1) -> None:
    if (k, num_rows, num_cols) != (0, -1, -1):
        raise NotImplementedError(
            f"{function}: k, num_rows and num_cols are not implemented by anode; leave them out"
        )


@export("linalg.diag", "matrix_diag")
def matrix_diag(
    diagonal: Any,
    name: str = "diag",
    k: Any = 0,
    num_rows: Any = -1,
    num_cols: Any = -1,
    padding_value: Any = 0,
) -> Any:
    """Square matrices with the last dim as their main diagonal."""
    _main_diagonal("matrix_diag", k, num_rows, num_cols)
    if padding_value != 0:
        raise NotImplementedError("matrix_diag: padding_value is not implemented by anode; use 0")
    return apply("MatrixDiag", diagonal, name=name)


@export("linalg.diag_part", "matrix_diag_part")
def matrix_diag_part(
    input: Any, name: str = "diag_part", k: Any = 0, padding_value: Any = 0
) -> Any:
    """The main diagonals of matrices."""
    del padding_value  # only bands of several diagonals are padded
    _main_diagonal("matrix_diag_part", k)
    return apply("MatrixDiagPart", input, name=name)


@export("linalg.set_diag", "matrix_set_diag")
def matrix_set_diag(input: Any, diagonal: Any, name: str = "set_diag", k: Any = 0) -> Any:
    """Matrices with other main diagonals."""
    _main_diagonal("matrix_set_diag", k)
    return apply("MatrixSetDiag", input, diagonal, name=name)


@export("linalg.eye", "eye")
def eye(
    num_rows: Any,
    num_columns: Any = None,
    batch_shape: Any = None,
    dtype: Any = float32,
    name: str | None = None,
) -> Any:
    """Identity matrices."""
    with name_scope(name, "eye", [num_rows, num_columns, batch_shape]):
        batch = [] if batch_shape is None else batch_shape
        columns = num_rows if num_columns is None else num_columns
        known = [constant_value(n) for n in (num_rows, columns)]
        if None in known:
            side = apply("Minimum", num_rows, columns)
        else:
            side = min(int(n) for n in known if n is not None)
        lead = list(batch) if isinstance(batch, (list, tuple)) else None
        along = concat([batch, [side]], 0) if lead is None else [*lead, side]
        diagonal = ones(along, dtype)
        if num_columns is None:
            return matrix_diag(diagonal)
        sizes = [num_rows, num_columns]
        whole = concat([batch, sizes], 0) if lead is None else [*lead, *sizes]
        return matrix_set_diag(zeros(whole, dtype), diagonal)


# orders and counts


@export("reverse_sequence")
@renamed(seq_dim="seq_axis", batch_dim="batch_axis")
def reverse_sequence(
    input: Any,
    seq_lengths: Any,
    seq_axis: int | None = None,
    batch_axis: int | None = None,
    name: str | None = None,
) -> Any:
    """The first elements along `seq_axis`, as many as each sequence is long, in opposite order."""
    if seq_axis is None:
        raise ValueError("reverse_sequence: seq_axis must be given")
    batch = 0 if batch_axis is None else batch_axis
    return apply(
        "ReverseSequence", input, seq_lengths, seq_dim=seq_axis, batch_dim=batch, name=name
    )


@export("searchsorted")
def searchsorted(
    sorted_sequence: Any,
    values: Any,
    side: str = "left",
    out_type: Any = int32,
    name: str | None = None,
) -> Any:
    """Where to insert `values` so that the last dim stays sorted."""
    if side not in ("left", "right"):
        raise ValueError(f"side must be either 'right' or 'left'.  Saw: {side}.")
    sequence = convert_to_tensor(sorted_sequence)
    values = convert_to_tensor(values)
    rows = [apply("Reshape", t, stack([-1, shape_internal(t)[-1]])) for t in (sequence, values)]
    type = "LowerBound" if side == "left" else "UpperBound"
    found = apply(type, *rows, out_type=out_type, name=name)
    return apply("Reshape", found, shape_internal(values))


@export("meshgrid")
def meshgrid(*args: Any, indexing: str = "xy", name: str | None = "meshgrid") -> list[Any]:
    """The coordinates of a grid: for each vector a tensor of the grid's shape."""
    if indexing not in ("xy", "ij"):
        raise ValueError("indexing parameter must be either 'xy' or 'ij'")
    with name_scope(name, "meshgrid", args):
        n = len(args)
        columns = [
            apply("Reshape", stack(x), [1] * i + [-1] + [1] * (n - i - 1))
            for i, x in enumerate(args)
        ]
        counts = [size(x) for x in args]
        if indexing == "xy" and n > 1:
            swapped = (1, 0, *range(2, n))
            columns[0] = apply("Reshape", columns[0], [1, -1] + [1] * (n - 2))
            columns[1] = apply("Reshape", columns[1], [-1, 1] + [1] * (n - 2))
            counts = [counts[i] for i in swapped]
        like = ones(stack(counts), convert_to_tensor(args[0]).dtype.base_dtype)
        return [column * like for column in columns]


@export("repeat")
def repeat(input: Any, repeats: Any, axis: int | None = None, name: str | None = None) -> Any:
    """Each element `repeats` times along `axis`, of the flat tensor by default."""
    with name_scope(name, "Repeat", [input, repeats]):
        data = convert_to_tensor(input)
        if axis is None:
            data, axis = apply("Reshape", data, [-1]), 0
        count = constant_value(repeats)
        places = apply("Range", 0, shape(data)[axis], 1)
        if count is not None and count.size == 1:
            wide = apply("Tile", expand_dims(places, 1), [1, int(count.reshape(()))])
            return gather(data, apply("Reshape", wide, [-1]), axis=axis)
        chosen = sequence_mask(repeats)
        spread = apply("Tile", expand_dims(places, 1), stack([1, shape(chosen)[1]]))
        return gather(data, boolean_mask(spread, chosen), axis=axis)

"""tf.math: arithmetic and reductions, ranges, running sums, segments, counts."""

# ruff: noqa: F401 (what the files beside give is served here too)

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from anode.frontends.tensorflow import dtypes
from anode.frontends.tensorflow.api import arithmetic
from anode.frontends.tensorflow.api.arithmetic import (
    accumulate_n,
    add_n,
    cast,
    conj,
    div,
    div_no_nan,
    divide,
    floor_div,
    floordiv,
    log_sigmoid,
    logical_xor,
    multiply_no_nan,
    polyval,
    real,
    reciprocal_no_nan,
    round,
    saturate_cast,
    scalar_mul,
    to_bfloat16,
    to_double,
    to_float,
    to_int32,
    to_int64,
    truediv,
)
from anode.frontends.tensorflow.api.generated import define
from anode.frontends.tensorflow.api.linalg import einsum, matmul, matvec, norm, tensordot, trace
from anode.frontends.tensorflow.api.reductions import (
    arg_max,
    arg_min,
    argmax,
    argmin,
    count_nonzero,
    reduce_all,
    reduce_any,
    reduce_euclidean_norm,
    reduce_logsumexp,
    reduce_max,
    reduce_mean,
    reduce_min,
    reduce_prod,
    reduce_std,
    reduce_sum,
    reduce_variance,
)
from anode.frontends.tensorflow.graph import apply, constant, convert_to_tensor, name_scope
from anode.frontends.tensorflow.opdef import export

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """What the tables define."""


globals().update(arithmetic.DEFINED)
FUNCTIONS = {
    "LinSpace": "start stop num | lin_space linspace math.linspace",
    "SegmentMax": "data segment_ids | segment_max math.segment_max",
    "SegmentMean": "data segment_ids | segment_mean math.segment_mean",
    "SegmentMin": "data segment_ids | segment_min math.segment_min",
    "SegmentProd": "data segment_ids | segment_prod math.segment_prod",
    "SegmentSum": "data segment_ids | segment_sum math.segment_sum",
    "UnsortedSegmentMax": "data segment_ids num_segments"
    " | unsorted_segment_max math.unsorted_segment_max",
    "UnsortedSegmentMin": "data segment_ids num_segments"
    " | unsorted_segment_min math.unsorted_segment_min",
    "UnsortedSegmentProd": "data segment_ids num_segments"
    " | unsorted_segment_prod math.unsorted_segment_prod",
    "UnsortedSegmentSum": "data segment_ids num_segments"
    " | unsorted_segment_sum math.unsorted_segment_sum",
}
globals().update(define(__name__, FUNCTIONS))


# ranges and running sums

_WIDER = (dtypes.int32, dtypes.int64, dtypes.float32, dtypes.float64)


@export("range")
def range(
    start: Any,
    limit: Any = None,
    delta: Any = 1,
    dtype: Any = None,
    name: str | None = "range",
) -> Any:
    """start, start + delta, … below `limit`; with one argument from 0 to it."""
    if limit is None:
        start, limit = 0, start
    with name_scope(name, "Range", [start, limit, delta]) as scope:
        named = {"start": start, "limit": limit, "delta": delta}
        bounds = [convert_to_tensor(x, dtype, name=key) for key, x in named.items()]
        if dtype is None:
            widest = max((x.dtype.base_dtype for x in bounds), key=_WIDER.index)
            bounds = [cast(x, widest) for x in bounds]
        return apply("Range", *bounds, name=scope)


def _running(type: str, path: str, does: str) -> Callable[..., Any]:
    def call(
        x: Any,
        axis: Any = 0,
        exclusive: bool = False,
        reverse: bool = False,
        name: str | None = None,
    ) -> Any:
        with name_scope(name, type, [x]) as scope:
            x = convert_to_tensor(x, name="x")
            return apply(type, x, axis, exclusive=exclusive, reverse=reverse, name=scope)

    call.__name__ = call.__qualname__ = path.rpartition(".")[2]
    call.__doc__ = f"The running {does} along `axis`."
    return export(path, f"math.{call.__name__}")(call)


cumsum = _running("Cumsum", "cumsum", "sum")
cumprod = _running("Cumprod", "cumprod", "product")
cumulative_logsumexp = _running("CumulativeLogsumexp", "math.cumulative_logsumexp", "log Σ exp")


# segments


def _segment_sizes(data: Any, segment_ids: Any, num_segments: Any) -> Any:
    """The size of each segment, at least 1, with the rank of a reduction of `data`."""
    ones = apply("OnesLike", cast(segment_ids, data.dtype.base_dtype))
    sizes = apply("UnsortedSegmentSum", ones, segment_ids, num_segments)
    ranks = data.shape.ndims, segment_ids.shape.ndims
    if None in ranks:
        raise ValueError("unsorted_segment_mean needs data and segment_ids of known rank")
    for _ in builtins.range(ranks[0] - ranks[1]):
        sizes = apply("ExpandDims", sizes, -1)
    return apply("Maximum", sizes, 1)


@export("unsorted_segment_mean", "math.unsorted_segment_mean")
def unsorted_segment_mean(
    data: Any, segment_ids: Any, num_segments: Any, name: str | None = None
) -> Any:
    """The mean of the rows of each segment; 0 where it has none."""
    with name_scope(name, "UnsortedSegmentMean"):
        data, ids = convert_to_tensor(data), convert_to_tensor(segment_ids)
        sizes = _segment_sizes(data, ids, num_segments)
        return apply("UnsortedSegmentSum", data, ids, num_segments) / sizes


@export("unsorted_segment_sqrt_n", "math.unsorted_segment_sqrt_n")
def unsorted_segment_sqrt_n(
    data: Any, segment_ids: Any, num_segments: Any, name: str | None = None
) -> Any:
    """The sum of the rows of each segment, divided by the square root of their number."""
    with name_scope(name, "UnsortedSegmentSqrtN"):
        data, ids = convert_to_tensor(data), convert_to_tensor(segment_ids)
        sizes = _segment_sizes(data, ids, num_segments)
        return apply("UnsortedSegmentSum", data, ids, num_segments) / apply("Sqrt", sizes)


def _sparse_segment(type: str, path: str, does: str) -> Callable[..., Any]:
    def call(
        data: Any,
        indices: Any,
        segment_ids: Any,
        name: str | None = None,
        num_segments: Any = None,
    ) -> Any:
        if num_segments is None:
            return apply(type, data, indices, segment_ids, name=name)
        counted = f"{type}WithNumSegments"
        return apply(counted, data, indices, segment_ids, num_segments, name=name)

    call.__name__ = call.__qualname__ = path
    call.__doc__ = f"The {does} of the rows of `data` at `indices`, by segments."
    return export(path, f"sparse.{path.removeprefix('sparse_')}")(call)


sparse_segment_sum = _sparse_segment("SparseSegmentSum", "sparse_segment_sum", "sum")
sparse_segment_mean = _sparse_segment("SparseSegmentMean", "sparse_segment_mean", "mean")
sparse_segment_sqrt_n = _sparse_segment(
    "SparseSegmentSqrtN", "sparse_segment_sqrt_n", "sum over the root of the number"
)


# counts


@export("bincount", "math.bincount")
def bincount(
    arr: Any,
    weights: Any = None,
    minlength: Any = None,
    maxlength: Any = None,
    dtype: Any = dtypes.int32,
) -> Any:
    """How often each number from 0 on occurs in `arr`, or the sum of its weights."""
    with name_scope(None, "bincount"):
        arr = convert_to_tensor(arr, name="arr", dtype=dtypes.int32)
        filled = cast(apply("Greater", apply("Size", arr), 0), dtypes.int32)
        size = filled * (reduce_max(arr) + 1)
        if minlength is not None:
            size = apply("Maximum", convert_to_tensor(minlength, dtypes.int32), size)
        if maxlength is not None:
            size = apply("Minimum", convert_to_tensor(maxlength, dtypes.int32), size)
        if weights is None:
            weights = constant([], dtype)
        return apply("Bincount", arr, size, convert_to_tensor(weights, name="weights"))


@export("histogram_fixed_width")
def histogram_fixed_width(
    values: Any,
    value_range: Any,
    nbins: Any = 100,
    dtype: Any = dtypes.int32,
    name: str | None = None,
) -> Any:
    """The number of values in each of `nbins` equal bins; the outer ones take all beyond."""
    with name_scope(name, "histogram_fixed_width", [values, value_range, nbins]) as scope:
        return apply("HistogramFixedWidth", values, value_range, nbins, dtype=dtype, name=scope)


@export("histogram_fixed_width_bins")
def histogram_fixed_width_bins(
    values: Any,
    value_range: Any,
    nbins: Any = 100,
    dtype: Any = dtypes.int32,
    name: str | None = None,
) -> Any:
    """The bin of each value among `nbins` equal ones; the outer ones take all beyond."""
    with name_scope(name, "histogram_fixed_width_bins", [values, value_range, nbins]):
        values = convert_to_tensor(values, name="values")
        low, high = apply("Unpack", convert_to_tensor(value_range, values.dtype), num=2)
        count = cast(convert_to_tensor(nbins, dtypes.int32), values.dtype)
        scaled = truediv(values - low, high - low) * cast(
            count, dtypes.float64 if values.dtype.is_integer else values.dtype
        )
        bins = cast(apply("Floor", scaled), dtype)
        return apply("Minimum", apply("Maximum", bins, 0), cast(count - 1, dtype))


@export("confusion_matrix", "math.confusion_matrix")
def confusion_matrix(
    labels: Any,
    predictions: Any,
    num_classes: Any = None,
    dtype: Any = dtypes.int32,
    name: str | None = None,
    weights: Any = None,
) -> Any:
    """The matrix whose element (i, j) counts the predictions j where the label is i."""
    with name_scope(name, "confusion_matrix", [predictions, labels, num_classes, weights]):
        pair = [
            cast(apply("Reshape", convert_to_tensor(x, name=key), [-1]), dtypes.int64)
            for key, x in {"labels": labels, "predictions": predictions}.items()
        ]
        if num_classes is None:
            num_classes = apply("Maximum", reduce_max(pair[0]), reduce_max(pair[1])) + 1
        count = cast(convert_to_tensor(num_classes), dtypes.int64)
        indices = apply("Transpose", apply("Pack", pair), [1, 0])
        ones = apply("OnesLike", cast(pair[1], dtype))
        values = ones if weights is None else cast(convert_to_tensor(weights), dtype)
        return apply("ScatterNd", indices, values, apply("Pack", [count, count]))


@export("lbeta", "math.lbeta")
def lbeta(x: Any, name: str | None = None) -> Any:
    """log |Beta| of the vectors along the last dim."""
    with name_scope(name, "lbeta", [x]):
        x = convert_to_tensor(x, name="x")
        parts = reduce_sum(apply("Lgamma", x), [-1])
        return parts - apply("Lgamma", reduce_sum(x, [-1]))

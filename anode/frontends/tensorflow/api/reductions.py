"""Reductions along axes, and what is found at the extremes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from anode.frontends.tensorflow import dtypes
from anode.frontends.tensorflow.api.arithmetic import cast
from anode.frontends.tensorflow.api.array_ops import rank
from anode.frontends.tensorflow.graph import (
    Tensor,
    apply,
    constant,
    convert_to_tensor,
    name_scope,
)
from anode.frontends.tensorflow.opdef import export, renamed

OLD = {"keep_dims": "keepdims", "reduction_indices": "axis"}


def axes_of(x: Any, axis: Any) -> Any:
    """`axis`, or all dims where it is None: a Const if the rank is known."""
    if axis is not None:
        return axis
    if isinstance(x, Tensor) and x.shape.ndims is not None:
        return constant(np.arange(x.shape.ndims), dtypes.int32)
    return apply("Range", 0, rank(x), 1, name="range")


def _reduce(type: str, x: Any, axis: Any, keepdims: Any, name: str | None) -> Any:
    result = apply(type, x, axes_of(x, axis), keep_dims=bool(keepdims), name=name)
    if axis is None and not keepdims:
        result.set_shape([])  # also where the rank is not known
    return result


def _reduction(type: str, name: str, does: str) -> Callable[..., Any]:
    @renamed(**OLD)
    def call(
        input_tensor: Any, axis: Any = None, keepdims: Any = None, name: str | None = None
    ) -> Any:
        return _reduce(type, input_tensor, axis, keepdims, name)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"{does} along `axis`: a number, several, or None for all."
    return export(name, f"math.{name}")(call)


reduce_sum = _reduction("Sum", "reduce_sum", "The sum")
reduce_mean = _reduction("Mean", "reduce_mean", "The mean")
reduce_max = _reduction("Max", "reduce_max", "The largest element")
reduce_min = _reduction("Min", "reduce_min", "The smallest element")
reduce_prod = _reduction("Prod", "reduce_prod", "The product")
reduce_any = _reduction("Any", "reduce_any", "Whether an element is true")
reduce_all = _reduction("All", "reduce_all", "Whether every element is true")


@export("math.reduce_euclidean_norm")
def reduce_euclidean_norm(
    input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None
) -> Any:
    """The square root of the sum of squares along `axis`."""
    return _reduce("EuclideanNorm", input_tensor, axis, keepdims, name)


@export("reduce_logsumexp", "math.reduce_logsumexp")
@renamed(**OLD)
def reduce_logsumexp(
    input_tensor: Any, axis: Any = None, keepdims: Any = None, name: str | None = None
) -> Any:
    """log Σ exp(x) along `axis`, without overflow."""
    with name_scope(name, "ReduceLogSumExp", [input_tensor]) as scope:
        x = convert_to_tensor(input_tensor)
        most = reduce_max(x, axis, keepdims=True)
        safe = apply("Select", apply("IsFinite", most), most, apply("ZerosLike", most))
        most = apply("StopGradient", safe)
        total = reduce_sum(apply("Exp", apply("Sub", x, most)), axis, keepdims)
        result = apply("Log", total)
        if not keepdims:
            most = apply("Reshape", most, apply("Shape", result))
        return apply("AddV2", result, most, name=scope)


@export("math.reduce_variance")
def reduce_variance(
    input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None
) -> Any:
    """The mean squared distance from the mean along `axis`."""
    with name_scope(name or "reduce_variance"):
        x = convert_to_tensor(input_tensor)
        means = reduce_mean(x, axis, keepdims=True)
        return reduce_mean(apply("Square", x - means), axis, keepdims)


@export("math.reduce_std")
def reduce_std(
    input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None
) -> Any:
    """The square root of the variance along `axis`."""
    with name_scope(name or "reduce_std"):
        return apply("Sqrt", reduce_variance(input_tensor, axis, keepdims))


@export("count_nonzero", "math.count_nonzero")
@renamed(**OLD, input="input_tensor")
def count_nonzero(
    input_tensor: Any = None,
    axis: Any = None,
    keepdims: Any = None,
    dtype: Any = dtypes.int64,
    name: str | None = None,
) -> Any:
    """The number of elements that are not zero (of strings: not empty) along `axis`."""
    if input_tensor is None:
        raise ValueError("Must specify an input_tensor argument to tf.count_nonzero()")
    with name_scope(name, "count_nonzero", [input_tensor]):
        x = convert_to_tensor(input_tensor, name="input_tensor")
        zero = constant(np.zeros((), x.dtype.base_dtype.as_numpy_dtype), name="zeros")
        if x.dtype.base_dtype == dtypes.string:
            zero = constant("", dtypes.string, name="zeros")
        counted = cast(apply("NotEqual", x, zero), dtypes.int64)
        return cast(reduce_sum(counted, axis, keepdims), dtype)


# places of extremes


def _arg_reduction(type: str, name: str, which: str) -> Callable[..., Any]:
    @renamed(dimension="axis")
    def call(
        input: Any,
        axis: Any = None,
        name: str | None = None,
        output_type: Any = dtypes.int64,
    ) -> Any:
        axis = 0 if axis is None else axis
        return apply(type, input, axis, output_type=output_type, name=name)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"The index of the {which} element along `axis`, the first of equal ones."
    return export(name, f"math.{name}")(call)


argmax = _arg_reduction("ArgMax", "argmax", "largest")
argmin = _arg_reduction("ArgMin", "argmin", "smallest")


@export("arg_max")
def arg_max(
    input: Any, dimension: Any, output_type: Any = dtypes.int64, name: str | None = None
) -> Any:
    return apply("ArgMax", input, dimension, output_type=output_type, name=name)


@export("arg_min")
def arg_min(
    input: Any, dimension: Any, output_type: Any = dtypes.int64, name: str | None = None
) -> Any:
    return apply("ArgMin", input, dimension, output_type=output_type, name=name)

"""`tf.assert_equal` and its relatives: what is known fails at once, the rest when it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from anode.frontends.tensorflow.api.array_ops import rank as rank_of
from anode.frontends.tensorflow.api.array_ops import shape as shape_of
from anode.frontends.tensorflow.api.debug import Assert
from anode.frontends.tensorflow.core import Tensor
from anode.frontends.tensorflow.dtypes import as_dtype, float32
from anode.frontends.tensorflow.errors import InvalidArgumentError
from anode.frontends.tensorflow.graph import (
    apply,
    constant_value,
    convert_to_tensor,
    is_tensor_like,
    name_scope,
    no_op,
)
from anode.frontends.tensorflow.opdef import export

Check = Callable[..., Any]
CHECKS: dict[str, tuple[str, str, Callable[[Any, Any], Any]]] = {
    "assert_equal": ("==", "Equal", np.equal),
    "assert_none_equal": ("!=", "NotEqual", np.not_equal),
    "assert_less": ("<", "Less", np.less),
    "assert_less_equal": ("<=", "LessEqual", np.less_equal),
    "assert_greater": (">", "Greater", np.greater),
    "assert_greater_equal": (">=", "GreaterEqual", np.greater_equal),
}


def _exported(name: str) -> Callable[[Any], Any]:
    return export(name, f"python.ops.check_ops.{name}")


def _pair(x: Any, y: Any) -> tuple[Tensor, Tensor]:
    """Both as tensors of one type: a number takes the type of the other."""
    if is_tensor_like(y) and not is_tensor_like(x):
        y = convert_to_tensor(y, name="y")
        return convert_to_tensor(x, y.dtype.base_dtype, name="x"), y
    x = convert_to_tensor(x, name="x")
    dtype = None if is_tensor_like(y) or not is_tensor_like(x) else x.dtype.base_dtype
    try:
        return x, convert_to_tensor(y, dtype, name="y")
    except TypeError:
        return x, convert_to_tensor(y, name="y")


def _text(item: Any) -> str:
    value = constant_value(item) if isinstance(item, Tensor) else None
    return str(item) if value is None else str(value)


def _checked(holds: Tensor, known: bool | None, data: Sequence[Any], summarize: Any) -> Any:
    if known is False:
        raise InvalidArgumentError(None, None, "\n".join(map(_text, data)))
    return Assert(holds, data, summarize=summarize)


def _all(holds: Tensor) -> Any:
    dims = holds.shape.ndims
    axes = np.arange(dims, dtype=np.int32) if dims is not None else None
    if axes is None:
        axes = apply("Range", 0, rank_of(holds), 1, name="range")
    return apply("All", holds, axes, keep_dims=False)


def _compared(
    name: str, x: Any, y: Any, data: Any, summarize: Any, message: str | None, scope: str | None
) -> Any:
    symbol, op, known = CHECKS[name]
    with name_scope(scope, name, [x, y, data]):
        x, y = _pair(x, y)
        if data is None:
            data = [
                f"Condition x {symbol} y did not hold element-wise:",
                f"x ({x.name}) = ",
                x,
                f"y ({y.name}) = ",
                y,
            ]
        data = list(data) if message is None else [message, *data]
        holds = _all(apply(op, x, y))
        xs, ys = constant_value(x), constant_value(y)
        fixed = None if xs is None or ys is None else bool(np.all(known(xs, ys)))
        return _checked(holds, fixed, data, summarize)


@_exported("assert_equal")
def assert_equal(
    x: Any,
    y: Any,
    data: Any = None,
    summarize: int | None = None,
    message: str | None = None,
    name: str | None = None,
) -> Any:
    """The operation that fails unless all elements of `x` and `y` are equal."""
    with name_scope(name, "assert_equal", [x, y, data]):
        if x is y:
            return no_op()
    return _compared("assert_equal", x, y, data, summarize, message, name)


@_exported("assert_none_equal")
def assert_none_equal(
    x: Any,
    y: Any,
    data: Any = None,
    summarize: int | None = None,
    message: str | None = None,
    name: str | None = None,
) -> Any:
    """The operation that fails unless all elements of `x` and `y` differ."""
    return _compared("assert_none_equal", x, y, data, summarize, message, name)


@_exported("assert_less")
def assert_less(
    x: Any,
    y: Any,
    data: Any = None,
    summarize: int | None = None,
    message: str | None = None,
    name: str | None = None,
) -> Any:
    """The operation that fails unless every element of `x` is less than that of `y`."""
    return _compared("assert_less", x, y, data, summarize, message, name)


@_exported("assert_less_equal")
def assert_less_equal(
    x: Any,
    y: Any,
    data: Any = None,
    summarize: int | None = None,
    message: str | None = None,
    name: str | None = None,
) -> Any:
    """The operation that fails unless every element of `x` is at most that of `y`."""
    return _compared("assert_less_equal", x, y, data, summarize, message, name)


@_exported("assert_greater")
def assert_greater(
    x: Any,
    y: Any,
    data: Any = None,
    summarize: int | None = None,
    message: str | None = None,
    name: str | None = None,
) -> Any:
    """The operation that fails unless every element of `x` is greater than that of `y`."""
    return _compared("assert_greater", x, y, data, summarize, message, name)


@_exported("assert_greater_equal")
def assert_greater_equal(
    x: Any,
    y: Any,
    data: Any = None,
    summarize: int | None = None,
    message: str | None = None,
    name: str | None = None,
) -> Any:
    """The operation that fails unless every element of `x` is at least that of `y`."""
    return _compared("assert_greater_equal", x, y, data, summarize, message, name)


def _signed(
    name: str,
    symbol: str,
    check: Check,
    x: Any,
    data: Any,
    summarize: Any,
    message: str | None,
    scope: str | None,
) -> Any:
    with name_scope(scope, name, [x, data]):
        x = convert_to_tensor(x, name="x")
        if data is None:
            condition = f"Condition x {symbol} 0 did not hold element-wise:"
            data = [message or "", condition, f"x ({x.name}) = ", x]
        zero = np.zeros((), x.dtype.base_dtype.as_numpy_dtype)
        if symbol in (">", ">="):
            return check(convert_to_tensor(zero), x, data=data, summarize=summarize)
        return check(x, convert_to_tensor(zero), data=data, summarize=summarize)


@_exported("assert_positive")
def assert_positive(
    x: Any,
    data: Any = None,
    summarize: int | None = None,
    message: str | None = None,
    name: str | None = None,
) -> Any:
    """The operation that fails unless all elements are above zero."""
    return _signed("assert_positive", ">", assert_less, x, data, summarize, message, name)


@_exported("assert_non_negative")
def assert_non_negative(
    x: Any,
    data: Any = None,
    summarize: int | None = None,
    message: str | None = None,
    name: str | None = None,
) -> Any:
    """The operation that fails if an element is below zero."""
    return _signed(
        "assert_non_negative", ">=", assert_less_equal, x, data, summarize, message, name
    )


@_exported("assert_negative")
def assert_negative(
    x: Any,
    data: Any = None,
    summarize: int | None = None,
    message: str | None = None,
    name: str | None = None,
) -> Any:
    """The operation that fails unless all elements are below zero."""
    return _signed("assert_negative", "<", assert_less, x, data, summarize, message, name)


@_exported("assert_non_positive")
def assert_non_positive(
    x: Any,
    data: Any = None,
    summarize: int | None = None,
    message: str | None = None,
    name: str | None = None,
) -> Any:
    """The operation that fails if an element is above zero."""
    return _signed(
        "assert_non_positive", "<=", assert_less_equal, x, data, summarize, message, name
    )


@_exported("assert_near")
def assert_near(
    x: Any,
    y: Any,
    rtol: Any = None,
    atol: Any = None,
    data: Any = None,
    summarize: int | None = None,
    message: str | None = None,
    name: str | None = None,
) -> Any:
    """The operation that fails unless |x - y| is at most atol + rtol |y|; both are 10 ulps."""
    with name_scope(name, "assert_near", [x, y, rtol, atol, data]):
        x, y = _pair(x, y)
        dtype = x.dtype.base_dtype
        ulps = 10 * np.finfo(dtype.as_numpy_dtype).eps
        rtol = convert_to_tensor(ulps if rtol is None else rtol, dtype, name="rtol")
        atol = convert_to_tensor(ulps if atol is None else atol, dtype, name="atol")
        if data is None:
            about = f"x and y not equal to tolerance rtol = {rtol}, atol = {atol}"
            data = [message or "", about, f"x ({x.name}) = ", x, f"y ({y.name}) = ", y]
        tolerance = apply("Add", atol, apply("Mul", rtol, apply("Abs", y)))
        difference = apply("Abs", apply("Sub", x, y))
        return Assert(_all(apply("LessEqual", difference, tolerance)), data, summarize=summarize)


# ranks


def _ranked(
    name: str,
    words: str,
    x: Any,
    wanted: Sequence[Any],
    holds: Callable[[int, list[int]], bool],
    dynamic: Callable[[Any, list[Any]], Any],
    data: Any,
    summarize: Any,
    message: str | None,
    scope: str | None,
) -> Any:
    message = message or ""
    with name_scope(scope, name, [x, *wanted, *(data or ())]):
        x = convert_to_tensor(x, name="x")
        ranks = [convert_to_tensor(rank, name="rank") for rank in wanted]
        static = [constant_value(rank) for rank in ranks]
        for value in static:
            if value is not None and value.ndim:
                raise ValueError("Rank must be a scalar.")
        if x.shape.ndims is not None and all(value is not None for value in static):
            known = [int(value) for value in static]  # type: ignore[arg-type]
            if not holds(x.shape.ndims, known):
                many = tuple(known) if name.endswith("_in") else known[0]
                raise ValueError(
                    f"{message}.  Tensor {x.name} must have rank {words}{many}.  Received rank "
                    f"{x.shape.ndims}, shape {x.shape}"
                )
            return no_op(name="static_checks_determined_all_ok")
        if data is None:
            about = f"Tensor {x.name} must have rank {words}".rstrip()
            data = [message, about, *ranks, "Received shape: ", shape_of(x)]
        return Assert(dynamic(rank_of(x), ranks), data, summarize=summarize)


@_exported("assert_rank")
def assert_rank(
    x: Any,
    rank: Any,
    data: Any = None,
    summarize: int | None = None,
    message: str | None = None,
    name: str | None = None,
) -> Any:
    """The operation that fails unless `x` has this rank; ValueError if it is known not to."""

    def holds(found: int, wanted: list[int]) -> bool:
        return found == wanted[0]

    def dynamic(found: Any, wanted: list[Any]) -> Any:
        return apply("Equal", found, wanted[0])

    return _ranked("assert_rank", "", x, [rank], holds, dynamic, data, summarize, message, name)


@_exported("assert_rank_at_least")
def assert_rank_at_least(
    x: Any,
    rank: Any,
    data: Any = None,
    summarize: int | None = None,
    message: str | None = None,
    name: str | None = None,
) -> Any:
    """The operation that fails unless `x` has at least this rank; ValueError if known not to."""

    def holds(found: int, wanted: list[int]) -> bool:
        return found >= wanted[0]

    def dynamic(found: Any, wanted: list[Any]) -> Any:
        return apply("GreaterEqual", found, wanted[0])

    words = "at least "
    return _ranked(
        "assert_rank_at_least", words, x, [rank], holds, dynamic, data, summarize, message, name
    )


@_exported("assert_rank_in")
def assert_rank_in(
    x: Any,
    ranks: Iterable[Any],
    data: Any = None,
    summarize: int | None = None,
    message: str | None = None,
    name: str | None = None,
) -> Any:
    """The operation that fails unless `x` has one of the ranks; ValueError if known not to."""

    def holds(found: int, wanted: list[int]) -> bool:
        return found in wanted

    def dynamic(found: Any, wanted: list[Any]) -> Any:
        return apply("Any", apply("Equal", found, apply("Pack", wanted)), [0], keep_dims=False)

    listed = list(ranks)
    return _ranked(
        "assert_rank_in", "in ", x, listed, holds, dynamic, data, summarize, message, name
    )


# types and shapes


@_exported("assert_type")
def assert_type(
    tensor: Any, tf_type: Any, message: str | None = None, name: str | None = None
) -> Any:
    """TypeError unless the tensor has the type."""
    message = message or ""
    with name_scope(name, "assert_type", [tensor]):
        tensor = convert_to_tensor(tensor, name="tensor")
        if tensor.dtype.base_dtype != as_dtype(tf_type):
            raise TypeError(f"{message}  {tensor.name} must be of type {as_dtype(tf_type)}")
        return no_op("statically_determined_correct_type")


@_exported("assert_integer")
def assert_integer(x: Any, message: str | None = None, name: str | None = None) -> Any:
    """TypeError unless the tensor is of integers."""
    with name_scope(name, "assert_integer", [x]):
        x = convert_to_tensor(x, name="x")
        if not x.dtype.is_integer:
            raise TypeError(
                f'{message or ""}  Expected "x" to be integer type.  Found: {x.name} of dtype '
                f"{x.dtype}"
            )
        return no_op("statically_determined_was_integer")


@_exported("assert_scalar")
def assert_scalar(tensor: Any, name: str | None = None, message: str | None = None) -> Any:
    """The tensor; ValueError unless its shape is known to be []."""
    with name_scope(name, "assert_scalar", [tensor]):
        tensor = convert_to_tensor(tensor)
        if tensor.shape.ndims != 0:
            raise ValueError(
                f"{message or ''}Expected scalar shape for {tensor.name}, saw shape: "
                f"{tensor.shape}."
            )
        return tensor


@_exported("assert_proper_iterable")
def assert_proper_iterable(values: Any) -> None:
    """TypeError for strings, arrays and tensors, and for what cannot be iterated."""
    wrong = isinstance(values, (str, bytes, np.ndarray)) or is_tensor_like(values)
    if wrong or not hasattr(values, "__iter__"):
        raise TypeError(
            f'Expected argument "values" to be a "proper" iterable.  Found: {type(values)}'
        )


@_exported("assert_same_float_dtype")
def assert_same_float_dtype(tensors: Any = None, dtype: Any = None) -> Any:
    """The common floating-point type; ValueError where tensors, or one and `dtype`, differ."""
    wanted = None if dtype is None else as_dtype(dtype).base_dtype
    first = ""
    for tensor in [t for t in tensors or () if t is not None]:
        found = as_dtype(tensor.dtype).base_dtype
        if wanted is not None and found != wanted:
            raise ValueError(
                f"{tensor.name}, type={found}, must be of the same type ({wanted})"
                + (f" as {first}." if first else ".")
            )
        wanted, first = found, first or tensor.name
    wanted = float32 if wanted is None else wanted
    if not wanted.is_floating:
        raise ValueError(f"Expected floating point type, got {wanted}.")
    return wanted


@_exported("is_numeric_tensor")
def is_numeric_tensor(tensor: Any) -> bool:
    """Whether it is a tensor of numbers."""
    numbers = ("float", "int", "uint", "complex", "q", "bfloat")
    return isinstance(tensor, Tensor) and tensor.dtype.base_dtype.name.startswith(numbers)


def _differences(x: Any) -> Any:
    flat = apply("Reshape", x, [-1])
    return flat[1:] - flat[:-1]


@_exported("is_non_decreasing")
def is_non_decreasing(x: Any, name: str | None = None) -> Any:
    """Whether no element is less than the one before it, in row-major order."""
    with name_scope(name, "is_non_decreasing", [x]):
        steps = _differences(convert_to_tensor(x))
        return _all(apply("LessEqual", np.zeros((), steps.dtype.as_numpy_dtype), steps))


@_exported("is_strictly_increasing")
def is_strictly_increasing(x: Any, name: str | None = None) -> Any:
    """Whether every element is greater than the one before it, in row-major order."""
    with name_scope(name, "is_strictly_increasing", [x]):
        steps = _differences(convert_to_tensor(x))
        return _all(apply("Less", np.zeros((), steps.dtype.as_numpy_dtype), steps))

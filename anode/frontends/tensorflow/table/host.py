"""Ops that only the host can do: Python functions, printing, assertions, the clock."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import numpy as np

from anode.frontends.tensorflow import errors
from anode.frontends.tensorflow.opdef import REQUIRED, host
from anode.frontends.tensorflow.table.resources import object_array

CODES: tuple[tuple[type[BaseException], type[errors.OpError]], ...] = (
    (errors.OpError, errors.OpError),
    (ValueError, errors.InvalidArgumentError),
    (TypeError, errors.InvalidArgumentError),
    (StopIteration, errors.OutOfRangeError),
    (MemoryError, errors.ResourceExhaustedError),
    (NotImplementedError, errors.UnimplementedError),
    (Exception, errors.UnknownError),
)
C_NAMES = {"float64": "double", "float32": "float", "float16": "half", "object": "string"}


# Python functions


def scalars_unwrapped(arrays: Sequence[np.ndarray]) -> list[Any]:
    """Arrays as a Python function receives them: NumPy scalars, or bytes, if they have rank 0."""
    return [array[()] if array.ndim == 0 else array for array in arrays]


def called(op: Any, function: Callable[..., Any], arguments: Sequence[Any]) -> Any:
    """What the function returns; what it raises becomes the error TensorFlow makes of it."""
    try:
        return function(*arguments)
    except errors.OpError:
        raise
    except Exception as error:
        kind = next(known for raised, known in CODES if isinstance(error, raised))
        text = f"{type(error).__name__}: {error}\n{traceback.format_exc()}\n"
        raise kind(None, op, text) from error  # type: ignore[call-arg]


def as_result(value: Any) -> np.ndarray:
    """A returned value as an array of a type that tensors have."""
    array = np.asarray(value)
    if array.dtype.kind in "US":
        texts = [v if isinstance(v, bytes) else str(v).encode() for v in array.ravel().tolist()]
        return object_array(texts).reshape(array.shape)
    return array


def checked_results(op: Any, name: str, returned: Any, types: Sequence[Any]) -> list[np.ndarray]:
    """The returned values as arrays; InvalidArgumentError where number or types are not `types`."""
    values = returned if isinstance(returned, (list, tuple)) else [returned]
    values = [] if returned is None else values
    if len(values) != len(types):
        raise errors.InvalidArgumentError(
            None,
            op,
            f"{name} returns {len(values)} values, but expects to see {len(types)} values.",
        )
    arrays = [as_result(value) for value in values]
    for index, (array, dtype) in enumerate(zip(arrays, types, strict=True)):
        wanted = np.dtype(dtype.as_numpy_dtype)
        if array.dtype != wanted:
            found, expected = (C_NAMES.get(d.name, d.name) for d in (array.dtype, wanted))
            raise errors.InvalidArgumentError(
                None, op, f"{index}-th value returned by {name} is {found}, but expects {expected}"
            )
    return arrays


def _py_func(inputs: list[np.ndarray], *, run: Any, token: str, Tout: Any) -> list[np.ndarray]:
    function = run.op.graph._py_funcs[token]
    returned = called(run.op, function, scalars_unwrapped(inputs))
    return checked_results(run.op, token, returned, Tout)


host("PyFunc", "input:[Tin] -> [Tout]", token="", shape="unknown", stateful=True)(_py_func)
host("PyFuncStateless", "input:[Tin] -> [Tout]", token="", shape="unknown")(_py_func)


class EagerArray(np.ndarray):
    """What a function of `tf.py_function` receives: an array with the method `numpy`."""

    def numpy(self) -> np.ndarray:
        return np.asarray(self)


@host("EagerPyFunc", "input:[Tin] -> [Tout]", token="", shape="unknown", stateful=True)
def _(inputs: list[np.ndarray], *, run: Any, token: str, Tout: Any) -> list[np.ndarray]:
    function = run.op.graph._py_funcs[token]
    returned = called(run.op, function, [array.view(EagerArray) for array in inputs])
    values = returned if isinstance(returned, (list, tuple)) else [returned]
    values = [] if returned is None else values
    cast = [np.asarray(v, t.as_numpy_dtype) for v, t in zip(values, Tout, strict=False)]
    return checked_results(run.op, token, cast, Tout)


# text of values


def element_text(value: Any, quoted: bool = False) -> str:
    """One element as TensorFlow prints it: the shortest digits that give the same number."""
    if isinstance(value, bytes):
        text = value.decode("utf-8", "backslashreplace")
        text = text.encode("unicode_escape").decode().replace('"', '\\"')
        return f'"{text}"' if quoted else text
    if isinstance(value, np.bool_):
        return str(int(value))
    if isinstance(value, (np.float16, np.float32)):
        return _shortest(np.float32(value), 6, 9)
    if isinstance(value, np.floating):
        return _shortest(value, 15, 17)
    return str(value)


def _shortest(value: Any, few: int, many: int) -> str:
    if not np.isfinite(value):
        return str(float(value))
    text = f"{float(value):.{few}g}"
    return text if type(value)(text) == value else f"{float(value):.{many}g}"


def summary(array: np.ndarray, limit: int) -> str:
    """The first `limit` elements (all if negative), each dim but the first in brackets."""
    array = np.asarray(array)
    limit = array.size if limit < 0 else min(limit, array.size)
    text = _nested(np.atleast_1d(array), limit)
    return text + "..." if array.size > limit else text


def _nested(array: np.ndarray, limit: int) -> str:
    if array.ndim == 1:
        return " ".join(element_text(value) for value in array[:limit])
    parts = []
    for row in array:
        if limit <= 0:
            break
        cut = "..." if row.ndim == 1 and row.size > limit else ""
        parts.append(f"[{_nested(row, limit)}{cut}]")
        limit -= row.size
    return "".join(parts)


def summary_of_ends(array: np.ndarray, ends: int, depth: int = 0, ndim: int | None = None) -> str:
    """Nested brackets with the first and last `ends` elements of each dim (all if negative)."""
    ndim = array.ndim if ndim is None else ndim
    if depth == ndim:
        return element_text(np.asarray(array)[()], quoted=True)
    length = len(array)
    ends = length if ends < 0 else ends
    shown = list(range(min(ends, length)))
    last = list(range(max(ends, length - ends), length))
    texts = [summary_of_ends(array[i, ...], ends, depth + 1, ndim) for i in shown]
    texts += ["..."] if length > 2 * ends else []
    texts += [summary_of_ends(array[i, ...], ends, depth + 1, ndim) for i in last]
    inner = depth == ndim - 1
    space = " " if inner else "\n" * (ndim - 1 - depth) + " " * (depth + 1)
    return f"[{space.join(texts)}]"


# printing


@host(
    "Print",
    "input:T data:[U] -> T",
    message="",
    first_n=-1,
    summarize=3,
    shape=lambda op: [op.inputs[0].shape],
    passthrough=True,
    stateful=True,
)
def _(
    input: Any, data: list[np.ndarray], *, run: Any, message: Any, first_n: int, summarize: int
) -> Any:
    if first_n >= 0:
        seen = run.session.resource((run.op, "printed"), count)
        if next(seen) >= first_n:
            return input
    text = message.decode() if isinstance(message, bytes) else message
    parts = "".join(f"[{summary(array, summarize)}]" for array in data)
    print(f"{text}{parts}", file=sys.stderr, flush=True)
    return input


@host(
    "StringFormat",
    "inputs:[T] -> string",
    template="%s",
    placeholder="%s",
    summarize=3,
    shape="scalar",
)
def _(inputs: list[np.ndarray], *, template: str, placeholder: str, summarize: int) -> Any:
    pieces = template.split(placeholder)
    text = pieces[0]
    for array, piece in zip(inputs, pieces[1:], strict=True):
        text += summary_of_ends(np.asarray(array), summarize) + piece
    return text.encode()


STREAMS = {"stdout": "stdout", "stderr": "stderr"}


@host("PrintV2", "input:string -> ", output_stream="stderr", end="\n", stateful=True)
def _(input: Any, *, output_stream: str, end: str) -> tuple[()]:
    text = bytes(np.asarray(input).item()).decode() + end
    if output_stream.startswith("file://"):
        with open(output_stream[len("file://") :], "a") as file:
            file.write(text)
    elif output_stream in STREAMS:
        print(text, end="", file=getattr(sys, STREAMS[output_stream]), flush=True)
    else:
        print(text, end="", file=sys.stderr, flush=True)
    return ()


# checks


@host("Assert", "condition:bool data:[T] -> ", summarize=3, stateful=True)
def _(condition: np.ndarray, data: list[np.ndarray], *, run: Any, summarize: int) -> tuple[()]:
    if not np.all(condition):
        parts = " ".join(f"[{summary(np.asarray(array), summarize)}]" for array in data)
        raise errors.InvalidArgumentError(None, run.op, f"assertion failed: {parts}")
    return ()


@host(
    "CheckNumerics",
    "tensor:T -> T",
    message=REQUIRED,
    shape="same",
    passthrough=True,
    stateful=True,
)
def _(tensor: np.ndarray, *, run: Any, message: str) -> np.ndarray:
    array = np.asarray(tensor)
    if not np.isfinite(array).all():
        names = ["Inf"] * bool(np.isinf(array).any()) + ["NaN"] * bool(np.isnan(array).any())
        text = f"{message} : Tensor had {' and '.join(names)} values"
        raise errors.InvalidArgumentError(None, run.op, text)
    return tensor


@host("Timestamp", " -> float64", shape="scalar", stateful=True)
def _() -> np.ndarray:
    return np.array(time.time())

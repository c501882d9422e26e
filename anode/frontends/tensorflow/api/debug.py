"""Printing and checking values while a graph runs: Print, print, Assert, check_numerics."""

from __future__ import annotations

import pprint
import sys
from typing import Any

from anode.frontends.tensorflow.core import Tensor
from anode.frontends.tensorflow.dtypes import float16, float32, float64
from anode.frontends.tensorflow.graph import (
    apply,
    control_dependencies,
    convert_to_tensor,
    get_default_graph,
    group,
    is_tensor_like,
    name_scope,
)
from anode.frontends.tensorflow.opdef import export


@export("Print")
def Print(
    input_: Any,
    data: Any,
    message: str | None = None,
    first_n: int | None = None,
    summarize: int | None = None,
    name: str | None = None,
) -> Tensor:
    """`input_` itself; when it is computed, `message` and the values of `data` are printed."""
    printed: Tensor = apply(
        "Print",
        input_,
        list(data),
        message=message or "",
        first_n=-1 if first_n is None else first_n,
        summarize=3 if summarize is None else summarize,
        name=name,
    )
    return printed


class _Placeholder:
    """Stands for a tensor in the text of a structure."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _with_placeholders(value: Any, tensors: list[Any], text: str) -> Any:
    if is_tensor_like(value):
        tensors.append(convert_to_tensor(value))
        return _Placeholder(text)
    if isinstance(value, dict):
        return {k: _with_placeholders(value[k], tensors, text) for k in value}
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return type(value)(_with_placeholders(item, tensors, text) for item in value)
    return value


def _stream(output_stream: Any) -> str:
    named = {id(sys.stdout): "stdout", id(sys.stderr): "stderr"}
    if id(output_stream) in named:
        return named[id(output_stream)]
    if isinstance(output_stream, str) and output_stream.startswith("file://"):
        return output_stream
    name = getattr(output_stream, "__name__", str(output_stream))
    levels = {"info", "warning", "error", "debug"}
    if callable(output_stream) and name in levels:
        return f"log({name})"
    raise ValueError(
        f"Unsupported output stream, logging level, or file.{output_stream}. Supported streams are "
        "sys.stdout, sys.stderr, tf.logging.info, tf.logging.warning, tf.logging.error. File needs "
        "to be in the form of 'file://<filepath>'."
    )


@export("print")
def print_(*inputs: Any, **kwargs: Any) -> Any:
    """The operation that prints the inputs, tensors or anything, to `output_stream` (stderr)."""
    stream = _stream(kwargs.pop("output_stream", sys.stderr))
    name, summarize = kwargs.pop("name", None), kwargs.pop("summarize", 3)
    sep, end = kwargs.pop("sep", " "), kwargs.pop("end", "\n")
    if kwargs:
        raise ValueError(f"Unrecognized keyword arguments for tf.print: {kwargs}")
    texts = [text for text in inputs if isinstance(text, str)]
    mark = next(m for m in ("{}", *(f"{{{i}}}" for i in range(99))) if not _within(m, texts))
    tensors: list[Any] = []
    parts = []
    for value in inputs:
        marked = _with_placeholders(value, tensors, mark)
        parts.append(marked if isinstance(marked, str) else pprint.pformat(marked))
    text = apply(
        "StringFormat",
        tensors,
        template=sep.join(parts),
        placeholder=mark,
        summarize=3 if summarize is None else summarize,
    )
    return apply("PrintV2", text, output_stream=stream, end=end, name=name)


def _within(mark: str, texts: list[str]) -> bool:
    return any(mark in text for text in texts)


@export("Assert", "python.ops.control_flow_ops.Assert")
def Assert(condition: Any, data: Any, summarize: int | None = None, name: str | None = None) -> Any:
    """The operation that raises InvalidArgumentError, with values of `data`, unless it holds."""
    with name_scope(name, "Assert", [condition, data]):
        return apply(
            "Assert",
            condition,
            [convert_to_tensor(item) for item in data],
            summarize=3 if summarize is None else summarize,
            name="Assert",
        )


@export("check_numerics", "debugging.check_numerics")
def check_numerics(tensor: Any, message: str, name: str | None = None) -> Any:
    """The tensor itself; InvalidArgumentError if one of its values is infinite or not a number."""
    return apply("CheckNumerics", tensor, message=message, name=name)


@export("verify_tensor_all_finite", "debugging.assert_all_finite")
def verify_tensor_all_finite(
    t: Any = None,
    msg: str | None = None,
    name: str | None = None,
    x: Any = None,
    message: Any = None,
) -> Any:
    """The tensor itself, after a check that all values are finite."""
    tensor, text = (x if t is None else t), (message if msg is None else msg)
    with name_scope(name, "VerifyFinite", [tensor]):
        value = convert_to_tensor(tensor, name="t")
        with control_dependencies([check_numerics(value, message=text or "")]):
            return apply("Identity", value, name="control_dependency")


@export("add_check_numerics_ops")
def add_check_numerics_ops() -> Any:
    """The operation that checks every floating-point tensor of the graph made so far."""
    checks: list[Any] = []
    for op in get_default_graph().get_operations():
        for output in op.outputs:
            if output.dtype in (float16, float32, float64):
                if op._context is not None:
                    raise ValueError(
                        "`tf.add_check_numerics_ops() is not compatible with TensorFlow control "
                        "flow operations such as `tf.cond()` or `tf.while_loop()."
                    )
                with control_dependencies(checks[-1:]):
                    checks.append(check_numerics(output, f"{op.name}:{output.value_index}").op)
    return group(*checks)


@export("timestamp")
def timestamp(name: str | None = None) -> Any:
    """The seconds since the epoch when it is computed, a float64 scalar."""
    return apply("Timestamp", name=name)

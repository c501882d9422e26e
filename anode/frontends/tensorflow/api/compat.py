"""`tf.compat`: bytes and text; and the switches between TensorFlow's modes of execution."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from numbers import Complex, Integral, Real
from typing import Any

import numpy as np

from anode.errors import UnsupportedOp
from anode.frontends.tensorflow.opdef import export, export_values

bytes_or_text_types = (bytes, str)
integral_types = (Integral, np.integer)
real_types = (Real, np.integer, np.floating)
complex_types = (Complex, np.number)
_TYPES = ("bytes_or_text_types", "integral_types", "real_types", "complex_types")
export_values(__name__, {f"compat.{name}": name for name in _TYPES})


@export("compat.as_bytes")
def as_bytes(bytes_or_text: Any, encoding: str = "utf-8") -> bytes:
    """Bytes as they are, text encoded; TypeError for other things."""
    if isinstance(bytes_or_text, str):
        return bytes_or_text.encode(encoding)
    if isinstance(bytes_or_text, (bytes, bytearray)):
        return bytes(bytes_or_text)
    raise TypeError(f"Expected binary or unicode string, got {bytes_or_text!r}")


@export("compat.as_text", "compat.as_str")
def as_text(bytes_or_text: Any, encoding: str = "utf-8") -> str:
    """Text as it is, bytes decoded; TypeError for other things."""
    if isinstance(bytes_or_text, str):
        return bytes_or_text
    if isinstance(bytes_or_text, bytes):
        return bytes_or_text.decode(encoding)
    raise TypeError(f"Expected binary or unicode string, got {bytes_or_text!r}")


@export("compat.as_str_any")
def as_str_any(value: Any) -> str:
    """Bytes decoded, anything else as `str` gives it."""
    return as_text(value) if isinstance(value, bytes) else str(value)


@export("compat.path_to_str")
def path_to_str(path: Any) -> Any:
    return as_str_any(os.fspath(path)) if hasattr(path, "__fspath__") else path


@export("compat.forward_compatible")
def forward_compatible(year: int, month: int, day: int) -> bool:
    """Whether programs may use what TensorFlow had on a day: 1.15's is 2019-10-16."""
    return date(2019, 10, 16) > date(year, month, day)


@export("compat.forward_compatibility_horizon")
@contextmanager
def forward_compatibility_horizon(year: int, month: int, day: int) -> Iterator[None]:
    """Graphs made here are run by this same program, so no day is too early."""
    yield


@export("executing_eagerly", "python.eager.context.executing_eagerly")
@export("contrib.eager.executing_eagerly", "contrib.eager.in_eager_mode")
@export("python.eager.context.in_eager_mode")
def executing_eagerly() -> bool:
    """Whether ops run when they are called; here they always make a graph."""
    return False


@export("python.eager.context.in_graph_mode")
def in_graph_mode() -> bool:
    return True


@export("enable_eager_execution", "contrib.eager.enable_eager_execution")
def enable_eager_execution(
    config: Any = None, device_policy: Any = None, execution_mode: Any = None
) -> None:
    """UnsupportedOp: anode compiles graphs."""
    raise UnsupportedOp(
        "tf.enable_eager_execution is not implemented by anode: it compiles graphs, which scripts "
        "build and run with tf.Session"
    )


@export("disable_eager_execution")
def disable_eager_execution() -> None:
    """Eager execution is never on."""


@export("enable_v2_behavior")
def enable_v2_behavior() -> None:
    """UnsupportedOp: anode has TensorFlow 1's behaviour."""
    raise UnsupportedOp("tf.enable_v2_behavior is not implemented by anode: it serves 1.15's")


@export("disable_v2_behavior", "disable_v2_tensorshape", "disable_tensor_equality")
@export("disable_control_flow_v2")
def disable_v2_behavior() -> None:
    """TensorFlow 1's behaviour is the one that anode has."""


@export("python.tf2.enabled")
def enabled() -> bool:
    """Whether TensorFlow 2's behaviour is on."""
    return False

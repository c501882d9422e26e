"""`tf.raw_ops` and the functions of `tensorflow.python.ops.gen_…`: one for each op of the table."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from inspect import Parameter, Signature
from typing import Any

from anode.frontends.tensorflow.graph import apply
from anode.frontends.tensorflow.opdef import REQUIRED, OpDef, find

_RENAMED = {"reduction_indices": "axis"}  # inputs whose Python name is not the op's


@cache
def raw_op(type: str) -> Callable[..., Any]:
    """The function that makes an op of a type; UnsupportedOp where there is no such type."""
    definition = find(type)
    signature = _signature(definition)

    def call(*args: Any, **kwargs: Any) -> Any:
        named = {_RENAMED.get(name, name): value for name, value in kwargs.items()}
        bound = signature.bind(*args, **named)
        bound.apply_defaults()
        given = bound.arguments
        inputs = [given.pop(name) for name in _inputs(definition)]
        return apply(type, *inputs, **given)

    call.__name__ = call.__qualname__ = type
    call.__doc__ = f"An op of the type {type}."
    call.__signature__ = signature  # type: ignore[attr-defined]
    call.__renamed__ = tuple(_RENAMED)  # type: ignore[attr-defined]
    return call


def _inputs(definition: OpDef) -> list[str]:
    return [_RENAMED.get(arg.name, arg.name) for arg in definition.inputs]


def _signature(definition: OpDef) -> Signature:
    """The inputs, the attributes that must be given, those with defaults, and the name."""
    inputs = _inputs(definition)
    inferred = {arg.type for arg in definition.inputs} | {arg.count for arg in definition.inputs}
    types = [arg.type for arg in definition.outputs if isinstance(arg.type, str)]
    needed = [name for name in types if name not in inferred and name not in definition.attrs]
    defaults = {name: value for name, value in definition.attrs.items() if name not in inferred}
    needed += [name for name, value in defaults.items() if value is REQUIRED]
    optional = {name: value for name, value in defaults.items() if value is not REQUIRED}
    kind = Parameter.POSITIONAL_OR_KEYWORD
    return Signature(
        [
            *(Parameter(name, kind) for name in dict.fromkeys([*inputs, *needed])),
            *(Parameter(name, kind, default=value) for name, value in optional.items()),
            Parameter("name", kind, default=None),
        ]
    )


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return raw_op(name)

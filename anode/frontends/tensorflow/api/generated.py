"""Public functions that are one op each: their parameters are its inputs and attributes."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable
from typing import Any

from anode.frontends.tensorflow import dtypes
from anode.frontends.tensorflow.graph import apply
from anode.frontends.tensorflow.opdef import EXPORTS, find

_PARAMETER = re.compile(r"(\w+)(?:=(\S+))?")


def generated(module: str, type: str, parameters: str, *paths: str) -> Callable[..., Any]:
    """The function of `parameters` ("input multiples name=None") that makes the op `type`.

    It is served at `paths`, and must be an attribute of `module` by the last word of the first one.
    A default is a Python literal or the name of an element type.
    """
    signature = inspect.Signature([_parameter(text) for text in parameters.split()])

    def call(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        given = bound.arguments
        inputs = [given.pop(arg.name) for arg in find(type).inputs]
        return apply(type, *inputs, **given)

    call.__name__ = call.__qualname__ = paths[0].rpartition(".")[2]
    call.__module__, call.__doc__ = module, f"The op {type} of `{parameters}`."
    call.__signature__ = signature  # type: ignore[attr-defined]
    for path in paths:
        EXPORTS[path] = f"{module}:{call.__name__}"
    return call


def define(module: str, table: dict[str, str]) -> dict[str, Callable[..., Any]]:
    """The functions of a table from op types to "parameters | paths", by their names."""
    made = []
    for type, text in table.items():
        parameters, _, paths = text.partition("|")
        made.append(generated(module, type, f"{parameters} name=None", *paths.split()))
    return {function.__name__: function for function in made}


def _parameter(text: str) -> inspect.Parameter:
    match = _PARAMETER.fullmatch(text)
    assert match is not None, text
    name, default = match.groups()
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    if default is None:
        return inspect.Parameter(name, kind)
    return inspect.Parameter(name, kind, default=_default(default))


def _default(text: str) -> Any:
    found = dtypes.DTYPES.get(text)
    return ast.literal_eval(text) if found is None else found

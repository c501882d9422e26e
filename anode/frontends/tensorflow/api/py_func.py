"""`tf.py_func`: a Python function of NumPy arrays as an operation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from anode.frontends.tensorflow.dtypes import as_dtype
from anode.frontends.tensorflow.graph import (
    convert_to_tensor,
    create,
    get_default_graph,
    name_scope,
)
from anode.frontends.tensorflow.opdef import export, find


def register(function: Callable[..., Any]) -> str:
    """The token by which operations of the default graph know the function."""
    functions = get_default_graph().__dict__.setdefault("_py_funcs", {})
    token = f"pyfunc_{len(functions)}"
    functions[token] = function
    return token


def _created(type: str, function: Any, inp: Any, Tout: Any, name: str | None) -> Any:
    if not callable(function):
        raise ValueError(f"Expected func to be callable, got func of type {function!r}")
    listed = isinstance(Tout, (list, tuple))
    types = [as_dtype(t) for t in (Tout if listed else [Tout])]
    inp = inp if isinstance(inp, (list, tuple)) else [inp]
    with name_scope(name, type, list(inp)) as scope:
        tensors = [convert_to_tensor(t, name=f"input_{i}") for i, t in enumerate(inp)]
    attrs = {
        "token": register(function),
        "Tin": [tensor.dtype.base_dtype for tensor in tensors],
        "Tout": types,
    }
    op = create(find(type), tensors, attrs, scope, types)
    if not types:
        return op
    return list(op.outputs) if listed else op.outputs[0]


@export("py_func")
def py_func(
    func: Callable[..., Any], inp: Any, Tout: Any, stateful: bool = True, name: str | None = None
) -> Any:
    """The tensors, of types `Tout`, that `func` returns for the values of the tensors `inp`.

    `func` must return just these types: a Python float is a float64.
    """
    return _created("PyFunc" if stateful else "PyFuncStateless", func, inp, Tout, name)


@export("numpy_function")
def numpy_function(func: Callable[..., Any], inp: Any, Tout: Any, name: str | None = None) -> Any:
    """`py_func` under its later name."""
    return py_func(func, inp, Tout, name=name)


@export("py_function", "contrib.eager.py_func")
def py_function(func: Callable[..., Any], inp: Any, Tout: Any, name: str | None = None) -> Any:
    """The tensors that `func` returns for arrays with a method `numpy`; they are cast to `Tout`."""
    return _created("EagerPyFunc", func, inp, Tout, name)

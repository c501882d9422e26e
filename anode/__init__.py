"""anode, a small deep-learning compiler: a whole training step becomes one native function."""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_MODULES = ("compat", "data", "errors", "export", "layers", "ops")  # imported on first use
_NAMES = {  # the module, and the name there where it is another one
    "AnodeError": "anode.errors",
    "BackendError": "anode.errors",
    "CheckpointError": "anode.errors",
    "DataError": "anode.errors",
    "Executable": "anode.runtime.executable",
    "Graph": "anode.ir.graph",
    "GraphError": "anode.errors",
    "ShapeError": "anode.errors",
    "State": "anode.runtime.state",
    "UnsupportedOp": "anode.errors",
    "Variable": "anode.ir.variable",
    "compile": "anode.runtime.executable",
    "draw": "anode.inspect.diagram",
    "explain": "anode.inspect.explain",
    "grad": "anode.transform.grad",
    "gradients": "anode.transform.grad",
    "graph": "anode.ir.graph:trace",
    "load": "anode.export.archives",
    "read": "anode.ir.node",
    "tensor": "anode.ir.types",
    "trace": "anode.rewrite.trace:tracing",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"anode.{name}")
    if name in _NAMES:
        import_module("anode.ops")  # the operators of nodes call ops by name
        module, _, attribute = _NAMES[name].partition(":")
        return getattr(import_module(module), attribute or name)
    raise AttributeError(f"module 'anode' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*_MODULES, *_NAMES, "__version__"])

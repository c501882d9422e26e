"""`import ngraph as ng`: tensors with named axes, compiled by anode."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from typing import Any

from anode.frontends.ngraph.op_graph import op_graph as _op_graph
from anode.frontends.ngraph.op_graph.batchnorm import batchnorminference, batchnormtrain
from anode.frontends.ngraph.op_graph.convolution import convolution, deconvolution
from anode.frontends.ngraph.op_graph.ctc import ctc
from anode.frontends.ngraph.op_graph.debug import PrintOp
from anode.frontends.ngraph.op_graph.lookuptable import lookuptable
from anode.frontends.ngraph.op_graph.pooling import pooling
from anode.frontends.ngraph.op_graph.relu import relu

_MODULES = ("frontends", "op_graph", "testing", "transformers", "util")  # imported on first use
_names = _op_graph.public()
globals().update(_names)

__all__ = [
    "PrintOp",
    "batchnorminference",
    "batchnormtrain",
    "convolution",
    "ctc",
    "deconvolution",
    "lookuptable",
    "pooling",
    "relu",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    near = get_close_matches(name, __dir__(), 1, 0.75)
    hint = f"; nearest: ng.{near[0]}" if near else ""
    raise AttributeError(f"ngraph has no {name!r}{hint}")


def __dir__() -> list[str]:
    return sorted({*_names, *__all__, *_MODULES})


globals()["__all__"] = [*_names, *__all__]  # what `from ngraph import *` gives

"""A placeholder for images, and the name of a function or of a callable's class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from anode.frontends import ngraph as ng
from anode.frontends.ngraph.frontends.neon.axis import ax


def make_convolution_placeholder(shape: Sequence[int] | None = None) -> Any:
    """A placeholder with the axes C, D, H, W, N, of the lengths `shape` where that is given."""
    names = {"C": "Channel", "D": "Depth", "H": "Height", "W": "Width"}
    axes = [ng.make_axis(name=name, docstring=text) for name, text in names.items()]
    x = ng.placeholder(axes=ng.make_axes([*axes, ax.N]))
    if shape is not None:
        x.axes.set_shape(shape)
    return x


def get_function_or_class_name(obj: Any) -> str | None:
    """The name of a function or class, or of the class of a callable object."""
    if hasattr(obj, "__name__"):
        return str(obj.__name__)
    return type(obj).__name__ if callable(obj) else None

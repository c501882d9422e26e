"""`ngraph.op_graph.axes`: axes and the descriptions of tensors that have them."""

from anode.frontends.ngraph.op_graph.axis import (
    Axes,
    AxesMap,
    Axis,
    DuplicateAxisNames,
    FlattenedAxis,
    IncompatibleAxesError,
    UnmatchedAxesError,
    default_dtype,
    default_int_dtype,
    duplicates,
    make_axes,
    make_axis,
    slice_axis,
)
from anode.frontends.ngraph.op_graph.tensor_description import TensorDescription

__all__ = [
    "Axes",
    "AxesMap",
    "Axis",
    "DuplicateAxisNames",
    "FlattenedAxis",
    "IncompatibleAxesError",
    "TensorDescription",
    "UnmatchedAxesError",
    "default_dtype",
    "default_int_dtype",
    "duplicates",
    "make_axes",
    "make_axis",
    "slice_axis",
]

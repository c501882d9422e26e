"""The axes that neon's models share, shadow axes, and the order of the axes of images."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from anode.frontends import ngraph as ng
from anode.frontends.ngraph.op_graph.axes import Axis, IncompatibleAxesError

_SHADOW_AXIS_POSTFIX = "__NG_SHADOW"


class Namespace:
    """Axes by their names: N is the batch, REC time, Y the target. Lengths are set late."""

    def __init__(self) -> None:
        self.N = ng.make_axis(name="N", docstring="minibatch size")
        self.REC = ng.make_axis(name="REC", docstring="recurrent axis")
        self.Y = ng.make_axis(name="Y", docstring="target")


ax: Any = Namespace()  # a script sets lengths, and adds axes of its own


def shadow_axes_map(axes: Iterable[Axis]) -> dict[Axis, Axis]:
    """Shadow axis -> axis: names that keep a result's axes apart from equal ones of its input."""
    return {make_shadow_axis(axis): axis for axis in axes}


def make_shadow_axis(axis: Axis) -> Axis:
    """An axis of the same length whose name matches no other."""
    return ng.make_axis(axis.length, name=axis.name + _SHADOW_AXIS_POSTFIX)


def is_shadow_axis(axis: Axis) -> bool:
    """Whether `make_shadow_axis` made the axis."""
    return bool(axis.name.endswith(_SHADOW_AXIS_POSTFIX))


def assert_no_shadow_axes(axes: Iterable[Axis], variable_name: str = "axes") -> None:
    """Raise ValueError where one of `axes` is a shadow axis."""
    shadows = [axis for axis in axes if is_shadow_axis(axis)]
    if shadows:
        raise ValueError(f"shadow axes are not allowed in {variable_name}; there are {shadows}")


def reorder_spatial_axes(
    tensor: Any, channel_axis: Axis | str, spatial_axes: Iterable[Axis | str]
) -> Any:
    """`tensor` with the axes channel, depth, height, width, batch; missing ones get length 1.

    Raises IncompatibleAxesError without a batch axis, without any spatial axis, with others.
    """
    spatial = list(spatial_axes)
    _check_spatial(tensor, spatial)
    tensor, channel = _with_axis(tensor, channel_axis)
    found = []
    for name in spatial:
        tensor, axis = _with_axis(tensor, name)
        found.append(axis)
    order = ng.make_axes([channel, *found, tensor.axes.batch_axis()])
    if tensor.axes.is_not_equal_set(order):
        extra = [axis for axis in tensor.axes if axis not in order]
        raise IncompatibleAxesError(f"these axes have no place in an image: {extra}")
    return ng.axes_with_order(tensor, order)


def _check_spatial(tensor: Any, spatial: list[Axis | str]) -> None:
    axes = tensor.axes
    if len(axes) > 5:
        raise IncompatibleAxesError(f"spatial ops take at most 5 axes; there are {len(axes)}")
    if axes.batch_axis() is None:
        raise IncompatibleAxesError(f"spatial ops need a batch axis; there is none in {axes}")
    if not any(_name(axis) in axes.names for axis in spatial):
        raise IncompatibleAxesError(
            f"spatial ops need one of the axes {[_name(axis) for axis in spatial]}; there is none"
            f" in {axes}"
        )


def _name(axis: Axis | str) -> str:
    return axis if isinstance(axis, str) else axis.name


def _with_axis(tensor: Any, axis: Axis | str) -> tuple[Any, Axis]:
    """The tensor, with the axis at its front where it had none, and the axis it has."""
    present = tensor.axes.find_by_name(_name(axis))
    if present:
        return tensor, present[0]
    new: Axis = ng.make_axis(name=axis) if isinstance(axis, str) else axis
    if new.length is not None and new.length > 1:
        raise IncompatibleAxesError(
            f"a missing axis gets length 1, and {new.name} has length {new.length}"
        )
    new.length = 1
    return ng.expand_dims(tensor, new, 0), new

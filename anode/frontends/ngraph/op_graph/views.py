"""Views: the same elements with other axes, a part of them, and tensors put together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from anode import ops
from anode.frontends.ngraph.op_graph.axis import Axes, AxesMap, Axis, FlattenedAxis, slice_axis
from anode.frontends.ngraph.op_graph.lowering import (
    AxisLengthError,
    arranged,
    check_lengths,
    described,
)
from anode.frontends.ngraph.op_graph.op import TensorOp, as_op, as_ops
from anode.frontends.ngraph.op_graph.tensor_description import TensorDescription
from anode.frontends.ngraph.util.ordered import OrderedSet
from anode.ir.node import Node, constant

if TYPE_CHECKING:
    from anode.frontends.ngraph.op_graph.lowering import Lowering


class IndexOp(TensorOp):
    """A view of a tensor, to which one can assign if it can be turned back (`put`)."""

    is_device_op = False

    def __init__(self, x: Any, **kwargs: Any) -> None:
        x = as_op(x)
        super().__init__(args=(x,), dtype=x.dtype, **kwargs)

    def transform_tensor_description(self, description: TensorDescription) -> TensorDescription:
        """The description of this view from the operand's."""
        raise NotImplementedError(type(self).__name__)

    def tensor_description(self) -> TensorDescription:
        description = self.args[0].tensor_description()
        view: TensorDescription = self.transform_tensor_description(description).named(self.name)
        return view

    def put(self, graph: Lowering, base: Node, value: Node) -> Node:
        """What `base`, the operand's value, becomes when this view of it gets `value`."""
        raise ValueError(f"nothing can be assigned to the {type(self).__name__} {self.name}")

    @property
    def is_scalar(self) -> bool:
        return bool(self.args[0].is_scalar)

    @property
    def scalar_op(self) -> Any:
        return self.args[0].scalar_op

    @property
    def is_constant(self) -> bool:  # type: ignore[override]
        return bool(self.args[0].is_constant)

    @property
    def const(self) -> Any:
        return self.args[0].const

    @property
    def states_read(self) -> OrderedSet:
        states: OrderedSet = self.args[0].states_read
        return states


class Transpose(IndexOp):
    """The axes in reverse."""

    def __init__(self, x: Any, **kwargs: Any) -> None:
        super().__init__(x, axes=list(x.axes)[::-1], **kwargs)

    def transform_tensor_description(self, description: TensorDescription) -> TensorDescription:
        return description.transpose()

    def lower(self, graph: Lowering, *args: Node) -> Node:
        return arranged(args[0], self.args[0].axes, self.axes, ())

    def put(self, graph: Lowering, base: Node, value: Node) -> Node:
        return arranged(value, self.axes, self.args[0].axes, ())


class ReorderAxes(Transpose):
    """The same axes in another order."""

    def __init__(self, x: Any, axes: Any, **kwargs: Any) -> None:
        axes = Axes(axes)
        if not x.axes.is_equal_set(axes):
            raise ValueError(f"{described(x)}: {x.axes} and {axes} are not the same set of axes")
        IndexOp.__init__(self, x, axes=axes, **kwargs)

    def transform_tensor_description(self, description: TensorDescription) -> TensorDescription:
        return description.reorder(self.axes)


class AxesCastOp(IndexOp):
    """Other axes of the same lengths."""

    def __init__(self, x: Any, axes: Any, **kwargs: Any) -> None:
        axes = Axes(axes)
        self._check(x, axes)
        super().__init__(x, axes=axes, **kwargs)

    def _check(self, x: Any, axes: Axes) -> None:
        if not x.is_scalar and x.axes.lengths != axes.lengths:
            raise ValueError(f"{described(x)} has the axes {x.axes}, not of the lengths of {axes}")

    def transform_tensor_description(self, description: TensorDescription) -> TensorDescription:
        return description.cast(self.axes)

    def lower(self, graph: Lowering, *args: Node) -> Node:
        shape = graph.shape(self.axes)
        return args[0] if args[0].shape == shape else ops.broadcast_to(args[0], shape)

    def put(self, graph: Lowering, base: Node, value: Node) -> Node:
        return value


class RoleCastOp(AxesCastOp):
    """Other names for all axes."""

    def __init__(self, x: Any, axes: Any, **kwargs: Any) -> None:
        axes = Axes(axes)
        if len(x.axes) != len(axes):
            raise ValueError(f"{described(x)} has {len(x.axes)} axes, not {len(axes)} as {axes}")
        pairs = zip(x.axes, axes, strict=True)
        renamed = [old if old == new else Axis(old.length, new.name) for old, new in pairs]
        super().__init__(x, renamed, **kwargs)


class MapRolesOp(AxesCastOp):
    """Other names for some axes."""

    def __init__(self, x: Any, axes_map: Any, **kwargs: Any) -> None:
        if "axes" in kwargs:
            raise ValueError("MapRolesOp finds its axes by itself")
        self.axes_map = AxesMap(axes_map)
        super().__init__(x, self.axes_map.map_axes(x.axes), **kwargs)


class BroadcastOp(IndexOp):
    """More axes, along which the elements repeat."""

    def __init__(self, x: Any, axes: Any, **kwargs: Any) -> None:
        axes = Axes(axes)
        Axes.assert_valid_broadcast(x.axes, axes)
        super().__init__(x, axes=axes, **kwargs)
        check_lengths("broadcast", x, self)

    def transform_tensor_description(self, description: TensorDescription) -> TensorDescription:
        return description.broadcast(self.axes)

    def lower(self, graph: Lowering, *args: Node) -> Node:
        return arranged(args[0], self.args[0].axes, self.axes, graph.shape(self.axes))

    def put(self, graph: Lowering, base: Node, value: Node) -> Node:
        if len(self.axes) > len(self.args[0].axes):
            return super().put(graph, base, value)
        return arranged(value, self.axes, self.args[0].axes, ())


class ExpandDims(BroadcastOp):
    """One more axis at position `dim`."""

    def __init__(self, x: Any, axis: Axis, dim: int, **kwargs: Any) -> None:
        self.axis, self.dim = axis, dim
        super().__init__(x, [*x.axes[:dim], axis, *x.axes[dim:]], **kwargs)


class TensorSliceOp(IndexOp):
    """A part of a tensor: for each axis a slice with a positive step, or an index."""

    def __init__(self, x: Any, slices: Iterable[Any], axes: Any = None, **kwargs: Any) -> None:
        self.slices = tuple(slices)
        if len(self.slices) != len(x.axes):
            raise ValueError(f"{described(x)} has {len(x.axes)} axes, not {len(self.slices)}")
        for part in self.slices:
            if isinstance(part, slice) and part.step is not None and part.step < 0:
                raise ValueError(f"{described(x)}: {part} has a negative step")
        if axes is None:
            axes = self._sliced(x.axes)
        super().__init__(x, axes=axes, **kwargs)
        if len(self.axes) != sum(isinstance(part, slice) for part in self.slices):
            raise ValueError(f"{described(x)}[{self.slices}] does not have the axes {self.axes}")

    def _sliced(self, axes: Axes) -> list[Axis]:
        kept = [(a, s) for a, s in zip(axes, self.slices, strict=True) if isinstance(s, slice)]
        return [axis if s == slice(None) else slice_axis(axis, s) for axis, s in kept]

    def transform_tensor_description(self, description: TensorDescription) -> TensorDescription:
        return description.slice(self.slices, self.axes)

    def lower(self, graph: Lowering, *args: Node) -> Node:
        found = args[0][self._key()]
        if found.shape != graph.shape(self.axes):
            raise AxisLengthError(
                f"{self.name} has the shape {found.shape}, which are not the lengths of "
                f"{self.axes} ({self.origin})"
            )
        return found

    def _key(self) -> tuple[Any, ...]:
        return tuple([s if isinstance(s, slice) else int(s) for s in self.slices])

    def put(self, graph: Lowering, base: Node, value: Node) -> Node:
        starts, shape = [], []
        for part, length in zip(self.slices, base.shape, strict=True):
            if isinstance(part, slice):
                start, stop, step = part.indices(int(length))
                if step != 1:
                    raise ValueError(f"{self.name}: only slices of step 1 can be assigned to")
                shape.append(max(stop - start, 0))
            else:
                start = int(part) % int(length)
                shape.append(1)
            starts.append(constant(start, "i32"))
        return ops.dynamic_update_slice(base, ops.reshape(value, shape=tuple(shape)), *starts)


class Flatten(IndexOp):
    """Neighbouring axes as one."""

    def __init__(self, x: Any, axes: Any, **kwargs: Any) -> None:
        axes = Axes(axes)
        if None not in (*x.axes.lengths, *axes.lengths) and x.axes.size != axes.size:
            raise ValueError(f"{described(x)} with the axes {x.axes} does not fill {axes}")
        super().__init__(x, axes=axes, **kwargs)

    def transform_tensor_description(self, description: TensorDescription) -> TensorDescription:
        return description.flatten(self.axes)

    def lower(self, graph: Lowering, *args: Node) -> Node:
        return ops.reshape(args[0], shape=graph.shape(self.axes))

    def put(self, graph: Lowering, base: Node, value: Node) -> Node:
        return ops.reshape(value, shape=base.shape)


class Unflatten(Flatten):
    """Flattened axes as what they were made of."""

    def __init__(self, x: Any, axes: Any = None, **kwargs: Any) -> None:
        axes = _taken_apart(x.axes) if axes is None else Axes(axes)
        Axes.assert_valid_unflatten(x.axes, axes)
        super().__init__(x, axes, **kwargs)

    def transform_tensor_description(self, description: TensorDescription) -> TensorDescription:
        return description.unflatten(self.axes)


class ContiguousOp(TensorOp):
    """The same tensor; its elements lie in order anyway."""

    def __init__(self, x: Any, **kwargs: Any) -> None:
        x = as_op(x)
        super().__init__(args=(x,), axes=x.axes, dtype=x.dtype, **kwargs)

    @property
    def old_axis_positions(self) -> tuple[int, ...]:
        return tuple(range(len(self.axes)))

    def lower(self, graph: Lowering, *args: Node) -> Node:
        return args[0]


class StackOp(TensorOp):
    """Tensors with the same axes along a new one, at position `pos`."""

    def __init__(self, x_list: Sequence[Any], axis: Axis, pos: int = 0, **kwargs: Any) -> None:
        self.x_list, self.pos = as_ops(x_list), pos
        if axis.length != len(self.x_list):
            raise ValueError(f"{len(self.x_list)} tensors do not fill the axis {axis}")
        first = self.x_list[0].axes
        for x in self.x_list:
            if not x.axes.is_equal_set(first):
                raise ValueError(f"tensors with the axes {first} and {x.axes} cannot be stacked")
        check_lengths("stack", *self.x_list)
        axes = Axes([*first[:pos], axis, *first[pos:]])
        super().__init__(args=self.x_list, axes=axes, dtype=self.x_list[0].dtype, **kwargs)

    def lower(self, graph: Lowering, *args: Node) -> Node:
        axes, pairs = self.x_list[0].axes, zip(args, self.x_list, strict=True)
        return ops.stack([arranged(node, x.axes, axes, ()) for node, x in pairs], self.pos)


class ConcatOp(TensorOp):
    """Tensors one after another along an axis, which may have another length in each."""

    def __init__(self, x_list: Sequence[Any], axis_list: Sequence[Axis], **kwargs: Any) -> None:
        self.x_list, self.axis_list = as_ops(x_list), list(axis_list)
        first, along = self.x_list[0].axes, self.axis_list[0]
        common = first - along
        for i, (x, axis) in enumerate(zip(self.x_list, self.axis_list, strict=True)):
            if len(x.axes - common) > 1 or len(x.axes) != len(first):
                raise RuntimeError(f"tensor {i} has other axes, {x.axes}, than {first}")
            if axis.length is None:
                raise RuntimeError(f"tensor {i} has no length along {axis.name}")
        self.pos = first.index(along)
        length = sum(axis.length for axis in self.axis_list)
        axes = Axes([*first[: self.pos], Axis(length, along.name), *first[self.pos + 1 :]])
        super().__init__(args=self.x_list, axes=axes, dtype=self.x_list[0].dtype, **kwargs)

    def lower(self, graph: Lowering, *args: Node) -> Node:
        parts = []
        for node, x, axis in zip(args, self.x_list, self.axis_list, strict=True):
            order = [*self.axes[: self.pos], axis, *self.axes[self.pos + 1 :]]
            parts.append(arranged(node, x.axes, Axes(order), ()))
        return ops.concatenate(*parts, axis=self.pos)


class ReplaceSliceOp(TensorOp):
    """A tensor with a value in place of a part of it."""

    def __init__(
        self, x: Any, slices: Iterable[Any], value: Any, axes: Any, dtype: Any = None, **kwargs: Any
    ) -> None:
        x, value = as_ops((x, value))
        self.part = TensorSliceOp(x, slices, value.axes)
        super().__init__(args=(x, value), axes=axes, dtype=dtype or x.dtype, **kwargs)

    def lower(self, graph: Lowering, *args: Node) -> Node:
        return self.part.put(graph, *args)


class PadOp(TensorOp):
    """Zeros before and after the elements of each axis."""

    def __init__(
        self, x: Any, paddings: Sequence[tuple[int, int]], axes: Any, **kwargs: Any
    ) -> None:
        self.paddings = tuple(paddings)
        super().__init__(args=(x,), axes=axes, dtype=x.dtype, **kwargs)

    def lower(self, graph: Lowering, *args: Node) -> Node:
        low, high = zip(*self.paddings, strict=True) if self.paddings else ((), ())
        return ops.pad(args[0], constant(0, args[0].dtype), low=low, high=high)


def cast_axes(tensor: Any, axes: Any) -> Any:
    """The tensor with other axes of the same lengths."""
    axes = Axes(axes)
    if tensor.axes.lengths != axes.lengths:
        raise ValueError(
            f"{described(tensor)} has the axes {tensor.axes}, not of the lengths of {axes}"
        )
    return AxesCastOp(tensor, axes) if len(axes) else tensor


def map_roles(tensor: Any, axes_map: Any) -> MapRolesOp:
    """The tensor with axes renamed as a dict from old names to new ones says."""
    return MapRolesOp(tensor, axes_map)


def cast_role(tensor: Any, axes: Any) -> RoleCastOp:
    """The tensor with the names of other axes."""
    return RoleCastOp(tensor, axes)


def expand_dims(x: Any, axis: Axis, dim: int) -> Any:
    """The tensor with one more axis at position `dim`, unless it has it."""
    return x if axis in x.axes else ExpandDims(x, axis, dim)


def broadcast(x: Any, axes: Any) -> Any:
    """The tensor repeated along axes that it lacks."""
    axes = Axes(axes)
    if x.axes == axes and x.axes.lengths == axes.lengths:
        return x
    return BroadcastOp(x, axes)


def axes_with_order(x: Any, axes: Any) -> Any:
    """The tensor with its axes in this order."""
    axes = Axes(axes)
    return x if x.axes == axes else ReorderAxes(x, axes)


def tensor_slice(x: Any, slices: Iterable[Any], axes: Any = None) -> TensorSliceOp:
    """A part of a tensor: a slice or an index for each axis; `axes` name the result's."""
    return TensorSliceOp(x, slices, axes)


def slice_along_axis(x: Any, axis: Axis, idx: Any) -> TensorSliceOp:
    """The part of a tensor at an index, or in a slice, of one axis."""
    at = x.axes.index(axis)
    key = [idx if i == at else slice(None) for i in range(len(x.axes))]
    return tensor_slice(x, key, None if isinstance(idx, slice) else x.axes - axis)


def flatten(x: Any, axes: Any = None, **kwargs: Any) -> Any:
    """All axes as one, or neighbouring ones as `axes` say."""
    if axes is None:
        if len(x.axes) == 1:
            return x
        axes = [FlattenedAxis(x.axes)]
    axes = Axes(axes)
    return (
        x
        if x.is_scalar or (isinstance(x, Flatten) and x.axes == axes)
        else Flatten(x, axes, **kwargs)
    )


def flatten_at(x: Any, idx: int) -> Any:
    """The axes before position `idx` as one, and those from there on as another."""
    if idx in (0, len(x.axes)):
        return flatten(x)
    return flatten(x, [x.axes[:idx].flatten(), x.axes[idx:].flatten()])


def unflatten(x: Any, axes: Any = None, **kwargs: Any) -> Any:
    """Flattened axes as what they were made of."""
    axes = _taken_apart(x.axes) if axes is None else Axes(axes)
    return x if axes == x.axes else Unflatten(x, axes, **kwargs)


def stack(x_list: Sequence[Any], axis: Axis, pos: int = 0) -> StackOp:
    """Tensors with the same axes along a new one, at position `pos`."""
    return StackOp(x_list, axis, pos)


def concat_along_axis(x_list: Sequence[Any], axis: Axis) -> Any:
    """Tensors one after another along an axis that all have; nothing for an empty list."""
    if not x_list:
        return x_list
    return ConcatOp(x_list, [x.axes[x.axes.index(axis)] for x in x_list])


def stack_by_concat(x_list: Sequence[Any], axis: Axis, new_axis: Axis) -> Any:
    """Tensors, each with `new_axis` of length 1, one after another along it, now called `axis`."""
    joined = ConcatOp(x_list, [new_axis] * len(x_list))
    return cast_axes(joined, [axis if a == new_axis else a for a in joined.axes])


def replace_slice(x: Any, slices: Iterable[Any], value: Any, axes: Any) -> ReplaceSliceOp:
    """The tensor `x` with `value` in place of a part of it."""
    return ReplaceSliceOp(x, slices, value, axes)


def pad(x: Any, paddings: Sequence[int | tuple[int, int]], axes: Any = None) -> Any:
    """Zeros around a tensor: for each axis a number for both ends, or (before, after)."""
    if len(x.axes) != len(paddings):
        raise ValueError(f"{described(x)} has {len(x.axes)} axes, not {len(paddings)}")
    pairs = [(p, p) if isinstance(p, int) else (int(p[0]), int(p[1])) for p in paddings]
    if axes is None:
        axes = [
            Axis(axis.length + sum(pair), axis.name) if any(pair) else axis
            for axis, pair in zip(x.axes, pairs, strict=True)
        ]
    return PadOp(as_op(x), pairs, axes)


def _taken_apart(axes: Axes) -> Axes:
    return Axes([part for axis in axes for part in axis.axes])


def _get_item(self: Any, item: Any) -> TensorSliceOp:
    item = item if isinstance(item, tuple) else (item,)
    if Ellipsis in item:
        at = item.index(Ellipsis)
        fill = len(self.axes) - len(item) + 1
        item = (*item[:at], *[slice(None)] * fill, *item[at + 1 :])
    return tensor_slice(self, (*item, *[slice(None)] * (len(self.axes) - len(item))))


TensorOp.__getitem__ = _get_item  # type: ignore

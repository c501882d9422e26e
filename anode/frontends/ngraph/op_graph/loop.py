"""Loops over an axis: one step of ops, which lowers to one scan whatever the axis' length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from anode import ops
from anode.frontends.ngraph.op_graph.axis import Axes, Axis
from anode.frontends.ngraph.op_graph.op import Op, TensorOp, as_op
from anode.frontends.ngraph.op_graph.views import (
    axes_with_order,
    slice_along_axis,
    stack,
    tensor_slice,
)
from anode.ir.node import Node

if TYPE_CHECKING:
    from anode.frontends.ngraph.op_graph.lowering import Lowering

Step = Callable[[Any, list[Any]], list[Any]]


class LoopArgument(TensorOp):
    """What a step is given: a slice of the input, or a state."""


class LoopOp(Op):
    """A scan: `arguments` are the states, then the slice; `results` the new states, then outputs.

    Its operands are the first states, the input with the axis in front, and what the step uses of
    the ops around it.
    """

    def __init__(
        self,
        operands: Sequence[Any],
        arguments: Sequence[LoopArgument],
        results: Sequence[Any],
        reverse: bool,
    ) -> None:
        inner, captured = _split(results, set(arguments))
        super().__init__(args=[*operands, *captured])
        self.arguments, self.results = tuple(arguments), tuple(results)
        self.inner = inner
        self.reverse = reverse
        self.collected: list[int] = []  # the results of which every step's value is wanted

    @property
    def body(self) -> tuple[Any, ...]:
        """The results of one step."""
        return self.results

    def collect(self, index: int) -> int:
        """Where in the scan's results the values of all steps are."""
        if index not in self.collected:
            self.collected.append(index)
        return len(self.arguments) - 1 + self.collected.index(index)

    def lower(self, graph: Lowering, *args: Node) -> Node:
        count = len(self.arguments) - 1

        def step(states: tuple[Node, ...], x: Node) -> tuple[Any, Any]:
            graph.values.update(zip(self.arguments, (*states, x), strict=True))
            results = [graph.node(op) for op in self.results]
            for op in (*self.inner, *self.arguments):
                graph.values.pop(op, None)
            return tuple(results[:count]), tuple(results[i] for i in self.collected)

        states, outputs = ops.scan(step, args[:count], args[count], reverse=self.reverse)
        found = (*states, *outputs)
        return found[0] if len(found) == 1 else found[0].args[0]


class LoopResult(TensorOp):
    """A state after the last step, or with the axis in front, a result of every step."""

    def __init__(self, loop: LoopOp, index: int, axes: Axes, dtype: Any) -> None:
        super().__init__(args=[loop], axes=axes, dtype=dtype)
        self.index = index

    def lower(self, graph: Lowering, *args: Node) -> Node:
        return args[0].items[self.index]


class Loop:
    """A loop over `axis` from its start, or with `reverse` from its end.

    `steps` may be fewer than the axis has. A step that assigns, or draws random numbers, is
    repeated in the graph instead.
    """

    def __init__(self, axis: Axis, reverse: bool = False, steps: int | None = None) -> None:
        self.axis, self.reverse = axis, reverse
        self.steps = axis.length if steps is None else steps
        if axis.length is None or self.steps is None or self.steps > axis.length:
            raise ValueError(
                f"{self.steps} steps over the axis {axis.name} of length {axis.length}"
            )
        self._op: LoopOp | None = None
        self._order: list[int] = []  # where the step's results are among those of the scan
        self._unrolled: list[list[Any]] = []

    def run(self, step: Step, x: Any, states: Sequence[Any]) -> None:
        """Repeat `results = step(slice, states)`.

        The results are the new states. Those given are the first ones; None stands for a result
        that is no state.
        """
        x = self._cut(x)
        given = [as_op(state) for state in states if state is not None]
        arguments = [LoopArgument(axes=op.axes, dtype=op.dtype) for op in given]
        rest = x.axes - self.axis
        arguments.append(LoopArgument(axes=rest, dtype=x.dtype))
        with Op.all_ops() as made:
            found = step(arguments[-1], list(arguments[:-1]))
            new = [r for r, state in zip(found, states, strict=True) if state is not None]
            new = [axes_with_order(r, op.axes) for r, op in zip(new, given, strict=True)]
        if any(_once(op) for op in made):
            self._unroll(step, x, states)
            return
        extra = [as_op(r) for r, state in zip(found, states, strict=True) if state is None]
        front = axes_with_order(x, Axes([self.axis]) + rest)
        self._op = LoopOp([*given, front], arguments, [*new, *extra], self.reverse)
        kept, others = iter(range(len(new))), iter(range(len(new), len(found)))
        self._order = [next(others if state is None else kept) for state in states]

    def _cut(self, x: Any) -> Any:
        """The slices that are used."""
        length = self.axis.length
        if self.steps == length:
            return x
        used = slice(length - self.steps, length) if self.reverse else slice(self.steps)
        x = tensor_slice(x, [used if axis == self.axis else slice(None) for axis in x.axes])
        self.axis = x.axes.find_by_name(self.axis.name)[0]
        return x

    def last(self, index: int) -> Any:
        """A result of the last step."""
        if self._op is None:
            return self._unrolled[-1][index]
        position = self._order[index]
        result = self._op.results[position]
        if position < len(self._op.arguments) - 1:
            return LoopResult(self._op, position, result.axes, result.dtype)
        end = 0 if self.reverse else self.steps - 1
        return slice_along_axis(self.stacked(index, 0), self.axis, end)

    def stacked(self, index: int, place: int) -> Any:
        """A result of every step, in the order of the axis, which is put at `place`."""
        if self._op is None:
            results = [results[index] for results in self._unrolled]
            return stack(results[::-1] if self.reverse else results, self.axis, pos=place)
        position = self._order[index]
        result = self._op.results[position]
        axes = Axes([self.axis]) + result.axes
        every = LoopResult(self._op, self._op.collect(position), axes, result.dtype)
        order = list(result.axes)
        return axes_with_order(every, Axes([*order[:place], self.axis, *order[place:]]))

    def _unroll(self, step: Step, x: Any, states: Sequence[Any]) -> None:
        known = list(states)
        order = range(self.steps)
        for i in reversed(order) if self.reverse else order:
            given = [state for state in known if state is not None]
            results = step(slice_along_axis(x, self.axis, i), given)
            self._unrolled.append(list(results))
            pairs = zip(results, states, strict=True)
            known = [result if state is not None else None for result, state in pairs]


def _once(op: Op) -> bool:
    """Whether an op of a step has to be in the graph for every step."""
    return op.has_side_effects or getattr(op, "is_random", False)


def _split(results: Sequence[Any], arguments: set[Any]) -> tuple[list[Op], list[Op]]:
    """The ops below `results` that depend on arguments, and those around them that these use."""
    inner: dict[Op, None] = {}
    captured: dict[Op, None] = {}
    order = Op.ordered_ops(results)
    for op in order:
        if op not in arguments and any(d in inner or d in arguments for d in op.all_deps):
            inner[op] = None
    for op in (*inner, *results):
        uses = op.all_deps if op in inner else [op]
        captured.update(dict.fromkeys(d for d in uses if d not in inner and d not in arguments))
    return list(inner), list(captured)

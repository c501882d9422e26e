"""State: variables, placeholders and constants, their assignment, and the order ops run in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence, Set
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from anode.frontends.ngraph.op_graph.axis import Axes, Axis, are_axes
from anode.frontends.ngraph.op_graph.op import Op, TensorOp, ValueOp, as_op, as_ops
from anode.frontends.ngraph.util.ordered import OrderedSet
from anode.ir.node import Node

if TYPE_CHECKING:
    from anode.frontends.ngraph.op_graph.lowering import Lowering

_numbers = count()
_places = count()
_free: list[int] = []  # places of states that are gone, a heap


class AssignableTensorOp(TensorOp):
    """Storage: a variable, placeholder, temporary or constant. As an operand it is read.

    `initial_value` is an array, a number, a constant op, or a function from the axes to one.
    `number` is unique in the process.
    """

    is_device_op = False
    is_state_op = True
    _place: int | None = None

    def __init__(
        self,
        initial_value: Any = None,
        is_constant: bool = False,
        is_input: bool = False,
        is_persistent: bool = False,
        is_trainable: bool = False,
        is_placeholder: bool = False,
        const: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.is_constant, self.is_input = is_constant, is_input
        self.is_persistent, self.is_trainable = is_persistent, is_trainable
        self.is_placeholder = self._is_placeholder = is_placeholder  # scripts read either
        self.const = const
        self.number = next(_numbers)
        self.initial_value: np.ndarray | None = None
        if initial_value is not None:
            self.initial_value = self._initial(initial_value)

    def restored(self, name: str) -> None:
        super().restored(name)
        self.number = next(_numbers)

    def _initial(self, value: Any) -> np.ndarray:
        if not isinstance(value, Op) and callable(value):
            value = value(self.axes)
        if isinstance(value, Op):
            if not value.is_constant:
                raise ValueError(f"{self.name}: the initial value is a number or an array")
            value = value.const
        return np.asarray(value, dtype=self.dtype)

    @property
    def bit(self) -> int:
        """This state in the masks `reads` and `writes` of ops; constants have none."""
        if self.is_constant:
            return 0
        if self._place is None:
            self._place = heappop(_free) if _free else next(_places)
        return 1 << self._place

    def __del__(self, give: Any = heappush, free: list[int] = _free) -> None:
        if self._place is not None:  # the module's own names may be gone when the program ends
            give(free, self._place)

    @property
    def defs(self) -> list[Op]:
        return []

    @property
    def effective_tensor_op(self) -> Any:
        return self.read()

    def add_control_dep(self, dep: Op) -> None:
        """Storage is there before anything runs."""

    def read(self) -> TensorValueOp:
        """An op that reads the value when it runs."""
        return TensorValueOp(self)


def as_value(value: Any, tensor: AssignableTensorOp) -> np.ndarray:
    """A value for a state, in its type and shape; numbers and missing leading dims repeat."""
    array = np.asarray(value)
    if array.dtype != tensor.dtype:
        array = array.astype(tensor.dtype)
    if array.shape != tensor.axes.lengths:
        try:
            array = np.broadcast_to(array, tensor.axes.lengths)
        except ValueError:
            raise ValueError(
                f"{tensor.name} has the axes {tensor.axes} ({tensor.origin}); a value of shape "
                f"{np.shape(value)} does not fit them"
            ) from None
    return np.ascontiguousarray(array).reshape(array.shape)


class TensorValueOp(ValueOp):
    """The value of a state when this op runs."""

    is_read = True
    DEVICES = ("device", "device_id", "parallel")

    def __init__(self, tensor: AssignableTensorOp, **kwargs: Any) -> None:
        super().__init__(tensor, **kwargs)
        self.reads = tensor.bit
        for key in self.DEVICES:
            if key in tensor.metadata:
                self.metadata[key] = tensor.metadata[key]

    def find_states(self) -> None:
        super().find_states()
        self.reads |= self.tensor.bit

    @property
    def states_read(self) -> OrderedSet:
        return OrderedSet([self.tensor])

    @property
    def effective_tensor_op(self) -> Any:
        return self

    def lower(self, graph: Lowering, *args: Node) -> Node:
        return graph.read(self.tensor)


class WritingOp(Op):
    """An op that gives a state, or a view of one, a new value."""

    has_side_effects = True

    def __init__(self, target: Any, args: Sequence[Any] = (), **kwargs: Any) -> None:
        self.target = as_op(target)
        super().__init__(args=args, **kwargs)
        self.writes |= self.target.reads

    def find_states(self) -> None:
        super().find_states()
        self.writes |= self.target.reads

    @property
    def args(self) -> tuple[Any, ...]:
        return (self.target, *self._args)

    @property
    def states_written(self) -> OrderedSet:
        states: OrderedSet = self.target.states_read
        return states


class AssignOp(WritingOp):
    """`tensor[...] = val`; axes that `val` lacks are repeated."""

    def __init__(self, tensor: Any, val: Any, **kwargs: Any) -> None:
        from anode.frontends.ngraph.op_graph.views import broadcast, cast_axes

        if not isinstance(val, Op):
            val = as_op(val)
            if len(val.axes) == len(tensor.axes):
                val = cast_axes(val, tensor.axes)
        if extra := val.axes - tensor.axes:
            raise ValueError(
                f"{tensor.name} has the axes {tensor.axes}; a value with the axes {val.axes} "
                f"cannot be assigned to it, because of {extra}"
            )
        super().__init__(tensor, [broadcast(val, tensor.axes)], **kwargs)

    @property
    def states_read(self) -> OrderedSet:
        states: OrderedSet = self._args[0].states_read
        return states

    def lower(self, graph: Lowering, *args: Node) -> None:
        graph.write(self.target, args[0])


AssignOneDOp = AssignOp


class Fill(WritingOp):
    """A tensor with one number everywhere, as its new value."""

    def __init__(self, tensor: Any, scalar: Any, **kwargs: Any) -> None:
        super().__init__(tensor, **kwargs)
        if isinstance(scalar, Op):
            if not scalar.is_constant:
                raise ValueError(f"{scalar.name} is no constant number to fill {tensor.name} with")
            scalar = scalar.const
        value = np.asarray(scalar, dtype=tensor.dtype)
        if value.shape:
            raise ValueError(f"{tensor.name} is filled with a number, not with {scalar}")
        self.scalar = value[()]

    def lower(self, graph: Lowering, *args: Node) -> None:
        from anode import ops

        shape = graph.shape(self.target.axes)
        graph.write(self.target, ops.full(shape, self.scalar.item(), self.target.dtype))


class ControlBlockOp(Op):
    """An op that says what is run, and when."""

    is_device_op = False


class ParallelOp(ControlBlockOp):
    """Several ops to be run, which do not depend on one another."""

    is_sequencing_op = True

    def __init__(self, all: Iterable[Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for op in all:
            self.add_control_dep(as_op(op))

    def lower(self, graph: Lowering, *args: Node) -> None:
        return None


class ComputationOp(ParallelOp):
    """What a call from the host computes: `returns`, for values of the parameters `args`.

    The parameter "all" means every placeholder that `returns` need.
    """

    def __init__(self, returns: Any, *args: Any, **kwargs: Any) -> None:
        if not (returns is None or isinstance(returns, (Op, Sequence, Set))):
            raise ValueError(f"a computation returns ops, not {returns!r}")
        self.returns = returns
        self.values = as_ops(self.returned)
        super().__init__(self.values, **kwargs)
        needed = self.placeholders()
        if len(args) == 1 and isinstance(args[0], str) and args[0] == "all":
            args = tuple(needed)
        self.parameters = as_ops(args)
        if missing := needed - OrderedSet([arg.tensor for arg in self.parameters]):
            names = ", ".join(op.name for op in missing)
            raise ValueError(f"a computation takes all placeholders it uses; it lacks {names}")
        for arg in self.parameters:
            if not arg.tensor.is_input:
                raise ValueError(
                    f"{arg.tensor.name}, a {type(arg.tensor).__name__}, is no parameter of a "
                    "computation; pass placeholders or variables (is_input=True)"
                )
            self.add_control_dep(arg)

    @property
    def returned(self) -> list[Any]:
        """The results as a list; those of a set in the order in which they were made."""
        if self.returns is None or isinstance(self.returns, Op):
            return [] if self.returns is None else [self.returns]
        if isinstance(self.returns, OrderedSet) or not isinstance(self.returns, Set):
            return list(self.returns)
        return sorted(self.returns, key=lambda op: op.serial)


class SequentialOp(ValueOp):
    """Ops to be run in order, each once; the value is the last one's.

    What reads a state runs after the writes that earlier members of the list made to it, and what
    writes one after the reads.
    """

    is_sequencing_op = True

    def __init__(self, ops: Iterable[Any] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._ops: list[Any] = []
        if ops is not None:
            self.ops = ops

    @property
    def ops(self) -> list[Any]:
        return self._ops

    @ops.setter
    def ops(self, ops: Iterable[Any]) -> None:
        self._ops = list(as_ops(ops))
        self.value_tensor = self._ops[-1]
        for op in self._ops:
            self.reads |= op.reads
            self.writes |= op.writes
        if self.writes:
            _put_in_order(self._ops)

    @property
    def operands(self) -> tuple[Any, ...]:
        return tuple(self._ops)

    @property
    def states_read(self) -> OrderedSet:
        states: OrderedSet = self.value_tensor.states_read
        return states

    def lower(self, graph: Lowering, *args: Node) -> Node:
        return args[-1]


def _put_in_order(members: Iterable[Op]) -> None:
    """Let ops below a member wait for earlier members that write what they read, and so on."""
    done: set[Op] = set()
    writers: dict[AssignableTensorOp, list[Op]] = defaultdict(list)
    readers: dict[AssignableTensorOp, list[Op]] = defaultdict(list)
    members = list(dict.fromkeys(members))
    written = 0  # by any member; states that none writes need no order
    for member in members:
        written |= member.writes
    for member in members:
        below = _touching(member, written, done)
        for op in below:
            for state in op.states_read:
                for writer in writers[state]:
                    op.add_control_dep(writer)
            for state in op.states_written:
                for reader in readers[state]:
                    op.add_control_dep(reader)
        for op in below:
            for state in op.states_written:
                writers[state].append(member)
            for state in op.states_read:
                readers[state].append(member)
        done.update(below)


def _touching(root: Op, mask: int, done: set[Op]) -> list[Op]:
    """Ops below `root` that read or write one of the states in `mask`, dependencies first."""
    order: list[Op] = []
    seen = set(done)
    stack = [(root, False)]
    while stack:
        op, ready = stack.pop()
        if ready:
            order.append(op)
        elif op not in seen and (op.reads | op.writes) & mask:
            seen.add(op)
            stack.append((op, True))
            stack.extend((dep, False) for dep in reversed(op.all_deps))
    return order


def assign(lvalue: Any, rvalue: Any) -> AssignOp:
    """`lvalue`, a state or a view of one, gets the value of `rvalue`."""
    return AssignOp(lvalue, rvalue)


def set_item(tensor: Any, item: Sequence[Any], value: Any) -> AssignOp:
    """`tensor[item] = value`; slices have no negative steps."""
    from anode.frontends.ngraph.op_graph.views import tensor_slice

    for part, length in zip(item, tensor.axes.lengths, strict=False):
        if isinstance(part, slice) and part.indices(length)[2] <= 0:
            raise ValueError(f"{item} has a negative step, which set_item cannot do")
    return assign(tensor_slice(tensor, item, axes=as_op(value).axes), value)


def fill(x: Any, scalar: Any) -> Any:
    """`x`, a state or a view of one, gets the number `scalar` everywhere.

    For axes `x` it is, as in neon 3, a tensor with this number.
    """
    return constant(scalar, x) if are_axes(x) else Fill(x, scalar)


def doall(all: Iterable[Any]) -> ParallelOp:
    """Run all of these ops; none may depend on another's writes."""
    return ParallelOp(all)


def sequential(ops: Iterable[Any] | None = None) -> SequentialOp:
    """Run the ops in order, each once; the value is the last one's."""
    return SequentialOp(ops)


def computation(returns: Any, *args: Any) -> ComputationOp:
    """What a call computes: an op, list, tuple or set of ops, for values of the `args`."""
    return ComputationOp(returns, *args)


def value_of(tensor: Any) -> Any:
    """A copy of the value that a state has when this op runs."""
    if tensor.is_constant:
        return tensor
    copy = temporary(tensor.axes, tensor.dtype).named("value_of_" + tensor.name)
    return sequential([AssignOp(copy, tensor), copy])


def constant(const: Any, axes: Any = None, dtype: Any = None, **kwargs: Any) -> Any:
    """A number or array; `axes` are its own, or what a number is repeated along."""
    value = np.asarray(const, dtype=dtype)
    named = None if axes is None else Axes(axes)
    fits = bool(named) and len(named or ()) == value.ndim
    made = AssignableTensorOp(
        axes=named if fits else [Axis(length) for length in value.shape],
        is_constant=True,
        is_persistent=True,
        graph_label_type=f"<Const({value.shape if value.ndim else const})>",
        initial_value=value,
        const=value,
        dtype=dtype,
        **kwargs,
    )
    if named and not value.ndim:
        from anode.frontends.ngraph.op_graph.views import broadcast

        return broadcast(made, named)
    return made


def placeholder(
    axes: Any, dtype: Any = None, initial_value: Any = None, **kwargs: Any
) -> AssignableTensorOp:
    """A tensor whose value a call of the computation gives."""
    return AssignableTensorOp(
        axes=axes,
        dtype=dtype,
        initial_value=initial_value,
        graph_label_type="placeholder",
        is_persistent=True,
        is_input=True,
        is_placeholder=True,
        **kwargs,
    )


def temporary(axes: Any, dtype: Any = None, **kwargs: Any) -> AssignableTensorOp:
    """Storage for the time of one call."""
    return AssignableTensorOp(axes=axes, dtype=dtype, graph_label_type="Temp", **kwargs)


def persistent_tensor(
    axes: Any, dtype: Any = None, initial_value: Any = None, **kwargs: Any
) -> AssignableTensorOp:
    """Storage that keeps its value from call to call and is not trained."""
    return AssignableTensorOp(
        axes=axes,
        dtype=dtype,
        initial_value=initial_value,
        graph_label_type="Persistent",
        is_persistent=True,
        is_input=True,
        **kwargs,
    )


def variable(
    axes: Any, dtype: Any = None, initial_value: Any = None, **kwargs: Any
) -> AssignableTensorOp:
    """Storage that is trained."""
    return AssignableTensorOp(
        axes=axes,
        dtype=dtype,
        initial_value=initial_value,
        graph_label_type="Variable",
        is_persistent=True,
        is_input=True,
        is_trainable=True,
        **kwargs,
    )

"""Op: a node of the user's graph, with named axes; and what is noted while ops are made."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from itertools import count
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from anode.errors import UnsupportedOp
from anode.frontends.ngraph.op_graph.axis import Axes, default_dtype
from anode.frontends.ngraph.op_graph.tensor_description import TensorDescription
from anode.frontends.ngraph.util.names import NameScope, ScopedNameableValue
from anode.frontends.ngraph.util.ordered import OrderedSet
from anode.ir.node import Node, Origin, user_line

if TYPE_CHECKING:
    from anode.frontends.ngraph.op_graph.lowering import Lowering

_state = threading.local()
_serials = count()


class Op(ScopedNameableValue):
    """An operation on `args`, to be run after `control_deps`; anode lowers it to nodes.

    `metadata` are the user's; `origin` is the line that made the op. `reads` and `writes` have a
    bit for each state that the op's closure reads or writes (see `AssignableTensorOp.bit`).
    """

    is_constant = False
    is_input = False
    is_persistent = False
    is_trainable = False
    is_placeholder = False
    is_tensor_op = False
    is_commutative = False
    is_sequencing_op = False
    is_state_op = False
    is_read = False  # of a state
    is_device_op = True
    has_side_effects = False
    const: Any = None
    axes: Axes
    dtype: Any

    def __init__(
        self,
        args: Iterable[Any] = (),
        metadata: dict[str, Any] | None = None,
        name: str | None = None,
        graph_label_type: str | None = None,
        docstring: str | None = None,
        scope: str | NameScope | None = None,
    ) -> None:
        super().__init__(name, graph_label_type, docstring, scope)
        if metadata is not None and not isinstance(metadata, dict):
            raise ValueError(f"metadata is a dict, not {metadata!r}")
        self.metadata = dict(metadata or {})
        self.style: dict[str, Any] = {}
        self.serial = next(_serials)
        self.origin: Origin | None = user_line()
        self._args: tuple[Any, ...] = tuple(map(as_op, args))
        self._control_deps: OrderedSet | None = None
        self.reads = self.writes = 0
        for arg in self._args:
            self.reads |= arg.reads
            self.writes |= arg.writes
        listening = Op.get_all_ops()[-1]
        if listening is not None:
            listening.append(self)

    def find_states(self) -> None:
        """Collect what the closure reads and writes from the ops that run before this one."""
        for dep in self.all_deps:
            self.reads |= dep.reads
            self.writes |= dep.writes

    def restored(self, name: str) -> None:
        """Complete an op that was read from a file, where it was called `name`."""
        self.serial, self.reads, self.writes = next(_serials), 0, 0
        self._name = ScopedNameableValue._register(self, name.rpartition("/")[2])

    @property
    def args(self) -> tuple[Any, ...]:
        return self._args

    @property
    def control_deps(self) -> OrderedSet:
        return self._control_deps if self._control_deps is not None else OrderedSet()

    @property
    def all_deps(self) -> OrderedSet:
        """What runs before this op: its control dependencies, then its operands."""
        return OrderedSet((*self.control_deps, *self.operands))

    @property
    def operands(self) -> tuple[Any, ...]:
        """The ops whose values lowering takes, in the order in which they run."""
        return self._args

    def add_control_dep(self, dep: Op) -> None:
        """Run `dep` before this op."""
        if dep is self or dep in self.operands:
            return
        if self._control_deps is None:
            self._control_deps = OrderedSet()
        self._control_deps.add(dep)
        self.reads |= dep.reads
        self.writes |= dep.writes

    def remove_control_dep(self, dep: Op) -> None:
        if self._control_deps is not None:
            self._control_deps.discard(dep)

    @property
    def uuid(self) -> UUID:
        if not hasattr(self, "_uuid"):
            self._uuid = uuid4()
        return self._uuid

    @property
    def tensor(self) -> Any:
        """The op that provides the value: for the read of a state, the state."""
        return self

    @property
    def forwarded(self) -> Any:
        return self

    @property
    def effective_tensor_op(self) -> Any:
        return self

    @property
    def deriv_handler(self) -> Any:
        return self

    @deriv_handler.setter
    def deriv_handler(self, handler: Any) -> None:
        if handler is not self:
            raise UnsupportedOp(
                f"{self.name}: a derivative cannot be replaced by another op's; "
                "write the value with stop_gradient instead"
            )

    @property
    def states_read(self) -> OrderedSet:
        return OrderedSet()

    @property
    def states_written(self) -> OrderedSet:
        return OrderedSet()

    @property
    def defs(self) -> list[Op]:
        return [self]

    @property
    def is_scalar(self) -> bool:
        return len(self.axes) == 0

    @property
    def scalar_op(self) -> Any:
        if not self.is_scalar:
            raise ValueError(f"{self.name} is no scalar")
        return self

    @property
    def file_info(self) -> str:
        """The file and line that made the op."""
        file, line = self.origin or ("unknown", 0)
        return f'File "{file}", line {line}'

    def variables(self) -> OrderedSet:
        """The trainable states that this op's value depends on."""
        return OrderedSet([op.tensor for op in Op.ordered_ops([self]) if op.tensor.is_trainable])

    def placeholders(self) -> OrderedSet:
        """The placeholders that this op's value depends on."""
        return OrderedSet([op.tensor for op in Op.ordered_ops([self]) if op.tensor.is_placeholder])

    def tensor_description(self) -> TensorDescription | None:
        return None

    def call_info(self) -> list[TensorDescription | None]:
        """The descriptions of the operands."""
        return [arg.tensor_description() for arg in self.args]

    def lower(self, graph: Lowering, *args: Node) -> Node | None:
        """The value as a node for the values of the operands; None for an op without value."""
        raise UnsupportedOp(f"{type(self).__name__} is not run by anode ({self.origin})")

    def __str__(self) -> str:
        return self.graph_label

    def __repr__(self) -> str:
        return f"<{type(self).__name__}({self.graph_label_type}):{id(self)}>"

    @staticmethod
    def get_all_ops() -> list[list[Op] | None]:
        """The lists that listen to ops being made; the last one hears them."""
        if not hasattr(_state, "listening"):
            _state.listening = [None]
        listening: list[list[Op] | None] = _state.listening
        return listening

    @staticmethod
    @contextmanager
    def all_ops(ops: list[Op] | None = None, isolate: bool = False) -> Iterator[list[Op]]:
        """Collect the ops made inside; those around hear of them too, unless `isolate`."""
        collected: list[Op] = [] if ops is None else ops
        listening = Op.get_all_ops()
        listening.append(collected)
        try:
            yield collected
        finally:
            listening.pop()
            if not isolate and listening[-1] is not None:
                listening[-1].extend(collected)

    @staticmethod
    def ordered_ops(roots: Iterable[Op]) -> list[Op]:
        """All that `roots` depend on, dependencies first; ValueError where they form a cycle."""
        order: list[Op] = []
        done: dict[Op, bool] = {}  # False while its dependencies are being visited
        stack = [(root, False) for root in reversed(list(roots))]
        while stack:
            op, ready = stack.pop()
            if ready:
                done[op] = True
                order.append(op)
            elif op not in done:
                done[op] = False
                stack.append((op, True))
                waiting = [dep for dep in op.all_deps if not done.get(dep, False)]
                if any(dep in done for dep in waiting):
                    raise ValueError(f"{op.name} depends on itself")
                stack.extend((dep, False) for dep in reversed(waiting))
        return order

    @staticmethod
    def visit_input_closure(roots: Iterable[Op], fun: Callable[[Op], Any]) -> None:
        for op in Op.ordered_ops(roots):
            fun(op)

    @staticmethod
    def all_op_references(ops: Iterable[Op]) -> OrderedSet:
        """All ops that the attributes of `ops` hold, directly or in collections."""
        found, waiting = OrderedSet(), list(ops)
        while waiting:
            op = waiting.pop()
            if op not in found:
                found.add(op)
                waiting.extend(ref for value in vars(op).values() for ref in _references(value))
        return found


def _references(value: Any) -> list[Op]:
    if isinstance(value, dict):
        value = value.values()
    elif isinstance(value, Op):
        return [value]
    elif not isinstance(value, (list, tuple, set, OrderedSet)):
        return []
    return [item for item in value if isinstance(item, Op)]


class TensorOp(Op):
    """An op whose value is a tensor with named axes. Operators are attached where ops are made."""

    is_tensor_op = True
    scale = None

    def __init__(
        self, dtype: Any = None, axes: Any = None, args: Iterable[Any] = (), **kwargs: Any
    ) -> None:
        super().__init__(args, **kwargs)
        self.dtype = default_dtype(dtype)
        self._axes = None if axes is None else Axes(axes)

    @property
    def axes(self) -> Axes:
        if self._axes is None:
            raise NotImplementedError(f"{self.name} has no axes yet")
        return self._axes

    @axes.setter
    def axes(self, axes: Any) -> None:
        if self._axes is not None:
            raise ValueError(f"{self.name} has axes already")
        self._axes = Axes(axes)

    @property
    def has_axes(self) -> bool:
        return self._axes is not None

    @property
    def shape(self) -> Axes:
        """The axes, which initialisers take as the shape."""
        return self.axes

    def shape_dict(self) -> dict[str, Any]:
        return self.axes.shape_dict()

    @property
    def one(self) -> Any:
        """The constant 1 of this op, always the same: the error of its derivative."""
        if not hasattr(self, "_one"):
            self._one = as_op(1)
        return self._one

    def tensor_description(self) -> TensorDescription | None:
        return TensorDescription(
            self.axes,
            op=self,
            layout=self.metadata.get("layout"),
            dtype=self.dtype,
            name=self.safe_name,
            is_persistent=self.is_persistent,
            is_input=self.is_input,
            is_placeholder=self.is_placeholder,
        )

    if TYPE_CHECKING:  # attached by the modules of the ops

        def __add__(self, other: Any) -> Any: ...
        def __radd__(self, other: Any) -> Any: ...
        def __sub__(self, other: Any) -> Any: ...
        def __rsub__(self, other: Any) -> Any: ...
        def __mul__(self, other: Any) -> Any: ...
        def __rmul__(self, other: Any) -> Any: ...
        def __truediv__(self, other: Any) -> Any: ...
        def __neg__(self) -> Any: ...


class ValueOp(TensorOp):
    """An op that stands for the value of another one, `value_tensor`."""

    is_device_op = False
    value_tensor: Any = None

    def __init__(self, tensor: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.value_tensor = tensor

    @property
    def tensor(self) -> Any:
        return None if self.value_tensor is None else self.value_tensor.tensor

    @property
    def axes(self) -> Axes:
        axes: Axes = self.value_tensor.axes
        return axes

    @axes.setter
    def axes(self, axes: Any) -> None:
        raise ValueError(f"{self.name} has the axes of {self.value_tensor.name}")

    @property
    def dtype(self) -> Any:
        return self.value_tensor.dtype

    @dtype.setter
    def dtype(self, dtype: Any) -> None:
        if self.value_tensor is not None:
            self.value_tensor.dtype = default_dtype(dtype)

    @property
    def is_constant(self) -> bool:  # type: ignore[override]
        return bool(self.tensor.is_constant)

    @property
    def const(self) -> Any:
        return self.tensor.const

    @property
    def effective_tensor_op(self) -> Any:
        value = self.value_tensor
        return self if value.is_state_op else value.effective_tensor_op


def as_op(x: Any) -> Any:
    """`x` as an op that has a value: a state is read now, what is no op becomes a constant."""
    if not isinstance(x, Op):
        from anode.frontends.ngraph.op_graph.state import constant

        x = constant(x)
    return x.read() if x.is_state_op else x


def as_ops(xs: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(map(as_op, xs))


def tensor_descriptions(args: Iterable[Op]) -> Iterator[TensorDescription | None]:
    return (arg.tensor_description() for arg in args)


@contextmanager
def metadata(**metadata: Any) -> Iterator[None]:
    """Ops made inside get this metadata; a read of a state has the state's."""
    with Op.all_ops() as ops:
        yield
    _annotate(ops, metadata)


def _annotate(ops: Iterable[Op], metadata: dict[str, Any]) -> None:
    for op in ops:
        op.metadata.update(op.tensor.metadata if op.is_read else metadata)


def with_op_metadata(f: Callable[..., Any], metadata: dict[str, Any] | None = None) -> Any:
    """Decorator: the ops made by `f` get `metadata`, and those of the class `f` is a method of."""
    if metadata is not None and not isinstance(metadata, dict):
        raise ValueError(f"metadata is a dict, not {type(metadata)}")

    @wraps(f)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with Op.all_ops() as ops:
            result = f(*args, **kwargs)
        of_class = getattr(type(args[0]), "metadata", {}) if args else {}
        for op in ops:
            op.metadata.update({**(metadata or {}), **of_class})
        return result

    return wrapper

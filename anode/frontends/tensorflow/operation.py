"""Operations and tensors: what a graph is made of, as scripts see it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from anode.frontends.tensorflow.dtypes import DType
from anode.frontends.tensorflow.opdef import OpDef, export, shown_in
from anode.frontends.tensorflow.tensor_shape import TensorShape
from anode.ir.node import Origin, user_line

if TYPE_CHECKING:
    from anode.frontends.tensorflow.core import Graph

OPERATORS: dict[str, Callable[..., Any]] = {}  # dunder name -> function, filled by api/


class Stack(threading.local):
    """The default objects of a thread, innermost last."""

    def __init__(self) -> None:
        self.items: list[Any] = []

    @contextmanager
    def entered(self, item: Any) -> Iterator[Any]:
        self.items.append(item)
        try:
            yield item
        finally:
            if item in self.items:
                self.items.reverse()
                self.items.remove(item)
                self.items.reverse()


SESSIONS = Stack()


@export("get_default_session")
def get_default_session() -> Any:
    return SESSIONS.items[-1] if SESSIONS.items else None


@shown_in("python.framework.ops")
@export("Operation")
class Operation:
    """A node of TensorFlow's graph: an op type, inputs, attributes and a name."""

    def __init__(
        self,
        graph: Graph,
        definition: OpDef,
        name: str,
        inputs: Sequence[Tensor],
        attrs: dict[str, Any],
        control_inputs: Sequence[Operation],
        dtypes: Sequence[DType],
    ) -> None:
        self._graph, self._definition, self._name = graph, definition, name
        self._inputs, self._attrs = list(inputs), attrs
        self._control_inputs = list(control_inputs)
        self._device = ""
        self._context = graph._context
        self._id = len(graph._operations)
        self.origin: Origin | None = user_line()
        self._outputs = [Tensor(self, i, dtype) for i, dtype in enumerate(dtypes)]
        for tensor in inputs:
            tensor._consumers.append(self)
        if graph._devices:
            graph._place(self)

    @property
    def graph(self) -> Graph:
        return self._graph

    @property
    def name(self) -> str:
        return self._name

    @property
    def type(self) -> str:
        return self._definition.type

    @property
    def inputs(self) -> list[Tensor]:
        return self._inputs

    @property
    def outputs(self) -> list[Tensor]:
        return self._outputs

    @property
    def control_inputs(self) -> list[Operation]:
        return self._control_inputs

    @property
    def device(self) -> str:
        return self._device

    @property
    def op_def(self) -> OpDef:
        return self._definition

    @property
    def node_def(self) -> Any:
        from anode.frontends.tensorflow.graph_def import node_def

        return node_def(self)

    @property
    def traceback(self) -> list[Any]:
        return [] if self.origin is None else [(*self.origin, "", "")]

    def get_attr(self, name: str) -> Any:
        if name not in self._attrs:
            raise ValueError(f"Operation '{self.name}' has no attr named '{name}'.")
        return self._attrs[name]

    def values(self) -> tuple[Tensor, ...]:
        return tuple(self._outputs)

    def colocation_groups(self) -> list[bytes]:
        return [f"loc:@{self.name}".encode()]

    def run(self, feed_dict: Any = None, session: Any = None) -> None:
        _session(session, "execute operation").run(self, feed_dict)

    def _set_device(self, device: str) -> None:
        self._device = device

    def _set_attr(self, name: str, value: Any) -> None:
        self._attrs[name] = value

    def _add_control_inputs(self, ops: Sequence[Operation]) -> None:
        self._control_inputs.extend(ops)
        self._graph._edits += 1

    def _add_control_input(self, op: Operation) -> None:
        self._add_control_inputs([op])

    def _update_input(self, index: int, tensor: Tensor) -> None:
        self._inputs[index] = tensor
        tensor._consumers.append(self)
        self._graph._edits += 1

    def __repr__(self) -> str:
        return f"<tf.Operation '{self.name}' type={self.type}>"

    def __str__(self) -> str:
        return str(self.node_def)


def _session(session: Any, what: str) -> Any:
    if session is None:
        session = get_default_session()
        if session is None:
            raise ValueError(
                f"Cannot {what} using `run()`: No default session is registered. Use "
                "`with sess.as_default():` or pass an explicit session to `run(session=sess)`"
                if "operation" in what
                else f"Cannot {what} using `eval()`: No default session is registered. Use "
                "`with sess.as_default()` or pass an explicit session to `eval(session=sess)`"
            )
    return session


@shown_in("python.framework.ops")
@export("Tensor", "python.framework.ops.Tensor")
class Tensor:
    """One output of an Operation."""

    __array_priority__ = 100  # NumPy's arrays leave mixed arithmetic to this class

    if TYPE_CHECKING:  # the operators, which are set below
        __add__: Any
        __radd__: Any
        __sub__: Any
        __rsub__: Any
        __mul__: Any
        __rmul__: Any
        __truediv__: Any
        __rtruediv__: Any
        __div__: Any
        __rdiv__: Any
        __floordiv__: Any
        __rfloordiv__: Any
        __mod__: Any
        __rmod__: Any
        __pow__: Any
        __rpow__: Any
        __matmul__: Any
        __rmatmul__: Any
        __and__: Any
        __rand__: Any
        __or__: Any
        __ror__: Any
        __xor__: Any
        __rxor__: Any
        __neg__: Any
        __abs__: Any
        __invert__: Any
        __lt__: Any
        __le__: Any
        __gt__: Any
        __ge__: Any
        __getitem__: Any

    def __init__(self, op: Operation, index: int, dtype: DType) -> None:
        self._op, self._index, self._dtype = op, index, dtype
        self._shape: TensorShape = TensorShape(None)
        self._consumers: list[Operation] = []

    @property
    def op(self) -> Operation:
        return self._op

    @property
    def value_index(self) -> int:
        return self._index

    @property
    def dtype(self) -> DType:
        return self._dtype

    @property
    def graph(self) -> Graph:
        return self._op._graph

    @property
    def name(self) -> str:
        return f"{self._op._name}:{self._index}"

    @property
    def device(self) -> str:
        return self._op.device

    @property
    def shape(self) -> TensorShape:
        return self._shape

    def get_shape(self) -> TensorShape:
        return self._shape

    def set_shape(self, shape: Any) -> None:
        """Merge what is known of the shape with `shape`; ValueError where they differ."""
        self._shape = self._shape.merge_with(TensorShape(shape))

    def _shape_as_list(self) -> list[int | None] | None:
        return None if self._shape.ndims is None else self._shape.as_list()

    def _rank(self) -> int | None:
        rank: int | None = self._shape.ndims
        return rank

    def consumers(self) -> list[Operation]:
        return list(self._consumers)

    def eval(self, feed_dict: Any = None, session: Any = None) -> Any:
        return _session(session, "evaluate tensor").run(self, feed_dict)

    def experimental_ref(self) -> Tensor:
        return self

    def _as_graph_element(self) -> Tensor:
        return self

    def __iter__(self) -> Iterator[Any]:
        if self._shape.ndims is None:
            raise TypeError("Cannot iterate over a tensor with unknown shape.")
        if not self._shape.ndims:
            raise TypeError("Cannot iterate over a scalar tensor.")
        length = self._shape.as_list()[0]
        if length is None:
            raise TypeError("Cannot iterate over a tensor with unknown first dimension.")
        return (self[i] for i in range(length))

    def __len__(self) -> int:
        raise TypeError(
            f"len is not well defined for symbolic Tensors. ({self.name}) "
            "Please call `x.shape` rather than `len(x)` for shape information."
        )

    def __bool__(self) -> bool:
        raise TypeError(
            "Using a `tf.Tensor` as a Python `bool` is not allowed. Use `if t is not None:` instead"
            " of `if t:` to test if a tensor is defined, and use TensorFlow ops such as tf.cond to"
            " execute subgraphs conditioned on the value of a tensor."
        )

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        raise NotImplementedError(
            f"Cannot convert a symbolic Tensor ({self.name}) to a numpy array."
        )

    def __repr__(self) -> str:
        return f"<tf.Tensor '{self.name}' shape={self._shape} dtype={self._dtype.name}>"

    def __str__(self) -> str:
        shape = ""
        if self._shape.ndims is not None:
            dims = self._shape.as_list()
            inner = ", ".join("?" if d is None else str(d) for d in dims)
            shape = f", shape=({inner}{',' if len(dims) == 1 else ''})"
        device = f", device={self.device}" if self.device else ""
        return f'Tensor("{self.name}"{shape}, dtype={self._dtype.name}{device})'


def _operator(name: str) -> Callable[..., Any]:
    def call(self: Any, *args: Any) -> Any:
        if name not in OPERATORS:
            from anode.frontends.tensorflow.api import array_ops, math_ops  # noqa: F401
        return OPERATORS[name](self, *args)

    call.__name__ = name
    return call


BINARY = [
    "add",
    "sub",
    "mul",
    "truediv",
    "div",
    "floordiv",
    "mod",
    "pow",
    "matmul",
    "and",
    "or",
    "xor",
]
DUNDERS = [f"__{r}{name}__" for name in BINARY for r in ("", "r")]
DUNDERS += [
    f"__{name}__" for name in ["neg", "abs", "invert", "pos", "lt", "le", "gt", "ge", "getitem"]
]
for _name in DUNDERS:
    setattr(Tensor, _name, _operator(_name))

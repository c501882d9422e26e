"""TensorFlow's graph as its scripts see it: a mutable Graph of named Operations and Tensors."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from anode.frontends.tensorflow.dtypes import DType
from anode.frontends.tensorflow.opdef import OpDef, export
from anode.frontends.tensorflow.tensor_shape import TensorShape
from anode.ir.node import Origin, user_line

_OP_NAME = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\-/]*")
_SCOPE_NAME = re.compile(r"[A-Za-z0-9_.\-/]*")
OPERATORS: dict[str, Callable[..., Any]] = {}  # dunder name -> function, filled by api/


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
        self._device = graph._device()
        self._context = graph._context
        self._id = len(graph._operations)
        self.origin: Origin | None = user_line()
        self._outputs = [Tensor(self, i, dtype) for i, dtype in enumerate(dtypes)]
        for tensor in inputs:
            tensor._consumers.append(self)

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
        self._graph._version += 1

    def _add_control_input(self, op: Operation) -> None:
        self._add_control_inputs([op])

    def _update_input(self, index: int, tensor: Tensor) -> None:
        self._inputs[index] = tensor
        tensor._consumers.append(self)
        self._graph._version += 1

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

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other

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


BINARY = "add sub mul truediv div floordiv mod pow matmul and or xor".split()
DUNDERS = [f"__{r}{name}__" for name in BINARY for r in ("", "r")]
DUNDERS += [f"__{name}__" for name in "neg abs invert pos lt le gt ge getitem".split()]
for _name in DUNDERS:
    setattr(Tensor, _name, _operator(_name))


@export("Graph", "python.framework.ops.Graph")
class Graph:
    """A graph under construction: operations by name, scopes, collections, and the seed."""

    def __init__(self) -> None:
        self._operations: list[Operation] = []
        self._by_name: dict[str, Operation] = {}
        self._names: dict[str, int] = {}
        self._scope = ""
        self._collections: dict[Any, list[Any]] = {}
        self._control: list[Any] = []  # lists of operations, None clears what is outside
        self._devices: list[Any] = []
        self._context: Any = None  # the body of control flow that is being traced
        self._overrides: dict[str, str] = {}
        self._finalized = False
        self._version = 0
        self._unfeedable: set[Tensor] = set()
        self._unfetchable: set[Any] = set()
        self._seed: int | None = None
        self._building_function = False
        self._lock = threading.RLock()

    # operations

    def _add(self, op: Operation) -> None:
        if self._finalized:
            raise RuntimeError("Graph is finalized and cannot be modified.")
        self._operations.append(op)
        self._by_name[op._name] = op
        self._version += 1

    @property
    def _last_id(self) -> int:
        return len(self._operations)

    @property
    def version(self) -> int:
        return self._version

    @property
    def seed(self) -> int | None:
        return self._seed

    @seed.setter
    def seed(self, value: int | None) -> None:
        self._seed = value

    @property
    def finalized(self) -> bool:
        return self._finalized

    @property
    def building_function(self) -> bool:
        return self._building_function

    @property
    def collections(self) -> list[Any]:
        return list(self._collections)

    @property
    def graph_def_versions(self) -> Any:
        return self.as_graph_def().versions

    def finalize(self) -> None:
        self._finalized = True

    def _unsafe_unfinalize(self) -> None:
        self._finalized = False

    def _check_not_finalized(self) -> None:
        if self._finalized:
            raise RuntimeError("Graph is finalized and cannot be modified.")

    def get_operations(self) -> list[Operation]:
        return list(self._operations)

    def get_operation_by_name(self, name: str) -> Operation:
        if not isinstance(name, str):
            raise TypeError(f"Operation names are strings (or similar), not {type(name).__name__}.")
        found = self.as_graph_element(name, allow_tensor=False)
        assert isinstance(found, Operation)
        return found

    def get_tensor_by_name(self, name: str) -> Tensor:
        if not isinstance(name, str):
            raise TypeError(f"Tensor names are strings (or similar), not {type(name).__name__}.")
        found = self.as_graph_element(name, allow_operation=False)
        assert isinstance(found, Tensor)
        return found

    def as_graph_element(
        self, obj: Any, allow_tensor: bool = True, allow_operation: bool = True
    ) -> Tensor | Operation:
        """The tensor or operation that a name or an object stands for; errors as TensorFlow's."""
        if hasattr(obj, "_as_graph_element"):
            obj = obj._as_graph_element()
        if isinstance(obj, bytes):
            obj = obj.decode()
        if isinstance(obj, str):
            return self._named(obj, allow_tensor, allow_operation)
        allowed = (Tensor,) * allow_tensor + (Operation,) * allow_operation
        if isinstance(obj, allowed):
            if obj.graph is not self:
                kind = "Tensor" if isinstance(obj, Tensor) else "Operation"
                raise ValueError(f"{kind} {obj!r} is not an element of this graph.")
            return obj
        kinds = " or a ".join(["Tensor"] * allow_tensor + ["Operation"] * allow_operation)
        raise TypeError(f"Can not convert a {type(obj).__name__} into a {kinds}.")

    def _named(self, name: str, allow_tensor: bool, allow_operation: bool) -> Tensor | Operation:
        if ":" in name and allow_tensor:
            op_name, _, index = name.partition(":")
            if not index.isdigit():
                raise ValueError(
                    f"The name {name!r} looks a like a Tensor name, but is not a valid one. Tensor "
                    'names must be of the form "<op_name>:<output_index>".'
                )
            op = self._by_name.get(op_name)
            if op is None:
                raise KeyError(
                    f"The name {name!r} refers to a Tensor which does not exist. The operation, "
                    f"{op_name!r}, does not exist in the graph."
                )
            if int(index) >= len(op._outputs):
                raise KeyError(
                    f"The name {name!r} refers to a Tensor which does not exist. The operation, "
                    f"{op_name!r}, exists but only has {len(op._outputs)} outputs."
                )
            return op._outputs[int(index)]
        if ":" in name:
            raise ValueError(f"Name {name!r} appears to refer to a Tensor, not a Operation.")
        if not allow_operation:
            if name in self._by_name:
                raise ValueError(
                    f"The name {name!r} refers to an Operation, not a Tensor. Tensor names must be "
                    'of the form "<op_name>:<output_index>".'
                )
            raise ValueError(
                f"The name {name!r} looks like an (invalid) Operation name, not a Tensor. Tensor "
                'names must be of the form "<op_name>:<output_index>".'
            )
        if name not in self._by_name:
            raise KeyError(f"The name {name!r} refers to an Operation not in the graph.")
        return self._by_name[name]

    def as_graph_def(self, from_version: int | None = None, add_shapes: bool = False) -> Any:
        from anode.frontends.tensorflow.graph_def import export as graph_def

        del from_version  # the whole graph contains what was added since
        return graph_def(self, add_shapes=add_shapes)

    def is_feedable(self, tensor: Tensor) -> bool:
        return tensor not in self._unfeedable

    def is_fetchable(self, thing: Any) -> bool:
        return thing not in self._unfetchable

    def prevent_feeding(self, tensor: Tensor) -> None:
        self._unfeedable.add(tensor)

    def prevent_fetching(self, thing: Any) -> None:
        self._unfetchable.add(thing)

    # names

    def unique_name(self, name: str, mark_as_used: bool = True) -> str:
        """`name` in the current scope, with a suffix `_1`, `_2`, … where it is taken."""
        if self._scope:
            name = f"{self._scope}/{name}"
        key = name.lower()
        count = self._names.get(key, 0)
        if mark_as_used:
            self._names[key] = count + 1
        if count:
            base = key
            while key in self._names:
                key = f"{base}_{count}"
                count += 1
            if mark_as_used:
                self._names[key] = 1
            name = f"{name}_{count - 1}"
        return name

    def _operation_name(self, name: str) -> str:
        """The full name of a new operation; a name that ends with / is taken as it is."""
        if name.endswith("/"):
            return name[:-1]
        if not _OP_NAME.fullmatch(name) and not (self._scope and _SCOPE_NAME.fullmatch(name)):
            raise ValueError(f"'{name}' is not a valid node name")
        return self.unique_name(name)

    @contextmanager
    def name_scope(self, name: str | None) -> Iterator[str]:
        if name:
            if not isinstance(name, str):
                raise TypeError(f"name_scope: the name is {name!r}, not a string")
            pattern = _SCOPE_NAME if self._scope else _OP_NAME
            if not pattern.fullmatch(name):
                raise ValueError(f"'{name}' is not a valid scope name")
        before = self._scope
        if not name:
            scope = ""
        elif name.endswith("/"):
            scope = name[:-1]
        else:
            scope = self.unique_name(name)
        self._scope = scope
        try:
            yield scope + "/" if scope else ""
        finally:
            self._scope = before

    def get_name_scope(self) -> str:
        return self._scope

    # collections

    def add_to_collection(self, name: Any, value: Any) -> None:
        self._check_not_finalized()
        self._collections.setdefault(name, []).append(value)

    def add_to_collections(self, names: Any, value: Any) -> None:
        names = (names,) if isinstance(names, str) else tuple(dict.fromkeys(names))
        for name in names:
            self.add_to_collection(name, value)

    def get_collection_ref(self, name: Any) -> list[Any]:
        return self._collections.setdefault(name, [])

    def get_collection(self, name: Any, scope: str | None = None) -> list[Any]:
        items = self._collections.get(name, [])
        if scope is None:
            return list(items)
        pattern = re.compile(scope)
        return [item for item in items if hasattr(item, "name") and pattern.match(item.name)]

    def get_all_collection_keys(self) -> list[Any]:
        return [name for name in self._collections if isinstance(name, str)]

    def clear_collection(self, name: Any) -> None:
        self._check_not_finalized()
        self._collections.pop(name, None)

    # scopes

    @contextmanager
    def control_dependencies(self, inputs: Sequence[Any] | None) -> Iterator[None]:
        """Operations made inside run after `inputs`; None forgets those of outer scopes."""
        before = self._control
        if inputs is None:
            self._control = []
        else:
            self._control = [*before, *[_control_op(self, thing) for thing in inputs]]
        try:
            yield
        finally:
            self._control = before

    @contextmanager
    def device(self, device: Any) -> Iterator[None]:
        self._devices.append(device)
        try:
            yield
        finally:
            self._devices.pop()

    def _device(self) -> str:
        for device in reversed(self._devices):
            if device is None:
                return ""
            if not callable(device):
                return _device_name(device)
        return ""

    @contextmanager
    def colocate_with(self, op: Any, ignore_existing: bool = False) -> Iterator[None]:
        yield

    @contextmanager
    def container(self, name: str) -> Iterator[str]:
        yield name

    @contextmanager
    def gradient_override_map(self, overrides: dict[str, str]) -> Iterator[None]:
        """Ops of these types, made inside, take the gradient registered under the other name."""
        before = self._overrides
        self._overrides = {**before, **overrides}
        try:
            yield
        finally:
            self._overrides = before

    def as_default(self) -> Any:
        return _GRAPHS.entered(self)

    def switch_to_thread_local(self) -> None:
        """Scopes are those of the thread that builds; nothing to do."""


def _control_op(graph: Graph, thing: Any) -> Operation:
    if hasattr(thing, "_components"):  # an IndexedSlices, a SparseTensor
        thing = thing.op
    found = graph.as_graph_element(thing)
    return found.op if isinstance(found, Tensor) else found


def _device_name(device: Any) -> str:
    """ "/gpu:0" and "/device:GPU:0" are the same place; so written as TensorFlow writes it."""
    text = device if isinstance(device, str) else device.to_string()
    return re.sub(r"/(cpu|gpu):", lambda m: f"/device:{m[1].upper()}:", text, flags=re.IGNORECASE)


class _Stack(threading.local):
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


_GRAPHS = _Stack()
SESSIONS = _Stack()
_global: list[Graph] = []  # the default graph where none is entered, shared by all threads


@export("get_default_graph", "python.framework.ops.get_default_graph")
def get_default_graph() -> Graph:
    if _GRAPHS.items:
        graph: Graph = _GRAPHS.items[-1]
        return graph
    if not _global:
        _global.append(Graph())
    return _global[0]


@export("reset_default_graph", "python.framework.ops.reset_default_graph")
def reset_default_graph() -> None:
    if _GRAPHS.items:
        raise AssertionError(
            "Do not use tf.reset_default_graph() to clear nested graphs. If you need a cleared "
            "graph, exit the nesting and create a new graph."
        )
    _global[:] = [Graph()]


@export("get_default_session")
def get_default_session() -> Any:
    return SESSIONS.items[-1] if SESSIONS.items else None

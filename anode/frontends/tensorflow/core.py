"""TensorFlow's graph as its scripts see it: a mutable Graph of named Operations and Tensors."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from anode.frontends.tensorflow.devices import device_name, merged
from anode.frontends.tensorflow.opdef import export, shown_in
from anode.frontends.tensorflow.operation import (
    BINARY,
    DUNDERS,
    OPERATORS,
    SESSIONS,
    Operation,
    Stack,
    Tensor,
    get_default_session,
)

_OP_NAME = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\-/]*")
_SCOPE_NAME = re.compile(r"[A-Za-z0-9_.\-/]*")


@shown_in("python.framework.ops")
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
        self._unmade = 0  # operations that TensorFlow makes for the same and that are not here
        self._edits = 0  # how often operations that exist were changed: plans hold until then
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
        """The number of operations that TensorFlow would have made; seeds are drawn from it."""
        return len(self._operations) + self._unmade

    def _number_from(self, start: int, count: int) -> None:
        """Number the next operation as if `count` had been made since `_last_id` was `start`."""
        self._unmade = start + count - len(self._operations)

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
        named = device is not None and not callable(device)
        self._devices.append(device_name(device) if named else device)
        try:
            yield
        finally:
            self._devices.pop()

    def _place(self, op: Operation) -> None:
        """Set its device: what the innermost scope leaves open, those about it give."""
        for device in reversed(self._devices):
            if device is None:
                return
            if callable(device):
                chosen = device(op)
                op._device = chosen if isinstance(chosen, str) else chosen.to_string()
            else:
                op._device = merged(device, op._device)

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


_GRAPHS = Stack()
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


__all__ = [
    "BINARY",
    "DUNDERS",
    "OPERATORS",
    "SESSIONS",
    "Graph",
    "Operation",
    "Tensor",
    "get_default_graph",
    "get_default_session",
    "reset_default_graph",
]

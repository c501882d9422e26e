"""How neon's overwriting of Tensors becomes graphs.

A Tensor is a view of a Cell, which holds an array. While a Recording is active, what is written to
cells are nodes: a cell read first is an input of the recording, a cell written is one of its
results. A single operation outside of any recording is a recording of its own. A Step is a function
of Tensors that is recorded once, compiled, and then replayed for as long as the Python state that
it was recorded in is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import numpy as np

from anode.errors import GraphError
from anode.frontends.indices import Bound, source
from anode.frontends.report import executable
from anode.ir.graph import Graph, close, fresh_inputs
from anode.ir.node import Node
from anode.ir.types import TensorType, tensor
from anode.program.cost import reference_seconds
from anode.runtime.executable import Executable

if TYPE_CHECKING:
    from anode.frontends.neon.backends.tensor import Tensor
    from anode.frontends.neon.stepping import Plan

COMPILE_AFTER = 0.25  # seconds of interpretation, by estimate, before a graph is compiled

_active: ContextVar[Recording | None] = ContextVar("recording", default=None)


class Cell:
    """What Tensors are views of: an array, or the promise of one by the step that wrote it last.

    Arrays that a step may still need are not written to but replaced (`lent`).
    """

    __slots__ = ("__weakref__", "_array", "lent", "promise", "type")

    def __init__(self, array: np.ndarray) -> None:
        self._array: np.ndarray = array
        self.type: TensorType = tensor(array.dtype, *array.shape)
        self.promise: Plan | None = None
        self.lent = False

    @property
    def array(self) -> np.ndarray:
        """The value, computed now if it was only promised."""
        if self.promise is not None:
            self.promise.keep(self)
        return self._array

    @array.setter
    def array(self, value: np.ndarray) -> None:
        self._array, self.promise, self.lent = value, None, False

    def own(self) -> np.ndarray:
        """The array, to be written to."""
        if self.lent or self.promise is not None:
            self.array = np.array(self.array)
        return self._array


class Recording:
    """What is read and written while a function runs, as nodes of a graph to be."""

    def __init__(self, lifts: bool = False) -> None:
        self.leaves: dict[Cell, Node] = {}
        self.written: dict[Cell, Node] = {}
        self.hosts: list[tuple[Callable[[], Any], Node]] = []
        self.born: set[Cell] = set()
        self.bounds: list[tuple[Cell, Bound]] = []  # of cells that hold indices
        self.now: dict[Cell, Cell] = {}  # what stands for the recorded arguments in a run
        self.lifts = lifts
        self.breaks = 0

    def read(self, cell: Cell) -> Node:
        """The value of a cell."""
        found = self.written.get(cell)
        if found is None:
            found = self.leaves.get(cell)
        if found is None:
            found = self.leaves[cell] = fresh_inputs(cell.type)[0]
        return found

    def write(self, cell: Cell, value: Node) -> None:
        """Let a cell have this value from here on."""
        if value.type != cell.type:
            raise GraphError(f"a tensor of type {cell.type} cannot hold {value.type}")
        self.written[cell] = value

    def given(self, array: np.ndarray) -> Node:
        """An array of the host's: an input, for another array may come next time."""
        cell = Cell(np.array(array))
        self.born.add(cell)
        return self.read(cell)

    def host(self, function: Callable[[], Any], type: TensorType) -> Node:
        """An input whose value `function` gives before each run."""
        node = fresh_inputs(type)[0]
        self.hosts.append((function, node))
        return node

    def bound(self, indices: Node, size: int, what: str) -> None:
        """Let indices be checked before each run, if the host gives them."""
        origin = source(indices)
        self.bounds += [
            (cell, Bound(size, what)) for cell, node in self.leaves.items() if node is origin
        ]

    def graph(self, outputs: Sequence[Node]) -> Graph:
        """The closed graph of some values, from the leaves and then the host's inputs."""
        inputs = [*self.leaves.values(), *(node for _, node in self.hosts)]
        return close(inputs, outputs)

    def break_off(self, programs: Programs) -> None:
        """Compute everything written, as Python needs a value; the recording is then in parts."""
        self.breaks += 1
        with recorded(None):
            self.commit(programs)

    def commit(self, programs: Programs) -> None:
        """Compute everything written, and begin anew."""
        if self.written:
            for cell, bound in self.bounds:
                bound.check(cell.array)
            arrays = [cell.array for cell in self.leaves]
            arrays += [from_host(f, n) for f, n in self.hosts]
            graph = self.graph(list(self.written.values()))
            results = programs.run(graph, arrays, graph.outputs[-1].op.name)
            for cell, value in zip(self.written, results, strict=True):
                cell.array = value
        self.leaves.clear()
        self.written.clear()
        self.hosts.clear()
        self.bounds.clear()


def from_host(function: Callable[[], Any], node: Node) -> np.ndarray:
    """What the host gives for an input, as an array of the input's type."""
    type = node.tensor
    return np.asarray(function(), type.dtype.numpy).reshape(type.static)


class Programs:
    """The graphs run so far: interpreted at first, compiled when that has taken long enough."""

    def __init__(self) -> None:
        self._seconds: dict[Graph, float] = {}
        self._interpreted: dict[Graph, Executable] = {}
        self._compiled: dict[Graph, Executable] = {}

    def run(self, graph: Graph, arrays: Sequence[np.ndarray], what: str) -> tuple[np.ndarray, ...]:
        """The outputs of a graph, which is `what` in reports."""
        if graph in self._compiled:
            return self._compiled[graph](*arrays)
        spent = self._seconds.get(graph, 0.0)
        if spent > COMPILE_AFTER:
            return self.compiled(graph, what)(*arrays)
        self._seconds[graph] = spent + reference_seconds(graph)
        if graph not in self._interpreted:
            self._interpreted[graph] = executable(graph, what, "reference")
        return self._interpreted[graph](*arrays)

    def compiled(self, graph: Graph, what: str) -> Executable:
        """The executable of a graph."""
        if graph not in self._compiled:
            self._compiled[graph] = executable(graph, what)
        return self._compiled[graph]


def is_tracing() -> bool:
    """Whether what is written to Tensors is recorded, not computed."""
    return _active.get() is not None


def recording() -> Recording:
    """The active recording; GraphError where there is none."""
    found = _active.get()
    if found is None:
        raise GraphError("nothing is being recorded; values are arrays here")
    return found


@contextmanager
def recorded(new: Recording | None) -> Iterator[None]:
    """Make a recording the active one; None for computing at once in the midst of one."""
    token = _active.set(new)
    try:
        yield
    finally:
        _active.reset(token)


def perform(action: Callable[[], Any], programs: Programs) -> Any:
    """Run an action that reads nodes and writes cells: recorded, or else computed at once."""
    if _active.get() is not None:
        return action()
    new = Recording()
    with recorded(new):
        result = action()
    new.commit(programs)
    return result


def host_input(function: Callable[[], Any], shape: Sequence[int], dtype: Any) -> Node:
    """An input of the recording whose value `function` gives anew before each run of the step.

    For what the host draws or counts: dropout masks, learning rates.
    """
    return recording().host(function, tensor(np.dtype(dtype), *shape))


def node(value: Any) -> Node:
    """The node of a Tensor, op-tree, number or array, while tracing."""
    from anode.frontends.neon.backends.lowering import lowered

    return lowered(value)


def cell(tensor: Tensor) -> Tensor:
    """What to `write` a node to: the Tensor itself."""
    return tensor

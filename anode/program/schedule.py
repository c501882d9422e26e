"""Schedule: a fused graph's values get buffers and its kernels an order that keeps the peak low."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from anode.errors import GraphError
from anode.ir.dtypes import bool_, u8
from anode.ir.graph import Graph
from anode.ir.node import CONSTANT, INPUT, ITEM, READ, Node, read
from anode.ir.types import TensorType, TokenType, Type
from anode.ir.variable import Variable
from anode.passes.kernel import KERNEL
from anode.program.alias import may_alias
from anode.program.order import Costs, list_order, reduced
from anode.program.plan import plan
from anode.program.program import ALIGNMENT, Buffer, Program, Step

CONTROL = ("cond", "while", "scan", "scan_parts", "row_parts")  # ops that run nested graphs
Workspace = Callable[[Node, tuple[Program, ...]], int]


def nested_workspace(node: Node, programs: tuple[Program, ...]) -> int:
    """Bytes for a step's nested programs: their arenas, and for loops the carry twice.

    A while loop has one more place of 64 bytes, for the condition.
    """
    if not programs:
        return 0
    carry = node.args[: node.attrs.get("carries", 0)]
    copies = 2 * sum(_rounded(_memory(arg.type).bytes) for arg in carry)
    condition = ALIGNMENT if node.op.name == "while" else 0
    return sum(_rounded(program.arena) for program in programs) + copies + condition


def schedule(graph: Graph, workspace: Workspace = nested_workspace) -> Program:
    """The program of a static, fused graph, with buffers but no offsets yet.

    An output that a kernel computes is written by it straight into the output's buffer. A
    variable's new value is written over the old one where every other reader of the old one can run
    before, and the writer reads it element for element at most; otherwise it goes to a temporary
    that a last step copies. `workspace(node, programs)` gives the bytes of scratch that a kernel or
    opaque node needs.
    """
    draft = _Draft(workspace)
    draft.leaves(graph)
    for node in graph.nodes:
        draft.visit(node)
    draft.outputs(graph)
    draft.updates(graph)
    return draft.program(graph)


@dataclass(eq=False)
class _Value:
    """A tensor that tasks hand on: its writer (None: there before the run), readers and buffer."""

    type: TensorType
    node: Node
    writer: _Task | None = None
    readers: list[_Task] = field(default_factory=list)
    buffer: int | None = None


@dataclass(eq=False)
class _Task:
    """A step before it has its place. `before` are the tasks it waits for, `after` those for it."""

    index: int
    kind: str
    node: Node
    reads: list[_Value]
    writes: list[_Value]
    programs: tuple[Program, ...] = ()
    workspace: int | None = None
    before: set[int] = field(default_factory=set)
    after: list[_Task] = field(default_factory=list)


class _Draft:
    """The tasks of a graph with their hazards, growing until they are put in order."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.buffers: list[Buffer] = []
        self.tasks: list[_Task] = []
        self.values: dict[Node, _Value] = {}
        self.results: dict[Node, list[_Value]] = {}  # of nodes of a TupleType
        self.variables: dict[Variable, _Value] = {}
        self.nested: dict[Graph, Program] = {}
        self.output_buffers: list[int] = []

    def buffer(self, name: str, type: TensorType, kind: Any, data: bytes | None = None) -> int:
        self.buffers.append(Buffer(name, type, kind, data=data))
        return len(self.buffers) - 1

    def leaves(self, graph: Graph) -> None:
        """Buffers of inputs and variables, used or not."""
        names = graph.input_names or [f"input_{i}" for i in range(len(graph.types))]
        for node, name in zip(graph.inputs, names, strict=True):
            type = _memory(node.type)
            self.values[node] = _Value(type, node, buffer=self.buffer(name, type, "input"))
        for variable in graph.variables:
            held = self.buffer(variable.name, variable.type, "variable")
            value = _Value(variable.type, read(variable), buffer=held)
            self.variables[variable] = self.values[value.node] = value

    def visit(self, node: Node) -> None:
        """The task of a node, or the value that a leaf or an item stands for."""
        if node.op in (INPUT, READ):
            return
        if node.op is CONSTANT:
            name = f"constant_{len(self.buffers)}"
            held = self.buffer(name, node.tensor, "constant", node.attrs["data"])
            self.values[node] = _Value(node.tensor, node, buffer=held)
        elif node.op is ITEM:
            self.values[node] = self.results[node.args[0]][node.attrs["index"]]
        else:
            self.step(node)

    def step(self, node: Node) -> None:
        kind = node.attrs["kind"] if node.op is KERNEL else node.op.name
        programs = self.programs(node)
        task = self.task(kind, node, [self.values[a] for a in node.args], node.items)
        task.programs = programs
        scratch = self.workspace(node, programs)
        if scratch:
            name, type = f"workspace_{task.index}", TensorType(u8, (scratch,))
            task.workspace = self.buffer(name, type, "temporary")
        self.results[node] = task.writes
        self.values.update(zip(node.items, task.writes, strict=True))

    def programs(self, node: Node) -> tuple[Program, ...]:
        if node.op.name not in CONTROL:
            return ()
        graphs = [g for value in node.attrs.values() for g in _graphs(value)]
        return tuple([self.nested_program(node, graph) for graph in graphs])

    def nested_program(self, node: Node, graph: Graph) -> Program:
        if graph.variables or graph.effects:
            raise GraphError(
                f"a graph nested in {node.op.name} has variables or effects of its own"
            )
        if graph not in self.nested:
            self.nested[graph] = plan(schedule(graph, self.workspace))
        return self.nested[graph]

    def task(
        self, kind: str, node: Node, reads: Sequence[_Value], results: Sequence[Node]
    ) -> _Task:
        task = _Task(len(self.tasks), kind, node, list(reads), [])
        task.writes = [_Value(_memory(result.type), result, task) for result in results]
        for value in dict.fromkeys(reads):
            value.readers.append(task)
            if value.writer is not None:
                self.edge(value.writer, task)
        self.tasks.append(task)
        return task

    def edge(self, before: _Task, after: _Task) -> None:
        if before.index not in after.before:
            after.before.add(before.index)
            before.after.append(after)

    def copy(self, value: _Value) -> _Value:
        """A copy of `value`, made by a task of its own."""
        return self.task("copy", value.node, [value], [value.node]).writes[0]

    def outputs(self, graph: Graph) -> None:
        """A buffer for each output; a value that has a place already is copied into it."""
        for i, node in enumerate(graph.outputs):
            name = graph.output_names[i] if graph.output_names else f"output_{i}"
            value = self.values[node]
            if value.buffer is not None:
                value = self.copy(value)
            value.buffer = self.buffer(name, value.type, "output")
            self.output_buffers.append(value.buffer)

    def updates(self, graph: Graph) -> None:
        """Write each variable's new value into its buffer, at once where that is safe."""
        pending: dict[_Value, _Value] = {}
        # All copies first: a copy of a variable's old value must run before that is written over.
        for variable, node in graph.updates:
            old, value = self.variables[variable], self.values[node]
            if value is not old:
                taken = value.buffer is not None or value in pending
                pending[self.copy(value) if taken else value] = old
        for value, old in pending.items():
            if not self.is_safe(value, old):
                value = self.copy(value)
            value.buffer = old.buffer
            for reader in old.readers:
                if reader is not value.writer:
                    self.edge(reader, _writer(value))

    def is_safe(self, value: _Value, old: _Value) -> bool:
        """Whether `value` may be written over `old`, all readers of `old` running before."""
        task = _writer(value)
        if task.kind != "copy":
            result = task.writes.index(value)
            operands = [i for i, read in enumerate(task.reads) if read is old]
            if not all(may_alias(task.node, result, i) for i in operands):
                return False
        readers = {reader.index for reader in old.readers if reader is not task}
        return not _reaches(task, readers)

    def program(self, graph: Graph) -> Program:
        for task in self.tasks:
            for value in task.writes:
                if value.buffer is None:
                    name = f"t{len(self.buffers)}"
                    value.buffer = self.buffer(name, value.type, "temporary")
        held = {variable: value.buffer for variable, value in self.variables.items()}
        variables = tuple((variable, _known(buffer)) for variable, buffer in held.items())
        updates = tuple((variable, _known(held[variable])) for variable, _ in graph.updates)
        inputs = tuple(_known(self.values[node].buffer) for node in graph.inputs)
        outputs = tuple(self.output_buffers)
        return Program(tuple(self.buffers), self.steps(), inputs, outputs, variables, updates)

    def steps(self) -> tuple[Step, ...]:
        order = list_order(self.costs())
        place = {task: position for position, task in enumerate(order)}
        after = reduced([[place[t] for t in self.tasks[task].before] for task in order])
        return tuple(
            _step(self.tasks[task], position, after[position])
            for position, task in enumerate(order)
        )

    def costs(self) -> Costs:
        temporary = [b.size if b.kind == "temporary" else 0 for b in self.buffers]
        return Costs(
            before=[frozenset(task.before) for task in self.tasks],
            reads=[tuple(_known(v.buffer) for v in task.reads) for task in self.tasks],
            writes=[tuple(_known(v.buffer) for v in task.writes) for task in self.tasks],
            sizes=temporary,
            own=[0 if t.workspace is None else temporary[t.workspace] for t in self.tasks],
        )


def _step(task: _Task, position: int, after: tuple[int, ...]) -> Step:
    return Step(
        f"{task.kind}_{position}",
        task.kind,
        task.node,
        tuple(_known(value.buffer) for value in task.reads),
        tuple(_known(value.buffer) for value in task.writes),
        after,
        task.programs,
        task.workspace,
    )


def _reaches(task: _Task, targets: set[int]) -> bool:
    """Whether one of `targets` has to wait for `task`."""
    seen, stack = {task.index}, [task]
    while targets and stack:
        for follower in stack.pop().after:
            if follower.index in targets:
                return True
            if follower.index not in seen:
                seen.add(follower.index)
                stack.append(follower)
    return False


def _writer(value: _Value) -> _Task:
    assert value.writer is not None
    return value.writer


def _known(buffer: int | None) -> int:
    assert buffer is not None
    return buffer


def _memory(type: Type) -> TensorType:
    """The tensor stored for a value: a token is one without elements."""
    if isinstance(type, TensorType):
        return type
    if isinstance(type, TokenType):
        return TensorType(bool_, (0,))
    raise GraphError(f"a value of type {type} has no buffer; take its items")


def _graphs(value: Any) -> list[Graph]:
    if isinstance(value, tuple):
        return [graph for item in value for graph in _graphs(item)]
    return [value] if isinstance(value, Graph) else []


def _rounded(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT

"""Reports: what a graph was compiled to and why, as data that prints.

FLOPs are two for each multiply and add of a product, one for each element of a floating-point
elementwise op, and one for each element that is reduced; movement, selection and integers count
nothing. Bytes count each buffer of a kernel once, as if nothing stayed in a cache.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from anode.errors import BackendError, UnsupportedOp
from anode.ir.graph import Graph
from anode.ir.node import CONSTANT, INPUT, READ, Node
from anode.passes.kernel import KERNEL
from anode.passes.movement import MOVEMENT
from anode.program.cost import flops
from anode.program.memory import MemoryReport, Moment, memory_report, timeline
from anode.program.program import Program, Step
from anode.rewrite.trace import Trace

if TYPE_CHECKING:
    from anode.backends.base import Compiled
    from anode.backends.cpu.profile import Profile


@dataclass(frozen=True)
class Value:
    """A value of the graph: the op that made it, its type, and the user's line ("" if unknown)."""

    op: str
    type: str
    origin: str

    @staticmethod
    def of(node: Node) -> Value:
        return Value(node.op.name, str(node.type), str(node.origin or ""))

    def __str__(self) -> str:
        return f"{self.op} {self.type}"


@dataclass(frozen=True)
class Operand:
    """A buffer that a kernel reads or writes."""

    name: str
    type: str
    kind: str
    bytes: int


@dataclass(frozen=True)
class Kernel:
    """A step of the program: one kernel, opaque op or copy.

    `values` are what it computes, operands first; `depth` counts the loops or branches around it,
    whose steps run for each turn. `tasks` is how many pieces threads share; `on_host` says that it
    runs as NumPy, by the op's reference. Where runs were timed, `seconds` is the median time from
    the start of its first task to the end of its last, and `work` that of all its tasks together.
    """

    name: str
    kind: str
    values: tuple[Value, ...]
    reads: tuple[Operand, ...]
    writes: tuple[Operand, ...]
    flops: int
    tasks: int
    after: tuple[str, ...]
    on_host: bool = False
    depth: int = 0
    seconds: float | None = None
    work: float | None = None

    @property
    def bytes_read(self) -> int:
        return sum(operand.bytes for operand in set(self.reads))

    @property
    def bytes_written(self) -> int:
        return sum(operand.bytes for operand in set(self.writes))

    @property
    def origins(self) -> tuple[str, ...]:
        """The user's lines that its values come from."""
        return tuple(dict.fromkeys(value.origin for value in self.values if value.origin))


@dataclass(frozen=True)
class Decision:
    """What a rule of a pass did at a value, or why it refused.

    `kernel` is the step that computes the value now; "" where none does.
    """

    stage: str
    rule: str
    value: Value
    text: str
    kernel: str
    refused: bool = False


@dataclass(frozen=True)
class Lifetime:
    """A temporary: its place in the arena, and the first and last step that touch it."""

    name: str
    type: str
    offset: int
    bytes: int
    first: int
    last: int


@dataclass(frozen=True)
class Report:
    """What became of a graph. `str(report)` is all of it, `report.explain(name)` a part.

    `seconds` is what compiling took; `steps` is the number of steps of the outermost program, over
    which lifetimes and `moments` (the arena at each step) count. `graphs` are the graph as written
    and after each pass, by the pass's name. `profile` is there where runs were timed, and `peak`
    where the machine was measured: its "gflops" of float32 and its "gbs" of copies.
    """

    threads: int
    seconds: float
    kernels: tuple[Kernel, ...]
    decisions: tuple[Decision, ...]
    lifetimes: tuple[Lifetime, ...]
    memory: MemoryReport | None
    moments: tuple[Moment, ...] = ()
    graphs: tuple[tuple[str, Graph], ...] = ()
    profile: Profile | None = None
    peak: Mapping[str, float] | None = None

    @property
    def steps(self) -> int:
        return sum(kernel.depth == 0 for kernel in self.kernels)

    @property
    def on_host(self) -> tuple[Kernel, ...]:
        """What runs as NumPy."""
        return tuple(kernel for kernel in self.kernels if kernel.on_host)

    def explain(self, name: str) -> Report:
        """The part about a kernel, op, buffer, variable, layer ("Linear_0") or line ("train.py:7").

        Raises UnsupportedOp, with the nearest names, where nothing is called so.
        """
        named = {k.name for k in self.kernels if name in _own_names(k)}
        decisions = tuple(
            d for d in self.decisions if d.kernel in named or name in _names_of_decision(d)
        )
        held = named | {d.kernel for d in decisions}
        kernels = tuple(k for k in self.kernels if k.name in held or name in _names_of_kernel(k))
        buffers = {o.name for k in kernels for o in (*k.reads, *k.writes)}
        if not kernels and not decisions:
            known = {n for k in self.kernels for n in _names_of_kernel(k)}
            known |= {n for d in self.decisions for n in _names_of_decision(d)}
            near = get_close_matches(name, sorted(known), 3, 0.4) or sorted(known)[:8]
            raise UnsupportedOp(f"nothing is called {name!r}; there are {', '.join(near)}")
        lifetimes = tuple(life for life in self.lifetimes if life.name in buffers)
        return replace(
            self,
            kernels=kernels,
            decisions=decisions,
            lifetimes=lifetimes,
            memory=None,
            moments=(),
            graphs=(),
        )

    @property
    def outside(self) -> dict[str, int]:
        """Bytes that kernels touch and that are not in the arena, by kind: variables, inputs, …"""
        operands = (o for k in self.kernels if not k.depth for o in (*k.reads, *k.writes))
        sizes: dict[str, int] = {}
        for operand in dict.fromkeys(operands):
            if operand.kind != "temporary":
                sizes[operand.kind] = sizes.get(operand.kind, 0) + operand.bytes
        return sizes

    def timed(self, profile: Profile, peak: Mapping[str, float] | None = None) -> Report:
        """The same report with the time of each kernel in timed runs, and the machine's peak."""
        times = dict(
            zip(profile.steps, zip(profile.spans(), profile.work(), strict=True), strict=True)
        )
        kernels = tuple(
            kernel
            if kernel.depth
            else replace(kernel, seconds=times[kernel.name][0], work=times[kernel.name][1])
            for kernel in self.kernels
        )
        return replace(self, kernels=kernels, profile=profile, peak=peak)

    def __str__(self) -> str:
        from anode.inspect.report_text import report_text

        return report_text(self)


def explain(compiled: Compiled) -> Report:
    """The report of a graph that the cpu backend compiled; another's raises BackendError."""
    build: Any = getattr(compiled, "build", None)
    if build is None:
        raise BackendError("only the cpu backend's graphs can be explained; others run op by op")
    program, native = build.program, build.native
    host = {step for _, step in native.host_steps}
    kernels = tuple(_kernels(program, native.kernels, host, 0))
    homes = {step.node: step.name for step in _steps(program)}
    return Report(
        threads=build.threads,
        seconds=compiled.seconds,
        kernels=kernels,
        decisions=tuple(_decisions(build.traces, homes)),
        lifetimes=tuple(_lifetimes(program)),
        memory=memory_report(program),
        moments=timeline(program),
        graphs=tuple(_graphs(build.traces)),
    )


def _graphs(traces: Sequence[Trace]) -> Iterator[tuple[str, Graph]]:
    """The graph as written, and after each pass that changed it."""
    for i, trace in enumerate(traces):
        if trace.graphs is not None:
            before, after = trace.graphs
            if not i:
                yield "as written", before
            if after is not before:
                yield trace.name, after


def _steps(program: Program) -> Iterator[Step]:
    for step in program.steps:
        yield step
        for inner in step.programs:
            yield from _steps(inner)


def _kernels(
    program: Program, made: Mapping[Step, Any], host: set[Step], depth: int
) -> Iterator[Kernel]:
    for step in program.steps:
        nodes = _computed(step)
        yield Kernel(
            name=step.name,
            kind=step.kind,
            values=tuple(map(Value.of, nodes)),
            reads=_operands(program, step.reads),
            writes=_operands(program, step.writes),
            flops=sum(map(flops, nodes)),
            tasks=made[step].tasks,
            after=tuple(program.steps[i].name for i in step.after),
            on_host=step in host,
            depth=depth,
        )
        for inner in step.programs:
            yield from _kernels(inner, made, host, depth + 1)


def _computed(step: Step) -> list[Node]:
    """The nodes that a step computes; of a kernel those of its body that are not mere movement."""
    if step.node.op is not KERNEL:
        return [step.node]
    body: Graph = step.node.attrs["body"]
    nodes = [node for node in body.nodes if node.op not in (INPUT, READ, CONSTANT)]
    return [node for node in nodes if node.op.name not in (*MOVEMENT, "item")] or nodes


def _operands(program: Program, indices: Iterable[int]) -> tuple[Operand, ...]:
    buffers = [program.buffers[i] for i in indices]
    return tuple(Operand(b.name, str(b.type), b.kind, b.type.bytes) for b in buffers)


def _decisions(traces: Sequence[Trace], homes: Mapping[Node, str]) -> Iterator[Decision]:
    """What each pass did and refused, with the kernel that computes the value in the end."""
    for i, trace in enumerate(traces):
        for hit in trace.hits:
            after = hit.node if hit.after is None else hit.after
            text = f"became {after.op.name}" if hit.after is not None and not hit.note else hit.note
            home = _home(after, traces[i:], homes)
            yield Decision(trace.name, hit.rule, Value.of(hit.node), text, home)
        for miss in trace.misses:
            home = _home(miss.node, traces[i:], homes)
            value = Value.of(miss.node)
            yield Decision(trace.name, miss.rule, value, miss.reason, home, refused=True)


def _home(node: Node, traces: Iterable[Trace], homes: Mapping[Node, str]) -> str:
    """The step that computes a node after the passes of `traces`, by name; "" where none does."""
    for trace in traces:
        while node not in trace.became and node.op.name in MOVEMENT and trace.name == "fuse":
            node = node.args[0]  # movement happens where the value behind it is read
        node = trace.became.get(node, node)
    return homes.get(node, "")


def _lifetimes(program: Program) -> Iterator[Lifetime]:
    for i, buffer in enumerate(program.buffers):
        users = [at for at, step in enumerate(program.steps) if i in step.uses]
        if buffer.kind == "temporary" and users:
            place, size = buffer.offset or 0, buffer.size
            yield Lifetime(buffer.name, str(buffer.type), place, size, users[0], users[-1])


def _own_names(kernel: Kernel) -> set[str]:
    """A kernel's name, and those of its buffers and of the layers they belong to."""
    operands = (*kernel.reads, *kernel.writes)
    layers = (layer for operand in operands for layer in _layers(operand.name))
    return {kernel.name, *(operand.name for operand in operands), *layers}


def _names_of_kernel(kernel: Kernel) -> set[str]:
    ops = {kernel.kind, *(value.op for value in kernel.values)}
    return _own_names(kernel) | ops | {n for o in kernel.origins for n in _lines(o)}


def _names_of_decision(decision: Decision) -> set[str]:
    return {decision.rule, decision.value.op, *_lines(decision.value.origin)}


def _layers(variable: str) -> list[str]:
    """The layer that a variable called "optimizer.Linear_0.weight.velocity" belongs to."""
    parts = variable.removeprefix("optimizer.").split(".")
    return [".".join(parts[: i + 1]) for i in range(len(parts) - 1)]


def _lines(origin: str) -> set[str]:
    """An origin "/home/me/train.py:7" as itself and without the folder."""
    return {origin, origin.rpartition("/")[2]} if origin else set()

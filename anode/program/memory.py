"""Reports of memory: the bytes of temporaries, planned, and what lies in the arena at each step."""

from __future__ import annotations

from dataclasses import dataclass

from anode.ir.graph import Graph
from anode.ir.node import CONSTANT, INPUT, ITEM, READ
from anode.ir.types import TensorType
from anode.program.live import Slot, live_bytes, slots_of
from anode.program.program import Program

# Ops whose result is an operand's memory seen with other strides, or no memory at all.
VIEWS = (
    "reshape",
    "bitcast",
    "broadcast_in_dim",
    "transpose",
    "slice",
    "reverse",
    "windows",
    "iota",
)


@dataclass(frozen=True)
class MemoryReport:
    """Bytes of temporaries: planned, and what they are to be compared with.

    `peak` is the arena; `lower_bound` the most bytes live at once in the list order, which no plan
    for that order is below; `unshared` the sum of all temporaries; `by_step` the live bytes while
    each step runs.
    """

    peak: int
    lower_bound: int
    unshared: int
    by_step: tuple[int, ...]

    def __str__(self) -> str:
        sizes = (f"{name} {getattr(self, name):,}" for name in ("lower_bound", "unshared"))
        return f"peak {self.peak:,} bytes ({', '.join(sizes)})"


@dataclass(frozen=True)
class Held:
    """A temporary that is live at a moment: the names of its buffers, its type and its place.

    There are two names where the step writes a result over an operand. `first` and `last` are the
    steps between which it is live; `offset` is None before the program is planned.
    """

    names: tuple[str, ...]
    type: str
    bytes: int
    offset: int | None
    first: int
    last: int


@dataclass(frozen=True)
class Moment:
    """The arena while a step runs: what the step `uses`, and what `waits` for later steps.

    `outside` are the bytes of inputs, variables, constants and outputs that the step touches too.
    """

    step: str
    origin: str
    uses: tuple[Held, ...]
    waits: tuple[Held, ...]
    outside: int

    @property
    def used(self) -> int:
        """Bytes of the arena that the step reads, writes or works in."""
        return sum(held.bytes for held in self.uses)

    @property
    def waiting(self) -> int:
        """Bytes of the arena that are live, but not for this step."""
        return sum(held.bytes for held in self.waits)

    @property
    def live(self) -> int:
        return self.used + self.waiting


def memory_report(program: Program) -> MemoryReport:
    """What the temporaries of a program take; `peak` is 0 before it is planned."""
    by_step = tuple(live_bytes(slots_of(program, None), len(program.steps)))
    unshared = sum(b.size for b in program.buffers if b.kind == "temporary")
    return MemoryReport(program.arena, max(by_step, default=0), unshared, by_step)


def one_per_tensor(graph: Graph) -> int:
    """Bytes of temporaries where every value of a graph has a buffer of its own.

    That is what running op by op, without reuse, takes. Counted are the results of all nodes of the
    static graph as it was written, gradients and updates included, with composites (a convolution,
    a normalisation, an activation) as one op each. Not counted are inputs, variables and constants,
    views (VIEWS: what differs from its operand by strides only), and what is within an op.
    """
    leaves = (INPUT, READ, CONSTANT, ITEM)
    nodes = [n for n in graph.nodes if n.op not in leaves and n.op.name not in VIEWS]
    types = [item.type for node in nodes for item in node.items]
    return sum(type.bytes for type in types if isinstance(type, TensorType))


def timeline(program: Program) -> tuple[Moment, ...]:
    """The arena at each step in list order, largest temporaries first.

    `live` of the moments are `by_step` of the memory report, of which the largest is the peak.
    """
    slots = sorted(slots_of(program, None), key=lambda slot: (-slot.size, slot.first))
    moments = []
    for i, step in enumerate(program.steps):
        uses, waits = list[Held](), list[Held]()
        for slot in slots:
            if slot.first <= i <= slot.last:
                (uses if i in slot.users else waits).append(_held(program, slot, i))
        touched = [program.buffers[b] for b in dict.fromkeys(step.uses)]
        outside = sum(b.type.bytes for b in touched if b.kind != "temporary")
        origin = str(step.node.origin or "")
        moments.append(Moment(step.name, origin, tuple(uses), tuple(waits), outside))
    return tuple(moments)


def _held(program: Program, slot: Slot, index: int) -> Held:
    """A slot at a step: the buffers in it that the step uses, else the one that waits."""
    step = program.steps[index]
    used = [b for b in slot.buffers if b in step.uses]
    written = [b for b, first in zip(slot.buffers, slot.begins, strict=True) if first <= index]
    buffers = [program.buffers[b] for b in used or written[-1:]]
    last = buffers[-1]
    names = tuple([buffer.name for buffer in buffers])
    return Held(names, str(last.type), slot.size, last.offset, slot.first, slot.last)

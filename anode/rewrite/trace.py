"""What a pass did and what it refused: data that reports, `explain` and tests read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from anode.ir.graph import Graph
from anode.ir.node import Node


@dataclass(frozen=True)
class Hit:
    """A rule that applied at a node, and what it made of it: `after`, or a note in words."""

    rule: str
    node: Node
    note: str = ""
    after: Node | None = None


@dataclass(frozen=True)
class Miss:
    """A rule that was tried at a node and refused, with the reason in plain words."""

    rule: str
    node: Node
    reason: str


@dataclass
class Trace:
    """One pass over one graph: its hits and misses, seconds, the graphs and node counts before and
    after.

    `became` says what each node of the graph before, or made on the way, is in the graph after: of
    nodes that were fused, their kernel. A node that it does not mention is still itself, or gone.
    """

    name: str
    hits: list[Hit] = field(default_factory=list)
    misses: list[Miss] = field(default_factory=list)
    seconds: float = 0.0
    nodes: tuple[int, int] = (0, 0)
    graphs: tuple[Graph, Graph] | None = None
    became: dict[Node, Node] = field(default_factory=dict)

    @property
    def rules(self) -> Counter[str]:
        """How often each rule applied."""
        return Counter(hit.rule for hit in self.hits)


class Traces(list[Trace]):
    """The passes that ran, in order; prints as a table."""

    def __repr__(self) -> str:
        lines = [f"{'pass':<18}{'ms':>9}{'nodes':>16}{'hits':>8}{'misses':>8}"]
        for t in self:
            nodes = f"{t.nodes[0]} → {t.nodes[1]}"
            counts = f"{len(t.hits):>8}{len(t.misses):>8}"
            lines.append(f"{t.name:<18}{t.seconds * 1e3:>9.2f}{nodes:>16}{counts}")
            lines += [f"  {count:>6} × {rule}" for rule, count in t.rules.most_common()]
        return "\n".join(lines)


_collecting: ContextVar[tuple[Traces, ...]] = ContextVar("collecting", default=())


@contextmanager
def tracing() -> Iterator[Traces]:
    """Collect the trace of every pass that runs inside: `with tracing() as traces: …`."""
    traces = Traces()
    token = _collecting.set((*_collecting.get(), traces))
    try:
        yield traces
    finally:
        _collecting.reset(token)


def record(trace: Trace) -> None:
    """Give a finished trace to every `tracing()` around the caller."""
    for traces in _collecting.get():
        traces.append(trace)

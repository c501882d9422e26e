"""What a script ran: which graphs were compiled, how long that took, how often they ran."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from typing import Any, ClassVar

import numpy as np

from anode.backends.base import Variables
from anode.ir.graph import Graph
from anode.runtime.executable import Executable, compile

HEADER = ("operations", "ran", "runs", "tracing", "compiling", "in all")
LONGEST = 20  # rows: what took longest


@dataclass(frozen=True)
class Ran:
    """A row: how many operations ran together, how ("compiled", "reference", "host"), how often.

    Times are in seconds; those `in_all` hold the others.
    """

    operations: int
    how: str
    runs: int
    tracing: float
    compiling: float
    in_all: float
    what: str

    @property
    def cells(self) -> tuple[str, ...]:
        """The row's text."""
        return tuple([f"{v:.3f}" if isinstance(v, float) else str(v) for v in astuple(self)])


class Timed(Executable):
    """An executable that notes how long it took, for the report."""

    kept: ClassVar[list[Timed] | None] = None  # of this process, where a report is wanted

    def __init__(self, source: Executable, what: str) -> None:
        super().__init__(source.graph, source.backend, source.threads, source.memory_limit)
        self.what, self.seconds = what, 0.0

    def __call__(self, *inputs: Any, state: Variables | None = None) -> tuple[np.ndarray, ...]:
        start = time.perf_counter()
        try:
            return super().__call__(*inputs, state=state)
        finally:
            self.seconds += time.perf_counter() - start

    @property
    def ran(self) -> Ran:
        """The row of it."""
        how = "reference" if self.backend.name == "reference" else "compiled"
        runs = sum(binding.runs for binding in self.bindings)
        compiling = sum((binding.seconds for binding in self.bindings), 0.0)
        size = len(self.graph.nodes)
        return Ran(size, how, runs, 0.0, compiling, self.seconds, self.what)


def executable(graph: Graph, what: str, backend: str | None = None) -> Executable:
    """`compile(graph, backend)`, noted where a report is wanted."""
    made = compile(graph, backend)
    if Timed.kept is None:
        return made
    Timed.kept.append(Timed(made, what))
    return Timed.kept[-1]


def start() -> None:
    """Note what runs from now on."""
    from anode.frontends.tensorflow import report

    report.start()
    Timed.kept = []


def report() -> str:
    """Tables of what ran since `start`, what took longest first; times in s."""
    from anode.frontends.tensorflow.report import report

    ran = [each.ran for each in Timed.kept or () if each.seconds]
    found = [report(), table("what steps and computations ran", "what", ran)]
    return "\n".join(filter(None, found)) or "anode: no session, step or computation ran"


def table(title: str, last: str, ran: Iterable[Ran]) -> str:
    """The table of rows, whose last column is called so; empty without rows."""
    rows = sorted(ran, key=lambda row: -row.in_all)
    if not rows:
        return ""
    took: dict[str, float] = defaultdict(float)
    for row in rows:
        took[row.how] += row.in_all
    cells = [(*HEADER, last), *(row.cells for row in rows[:LONGEST])]
    widths = [max(len(row[i]) for row in cells) for i in range(len(HEADER))]
    lines = ["  ".join([*map(str.rjust, row, widths), row[-1]]) for row in cells]
    if len(rows) > LONGEST:
        lines.append(f"and {len(rows) - LONGEST} more")
    parts = ", ".join(f"{kind} {seconds:.2f} s" for kind, seconds in sorted(took.items()))
    return "\n".join(["", f"anode: {title}: {parts}", *lines])

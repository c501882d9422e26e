"""Measuring what a graph's convolutions cost on this machine, by oneDNN and by generated code."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from anode.backends.cpu.backend import CpuCompiled
from anode.backends.cpu.choice import OneDnn, problem_of
from anode.backends.cpu.costs import Costs, Seconds, name_of
from anode.backends.cpu.onednn_conv import Problem
from anode.backends.cpu.target import host_target
from anode.ir.graph import Graph, close, fresh_inputs
from anode.ir.node import Node, make
from anode.passes.cover import Convolution, Made
from anode.passes.pipeline import optimize
from anode.runtime.state import State

RUNS, SHORTEST = 5, 0.2  # at least so many runs of each side, and for so many seconds


@dataclass(frozen=True)
class Candidate:
    """A convolution of a graph: as a node, as a problem for one thread, and in how many tasks."""

    node: Node
    problem: Problem
    tasks: int


@dataclass(frozen=True)
class Measured:
    """Seconds of a convolution on some threads; None where oneDNN has no kernel for it."""

    candidate: Candidate
    name: str
    seconds: Seconds | None


@dataclass
class _Collector:
    """A library that takes nothing and remembers what it was asked for."""

    threads: int
    found: dict[str, Candidate] = field(default_factory=dict)

    def convolution(self, wanted: Convolution) -> Made | str:
        if wanted.node.dtype.name in ("f32", "bf16"):
            problem, tasks = problem_of(wanted)
            name = name_of(problem, tasks, self.threads)
            self.found.setdefault(name, Candidate(wanted.node, problem, tasks))
        return "it is being measured"


def candidates(graph: Graph, threads: int) -> dict[str, Candidate]:
    """The distinct convolutions of a graph, by the name their costs have."""
    collector = _Collector(threads)
    optimize(graph, library=collector)
    return collector.found


def measure(graph: Graph, threads: int) -> Iterator[Measured]:
    """Time each distinct convolution of a graph; the best of some runs taken in turns."""
    for name, candidate in candidates(graph, threads).items():
        yield Measured(candidate, name, _seconds(_alone(candidate.node), threads))


def _alone(node: Node) -> Graph:
    inputs = fresh_inputs(*[arg.type for arg in node.args])
    return close(inputs, [make(node.op, tuple(inputs), node.attrs)])


def _seconds(graph: Graph, threads: int) -> Seconds | None:
    sides = [
        CpuCompiled(graph, host_target(), threads, OneDnn(threads, costs, f"tune {costs.key}"))
        for costs in (Costs(only=True), Costs(only=False))
    ]
    if not sides[0].layout.calls:
        return None
    args = [np.zeros(t.static, t.dtype.numpy) for t in graph.types]  # type: ignore[union-attr]
    best, state = [float("inf")] * 2, State({})
    runs, end = 0, time.perf_counter() + SHORTEST
    while runs <= RUNS or time.perf_counter() < end:
        for i, side in enumerate(sides):
            start = time.perf_counter()
            side.run(args, state)
            if runs:  # the first one is not counted
                best[i] = min(best[i], time.perf_counter() - start)
        runs += 1
    return best[0], best[1]

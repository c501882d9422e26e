"""Measuring what a graph's convolutions cost on this machine, in each way to compute them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from anode.backends.cpu import onednn
from anode.backends.cpu.backend import CpuCompiled
from anode.backends.cpu.choice import Choosing, problem_of
from anode.backends.cpu.costs import GENERATED, WAYS, Costs, Seconds, name_of
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
    """Seconds of a convolution on some threads; None where it can be computed in one way only."""

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
    sides = {way: _compiled(graph, threads, way) for way in WAYS}
    found = {way: side for way, side in sides.items() if side is not None}
    if len(found) < 2:
        return None
    args = [np.zeros(t.static, t.dtype.numpy) for t in graph.types]  # type: ignore[union-attr]
    best, state = dict.fromkeys(WAYS, float("inf")), State({})
    runs, end = 0, time.perf_counter() + SHORTEST
    while runs <= RUNS or time.perf_counter() < end:
        for way, side in found.items():
            start = time.perf_counter()
            side.run(args, state)
            if runs:  # the first one is not counted
                best[way] = min(best[way], time.perf_counter() - start)
        runs += 1
    library, generated, winograd = best.values()
    return library, generated, winograd


def _compiled(graph: Graph, threads: int, way: str) -> CpuCompiled | None:
    """A convolution computed in one of WAYS; None where that has no kernel for it."""
    found, costs = onednn.load(), Costs(only=way)
    absent = found if isinstance(found, str) else ""
    choosing = Choosing(threads, costs, f"tune {costs.key}", absent)
    (node,) = graph.outputs
    if way != GENERATED and isinstance(choosing.convolution(Convolution(node)), str):
        return None
    return CpuCompiled(graph, host_target(), threads, choosing)

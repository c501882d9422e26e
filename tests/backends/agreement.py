"""Native code against the reference: compile graphs, run both, say where they differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from anode.backends.cpu.backend import CpuBackend, CpuCompiled
from anode.ir.dtypes import dtype_of
from anode.ir.graph import Graph, close, fresh_inputs
from anode.ir.variable import Variable
from anode.ops.declare import widen
from anode.ops.evaluate import evaluate
from anode.runtime.state import State

ROUNDING = {"f64": 2.0**-53, "f32": 2.0**-24, "f16": 2.0**-11, "bf16": 2.0**-8}
ELEMENTWISE, ACCUMULATED = 8, 64  # roundings that a result may be away from the reference


@dataclass(frozen=True, eq=False)
class Case:
    """A graph with its inputs.

    So many `roundings` of the type computed in are allowed: of the result itself where `strict`,
    else also of the largest number about (16 at most), which sums that cancel need. A result of a
    half type may besides be its neighbour.
    """

    name: str
    graph: Graph
    args: Sequence[np.ndarray]
    roundings: int = ACCUMULATED
    strict: bool = False
    state: Mapping[Variable, np.ndarray] = field(default_factory=dict)


def compiled(graph: Graph, threads: int = 1) -> CpuCompiled:
    return CpuBackend().compile(graph, threads=threads)


def run(made: CpuCompiled, case: Case) -> list[np.ndarray]:
    """The outputs, then the new values of the variables in the graph's order."""
    state = State({variable: value.copy() for variable, value in case.state.items()})
    outputs = made.run([np.ascontiguousarray(arg) for arg in case.args], state)
    return [*outputs, *[state[variable].copy() for variable, _ in case.graph.updates]]


def expected(case: Case) -> list[np.ndarray]:
    outputs, state = evaluate(case.graph, case.args, case.state)
    return [*outputs, *[state[variable] for variable, _ in case.graph.updates]]


def differences(case: Case, threads: int = 1) -> list[str]:
    """What native code computes differently from the reference."""
    results = zip(run(compiled(case.graph, threads), case), expected(case), strict=True)
    found = [_difference(case, got, want) for got, want in results]
    return [f"{case.name}, result {i}: {text}" for i, text in enumerate(found) if text]


def check(cases: Sequence[Case], threads: int = 1, at_once: int = 20) -> None:
    """Assert that native code agrees with the reference.

    Cases are compiled `at_once`, which is quick; when any fails, each is run alone to say which.
    """
    for group in _groups(cases, at_once):
        found = differences(_together(group), threads)
        if found:
            alone = [text for case in group for text in differences(case, threads)]
            raise AssertionError("\n".join(alone or ["only when compiled together:", *found]))


def _groups(cases: Sequence[Case], size: int) -> Iterator[list[Case]]:
    remaining = iter(cases)
    while group := list(islice(remaining, size)):
        yield group


def _together(cases: Sequence[Case]) -> Case:
    """One case whose graph has the inputs and outputs of all."""
    if len(cases) == 1:
        return cases[0]
    inputs = fresh_inputs(*[type for case in cases for type in case.graph.types])
    remaining = iter(inputs)
    outputs = [
        node
        for case in cases
        for node in case.graph.inline(*islice(remaining, len(case.graph.types)))
    ]
    args = [arg for case in cases for arg in case.args]
    return Case(
        "together",
        close(inputs, outputs),
        args,
        max(case.roundings for case in cases),
        all(case.strict for case in cases),
    )


def _difference(case: Case, got: np.ndarray, want: np.ndarray) -> str:
    assert (got.dtype, got.shape) == (want.dtype, want.shape)
    dtype = dtype_of(want.dtype)
    if not dtype.is_float:
        wrong = got != want
        return _first(got, want, wrong)
    x, y = widen(got).astype(np.float64), widen(want).astype(np.float64)
    with np.errstate(all="ignore"):
        equal = (x == y) | (np.isnan(x) & np.isnan(y))
        size = np.abs(y) + (0 if case.strict else _largest([*case.args, want]))
        allowed = case.roundings * ROUNDING[dtype.compute.name] * size
        if dtype.bits < 32:
            allowed = allowed + 2 * ROUNDING[dtype.name] * np.abs(y)
        return _first(x, y, ~equal & ~(abs(x - y) <= allowed))


def _largest(arrays: Sequence[np.ndarray]) -> float:
    floats = [np.abs(widen(a)).astype(np.float64) for a in arrays if dtype_of(a.dtype).is_float]
    largest = [a[np.isfinite(a)].max(initial=0) for a in floats]
    return float(min(16, max(largest, default=0)))


def _first(got: np.ndarray, want: np.ndarray, wrong: np.ndarray) -> str:
    if not wrong.any():
        return ""
    place = tuple(int(i) for i in np.argwhere(wrong)[0])
    return f"{wrong.sum()} of {wrong.size} differ, at {place} {got[place]!r} not {want[place]!r}"

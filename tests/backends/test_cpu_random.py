"""Random graphs as native code: against the reference, by any number of threads, run after run."""

from __future__ import annotations

import pytest

from anode.backends.cpu import loop_plan, matmul_plan
from tests.backends.agreement import Case, check, compiled, run
from tests.backends.random_expressions import random_graph, random_inputs

SMOOTH = 256  # roundings that random compositions of functions may add up to


def exact(seed: int) -> Case:
    graph = random_graph(seed, size=4 + seed % 20)
    return Case(f"exact {seed}", graph, random_inputs(graph, seed), 0, strict=True)


def smooth(seed: int) -> Case:
    graph = random_graph(seed, size=4 + seed % 20, exact=False)
    return Case(f"smooth {seed}", graph, random_inputs(graph, seed, exact=False), SMOOTH)


@pytest.mark.parametrize("first", range(0, 60, 6))
def test_exact_graphs(first: int) -> None:
    check([exact(seed) for seed in range(first, first + 6)], at_once=1)


@pytest.mark.parametrize("first", range(0, 24, 6))
def test_smooth_graphs(first: int) -> None:
    check([smooth(seed) for seed in range(first, first + 6)], at_once=1)


@pytest.fixture
def tiny_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut even small kernels into many tasks, and keep such code out of the cache."""
    monkeypatch.setattr(loop_plan, "TASK_COST", 20)
    monkeypatch.setattr(matmul_plan, "_TASK_CYCLES", 50)
    monkeypatch.setenv("ANODE_CACHE", "off")


@pytest.mark.usefixtures("tiny_tasks")
@pytest.mark.parametrize("seed", range(200, 220))
def test_bits_do_not_depend_on_threads_or_runs(seed: int) -> None:
    case = smooth(seed)
    one, two = (compiled(case.graph, threads) for threads in (1, 2))
    first = [value.tobytes() for value in run(one, case)]
    for made in (one, two, two, two):
        assert [value.tobytes() for value in run(made, case)] == first

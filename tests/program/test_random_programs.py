"""Random graphs, scheduled, planned and run in random orders, against their values."""

import numpy as np
import pytest

from anode.passes.pipeline import optimize
from anode.program.memory import memory_report, timeline
from anode.program.order import reduced
from anode.program.plan import plan
from anode.program.schedule import schedule
from tests.program.check import check_plan
from tests.program.random_graphs import arrays, as_nodes, random_graph
from tests.program.reference_run import evaluate_fused, run_program


def check_graph(graph, seed):
    program = plan(schedule(graph))
    check_plan(program)
    report = memory_report(program)
    assert report.lower_bound <= report.peak <= report.unshared
    assert tuple(moment.live for moment in timeline(program)) == report.by_step
    inputs = arrays(list(graph.types), seed)
    state = dict(
        zip(graph.variables, arrays([v.type for v in graph.variables], seed + 1), strict=True)
    )
    outputs, updates = evaluate_fused(graph, inputs, state)
    for order in (None, 0, 1, 2):
        held = {variable: value.copy() for variable, value in state.items()}
        got = run_program(program, inputs, held, order)
        for value, expected in zip(got, outputs, strict=True):
            np.testing.assert_array_equal(value, expected)
        for variable, value in held.items():
            np.testing.assert_array_equal(value, updates.get(variable, state[variable]))


@pytest.mark.parametrize("seed", range(80))
def test_random_graphs(seed):
    check_graph(random_graph(seed, size=4 + seed % 20, variables=seed % 5), seed)


@pytest.mark.parametrize("seed", range(12))
def test_plans_of_larger_graphs(seed):
    program = plan(schedule(random_graph(seed, size=150)))
    check_plan(program)
    before = [set(step.after) for step in program.steps]
    assert [set(after) for after in reduced(before)] == before


@pytest.mark.parametrize("seed", range(30))
def test_random_graphs_through_the_passes(seed):
    graph = random_graph(seed, size=5 + seed, variables=seed % 5, build=as_nodes)
    check_graph(optimize(graph), seed)

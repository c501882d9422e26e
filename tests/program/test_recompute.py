"""Recomputation: less memory, the same bits, and an error that says what is possible."""

import re

import numpy as np
import pytest

import anode
from anode import ops
from anode.errors import BackendError
from anode.frontends import layers as nn
from anode.ir.graph import close, fresh_inputs
from anode.ir.node import constant, read
from anode.ir.types import tensor
from anode.ir.variable import Variable
from anode.program.memory import memory_report
from anode.program.plan import plan
from anode.program.recompute import Drops, within
from anode.program.schedule import schedule
from anode.rewrite.trace import Trace
from anode.runtime.executable import bytes_of
from anode.runtime.state import State
from anode.transform.grad import gradients
from tests.program.check import check_plan
from tests.program.random_graphs import arrays, fused, random_graph
from tests.program.reference_run import evaluate_fused, run_program

SIZE = tensor("f32", 16, 16)


def least_of(program):
    """The smallest limit that the error names."""
    with pytest.raises(BackendError, match="memory_limit: 1 bytes are not enough") as error:
        within(program, 1)
    return int(re.findall(r"[\d,]+(?= if all)", str(error.value))[0].replace(",", ""))


def check_values(graph, program, seed=0):
    check_plan(program)
    inputs = arrays(list(graph.types), seed)
    variables = graph.variables
    state = dict(zip(variables, arrays([v.type for v in variables], seed + 1), strict=True))
    outputs, updates = evaluate_fused(graph, inputs, state)
    for order in (None, 0, 1):
        held = {variable: value.copy() for variable, value in state.items()}
        got = run_program(program, inputs, held, order)
        for value, expected in zip(got, outputs, strict=True):
            np.testing.assert_array_equal(value, expected)
        for variable, value in held.items():
            np.testing.assert_array_equal(value, updates.get(variable, state[variable]))


def chain(depth):
    """Layers of a product and a function, their gradients, and updates in place."""
    (x,) = fresh_inputs(SIZE)
    variables = [Variable(f"w{i}", SIZE) for i in range(depth)]
    kept, h = [], x
    for variable in variables:
        z = fused(lambda h, w: h @ w, h, read(variable))
        kept.append((h, z))
        h = fused(ops.tanh, z)
    ct, updates = fused(lambda h: h * 2.0, h), []
    for variable, (h, z) in zip(reversed(variables), reversed(kept), strict=True):
        w = read(variable)
        ct = fused(lambda ct, z: ct * (1.0 - ops.square(ops.tanh(z))), ct, z)
        updates.append(
            (variable, fused(lambda w, h, ct: w - 0.1 * (ops.transpose(h) @ ct), w, h, ct))
        )
        ct = fused(lambda ct, w: ct @ ops.transpose(w), ct, w)
    return close([x], [ct], updates[::-1])


@pytest.mark.parametrize("share", [0.8, 0.6, 0.4])
def test_a_chain_of_layers(share):
    graph = chain(24)
    program, trace = schedule(graph), Trace("recompute")
    limit = int(plan(program).arena * share)
    planned = within(program, limit, trace)
    assert planned.arena <= limit
    assert len(planned.steps) == len(program.steps) + len(trace.hits)
    assert all("computed again" in hit.note for hit in trace.hits)
    check_values(graph, planned)


def test_chains_get_checkpoints():
    """√n memory: four times the layers need about twice the memory at least."""
    least = [least_of(schedule(chain(depth))) for depth in (4, 16)]
    assert least[1] < 3 * least[0]


def test_what_is_cheap_is_computed_again_first():
    program, trace = schedule(chain(12)), Trace("recompute")
    within(program, int(plan(program).arena * 0.7), trace)
    kinds = [hit.node.attrs["body"].outputs[0].op.name for hit in trace.hits]
    assert set(kinds) == {"tanh"}


def test_the_least_limit_can_be_kept():
    graph = chain(16)
    program = schedule(graph)
    least = least_of(program)
    planned = within(program, least)
    assert planned.arena <= least < plan(program).arena
    check_values(graph, planned)


def test_a_limit_that_holds_anyway_changes_nothing():
    program = schedule(chain(6))
    assert str(within(program, 10**9)) == str(plan(program))


@pytest.mark.parametrize("seed", range(30))
def test_random_graphs(seed):
    graph = random_graph(seed, size=10 + seed % 20, variables=seed % 5)
    program = schedule(graph)
    drops = Drops(program)
    drops.below(0)
    planned = plan(drops.smallest.program)
    assert memory_report(planned).lower_bound <= memory_report(program).lower_bound
    check_values(graph, planned, seed)
    check_values(graph, plan(drops.current.program), seed)


def training_graph():
    x, key = fresh_inputs(tensor("f32", 32, 64), tensor("u32", 4))
    weights = [Variable(f"w{i}", tensor("f32", 64, 64)) for i in range(6)]
    h = x
    for i, w in enumerate(weights):
        h = ops.dropout(ops.tanh(h @ read(w)), key, keep=0.5, stream=i)
    found = gradients([ops.mean(h)], [read(w) for w in weights])
    updates = [(w, read(w) - g) for w, g in zip(weights, found, strict=True)]
    return close([x, key], [h], updates)


def test_compiled_with_a_limit_the_bits_are_the_same():
    graph = training_graph()
    x = np.random.default_rng(0).normal(size=(32, 64)).astype(np.float32)
    key = np.arange(4, dtype=np.uint32)
    free = anode.compile(graph, "cpu", 2)
    weights = arrays([v.type for v in graph.variables], 0)
    states = [State(dict(zip(graph.variables, weights, strict=True))) for _ in range(2)]
    (expected,) = free(x, key, state=states[0])
    limit = free.bindings[0].peak_bytes * 3 // 4
    tight = anode.compile(graph, "cpu", 2, memory_limit=limit)
    (found,) = tight(x, key, state=states[1])
    assert tight.bindings[0].peak_bytes <= limit
    compiled = tight.bindings[0].compiled
    assert any(trace.name == "recompute" and trace.hits for trace in compiled.traces)
    np.testing.assert_array_equal(found, expected)
    for variable in graph.variables:
        np.testing.assert_array_equal(states[1][variable], states[0][variable])


def test_limits_are_numbers_or_text():
    texts = {"400MB": 400 * 10**6, "1.5 GiB": 3 << 29, "64": 64, " 2 kB ": 2000, "3mb": 3000000}
    assert {text: bytes_of(text) for text in texts} == texts
    assert bytes_of(1 << 20) == bytes_of(np.int64(1 << 20)) == 1 << 20
    for wrong in ("much", "-1", "4 XB", -5, "10 iB", 1.5, True):
        with pytest.raises(BackendError, match="give a number of bytes"):
            bytes_of(wrong)


def test_a_backend_that_plans_nothing_refuses():
    graph = close([], [constant(1.0)])
    with pytest.raises(BackendError, match="reference backend plans no memory"):
        anode.compile(graph, "reference", memory_limit=64)()


def test_models_take_a_limit():
    layers = [nn.Affine(64, bias=0.0, activation=nn.Tanh()) for _ in range(4)]
    model = nn.Model(layers, backend="cpu", memory_limit="1 kB")
    step = model.training_step(nn.SumSquared(), nn.GradientDescentMomentum(0.1))
    rows = np.ones((32, 64), np.float32)
    with pytest.raises(BackendError, match="memory_limit: 1,000 bytes are not enough"):
        step(rows, rows)

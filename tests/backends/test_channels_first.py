"""Nets with channels first: trained natively as by the reference, with filters stored turned."""

import numpy as np
import pytest

import anode
from anode import ops
from anode.ir.graph import close, fresh_inputs
from anode.ir.node import constant, read
from anode.ir.types import tensor
from anode.ir.variable import Variable
from anode.runtime import checkpoint
from anode.runtime.state import State
from anode.transform import gradients
from tests.passes.test_layout import Weights, residual_net, training_step, values

SHAPE = (4, 3, 16, 16)


def initial(graph):
    rng = np.random.default_rng(3)
    return State({v: rng.normal(0, 0.2, v.type.static).astype("f4") for v in graph.variables})


def is_turned(array):
    """Whether filters (o, c, h, w) are stored as (h, w, c, o)."""
    return array.transpose(2, 3, 1, 0).flags.c_contiguous and not array.flags.c_contiguous


def filters(state):
    return [v for v in state if v.type.rank == 4]


@pytest.fixture(scope="module")
def step():
    graph = training_step(residual_net, SHAPE)
    return graph, anode.compile(graph, backend="cpu")


def test_training_gives_the_values_of_the_reference(step):
    graph, native = step
    mine, wanted = initial(graph), initial(graph)
    reference = anode.compile(graph, backend="reference")
    for seed in range(3):
        (x,) = values(graph.types, seed)
        (loss,), (expected,) = native(x, state=mine), reference(x, state=wanted)
        np.testing.assert_allclose(loss, expected, rtol=1e-4)
    for variable, value in mine.items():
        np.testing.assert_allclose(value, wanted[variable], rtol=1e-3, atol=1e-4)
    assert all(is_turned(mine[v]) for v in filters(mine))
    assert all(not is_turned(wanted[v]) for v in filters(wanted))


def test_arrays_stay_from_the_second_step_on(step):
    graph, native = step
    state = initial(graph)
    (x,) = values(graph.types)
    native(x, state=state)
    version, addresses = state.version, [a.ctypes.data for a in state.values()]
    native(x, state=state)
    assert state.version == version
    assert [a.ctypes.data for a in state.values()] == addresses
    assert all(address % 64 == 0 for address in addresses)


def test_a_run_that_was_resumed_has_the_same_bits(step, tmp_path):
    graph, native = step
    images = [values(graph.types, seed)[0] for seed in range(4)]
    whole, first = initial(graph), initial(graph)
    for x in images:
        native(x, state=whole)
    for x in images[:2]:
        native(x, state=first)
    checkpoint.save(tmp_path / "c", first)
    arrays, _ = checkpoint.load(tmp_path / "c")
    assert all(array.flags.c_contiguous for array in arrays.values())
    for variable, value in first.items():
        np.testing.assert_array_equal(arrays[variable.name], value)
    resumed = State({v: np.zeros(v.type.static, "f4") for v in graph.variables})
    checkpoint.restore(resumed, arrays)
    for x in images[2:]:
        native(x, state=resumed)
    for variable, value in whole.items():
        assert value.tobytes() == resumed[variable].tobytes()


def test_restoring_into_turned_filters(step, tmp_path):
    """A state that has run takes a checkpoint without giving up its order."""
    graph, native = step
    state, other = initial(graph), initial(graph)
    (x,) = values(graph.types)
    checkpoint.save(tmp_path / "c", state)
    (loss,) = native(x, state=state)
    checkpoint.restore(state, checkpoint.load(tmp_path / "c")[0])
    assert all(is_turned(state[v]) for v in filters(state))
    for variable, value in state.items():
        np.testing.assert_array_equal(value, other[variable])
    assert native(x, state=state)[0] == loss


def test_executables_that_want_different_orders_take_turns(step):
    graph, _ = step
    image = fresh_inputs(*graph.types)
    w = Weights()
    agreeing = close(image, [residual_net(*image, w)])  # inference reads what training updates
    first = read(filters(initial(graph))[0])
    other = close([], [ops.sort(first, axis=0)], [(first.attrs["variable"], first * 2)])
    (x,) = values(graph.types)
    results = []
    for backend in ("cpu", "reference"):
        state = initial(graph)
        runs = [anode.compile(g, backend=backend) for g in (graph, agreeing, other)]
        found = []
        for index in (0, 1, 0, 2, 1, 0, 2, 2, 0, 1):
            found += runs[index](*[x][: len(runs[index].graph.types)], state=state)
        results.append((found, state))
    (mine, state), (wanted, expected) = results
    for a, b in zip(mine, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=1e-3)
    for variable, value in state.items():
        np.testing.assert_allclose(value, expected[variable], rtol=2e-3, atol=1e-3)


def test_agreeing_executables_convert_once(step):
    graph, native = step
    image = fresh_inputs(*graph.types)
    inference = anode.compile(close(image, [residual_net(*image, Weights())]), backend="cpu")
    state = initial(graph)
    (x,) = values(graph.types)
    native(x, state=state)
    version = state.version
    inference(x, state=state)
    native(x, state=state)
    assert state.version == version


def test_an_input_that_is_a_turned_variable_is_not_written_over():
    v = Variable("v", tensor("f32", 4, 3, 5, 5))
    (x,) = fresh_inputs(v.type)
    image = constant(np.ones((1, 3, 8, 8), "f4"))
    loss = ops.sum(ops.conv(image, read(v)))
    (slope,) = gradients([loss], [read(v)])
    step = anode.compile(close([x], [ops.sum(x)], [(v, read(v) - slope)]), backend="cpu")
    state = State({v: np.ones(v.type.static, "f4")})
    (total,) = step(state[v], state=state)
    assert total == 300
    (total,) = step(state[v], state=state)
    assert total == pytest.approx(300 - 4 * 3 * 25 * 16)

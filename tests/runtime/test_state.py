import numpy as np
import pytest

from anode import ops
from anode.errors import GraphError, ShapeError
from anode.ir.dtypes import bf16, f32_to_bf16
from anode.ir.graph import trace
from anode.ir.types import tensor
from anode.ir.variable import Variable
from anode.runtime.state import State, initial_key


def drawn(name, *shape):
    init = trace(lambda key: ops.uniform(key, stream=0, shape=shape), tensor("u32", 4))
    return Variable(name, tensor("f32", *shape), init)


def given(name, dtype, *shape):
    return Variable(name, tensor(dtype, *shape))


def test_initial_values_depend_on_seed_and_position_only():
    a, b = drawn("a", 50), drawn("b", 50)
    first, again = State.initial([a, b], seed=7), State.initial([b, a], seed=7)
    assert not np.array_equal(first[a], first[b])
    assert np.array_equal(first[a], again[b])
    assert not np.array_equal(first[a], State.initial([a], seed=8)[a])
    assert not np.array_equal(first[a], State.initial([a], seed=7 + 2**32)[a])


def test_the_key_is_the_seed_and_the_position():
    assert initial_key(2**32 + 5, 3).tolist() == [5, 1, 3, 0]
    with pytest.raises(GraphError, match="seed=-1"):
        initial_key(-1, 0)


def test_buffers_are_aligned_and_stay():
    variables = [
        given(f"v{i}", dtype, i + 1, 3) for i, dtype in enumerate(["f32", "bool", "bf16", "i8"])
    ]
    state = State({v: np.zeros(v.type.static, v.type.dtype.numpy) for v in variables})
    before, version = {v: state[v].ctypes.data for v in variables}, state.version
    state[variables[3]] = np.ones((4, 3), np.int8)
    assert state.named("v3").sum() == 12
    assert {v: state[v].ctypes.data for v in variables} == before
    assert all(address % 64 == 0 for address in before.values())
    assert all(state[v].flags.c_contiguous for v in variables)
    assert state.version == version


def test_no_two_sets_of_addresses_share_a_version():
    v, w = given("v", "f32"), given("w", "f32")
    states = [State({v: 1.0}), State({v: 1.0})]
    seen = {state.version for state in states}
    states[0][w] = 2.0
    assert len({states[0].version, *seen}) == 3


def test_add_keeps_what_is_there_and_takes_given_values():
    a, b = given("a", "f32", 2), given("b", "i32")
    state = State({a: [1, 2]})
    state.add([a, b], values={a: np.zeros(2, np.float32), b: 3})
    assert state[a].tolist() == [1, 2]
    assert state[b] == 3
    assert list(state) == [a, b]
    assert len(state) == 2


def test_python_numbers_and_bf16():
    v = given("v", "bf16", 2)
    state = State({v: [1.0, 2.5]})
    assert state[v].tobytes() == f32_to_bf16(np.array([1, 2.5], np.float32)).tobytes()
    assert state[v].dtype == bf16.numpy


@pytest.mark.parametrize(
    ("variable", "value", "error", "message"),
    [
        (given("w", "f32", 2), np.zeros(3, np.float32), ShapeError, r"w is f32\[2\].*\(3,\)"),
        (given("w", "f32", 2), np.zeros(2), ShapeError, "cannot hold float64"),
        (given("w", "i32"), 1.5, ShapeError, "w is of type i32; it cannot hold 1.5"),
        (given("w", "u8"), 256, ShapeError, "it cannot hold 256"),
        (given("w", "f32"), "x", ShapeError, "cannot hold"),
    ],
)
def test_misfits(variable, value, error, message):
    with pytest.raises(error, match=message):
        State({variable: value})


def test_unknown_and_uninitialised_and_doubled_names():
    v = given("v", "f32")
    with pytest.raises(GraphError, match="v has no initialiser"):
        State.initial([v])
    with pytest.raises(GraphError, match="no variable is called 'x'; there are v"):
        State({v: 1.0}).named("x")
    with pytest.raises(GraphError, match="two variables are called 'v'"):
        State({v: 1.0, given("v", "f64"): 1.0})


def test_large_initial_values_are_those_of_the_reference():
    type = tensor("f32", 1 << 10, 1 << 10)

    def init(key):
        return ops.normal(key, stream=0, shape=type.static) * 0.1

    variable = Variable("v", type, trace(init, tensor("u32", 4)))
    found = State.initial([variable], seed=3)[variable]
    expected = ops.evaluate(variable.init, [initial_key(3, 0)])[0][0]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("number", [0.0, -0.0, 0.3])
def test_large_initial_values_of_one_number(number, monkeypatch):
    monkeypatch.setattr("anode.runtime.state.backend_named", None)  # no code is made for them
    type = tensor("f32", 1 << 10, 1 << 10)
    init = trace(lambda key: ops.full(type.static, number), tensor("u32", 4))
    variable = Variable("v", type, init)
    array = State.initial([variable])[variable]
    assert array.tobytes() == np.full(type.static, number, np.float32).tobytes()
    assert array.flags.writeable and array.ctypes.data % 64 == 0

import numpy as np
import pytest

from anode import ops
from anode.backends.base import backend_named
from anode.errors import BackendError, GraphError, ShapeError
from anode.ir.dims import Dim
from anode.ir.dtypes import bf16, f32_to_bf16
from anode.ir.graph import Graph, close, fresh_inputs, trace
from anode.ir.node import read
from anode.ir.types import tensor
from anode.ir.variable import Variable
from anode.runtime.executable import compile
from anode.runtime.state import State

N = Dim("n")
ADD = trace(lambda x, y: x + y, tensor("f32", 2, 3), tensor("f32", 2, 3))
X = np.arange(6, dtype=np.float32).reshape(2, 3)


def named(graph, *names):
    return Graph.make(graph.types, graph.outputs, graph.updates, graph.effects, names)


def counter():
    v = Variable("count", tensor("f32"))
    inputs = fresh_inputs(tensor("f32"))
    return v, close(inputs, [read(v)], [(v, read(v) + inputs[0])])


def test_arrays_in_arrays_out(backend):
    exe = compile(ADD, backend)
    (first,) = exe(X, X)
    (second,) = exe(X, X)
    assert np.array_equal(first, 2 * X)
    first[0] = 0  # outputs are the caller's own
    assert np.array_equal(second, 2 * X)
    assert [binding.runs for binding in exe.bindings] == [2]


def test_inputs_that_need_a_copy(backend):
    exe = compile(ADD, backend)
    unaligned = np.zeros(25, np.uint8)[1:].view(np.float32).reshape(2, 3)
    unaligned[...] = X
    for value in (np.asfortranarray(X), np.repeat(X, 2, axis=1)[:, ::2], unaligned, X.tolist()):
        if isinstance(value, list):
            value = np.float32(value)
        assert np.array_equal(exe(value, X)[0], 2 * X)


def test_dlpack_objects(backend):
    class Foreign:
        def __dlpack__(self, **kwargs):
            return X.__dlpack__(**kwargs)

        def __dlpack_device__(self):
            return X.__dlpack_device__()

    (z,) = compile(ADD, backend)(Foreign(), Foreign())
    assert np.array_equal(np.from_dlpack(z), 2 * X)


def test_numbers_for_scalars(backend):
    exe = compile(trace(lambda x: x * 2.0, tensor("f32")), backend)
    assert exe(1.5)[0] == 3 and exe(2)[0] == 4
    with pytest.raises(ShapeError, match=r"input 0 is of type i32; it cannot hold 1\.5"):
        compile(trace(lambda x: x, tensor("i32")), backend)(1.5)


def test_bf16(backend):
    exe = compile(trace(lambda x: x + x, tensor("bf16", 2)), backend)
    assert (
        exe(f32_to_bf16(np.float32([1, 2])))[0].tobytes()
        == f32_to_bf16(np.float32([2, 4])).tobytes()
    )
    assert exe(f32_to_bf16(np.float32([1, 2])))[0].dtype == bf16.numpy


def test_sizes_are_bound_once_each(backend):
    exe = compile(trace(lambda x, y: x + y, tensor("f32", N, 3), tensor("f32", N, 3)), backend)
    for rows in (2, 4, 2, 4, 4):
        assert exe(*[np.ones((rows, 3), np.float32)] * 2)[0].shape == (rows, 3)
    assert [(b.sizes, b.runs) for b in exe.bindings] == [({"n": 2}, 2), ({"n": 4}, 3)]
    assert all(b.seconds >= 0 for b in exe.bindings)
    assert "n=4: compiled in" in repr(exe)


def test_sizes_that_disagree():
    graph = trace(lambda x, y: (x, y), tensor("f32", N, 3), tensor("f32", 2 * N))
    exe = compile(named(graph, "x", "y", "a", "b"), "reference")
    assert len(exe(np.ones((2, 3), np.float32), np.ones(4, np.float32))) == 2
    with pytest.raises(ShapeError, match=r"input 'y' has shape \(5,\).*f32\[2\*n\] with {'n': 2}"):
        exe(np.ones((2, 3), np.float32), np.ones(5, np.float32))
    same = compile(trace(lambda x, y: (x, y), tensor("f32", N), tensor("f32", N)), "reference")
    with pytest.raises(ShapeError, match="n is 2 in input 0 but 3 in input 1"):
        same(np.ones(2, np.float32), np.ones(3, np.float32))


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([X], "takes 2 inputs, got 1"),
        ([X, X.astype(np.float64)], r"input 'y' is float64; the graph takes f32\[2,3\]"),
        ([X.T, X], r"input 'x' has shape \(3, 2\); the graph takes f32\[2,3\]"),
        ([X[0], X], r"input 'x' has shape \(3,\)"),
        ([X, "text"], "input 'y'"),
        ([X, X.astype(">f4")], "input 'y'"),
    ],
)
def test_inputs_that_do_not_fit(inputs, message):
    with pytest.raises(ShapeError, match=message):
        compile(named(ADD, "x", "y", "z"), "reference")(*inputs)


def test_wrong_inputs_after_right_ones():
    exe = compile(ADD, "reference")
    exe(X, X)
    with pytest.raises(ShapeError, match="input 1 is int32"):
        exe(X, X.astype(np.int32))
    with pytest.raises(ShapeError, match="takes 2 inputs, got 3"):
        exe(X, X, X)


def test_variables_change_in_place(backend):
    v, graph = counter()
    state = State({v: 1.0})
    buffer = state[v]
    exe = compile(graph, backend)
    assert [float(exe(2.0, state=state)[0]) for _ in range(3)] == [1, 3, 5]
    assert state[v] is buffer and buffer == 7


def test_variables_swap(backend):
    a, b = (Variable(name, tensor("f32", 3)) for name in "ab")
    graph = close((), [read(a)], [(a, read(b)), (b, read(a))])
    state = State({a: [1, 2, 3], b: [4, 5, 6]})
    (old,) = compile(graph, backend)(state=state)
    assert state[a].tolist() == [4, 5, 6]
    assert state[b].tolist() == old.tolist() == [1, 2, 3]


def test_another_state_on_the_same_executable(backend):
    v, graph = counter()
    exe, states = compile(graph, backend), [State({v: 0.0}), State({v: 10.0})]
    for state in states * 2:
        exe(1.0, state=state)
    assert [float(state[v]) for state in states] == [2, 12]


def test_a_state_without_the_variable():
    _, graph = counter()
    with pytest.raises(GraphError, match=r"no value for count; pass state=State.initial"):
        compile(graph, "reference")(1.0)


def test_the_environment_chooses(monkeypatch):
    monkeypatch.setenv("ANODE_BACKEND", "reference")
    monkeypatch.setenv("ANODE_THREADS", "3")
    exe = compile(ADD)
    assert exe.backend.name == "reference" and exe.threads == 3
    assert compile(ADD, threads=1).threads == 1
    monkeypatch.setenv("ANODE_THREADS", "many")
    with pytest.raises(BackendError, match="ANODE_THREADS='many'"):
        compile(ADD)


def test_an_unknown_backend():
    with pytest.raises(BackendError, match="no backend 'tpu'; choose one of cpu, reference"):
        backend_named("tpu")


def test_sizes_no_input_gives():
    graph = trace(lambda x: ops.broadcast_to(x, (N,)), tensor("f32"))
    with pytest.raises(ShapeError, match="sizes of n are not given by any input"):
        compile(graph, "reference")(1.0)
    compiled = compile(graph, "reference").compile(n=3)
    assert compiled.run([np.float32(1).reshape(())], State())[0].tolist() == [1, 1, 1]


def test_stages_print():
    assert "add" in compile(ADD, "reference").stages["graph"]


def test_a_function_is_no_graph_yet():
    with pytest.raises(GraphError, match=r"anode\.graph\(f, \*types\) makes one"):
        compile(lambda x: x)

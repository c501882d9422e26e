"""The native backend as an executable meets it: any array in, fresh arrays out, state in place."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from anode import ops
from anode.backends.cpu.backend import SMALL, CpuBackend
from anode.errors import BackendError, ShapeError
from anode.ir.dtypes import DTYPES
from anode.ir.graph import Graph, close, fresh_inputs, trace
from anode.ir.node import read
from anode.ir.types import tensor
from anode.ir.variable import Variable
from anode.ops.evaluate import evaluate
from anode.runtime.executable import Executable, compile
from anode.runtime.state import State

ROWS, COLUMNS = 33, 65  # more than SMALL bytes
SHAPE = tensor("f32", ROWS, COLUMNS)
DOUBLE = trace(lambda x: x * 2.0, SHAPE)
X = np.random.RandomState(0).randn(ROWS, COLUMNS).astype(np.float32)


def native(graph: Graph) -> Executable:
    return compile(graph, "cpu", 2)


def misaligned(x: np.ndarray) -> np.ndarray:
    raw = np.zeros(x.nbytes + 1, np.uint8)[1:]
    raw[:] = np.frombuffer(x.tobytes(), np.uint8)
    return raw.view(x.dtype).reshape(x.shape)


def read_only(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x.flags.writeable = False
    return x


LAYOUTS = {
    "transposed": lambda x: np.ascontiguousarray(x.T).T,
    "fortran": np.asfortranarray,
    "every other": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "backwards": lambda x: np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1],
    "misaligned": misaligned,
    "read only": read_only,
    "broadcast": lambda x: np.broadcast_to(x[:1], x.shape),
    "offset": lambda x: np.concatenate([x[:1], x])[1:],
    "subclass": lambda x: x.view(np.recarray),
    "memory view": memoryview,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_inputs_of_every_layout(layout):
    exe, x = native(DOUBLE), LAYOUTS[layout](X)
    for _ in range(2):
        assert np.array_equal(exe(x)[0], 2 * np.asarray(x))
    assert np.array_equal(exe(X)[0], 2 * X)
    assert np.array_equal(exe(x)[0], 2 * np.asarray(x))


def test_a_scalar_input_of_every_kind():
    exe = native(trace(lambda x: x * 2.0, tensor("f32")))
    for value in (
        1.5,
        np.float32(1.5),
        np.array(1.5, np.float32),
        misaligned(np.float32([1.5]))[0],
    ):
        assert exe(value)[0] == 3


def test_changed_content_of_one_array_is_seen():
    exe, x = native(DOUBLE), X.copy()
    for number in range(4):
        x[...] = number
        assert (exe(x)[0] == 2 * number).all()


def test_an_array_at_the_address_of_another():
    """Inputs are known again by identity, so a freed one must not be mistaken for the next."""
    exe = native(DOUBLE)
    for number in range(50):
        assert (exe(np.full((ROWS, COLUMNS), number, np.float32))[0] == 2 * number).all()


@pytest.mark.parametrize("rows", [1, ROWS])  # an output of a fixed place, and one made for each run
def test_outputs_are_the_callers_own(rows):
    assert 4 * COLUMNS <= SMALL < 4 * ROWS * COLUMNS
    exe, x = native(trace(lambda x: (x * 2.0, x, x), tensor("f32", rows, COLUMNS))), X[:rows].copy()
    first = exe(x)
    for output in first:
        assert output.flags.owndata and output.flags.writeable
        output[...] = -7
    second = exe(x)
    expected = (2 * X[:rows], X[:rows], X[:rows])
    assert all(np.array_equal(o, e) for o, e in zip(second, expected, strict=True))
    assert np.array_equal(x, X[:rows])
    assert all((output == -7).all() for output in first)
    arrays = [*first, *second, x]
    assert not any(np.shares_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i])


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 4)], ids=str)
def test_arrays_without_elements(shape):
    graph = trace(lambda x: (x * 2.0, ops.sum(x), ops.sum(x, 0)), tensor("f32", *shape))
    x = np.zeros(shape, np.float32)
    doubled, total, column = native(graph)(x)
    assert (doubled.shape, total, column.shape) == (shape, 0, shape[1:])
    assert not column.any()


def test_products_without_elements():
    graph = trace(ops.matmul, tensor("f32", 3, 0), tensor("f32", 0, 4))
    (product,) = native(graph)(np.zeros((3, 0), np.float32), np.zeros((0, 4), np.float32))
    assert product.tolist() == [[0] * 4] * 3


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=str)
def test_every_type_goes_through_unchanged(dtype):
    raw = np.random.RandomState(0).randint(0, 256, 24 * dtype.size, np.uint8)
    x = raw.view(dtype.numpy) if dtype.kind != "bool" else raw > 99
    graph = trace(lambda x: (x, ops.reverse(x, axes=(0,))), tensor(dtype.name, 24))
    same, reversed_ = native(graph)(x)
    assert same.tobytes() == x.tobytes() and reversed_.tobytes() == x[::-1].tobytes()


class Foreign:
    """Another library's array: known by DLPack only."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def test_dlpack_without_copies(monkeypatch):
    exe = native(DOUBLE)
    made = exe.compile()
    seen = []
    monkeypatch.setattr(
        type(made),
        "_run",
        _watched(type(made)._run, lambda inputs: seen.append(inputs[0].ctypes.data)),
    )
    (out,) = exe(Foreign(X))
    assert seen == [X.ctypes.data]
    taken = np.from_dlpack(Foreign(out))
    assert taken.ctypes.data == out.ctypes.data and np.array_equal(taken, 2 * X)


def _watched(run, see):
    def watched(self, inputs, state):
        see(inputs)
        return run(self, inputs, state)

    return watched


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (X.astype(np.float64), r"input 'x' is float64; the graph takes f32\[33,65\], convert it"),
        (X.astype(">f4"), r"input 'x' is >f4; the graph takes f32"),
        (X.astype(np.int32), "input 'x' is int32"),
        (X[1:], r"input 'x' has shape \(32, 65\); the graph takes f32\[33,65\]"),
        (X.ravel(), r"input 'x' has shape \(2145,\)"),
        (X[None], r"input 'x' has shape \(1, 33, 65\)"),
        (None, "input 'x' is object"),
        ("text", "input 'x' is <U4"),
        (1.0, r"input 'x' has shape \(\); the graph takes"),
        ([[1.0, 2.0], [3.0]], "input 'x' cannot be used as an array"),
    ],
    ids=lambda value: None,
)
def test_what_does_not_fit(value, message):
    graph = Graph.make(DOUBLE.types, DOUBLE.outputs, (), (), ("x", "y"))
    exe = native(graph)
    for _ in range(2):  # before and after it is compiled
        with pytest.raises(ShapeError, match=message):
            exe(value)
        exe(X)


@pytest.mark.parametrize("threads", [0, -1])
def test_a_refused_number_of_threads(threads):
    with pytest.raises(BackendError, match=f"threads={threads}: choose at least 1"):
        compile(DOUBLE, "cpu", threads)(X)


W, B = Variable("w", SHAPE), Variable("b", tensor("f32", COLUMNS))


def accumulating() -> Graph:
    (x,) = fresh_inputs(SHAPE)
    w, b = read(W), read(B)
    total = w + x
    return close([x], [total * 0.5, w], [(W, total), (B, b + ops.sum(x, 0))])


def fresh_state() -> State:
    return State({W: np.zeros_like(X), B: np.zeros(COLUMNS, np.float32)})


def test_state_is_updated_where_it_is():
    exe, state = native(accumulating()), fresh_state()
    buffers = state[W], state[B]
    addresses = [buffer.ctypes.data for buffer in buffers]
    for number in range(1, 4):
        half, before = exe(np.ones_like(X), state=state)
        assert (half == number / 2).all() and (before == number - 1).all()
        assert (state[W] == number).all() and (state[B] == ROWS * number).all()
    assert [state[v].ctypes.data for v in (W, B)] == addresses
    assert state[W] is buffers[0] and state[B] is buffers[1]


def test_values_put_into_the_state_are_seen():
    exe, state = native(accumulating()), fresh_state()
    exe(X, state=state)
    state[W] = np.full_like(X, 10)
    state[B][...] = 20
    exe(np.ones_like(X), state=state)
    assert (state[W] == 11).all() and (state[B] == 20 + ROWS).all()


def test_another_state_is_bound_anew():
    exe, states = native(accumulating()), [fresh_state(), fresh_state()]
    for state in (states[0], states[1], states[0], states[0]):
        exe(np.ones_like(X), state=state)
    assert [state[W][0, 0] for state in states] == [3, 1]
    replaced = State({W: states[0][W].copy(), B: states[0][B].copy()})
    exe(np.ones_like(X), state=replaced)
    assert [s[W][0, 0] for s in (*states, replaced)] == [3, 1, 4]


def test_a_variable_added_later_does_no_harm():
    exe, state = native(accumulating()), fresh_state()
    exe(np.ones_like(X), state=state)
    state[Variable("more", SHAPE)] = X
    exe(np.ones_like(X), state=state)
    assert (state[W] == 2).all()


@pytest.mark.parametrize("part", [slice(None), slice(1, 2)], ids=["whole", "part"])
def test_an_input_that_is_the_state_itself(part):
    """The run replaces the variable before it has read the input for the last time."""
    v = Variable("v", tensor("f32", 3, 40, 40))
    value = np.random.RandomState(0).randn(3, 40, 40).astype(np.float32)
    count = len(value[part])
    (x,) = fresh_inputs(tensor("f32", count, 40, 40))
    doubled = read(v) * 2.0
    product = ops.matmul(x, ops.slice(doubled, start=(0, 0, 0), limit=(count, 40, 40)))
    graph = close([x], [product], [(v, doubled)])
    exe, state, other = native(graph), State({v: value}), State({v: value})
    current = value
    for run in range(3):
        (got,) = exe(state[v][part], state=state)
        (want,), _ = evaluate(graph, [current[part]], {v: current})
        assert np.allclose(got, want, rtol=1e-5, atol=1e-3), run
        current = current * 2
        assert np.array_equal(state[v], current)
    mine = other[v][part]
    exe(mine, state=fresh(v, value))  # known by identity, and then of the state in use
    (got,) = exe(mine, state=other)
    (want,), _ = evaluate(graph, [value[part]], {v: value})
    assert np.allclose(got, want, rtol=1e-5, atol=1e-3)


def fresh(v: Variable, value: np.ndarray) -> State:
    return State({v: value})


def test_two_inputs_in_one_array():
    graph = trace(lambda x, y: ops.matmul(x, y) - x, tensor("f32", 32, 32), tensor("f32", 32, 32))
    x = np.ascontiguousarray(X[:32, :32])
    assert np.allclose(native(graph)(x, x)[0], x @ x - x, atol=1e-4)


def test_an_output_beside_a_reduction_of_it():
    """The output has a dim of one element that the loop nest has not."""
    graph = trace(
        lambda x, b: (x + b, ops.mean(ops.exp(x + b))), tensor("f32", 4, 1), tensor("f32", 1)
    )
    x, b = np.float32([[1], [2], [3], [4]]), np.float32([0.5])
    got, (want, _) = native(graph)(x, b), evaluate(graph, [x, b])
    assert all(np.allclose(g, w, rtol=1e-6) for g, w in zip(got, want, strict=True))


def test_compiling_says_what_it_took():
    made = CpuBackend().compile(DOUBLE)
    assert made.seconds > 0 and made.peak_bytes == made.program.arena
    assert list(made.stages) == ["graph", "optimized", "program", "llvm", "assembly"]
    assert "define" in made.stages["llvm"] and made.threads >= 1
    with pytest.raises(KeyError):
        made.stages["object"]


@pytest.mark.parametrize("collects", [True, False])
def test_compiling_leaves_the_collector_as_it_was(collects, monkeypatch):
    monkeypatch.setenv("ANODE_CACHE", "off")
    usual = gc.isenabled()
    (gc.enable if collects else gc.disable)()
    try:
        compile(trace(lambda x: x + 1.0, tensor("f32", 3)), "cpu").compile()
        assert gc.isenabled() == collects
    finally:
        (gc.enable if usual else gc.disable)()

"""What may be written in place, against kernels that do so element by element."""

from random import Random

import numpy as np
import pytest

from anode import ops
from anode.ir.graph import Graph, close, fresh_inputs, trace
from anode.ir.node import substitute
from anode.ir.types import tensor
from anode.ops.declare import Elementwise
from anode.ops.evaluate import evaluate
from anode.ops.reduce import sum as reduce_sum
from anode.program.alias import aligned, may_alias
from anode.runtime import executable as runtime
from tests.program.random_graphs import KERNELS, SQUARE

X, ROW = tensor("f32", 3, 4), tensor("f32", 4)


def row(x):
    return ops.broadcast_in_dim(x, shape=(3, 4), axes=(1,))


def adam(w, m, v, g):
    m, v = m * 0.9 + g * 0.1, v * 0.99 + g * g * 0.01
    return w - 0.01 * m / (ops.sqrt(v) + 1e-8), m, v


def product(x, y):
    return ops.dot_general(x, y, contract=((1,), (0,)), batch=((), ()))


def replaced(x, update, start):
    return ops.dynamic_update_slice(x * 2.0, update, start, start) + 1.0


CASES = [
    # body, operand types, (output, input) pairs that are aligned
    (lambda x, y: x + y, [X, X], {(0, 0), (0, 1)}),
    (lambda x, y: x + row(y), [X, ROW], {(0, 0)}),
    (adam, [X] * 4, {(o, i) for o in range(3) for i in range(4)}),
    (lambda x: ops.reshape(ops.reshape(x, shape=(12,)) * 2.0, shape=(4, 3)), [X], {(0, 0)}),
    (lambda x: ops.transpose(x), [SQUARE], set()),
    (lambda x: ops.transpose(x), [tensor("f32", 1, 4)], {(0, 0)}),
    (lambda x: x + ops.reverse(x, axes=(0,)), [X], set()),
    (lambda x: x - row(reduce_sum(x, 0)), [X], set()),
    (lambda x, y: (x * 2.0, reduce_sum(x * y, 0)), [X, X], {(0, 0), (0, 1)}),
    (lambda x, y: (x * 2.0, reduce_sum(y, 0)), [X, X], {(0, 0)}),
    (lambda x, y: x - row(reduce_sum(x * y, 0)), [X, X], {(0, 0), (0, 1)}),
    (lambda x, y: (x * 2.0, reduce_sum(y * row(reduce_sum(x * x, 0)), 0)), [X, X], {(0, 0)}),
    (lambda x: (x * 2.0, reduce_sum(x * row(reduce_sum(x * x, 0)), 0)), [X], set()),
    (
        lambda x, y: (x * 2.0, reduce_sum(x * y, 0) + reduce_sum(product(y, y), 0)),
        [SQUARE] * 2,
        set(),
    ),
    (lambda b, x: b - reduce_sum(x, 0), [ROW, X], {(0, 0)}),
    (lambda x, y: (x + y, x * row(reduce_sum(y, 0))), [X, X], set()),
    (lambda x, y: (y * 2.0, x * row(reduce_sum(y, 0))), [X, X], {(1, 0)}),
    (lambda w, x, y: w - product(x, y), [SQUARE] * 3, {(0, 0)}),
    (lambda w, x: w - product(x, w), [SQUARE] * 2, set()),
    (lambda x: ops.convert(x, dtype="i32"), [X], {(0, 0)}),
    (lambda x: ops.convert(x, dtype="f64"), [X], set()),
    (lambda x: (x * 2.0, ops.reshape(x, shape=(12,)) + 1.0), [X], set()),
    (lambda x: ops.slice(x, start=(0, 0), limit=(2, 4)), [X], set()),
    (lambda x: x, [X], {(0, 0)}),
    (replaced, [X, tensor("f32", 1, 4), tensor("i32")], {(0, 0)}),
    (lambda x, i: ops.dynamic_update_slice(x, x, i, i), [X, tensor("i32")], set()),
]


@pytest.mark.parametrize(("body", "types", "expected"), CASES, ids=map(str, range(len(CASES))))
def test_cases(body, types, expected):
    graph = trace(body, *types)
    pairs = [(o, i) for o in range(len(graph.outputs)) for i in range(len(types))]
    assert {(o, i) for o, i in pairs if aligned(graph, o, i)} == expected
    for output, input in expected:
        check_in_place(graph, output, input)


@pytest.mark.parametrize("name", KERNELS)
def test_kernels_of_the_random_graphs(name):
    operands, function = KERNELS[name]
    graph = trace(function, *[SQUARE] * len(operands))
    for output in range(len(graph.outputs)):
        for input in range(len(operands)):
            if aligned(graph, output, input):
                check_in_place(graph, output, input)


def check_in_place(graph: Graph, output: int, input: int) -> None:
    """Run the body one element at a time, storing `output` over `input` as it goes.

    Outputs of one shape share a loop, and those that wait for a reduction are computed in a second
    one, as kernels may do. Sums of elementwise values are taken before anything is stored.
    """
    generator = np.random.default_rng(0)
    values = [generator.normal(size=t.static).astype(t.dtype.numpy) for t in graph.types]
    expected = evaluate(graph, [v.copy() for v in values])[0]
    loops: dict[object, list[int]] = {}
    for o, value in enumerate(expected):
        loops.setdefault((waits(graph, o), value.shape), []).append(o)
    graph, sums = with_sums_given(graph, values)
    for _, outputs in sorted(loops.items()):
        results = run_loop(graph, [*values, *sums], outputs, output, input)
        for o, result in zip(outputs, results, strict=True):
            if o == output or reads(graph, o, input):
                np.testing.assert_array_equal(result, expected[o].ravel())


def with_sums_given(graph: Graph, values: list[np.ndarray]) -> tuple[Graph, list[np.ndarray]]:
    """The graph with its reductions of elementwise values as further inputs, and their values."""
    elementwise = [
        node
        for node in graph.nodes
        if node.op.name == "reduce" and isinstance(node.args[0].op, Elementwise)
    ]
    sums = evaluate(Graph.make(graph.types, elementwise), values)[0] if elementwise else []
    inputs = fresh_inputs(*graph.types, *[node.type for node in elementwise])
    given = dict(zip([*graph.inputs, *elementwise], inputs, strict=True))
    outputs = substitute(graph.outputs, given)
    return close(inputs, [outputs[node] for node in graph.outputs]), list(sums)


def run_loop(
    graph: Graph, values: list[np.ndarray], outputs: list[int], output: int, input: int
) -> list[np.ndarray]:
    """The elements of `outputs` in a random order; each of `output` replaces one of `input`."""
    memory = values[input].reshape(-1)
    found = {}
    order = list(range(graph.outputs[outputs[0]].tensor.size))
    Random(0).shuffle(order)
    for k in order:
        now = evaluate(graph, values)[0]
        found[k] = [now[o].ravel()[k] for o in outputs]
        if output in outputs:
            stored = now[output].ravel()[k : k + 1].copy()
            memory[k : k + 1] = stored.view(memory.dtype)
    return [np.array([found[k][i] for k in sorted(found)]) for i in range(len(outputs))]


def waits(graph: Graph, output: int) -> bool:
    names = {node.op.name for node in Graph.make(graph.types, [graph.outputs[output]]).nodes}
    return bool(names & {"reduce", "dot_general"})


def reads(graph: Graph, output: int, input: int) -> bool:
    return graph.inputs[input] in Graph.make(graph.types, [graph.outputs[output]]).nodes


def test_ops_that_replace_elements_take_over_their_operand():
    body = trace(lambda x, u, i: ops.dynamic_update_slice(x, u, i, i), X, X, tensor("i32")).outputs[
        0
    ]
    assert [may_alias(body, 0, operand) for operand in range(3)] == [True, False, False]
    assert not may_alias(trace(lambda x: ops.cumsum(x, 0), X).outputs[0], 0, 0)


@pytest.mark.parametrize("axes", [(0,), (1,), (0, 1), (0, 1, 2), (2,)])
def test_native_kernels_store_over_an_operand_that_they_also_add_up(axes):
    """y·2, the sum of y·w, and y less its sum, all over y, as the compiled kernels have it."""
    type = tensor("f32", 9, 33, 21)

    def graph(x, w):
        y = ops.cumsum(x, 0)  # an opaque op gives a temporary
        kept = [i for i in range(3) if i not in axes]
        total = reduce_sum(y * w, axes)
        z = y - ops.broadcast_in_dim(total, shape=type.shape, axes=kept) * 0.1
        u = ops.cumsum(z, 1)
        v = u * 2.0
        return ops.cumsum(v, 2), reduce_sum(u + w, axes)

    made = trace(graph, type, type)
    generator = np.random.default_rng(0)
    arrays = [generator.normal(size=type.static).astype(np.float32) for _ in range(2)]
    compiled = runtime.compile(made, backend="cpu", threads=2)
    expected = runtime.compile(made, backend="reference")(*arrays)
    for value, wanted in zip(compiled(*arrays), expected, strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-4, atol=1e-3)
    assert len(written_over(compiled.bindings[0].compiled.program)) == 2


def written_over(program):
    """The results that a step writes over one of its operands."""
    offsets = [b.offset if b.kind == "temporary" else None for b in program.buffers]
    return [
        (step.name, w)
        for step in program.steps
        for w in step.writes
        if offsets[w] is not None and any(offsets[r] == offsets[w] for r in step.reads)
    ]

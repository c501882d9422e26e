"""What may be written in place, against kernels that do so element by element."""

from random import Random

import numpy as np
import pytest

from anode import ops
from anode.ir.graph import Graph, trace
from anode.ir.types import tensor
from anode.ops.evaluate import evaluate
from anode.ops.reduce import sum as reduce_sum
from anode.program.alias import aligned, may_alias
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
    (lambda x, y: (x * 2.0, reduce_sum(x * y, 0)), [X, X], set()),
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
    one, as kernels may do.
    """
    generator = np.random.default_rng(0)
    values = [generator.normal(size=t.static).astype(t.dtype.numpy) for t in graph.types]
    expected = evaluate(graph, [v.copy() for v in values])[0]
    loops: dict[object, list[int]] = {}
    for o, value in enumerate(expected):
        loops.setdefault((waits(graph, o), value.shape), []).append(o)
    for _, outputs in sorted(loops.items()):
        results = run_loop(graph, values, outputs, output, input)
        for o, result in zip(outputs, results, strict=True):
            if o == output or reads(graph, o, input):
                np.testing.assert_array_equal(result, expected[o].ravel())


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

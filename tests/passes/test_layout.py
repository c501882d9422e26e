"""The layout pass: values stay, transposes become fewer, and only those that must be are left."""

import numpy as np
import pytest

from anode import ops
from anode.ir.graph import Graph, close, fresh_inputs
from anode.ir.node import constant, read
from anode.ir.types import tensor
from anode.ir.variable import Variable
from anode.ops.evaluate import evaluate
from anode.passes.layout import kept, layout, moved_bytes
from anode.passes.simplify import simplify
from anode.rewrite.trace import Trace
from anode.transform import gradients
from tests.program.random_graphs import as_nodes
from tests.program.random_graphs import random_graph as any_graph

FIRST, LAST = (0, 3, 1, 2), (0, 2, 3, 1)  # to channels first, to channels last


def turn(x, *order):
    return ops.transpose(x, permutation=order)


class Weights:
    """Variables made where they are needed."""

    def __init__(self):
        self.variables = []

    def __call__(self, *shape):
        self.variables.append(Variable(f"w{len(self.variables)}", tensor("f32", *shape)))
        return read(self.variables[-1])

    def vector(self, x):
        return ops.broadcast_in_dim(self(x.shape[1]), shape=x.shape, axes=(1,))


def batch_norm(x, w):
    return ops.batch_norm_training(x, w(x.shape[1]), w(x.shape[1]), axis=1).items[0]


def residual_net(x, w):
    """Convolutions, batch norm, a bias, pooling, a residual sum, dropout and a product."""
    x = ops.relu(batch_norm(ops.conv(x, w(8, 3, 3, 3), 2, 1), w))
    x = ops.pool(x, "max", 3, 2, 1)
    y = ops.relu(ops.conv(x, w(8, 8, 3, 3), 1, 1) + w.vector(x))
    x = ops.relu(x + batch_norm(ops.conv(y, w(8, 8, 3, 3), 1, 1), w))
    key = constant(np.arange(4, dtype=np.uint32))
    x = ops.dropout(x, key, keep=0.8, stream=0)
    x = ops.reshape(x, shape=(x.shape[0], -1))
    return ops.log_softmax(x @ w(x.shape[1], 5))


def training_step(net, shape):
    w, (x,) = Weights(), fresh_inputs(tensor("f32", *shape))
    loss = -ops.sum(net(x, w)[:, 0])
    reads = [read(v) for v in w.variables]
    updates = []
    for variable, weight, slope in zip(w.variables, reads, gradients([loss], reads), strict=True):
        momentum = Variable(variable.name + ".momentum", variable.type)
        step = read(momentum) * 0.9 - slope * 0.01
        updates += [(momentum, step), (variable, weight + step)]
    return close([x], [loss], updates)


def values(types, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=t.static).astype(t.dtype.numpy) for t in types]


def assert_same(graph: Graph, made: Graph, seed=0):
    """Both graphs compute the same, each with its variables in its own order."""
    inputs = values(graph.types, seed)
    held = values([v.type for v in graph.variables], seed + 1)
    state = dict(zip(graph.variables, held, strict=True))
    stored = {v: turned(state[v.logical], v) for v in made.variables}
    outputs, state = evaluate(graph, inputs, state)
    found, stored = evaluate(made, inputs, stored)
    for a, b in zip(outputs, found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
    for variable, value in stored.items():
        wanted = turned(state[variable.logical], variable)
        np.testing.assert_allclose(value, wanted, rtol=1e-4, atol=1e-4)


def turned(array, variable):
    return np.transpose(array, variable.order or range(array.ndim))


def laid_out(graph):
    trace = Trace("layout")
    before = simplify(graph)
    made = layout(before, trace)
    assert_same(graph, made)
    assert total(made) <= total(before)
    return made, trace


def total(graph):
    return sum(size for _, size in kept(graph))


def test_a_training_step_transposes_at_the_image_and_the_flatten_only():
    made, trace = laid_out(training_step(residual_net, (2, 3, 16, 16)))
    left = [node for node, _ in kept(made)]
    assert [node.shape for node in left] == [(2, 16, 16, 3), (2, 8, 4, 4), (2, 4, 4, 8)]
    assert left[0].args[0].op.name == "input"  # then the flatten, and its gradient
    filters = [v for v in made.variables if v.type.rank == 4]
    assert {v.order for v in filters} == {(2, 3, 1, 0)}
    notes = [hit.note for hit in trace.hits if hit.rule == "transpose_kept"]
    assert notes[0] == "12288 bytes read and written, about 1 µs"
    assert trace.rules["variable_stored"] == 6


def test_no_gradient_by_the_image():
    made, _ = laid_out(training_step(residual_net, (2, 3, 16, 16)))
    assert sum(node.op is ops.convolution_data for node in made.nodes) == 2  # of 3 convolutions


def test_a_graph_without_transposes_is_left_alone():
    (x,) = fresh_inputs(tensor("f32", 2, 8, 8, 3))
    graph = close([x], [ops.relu(x)])
    assert layout(graph) is graph


def test_the_smaller_value_is_transposed():
    """Between a wide and a narrow place the transpose goes to the narrow one."""

    def function(x):
        y = turn(ops.sort(x, axis=1), *FIRST)  # channels first from here on
        return ops.sort(ops.sum(ops.exp(y), 2), axis=1)

    (x,) = fresh_inputs(tensor("f32", 2, 16, 8, 3))
    made, trace = laid_out(close([x], [function(x)]))
    ((node, size),) = kept(made)
    assert size == 2 * 4 * 2 * 3 * 8
    assert node.shape == (2, 3, 8)
    assert trace.rules["transpose_cancelled"] == 1


def test_a_narrow_type_is_transposed():
    (x,) = fresh_inputs(tensor("f32", 2, 16, 8, 3))
    graph = close([x], [ops.convert(turn(ops.sort(x, axis=1), *FIRST), dtype="f16")])
    made, _ = laid_out(graph)
    ((node, _),) = kept(made)
    assert node.dtype.name == "f16"


def test_nothing_moves_for_nothing():
    (x,) = fresh_inputs(tensor("f32", 2, 16, 8, 3))
    graph = close([x], [ops.sort(ops.exp(turn(ops.sort(x, axis=1), *FIRST)), axis=2)])
    made, trace = laid_out(graph)
    assert made is graph
    assert trace.rules == {"transpose_kept": 1}


def test_filters_of_size_1_are_stored_turned():
    """Which dims have size 1 is asked in the order of the graph."""

    def net(x, w):
        return ops.mean(ops.conv(x, w(32, 16, 1, 1), 2), (2, 3))

    made, _ = laid_out(training_step(net, (2, 16, 8, 8)))
    assert len(kept(made)) == 1
    assert {v.order for v in made.variables} == {(2, 3, 1, 0)}


def test_a_variable_used_both_ways_is_stored_one_way():
    w, (x,) = Weights(), fresh_inputs(tensor("f32", 2, 3, 8, 8))
    filters = w(3, 3, 3, 3)
    y = ops.sum(ops.conv(x, filters)) + ops.sum(ops.sort(filters, axis=0))
    made, _ = laid_out(close([x], [y]))
    assert sum(node.shape == (3, 3, 3, 3) for node, _ in kept(made)) == 1


def test_a_variable_that_is_only_written_keeps_its_order():
    (x,) = fresh_inputs(tensor("f32", 2, 3, 8, 8))
    v = Variable("v", tensor("f32", 2, 8, 8, 3))
    made, _ = laid_out(close([x], [x], [(v, turn(ops.exp(x), *LAST))]))
    assert made.variables == (v,)


def test_matrices_that_products_read_are_no_reorders():
    x, y = fresh_inputs(tensor("f32", 4, 5), tensor("f32", 6, 5))
    graph = close([x, y], [x @ turn(y, 1, 0)])
    made, trace = laid_out(graph)
    assert made is graph
    assert not trace.hits


@pytest.mark.parametrize("seed", range(60))
def test_random_graphs_keep_their_values(seed):
    laid_out(random_graph(np.random.default_rng(seed)))


@pytest.mark.parametrize("seed", range(60))
def test_matrices_are_transposed_less(seed):
    before = simplify(any_graph(seed, size=5 + seed, variables=seed % 5, build=as_nodes))
    made = layout(before)
    assert total(made) <= total(before)
    assert layout(made) is made


def random_graph(rng):
    """A graph of ops on images with channels first, last, or in an order nobody uses."""
    w, (x,) = Weights(), fresh_inputs(tensor("f32", 2, 3, 6, 6))
    pool = [x]
    for _ in range(int(rng.integers(4, 14))):
        pool.append(random_step(rng, w, pool))
    outputs = [pool[-1], pool[int(rng.integers(len(pool)))]]
    loss = ops.sum(pool[-1])
    if rng.random() < 0.5:
        reads = [read(v) for v in w.variables]
        slopes = gradients([loss], reads) if reads else ()
        updates = [(v, r - s) for v, r, s in zip(w.variables, reads, slopes, strict=True)]
        return close([x], outputs, updates)
    return close([x], outputs)


def random_step(rng, w, pool):
    x = pool[int(rng.integers(len(pool)))]
    rank = len(x.shape)
    alike = [y for y in pool if y.shape == x.shape]
    choice = int(rng.integers(12))
    axis = int(rng.integers(rank))
    if choice < 3 and rank == 4 and min(x.shape[2:]) > 1:
        return ops.tanh(ops.conv(x, w(4, x.shape[1], 3, 3), 1, 1) * 0.1)
    if choice == 3:
        return turn(x, *[int(i) for i in rng.permutation(rank)])
    if choice == 4 and rank == 4:
        return turn(x, *(LAST if rng.random() < 0.5 else FIRST))
    if choice == 5:
        return x + alike[int(rng.integers(len(alike)))]
    if choice == 6:
        return ops.concatenate(x, ops.logistic(x), axis=axis)
    if choice == 7:
        return ops.pad(x, constant(0.5, x.dtype), low=[1] * rank, high=[0] * rank)
    if choice == 8:
        return ops.softmax(x, axis=axis)
    if choice == 9 and rank == 4:
        return batch_norm(x, w)
    if choice == 10:
        kept = ops.mean(x, axis, keepdims=rng.random() < 0.7)
        return kept if kept.shape else x
    return ops.slice(x, start=[int(n > 1) for n in x.shape], limit=x.shape)


def test_moved_bytes():
    (x,) = fresh_inputs(tensor("f16", 2, 1, 3))
    assert moved_bytes(turn(x, 2, 1, 0)) == 2 * 2 * 6
    assert moved_bytes(turn(x, 1, 0, 2)) == 0
    assert moved_bytes(x) == 0
    wide = ops.broadcast_in_dim(x, shape=(9, 2, 5, 3), axes=(1, 2, 3))
    assert moved_bytes(turn(wide, 3, 2, 1, 0)) == 2 * 2 * 6
    assert moved_bytes(turn(wide, 1, 2, 0, 3)) == 0

"""Rows in parts: the same values, and a part only of what needs no other rows."""

import numpy as np
import pytest

import anode
from anode import ops
from anode.ir.graph import close, fresh_inputs, trace
from anode.ir.node import constant, read
from anode.ir.types import tensor
from anode.ir.variable import Variable
from anode.ops.control import ROW_PARTS
from anode.ops.declare import composite
from anode.ops.evaluate import evaluate
from anode.passes.parts import Parting, part_rows
from anode.rewrite.trace import Trace

X, ROWS = tensor("f32", 8, 6, 6, 4), tensor("f32", 8, 5)


def arrays(graph):
    generator = np.random.default_rng(0)
    return [generator.normal(size=t.static).astype(np.float32) for t in graph.types]


def wide(v, x):
    return ops.broadcast_in_dim(v, shape=x.shape, axes=(len(x.shape) - 1,))


def numbers(*shape):
    return constant(np.random.default_rng(1).normal(size=shape).astype(np.float32))


def net(x):
    """A convolution, a branch, pooling, and a layer of many weights."""
    y = ops.relu(ops.convolution(x, numbers(3, 3, 4, 6), low=(1, 1), high=(1, 1)))
    y = y + wide(numbers(6), y)
    z = ops.concatenate(y, ops.reverse(y, axes=(1,)), axis=3)
    z = ops.max_pool(z, sizes=(2, 2), strides=(2, 2))
    flat = ops.reshape(ops.transpose(z, permutation=(0, 3, 1, 2)), shape=(8, 108))
    return ops.softmax(flat @ numbers(108, 40)), z


def in_parts(graph, parts=4):
    return part_rows(Parting(small=True, parts=parts))(graph, Trace("part_rows"))


def parts_of(graph):
    """Ops of what is computed for one part of the rows."""
    steps = [node for node in graph.nodes if node.op is ROW_PARTS]
    return {node.op.name for step in steps for node in step.attrs["body"].nodes} - {"input"}


def check(function, *types):
    graph = trace(function, *types)
    made = in_parts(graph)
    for value, expected in zip(
        evaluate(made, arrays(graph))[0], evaluate(graph, arrays(graph))[0], strict=True
    ):
        np.testing.assert_allclose(value, expected, rtol=1e-6, atol=1e-6)
    return parts_of(made)


def test_a_net():
    found = check(net, X)
    assert {"convolution", "relu", "add", "concatenate", "max_pool"} <= found
    assert not {"matmul", "softmax"} & found  # the weights are more than the rows
    assert "transpose" not in found  # it is for its reader to move what it reads


ROWWISE = [
    lambda x: ops.softmax(x),
    lambda x: x @ numbers(5, 5),
    lambda x: ops.sum(x, 1),
    lambda x: ops.cumsum(ops.relu(x), 0),
    lambda x: ops.relu(ops.pad(x, constant(0.0), low=(0, 1), high=(0, 2))),
    lambda x: ops.relu(ops.slice(x, start=(0, 1), limit=(8, 4))),
    lambda x: x * numbers(8, 5),
    lambda x: ops.argmax(x, axis=1),
    lambda x: ops.layer_norm(x, numbers(5), numbers(5)),
    lambda x: x + ops.iota(shape=(8, 5), dtype="f32", axis=0),
    lambda x: ops.batch_norm_inference(x, *[numbers(5)] * 3, ops.square(numbers(5)), axis=1),
]


@pytest.mark.parametrize("number", range(len(ROWWISE)))
def test_rowwise_values_are_taken_apart(number):
    assert check(ROWWISE[number], ROWS)


@composite
def parts_test_counting(x):
    """Adds the number of its row to every row."""
    return x + ops.iota(shape=x.shape, dtype="f32", axis=0)


@composite
def parts_test_share(x):
    """Divides by the number of rows."""
    return x / float(x.shape[0])


@composite
def parts_test_noise(x):
    """Adds random numbers."""
    key = constant(np.arange(4, dtype=np.uint32))
    return x + ops.uniform(key, stream=0, shape=x.shape)


WHOLE = [
    lambda x: ops.cumsum(x, 0),
    lambda x: ops.softmax(x, axis=0),
    lambda x: ops.sum(x, 0),
    lambda x: ops.reverse(x, axes=(0,)),
    lambda x: ops.transpose(x, permutation=(1, 0)),
    lambda x: ops.reshape(x, shape=(4, 10)),
    lambda x: ops.pad(x, constant(0.0), low=(1, 0), high=(0, 0)),
    lambda x: numbers(8, 8) @ x,
    lambda x: ops.batch_norm_training(x, numbers(5), numbers(5), axis=1).item(0),
    parts_test_counting,
    parts_test_share,
    parts_test_noise,
]


@pytest.mark.parametrize("number", range(len(WHOLE)))
def test_what_needs_other_rows_is_not(number):
    assert not check(WHOLE[number], ROWS)


def test_graphs_that_stay_as_they_are():
    (x,) = fresh_inputs(ROWS)
    v = Variable("v", tensor("f32", 5))
    updating = close([x], [x * 2.0], [(v, read(v) + ops.sum(x, 0))])
    inference = trace(lambda x: x * 2.0, ROWS)
    two_sizes = trace(lambda x, y: (x * 2.0, y), ROWS, tensor("f32", 3))
    for graph, parts in ((updating, 2), (inference, 1), (inference, 3), (two_sizes, 2)):
        assert in_parts(graph, parts) is graph


def kinds(executable):
    return [step.kind for step in executable.bindings[0].compiled.program.steps]


def classifier(images):
    def function(x):
        y = ops.relu(ops.convolution(x, numbers(3, 3, 8, 32), low=(1, 1), high=(1, 1)))
        return ops.max_pool(y, sizes=(8, 8), strides=(8, 8))

    return trace(function, tensor("f32", images, 32, 32, 8))


def chosen(graph, threads):
    made = part_rows(Parting(threads))(graph, Trace("part_rows"))
    return [node.attrs["parts"] for node in made.nodes if node.op is ROW_PARTS]


def test_parts_are_taken_where_they_save_memory_and_no_thread_waits():
    assert chosen(classifier(32), 2) == [32]
    assert chosen(classifier(32), 8) == [32]
    assert chosen(classifier(32), 32) == []  # each thread would have one part only
    assert chosen(classifier(1), 1) == []
    assert chosen(trace(net, X), 1) == []  # it is small


def test_threads_and_parts_give_the_same_bits():
    graph = classifier(16)
    (x,) = arrays(graph)
    whole = anode.compile(graph, "cpu", 16)(x)[0]
    for threads in (1, 2, 3):
        executable = anode.compile(graph, "cpu", threads)
        np.testing.assert_array_equal(executable(x)[0], whole)
        assert "row_parts" in kinds(executable)


def test_a_memory_limit_takes_inference_apart():
    graph = trace(net, X)
    free = anode.compile(graph, "cpu", 2)
    expected = free(*arrays(graph))
    assert "row_parts" not in kinds(free)  # it is small
    limit = free.bindings[0].peak_bytes // 2
    tight = anode.compile(graph, "cpu", 2, memory_limit=limit)
    for value, wanted in zip(tight(*arrays(graph)), expected, strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-6, atol=1e-6)
    assert tight.bindings[0].peak_bytes <= limit
    assert "row_parts" in kinds(tight)


@pytest.mark.parametrize("shape", [(1,), (1, 1), (1, 4)])
def test_a_minibatch_of_one(shape):
    """A row may lose its dim, which is no dim of rows then."""

    def function(x):
        return ops.sum(x), ops.reshape(x[(0,) * len(shape)], shape=()), ops.sum(x, 0), x + 1

    graph = trace(function, tensor("f32", *shape))
    made = part_rows(Parting(2))(graph, Trace("part_rows"))
    for value, expected in zip(
        evaluate(made, arrays(graph))[0], evaluate(graph, arrays(graph))[0], strict=True
    ):
        np.testing.assert_array_equal(value, expected)

"""Running graphs by their references: inputs, state, updates, sizes, errors."""

from __future__ import annotations

import numpy as np
import pytest

from anode import ops
from anode.errors import AnodeError, BackendError, GraphError
from anode.ir.dims import Dim
from anode.ir.dtypes import bf16, f32_to_bf16
from anode.ir.graph import Graph, close, fresh_inputs, trace
from anode.ir.node import constant, read
from anode.ir.op import registry
from anode.ir.types import tensor
from anode.ir.variable import Variable
from anode.ops.declare import primitive

W = Variable("w", tensor("f32", 2))
V = Variable("v", tensor("f32", 2))
ONE = np.ones(2, np.float32)


def test_updates_are_simultaneous_and_leave_the_given_state_alone():
    graph = Graph.make((), [read(W) + read(V)], [(W, read(V)), (V, read(W))])
    state = {W: ONE, V: 2 * ONE}
    outputs, new = ops.evaluate(graph, [], state)
    np.testing.assert_array_equal(outputs[0], [3, 3])
    np.testing.assert_array_equal(new[W], [2, 2])
    np.testing.assert_array_equal(new[V], [1, 1])
    np.testing.assert_array_equal(state[W], [1, 1])


def test_variables_that_are_only_written_need_no_value():
    graph = Graph.make((), [], [(W, ops.full((2,), 3.0))])
    np.testing.assert_array_equal(ops.evaluate(graph, [])[1][W], [3, 3])


def test_inputs_given_as_outputs_and_several_results():
    graph = trace(lambda x: (x, ops.top_k(x, k=1), x), tensor("f32", 2))
    outputs, _ = ops.evaluate(graph, [np.float32([1, 5])])
    assert outputs[0][1] == 5 and [int(v[0]) for v in outputs[1]] == [5, 1]


def test_composites_and_scalars_of_half_types():
    half = f32_to_bf16(np.array(3.0, np.float32))
    (got,), _ = ops.evaluate(trace(lambda x: x * x, tensor(bf16)), [half])
    assert (
        got.shape == ()
        and ops.evaluate(trace(lambda x: ops.convert(x, dtype="f32"), tensor(bf16)), [got])[0][0]
        == 9
    )


def test_symbolic_sizes_come_from_the_inputs():
    n = Dim("n")
    graph = trace(lambda x, y: ops.sum(x + y), tensor("f32", n, 2), tensor("f32", n, 2))
    assert ops.evaluate(graph, [np.ones((3, 2), np.float32)] * 2)[0][0] == 12
    with pytest.raises(GraphError, match=r"input 0 is float32\[2, 2\]"):
        ops.evaluate(graph, [np.ones((k, 2), np.float32) for k in (2, 3)])


def test_deep_graphs_do_not_recurse_and_free_dead_values():
    (x,) = fresh_inputs(tensor("f32", 1))
    y = x
    for _ in range(5000):
        y = y + 1
    assert ops.evaluate(close([x], [y]), [np.zeros(1, np.float32)])[0][0] == 5000


@pytest.mark.parametrize(
    ("inputs", "state", "message"),
    [
        ([], {W: ONE}, "takes 1 inputs; got 0"),
        ([np.ones(2)], {W: ONE}, r"input 0 is float64\[2\], not f32\[2\]"),
        ([np.ones(3, np.float32)], {W: ONE}, r"input 0 is float32\[3\]"),
        ([ONE], {}, "no value of the variable w"),
        ([ONE], {W: np.ones(3, np.float32)}, r"variable w is float32\[3\], not f32\[2\]"),
    ],
)
def test_wrong_operands_are_refused(inputs, state, message):
    graph = trace(lambda x: x + read(W), tensor("f32", 2))
    with pytest.raises(GraphError, match=message):
        ops.evaluate(graph, inputs, state)


def test_a_reference_of_another_type_than_inferred_is_caught():
    @primitive
    def wrong_for_test(x):
        """An op whose reference breaks its type rule."""
        return x

    try:
        graph = trace(wrong_for_test, tensor("f32", 2))
        with pytest.raises(AnodeError, match="wrong_for_test has no reference"):
            ops.evaluate(graph, [ONE])
        wrong_for_test.evaluate(lambda x: x[:1])
        with pytest.raises(BackendError, match=r"wrong_for_test is float32\[1\], not f32\[2\]"):
            ops.evaluate(graph, [ONE])
    finally:
        del registry["wrong_for_test"]


def test_constants_are_read_only():
    (value,), _ = ops.evaluate(Graph.make((), [constant(np.float32([1, 2]))]), [])
    assert not value.flags.writeable

"""Control flow over Python functions, and the lifting of what they use from outside."""

from __future__ import annotations

import numpy as np
import pytest

from anode import ops
from anode.errors import GraphError, ShapeError
from anode.ir.graph import Graph, close, fresh_inputs, trace, trace_lifting
from anode.ir.node import CONSTANT, Node, constant, read
from anode.ir.types import TensorType, TupleType, tensor
from anode.ir.variable import Variable
from anode.ops import SCAN, WHILE
from anode.transform.grad import gradients
from tests.ops.values import run

SCALAR = tensor("f32")
W = Variable("w", SCALAR)


def node(*shape, dtype="f32"):
    return fresh_inputs(tensor(dtype, *shape))[0]


def ops_of(graph):
    """The names of the ops in a graph, constants and inputs aside."""
    return {n.op.name for n in graph.nodes} - {"input", "constant", "item"}


# conditionals


@pytest.mark.parametrize("flag", [True, False])
def test_cond_chooses(flag):
    def choose(p, x):
        return ops.cond(p, lambda x: (x + 1, x), lambda x: (x * 2, -x), x)

    got = run(choose, np.array(flag), np.float32(5))
    assert got == ((6, 5) if flag else (10, -5))


def test_a_branch_may_return_one_node_or_a_tuple_of_one():
    p, x = node(dtype="bool"), node()
    assert isinstance(ops.cond(p, lambda: x, lambda: -x), Node)
    (single,) = ops.cond(p, lambda: (x,), lambda: (-x,))
    assert single.type == SCALAR


@pytest.mark.parametrize(("index", "want"), [(0, 1), (1, 2), (2, 3), (3, 3), (-1, 3)])
def test_switch_outside_chooses_the_last(index, want):
    branches = [lambda k=k: constant(k) for k in (1, 2, 3)]
    assert run(lambda i: ops.switch(i, branches), np.int32(index)) == want


def test_what_a_branch_computes_is_inside_and_what_it_captures_is_outside():
    p, x = node(dtype="bool"), node()
    outside = ops.exp(x)
    result = ops.cond(p, lambda: ops.log(outside) + 1, lambda: ops.sin(outside) * x)
    assert set(result.args) == {p, outside, x}
    false, true = result.attrs["branches"]
    assert ops_of(false) == {"sin", "multiply"} and ops_of(true) == {"log", "add"}


def test_a_branch_that_is_not_taken_does_not_run():
    forever = lambda x: ops.while_loop(lambda x: x < x + 1, lambda x: x, x)  # noqa: E731
    choose = lambda p, x: ops.cond(p, lambda: forever(x), lambda: x)  # noqa: E731
    assert run(choose, np.array(False), np.float32(3)) == 3


def test_branches_share_their_captures():
    x, y = node(), node()
    result = ops.cond(node(dtype="bool"), lambda: x + y, lambda: y * y)
    assert len(result.args) == 3
    assert all(branch.types == (SCALAR, SCALAR) for branch in result.attrs["branches"])


# loops


def test_while_loop_counts():
    def halve(x):
        return ops.while_loop(lambda i, x: x > 1.0, lambda i, x: (i + 1, x / 2), (constant(0), x))

    assert run(halve, np.float32(100)) == (7, np.float32(100 / 128))
    assert run(halve, np.float32(0.5)) == (0, 0.5)


def test_while_loop_stops_at_max_trips():
    doubled = lambda x: ops.while_loop(lambda x: x < 1e9, lambda x: x * 2, x, 3)  # noqa: E731
    assert run(doubled, np.float32(1)) == 8


def test_the_condition_and_the_body_take_the_same_operands():
    limit, factor = node(), node()
    loop = ops.while_loop(lambda x: x < limit, lambda x: x * factor, node())
    assert loop.args[1:] == (limit, factor)
    assert loop.attrs["cond"].types == loop.attrs["body"].types == (SCALAR,) * 3


@pytest.mark.parametrize("reverse", [False, True])
def test_scan_folds_and_stacks(reverse):
    x = np.arange(1.0, 5.0, dtype=np.float32)
    total, before = run(
        lambda x: ops.scan(lambda c, x: (c * 2 + x, c), constant(0.0), x, reverse=reverse), x
    )
    carry, seen = 0.0, []
    for value in x[::-1] if reverse else x:
        seen.append(carry)
        carry = carry * 2 + value
    assert total == carry
    np.testing.assert_array_equal(before, seen[::-1] if reverse else seen)


def test_scan_takes_tuples_none_and_a_length():
    def pairs(x):
        step = lambda c, xs: ((c[0] + xs[0], c[1] * xs[1]), c)  # noqa: E731
        (a, b), (c, d) = ops.scan(step, (constant(0.0), constant(1.0)), (x, x))
        return a, b, c, d

    a, b, c, d = run(pairs, np.float32([2, 3]))
    assert (a, b) == (5, 6)
    np.testing.assert_array_equal((c, d), [[0, 2], [1, 2]])
    final, nothing = ops.scan(lambda c, _: (c + 1, None), constant(0.0), None, length=5)
    assert nothing is None and run(lambda: final) == 5
    with pytest.raises(ShapeError, match="length"):
        ops.scan(lambda c, _: (c, None), constant(0.0))


def test_a_scan_of_no_steps_gives_the_start_and_empty_results():
    carry, ys = run(
        lambda x: ops.scan(lambda c, x: (c + x, c), constant(7.0), x),
        np.zeros(0, np.float32),
    )
    assert carry == 7 and ys.shape == (0,) and ys.dtype == np.float32


def test_fori_loop_is_a_scan_when_the_bounds_are_known():
    body = lambda i, c: c * 10 + ops.convert(i, dtype="f32")  # noqa: E731
    known = ops.fori_loop(2, 5, body, constant(0.0))
    assert {n.op for n in trace(lambda: known).nodes} >= {SCAN}
    assert run(lambda: known) == 234
    assert run(lambda: ops.fori_loop(5, 2, body, constant(1.0))) == 1
    until = lambda n: ops.fori_loop(2, n, body, constant(0.0))  # noqa: E731
    assert {n.op for n in trace(until, tensor("i32")).nodes} >= {WHILE}
    assert run(until, np.int32(5)) == 234 and run(until, np.int32(1)) == 0
    start = lambda n: ops.fori_loop(n, 5, lambda i, c: (c[0] + i, c[1]), (n, n))  # noqa: E731
    assert run(start, np.int32(3)) == (10, 3)


def test_map_stacks():
    x = np.arange(6, dtype=np.float32).reshape(3, 2)
    np.testing.assert_array_equal(run(lambda x: ops.map_(lambda r: ops.sum(r), x), x), x.sum(1))
    both = run(lambda x: ops.map_(lambda r: (r[0], -r), x), x)
    np.testing.assert_array_equal(both[1], -x)


# captures


def test_nested_loops_capture_through_every_level():
    def nested(x, w, b):
        def outer(c, row):
            scaled = row * w  # captured by the inner loop, depends on the outer one

            def inner(d, _):
                return d + ops.sum(scaled) * b, None

            return ops.scan(inner, c, None, length=2)[0], None

        return ops.scan(outer, constant(0.0), x)[0]

    x, w = np.float32([[1, 2], [3, 4]]), np.float32([10, 100])
    got = run(nested, x, w, np.float32(0.5))
    assert got == (x * w).sum()
    graph = trace(nested, *(tensor(a.dtype, *a.shape) for a in (x, w)), SCALAR)
    (loop,) = [n for n in graph.nodes if n.op is SCAN]
    assert set(loop.args[2:]) == set(graph.inputs[1:])
    (inner,) = [n for n in loop.attrs["body"].nodes if n.op is SCAN]
    assert ops_of(inner.attrs["body"]) <= {"add", "multiply", "reduce"}


def test_loops_hoist_what_does_not_change():
    x, y = node(), node()
    loop = ops.while_loop(lambda c: c < ops.exp(y), lambda c: c + ops.sin(y) * 2, x)
    assert ops_of(loop.attrs["cond"]) == {"less"} and ops_of(loop.attrs["body"]) == {"add"}
    assert [a.op.name for a in loop.args[1:]] == ["exp", "multiply"]


def test_a_loop_inside_a_branch_hoists_into_the_branch():
    p, x = node(dtype="bool"), node()

    def taken():
        return ops.scan(lambda c, _: (c + ops.exp(x), None), constant(0.0), None, length=3)[0]

    result = ops.cond(p, taken, lambda: x)
    assert set(result.args) == {p, x}
    assert ops_of(result.attrs["branches"][1]) == {"exp", "scan"}


def test_variables_are_read_outside():
    graph = trace(lambda p: ops.cond(p, lambda: read(W) * 2, lambda: read(W)), tensor("bool"))
    assert ops.evaluate(graph, [np.array(True)], {W: np.float32(4)})[0][0] == 8
    (choice,) = [n for n in graph.nodes if n.op is ops.COND]
    assert all(not b.variables for b in choice.attrs["branches"])
    loop = trace(lambda x: ops.while_loop(lambda x: x < read(W), lambda x: x + 1, x), SCALAR)
    assert ops.evaluate(loop, [np.float32(0)], {W: np.float32(2.5)})[0][0] == 3


def test_constants_stay_inside_even_when_made_outside():
    two = constant(2.0)
    graph, captured = trace_lifting(lambda x: x * two + constant(1.0), [SCALAR])
    assert captured == () and graph is trace(lambda x: x * 2.0 + 1.0, SCALAR)
    graph, captured = trace_lifting(lambda: two, [], hoist=False)
    assert captured == () and graph.outputs[0].op is CONSTANT


def test_results_that_ignore_the_inputs_become_captures():
    x = node()
    for hoist in (True, False):
        graph, captured = trace_lifting(lambda y: (x, y, x), [SCALAR], hoist=hoist)
        y, lifted = graph.inputs
        assert captured == (x,) and graph.outputs == (lifted, y, lifted)


def test_one_result_of_an_outside_tuple_is_captured_not_the_tuple():
    pair = ops.top_k(node(4), k=1)
    for hoist in (True, False):
        _, captured = trace_lifting(lambda: ops.exp(pair.item(0)), [], hoist=hoist)
        assert all(isinstance(n.type, TensorType) for n in captured)


def test_a_function_of_nothing_captures_only_what_is_older_than_it():
    x = node()
    old = ops.exp(x)
    graph, captured = trace_lifting(lambda: ops.sin(old) + ops.cos(x), [], hoist=False)
    assert set(captured) == {old, x} and ops_of(graph) == {"sin", "cos", "add"}
    graph, captured = trace_lifting(lambda: ops.sin(old) + ops.cos(x), [], hoist=True)
    assert graph.outputs == graph.inputs


def test_equal_functions_close_to_one_graph():
    x, y = node(), node()
    one, _ = trace_lifting(lambda a: a * x + x, [SCALAR])
    other, _ = trace_lifting(lambda b: b * y + y, [SCALAR])
    assert one is other


def test_gradients_reach_captured_values():
    def recur(x, w):
        return ops.scan(lambda c, r: (ops.tanh(c * w) + r, None), constant(0.5, "f64"), x)[0]

    inputs = x, w = fresh_inputs(tensor("f64", 3), tensor("f64"))
    slope = close(inputs, gradients([recur(x, w)], [w]))
    at, values = 0.7, np.array([0.1, -0.3, 0.4])
    (got,), _ = ops.evaluate(slope, [values, np.array(at)])
    ends = [run(recur, values, np.array(at + d)) for d in (1e-6, -1e-6)]
    np.testing.assert_allclose(got, (ends[0] - ends[1]) / 2e-6, rtol=1e-6)


# errors

ERRORS = [
    (lambda: ops.cond(node(), lambda: node(), lambda: node()), "bool scalar"),
    (lambda: ops.cond(node(dtype="bool"), lambda: constant(1), lambda: constant(1.0)), "gives"),
    (lambda: ops.cond(node(dtype="bool"), lambda: (), lambda: ()), "no result"),
    (lambda: ops.switch(node(dtype="bool"), [lambda: node()]), "i32 scalar"),
    (lambda: ops.switch(node(dtype="i32"), []), "0 branches"),
    (lambda: ops.while_loop(lambda x: x, lambda x: x, constant(1.0)), "cond gives"),
    (lambda: ops.while_loop(lambda x: x < 1, lambda x: x < 1, constant(1.0)), "body gives"),
    (lambda: ops.while_loop(lambda: constant(True), lambda: (), ()), "0 carried"),
    (lambda: ops.scan(lambda c, x: (c, x), constant(1.0), node()), "length"),
    (lambda: ops.scan(lambda c, x: (c, x), constant(1.0), (node(3), node(4))), "leading dim of 3"),
    (lambda: ops.scan(lambda c, x: (x, None), constant(1), node(3)), "body gives"),
]


@pytest.mark.parametrize(("build", "message"), ERRORS)
def test_errors_say_what_was_asked(build, message):
    with pytest.raises(ShapeError, match=message):
        build()


def test_bodies_may_not_update_variables():
    update = Graph.make((SCALAR,), [constant(1.0)], [(W, constant(1.0))])
    with pytest.raises(GraphError, match="updates a variable"):
        ops.COND(node(dtype="bool"), node(), branches=(update, update))


def test_several_results_are_a_tuple_and_one_is_not():
    p, x = node(dtype="bool"), node()
    two = ops.cond(p, lambda: (x, x), lambda: (-x, x))[0].args[0]
    assert two.type == TupleType((SCALAR, SCALAR))
    assert ops.cond(p, lambda: x, lambda: -x).type == SCALAR

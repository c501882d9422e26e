import numpy as np
import pytest

from anode import ops
from anode.errors import GraphError, ShapeError
from anode.ir.dims import Dim
from anode.ir.graph import Graph, close, fresh_inputs, trace, trace_lifting
from anode.ir.node import CONSTANT, input_node, read
from anode.ir.types import TokenType, tensor
from anode.ir.variable import Variable
from anode.ops.evaluate import evaluate

F = tensor("f32", 3)
N = Dim("n")
W = Variable("w", F)


def test_equal_functions_are_one_graph():
    f = trace(lambda x: ops.exp(x) * 2.0, F)
    assert trace(lambda y: ops.exp(y) * 2.0, F) is f
    assert trace(lambda y: ops.exp(y) * 3.0, F) is not f
    assert {f: 1}[trace(lambda x: ops.exp(x) * 2.0, F)] == 1


def test_an_unread_input_is_part_of_the_graph():
    assert trace(lambda x, y: x, F, F) is not trace(lambda x: x, F)


@pytest.mark.parametrize("traced", [True, False])
def test_an_input_of_another_function_is_refused(traced):
    (stray,) = fresh_inputs(F) if traced else (input_node(0, F),)
    with pytest.raises(GraphError, match=r"another function.*pass it in"):
        trace(lambda x: x + stray, F)


def test_a_graph_takes_only_its_own_inputs():
    with pytest.raises(GraphError, match="another function"):
        Graph.make([F], [input_node(1, F)])
    with pytest.raises(GraphError, match="another function"):
        Graph.make([F], [input_node(0, tensor("f64", 3))])


def test_updates_are_checked():
    x = input_node(0, F)
    assert Graph.make([F], [], [(W, x)]).variables == (W,)
    with pytest.raises(GraphError, match="twice"):
        Graph.make([F], [], [(W, x), (W, x)])
    with pytest.raises(GraphError, match="update of w has type"):
        Graph.make([tensor("f64", 3)], [], [(W, input_node(0, tensor("f64", 3)))])


def test_names_and_effects_are_checked():
    graph = Graph.make([F], [input_node(0, F)], names=["x", "y"])
    assert (graph.input_names, graph.output_names) == (("x",), ("y",))
    with pytest.raises(GraphError, match="name all or none"):
        Graph.make([F], [input_node(0, F)], names=["x"])
    with pytest.raises(GraphError, match="effects are tokens"):
        Graph.make([F], [], effects=[input_node(0, F)])
    token = input_node(0, TokenType())
    assert Graph.make([TokenType()], [], effects=[token]).roots == (token,)


def test_variables_in_order_of_use_and_equal_by_their_fields():
    v = Variable("v", F)
    graph = trace(lambda x: read(v) + read(Variable("w", F)) * x, F)
    assert graph.variables == (v, W)


def test_binding_retypes_every_node_and_nested_graphs():
    rows = tensor("f32", N, 3)

    def f(x):
        return ops.scan(
            lambda c, r: (c + ops.sum(r * ops.ones(shape=(N, 1))), r), 0.0, ops.stack([x])
        )

    graph = trace(f, rows)
    assert graph.dims == {"n"}
    bound = graph.bind(n=4)
    assert not bound.dims and bound.outputs[1].shape == (1, 4, 3)
    assert graph.bind(n=4) is bound and graph.bind() is graph
    assert graph.bind(n=2 * Dim("m")).dims == {"m"}


def test_dims_that_only_a_nested_graph_has():
    body = trace(lambda c: c + ops.sum(ops.iota(shape=(N,), dtype="f32", axis=0)), tensor("f32"))
    scan = {"carries": 1, "sequences": 0, "length": 2, "reverse": False}
    graph = trace(lambda c: ops.SCAN(c, body=body, **scan), tensor("f32"))
    assert graph.dims == {"n"}
    assert evaluate(graph.bind(n=3), [np.float32(1)])[0][0] == 7


def test_binding_an_unknown_dim_or_to_sizes_that_do_not_fit():
    graph = trace(lambda x: ops.reshape(x, shape=(N, 3)), tensor("f32", 3 * N))
    with pytest.raises(GraphError, match="no dim k"):
        graph.bind(k=3)
    assert graph.bind(n=2).types == (tensor("f32", 6),)


def test_inlining_puts_the_body_in_place():
    double = trace(lambda x: x + x, F)
    graph = trace(lambda x: double.inline(ops.exp(x)), F)
    assert graph is trace(lambda x: ops.exp(x) + ops.exp(x), F)
    with pytest.raises(GraphError, match="takes"):
        double.inline(fresh_inputs(tensor("f64", 3))[0])
    update = Graph.make([F], [], [(W, input_node(0, F))])
    with pytest.raises(GraphError, match="without updates"):
        update.inline(fresh_inputs(F)[0])


def test_mapping_rebuilds_bottom_up():
    graph = trace(lambda x: ops.exp(ops.sin(x)), F)
    swapped = graph.map(
        lambda old, args: ops.cos(*args) if old.op is ops.sin else old.op(*args) if args else old
    )
    assert swapped is trace(lambda x: ops.exp(ops.cos(x)), F)


def test_lifting_hoists_out_of_loops_but_not_out_of_branches():
    (a,) = fresh_inputs(F)
    _, captured = trace_lifting(lambda x: x + ops.exp(a) * 2.0, [F])
    assert len(captured) == 1 and captured[0].args[0] is ops.exp(a)
    del captured
    branch, captured = trace_lifting(lambda x: x + ops.exp(a) * 2.0, [F], hoist=False)
    assert captured == (a,)
    assert any(node.op is CONSTANT for node in branch.nodes)


def test_lifting_captures_variables_and_results_that_come_from_outside():
    (a,) = fresh_inputs(F)
    graph, captured = trace_lifting(lambda: (a, read(W) + 1.0), [], hoist=False)
    assert set(captured) == {a, read(W)} and graph.types == (F, F)


def test_lifting_takes_items_of_values_with_several_results():
    (a,) = fresh_inputs(F)
    pair = ops.top_k(a, k=2)
    _, captured = trace_lifting(lambda x: x + pair.item(0), [tensor("f32", 2)])
    assert captured == (pair.item(0),)


def test_closing_keeps_updates_and_effects_apart():
    x, y = fresh_inputs(F, F)
    graph = close([x, y], [x + y], [(W, x * y)], names=["a", "b", "sum"])
    assert graph.outputs[0].args == graph.inputs and graph.updates[0][1].args == graph.inputs


def test_a_traced_function_returns_nodes():
    with pytest.raises(GraphError, match="must return nodes, not float"):
        trace(lambda x: 1.0, F)
    with pytest.raises(ShapeError):
        trace(lambda x: x + fresh_inputs(tensor("f32", 4))[0], F)


def test_what_depends_on_constants_only_stays_inside_even_if_it_exists_outside():
    (a,) = fresh_inputs(F)
    twos = ops.full((3,), 2.0)
    for hoist in (True, False):
        graph, captured = trace_lifting(lambda x: x * twos + a, [F], hoist=hoist)
        assert captured == (a,) and graph is trace(lambda x, a: x * ops.full((3,), 2.0) + a, F, F)


def test_a_composite_expands_to_nodes_of_its_own_line():
    (x,) = fresh_inputs(F)
    first = ops.softsign(x)
    second = ops.softsign(x + 1.0)
    assert {node.origin for node in ops.softsign.expand(first)} == {first.origin}
    assert {node.origin for node in ops.softsign.expand(second)} == {second.origin}
    assert first.origin != second.origin


def test_a_variable_has_sizes():
    with pytest.raises(ShapeError, match=r"the variable v needs sizes, not f32\[n\]"):
        Variable("v", tensor("f32", N))

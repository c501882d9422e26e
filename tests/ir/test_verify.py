import pytest

from anode import ops
from anode.errors import GraphError
from anode.ir.graph import Graph, fresh_inputs, trace
from anode.ir.node import Node, constant, make
from anode.ir.types import TensorType, TupleType, tensor
from anode.ir.variable import Variable
from anode.ir.verify import verify

F = tensor("f32", 3)


def forged(op, args, attrs, type) -> Node:
    """A node that no type rule has seen."""
    node = object.__new__(Node)
    node.op, node.args, node.attrs, node.type = op, args, attrs, type
    node.origin, node.serial = (__file__, 1), -1
    return node


def graph_of(node: Node) -> Graph:
    return Graph.make([F], [node])


(X,) = trace(ops.exp, F).inputs
PAIR = ops.top_k(X, k=2)


def test_sound_graphs_pass():
    def f(x):
        y = ops.scan(lambda c, _: (ops.softmax(c, axis=0) * 0.5, None), x, None, length=2)[0]
        return ops.cond(ops.less(ops.sum(y), 0.5), lambda: y, lambda: ops.top_k(y, k=3).item(0))

    verify(trace(f, F))


@pytest.mark.parametrize(
    ("node", "problem"),
    [
        (forged(ops.exp, (X,), {}, tensor("f32", 4)), "type rule gives f32[3]"),
        (forged(ops.exp, (X,), {}, F), "not interned"),
        (forged(ops.exp, (X, X), {}, F), "got 2 operands"),
        (forged(ops.exp, (X,), {"axis": 0}, F), "axis"),
        (forged(ops.exp, (PAIR,), {}, F), "several results"),
        (make(ops.transpose, (X,), {"permutation": (False,)}), "canonical"),
        (forged(ops.exp, (X,), {}, TensorType(F.dtype, (-1,))), "size"),
        (forged(ops.add, (X, constant(1.0)), {}, F), "unequal shapes"),
        (forged(PAIR.item(0).op, (PAIR,), {"index": 2}, F), "item 2"),
        (forged(ops.top_k, (X,), {"k": 2}, TupleType((F, F))), "type rule gives"),
    ],
)
def test_unsound_nodes_are_named_with_their_line(node, problem):
    with pytest.raises(GraphError) as raised:
        verify(graph_of(node))
    assert problem in str(raised.value) and node.op.name in str(raised.value)
    assert "test_verify.py" in str(raised.value)


def test_nested_graphs_and_initialisers_are_verified():
    bad = graph_of(forged(ops.exp, (X,), {}, F))
    scan = {"body": bad, "carries": 1, "sequences": 0, "length": 2, "reverse": False}
    branches = (bad, trace(ops.exp, F))
    for nested in (
        lambda x: ops.SCAN(x, **scan),
        lambda x: ops.COND(ops.less(ops.sum(x), 0.0), x, branches=branches),
    ):
        with pytest.raises(GraphError, match="not interned"):
            verify(trace(nested, F))
    variable = Variable("w", F, init=Graph.make([F], bad.outputs))
    with pytest.raises(GraphError, match="not interned"):
        verify(Graph.make([F], [], [(variable, X)]))


def test_a_graph_built_around_the_checks_is_refused():
    (stray,) = fresh_inputs(F)
    with pytest.raises(GraphError, match="another function"):
        verify(Graph((F,), (stray,)))

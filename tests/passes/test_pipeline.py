"""The pipeline reaches graphs nested in control flow, and leaves scalar bodies alone."""

from anode import ops
from anode.ir.graph import trace
from anode.ir.types import tensor
from anode.passes.kernel import KERNEL
from anode.passes.pipeline import PIPELINE, count, optimize
from anode.rewrite.trace import Trace

ROWS = tensor("f32", 5, 4)


def softmax_of_sums(x):
    total, rows = ops.scan(lambda c, r: (ops.softmax(c + r, axis=0), c), x[0], x)
    return ops.cond(ops.less(total[0], 0.5), lambda a: a * 1, lambda a: ops.relu(a), rows)


def nodes_of(graph):
    """The nodes of a graph and of those in its control flow."""
    for node in graph.nodes:
        yield node
        for value in node.attrs.values() if node.op in (ops.SCAN, ops.COND) else ():
            for inner in value if isinstance(value, tuple) else (value,):
                if hasattr(inner, "nodes"):
                    yield from nodes_of(inner)


def test_nested_graphs_become_kernels():
    graph = trace(softmax_of_sums, ROWS)
    traces: list[Trace] = []
    made = optimize(graph, traces)
    names = [node.op.name for node in nodes_of(made)]
    assert set(names) <= {"input", "constant", "kernel", "item", "scan", "cond"}
    assert names.count("kernel") >= 4
    assert [t.name for t in traces] == [step.__name__ for step in PIPELINE]
    assert traces[0].nodes[0] == count(graph)
    assert traces[-1].nodes[1] == count(made) == len(names)


def test_scalar_bodies_stay():
    made = optimize(trace(lambda x: ops.sum(x, 1), ROWS))
    (kernel,) = [node for node in made.nodes if node.op is KERNEL]
    (reduce,) = [node for node in kernel.attrs["body"].nodes if node.op is ops.reduce]
    assert ops.monoid_of(reduce.attrs["body"]) == "add"


def test_a_body_used_twice_is_done_once():
    body = trace(lambda c, r: c + r * 2, tensor("f32", 4), tensor("f32", 4))
    attrs = {"body": body, "carries": 1, "sequences": 1, "length": 5}
    made = optimize(trace(lambda x, y: (ops.SCAN(x[0], x, **attrs), ops.SCAN(y[0], y, **attrs)),
                          ROWS, ROWS))  # fmt: skip
    first, second = [node for node in made.nodes if node.op is ops.SCAN]
    assert first.attrs["body"] is second.attrs["body"]

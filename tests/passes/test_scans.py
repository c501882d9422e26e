"""Scans that take the same steps become one, at every depth."""

import numpy as np

from anode import ops
from anode.ir.graph import trace
from anode.ir.types import tensor
from anode.ops.evaluate import evaluate
from anode.passes.pipeline import run_pass
from anode.passes.scans import drop_rows, merge_scans
from anode.rewrite.trace import Trace
from anode.transform.grad import grad

X = np.array([0.3, -0.7])


def scans(graph):
    return [node for node in graph.nodes if node.op.name == "scan"]


def test_merging_makes_the_forward_scan_and_its_twin_one_loop():
    def f(h, w):
        return ops.sum(ops.scan(lambda h, _: (ops.sin(h * w), None), h, None, length=3)[0])

    graph = grad(trace(f, tensor("f64", 2), tensor("f64", 2)), [0, 1])
    merged = merge_scans(graph)
    assert (len(scans(graph)), len(scans(merged))) == (3, 2)
    for a, b in zip(*(evaluate(g, [X, X + 1])[0] for g in (graph, merged)), strict=True):
        np.testing.assert_array_equal(a, b)
    assert merge_scans(merged) is merged


def test_merging_reaches_nested_scans():
    def f(h, w):
        def outer(h, _):
            return ops.scan(lambda h, _: (ops.sin(h * w), None), h, None, length=2)

        return ops.sum(ops.scan(outer, h, None, length=3)[0])

    graph = grad(trace(f, tensor("f64", 2), tensor("f64", 2)), [0])
    merged = run_pass(merge_scans, graph, Trace("merge_scans"))
    count = lambda g: sum(1 + count(node.attrs["body"]) for node in scans(g))  # noqa: E731
    assert count(merged) < count(graph)
    for a, b in zip(*(evaluate(g, [X, X + 1])[0] for g in (graph, merged)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_rows_that_nothing_reads_are_not_stacked():
    def f(h, w):
        step = lambda h, _: (ops.sin(h * w), (h, h + w, h * w))  # noqa: E731
        last, rows = ops.scan(step, h, None, length=3)
        return last, rows[1]

    graph = trace(f, tensor("f64", 2), tensor("f64", 2))
    found = Trace("drop_rows")
    made = drop_rows(graph, found)
    (scan,) = scans(made)
    assert len(scan.items) == 2 and len(found.hits) == 1
    for a, b in zip(*(evaluate(g, [X, X + 1])[0] for g in (graph, made)), strict=True):
        np.testing.assert_array_equal(a, b)
    assert drop_rows(made) is made

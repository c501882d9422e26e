"""A scan over a batch is split where no rows meet, and gives what it gave."""

import numpy as np
import pytest

import anode
from anode import ops
from anode.ir.graph import trace
from anode.ir.types import tensor
from anode.ops.evaluate import evaluate
from anode.passes.legalize import legalize
from anode.passes.pipeline import run_pass
from anode.passes.scan_parts import part_scans as pass_for
from anode.rewrite.trace import Trace

STEPS, ROWS, UNITS = 8, 64, 48


def part_scans(graph, threads=2):
    return pass_for(threads)(graph, Trace("part_scans"))


def prepared(graph):
    return run_pass(legalize, graph, Trace("legalize"))


def names(graph):
    return [node.op.name for node in graph.nodes if node.op.name.startswith("scan")]


def values(graph):
    rng = np.random.default_rng(0)
    return [rng.normal(0, 0.2, type.static).astype(type.dtype.numpy) for type in graph.types]


def recurrent(meet=False, reverse=False):
    def f(xs, h, w, b, scale):
        def step(h, x):
            z = ops.tanh(x + h @ w + b) * scale
            if meet:
                z = z - ops.mean(z, axis=0, keepdims=True)
            return z, ops.concatenate(z, x, axis=1)

        return ops.scan(step, h, xs, reverse=reverse)

    types = [tensor("f32", STEPS, ROWS, UNITS), tensor("f32", ROWS, UNITS)]
    types += [tensor("f32", UNITS, UNITS), tensor("f32", UNITS), tensor("f32", ROWS, UNITS)]
    return trace(f, *types)


@pytest.mark.parametrize("reverse", [False, True])
def test_rows_that_do_not_meet_are_split(reverse):
    graph = prepared(recurrent(reverse=reverse))
    parted = part_scans(graph)
    assert names(parted) == ["scan_parts"]
    (scan,) = [node for node in parted.nodes if node.op.name == "scan_parts"]
    assert scan.attrs["parts"] == 2
    inputs = values(graph)
    for a, b in zip(evaluate(graph, inputs)[0], evaluate(parted, inputs)[0], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("reverse", [False, True])
def test_parts_run_natively(reverse):
    graph = recurrent(reverse=reverse)
    inputs = values(graph)
    wanted = evaluate(graph, inputs)[0]
    results = [anode.compile(graph, threads=threads)(*inputs) for threads in (1, 2, 3)]
    for got in results:
        for a, b, c in zip(wanted, got, results[0], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
            assert np.array_equal(b, c)


@pytest.mark.parametrize("threads, parts", [(1, 2), (2, 2), (3, 4), (64, 4)])
def test_there_are_as_many_parts_as_threads_if_rows_suffice(threads, parts):
    parted = part_scans(prepared(recurrent()), threads)
    assert [n.attrs["parts"] for n in parted.nodes if n.op.name == "scan_parts"] == [parts]


def test_rows_that_meet_are_not_split():
    graph = prepared(recurrent(meet=True))
    assert names(part_scans(graph)) == ["scan"]


def test_few_rows_and_little_work_are_not_split():
    def f(xs, h):
        return ops.scan(lambda h, x: (h * x, None), h, xs)[0]

    for rows, steps in ((8, 100000), (64, 2)):
        graph = trace(f, tensor("f32", steps, rows, 4), tensor("f32", rows, 4))
        assert names(part_scans(graph)) == ["scan"]


def test_rows_of_a_table_are_looked_up_in_parts():
    def f(ids, table, h):
        def step(h, at):
            h = ops.tanh(ops.take(table, at) + h @ table)
            return h, h

        return ops.scan(step, h, ids)

    graph = trace(f, tensor("i32", 16, 64), tensor("f64", 64, 64), tensor("f64", 64, 64))
    ids = np.random.default_rng(0).integers(-1, 66, (16, 64)).astype(np.int32)
    inputs = [ids, *values(graph)[1:]]
    parted = part_scans(prepared(graph))
    assert names(parted) == ["scan_parts"]
    for a, b in zip(evaluate(graph, inputs)[0], evaluate(parted, inputs)[0], strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-12)

"""Rows that are made of little are computed in the steps that read them; all others stay."""

import numpy as np
import pytest

import anode
from anode import ops
from anode.ir.graph import trace
from anode.ir.types import tensor
from anode.ops.evaluate import evaluate
from anode.passes.legalize import legalize
from anode.passes.pipeline import run_pass
from anode.passes.scan_rows import rows_in_scans
from anode.rewrite.trace import Trace

STEPS, ROWS, UNITS, WORDS = 6, 32, 64, 20
TYPES = (
    tensor("i32", STEPS, ROWS),
    tensor("f32", WORDS, UNITS),
    tensor("f32", UNITS),
    tensor("f32", ROWS, UNITS),
)


def looked_up(ids, table, bias):
    """Rows of a table, 0 where there is none, plus a bias."""
    known = ops.broadcast_in_dim(ops.less(ids, WORDS), shape=(STEPS, ROWS, UNITS), axes=(0, 1))
    return ops.select(known, ops.take(table, ids), 0.0) + bias


def recurrent(rows=looked_up, reverse=False, read_again=False):
    def f(ids, table, bias, h):
        xs = rows(ids, table, bias)
        step = lambda h, x: (ops.tanh(x + h), h * x)  # noqa: E731
        last, found = ops.scan(step, h, xs, reverse=reverse)
        return last, found, *([ops.sum(xs)] if read_again else [])

    return trace(f, *TYPES)


def values():
    random = np.random.default_rng(0)
    arrays = [random.normal(size=type.static).astype(np.float32) for type in TYPES[1:]]
    return [random.integers(0, WORDS + 3, (STEPS, ROWS)).astype(np.int32), *arrays]


def sequences(graph):
    graph = run_pass(legalize, graph, Trace("legalize"))
    found = Trace("rows_in_scans")
    made = rows_in_scans(graph, found)
    (scan,) = [node for node in made.nodes if node.op.name == "scan"]
    first = scan.attrs["carries"]
    types = [x.type for x in scan.args[first : first + scan.attrs["sequences"]]]
    return types, len(found.hits), made


@pytest.mark.parametrize("reverse", [False, True])
def test_rows_of_a_table_are_looked_up_in_the_steps(reverse):
    graph = recurrent(reverse=reverse)
    types, hits, made = sequences(graph)
    assert hits == 1 and set(types) == {TYPES[0]}
    wanted = evaluate(graph, values())[0]
    for other in (evaluate(made, values())[0], anode.compile(graph)(*values())):
        for a, b in zip(wanted, other, strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-6)


def test_bits_are_those_of_rows_made_before():
    def f(ids, table, bias, h):
        xs = looked_up(ids, table, bias)
        return ops.scan(lambda h, x: (ops.tanh(x + h), h * x), h, xs)[1], ops.sum(xs)

    apart = anode.compile(trace(f, *TYPES))(*values())[0]
    within = anode.compile(recurrent())(*values())[1]
    assert np.array_equal(apart, within)


def test_rows_that_something_else_reads_stay():
    types, hits, _ = sequences(recurrent(read_again=True))
    assert hits == 0 and types == [tensor("f32", STEPS, ROWS, UNITS)]


def test_rows_made_of_as_much_stay():
    def rows(ids, table, bias):
        return ops.cumsum(looked_up(ids, table, bias), 0) * bias

    types, hits, _ = sequences(recurrent(rows))
    assert hits == 0 and types == [tensor("f32", STEPS, ROWS, UNITS)]


def test_rows_that_are_one_number_are_made_of_nothing():
    types, hits, made = sequences(recurrent(lambda *_: ops.full((STEPS, ROWS, UNITS), 0.5)))
    assert hits == 1 and types == []
    wanted = evaluate(recurrent(lambda *_: ops.full((STEPS, ROWS, UNITS), 0.5)), values())[0]
    for a, b in zip(wanted, evaluate(made, values())[0], strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-6)


def test_what_is_read_by_rows_and_as_a_whole():
    def f(x, h):
        wide = [ops.broadcast_in_dim(x, shape=(ROWS, ROWS), axes=(axis,)) for axis in (0, 1)]
        return ops.scan(lambda h, row: (ops.tanh(h - row), h), h, wide[0] - wide[1])

    graph = trace(f, tensor("f32", ROWS), tensor("f32", ROWS))
    args = [value.reshape(-1)[:ROWS] for value in values()[1:3]]
    types, hits, made = sequences(graph)
    assert hits == 1 and types == [tensor("f32", ROWS)]
    wanted = evaluate(graph, args)[0]
    for other in (evaluate(made, args)[0], anode.compile(graph)(*args)):
        for a, b in zip(wanted, other, strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-6)

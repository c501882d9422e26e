"""Gather and scatter against their definitions element by element; the ops built on them."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from anode import ops
from anode.errors import ShapeError, UnsupportedOp
from anode.ir.dims import Dim
from anode.ir.dtypes import f64
from anode.ir.graph import close, fresh_inputs, trace
from anode.ir.types import tensor
from anode.transform.grad import gradients
from tests.ops.samples_tensor import BOX_UPDATES, BOXES, ROW_UPDATES, ROWS
from tests.ops.values import run

RNG = np.random.default_rng(0)


def node(*shape, dtype="f32"):
    return fresh_inputs(tensor(dtype, *shape))[0]


def vector_at(indices, batch, vector_dim):
    if vector_dim == indices.ndim:
        return [int(indices[tuple(batch)])]
    at = [*batch[:vector_dim], slice(None), *batch[vector_dim:]]
    return [int(i) for i in indices[tuple(at)]]


def gather_by_definition(x, indices, result_shape, dims):
    """The StableHLO specification of gather, one element after another."""
    result = np.empty(result_shape, x.dtype)
    for at in product(*map(range, result_shape)):
        batch = [i for d, i in enumerate(at) if d not in dims["offset_dims"]]
        offsets = iter([at[d] for d in dims["offset_dims"]])
        start = [0] * x.ndim
        for d, i in zip(
            dims["start_index_map"],
            vector_at(indices, batch, dims["index_vector_dim"]),
            strict=True,
        ):
            start[d] = min(max(i, 0), x.shape[d] - dims["slice_sizes"][d])
        place = [
            start[d] + (0 if d in dims["collapsed_slice_dims"] else next(offsets))
            for d in range(x.ndim)
        ]
        result[at] = x[tuple(place)]
    return result


def scatter_by_definition(x, indices, updates, combine, dims):
    """The StableHLO specification of scatter, one update after another."""
    result = x.copy()
    for at in product(*map(range, updates.shape)):
        batch = [i for d, i in enumerate(at) if d not in dims["update_window_dims"]]
        window = iter([at[d] for d in dims["update_window_dims"]])
        place = [0 if d in dims["inserted_window_dims"] else next(window) for d in range(x.ndim)]
        for d, i in zip(
            dims["scatter_dims_to_operand_dims"],
            vector_at(indices, batch, dims["index_vector_dim"]),
            strict=True,
        ):
            place[d] += i
        if all(0 <= i < n for i, n in zip(place, x.shape, strict=True)):
            result[tuple(place)] = combine(result[tuple(place)], updates[at])
    return result


SCALARS = {
    "offset_dims": (),
    "collapsed_slice_dims": (0, 1),
    "start_index_map": (1,),
    "index_vector_dim": 2,
    "slice_sizes": (1, 1),
}
WHOLE = {**ROWS, "offset_dims": (0,), "index_vector_dim": 0, "slice_sizes": (1, 2)}
GATHERS = [
    ((4, 3), np.array([[2], [0], [-7], [99]], np.int32), ROWS),
    ((3, 1, 5), np.array([[0, 1, 3, -1], [1, 2, 0, 1]], np.int64), BOXES),
    ((3, 4), np.array([[0, 3], [9, 1]], np.int8), SCALARS),
    ((4, 3), np.array([[3, 1, 1]], np.uint8), WHOLE),
]


@pytest.mark.parametrize(("shape", "indices", "dims"), GATHERS)
def test_gather_is_its_definition(shape, indices, dims):
    x = RNG.normal(size=shape)
    got = run(lambda x, i: ops.gather(x, i, **dims), x, indices)
    np.testing.assert_array_equal(got, gather_by_definition(x, indices, got.shape, dims))


BODIES = {
    "add": (ops.monoid("add", f64), lambda a, b: a + b),
    "multiply": (ops.monoid("multiply", f64), lambda a, b: a * b),
    "second": (ops.second(f64), lambda a, b: b),
    "general": (ops.scalar_graph(lambda a, b: a * 0.5 - b, f64, f64), lambda a, b: a * 0.5 - b),
}
SCATTERS = [
    ((4, 3), np.array([[2], [0], [2], [-7], [99]], np.int32), (5, 3), ROW_UPDATES),
    ((4, 3), np.array([[2], [0], [2]], np.int32), (3, 2), ROW_UPDATES),
    ((3, 1, 5), np.array([[0, 1, 3, -1], [1, 2, 0, 1]]), (2, 4, 3), BOX_UPDATES),
]


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize(("shape", "indices", "updates", "dims"), SCATTERS)
def test_scatter_is_its_definition(name, shape, indices, updates, dims):
    body, combine = BODIES[name]
    x, u = RNG.normal(size=shape), RNG.normal(size=updates)
    got = run(lambda x, i, u: ops.scatter(x, i, u, body=body, **dims), x, indices, u)
    np.testing.assert_array_equal(got, scatter_by_definition(x, indices, u, combine, dims))


def test_indices_of_every_width():
    x = np.arange(300.0)
    for dtype, index in (
        ("u1", 255),
        ("i1", 127),
        ("u4", 299),
        ("u8", 2**64 - 1),
        ("i8", -(2**63)),
    ):
        want = min(max(index, 0), 299)
        assert run(lambda x, i: ops.take(x, i), x, np.array(index, dtype)) == want, dtype
        xs = fresh_inputs(tensor("f64", 300), tensor(np.dtype(dtype)))
        slope = close(xs, gradients([ops.take(*xs)], xs[:1]))
        (got,), _ = ops.evaluate(slope, [x, np.array(index, dtype)])
        assert got.argmax() == want and got.sum() == 1, dtype


def test_take_and_take_along_axis_are_numpys():
    x, i = RNG.normal(size=(2, 5, 3)), np.array([[4, 0], [0, 2]])
    for axis in range(3):
        j = i % x.shape[axis]
        got = run(lambda x, i, a=axis: ops.take(x, i, axis=a), x, j)
        np.testing.assert_array_equal(got, np.take(x, j, axis))
        order = x.argsort(axis)
        got = run(lambda x, i, a=axis: ops.take_along_axis(x, i, axis=a), x, order)
        np.testing.assert_array_equal(got, np.take_along_axis(x, order, axis))
    np.testing.assert_array_equal(run(ops.embedding, x[0], i), x[0][i])
    nothing = run(lambda x, i: ops.take(x, i, axis=1), x[:, :0], np.zeros((0, 4), int))
    assert nothing.shape == (2, 0, 4, 3)


def test_add_along_axis_accumulates():
    i = np.array([[0, 0, 9], [1, 0, 1]])
    got = run(lambda x, i, u: ops.add_along_axis(x, i, u, 1), np.zeros((2, 2)), i, np.ones((2, 3)))
    np.testing.assert_array_equal(got, [[2, 0], [1, 2]])


def test_one_hot():
    i = np.array([[1, 0], [5, -1]], np.int32)
    want = (i[..., None] == np.arange(3)).astype(np.float32)
    np.testing.assert_array_equal(run(lambda i: ops.one_hot(i, depth=3), i), want)
    got = run(lambda i: ops.one_hot(i, depth=3, axis=0, dtype="i32"), i)
    np.testing.assert_array_equal(got, np.moveaxis(want, -1, 0))


def test_replaced_elements_pass_gradient_only_to_the_last_update():
    def replace(x, i, u):
        return ops.scatter(x, i, u, body=ops.second(f64), **ROW_UPDATES)

    i = np.array([[1], [1], [7]], np.int32)
    inputs = fresh_inputs(tensor("f64", 3, 2), tensor("i32", 3, 1), tensor("f64", 3, 2))
    x, _, u = inputs
    slopes = close(inputs, gradients([ops.sum(replace(*inputs))], [x, u]))
    (gx, gu), _ = ops.evaluate(slopes, [np.zeros((3, 2)), i, np.zeros((3, 2))])
    np.testing.assert_array_equal(gx[:, 0], [1, 0, 1])
    np.testing.assert_array_equal(gu[:, 0], [0, 1, 0])


def test_symbolic_tables_and_their_gradient():
    n = Dim("n")
    table, ids = inputs = fresh_inputs(tensor("f64", n, 2), tensor("i32", 3))
    rows = ops.embedding(table, ids)
    slope = close(inputs, gradients([ops.sum(rows)], [table]))
    (got,), _ = ops.evaluate(slope, [np.zeros((4, 2)), np.int32([3, 3, 0])])
    np.testing.assert_array_equal(got[:, 0], [1, 0, 0, 2])
    assert trace(ops.embedding, *(x.type for x in inputs)).outputs[0].shape == (3, 2)


IDS = node(2, 1, dtype="i32")
ERRORS = [
    (lambda: ops.gather(node(4, 3), node(2, 1), **ROWS), "integers"),
    (lambda: ops.gather(node(4, 3), node(2, 2, dtype="i32"), **ROWS), "index vectors of 2"),
    (lambda: ops.gather(node(4, 3), IDS, **{**ROWS, "start_index_map": (2,)}), "no dims"),
    (lambda: ops.gather(node(4, 3), IDS, **{**ROWS, "slice_sizes": (1, 4)}), "slices of"),
    (lambda: ops.gather(node(4, 3), IDS, **{**ROWS, "slice_sizes": (2, 3)}), "slices of"),
    (lambda: ops.gather(node(4, 3), IDS, **{**ROWS, "offset_dims": (2,)}), "below 2"),
    (lambda: ops.gather(node(4, 3), IDS, **{**ROWS, "offset_dims": ()}), "do not place"),
    (lambda: ops.gather(node(4, 3), IDS, **{**ROWS, "index_vector_dim": 3}), "along dim 3"),
    (lambda: scatter(node(4, 3), IDS, node(3, 3)), "updates must be"),
    (lambda: scatter(node(4, 3), IDS, node(2, 4)), "do not fit"),
    (lambda: scatter(node(4, 3), IDS, node(2, 3, dtype="f64")), "updates must be"),
    (lambda: scatter(node(4, 3), IDS, node(2, 3), inserted_window_dims=()), "dims of the operand"),
    (lambda: scatter(node(4, 3, dtype="f64"), IDS, node(2, 3, dtype="f64")), "body must map"),
    (lambda: ops.take(node(3), IDS, axis=1), "axis 1"),
    (lambda: ops.take_along_axis(node(3, 2), node(4, 1, dtype="i32"), axis=0), "must be equal"),
    (lambda: ops.one_hot(node(3), depth=2), "integer"),
]


def scatter(x, indices, updates, **dims):
    body = ops.monoid("add", ops.zeros(()).dtype)
    return ops.scatter(x, indices, updates, body=body, **{**ROW_UPDATES, **dims})


@pytest.mark.parametrize(("build", "message"), ERRORS)
def test_errors_say_what_was_asked(build, message):
    with pytest.raises(ShapeError, match=message):
        build()


def test_bodies_without_a_gradient_say_so():
    x = node(4, 3, dtype="f64")
    y = ops.scatter(x, IDS, node(2, 3, dtype="f64"), body=BODIES["general"][0], **ROW_UPDATES)
    with pytest.raises(UnsupportedOp, match="scatter"):
        gradients([ops.sum(y)], [x])

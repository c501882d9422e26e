"""Movement of elements against NumPy and StableHLO's definitions; symbolic sizes; errors."""

from __future__ import annotations

import numpy as np
import pytest

from anode import ops
from anode.errors import ShapeError
from anode.ir.dims import Dim
from anode.ir.dtypes import bf16, f32_to_bf16
from anode.ir.graph import close, fresh_inputs, trace
from anode.ir.node import constant
from anode.ir.types import tensor
from anode.transform.grad import gradients
from tests.ops.values import run

X = np.arange(24.0).reshape(2, 3, 4)
N = Dim("n")


def node(*shape, dtype="f32"):
    return fresh_inputs(tensor(dtype, *shape))[0]


@pytest.mark.parametrize(
    "key",
    [
        0,
        -1,
        np.s_[1, 2, 3],
        np.s_[:, 1:],
        np.s_[..., ::2],
        np.s_[..., ::-1],
        np.s_[:, ::-2, 3:0:-2],
        np.s_[None, :, 0, None, 1:2],
        np.s_[1:1],
        np.s_[:, 5:2, -100:100],
        np.s_[...],
        np.int64(1),
    ],
    ids=str,
)
def test_getitem_is_numpys(key):
    np.testing.assert_array_equal(run(lambda x: x[key], X), X[key])


@pytest.mark.parametrize("key", [2, (0, 0, 0, 0), (..., ...), [0, 1], True, np.s_[::0], "a"])
def test_getitem_refuses(key):
    with pytest.raises(ShapeError, match="getitem"):
        node(2, 3, 4)[key]


def test_getitem_with_a_node_points_to_take():
    with pytest.raises(ShapeError, match="take"):
        node(3)[node(dtype="i32")]


def test_iteration_gives_rows_and_results():
    rows = run(lambda x: tuple(x), X)
    np.testing.assert_array_equal(np.stack(rows), X)
    values, indices = ops.top_k(node(5), k=2)
    assert (values.dtype.name, indices.dtype.name) == ("f32", "i32")
    with pytest.raises(ShapeError, match="scalar"):
        tuple(node())


MACROS = [
    (lambda x: ops.broadcast_to(x, (5, 2, 3, 4)), lambda x: np.broadcast_to(x, (5, 2, 3, 4))),
    (lambda x: ops.squeeze(x[:1, :, :1]), lambda x: x[0, :, 0]),
    (lambda x: ops.squeeze(x[:1, :, :1], axis=-1), lambda x: x[:1, :, 0]),
    (lambda x: ops.expand_dims(x, (0, -1)), lambda x: x[None, ..., None]),
    (lambda x: ops.flatten(x, 1), lambda x: x.reshape(2, 12)),
    (lambda x: ops.stack([x, x], axis=-1), lambda x: np.stack([x, x], -1)),
    (lambda x: ops.split(x, 2, axis=-1)[1], lambda x: np.split(x, 2, -1)[1]),
    (lambda x: ops.split(x, [1, 3], axis=2)[1], lambda x: x[:, :, 1:]),
    (lambda x: ops.tile(x, (2, 1, 3)), lambda x: np.tile(x, (2, 1, 3))),
    (lambda x: ops.tile(x, (2, 2, 1, 1)), lambda x: np.tile(x, (2, 2, 1, 1))),
    (lambda x: ops.tile(x, (2,)), lambda x: np.tile(x, (2,))),
    (lambda x: ops.repeat(x, 3, axis=1), lambda x: np.repeat(x, 3, 1)),
    (lambda x: ops.roll(x, -1, axis=1), lambda x: np.roll(x, -1, 1)),
    (lambda x: ops.roll(x, 9, axis=2), lambda x: np.roll(x, 9, 2)),
    (lambda x: ops.moveaxis(x, 0, -1), lambda x: np.moveaxis(x, 0, -1)),
    (lambda x: ops.moveaxis(x, -1, 1), lambda x: np.moveaxis(x, -1, 1)),
    (lambda x: ops.swapaxes(x, 0, -1), lambda x: np.swapaxes(x, 0, -1)),
    (lambda x: ops.full((2, 3), x[0, 0, 1]), lambda x: np.full((2, 3), x[0, 0, 1])),
    (lambda x: ops.zeros_like(x) + ops.ones_like(x), np.ones_like),
]


@pytest.mark.parametrize(("ours", "numpys"), MACROS)
def test_macros_are_numpys(ours, numpys):
    got, want = run(ours, X), numpys(X)
    assert got.shape == want.shape
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(
    ("low", "high", "interior"), [(2, 1, 0), (0, 0, 2), (-1, 3, 1), (2, -4, 2), (-6, 8, 0)]
)
def test_pad_places_element_i_at_low_plus_i_times_stride(low, high, interior):
    x = np.arange(1.0, 5.0)
    size = 4 + 3 * interior + low + high
    want = np.full(size, 9.0)
    for i, value in enumerate(x):
        if 0 <= low + i * (interior + 1) < size:
            want[low + i * (interior + 1)] = value
    attrs = {"low": (low,), "high": (high,), "interior": (interior,)}
    np.testing.assert_array_equal(run(lambda x: ops.pad(x, 9.0, **attrs), x), want)


@pytest.mark.parametrize("start", [-2, 0, 3, 99])
def test_dynamic_starts_are_clamped(start):
    x, at = np.arange(5.0), min(max(start, 0), 3)
    got = run(lambda x, i: ops.dynamic_slice(x, i, sizes=(2,)), x, np.int32(start))
    np.testing.assert_array_equal(got, x[at : at + 2])
    x[at : at + 2] = -1
    update = lambda x, i: ops.dynamic_update_slice(x, ops.full((2,), -1.0, "f64"), i)  # noqa: E731
    np.testing.assert_array_equal(run(update, np.arange(5.0), np.int32(start)), x)


def test_references_do_not_write_to_operands():
    x = np.arange(4.0)
    x.setflags(write=False)
    run(lambda x: ops.dynamic_update_slice(x, x[:1], constant(2)), x)


def test_bitcast_reads_bits():
    np.testing.assert_array_equal(
        run(lambda x: ops.bitcast(x, dtype="i32"), np.float32([1.0, -0.0])), [0x3F800000, -(2**31)]
    )
    ones = f32_to_bf16(np.float32([1.0]))
    assert run(lambda x: ops.bitcast(x, dtype="u16"), ones) == [0x3F80]


def test_iota_wraps_and_rounds():
    numbers = run(lambda: ops.iota(shape=(258,), dtype="u8", axis=0))
    np.testing.assert_array_equal(numbers, np.arange(258) % 256)
    rounded = run(lambda: ops.iota(shape=(258,), dtype=bf16, axis=0))
    assert run(lambda x: ops.convert(x, dtype="f32"), rounded)[257] == 256


SYMBOLIC = [
    (lambda x: ops.reshape(x, shape=(-1,)), (12 * N,)),
    (lambda x: ops.reshape(x, shape=(x.shape[0], -1)), (N, 12)),
    (lambda x: ops.reshape(x, shape=(2, x.shape[0], 6)), (2, N, 6)),
    (lambda x: ops.transpose(x, permutation=(1, 0, 2)), (3, N, 4)),
    (lambda x: ops.concatenate(x, x, x[:1], axis=0), (2 * N + 1, 3, 4)),
    (lambda x: x[:, 1:, ::2], (N, 2, 2)),
    (lambda x: x[1:], (N - 1, 3, 4)),
    (lambda x: x[-1], (3, 4)),
    (lambda x: x[::-1], (N, 3, 4)),
    (lambda x: ops.broadcast_to(x, (5, *x.shape)), (5, N, 3, 4)),
    (lambda x: ops.pad(x, 0, low=(1, 0, 0), high=(1, 0, 0)), (N + 2, 3, 4)),
    (lambda x: ops.sum(x, axis=1), (N, 4)),
    (lambda x: ops.mean(x, axis=0), (3, 4)),
    (lambda x: ops.roll(x, 1, axis=0), (N, 3, 4)),
    (lambda x: ops.split(x, [1, x.shape[0] - 1], axis=0)[1], (N - 1, 3, 4)),
    (lambda x: ops.tile(x, (2, 1, 1)), (2 * N, 3, 4)),
    (lambda x: ops.flatten(x), (12 * N,)),
]


@pytest.mark.parametrize(("function", "shape"), SYMBOLIC)
def test_symbolic_sizes_bind_to_what_static_ones_give(function, shape):
    graph = trace(function, tensor("f64", N, 3, 4))
    assert graph.outputs[0].shape == shape
    want = run(function, X)
    np.testing.assert_array_equal(ops.evaluate(graph, [X])[0][0], want)


@pytest.mark.parametrize(("function", "shape"), SYMBOLIC)
def test_gradients_over_symbolic_sizes_are_those_of_static_ones(function, shape):
    def slopes(*sizes):
        (x,) = fresh_inputs(tensor("f64", *sizes))
        y = function(x)
        graph = close([x], gradients([ops.sum(y * y)], [x]))
        return ops.evaluate(graph, [X])[0][0]

    np.testing.assert_array_equal(slopes(N, 3, 4), slopes(*X.shape))


ERRORS = [
    (lambda: ops.broadcast_in_dim(node(3), shape=(4,), axes=(0,)), "cannot repeat"),
    (lambda: ops.broadcast_in_dim(node(3, 4), shape=(4, 3), axes=(1, 0)), "in order"),
    (lambda: ops.broadcast_to(node(3, 4), (3,)), "cannot repeat"),
    (lambda: ops.reshape(node(3, 4), shape=(5,)), "12 elements"),
    (lambda: ops.reshape(node(3, 4), shape=(5, -1)), "cannot infer"),
    (lambda: ops.reshape(node(3), shape=(N, -1)), "cannot infer"),
    (lambda: ops.reshape(node(0), shape=(0, -1)), "cannot infer"),
    (lambda: ops.transpose(node(3, 4), permutation=(0, 0)), "permutation"),
    (lambda: ops.transpose(node(3, 4), permutation=(0, 2)), "axis 2"),
    (lambda: ops.slice(node(3), start=(0,), limit=(4,)), "0 <= start"),
    (lambda: ops.slice(node(3), start=(0,), limit=(3,), strides=(0,)), "strides are positive"),
    (lambda: ops.slice(node(3, 4), start=(0,), limit=(3,)), "one entry per dim"),
    (lambda: ops.slice(node(N), start=(0,), limit=(5,)), "cannot tell"),
    (lambda: ops.pad(node(3), node(dtype="i32"), low=(0,), high=(0,)), "scalar of the operand"),
    (lambda: ops.pad(node(3), 0, low=(-2,), high=(-2,)), "leave no size"),
    (lambda: ops.pad(node(3), 0, low=(0,), high=(0,), interior=(-1,)), "leave no size"),
    (lambda: ops.concatenate(node(3, 4), node(3, 5), axis=0), "must be equal"),
    (lambda: ops.concatenate(node(3), node(3, dtype="i32"), axis=0), "must be equal"),
    (lambda: ops.concatenate(axis=0), "axis 0|operand"),
    (lambda: ops.iota(shape=(3,), dtype="bool"), "bool numbers"),
    (lambda: ops.reverse(node(3), axes=(0, -1)), "twice"),
    (lambda: ops.dynamic_slice(node(3), constant(1.0), sizes=(1,)), "integer scalars"),
    (lambda: ops.dynamic_slice(node(3), constant(1), sizes=(4,)), "does not fit"),
    (lambda: ops.dynamic_slice(node(3), sizes=(1,)), "one entry per dim"),
    (lambda: ops.dynamic_update_slice(node(3), node(1, 1), constant(0)), "another type or rank"),
    (lambda: ops.bitcast(node(3), dtype="f64"), "64 bits"),
    (lambda: ops.squeeze(node(3, 1), 0), "size other than 1"),
    (lambda: ops.split(node(5), 2), "2 equal pieces"),
    (lambda: ops.split(node(5), [2, 2]), "add up"),
    (lambda: ops.reshape(ops.top_k(node(3), k=1), shape=(1,)), "several results"),
]


@pytest.mark.parametrize(("build", "message"), ERRORS)
def test_errors_say_what_was_asked(build, message):
    with pytest.raises(ShapeError, match=message):
        build()

"""Products of tensors against NumPy; their accumulation and errors."""

from __future__ import annotations

import numpy as np
import pytest

from anode import ops
from anode.errors import ShapeError, UnsupportedOp
from anode.ir.dims import Dim
from anode.ir.dtypes import bf16_to_f32, f32_to_bf16
from anode.ir.graph import fresh_inputs
from anode.ir.types import tensor
from tests.ops.values import run

RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.normal(size=shape)


def node(*shape, dtype="f32"):
    return fresh_inputs(tensor(dtype, *shape))[0]


SHAPES = [
    ((4,), (4,)),
    ((4,), (4, 3)),
    ((3, 4), (4,)),
    ((3, 4), (4, 2)),
    ((4,), (5, 4, 3)),
    ((5, 3, 4), (4,)),
    ((3, 4), (5, 4, 2)),
    ((5, 6, 3, 4), (4, 2)),
    ((5, 3, 4), (5, 4, 2)),
    ((6, 1, 3, 4), (5, 4, 2)),
    ((2, 0), (0, 3)),
    ((0, 2), (2, 3)),
]


@pytest.mark.parametrize(("a", "b"), SHAPES, ids=str)
def test_matmul_is_numpys(a, b):
    x, y = normal(*a), normal(*b)
    np.testing.assert_allclose(run(lambda x, y: x @ y, x, y), x @ y, rtol=1e-12)


def test_dot_outer_and_tensordot_are_numpys():
    x, y, v = normal(2, 3, 4), normal(5, 4, 6), normal(4)
    for ours, want, args in [
        (ops.dot, np.dot(x, y), (x, y)),
        (ops.dot, np.dot(x, v), (x, v)),
        (ops.dot, np.dot(x, 2.0), (x, np.array(2.0))),
        (ops.outer, np.outer(v, v), (v, v)),
        (ops.tensordot, np.tensordot(x, x.T.copy().reshape(3, 4, 2)), (x, x.T.reshape(3, 4, 2))),
        (
            lambda x, y: ops.tensordot(x, y, ((2, 0), (1, 0))),
            np.tensordot(x, y[:2], ((2, 0), (1, 0))),
            (x, y[:2]),
        ),
        (lambda x, y: ops.tensordot(x, y, 0), np.tensordot(v, v, 0), (v, v)),
    ]:
        np.testing.assert_allclose(run(ours, *args), want, rtol=1e-12)


def test_dot_general_puts_batch_then_free_dims():
    x, y = normal(2, 3, 4, 5), normal(5, 6, 4, 2)
    got = run(
        lambda x, y: ops.dot_general(x, y, contract=((3,), (0,)), batch=((2, 0), (2, 3))), x, y
    )
    np.testing.assert_allclose(got, np.einsum("abcd,deca->cabe", x, y), rtol=1e-12)


def test_half_types_accumulate_in_f32_and_round_once():
    x = f32_to_bf16(np.ones((1, 1000), np.float32))
    got = run(lambda x: ops.dot_general(x, x, contract=((1,), (1,))), x)
    assert bf16_to_f32(got) == 1000
    wide = run(lambda x: ops.dot_general(x, x, contract=((1,), (1,)), dtype="f32"), x)
    assert wide.dtype == np.float32 and wide == 1000


def test_integers_wrap_unless_a_wider_result_is_asked_for():
    x = np.full((1, 3), 100, np.int8)
    dot = lambda x, **k: ops.dot_general(x, x, contract=((1,), (1,)), **k)  # noqa: E731
    assert run(dot, x) == np.int32(30000).astype(np.int8)
    assert run(lambda x: dot(x, dtype="i32"), x) == 30000


EINSUMS = [
    ("ij,jk->ik", (2, 3), (3, 4)),
    ("ij,jk", (2, 3), (3, 4)),
    ("bij,bkj->bik", (5, 2, 3), (5, 4, 3)),
    ("bij,bkj->ki", (5, 2, 3), (5, 4, 3)),
    ("ij,ij->", (2, 3), (2, 3)),
    ("i,j->ji", (2,), (3,)),
    ("ijk->kj", (2, 3, 4)),
    ("ji", (2, 3)),
    ("ij,jk,kl->il", (2, 3), (3, 4), (4, 5)),
    ("ai,bi,ci->abc", (2, 6), (3, 6), (4, 6)),
    (",i->i", (), (3,)),
    ("i,ij,j,jk->k", (2,), (2, 3), (3,), (3, 4)),
]


@pytest.mark.parametrize("case", EINSUMS, ids=lambda case: case[0])
def test_einsum_is_numpys(case):
    subscripts, *shapes = case
    arrays = [normal(*shape) for shape in shapes]
    got = run(lambda *xs: ops.einsum(subscripts, *xs), *arrays)
    np.testing.assert_allclose(got, np.einsum(subscripts, *arrays), rtol=1e-11)


def test_symbolic_sizes():
    n = Dim("n")
    assert (node(n, 4) @ node(4, 3)).shape == (n, 3)
    assert (node(5, n, 4) @ node(5, 4, n)).shape == (5, n, n)
    assert ops.einsum("nd,md->nm", node(n, 4), node(n, 4)).shape == (n, n)


ERRORS = [
    (lambda: node(2, 3) @ node(4, 2), "matmul"),
    (lambda: node(2, 3, 4) @ node(3, 4, 5), "leading dims"),
    (lambda: node() @ node(3), "matmul"),
    (lambda: ops.dot(node(3), node(3, dtype="f64")), "convert one"),
    (lambda: ops.dot_general(node(3), node(4), contract=((0,), (0,))), "unequal sizes"),
    (lambda: ops.dot_general(node(3), node(3), contract=((0,), ())), "unequal sizes"),
    (
        lambda: ops.dot_general(node(3), node(3), contract=((0,), (0,)), batch=((0,), (0,))),
        "paired twice",
    ),
    (lambda: ops.dot_general(node(3), node(3), contract=((1,), (0,))), "axis 1"),
    (lambda: ops.outer(node(3, 1), node(3)), "two vectors"),
    (lambda: ops.tensordot(node(3), node(3), 2), "2 axes"),
    (lambda: ops.einsum("ij,jk->ik", node(2, 3)), "name every dim"),
    (lambda: ops.einsum("ij->i", node(2)), "name every dim"),
    (lambda: ops.einsum("i,i->i", node(2), node(3)), "two sizes"),
    (lambda: ops.einsum("i->j", node(2)), "invents"),
]


@pytest.mark.parametrize(("build", "message"), ERRORS)
def test_errors_say_what_was_asked(build, message):
    with pytest.raises(ShapeError, match=message):
        build()


@pytest.mark.parametrize("subscripts", ["...i->i", "ii->i"])
def test_einsum_refuses_what_it_does_not_do(subscripts):
    with pytest.raises(UnsupportedOp, match="einsum"):
        ops.einsum(subscripts, node(2, 2))

"""Decompositions of stacked matrices, the last two dims, and the linear systems they solve.

No backend has kernels for them: they run their references on the host, which are LAPACK's through
NumPy. Gradients: Giles, "An extended collection of matrix derivative results", 2008; Townsend,
"Differentiating the singular value decomposition", 2016; Walter and Lehmann for QR, 2010.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from anode.errors import UnsupportedOp
from anode.ir.dtypes import dtype_of, i32
from anode.ir.node import Node
from anode.ir.types import Size, TensorType, TupleType
from anode.ops import elementwise as ew
from anode.ops.declare import narrow, primitive, widen
from anode.ops.linalg import matmul
from anode.ops.rules import check_tensors, mismatch
from anode.ops.shape import expand_dims, iota, swapaxes, zeros_like

Array = np.ndarray


def _square(op: str, x: TensorType) -> Size:
    """The size of square float matrices."""
    check_tensors(op, x)
    if x.rank < 2 or x.shape[-1] != x.shape[-2] or not x.dtype.is_float:
        raise mismatch(op, "takes square matrices of floats", [x])
    return x.shape[-1]


def _system(op: str, a: TensorType, b: TensorType) -> TensorType:
    size = _square(op, a)
    if b.rank != a.rank or b.dtype is not a.dtype or b.shape[:-1] != (*a.shape[:-2], size):
        raise mismatch(op, "takes right sides with as many rows as the matrices", [a, b])
    return b


def _run(function: Callable[..., Any], *xs: Array) -> Any:
    """NumPy's result, or results, in the operands' type."""
    dtype = dtype_of(xs[0].dtype)
    found = function(*[widen(x) for x in xs])
    several = isinstance(found, tuple)
    return tuple(narrow(y, dtype) for y in found) if several else narrow(found, dtype)


def transposed(x: Node) -> Node:
    """Each matrix transposed."""
    return swapaxes(x, -1, -2)


def _places(x: Node) -> tuple[Node, Node]:
    """The row and the column of each element of a matrix of the last two dims of `x`."""
    shape = x.shape[-2:]
    return iota(shape=shape, dtype=i32, axis=0), iota(shape=shape, dtype=i32, axis=1)


def lower_triangle(x: Node) -> Node:
    """Each matrix with zeros above its diagonal."""
    row, column = _places(x)
    kept: Node = ew.select(ew.greater_equal(row, column), x, 0)
    return kept


def upper_triangle(x: Node) -> Node:
    """Each matrix with zeros below its diagonal."""
    return transposed(lower_triangle(transposed(x)))


def _half_diagonal(x: Node) -> Node:
    row, column = _places(x)
    return x * ew.select(ew.equal(row, column), ew.convert(row * 0, dtype=x.dtype) + 0.5, 1)


def _on_diagonal(values: Node) -> Node:
    """Square matrices with `values` along their diagonals."""
    wide = expand_dims(values, -1)
    row, column = _places(matmul(wide, transposed(wide)))
    placed: Node = ew.select(ew.equal(row, column), wide, 0)
    return placed


def _symmetric(x: Node) -> Node:
    return (x + transposed(x)) * 0.5


@primitive
def cholesky(x: TensorType) -> TensorType:
    """The lower triangular l with l·lᵀ the symmetric part of positive definite matrices."""
    _square("cholesky", x)
    return x.with_shape(x.shape)


@cholesky.evaluate
def _(x: Array) -> Array:
    result: Array = _run(lambda x: np.linalg.cholesky((x + np.swapaxes(x, -1, -2)) / 2), x)
    return result


@cholesky.vjp
def _(ct: Node, y: Node, x: Node) -> tuple[Node]:
    inner = _half_diagonal(lower_triangle(matmul(transposed(y), lower_triangle(ct))))
    left = triangular_solve(y, inner, lower=True, transpose=True)
    both = triangular_solve(y, transposed(left), lower=True, transpose=True)
    return (_symmetric(both),)


@primitive
def triangular_solve(
    a: TensorType, b: TensorType, *, lower: bool = True, transpose: bool = False
) -> TensorType:
    """The x with a·x = b, or aᵀ·x = b, where only one triangle of `a` is looked at."""
    b = _system("triangular_solve", a, b)
    return b.with_shape(b.shape)


@triangular_solve.evaluate
def _(a: Array, b: Array, *, lower: bool, transpose: bool) -> Array:
    def solved(a: Array, b: Array) -> Array:
        triangle = np.tril(a) if lower else np.triu(a)
        return np.linalg.solve(np.swapaxes(triangle, -1, -2) if transpose else triangle, b)

    result: Array = _run(solved, a, b)
    return result


@triangular_solve.vjp
def _(ct: Node, y: Node, a: Node, b: Node, *, lower: bool, transpose: bool) -> tuple[Node, Node]:
    ct_b = triangular_solve(a, ct, lower=lower, transpose=not transpose)
    outer = matmul(y, transposed(ct_b)) if transpose else matmul(ct_b, transposed(y))
    return (lower_triangle if lower else upper_triangle)(-outer), ct_b


@primitive
def solve(a: TensorType, b: TensorType) -> TensorType:
    """The x with a·x = b."""
    b = _system("solve", a, b)
    return b.with_shape(b.shape)


@solve.evaluate
def _(a: Array, b: Array) -> Array:
    result: Array = _run(np.linalg.solve, a, b)
    return result


@solve.vjp
def _(ct: Node, y: Node, a: Node, b: Node) -> tuple[Node, Node]:
    ct_b = solve(transposed(a), ct)
    return -matmul(ct_b, transposed(y)), ct_b


@primitive
def inverse(x: TensorType) -> TensorType:
    """The inverses of matrices."""
    _square("inverse", x)
    return x.with_shape(x.shape)


@inverse.evaluate
def _(x: Array) -> Array:
    result: Array = _run(np.linalg.inv, x)
    return result


@inverse.vjp
def _(ct: Node, y: Node, x: Node) -> tuple[Node]:
    turned = transposed(y)
    return (-matmul(turned, matmul(ct, turned)),)


@primitive
def slogdet(x: TensorType) -> TupleType:
    """The sign of the determinant (0 where it is 0) and the logarithm of its absolute value."""
    _square("slogdet", x)
    result = x.with_shape(x.shape[:-2])
    return TupleType((result, result))


@slogdet.evaluate
def _(x: Array) -> Any:
    return _run(lambda x: tuple(np.linalg.slogdet(x)), x)


@slogdet.vjp
def _(ct: Any, y: Any, x: Node) -> tuple[Node | None]:
    if ct[1] is None:
        return (None,)
    return (_as_scalars(ct[1]) * transposed(inverse(x)),)


def _as_scalars(x: Node) -> Node:
    """One number for each matrix, to multiply it by."""
    return expand_dims(expand_dims(x, -1), -1)


@primitive
def determinant(x: TensorType) -> TensorType:
    """The determinants of matrices."""
    _square("determinant", x)
    return x.with_shape(x.shape[:-2])


@determinant.evaluate
def _(x: Array) -> Array:
    result: Array = _run(np.linalg.det, x)
    return result


@determinant.vjp
def _(ct: Node, y: Node, x: Node) -> tuple[Node]:
    return (_as_scalars(ct * y) * transposed(inverse(x)),)


@primitive
def eigh(x: TensorType) -> TupleType:
    """The eigenvalues of the symmetric part, least first, and the eigenvectors as columns.

    The gradient by eigenvectors takes the eigenvalues to differ.
    """
    _square("eigh", x)
    return TupleType((x.with_shape(x.shape[:-1]), x.with_shape(x.shape)))


@eigh.evaluate
def _(x: Array) -> Any:
    return _run(lambda x: tuple(np.linalg.eigh((x + np.swapaxes(x, -1, -2)) / 2)), x)


@eigh.vjp
def _(ct: Any, y: Any, x: Node) -> tuple[Node | None]:
    values, vectors = y
    inner = None if ct[0] is None else _on_diagonal(ct[0])
    if ct[1] is not None:
        turned = _gaps_inverse(values) * matmul(transposed(vectors), ct[1])
        inner = turned if inner is None else inner + turned
    if inner is None:
        return (None,)
    return (_symmetric(matmul(vectors, matmul(inner, transposed(vectors)))),)


def _gaps_inverse(values: Node) -> Node:
    """1 / (values[j] − values[i]) at (i, j), and 0 where they are equal."""
    gaps = expand_dims(values, -2) - expand_dims(values, -1)
    equal = ew.equal(gaps, 0)
    inverse: Node = ew.select(equal, 0, 1 / ew.select(equal, 1, gaps))
    return inverse


@primitive
def svd(x: TensorType, *, full: bool = False) -> TupleType:
    """The singular values s, largest first, then u and v: x = u·diag(s)·vᵀ.

    u and v have as many columns as there are singular values, or are square if `full`. The gradient
    by u and v takes the singular values to differ and not to be 0, and has no `full` ones.
    """
    check_tensors("svd", x)
    if x.rank < 2 or not x.dtype.is_float:
        raise mismatch("svd", "takes matrices of floats", [x])
    *lead, m, n = x.static
    k = min(m, n)
    shapes = ((*lead, k), (*lead, m, m if full else k), (*lead, n, n if full else k))
    return TupleType(tuple(x.with_shape(shape) for shape in shapes))


@svd.evaluate
def _(x: Array, *, full: bool) -> Any:
    def decomposed(x: Array) -> tuple[Array, ...]:
        u, s, vt = np.linalg.svd(x, full_matrices=full)
        return s, u, np.swapaxes(vt, -1, -2)

    return _run(decomposed, x)


@svd.vjp
def _(ct: Any, y: Any, x: Node, *, full: bool) -> tuple[Node | None]:
    s, u, v = y
    ct_s, ct_u, ct_v = ct
    if full and not (ct_u is None and ct_v is None) and x.shape[-1] != x.shape[-2]:
        raise UnsupportedOp("svd: full u and v have no gradient; take those of full=False")
    if full:
        k = s.shape[-1]
        u, v = u[..., :k], v[..., :k]
    parts = [] if ct_s is None else [matmul(u * expand_dims(ct_s, -2), transposed(v))]
    if ct_u is not None:
        parts.append(_svd_side(ct_u, s, u, v))
    if ct_v is not None:
        parts.append(transposed(_svd_side(ct_v, s, v, u)))
    total = None
    for part in parts:
        total = part if total is None else total + part
    return (total,)


def _svd_side(ct: Node, s: Node, u: Node, v: Node) -> Node:
    """The cotangent of u·diag(s)·vᵀ that the cotangent of `u` gives."""
    inner = matmul(transposed(u), ct)
    turn = _gaps_inverse(ew.square(s)) * (inner - transposed(inner)) * expand_dims(s, -2)
    beside = (ct - matmul(u, inner)) / expand_dims(s, -2)
    return matmul(matmul(u, turn) + beside, transposed(v))


@primitive
def qr(x: TensorType, *, full: bool = False) -> TupleType:
    """An orthogonal q and an upper triangular r with x = q·r; q is square if `full`.

    There is a gradient where x has at least as many rows as columns and q is not `full`.
    """
    check_tensors("qr", x)
    if x.rank < 2 or not x.dtype.is_float:
        raise mismatch("qr", "takes matrices of floats", [x])
    *lead, m, n = x.static
    k = m if full else min(m, n)
    return TupleType((x.with_shape((*lead, m, k)), x.with_shape((*lead, k, n))))


@qr.evaluate
def _(x: Array, *, full: bool) -> Any:
    return _run(lambda x: tuple(np.linalg.qr(x, "complete" if full else "reduced")), x)


@qr.vjp
def _(ct: Any, y: Any, x: Node, *, full: bool) -> tuple[Node]:
    q, r = y
    if r.shape[-1] != r.shape[-2]:
        raise UnsupportedOp("qr: a gradient needs at least as many rows as columns, not full=True")
    ct_q = zeros_like(q) if ct[0] is None else ct[0]
    ct_r = zeros_like(r) if ct[1] is None else upper_triangle(ct[1])
    inner, outer = matmul(transposed(q), ct_q), matmul(r, transposed(ct_r))
    skew = inner - transposed(inner) + outer - transposed(outer)
    row, column = _places(skew)
    below = ew.select(ew.greater(row, column), skew, 0)

    def over_r(z: Node) -> Node:
        """z·r⁻ᵀ"""
        return transposed(triangular_solve(r, transposed(z), lower=False))

    return (matmul(q, ct_r + over_r(below)) + over_r(ct_q - matmul(q, inner)),)

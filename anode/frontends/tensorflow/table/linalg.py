"""Products of matrices, and the decompositions of square ones."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

from anode import ops
from anode.errors import ShapeError, UnsupportedOp
from anode.frontends.tensorflow.opdef import REQUIRED, op
from anode.frontends.tensorflow.table.math_shapes import product, product_of_stacks
from anode.ir.node import Node


def _turned(x: Node, turn: bool) -> Node:
    return ops.swapaxes(x, -1, -2) if turn else x


@op("MatMul", "a:T b:T -> T", shape=product, transpose_a=False, transpose_b=False)
def _(a: Node, b: Node, *, transpose_a: bool, transpose_b: bool) -> Node:
    if len(a.shape) != 2 or len(b.shape) != 2:  # which was not known before
        raise ShapeError(f"MatMul: both operands must be matrices, not {a.type} and {b.type}")
    contract = ((0 if transpose_a else 1,), (1 if transpose_b else 0,))
    return ops.dot_general(a, b, contract=contract)


def _batch_matmul(x: Node, y: Node, *, adj_x: bool, adj_y: bool) -> Node:
    return ops.matmul(_turned(x, adj_x), _turned(y, adj_y))


for _type in ("BatchMatMul", "BatchMatMulV2"):
    op(_type, "x:T y:T -> T", shape=product_of_stacks, adj_x=False, adj_y=False)(_batch_matmul)


@op(
    "SparseMatMul",
    "a:Ta b:Tb -> float32",
    transpose_a=False,
    transpose_b=False,
    a_is_sparse=False,
    b_is_sparse=False,
)
def _(a: Node, b: Node, *, transpose_a: bool, transpose_b: bool, **_: bool) -> Node:
    """A product of dense matrices; that they have many zeros is only a hint."""
    a, b = (x if x.dtype.bits == 32 else ops.convert(x, dtype="f32") for x in (a, b))
    return ops.matmul(_turned(a, transpose_a), _turned(b, transpose_b))


@op("Einsum", "inputs:N*T -> T", equation=REQUIRED)
def _(inputs: Sequence[Node], *, equation: Any) -> Node:
    text = equation.decode() if isinstance(equation, bytes) else equation
    return ops.einsum(_spelled_out(text, inputs) if "..." in text else text, *inputs)


def _spelled_out(equation: str, inputs: Sequence[Node]) -> str:
    """`equation` with letters instead of its ellipses, which stand for equally many dims."""
    left, arrow, result = equation.partition("->")
    terms = left.split(",")
    hidden = {
        len(x.shape) - len(term) + 3 for term, x in zip(terms, inputs, strict=True) if "..." in term
    }
    if len(hidden) != 1:
        raise UnsupportedOp(
            f"Einsum: the ellipses of {equation!r} stand for unlike numbers of dims"
        )
    unused = [c for c in string.ascii_letters if c not in equation]
    letters = "".join(unused[: hidden.pop()])
    if not arrow:
        names = "".join(terms).replace("...", "")
        result = "..." + "".join(sorted(c for c in set(names) if names.count(c) == 1))
    return f"{left}->{result}".replace("...", letters)


@op("Cross", "a:T b:T -> T", shape="same")
def _(a: Node, b: Node) -> Node:
    """a × b of vectors of three along the last dim: a₊b₋ − a₋b₊ with the neighbours in a circle."""
    if a.shape != b.shape or not a.shape or a.shape[-1] != 3:
        raise ShapeError(
            f"Cross: takes vectors of three along the last dim, not {a.type}, {b.type}"
        )
    after = [ops.roll(x, -1, -1) for x in (a, b)]
    before = [ops.roll(x, 1, -1) for x in (a, b)]
    return after[0] * before[1] - before[0] * after[1]


# decompositions and systems


def _from_lower(x: Node) -> Node:
    """The symmetric matrices of a lower triangle, the only one that TensorFlow looks at."""
    strict = x - ops.upper_triangle(x)
    return ops.lower_triangle(x) + _turned(strict, True)


for _type, _lower in {
    "Cholesky": ops.cholesky,
    "MatrixDeterminant": ops.determinant,
    "LogMatrixDeterminant": lambda x: ops.slogdet(x).items,
}.items():
    _outputs = "T T" if _type == "LogMatrixDeterminant" else "T"
    op(_type, f"input:T -> {_outputs}")(lambda input, lower=_lower: lower(input))


@op("MatrixInverse", "input:T -> T", shape="same", adjoint=False)
def _(input: Node, *, adjoint: bool) -> Node:
    return ops.inverse(_turned(input, adjoint))


@op("MatrixSolve", "matrix:T rhs:T -> T", adjoint=False)
def _(matrix: Node, rhs: Node, *, adjoint: bool) -> Node:
    return ops.solve(_turned(matrix, adjoint), rhs)


@op("MatrixTriangularSolve", "matrix:T rhs:T -> T", lower=True, adjoint=False)
def _(matrix: Node, rhs: Node, *, lower: bool, adjoint: bool) -> Node:
    return ops.triangular_solve(matrix, rhs, lower=lower, transpose=adjoint)


@op("SelfAdjointEigV2", "input:T -> T T", compute_v=True)
def _(input: Node, *, compute_v: bool) -> tuple[Node, ...]:
    values, vectors = ops.eigh(_from_lower(input)).items
    return values, vectors if compute_v else ops.zeros((0,), input.dtype)


@op("Svd", "input:T -> T T T", compute_uv=True, full_matrices=False)
def _(input: Node, *, compute_uv: bool, full_matrices: bool) -> tuple[Node, ...]:
    s, u, v = ops.svd(input, full=full_matrices).items
    none = ops.zeros((0,), input.dtype)
    return (s, u, v) if compute_uv else (s, none, none)


@op("Qr", "input:T -> T T", full_matrices=False)
def _(input: Node, *, full_matrices: bool) -> tuple[Node, ...]:
    return ops.qr(input, full=full_matrices).items

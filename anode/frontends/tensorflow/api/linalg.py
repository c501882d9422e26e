"""tf.linalg: products, norms, decompositions and the solution of linear systems."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from anode.frontends.tensorflow import dtypes
from anode.frontends.tensorflow.api.arithmetic import cast, conj
from anode.frontends.tensorflow.api.generated import define
from anode.frontends.tensorflow.api.reductions import reduce_max, reduce_min, reduce_sum
from anode.frontends.tensorflow.graph import (
    Tensor,
    apply,
    constant,
    convert_to_tensor,
    name_scope,
)
from anode.frontends.tensorflow.opdef import export, renamed

FUNCTIONS = {
    "Cholesky": "input | linalg.cholesky cholesky",
    "Cross": "a b | linalg.cross cross",
    "MatrixDeterminant": "input | linalg.det matrix_determinant",
    "MatrixInverse": "input adjoint=False | linalg.inv matrix_inverse",
    "MatrixSolve": "matrix rhs adjoint=False | linalg.solve matrix_solve",
    "MatrixTriangularSolve": "matrix rhs lower=True adjoint=False"
    " | linalg.triangular_solve matrix_triangular_solve",
    "SparseMatMul": "a b transpose_a=False transpose_b=False a_is_sparse=False b_is_sparse=False"
    " | sparse_matmul",
}
globals().update(define(__name__, FUNCTIONS))
if TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """What the table defines."""


# products


@export("matmul", "linalg.matmul")
def matmul(
    a: Any,
    b: Any,
    transpose_a: bool = False,
    transpose_b: bool = False,
    adjoint_a: bool = False,
    adjoint_b: bool = False,
    a_is_sparse: bool = False,
    b_is_sparse: bool = False,
    name: str | None = None,
) -> Any:
    """The product of matrices, or of stacks of them whose leading dims broadcast."""
    for letter, both in (("a", transpose_a and adjoint_a), ("b", transpose_b and adjoint_b)):
        if both:
            raise ValueError(f"Only one of transpose_{letter} and adjoint_{letter} can be True.")
    turn_a, turn_b = bool(transpose_a or adjoint_a), bool(transpose_b or adjoint_b)
    with name_scope(name, "MatMul", [a, b]) as scope:
        a = convert_to_tensor(a, name="a")
        b = convert_to_tensor(b, name="b", preferred_dtype=a.dtype.base_dtype)
        sparse = a_is_sparse or b_is_sparse
        ranks = [x.shape.ndims for x in (a, b)]
        if not sparse and any(rank is None or rank > 2 for rank in ranks):
            return apply("BatchMatMulV2", a, b, adj_x=turn_a, adj_y=turn_b, name=scope)
        half = (dtypes.bfloat16, dtypes.float32)
        turned = {"transpose_a": turn_a, "transpose_b": turn_b}
        if sparse and a.dtype.base_dtype in half and b.dtype.base_dtype in half:
            hints = {"a_is_sparse": a_is_sparse, "b_is_sparse": b_is_sparse}
            return apply("SparseMatMul", a, b, **turned, **hints, name=scope)
        return apply("MatMul", a, b, **turned, name=scope)


@export("batch_matmul")
def batch_matmul(
    x: Any, y: Any, adj_x: bool = False, adj_y: bool = False, name: str | None = None
) -> Any:
    """The products of stacked matrices, as TensorFlow 0.x named it."""
    return apply("BatchMatMul", x, y, adj_x=adj_x, adj_y=adj_y, name=name)


@export("linalg.matvec")
def matvec(
    a: Any,
    b: Any,
    transpose_a: bool = False,
    adjoint_a: bool = False,
    a_is_sparse: bool = False,
    b_is_sparse: bool = False,
    name: str | None = None,
) -> Any:
    """A matrix times a vector, or stacks of them."""
    with name_scope(name, "MatVec", [a, b]):
        column = apply("ExpandDims", b, -1)
        hints: dict[str, Any] = {"a_is_sparse": a_is_sparse, "b_is_sparse": b_is_sparse}
        product = matmul(a, column, transpose_a=transpose_a, adjoint_a=adjoint_a, **hints)
        return apply("Squeeze", product, squeeze_dims=[-1])


@export("tensordot", "linalg.tensordot")
def tensordot(a: Any, b: Any, axes: Any, name: str | None = None) -> Any:
    """The sum of products over the last `axes` of `a` and the first of `b`, or over paired axes."""
    with name_scope(name, "Tensordot", [a, b, axes]) as scope:
        a = convert_to_tensor(a, name="a")
        b = convert_to_tensor(b, name="b", preferred_dtype=a.dtype.base_dtype)
        axes_a, axes_b = _paired_axes(a, axes)
        left, free_a = _as_matrix(a, axes_a, last=True)
        right, free_b = _as_matrix(b, axes_b, last=False)
        product = apply("MatMul", left, right)
        if isinstance(free_a, Tensor) or isinstance(free_b, Tensor):
            shape = apply("ConcatV2", [_sizes(free_a), _sizes(free_b)], 0)
        else:
            shape = _sizes([*free_a, *free_b])
        return apply("Reshape", product, shape, name=scope)


def _sizes(sizes: Any) -> Any:
    """A shape of sizes, of which some may be tensors; a tensor is one already."""
    if isinstance(sizes, Tensor):
        return sizes
    known = all(isinstance(size, int) for size in sizes)
    return np.array(sizes, np.int32) if known else apply("Pack", sizes)


def _paired_axes(a: Tensor, axes: Any) -> tuple[list[int], list[int]]:
    if isinstance(axes, (int, np.integer)):
        if axes < 0:
            raise ValueError("'axes' must be at least 0.")
        rank = a.shape.ndims
        if rank is None or axes > rank:
            raise ValueError(
                f"'axes' must not be larger than the number of dimensions of tensor {a}."
            )
        return list(range(rank - axes, rank)), list(range(axes))
    if len(axes) != 2:
        raise ValueError("'axes' must be an integer or have length 2.")
    pair = [np.ravel(x).tolist() for x in axes]
    if len(pair[0]) != len(pair[1]):
        raise ValueError(
            f"Different number of contraction axes 'a' and 'b', {pair[0]} != {pair[1]}"
        )
    return pair[0], pair[1]


def _as_matrix(x: Tensor, axes: Sequence[int], last: bool) -> tuple[Tensor, Any]:
    """`x` as a matrix, `axes` merged into its last or first dim, and its other sizes."""
    rank = x.shape.ndims
    if rank is None:
        return _as_matrix_of_any_rank(x, axes, last)
    inner = [axis % rank for axis in axes]
    free = [axis for axis in range(rank) if axis not in inner]
    sizes: list[Any] = x.shape.as_list()
    if None in sizes:
        dynamic = apply("Unpack", apply("Shape", x), num=rank)
        sizes = [dynamic[i] if size is None else size for i, size in enumerate(sizes)]
    order = [*free, *inner] if last else [*inner, *free]
    if order != list(range(rank)):
        x = apply("Transpose", x, np.array(order, np.int32))
    merged = [_product([sizes[i] for i in group]) for group in (free, inner)]
    if rank != 2 or len(free) != 1:
        shape = merged if last else merged[::-1]
        x = apply("Reshape", x, _sizes(shape))
    return x, [sizes[i] for i in free]


def _as_matrix_of_any_rank(x: Tensor, axes: Sequence[int], last: bool) -> tuple[Tensor, Tensor]:
    shape, rank = apply("Shape", x), apply("Rank", x)
    inner = apply("FloorMod", np.array(axes, np.int32), rank)
    free, _ = apply("ListDiff", apply("Range", 0, rank, 1), inner)
    order = [free, inner] if last else [inner, free]
    merged = [apply("Prod", apply("GatherV2", shape, dims, 0), [0]) for dims in order]
    x = apply("Transpose", x, apply("ConcatV2", order, 0))
    return apply("Reshape", x, apply("Pack", merged)), apply("GatherV2", shape, free, 0)


def _product(sizes: Sequence[Any]) -> Any:
    if all(isinstance(size, int) for size in sizes):
        return math.prod(sizes)
    return apply("Prod", apply("Pack", list(sizes)), [0])


@export("einsum", "linalg.einsum")
def einsum(equation: str, *inputs: Any, **kwargs: Any) -> Any:
    """The sum of products that `equation` names: "bij,bjk->bik"."""
    name = kwargs.pop("name", None)
    if kwargs:
        raise TypeError(f"invalid keyword arguments for this function: {', '.join(kwargs)}")
    with name_scope(name, "einsum", [equation, inputs]):
        operands = (
            list(inputs[0]) if len(inputs) == 1 and isinstance(inputs[0], (list, tuple)) else inputs
        )
        tensors = [convert_to_tensor(x, name="input") for x in operands]
        return apply("Einsum", tensors, equation=equation.replace(" ", ""))


@export("trace", "linalg.trace")
def trace(x: Any, name: str | None = None) -> Any:
    """The sum of the main diagonal of each matrix."""
    with name_scope(name, "Trace", [x]) as scope:
        x = convert_to_tensor(x, name="x")
        return reduce_sum(apply("MatrixDiagPart", x), [-1], name=scope)


@export("linalg.adjoint")
def adjoint(matrix: Any, name: str | None = None) -> Any:
    """The last two dims swapped, each element conjugated."""
    from anode.frontends.tensorflow.api.array_ops import matrix_transpose

    with name_scope(name, "adjoint", [matrix]):
        return matrix_transpose(convert_to_tensor(matrix, name="matrix"), conjugate=True)


# norms


@export("norm", "linalg.norm")
@renamed(keep_dims="keepdims")
def norm(
    tensor: Any,
    ord: Any = "euclidean",
    axis: Any = None,
    keepdims: Any = None,
    name: str | None = None,
) -> Any:
    """The norm of vectors (one axis, or all elements) or of matrices (two axes)."""
    axes = tuple(axis) if isinstance(axis, (list, tuple)) else axis
    matrices = isinstance(axes, tuple) and len(axes) == 2
    if isinstance(axes, tuple) and len(axes) not in (1, 2):
        raise ValueError("'axis' must be None, an integer, or a tuple of 2 unique integers")
    if isinstance(ord, str) and ord not in ("euclidean", "fro"):
        raise ValueError(f"'ord' must be a supported norm type, got {ord}")
    with name_scope(name, "norm", [tensor]):
        x = convert_to_tensor(tensor)
        result = _matrix_norm(x, ord, axes) if matrices else _vector_norm(x, ord, axes)
        if keepdims:
            return result
        dims = None if axes is None else list(axes) if isinstance(axes, tuple) else [axes]
        return apply("Squeeze", result, squeeze_dims=dims or [])


def _vector_norm(x: Tensor, ord: Any, axis: Any) -> Any:
    if ord in ("euclidean", 2):
        return apply("Sqrt", reduce_sum(x * conj(x), axis, keepdims=True))
    size = apply("Abs", x)
    if ord == "fro":
        raise ValueError("'fro' is a norm of matrices: give two axes")
    if ord in (np.inf, -np.inf):
        return (reduce_max if ord > 0 else reduce_min)(size, axis, keepdims=True)
    if ord == 1:
        return reduce_sum(size, axis, keepdims=True)
    if ord <= 0:
        raise ValueError(f"'ord' must be positive, got {ord}")
    return apply("Pow", reduce_sum(apply("Pow", size, ord), axis, keepdims=True), 1.0 / ord)


def _matrix_norm(x: Tensor, ord: Any, axes: tuple[int, int]) -> Any:
    if ord in ("euclidean", "fro"):
        return apply("Sqrt", reduce_sum(x * conj(x), list(axes), keepdims=True))
    if ord in (1, np.inf):
        inner, outer = (axes[0], axes[1]) if ord == 1 else (axes[1], axes[0])
        return reduce_max(reduce_sum(apply("Abs", x), inner, keepdims=True), outer, keepdims=True)
    if ord != 2:
        raise ValueError(
            f"'ord' must be a supported matrix norm in ['euclidean', 'fro', 1, 2, inf], got {ord}"
        )
    rank = x.shape.ndims
    if rank is None:
        raise ValueError(f"the spectral norm needs a tensor of known rank: {x}")
    pair = [axis % rank for axis in axes]
    order = [axis for axis in range(rank) if axis not in pair] + pair
    values = svd(apply("Transpose", x, order), compute_uv=False)
    most = reduce_max(values, -1, keepdims=True)
    return apply("Transpose", apply("ExpandDims", most, -1), np.argsort(order).tolist())


# decompositions and systems


@export("linalg.svd", "svd")
def svd(
    tensor: Any, full_matrices: bool = False, compute_uv: bool = True, name: str | None = None
) -> Any:
    """The singular values s, largest first, then u and v: tensor = u · diag(s) · vᵀ."""
    found = apply("Svd", tensor, full_matrices=full_matrices, compute_uv=compute_uv, name=name)
    return tuple(found) if compute_uv else found[0]


@export("linalg.qr", "qr")
def qr(input: Any, full_matrices: bool = False, name: str | None = None) -> Any:
    """An orthogonal q and an upper triangular r whose product is the input."""
    return apply("Qr", input, full_matrices=full_matrices, name=name)


@export("linalg.eigh", "self_adjoint_eig")
def eigh(tensor: Any, name: str | None = None) -> Any:
    """The eigenvalues of symmetric matrices, least first, and their eigenvectors as columns."""
    return apply("SelfAdjointEigV2", tensor, compute_v=True, name=name)


@export("linalg.eigvalsh", "self_adjoint_eigvals")
def eigvalsh(tensor: Any, name: str | None = None) -> Any:
    """The eigenvalues of symmetric matrices, least first."""
    return apply("SelfAdjointEigV2", tensor, compute_v=False, name=name)[0]


@export("linalg.slogdet")
def slogdet(input: Any, name: str | None = None) -> Any:
    """The sign of the determinant, and the logarithm of its absolute value."""
    return apply("LogMatrixDeterminant", input, name=name)


@export("linalg.logdet")
def logdet(matrix: Any, name: str | None = None) -> Any:
    """The logarithm of the determinant of positive definite matrices."""
    with name_scope(name, "logdet", [matrix]):
        root = apply("Cholesky", matrix)
        return 2.0 * reduce_sum(apply("Log", apply("MatrixDiagPart", root)), [-1])


@export("linalg.cholesky_solve", "cholesky_solve")
def cholesky_solve(chol: Any, rhs: Any, name: str | None = None) -> Any:
    """The x with l · lᵀ · x = rhs, for a lower triangular l."""
    with name_scope(name, "cholesky_solve", [chol, rhs]):
        half = apply("MatrixTriangularSolve", chol, rhs, lower=True, adjoint=False)
        return apply("MatrixTriangularSolve", chol, half, lower=True, adjoint=True)


@export("linalg.lstsq", "matrix_solve_ls")
def lstsq(
    matrix: Any, rhs: Any, l2_regularizer: float = 0.0, fast: bool = True, name: str | None = None
) -> Any:
    """The x of least ‖matrix · x − rhs‖² + l2_regularizer · ‖x‖², by the normal equations.

    Without `fast`, and without a regulariser, by the pseudo-inverse.
    """
    with name_scope(name, "matrix_solve_ls", [matrix, rhs, l2_regularizer]):
        a = convert_to_tensor(matrix)
        b = convert_to_tensor(rhs, a.dtype)
        if not fast:
            if l2_regularizer:
                raise ValueError("matrix_solve_ls: l2_regularizer needs fast=True")
            return matmul(pinv(a), b)
        rows, columns = a.shape.as_list()[-2:]
        if rows is None or columns is None:
            raise ValueError(f"matrix_solve_ls needs matrices of known sizes: {a}")
        if rows >= columns:
            gram = _regularized(matmul(a, a, adjoint_a=True), l2_regularizer, columns)
            return cholesky_solve(apply("Cholesky", gram), matmul(a, b, adjoint_a=True))
        gram = _regularized(matmul(a, a, adjoint_b=True), l2_regularizer, rows)
        return matmul(a, cholesky_solve(apply("Cholesky", gram), b), adjoint_a=True)


def _regularized(gram: Tensor, weight: float, size: int) -> Tensor:
    if not weight:
        return gram
    diagonal: Tensor = gram + constant(np.eye(size) * weight, gram.dtype)
    return diagonal


@export("linalg.pinv")
def pinv(a: Any, rcond: Any = None, validate_args: bool = False, name: str | None = None) -> Any:
    """The pseudo-inverse: singular values up to `rcond` times the largest count as 0."""
    with name_scope(name or "pinv"):
        a = convert_to_tensor(a, name="a")
        if rcond is None:
            rows, columns = a.shape.as_list()[-2:]
            rcond = 10.0 * max(rows, columns) * np.finfo(a.dtype.as_numpy_dtype).eps
        s, u, v = svd(a)
        cut = reduce_max(s, -1, keepdims=True) * convert_to_tensor(rcond, s.dtype)
        kept = apply("Greater", s, cut)
        ones, zeros = apply("OnesLike", s), apply("ZerosLike", s)
        inverse = apply("SelectV2", kept, ones / apply("SelectV2", kept, s, ones), zeros)
        return matmul(v * apply("ExpandDims", inverse, -2), u, adjoint_b=True)


@export("linalg.matrix_rank")
def matrix_rank(
    a: Any, tol: Any = None, validate_args: bool = False, name: str | None = None
) -> Any:
    """The number of singular values above `tol`."""
    with name_scope(name or "matrix_rank"):
        a = convert_to_tensor(a, name="a")
        values = svd(a, compute_uv=False)
        if tol is None:
            size = max(a.shape.as_list()[-2:])
            most = reduce_max(values, -1, keepdims=True)
            tol = most * (size * float(np.finfo(a.dtype.as_numpy_dtype).eps))
        return reduce_sum(cast(apply("Greater", values, tol), dtypes.int32), -1)

"""Products of matrices and tensors, all of them `dot_general` underneath."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from operator import add
from typing import Any

import numpy as np

from anode.errors import UnsupportedOp
from anode.ir.dtypes import DType, dtype_of
from anode.ir.node import Node
from anode.ir.types import Shape, TensorType
from anode.ops import elementwise as ew
from anode.ops.declare import composite, narrow, primitive, widen
from anode.ops.reduce import sum
from anode.ops.rules import axis_of, check_tensors, mismatch
from anode.ops.shape import broadcast_to, transpose

Array = np.ndarray
Ints = tuple[int, ...]
Pair = tuple[Ints, Ints]


@primitive
def dot_general(
    x: TensorType,
    y: TensorType,
    *,
    contract: Pair,
    batch: Pair = ((), ()),
    dtype: DType | None = None,
) -> TensorType:
    """The sum of products over paired axes `contract`, for each index of paired axes `batch`.

    Dims of the result: batch, then the free ones of `x`, then of `y`. `dtype` is the result's type,
    by default the operands'; half types accumulate in f32 and round once. Source: StableHLO.
    """
    check_tensors("dot_general", x, y)
    if x.dtype is not y.dtype:
        raise mismatch("dot_general", "operands of unequal types", [x, y], "convert one of them")
    m, n = x.shape, y.shape
    (x_paired, x_free), (y_paired, y_free) = _axes(contract, batch, len(m), len(n))
    if [m[a] for a in x_paired] != [n[a] for a in y_paired]:
        paired = x_paired, y_paired
        raise mismatch("dot_general", f"unequal sizes along the paired axes {paired}", [x, y])
    shape = [m[a] for a in batch[0] + x_free] + [n[a] for a in y_free]
    return TensorType(dtype or x.dtype, tuple(shape))


@dot_general.canonical
def _(x: TensorType, y: TensorType, *, contract: Any, batch: Any, dtype: Any) -> Mapping[str, Any]:
    check_tensors("dot_general", x, y)
    ranks = len(x.shape), len(y.shape)
    return {
        "contract": _counted(contract, *ranks),
        "batch": _counted(batch, *ranks),
        "dtype": x.dtype if dtype is None else dtype_of(dtype),
    }


@lru_cache(maxsize=4096)
def _counted(pair: Pair, x_rank: int, y_rank: int) -> Pair:
    """Paired axes counted from the front."""
    return (
        tuple([axis_of("dot_general", a, x_rank) for a in pair[0]]),
        tuple([axis_of("dot_general", b, y_rank) for b in pair[1]]),
    )


@lru_cache(maxsize=4096)
def _axes(contract: Pair, batch: Pair, x_rank: int, y_rank: int) -> tuple[Pair, Pair]:
    """The paired axes and the free ones of each operand."""
    axes = []
    for rank, paired in zip((x_rank, y_rank), map(add, batch, contract), strict=True):
        if len(set(paired)) != len(paired):
            raise mismatch("dot_general", f"an axis is paired twice in {paired}")
        axes.append((paired, _free(rank, paired)))
    return axes[0], axes[1]


@dot_general.evaluate
def _(x: Array, y: Array, *, contract: Pair, batch: Pair, dtype: DType | None) -> Array:
    result = dtype or dtype_of(x.dtype)
    wide = np.result_type(widen(x).dtype, result.compute.numpy)
    free = [_free(a.ndim, contract[i], batch[i]) for i, a in enumerate((x, y))]
    shape = [x.shape[a] for a in (*batch[0], *free[0])] + [y.shape[a] for a in free[1]]
    left = _grouped(widen(x).astype(wide), batch[0], free[0], contract[0])
    right = _grouped(widen(y).astype(wide), batch[1], contract[1], free[1])
    with np.errstate(all="ignore"):
        return narrow(np.matmul(left, right).reshape(shape), result)


def _grouped(x: Array, *groups: Ints) -> Array:
    """`x` with each group of its axes merged into one, the groups in order."""
    sizes = [int(np.prod([x.shape[a] for a in group], dtype=np.int64)) for group in groups]
    return np.transpose(x, [a for group in groups for a in group]).reshape(sizes)


@lru_cache(maxsize=4096)
def _free(rank: int, *used: Ints) -> Ints:
    taken = [axis for axes in used for axis in axes]
    return tuple([axis for axis in range(rank) if axis not in taken])


@dot_general.vjp
def _(
    ct: Node, z: Node, x: Node, y: Node, *, contract: Pair, batch: Pair, dtype: DType
) -> tuple[Node, Node]:
    b = len(batch[0])
    x_free = len(_free(len(x.shape), contract[0], batch[0]))
    rows = tuple(range(b, b + x_free))
    columns = tuple(range(b + x_free, len(ct.shape)))
    ct_x = _operand_cotangent(ct, columns, x, y, contract, batch)
    ct_y = _operand_cotangent(ct, rows, y, x, contract[::-1], batch[::-1])
    return ct_x, ct_y


def _operand_cotangent(
    ct: Node, ct_axes: Ints, x: Node, y: Node, contract: Pair, batch: Pair
) -> Node:
    """The cotangent of `x`: `ct` times `y` over the free axes of `y`, at `ct_axes` in `ct`."""
    y_free = _free(len(y.shape), contract[1], batch[1])
    product = dot_general(
        ct,
        _as(y, ct.dtype),
        contract=(ct_axes, y_free),
        batch=(tuple(range(len(batch[0]))), batch[1]),
    )
    # The product's axes are x's batch axes, its free axes, and its contracted ones in y's order.
    pairs = sorted(zip(contract[1], contract[0], strict=True))
    axes = (*batch[0], *_free(len(x.shape), contract[0], batch[0]), *[a for _, a in pairs])
    permutation = sorted(range(len(axes)), key=lambda i: axes[i])
    return _as(_transposed(product, permutation), x.dtype)


def _as(x: Node, dtype: DType) -> Node:
    return x if x.dtype is dtype else ew.convert(x, dtype=dtype)


def _transposed(x: Node, permutation: Sequence[int]) -> Node:
    same = list(permutation) == list(range(len(permutation)))
    return x if same else transpose(x, permutation=tuple(permutation))


@composite
def matmul(x: Node, y: Node) -> Node:
    """NumPy's matrix product: vectors count as a row or a column, leading dims broadcast."""
    a, b = len(x.shape), len(y.shape)
    if a == 0 or b == 0 or x.shape[-1] != y.shape[-2 if b > 1 else 0]:
        raise mismatch(
            "matmul",
            "the last size of the first and the last but one of the second must be equal",
            [x.type, y.type],
        )
    if a <= 2 or b <= 2:
        return _matmul_plain(x, y)
    lead = _broadcast_shapes(x, y)
    x = broadcast_to(x, (*lead, *x.shape[-2:]))
    y = broadcast_to(y, (*lead, *y.shape[-2:]))
    axes = tuple(range(len(lead)))
    return dot_general(x, y, contract=((-1,), (-2,)), batch=(axes, axes))


def _matmul_plain(x: Node, y: Node) -> Node:
    """The product where at most one operand has leading dims: one contraction, nothing repeated."""
    product = dot_general(x, y, contract=((-1,), (-2 if len(y.shape) > 1 else 0,)))
    if len(x.shape) < 2 or len(y.shape) < 3:
        return product
    lead = len(y.shape) - 2  # the product's dims are x's rows, y's leading dims, y's columns
    return transpose(product, permutation=(*range(1, lead + 1), 0, lead + 1))


def _broadcast_shapes(x: Node, y: Node) -> Shape:
    """The leading dims of a batched product."""
    lead, other = x.shape[:-2], y.shape[:-2]
    rank = max(len(lead), len(other))
    pairs = zip((1,) * (rank - len(lead)) + lead, (1,) * (rank - len(other)) + other, strict=True)
    shape = []
    for m, n in pairs:
        if m != n and m != 1 and n != 1:
            raise mismatch("matmul", "leading dims do not broadcast", [x.type, y.type])
        shape.append(n if m == 1 else m)
    return tuple(shape)


def dot(x: Node, y: Node) -> Node:
    """NumPy's dot: over the last axis of `x` and the last but one of `y`; a scalar multiplies."""
    if not x.shape or not y.shape:
        product: Node = ew.multiply(x, y)
        return product
    return dot_general(x, y, contract=((-1,), (-2 if len(y.shape) > 1 else 0,)))


def outer(x: Node, y: Node) -> Node:
    """Every element of the vector `x` times every one of the vector `y`."""
    if len(x.shape) != 1 or len(y.shape) != 1:
        raise mismatch("outer", "takes two vectors", [x.type, y.type], "flatten them")
    return dot_general(x, y, contract=((), ()))


def tensordot(x: Node, y: Node, axes: int | Sequence[Sequence[int]] = 2) -> Node:
    """NumPy's tensordot: over the last `axes` of `x` and the first of `y`, or over paired axes."""
    if isinstance(axes, int):
        first = len(x.shape) - axes
        if first < 0 or axes > len(y.shape):
            raise mismatch("tensordot", f"{axes} axes", [x.type, y.type])
        axes = (range(first, len(x.shape)), range(axes))
    return dot_general(x, y, contract=tuple(tuple(group) for group in axes))


def einsum(subscripts: str, *operands: Node) -> Node:
    """NumPy's einsum of any number of operands, multiplied from left to right.

    Subscripts are letters: "bij,bjk->bik"; without an arrow the result has the letters that occur
    once, in alphabetical order. Ellipses and a letter twice in one operand raise UnsupportedOp.
    """
    terms, result = _parse_einsum(subscripts, operands)
    letters, value = terms[0], operands[0]
    for i, (term, operand) in enumerate(zip(terms[1:], operands[1:], strict=True), 2):
        wanted = set(result).union(*terms[i:])
        letters, value = _sum_out(letters, value, wanted | set(term))
        term, operand = _sum_out(term, operand, wanted | set(letters))
        letters, value = _einsum_pair(letters, value, term, operand, wanted)
    letters, value = _sum_out(letters, value, set(result))
    return _transposed(value, [letters.index(letter) for letter in result])


def _parse_einsum(subscripts: str, operands: Sequence[Node]) -> tuple[list[str], str]:
    """The letters of each operand and of the result, checked against the operands."""
    inputs, arrow, result = subscripts.replace(" ", "").partition("->")
    terms, counts = inputs.split(","), Counter(inputs.replace(",", ""))
    result = result if arrow else "".join(sorted(c for c, n in counts.items() if n == 1))
    if not (inputs + result).replace(",", "").isalpha() and (inputs + result).strip(","):
        raise UnsupportedOp(f"einsum: {subscripts!r}; subscripts are letters, without ellipses")
    if any(len(set(term)) != len(term) for term in terms):
        raise UnsupportedOp(f"einsum: a letter twice in one operand of {subscripts!r}")
    types = [operand.type for operand in operands]
    if len(terms) != len(operands) or any(
        len(term) != len(operand.shape) for term, operand in zip(terms, operands, strict=True)
    ):
        raise mismatch("einsum", f"{subscripts!r} does not name every dim once", types)
    if len(set(result)) != len(result) or not set(result) <= set(counts):
        raise mismatch("einsum", f"the result of {subscripts!r} repeats or invents letters", types)
    pairs = [p for t, x in zip(terms, operands, strict=True) for p in zip(t, x.shape, strict=True)]
    if len(set(pairs)) != len(counts):
        raise mismatch("einsum", f"a letter of {subscripts!r} has two sizes", types)
    return terms, result


def _sum_out(letters: str, x: Node, wanted: set[str]) -> tuple[str, Node]:
    """Sum over the letters nobody wants any more."""
    axes = [i for i, letter in enumerate(letters) if letter not in wanted]
    kept = "".join(letter for letter in letters if letter in wanted)
    return kept, sum(x, axes) if axes else x


def _einsum_pair(a: str, x: Node, b: str, y: Node, wanted: set[str]) -> tuple[str, Node]:
    """The product of two operands over the shared letters that nobody wants any more."""
    shared = [letter for letter in a if letter in b]
    batch = [letter for letter in shared if letter in wanted]
    over = [letter for letter in shared if letter not in wanted]

    def axes(of: list[str]) -> Pair:
        return tuple(map(a.index, of)), tuple(map(b.index, of))

    rest = [letter for letter in a + b if letter not in shared]
    product = dot_general(x, y, contract=axes(over), batch=axes(batch))
    return "".join(batch + rest), product

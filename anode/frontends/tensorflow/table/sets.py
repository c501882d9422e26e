"""Operations on sets, which are rows along the last dim, dense or sparse: kernels on the host."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from anode.frontends.tensorflow.errors import InvalidArgumentError
from anode.frontends.tensorflow.opdef import REQUIRED, host

Array = np.ndarray
Sets = dict[tuple[int, ...], set[Any]]

OPERATIONS: dict[str, Callable[[set[Any], set[Any]], set[Any]]] = {
    "a-b": lambda a, b: a - b,
    "b-a": lambda a, b: b - a,
    "intersection": lambda a, b: a & b,
    "union": lambda a, b: a | b,
}


def _of_dense(x: Array) -> Sets:
    return {place: set(x[place].tolist()) for place in np.ndindex(*x.shape[:-1])}


def _of_sparse(parts: Sequence[Array], validate: bool) -> Sets:
    indices, values, shape = parts
    ordered = [tuple(row) for row in indices.tolist()]
    if validate and (ordered != sorted(ordered) or (indices < 0).any() or (indices >= shape).any()):
        raise InvalidArgumentError(None, None, "the indices of a set are out of order or bounds")
    found: Sets = {place: set() for place in np.ndindex(*shape[:-1].tolist())}
    for place, value in zip(ordered, values.tolist(), strict=True):
        found[place[:-1]].add(value)
    return found


def _combined(a: Sets, b: Sets, operation: Any, dtype: Any) -> tuple[Array, Array, Array]:
    """The sets of `operation` as indices, values in order, and shape of a sparse tensor."""
    name = operation.decode() if isinstance(operation, bytes) else operation
    if a.keys() != b.keys():
        raise InvalidArgumentError(None, None, "the two operands hold unlike numbers of sets")
    results = {place: sorted(OPERATIONS[name](a[place], b[place])) for place in sorted(a)}
    indices = [(*place, i) for place, items in results.items() for i in range(len(items))]
    values = [item for items in results.values() for item in items]
    rank = len(next(iter(results), ())) + 1
    sizes = [max((place[d] + 1 for place in results), default=0) for d in range(rank - 1)]
    most = max(map(len, results.values()), default=0)
    return (
        np.array(indices, np.int64).reshape(-1, rank),
        np.array(values, dtype),
        np.array([*sizes, most], np.int64),
    )


ATTRS: dict[str, Any] = {"set_operation": REQUIRED, "validate_indices": True}
SPARSE = "set{0}_indices:int64 set{0}_values:T set{0}_shape:int64"


@host("DenseToDenseSetOperation", "set1:T set2:T -> int64 T int64", **ATTRS)
def _(a: Array, b: Array, *, set_operation: Any, validate_indices: bool) -> Any:
    return _combined(_of_dense(a), _of_dense(b), set_operation, a.dtype)


@host("DenseToSparseSetOperation", f"set1:T {SPARSE.format(2)} -> int64 T int64", **ATTRS)
def _(a: Array, *b: Array, set_operation: Any, validate_indices: bool) -> Any:
    return _combined(_of_dense(a), _of_sparse(b, validate_indices), set_operation, a.dtype)


@host(
    "SparseToSparseSetOperation",
    f"{SPARSE.format(1)} {SPARSE.format(2)} -> int64 T int64",
    **ATTRS,
)
def _(*ab: Array, set_operation: Any, validate_indices: bool) -> Any:
    a, b = (_of_sparse(part, validate_indices) for part in (ab[:3], ab[3:]))
    return _combined(a, b, set_operation, ab[1].dtype)


@host("SetSize", f"{SPARSE.format('')} -> int32", validate_indices=True)
def _(indices: Array, values: Array, shape: Array, *, validate_indices: bool) -> Array:
    found = _of_sparse((indices, values, shape), validate_indices)
    sizes = np.zeros(shape[:-1], np.int32)
    for place, items in found.items():
        sizes[place] = len(items)
    return sizes

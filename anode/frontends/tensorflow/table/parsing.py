"""Records of features (Example, SequenceExample) as tensors: on the host."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from anode.frontends.tensorflow.errors import InvalidArgumentError
from anode.frontends.tensorflow.opdef import REQUIRED, host
from anode.frontends.tensorflow.tensor_shape import TensorShape

Array = np.ndarray
Features = Mapping[str, Sequence[Any]]
Dims = list[int | None]
_KINDS = {"string": bytes, "float32": float, "int64": int}


def _failed(message: str) -> InvalidArgumentError:
    return InvalidArgumentError(None, None, message)


def _decoded(decode: Callable[[bytes], Any], data: bytes, index: int) -> Any:
    from anode.frontends.tensorflow.formats.wire import DecodeError

    try:
        return decode(data)
    except DecodeError as error:
        raise _failed(f"Could not parse example input (Index: {index}): {error}") from None


def _text(key: Any) -> str:
    return key.decode() if isinstance(key, bytes) else str(key)


def array_of(values: Sequence[Any], dtype: Any, key: str, index: int = 0) -> Array:
    """The values of a feature, which must be of the type that is asked for."""
    array = np.empty(len(values), dtype.as_numpy_dtype)
    if len(values) and not isinstance(values[0], _KINDS[dtype.name]):
        raise _failed(
            f"Name: <unknown>, Key: {key}, Index: {index}.  Data types don't match. "
            f"Expected type: {dtype.name}"
        )
    array[:] = values
    return array


def _dims(shape: Any) -> Dims:
    return list(TensorShape(shape).as_list())


def dense(
    features: Features, key: str, dtype: Any, dims: Dims, default: Array, index: int
) -> Array:
    """A feature of a fixed shape; one that is missing is the default, if there is one."""
    values = features.get(key, ())
    open = bool(dims) and dims[0] is None
    if not len(values) and not open:
        if default.size == 0 and np.prod(dims) != 0:  # type: ignore[arg-type]
            raise _failed(
                f"Name: <unknown>, Feature: {key} (data type: {dtype.name}) is required but could "
                "not be found."
            )
        return np.broadcast_to(default, tuple(dims)) if default.size else default.reshape(dims)  # type: ignore[arg-type]
    array = array_of(values, dtype, key, index)
    sizes = [-1 if n is None else n for n in dims]
    try:
        return array.reshape([0 if n == -1 and not array.size else n for n in sizes])
    except ValueError:
        raise _failed(
            f"Name: <unknown>, Key: {key}, Index: {index}.  Number of {dtype.name} values != "
            f"expected.  Values size: {array.size} but output shape: {sizes}"
        ) from None


def _batch(rows: Sequence[Array], dims: Dims, dtype: Any, default: Array) -> Array:
    """Rows side by side; those of an open first dim are filled up to the longest."""
    if not dims or dims[0] is not None:
        shape = (len(rows), *[int(n or 0) for n in dims])
        return np.stack(rows) if rows else np.empty(shape, dtype.as_numpy_dtype)
    longest = max((len(row) for row in rows), default=0)
    fill = default.reshape(-1)[0] if default.size else b"" if dtype.name == "string" else 0
    whole = np.full((len(rows), longest, *[int(n or 0) for n in dims[1:]]), fill)
    whole = whole.astype(dtype.as_numpy_dtype)
    for row, values in zip(whole, rows, strict=True):
        row[: len(values)] = values
    return whole


def sparse_batch(rows: Sequence[Array], dtype: Any) -> tuple[Array, Array, Array]:
    """Rows of unequal length as a sparse matrix."""
    indices = [(i, j) for i, row in enumerate(rows) for j in range(len(row))]
    empty = np.empty(0, dtype.as_numpy_dtype)
    shape = np.array([len(rows), max(map(len, rows), default=0)], np.int64)
    values = np.concatenate(rows) if rows else empty
    return np.array(indices, np.int64).reshape(-1, 2), values, shape


def _parse_shapes(op: Any) -> list[Any]:
    batch = op.inputs[0].shape.as_list()[0] if op.inputs[0].shape.ndims else None
    count = op.get_attr("Nsparse")
    sparse = [[None, 2]] * count + [[None]] * count + [[2]] * count
    return sparse + [[batch, *_dims(shape)] for shape in op.get_attr("dense_shapes")]


@host(
    "ParseExample",
    "serialized:string names:string sparse_keys:Nsparse*string dense_keys:Ndense*string "
    "dense_defaults:[Tdense] -> Nsparse*int64 [sparse_types] Nsparse*int64 [Tdense]",
    shape=_parse_shapes,
    dense_shapes=REQUIRED,
)
def _(
    serialized: Array,
    names: Array,
    sparse_keys: Sequence[Array],
    dense_keys: Sequence[Array],
    dense_defaults: Sequence[Array],
    *,
    dense_shapes: Sequence[Any],
    sparse_types: Sequence[Any],
    Tdense: Sequence[Any],
) -> list[Array]:
    from anode.frontends.tensorflow.formats.example import decode_example

    examples = [_decoded(decode_example, s, i) for i, s in enumerate(serialized.tolist())]
    sparse = []
    for key, dtype in zip(sparse_keys, sparse_types, strict=True):
        name = _text(key.item())
        rows = [array_of(e.get(name, ()), dtype, name, i) for i, e in enumerate(examples)]
        sparse.append(sparse_batch(rows, dtype))
    found = [part[i] for i in range(3) for part in sparse]
    for key, dtype, shape, default in zip(
        dense_keys, Tdense, dense_shapes, dense_defaults, strict=True
    ):
        name, dims = _text(key.item()), _dims(shape)
        rows = [dense(e, name, dtype, dims, default, i) for i, e in enumerate(examples)]
        found.append(_batch(rows, dims, dtype, default))
    return found


def _single_shapes(op: Any) -> list[Any]:
    count = op.get_attr("num_sparse")
    sparse = [[None, 1]] * count + [[None]] * count + [[1]] * count
    return sparse + [_dims(shape) for shape in op.get_attr("dense_shapes")]


def _sparse_vector(values: Array) -> tuple[Array, Array, Array]:
    count = len(values)
    return np.arange(count).reshape(-1, 1), values, np.array([count], np.int64)


@host(
    "ParseSingleExample",
    "serialized:string dense_defaults:[Tdense] -> num_sparse*int64 [sparse_types] "
    "num_sparse*int64 [Tdense]",
    shape=_single_shapes,
    sparse_keys=REQUIRED,
    dense_keys=REQUIRED,
    dense_shapes=REQUIRED,
)
def _(
    serialized: Array,
    dense_defaults: Sequence[Array],
    *,
    sparse_keys: Sequence[str],
    dense_keys: Sequence[str],
    dense_shapes: Sequence[Any],
    sparse_types: Sequence[Any],
    Tdense: Sequence[Any],
) -> list[Array]:
    from anode.frontends.tensorflow.formats.example import decode_example

    features = _decoded(decode_example, serialized.item(), 0)
    return _one(
        features, sparse_keys, sparse_types, dense_keys, Tdense, dense_shapes, dense_defaults
    )


def _one(
    features: Features,
    sparse_keys: Sequence[Any],
    sparse_types: Sequence[Any],
    dense_keys: Sequence[Any],
    dense_types: Sequence[Any],
    dense_shapes: Sequence[Any],
    defaults: Sequence[Array],
) -> list[Array]:
    """The features of one record: indices, values and shapes of the sparse ones, the dense ones."""
    sparse = [
        _sparse_vector(array_of(features.get(_text(key), ()), dtype, _text(key)))
        for key, dtype in zip(sparse_keys, sparse_types, strict=True)
    ]
    found = [part[i] for i in range(3) for part in sparse]
    rows = zip(dense_keys, dense_types, dense_shapes, defaults, strict=True)
    found += [dense(features, _text(k), t, _dims(s), d, 0) for k, t, s, d in rows]
    return found


# sequences


def _sequence_shapes(op: Any) -> list[Any]:
    get = op.get_attr
    context, lists = len(get("context_sparse_types")), len(get("feature_list_sparse_types"))
    shapes: list[Any] = [[None, 1]] * context + [[None]] * context + [[1]] * context
    shapes += [_dims(shape) for shape in get("context_dense_shapes")]
    shapes += [[None, 2]] * lists + [[None]] * lists + [[2]] * lists
    return shapes + [[None, *_dims(shape)] for shape in get("feature_list_dense_shapes")]


@host(
    "ParseSingleSequenceExample",
    "serialized:string feature_list_dense_missing_assumed_empty:string "
    "context_sparse_keys:Ncontext_sparse*string context_dense_keys:Ncontext_dense*string "
    "feature_list_sparse_keys:Nfeature_list_sparse*string "
    "feature_list_dense_keys:Nfeature_list_dense*string "
    "context_dense_defaults:[Tcontext_dense] debug_name:string -> "
    "Ncontext_sparse*int64 [context_sparse_types] Ncontext_sparse*int64 [Tcontext_dense] "
    "Nfeature_list_sparse*int64 [feature_list_sparse_types] Nfeature_list_sparse*int64 "
    "[feature_list_dense_types]",
    shape=_sequence_shapes,
    context_dense_shapes=(),
    feature_list_dense_shapes=(),
)
def _(
    serialized: Array,
    feature_list_dense_missing_assumed_empty: Array,
    context_sparse_keys: Sequence[Array],
    context_dense_keys: Sequence[Array],
    feature_list_sparse_keys: Sequence[Array],
    feature_list_dense_keys: Sequence[Array],
    context_dense_defaults: Sequence[Array],
    debug_name: Array,
    *,
    context_sparse_types: Sequence[Any],
    Tcontext_dense: Sequence[Any],
    context_dense_shapes: Sequence[Any],
    feature_list_sparse_types: Sequence[Any],
    feature_list_dense_types: Sequence[Any],
    feature_list_dense_shapes: Sequence[Any],
) -> list[Array]:
    from anode.frontends.tensorflow.formats.example import decode_sequence_example

    context, lists = _decoded(decode_sequence_example, serialized.item(), 0)
    found = _one(
        context,
        [key.item() for key in context_sparse_keys],
        context_sparse_types,
        [key.item() for key in context_dense_keys],
        Tcontext_dense,
        context_dense_shapes,
        context_dense_defaults,
    )
    sparse = []
    for key, dtype in zip(feature_list_sparse_keys, feature_list_sparse_types, strict=True):
        name = _text(key.item())
        sparse.append(sparse_batch([array_of(v, dtype, name) for v in lists.get(name, ())], dtype))
    found += [part[i] for i in range(3) for part in sparse]
    may_miss = {_text(key) for key in feature_list_dense_missing_assumed_empty.tolist()}
    for key, dtype, shape in zip(
        feature_list_dense_keys, feature_list_dense_types, feature_list_dense_shapes, strict=True
    ):
        found.append(_steps(lists, _text(key.item()), dtype, _dims(shape), may_miss))
    return found


def _steps(lists: Mapping[str, Any], key: str, dtype: Any, dims: Dims, may_miss: set[str]) -> Array:
    """A list of features of one shape, one after another."""
    if key not in lists and key not in may_miss:
        raise _failed(
            f"Name: <unknown>, Feature list '{key}' is required but could not be found.  Did you "
            "mean to include it in feature_list_dense_missing_assumed_empty or "
            "feature_list_dense_defaults?"
        )
    empty = np.empty(0, dtype.as_numpy_dtype)
    rows = [dense({key: v}, key, dtype, dims, empty, i) for i, v in enumerate(lists.get(key, ()))]
    return _batch(rows, dims, dtype, empty)

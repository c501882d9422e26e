"""SparseCross: hashed combinations of the values of sparse features."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from anode.frontends.tensorflow.opdef import REQUIRED, host
from anode.frontends.tensorflow.table.hashes import farm_fingerprint

_MASK = 2**64 - 1
_MUL = 0xC6A4A7935BD1E995


def _shift_mix(x: int) -> int:
    return x ^ (x >> 47)


def combined(a: int, b: int) -> int:
    """Two fingerprints made one, as TensorFlow's FingerprintCat64."""
    found = a ^ _MUL
    found ^= _shift_mix(b * _MUL & _MASK) * _MUL & _MASK
    found = found * _MUL & _MASK
    found = _shift_mix(found) * _MUL & _MASK
    return _shift_mix(found)


def _fingerprint(value: Any) -> int:
    return farm_fingerprint(value) if isinstance(value, bytes) else int(value) & _MASK


def _rows(indices: np.ndarray, values: np.ndarray, count: int) -> list[list[int]]:
    rows: list[list[int]] = [[] for _ in range(count)]
    for row, value in zip(indices[:, 0], values.tolist(), strict=True):
        rows[row].append(_fingerprint(value))
    return rows


@host(
    "SparseCross",
    "indices:N*int64 values:[sparse_types] shapes:N*int64 dense_inputs:[dense_types]"
    " -> int64 out_type int64",
    hashed_output=REQUIRED,
    num_buckets=REQUIRED,
    hash_key=REQUIRED,
    out_type=REQUIRED,
    internal_type=REQUIRED,
)
def _(*parts: Any, hashed_output: bool, num_buckets: int, hash_key: int, internal_type: Any,
      **_: Any) -> Any:  # fmt: skip
    indices, values, shapes, dense = parts
    if not hashed_output or len(dense):
        raise NotImplementedError("SparseCross: only hashed output of sparse inputs is supported")
    count = int(shapes[0][0])
    columns = [_rows(i, v, count) for i, v in zip(indices, values, strict=True)]
    places, found, most = [], [], 0
    for row in range(count):
        several = list(product(*(column[row] for column in columns)))
        most = max(most, len(several))
        for at, chosen in enumerate(several):
            hashed = hash_key & _MASK
            for fingerprint in chosen:
                hashed = combined(hashed, fingerprint)
            places.append((row, at))
            found.append(hashed % (num_buckets or 2**63 - 1))
    return (
        np.array(places, np.int64).reshape(-1, 2),
        np.array(found, np.int64),
        np.array([count, most], np.int64),
    )

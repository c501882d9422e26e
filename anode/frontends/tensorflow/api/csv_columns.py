"""The columns of CSV files: their names, which are wanted, and what types their values have."""

from __future__ import annotations

import csv
import glob
from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np

from anode.frontends.tensorflow.dtypes import float32, int32, int64


def files(pattern: Any) -> list[str]:
    """The files that a pattern, or one of several, matches; ValueError for none."""
    patterns = [pattern] if isinstance(pattern, (str, bytes)) else list(pattern)
    texts = [p.decode() if isinstance(p, bytes) else p for p in patterns]
    found = sorted({path for text in texts for path in glob.glob(text)})
    if not found:
        raise ValueError(f"No files match {pattern}.")
    return found


def header(path: str, delimiter: str) -> list[str]:
    """The names in the first line."""
    with open(path, newline="") as file:
        return next(csv.reader(file, delimiter=delimiter))


def rows(path: str, delimiter: str, has_header: bool, count: int | None) -> list[list[str]]:
    """The first rows of values."""
    with open(path, newline="") as file:
        first = int(has_header)
        last = None if count is None else count + first
        return list(islice(csv.reader(file, delimiter=delimiter), first, last))


def selected(columns: Sequence[str], wanted: Any) -> list[int]:
    """The numbers of the columns wanted, given as numbers or names."""
    if wanted is None:
        return list(range(len(columns)))
    return sorted(columns.index(w) if isinstance(w, str) else int(w) for w in wanted)


def default(found: Sequence[Sequence[str]], index: int, missing: str) -> Any:
    """A zero of the narrowest type that holds the values of a column."""
    values = [row[index] for row in found if row[index] not in ("", missing)]
    for dtype, fits in ((int32, _is_int32), (int64, _is_int), (float32, _is_float32)):
        if all(map(fits, values)):
            return [np.zeros((), dtype.as_numpy_dtype)[()]]
    return [np.float64(0)] if all(map(_is_float, values)) else [b""]


def _is_int(text: str) -> bool:
    return text.strip().lstrip("+-").isdigit()


def _is_int32(text: str) -> bool:
    return _is_int(text) and -(2**31) <= int(text) < 2**31


def _is_float(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_float32(text: str) -> bool:
    return _is_float(text) and bool(abs(float(text)) < np.finfo(np.float32).max)

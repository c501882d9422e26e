"""Names that were to make neon run on Python 2 and 3."""

from __future__ import annotations

import logging
import pickle
from typing import IO, Any

from anode.data.pickles import value_of

__all__ = ["PY3", "pickle", "pickle_load", "xrange"]
logger = logging.getLogger(__name__)
PY3 = True
xrange = range


def pickle_load(filepath: IO[bytes]) -> Any:
    """The value in an open pickle file: containers of plain values and arrays, nothing else."""
    return value_of(filepath.read(), str(getattr(filepath, "name", "the file")))

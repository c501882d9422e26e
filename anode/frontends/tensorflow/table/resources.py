"""What an op keeps in the session between runs: a queue, a reader, an iterator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def resource(run: Any, shared_name: str, make: Callable[[], Any]) -> Any:
    """The session's object of this op, or of all ops of this shared name, made at first use."""
    key = (run.op.type, shared_name) if shared_name else run.op
    return run.session.resource(key, make)


def object_array(items: Sequence[Any]) -> np.ndarray:
    """A vector whose elements are the items as they are."""
    array = np.empty(len(items), object)
    for index, item in enumerate(items):
        array[index] = item
    return array

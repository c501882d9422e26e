"""Lists of tensors of unlike sizes, on the host: TensorArrays whose elements are joined."""

from __future__ import annotations

from typing import Any

import numpy as np

from anode.frontends.tensorflow.errors import InvalidArgumentError
from anode.frontends.tensorflow.opdef import REQUIRED, host


def _boxed(items: tuple[Any, ...]) -> np.ndarray:
    """A list as the one element of an array."""
    box = np.empty((), object)
    box[()] = items
    return box


def _item(list: np.ndarray, index: Any, run: Any) -> np.ndarray:
    items = list[()]
    at = int(index)
    if not 0 <= at < len(items) or items[at] is None:
        raise InvalidArgumentError(
            None, run.op, f"Could not read TensorArray index {at}: it was never written"
        )
    return items[at]


@host("RaggedListReserve", "num_elements:int32 -> variant", shape="scalar")
def _(num_elements: Any) -> np.ndarray:
    return _boxed((None,) * int(num_elements))


@host("RaggedListSetItem", "list:variant index:int32 item:T -> variant", shape="scalar", grow=False)
def _(list: Any, index: Any, item: Any, *, grow: bool, run: Any) -> np.ndarray:
    items, at = list[()], int(index)
    if at >= len(items) and grow:
        items += (None,) * (at + 1 - len(items))
    if not 0 <= at < len(items):
        raise InvalidArgumentError(
            None, run.op, f"Tried to write to index {at} but array has size {len(items)}"
        )
    return _boxed((*items[:at], np.asarray(item), *items[at + 1 :]))


@host("RaggedListGetItem", "list:variant index:int32 -> dtype", shape="unknown", dtype=REQUIRED)
def _(list: Any, index: Any, *, run: Any) -> np.ndarray:
    return _item(list, index, run)


@host("RaggedListGather", "list:variant indices:int32 -> dtype", shape="unknown", dtype=REQUIRED)
def _(list: Any, indices: Any, *, run: Any) -> np.ndarray:
    return np.stack([_item(list, index, run) for index in np.asarray(indices)])


@host("RaggedListConcat", "list:variant -> dtype int64", shape="unknown", dtype=REQUIRED)
def _(list: Any, *, run: Any) -> tuple[np.ndarray, np.ndarray]:
    items = [_item(list, i, run) for i in range(len(list[()]))]
    return np.concatenate(items), np.array([len(item) for item in items], np.int64)


@host("RaggedListSplit", "value:T lengths:int64 -> variant", shape="scalar")
def _(value: Any, lengths: Any) -> np.ndarray:
    return _boxed(tuple(np.split(value, np.cumsum(lengths)[:-1])))


@host("RaggedListLength", "list:variant -> int32", shape="scalar")
def _(list: Any) -> np.ndarray:
    return np.array(len(list[()]), np.int32)

"""Lists of tensors of one type: dense tensors [size, ...].

A list whose element shape is not known yet is [size, 0, 0, 0, 0, 0, 0]; the first item that is set
gives the shape, all other items are zeros.
"""

from __future__ import annotations

from anode import ops
from anode.frontends.tensorflow.opdef import REQUIRED, op, static
from anode.frontends.tensorflow.table.index import scatter
from anode.ir.dtypes import i32
from anode.ir.node import Node, constant
from anode.ir.types import TensorType

UNKNOWN = (0,) * 6


def unknown(type: TensorType) -> bool:
    """Whether this is the type of a list whose element shape is not known yet."""
    return len(type.shape) == 7 and tuple(type.shape[1:]) == UNKNOWN


def _known(list: Node, shape: tuple[int, ...]) -> Node:
    """A list of items of `shape`."""
    if unknown(list.tensor):
        return ops.zeros((list.tensor.static[0], *shape), list.dtype)
    return list


@op(
    "TensorListReserve",
    "element_shape:shape_type num_elements:int32 -> element_dtype",
    shape="unknown",
    element_dtype=REQUIRED,
)
def _(element_shape: Node, num_elements: Node, *, element_dtype: object) -> Node:
    given = [int(size) for size in static(element_shape).reshape(-1)]
    shape = UNKNOWN if -1 in given else tuple(given)
    return ops.zeros((int(static(num_elements)), *shape), element_dtype)


@op(
    "TensorListSetItem",
    "input_handle:T index:int32 item:T -> T",
    shape="unknown",
    resize_if_index_out_of_bounds=False,
)
def _(list: Node, index: Node, item: Node, *, resize_if_index_out_of_bounds: bool) -> Node:
    found = _known(list, item.tensor.static)
    if resize_if_index_out_of_bounds:
        found = _grown(found, int(static(index)) + 1)
    row = ops.expand_dims(item, 0)
    starts = (index, *[ops.zeros((), "i32") for _ in item.shape])
    return ops.dynamic_update_slice(found, row, *starts)


def _grown(list: Node, size: int) -> Node:
    """The list with zeros at its end so that it has `size` items."""
    have, *rest = list.tensor.static
    if size <= have:
        return list
    return ops.concatenate(list, ops.zeros((size - have, *rest), list.dtype), axis=0)


@op("TensorListGetItem", "input_handle:T index:int32 -> T", shape="unknown")
def _(list: Node, index: Node) -> Node:
    return ops.take(list, index, axis=0)


@op("TensorListStack", "input_handle:T -> T", shape="unknown")
def _(list: Node) -> Node:
    return list


@op("TensorListFromTensor", "tensor:T -> T", shape="same")
def _(tensor: Node) -> Node:
    return tensor


@op("TensorListLength", "input_handle:T -> int32", shape="scalar")
def _(list: Node) -> Node:
    return constant(list.tensor.static[0], i32)


@op(
    "TensorListScatterIntoExistingList",
    "input_handle:T tensor:T indices:int32 -> T",
    shape="unknown",
)
def _(list: Node, tensor: Node, indices: Node) -> Node:
    found = _known(list, tensor.tensor.static[1:])
    return scatter(found, ops.expand_dims(indices, 1), tensor, ops.second(list.dtype))


@op("TensorListConcatEqual", "input_handle:T -> T", shape="unknown")
def _(list: Node) -> Node:
    size, length, *rest = list.tensor.static
    return ops.reshape(list, shape=(size * length, *rest))


@op("TensorListSplit", "tensor:T lengths:Tlen -> T", shape="unknown")
def _(tensor: Node, lengths: Node) -> Node:
    sizes = {int(size) for size in static(lengths)}
    if len(sizes) != 1:
        raise ValueError(
            "TensorArray.split: pieces of unequal lengths are not implemented by anode"
        )
    return ops.reshape(
        tensor,
        shape=(tensor.tensor.static[0] // next(iter(sizes)), *sizes, *tensor.tensor.static[1:]),
    )

"""TensorArray nodes of imported graphs as lists of tensors, which are values.

A list is a dense tensor, so that loops over it compile, but on the host where its elements, of
unlike sizes, are joined or cut.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from typing import TYPE_CHECKING, Any

from anode.frontends.tensorflow.core import Tensor
from anode.frontends.tensorflow.dtypes import DType
from anode.frontends.tensorflow.graph import apply
from anode.frontends.tensorflow.graph_def import shape_of
from anode.frontends.tensorflow.graph_structure import Unraised, parsed
from anode.frontends.tensorflow.tensor_shape import TensorShape

if TYPE_CHECKING:
    from anode.frontends.tensorflow.graph_import import Importer

_PASSING = ("Enter", "Switch", "Identity", "Merge", "RefEnter", "RefSwitch")
_JOINED = ("TensorArrayConcatV3", "TensorArraySplitV3")


class _Array:
    """The array that a node works on: how its TensorArrayV3 node was made."""

    def __init__(self, nodes: Mapping[str, Any], node: Any) -> None:
        origin = _origin(nodes, node)
        shape = origin.attr["element_shape"]
        self.dtype = DType(origin.attr["dtype"].type)
        self.grows = origin.attr["dynamic_size"].b
        self.shape = shape_of(shape.shape) if shape.HasField("shape") else TensorShape(None)
        joined = (other for other in nodes.values() if other.op in _JOINED)
        self.ragged = any(_is_of(nodes, other, origin) for other in joined)


def _is_of(nodes: Mapping[str, Any], node: Any, origin: Any) -> bool:
    try:
        return _origin(nodes, node) is origin
    except Unraised:
        return False


def _origin(nodes: Mapping[str, Any], node: Any) -> Any:
    """The node that made the array whose handle is the first input."""
    while node.op != "TensorArrayV3":
        if not node.input or node.input[0].startswith("^"):
            raise Unraised(f"{node.name} has no TensorArray")
        node = nodes[parsed(node.input[0])[0]]
        if node.op not in ("TensorArrayV3", *_PASSING):
            raise Unraised(f"{node.name} gives no TensorArray that anode imports")
    return node


def add_array_node(importer: Importer, node: Any) -> None:
    """Make what a TensorArray node means, and note what its outputs are."""
    array = _Array(importer.structure.nodes, node)
    inputs = [importer.value(text) for text in node.input if not text.startswith("^")]
    function = _NODES[node.op]
    if len(inputs) != len(signature(function).parameters) - 2:
        raise ValueError(f"Node '{node.name}': {node.op} does not take {len(inputs)} inputs")
    outputs = function(array, importer.free_name(node.name), *inputs)
    for i, tensor in enumerate(outputs):
        importer.values[f"{node.name}:{i}"] = tensor


def _made(array: _Array, name: str, size: Tensor) -> tuple[Tensor, ...]:
    if array.ragged:
        made = apply("RaggedListReserve", size, name=name)
    else:
        known = array.shape.is_fully_defined()
        shape = array.shape.as_list() if known else [-1]
        made = apply("TensorListReserve", shape, size, element_dtype=array.dtype, name=name)
    return made, made  # the handle, and the flow that stands for the array's state


def _written(
    array: _Array, name: str, handle: Tensor, index: Tensor, value: Tensor, flow: Tensor
) -> tuple[Tensor, ...]:
    if array.ragged:
        return (apply("RaggedListSetItem", flow, index, value, grow=array.grows, name=name),)
    grows = {"resize_if_index_out_of_bounds": array.grows}
    return (apply("TensorListSetItem", flow, index, value, name=name, **grows),)


def _read(
    array: _Array, name: str, handle: Tensor, index: Tensor, flow: Tensor
) -> tuple[Tensor, ...]:
    if array.ragged:
        return (apply("RaggedListGetItem", flow, index, dtype=array.dtype, name=name),)
    item = apply("TensorListGetItem", flow, index, name=name)
    item.set_shape(array.shape)
    return (item,)


def _gathered(
    array: _Array, name: str, handle: Tensor, indices: Tensor, flow: Tensor
) -> tuple[Tensor, ...]:
    if array.ragged:
        return (apply("RaggedListGather", flow, indices, dtype=array.dtype, name=name),)
    if indices.op.type == "Range":  # all of it, as TensorArray.stack asks
        found = apply("TensorListStack", flow, name=name)
    else:
        found = apply("GatherV2", flow, indices, 0, name=name)
    found.set_shape(TensorShape([None]).concatenate(array.shape))
    return (found,)


def _scattered(
    array: _Array, name: str, handle: Tensor, indices: Tensor, value: Tensor, flow: Tensor
) -> tuple[Tensor, ...]:
    if array.ragged:
        raise Unraised(f"{name} fills a TensorArray that is joined elsewhere")
    if indices.op.type == "Range":  # all of it, as TensorArray.unstack does
        return (apply("TensorListFromTensor", value, name=name),)
    return (apply("TensorListScatterIntoExistingList", flow, value, indices, name=name),)


def _joined(array: _Array, name: str, handle: Tensor, flow: Tensor) -> tuple[Tensor, ...]:
    outputs: tuple[Tensor, ...] = apply("RaggedListConcat", flow, dtype=array.dtype, name=name)
    return outputs


def _split(
    array: _Array, name: str, handle: Tensor, value: Tensor, lengths: Tensor, flow: Tensor
) -> tuple[Tensor, ...]:
    return (apply("RaggedListSplit", value, lengths, name=name),)


def _size(array: _Array, name: str, handle: Tensor, flow: Tensor) -> tuple[Tensor, ...]:
    length = "RaggedListLength" if array.ragged else "TensorListLength"
    return (apply(length, flow, name=name),)


def _closed(array: _Array, name: str, handle: Tensor) -> tuple[Tensor, ...]:
    return ()


_NODES: dict[str, Callable[..., tuple[Tensor, ...]]] = {
    "TensorArrayV3": _made,
    "TensorArrayWriteV3": _written,
    "TensorArrayReadV3": _read,
    "TensorArrayGatherV3": _gathered,
    "TensorArrayScatterV3": _scattered,
    "TensorArrayConcatV3": _joined,
    "TensorArraySplitV3": _split,
    "TensorArraySizeV3": _size,
    "TensorArrayCloseV3": _closed,
}
ARRAY_NODES = frozenset(_NODES)

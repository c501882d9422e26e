"""tf.IndexedSlices: rows of a larger tensor that is zero elsewhere, as gradients of lookups are."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

from anode.frontends.tensorflow.core import Graph, Operation, Tensor
from anode.frontends.tensorflow.dtypes import DType
from anode.frontends.tensorflow.graph import (
    apply,
    constant_value,
    convert_to_tensor,
    register_tensor_conversion_function,
)
from anode.frontends.tensorflow.opdef import export
from anode.frontends.tensorflow.tensor_shape import TensorShape

IndexedSlicesValue = namedtuple("IndexedSlicesValue", ["values", "indices", "dense_shape"])
export("IndexedSlicesValue", "compat.v1.IndexedSlicesValue")(IndexedSlicesValue)


@export("IndexedSlices", "python.framework.ops.IndexedSlices")
class IndexedSlices:
    """`values[i]` is row `indices[i]`; rows of equal index add up."""

    def __init__(self, values: Any, indices: Any, dense_shape: Any = None) -> None:
        self._values, self._indices, self._dense_shape = values, indices, dense_shape

    @property
    def values(self) -> Any:
        return self._values

    @property
    def indices(self) -> Any:
        return self._indices

    @property
    def dense_shape(self) -> Any:
        return self._dense_shape

    @property
    def shape(self) -> TensorShape:
        if self._dense_shape is None:
            return TensorShape(None)
        sizes = constant_value(self._dense_shape)
        return TensorShape(None if sizes is None else sizes.tolist())

    def get_shape(self) -> TensorShape:
        return self.shape

    @property
    def name(self) -> str:
        name: str = self._values.name
        return name

    @property
    def device(self) -> str:
        device: str = self._values.device
        return device

    @property
    def op(self) -> Operation:
        op: Operation = self._values.op
        return op

    @property
    def dtype(self) -> DType:
        dtype: DType = self._values.dtype
        return dtype

    @property
    def graph(self) -> Graph:
        graph: Graph = self._values.graph
        return graph

    @property
    def _components(self) -> list[Tensor]:
        parts = [self._values, self._indices, self._dense_shape]
        return [part for part in parts if part is not None]

    def _from_components(self, values: Any) -> Any:
        """What a fetch gives: arrays in the places of the tensors."""
        parts = list(values)
        return IndexedSlicesValue(parts[0], parts[1], parts[2] if len(parts) > 2 else None)

    def consumers(self) -> list[Operation]:
        return [op for part in self._components for op in part.consumers()]

    def __neg__(self) -> IndexedSlices:
        return IndexedSlices(-self.values, self.indices, self.dense_shape)

    def __repr__(self) -> str:
        shape = "" if self._dense_shape is None else f", dense_shape={self._dense_shape}"
        return f"IndexedSlices(indices={self._indices}, values={self._values}{shape})"


def _dense(
    slices: IndexedSlices, dtype: Any = None, name: str | None = None, as_ref: bool = False
) -> Tensor:
    if dtype is not None and not slices.dtype.is_compatible_with(dtype):
        raise ValueError(
            f"Tensor conversion requested dtype {dtype.name} for IndexedSlices with dtype "
            f"{slices.dtype.name}"
        )
    if slices.dense_shape is None:
        raise ValueError(
            f"Tensor conversion requested for IndexedSlices without dense_shape: {slices!s}"
        )
    shape = apply("Cast", slices.dense_shape, DstT=slices.indices.dtype.base_dtype)
    places = apply("ExpandDims", slices.indices, -1)
    dense: Tensor = apply("ScatterNd", places, slices.values, shape, name=name)
    dense.set_shape(slices.shape)
    return dense


register_tensor_conversion_function(IndexedSlices, _dense)


@export("convert_to_tensor_or_indexed_slices")
def convert_to_tensor_or_indexed_slices(
    value: Any, dtype: Any = None, name: str | None = None
) -> Any:
    """`value` itself if it is IndexedSlices, else as a tensor."""
    return value if isinstance(value, IndexedSlices) else convert_to_tensor(value, dtype, name)

"""tf.TensorArray: a list of tensors of one type, held as one dense tensor [size, ...].

Every write gives a new TensorArray. Until the shape of its elements is known the dense tensor is
an empty one (see table/tensor_list.py), which the first write replaces.
"""

from __future__ import annotations

from typing import Any

from anode.frontends.tensorflow.core import Tensor
from anode.frontends.tensorflow.dtypes import as_dtype
from anode.frontends.tensorflow.graph import apply, constant_value, convert_to_tensor, name_scope
from anode.frontends.tensorflow.opdef import export
from anode.frontends.tensorflow.tensor_shape import TensorShape


@export("TensorArray", "python.ops.tensor_array_ops.TensorArray")
class TensorArray:
    """A list of tensors that loops write and read by index.

    `clear_after_read` and `colocate_with_first_write_call` are about TensorFlow's memory and have
    no meaning here; an element that was never written reads as zeros.
    """

    def __init__(
        self,
        dtype: Any,
        size: Any = None,
        dynamic_size: bool | None = None,
        clear_after_read: bool | None = None,
        tensor_array_name: str | None = None,
        handle: Any = None,
        flow: Any = None,
        infer_shape: bool = True,
        element_shape: Any = None,
        colocate_with_first_write_call: bool = True,
        name: str | None = None,
    ) -> None:
        self._dtype = as_dtype(dtype).base_dtype
        self._dynamic = bool(dynamic_size)
        self._infer = infer_shape
        self._element = TensorShape(element_shape)
        if handle is not None:
            if size is not None:
                raise ValueError("Cannot provide both a handle and size at the same time")
            self._buffer: Tensor = convert_to_tensor(handle if flow is None else flow)
            return
        if size is None:
            raise ValueError("Size must be provided if handle is not provided")
        shape = self._element.as_list() if self._element.is_fully_defined() else [-1]
        with name_scope(name, "TensorArray", [size]) as scope:
            self._buffer = apply(
                "TensorListReserve", shape, size, element_dtype=self._dtype, name=scope
            )

    def _with(self, buffer: Tensor, element: TensorShape | None = None) -> TensorArray:
        """The same array in another state."""
        new = object.__new__(TensorArray)
        new.__dict__.update(self.__dict__, _buffer=buffer)
        if element is not None:
            new._element = element
        return new

    def sized(self, size: Any) -> TensorArray:
        """An array of the same elements with a size of its own, for a loop of known length."""
        shape = self._element if self._element.rank is not None else None
        return TensorArray(self._dtype, size, infer_shape=self._infer, element_shape=shape)

    @property
    def is_empty(self) -> bool:
        """Whether this is an array of no elements, to which nothing was written."""
        op = self._buffer.op
        return op.type == "TensorListReserve" and constant_value(op.inputs[1]) == 0

    # as a loop variable

    def composite_parts(self) -> list[Tensor]:
        return [self._buffer]

    def from_composite_parts(self, parts: list[Tensor]) -> TensorArray:
        return self._with(parts[0])

    def loop_shapes(self) -> list[TensorShape]:
        return [TensorShape(None)]

    # what it is

    @property
    def dtype(self) -> Any:
        return self._dtype

    @property
    def flow(self) -> Tensor:
        """The state of the array as a tensor."""
        return self._buffer

    @property
    def handle(self) -> Tensor:
        return self._buffer

    @property
    def graph(self) -> Any:
        return self._buffer.graph

    @property
    def dynamic_size(self) -> bool:
        return self._dynamic

    @property
    def element_shape(self) -> TensorShape:
        return self._element

    def _learned(self, shape: TensorShape) -> TensorShape:
        """The elements' shape, now that one of them is seen; raises ValueError if it differs."""
        if not self._infer:
            return self._element
        if not self._element.is_compatible_with(shape):
            raise ValueError(
                f"Inconsistent shapes: saw {shape} but expected {self._element} "
                "(and infer_shape=True)"
            )
        return self._element.merge_with(shape)

    def _value(self, value: Any) -> Tensor:
        tensor = convert_to_tensor(value, None if isinstance(value, Tensor) else self._dtype)
        if tensor.dtype.base_dtype != self._dtype:
            raise TypeError(
                f"TensorArray dtype is {self._dtype.name} but Op is trying to write dtype "
                f"{tensor.dtype.base_dtype.name}."
            )
        return tensor

    def _shaped(self, tensor: Tensor, leading: list[int | None]) -> Tensor:
        if self._element.rank is not None:
            tensor.set_shape(TensorShape(leading).concatenate(self._element))
        return tensor

    # elements

    def identity(self) -> TensorArray:
        """The same array after the control dependencies of the moment."""
        return self._with(apply("Identity", self._buffer))

    def grad(self, source: Any, flow: Any = None, name: str | None = None) -> TensorArray:
        raise NotImplementedError(
            "TensorArray.grad is not implemented by anode: tf.gradients passes through the array"
        )

    def read(self, index: Any, name: str | None = None) -> Tensor:
        """Element `index`."""
        item = apply("TensorListGetItem", self._buffer, index, name=name or "TensorArrayReadV3")
        return self._shaped(item, [])

    def write(self, index: Any, value: Any, name: str | None = None) -> TensorArray:
        """The array with element `index` set."""
        value = self._value(value)
        element = self._learned(value.shape)
        buffer = apply(
            "TensorListSetItem",
            self._buffer,
            index,
            value,
            resize_if_index_out_of_bounds=self._dynamic,
            name=name or "TensorArrayWriteV3",
        )
        return self._with(buffer, element)

    def stack(self, name: str | None = None) -> Tensor:
        """All elements, along a new leading axis."""
        with name_scope(name, "TensorArrayStack", [self._buffer]):
            found = apply("TensorListStack", self._buffer, name="TensorArrayGatherV3")
            return self._shaped(found, [None])

    def gather(self, indices: Any, name: str | None = None) -> Tensor:
        """The elements of some indices, along a new leading axis."""
        indices = convert_to_tensor(indices)
        found = apply("GatherV2", self._buffer, indices, 0, name=name or "TensorArrayGatherV3")
        return self._shaped(
            found, [None] if indices.shape.rank is None else indices.shape.as_list()
        )

    def concat(self, name: str | None = None) -> Tensor:
        """All elements along their own leading axis; they have equal shapes here."""
        name = name or "TensorArrayConcatV3"
        rest = self._element.as_list()[1:] if self._element.rank else None
        found = apply("TensorListConcatEqual", self._buffer, name=name)
        if rest is not None:
            found.set_shape([None, *rest])
        return found

    def unstack(self, value: Any, name: str | None = None) -> TensorArray:
        """The array whose elements are the slices of `value` along its leading axis."""
        with name_scope(name, "TensorArrayUnstack", [value]):
            value = self._value(value)
            element = self._learned(value.shape[1:]) if value.shape.rank else self._element
            buffer = apply("TensorListFromTensor", value, name="TensorArrayScatterV3")
        return self._with(buffer, element)

    def scatter(self, indices: Any, value: Any, name: str | None = None) -> TensorArray:
        """The array with the elements of some indices set to the slices of `value`."""
        value = self._value(value)
        element = self._learned(value.shape[1:]) if value.shape.rank else self._element
        buffer = apply(
            "TensorListScatterIntoExistingList",
            self._buffer,
            value,
            indices,
            name=name or "TensorArrayScatterV3",
        )
        return self._with(buffer, element)

    def split(self, value: Any, lengths: Any, name: str | None = None) -> TensorArray:
        """The array of consecutive pieces of `value`; they must be of equal lengths here."""
        value = self._value(value)
        buffer = apply("TensorListSplit", value, lengths, name=name or "TensorArraySplitV3")
        rest = value.shape.as_list()[1:] if value.shape.rank else None
        element = TensorShape(None if rest is None else [None, *rest])
        return self._with(buffer, self._element.merge_with(element))

    def size(self, name: str | None = None) -> Tensor:
        """The number of elements."""
        size: Tensor = apply("TensorListLength", self._buffer, name=name or "TensorArraySizeV3")
        return size

    def close(self, name: str | None = None) -> Any:
        """An operation that does nothing: the memory is the compiler's."""
        return apply("NoOp", name=name or "TensorArrayCloseV3")

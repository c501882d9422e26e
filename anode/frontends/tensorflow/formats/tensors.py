"""TensorProto to NumPy and back, and TensorFlow's numbers for element types."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from anode.errors import DataError
from anode.frontends.tensorflow.formats import proto, schema
from anode.ir.dtypes import bf16

_NUMPY: dict[str, Any] = {
    "FLOAT": np.float32,
    "DOUBLE": np.float64,
    "INT32": np.int32,
    "UINT8": np.uint8,
    "INT16": np.int16,
    "INT8": np.int8,
    "STRING": object,
    "COMPLEX64": np.complex64,
    "INT64": np.int64,
    "BOOL": np.bool_,
    "BFLOAT16": bf16.numpy,
    "UINT16": np.uint16,
    "COMPLEX128": np.complex128,
    "HALF": np.float16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    # quantised numbers are integers under a name of their own
    **{
        f"Q{name}": np.dtype([(f"q{name.lower()}", name.lower())])
        for name in ("INT8", "UINT8", "INT16", "UINT16", "INT32")
    },
}
_BY_NUMBER = {schema.enum("DataType")[f"DT_{name}"]: np.dtype(t) for name, t in _NUMPY.items()}
_BY_DTYPE = {dtype: number for number, dtype in reversed(_BY_NUMBER.items())}
STRING = 7
_HALVES = (14, 19)  # bfloat16 and half are stored as 16 bits in half_val
_LISTS = {
    1: "float_val",
    2: "double_val",
    7: "string_val",
    8: "scomplex_val",
    9: "int64_val",
    10: "bool_val",
    14: "half_val",
    18: "dcomplex_val",
    19: "half_val",
    22: "uint32_val",
    23: "uint64_val",
}  # all others: int_val
_MOST_REPEATED = (
    1 << 26
)  # elements that a short list may stand for, so that files cannot ask for more


def numpy_dtype(number: int) -> np.dtype:
    """The NumPy dtype of a DataType; references count as what they refer to.

    bfloat16 is `anode.ir.dtypes.bf16.numpy`, strings are objects. Others raise DataError.
    """
    if number % 100 not in _BY_NUMBER or number >= 200:
        name = schema.enum_value_names("DataType").get(number, str(number))
        raise DataError(f"tensors of type {name} have no values here")
    return _BY_NUMBER[number % 100]


def datatype(dtype: Any) -> int:
    """The DataType of a NumPy dtype; text and bytes are strings."""
    dtype = np.dtype(dtype)
    if dtype.kind in "SU":
        return STRING
    if dtype.name == "bfloat16":  # as ml_dtypes has it
        return 14
    if dtype.newbyteorder("=") not in _BY_DTYPE:
        raise DataError(f"TensorFlow has no element type for NumPy's {dtype}")
    return _BY_DTYPE[dtype.newbyteorder("=")]


def shape_of(shape: Any) -> tuple[int, ...]:
    """The sizes of a TensorShapeProto whose rank and sizes must be known."""
    sizes = tuple(dim.size for dim in shape.dim)
    if shape.unknown_rank or any(size < 0 for size in sizes):
        raise DataError("a tensor's shape is not fully known")
    return sizes


def shape_proto(shape: Iterable[int | None] | None) -> Any:
    """A TensorShapeProto; None stands for an unknown size, or an unknown rank."""
    if shape is None:
        return proto.TensorShapeProto(unknown_rank=True)
    dims = [{"size": -1 if size is None else int(size)} for size in shape]
    return proto.TensorShapeProto(dim=dims)


def as_bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def string_array(array: Any) -> np.ndarray:
    """An array of text or bytes as objects, all bytes."""
    array = np.asarray(array)
    out = np.empty(array.shape, object)
    out.reshape(-1)[:] = [as_bytes(value) for value in array.reshape(-1).tolist()]
    return out


def to_array(tensor: Any) -> np.ndarray:
    """The values of a TensorProto.

    A list shorter than the shape repeats its last value, an empty one stands for zeros; such arrays
    may be read-only. What does not fit the shape raises DataError.
    """
    dtype, shape = numpy_dtype(tensor.dtype), shape_of(tensor.tensor_shape)
    size = math.prod(shape)
    content = tensor.tensor_content
    if content:
        if dtype.kind == "O":
            return _content_strings(content, size).reshape(shape)
        if len(content) != size * dtype.itemsize:
            raise DataError(
                f"a tensor {list(shape)} of {dtype} takes {size * dtype.itemsize} bytes, "
                f"{len(content)} are there"
            )
        array = np.frombuffer(content, dtype.newbyteorder("<"))
        return array.astype(dtype, copy=False).reshape(shape)
    values = _listed(tensor, dtype)
    if len(values) > size:
        raise DataError(f"a tensor {list(shape)} lists {len(values)} values")
    return _filled(values, shape, size)


def _listed(tensor: Any, dtype: np.dtype) -> np.ndarray:
    """The values in the list for the tensor's type."""
    number = tensor.dtype % 100
    values = getattr(tensor, _LISTS.get(number, "int_val"))
    if dtype.kind == "O":
        return _objects(values)
    if number in _HALVES:
        return np.asarray(values, np.int64).astype(np.uint16).view(dtype)
    if dtype.names:
        return np.asarray(values, np.int64).astype(dtype[0]).view(dtype)
    if dtype.kind == "c":
        pairs = np.asarray(values, dtype.type(0).real.dtype)
        if len(pairs) % 2:
            raise DataError("a list of complex numbers ends in half of one")
        return pairs.view(dtype)
    return np.asarray(values, np.int64 if dtype.kind in "bi" else None).astype(dtype)


def _objects(values: Sequence[Any]) -> np.ndarray:
    out = np.empty(len(values), object)
    out[:] = list(values)
    return out


def _filled(values: np.ndarray, shape: tuple[int, ...], size: int) -> np.ndarray:
    """`values` in `shape`, the last one repeated; one value takes no memory however often."""
    if len(values) == size:
        return values.reshape(shape)
    if len(values) <= 1:
        zero = b"" if values.dtype.kind == "O" else np.zeros((), values.dtype)
        return np.broadcast_to(values if len(values) else np.asarray(zero, values.dtype), shape)
    if size > _MOST_REPEATED:
        raise DataError(f"a tensor {list(shape)} lists only {len(values)} values")
    return np.concatenate([values, np.broadcast_to(values[-1:], size - len(values))]).reshape(shape)


def _content_strings(content: bytes, size: int) -> np.ndarray:
    """Strings as old encoders packed them: all lengths as varints, then the bytes."""
    from anode.frontends.tensorflow.formats.wire import read_varint

    if size > len(content):
        raise DataError(f"{size} strings are claimed of {len(content)} bytes")
    lengths, at = [], 0
    for _ in range(size):
        length, at = read_varint(content, at, len(content))
        lengths.append(length)
    if at + sum(lengths) != len(content):
        raise DataError("the lengths of strings do not add up")
    return _objects([content[at : (at := at + length)] for length in lengths])


def from_array(array: Any, datatype_number: int | None = None) -> Any:
    """The TensorProto of an array, as TensorFlow's make_tensor_proto writes it.

    One value goes into the list of its type, several go as bytes; strings are always listed.
    """
    array = np.asarray(array)
    number = datatype(array.dtype) if datatype_number is None else datatype_number
    tensor = proto.TensorProto(dtype=number, tensor_shape=shape_proto(array.shape))
    if numpy_dtype(number).kind == "O":
        tensor.string_val.extend(string_array(array).reshape(-1).tolist())
    elif array.size > 1:
        tensor.tensor_content = little_endian(array)
    else:
        values = array.reshape(-1)
        if number % 100 in _HALVES:
            values = values.view(np.uint16)
        elif values.dtype.kind == "c":
            values = values.view(values.real.dtype)
        elif values.dtype.names:
            values = values.view(values.dtype[0])
        getattr(tensor, _LISTS.get(number % 100, "int_val")).extend(values.tolist())
    return tensor


def little_endian(array: np.ndarray) -> bytes:
    """The elements' bytes, row-major."""
    return np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes()

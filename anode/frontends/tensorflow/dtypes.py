"""The element types of TensorFlow 1: `tf.float32`, their references, and what converts to them."""

from __future__ import annotations

from builtins import bool as Bool  # `bool` is a type of TensorFlow below
from typing import Any

import numpy as np

from anode.errors import UnsupportedOp
from anode.ir import dtypes as ir

# Number in types.proto, name, NumPy type (None where a value is only a handle), anode's type.
_ROWS: tuple[tuple[int, str, Any, ir.DType | None], ...] = (
    (1, "float32", np.float32, ir.f32),
    (2, "float64", np.float64, ir.f64),
    (3, "int32", np.int32, ir.i32),
    (4, "uint8", np.uint8, ir.u8),
    (5, "int16", np.int16, ir.i16),
    (6, "int8", np.int8, ir.i8),
    (7, "string", np.object_, None),
    (8, "complex64", np.complex64, None),
    (9, "int64", np.int64, ir.i64),
    (10, "bool", np.bool_, ir.bool_),
    (11, "qint8", np.dtype([("qint8", np.int8)]), None),
    (12, "quint8", np.dtype([("quint8", np.uint8)]), None),
    (13, "qint32", np.dtype([("qint32", np.int32)]), None),
    (14, "bfloat16", ir.bf16.numpy, ir.bf16),
    (15, "qint16", np.dtype([("qint16", np.int16)]), None),
    (16, "quint16", np.dtype([("quint16", np.uint16)]), None),
    (17, "uint16", np.uint16, ir.u16),
    (18, "complex128", np.complex128, None),
    (19, "float16", np.float16, ir.f16),
    (20, "resource", None, None),
    (21, "variant", None, None),
    (22, "uint32", np.uint32, ir.u32),
    (23, "uint64", np.uint64, ir.u64),
)
_BY_NUMBER = {row[0]: row for row in _ROWS}
_REF = 100  # types.proto: the number of a reference is that of its type plus 100
_BFLOAT16_MAX = float.fromhex("0x1.FEp127")


class DType:
    """An element type, or a reference to a variable of it; one object per `types.proto` number.

    Equal to whatever `as_dtype` turns into it: `tf.float32 == np.float32 == "float32"`.
    """

    __slots__ = ("_number", "_row")
    _number: int
    _row: tuple[int, str, Any, ir.DType | None]

    def __new__(cls, type_enum: int) -> DType:
        try:
            return _INTERNED[int(type_enum)]
        except (KeyError, TypeError, ValueError):
            raise TypeError(f"type_enum is not a valid types_pb2.DataType: {type_enum!r}") from None

    @property
    def name(self) -> str:
        return self._row[1] + ("_ref" if self._is_ref_dtype else "")

    @property
    def as_datatype_enum(self) -> int:
        """The number in types.proto."""
        return self._number

    @property
    def _is_ref_dtype(self) -> Bool:
        return self._number > _REF

    @property
    def _as_ref(self) -> DType:
        return self if self._is_ref_dtype else DType(self._number + _REF)

    @property
    def base_dtype(self) -> DType:
        """The type without reference."""
        return DType(self._number - _REF) if self._is_ref_dtype else self

    @property
    def real_dtype(self) -> DType:
        """The type of the real part: of complex64 float32; of other types themselves."""
        real = {"complex64": float32, "complex128": float64}
        return real.get(self._row[1], self)

    @property
    def as_numpy_dtype(self) -> Any:
        """What NumPy stores it as; strings are objects, bfloat16 and quantized types records."""
        return np.object_ if self._row[2] is None else self._row[2]

    @property
    def anode(self) -> ir.DType:
        """anode's element type; UnsupportedOp for strings, complex, quantized and handle types."""
        if self._row[3] is None:
            raise UnsupportedOp(f"anode computes nothing on tf.{self._row[1]}")
        return self._row[3]

    @property
    def is_numpy_compatible(self) -> Bool:
        return self._row[2] is not None

    @property
    def is_bool(self) -> Bool:
        return self._row[1] == "bool"

    @property
    def is_floating(self) -> Bool:
        return self._row[3] is not None and self._row[3].is_float

    @property
    def is_integer(self) -> Bool:
        """Whether a whole number; quantized types are not."""
        return self._row[3] is not None and self._row[3].is_integer

    @property
    def is_unsigned(self) -> Bool:
        return self._row[3] is not None and self._row[3].kind == "unsigned"

    @property
    def is_complex(self) -> Bool:
        return self._row[1].startswith("complex")

    @property
    def is_quantized(self) -> Bool:
        return self._row[1].startswith(("qint", "quint"))

    @property
    def size(self) -> int:
        """Bytes of one element; of a handle 1, as in TensorFlow."""
        return 1 if self._row[2] is None else np.dtype(self._row[2]).itemsize

    @property
    def min(self) -> Any:
        """The least value; TypeError for types that are neither floating nor integer."""
        return -self.max if self.is_floating else self._integer("minimum").min

    @property
    def max(self) -> Any:
        """The greatest value; TypeError for types that are neither floating nor integer."""
        if self._row[1] == "bfloat16":
            return _BFLOAT16_MAX
        return np.finfo(self._row[2]).max if self.is_floating else self._integer("maximum").max

    def _integer(self, which: str) -> np.iinfo:
        if not self.is_integer:
            raise TypeError(f"Cannot find {which} value of {self}.")
        return np.iinfo(self._row[2])

    @property
    def limits(self) -> tuple[int, int]:
        """The range of intensities in images: 0 to 1 for floats, 0 to the greatest for integers."""
        return (0, 1) if self.is_floating or self.is_bool else (0, self.max)

    def is_compatible_with(self, other: Any) -> Bool:
        """Whether `other` is this type, or a reference to it that reads as this type."""
        found = as_dtype(other)
        return self in (found, found.base_dtype)

    def __eq__(self, other: object) -> Bool:
        if other is None or isinstance(other, DType):
            return other is self
        try:
            return as_dtype(other) is self
        except TypeError:
            return False

    def __ne__(self, other: object) -> Bool:
        return not self == other

    def __hash__(self) -> int:
        return self._number

    def __int__(self) -> int:
        return self._number

    def __str__(self) -> str:
        return f"<dtype: {self.name!r}>"

    def __repr__(self) -> str:
        return f"tf.{self.name}"

    def __reduce__(self) -> tuple[Any, ...]:
        return as_dtype, (self.name,)


def _interned(number: int) -> DType:
    dtype = object.__new__(DType)
    dtype._number, dtype._row = number, _BY_NUMBER[number % _REF]
    return dtype


_INTERNED = {n: _interned(n) for row in _ROWS for n in (row[0], row[0] + _REF)}

float32, float64, float16, bfloat16 = DType(1), DType(2), DType(19), DType(14)
int8, int16, int32, int64 = DType(6), DType(5), DType(3), DType(9)
uint8, uint16, uint32, uint64 = DType(4), DType(17), DType(22), DType(23)
complex64, complex128 = DType(8), DType(18)
bool, string, resource, variant = DType(10), DType(7), DType(20), DType(21)
qint8, quint8, qint16, quint16, qint32 = DType(11), DType(12), DType(15), DType(16), DType(13)
half, double = float16, float64

_ALIASES = {"half": float16, "float": float32, "double": float64}
DTYPES: dict[str, DType] = {dtype.name: dtype for dtype in _INTERNED.values()}
_BY_NAME = {**DTYPES, **_ALIASES, **{f"{name}_ref": d._as_ref for name, d in _ALIASES.items()}}
_BY_NUMPY: dict[np.dtype, DType] = {
    np.dtype(row[2]): DType(row[0]) for row in _ROWS if row[2] is not None
}
_BY_PYTHON: dict[Any, DType] = {
    float: float32,
    Bool: bool,
    object: string,
}  # not int: TensorFlow refuses it
_BY_ANODE = {row[3]: DType(row[0]) for row in _ROWS if row[3] is not None}
QUANTIZED_DTYPES = frozenset(d for d in _INTERNED.values() if d.is_quantized)


def as_dtype(type_value: Any) -> DType:
    """The DType that `type_value` names: a DType, a name, a number, a NumPy or Python type, or a
    thing with a dtype. TypeError otherwise."""
    if isinstance(type_value, DType):
        return type_value
    found = _lookup(type_value)
    if found is None and hasattr(type_value, "dtype"):
        found = _lookup(type_value.dtype)
    if found is None:
        raise TypeError(f"Cannot convert value {type_value!r} to a TensorFlow DType.")
    return found


def _lookup(spec: Any) -> DType | None:
    if isinstance(spec, (DType, ir.DType)):
        return spec if isinstance(spec, DType) else from_anode(spec)
    if isinstance(spec, str):
        return _BY_NAME.get(spec)
    if isinstance(spec, np.dtype):
        return string if spec.kind in "SU" else _BY_NUMPY.get(spec.newbyteorder("="))
    if isinstance(spec, type):
        return _BY_PYTHON.get(spec) or _of_scalar_type(spec)
    if isinstance(spec, (int, np.integer)) and not isinstance(spec, Bool):
        return _INTERNED.get(int(spec))
    return None


def _of_scalar_type(spec: type) -> DType | None:
    if spec.__name__ == "bfloat16":  # ml_dtypes has it; NumPy does not
        return bfloat16
    return _lookup(np.dtype(spec)) if issubclass(spec, np.generic) else None


def from_anode(dtype: ir.DType) -> DType:
    """TensorFlow's type for one of anode's."""
    return _BY_ANODE[dtype]


def __getattr__(name: str) -> DType:
    """The references, such as `float32_ref`."""
    if name in DTYPES:
        return DTYPES[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

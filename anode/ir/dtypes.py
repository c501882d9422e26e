"""Element types: their names, sizes, NumPy storage and the type arithmetic is done in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anode.errors import ShapeError


@dataclass(frozen=True, eq=False)
class DType:
    """An element type. Compared by identity: there is one object per name.

    `kind` is "float", "signed", "unsigned" or "bool"; `numpy` is how the host stores it. NumPy has
    no bfloat16, so the host stores it as a two-byte record type that nothing else uses.
    """

    name: str
    kind: str
    bits: int
    numpy: np.dtype

    @property
    def size(self) -> int:
        """Bytes of one element in memory."""
        return self.numpy.itemsize

    @property
    def is_float(self) -> bool:
        return self.kind == "float"

    @property
    def is_integer(self) -> bool:
        return self.kind in ("signed", "unsigned")

    @property
    def least(self) -> int:
        """The least value of an integer type; of bool 0."""
        return -(1 << self.bits - 1) if self.kind == "signed" else 0

    @property
    def most(self) -> int:
        """The greatest value of an integer type; of bool 1."""
        return (1 << self.bits - (self.kind == "signed")) - 1

    @property
    def compute(self) -> DType:
        """The type arithmetic is done in: the half types compute in f32 and round each result."""
        return f32 if self.is_float and self.bits < 32 else self

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> str:
        return self.name


f64 = DType("f64", "float", 64, np.dtype(np.float64))
f32 = DType("f32", "float", 32, np.dtype(np.float32))
f16 = DType("f16", "float", 16, np.dtype(np.float16))
bf16 = DType("bf16", "float", 16, np.dtype([("bf16", "<u2")]))
i64 = DType("i64", "signed", 64, np.dtype(np.int64))
i32 = DType("i32", "signed", 32, np.dtype(np.int32))
i16 = DType("i16", "signed", 16, np.dtype(np.int16))
i8 = DType("i8", "signed", 8, np.dtype(np.int8))
u64 = DType("u64", "unsigned", 64, np.dtype(np.uint64))
u32 = DType("u32", "unsigned", 32, np.dtype(np.uint32))
u16 = DType("u16", "unsigned", 16, np.dtype(np.uint16))
u8 = DType("u8", "unsigned", 8, np.dtype(np.uint8))
bool_ = DType("bool", "bool", 1, np.dtype(np.bool_))

DTYPES: dict[str, DType] = {
    d.name: d for d in (f64, f32, f16, bf16, i64, i32, i16, i8, u64, u32, u16, u8, bool_)
}
_FROM_NUMPY = {d.numpy: d for d in DTYPES.values()}


def dtype_of(spec: object) -> DType:
    """The DType that `spec` names: a DType, its name, or anything `numpy.dtype` takes."""
    if isinstance(spec, DType):
        return spec
    if isinstance(spec, str) and spec in DTYPES:
        return DTYPES[spec]
    if str(spec) == "bfloat16":  # ml_dtypes and torch spell it so
        return bf16
    try:
        return _FROM_NUMPY[np.dtype(spec)]  # type: ignore[call-overload]
    except (KeyError, TypeError):
        raise ShapeError(f"no element type {spec!r}; anode has {', '.join(DTYPES)}") from None


def bf16_to_f32(array: np.ndarray) -> np.ndarray:
    """Widen host bf16 (`bf16.numpy` records) to float32, exactly."""
    return (array.view(np.uint16).astype(np.uint32) << 16).view(np.float32)


def f32_to_bf16(array: np.ndarray) -> np.ndarray:
    """Round float32 to host bf16, to nearest with ties to even; NaN stays a quiet NaN."""
    bits = np.ascontiguousarray(array, dtype=np.float32).view(np.uint32)
    rounded = (bits + (0x7FFF + ((bits >> 16) & 1))) >> 16
    rounded = np.where((bits & 0x7FFFFFFF) > 0x7F800000, (bits >> 16) | 0x40, rounded)
    return rounded.astype(np.uint16).view(bf16.numpy).reshape(np.shape(array))

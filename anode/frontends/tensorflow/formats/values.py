"""What each kind of field takes: values checked and made plain; enumerations by name."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from anode.frontends.tensorflow.formats import schema
from anode.frontends.tensorflow.formats.schema import Field


def _integer(field: Field, value: Any) -> int:
    if isinstance(value, str) and field.kind == "enum":
        names = schema.enum(field.type_name)
        if value not in names:
            raise ValueError(f'unknown enum label "{value}"')
        return names[value]
    number = operator.index(value)
    low, high = schema.RANGES[field.kind]
    if not low <= number <= high:
        raise ValueError(f"Value out of range: {number}")
    return number


def _text(field: Field, value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode()
    if not isinstance(value, str):
        raise TypeError(f"{field.name} takes str, not {type(value).__name__}")
    return str(value)


def _bytes(field: Field, value: Any) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise TypeError(f"expected bytes, {type(value).__name__} found")
    return bytes(value)


def _double(field: Field, value: Any) -> float:
    if isinstance(value, str | bytes):
        raise TypeError(f"must be real number, not {type(value).__name__}")
    return float(value)


def _single(field: Field, value: Any) -> float:
    """Rounded to float32, as reading the field gives it back."""
    with np.errstate(over="ignore"):
        return float(np.float32(_double(field, value)))


def _bool(field: Field, value: Any) -> bool:
    return bool(value) if isinstance(value, np.bool_) else bool(operator.index(value))


_CHECKS: dict[str, Callable[[Field, Any], Any]] = {
    "string": _text,
    "bytes": _bytes,
    "double": _double,
    "float": _single,
    "bool": _bool,
}


def checked(field: Field, value: Any) -> Any:
    return _CHECKS.get(field.kind, _integer)(field, value)


def checked_all(field: Field, values: Any) -> list[Any]:
    """All of `values` as the field takes them; arrays of numbers at once."""
    if isinstance(values, np.ndarray) and values.ndim == 1:
        if field.kind in ("float", "double") and values.dtype.kind in "fiub":
            with np.errstate(over="ignore"):
                return values.astype(schema.FIXED[field.kind]).tolist()
        if values.dtype.kind in "iu":
            values = values.tolist()
    try:
        items = iter(values)
    except TypeError:
        raise TypeError(f"{field.name} must be assigned an iterable") from None
    return [checked(field, value) for value in items]


class Enum:
    """An enumeration: `Name` and `Value` convert, values are attributes."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> int:
        try:
            return schema.enum(self._name)[name]
        except KeyError:
            raise AttributeError(f"Enum {self._name} has no value {name}") from None

    def __call__(self, number: int) -> int:
        return number

    def Name(self, number: int) -> str:
        if number not in schema.enum_value_names(self._name):
            raise ValueError(f"Enum {self._name} has no name defined for value {number}")
        return schema.enum_value_names(self._name)[number]

    def Value(self, name: str) -> int:
        if name not in schema.enum(self._name):
            raise ValueError(f"Enum {self._name} has no value defined for name {name}")
        return schema.enum(self._name)[name]

    def keys(self) -> list[str]:
        return list(schema.enum(self._name))

    def values(self) -> list[int]:
        return list(schema.enum(self._name).values())

    def items(self) -> list[tuple[str, int]]:
        return list(schema.enum(self._name).items())

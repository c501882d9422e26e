"""What the fields of a message are: `tables.py` read into descriptors, one message at a time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, cached_property
from struct import calcsize

from anode.frontends.tensorflow.formats import tables

VARINT = frozenset(("int32", "int64", "uint32", "uint64", "sint32", "sint64", "bool", "enum"))
FIXED = {  # as struct and NumPy spell them, little-endian
    "double": "<d",
    "float": "<f",
    "fixed64": "<Q",
    "fixed32": "<I",
    "sfixed64": "<q",
    "sfixed32": "<i",
}
RANGES = {
    kind: (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    for kinds, bits, signed in (
        ("int32 sint32 sfixed32 enum", 32, True),
        ("int64 sint64 sfixed64", 64, True),
        ("uint32 fixed32", 32, False),
        ("uint64 fixed64", 64, False),
    )
    for kind in kinds.split()
}
DEFAULTS = {"string": "", "bytes": b"", "bool": False, "float": 0.0, "double": 0.0}
SCALARS = frozenset((*VARINT, *FIXED, "string", "bytes")) - {"enum"}


@dataclass(frozen=True, eq=False)
class Field:
    """A field of a message: number, name, kind, and how often it may occur."""

    number: int
    name: str
    type_name: str  # of a map, its value's
    repeated: bool = False
    map_key: str | None = None
    oneof: str | None = None

    @cached_property
    def kind(self) -> str:
        """A scalar's kind, "enum" or "message"."""
        if self.type_name in SCALARS:
            return self.type_name
        return "enum" if self.type_name in enum_names() else "message"

    @property
    def is_scalar(self) -> bool:
        return self.kind != "message" and not self.repeated and self.map_key is None

    @property
    def has_presence(self) -> bool:
        """Whether unset differs from the default: messages and members of a oneof."""
        single = not self.repeated and self.map_key is None
        return single and (self.kind == "message" or self.oneof is not None)

    @cached_property
    def wire_type(self) -> int:
        if self.map_key is not None:
            return 2
        if self.kind in VARINT:
            return 0
        return {8: 1, 4: 5}[calcsize(FIXED[self.kind])] if self.kind in FIXED else 2

    @cached_property
    def packed(self) -> bool:
        """Repeated numbers are written as one run; readers take both forms."""
        return self.repeated and self.wire_type != 2

    @property
    def default(self) -> object:
        return DEFAULTS.get(self.kind, 0)

    @cached_property
    def entry(self) -> tuple[Field, Field]:
        """The two fields of a map's entry."""
        return Field(1, "key", self.map_key or "string"), Field(2, "value", self.type_name)


@dataclass(frozen=True, eq=False)
class Descriptor:
    """A message's fields in the order of their numbers."""

    name: str
    fields: tuple[Field, ...]

    @property
    def full_name(self) -> str:
        return f"google.protobuf.{self.name}" if self.name == "Any" else f"tensorflow.{self.name}"

    @cached_property
    def fields_by_name(self) -> dict[str, Field]:
        return {field.name: field for field in self.fields}

    @cached_property
    def fields_by_number(self) -> dict[int, Field]:
        return {field.number: field for field in self.fields}

    @cached_property
    def oneofs(self) -> dict[str, tuple[Field, ...]]:
        names = dict.fromkeys(field.oneof for field in self.fields if field.oneof)
        return {name: tuple(f for f in self.fields if f.oneof == name) for name in names}


@cache
def _lines() -> dict[str, str]:
    """The text after each name's colon."""
    text = "\n".join((tables.GRAPH, tables.SESSION, tables.RECORDS)).replace("\n    ", " ")
    return dict(line.split(": ", 1) for line in text.splitlines() if line)


@cache
def enum_names() -> frozenset[str]:
    return frozenset(n.removeprefix("enum ") for n in _lines() if n.startswith("enum "))


@cache
def message_names() -> frozenset[str]:
    return frozenset(name for name in _lines() if not name.startswith("enum "))


@cache
def enum(name: str) -> dict[str, int]:
    """The values of an enumeration by name."""
    pairs = (item.split(" ") for item in _lines()[f"enum {name}"].split(", "))
    return {name: int(number) for number, name in pairs}


@cache
def enum_value_names(name: str) -> dict[int, str]:
    return {number: value for value, number in reversed(enum(name).items())}


_FIELD = re.compile(r"(\d+) (\w+) ([\w.]+)(?::([\w.]+))?(\*)?(?: of (\w+))?(?:, |$)")


@cache
def descriptor(name: str) -> Descriptor:
    """The descriptor of a message; a name that no table has raises KeyError."""
    fields = []
    for number, field, first, second, star, oneof in _FIELD.findall(_lines()[name]):
        key = first if second else None
        fields.append(Field(int(number), field, second or first, bool(star), key, oneof or None))
    return Descriptor(name, tuple(sorted(fields, key=lambda field: field.number)))

"""Messages as Python's protobuf has them: typed fields, presence, nesting, bytes both ways."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, ClassVar

from anode.frontends.tensorflow.formats import schema, wire
from anode.frontends.tensorflow.formats.schema import Descriptor, Field
from anode.frontends.tensorflow.formats.values import Enum, checked, checked_all
from anode.frontends.tensorflow.formats.wire import DecodeError

# --- repeated fields and maps --------------------------------------------------------------------


class RepeatedScalar(list[Any]):
    """The values of a repeated field, each checked as it comes in."""

    def __init__(self, owner: Message, field: Field) -> None:
        super().__init__()
        self._owner, self._field = owner, field

    def append(self, value: Any) -> None:
        super().append(checked(self._field, value))
        self._owner._touch()

    def extend(self, values: Iterable[Any]) -> None:
        super().extend(checked_all(self._field, values))
        if self:
            self._owner._touch()

    MergeFrom = extend

    def insert(self, index: Any, value: Any) -> None:
        super().insert(index, checked(self._field, value))
        self._owner._touch()

    def __setitem__(self, index: Any, value: Any) -> None:
        check = checked_all if isinstance(index, slice) else checked
        super().__setitem__(index, check(self._field, value))

    def __iadd__(self, values: Iterable[Any]) -> RepeatedScalar:  # type: ignore[misc]
        self.extend(values)
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (list(self),)


class RepeatedMessage(list[Any]):
    """The messages of a repeated field; `add` makes one, `append` copies."""

    def __init__(self, owner: Message, field: Field) -> None:
        super().__init__()
        self._owner, self._class = owner, message_class(field.type_name)

    def add(self, **values: Any) -> Any:
        """A new message at the end, with these fields."""
        message = self._class(**values)
        super().append(message)
        self._owner._touch()
        return message

    def append(self, value: Any) -> None:
        self.insert(len(self), value)

    def insert(self, index: Any, value: Any) -> None:
        if not isinstance(value, self._class):
            raise TypeError(f"Expected a {self._class.__name__} message, but got {value!r}.")
        super().insert(index, value._copy())
        self._owner._touch()

    def extend(self, values: Iterable[Any]) -> None:
        for value in list(values):
            self.append(value)

    MergeFrom = extend

    def __setitem__(self, index: Any, value: Any) -> None:
        raise TypeError("a repeated field of messages does not take assignments; use append()")

    def __iadd__(self, values: Iterable[Any]) -> RepeatedMessage:  # type: ignore[misc]
        self.extend(values)
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (list(self),)


class MapOf(dict[Any, Any]):
    """A map field: scalars are assigned, messages are made by asking for their key."""

    def __init__(self, owner: Message, field: Field) -> None:
        super().__init__()
        self._owner, self._key, self._value = owner, *field.entry

    def __missing__(self, key: Any) -> Any:
        value: Any = self._value.default
        if self._value.kind == "message":
            value = message_class(self._value.type_name)()
        super().__setitem__(checked(self._key, key), value)
        self._owner._touch()
        return value

    def get_or_create(self, key: Any) -> Any:
        return self[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        if self._value.kind == "message":
            raise ValueError("May not set values directly, call my_map[key].CopyFrom(value)")
        super().__setitem__(checked(self._key, key), checked(self._value, value))
        self._owner._touch()

    def MergeFrom(self, other: Mapping[Any, Any]) -> None:
        """Take over each entry; values that are messages are copied."""
        for key, value in other.items():
            if self._value.kind == "message":
                self[key].CopyFrom(_as_message(self._value, value))
            else:
                self[key] = value

    def update(self, *args: Any, **kwargs: Any) -> None:
        self.MergeFrom(dict(*args, **kwargs))

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


def _as_message(field: Field, value: Any) -> Message:
    """`value` as the field's message; a dict gives the fields."""
    kind = message_class(field.type_name)
    if isinstance(value, kind):
        return value
    if isinstance(value, Mapping):
        return kind(**value)
    raise TypeError(
        "Parameter to initialize message field must be dict or instance of same class: "
        f"expected {kind.__name__} got {type(value).__name__}."
    )


def _container(owner: Message, field: Field) -> RepeatedScalar | RepeatedMessage | MapOf:
    if field.map_key is not None:
        return MapOf(owner, field)
    return (RepeatedMessage if field.kind == "message" else RepeatedScalar)(owner, field)


# --- messages ------------------------------------------------------------------------------------


class Message:
    """A message of one of the tables; fields are attributes.

    A message inside another counts as set once something in it was set. Unknown fields of what was
    read are kept and written again.
    """

    DESCRIPTOR: ClassVar[Descriptor]
    __slots__ = ("_parent", "_unknown", "_values")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, **values: Any) -> None:
        object.__setattr__(self, "_values", {})
        object.__setattr__(self, "_unknown", b"")
        object.__setattr__(self, "_parent", None)
        for name, value in values.items():
            field = self.DESCRIPTOR.fields_by_name.get(name)
            if field is None:
                raise ValueError(self._no_field(name))
            if value is not None:
                self._assign(field, value)

    def _assign(self, field: Field, value: Any) -> None:
        """Set any kind of field, as the constructor does."""
        if field.is_scalar:
            self._set(field, value)
        elif field.map_key is not None:
            getattr(self, field.name).update(value)
        elif not field.repeated:
            getattr(self, field.name).CopyFrom(_as_message(field, value))
        elif field.kind == "message":
            getattr(self, field.name).extend(_as_message(field, item) for item in value)
        else:
            getattr(self, field.name).extend(value)

    def _no_field(self, name: str) -> str:
        return f'Protocol message {type(self).__name__} has no "{name}" field.'

    def __setattr__(self, name: str, value: Any) -> None:
        field = self.DESCRIPTOR.fields_by_name.get(name)
        if field is None:
            raise AttributeError(self._no_field(name))
        if not field.is_scalar:
            raise AttributeError(
                f'Assignment not allowed to message, map, or repeated field "{name}" in protocol '
                "message object."
            )
        self._set(field, value)

    def __getattr__(self, name: str) -> Any:
        """A field's value; asking for a message or a list makes one that is not yet set."""
        values = self._values
        if name in values:
            return values[name]
        field = type(self).DESCRIPTOR.fields_by_name.get(name)
        if field is None:
            raise AttributeError(self._no_field(name))
        if field.is_scalar:
            return field.default
        if field.repeated or field.map_key is not None:
            values[name] = _container(self, field)
        else:
            child = message_class(field.type_name)()
            object.__setattr__(child, "_parent", (self, field))
            values[name] = child
        return values[name]

    def _set(self, field: Field, value: Any) -> None:
        value = checked(field, value)
        self._clear_oneof(field)
        self._values[field.name] = value
        self._touch()

    def _clear_oneof(self, field: Field) -> None:
        if field.oneof is not None:
            for other in self.DESCRIPTOR.oneofs[field.oneof]:
                if other is not field:
                    self._drop(other.name)

    def _drop(self, name: str) -> None:
        dropped = self._values.pop(name, None)
        if isinstance(dropped, Message):
            object.__setattr__(dropped, "_parent", None)  # it lives on by itself

    def _touch(self) -> None:
        """Something was set here, so the message that holds this one holds it for good."""
        if self._parent is not None:
            parent, field = self._parent
            object.__setattr__(self, "_parent", None)
            parent._clear_oneof(field)
            parent._touch()

    SetInParent = _touch

    # --- what is set

    def _is_set(self, field: Field) -> bool:
        if field.name not in self._values:
            return False
        value = self._values[field.name]
        if isinstance(value, Message):
            return value._parent is None
        if isinstance(value, list | dict):
            return bool(value)
        return field.oneof is not None or bool(value) or _is_negative_zero(value)

    def ListFields(self) -> list[tuple[Field, Any]]:
        """The fields that are set, in the order of their numbers."""
        return [(f, self._values[f.name]) for f in self.DESCRIPTOR.fields if self._is_set(f)]

    def HasField(self, name: str) -> bool:
        """Whether a message, a member of a oneof, or any member of the oneof `name` is set."""
        if name in self.DESCRIPTOR.oneofs:
            return self.WhichOneof(name) is not None
        field = self.DESCRIPTOR.fields_by_name.get(name)
        if field is None:
            raise ValueError(self._no_field(name))
        if not field.has_presence:
            raise ValueError(f"Field {self.DESCRIPTOR.full_name}.{name} does not have presence.")
        return self._is_set(field)

    def WhichOneof(self, name: str) -> str | None:
        """The name of the set member of a oneof."""
        if name not in self.DESCRIPTOR.oneofs:
            raise ValueError(self._no_field(name))
        return next((f.name for f in self.DESCRIPTOR.oneofs[name] if self._is_set(f)), None)

    def ClearField(self, name: str) -> None:
        members = self.DESCRIPTOR.oneofs.get(name, ())
        if not members and name not in self.DESCRIPTOR.fields_by_name:
            raise ValueError(self._no_field(name))
        for field in [member.name for member in members] or [name]:
            self._drop(field)

    def Clear(self) -> None:
        for name in list(self._values):
            self._drop(name)
        object.__setattr__(self, "_unknown", b"")

    def IsInitialized(self) -> bool:
        return True

    # --- copies

    def MergeFrom(self, other: Message) -> None:
        """Take over what is set in `other`: lists are appended, messages merged."""
        if type(other) is not type(self):
            raise TypeError(
                "Parameter to MergeFrom() must be instance of same class: "
                f"expected {type(self).__name__} got {type(other).__name__}."
            )
        for field, value in other.ListFields():
            if field.is_scalar:
                self._clear_oneof(field)
                self._values[field.name] = value
            else:
                getattr(self, field.name).MergeFrom(value)
        object.__setattr__(self, "_unknown", self._unknown + other._unknown)
        self._touch()

    def CopyFrom(self, other: Message) -> None:
        if other is not self:
            if type(other) is not type(self):
                raise TypeError(
                    "Parameter to CopyFrom() must be instance of same class: "
                    f"expected {type(self).__name__} got {type(other).__name__}."
                )
            self.Clear()
            self.MergeFrom(other)

    def _copy(self) -> Any:
        copy = type(self)()
        copy.MergeFrom(self)
        return copy

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return self._copy()

    __copy__ = _copy

    def __reduce__(self) -> tuple[Any, ...]:
        return _from_bytes, (self.DESCRIPTOR.name, self.SerializeToString())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Message) or type(other) is not type(self):
            return NotImplemented
        return self.ListFields() == other.ListFields() and self._unknown == other._unknown

    def __str__(self) -> str:
        from anode.frontends.tensorflow.formats import text

        return text.MessageToString(self, as_str=True)

    __repr__ = __str__

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.DESCRIPTOR.fields_by_name]

    # --- bytes

    def SerializeToString(self, deterministic: bool | None = None) -> bytes:
        """The message's bytes, the same each time: fields by number, maps sorted by key."""
        parts = [_encode(field, value) for field, value in self.ListFields()]
        return b"".join((*parts, self._unknown))

    SerializePartialToString = SerializeToString

    def ByteSize(self) -> int:
        return len(self.SerializeToString())

    def ParseFromString(self, serialized: bytes) -> int:
        """Become the message whose bytes are given; damaged ones raise DecodeError."""
        self.Clear()
        return self.MergeFromString(serialized)

    def MergeFromString(self, serialized: bytes) -> int:
        """Add what the bytes hold; returns how many they were."""
        if not isinstance(serialized, bytes | bytearray | memoryview):
            raise TypeError(f"expected bytes, {type(serialized).__name__} found")
        try:
            _decode_into(self, memoryview(serialized).cast("B"), 1)
        except (DecodeError, UnicodeDecodeError) as error:
            raise DecodeError(
                f"Error parsing message with type '{self.DESCRIPTOR.full_name}': {error}"
            ) from None
        self._touch()
        return len(serialized)

    @classmethod
    def FromString(cls, serialized: bytes) -> Any:
        """The message whose bytes are given."""
        message = cls()
        message.MergeFromString(serialized)
        return message


def _is_negative_zero(value: Any) -> bool:
    return isinstance(value, float) and math.copysign(1, value) < 0


def _encode(field: Field, value: Any) -> bytes:
    if field.map_key is not None:
        return b"".join(_encode_entry(field, key, value[key]) for key in sorted(value))
    if field.packed:
        return wire.length_delimited(field.number, wire.encode_packed(field.kind, value))
    if field.repeated:
        return b"".join(_encode_one(field, item) for item in value)
    return _encode_one(field, value)


def _encode_entry(field: Field, key: Any, value: Any) -> bytes:
    entry = b"".join(map(_encode_one, field.entry, (key, value)))
    return wire.length_delimited(field.number, entry)


def _encode_one(field: Field, value: Any) -> bytes:
    kind = field.kind
    if kind == "message":
        return wire.length_delimited(field.number, value.SerializeToString())
    if kind == "string":
        return wire.length_delimited(field.number, value.encode())
    if kind == "bytes":
        return wire.length_delimited(field.number, value)
    encode = wire.encode_fixed if kind in schema.FIXED else wire.encode_number
    return wire.tag(field.number, field.wire_type) + encode(kind, value)


def _decode_into(message: Message, data: memoryview, depth: int) -> None:
    if depth > wire.MAX_DEPTH:
        raise DecodeError("messages are nested too deeply")
    by_number, at, unknown = message.DESCRIPTOR.fields_by_number, 0, []
    for number, wire_type, value, end in wire.fields(data):
        field = by_number.get(number)
        if field is None or not _decode_field(message, field, wire_type, value, depth):
            unknown.append(data[at:end])
        at = end
    if unknown:
        object.__setattr__(message, "_unknown", b"".join((message._unknown, *unknown)))


def _decode_field(message: Message, field: Field, wire_type: int, value: Any, depth: int) -> bool:
    """Whether the field could be read: its type on the wire may be another than its table's."""
    if wire_type != field.wire_type:
        if not (field.packed and wire_type == 2):
            return False
        list.extend(getattr(message, field.name), wire.decode_packed(field.kind, value))
    elif field.map_key is not None:
        _decode_entry(getattr(message, field.name), value, depth)
    elif field.repeated and field.kind == "message":
        _decode_into(getattr(message, field.name).add(), value, depth + 1)
    elif field.repeated:
        list.append(getattr(message, field.name), _decode_scalar(field, value))
    elif field.kind == "message":
        child = getattr(message, field.name)
        child._touch()
        _decode_into(child, value, depth + 1)
    else:
        message._clear_oneof(field)
        message._values[field.name] = _decode_scalar(field, value)
    return True


def _decode_scalar(field: Field, value: Any) -> Any:
    kind = field.kind
    if kind == "bytes":
        return bytes(value)
    if kind == "string":
        return str(value, "utf-8")
    return (wire.decode_fixed if kind in schema.FIXED else wire.decode_number)(kind, value)


def _decode_entry(entries: MapOf, data: memoryview, depth: int) -> None:
    key_field, value_field = entries._key, entries._value
    key: Any = key_field.default
    value: Any = value_field.default
    if value_field.kind == "message":
        value = message_class(value_field.type_name)()
    item: Any
    for number, wire_type, item, _ in wire.fields(data):
        if number == 1 and wire_type == key_field.wire_type:
            key = _decode_scalar(key_field, item)
        elif number == 2 and wire_type == value_field.wire_type:
            if isinstance(value, Message):
                _decode_into(value, item, depth + 2)
            else:
                value = _decode_scalar(value_field, item)
    dict.__setitem__(entries, key, value)


# --- classes -------------------------------------------------------------------------------------


class _MessageType(type):
    """The classes of messages: nested messages and the values of enumerations are attributes."""

    def __getattr__(cls, name: str) -> Any:
        full = cls.__dict__.get("_name")
        if full is not None and not name.startswith("_"):
            if f"{full}.{name}" in schema.message_names():
                return message_class(f"{full}.{name}")
            if f"{full}.{name}" in schema.enum_names():
                return Enum(f"{full}.{name}")
            for enum in schema.enum_names():
                if enum.rpartition(".")[0] == full and name in schema.enum(enum):
                    return schema.enum(enum)[name]
            field = schema.descriptor(full).fields_by_name.get(
                name.removesuffix("_FIELD_NUMBER").lower()
            )
            if field is not None and name.endswith("_FIELD_NUMBER"):
                return field.number
        raise AttributeError(f"type object '{cls.__name__}' has no attribute '{name}'")


@cache
def message_class(name: str) -> type[Any]:
    """The class of a message such as "NodeDef" or "Summary.Value"; KeyError if no table has it."""
    descriptor = schema.descriptor(name)
    short = name.rpartition(".")[2]
    content = {
        "DESCRIPTOR": descriptor,
        "_name": name,
        "__slots__": (),
        "__doc__": f"The message {descriptor.full_name}.",
        "__qualname__": name,
    }
    return _MessageType(short, (Message,), content)


def _from_bytes(name: str, data: bytes) -> Message:
    return message_class(name).FromString(data)

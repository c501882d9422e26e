"""tf.Example and tf.SequenceExample bytes to plain lists, without making messages of them."""

from __future__ import annotations

from anode.frontends.tensorflow.formats import wire
from anode.frontends.tensorflow.formats.wire import DecodeError

Values = list[bytes] | list[float] | list[int]
_KINDS = {1: "bytes", 2: "float", 3: "int64"}  # numbers of Feature's members


def decode_example(data: bytes) -> dict[str, Values]:
    """The features of an Example: bytes, floats or ints by name; a feature of no kind is [].

    Damaged bytes raise DecodeError.
    """
    out: dict[str, Values] = {}
    try:
        for features in _members(memoryview(data), 1):
            out.update(_features(features))
    except UnicodeDecodeError as error:
        raise DecodeError(f"a feature's name is not text: {error}") from None
    return out


def decode_sequence_example(data: bytes) -> tuple[dict[str, Values], dict[str, list[Values]]]:
    """The context, and for each feature list its steps."""
    context: dict[str, Values] = {}
    lists: dict[str, list[Values]] = {}
    try:
        for features in _members(memoryview(data), 1):
            context.update(_features(features))
        for feature_lists in _members(memoryview(data), 2):
            for entry in _members(feature_lists, 1):
                key, steps = _entry(entry)
                lists[key] = [_feature(step) for step in _members(steps, 1)]
    except UnicodeDecodeError as error:
        raise DecodeError(f"a feature's name is not text: {error}") from None
    return context, lists


def _members(data: memoryview, number: int) -> list[memoryview]:
    """The contents of each field of this number; others are passed over."""
    return [
        value
        for found, wire_type, value, _ in wire.fields(data)
        if found == number and wire_type == 2 and not isinstance(value, int)
    ]


def _features(data: memoryview) -> dict[str, Values]:
    entries = (_entry(entry) for entry in _members(data, 1))
    return {key: _feature(value) for key, value in entries}


def _entry(data: memoryview) -> tuple[str, memoryview]:
    """Key and value of a map's entry."""
    key, value = memoryview(b""), memoryview(b"")
    for number, wire_type, content, _ in wire.fields(data):
        if wire_type == 2 and not isinstance(content, int):
            if number == 1:
                key = content
            elif number == 2:
                value = content
    return str(key, "utf-8"), value


def _feature(data: memoryview) -> Values:
    """The values of the member that comes last, as it is the one that counts."""
    values: Values = []
    for number, wire_type, content, _ in wire.fields(data):
        if number in _KINDS and wire_type == 2 and not isinstance(content, int):
            values = _list(_KINDS[number], content)
    return values


def _list(kind: str, data: memoryview) -> Values:
    if kind == "bytes":
        return [bytes(value) for value in _members(data, 1)]
    values: list[float] = []
    for number, wire_type, content, _ in wire.fields(data):
        if number != 1:
            continue
        if wire_type == 2 and not isinstance(content, int):
            values.extend(wire.decode_packed(kind, content))
        elif kind == "float" and wire_type == 5 and not isinstance(content, int):
            values.append(wire.decode_fixed(kind, content))
        elif kind == "int64" and isinstance(content, int):
            values.append(wire.decode_number(kind, content))
    return values

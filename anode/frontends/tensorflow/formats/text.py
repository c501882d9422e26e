"""Protobuf's text format: messages printed and parsed (`checkpoint` files, .pbtxt graphs)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from anode.errors import DataError
from anode.frontends.tensorflow.formats import schema
from anode.frontends.tensorflow.formats.message import MapOf, Message, message_class
from anode.frontends.tensorflow.formats.schema import Field
from anode.frontends.tensorflow.formats.wire import MAX_DEPTH


class ParseError(DataError):
    """Text that is not the message it should be."""


# --- printing ------------------------------------------------------------------------------------


def MessageToString(message: Message, as_str: bool = False, **options: Any) -> str:
    """The message as text, a field a line; `as_str` prints whole numbers as `str(message)` does.

    `float_format=""` is accepted as TensorFlow passes it; other options raise TypeError.
    """
    if any(value for value in options.values()) or set(options) - {"float_format", "as_utf8"}:
        raise TypeError(f"MessageToString does not support {', '.join(sorted(options))}")
    return "".join(f"{line}\n" for line in _message_lines(message, "", as_str))


def _message_lines(message: Message, indent: str, short: bool) -> Iterator[str]:
    for field, value in message.ListFields():
        if field.map_key is not None:
            for key in sorted(value):
                yield f"{indent}{field.name} {{"
                for part, item in zip(field.entry, (key, value[key]), strict=True):
                    yield from _field_lines(part, item, indent + "  ", short)
                yield indent + "}"
        elif field.repeated:
            for item in value:
                yield from _field_lines(field, item, indent, short)
        else:
            yield from _field_lines(field, value, indent, short)


def _field_lines(field: Field, value: Any, indent: str, short: bool) -> Iterator[str]:
    if field.kind == "message":
        yield f"{indent}{field.name} {{"
        yield from _message_lines(value, indent + "  ", short)
        yield indent + "}"
    else:
        yield f"{indent}{field.name}: {_scalar_text(field, value, short)}"


def _scalar_text(field: Field, value: Any, short: bool) -> str:
    if field.kind in ("string", "bytes"):
        return f'"{_escaped(value)}"'
    if field.kind == "bool":
        return "true" if value else "false"
    if field.kind == "enum":
        return schema.enum_value_names(field.type_name).get(value, str(value))
    if field.kind in ("float", "double"):
        text = str(float(str(np.float32(value)))) if field.kind == "float" else repr(value)
        return text.removesuffix(".0") if short else text
    return str(value)


_ESCAPES = {9: "\\t", 10: "\\n", 13: "\\r", 34: '\\"', 39: "\\'", 92: "\\\\"}


def _escaped(value: str | bytes) -> str:
    """Quotable text: bytes that do not print as octal; text beyond ASCII stays as it is."""
    codes = map(ord, value) if isinstance(value, str) else iter(value)
    beyond = isinstance(value, str)
    return "".join(
        _ESCAPES.get(code)
        or (chr(code) if 32 <= code < 127 or (beyond and code > 127) else f"\\{code:03o}")
        for code in codes
    )


# --- parsing -------------------------------------------------------------------------------------

_TOKEN = re.compile(
    r"""(?:\s|\#[^\n]*)*(?:(?P<name>[A-Za-z_][\w.]*)|(?P<number>[-+]?[\d.][\w.+-]*)"""
    r"""|(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')|(?P<mark>[][{}<>:;,/-])|(?P<end>$))"""
)
_BOOLS = {"true": True, "t": True, "1": True, "True": True}
_BOOLS |= {"false": False, "f": False, "0": False, "False": False}


def Merge(text: str | bytes, message: Any) -> Any:
    """Add what `text` says to `message`, which is returned; ParseError names the line."""
    try:
        parser = _Parser(text.decode() if isinstance(text, bytes) else text)
    except UnicodeDecodeError as error:
        raise ParseError(f"not UTF-8: {error}") from None
    parser.fields(message, "end", 1)
    return message


Parse = Merge


class _Parser:
    """The tokens of a text, one ahead."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self.kind, self.token = "", ""
        self.advance()

    def advance(self) -> str:
        """The current token; the next becomes current."""
        token, match = self.token, _TOKEN.match(self._text, self._at)
        if match is None:
            raise self.error("a character that does not belong here")
        self.kind, self._at = match.lastgroup or "end", match.end()
        self.token = match.group(self.kind)
        return token

    def error(self, what: str) -> ParseError:
        line = self._text.count("\n", 0, self._at) + 1
        return ParseError(f"line {line}: {what}")

    def take(self, *tokens: str) -> bool:
        found = self.kind == "mark" and self.token in tokens
        if found:
            self.advance()
        return found

    def fields(self, message: Any, close: str, depth: int) -> None:
        """The fields up to the mark `close`, or to the end."""
        if depth > MAX_DEPTH:
            raise self.error("messages are nested too deeply")
        while not (self.kind == "end" if close == "end" else self.take(close)):
            if self.kind != "name":
                raise self.error(f"expected a field's name, found {self.token!r}")
            name = self.advance()
            field = message.DESCRIPTOR.fields_by_name.get(name)
            if field is None:
                raise self.error(
                    f'Message type "{message.DESCRIPTOR.full_name}" has no field named "{name}".'
                )
            self.field(message, field, depth)
            self.take(",", ";")

    def field(self, message: Any, field: Field, depth: int) -> None:
        colon = self.take(":")
        if not colon and field.kind != "message" and field.map_key is None:
            raise self.error(f"expected ':' after {field.name}")
        if (field.repeated or field.map_key is not None) and self.take("["):
            while not self.take("]"):
                self.value(message, field, depth)
                self.take(",")
        else:
            self.value(message, field, depth)

    def value(self, message: Any, field: Field, depth: int) -> None:
        if field.map_key is not None:
            self.entry(getattr(message, field.name), field, depth)
        elif field.kind == "message":
            value = getattr(message, field.name)
            child = value.add() if field.repeated else value
            child._touch()
            self.braces(child, depth)
        elif field.repeated:
            getattr(message, field.name).append(self.scalar(field))
        else:
            setattr(message, field.name, self.scalar(field))

    def braces(self, message: Any, depth: int) -> None:
        close = "}" if self.token == "{" else ">"
        if not self.take("{", "<"):
            raise self.error(f"expected '{{', found {self.token!r}")
        self.fields(message, close, depth + 1)

    def entry(self, entries: MapOf, field: Field, depth: int) -> None:
        """One entry of a map, a message of key and value."""
        pair = _Entry(field)
        self.braces(pair, depth)
        if isinstance(pair.value, Message):
            entries[pair.key].CopyFrom(pair.value)
        else:
            entries[pair.key] = pair.value

    def scalar(self, field: Field) -> Any:
        """A value of the field's kind."""
        kind = field.kind
        if kind in ("string", "bytes"):
            data = self.string()
            return data.decode() if kind == "string" else data
        minus = "-" if self.take("-") else ""
        if self.kind not in ("name", "number"):
            raise self.error(f"expected a value of {field.name}, found {self.token!r}")
        word = minus + self.advance()
        try:
            if kind == "bool":
                return _BOOLS[word]
            if kind in ("float", "double"):
                return float(word.removesuffix("f") if word[-3:] != "inf" else word)
            return schema.enum(field.type_name)[word] if _is_label(kind, word) else int(word, 0)
        except (KeyError, ValueError):
            raise self.error(f"{word!r} is no {kind} for {field.name}") from None

    def string(self) -> bytes:
        """Neighbouring strings are one."""
        if self.kind != "string":
            raise self.error(f"expected a string, found {self.token!r}")
        parts = []
        while self.kind == "string":
            raw = self.advance()[1:-1].encode()
            try:
                parts.append(raw.decode("unicode_escape").encode("latin-1"))
            except ValueError as error:
                raise self.error(f"a string that does not read: {error}") from None
        return b"".join(parts)


def _is_label(kind: str, word: str) -> bool:
    return kind == "enum" and not word.lstrip("-").isdigit()


class _Entry:
    """A map's entry while it is parsed."""

    def __init__(self, field: Field) -> None:
        key, value = field.entry
        self.DESCRIPTOR = schema.Descriptor(f"{field.name}Entry", (key, value))
        self.key: Any = key.default
        self.value: Any = value.default
        if value.kind == "message":
            self.value = message_class(value.type_name)()

"""The messages by name: `proto.GraphDef`, `proto.DataType`; each is made when first asked for."""

from __future__ import annotations

from typing import Any

from anode.frontends.tensorflow.formats import schema
from anode.frontends.tensorflow.formats.message import Message, message_class
from anode.frontends.tensorflow.formats.values import Enum
from anode.frontends.tensorflow.formats.wire import DecodeError


def __getattr__(name: str) -> Any:
    if name in schema.message_names():
        return message_class(name)
    if name in schema.enum_names():
        return Enum(name)
    raise AttributeError(f"no message is named {name!r}")


__all__ = ["DecodeError", "Message"]

"""What an op is to the graph: a name, a type rule, and nothing about how it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from anode.errors import UnsupportedOp
from anode.ir.types import Type

if TYPE_CHECKING:
    from anode.ir.node import Node


class Op:
    """A named operation. `anode.ops.declare` makes them; each is registered once, under its name.

    `infer(types, attrs)` is the type rule: the operands' types and the canonical attributes give the
    result's type, or raise ShapeError. Calling an op builds a node.
    """

    name: str

    def __init__(self, name: str) -> None:
        if name in registry:
            raise UnsupportedOp(f"the op {name!r} is declared twice")
        self.name = name
        registry[name] = self

    def infer(self, types: tuple[Type, ...], attrs: dict[str, Any]) -> Type:
        raise NotImplementedError(f"{self.name} has no type rule")

    def __call__(self, *args: Any, **attrs: Any) -> Node:
        raise NotImplementedError

    def __repr__(self) -> str:
        return self.name


registry: dict[str, Op] = {}


def op_named(name: str) -> Op:
    """The op registered under `name`; an unknown one raises UnsupportedOp with the nearest names."""
    try:
        return registry[name]
    except KeyError:
        from difflib import get_close_matches

        near = get_close_matches(name, registry, n=3)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise UnsupportedOp(f"there is no op {name!r}{hint}") from None

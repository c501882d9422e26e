"""What an op is to the graph: a name, a type rule, and nothing about how it runs."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import Parameter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from anode.errors import GraphError, UnsupportedOp
from anode.ir.types import Type

if TYPE_CHECKING:
    from anode.ir.node import Node

REQUIRED = Parameter.empty


class Op:
    """A named operation. `anode.ops.declare` makes them; each is registered once, under its name.

    `infer(types, attrs)` is the type rule: the operands' types and the canonical attributes give
    the result's type, or raise ShapeError. Calling an op builds a node. `operands` are their names
    (the last one stands for any number if `variadic`), `attributes` maps names to defaults, with
    `REQUIRED` for none.
    """

    name: str
    operands: tuple[str, ...] = ()
    variadic: bool = False
    attributes: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, name: str) -> None:
        if name in registry:
            raise UnsupportedOp(f"the op {name!r} is declared twice")
        self.name = name
        registry[name] = self

    def infer(self, types: tuple[Type, ...], attrs: dict[str, Any]) -> Type:
        raise NotImplementedError(f"{self.name} has no type rule")

    def complete(self, count: int, attrs: Mapping[str, Any]) -> dict[str, Any]:
        """Canonical `attrs` in the declared order with defaults, for `count` operands."""
        if count != len(self.operands) and not (self.variadic and count >= len(self.operands) - 1):
            raise GraphError(
                f"{self.name} takes {self.operands or 'no operands'}, not {count} of them"
            )
        full = {name: attrs.get(name, default) for name, default in self.attributes.items()}
        missing = [name for name, value in full.items() if value is REQUIRED]
        if missing or not attrs.keys() <= full.keys():
            raise GraphError(f"{self.name} has the attributes {list(full)}, not {list(attrs)}")
        return full

    def __call__(self, *args: Any, **attrs: Any) -> Node:
        raise NotImplementedError

    def __repr__(self) -> str:
        return self.name


registry: dict[str, Op] = {}


def op_named(name: str) -> Op:
    """The op registered under `name`; if there is none, UnsupportedOp names the nearest ones."""
    try:
        return registry[name]
    except KeyError:
        from difflib import get_close_matches

        near = get_close_matches(name, registry, n=3)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise UnsupportedOp(f"there is no op {name!r}{hint}") from None

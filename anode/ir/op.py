"""What an op is to the graph: a name, a type rule, and nothing about how it runs."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import Parameter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from anode.errors import ShapeError, UnsupportedOp
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

    def infer(self, types: tuple[Type, ...], attrs: Mapping[str, Any]) -> Type:
        raise NotImplementedError(f"{self.name} has no type rule")

    def check_count(self, count: int) -> None:
        """Raise ShapeError unless the op takes `count` operands."""
        few = len(self.operands) - 1 if self.variadic else len(self.operands)
        if count < few or (count > few and not self.variadic):
            names = ", ".join(self.operands) or "no operands"
            raise ShapeError(f"{self.name} takes {names}; got {count} operands")

    def complete(self, types: tuple[Type, ...], attrs: Mapping[str, Any]) -> dict[str, Any]:
        """Canonical attributes, in the declared order with defaults, for operands of `types`."""
        full = {**self.attributes, **attrs}
        if len(full) > len(self.attributes):
            unknown, known = attrs.keys() - self.attributes.keys(), ", ".join(self.attributes)
            raise UnsupportedOp(
                f"{self.name} has no attribute {', '.join(sorted(unknown))}; it has "
                + (known or "none")
            )
        if REQUIRED in full.values():
            name = next(name for name, value in full.items() if value is REQUIRED)
            raise ShapeError(f"{self.name} needs the attribute {name}")
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

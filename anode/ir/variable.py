"""Variables describe state; a `State` holds their values, a graph reads and updates them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from anode.errors import ShapeError
from anode.ir.types import TensorType

if TYPE_CHECKING:
    from anode.ir.graph import Graph


@dataclass(frozen=True)
class Variable:
    """A descriptor of one piece of state; two descriptors with equal fields are the same variable.

    `init` is a closed graph from a random key (u32[4]) to the initial value, or None where the
    value must be given. `collections` are names to select by ("weights", "optimizer", …).
    """

    name: str
    type: TensorType
    init: Graph | None = None
    trainable: bool = True
    collections: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.type.is_static:
            raise ShapeError(f"the variable {self.name} needs sizes, not {self.type}")

    def __repr__(self) -> str:
        return f"Variable({self.name}: {self.type})"

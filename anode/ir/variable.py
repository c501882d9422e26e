"""Variables describe state; a `State` holds their values, a graph reads and updates them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
    order: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not self.type.is_static:
            raise ShapeError(f"the variable {self.name} needs sizes, not {self.type}")

    @property
    def logical(self) -> Variable:
        """The variable as graphs are written with it."""
        return (
            self if self.order is None else replace(self._turned(inverse(self.order)), order=None)
        )

    def stored(self, order: Sequence[int]) -> Variable:
        """The same state with its dims in another order: dim i is dim `order[i]` of this one."""
        before = self.order or range(self.type.rank)
        places = tuple([before[d] for d in order])
        in_order = places == tuple(range(len(places)))
        return replace(self._turned(order), order=None if in_order else places)

    def _turned(self, order: Sequence[int]) -> Variable:
        sizes = tuple([self.type.shape[d] for d in order])
        return replace(self, type=self.type.with_shape(sizes))

    def __repr__(self) -> str:
        return f"Variable({self.name}: {self.type})"


def inverse(order: tuple[int, ...]) -> tuple[int, ...]:
    """The permutation that undoes another one."""
    return tuple(sorted(range(len(order)), key=order.__getitem__))

"""What a pass did and what it refused: data that reports, `explain` and tests read."""

from __future__ import annotations

from dataclasses import dataclass, field

from anode.ir.node import Node


@dataclass(frozen=True)
class Hit:
    """A rule that applied at a node, and what it made of it."""

    rule: str
    node: Node
    note: str = ""


@dataclass(frozen=True)
class Miss:
    """A rule that was tried at a node and refused, with the reason in plain words."""

    rule: str
    node: Node
    reason: str


@dataclass
class Trace:
    """One pass over one graph: its hits and misses, seconds, and node counts before and after."""

    name: str
    hits: list[Hit] = field(default_factory=list)
    misses: list[Miss] = field(default_factory=list)
    seconds: float = 0.0
    nodes: tuple[int, int] = (0, 0)

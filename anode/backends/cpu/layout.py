"""What running a program's code needs to know, apart from how the code was made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Layout:
    """What running a program's code needs to know; plain numbers, kept beside the code on disk.

    Places are positions in the table of addresses. `temporaries` pairs a place with an offset in
    the arena, `variables` a place with a position in `graph.variables` and the order in which its
    dims are stored; `arena`, `control` and `scratch` are bytes, scratch for all threads.
    `calls_host`: some steps run in Python. `calls` are the attributes of the convolutions that
    oneDNN computes.
    """

    places: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    variables: tuple[tuple[int, ...], ...]
    temporaries: tuple[tuple[int, int], ...]
    arena: int
    control: int
    scratch: int
    calls_host: bool
    calls: tuple[Mapping[str, Any], ...] = ()

    def facts(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def of(facts: Mapping[str, Any]) -> Layout:
        """The layout that `facts` were made of, as JSON gives them back."""
        pairs = {key: tuple(map(tuple, facts[key])) for key in ("variables", "temporaries")}
        lists = {key: tuple(facts[key]) for key in ("inputs", "outputs", "calls")}
        return Layout(**{**facts, **pairs, **lists})

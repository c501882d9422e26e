"""Selection: what a selector found, which prints as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from anode.rewrite.select import Element, Tree

MOST_ROWS = 60  # of a printed table
HEADS = ("name", "what", "type", "line", "note")


class Selection:
    """The things that `selector` found in a tree: a sequence of nodes, layers and variables.

    `elements` are the same as elements, which know their names, types and attributes.
    """

    def __init__(self, selector: str, tree: Tree, elements: Sequence[Element]) -> None:
        self.selector, self.tree, self.elements = selector, tree, tuple(elements)

    def __iter__(self) -> Iterator[Any]:
        return (element.subject for element in self.elements)

    def __len__(self) -> int:
        return len(self.elements)

    def __getitem__(self, index: int) -> Any:
        return self.elements[index].subject

    def __contains__(self, subject: object) -> bool:
        return any(element.subject is subject for element in self.elements)

    @property
    def names(self) -> list[str]:
        """The names of what was found, "" for what has none."""
        return [element.name for element in self.elements]

    def __repr__(self) -> str:
        rows = [_row(element) for element in self.elements[:MOST_ROWS]]
        heads = HEADS if any(row[-1] for row in rows) else (*HEADS[:-1], "")
        widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
        lines = [
            "  ".join(map(str.ljust, row, widths)).rstrip()
            for row in ((heads, *rows) if rows else ())
        ]
        if left := len(self) - len(rows):
            lines.append(f"… and {left} more")
        return "\n".join([f"{len(self)} found by {self.selector}", *lines])


def _row(element: Element) -> tuple[str, ...]:
    facts = element.attributes
    file = str(facts.get("file", "")).rpartition("/")[2]
    line = f"{file}:{facts['line']}" if file else ""
    what = element.label or next(iter(element.types), "")
    return element.name, what, str(facts.get("type", "")), line, str(facts.get("note", ""))

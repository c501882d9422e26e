"""Diagrams of graphs and models, as SVG and as text for Graphviz, with what was selected marked.

`draw(model.select("convolution")).save("model.svg")`. A model is drawn by its layers, each with
those made with it; a graph by its nodes. The layout is our own; Graphviz is not needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from os import PathLike
from pathlib import Path
from typing import Any

from anode.errors import UnsupportedOp
from anode.frontends.layers.layers import Layer
from anode.inspect.drawing import MOST_NODES, Drawing, draw_layers, places
from anode.inspect.html import write
from anode.ir.graph import Graph
from anode.ir.node import CONSTANT, Node
from anode.rewrite.select import Element, Tree
from anode.rewrite.selection import Selection

WIDE, HIGH = 168, 46  # pixels of a box
ACROSS, DOWN = 190, 84  # from one to the next
LETTERS = 28  # of a line in a box
MARGIN = 20
STYLE = (
    "text{font:11px system-ui,sans-serif;fill:#1f2933;text-anchor:middle}"
    ".type{fill:#7b8794;font-size:10px}"
    "rect{fill:#f5f7fa;stroke:#9aa5b1;rx:5}"
    ".input rect,.variable rect,.constant rect{fill:#fff;stroke-dasharray:3 2}"
    ".marked rect{fill:#fde68a;stroke:#b45309;stroke-width:2}"
    "path{fill:none;stroke:#9aa5b1}"
)


@dataclass(frozen=True)
class Part:
    """A box of a diagram: its heading, a line below, what is told about it, and its kind."""

    heading: str
    type: str
    about: str = ""
    kind: str = ""
    marked: bool = False


@dataclass(frozen=True)
class Diagram:
    """Boxes, and arrows between them as pairs of their numbers, from lower to higher ones."""

    title: str
    parts: tuple[Part, ...]
    edges: tuple[tuple[int, int], ...]

    @property
    def dot(self) -> str:
        """The diagram as text for Graphviz."""
        lines = [f"digraph {_quoted(self.title)} {{", "  node [shape=box, style=rounded];"]
        for i, part in enumerate(self.parts):
            label = "\\n".join(map(_dot_text, filter(None, (part.heading, part.type))))
            facts = f'label="{label}", tooltip={_quoted(part.about)}'
            marks = ', style="rounded,filled", fillcolor="#fde68a"' * part.marked
            lines.append(f"  n{i} [{facts}{marks}];")
        lines += [f"  n{a} -> n{b};" for a, b in self.edges]
        return "\n".join([*lines, "}"]) + "\n"

    @property
    def svg(self) -> str:
        """The diagram as a picture that needs nothing else."""
        at = places(len(self.parts), self.edges)
        left = min((x for x, _ in at), default=0.0)
        top = min((y for _, y in at), default=0.0)
        spots = [
            (MARGIN + (x - left) * ACROSS + WIDE / 2, MARGIN + (y - top) * DOWN) for x, y in at
        ]
        width = max((x for x, _ in spots), default=0.0) + WIDE / 2 + MARGIN
        height = max((y for _, y in spots), default=0.0) + HIGH + MARGIN
        size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size}>',
            f"<title>{_xml(self.title)}</title><style>{STYLE}</style>",
            '<defs><marker id="tip" viewBox="0 0 6 6" refX="6" refY="3" markerWidth="6" '
            'markerHeight="6" orient="auto"><path d="M0 0L6 3L0 6z" style="fill:#9aa5b1"/>'
            "</marker></defs>",
            *(_arrow(spots[a], spots[b]) for a, b in self.edges),
            *(_box(part, spot) for part, spot in zip(self.parts, spots, strict=True)),
            "</svg>",
        ]
        return "\n".join(lines) + "\n"

    def save(self, path: str | PathLike[str]) -> None:
        """Write the file; its ending, .svg, .dot or .gv, says as what."""
        ending = Path(path).suffix.lower()
        if ending not in (".svg", ".dot", ".gv"):
            raise UnsupportedOp(f"{path}: a diagram is written as .svg, .dot or .gv")
        write(path, self.svg if ending == ".svg" else self.dot)

    def _repr_svg_(self) -> str:
        return self.svg


def draw(what: Any, select: str | None = None, *, marked: bool = True) -> Diagram:
    """The diagram of a graph, a built model, or what was selected in one, which is marked.

    `select` selects in a graph or a model first. Where single ops of a model are selected, its ops
    are drawn. A graph of very many nodes is drawn by layers. Without `marked` nothing is marked.
    """
    if isinstance(what, Graph) and select is None and len(what.nodes) > MOST_NODES:
        return _of_drawing(draw_layers(what))
    if not isinstance(what, Selection):
        if not hasattr(what, "select"):
            raise UnsupportedOp(f"draw takes a graph, a model or a selection, not {what!r}")
        whole = "*" if isinstance(what, Graph) else "layer"
        title = str(getattr(what, "name", "graph"))
        return (
            _of_tree(what.select(whole), title, ())
            if select is None
            else draw(what.select(select), marked=marked)
        )
    return _of_tree(what, str(what.selector), what.elements if marked else ())


def _of_tree(found: Selection, title: str, marked: Sequence[Element]) -> Diagram:
    """By layers, where there are any and no single op was selected; else by nodes."""
    layers = any(_is_layer(element) for element in found.tree.elements)
    if layers and not any(isinstance(element.subject, Node) for element in marked):
        return _Layers(found.tree).diagram(marked, title)
    return _of_nodes(found.tree, marked, title)


def _of_nodes(tree: Tree, marked: Iterable[Element], title: str) -> Diagram:
    shown = [e for e in tree.elements if not _is_layer(e) and not _is_number(e.subject)]
    numbers = {element: i for i, element in enumerate(shown)}
    edges = [
        (numbers[source], i)
        for element, i in numbers.items()
        for source in dict.fromkeys(element.before)
        if source in numbers
    ]
    chosen = set(marked)
    parts = [_part(e, e.name or e.label, e in chosen) for e in shown]
    return _ordered(title, parts, edges)


def _ordered(title: str, parts: Sequence[Part], edges: Iterable[tuple[int, int]]) -> Diagram:
    """The diagram with its boxes numbered so that arrows lead from lower numbers to higher."""
    sources: dict[int, set[int]] = {i: set() for i in range(len(parts))}
    for a, b in edges:
        if a != b:
            sources[b].add(a)
    order: dict[int, None] = {}
    stack = list(reversed(range(len(parts))))
    opened: set[int] = set()
    while stack:
        i = stack[-1]
        waiting = [] if i in opened else sorted(s for s in sources[i] if s not in order)
        opened.add(i)
        if waiting:
            stack += reversed(waiting)
        else:
            order.setdefault(stack.pop())
    number = {old: new for new, old in enumerate(order)}
    arrows = sorted((number[a], number[b]) for b in sources for a in sources[b])
    forward = tuple((a, b) for a, b in arrows if a < b)
    return Diagram(title, tuple(parts[i] for i in order), forward)


class _Layers:
    """A model's layers as boxes: those made with another one are in its box.

    A layer that only holds others has no box; one that also joins them has, after them.
    """

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        layers = [element for element in tree.elements if _is_layer(element)]
        self.box = {e: e.inside if e.inside and _is_part(e) else e for e in layers}
        self.inner: dict[Element, list[Element]] = {}
        self.works: set[Element] = set()
        for element in tree.elements:
            if element.inside is None:
                continue
            if isinstance(element.subject, Node):
                self.works.add(element.inside)
            elif _is_layer(element) and not _is_part(element):
                self.inner.setdefault(element.inside, []).append(element)
        self.shown = [
            e for e in layers if self.box[e] is e and (e not in self.inner or e in self.works)
        ]

    def diagram(self, marked: Iterable[Element], title: str) -> Diagram:
        numbers = {element: i for i, element in enumerate(self.shown)}
        chosen = {box for e in marked for box in self._boxes_of(e)}
        edges = [(numbers[s], i) for e, i in numbers.items() for s in self._sources(e)]
        parts = [_part(e, self._heading(e), e in chosen) for e in self.shown]
        return _ordered(title, parts, edges)

    def _boxes_of(self, element: Element) -> Iterator[Element]:
        """The boxes that stand for an element: its own, its layer's, or those inside it."""
        if element in self.box:
            box = self.box[element]
            if box in self.shown:
                yield box
            else:
                for inner in self.inner.get(box, ()):
                    yield from self._boxes_of(inner)
        elif element.inside is not None:
            yield self.box[element.inside]

    def _sources(self, element: Element) -> list[Element]:
        if element in self.inner:
            return self._ends(element)
        before = [self.box[source] for source in element.before]
        joins = {source for source in before if source in self.inner and source in self.shown}
        return [s for s in before if s in self.shown and joins.isdisjoint(s.ancestors)]

    def _ends(self, holder: Element) -> list[Element]:
        """The layers inside a layer that no other one inside it takes."""
        inner = self.inner[holder]
        taken = {self.box[source] for element in inner for source in element.before}
        ends = [element for element in inner if element not in taken]
        return [end for e in ends for end in ([e] if e in self.shown else self._ends(e))]

    def _heading(self, element: Element) -> str:
        made_with = [
            str(e.attributes.get("transform", e.label))
            for e, box in self.box.items()
            if box is element and e is not element
        ]
        return ", ".join([str(element.attributes.get("transform", element.label)), *made_with])


def _is_layer(element: Element) -> bool:
    return isinstance(element.subject, Layer)


def _is_part(element: Element) -> bool:
    return getattr(element.subject, "part_of", None) is not None and element.inside is not None


def _part(element: Element, heading: str, marked: bool) -> Part:
    facts: Mapping[str, Any] = element.attributes
    file = str(facts.get("file", ""))
    line = f"{file}:{facts['line']}" if file else ""
    kind = "" if _is_layer(element) else next(iter(element.types), "")
    type = str(facts.get("type", ""))
    about = ", ".join(filter(None, (heading, element.name, type, line)))
    below = f"{element.name.rpartition('.')[2]} {type}" if _is_layer(element) else type
    return Part(heading, below, about, str(kind), marked)


def _of_drawing(drawing: Drawing) -> Diagram:
    parts = [Part(b.label, "", f"{b.type} {b.origin}", b.kind) for b in drawing.boxes]
    return _ordered("graph", parts, drawing.edges)


def _is_number(subject: Any) -> bool:
    return isinstance(subject, Node) and subject.op is CONSTANT and subject.tensor.size == 1


def _quoted(text: str) -> str:
    return f'"{_dot_text(text)}"'


def _dot_text(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _xml(text: str) -> str:
    printable = "".join(c if c.isprintable() else " " for c in text)
    return escape(printable)


def _cut(text: str) -> str:
    return text if len(text) <= LETTERS else text[: LETTERS - 1] + "…"


def _arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    (x1, y1), (x2, y2) = (start[0], start[1] + HIGH), end
    middle = (y1 + y2) / 2
    curve = f"M{x1:.1f} {y1:.1f}C{x1:.1f} {middle:.1f} {x2:.1f} {middle:.1f} {x2:.1f} {y2:.1f}"
    return f'<path d="{curve}" marker-end="url(#tip)"/>'


def _box(part: Part, spot: tuple[float, float]) -> str:
    x, y = spot
    classes = " ".join(filter(None, (part.kind, "marked" * part.marked)))
    corner = f'x="{x - WIDE / 2:.1f}" y="{y:.1f}" width="{WIDE}" height="{HIGH}"'
    return (
        f'<g class="{_xml(classes)}"><title>{_xml(part.about)}</title><rect {corner}/>'
        f'<text x="{x:.1f}" y="{y + 19:.1f}">{_xml(_cut(part.heading))}</text>'
        f'<text class="type" x="{x:.1f}" y="{y + 35:.1f}">{_xml(_cut(part.type))}</text></g>'
    )

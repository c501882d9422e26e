"""Where a graph's nodes go on a page: a layered drawing, and the same with layers as single boxes.

Nodes stand in rows by their distance from the inputs; within a row, a few sweeps move each to the
mean place of its neighbours (Sugiyama's method). Coordinates count boxes: a page scales them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from anode.ir.graph import Graph
from anode.ir.node import CONSTANT, ITEM, Node
from anode.passes.kernel import KERNEL

SWEEPS = 4
MOST_NODES = 4000  # of a drawing in full; beyond it only the layers are drawn


@dataclass(frozen=True)
class Box:
    """A node, or all nodes of one line of the user's: what it shows, and its place."""

    label: str
    kind: str
    type: str
    origin: str
    x: float
    y: float


@dataclass(frozen=True)
class Drawing:
    """Boxes, and the edges between them as pairs of their numbers."""

    boxes: tuple[Box, ...]
    edges: tuple[tuple[int, int], ...]


def draw(graph: Graph) -> Drawing:
    """Every node that is more than a number or a pick from several results."""
    nodes = [node for node in graph.nodes if not _is_small(node)]
    numbers = {node: i for i, node in enumerate(nodes)}
    edges = [
        (numbers[source], numbers[node])
        for node in nodes
        for source in dict.fromkeys(map(_source, node.args))
        if source in numbers
    ]
    places = _places(len(nodes), edges)
    boxes = [
        Box(_label(node), node.op.name, str(node.type), str(node.origin or ""), *place)
        for node, place in zip(nodes, places, strict=True)
    ]
    return Drawing(tuple(boxes), tuple(edges))


def draw_layers(graph: Graph) -> Drawing:
    """One box for all nodes that come from one line of the user's: a layer, as a rule."""
    nodes = [node for node in graph.nodes if not _is_small(node)]
    origins = list(dict.fromkeys(str(node.origin or "") for node in nodes))
    numbers = {origin: i for i, origin in enumerate(origins)}
    home = {node: numbers[str(node.origin or "")] for node in nodes}
    edges = {
        (home[source], home[node])
        for node in nodes
        for source in map(_source, node.args)
        if source in home and home[source] != home[node]
    }
    forward = [(a, b) for a, b in edges if a < b]  # the way back, of gradients, bends no rows
    places = _places(len(origins), forward)
    members = Counter((home[node], node.op.name) for node in nodes)
    boxes = [
        Box(
            _layer(origin, [node for node in nodes if home[node] == i]),
            "layer",
            ", ".join(
                f"{name} × {times}" if times > 1 else name
                for (at, name), times in members.items()
                if at == i
            ),
            origin,
            *place,
        )
        for i, (origin, place) in enumerate(zip(origins, places, strict=True))
    ]
    return Drawing(tuple(boxes), tuple(sorted(edges)))


def _is_small(node: Node) -> bool:
    return node.op is ITEM or (node.op is CONSTANT and node.tensor.size == 1)


def _source(node: Node) -> Node:
    return node.args[0] if node.op is ITEM else node


def _label(node: Node) -> str:
    if node.op is KERNEL:
        return f"{node.attrs['kind']} kernel"
    variable = node.attrs.get("variable")
    return variable.name if variable is not None else node.op.name


def _layer(origin: str, nodes: Sequence[Node]) -> str:
    """The layer's name, which its variables begin with, and the line in its file."""
    variables = [node.attrs["variable"].name for node in nodes if "variable" in node.attrs]
    names = [name.removeprefix("optimizer.") for name in variables]
    layer = next((name.rpartition(".")[0] for name in names if "." in name), "")
    line = origin.rpartition("/")[2]
    return ", ".join(filter(None, (layer, line))) or "elsewhere"


def _places(count: int, edges: Sequence[tuple[int, int]]) -> list[tuple[float, float]]:
    """Column and row of each of `count` boxes; every edge leads from a lower number to a higher."""
    sources: dict[int, list[int]] = {i: [] for i in range(count)}
    users: dict[int, list[int]] = {i: [] for i in range(count)}
    for a, b in edges:
        sources[b].append(a)
        users[a].append(b)
    rank = [0] * count
    for i in range(count):
        rank[i] = max((rank[j] + 1 for j in sources[i]), default=0)
    for i in reversed(range(count)):  # a leaf stands just above its first user
        if not sources[i] and users[i]:
            rank[i] = min(rank[j] for j in users[i]) - 1
    rows: dict[int, list[int]] = {}
    for i in range(count):
        rows.setdefault(rank[i], []).append(i)
    x = [0.0] * count
    for row in rows.values():
        _spread(row, x)
    for sweep in range(SWEEPS):
        near, order = (users, sorted(rows)[::-1]) if sweep % 2 else (sources, sorted(rows))
        for number in order:
            _settle(rows[number], near, x)
    return [(x[i], float(rank[i])) for i in range(count)]


def _spread(row: Sequence[int], x: list[float]) -> None:
    for place, i in enumerate(row):
        x[i] = place - (len(row) - 1) / 2


def _settle(row: list[int], near: Mapping[int, Sequence[int]], x: list[float]) -> None:
    """Move each box of a row to the mean of its neighbours, then apart where they would overlap."""
    wish = {i: sum(x[j] for j in near[i]) / len(near[i]) if near[i] else x[i] for i in row}
    row.sort(key=lambda i: wish[i])
    for i in row:
        x[i] = wish[i]
    for left, right in pairwise(row):
        x[right] = max(x[right], x[left] + 1)
    shift = sum(x[i] - wish[i] for i in row) / len(row)
    for i in row:
        x[i] -= shift

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
from anode.ir.node import CONSTANT, INPUT, ITEM, Node
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
    found = places(len(nodes), edges)
    boxes = [
        Box(_label(node), node.op.name, str(node.type), str(node.origin or ""), *place)
        for node, place in zip(nodes, found, strict=True)
    ]
    return Drawing(tuple(boxes), tuple(edges))


def draw_layers(graph: Graph) -> Drawing:
    """One box for all nodes of a layer: of one line of the user's, and one layer's variables."""
    nodes = [node for node in graph.nodes if not _is_small(node)]
    names = _layers(nodes)
    layers = list(dict.fromkeys(names.values()))
    numbers = {layer: i for i, layer in enumerate(layers)}
    home = {node: numbers[names[node]] for node in nodes}
    edges = {
        (home[source], home[node])
        for node in nodes
        for source in map(_source, node.args)
        if source in home and home[source] != home[node]
    }
    forward = [(a, b) for a, b in edges if a < b]  # the way back, of gradients, bends no rows
    found = places(len(layers), forward)
    members: list[Counter[str]] = [Counter() for _ in layers]
    for node in nodes:
        members[home[node]][node.op.name] += 1
    boxes = []
    for (name, origin, _), ops, place in zip(layers, members, found, strict=True):
        label = ", ".join(filter(None, (name, origin.rpartition("/")[2]))) or "elsewhere"
        held = ", ".join(f"{op} × {times}" if times > 1 else op for op, times in ops.items())
        boxes.append(Box(label, "layer", held, origin, *place))
    return Drawing(tuple(boxes), tuple(sorted(edges)))


Layer = tuple[str, str, int]  # the name that its variables begin with, its line, and a number


def _layers(nodes: Sequence[Node]) -> dict[Node, Layer]:
    """The layer of each node.

    What reads no variable belongs to the layer that its last operand of the same line belongs to:
    activations follow their product, and gradients the cotangent they are made of. Where there is
    no such operand a layer begins, so that those which one line makes in a loop are apart; what
    is made of numbers alone belongs to its first user's.
    """
    found: dict[Node, Layer] = {}
    fixed, users = set[Node](), dict[Node, Node]()  # what is made of numbers, and first users
    for node in nodes:
        origin = str(node.origin or "")
        sources = [_source(arg) for arg in node.args]
        for source in sources:
            users.setdefault(source, node)
        own = [_variable(x) for x in (node, *sources) if _variable(x)]
        same = [found[x] for x in reversed(sources) if x in found and found[x][1] == origin]
        begun = ("", origin, len(found))
        found[node] = (own[0], origin, 0) if own else (same or [begun])[0]
        if node.op is not INPUT and all(x in fixed or x not in found for x in sources):
            fixed |= set() if own else {node}
    for node in reversed(nodes):
        if node in fixed and node in users:
            found[node] = found[users[node]]
    return found


def _variable(node: Node) -> str:
    """The layer of the variable that a node reads; "" for other nodes."""
    if "variable" not in node.attrs:
        return ""
    name: str = node.attrs["variable"].name
    slot = name.startswith("optimizer.")  # "optimizer.conv1.weight.velocity"
    return name.removeprefix("optimizer.").rsplit(".", 2 if slot else 1)[0]


def _is_small(node: Node) -> bool:
    return node.op is ITEM or (node.op is CONSTANT and node.tensor.size == 1)


def _source(node: Node) -> Node:
    return node.args[0] if node.op is ITEM else node


def _label(node: Node) -> str:
    if node.op is KERNEL:
        return f"{node.attrs['kind']} kernel"
    variable = node.attrs.get("variable")
    return variable.name if variable is not None else node.op.name


def places(count: int, edges: Sequence[tuple[int, int]]) -> list[tuple[float, float]]:
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

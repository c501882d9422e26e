"""Ops that only move elements, seen as index maps: which operand element a result element is.

`Coordinates` say, for each dim of a value, which axis of the loop nest indexes it; None for a dim
of size 1. They follow a value backward through broadcast, transpose and reshape; through the other
movement ops (slice, pad, …) the index is no axis any more, and the value must be stored to be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from anode.ir.node import CONSTANT, INPUT, READ, Node
from anode.ir.types import TensorType
from anode.ops.declare import Elementwise

Coordinates = tuple[int | None, ...]

MOST_PARTS = 4  # of a concatenation that is read element by element, all parts for each

MOVEMENT = frozenset(
    [
        "broadcast_in_dim",
        "reshape",
        "transpose",
        "slice",
        "reverse",
        "pad",
        "concatenate",
        "iota",
        "bitcast",
        "gather",
        "dynamic_slice",
        "dynamic_update_slice",
        "windows",
    ]
)


def is_movement(node: Node) -> bool:
    return node.op.name in MOVEMENT


def is_leaf(node: Node) -> bool:
    return node.op in (INPUT, READ, CONSTANT)


def is_inline(node: Node) -> bool:
    """Whether each user recomputes a node rather than store it: movement, scalar arithmetic."""
    if is_movement(node):
        return node.op.name != "concatenate" or len(node.args) <= MOST_PARTS
    if not isinstance(node.type, TensorType) or node.type.size != 1:
        return False
    return node.op is CONSTANT or (isinstance(node.op, Elementwise) and node.type.rank == 0)


def unreshaped(node: Node) -> Node:
    """What a value is, in memory, under another shape; itself if it was not reshaped."""
    while node.op.name == "reshape":
        (node,) = node.args
    return node


def windows_sum(node: Node) -> Node | None:
    """The `overlap_add` that a node is, perhaps with borders cut off or put around it."""
    apart = {"slice": "strides", "pad": "interior"}.get(node.op.name)
    if apart and set(node.attrs[apart]) <= {int(apart == "strides")}:
        node = node.args[0]
    return node if node.op.name == "overlap_add" else None


def identity(shape: tuple[int, ...]) -> Coordinates:
    """The coordinates of a value that spans the whole loop nest."""
    return tuple(None if size == 1 else i for i, size in enumerate(shape))


def through(
    node: Node, coordinates: Coordinates | None
) -> Iterator[tuple[Node, Coordinates | None]]:
    """The operands of an inline node with their coordinates; None where they are not axes."""
    name = node.op.name
    for arg in node.args:
        if coordinates is None or arg.tensor.rank == 0:
            yield arg, None if coordinates is None else ()
        elif name == "broadcast_in_dim":
            yield arg, _broadcast(node, arg, coordinates)
        elif name == "transpose":
            placed = dict(zip(node.attrs["permutation"], coordinates, strict=True))
            yield arg, tuple(placed[i] for i in range(len(coordinates)))
        elif name == "reshape":
            yield arg, _reshape(node, arg, coordinates)
        else:
            yield arg, None


def unmoved(node: Node, operand: int, coordinates: Coordinates) -> Coordinates:
    """The coordinates of a movement op's operand, -1 for dims whose index the op computes."""
    arg = node.args[operand]
    if arg.tensor.rank == 0 or not coordinates:
        return (-1,) * arg.tensor.rank
    name = node.op.name
    ((_, at),) = list(through(node, coordinates))[operand : operand + 1]
    if at is not None:
        return at
    if name in ("windows", "overlap_add"):
        return _windowed(node, arg, coordinates)
    if name == "reshape" or arg.tensor.rank != node.tensor.rank:
        return tuple(None if size == 1 else -1 for size in arg.tensor.static)
    same = _same_dims(node, arg)
    return tuple(
        None if size == 1 else axis if same[i] else -1
        for i, (size, axis) in enumerate(zip(arg.tensor.static, coordinates, strict=True))
    )


def _windowed(node: Node, arg: Node, coordinates: Coordinates) -> Coordinates:
    """Of windows, and of what is added up of them: only the other dims keep their axes."""
    axes, last = node.attrs["axes"], min(arg.tensor.rank, node.tensor.rank) - 1
    outer = [-1 if i in axes else axis for i, axis in enumerate(coordinates[:last])]
    taps = [-1] * max(arg.tensor.rank - node.tensor.rank, 0)
    inner = -1 if last in axes else coordinates[-1]
    at = (*outer, *taps, inner)
    return tuple(None if size == 1 else c for size, c in zip(arg.tensor.static, at, strict=True))


def _same_dims(node: Node, arg: Node) -> list[bool]:
    """Of each dim of a movement op whether its index is the operand's too."""
    sizes, attrs = zip(arg.tensor.static, node.tensor.static, strict=True), node.attrs
    equal = [a == b for a, b in sizes]
    if node.op.name == "reverse":
        return [i not in attrs["axes"] for i in range(len(equal))]
    if node.op.name == "pad":
        return [a and attrs["low"][i] == 0 for i, a in enumerate(equal)]
    if node.op.name == "concatenate":
        return [i != attrs["axis"] for i in range(len(equal))]
    return equal if node.op.name != "gather" else [False] * len(equal)


def _broadcast(node: Node, arg: Node, coordinates: Coordinates) -> Coordinates:
    axes = node.attrs["axes"]
    return tuple(
        None if size == 1 else coordinates[axis]
        for size, axis in zip(arg.tensor.shape, axes, strict=True)
    )


def _reshape(node: Node, arg: Node, coordinates: Coordinates) -> Coordinates | None:
    """A reshape that only adds or removes dims of size 1 keeps the axes."""
    wide = [c for c, size in zip(coordinates, node.tensor.shape, strict=True) if size != 1]
    if [s for s in arg.tensor.shape if s != 1] != [s for s in node.tensor.shape if s != 1]:
        return None
    remaining = iter(wide)
    return tuple(None if size == 1 else next(remaining) for size in arg.tensor.shape)


def stored_operands(
    node: Node, coordinates: Coordinates | None, inline: Callable[[Node], bool] = is_inline
) -> Iterator[tuple[Node, Coordinates | None]]:
    """The values behind `node`'s operand chain that are not inline, each with its coordinates."""
    seen: set[tuple[Node, Coordinates | None]] = set()
    stack = [(node, coordinates)]
    while stack:
        item = stack.pop()
        if item in seen:
            continue
        seen.add(item)
        if inline(item[0]):
            stack.extend(through(*item))
        else:
            yield item

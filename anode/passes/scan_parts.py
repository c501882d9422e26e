"""Split scans whose steps treat each row alone: parts that threads run side by side.

A recurrent layer's examples do not meet inside the loop, once sums over them have left it (see
`split_scans`). So a scan over a batch is several scans over parts of it, without any waiting
between threads. There are as many as threads, or a few more: larger parts read the weights less
often. As rows do not meet, the bits are the same for any number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from anode.ir.graph import Graph, close, fresh_inputs
from anode.ir.node import CONSTANT, INPUT, Node, make, remake
from anode.ir.types import TensorType, TupleType
from anode.ops.control import SCAN, SCAN_PARTS
from anode.ops.declare import Elementwise
from anode.ops.reduce import monoid_of
from anode.rewrite.trace import Hit, Trace

ROWS = 16  # of a part, at least
PARTS = (2, 4, 8)
LARGE = 1 << 20  # bytes of constants, which each part reads again: then only two parts
WORK = 1 << 21  # floating-point operations that are worth a second task

Axis = int | None


class _Mixed(Exception):
    """Rows meet, or a rule is missing."""


def part_scans(threads: int = 1) -> Callable[[Graph, Trace], Graph]:
    """The pass that splits scans over a batch into parts of it for so many threads."""

    def part_scans(graph: Graph, trace: Trace) -> Graph:
        def rewrite(old: Node, args: tuple[Node, ...]) -> Node:
            new = remake(old, args)
            made = _parted(new, threads) if old.op is SCAN else None
            if made is not None:
                trace.hits.append(Hit("part_scans", old, after=made))
            return new if made is None else made

        return graph.map(rewrite)

    return part_scans


def _parted(scan: Node, threads: int) -> Node | None:
    attrs, body = scan.attrs, scan.attrs["body"]
    count, length = attrs["carries"], attrs["length"]
    if not count or int(length) * sum(map(_work, body.nodes)) < WORK:
        return None
    try:
        rows = {_rows(node) for node in (*body.inputs[:count], *body.outputs)}
        if len(rows) != 1:
            return None
        parts = _parts(rows.pop(), scan, threads)
        found = _axes(body) if parts else None
        if not parts or found is None:
            return None
        split = tuple(found.get(x) == 0 for x in body.inputs[count:])
        part = _narrowed(body, found, parts, (*[True] * count, *split))
    except _Mixed:
        return None
    return SCAN_PARTS(*scan.args, **{**attrs, "body": part}, parts=parts, split=split)


def _work(node: Node) -> int:
    """Floating-point operations of a node, roughly."""
    if not isinstance(node.type, TensorType):
        return 0
    deep = 1
    if node.op.name == "dot_general":
        sizes = node.args[0].tensor.static
        deep = 2 * prod(sizes[axis] for axis in node.attrs["contract"][0])
    return deep * prod(node.type.static)


def _rows(node: Node) -> int:
    if not isinstance(node.type, TensorType) or not node.type.shape:
        raise _Mixed
    return node.type.static[0]


def _parts(rows: int, scan: Node, threads: int) -> int:
    """How many parts; 0 for rows that are too few."""
    first = scan.attrs["carries"] + scan.attrs["sequences"]
    heavy = sum(arg.tensor.bytes for arg in scan.args[first:]) > LARGE
    fit = [n for n in PARTS[: 1 if heavy else None] if rows % n == 0 and rows // n >= ROWS]
    return next((n for n in fit if n >= threads), max(fit, default=0))


def _axes(body: Graph) -> dict[Node, Axis]:
    """For each node of the body the axis along which rows lie, None for what has no rows.

    Found from the outputs back, whose rows lie along axis 0. Raises _Mixed where rows meet.
    """
    found: dict[Node, Axis] = {}
    stack: list[tuple[Node, Axis]] = [(node, 0) for node in body.outputs]
    while stack:
        node, axis = stack.pop()
        if node in found:
            if found[node] != axis:
                raise _Mixed
            continue
        found[node] = axis
        if node.op is INPUT and axis not in (0, None):
            raise _Mixed
        stack += zip(node.args, _needed(node, axis), strict=True)
    for node in body.inputs:
        found.setdefault(node, None)
    return found


def _needed(node: Node, axis: Axis) -> Sequence[Axis]:
    """Where the operands' rows lie if the result's lie along `axis`."""
    if isinstance(node.type, TupleType) or node.op.name == "item":
        raise _Mixed
    if axis is None:
        return [None] * len(node.args)
    if node.op is INPUT:
        return []
    if isinstance(node.op, Elementwise):
        return [axis] * len(node.args)
    rule = RULES.get(node.op.name)
    if rule is None:
        raise _Mixed
    return rule(node, axis)


def _of_product(node: Node, axis: int) -> Sequence[Axis]:
    (cx, cy), (bx, by) = node.attrs["contract"], node.attrs["batch"]
    if axis < len(bx):
        return [bx[axis], by[axis]]
    x, y = node.args
    free_x = [a for a in range(x.tensor.rank) if a not in (*cx, *bx)]
    free_y = [a for a in range(y.tensor.rank) if a not in (*cy, *by)]
    place = axis - len(bx)
    if place < len(free_x):
        return [free_x[place], None]
    return [None, free_y[place - len(free_x)]]


def _of_broadcast(node: Node, axis: int) -> Sequence[Axis]:
    (x,), axes = node.args, node.attrs["axes"]
    if axis not in axes:
        return [None]
    own = axes.index(axis)
    return [own if x.tensor.static[own] == node.tensor.static[axis] else None]


def _of_slice(node: Node, axis: int) -> Sequence[Axis]:
    whole = node.args[0].tensor.static[axis]
    if node.tensor.static[axis] != whole:
        raise _Mixed
    return [axis]


def _of_pad(node: Node, axis: int) -> Sequence[Axis]:
    if any(node.attrs[name][axis] for name in ("low", "high", "interior")):
        raise _Mixed
    return [axis, None]


def _of_concatenate(node: Node, axis: int) -> Sequence[Axis]:
    if node.attrs["axis"] == axis:
        raise _Mixed
    return [axis] * len(node.args)


def _of_reshape(node: Node, axis: int) -> Sequence[Axis]:
    before = node.args[0].tensor.static
    if axis or not before or before[0] != node.tensor.static[0]:
        raise _Mixed
    return [0]


def _of_reduce(node: Node, axis: int) -> Sequence[Axis]:
    if len(node.args) != 2 or monoid_of(node.attrs["body"]) is None:
        raise _Mixed
    kept = [a for a in range(node.args[0].tensor.rank) if a not in node.attrs["axes"]]
    return [kept[axis], None]


def _of_iota(node: Node, axis: int) -> Sequence[Axis]:
    if node.attrs["axis"] == axis:
        raise _Mixed
    return []


def _of_gather(node: Node, axis: int) -> Sequence[Axis]:
    offset, vectors = node.attrs["offset_dims"], node.attrs["index_vector_dim"]
    if axis in offset:
        raise _Mixed
    own = sum(a not in offset for a in range(axis))
    return [None, own + (own >= vectors)]


RULES: dict[str, Any] = {
    "dot_general": _of_product,
    "broadcast_in_dim": _of_broadcast,
    "transpose": lambda node, axis: [node.attrs["permutation"][axis]],
    "slice": _of_slice,
    "pad": _of_pad,
    "concatenate": _of_concatenate,
    "reshape": _of_reshape,
    "reduce": _of_reduce,
    "gather": _of_gather,
    "iota": _of_iota,
}
SIZES = {"broadcast_in_dim": "shape", "reshape": "shape", "iota": "shape", "slice": "limit"}


def _narrowed(body: Graph, found: dict[Node, Axis], parts: int, split: Sequence[bool]) -> Graph:
    """The body for one part of the rows."""
    types = []
    for node, flag in zip(body.inputs, split, strict=True):
        if flag and found[node] != 0 and found[node] is not None:
            raise _Mixed
        types.append(_narrow(node.tensor, parts) if flag else node.tensor)
    fresh = fresh_inputs(*types)
    new: dict[Node, Node] = dict(zip(body.inputs, fresh, strict=True))
    for node, flag in zip(body.inputs, split, strict=True):
        if flag and found[node] is None and node in body.nodes:
            raise _Mixed  # a carry that every row reads whole
    for node in body.nodes:
        if node in new:
            continue
        args = tuple([new[arg] for arg in node.args])
        new[node] = _rebuilt(node, args, found[node], parts)
    return close(fresh, [new[node] for node in body.outputs])


def _narrow(type: TensorType, parts: int) -> TensorType:
    return type.with_shape((type.static[0] // parts, *type.static[1:]))


def _rebuilt(node: Node, args: tuple[Node, ...], axis: Axis, parts: int) -> Node:
    if axis is None:
        return remake(node, args)
    if node.op is CONSTANT:
        raise _Mixed
    name = SIZES.get(node.op.name)
    if name is None:
        return remake(node, args)
    sizes = list(node.attrs[name])
    sizes[axis] = node.tensor.static[axis] // parts
    return make(node.op, args, {**node.attrs, name: tuple(sizes)}, node.origin)

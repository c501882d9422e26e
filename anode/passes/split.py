"""Split large reductions to few elements into two, so that their first part has rows to share out.

The parts are fixed by the shape, never by the number of threads: the bits stay the same. A variance
is taken of each part about the part's own mean, while the part is in the cache, so that memory is
read once; what the parts' means differ by joins at the end.
"""

from __future__ import annotations

from collections.abc import Iterable

from anode.ir.dims import product
from anode.ir.dtypes import f32
from anode.ir.graph import Graph
from anode.ir.node import Node, constant, remake
from anode.ir.types import TensorType
from anode.ops.elementwise import convert, square
from anode.ops.reduce import identity, monoid, monoid_of, reduce
from anode.ops.shape import broadcast_in_dim
from anode.rewrite.pattern import number_of, scalar_of
from anode.rewrite.trace import Hit, Trace

FEW = 16  # tasks that are too few to share out
COLUMNS = 128  # results side by side that are a task
LARGE = 1 << 15  # elements that are worth a second kernel
PARTS = 8  # rows that make a split worth it
LANES = 64  # elements in a row, likewise
TERMS = 8  # that each of a row's results adds up, likewise


def split_reductions(graph: Graph, trace: Trace | None = None) -> Graph:
    """Reduce all axes but one first, then that one, where a reduction is large and keeps little."""
    trace = trace or Trace("split_reductions")
    new: dict[Node, Node] = {}

    def rewrite(node: Node, args: tuple[Node, ...]) -> Node:
        made = node if args == node.args else remake(node, args)
        axis = _splitting_axis(made)
        if axis is not None:
            centred = _centred(node)
            if centred is None:
                made = _two_reductions(made, axis)
            else:
                made = _two_variances(made, axis, *[new[x] for x in centred])
            trace.hits.append(Hit("split_reductions", node, after=made))
        if made is not node:
            trace.became[node] = made
        new[node] = made
        return made

    return graph.map(rewrite)


def _splitting_axis(node: Node) -> int | None:
    """The axis to reduce last; None for what is not a large reduction by a monoid."""
    if node.op is not reduce or len(node.args) != 2 or monoid_of(node.attrs["body"]) is None:
        return None
    shape, axes = node.args[0].tensor.static, node.attrs["axes"]
    if _tasks(shape, axes) > FEW or product(shape) < LARGE or len(axes) < 2:
        return None
    total, columns = product(tuple([shape[axis] for axis in axes])), _columns(shape, axes)
    for axis in axes:
        terms = total // shape[axis]
        if shape[axis] >= PARTS and terms >= TERMS and terms * columns >= LANES:
            return axis
    return None


def _columns(shape: tuple[int, ...], axes: tuple[int, ...]) -> int:
    """The results along the last axis, where that is kept."""
    return 1 if not shape or len(shape) - 1 in axes else max(shape[-1], 1)


def _tasks(shape: tuple[int, ...], axes: tuple[int, ...]) -> int:
    """How many threads could share the results: rows, and blocks of what lies side by side."""
    kept = product(tuple([n for i, n in enumerate(shape) if i not in axes]))
    columns = _columns(shape, axes)
    return int(kept // columns * max(columns // COLUMNS, 1))


def _two_reductions(node: Node, axis: int) -> Node:
    x, init = node.args
    dtype, name = x.tensor.dtype, monoid_of(node.attrs["body"])
    assert name is not None
    if dtype is dtype.compute:
        return _last(_first(x, name, node, axis), init, name, node, axis)
    parts = _first(convert(x, dtype=f32), name, node, axis)
    wide = _last(parts, convert(init, dtype=f32), name, node, axis)
    return convert(wide, dtype=dtype)  # half types round once, at the end


def _first(x: Node, name: str, node: Node, axis: int) -> Node:
    """`x` reduced along all axes of `node` but one."""
    dtype = x.tensor.dtype
    start = constant(identity(name, dtype), dtype)
    inner = tuple(a for a in node.attrs["axes"] if a != axis)
    parts = reduce(x, start, body=monoid(name, dtype), axes=inner)
    assert isinstance(parts.type, TensorType)
    return parts


def _last(parts: Node, init: Node, name: str, node: Node, axis: int) -> Node:
    left = axis - sum(a < axis for a in node.attrs["axes"])
    return reduce(parts, init, body=monoid(name, parts.tensor.dtype), axes=(left,))


# variances
def _centred(node: Node) -> tuple[Node, Node] | None:
    """x and its mean, if `node` is the sum of squares of their distance, along equal axes."""
    (terms, _), axes = node.args, node.attrs["axes"]
    if monoid_of(node.attrs["body"]) != "add" or not terms.tensor.dtype.is_float:
        return None
    if terms.op.name not in ("multiply", "square") or len(set(terms.args)) > 1:
        return None
    distance = terms.args[0]
    if distance.op.name != "subtract" or distance.args[1].op is not broadcast_in_dim:
        return None
    x, (mean,) = distance.args[0], distance.args[1].args
    kept = tuple([i for i in range(x.tensor.rank) if i not in axes])
    if distance.args[1].attrs["axes"] != kept or not _is_mean(mean, x, axes):
        return None
    return x, mean


def _is_mean(node: Node, x: Node, axes: tuple[int, ...]) -> bool:
    """Whether `node` is the sum of `x` along `axes` over a number."""
    if node.op.name not in ("divide", "multiply"):
        return False
    total, count = node.args
    if total.op is not reduce or total.args[0] is not x or total.attrs["axes"] != axes:
        return False
    if monoid_of(total.attrs["body"]) != "add" or scalar_of(count) is None:
        return False
    number, elements = number_of(count), _count(x, axes)
    exact = elements if node.op.name == "divide" else 1 / elements
    return abs(number - exact) <= 1e-6 * exact


def _count(x: Node, axes: Iterable[int]) -> int:
    """The elements along axes."""
    return int(product(tuple([x.tensor.static[axis] for axis in axes])))


def _two_variances(node: Node, axis: int, x: Node, mean: Node) -> Node:
    """Σ(x − mean)² of parts: each about its own mean, then that of the means.

    Source: Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing
    sample variances", 1979.
    """
    shape, axes = x.tensor.static, node.attrs["axes"]
    count = _count(x, [a for a in axes if a != axis])
    own = _first(x, "add", node, axis) / float(count)
    kept = tuple([i for i in range(len(shape)) if i == axis or i not in axes])
    about = square(x - broadcast_in_dim(own, shape=shape, axes=kept))
    parts = _first(about, "add", node, axis)
    left = kept.index(axis)
    others = tuple([i for i in range(len(kept)) if i != left])
    between = own - broadcast_in_dim(mean, shape=own.tensor.shape, axes=others)
    return _last(parts + square(between) * float(count), node.args[1], "add", node, axis)

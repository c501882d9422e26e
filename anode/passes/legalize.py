"""Rewrite what no kernel takes as it stands: expand composites, bring products to one form."""

from __future__ import annotations

from anode.ir.dims import product
from anode.ir.graph import Graph
from anode.ir.node import ITEM, Node, at, registry
from anode.ir.types import TupleType
from anode.ops.declare import Composite
from anode.rewrite.drivers import rewrite
from anode.rewrite.trace import Hit, Trace


def legalize(graph: Graph, trace: Trace | None = None) -> Graph:
    """Expand every composite into its body, and every product into [batch] × [m, k] · [k, n]."""
    return rewrite(graph, _step, trace)


def _step(node: Node) -> Hit | None:
    made = _replacement(node)
    return None if made is None else Hit(node.op.name, node, after=made)


def _replacement(node: Node) -> Node | None:
    """What takes the place of a node on legal operands; None if it is legal itself.

    A composite of several results is replaced where its items are taken.
    """
    if isinstance(node.op, Composite) and not isinstance(node.type, TupleType):
        return node.op.expand(node)[0]
    if node.op is ITEM and isinstance(node.args[0].op, Composite):
        return node.args[0].op.expand(node.args[0])[node.attrs["index"]]
    if node.op.name == "transpose" and node.args[0].op.name == "dot_general":
        return _exchanged(node)
    if node.op.name == "dot_general":
        with at(node.origin):
            made = canonical_product(node)
        return None if made is node else made
    return None


def canonical_product(node: Node) -> Node:
    """The product with one batch (if any), one free and one contracted dim on each side."""
    x, y = node.args
    (cx, cy), (bx, by) = node.attrs["contract"], node.attrs["batch"]
    batched = 1 if bx else 0
    form = {
        "contract": ((batched + 1,), (batched,)),
        "batch": ((0,), (0,)) if bx else ((), ()),
        "dtype": node.attrs["dtype"],
    }
    if x.tensor.rank == y.tensor.rank == batched + 2 and _is_form(node, form):
        return node
    free_x = [i for i in range(x.tensor.rank) if i not in (*cx, *bx)]
    free_y = [i for i in range(y.tensor.rank) if i not in (*cy, *by)]
    left = _collapse(x, [bx] if bx else [], free_x, list(cx))
    right = _collapse(y, [by] if by else [], list(cy), free_y)
    made = registry["dot_general"](left, right, **form)
    return reshape(made, node.tensor.static)


def _exchanged(node: Node) -> Node | None:
    """(x·y)ᵀ as yᵀ·xᵀ, so that what uses the transposed product can be its epilogue."""
    product = node.args[0]
    x, y = product.args
    (cx, cy), (bx, by) = product.attrs["contract"], product.attrs["batch"]
    batch, rows = len(bx), x.tensor.rank - len(bx) - len(cx)
    rank = product.tensor.rank
    swapped = (*range(batch), *range(batch + rows, rank), *range(batch, batch + rows))
    if node.attrs["permutation"] != swapped:
        return None
    form = {"contract": (cy, cx), "batch": (by, bx), "dtype": product.attrs["dtype"]}
    return registry["dot_general"](y, x, **form)


def _is_form(node: Node, form: dict[str, object]) -> bool:
    return node.attrs["contract"] == form["contract"] and node.attrs["batch"] == form["batch"]


def _collapse(x: Node, batch: list[tuple[int, ...]], rows: list[int], columns: list[int]) -> Node:
    """`x` transposed to (batch, rows, columns) with each of the three merged into one dim."""
    groups = [list(group) for group in batch] + [rows, columns]
    order = tuple(i for group in groups for i in group)
    if order != tuple(range(x.tensor.rank)):
        x = registry["transpose"](x, permutation=order)
    sizes, shape = iter(x.tensor.static), []
    for group in groups:
        shape.append(int(product(tuple(next(sizes) for _ in group))))
    return reshape(x, tuple(shape))


def reshape(x: Node, shape: tuple[int, ...]) -> Node:
    return x if x.tensor.shape == shape else registry["reshape"](x, shape=shape)

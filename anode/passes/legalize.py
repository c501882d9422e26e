"""Rewrite what no kernel takes as it stands: expand composites, bring products to one form."""

from __future__ import annotations

from anode.ir.dims import product
from anode.ir.graph import Graph
from anode.ir.node import Node, registry, remake
from anode.ops.declare import Composite


def legalize(graph: Graph) -> Graph:
    """Expand every composite into its body, and every product into [batch] × [m, k] · [k, n]."""
    memo: dict[Node, Node] = {}
    return graph.with_roots([_legal(root, memo) for root in graph.roots])


def _legal(root: Node, memo: dict[Node, Node]) -> Node:
    stack = [root]
    while stack:
        node = stack[-1]
        if node in memo:
            stack.pop()
            continue
        waiting = [arg for arg in node.args if arg not in memo]
        if waiting:
            stack.extend(waiting)
            continue
        made = remake(node, tuple([memo[arg] for arg in node.args]))
        replaced = _replacement(made)
        if replaced is None:
            memo[node] = made
            stack.pop()
        elif replaced in memo:
            memo[node] = memo[replaced]
            stack.pop()
        else:
            stack.append(replaced)
    return memo[root]


def _replacement(node: Node) -> Node | None:
    if isinstance(node.op, Composite):
        results = node.op.expand(node)
        return results[0] if len(results) == 1 else registry["tuple"](*results)
    if node.op.name == "item" and node.args[0].op.name == "tuple":
        return node.args[0].args[node.attrs["index"]]
    if node.op.name == "dot_general":
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

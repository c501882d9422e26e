"""Rewrite what no kernel takes as it stands: composites, odd products, half-type accumulation."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from anode.ir.dims import product
from anode.ir.dtypes import DType, bf16, bool_, dtype_of, f32
from anode.ir.graph import Graph
from anode.ir.node import ITEM, Node, at, constant, registry, remake
from anode.ir.types import TupleType
from anode.ops.declare import Composite
from anode.ops.reduce import monoid, monoid_of
from anode.rewrite.drivers import rewrite
from anode.rewrite.trace import Hit, Trace

DEEP, SMALL = 1 << 14, 1 << 16  # terms of a sum, and sums, of a product that is made of parts
MOST_PARTS = 16

Legal = Callable[[Node], "Node | None"]


def legalize(graph: Graph, trace: Trace | None = None) -> Graph:
    """Expand every composite, and bring every other op to a form that kernels are written for."""
    return rewrite(graph, _step, trace)


def _step(node: Node) -> Hit | None:
    if isinstance(node.op, Composite) and not isinstance(node.type, TupleType):
        return Hit("expand", node, after=node.op.expand(node)[0])
    for rule in RULES.get(node.op.name, ()):
        with at(node.origin):
            made = rule(node)
        if made is not None:
            return Hit(rule.__name__, node, rule.__doc__ or "", made)
    return None


def expand_item(node: Node) -> Node | None:
    """A composite of several results expands where its items are taken."""
    (source,) = node.args
    if not isinstance(source.op, Composite):
        return None
    return source.op.expand(source)[node.attrs["index"]]


def legal_body(node: Node) -> Node | None:
    """The scalar graph that an op applies is legal too."""
    body: Graph = node.attrs["body"]
    if not any(isinstance(inner.op, Composite) for inner in body.nodes):
        return None
    return remake(node, node.args, {**node.attrs, "body": legalize(body)})


def accumulate_in_f32(node: Node) -> Node | None:
    """Half types are added up in f32 and rounded once; only `reduce` does so by itself."""
    dtype, name = node.tensor.dtype, monoid_of(node.attrs["body"])
    if dtype.compute is dtype or name is None:
        return None
    wide = tuple([_as(arg, f32) if arg.tensor.dtype is dtype else arg for arg in node.args])
    return _as(remake(node, wide, {**node.attrs, "body": monoid(name, f32)}), dtype)


def empty_product(node: Node) -> Node | None:
    """A product over no elements is zero, one of no elements anything."""
    sizes = (*node.args[0].tensor.static, *node.args[1].tensor.static)
    if 0 not in sizes:
        return None
    zero = constant(0, node.tensor.dtype)
    return registry["broadcast_in_dim"](zero, shape=node.tensor.static, axes=())


def product_of_bools(node: Node) -> Node | None:
    """An or of ands is a sum of products of 0 and 1 that is not zero."""
    if node.tensor.dtype is not bool_ or node.args[0].tensor.dtype is not bool_:
        return None
    x, y = (_as(arg, f32) for arg in node.args)
    return registry["not_equal"](_product(x, y, node.attrs, f32), 0)


def product_type(node: Node) -> Node | None:
    """A product adds up in one type, which its operands are exact in and its result rounds from."""
    source, result = node.args[0].tensor.dtype, node.tensor.dtype
    total = dtype_of(np.result_type(source.compute.numpy, result.compute.numpy))
    if total is result.compute and _widens(source, total):
        return None
    x, y = (_as(arg, total) for arg in node.args)
    return _as(_product(x, y, node.attrs, total), result)


def canonical_product(node: Node) -> Node | None:
    """A product has rows, one dim of columns, and something to add up over."""
    x, y = node.args
    (cx, cy), (bx, by) = node.attrs["contract"], node.attrs["batch"]
    if x.tensor.rank > len(bx) + len(cx) and y.tensor.rank == len(by) + len(cy) + 1 and cx:
        return None
    free_x = [i for i in range(x.tensor.rank) if i not in (*cx, *bx)]
    free_y = [i for i in range(y.tensor.rank) if i not in (*cy, *by)]
    batch, rows, depth = (tuple([x.tensor.static[i] for i in dims]) for dims in (bx, free_x, cx))
    columns = int(product(tuple([y.tensor.static[i] for i in free_y])))
    left = _arranged(x, [*bx, *free_x, *cx], (*batch, *(rows or (1,)), *(depth or (1,))))
    right = _arranged(y, [*by, *cy, *free_y], (*batch, *(depth or (1,)), columns))
    outer, first = range(len(bx)), left.tensor.rank - len(depth or (1,))
    form = {
        "contract": (range(first, left.tensor.rank), range(len(bx), right.tensor.rank - 1)),
        "batch": (outer, outer),
        "dtype": node.attrs["dtype"],
    }
    return _reshaped(registry["dot_general"](left, right, **form), node.tensor.static)


def deep_product(node: Node) -> Node | None:
    """A small product over many pixels is one of parts of them, so that threads can share it."""
    x, (cx, _), (bx, _) = node.args[0], node.attrs["contract"], node.attrs["batch"]
    depth = int(product(tuple([x.tensor.static[i] for i in cx])))
    parts = _parts(x.tensor.static[cx[0]])
    if bx or depth < DEEP or node.tensor.size > SMALL or parts == 1:
        return None
    return sum_of_parts(node, parts)


def transposed_product(node: Node) -> Node | None:
    """(x·y)ᵀ is yᵀ·xᵀ, so that what uses the transposed product can be its epilogue."""
    (product,) = node.args
    if product.op.name != "dot_general":
        return None
    x, y = product.args
    (cx, cy), (bx, by) = product.attrs["contract"], product.attrs["batch"]
    batch, rows = len(bx), x.tensor.rank - len(bx) - len(cx)
    rank = product.tensor.rank
    swapped = (*range(batch), *range(batch + rows, rank), *range(batch, batch + rows))
    if node.attrs["permutation"] != swapped:
        return None
    form = {"contract": (cy, cx), "batch": (by, bx), "dtype": product.attrs["dtype"]}
    return registry["dot_general"](y, x, **form)


RULES: dict[str, tuple[Legal, ...]] = {
    ITEM.name: (expand_item,),
    "reduce": (legal_body,),
    "scatter": (legal_body, accumulate_in_f32),
    "cumulate": (legal_body, accumulate_in_f32),
    "transpose": (transposed_product,),
    "dot_general": (empty_product, product_of_bools, product_type, canonical_product, deep_product),
}


def sum_of_parts(node: Node, parts: int) -> Node:
    """The sum of a product's parts along the first dim that is summed over; it has no batch."""
    x, y = node.args
    cx, cy = node.attrs["contract"]
    left, right = (_split(arg, dims[0], parts) for arg, dims in ((x, cx), (y, cy)))
    total = node.tensor.dtype.compute
    contract = tuple([tuple([i + 1 for i in dims]) for dims in (cx, cy)])
    sums = registry["dot_general"](left, right, contract=contract, batch=((0,), (0,)), dtype=total)
    body = monoid("add", total)
    return _as(
        registry["reduce"](sums, constant(0, total), body=body, axes=(0,)), node.tensor.dtype
    )


def _widens(source: DType, total: DType) -> bool:
    """Whether product kernels read `source` as `total`."""
    if source is total or (source is bf16 and total is f32):
        return True
    alike = source.is_float is total.is_float and total.is_integer is source.is_integer
    return alike and source is not bf16 and source.size < total.size


def _product(x: Node, y: Node, attrs: Mapping[str, object], dtype: DType) -> Node:
    return registry["dot_general"](x, y, **{**attrs, "dtype": dtype})


def _as(x: Node, dtype: DType) -> Node:
    return x if x.tensor.dtype is dtype else registry["convert"](x, dtype=dtype)


def _arranged(x: Node, order: list[int], shape: tuple[int, ...]) -> Node:
    """`x` with its dims in another order, then of another shape."""
    return _reshaped(_transposed(x, tuple(order)), shape)


def _transposed(x: Node, order: tuple[int, ...]) -> Node:
    if order == tuple(range(x.tensor.rank)):
        return x
    return registry["transpose"](x, permutation=order)


def _parts(size: int) -> int:
    """In how many equal parts a dim is summed up."""
    return max(parts for parts in range(1, MOST_PARTS + 1) if size % parts == 0)


def _split(x: Node, axis: int, parts: int) -> Node:
    """`x` with its `axis` in parts, which are counted by a new first dim."""
    shape = x.tensor.static
    split = (*shape[:axis], parts, shape[axis] // parts, *shape[axis + 1 :])
    order = (axis, *range(axis), *range(axis + 1, len(split)))
    return _transposed(_reshaped(x, split), order)


def _reshaped(x: Node, shape: tuple[int, ...]) -> Node:
    return x if x.tensor.shape == shape else registry["reshape"](x, shape=shape)

"""Products with one-hot rows: looked up, or added up by index, instead of multiplied.

Characters, words and classes are often turned into rows with a single 1. A product with such rows
chooses rows of the other operand, and its gradient adds rows up by index: of n classes, n times
less work. Finite values stay as they are; a row that no index chooses no longer spreads infinities
and NaN, as 0·NaN does.
"""

from __future__ import annotations

from anode.ir.node import Node
from anode.ir.types import Size
from anode.ops import elementwise as ew
from anode.ops.index import scatter, signed_indices, take
from anode.ops.reduce import monoid
from anode.ops.shape import broadcast_in_dim, full, reshape, transpose
from anode.passes.simplify_shape import dim_groups
from anode.rewrite.pattern import P, rule, var

Ints = tuple[int, ...]
Pair = tuple[Ints, Ints]

i, x = var("i"), var("x")
hot = P.one_hot(i, axis=var("axis")).named("hot")


@rule(P.transpose(hot, permutation=var("order")))
def transpose_of_one_hot(i: Node, hot: Node, axis: int, order: Ints) -> Node:
    """Transpose the indices rather than the rows"""
    kept = [d - (d > axis) for d in order if d != axis]
    return hot.op(
        transpose(i, permutation=kept),
        depth=hot.attrs["depth"],
        dtype=hot.dtype,
        axis=order.index(axis),
    )


@rule(P.reshape(hot))
def reshape_of_one_hot(node: Node, i: Node, hot: Node, axis: int) -> Node | None:
    """Reshape the indices rather than the rows"""
    for old, new in dim_groups(hot.shape, node.shape):
        wide = [d for d in new if node.shape[d] != 1]
        if old == [axis] and len(wide) == 1:
            place, shape = wide[0], node.shape
            i = reshape(i, shape=(*shape[:place], *shape[place + 1 :]))
            return hot.op(i, depth=hot.attrs["depth"], dtype=hot.dtype, axis=place)
    return None


@rule(
    P.dot_general(hot, x, contract=var("pairs"), batch=((), ())),
    P.dot_general(x, hot, contract=var("pairs"), batch=((), ())),
)
def product_with_one_hot(
    node: Node, i: Node, x: Node, hot: Node, axis: int, pairs: Pair
) -> Node | None:
    """one_hot(i) · x = the rows i of x; one_hot(i)ᵀ · x = the rows of x added up by i"""
    side = int(node.args[0] is not hot)
    here, there = pairs[side], pairs[1 - side]
    if node.args[1 - side] is hot or not (node.dtype.is_float or node.dtype.is_integer):
        return None
    if x.dtype.bits < node.dtype.bits:
        x = ew.convert(x, dtype=node.dtype)
    if here == (axis,):
        made = _rows(signed_indices(i), x, there[0], side == 0)
    elif sorted((*here, axis)) == list(range(len(hot.shape))):
        i = transpose(signed_indices(i), permutation=[d - (d > axis) for d in here])
        made = _sums(i, x, there, hot.shape[axis], side == 0)
    else:
        return None
    return made if made.dtype is node.dtype else ew.convert(made, dtype=node.dtype)


def _rows(i: Node, x: Node, axis: int, first: bool) -> Node:
    """The slices of `x` at `i`, 0 for those outside; the dims of `i` come first, or last."""
    found = take(x, i, axis=axis)
    dims, rank = list(range(axis, axis + len(i.shape))), len(found.shape)
    rest = [d for d in range(rank) if d not in dims]
    found = transpose(found, permutation=(*dims, *rest) if first else (*rest, *dims))
    inside = ew.greater_equal(i, full(i.shape, 0, i.dtype)) & ew.less(
        i, full(i.shape, x.shape[axis], i.dtype)
    )
    at = range(len(dims)) if first else range(rank - len(dims), rank)
    wide = broadcast_in_dim(inside, shape=found.shape, axes=tuple(at))
    return ew.select(wide, found, full(found.shape, 0, found.dtype))


def _sums(i: Node, x: Node, axes: Ints, depth: Size, first: bool) -> Node:
    """The slices of `x` over its dims `axes`, those with equal `i` added up at dim i of the result.

    That dim comes first, or last.
    """
    rest = [d for d in range(len(x.shape)) if d not in axes]
    rows = transpose(x, permutation=(*axes, *rest))
    sizes = [x.shape[d] for d in rest]
    found = scatter(
        full((depth, *sizes), 0, x.dtype),
        i,
        rows,
        body=monoid("add", x.dtype),
        update_window_dims=tuple(range(len(axes), len(rows.shape))),
        inserted_window_dims=(0,),
        scatter_dims_to_operand_dims=(0,),
        index_vector_dim=len(axes),
    )
    return found if first else transpose(found, permutation=(*range(1, len(rest) + 1), 0))


RULES = (transpose_of_one_hot, reshape_of_one_hot, product_with_one_hot)

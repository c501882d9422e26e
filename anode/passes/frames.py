"""Frames: how ops see the dims of their operands and results, whatever order these are stored in.

An op that treats the dims of a tensor alike, or names them by its attributes, computes the same
with the dims in another order: an elementwise op, a reduction, a pad, a transpose most of all. Its
frame numbers the dims it walks. An order of the frame fixes the order of every operand and result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from anode.ir.node import CONSTANT, INPUT, READ, Node, make, remake
from anode.ir.types import TensorType
from anode.ops.declare import Composite, Elementwise
from anode.passes.simplify_shape import dim_groups

Order = tuple[int, ...]  # the dims of a value or a frame, those stored outermost first


@dataclass(frozen=True)
class Frame:
    """The dims that an op walks: dim d of operand i is the frame's dim `operands[i][d]`.

    Dims that share a number stay together, in order. `fixed` are dims that must stay in place.
    """

    rank: int
    operands: tuple[Order, ...]
    results: tuple[Order, ...]
    fixed: Order = ()

    @property
    def written(self) -> Order:
        """The order in which the graph has the dims."""
        return tuple(range(self.rank))

    @property
    def as_written(self) -> set[Order]:
        """The orders in which an operand or a result is as written: of a transpose there are two.

        It moves nothing in any order, but nothing else need change in either of these.
        """
        sides = {self.written}
        if len(self.operands) == len(self.results) == 1 and len(self.results[0]) == self.rank:
            sides.add(self.results[0])
        return sides

    def lift(self, dims: Order, order: Order) -> Order | None:
        """The order of the frame in which a value whose dims are `dims` has `order`, or None.

        Dims of the frame that the value lacks stay where they are.
        """
        met = list(dict.fromkeys(dims[d] for d in order))
        places = iter(met)
        full = tuple([next(places) if f in met else f for f in range(self.rank)])
        fits = arranged(dims, full) == order and all(full[f] == f for f in self.fixed)
        return full if fits else None


@lru_cache(maxsize=4096)
def arranged(dims: Order, order: Order) -> Order:
    """The order of a value whose dim d is the frame's dim `dims[d]`, the frame being in `order`."""
    place = {f: i for i, f in enumerate(order)}
    return tuple(sorted(range(len(dims)), key=lambda d: (place[dims[d]], d)))


def identity(rank: int) -> Order:
    """The order of a value as the graph has it."""
    return tuple(range(rank))


def frame_of(node: Node) -> Frame | None:
    """How the op sees its dims; None for an op that needs them in the order it gives them."""
    op = node.op
    if isinstance(op, Elementwise) or (isinstance(op, Composite) and _is_pointwise(node)):
        whole = identity(len(node.shape))
        return Frame(len(whole), (whole,) * len(node.args), (whole,))
    rule = _FRAMES.get(op.name)
    return rule(node) if rule else None


def reordered_op(node: Node, frame: Frame, order: Order, args: tuple[Node, ...]) -> Node:
    """The op on operands as stored: what `node` computes, with its dims in `order`."""
    if node.op.name == "transpose":
        return args[0]
    if node.op is READ:
        return remake(node, (), {"variable": node.attrs["variable"].stored(order)})
    attrs = dict(node.attrs)
    if node.op.name == "reshape":
        attrs["shape"] = tuple([node.shape[d] for d in arranged(frame.results[0], order)])
    elif node.op.name == "dot_general":
        stored = [arranged(dims, order) for dims in frame.operands]
        attrs["contract"] = tuple([
            tuple([to.index(axis) for axis in axes])
            for to, axes in zip(stored, attrs["contract"], strict=True)
        ])  # fmt: skip
    elif node.op.name in _AXES:
        dims = frame.results[0] if node.op.name == "overlap_add" else frame.operands[0]
        attrs |= _attributes_in(attrs, arranged(dims, order), node.op.name)
    return make(node.op, args, attrs, node.origin)


def _attributes_in(attrs: Mapping[str, Any], order: Order, name: str) -> dict[str, Any]:
    """The attributes that name dims, or have an entry for each, for the dims in `order`."""
    place = {d: i for i, d in enumerate(order)}
    made: dict[str, Any] = {}
    for key in _AXES[name]:
        value = attrs[key]
        if key == "axis":
            made[key] = place[value]
        elif key == "axes":
            axes = tuple([place[axis] for axis in value])
            made[key] = axes if name in _WINDOWS else tuple(sorted(axes))
        else:
            made[key] = tuple([value[d] for d in order])
    return made


def _is_pointwise(node: Node) -> bool:
    """Whether a composite computes each element from the elements at the same place."""
    types = [arg.type for arg in node.args]
    if not types or any(type != types[0] for type in types[1:]):
        return False
    tensors = isinstance(types[0], TensorType) and isinstance(node.type, TensorType)
    if not tensors or node.shape != node.args[0].shape:
        return False
    assert isinstance(node.op, Composite)
    return all(_keeps_places(inner) for inner in node.op.body(tuple(types), node.attrs).nodes)


def _keeps_places(node: Node) -> bool:
    if isinstance(node.op, Composite):
        return _is_pointwise(node)
    if node.op.name == "broadcast_in_dim":
        return not node.args[0].shape
    return isinstance(node.op, Elementwise) or node.op in (INPUT, CONSTANT)


def _same(node: Node) -> Frame:
    """Operands and result have the same dims; scalars have none."""
    whole = identity(len(node.shape))
    return Frame(len(whole), tuple([whole[: len(arg.shape)] for arg in node.args]), (whole,))


def _transpose(node: Node) -> Frame:
    order = node.attrs["permutation"]
    return Frame(len(order), (identity(len(order)),), (order,))


def _read(node: Node) -> Frame:
    whole = identity(len(node.shape))
    return Frame(len(whole), (), (whole,))


def _reduce(node: Node) -> Frame:
    count = len(node.args) // 2
    whole = identity(len(node.args[0].shape))
    kept = tuple([axis for axis in whole if axis not in node.attrs["axes"]])
    return Frame(len(whole), (whole,) * count + ((),) * count, (kept,) * count)


def _reshape(node: Node) -> Frame:
    """Dims that are merged, or come from one, stay together."""
    mine: list[int] = []
    yours: list[int] = []
    for number, (old, new) in enumerate(dim_groups(node.args[0].shape, node.shape)):
        mine += [number] * len(old)
        yours += [number] * len(new)
    rank = max((*mine, *yours), default=-1) + 1
    return Frame(rank, (tuple(mine),), (tuple(yours),))


def _windows(node: Node) -> Frame:
    """The dims within a window stay before the last one."""
    whole, count = identity(len(node.shape)), len(node.attrs["sizes"])
    first = len(whole) - count - 1
    return Frame(len(whole), ((*whole[:first], whole[-1]),), (whole,), whole[first:-1])


def _overlap_add(node: Node) -> Frame:
    whole, count = identity(len(node.args[0].shape)), len(node.attrs["sizes"])
    first = len(whole) - count - 1
    return Frame(len(whole), (whole,), ((*whole[:first], whole[-1]),), whole[first:-1])


def _along_axis(node: Node) -> Frame:
    """The first operand has all dims, a vector the one along `axis`; so have results."""
    whole, axis = identity(len(node.args[0].shape)), node.attrs["axis"]
    types = [item.tensor for item in node.items]
    return Frame(
        len(whole),
        tuple([whole if len(arg.shape) == len(whole) else (axis,) for arg in node.args]),
        tuple([whole if type.rank == len(whole) else (axis,) for type in types]),
    )


def _group_norm(node: Node) -> Frame:
    """Dim 0 counts the examples."""
    return replace(_along_axis(node), fixed=(0,))


def _loss(node: Node) -> Frame:
    whole = identity(len(node.args[0].shape))
    rest = tuple([d for d in whole if d != node.attrs["axis"]])
    return Frame(len(whole), (whole,) * len(node.args), (rest,))


def _product(node: Node) -> Frame | None:
    """The free dims of the operand that has several may change places; all others are fixed."""
    contract, batch = node.attrs["contract"], node.attrs["batch"]
    if batch[0]:
        return None
    ranks = [len(arg.shape) for arg in node.args]
    dims = [list(range(ranks[0])), list(range(ranks[0], sum(ranks)))]
    for a, b in zip(*contract, strict=True):
        dims[1][b] = dims[0][a]
    names = sorted({d for side in dims for d in side})
    x, y = (tuple([names.index(d) for d in side]) for side in dims)
    free = [tuple([d for d in side if d not in (set(x) & set(y))]) for side in (x, y)]
    several = free[0] if len(free[0]) > 1 else free[1]
    fixed = tuple([d for d in range(len(names)) if d not in several])
    return Frame(len(names), (x, y), ((*free[0], *free[1]),), fixed)


def _layer_norm(node: Node) -> Frame:
    whole, axes = identity(len(node.shape)), node.attrs["axes"]
    return Frame(len(whole), (whole, axes, axes), (whole,))


_WINDOWS = frozenset(["windows", "overlap_add"])
_FRAMES: dict[str, Callable[[Node], Frame | None]] = {
    "transpose": _transpose,
    "read": _read,
    "reshape": _reshape,
    "reduce": _reduce,
    "windows": _windows,
    "overlap_add": _overlap_add,
    "dot_general": _product,
    "layer_norm": _layer_norm,
    "group_norm": _group_norm,
    **dict.fromkeys(["cumulate", "reverse", "pad", "slice", "concatenate", "bitcast"], _same),
    **dict.fromkeys(["softmax", "log_softmax"], _along_axis),
    **dict.fromkeys(["cross_entropy", "softmax_cross_entropy"], _loss),
    **dict.fromkeys(
        ["batch_norm_training", "batch_norm_grad", "batch_norm_inference"], _along_axis
    ),
}
# The attributes that say something of dims, by op.
_AXES: dict[str, tuple[str, ...]] = {
    "reduce": ("axes",),
    "reverse": ("axes",),
    "layer_norm": ("axes",),
    "windows": ("axes",),
    "overlap_add": ("axes",),
    "pad": ("low", "high", "interior"),
    "slice": ("start", "limit", "strides"),
    "cumulate": ("axis",),
    "concatenate": ("axis",),
    "softmax": ("axis",),
    "log_softmax": ("axis",),
    "cross_entropy": ("axis",),
    "softmax_cross_entropy": ("axis",),
    "group_norm": ("axis",),
    "batch_norm_training": ("axis",),
    "batch_norm_grad": ("axis",),
    "batch_norm_inference": ("axis",),
}

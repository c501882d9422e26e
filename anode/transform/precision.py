"""Mixed precision: the products of a graph in a half type, everything delicate in float32.

Weights stay float32 variables; they are rounded where a product reads them, and a gradient by a
weight is float32 again. Differentiate what `lowered` gives: the backward products are then in the
half type too. Source of the policy: Micikevicius et al., Mixed Precision Training, 2018.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from anode.errors import ShapeError
from anode.ir.dtypes import DType, bf16, dtype_of, f16
from anode.ir.graph import Graph
from anode.ir.node import ITEM, Node, at, remake, topological
from anode.ir.types import TensorType
from anode.ops.elementwise import convert

HALF = (bf16, f16)

PRODUCTS = frozenset(
    ["dot_general", "matmul", "convolution", "convolution_data", "convolution_weights"]
)
"""Ops whose time goes into multiplying and adding: their operands and results are halved."""

FOLLOWING = frozenset(
    [
        *("broadcast_in_dim", "reshape", "transpose", "slice", "pad", "reverse", "concatenate"),
        *("windows", "gather", "dynamic_slice", "take"),
        *("negate", "abs", "maximum", "minimum", "add", "subtract", "select", "clamp"),
        *("relu", "leaky_relu", "clipped_relu", "max_pool", "average_pool", "dropout"),
    ]
)
"""Ops that lose nothing, or one rounding: halved as soon as one of their operands is."""

ROUNDED = frozenset(
    [
        *("batch_norm_training", "batch_norm_inference", "layer_norm", "group_norm"),
        "local_response_norm",
    ]
)
"""Norms: computed in float32, their first result rounded where their first operand was halved."""


def lowered(roots: Sequence[Node], dtype: object = bf16) -> list[Node]:
    """`roots` with the products they depend on in `dtype` (bf16 or f16); their types stay.

    Raises ShapeError for another type.
    """
    half = half_of(dtype)
    new: dict[Node, Node] = {}
    for node in topological(roots):
        with at(node.origin):
            new[node] = _lowered(node, [new[arg] for arg in node.args], half)
    return [_as(new[root], root) for root in roots]


def half_of(dtype: object) -> DType:
    """The half type that is meant; ShapeError for another one."""
    try:
        half = dtype_of(dtype)
    except ShapeError:
        half = None
    if half not in HALF:
        raise ShapeError(f"mixed precision is of bf16 or f16, not {half or repr(dtype)}")
    return half


def lowered_graph(graph: Graph, dtype: object = bf16) -> Graph:
    """The same for all that a graph computes."""
    return graph.with_roots(lowered(graph.roots, dtype))


def _lowered(node: Node, args: Sequence[Node], half: DType) -> Node:
    name = node.op.name
    if name in PRODUCTS and _is_float(node.args):
        return _remade(node, [convert(arg, dtype=half) for arg in args], half)
    if name in FOLLOWING and any(_is(arg, half) for arg in args):
        pairs = zip(args, node.args, strict=True)
        return _remade(node, [_halved(arg, old, half) for arg, old in pairs], half)
    if node.op is ITEM:
        return _item(node, args[0], half)
    back = tuple([_as(arg, old) for arg, old in zip(args, node.args, strict=True)])
    made = remake(node, back, _nested(node.attrs, half))
    rounded = name in ROUNDED and isinstance(node.type, TensorType) and _is(args[0], half)
    return convert(made, dtype=half) if rounded else made


def _item(node: Node, source: Node, half: DType) -> Node:
    made = remake(node, (source,))
    first = node.attrs["index"] == 0 and node.args[0].op.name in ROUNDED
    was_half = first and any(
        arg.op.name == "convert" and _is(arg.args[0], half) for arg in source.args[:1]
    )
    return convert(made, dtype=half) if was_half else made


def _nested(attrs: Mapping[str, object], half: DType) -> dict[str, object]:
    """The attributes, with what loops and branches run in lower precision too."""
    return {name: _nested_value(name, value, half) for name, value in attrs.items()}


def _nested_value(name: str, value: object, half: DType) -> object:
    if isinstance(value, tuple) and name == "branches":
        return tuple([lowered_graph(graph, half) for graph in value])
    if isinstance(value, Graph) and any(node.op.name in PRODUCTS for node in value.nodes):
        return lowered_graph(value, half)
    return value


def _remade(node: Node, args: Sequence[Node], half: DType) -> Node:
    """The node on halved operands; an attribute that names its type is the half type too."""
    attrs = dict(node.attrs)
    if isinstance(attrs.get("dtype"), DType) and node.tensor.dtype.is_float:
        attrs["dtype"] = half
    return remake(node, tuple(args), attrs)


def _halved(arg: Node, old: Node, half: DType) -> Node:
    """A float operand of the op's own type in the half type; masks and indices as they are."""
    return convert(arg, dtype=half) if _is_float([old]) and not _is(arg, half) else arg


def _as(node: Node, old: Node) -> Node:
    """`node` in the type that `old` had."""
    if node.type == old.type or not isinstance(old.type, TensorType):
        return node
    return convert(node, dtype=old.tensor.dtype)


def _is(node: Node, dtype: DType) -> bool:
    return isinstance(node.type, TensorType) and node.tensor.dtype is dtype


def _is_float(nodes: Iterable[Node]) -> bool:
    return all(isinstance(n.type, TensorType) and n.tensor.dtype.is_float for n in nodes)

"""A graph as elements to select from: `graph.select("convolution + relu")`.

Types are the op's name, its families (`families`), and `op`; inputs, variables and constants are
`input`, `variable` (or `parameter`) and `constant`. Picks from several results are no elements.
What a loop or a branch holds is inside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from anode.ir.graph import Graph
from anode.ir.node import CONSTANT, INPUT, ITEM, READ, Node, constant_value
from anode.ir.op import Op, registry
from anode.ir.types import TensorType
from anode.ir.variable import Variable
from anode.ops.declare import DeclaredOp, Elementwise
from anode.rewrite.select import Element, Tree, Vocabulary
from anode.rewrite.selector import parse

LEAVES = {INPUT: ("input",), READ: ("variable", "parameter"), CONSTANT: ("constant",)}
ACTIVATIONS = frozenset(
    [
        "relu",
        "leaky_relu",
        "clipped_relu",
        "elu",
        "selu",
        "softplus",
        "softsign",
        "gelu",
        "silu",
        "mish",
        "hard_sigmoid",
        "hard_tanh",
        "logistic",
        "tanh",
        "softmax",
        "log_softmax",
    ]
)
BY_MODULE: Mapping[str, str] = {
    "shape": "movement",
    "control": "control",
    "reduce": "reduction",
    "conv": "convolution",
    "pool": "pooling",
    "region": "pooling",
    "linalg": "product",
    "index": "indexing",
    "random": "random",
    "norm": "normalization",
    "matrix": "decomposition",
    "window": "movement",
    "image": "movement",
    "ctc": "loss",
    "recurrent": "recurrent",
}
MEMBERS: Mapping[str, frozenset[str]] = {
    "activation": ACTIVATIONS,
    "elementwise": (ACTIVATIONS - {"softmax", "log_softmax"})
    | {"dropout", "sigmoid_cross_entropy", "stochastic_round"},
    "loss": frozenset(
        [
            "cross_entropy",
            "softmax_cross_entropy",
            "sparse_softmax_cross_entropy",
            "sigmoid_cross_entropy",
            "ctc_loss",
        ]
    ),
    "reduction": frozenset(["softmax", "log_softmax"]),
}
FAMILIES = frozenset(["elementwise", *BY_MODULE.values(), *MEMBERS])
TRANSPARENT = frozenset(["reshape", "transpose", "broadcast_in_dim"])
PASSED = frozenset(["elementwise", "normalization"])  # families that do not count in between
COMMON = frozenset(
    ["op", "type", "dtype", "shape", "rank", "size", "file", "line", "value", "collections"]
)


@cache
def families(op: Op) -> frozenset[str]:
    """The kinds of op that `op` is of, such as `elementwise` or `reduction`."""
    found = {name for name, ops in MEMBERS.items() if op.name in ops}
    if isinstance(op, Elementwise):
        found.add("elementwise")
    elif isinstance(op, DeclaredOp):
        module = op.function.__module__.rpartition(".")[2]
        found.update({BY_MODULE[module]} if module in BY_MODULE else ())
    return frozenset(found)


def vocabulary(types: Iterable[str] = (), attributes: Iterable[str] = ()) -> Vocabulary:
    """The names that selectors over graphs know, and more."""
    leaves = [name for names in LEAVES.values() for name in names]
    named = [*FAMILIES, *registry, *leaves, "op"]
    own = {name for op in registry.values() for name in op.attributes}
    qualified = [f"op|{name}" for name in (*FAMILIES, *registry)]
    return Vocabulary([*named, *qualified, *types], own | COMMON | set(attributes))


def tree(graph: Graph) -> Tree:
    """The nodes of a graph, operands before users, those of nested graphs after their holder."""
    return Tree(list(_elements(graph, None)), vocabulary())


def _elements(graph: Graph, holder: Element | None) -> Iterator[Element]:
    made: dict[Node, Element] = {}
    names = dict(zip(graph.inputs, graph.input_names, strict=False))
    names |= dict(zip(map(source, graph.outputs), graph.output_names, strict=False))
    outputs = {source(node) for node in graph.outputs}
    for node in dict.fromkeys((*graph.inputs, *graph.nodes)):
        if node.op is ITEM:
            continue
        before = dict.fromkeys(made[source(arg)] for arg in node.args)
        above = (*before, *([holder] if holder else []))
        states = _states(node, outputs) if holder is None else ()
        made[node] = element(node, names.get(node, ""), tuple(before), above, holder, states)
        yield made[node]
        if "control" in families(node.op):
            for nested in graphs_of(node):
                yield from _elements(nested, made[node])


def _states(node: Node, outputs: set[Node]) -> tuple[str, ...]:
    return ("input",) * (node.op is INPUT) + ("output",) * (node in outputs)


def element(
    node: Node,
    name: str = "",
    before: tuple[Element, ...] = (),
    above: tuple[Element, ...] = (),
    holder: Element | None = None,
    states: Iterable[str] = (),
    without: frozenset[str] = frozenset(),
) -> Element:
    """A node as an element; `without` are types that it has as `op|…` only."""
    variable: Variable | None = node.attrs.get("variable")
    kinds = LEAVES.get(node.op, ("op", node.op.name, *families(node.op)))
    if variable is not None:
        name = variable.name
        states = (*states, "trainable" if variable.trainable else "frozen")
    return Element(
        node,
        types=(*(kind for kind in kinds if kind not in without), *(f"op|{k}" for k in kinds)),
        name=name,
        classes=() if variable is None else variable.collections,
        attributes=facts(node),
        states=tuple(states),
        inside=holder,
        before=before,
        above=above,
        transparent=node.op.name in TRANSPARENT or not PASSED.isdisjoint(families(node.op)),
        label=node.op.name,
    )


def facts(node: Node) -> dict[str, Any]:
    """The attributes of a node that selectors can ask for: its op's, its type's, its line's."""
    own = {
        key: value
        for key, value in node.attrs.items()
        if isinstance(value, (bool, int, float, str, tuple)) or value is None
    }
    found: dict[str, Any] = {**own, "op": node.op.name, "type": node.type}
    if isinstance(node.type, TensorType):
        type = node.type
        found |= {"dtype": type.dtype, "shape": type.shape, "rank": type.rank, "size": type.size}
    if node.origin is not None:
        found |= {"file": node.origin[0], "line": node.origin[1]}
    if node.op is CONSTANT and node.shape == ():
        value = constant_value(node)
        found["value"] = None if value is None else value.item()
    return found


def source(node: Node) -> Node:
    """The node itself, or what it is a pick from."""
    while node.op is ITEM:
        node = node.args[0]
    return node


def graphs_of(node: Node) -> Iterator[Graph]:
    """The graphs among the attributes of a node."""
    for value in node.attrs.values():
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, Graph):
                yield part


def fits(selector: str) -> Callable[[Node], bool]:
    """Whether a selector finds a node, seen with its operands only: a condition for patterns.

    `var("x", where=fits("convolution[groups=1] + relu"))` is such a relu.
    """
    parsed, words = parse(selector), vocabulary()

    def found(node: Node) -> bool:
        operands = tuple(element(source(arg)) for arg in node.args)
        own = element(node, before=operands, above=operands)
        return own in Tree([*operands, own], words).select(parsed)

    return found

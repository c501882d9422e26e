"""The stages of a loop kernel with reductions: what each run over the reduced axes computes.

A stage computes the reductions whose operands are known, the next one what needs their results
(softmax: the maximum, then the sum, then the quotients).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from math import prod

from anode.ir.graph import Graph
from anode.ir.node import ITEM, Node
from anode.ops.declare import Elementwise
from anode.ops.reduce import commutes
from anode.passes.movement import MOVEMENT

HEAVY = 12  # the cost of what is better saved for a later stage than computed again
_COSTS = dict.fromkeys(
    ["exp", "log", "tanh", "sin", "cos", "tan", "erf", "logistic", "power", "expm1", "log1p"], 12
)
_COSTS |= {"random_bits": 30, "divide": 4, "sqrt": 4, "rsqrt": 6, "erf_inv": 40, "gather": 8}


MOST_TAPS = 64  # elements of a window that code is written out for

# Ops whose operands are computed at other elements than the stage is at, as they are needed.
ELSEWHERE = MOVEMENT - {"broadcast_in_dim", "reshape", "transpose", "bitcast"} | {"overlap_add"}


@dataclass(frozen=True)
class Stage:
    """One run over the reduced axes.

    `members` are the elementwise nodes to compute, operands first, that `roots` need: what the
    `reductions` take up and what is stored in `outputs` (by index). Of the members, `saved` are
    kept for later stages, which load them.
    """

    roots: tuple[Node, ...]
    members: tuple[Node, ...]
    reductions: tuple[Node, ...]
    outputs: tuple[int, ...]
    saved: tuple[Node, ...] = ()


def cost(node: Node) -> int:
    """The time that one element of a node takes, in simple operations."""
    if node.op.name == "overlap_add":  # a load and a sum for each window that covers the element
        return max(1, 2 * prod(node.attrs["sizes"]) // prod(node.attrs["strides"]))
    return _COSTS.get(node.op.name, 1)


def in_any_order(body: Graph) -> bool:
    """Whether the reductions in a body may take elements in any order."""
    return all(commutes(n.attrs["body"]) for n in body.nodes if n.op.name == "reduce")


def stages_of(body: Graph, is_wide: Callable[[Node], bool], saving: bool) -> list[Stage]:
    """The stages of a body; `is_wide`: spans the reduced axes too; `saving`: may use `saved`."""
    depth = _depths(body)
    wide = [i for i, output in enumerate(body.outputs) if is_wide(output)]
    count = max([0, *depth.values(), *[depth[body.outputs[i]] + 1 for i in wide]])
    stages = []
    for number in range(1, count + 1):
        reductions = [n for n in body.nodes if n.op.name == "reduce" and depth[n] == number]
        outputs = [i for i in wide if depth[body.outputs[i]] == number - 1]
        roots = [x for n in reductions for x in n.args[: len(n.args) // 2]]
        roots += [body.outputs[i] for i in outputs]
        members, _ = _members(roots, frozenset())
        stages.append(Stage(tuple(roots), members, tuple(reductions), tuple(outputs)))
    return _saving(stages, is_wide) if saving else stages


def _saving(stages: list[Stage], is_wide: Callable[[Node], bool]) -> list[Stage]:
    """The stages with heavy members that several of them need computed in the first only."""
    computed: set[Node] = set()
    used: set[Node] = set()
    made = []
    for stage in stages:
        members, saved = _members(stage.roots, frozenset(computed))
        used |= saved
        computed |= {node for node in members if cost(node) >= HEAVY and is_wide(node)}
        made.append(replace(stage, members=members))
    return [replace(s, saved=tuple([n for n in s.members if n in used])) for s in made]


def _depths(body: Graph) -> dict[Node, int]:
    """How many reductions, one after another, a node waits for; a reduction counts itself."""
    depth: dict[Node, int] = {}
    for node in body.nodes:
        below = max((depth[arg] for arg in node.args), default=0)
        depth[node] = below + (node.op.name == "reduce")
    return depth


def _members(
    roots: Iterable[Node], known: frozenset[Node]
) -> tuple[tuple[Node, ...], frozenset[Node]]:
    """The elementwise nodes that roots need, operands first, and what of `known` they use."""
    order: list[Node] = []
    seen: set[Node] = set()
    stack = [(root, False) for root in roots]
    while stack:
        node, ready = stack.pop()
        if ready:
            order.append(node)
        elif node not in seen and node.op is not ITEM and node.op.name != "reduce":
            seen.add(node)
            if isinstance(node.op, Elementwise) and node not in known:
                stack.append((node, True))
            if node not in known and node.op.name not in ELSEWHERE:
                stack.extend((arg, False) for arg in node.args)
    return tuple(order), known & seen

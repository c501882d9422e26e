"""The derivatives of nodes, taken by anode's own transform."""

from __future__ import annotations

from collections.abc import Sequence

from anode.frontends.tensorflow.core import Operation, Tensor
from anode.frontends.tensorflow.opdef import REQUIRED, op
from anode.frontends.tensorflow.trace import Trace, variable_of
from anode.ir.node import Node
from anode.ir.types import TensorType


@op(
    "SymbolicGradient",
    "input:[Tin] -> [Tout]",
    ys=REQUIRED,
    xs=REQUIRED,
    weighted=REQUIRED,
    stops=0,
    shape="unknown",
)
def _(
    inputs: list[Node],
    *,
    ys: int,
    xs: int,
    weighted: tuple[bool, ...],
    stops: int,
    trace: Trace,
    op: Operation,
) -> list[Node]:
    from anode import ops

    given = iter(inputs[ys + xs : len(inputs) - stops])
    outputs: list[Node] = []
    seeds: list[Node] = []
    for y, has_weight in zip(inputs[:ys], weighted, strict=True):
        weight = next(given) if has_weight else None
        if y.dtype.is_float:
            outputs.append(y)
            seeds.append(_seed(y, weight))
    targets = [_versions(trace, t) for t in op.inputs[ys : ys + xs]]
    leaves = list(dict.fromkeys(node for versions in targets for node in versions))
    blocked = trace.stops | set(inputs[len(inputs) - stops :])
    total = through_marks(trace, outputs, leaves, seeds, blocked)
    found = []
    for versions, tensor in zip(targets, op.inputs[ys : ys + xs], strict=True):
        parts = [total[node] for node in versions if node in total]
        sample = versions[0] if versions else trace.value(tensor)
        found.append(sum(parts[1:], parts[0]) if parts else ops.zeros_like(sample))
    return found


def _seed(y: Node, weight: Node | None) -> Node:
    from anode import ops

    if weight is None:
        return ops.ones_like(y)
    return weight if weight.type == y.type else ops.broadcast_to(weight, y.tensor.static)


def _versions(trace: Trace, tensor: Tensor) -> list[Node]:
    """The nodes that stand for a tensor that a gradient is by; of a variable each value it had."""
    variable = variable_of(tensor)
    if variable is None:
        return [trace.value(tensor)]
    trace.read(variable)
    return list(dict.fromkeys(trace.versions.get(variable, [trace.read(variable)])))


def through_marks(
    trace: Trace, ys: Sequence[Node], xs: Sequence[Node], seeds: Sequence[Node], blocked: set[Node]
) -> dict[Node, Node]:
    """Cotangents of `xs`; a mark passes what it collects on to the node it stands for."""
    from anode.transform.grad import cotangents

    marks = list(trace.definitions)
    leaves = list(dict.fromkeys([*xs, *marks]))
    total: dict[Node, Node] = {}

    def collect(ys: Sequence[Node], seeds: Sequence[Node]) -> None:
        for leaf, ct in zip(leaves, cotangents(ys, leaves, seeds), strict=True):
            if ct is not None:
                total[leaf] = total[leaf] + ct if leaf in total else ct

    collect(ys, seeds)
    for mark in reversed(marks):
        if mark in total and mark not in blocked:
            node = trace.definitions[mark]
            if isinstance(node.type, TensorType) and node.dtype.is_float:
                collect([node], [total[mark]])
    return total

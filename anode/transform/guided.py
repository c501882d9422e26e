"""Guided back-propagation: what in an input excites a value. Source: Springenberg et al. 2014."""

from __future__ import annotations

from anode.ir.graph import fresh_inputs
from anode.ir.node import Node, substitute, topological
from anode.ops.elementwise import greater, select
from anode.ops.nn import relu
from anode.ops.shape import zeros_like
from anode.transform.grad import gradients


def guided_gradient(y: Node, x: Node, ct: Node) -> Node:
    """The cotangent of `x` for that of `y`, where each relu lets only positive ones through.

    The graph is cut at its relus; from the last to the first, what arrives at one is rectified and
    sent on from the relu's operand.
    """
    relus = [node for node in topological([y]) if node.op is relu]
    cuts = fresh_inputs(*(node.type for node in relus))
    whole = dict(zip(relus, cuts, strict=True))
    cut = substitute([y, *(node.args[0] for node in relus)], whole)
    ys, cts = [cut[y]], [ct]
    for node in reversed(relus):
        (arriving,) = gradients(ys, [whole[node]], cts)
        operand = cut[node.args[0]]
        ys.append(operand)
        cts.append(select(greater(operand, 0), relu(arriving), zeros_like(arriving)))
    (found,) = gradients(ys, [x], cts)
    back = substitute([found], dict(zip(cuts, relus, strict=True)))
    return back[found]

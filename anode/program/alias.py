"""Which result of a step may take the memory of one of its operands."""

from __future__ import annotations

from anode.ir.graph import Graph
from anode.ir.node import CONSTANT, INPUT, READ, Node
from anode.ir.types import TensorType
from anode.ops.declare import Elementwise
from anode.passes.kernel import KERNEL
from anode.passes.movement import is_movement

# Ops whose result 0 is operand 0 with some elements replaced.
_REPLACING = ("dynamic_update_slice", "scatter")


def may_alias(node: Node, result: int, operand: int) -> bool:
    """Whether `result` of a kernel or opaque node may be written over `operand`."""
    if node.op is KERNEL:
        return aligned(node.attrs["body"], result, operand)
    return node.op.name in _REPLACING and operand == 0


def aligned(body: Graph, output: int, input: int) -> bool:
    """Whether a kernel may write the memory of `input` as it stores `output`, element by element.

    True says: element k (in row-major order) of every output depends on no element of the input but
    k, unless through a reduction of values at k; no product reads the input; all outputs that
    depend on it are of one shape and come after the same reductions and products, and the
    reductions that take it up do so in the same run over the elements or before. So one loop can
    compute everything at k, for all of them, before it stores any. The kernel must do that, and
    store an element of an output once, complete.
    """
    source, target = body.inputs[input], body.outputs[output]
    if not _same_elements(source, target):
        return False
    found = _elementwise_users(body, source)
    if found is None:
        return False
    dependent, reductions = found
    others = {node for node in body.outputs if node in dependent and node is not target}
    if not others and not reductions:
        return True
    stages = _stages(body)
    if any(not stages[node] <= stages[target] | {node} for node in reductions):
        return False
    return all(stages[node] == stages[target] and _wide(node) == _wide(target) for node in others)


def _same_elements(x: Node, y: Node) -> bool:
    if not isinstance(x.type, TensorType) or not isinstance(y.type, TensorType):
        return False
    return x.type.size == y.type.size and x.type.dtype.size == y.type.dtype.size


def _wide(node: Node) -> list[int]:
    return [size for size in node.tensor.static if size != 1]


def _elementwise_users(body: Graph, source: Node) -> tuple[set[Node], list[Node]] | None:
    """The nodes of which element k depends on element k of `source`, and reductions of such nodes.

    None where some other element of a node depends on it, or a product takes it up.
    """
    dependent, reductions = {source}, list[Node]()
    for node in body.nodes:
        readers = [arg for arg in node.args if arg in dependent]
        if not readers:
            continue
        if node.op.name == "reduce" and all(isinstance(arg.op, Elementwise) for arg in readers):
            reductions.append(node)
        elif all(_keeps_elements(node, arg) for arg in readers):
            dependent.add(node)
        else:
            return None
    products = reductions and any(node.op.name == "dot_general" for node in body.nodes)
    return None if products else (dependent, reductions)


def _keeps_elements(node: Node, arg: Node) -> bool:
    """Whether element k of `node` depends on element k of its operand `arg` and on no other."""
    name = node.op.name
    if isinstance(node.op, Elementwise) or name in ("reshape", "bitcast"):
        return True
    if name == "broadcast_in_dim":
        return arg.tensor.size == node.tensor.size
    if name == "transpose":
        wide = [i for i in node.attrs["permutation"] if arg.tensor.static[i] != 1]
        return wide == sorted(wide)
    if name == "dynamic_update_slice":  # an element of operand 0 is kept or replaced where it is
        return node.args.index(arg) == 0 and arg not in node.args[1:]
    return False


def _stages(body: Graph) -> dict[Node, frozenset[Node]]:
    """The nodes each node depends on that do not run in a loop with it: reductions, products, …"""
    stages: dict[Node, frozenset[Node]] = {}
    for node in body.nodes:
        before = frozenset[Node]().union(*[stages[arg] for arg in node.args])
        inline = isinstance(node.op, Elementwise) or is_movement(node)
        leaf = node.op in (INPUT, READ, CONSTANT)
        stages[node] = before if inline or leaf else before | {node}
    return stages

"""Reverse-mode differentiation: the gradients of nodes as nodes, to any order.

`gradients` is pure and works in the middle of a trace; `grad` is the same as a transform of graphs.
An op's own rule (`op.gradient`) comes first; a composite without one is differentiated through its
body.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeGuard, TypeVar

from anode.errors import GraphError, ShapeError, UnsupportedOp
from anode.ir.graph import Graph
from anode.ir.node import INPUT, ITEM, Node, at, constant, input_node, read, substitute, topological
from anode.ir.types import TensorType, TupleType, Type
from anode.ir.variable import Variable
from anode.ops.declare import Composite
from anode.ops.shape import broadcast_in_dim

F = TypeVar("F", bound=Callable[..., Any])


def gradients(
    ys: Sequence[Node], xs: Sequence[Node], cts: Sequence[Node] | None = None
) -> tuple[Node, ...]:
    """The sum over `ys` of the derivative by each of `xs`, weighted by the cotangents `cts`.

    `xs` are any float nodes: inputs, reads of variables, intermediate values. `cts` have the types
    of `ys` and default to one, for which each y must be a scalar. The result has the types of `xs`,
    zero where no y depends on an x. Integer results, `stop_gradient` and other ops declared not
    differentiable block. Raises ShapeError on operands that do not fit, UnsupportedOp on an op that
    has no gradient.
    """
    for node in (*ys, *xs):
        if not _is_float(node.type):
            raise ShapeError(
                f"gradients: a value of type {node.type} has no derivative{_line(node)}"
            )
    seeds = [_one(y) for y in ys] if cts is None else list(cts)
    if [ct.type for ct in seeds] != [y.type for y in ys]:
        raise ShapeError(
            f"gradients: cotangents {[ct.type for ct in seeds]} for values {[y.type for y in ys]}"
        )
    found = cotangents(ys, xs, seeds)
    return tuple(filled(x.type, 0) if ct is None else ct for x, ct in zip(xs, found, strict=True))


def grad(graph: Graph, wrt: Sequence[int | Variable], output: int = 0) -> Graph:
    """`graph` with the gradients of the scalar `output`, one for each `wrt`, after its outputs.

    `wrt` are indices of inputs, or variables. Where the graph has names, the gradient by `w` is
    named `d_w`.
    """
    inputs = graph.inputs
    xs = [read(w) if isinstance(w, Variable) else inputs[w] for w in wrt]
    found = gradients([graph.outputs[output]], xs)
    names = list(graph.names)
    if names:
        names += [f"d_{w.name if isinstance(w, Variable) else names[w]}" for w in wrt]
    outputs = (*graph.outputs, *found)
    return Graph.make(graph.types, outputs, graph.updates, graph.effects, names)


def cotangents(
    ys: Sequence[Node], xs: Sequence[Node], cts: Sequence[Node]
) -> tuple[Node | None, ...]:
    """The cotangent of each x for the cotangents of `ys`, None where no y depends on the x.

    A node with several results collects its cotangents at its items. Only nodes that lie between
    `xs` and `ys` are visited.
    """
    order = topological(ys)
    active = _depending(order, xs)
    collected: dict[Node, Node] = {}
    for y, ct in zip(ys, cts, strict=True):
        _accumulate(collected, y, ct)
    for node in reversed(order):
        if node.op is ITEM or not _passes(node) or active.isdisjoint(node.args):
            continue
        with at(node.origin):
            incoming = tuple([collected.get(result) for result in node.items])
            if any(ct is not None for ct in incoming):
                wanted = [arg in active for arg in node.args]
                found = _pull_back(node, incoming, wanted)
                for arg, part in zip(node.args, found, strict=True):
                    if part is not None and arg in active:
                        _accumulate(collected, arg, part)
    return tuple(collected.get(x) for x in xs)


def selective(rule: F) -> F:
    """Decorator: `rule` takes a keyword `wanted`, a bool for each operand, and may give None else.

    For rules that build one large node, such as a loop, for all the operands.
    """
    rule.selective = True  # type: ignore[attr-defined]
    return rule


def influence(graph: Graph) -> tuple[frozenset[int], ...]:
    """For each output the indices of the inputs that a derivative can reach from it."""
    sets: dict[Node, frozenset[int]] = {}
    for node in graph.nodes:
        if not _passes(node):
            sets[node] = frozenset()
        elif node.op is INPUT:
            sets[node] = frozenset([node.attrs["index"]])
        else:
            sets[node] = frozenset().union(*[sets[arg] for arg in node.args])
    return tuple(sets[output] for output in graph.outputs)


def filled(type: Type, value: float) -> Node:
    """A tensor of `type` with `value` everywhere."""
    assert isinstance(type, TensorType)
    scalar = constant(value, type.dtype)
    return broadcast_in_dim(scalar, shape=type.shape, axes=()) if type.shape else scalar


def _depending(order: Iterable[Node], xs: Iterable[Node]) -> set[Node]:
    """`xs` and the nodes of `order` that a derivative by one of them goes through."""
    active = set(xs)
    for node in order:
        if _passes(node) and not active.isdisjoint(node.args):
            active.add(node)
    return active


def _passes(node: Node) -> bool:
    results = node.type if isinstance(node.type, TupleType) else (node.type,)
    return getattr(node.op, "differentiable", True) and any(map(_is_float, results))


def _is_float(type: Type) -> TypeGuard[TensorType]:
    return isinstance(type, TensorType) and type.dtype.is_float


def _accumulate(collected: dict[Node, Node], node: Node, ct: Node) -> None:
    if ct.type != node.type:
        raise GraphError(f"a cotangent of type {ct.type} for a {node.op.name} of type {node.type}")
    before = collected.get(node)
    collected[node] = ct if before is None else before + ct


def _pull_back(
    node: Node, cts: tuple[Node | None, ...], wanted: Sequence[bool]
) -> tuple[Node | None, ...]:
    """The operands' cotangents from the results' ones."""
    rule = getattr(node.op, "gradient", None)
    if rule is not None:
        several = isinstance(node.type, TupleType)
        ct, y = (cts, node.items) if several else (cts[0], node)
        options = {"wanted": wanted} if getattr(rule, "selective", False) else {}
        found = tuple(rule(ct, y, *node.args, **node.attrs, **options))
        if len(found) != len(node.args):
            raise GraphError(
                f"{node.op.name}: the gradient gives {len(found)} cotangents for "
                f"{len(node.args)} operands"
            )
        return found
    if isinstance(node.op, Composite):
        return _through_body(node.op, node, cts, wanted)
    raise UnsupportedOp(
        f"{node.op.name} has no gradient{_line(node)}; "
        "declare one with .vjp, or put stop_gradient around the value"
    )


def _through_body(
    op: Composite, node: Node, cts: tuple[Node | None, ...], wanted: Sequence[bool]
) -> tuple[Node | None, ...]:
    """Differentiate the body once, over its own inputs, then put the operands in their place.

    What the derivative needs of the body's results it takes from `node`, which has them anyway.
    """
    body = op.body(tuple([arg.type for arg in node.args]), node.attrs)
    given = {k: ct for k, ct in enumerate(cts) if ct is not None}
    seeds = [input_node(len(body.types) + k, ct.type) for k, ct in given.items()]
    xs = [x for x, flag in zip(body.inputs, wanted, strict=True) if flag]
    found = cotangents([body.outputs[k] for k in given], xs, seeds)
    known = {o: result for o, result in zip(body.outputs, node.items, strict=True) if o.args}
    known.update(zip(body.inputs, node.args, strict=True))
    known.update(zip(seeds, given.values(), strict=True))
    new = substitute([ct for ct in found if ct is not None], known, node.origin)
    by_input = {x: new[ct] for x, ct in zip(xs, found, strict=True) if ct is not None}
    return tuple(by_input.get(x) for x in body.inputs)


def _one(y: Node) -> Node:
    if y.shape:
        raise ShapeError(
            f"gradients: a value of type {y.type} is not a scalar{_line(y)}; "
            "pass its cotangent or sum it"
        )
    return filled(y.type, 1)


def _line(node: Node) -> str:
    return f" ({node.op.name} at {node.origin})" if node.origin else f" ({node.op.name})"

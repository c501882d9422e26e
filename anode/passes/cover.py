"""Cover: a library's kernels have their pick of whole composites, before these are expanded.

The patterns are here, the library is the backend's: it makes the node that calls it, or says why
it does not. What it declines is for generated code.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from anode.ir.graph import Graph
from anode.ir.node import Node
from anode.ops.conv import convolution, convolution_data, convolution_weights
from anode.ops.elementwise import rsqrt
from anode.ops.shape import reshape
from anode.rewrite.drivers import cover as select
from anode.rewrite.pattern import Call, P, Rule, Rules, match, number_of, rule, scalar_of, var
from anode.rewrite.trace import Trace

CONVOLUTIONS = (convolution, convolution_data, convolution_weights)

_UNARY = {"relu": None, "leaky_relu": "slope", "elu": "alpha", "tanh": None, "logistic": None}


@dataclass(frozen=True)
class Convolution:
    """A convolution, or a gradient of one, and what follows it in the same kernel.

    `bias` is a tensor (o,), `added` one of the result's type; then comes `activation`: a name of
    "relu", "leaky_relu", "elu", "tanh", "logistic" and its parameter.
    """

    node: Node
    bias: Node | None = None
    added: Node | None = None
    activation: tuple[str, float] | None = None


@dataclass(frozen=True)
class Made:
    """What a library puts in a node's place, and why it was chosen."""

    node: Node
    note: str


class Library(Protocol):
    """Kernels that generated code can call."""

    def convolution(self, wanted: Convolution) -> Made | str:
        """A node of the same value and type, or in words why the library is not called."""


def cover(library: Library | None) -> Callable[[Graph, Trace], Graph]:
    """The pass that gives `library` the convolutions it takes, with what follows each."""

    def cover(graph: Graph, trace: Trace) -> Graph:
        if library is None or not any(node.op in CONVOLUTIONS for node in graph.nodes):
            return graph
        notes: dict[Node, str] = {}
        made = select(graph, _rules(library, notes), trace)
        trace.hits[:] = [
            hit if hit.after is None else replace(hit, note=notes.get(hit.after, hit.note))
            for hit in trace.hits
        ]
        return made

    return cover


def _rules(library: Library, notes: dict[Node, str]) -> Rules:
    x, y = var("x"), var("y")
    plain = P.convolution(x, y).named("source")
    biased = plain + var("bias")
    summed = biased + var("added")
    normal = P.batch_norm_inference(P.convolution(x, y), ...).named("source")
    normal_summed = normal + var("added")

    def ask(wanted: Convolution | str) -> Node | str:
        if not isinstance(wanted, str) and _is_empty(wanted.node):
            wanted = "it has no elements"
        found = wanted if isinstance(wanted, str) else library.convolution(wanted)
        if isinstance(found, str):
            return found
        notes[found.node] = found.note
        return found.node

    @rule(*_activated(biased), *_activated(summed))
    def convolution_sum_activation(node: Node, source: Node) -> Node | str:
        """A convolution, the sum with a bias or another tensor, and an activation."""
        return ask(_following(node, source))

    @rule(*_activated(plain))
    def convolution_activation(node: Node, source: Node) -> Node | str:
        """A convolution and an activation."""
        return ask(_following(node, source))

    @rule(biased, summed)
    def convolution_sum(node: Node, source: Node) -> Node | str:
        """A convolution and the sum with a bias or another tensor."""
        return ask(_following(node, source))

    @rule(*_activated(normal), *_activated(normal_summed), normal, normal_summed)
    def convolution_norm(node: Node, source: Node) -> Node | str:
        """A convolution, with a batch norm's factors in its weights, its offset as bias, and more.

        A sum with another tensor and an activation may follow.
        """
        refused = _not_folded(source)
        return refused or ask(_following(node, source))

    @rule(*[getattr(P, op.name)(x, y) for op in CONVOLUTIONS])
    def convolution_alone(node: Node) -> Node | str:
        """A convolution, or one of its gradients."""
        return ask(Convolution(node))

    rules: list[Rule] = [convolution_sum_activation, convolution_activation, convolution_sum]
    return Rules(*rules, convolution_norm, convolution_alone)


def _activated(y: Call) -> list[Call]:
    return [*[getattr(P, name)(y) for name in _UNARY], P.maximum(y, 0)]


def _following(node: Node, source: Node) -> Convolution | str:
    """What `node` computes of `source`, a convolution or its batch norm, as one kernel's work."""
    activation = None
    if node.op.name in _UNARY:
        parameter = _UNARY[node.op.name]
        activation = node.op.name, float(node.attrs[parameter]) if parameter else 0.0
        (node,) = node.args
    elif node.op.name == "maximum":
        activation = "relu", 0.0
        (node,) = [arg for arg in node.args if not _is_zero(arg)]
    added = None
    convolved, bias = (source, None) if source.op is convolution else _folded(source)
    for term in _terms(node, source):
        vector = _along_channels(term)
        if vector is not None and bias is None:
            bias = vector
        elif vector is None and added is None and term.type == source.type:
            added = term
        else:
            return "it adds two tensors of one kind"
    return Convolution(convolved, bias, added, activation)


def _not_folded(norm: Node) -> str | None:
    """Why a batch norm at inference stays apart from the convolution before it; None if it goes."""
    source = norm.args[0]
    if norm.attrs["axis"] != source.tensor.rank - 1:
        return "the batch norm is not of the filters' axis"
    if source.dtype is not source.dtype.compute:
        return f"weights of {source.dtype} would be rounded twice"
    if source.args[1].tensor.size > source.tensor.size:
        return "there are more weights to scale than results"
    return None


def _folded(norm: Node) -> tuple[Node, Node]:
    """The convolution before a batch norm with its factors in the weights, and the bias (o,).

    (x·w − mean)·k + offset = x·(w·k) + (offset − mean·k) with k = scale / √(variance + epsilon).
    """
    source, scale, offset, mean, variance = norm.args
    x, w = source.args
    factor = scale * rsqrt(variance + norm.attrs["epsilon"])
    return source.op(x, w * factor, **source.attrs), offset - mean * factor


def _is_empty(node: Node) -> bool:
    return any(0 in value.shape for value in (node, *node.args))


def _is_zero(node: Node) -> bool:
    return scalar_of(node) is not None and number_of(node) == 0


def _terms(node: Node, source: Node) -> list[Node]:
    """What is added to `source`, from the outermost sum to the innermost."""
    terms = []
    while node is not source:
        inner, outer = node.args
        nested = match(P.add(var("x"), var("y")), inner) is not None and source in inner.args
        if inner is not source and not nested:
            inner, outer = outer, inner
        terms.append(outer)
        node = inner
    return terms


def _along_channels(node: Node) -> Node | None:
    """The vector (o,) that is added to each place of images; None for any other tensor."""
    if node.op.name != "broadcast_in_dim":
        return None
    source, rank, channels = node.args[0], node.tensor.rank, node.tensor.shape[-1]
    axes = node.attrs["axes"]
    if source.tensor.size != channels or rank - 1 not in axes:
        return None
    if source.tensor.shape[axes.index(rank - 1)] != channels:
        return None
    return source if source.tensor.rank == 1 else reshape(source, shape=(channels,))

"""Every rule of legalization fires, and what it makes is legal and has the same value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from anode import ops
from anode.ir.dtypes import dtype_of, f32_to_bf16
from anode.ir.graph import Graph, trace
from anode.ir.node import Node
from anode.ir.types import tensor
from anode.ops.declare import Composite
from anode.ops.evaluate import evaluate
from anode.ops.reduce import logaddexp_graph, scalar_graph
from anode.passes.legalize import RULES, legalize
from anode.rewrite.trace import Trace

RNG = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def flags(*shape: int) -> np.ndarray:
    return RNG.random(shape) < 0.4


def product(x: Node, y: Node, **attrs: Any) -> Node:
    return ops.dot_general(x, y, contract=((1,), (0,)), **attrs)


def reduced_by_composite(x: Node) -> Node:
    f32 = dtype_of("f32")
    body = scalar_graph(lambda a, b: ops.relu(a) + b, f32, f32)
    return ops.reduce(x, ops.full((), 0.0), body=body, axes=(0,))


CASES: dict[str, tuple[Callable[..., Any], list[np.ndarray]]] = {
    "expand": (ops.gelu, [normal(3)]),
    "expand_item": (
        lambda x, s, o: ops.batch_norm_training(x, s, o, axis=1).items[1:],
        [normal(4, 3), normal(3), normal(3)],
    ),
    "legal_body": (reduced_by_composite, [normal(5, 2)]),
    "accumulate_in_f32": (lambda x: ops.cumsum(x, 0), [f32_to_bf16(normal(60, 2))]),
    "empty_product": (product, [normal(3, 0), normal(0, 2)]),
    "product_of_bools": (product, [flags(3, 4), flags(4, 5)]),
    "product_type": (lambda x, y: product(x, y, dtype="i32"), [flags(3, 4), flags(4, 5)]),
    "canonical_product": (
        lambda x, y: ops.dot_general(x, y, contract=((0, 2), (1, 0))),
        [normal(2, 3, 4), normal(4, 2, 5, 6)],
    ),
    "deep_product": (
        lambda x, y: ops.dot_general(x, y, contract=((0, 1), (0, 1))),
        [normal(64, 256, 3), normal(64, 256, 2)],
    ),
    "transposed_product": (lambda x, y: ops.transpose(product(x, y)), [normal(3, 4), normal(4, 2)]),
}


def graph_of(function: Callable[..., Any], args: list[np.ndarray]) -> Graph:
    return trace(function, *[tensor(arg.dtype, *arg.shape) for arg in args])


@pytest.mark.parametrize("name", CASES)
def test_rule(name):
    function, args = CASES[name]
    graph, hits = graph_of(function, args), Trace("legalize")
    legal = legalize(graph, hits)
    assert hits.rules[name] >= 1
    assert legalize(legal) is legal
    assert not any(isinstance(node.op, Composite) for node in legal.nodes)
    for got, want in zip(evaluate(legal, args)[0], evaluate(graph, args)[0], strict=True):
        assert got.dtype == want.dtype and got.shape == want.shape
        if want.dtype.kind == "f":
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
        else:
            np.testing.assert_array_equal(got, want)


def test_every_rule_has_a_case():
    assert {rule.__name__ for rules in RULES.values() for rule in rules} <= CASES.keys()


def test_bodies_that_are_legal_stay():
    f64 = dtype_of("f64")
    graph = graph_of(
        lambda x: ops.cumulate(x, body=logaddexp_graph(f64), axis=0), [np.zeros((3, 2))]
    )
    assert legalize(graph) is graph

"""Products with weights that a graph replaces are summed up in halves; others stay as they are."""

import numpy as np
import pytest

from anode import ops
from anode.ir.graph import Graph, close, fresh_inputs
from anode.ir.node import read
from anode.ir.types import tensor
from anode.ir.variable import Variable
from anode.ops.evaluate import evaluate
from anode.passes.halves import halve_products
from anode.rewrite.trace import Trace


def step(rows: int, depth: int, columns: int, *, replaced: bool = True) -> Graph:
    """A product with weights, which the step replaces or leaves."""
    (x,) = fresh_inputs(tensor("f32", rows, depth))
    weights = Variable("weights", tensor("f32", depth, columns))
    y = ops.relu(ops.dot_general(x, read(weights), contract=((1,), (0,))))
    updates = [(weights, read(weights) * 0.5)] if replaced else []
    return close([x], [y], updates)


def test_halves_add_up_to_the_product():
    graph, trace = step(64, 300, 80), Trace("halves")
    halved = halve_products(graph, trace)
    (product,) = [node for node in halved.nodes if node.op is ops.dot_general]
    assert product.shape == (2, 64, 80) and len(trace.hits) == 1
    random = np.random.RandomState(0)
    x = random.randint(-3, 4, (64, 300)).astype(np.float32)
    state = {v: random.randint(-3, 4, v.type.static).astype(np.float32) for v in graph.variables}
    (one,), _ = evaluate(graph, [x], state)
    (two,), _ = evaluate(halved, [x], state)
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    "shape",
    [(64, 301, 80), (200, 300, 80), (4, 300, 80), (512, 1024, 4), (64, 3000, 100)],
    ids=["odd depth", "little depth", "few rows", "small weights", "large weights"],
)
def test_other_products_stay(shape):
    graph = step(*shape)
    assert halve_products(graph) is graph


def test_weights_that_stay_are_multiplied_at_once():
    graph = step(64, 300, 80, replaced=False)
    assert halve_products(graph) is graph

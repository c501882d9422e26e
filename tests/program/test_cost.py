"""Estimates of time are those of graphs, the same in every run."""

import numpy as np

from anode import ops
from anode.ir.graph import close, fresh_inputs
from anode.ir.types import tensor
from anode.program.cost import reference_seconds


def graph_of(function, *shapes):
    inputs = fresh_inputs(*(tensor(np.dtype("f4"), *shape) for shape in shapes))
    return close(inputs, [function(*inputs)])


def test_products_take_longer_than_sums_of_their_size():
    product = graph_of(ops.matmul, (200, 200), (200, 200))
    total = graph_of(ops.add, (200, 200), (200, 200))
    assert reference_seconds(product) > 10 * reference_seconds(total) > 0


def test_a_graph_has_one_estimate():
    first, again = (graph_of(lambda x: ops.exp(x) + x, (8, 8)) for _ in range(2))
    assert reference_seconds(first) == reference_seconds(again)

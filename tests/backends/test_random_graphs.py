"""Random graphs whose values share memory and change variables, natively against their values."""

import numpy as np
import pytest

from anode.backends.base import backend_named
from anode.ops.evaluate import evaluate
from tests.program.random_graphs import arrays, as_nodes, random_graph


class Held(dict):
    """Variables at addresses of their own."""

    def __init__(self, graph, seed):
        values = arrays([variable.type for variable in graph.variables], seed)
        super().__init__(zip(graph.variables, values, strict=True))
        self.version = id(self)


@pytest.mark.parametrize("seed", range(16))
def test_random_graphs(backend, seed):
    graph = random_graph(seed, size=10 + seed, variables=3, build=as_nodes)
    inputs, state = arrays(list(graph.types), seed), Held(graph, seed)
    outputs, changed = evaluate(graph, inputs, {v: value.copy() for v, value in state.items()})
    results = backend_named(backend).compile(graph, threads=1 + seed % 2).run(inputs, state)
    for value, expected in zip(results, outputs, strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
    for variable, value in state.items():
        expected = changed[variable]
        np.testing.assert_allclose(value, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())

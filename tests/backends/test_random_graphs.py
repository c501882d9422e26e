"""Random graphs whose values share memory and change variables, natively against their values."""

import numpy as np
import pytest

from anode.backends.base import backend_named
from anode.ops.evaluate import evaluate
from anode.runtime.state import State
from tests.program.random_graphs import arrays, as_nodes, random_graph


def held(graph, seed):
    """The graph's variables, at addresses of their own."""
    values = arrays([variable.type for variable in graph.variables], seed)
    return State(dict(zip(graph.variables, values, strict=True)))


@pytest.mark.parametrize("seed", range(16))
def test_random_graphs(backend, seed):
    graph = random_graph(seed, size=10 + seed, variables=3, build=as_nodes)
    inputs, state = arrays(list(graph.types), seed), held(graph, seed)
    outputs, changed = evaluate(graph, inputs, {v: value.copy() for v, value in state.items()})
    results = backend_named(backend).compile(graph, threads=1 + seed % 2).run(inputs, state)
    for value, expected in zip(results, outputs, strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
    for variable, value in state.items():
        expected = changed[variable]
        np.testing.assert_allclose(value, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())

"""The seeds that random operations get: of the graph and of the op."""

from __future__ import annotations

from anode.frontends.tensorflow.graph import get_default_graph

DEFAULT_GRAPH_SEED = 87654321
_LIMIT = 2**31 - 1


def get_seed(op_seed: int | None) -> tuple[int | None, int | None]:
    """The seeds of graph and op; two None where neither was set.

    An op without a seed of its own takes the number of operations made before it.
    """
    graph = get_default_graph()
    if graph.seed is None and op_seed is None:
        return None, None
    first = DEFAULT_GRAPH_SEED if graph.seed is None else graph.seed % _LIMIT
    second = graph._last_id if op_seed is None else op_seed % _LIMIT
    return (0, _LIMIT) if (first, second) == (0, 0) else (first, second)

"""The reference backend: every op's own NumPy evaluation, one after another; the others' oracle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from anode.backends.base import Backend, Compiled, Variables
from anode.errors import BackendError
from anode.ir.graph import Graph
from anode.ops.evaluate import evaluate


class ReferenceCompiled(Compiled):
    """A graph to be interpreted."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.seconds = 0.0

    @cached_property
    def stages(self) -> Mapping[str, str]:  # type: ignore[override]
        return {"graph": repr(self.graph)}

    def run(self, inputs: Sequence[np.ndarray], state: Variables) -> list[np.ndarray]:
        outputs, updated = evaluate(self.graph, inputs, state)
        # Values may be views of inputs or of variables: copy all before any variable changes.
        results = [np.array(value, order="C") for value in outputs]
        new = [(variable, np.array(updated[variable])) for variable, _ in self.graph.updates]
        for variable, value in new:
            state[variable][...] = value
        return results


class ReferenceBackend(Backend):
    """Interprets graphs with NumPy, in one thread whatever `threads` says."""

    name = "reference"

    def compile(
        self, graph: Graph, *, threads: int | None = None, memory_limit: int | None = None
    ) -> Compiled:
        if memory_limit is not None:
            raise BackendError("memory_limit: the reference backend plans no memory; use cpu")
        return ReferenceCompiled(graph)

"""What a backend is: `compile` one static graph, then `run` it on arrays and variables."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from anode.errors import BackendError
from anode.ir.graph import Graph
from anode.ir.variable import Variable


class Variables(Mapping[Variable, np.ndarray]):
    """The arrays of variables: dense, 64-byte aligned, their dims in the order of the last user.

    `version` is a number that no other set of addresses and orders ever had, in this object or
    another one: a backend may keep the pointers it took for as long as the version is the same.
    """

    version: int

    @abstractmethod
    def stored(self, variable: Variable) -> np.ndarray:
        """The variable's own array with the dims in `variable.order`, C-contiguous that way.

        Elements that lie in another order are moved, once, and the version changes.
        """


class Compiled(ABC):
    """One static graph, ready to run.

    `seconds` is what compiling took, `peak_bytes` the planned arena (None where none is),
    `stages` the named printable stages on the way, `report` says what became of each node.
    """

    graph: Graph
    seconds: float
    peak_bytes: int | None = None
    stages: Mapping[str, str]
    report: Any = None

    @abstractmethod
    def run(self, inputs: Sequence[np.ndarray], state: Variables) -> list[np.ndarray]:
        """The outputs as new arrays; updated variables change in place in `state`.

        The inputs have the graph's types and are C-contiguous and aligned; the caller has checked.
        """


class Backend(ABC):
    """A way to run graphs."""

    name: str

    @abstractmethod
    def compile(
        self, graph: Graph, *, threads: int | None = None, memory_limit: int | None = None
    ) -> Compiled:
        """Compile a graph without symbolic sizes; `threads=None` lets the backend choose.

        `memory_limit` bounds the bytes of temporaries.
        """


BACKENDS = ("cpu", "reference")


def backend_named(name: str) -> Backend:
    """The backend called `name`; an unknown one raises BackendError with the known names."""
    if name == "reference":
        from anode.backends.reference.backend import ReferenceBackend

        return ReferenceBackend()
    if name == "cpu":
        from anode.backends.cpu.backend import CpuBackend

        return CpuBackend()
    raise BackendError(f"there is no backend {name!r}; choose one of {', '.join(BACKENDS)}")

"""The native backend: a static graph becomes one program, one object file, one function to call."""

from __future__ import annotations

import ctypes
import time
import weakref
from bisect import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from anode.backends.base import Backend, Compiled, Variables
from anode.backends.cpu import code, team
from anode.backends.cpu.layout import Layout
from anode.backends.cpu.target import Target, host_target
from anode.errors import BackendError
from anode.ir.graph import Graph
from anode.ir.types import TensorType
from anode.ops.declare import DeclaredOp

if TYPE_CHECKING:
    from anode.backends.cpu.build import Build
    from anode.backends.cpu.choice import Choosing
    from anode.backends.cpu.onednn_records import Calls
    from anode.program.program import Program, Step
    from anode.rewrite.trace import Trace

SMALL = 4096  # bytes: an output this small is copied out of a fixed place, which costs least

_HOST_CALL = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p)


class CpuBackend(Backend):
    """Compiles graphs for the processor this process runs on.

    Convolutions are oneDNN's where it is installed and faster; with `onednn=False` none is. Where
    that is faster yet, those with filters of two to five strides (3x3 and 5x5, or 4x4 that move
    by 2) are computed by Winograd's method; with `winograd=False` none is.
    """

    name = "cpu"

    def __init__(self, onednn: bool = True, winograd: bool = True) -> None:
        self.onednn, self.winograd = onednn, winograd

    def compile(
        self, graph: Graph, *, threads: int | None = None, memory_limit: int | None = None
    ) -> CpuCompiled:
        if threads is not None and threads < 1:
            raise BackendError(f"threads={threads}: choose at least 1")
        target = host_target()
        threads = threads or target.cores
        library = _library(graph, target, self.onednn, self.winograd)
        return CpuCompiled(graph, target, threads, library, memory_limit)


def _library(
    graph: Graph, target: Target, onednn: bool = True, winograd: bool = True
) -> Choosing | None:
    """What convolutions are offered to; nothing is imported for a graph without any."""
    if not _convolves(graph):
        return None
    from anode.backends.cpu.choice import library_for

    return library_for(target.cores, onednn, winograd)


def _convolves(graph: Graph) -> bool:
    for node in graph.nodes:
        if node.op.name.startswith("convolution"):
            return True
        values = [v for value in node.attrs.values() for v in _several(value)]
        if any(isinstance(value, Graph) and _convolves(value) for value in values):
            return True
    return False


def _several(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


class CpuCompiled(Compiled):
    """A graph as native code. `build` has every stage on the way to it."""

    timed = False  # whether the code writes down when each task ran

    def __init__(
        self,
        graph: Graph,
        target: Target,
        threads: int,
        library: Choosing | None = None,
        memory_limit: int | None = None,
    ) -> None:
        started = time.perf_counter()
        self.graph, self.target, self.threads = graph, target, threads
        self.library = library or _library(graph, target)
        self.memory_limit = memory_limit
        parts = (
            repr(graph),
            str(threads),
            self.library.key if self.library else "",
            *["timed"] * self.timed,
        )
        if memory_limit is not None:
            parts = (*parts, f"memory_limit {memory_limit}")
        facts, objects = code.cached(self._make, target, *parts)
        self.layout = Layout.of(facts)
        self.peak_bytes = self.layout.arena
        self._load(objects)
        self._prepare()
        self.seconds = time.perf_counter() - started

    def _load(self, objects: list[bytes]) -> None:
        symbols = team.symbols()
        self._calls: Calls | None = None
        if not self.layout.calls:
            (self._entry,) = code.load(objects, self.target, symbols, team.PROGRAM)
            return
        from anode.backends.cpu.onednn import loaded
        from anode.backends.cpu.onednn_records import LIBRARY, Calls

        symbols = {**symbols, **loaded().symbols}
        self._entry, variable = code.load(objects, self.target, symbols, team.PROGRAM, LIBRARY)
        self._calls = Calls(self.layout.calls, self.threads)
        self._calls.attach(variable)

    def _make(self) -> code.Made:
        objects = self.build.objects()
        return self.build.layout().facts(), objects

    @cached_property
    def build(self) -> Build:
        """The stages of this compilation; made again where the code came from the disk."""
        from anode.backends.cpu.build import Build

        return Build(
            self.graph, self.target, self.threads, self.timed, self.library, self.memory_limit
        )

    @property
    def program(self) -> Program:
        return self.build.program

    @property
    def traces(self) -> Sequence[Trace]:
        """What each pass did."""
        self.build.program  # noqa: B018 the passes run once
        return self.build.traces

    @cached_property
    def stages(self) -> Mapping[str, str]:  # type: ignore[override]
        from anode.backends.cpu.build import Stages

        return Stages(self.build)

    def _prepare(self) -> None:
        """Lay out what the native code is given: memory, and the table of addresses."""
        layout = self.layout
        self._team = team.team(self.threads)
        counters = self._team.counters(self, layout.control)
        own = team.aligned(layout.scratch)
        own.reshape(self.threads, -1)[:, :8].view(np.int64)[:, 0] = range(self.threads)
        self._memory = team.aligned(layout.arena), counters, own
        self._table = np.zeros(layout.places, np.int64)
        self._callback = _host_call(weakref.ref(self))
        self._table[0] = ctypes.cast(self._callback, ctypes.c_void_p).value or 0
        arena, control, scratch = (memory.ctypes.data for memory in self._memory)
        for place, offset in layout.temporaries:
            self._table[place] = arena + offset
        self._outputs = [
            self._output(place, node.tensor)
            for place, node in zip(layout.outputs, self.graph.outputs, strict=True)
        ]
        self._inputs: list[Any] = [None] * len(layout.inputs)
        self._version = 0
        self._bound: list[np.ndarray] = []
        self._updated: tuple[list[int], list[int]] = [], []  # where updated variables begin and end
        self._failure: BaseException | None = None
        self._arguments = (self._entry, self._table.ctypes.data, control, scratch)

    def _output(self, place: int, type: TensorType) -> _Output:
        """An output's memory: small ones have a fixed place, large ones are made for each run."""
        if type.bytes > SMALL:
            return _Output(place, type.static, type.dtype.numpy, None)
        fixed = team.aligned(max(type.bytes, 1))[: type.bytes]
        self._table[place] = fixed.ctypes.data
        array = fixed.view(type.dtype.numpy).reshape(type.static)
        return _Output(place, type.static, type.dtype.numpy, array)

    def run(self, inputs: Sequence[np.ndarray], state: Variables) -> list[np.ndarray]:
        with self._team.lock:  # the table is one; Python threads take turns
            return self._run(inputs, state)

    def _run(self, inputs: Sequence[np.ndarray], state: Variables) -> list[np.ndarray]:
        table = self._table
        if state.version != self._version and self.layout.variables:
            self._bind(state)
        for i, array in enumerate(inputs):
            if array is not self._inputs[i]:
                if self._is_updated(array):  # the run would write into its own input
                    array = array.copy()
                table[self.layout.inputs[i]] = array.ctypes.data
                self._inputs[i] = array
        large = {}
        for output in self._outputs:
            if output.fixed is None:
                made = large[output.place] = np.empty(output.shape, output.dtype)
                table[output.place] = made.ctypes.data
        self._team.run(*self._arguments)
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        if self._calls is not None:
            self._calls.check()
        return [large[o.place] if o.fixed is None else o.fixed.copy() for o in self._outputs]

    def _bind(self, state: Variables) -> None:
        variables, held = self.graph.variables, self.layout.variables
        self._bound = [state.stored(variables[at].stored(order)) for _, at, *order in held]
        for (place, *_), array in zip(held, self._bound, strict=True):
            self._table[place] = array.ctypes.data
        updated = [state[variable] for variable, _ in self.graph.updates]
        spans = sorted([(a.ctypes.data, a.ctypes.data + a.nbytes) for a in updated if a.nbytes])
        self._updated = [start for start, _ in spans], [end for _, end in spans]
        self._inputs = [None] * len(self._inputs)
        self._version = state.version

    def _is_updated(self, array: np.ndarray) -> bool:
        """Whether `array` shares memory with a variable that a run replaces."""
        starts, ends = self._updated
        address = array.ctypes.data
        at = bisect(starts, address + array.nbytes - 1)
        return at > 0 and ends[at - 1] > address

    def _call_host(self, number: int, table: int) -> None:
        """Run a step by its op's NumPy reference; called from native code, in any thread."""
        try:
            program, step = self.build.native.host_steps[number]
            _run_host(program, step, table)
        except BaseException as failure:  # raised again in the caller's thread
            self._failure = failure


@dataclass(frozen=True)
class _Output:
    place: int
    shape: tuple[int, ...]
    dtype: np.dtype
    fixed: np.ndarray | None


def _host_call(compiled: weakref.ref[CpuCompiled]) -> Any:
    """The callback as native code calls it. It must not keep what it belongs to alive."""

    def call(number: int, table: int) -> None:
        owner = compiled()
        assert owner is not None  # it is running
        owner._call_host(number, table)

    return _HOST_CALL(call)


def _run_host(program: Program, step: Step, table: int) -> None:
    addresses = (ctypes.c_int64 * (len(program.buffers) + 1)).from_address(table)

    def array(index: int) -> np.ndarray:
        buffer = program.buffers[index]
        if buffer.kind == "constant":
            raw = np.frombuffer(buffer.data or b"", np.uint8)
        else:
            memory = (ctypes.c_uint8 * buffer.type.bytes).from_address(addresses[index + 1])
            raw = np.ctypeslib.as_array(memory)
        return raw.view(buffer.type.dtype.numpy).reshape(buffer.type.static)

    op = step.node.op
    assert isinstance(op, DeclaredOp)
    values = tuple(array(i) for i in step.reads)
    result: Any = op.evaluate_op(values, step.node.attrs, step.node.type)
    results = result if isinstance(result, tuple) else (result,)
    for index, value in zip(step.writes, results, strict=True):
        array(index)[...] = value

"""The native backend: a static graph becomes one program, one LLVM module, one function to call."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import llvmlite.binding as llvm
import numpy as np

from anode.backends.base import Backend, Compiled, Variables
from anode.backends.cpu import team as teams
from anode.backends.cpu.control import control_workspace
from anode.backends.cpu.native import PROGRAM, NativeModule
from anode.backends.cpu.target import Target, host_target, target_machine
from anode.ir.graph import Graph
from anode.ops.declare import DeclaredOp
from anode.passes.pipeline import optimize
from anode.program.memory import plan
from anode.program.program import Program, Step
from anode.program.schedule import schedule
from anode.rewrite.trace import Trace

_HOST_CALL = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p)


class CpuBackend(Backend):
    """Compiles graphs for the processor this process runs on."""

    name = "cpu"

    def compile(self, graph: Graph, *, threads: int | None = None) -> CpuCompiled:
        return CpuCompiled(graph, threads or host_target().cores)


class CpuCompiled(Compiled):
    """A graph as native code. `program` is what runs; `traces` say what each pass did."""

    def __init__(self, graph: Graph, threads: int) -> None:
        started = time.perf_counter()
        self.graph, self.threads = graph, threads
        self.traces: list[Trace] = []
        self.optimized = optimize(graph, self.traces)
        self.program: Program = plan(schedule(self.optimized, control_workspace))
        self.native = NativeModule(self.program, host_target(), threads)
        self._entry = _load(str(self.native.module), host_target())
        self.peak_bytes = self.program.arena
        self._prepare()
        self.seconds = time.perf_counter() - started

    @cached_property
    def stages(self) -> Mapping[str, str]:  # type: ignore[override]
        """Every stage as text: graph, optimized, program, llvm, assembly."""
        return _Stages(self)

    def _prepare(self) -> None:
        """Lay out what the native code is given: arena, counters, scratch and table of addresses."""
        program = self.program
        self._arena = teams.aligned(program.arena)
        self._control = teams.aligned(self.native.control_bytes)
        self._scratch = teams.aligned(self.threads * (self.native.scratch + teams.LINE))
        self._callback = _HOST_CALL(self._call_host)
        self._failure: BaseException | None = None
        self._table = np.zeros(len(program.buffers) + 1, np.int64)
        self._table[0] = ctypes.cast(self._callback, ctypes.c_void_p).value or 0
        for i, buffer in enumerate(program.buffers):
            if buffer.kind == "temporary":
                self._table[i + 1] = self._arena.ctypes.data + (buffer.offset or 0)
        self._version = 0
        self._kept: tuple[np.ndarray, ...] = ()
        self._outputs = [
            (index + 1, program.buffers[index].type.static, program.buffers[index].type.dtype.numpy)
            for index in program.outputs
        ]
        self._inputs = [index + 1 for index in program.inputs]
        self._arguments = tuple(x.ctypes.data for x in (self._table, self._control, self._scratch))
        self._team = teams.team(self.threads) if self.threads > 1 else None
        self._alone = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 6)(self._entry)

    def run(self, inputs: Sequence[np.ndarray], state: Variables) -> list[np.ndarray]:
        table = self._table
        if self.program.variables and state.version != self._version:
            self._bind(state)
        for index, array in zip(self._inputs, inputs, strict=True):
            table[index] = array.ctypes.data
        outputs = []
        for index, shape, dtype in self._outputs:
            output = np.empty(shape, dtype)
            table[index] = output.ctypes.data
            outputs.append(output)
        if self._team is not None:
            self._team.run(self._entry, *self._arguments)
        else:
            table_at, control, scratch = self._arguments
            self._alone(table_at, control, 0, 0, scratch, 0)
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        return outputs

    def _bind(self, state: Variables) -> None:
        arrays = []
        for variable, index in self.program.variables:
            array = state[variable]
            self._table[index + 1] = array.ctypes.data
            arrays.append(array)
        self._kept, self._version = tuple(arrays), state.version

    def _call_host(self, number: int, table: int) -> None:
        """Run a step by its op's NumPy reference; called from native code, in any thread."""
        try:
            _run_host(self.native.host_steps[number], self._program_of(number), table)
        except BaseException as failure:  # raised again in the caller's thread
            self._failure = failure

    def _program_of(self, number: int) -> Program:
        step = self.native.host_steps[number]
        return next(p for p in _programs(self.program) if step in p.steps)


def _programs(program: Program) -> list[Program]:
    """A program and those nested in it."""
    nested = [p for step in program.steps for inner in step.programs for p in _programs(inner)]
    return [program, *nested]


def _run_host(step: Step, program: Program, table: int) -> None:
    addresses = (ctypes.c_int64 * (len(program.buffers) + 1)).from_address(table)

    def array(index: int) -> np.ndarray:
        buffer = program.buffers[index]
        if buffer.kind == "constant":
            raw = np.frombuffer(buffer.data or b"", np.uint8)
        else:
            size = buffer.type.bytes
            memory = (ctypes.c_uint8 * size).from_address(addresses[index + 1])
            raw = np.frombuffer(memory, np.uint8)
        return raw.view(buffer.type.dtype.numpy).reshape(buffer.type.static)

    op = step.node.op
    assert isinstance(op, DeclaredOp)
    values = tuple(array(i) for i in step.reads)
    result: Any = op.evaluate_op(values, step.node.attrs, step.node.type)
    results = result if isinstance(result, tuple) else (result,)
    for index, value in zip(step.writes, results, strict=True):
        array(index)[...] = value


class _Stages(Mapping[str, str]):
    """The stages of one compilation, each printed when it is asked for."""

    names = ("graph", "optimized", "program", "llvm", "assembly")

    def __init__(self, compiled: CpuCompiled) -> None:
        self._compiled = compiled

    def __iter__(self) -> Any:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, name: str) -> str:
        compiled = self._compiled
        if name == "llvm":
            return str(compiled.native.module)
        if name == "assembly":
            module = llvm.parse_assembly(self["llvm"])
            return str(target_machine(host_target()).emit_assembly(module))
        if name not in self.names:
            raise KeyError(name)
        return repr(getattr(compiled, name))


def _load(text: str, target: Target) -> int:
    """Compile LLVM text and load it: the address of the program's function."""
    for name, address in teams.symbols().items():
        llvm.add_symbol(name, address)
    module = llvm.parse_assembly(text)
    machine = target_machine(target)
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    entry = int(engine.get_function_address(PROGRAM))
    engine.detach()  # never unloaded: a thread that comes late may still be in this code
    return entry


__all__ = ["CpuBackend", "CpuCompiled"]

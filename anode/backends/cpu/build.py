"""From graph to object code: the named stages of the native backend, each made on demand."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import cached_property
from queue import Empty, SimpleQueue
from threading import Thread

import llvmlite.binding as llvm
from llvmlite import ir

from anode.backends.cpu import team
from anode.backends.cpu.code import object_code
from anode.backends.cpu.control import control_workspace
from anode.backends.cpu.layout import Layout
from anode.backends.cpu.native import NativeModule
from anode.backends.cpu.products import rounds_streamed
from anode.backends.cpu.target import Target, target_machine
from anode.ir.graph import Graph
from anode.passes.cover import Library
from anode.passes.parts import Parting
from anode.passes.pipeline import optimize
from anode.program.plan import plan
from anode.program.program import Program
from anode.program.recompute import within
from anode.program.schedule import schedule
from anode.rewrite.trace import Trace

MOST_GENERATORS = 7  # threads: more would wait for the one that writes the modules


class Build:
    """The stages of compiling one graph, each made when it is first asked for.

    `traces` say what each pass did.
    """

    stages = ("graph", "optimized", "program", "llvm", "assembly")

    def __init__(
        self,
        graph: Graph,
        target: Target,
        threads: int,
        timed: bool = False,
        library: Library | None = None,
        memory_limit: int | None = None,
    ) -> None:
        self.graph, self.target, self.threads, self.timed = graph, target, threads, timed
        self.library = library
        self.memory_limit = memory_limit
        self.traces: list[Trace] = []
        self._native: NativeModule | None = None

    @cached_property
    def optimized(self) -> Graph:
        made = self._optimized(Parting(self.threads), self.traces)
        if self.memory_limit is None or self.graph.updates:
            return made
        if self._arena(made) <= self.memory_limit:
            return made
        traces = list[Trace]()
        small = self._optimized(Parting(self.threads, small=True), traces)
        if self._arena(small) >= self._arena(made):
            return made
        self.traces[:] = traces
        return small

    def _optimized(self, parting: Parting, traces: list[Trace]) -> Graph:
        return optimize(self.graph, traces, self.library, parting, rounds_streamed(self.target))

    def _arena(self, graph: Graph) -> int:
        """The bytes of temporaries that a graph of kernels takes."""
        return plan(self._scheduled(graph), self.memory_limit).arena

    def _scheduled(self, graph: Graph) -> Program:
        return schedule(graph, control_workspace(self.threads))

    @cached_property
    def program(self) -> Program:
        program = self._scheduled(self.optimized)
        if self.memory_limit is None:
            return plan(program)
        self.traces.append(Trace("recompute"))
        return within(program, self.memory_limit, self.traces[-1])

    @property
    def native(self) -> NativeModule:
        if self._native is None:
            self._native = self._module(lambda module, optimized: None)
        return self._native

    def _module(self, finished: Callable[[ir.Module, bool], object]) -> NativeModule:
        return NativeModule(self.program, self.target, self.threads, finished, self.timed)

    @property
    def llvm(self) -> str:
        return "\n".join(map(str, self.native.modules))

    @property
    def assembly(self) -> str:
        return "\n".join(map(self._assembly, self.native.modules))

    def _assembly(self, module: ir.Module) -> str:
        machine = target_machine(self.target, optimized=module is not self.native.module)
        return str(machine.emit_assembly(llvm.parse_assembly(str(module))))

    def objects(self) -> list[bytes]:
        """The program as relocatable object files.

        Other threads generate code from finished modules while this one writes the rest.
        """
        with _Generators(self.target) as generators, _prompt_switches(), _uncollected():
            self._native = self._module(generators.submit)
        return [future.result() for future in generators.made]

    def layout(self) -> Layout:
        program, native = self.program, self.native
        order = {variable: i for i, variable in enumerate(self.graph.variables)}
        return Layout(
            places=len(program.buffers) + 1 + self.timed,
            inputs=tuple(i + 1 for i in program.inputs),
            outputs=tuple(i + 1 for i in program.outputs),
            variables=tuple(
                (i + 1, order[variable.logical], *(variable.order or range(variable.type.rank)))
                for variable, i in program.variables
            ),
            temporaries=tuple(
                (i + 1, buffer.offset or 0)
                for i, buffer in enumerate(program.buffers)
                if buffer.kind == "temporary"
            ),
            arena=program.arena,
            control=native.control_bytes,
            scratch=native.scratch_bytes,
            calls_host=bool(native.host_steps),
            calls=tuple([dict(node.attrs) for node in native.calls]),
        )


@contextmanager
def _prompt_switches() -> Iterator[None]:
    """Python threads change over sooner: one that generates code needs the interpreter often, but
    for microseconds, and would wait for milliseconds each time."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(2e-4)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


@contextmanager
def _uncollected() -> Iterator[None]:
    """No search for garbage in cycles, which costs a tenth of compiling and finds next to none."""
    usual = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if usual:
            gc.enable()


class _Generators:
    """Threads that generate code. (Executors refuse work once the main thread has ended.)

    The thread that submits modules lends a hand at the end, and leaves when all code is there.
    """

    def __init__(self, target: Target) -> None:
        self.target, self.made = target, list[Future[bytes]]()
        self._waiting: SimpleQueue[tuple[Future[bytes], str, bool] | None] = SimpleQueue()
        self._others = min(max(target.cores - 1, 1), MOST_GENERATORS)
        self._threads = [Thread(target=self._generate) for _ in range(self._others)]
        self._threads.append(Thread(target=team.symbols))  # what programs call is made meanwhile

    def __enter__(self) -> _Generators:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with suppress(Empty):
            while kind is not None:  # nobody wants the rest
                self._waiting.get_nowait()
        for _end in range(self._others + 1):
            self._waiting.put(None)
        self._generate()
        for thread in self._threads:
            thread.join()

    def submit(self, module: ir.Module, optimized: bool) -> None:
        """Generate code of a module; `made` gets it."""
        self.made.append(Future())
        self._waiting.put((self.made[-1], str(module), optimized))

    def _generate(self) -> None:
        machines = [target_machine(self.target, optimized=flag) for flag in (False, True)]
        for future, text, optimized in iter(self._waiting.get, None):
            try:
                future.set_result(object_code(text, machines[optimized]))
            except BaseException as failure:  # raised again where the code is wanted
                future.set_exception(failure)


class Stages(Mapping[str, str]):
    """The stages of a build as text."""

    def __init__(self, build: Build) -> None:
        self._build = build

    def __iter__(self) -> Iterator[str]:
        return iter(Build.stages)

    def __len__(self) -> int:
        return len(Build.stages)

    def __getitem__(self, name: str) -> str:
        if name not in Build.stages:
            raise KeyError(name)
        return str(getattr(self._build, name))

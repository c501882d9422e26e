"""A whole Program as one LLVM module: a function per kernel, and one function that runs the steps.

`void anode_program(table, control, version, thread, scratch, team)` is the program. `table` holds a
host callback, then the address of every buffer. Each step has its own counters in `control`, from
which threads take tasks (see `team`). A nested program, a loop's body say, runs in the one
thread that took its step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from llvmlite import ir

from anode.backends.cpu.control import emit_control
from anode.backends.cpu.llvm_ir import I8, I64, POINTER, Values, counted, i64
from anode.backends.cpu.log import cycles, write_record
from anode.backends.cpu.loops import emit_loops, plan_loops
from anode.backends.cpu.onednn_call import emit_convolution
from anode.backends.cpu.onednn_conv import CONVOLUTION
from anode.backends.cpu.products import emit_product, plan_product
from anode.backends.cpu.serial import copy_bytes, emit_concatenate, emit_cumulate, emit_scatter
from anode.backends.cpu.target import Target
from anode.backends.cpu.team import LINE, PROGRAM
from anode.backends.cpu.winograd_kernel import WINOGRAD, emit_winograd
from anode.backends.cpu.winograd_weights import WINOGRAD_WEIGHTS
from anode.backends.cpu.winograd_weights_kernel import emit_winograd_weights
from anode.errors import BackendError
from anode.ir.node import Node
from anode.passes.kernel import KINDS
from anode.program.program import Program, Step

HOST = (  # what runs the NumPy reference, through the callback
    *("sort", "top_k", "cholesky", "triangular_solve", "solve", "inverse"),
    *("determinant", "slogdet", "eigh", "svd", "qr", "truncated_normal_by_rejection"),
)


SHARED = 12  # functions of a module of small kernels, at most: several threads share them out


@dataclass(frozen=True)
class Kernel:
    """A kernel's code, run for each task in range(tasks).

    The function takes the addresses of its buffers, then of `scratch` bytes where it needs any;
    with `takes_table`, the table and scratch instead, to find its buffers itself.
    """

    function: ir.Function
    tasks: int
    scratch: int = 0
    takes_table: bool = False


@dataclass
class NativeModule:
    """A program's LLVM modules: of kernels, and `module`, which runs them.

    Each is given to `finished` as soon as it is, so that code can be generated from it while the
    others are still being written; `modules` has them all. All time is spent in kernels, and LLVM
    takes more of it to optimise a function of a thousand calls than to optimise what it calls: so
    `module` is not optimised. `host_steps` are the steps that call
    back, numbered as the callback is told; `calls` are the convolutions that oneDNN computes;
    `scratch` is the bytes each thread needs; `kernels` has the kernel of each step, for the report.
    Before a thread's scratch lies a line with its number, which the caller writes: a thread
    that comes late must not write, as the memory may be another's by then. A `timed` module writes
    down when each task ran, see `profile`; its table has one more place, for the log's address.
    """

    program: Program
    target: Target
    threads: int
    finished: Callable[[ir.Module, bool], object] = lambda module, optimized: None
    timed: bool = False
    module: ir.Module = field(default_factory=lambda: ir.Module("anode"))
    modules: list[ir.Module] = field(default_factory=list)
    host_steps: list[tuple[Program, Step]] = field(default_factory=list)
    kernels: dict[Step, Kernel] = field(default_factory=dict)
    calls: list[Node] = field(default_factory=list)
    scratch: int = 0
    _shared: dict[object, Kernel] = field(default_factory=dict)
    _open: ir.Module | None = None

    def __post_init__(self) -> None:
        runs = [self.step(self.program, step, self.threads) for step in self.program.steps]
        self._emit_program(runs)
        self._finish_open()
        self._finish(self.module)

    def _finish_open(self) -> None:
        if self._open is not None:
            self._finish(self._open)
            self._open = None

    def _finish(self, module: ir.Module) -> None:
        module.triple = self.target.triple
        self.modules.append(module)
        self.finished(module, module is not self.module)

    @property
    def control_bytes(self) -> int:
        """Bytes of the steps' counters: a line for each thread's tickets, one for what is done."""
        return max(1, len(self.program.steps)) * (self.threads + 1) * LINE

    @property
    def stride(self) -> int:
        """Bytes of scratch from one thread's to the next one's."""
        return LINE - (-self.scratch // LINE) * LINE

    @property
    def scratch_bytes(self) -> int:
        return self.threads * self.stride

    # steps
    def step(self, program: Program, step: Step, threads: int, pages: int = 0) -> ir.Function:
        """Add `void step(table, scratch, i64 task)`, which runs one task of a step.

        A product asks for so many `pages`, whose addresses come after the buffers' in the table.
        """
        kernel = self._kernel(program, step, threads, pages)
        self.kernels[step] = kernel
        self.scratch = max(self.scratch, kernel.scratch)
        kind = ir.FunctionType(ir.VoidType(), [POINTER, POINTER, I64])
        function = ir.Function(self.module, kind, self.module.get_unique_name(step.name))
        function.linkage = "private"
        b = ir.IRBuilder(function.append_basic_block("entry"))
        table, scratch, task = function.args
        timed = self.timed and program is self.program
        start = cycles(b) if timed else None
        if kernel.takes_table:
            b.call(kernel.function, [table, scratch, task])
        else:
            pointers = [self.address(b, program, table, i) for i in (*step.reads, *step.writes)]
            own = [scratch] if kernel.scratch else []
            if pages:
                own.insert(0, b.gep(table, [i64(len(program.buffers) + 1)], source_etype=POINTER))
            b.call(kernel.function, [*pointers, *own, task])
        if start is not None:
            log = b.gep(table, [i64(len(program.buffers) + 1)], source_etype=POINTER)
            number = i64(program.steps.index(step))
            write_record(b, b.load(log, typ=POINTER), (number, task, scratch, start))
        b.ret_void()
        return function

    def address(self, b: ir.IRBuilder, program: Program, table: ir.Value, index: int) -> ir.Value:
        """The address of a buffer: a constant's is known, others are in the table."""
        buffer = program.buffers[index]
        if buffer.kind == "constant":
            return self._constant(buffer.data or b"")
        return b.load(b.gep(table, [i64(index + 1)], source_etype=POINTER), typ=POINTER)

    def _constant(self, data: bytes) -> ir.Value:
        found = self._shared.get(data)
        if found is None:
            kind = ir.ArrayType(I8, max(1, len(data)))
            name = self.module.get_unique_name("constant")
            found = ir.GlobalVariable(self.module, kind, name)
            found.linkage, found.global_constant, found.align = "private", True, LINE
            found.initializer = ir.Constant(kind, bytearray(data or b"\0"))
            self._shared[data] = found
        return found

    def _kernel(self, program: Program, step: Step, threads: int, pages: int) -> Kernel:
        node, kind = step.node, step.kind
        name = self.module.get_unique_name(f"{step.name}.kernel")
        if kind in KINDS:
            return self._fused(step, name, threads, pages)
        if kind == "copy":
            size = node.tensor.bytes
            return self._simple(name, 2, lambda b, args: copy_bytes(b, args[1], args[0], size))
        if kind == "scatter":
            function, tasks = emit_scatter(node, self._apart(name), name, self.target)
            return Kernel(self._declared(function), tasks)
        if kind == "cumulate":
            return Kernel(
                self._declared(emit_cumulate(node, self._apart(name), name, self.target)), 1
            )
        if kind in HOST:
            return self._host(program, step, name)
        if node.op is CONVOLUTION:
            return self._call(node, name)
        if node.op in WINOGRAD:
            return self._winograd(node, name, emit_winograd)
        if node.op is WINOGRAD_WEIGHTS:
            return self._winograd(node, name, emit_winograd_weights)
        if step.programs:
            tasks = node.attrs.get("parts", 1)
            return Kernel(emit_control(self, program, step, name), tasks, takes_table=True)
        raise BackendError(f"the cpu backend has no kernel for {node.op.name} ({node.origin})")

    def _fused(self, step: Step, name: str, threads: int, pages: int) -> Kernel:
        attrs = step.node.attrs
        body = attrs["body"]
        key = (body, attrs["kind"], attrs["space"], attrs["axes"], threads, pages)
        if key not in self._shared:
            apart = self._apart(name)
            if step.kind == "matmul":
                product = plan_product(body, self.target, threads)
                function = emit_product(product, apart, name, pages)
                tasks, scratch = product.tasks, max(1, product.scratch)
            elif step.kind == "concatenate":
                function = emit_concatenate(body, apart, name)
                tasks, scratch = len(body.outputs[0].args), 0
            else:
                plan = plan_loops(body, attrs["space"], attrs["axes"], self.target, threads)
                function = emit_loops(plan, apart, name)
                tasks, scratch = plan.tasks, plan.scratch
            if step.kind == "matmul" or len(apart.functions) >= SHARED:
                self._finish_open()
            self._shared[key] = Kernel(self._declared(function), tasks, scratch)
        return self._shared[key]

    def _apart(self, name: str) -> ir.Module:
        """Where a kernel goes: small ones share a module, with the next product."""
        if self._open is None:
            self._open = ir.Module(name)
        return self._open

    def _declared(self, kernel: ir.Function) -> ir.Function:
        """A kernel of another module, to be called."""
        return ir.Function(self.module, kernel.function_type, kernel.name)

    def _call(self, node: Node, name: str) -> Kernel:
        function, scratch = emit_convolution(node, self.module, name, len(self.calls))
        self.calls.append(node)
        return Kernel(function, node.attrs["tasks"], max(1, scratch))

    def _winograd(
        self,
        node: Node,
        name: str,
        emit: Callable[[Node, ir.Module, str, Target], tuple[ir.Function, int, int]],
    ) -> Kernel:
        key = (node.op, *[arg.type for arg in node.args], *node.attrs.items())
        if key not in self._shared:
            apart = ir.Module(name)
            function, tasks, scratch = emit(node, apart, name, self.target)
            self._finish(apart)
            self._shared[key] = Kernel(self._declared(function), tasks, scratch)
        return self._shared[key]

    def _simple(
        self, name: str, pointers: int, body: Callable[[ir.IRBuilder, Values], None]
    ) -> Kernel:
        kind = ir.FunctionType(ir.VoidType(), [*[POINTER] * pointers, I64])
        function = ir.Function(self.module, kind, name)
        b = ir.IRBuilder(function.append_basic_block("entry"))
        body(b, function.args)
        b.ret_void()
        return Kernel(function, 1)

    def _host(self, program: Program, step: Step, name: str) -> Kernel:
        """A call of the host: the callback is told the step's number and the table."""
        kind = ir.FunctionType(ir.VoidType(), [POINTER, POINTER, I64])
        function = ir.Function(self.module, kind, name)
        b = ir.IRBuilder(function.append_basic_block("entry"))
        table = function.args[0]
        callback = b.load(table, typ=POINTER)
        callback.type = ir.FunctionType(ir.VoidType(), [I64, POINTER]).as_pointer()
        b.call(callback, [i64(len(self.host_steps)), table])
        b.ret_void()
        self.host_steps.append((program, step))
        return Kernel(function, 1, takes_table=True)

    # the program
    def serial(self, program: Program, pages: int = 0) -> ir.Function:
        """Add `void body(table, scratch)`: a nested program, run by the thread that calls it.

        Its first product asks for so many pages that are needed next (see `step`).
        """
        asking = next((step for step in program.steps if step.kind == "matmul"), None)
        runs = [self.step(program, s, 1, pages if s is asking else 0) for s in program.steps]
        kind = ir.FunctionType(ir.VoidType(), [POINTER, POINTER])
        function = ir.Function(self.module, kind, self.module.get_unique_name("body"))
        b = ir.IRBuilder(function.append_basic_block("entry"))
        for step, run in zip(program.steps, runs, strict=True):
            self._run_all(b, run, self.kernels[step].tasks, function.args[0], function.args[1])
        b.ret_void()
        return function

    def _run_all(
        self, b: ir.IRBuilder, run: ir.Function, tasks: int, table: ir.Value, scratch: ir.Value
    ) -> None:
        if tasks == 1:
            b.call(run, [table, scratch, i64(0)])
        else:
            counted(b, 0, tasks, 1, lambda task: b.call(run, [table, scratch, task]))

    def _emit_program(self, runs: list[ir.Function]) -> None:
        kind = ir.FunctionType(ir.VoidType(), [POINTER, POINTER, I64, I64, POINTER, POINTER])
        function = ir.Function(self.module, kind, PROGRAM)
        b = ir.IRBuilder(function.append_basic_block("entry"))
        table, control, version, thread, scratch, team = function.args
        offset = b.add(b.mul(thread, i64(self.stride)), i64(LINE))
        scratch = b.gep(scratch, [offset], source_etype=I8)
        if self.threads == 1:
            for step, run in zip(self.program.steps, runs, strict=True):
                self._run_all(b, run, self.kernels[step].tasks, table, scratch)
            b.ret_void()
            return
        _Teamwork(self, b, control, version, thread, team).emit(runs, table, scratch)
        b.ret_void()


class _Teamwork:
    """The steps of a program as a team runs them."""

    def __init__(
        self,
        native: NativeModule,
        b: ir.IRBuilder,
        control: ir.Value,
        version: ir.Value,
        thread: ir.Value,
        team: ir.Value,
    ) -> None:
        self.native, self.b, self.control = native, b, control
        self.version, self.thread, self.team = version, thread, team
        module = native.module

        def declare(name: str, result: ir.Type, operands: list[ir.Type]) -> ir.Function:
            return ir.Function(module, ir.FunctionType(result, operands), name)

        counters = [POINTER, I64, I64, POINTER]
        self.claim = declare("anode_claim", I64, [POINTER, I64, I64, I64, I64])
        self.finish = declare("anode_finish", ir.VoidType(), counters)
        self.wait = declare("anode_wait", ir.VoidType(), counters)

    def emit(self, runs: list[ir.Function], table: ir.Value, scratch: ir.Value) -> None:
        steps = self.native.program.steps
        waited: set[int] = set()
        for i, (step, run) in enumerate(zip(steps, runs, strict=True)):
            for earlier in step.after:
                if earlier not in waited:
                    self._wait(earlier)
                    waited.add(earlier)
            self._run(i, step, run, table, scratch)
        first = self.b.icmp_unsigned("==", self.thread, i64(0))
        last, end = (self.b.append_basic_block(n) for n in ("last", "end"))
        self.b.cbranch(first, last, end)
        self.b.position_at_end(last)  # the caller's thread returns when everything is done
        for i in range(len(steps)):
            if i not in waited:
                self._wait(i)
        self.b.branch(end)
        self.b.position_at_end(end)

    def _tickets(self, step: int) -> ir.Value:
        offset = step * (self.native.threads + 1) * LINE
        return self.b.gep(self.control, [i64(offset)], source_etype=I8)

    def _done(self, step: int) -> ir.Value:
        lines = step * (self.native.threads + 1) + self.native.threads
        return self.b.gep(self.control, [i64(lines * LINE)], source_etype=I8)

    def _tasks(self, step: int) -> ir.Value:
        return i64(self.native.kernels[self.native.program.steps[step]].tasks)

    def _wait(self, step: int) -> None:
        self.b.call(self.wait, [self._done(step), self.version, self._tasks(step), self.team])

    def _run(
        self, i: int, step: Step, run: ir.Function, table: ir.Value, scratch: ir.Value
    ) -> None:
        """Take tasks and run them for as long as there are any."""
        b = self.b
        again, work, after = (b.append_basic_block(f"{step.name}.{n}") for n in ("a", "b", "c"))
        tickets, done, tasks = self._tickets(i), self._done(i), self._tasks(i)
        threads = i64(self.native.threads)
        b.branch(again)
        b.position_at_end(again)
        task = b.call(self.claim, [tickets, self.version, self.thread, threads, tasks])
        b.cbranch(b.icmp_signed("<", task, i64(0)), after, work)
        b.position_at_end(work)
        b.call(run, [table, scratch, task])
        b.call(self.finish, [done, self.version, tasks, self.team])
        b.branch(again)
        b.position_at_end(after)

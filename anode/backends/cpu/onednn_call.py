"""Calls of oneDNN from compiled code, and the objects they need in the process that runs it.

Addresses of primitives are the process's, and compiled code is kept on disk: so the code finds what
it calls through the variable `anode_library`, which is set once the code is loaded. It points to a
list of *records*, one for each step that calls:

    status, primitive, stream, number of arguments, then for each task the address of its arguments

Each task has memory objects of its own, as tasks of one step run at once.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Mapping, Sequence
from ctypes import c_void_p
from typing import Any

import numpy as np
from llvmlite import ir

from anode.backends.cpu import onednn
from anode.backends.cpu.llvm_ir import I8, I32, I64, POINTER, i64, when
from anode.backends.cpu.onednn_conv import WEIGHTS, Primitive, Problem, primitive
from anode.errors import BackendError
from anode.ir.node import Node

LIBRARY = "anode_library"
_STATUS, _PRIMITIVE, _STREAM, _COUNT, _TASKS = range(5)
_ARGUMENT = ctypes.sizeof(onednn.ExecArgument)


def emit_convolution(
    node: Node, module: ir.Module, name: str, index: int
) -> tuple[ir.Function, int]:
    """Add `void name(operand…, result, scratch, i64 task)`; and the bytes of scratch it needs.

    `index` is that of the call's record. Without scratch there is no argument for it.
    """
    made = primitive(Problem.of(node.attrs))
    scratch = made.scratch[1]
    pointers = len(made.arguments) + bool(scratch)
    kind = ir.FunctionType(ir.VoidType(), [*[POINTER] * pointers, I64])
    function = ir.Function(module, kind, name)
    b = ir.IRBuilder(function.append_basic_block("entry"))
    *places, task = function.args
    for i, bytes in enumerate(_bytes_a_task(node)):
        if bytes:
            places[i] = b.gep(places[i], [b.mul(task, i64(bytes))], source_etype=I8)
    record = _record(b, index)
    arguments = b.load(b.gep(record, [b.add(task, i64(_TASKS))], source_etype=POINTER), typ=POINTER)
    for i, place in enumerate(places):
        where = b.gep(arguments, [i64(i * _ARGUMENT + 8)], source_etype=I8)
        memory = b.load(where, typ=POINTER)
        b.call(_declared(b, "dnnl_memory_set_data_handle", I32, POINTER, POINTER), [memory, place])
    _execute(b, record, arguments)
    b.ret_void()
    return function, scratch


def _bytes_a_task(node: Node) -> list[int]:
    """For each operand and the result, the bytes from one task's part to the next one's."""
    problem, tasks = Problem.of(node.attrs), node.attrs["tasks"]
    shared = 0 if problem.kind == WEIGHTS else 1 + problem.bias
    tensors = [*node.args, node]
    whole = range(1, 1 + shared)  # filters and bias
    return [0 if i in whole else t.tensor.bytes // tasks for i, t in enumerate(tensors)]


def _record(b: ir.IRBuilder, index: int) -> ir.Value:
    module = b.module
    variable = module.globals.get(LIBRARY)
    if variable is None:
        variable = ir.GlobalVariable(module, POINTER, LIBRARY)
        variable.initializer = ir.Constant(POINTER, None)
    records = b.load(variable, typ=POINTER)
    return b.load(b.gep(records, [i64(index)], source_etype=POINTER), typ=POINTER)


def _execute(b: ir.IRBuilder, record: ir.Value, arguments: ir.Value) -> None:
    """Run the primitive in this thread alone; OpenMP's setting of the thread is put back."""

    def word(index: int) -> ir.Value:
        return b.load(b.gep(record, [i64(index)], source_etype=POINTER), typ=POINTER)

    set_threads = _declared(b, "omp_set_num_threads", ir.VoidType(), I32)
    usual = b.call(_declared(b, "omp_get_max_threads", I32), [])
    b.call(set_threads, [ir.Constant(I32, 1)])
    count = b.trunc(b.ptrtoint(word(_COUNT), I64), I32)
    execute = _declared(b, "dnnl_primitive_execute", I32, POINTER, POINTER, I32, POINTER)
    status = b.call(execute, [word(_PRIMITIVE), word(_STREAM), count, arguments])
    b.call(set_threads, [usual])
    failed = b.icmp_unsigned("!=", status, ir.Constant(I32, 0))
    when(b, failed, lambda: b.store(b.zext(status, I64), record))


def _declared(b: ir.IRBuilder, name: str, result: ir.Type, *operands: ir.Type) -> ir.Function:
    found = b.module.globals.get(name)
    return found or ir.Function(b.module, ir.FunctionType(result, operands), name)


class Calls:
    """The records of one loaded program, with the memory objects of its tasks.

    `calls` are the attributes of the program's CONVOLUTION nodes, in the order of their numbers.
    """

    def __init__(self, calls: Sequence[Mapping[str, Any]]) -> None:
        library = onednn.loaded()
        self._memories: list[int] = []
        self._arguments: list[Any] = []
        self._records = [self._record(library, attrs) for attrs in calls]
        self._list = np.array([record.ctypes.data for record in self._records], np.int64)
        weakref.finalize(self, library.free, self._memories)

    def attach(self, variable: int) -> None:
        """Let the variable `anode_library` of a program at an address point to the records."""
        c_void_p.from_address(variable).value = self._list.ctypes.data

    def check(self) -> None:
        """Raise BackendError if a call failed since the last check."""
        for record in self._records:
            if record[_STATUS]:
                status, record[_STATUS] = int(record[_STATUS]), 0
                raise BackendError(f"oneDNN failed in a run, with status {status}")

    def _record(self, library: onednn.Library, attrs: Mapping[str, Any]) -> np.ndarray:
        made = primitive(Problem.of(attrs))
        tasks = [self._task(library, made) for _ in range(attrs["tasks"])]
        count = len(tasks[0])
        self._arguments.append(tasks)
        addresses = [ctypes.addressof(arguments) for arguments in tasks]
        stream = library.stream.value or 0
        return np.array([0, made.handle, stream, count, *addresses], np.int64)

    def _task(self, library: onednn.Library, made: Primitive) -> Any:
        """The arguments of one task, as oneDNN takes them."""
        tensors = list(made.arguments)
        if made.scratch[1]:
            tensors.append((onednn.ARG_SCRATCHPAD, made.scratch[0]))
        memories = [library.memory(c_void_p(tensor)) for _, tensor in tensors]
        self._memories += memories
        arguments = (onednn.ExecArgument * len(tensors))()
        for argument, (which, _), memory in zip(arguments, tensors, memories, strict=True):
            argument.argument, argument.memory = which, memory
        return arguments

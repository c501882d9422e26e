"""Calls of oneDNN from compiled code, which finds what it calls in records, see there."""

from __future__ import annotations

from llvmlite import ir

from anode.backends.cpu.llvm_ir import I8, I32, I64, POINTER, i64, thread_number, when
from anode.backends.cpu.onednn_conv import WEIGHTS, Problem, primitive
from anode.backends.cpu.onednn_records import ARGUMENT, COUNT, LIBRARY, PRIMITIVE, STREAM, THREADS
from anode.ir.node import Node


def emit_convolution(
    node: Node, module: ir.Module, name: str, index: int
) -> tuple[ir.Function, int]:
    """Add `void name(operand…, result, scratch, i64 task)`; and the bytes of scratch it needs.

    `index` is that of the call's record. The thread's number lies in the line before its scratch.
    """
    made = primitive(Problem.of(node.attrs))
    scratch = made.scratch[1]
    kind = ir.FunctionType(ir.VoidType(), [*[POINTER] * (len(made.arguments) + 1), I64])
    function = ir.Function(module, kind, name)
    b = ir.IRBuilder(function.append_basic_block("entry"))
    *places, task = function.args
    for i, bytes in enumerate(_bytes_a_task(node)):
        if bytes:
            places[i] = b.gep(places[i], [b.mul(task, i64(bytes))], source_etype=I8)
    record = _record(b, index)
    thread = thread_number(b, places[-1])
    own = b.gep(record, [b.add(thread, i64(THREADS))], source_etype=POINTER)
    arguments = b.load(own, typ=POINTER)
    for i, place in enumerate(places if scratch else places[:-1]):
        where = b.gep(arguments, [i64(i * ARGUMENT + 8)], source_etype=I8)
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
    count = b.trunc(b.ptrtoint(word(COUNT), I64), I32)
    execute = _declared(b, "dnnl_primitive_execute", I32, POINTER, POINTER, I32, POINTER)
    status = b.call(execute, [word(PRIMITIVE), word(STREAM), count, arguments])
    b.call(set_threads, [usual])
    failed = b.icmp_unsigned("!=", status, ir.Constant(I32, 0))
    when(b, failed, lambda: b.store(b.zext(status, I64), record))


def _declared(b: ir.IRBuilder, name: str, result: ir.Type, *operands: ir.Type) -> ir.Function:
    found = b.module.globals.get(name)
    return found or ir.Function(b.module, ir.FunctionType(result, operands), name)

"""The log that timed code writes: a count, then for each task what ran, where and when."""

from __future__ import annotations

from collections.abc import Sequence

from llvmlite import ir

from anode.backends.cpu.llvm_ir import I64, i64

FIELDS = 5  # of a record: step, task, the address of the thread's scratch, first and last cycle


def cycles(b: ir.IRBuilder) -> ir.Value:
    """The processor's time stamp."""
    name = "llvm.readcyclecounter"
    found = b.module.globals.get(name)
    return b.call(found or ir.Function(b.module, ir.FunctionType(I64, []), name), [])


def write_record(b: ir.IRBuilder, log: ir.Value, fields: Sequence[ir.Value]) -> None:
    """Append a task that has just ended; `fields` are all of a record but its last cycle."""
    end = cycles(b)
    number = b.atomic_rmw("add", log, i64(1), "monotonic")
    first = b.add(b.mul(number, i64(FIELDS)), i64(1))
    for offset, value in enumerate((*fields, end)):
        if isinstance(value.type, ir.PointerType):
            value = b.ptrtoint(value, I64)
        b.store(value, b.gep(log, [b.add(first, i64(offset))], source_etype=I64))

"""A compiler of small array functions, for tests of the instructions `Lanes` appends."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass

import llvmlite.binding as llvm
import llvmlite.ir as ir
import numpy as np
import pytest

from anode.backends.cpu.lanes import Lane, Lanes, llvm_type
from anode.ir.dtypes import DType, bool_

Body = Callable[..., Lane]


@dataclass(frozen=True)
class Compiled:
    """A native function over arrays; `llvm_text` is the optimised module."""

    address: int
    operands: tuple[DType, ...]
    result: DType
    width: int
    llvm_text: str
    owner: object

    def __call__(self, *arrays: np.ndarray) -> np.ndarray:
        count = len(arrays[0])
        padded = -(-count // self.width) * self.width
        inputs = [np.resize(a, padded).astype(d.numpy) for a, d in zip(arrays, self.operands)]
        output = np.empty(padded, self.result.numpy)
        pointers = [a.ctypes.data for a in (output, *inputs)]
        kinds = [ctypes.c_void_p] * len(pointers)
        ctypes.CFUNCTYPE(None, *kinds, ctypes.c_int64)(self.address)(*pointers, padded)
        return output[:count]


def compile_lanes(
    body: Body, operands: tuple[DType, ...], result: DType, width: int, optimise: int = 2
) -> Compiled:
    """Compile a loop that applies `body(lanes, *operands)` to `width` elements at a time."""
    module = ir.Module()
    module.triple = llvm.get_process_triple()
    _build_loop(module, body, operands, result, width)
    machine = _host_machine(optimise)
    parsed = llvm.parse_assembly(str(module))
    parsed.verify()
    options = llvm.create_pipeline_tuning_options(speed_level=optimise)
    passes = llvm.create_pass_builder(machine, options)
    passes.getModulePassManager().run(parsed, passes)
    text = str(parsed)
    undefined = [f.name for f in parsed.functions if f.is_declaration]
    assert all(name.startswith("llvm.") for name in undefined), undefined
    assembly = machine.emit_assembly(parsed)
    assert "@PLT" not in assembly and "@GOTPCREL" not in assembly, "calls a library"
    jit = llvm.create_mcjit_compiler(parsed, machine)
    jit.finalize_object()
    address = jit.get_function_address("loop")
    return Compiled(address, operands, result, width, text, jit)


def _host_machine(optimise: int) -> llvm.TargetMachine:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=optimise,
        reloc="pic",
    )


def _build_loop(
    module: ir.Module, body: Body, operands: tuple[DType, ...], result: DType, width: int
) -> None:
    integer, pointer = ir.IntType(64), ir.PointerType()
    kind = ir.FunctionType(ir.VoidType(), [pointer] * (1 + len(operands)) + [integer])
    function = ir.Function(module, kind, "loop")
    entry, loop, end = (function.append_basic_block(n) for n in ("entry", "loop", "end"))
    b = ir.IRBuilder(entry)
    b.branch(loop)
    b.position_at_end(loop)
    index = b.phi(integer)
    target, *sources = function.args[:-1]
    loaded = [_load(b, p, index, d, width) for p, d in zip(sources, operands)]
    _store(b, target, index, body(Lanes(b, width), *loaded), result, width)
    following = b.add(index, integer(width))
    index.add_incoming(integer(0), entry)
    index.add_incoming(following, b.block)
    b.cbranch(b.icmp_signed("<", following, function.args[-1]), loop, end)
    b.position_at_end(end)
    b.ret_void()


def _memory_type(dtype: DType, width: int) -> ir.Type:
    if dtype is not bool_:
        return llvm_type(dtype, width)
    return ir.IntType(8) if width == 1 else ir.VectorType(ir.IntType(8), width)


def _address(b: ir.IRBuilder, pointer: ir.Value, index: ir.Value, dtype: DType) -> ir.Value:
    return b.gep(pointer, [index], source_etype=_memory_type(dtype, 1))


def _load(b: ir.IRBuilder, pointer: ir.Value, index: ir.Value, dtype: DType, width: int) -> Lane:
    address = _address(b, pointer, index, dtype)
    value = b.load(address, align=dtype.size, typ=_memory_type(dtype, width))
    return Lane(b.trunc(value, llvm_type(dtype, width)) if dtype is bool_ else value, dtype)


def _store(
    b: ir.IRBuilder, pointer: ir.Value, index: ir.Value, x: Lane, dtype: DType, width: int
) -> None:
    assert x.dtype is dtype, f"the body gives {x.dtype}, not {dtype}"
    value = b.zext(x.value, _memory_type(dtype, width)) if dtype is bool_ else x.value
    b.store(value, _address(b, pointer, index, dtype), align=dtype.size)


@pytest.fixture(scope="session")
def compile_loop() -> Callable[..., Compiled]:
    """`compile_lanes`, which also asserts that the code calls no library."""
    return compile_lanes

"""A compiler of small array functions, for tests of the instructions `Lanes` appends."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import llvmlite.binding as llvm
import llvmlite.ir as ir
import numpy as np
import pytest

from anode.backends.cpu.lanes import Lane, Lanes, llvm_type
from anode.ir.dtypes import DType, bool_

Body = Callable[..., Sequence[Lane]]


@dataclass(frozen=True)
class Compiled:
    """A native function over arrays; `llvm_text` is the optimised module."""

    address: int
    operands: tuple[DType, ...]
    results: tuple[DType, ...]
    width: int
    llvm_text: str
    owner: object

    def __call__(self, *arrays: np.ndarray) -> list[np.ndarray]:
        count = len(arrays[0])
        padded = -(-count // self.width) * self.width
        inputs = [np.resize(np.asarray(a), padded) for a in arrays]
        assert [a.dtype for a in inputs] == [d.numpy for d in self.operands]
        outputs = [np.empty(padded, d.numpy) for d in self.results]
        pointers = [a.ctypes.data for a in (*outputs, *inputs)]
        kinds = [ctypes.c_void_p] * len(pointers)
        ctypes.CFUNCTYPE(None, *kinds, ctypes.c_int64)(self.address)(*pointers, padded)
        return [output[:count] for output in outputs]


def compile_lanes(
    body: Body,
    operands: tuple[DType, ...],
    results: tuple[DType, ...],
    width: int,
    optimise: int = 2,
) -> Compiled:
    """Compile a loop that applies `body(lanes, *operands)` to `width` elements at a time.

    The body gives one `Lane` for each of `results`. Asserts that the code calls no library.
    """
    module = ir.Module()
    module.triple = llvm.get_process_triple()
    _build_loop(module, body, operands, results, width)
    machine = _host_machine(optimise)
    parsed = llvm.parse_assembly(str(module))
    parsed.verify()
    options = llvm.create_pipeline_tuning_options(speed_level=optimise)
    passes = llvm.create_pass_builder(machine, options)
    passes.getModulePassManager().run(parsed, passes)
    _assert_self_contained(_host_machine(optimise, "small").emit_assembly(parsed))
    text = str(parsed)
    jit = llvm.create_mcjit_compiler(parsed, machine)
    jit.finalize_object()
    return Compiled(jit.get_function_address("loop"), operands, results, width, text, jit)


def _assert_self_contained(assembly: str) -> None:
    """Every function called or jumped to by name is defined in the module."""
    targets = re.findall(r"^\s+(?:callq?|jmpq?|bl?)\s+([A-Za-z_][\w.]*)", assembly, re.MULTILINE)
    outside = [name for name in targets if f"\n{name}:" not in assembly]
    assert not outside, f"calls {outside}"


def _host_machine(optimise: int, codemodel: str = "jitdefault") -> llvm.TargetMachine:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=optimise,
        reloc="pic",
        codemodel=codemodel,
    )


def _build_loop(
    module: ir.Module,
    body: Body,
    operands: tuple[DType, ...],
    results: tuple[DType, ...],
    width: int,
) -> None:
    integer, pointer = ir.IntType(64), ir.PointerType()
    kind = ir.FunctionType(ir.VoidType(), [pointer] * len(results + operands) + [integer])
    function = ir.Function(module, kind, "loop")
    entry, loop, end = (function.append_basic_block(n) for n in ("entry", "loop", "end"))
    b = ir.IRBuilder(entry)
    b.branch(loop)
    b.position_at_end(loop)
    index = b.phi(integer)
    targets, sources = function.args[: len(results)], function.args[len(results) : -1]
    loaded = [_load(b, p, index, d, width) for p, d in zip(sources, operands, strict=True)]
    values = body(Lanes(b, width), *loaded)
    for target, value, dtype in zip(targets, values, results, strict=True):
        _store(b, target, index, value, dtype, width)
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
    """`compile_lanes` as a fixture."""
    return compile_lanes

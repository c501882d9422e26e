"""Times matrix-product kernels on one core against NumPy's BLAS and the processor's own peak.

    python benchmarks/matmul_kernel.py [--shapes SUBSTRING] [--threads N] [--large]

Every row interleaves our kernel (all tasks, one after the other) with `numpy.matmul` held to one
thread (whose calls from Python cost it about 1 µs each), and reports medians, and the best run, as
other work on the machine slows both. `peak` is a loop of independent fused multiply-adds on
registers. `build`, `llvm` are milliseconds to emit the IR and to make machine code of it.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import ctypes
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir

from anode.backends.cpu.llvm_ir import (
    I64,
    POINTER,
    add,
    at,
    loop,
    mul,
    multiply_add,
    splat,
    store_vector,
)
from anode.backends.cpu.matmul import (
    Epilogue,
    MatmulPlan,
    MatmulSpec,
    Operand,
    emit_matmul,
    plan_matmul,
)
from anode.backends.cpu.target import Target, host_target, target_machine
from anode.ir.dtypes import f32

# m, k, n, which operands are transposed views
TRAINING = [
    (128, 784, 100, ""),
    (128, 100, 10, ""),
    (784, 128, 100, "a"),
    (100, 128, 10, "a"),
    (128, 10, 100, "b"),
    (70, 784, 1568, ""),
    (70, 1568, 500, ""),
    (70, 500, 10, ""),
    (784, 70, 1568, "a"),
    (1568, 70, 500, "a"),
    (500, 70, 10, "a"),
    (70, 10, 500, "b"),
    (70, 500, 1568, "b"),
    (1, 784, 100, ""),
    (1, 500, 1568, "b"),
    (1568, 500, 1, ""),
    (512, 512, 512, ""),
]
LARGE = [
    (128, 9216, 4096, ""),
    (128, 4096, 9216, "b"),
    (9216, 128, 4096, "a"),
    (2048, 2048, 2048, ""),
    (2048, 2048, 2048, "a"),
    (2048, 2048, 2048, "b"),
]


@dataclass(frozen=True)
class Kernel:
    """A compiled product and what its compilation took, in seconds."""

    plan: MatmulPlan
    run: Callable[..., None]
    engine: object
    build: float
    llvm: float


def compile_module(module: ir.Module, target: Target) -> object:
    module.triple = target.triple
    parsed = llvm.parse_assembly(str(module))
    engine = llvm.create_mcjit_compiler(parsed, target_machine(target))
    engine.finalize_object()
    return engine


def store_c(n: int) -> Epilogue:
    def emit(b, extra, batch, m, column, lanes, value, mask):
        store_vector(b, value, at(b, extra[0], b.add(mul(b, m, n), column), f32), f32, mask)

    return emit


def run_all(module: ir.Module, task: ir.Function, tasks: int) -> None:
    """`run(a, b, scratch, c, repeats)`: every task; no calls from Python are timed."""
    kind = ir.FunctionType(ir.VoidType(), [POINTER] * 4 + [I64])
    function = ir.Function(module, kind, "run")
    b = ir.IRBuilder(function.append_basic_block("entry"))

    def one_task(index, _):
        b.call(task, [*function.args[:4], index])
        return ()

    loop(b, 0, function.args[4], 1, lambda *_: loop(b, 0, tasks, 1, one_task))
    b.ret_void()


def build(spec: MatmulSpec, target: Target) -> Kernel:
    start = time.perf_counter()
    plan, module = plan_matmul(spec, target), ir.Module()
    task = emit_matmul(plan, module, "product", [POINTER], store_c(spec.n))
    run_all(module, task, plan.tasks)
    built = time.perf_counter()
    engine = compile_module(module, target)
    done = time.perf_counter()
    kind = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 4, ctypes.c_int64)
    function = kind(engine.get_function_address("run"))
    return Kernel(plan, function, engine, built - start, done - built)


def peak_gflops(target: Target) -> float:
    """Fused multiply-adds on twelve independent registers, in GFLOP/s."""
    lanes, sums, rounds = target.lanes(4), 12, 500_000
    module = ir.Module()
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER]), "peak")
    b = ir.IRBuilder(function.append_basic_block("entry"))
    factor = splat(b, b.load(function.args[0], typ=ir.FloatType()), lanes)
    totals = loop(
        b,
        0,
        rounds,
        1,
        lambda _, values: [multiply_add(b, factor, factor, value) for value in values],
        [factor] * sums,
    )
    for i, total in enumerate(totals):
        store_vector(b, total, at(b, function.args[0], add(b, i * lanes, 0), f32), f32)
    b.ret_void()
    engine = compile_module(module, target)
    run = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(engine.get_function_address("peak"))
    buffer = np.zeros(sums * lanes, np.float32)
    times = [seconds(lambda: run(buffer.ctypes.data)) for _ in range(7)]
    return 2 * lanes * sums * rounds / min(times) / 1e9


def seconds(call: Callable[[], object], repeats: int = 1) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - start) / repeats


def aligned(size: int) -> tuple[np.ndarray, int]:
    """Bytes of scratch and their first 64-byte boundary."""
    data = np.zeros(size + 64, np.uint8)
    return data, -(-data.ctypes.data // 64) * 64


def measure(m: int, k: int, n: int, transposed: str, threads: int, target: Target) -> str:
    random = np.random.default_rng(0)
    a = random.standard_normal((k, m) if "a" in transposed else (m, k), np.float32)
    b = random.standard_normal((n, k) if "b" in transposed else (k, n), np.float32)
    a_strides = (1, m) if "a" in transposed else (k, 1)
    b_strides = (1, k) if "b" in transposed else (n, 1)
    spec = MatmulSpec(m, n, k, Operand(f32, a_strides), Operand(f32, b_strides), f32, threads)
    kernel = build(spec, target)
    c, expected = np.zeros((m, n), np.float32), np.zeros((m, n), np.float32)
    left, right = a.T if "a" in transposed else a, b.T if "b" in transposed else b
    keep, scratch = aligned(kernel.plan.scratch_bytes)
    pointers = (a.ctypes.data, b.ctypes.data, scratch, c.ctypes.data)
    flops = 2.0 * m * n * k
    repeats = max(1, int(3e7 / flops))
    ours, theirs = [], []
    for _ in range(9 if flops > 1e8 else 25):
        ours.append(seconds(lambda: kernel.run(*pointers, repeats)) / repeats)
        theirs.append(seconds(lambda: np.matmul(left, right, out=expected), repeats))
    assert np.allclose(c, expected, 1e-2, 1e-2), "wrong product"
    del keep
    return row(kernel, f"{m}x{k}x{n}{transposed:>3}", flops, ours, theirs)


def row(kernel: Kernel, name: str, flops: float, samples: list[float], rival: list[float]) -> str:
    ours, theirs = median(samples), median(rival)
    plan = kernel.plan
    packs = "a" * plan.pack_a + "b" * plan.pack_b
    return (
        f"{name:<20}{ours * 1e6:>9.1f}{flops / ours / 1e9:>8.1f}{flops / theirs / 1e9:>8.1f}"
        f"{flops / min(samples) / 1e9:>8.1f}{flops / min(rival) / 1e9:>8.1f}"
        f"{theirs / ours:>7.2f}  {plan.mr}x{plan.nr} kc{plan.kc} {packs:<3}"
        f"{plan.groups}x{plan.row_blocks}x{plan.column_blocks}"
        f"{kernel.build * 1e3:>8.1f}{kernel.llvm * 1e3:>7.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", default="", help="only the shapes whose name holds this")
    parser.add_argument("--threads", type=int, default=2, help="size of the team tasks are cut for")
    parser.add_argument("--large", action="store_true", help="also shapes beyond the caches")
    options = parser.parse_args()
    target = host_target()
    print(f"{target.cpu}, peak {peak_gflops(target):.1f} GFLOP/s a core")
    print(
        "GFLOP/s: median of anode and BLAS, best of each; then tile, packing, grid; build, llvm ms"
    )
    print("m x k x n                  µs   anode    BLAS   anode    BLAS  ratio")
    for m, k, n, transposed in TRAINING + LARGE * options.large:
        if options.shapes in f"{m}x{k}x{n}{transposed}":
            print(measure(m, k, n, transposed, options.threads, target), flush=True)


if __name__ == "__main__":
    main()

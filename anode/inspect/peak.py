"""The machine's practical limits: float32 fused multiply-adds from registers, and memory copies.

`python -m anode.inspect.peak` prints both for one and two threads.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import llvmlite.binding as llvm
import numpy as np

from anode.backends.cpu import code
from anode.backends.cpu.target import host_target, target_machine

CHAINS = 12  # independent accumulators: latency 4 × 2 units need 8, and 16 registers hold 12
BUSY = 0.9  # of one thread's peak times the threads; below, others hold a core
COPY_FLOATS = 1 << 26  # 256 MiB, larger than the caches
TRIALS = 40  # short ones, so that some fall between what other programs do


def vector_lanes() -> int:
    """Float32 lanes of the processor's widest vectors."""
    features = llvm.get_host_cpu_features()
    return 16 if features.get("avx512f") else 8 if features.get("avx2") else 4


def fma_ir(lanes: int) -> str:
    """LLVM text of `peak(turns, floats)`: a turn does CHAINS multiply-adds of `lanes` floats."""
    vector, chains = f"<{lanes} x float>", range(CHAINS)
    loads = "\n".join(
        f"  %p{c} = getelementptr {vector}, ptr %floats, i64 {c}\n"
        f"  %s{c} = load {vector}, ptr %p{c}, align 4"
        for c in chains
    )
    phis = "\n".join(f"  %a{c} = phi {vector} [%s{c}, %entry], [%b{c}, %loop]" for c in chains)
    fmas = "\n".join(
        f"  %b{c} = call {vector} @llvm.fma.v{lanes}f32({vector} %a{c}, {vector} %s0, {vector} %s1)"
        for c in chains
    )
    stores = "\n".join(f"  store {vector} %b{c}, ptr %p{c}, align 4" for c in chains)
    return f"""
declare {vector} @llvm.fma.v{lanes}f32({vector}, {vector}, {vector})
define void @peak(i64 %turns, ptr %floats) {{
entry:
{loads}
  br label %loop
loop:
  %i = phi i64 [%turns, %entry], [%next, %loop]
{phis}
{fmas}
  %next = sub i64 %i, 1
  %done = icmp eq i64 %next, 0
  br i1 %done, label %end, label %loop
end:
{stores}
  ret void
}}"""


def _compiled(ir: str) -> Callable[[int, int], None]:
    """The function, which releases the GIL."""
    target = host_target()
    made = code.object_code(ir, target_machine(target))
    (address,) = code.load([made], target, {}, "peak")
    return ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p)(address)


def _best_seconds(task: Callable[[int], None], threads: int, trials: int) -> float:
    """The shortest wall time, over some trials, of `task(thread)` on all threads at once."""
    with ThreadPoolExecutor(threads) as pool:
        seconds = []
        for _ in range(trials):
            start = time.perf_counter()
            list(pool.map(task, range(threads)))
            seconds.append(time.perf_counter() - start)
    return min(seconds)


def fma_gflops(threads: int, trials: int = TRIALS, turns: int = 2_500_000) -> float:
    """Practical peak of float32 fused multiply-adds in GFLOP/s, each counting two operations."""
    lanes = vector_lanes()
    peak = _compiled(fma_ir(lanes))
    floats = [np.full(CHAINS * lanes, 0.5, np.float32) for _ in range(threads)]
    seconds = _best_seconds(lambda thread: peak(turns, floats[thread].ctypes.data), threads, trials)
    return threads * turns * CHAINS * lanes * 2 / seconds / 1e9


def copy_gbs(threads: int, trials: int = TRIALS) -> float:
    """Bandwidth of copying a large array in GB/s, bytes read and bytes written both counted."""
    source = np.ones((threads, COPY_FLOATS // threads), np.float32)
    target = np.zeros_like(source)
    seconds = _best_seconds(
        lambda thread: np.copyto(target[thread], source[thread]), threads, trials
    )
    return 2 * source.nbytes / seconds / 1e9


def measure(threads: int = 2) -> dict[str, list[float]]:
    """Peaks for 1..threads threads: {"fma_gflops": [...], "copy_gbs": [...]}."""
    counts = range(1, threads + 1)
    return {
        "fma_gflops": [fma_gflops(count) for count in counts],
        "copy_gbs": [copy_gbs(count) for count in counts],
    }


def better(one: dict[str, list[float]], other: dict[str, list[float]]) -> dict[str, list[float]]:
    """The larger of two measurements in every place: what was free of other programs' work."""
    return {name: list(map(max, values, other[name])) for name, values in one.items()}


def describe(peak: dict[str, list[float]]) -> str:
    """One line per thread count, and a warning when the cores were visibly shared with others."""
    rows = zip(peak["fma_gflops"], peak["copy_gbs"], strict=True)
    lines = [
        f"{count} thread{'s' * (count > 1)}: "
        f"{fma:.0f} GFLOP/s of float32 FMA, {copy:.1f} GB/s of copy"
        for count, (fma, copy) in enumerate(rows, 1)
    ]
    one, many = peak["fma_gflops"][0], peak["fma_gflops"][-1]
    if many < BUSY * len(lines) * one:
        lines.append(
            f"The machine is busy: {len(lines)} threads reach {many / one:.1f} times one thread's "
            "peak, so every share of the peak below is too high."
        )
    return "\n".join(lines)


if __name__ == "__main__":
    print(describe(measure()))

"""Times convolutions in each way to compute them, as programs of their own.

    python -m benchmarks.conv_kernel [--net alexnet|resnet20|groups] [--threads N] [--runs N]
                                     [--kind forward|data|weights] [--dtype f32|bf16] [--alone]

By oneDNN, by generated code and by Winograd's method, in whole compiled programs that include what
brings the filters into the form that is read; `moved` is the share of oneDNN's side, and of
Winograd's, that this takes. Runs are interleaved, medians are
reported, and as a share of the peak that a loop of multiply-adds on registers reaches. One thread's
seconds are those it had a core for, so that other work on the machine counts little.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from anode import ops
from anode.backends.cpu.backend import CpuCompiled
from anode.backends.cpu.choice import Choosing
from anode.backends.cpu.costs import GENERATED, ONEDNN, WINOGRAD, Costs
from anode.backends.cpu.profile import TimedCompiled
from anode.backends.cpu.target import host_target
from anode.inspect.peak import fma_gflops
from anode.ir.graph import Graph, trace
from anode.ir.node import Node
from anode.ir.types import tensor
from anode.runtime.state import State

KINDS = ("forward", "data", "weights")
KERNELS = {ONEDNN: ("onednn_convolution",), WINOGRAD: ("winograd_convolution", "winograd_weights")}


@dataclass(frozen=True)
class Layer:
    """A square convolution: images, their size and channels, filters, kernel, stride, padding."""

    n: int
    size: int
    c: int
    o: int
    kernel: int
    stride: int
    pad: int
    groups: int = 1

    @property
    def out(self) -> int:
        return (self.size + 2 * self.pad - self.kernel) // self.stride + 1

    @property
    def flops(self) -> int:
        return 2 * self.n * self.out**2 * self.o * self.kernel**2 * self.c // self.groups

    def graph(self, kind: str, dtype: str) -> Graph:
        x = tensor(dtype, self.n, self.size, self.size, self.c)
        w = tensor(dtype, self.kernel, self.kernel, self.c // self.groups, self.o)
        y = tensor(dtype, self.n, self.out, self.out, self.o)
        attrs: dict[str, Any] = {"strides": (self.stride,) * 2, "groups": self.groups}
        attrs |= dict.fromkeys(("low", "high"), (self.pad,) * 2)
        bias = tensor(dtype, self.o)

        def forward(x: Node, w: Node, bias: Node) -> Node:
            return ops.relu(ops.convolution(x, w, **attrs) + bias)

        def data(y: Node, w: Node) -> Node:
            return ops.convolution_data(y, w, sizes=(self.size,) * 2, **attrs)

        def weights(x: Node, y: Node) -> Node:
            return ops.convolution_weights(x, y, kernel=(self.kernel,) * 2, **attrs)

        if kind == "forward":
            return trace(forward, x, w, bias)
        return trace(data, y, w) if kind == "data" else trace(weights, x, y)

    def __str__(self) -> str:
        size = f"{self.n}x{self.size}x{self.size}x{self.c}"
        groups = f"/{self.groups}" if self.groups > 1 else ""
        return f"{size} {self.kernel}x{self.kernel}/{self.stride} -> {self.o}{groups}"


NETS = {
    "alexnet": [
        Layer(32, 224, 3, 64, 11, 4, 2),
        Layer(32, 27, 64, 192, 5, 1, 2),
        Layer(32, 13, 192, 384, 3, 1, 1),
        Layer(32, 13, 384, 256, 3, 1, 1),
        Layer(32, 13, 256, 256, 3, 1, 1),
    ],
    "resnet20": [
        Layer(128, 32, 3, 16, 3, 1, 1),
        Layer(128, 32, 16, 16, 3, 1, 1),
        Layer(128, 32, 16, 32, 3, 2, 1),
        Layer(128, 32, 16, 32, 1, 2, 0),
        Layer(128, 16, 32, 32, 3, 1, 1),
        Layer(128, 16, 32, 64, 3, 2, 1),
        Layer(128, 16, 32, 64, 1, 2, 0),
        Layer(128, 8, 64, 64, 3, 1, 1),
    ],
    "dcgan": [
        Layer(64, 28, 1, 64, 4, 2, 1),
        Layer(64, 14, 64, 128, 4, 2, 1),
    ],
    "groups": [
        Layer(16, 28, 64, 64, 3, 1, 1, 4),
        Layer(16, 14, 256, 256, 3, 1, 1, 32),
        Layer(16, 28, 64, 64, 3, 1, 1, 64),
        Layer(16, 56, 32, 32, 3, 2, 1, 32),
    ],
}


def arrays(graph: Graph) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    found = [random.standard_normal(t.static).astype(np.float32) for t in graph.types]
    if graph.types[0].dtype.name == "f32":
        return found
    return [
        (x.view(np.uint32) >> 16)
        .astype(np.uint16)
        .view(graph.types[0].dtype.numpy)
        .reshape(x.shape)
        for x in found
    ]


def compiled(graph: Graph, way: str, threads: int, timed: bool = False) -> CpuCompiled:
    choice = Choosing(threads, Costs(only=way), f"always {way}")
    return (TimedCompiled if timed else CpuCompiled)(graph, host_target(), threads, choice)


def has_kernel(made: CpuCompiled, way: str) -> bool:
    return way == GENERATED or any(s.kind in KERNELS[way] for s in made.program.steps)


def times(sides: list[CpuCompiled], args: list[np.ndarray], runs: int) -> list[float]:
    """The median seconds of each side's runs, taken in turns."""
    found: list[list[float]] = [[] for _ in sides]
    state, clock = State({}), time.perf_counter if sides[0].threads > 1 else time.thread_time
    for i in range(runs + 2):
        for side, taken in zip(sides, found, strict=True):
            start = clock()
            side.run(args, state)
            if i >= 2:
                taken.append(clock() - start)
    return [median(taken) for taken in found]


def moved(graph: Graph, args: list[np.ndarray], threads: int, way: str) -> float:
    """The share of the time that goes into moving filters and adding up parts."""
    made = compiled(graph, way, threads, timed=True)
    assert isinstance(made, TimedCompiled)
    work = made.profile(args, State({}), runs=5).work()
    steps = zip(work, made.program.steps, strict=True)
    return 1 - sum(w for w, step in steps if step.kind in KERNELS[way]) / sum(work)


def rows(options: argparse.Namespace) -> Iterator[tuple[str, ...]]:
    peak = fma_gflops(options.threads)
    print(f"peak {peak:.0f} GFLOP/s on {options.threads} threads")
    for name, layers in NETS.items():
        if options.net not in (None, name):
            continue
        for layer in layers:
            for kind in KINDS:
                if options.kind not in (None, kind) or (kind == "data" and layer.c == 3):
                    continue
                graph = layer.graph(kind, options.dtype)
                args = arrays(graph)
                ways = (ONEDNN,) if options.alone else (ONEDNN, GENERATED, WINOGRAD)
                sides = {way: compiled(graph, way, options.threads) for way in ways}
                sides = {way: side for way, side in sides.items() if has_kernel(side, way)}
                seconds = times(list(sides.values()), args, options.runs)
                text = [f"{layer!s:<31}{kind:<8}"]
                for way, taken in zip(sides, seconds, strict=True):
                    rate = layer.flops / taken / 1e9
                    text.append(f"{taken * 1e3:8.2f} ms {rate:6.1f} {rate / peak:5.0%}")
                    if way != GENERATED:
                        text[-1] += f" moved {moved(graph, args, options.threads, way):5.1%}"
                yield tuple(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--net", choices=sorted(NETS))
    parser.add_argument("--kind", choices=KINDS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--dtype", choices=("f32", "bf16"), default="f32")
    parser.add_argument("--alone", action="store_true", help="oneDNN's side only")
    options = parser.parse_args()
    print(f"{'':<39}{'oneDNN':>12} GFLOP/s{'generated':>32}{'Winograd':>26}")
    for row in rows(options):
        print("  ".join(row), flush=True)


if __name__ == "__main__":
    main()

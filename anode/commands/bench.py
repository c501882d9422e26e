"""`anode bench`: how long the parts of a model's training step take, next to the machine's peak.

neon's table: the forward pass, the backward pass, the update, and the iteration that holds all
three. anode compiles an iteration as one function in which they overlap, so the forward pass and
the update are also compiled alone and timed, and the backward pass is what remains.
"""

from __future__ import annotations

import math
import resource
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from rich.console import Console

from anode import ops
from anode.commands.display import mib
from anode.commands.settings import at_least, check_threads
from anode.frontends import layers as nn
from anode.inspect.peak import fma_gflops
from anode.ir.graph import Graph, close, fresh_inputs
from anode.ir.node import Node, read
from anode.ir.types import TensorType
from anode.ir.variable import Variable
from anode.models import Architecture, architecture
from anode.runtime.executable import Executable, chosen_threads
from anode.runtime.state import State

RUNS, SKIPPED = 10, 2
Times = list[float]


@dataclass(frozen=True)
class Part:
    """A row of the table: what was timed, the mean and the least seconds, its products' FLOPs."""

    name: str
    mean: float
    least: float
    flops: int

    def row(self, peak: float) -> str:
        rate = self.flops / self.mean / 1e9 if self.flops and self.mean > 0 else 0.0
        speed = f"{rate:>10.1f}{rate / peak:>9.0%}" if rate else ""
        return (
            f"{self.name:<11}{self.mean * 1e3:>10.2f}{self.least * 1e3:>10.2f}"
            f"{self.flops / 1e9:>10.2f}{speed}"
        )


@dataclass(frozen=True)
class Bench:
    """What was measured of an architecture: parts, compile seconds, bytes, the peak in GFLOP/s."""

    title: str
    parts: tuple[Part, ...]
    seconds: float
    variables: int
    planned: int | None
    resident: int
    peak: float

    def __str__(self) -> str:
        planned = "none" if self.planned is None else mib(self.planned)
        lines = [
            self.title,
            f"the iteration was compiled in {self.seconds:.2f} s; "
            f"the machine's peak is {self.peak:.0f} GFLOP/s",
            f"memory: {mib(self.variables)} of variables, {planned} planned peak of temporaries, "
            f"{mib(self.resident)} resident at most",
            "",
            f"{'':<11}{'mean ms':>10}{'least ms':>10}{'GFLOP':>10}{'GFLOP/s':>10}{'of peak':>9}",
        ]
        return "\n".join([*lines, *(part.row(self.peak) for part in self.parts)]) + "\n"


def bench(
    name: str,
    console: Console,
    batch: int | None = None,
    runs: int = RUNS,
    skip: int = SKIPPED,
    backend: str | None = None,
    threads: int | None = None,
) -> None:
    """Time the architecture `name` and print the table; the first `skip` runs do not count."""
    for option, value, least in (("batch", batch, 1), ("runs", runs, 1), ("skip", skip, 0)):
        at_least(option, value, least)
    check_threads(threads, backend)
    found = architecture(name)
    rows = found.batch if batch is None else batch
    measured = measure(name, found, rows, partial(timed, runs=runs, skip=skip), backend, threads)
    console.print(str(measured), end="", markup=False, highlight=False, soft_wrap=True)


def measure(
    name: str,
    found: Architecture,
    rows: int,
    clock: Callable[[Callable[[], Any]], Times],
    backend: str | None = None,
    threads: int | None = None,
) -> Bench:
    """The bench of an architecture on random images, by a clock that times a function."""
    from anode.backends.cpu.target import host_target

    x, y = found.types(rows)
    images, labels = sample(x), np.arange(rows, dtype=np.int32) % found.classes
    model = found.model(backend=backend, threads=threads)
    step = model.training_step(found.cost, found.optimizer)
    executable = step.compile(images, labels)
    forget_resident()
    iteration = clock(lambda: step(images, labels))
    resident = most_resident()
    forward = model.compile(forward_graph(model, found.cost, x, y))
    fprop = clock(lambda: forward(images, labels, state=model.state))
    update = clock(update_of(model, found.optimizer))
    compiled = executable.bindings[0].compiled
    cores = threads or chosen_threads() or host_target().cores
    where = f"{cores} thread{'s' * (cores > 1)}"
    if executable.backend.name != "cpu":
        cores, where = 1, f"{executable.backend.name} backend"
    return Bench(
        f"{name}: {rows} images of {'×'.join(map(str, found.image))}, f32, {where}",
        parts_of(fprop, update, iteration, (forward.graph, executable.graph)),
        compiled.seconds,
        sum(variable.type.bytes for variable in executable.graph.variables),
        compiled.peak_bytes,
        resident,
        fma_gflops(cores, trials=6),
    )


def parts_of(
    fprop: Times, update: Times, iteration: Times, graphs: tuple[Graph, Graph]
) -> tuple[Part, ...]:
    """The rows: the backward pass is the iteration without the others."""
    forward, whole = map(product_flops, graphs)
    mean, least = ([f(times) for times in (fprop, update, iteration)] for f in (average, min))
    bprop = [t - f - u for f, u, t in (mean, least)]
    return (
        Part("fprop", mean[0], least[0], forward),
        Part("bprop", bprop[0], bprop[1], whole - forward),
        Part("update", mean[1], least[1], 0),
        Part("iteration", mean[2], least[2], whole),
    )


def forward_graph(model: nn.Model, cost: nn.Cost, x: TensorType, y: TensorType) -> Graph:
    """The forward pass of training: to the cost, with the running statistics."""
    inputs = fresh_inputs(x, y)
    prediction, scope = model.forward(inputs[0], training=True)
    loss = ops.mean(cost.rows(prediction, inputs[1]))
    return close(inputs, [loss], scope.updates.items(), names=("x", "y", "cost"))


def update_of(model: nn.Model, optimizer: nn.Optimizer) -> Callable[[], Any]:
    """The optimiser's step alone, from gradients that are variables."""
    parameters = [variable for variable in model.state if variable.trainable]
    gradients = [Variable(f"gradient of {v.name}", v.type, trainable=False) for v in parameters]
    updates = optimizer.updates(parameters, list(map(read, gradients)))
    graph = close((), [], updates.items())
    values = {v: np.zeros(v.type.static, v.type.dtype.numpy) for v in gradients}
    state = State({v: model.state[v] for v in graph.variables if v in model.state} | values)
    executable: Executable = model.compile(graph)
    return lambda: executable(state=state)


def timed(run: Callable[[], Any], runs: int = RUNS, skip: int = SKIPPED) -> Times:
    """Seconds of each of `runs` calls, after `skip` that do not count."""
    times = []
    for _ in range(skip + runs):
        start = perf_counter()
        run()
        times.append(perf_counter() - start)
    return times[skip:]


def sample(x: TensorType) -> np.ndarray:
    """Random images: bytes, or floats from −1 to 1."""
    random = np.random.default_rng(0)
    if not x.dtype.is_float:
        return random.integers(0, 256, x.static, np.uint8)
    return random.random(x.static, np.float32) * np.float32(2) - np.float32(1)


def forget_resident() -> None:
    """Let `most_resident` count from now, where the system can: initial values took more."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def most_resident() -> int:
    """The bytes of physical memory this process has held at most."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def average(times: Iterable[float]) -> float:
    """The mean."""
    found = list(times)
    return math.fsum(found) / len(found)


def product_flops(graph: Graph) -> int:
    """The multiplications and additions, two for each pair, of a graph's products."""
    return sum(map(_flops, graph.nodes))


def _flops(node: Node) -> int:
    if node.op.name == "dot_general":
        (left, _), sizes = node.attrs["contract"], node.args[0].tensor.static
        return 2 * _count(node) * math.prod(sizes[axis] for axis in left)
    if node.op.name == "matmul":
        return 2 * _count(node) * node.args[0].tensor.static[-1]
    if node.op.name == "convolution":
        return 2 * _count(node) * math.prod(node.args[1].tensor.static[:-1])
    if node.op.name == "convolution_data":
        return 2 * _count(node.args[0]) * math.prod(node.args[1].tensor.static[:-1])
    if node.op.name == "convolution_weights":
        return 2 * _count(node.args[1]) * math.prod(node.tensor.static[:-1])
    return 0


def _count(node: Node) -> int:
    return math.prod(node.tensor.static)

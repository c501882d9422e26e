"""`python -m benchmarks.memory`: the memory of temporaries of five nets, without running them.

For inference and training: one buffer per tensor of the graph as written (`one_per_tensor`), the
planned arena, the live-set lower bound, and their ratios; for training also the arena under memory
limits, with the time that recomputing takes by the cost model.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

from anode.backends.cpu.build import Build
from anode.backends.cpu.choice import library_for
from anode.backends.cpu.target import host_target
from anode.errors import BackendError
from anode.ir.graph import Graph, close, fresh_inputs
from anode.models import Architecture, architecture
from anode.program.cost import seconds
from anode.program.memory import memory_report, one_per_tensor
from anode.program.program import Program

BATCHES = {"lenet": 64, "alexnet": 32, "resnet-20": 128, "vgg-a": 16, "googlenet": 16}
RATIOS = (5, 6, 8, 10)  # of one buffer per tensor to the arena, that limits ask for
THREADS = 2


@dataclass(frozen=True)
class Row:
    """A graph's temporaries in bytes; `time` is what recomputing makes of the time of a step."""

    model: str
    what: str
    tensors: int
    arena: int
    bound: int
    time: float = 1.0

    def __str__(self) -> str:
        megabytes = "".join(f"{n / 1e6:>10.1f}" for n in (self.tensors, self.arena, self.bound))
        ratios = f"{self.tensors / self.arena:>8.2f}{self.arena / self.bound:>8.3f}"
        return f"{self.model:<11}{self.what:<22}{megabytes}{ratios}{self.time:>7.2f}"


HEAD = (
    f"{'model':<11}{'graph':<22}{'tensors':>10}{'arena':>10}{'bound':>10}"
    f"{'tensors/':>8}{'arena/':>8}{'time':>7}\n"
    f"{'':<33}{'MB':>10}{'MB':>10}{'MB':>10}{'arena':>8}{'bound':>8}{'×':>7}"
)


def graphs(net: Architecture, batch: int) -> tuple[Graph, Graph]:
    """Inference, and a training step, without initial values."""
    x, y = net.types(batch)
    inputs = fresh_inputs(x)
    prediction, _ = net.model().forward(inputs[0])
    step = net.model().training_step(net.cost, net.optimizer)
    return close(inputs, [prediction.value]), step.graph(x, y)


def program_of(graph: Graph, limit: int | None = None) -> Program:
    """The planned program of the cpu backend."""
    library = library_for(THREADS)
    return Build(graph, host_target(), THREADS, library=library, memory_limit=limit).program


def time_of(program: Program) -> float:
    return sum(seconds(program, step) for step in program.steps)


def rows(name: str) -> Iterator[Row]:
    """What a net takes."""
    inference, training = graphs(architecture(name), BATCHES[name])
    for what, graph in (("inference", inference), ("training", training)):
        tensors, free = one_per_tensor(graph), program_of(graph)
        yield Row(name, what, tensors, free.arena, memory_report(free).lower_bound)
        for ratio in RATIOS:
            limit = tensors // ratio
            if limit < free.arena:
                try:
                    program = program_of(graph, limit)
                except BackendError as error:
                    print(f"{name:<11}{what}, 1/{ratio}: {error}")
                    break
                bound, time = memory_report(program).lower_bound, time_of(program) / time_of(free)
                yield Row(name, f"{what}, 1/{ratio}", tensors, program.arena, bound, time)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("models", nargs="*", default=list(BATCHES), help="some of the five nets")
    print(HEAD)
    for name in parser.parse_args().models:
        for row in rows(name):
            print(row, flush=True)


if __name__ == "__main__":
    main()

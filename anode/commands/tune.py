"""`anode tune`: measure a model's convolutions, so that compilations choose the faster kernel."""

from __future__ import annotations

from math import isfinite

from rich.console import Console
from rich.progress import track
from rich.table import Table

from anode.backends.cpu.costs import WAYS, save
from anode.backends.cpu.onednn_conv import Problem
from anode.backends.cpu.target import host_target
from anode.commands.settings import at_least
from anode.inspect.tune import Measured, candidates, measure
from anode.models import architecture


def tune(model: str, batch: int | None, console: Console) -> None:
    """Measure the convolutions of a model's training step, keep the costs, show them."""
    at_least("batch", batch, 1)
    threads = host_target().cores  # which choices are for
    graph = architecture(model).training_graph(batch)
    total = len(candidates(graph, threads))
    results = track(measure(graph, threads), "measuring", total, console=console, transient=True)
    found = list(results)
    path = save({result.name: result.seconds for result in found if result.seconds is not None})
    console.print(_table(found, threads))
    kept = f"kept in {path}" if path else "not kept: ANODE_CACHE is off"
    console.print(f"{total} convolutions of {model}, {kept}", soft_wrap=True)


def _table(found: list[Measured], threads: int) -> Table:
    table = Table(box=None, title=f"on {threads} thread{'s' * (threads > 1)}")
    table.add_column("convolution", no_wrap=True)
    for name in (*[f"{way} ms" for way in WAYS], "GFLOP/s", "chosen"):
        table.add_column(name, justify="right", no_wrap=True)
    for result in found:
        problem, tasks = result.candidate.problem, result.candidate.tasks
        name = f"{problem.kind:<8} {describe(problem, tasks)}"
        if result.seconds is None:
            table.add_row(name, *[""] * (len(WAYS) + 1), "generated")
            continue
        times = [f"{s * 1e3:.3g}" if isfinite(s) else "no kernel" for s in result.seconds]
        best = min(result.seconds)
        rate = problem.flops * tasks / best / 1e9
        table.add_row(name, *times, f"{rate:.0f}", WAYS[result.seconds.index(best)])
    return table


def describe(problem: Problem, tasks: int) -> str:
    """A convolution's sizes in short: images, kernel/strides → filters[/groups]."""
    images = "×".join(map(str, (problem.batch * tasks, *problem.sizes, problem.channels)))
    kernel, strides = (_short(sizes) for sizes in (problem.kernel, problem.strides))
    groups = f"/{problem.groups}" if problem.groups > 1 else ""
    dtype = "" if problem.dtype == "f32" else f" {problem.dtype}"
    return f"{images} {kernel}/{strides} → {problem.filters}{groups}{dtype}"


def _short(sizes: tuple[int, ...]) -> str:
    return str(sizes[0]) if len(set(sizes)) == 1 else "×".join(map(str, sizes))

"""`anode tune`: measure a model's convolutions, so that compilations choose the faster kernel."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

from rich.console import Console
from rich.progress import track

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
    shown: dict[str, Any] = {
        "console": console,
        "transient": True,
        "disable": not console.is_terminal,
    }
    found = list(track(measure(graph, threads), "measuring", total, **shown))
    path = save({result.name: result.seconds for result in found if result.seconds is not None})
    kept = f"kept in {path}" if path else "not kept: ANODE_CACHE is off"
    lines = [*_lines(found, threads), f"{total} convolutions of {model}, {kept}"]
    console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)


def _lines(found: list[Measured], threads: int) -> list[str]:
    """A table that is never cut to the width of a terminal."""
    head = f"on {threads} thread{'s' * (threads > 1)}"
    titles = (*[f"{way} ms" for way in WAYS], "GFLOP/s", "chosen")
    rows = [(head, titles), *[(_name(result), _cells(result)) for result in found]]
    width = max(len(name) for name, _ in rows)
    return [f"{name:<{width}}{''.join(f'{cell:>14}' for cell in cells)}" for name, cells in rows]


def _name(result: Measured) -> str:
    candidate = result.candidate
    return f"{candidate.problem.kind:<8} {describe(candidate.problem, candidate.tasks)}"


def _cells(result: Measured) -> Sequence[str]:
    """The milliseconds of each way, the rate of the best, and its name."""
    if result.seconds is None:
        return [""] * (len(WAYS) + 1) + ["generated"]
    times = [f"{s * 1e3:.3g}" if isfinite(s) else "no kernel" for s in result.seconds]
    best = min(result.seconds)
    rate = result.candidate.problem.flops * result.candidate.tasks / best / 1e9
    return [*times, f"{rate:.0f}", WAYS[result.seconds.index(best)]]


def describe(problem: Problem, tasks: int) -> str:
    """A convolution's sizes in short: images, kernel/strides → filters[/groups]."""
    images = "×".join(map(str, (problem.batch * tasks, *problem.sizes, problem.channels)))
    kernel, strides = (_short(sizes) for sizes in (problem.kernel, problem.strides))
    groups = f"/{problem.groups}" if problem.groups > 1 else ""
    dtype = "" if problem.dtype == "f32" else f" {problem.dtype}"
    return f"{images} {kernel}/{strides} → {problem.filters}{groups}{dtype}"


def _short(sizes: tuple[int, ...]) -> str:
    return str(sizes[0]) if len(set(sizes)) == 1 else "×".join(map(str, sizes))

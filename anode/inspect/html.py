"""A report as one HTML file that needs nothing else, and a run as a trace for Chrome's viewer."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from importlib.resources import files
from os import PathLike
from pathlib import Path
from typing import Any

from anode.errors import DataError
from anode.inspect.drawing import MOST_NODES, draw, draw_layers
from anode.inspect.explain import Kernel, Report
from anode.inspect.report_text import count, size
from anode.ir.graph import Graph
from anode.passes.movement import MOVEMENT
from anode.program.memory import Held, Moment


def html(report: Report, title: str) -> str:
    """The page."""
    data = {
        "title": title,
        "cards": list(_cards(report)),
        "peak": report.peak and dict(report.peak),
        "seconds_run": report.profile.seconds if report.profile else None,
        "kernels": [_kernel(kernel) for kernel in report.kernels],
        "decisions": [
            {**asdict(d), "value": str(d.value), "origin": d.value.origin} for d in report.decisions
        ],
        "lifetimes": [asdict(life) for life in report.lifetimes],
        "moments": [_moment(moment) for moment in report.moments],
        "graphs": [_graph(name, graph) for name, graph in report.graphs],
        "steps": list(report.profile.steps) if report.profile else [],
        "tasks": [
            (task.step, task.thread, task.start, task.end)
            for task in (report.profile.middle if report.profile else ())
        ],
    }
    page = files("anode.inspect").joinpath("page.html").read_text(encoding="utf-8")
    text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    return page.replace("/*DATA*/", text, 1)


def chrome_trace(report: Report) -> str:
    """The timed run of median length, as JSON for chrome://tracing or ui.perfetto.dev.

    Times count in microseconds. Raises ValueError where no run was timed.
    """
    if report.profile is None:
        raise ValueError("the report has no timed run")
    kernels = {kernel.name: kernel for kernel in report.kernels if not kernel.depth}
    events: list[dict[str, Any]] = [
        {"ph": "M", "pid": 1, "tid": i, "name": "thread_name", "args": {"name": f"thread {i}"}}
        for i in range(report.profile.threads)
    ]
    for task in report.profile.middle:
        kernel = kernels[report.profile.steps[task.step]]
        details = {"task": task.number, "computes": _ops(kernel), "lines": list(kernel.origins)}
        events.append(
            {
                "ph": "X",
                "pid": 1,
                "tid": task.thread,
                "name": kernel.name,
                "cat": kernel.kind,
                "ts": task.start * 1e6,
                "dur": (task.end - task.start) * 1e6,
                "args": details,
            }
        )
    return json.dumps({"traceEvents": events, "displayTimeUnit": "ns"})


def write(path: str | PathLike[str], text: str) -> None:
    """Write a text file; it appears only when it is complete."""
    partial = Path(path).with_name(f".{Path(path).name}.{os.getpid()}")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)


def _cards(report: Report) -> Iterator[tuple[str, str]]:
    flops = sum(kernel.flops for kernel in report.kernels if not kernel.depth)
    if report.profile:
        seconds = report.profile.seconds
        yield f"{seconds * 1e3:.3f} ms", f"a run, {report.threads} threads"
        rate = flops / seconds / 1e9
        share = f", {rate / report.peak['gflops']:.0%} of peak" if report.peak else ""
        yield f"{rate:.0f} GFLOP/s", f"in all{share}"
    yield f"{count(flops)}FLOP", "a run"
    yield str(report.steps), "kernels"
    if report.memory is not None:
        memory = report.memory
        yield size(memory.peak), "planned peak of temporaries"
        yield size(memory.lower_bound), "least that this order needs"
        yield size(memory.unshared), "without sharing"
    if variables := report.outside.get("variable"):
        yield size(variables), "weights and other variables"
    yield f"{report.seconds:.2f} s", "compiling"


def _ops(kernel: Kernel) -> str:
    counts: dict[str, int] = {}
    for value in kernel.values:
        counts[value.op] = counts.get(value.op, 0) + 1
    return ", ".join(f"{op} × {n}" if n > 1 else op for op, n in counts.items())


def _kernel(kernel: Kernel) -> dict[str, Any]:
    return {
        "name": kernel.name,
        "ops": _ops(kernel),
        "moves": all(value.op in (*MOVEMENT, "copy") for value in kernel.values),
        "read": kernel.bytes_read,
        "written": kernel.bytes_written,
        "flops": kernel.flops,
        "tasks": kernel.tasks,
        "depth": kernel.depth,
        "on_host": kernel.on_host,
        "origins": list(kernel.origins),
        "seconds": kernel.seconds,
    }


def _moment(moment: Moment) -> dict[str, Any]:
    def buffers(held: tuple[Held, ...]) -> list[tuple[str, str, int]]:
        return [(" = ".join(h.names), h.type, h.bytes) for h in held]

    return {
        "step": moment.step,
        "origin": moment.origin,
        "used": moment.used,
        "waiting": moment.waiting,
        "uses": buffers(moment.uses),
        "waits": buffers(moment.waits),
    }


def _graph(name: str, graph: Graph) -> dict[str, Any]:
    nodes = len(graph.nodes)
    full = asdict(draw(graph)) if nodes <= MOST_NODES else None
    return {"name": name, "count": nodes, "layers": asdict(draw_layers(graph)), "nodes": full}

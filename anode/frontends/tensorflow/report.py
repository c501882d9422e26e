"""What the sessions of a script ran: which operations were compiled, which ran on the host."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from anode.frontends.tensorflow.plan import Plan
from anode.frontends.tensorflow.stage import Stage

HEADER = ("operations", "ran", "runs", "tracing", "compiling", "in all", "last operation")
LONGEST = 20  # rows: the stages that took longest


def start() -> None:
    """Keep the plans that sessions make from now on."""
    Plan.kept = []


def report() -> str:
    """A table of the stages that ran since `start`, those that took longest first; times in s."""
    stages = [stage for plan in Plan.kept or () for stage in plan.stages if stage.runs]
    if not stages:
        return "anode: no session of TensorFlow ran; neon and ngraph have no report"
    stages.sort(key=lambda stage: -stage.seconds)
    rows = [HEADER, *map(_row, stages[:LONGEST])]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADER) - 1)]
    lines = ["  ".join([*map(str.rjust, row, widths), row[-1]]) for row in rows]
    if len(stages) > LONGEST:
        lines.append(f"and {len(stages) - LONGEST} stages more")
    return "\n".join(["", _summary(stages), *lines, *_on_host(stages)])


def _summary(stages: Iterable[Stage]) -> str:
    took = Counter[str]()
    for stage in stages:
        took[_how(stage)] += stage.seconds  # type: ignore[assignment]
    parts = ", ".join(f"{kind} {seconds:.2f} s" for kind, seconds in sorted(took.items()))
    return f"anode: what sessions ran: {parts}"


def _how(stage: Stage) -> str:
    if stage.on_host:
        return "host"
    compiled = any(traced.executable for group in stage.traced.values() for traced in group)
    return "compiled" if compiled else "reference"


def _row(stage: Stage) -> tuple[str, ...]:
    traced = [traced for group in stage.traced.values() for traced in group]
    times = (
        sum(one.seconds for one in traced),
        sum(one.compile_seconds for one in traced),
        stage.seconds,
    )
    counts = (str(len(stage.own)), _how(stage), str(stage.runs))
    return (*counts, *(f"{seconds:.3f}" for seconds in times), stage.own[-1].name)


def _on_host(stages: Iterable[Stage]) -> list[str]:
    """What ran on the host, by op type and times."""
    types = Counter[str]()
    for stage in stages:
        if stage.on_host:
            for op in stage.own:
                types[op.type] += stage.runs
    if not types:
        return []
    return ["on the host: " + ", ".join(f"{type} {n}x" for type, n in types.most_common())]

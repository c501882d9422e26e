"""What the sessions of a script ran: which operations were compiled, which ran on the host."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from anode.frontends.report import Ran, table
from anode.frontends.tensorflow.plan import Plan
from anode.frontends.tensorflow.stage import Stage


def start() -> None:
    """Keep the plans that sessions make from now on."""
    Plan.kept = []


def report() -> str:
    """A table of the stages that ran since `start`, those that took longest first; times in s.

    Empty where none ran.
    """
    stages = [stage for plan in Plan.kept or () for stage in plan.stages if stage.runs]
    lines = [table("what sessions ran", "last operation", map(_row, stages)), *_on_host(stages)]
    return "\n".join(filter(None, lines))


def _row(stage: Stage) -> Ran:
    traced = [traced for group in stage.traced.values() for traced in group]
    how = "compiled" if any(one.executable for one in traced) else "reference"
    return Ran(
        len(stage.own),
        "host" if stage.on_host else how,
        stage.runs,
        sum((one.seconds for one in traced), 0.0),
        sum((one.compile_seconds for one in traced), 0.0),
        stage.seconds,
        stage.own[-1].name,
    )


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

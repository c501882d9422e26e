"""The measurements as Markdown."""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks import nets
from benchmarks.measure import Installation, Row
from benchmarks.models import MLP, step_flops
from benchmarks.nets import Net


def table(head: list[str], rows: Iterable[list[str]]) -> str:
    """A Markdown table with columns of equal width; the first is left, the others right aligned."""
    cells = [head, *rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [
        " | ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])])
        for row in [head, rule, *cells[1:]]
    ]
    return "\n".join(f"| {line} |" for line in lines)


def installations_table(installations: list[Installation]) -> str:
    head = ["contestant", "version", "import CPU s", "import wall s", "installed MB"]
    return table(
        head,
        (
            [
                found.contestant,
                found.version,
                f"{found.import_cpu_s:.2f}",
                f"{found.import_wall_s:.2f}",
                f"{found.installed_mb:.0f}",
            ]
            for found in installations
        ),
    )


def baseline_row(rows: list[Row], wanted: str) -> Row | None:
    """The row that ratios refer to: the wanted one, else the first that was measured."""
    measured = [row for row in rows if not row.skipped]
    named = [row for row in measured if row.contestant == wanted]
    return next(iter(named + measured), None)


def model_table(
    name: str, model: MLP | Net, rows: list[Row], baseline: str, limits: dict[str, list[float]]
) -> str:
    """The model's title, its table, and a sentence for every contestant that was skipped."""
    base = baseline_row(rows, baseline)
    flops = step_flops(model) if isinstance(model, MLP) else nets.step_flops(model)
    gflop, peak = flops / 1e9, limits["fma_gflops"][-1]
    sizes = "-".join(map(str, model.widths if isinstance(model, MLP) else model.image))
    title = f"### {name}: {sizes}, batch {model.batch}, {gflop * 1e3:.0f} MFLOP of products a step"
    head = ["contestant", "step ms", f"/ {base.contestant if base else baseline}", "spread"]
    head += ["GFLOP/s", "of peak", "first cold s", "first warm s"]
    head += ["compile cold s", "compile warm s", "memory MB", "losses"]
    body = table(head, (_cells(row, base, gflop, peak) for row in rows if base and not row.skipped))
    skipped = [f"\nSkipped: {row.skipped}" for row in rows if row.skipped]
    return "\n".join([title, "", body, *skipped])


def _cells(row: Row, base: Row, gflop: float, peak: float) -> list[str]:
    return [
        row.contestant,
        f"{row.step_s * 1e3:.3f}",
        f"{row.ratio(base):.2f}",
        f"{row.spread:.0%}",
        f"{gflop / row.step_s:.0f}",
        f"{gflop / row.step_s / peak:.0%}",
        f"{row.first_cold_s:.2f}",
        f"{row.first_warm_s:.2f}",
        f"{row.compile_cold_s:.2f}",
        f"{row.compile_warm_s:.2f}",
        f"{row.peak_mb:.0f}",
        f"WRONG by {row.loss_error:.0e}" if row.wrong else "agree",
    ]


def summary(models: dict[str, list[Row]], baseline: str) -> str:
    """One line per model: how many times as long as the baseline's each other's step takes."""
    lines = []
    for name, rows in models.items():
        base = baseline_row(rows, baseline)
        if base is not None:
            others = [row for row in rows if not row.skipped and row is not base]
            ratios = ", ".join(f"{row.contestant} {row.ratio(base):.2f}" for row in others)
            lines.append(f"{name}, step time / {base.contestant}'s: {ratios}")
    return "\n".join(lines)

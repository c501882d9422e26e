"""The text of a report: kernels, decisions of the passes, what runs on the host, and memory."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby

from anode.inspect.explain import Decision, Kernel, Lifetime, Operand, Report

CHART = 60  # columns of the chart of lifetimes, at most
OPS = 12  # ops named in a kernel's line, at most


def report_text(report: Report) -> str:
    """The whole report; sections without content are left out."""
    done = [d for d in report.decisions if not d.refused]
    sections = [
        ("Kernels, in order", _kernels(report)),
        ("Expanded", _expanded(d for d in done if d.rule == "expand")),
        ("Rewritten", _rewritten(d for d in done if d.rule not in ("expand", "fuse"))),
        ("Fused", _fused(d for d in done if d.rule == "fuse")),
        ("Refused, and why", _refused(d for d in report.decisions if d.refused)),
        ("On the host, as NumPy", (f"  {kernel.name}" for kernel in report.on_host)),
        ("Memory", _memory(report)),
    ]
    plural = "s" * (report.threads != 1)
    parts = [f"{report.threads} thread{plural}, compiled in {report.seconds:.3f} s"]
    parts += ["\n".join([title, *lines]) for title, made in sections if (lines := [*made])]
    if report.memory is not None and not report.on_host:
        parts.insert(-1, "On the host: nothing")
    return "\n\n".join(parts) + "\n"


def _kernels(report: Report) -> Iterator[str]:
    for kernel in report.kernels:
        pad = "  " * (kernel.depth + 1)
        figures = [
            f"reads {size(kernel.bytes_read)}",
            f"writes {size(kernel.bytes_written)}",
            f"{count(kernel.flops)}FLOP",
            f"{kernel.tasks} task{'s' * (kernel.tasks != 1)}",
            *_rates(kernel, report.peak or {}),
        ]
        yield f"{pad}{kernel.name}: {_ops(kernel)}"
        yield f"{pad}    {', '.join(figures)}" + (", on the host" if kernel.on_host else "")
        yield f"{pad}    {_names(kernel.reads)} → {_names(kernel.writes)}"
        if kernel.origins:
            yield f"{pad}    # {', '.join(map(near, kernel.origins))}"
    if report.kernels:
        yield f"  {', '.join(_in_all(report))}"


def _in_all(report: Report) -> Iterator[str]:
    """FLOPs, and where runs were timed their length, the rate, and the peak that shares are of."""
    total = sum(kernel.flops for kernel in report.kernels if not kernel.depth)
    yield f"{count(total)}FLOP in all"
    if report.profile is not None and report.profile.seconds:
        gflops = total / report.profile.seconds / 1e9
        yield f"{report.profile.seconds * 1e3:,.3f} ms"
        yield f"{gflops:.1f} GFLOP/s{_share(gflops, report.peak, 'gflops')}"
    if report.peak is not None:
        yield (
            f"of the peak measured here: {report.peak['gflops']:.0f} GFLOP/s of float32, "
            f"{report.peak['gbs']:.1f} GB/s of copies"
        )


def _rates(kernel: Kernel, peak: Mapping[str, float]) -> list[str]:
    """What a timed kernel took, and its rates."""
    if not kernel.seconds:
        return []
    gflops = kernel.flops / kernel.seconds / 1e9
    gbs = (kernel.bytes_read + kernel.bytes_written) / kernel.seconds / 1e9
    return [
        f"{kernel.seconds * 1e6:,.1f} µs",
        f"{gflops:.1f} GFLOP/s{_share(gflops, peak, 'gflops')}",
        f"{gbs:.1f} GB/s{_share(gbs, peak, 'gbs')}",
    ]


def _share(rate: float, peak: Mapping[str, float] | None, name: str) -> str:
    return f" ({100 * rate / peak[name]:.0f} %)" if peak and rate else ""


def _ops(kernel: Kernel) -> str:
    names = [
        f"{name} ×{number}" if (number := len([*same])) > 1 else name
        for name, same in groupby(value.op for value in kernel.values)
    ]
    rest = [f"… {len(names) - OPS} more"] if len(names) > OPS else []
    return ", ".join(names[:OPS] + rest)


def _names(operands: Iterable[Operand]) -> str:
    return ", ".join(f"{operand.name} {operand.type}" for operand in dict.fromkeys(operands))


def _expanded(decisions: Iterable[Decision]) -> Iterator[str]:
    for d in decisions:
        yield f"  {d.value}{_place(d)}: {d.text}{_line(d)}"


def _rewritten(decisions: Iterable[Decision]) -> Iterator[str]:
    """How often each rule applied."""
    for (stage, rule, text), times in Counter((d.stage, d.rule, d.text) for d in decisions).items():
        yield f"  {times:>4} × {stage}, {rule}: {text}"


def _fused(decisions: Iterable[Decision]) -> Iterator[str]:
    """The values that joined each kernel."""
    joined: dict[str, Counter[str]] = {}
    for d in decisions:
        joined.setdefault(d.kernel, Counter())[str(d.value)] += 1
    for kernel, values in joined.items():
        names = [f"{times} × {value}" if times > 1 else value for value, times in values.items()]
        yield f"  {kernel}: {', '.join(names)}"


def _refused(decisions: Iterable[Decision]) -> Iterator[str]:
    for d in decisions:
        yield f"  {d.rule} {d.value}{_place(d)}: {d.text}{_line(d)}"


def _place(decision: Decision) -> str:
    return f" [{decision.kernel}]" if decision.kernel else ""


def _line(decision: Decision) -> str:
    return f"  # {near(decision.value.origin)}" if decision.value.origin else ""


def near(origin: str) -> str:
    """A file and line, as seen from the current folder."""
    return origin.removeprefix(f"{os.getcwd()}{os.sep}")


def _memory(report: Report) -> Iterator[str]:
    if report.memory is not None:
        memory = report.memory
        yield (
            f"  peak {size(memory.peak)}; no plan of this order needs less than "
            f"{size(memory.lower_bound)}; without sharing {size(memory.unshared)}"
        )
        beside = [f"{kind}s {size(number)}" for kind, number in report.outside.items()]
        if beside:
            yield f"  beside it: {', '.join(beside)}"
    if report.lifetimes:
        width = max(len(life.name) for life in report.lifetimes)
        for life in sorted(report.lifetimes, key=lambda life: (life.offset, life.first)):
            yield (
                f"  {life.name:<{width}} {life.offset:>12,} +{life.bytes:<12,}"
                f"{_bar(life, report)}  {life.type}"
            )


def _bar(life: Lifetime, report: Report) -> str:
    """The steps in which a buffer is live, as columns."""
    steps = max([report.steps, *(other.last + 1 for other in report.lifetimes)])
    columns = min(CHART, steps)
    first, last = life.first * columns // steps, life.last * columns // steps
    return "".join("█" if first <= column <= last else "·" for column in range(columns))


def size(number: int) -> str:
    """Bytes with a unit: 1,234 B, 12.1 KiB, 3.4 MiB, 5.6 GiB."""
    if number < 10_000:
        return f"{number:,} B"
    for unit, scale in (("KiB", 2**10), ("MiB", 2**20)):
        if number < 1000 * scale:
            return f"{number / scale:.1f} {unit}"
    return f"{number / 2**30:.1f} GiB"


def count(number: int) -> str:
    """A number with a prefix, ready for a unit: "123 ", "4.6 k", "7.8 M", "9.1 G"."""
    for prefix, scale in (("", 1), ("k", 10**3), ("M", 10**6)):
        if number < 1000 * scale:
            return f"{number / scale:.1f} {prefix}" if prefix else f"{number} "
    return f"{number / 10**9:.1f} G"

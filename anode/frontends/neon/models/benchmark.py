"""The times of a model's parts, as a table."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from time import perf_counter
from typing import Any

import numpy as np

from anode.frontends.neon import logger

STATISTICS = ("mean", "median", "min", "max")


def benchmark(
    model: Any, dataset: Any, inference: bool, niterations: int, nskip: int
) -> dict[str, dict[str, float]]:
    """Statistics in milliseconds by part; see Model.benchmark."""
    times: dict[str, list[float]] = {"fprop": []}
    if not inference:
        times |= {"bprop": [], "iteration": []}
    for x, t in islice(_endless(dataset), niterations + nskip):
        forward = _milliseconds(lambda x=x: model.fprop(x, inference))
        times["fprop"].append(forward)
        if not inference:
            whole = _milliseconds(lambda x=x, t=t: model._train(x, t, 0))
            times["bprop"].append(max(whole - forward, 0.0))
            times["iteration"].append(whole)
    found = {
        part: {name: float(getattr(np, name)(values[nskip:])) for name in STATISTICS}
        for part, values in times.items()
    }
    _show(found)
    return found


def _endless(dataset: Any) -> Iterator[Any]:
    while True:
        dataset.reset()
        yield from dataset


def _milliseconds(run: Any) -> float:
    start = perf_counter()
    run()
    return (perf_counter() - start) * 1000.0


def _show(found: dict[str, dict[str, float]]) -> None:
    titles = "".join(
        f"| {title:^11} " for title in ("Func", "Mean", "Median", "Min", "Max", "Units")
    )
    line = "-" * (len(titles) + 1)
    for text in (line, titles + "|", line):
        logger.display(text)
    for part, values in found.items():
        numbers = "".join(f"|  {values[name]:<10.5g} " for name in STATISTICS)
        logger.display(f"| {part:<11} {numbers}| {'msec':^11} |")
    logger.display(line)

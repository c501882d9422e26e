"""Milliseconds of a model's parts, and tables of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from time import perf_counter
from typing import Any

import numpy as np

from anode.frontends.neon import logger

STATISTICS = ("mean", "median", "min", "max")
Times = dict[str, np.ndarray]


def measured(model: Any, dataset: Any, inference: bool, count: int) -> Times:
    """Milliseconds of "fprop", and in training of "bprop" and the whole "iteration".

    A minibatch's training is compiled as one, so "bprop" is what it takes beyond `fprop` alone.
    """
    parts = (
        ["fprop", "data_loading"] if inference else ["fprop", "bprop", "iteration", "data_loading"]
    )
    times: dict[str, list[float]] = {part: [] for part in parts}
    batches = islice(_endless(dataset), count)
    for _ in range(count):
        start = perf_counter()
        x, t = next(batches)
        times["data_loading"].append((perf_counter() - start) * 1000.0)
        forward = milliseconds(partial(model.fprop, x, inference))
        times["fprop"].append(forward)
        if not inference:
            whole = milliseconds(partial(model._train, x, t, 0))
            times["bprop"].append(max(whole - forward, 0.0))
            times["iteration"].append(whole)
    return {part: np.array(values) for part, values in times.items()}


def benchmark(
    model: Any, dataset: Any, inference: bool, niterations: int, nskip: int
) -> dict[str, dict[str, float]]:
    """Statistics of `measured` by part, displayed; see Model.benchmark."""
    times = measured(model, dataset, inference, niterations + nskip)
    del times["data_loading"]
    found = {
        part: {name: float(getattr(np, name)(values[nskip:])) for name in STATISTICS}
        for part, values in times.items()
    }
    titles = ("Func", *map(str.title, STATISTICS), "Units")
    line = "-" * (14 * len(titles) + 1)
    rows = [f"| {part:<11} {_numbers(values)}| {'msec':^11} |" for part, values in found.items()]
    head = "".join(f"| {title:^11} " for title in titles) + "|"
    for text in (line, head, line, *rows, line):
        logger.display(text)
    return found


def _numbers(values: dict[str, float]) -> str:
    return "".join(f"|  {value:<10.5g} " for value in values.values())


def _endless(dataset: Any) -> Iterator[Any]:
    while True:
        dataset.reset()
        yield from dataset


def milliseconds(run: Callable[[], Any]) -> float:
    """What a call takes."""
    start = perf_counter()
    run()
    return (perf_counter() - start) * 1000.0

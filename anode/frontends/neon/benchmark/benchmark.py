"""Benchmark: the times of a model's minibatches, and tables of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

from anode.frontends.neon import __version__, logger
from anode.frontends.neon.benchmark.times import Times, _endless, measured, milliseconds


class Benchmark:
    """Times a model, which has been initialised and knows its cost and optimiser.

    A minibatch is compiled as one function: layers are not timed apart, whatever `time_layers`
    says, as no layer runs by itself. `anode explain` and its profile tell what each kernel takes.
    """

    def __init__(self, model: Any, time_layers: bool = True) -> None:
        self.model, self.time_layers = model, time_layers

    def time(self, dataset: Any, inference: bool = False, niterations: int = 20) -> Times:
        """Milliseconds by part for each of `niterations` minibatches."""
        self._check(dataset, niterations, 1)
        if not inference and (self.model.cost is None or self.model.optimizer is None):
            raise RuntimeError("Need cost or optimizer to benchmark bprop")
        return measured(self.model, dataset, inference, niterations)

    def time_gan(self, dataset: Any, niterations: int = 101) -> Times:
        """Milliseconds of each minibatch's training of a GAN."""
        self._check(dataset, niterations, self.model.get_k(self.model.gen_iter) + 1)
        self.model.total_cost = np.zeros((1, 1), np.float32)
        found = []
        for x, _ in islice(_endless(dataset), niterations):
            found.append(milliseconds(partial(self.model._train_both, x)))
            self.model.current_batch += 1
        return {"iteration": np.array(found)}

    @staticmethod
    def _check(dataset: Any, niterations: int, least: int) -> None:
        if not dataset:
            raise ValueError("Provide correct dataset for timing")
        if niterations < least:
            raise ValueError(f"Invalid iterations number. Run at least {least} iterations.")

    @staticmethod
    def print_stats(
        stats: Times,
        functions: Sequence[Callable[[Any], Any]] | None = None,
        output: Any = None,
        nskip: int = 0,
    ) -> None:
        """Display `functions` of each part's times, but for the first `nskip`."""
        if not stats:
            raise ValueError("Provide stats")
        output = output or logger
        if not hasattr(output, "display"):
            raise TypeError("Argument output must implement display method")
        used = functions or (np.mean, np.median, np.amin, np.amax)
        titles = [f"{function.__name__.title():^11}" for function in used]
        head = " | ".join([f"| {'Func':^33}", *titles, f"{'Units':^11} |"])
        line = "+" + "-" * (len(head) - 2) + "+"
        rows = [f"neon {__version__} on anode", line, head, line]
        for part, values in stats.items():
            numbers = [f"{function(values[nskip:]):<11.5g}" for function in used]
            rows.append(" | ".join([f"| {part:<33}", *numbers, f"{'msec':^11} |"]))
        output.display("\n" + "\n".join([*rows, line]))

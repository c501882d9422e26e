"""What a training run shows: sizes first, a bar while it runs, a row for each epoch."""

from __future__ import annotations

import math
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from anode.frontends import layers as nn
from anode.ir.graph import fresh_inputs
from anode.ir.types import TensorType, tensor

if TYPE_CHECKING:
    from anode.backends.base import Compiled

REFRESH = 0.1  # seconds between two refreshes of the bar
COLUMNS = ("epoch", "train cost", "test loss", "test accuracy", "images/s", "seconds")
WIDTHS = tuple(max(10, len(name) + 2) for name in COLUMNS)


class Display(nn.Callback):
    """Shows the progress of training: a bar where the output is a terminal, and a row per epoch."""

    order = 20

    def __init__(self, console: Console, image: tuple[int, ...], batch: int) -> None:
        self.console, self.image, self.batch = console, image, batch
        self._bar = _bar(console)
        self._start = self._shown = self._last = 0.0
        self._rows = 0
        self._task: Any = None

    def on_train_begin(self, run: nn.Training) -> None:
        x, y = np.zeros((self.batch, *self.image), np.uint8), np.zeros(self.batch, np.uint8)
        compiled = run.step.compile(x, y).compile()
        for line in sizes(run.model, tensor(x.dtype, *x.shape)) + machine(compiled):
            self.write(line)
        self.write("")
        self.write("".join(f"{name:>{w}}" for name, w in zip(COLUMNS, WIDTHS, strict=True)))
        if self._bar is not None:
            self._task = self._bar.add_task("", total=run.epochs * (run.batches or 0), text="")
            self._bar.start()

    def on_epoch_begin(self, run: nn.Training) -> None:
        self._start = self._last = perf_counter()
        self._rows = run.rows

    def on_minibatch_end(self, run: nn.Training) -> None:
        self._last = perf_counter()
        if self._bar is not None and self._last - self._shown > REFRESH:
            self._shown = self._last
            self._bar.update(
                self._task,
                description=f"epoch {run.epoch + 1}/{run.epochs}",
                completed=run.epoch * (run.batches or 0) + run.batch,
                text=f"loss {run.cost:.4f}, {self.speed(run):,.0f} images/s",
            )

    def on_epoch_end(self, run: nn.Training) -> None:
        found = run.model.history.epochs
        cells = (
            f"{run.epoch + 1}",
            f"{found['cost'][-1]:.4f}",
            f"{found['CrossEntropyMulti'][-1]:.4f}",
            percent(found["Accuracy"][-1]),
            f"{self.speed(run):,.0f}",
            f"{self._last - self._start:.2f}",
        )
        self.write("".join(f"{cell:>{width}}" for cell, width in zip(cells, WIDTHS, strict=True)))

    def on_train_end(self, run: nn.Training) -> None:
        if self._bar is not None:
            self._bar.stop()

    def speed(self, run: nn.Training) -> float:
        """Images trained on per second of this epoch, evaluation left out."""
        return (run.rows - self._rows) / max(self._last - self._start, 1e-9)

    def write(self, line: str) -> None:
        """Show a line, above the bar if there is one."""
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)


def sizes(model: nn.Model, x: TensorType) -> list[str]:
    """A line for each layer of a built model: its output for inputs of type `x`, its parameters."""
    lines = [f"{'layer':<16}{'output':<18}{'parameters':>12}"]
    total = 0
    for count, layer in enumerate(model.layers, 1):
        part = nn.Model(model.layers[:count], preprocess=model.preprocess)
        output = part.forward(*fresh_inputs(x))[0].value
        name = model.names[layer]
        held = [v for v in model.state if v.trainable and v.name.startswith(f"{name}.")]
        own = sum(math.prod(v.type.static) for v in held)
        lines.append(f"{name:<16}{output.type!s:<18}" + (f"{own:>12,}" if own else ""))
        total += own
    return [*lines, f"{'':<34}{total:>12,}"]


def machine(compiled: Compiled) -> list[str]:
    """What the training step became."""
    held = sum(variable.type.bytes for variable in compiled.graph.variables)
    if compiled.peak_bytes is None:
        return ["the reference backend runs op by op: nothing is compiled, no memory is planned"]
    return [
        f"the training step was compiled in {compiled.seconds:.3f} s",
        f"memory: {mib(held)} of variables, {mib(compiled.peak_bytes)} planned peak of temporaries",
    ]


def mib(size: int) -> str:
    """Bytes as MiB."""
    return f"{size / 2**20:.2f} MiB"


def percent(share: float) -> str:
    """A share as a percentage."""
    return f"{100 * share:.2f} %"


def _bar(console: Console) -> Progress | None:
    if not console.is_terminal:
        return None
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[text]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )

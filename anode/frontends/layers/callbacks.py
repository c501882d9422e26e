"""Callbacks: what else happens while a model trains.

Callbacks run in the order of their `order`, those that are equal as given: history, evaluation,
display, the user's own, early stopping, and checkpoints last, so that they hold all that happened.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from os import W_OK, PathLike, access, fspath
from os.path import dirname, isdir
from time import perf_counter
from typing import TYPE_CHECKING, Any

from anode.errors import CheckpointError, UnsupportedOp

if TYPE_CHECKING:
    from anode.frontends.layers.costs import Cost
    from anode.frontends.layers.metrics import Metric
    from anode.frontends.layers.training import Training


class Callback:
    """Hooks into training; each gets the `Training`. A hook that is not overridden costs nothing.

    What `saved` gives, a JSON value, is kept in checkpoints; on resuming `restore` gets it back.
    """

    order = 50

    def on_train_begin(self, run: Training) -> None: ...
    def on_train_end(self, run: Training) -> None: ...
    def on_epoch_begin(self, run: Training) -> None: ...
    def on_epoch_end(self, run: Training) -> None: ...
    def on_minibatch_begin(self, run: Training) -> None: ...
    def on_minibatch_end(self, run: Training) -> None: ...

    def saved(self) -> Any:
        return None

    def restore(self, value: Any) -> None: ...


class History(Callback):
    """What training measured: `history["cost"]` is the mean training cost of each epoch.

    Other names are what `Evaluate` measured. `costs` has the cost of every minibatch.
    """

    order = 0

    def __init__(self) -> None:
        self.epochs: dict[str, list[float]] = {}
        self.costs: list[float] = []
        self._first = 0  # the index in `costs` of the epoch's first minibatch

    def __getitem__(self, name: str) -> list[float]:
        return self.epochs[name]

    def record(self, name: str, value: float) -> None:
        """Add a measurement of the epoch."""
        self.epochs.setdefault(name, []).append(value)

    def running(self, window: int = 10) -> list[float]:
        """The mean of each minibatch's cost and the `window` − 1 before it: neon's curve."""
        return [
            math.fsum(self.costs[max(0, i - window) : i]) / min(i, window)
            for i in range(1, len(self.costs) + 1)
        ]

    @property
    def mean_cost(self) -> float:
        """The mean cost of the epoch so far; NaN before its first minibatch."""
        costs = self.costs[self._first :]
        return math.fsum(costs) / len(costs) if costs else math.nan

    def on_minibatch_end(self, run: Training) -> None:
        self.costs.append(run.cost)

    def on_epoch_end(self, run: Training) -> None:
        self.record("cost", self.mean_cost)
        self._first = len(self.costs)

    def saved(self) -> Any:
        return {"epochs": self.epochs, "costs": self.costs, "first": self._first}

    def restore(self, value: Any) -> None:
        self.epochs, self.costs, self._first = value["epochs"], value["costs"], value["first"]


class Evaluate(Callback):
    """Evaluates metrics or costs on `data` after every `every` epochs, into the history."""

    order = 10

    def __init__(
        self, data: Iterable[Any], metric: Metric | Cost | Sequence[Metric | Cost], every: int = 1
    ) -> None:
        self.data, self.metric, self.every = data, metric, every

    def on_epoch_end(self, run: Training) -> None:
        if (run.epoch + 1) % self.every == 0:
            for name, value in run.model.eval(self.data, self.metric).items():
                run.model.history.record(name, value)


class Progress(Callback):
    """Shows cost, speed and time left: a bar in a terminal if rich is there, else lines.

    `write` takes the lines, by default `print`.
    """

    order = 20
    interval = 0.1  # seconds between two refreshes of the bar

    def __init__(self, write: Callable[[str], None] = print) -> None:
        self.write = write
        self._bar: Any = None
        self._task: Any = None
        self._start = self._shown = 0.0
        self._rows = 0

    def on_train_begin(self, run: Training) -> None:
        self._bar = _bar() if self.write is print else None

    def on_epoch_begin(self, run: Training) -> None:
        self._start, self._rows = perf_counter(), run.rows
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task(
                f"Epoch {run.epoch + 1}/{run.epochs}", total=run.batches, text=""
            )

    def on_minibatch_end(self, run: Training) -> None:
        if self._bar is not None and perf_counter() - self._shown > self.interval:
            self._refresh(run)

    def on_epoch_end(self, run: Training) -> None:
        if self._bar is not None:
            self._bar.remove_task(self._task)
            self._bar.console.print(self._line(run), highlight=False, soft_wrap=True)
        else:
            self.write(self._line(run))

    def on_train_end(self, run: Training) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _refresh(self, run: Training) -> None:
        self._shown = perf_counter()
        speed = (run.rows - self._rows) / max(self._shown - self._start, 1e-9)
        text = f"cost {run.cost:.4f}, {speed:,.0f} rows/s"
        self._bar.update(self._task, completed=run.batch, text=text)

    def _line(self, run: Training) -> str:
        seconds = max(perf_counter() - self._start, 1e-9)
        left = seconds * (run.epochs - run.epoch - 1)
        measured = [f"{k} {v[-1]:.4f}" for k, v in run.model.history.epochs.items() if v]
        speed = (run.rows - self._rows) / seconds
        return (
            f"Epoch {run.epoch + 1}/{run.epochs}: {', '.join(measured)}, {seconds:.1f} s, "
            f"{speed:,.0f} rows/s, {left:.0f} s left"
        )


class EarlyStop(Callback):
    """Stops when `name` in the history has not fallen for `patience` epochs, or as a function says.

    `stop_func(state, value) -> (state, stop)` is called after each epoch; its state starts as None
    and must be JSON.
    """

    order = 80

    def __init__(
        self,
        patience: int | None = None,
        name: str = "cost",
        stop_func: Callable[[Any, float], tuple[Any, bool]] | None = None,
    ) -> None:
        if (patience is None) == (stop_func is None):
            raise TypeError("EarlyStop takes either patience or stop_func")
        self.name, self._state = name, None
        self._stop = stop_func or _patient(patience or 0)

    def on_epoch_end(self, run: Training) -> None:
        values = run.model.history.epochs.get(self.name)
        if not values:
            known = ", ".join(run.model.history.epochs)
            raise UnsupportedOp(f"EarlyStop: the history has no {self.name!r}; it has {known}")
        self._state, stop = self._stop(self._state, values[-1])
        run.stopped = run.stopped or stop

    def saved(self) -> Any:
        return self._state

    def restore(self, value: Any) -> None:
        self._state = value


class Checkpoint(Callback):
    """Saves the model after every `every` epochs, and with `minibatches` after every so many too.

    `{epoch}` in the path becomes the number of epochs done; without it each save replaces the last.
    A folder that is not there is a CheckpointError before training begins.
    """

    order = 90

    def __init__(
        self, path: str | PathLike[str], every: int = 1, minibatches: int | None = None
    ) -> None:
        self.path, self.every, self.minibatches = fspath(path), every, minibatches

    def on_train_begin(self, run: Training) -> None:
        folder = dirname(self.path) or "."
        if "{epoch}" not in folder and not (isdir(folder) and access(folder, W_OK)):
            raise CheckpointError(f"{self.path}: {folder} is no folder that can be written to")

    def on_minibatch_end(self, run: Training) -> None:
        if self.minibatches and run.batch % self.minibatches == 0:
            self._save(run)

    def on_epoch_end(self, run: Training) -> None:
        if (run.epoch + 1) % self.every == 0:
            self._save(run)

    def _save(self, run: Training) -> None:
        run.model.save(self.path.replace("{epoch}", str(run.model.progress.epoch)))


def _patient(patience: int) -> Callable[[Any, float], tuple[Any, bool]]:
    def stop(state: Any, value: float) -> tuple[Any, bool]:
        best, waited = state or (math.inf, 0)
        best, waited = (value, 0) if value < best else (best, waited + 1)
        return (best, waited), waited >= patience

    return stop


def _bar() -> Any:
    """A bar of rich where the output is a terminal and rich is there, else None."""
    import sys

    if not sys.stdout.isatty():
        return None
    try:
        from rich import progress
    except ImportError:
        return None
    return progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[text]}"),
        progress.TimeRemainingColumn(),
        transient=True,
    )

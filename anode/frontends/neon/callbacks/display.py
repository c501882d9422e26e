"""Callbacks that show how training goes: the bar in the terminal, log lines, sequences."""

from __future__ import annotations

import sys
from timeit import default_timer
from typing import TYPE_CHECKING, Any

import numpy as np

from anode.frontends.neon import logger as neon_logger
from anode.frontends.neon.callbacks.callback import (
    Callback,
    Frequency,
    Model,
    first_minibatch,
    logger,
    number,
)

if TYPE_CHECKING:
    from h5py import File

BAR = 20  # characters


def get_progress_string(
    tag: str,
    epoch: int,
    minibatch: int,
    nbatches: int,
    cost: Any,
    time: float,
    blockchar: str = "\u2588",
) -> str:
    """One line: the epoch, a bar of the part of minibatches that are done, the cost, seconds."""
    bar = blockchar * int(minibatch / nbatches * BAR)
    if isinstance(cost, np.ndarray):
        shown = f"({', '.join(f'{c:.2f}' for c in cost)}) costs"
    else:
        shown = f"{cost:.2f} cost" if not isinstance(cost, str) else f"{cost} cost"
    return (
        f"Epoch {epoch:<3} [{tag} |{bar:<{BAR}}| {minibatch:4}/{nbatches:<4} batches, "
        f"{shown}, {time:.2f}s]"
    )


class ProgressBarCallback(Callback):
    """A bar in the terminal, drawn anew at most every `update_thresh_s` seconds."""

    def __init__(
        self,
        epoch_freq: Frequency = 1,
        minibatch_freq: Frequency = 1,
        update_thresh_s: float = 0.1,
    ) -> None:
        super().__init__(epoch_freq=epoch_freq, minibatch_freq=minibatch_freq)
        self.update_thresh_s = update_thresh_s
        self._last_strlen = 0

    def on_epoch_begin(self, callback_data: File, model: Model, epoch: int) -> None:
        self.start_epoch = self.last_update = default_timer()
        self.nbatches = model.nbatches

    def on_minibatch_end(
        self, callback_data: File, model: Model, epoch: int, minibatch: int
    ) -> None:
        now, done = default_timer(), minibatch + 1
        if now - self.last_update <= self.update_thresh_s and done != self.nbatches:
            return
        self.last_update = now
        cost = self._cost(callback_data, first_minibatch(callback_data, epoch) + minibatch)
        line = get_progress_string(
            "Train", epoch, done, self.nbatches, cost, now - self.start_epoch
        )
        sys.stdout.write("\r" + " " * self._last_strlen + "\r" + line)
        sys.stdout.flush()
        self._last_strlen = len(line)

    def _cost(self, callback_data: File, place: int) -> Any:
        for name in ("cost/train", "multicost/train"):
            if name in callback_data:
                return callback_data[name][place]
        return "na"

    def on_epoch_end(self, callback_data: File, model: Model, epoch: int) -> None:
        if found := self._get_cached_epoch_loss(callback_data, model, epoch, "loss"):
            sys.stdout.write(f" [{found['costnm']} {found['cost']:.2f}, {found['time']:.2f}s]")
        sys.stdout.write("\n")
        sys.stdout.flush()


class TrainLoggerCallback(Callback):
    """Logs the model, and costs after epochs and, with `minibatch_freq`, after minibatches."""

    def __init__(self, epoch_freq: Frequency = 1, minibatch_freq: Frequency = None) -> None:
        super().__init__(epoch_freq=epoch_freq, minibatch_freq=minibatch_freq)

    def on_train_begin(self, callback_data: File, model: Model, epochs: int) -> None:
        logger.info("Model:\n%s", model)

    def on_minibatch_end(
        self, callback_data: File, model: Model, epoch: int, minibatch: int
    ) -> None:
        cost = callback_data["cost/train"][first_minibatch(callback_data, epoch) + minibatch]
        logger.info("Epoch %d Minibatch %d complete. Train cost: %f", epoch, minibatch, cost)

    def on_epoch_end(self, callback_data: File, model: Model, epoch: int) -> None:
        found = self._get_cached_epoch_loss(callback_data, model, epoch, "loss")
        line = f"Epoch {epoch} complete.  Train Cost {number(model.total_cost):f}."
        logger.info(line + (f"  Eval Cost {found['cost']:f}" if found else ""))


class WatchTickerCallback(Callback):
    """Displays the first sequence of a `Ticker`'s next minibatch: input, output and target."""

    def __init__(self, model: Model, valid_set: Any, epoch_freq: Frequency = 1) -> None:
        from anode.frontends.neon.data import Ticker

        super().__init__(epoch_freq=epoch_freq)
        self.model, self.valid_set = model, valid_set
        if not isinstance(valid_set, Ticker):
            raise ValueError("valid set must be a Ticker object")

    def on_epoch_end(self, callback_data: File, model: Model, epoch: int) -> None:
        x, (target, mask) = next(iter(self.valid_set))
        y = model.fprop(x, inference=True)
        columns = 1 + int(np.max(mask.get().nonzero()[1])) // self.be.bsz
        for name, item in (("Inputs", x), ("Outputs", y), ("Targets", target)):
            neon_logger.display(name)
            first = item.get()[:, :: self.be.bsz][:, :columns]
            with np.printoptions(formatter={"float": "{: 0.1f}".format}, linewidth=150):
                neon_logger.display(str(first))

"""Callbacks that save the model, and the one that stops training."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from anode.frontends.neon.callbacks.callback import Callback, Frequency, Model, logger
from anode.frontends.neon.util.persist import save_obj

if TYPE_CHECKING:
    from h5py import File


class SerializeModelCallback(Callback):
    """Saves the model with the optimiser's states.

    With `history` above 1 the newest so many files <save_path>_<epoch> are kept, and `save_path` is
    a link to the newest.
    """

    def __init__(self, save_path: str, epoch_freq: Frequency = 1, history: int = 1) -> None:
        super().__init__(epoch_freq=epoch_freq)
        self.save_path, self.history = save_path, history
        self.checkpoint_files: deque[str] = deque()

    def on_epoch_end(self, callback_data: File, model: Model, epoch: int) -> None:
        if self.history > 1:
            self.save_history(epoch, model)
        else:
            save_obj(model.serialize(keep_states=True), self.save_path)

    def save_history(self, epoch: int, model: Model) -> None:
        """Save the model of an epoch, link to it, and remove the files that are too old."""
        target = os.path.expandvars(os.path.expanduser(self.save_path))
        stem, extension = os.path.splitext(target)
        path = f"{stem}_{epoch}{extension}"
        save_obj(model.serialize(keep_states=True), path)
        self.checkpoint_files.append(path)
        try:
            _link(os.path.basename(path), target)
        except OSError:
            logger.warning("Could not create latest model symlink %s -> %s", target, path)
        while len(self.checkpoint_files) > self.history:
            old = self.checkpoint_files.popleft()
            try:
                os.remove(old)
                logger.info("removed old checkpoint %s", old)
            except OSError:
                logger.warning("Could not delete old checkpoint file %s", old)


def _link(target: str, link: str) -> None:
    """Make `link` a symbolic link to `target`; whoever opens it meanwhile finds the old one."""
    partial = f"{link}.{os.getpid()}"
    os.symlink(target, partial)
    try:
        os.replace(partial, link)
    except OSError:
        os.remove(partial)
        raise


class SaveBestStateCallback(Callback):
    """Saves the model whenever the loss of the evaluation set is the lowest so far."""

    def __init__(self, path: str) -> None:
        super().__init__(epoch_freq=1)
        self.path = self.best_path = path
        self.best_cost: float | None = None

    def on_epoch_end(self, callback_data: File, model: Model, epoch: int) -> None:
        found = self._get_cached_epoch_loss(callback_data, model, epoch, "loss")
        if found and (self.best_cost is None or found["cost"] < self.best_cost):
            save_obj(model.serialize(keep_states=True), self.best_path)
            self.best_cost = found["cost"]


class EarlyStopCallback(Callback):
    """Stops training when `stop_func(state, loss) -> (state, stop)` says so; states begin None."""

    def __init__(self, stop_func: Callable[[Any, float], tuple[Any, bool]]) -> None:
        super().__init__(epoch_freq=1)
        self.stop_func = stop_func
        self.stop_state: Any = None

    def on_epoch_end(self, callback_data: File, model: Model, epoch: int) -> None:
        found = self._get_cached_epoch_loss(callback_data, model, epoch, "loss")
        if not found:
            return
        self.stop_state, finished = self.stop_func(self.stop_state, found["cost"])
        if finished:
            model.finished = True
            logger.warning("Early stopping function triggered: mean_cost %f.", found["cost"])

"""Training and evaluation loops, and what is called around each minibatch."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from timeit import default_timer
from typing import Any

import numpy as np

from anode.frontends.ngraph.frontends.neon.progress import tqdm

logger = logging.getLogger(__name__)


class CallbackPhase(Enum):
    """When a callback is called."""

    train_pre_ = 0
    train_post = 1
    interval_pre_ = 2
    interval_post = 3
    minibatch_pre_ = 4
    minibatch_post = 5


def make_default_callbacks(
    transformer: Any,
    output_file: str | None,
    frequency: int,
    train_computation: Callable[[Any], Any],
    total_iterations: int,
    eval_set: Any = None,
    loss_computation: Any = None,
    use_progress_bar: bool = True,
) -> CallbackContainer:
    """Training of each minibatch, its cost in the file, lines each `frequency` minibatches, losses
    of `eval_set`, and a progress bar."""
    callbacks = CallbackContainer(transformer, output_file, total_iterations)
    callbacks.append(TrainCostCallback(train_computation))
    callbacks.append(TrainLoggerCallback(frequency))
    if eval_set is not None:
        callbacks.append(LossCallback(frequency, eval_set, loss_computation))
    if use_progress_bar:
        callbacks.append(ProgressCallback())
    return callbacks


def _h5py() -> Any:
    try:
        import h5py
    except ImportError as error:
        raise ImportError("the output file needs h5py: pip install 'anode[neon]'") from error
    return h5py


class CallbackContainer:
    """Callbacks, and the HDF5 file (in memory where `output_file` is None) that they write to."""

    def __init__(
        self,
        transformer: Any,
        output_file: str | None,
        total_iterations: int,
        callback_list: Iterable[Any] = (),
    ) -> None:
        self.transformer = transformer
        self._callbacks = list(callback_list)
        if output_file is None:
            file = _h5py().File(f"callbacks-{id(self)}", "w", driver="core", backing_store=False)
        else:
            if os.path.isfile(output_file):
                logger.warning("Overwriting output file %s", output_file)
                os.remove(output_file)
            file = _h5py().File(output_file, "w")
        self.callback_data = file
        file.create_group("config").attrs["total_iterations"] = total_iterations

    def __del__(self) -> None:
        if hasattr(self, "callback_data"):
            self.callback_data.close()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._callbacks)

    def append(self, cb: Any) -> None:
        """Add a callback at the end."""
        self._callbacks.append(cb)

    def insert(self, index: int, cb: Any) -> None:
        """Add a callback at an index."""
        self._callbacks.insert(index, cb)

    def __call__(self, phase: CallbackPhase, data: Any = None, idx: int | None = None) -> None:
        for callback in self._callbacks:
            callback(self.transformer, self.callback_data, phase, data, idx)


class Callback:
    """Called with the transformer, the HDF5 file, a phase, a minibatch and its number."""

    def __call__(
        self, transformer: Any, callback_data: Any, phase: CallbackPhase, data: Any, idx: Any
    ) -> None:
        pass


class TrainCostCallback(Callback):
    """Trains: runs the computation of each minibatch, and writes its 'batch_cost' to cost/train."""

    def __init__(self, computation: Callable[[Any], Any]) -> None:
        self.computation = computation

    def __call__(
        self, transformer: Any, callback_data: Any, phase: CallbackPhase, data: Any, idx: Any
    ) -> None:
        if phase == CallbackPhase.train_pre_:
            count = callback_data["config"].attrs["total_iterations"]
            callback_data.create_dataset("cost/train", (count,), dtype="f4")
            callback_data["cost/train"].attrs["time_markers"] = "minibatch"
        elif phase == CallbackPhase.minibatch_post:
            callback_data["cost/train"][idx] = self.computation(data)["batch_cost"]


class RunTimerCallback(Callback):
    """Writes when training began and ended to time/train, in seconds since 1970."""

    def __call__(
        self, transformer: Any, callback_data: Any, phase: CallbackPhase, data: Any, idx: Any
    ) -> None:
        if phase == CallbackPhase.train_pre_:
            self.timing = callback_data.create_group("time/train")
            for name in ("start_time", "end_time"):
                self.timing.create_dataset(name, (1,), dtype="float64")
                self.timing[name].attrs["units"] = "seconds"
            self.timing["start_time"][0] = time.time()
        elif phase == CallbackPhase.train_post:
            self.timing["end_time"][0] = time.time()


class ProgressCallback(Callback):
    """Draws a progress bar of the minibatches."""

    def __call__(
        self, transformer: Any, callback_data: Any, phase: CallbackPhase, data: Any, idx: Any
    ) -> None:
        if phase == CallbackPhase.train_pre_:
            total = int(callback_data["config"].attrs["total_iterations"])
            self.tpbar = tqdm()(desc="Overall", unit="minibatches", ncols=80, total=total)
        elif phase == CallbackPhase.train_post:
            self.tpbar.close()
        elif phase == CallbackPhase.minibatch_post:
            self.tpbar.update(1)


class TrainLoggerCallback(Callback):
    """Prints the mean cost of each `frequency` minibatches, the last of them left out."""

    def __init__(self, frequency: int) -> None:
        self.frequency = frequency

    def __call__(
        self, transformer: Any, callback_data: Any, phase: CallbackPhase, data: Any, idx: Any
    ) -> None:
        if phase == CallbackPhase.minibatch_post and (idx + 1) % self.frequency == 0:
            costs = callback_data["cost/train"][idx + 1 - self.frequency : idx]
            tqdm().write(
                f"Interval {idx // self.frequency + 1} Iteration {idx + 1} complete."
                f"  Avg Train cost: {costs.mean()}"
            )


class LossCallback(Callback):
    """Evaluates a data set each `frequency` minibatches and at the end, to cost/<output>."""

    def __init__(self, frequency: int, dataset: Any, interval_loss_comp: Any) -> None:
        self.frequency = frequency
        self.dataset = dataset
        self.interval_loss_comp = interval_loss_comp

    def evaluated(self) -> dict[str, Any]:
        """The mean of each output over the data set."""
        return loop_eval(self.dataset, self.interval_loss_comp)

    def names(self) -> list[str]:
        """The outputs that have a place in the file."""
        return list(self.interval_loss_comp.output_keys)

    def __call__(
        self, transformer: Any, callback_data: Any, phase: CallbackPhase, data: Any, idx: Any
    ) -> None:
        if phase == CallbackPhase.train_pre_:
            self.total_iterations = callback_data["config"].attrs["total_iterations"]
            intervals = (self.total_iterations // self.frequency,)
            for name in self.names():
                callback_data.create_dataset(f"cost/{name}", intervals, dtype="f4")
            callback_data.create_dataset("time/loss", intervals, dtype="f4")
        elif phase == CallbackPhase.train_post:
            tqdm().write(f"Training complete.  Avg losses: {_shown(self.evaluated())}")
        elif phase == CallbackPhase.minibatch_post and (idx + 1) % self.frequency == 0:
            self._interval(callback_data, idx)

    def _interval(self, callback_data: Any, idx: int) -> None:
        start, interval = default_timer(), idx // self.frequency
        losses = self.evaluated()
        for name, loss in losses.items():
            callback_data[f"cost/{name}"][interval] = loss
        callback_data["time/loss"][interval] = default_timer() - start
        tqdm().write(
            f"Interval {interval + 1} Iteration {idx + 1} complete.  Avg losses: {_shown(losses)}"
        )


def _shown(losses: dict[str, Any]) -> str:
    """A dict of numbers as text; NumPy 2 would name the type of each."""
    return "{" + ", ".join(f"{name!r}: {loss!s}" for name, loss in losses.items()) + "}"


def loop_train(dataset: Iterable[Any], computation: Any, callbacks: Any) -> None:
    """Call the callbacks around all minibatches; one of them runs the computation."""
    callbacks(CallbackPhase.train_pre_)
    for index, data in enumerate(dataset):
        callbacks(CallbackPhase.minibatch_pre_, data, index)
        callbacks(CallbackPhase.minibatch_post, data, index)
    callbacks(CallbackPhase.train_post)


def loop_eval(dataset: Any, computation: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    """The mean of each output of the computation over the `ndata` samples of a data set."""
    dataset.reset()
    results: dict[str, list[Any]] = {}
    for data in dataset:
        for name, values in computation(data).items():
            results.setdefault(name, []).extend(values)
    return {name: np.mean(values[: dataset.ndata]) for name, values in results.items()}

"""`Callbacks`, which runs the callbacks of a training, and their classes under neon's path."""

from __future__ import annotations

import logging
import math
import os
import signal
import threading
import weakref
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any

from anode.frontends.neon import NervanaObject
from anode.frontends.neon.callbacks.callback import Callback, Model
from anode.frontends.neon.callbacks.deconv import DeconvCallback
from anode.frontends.neon.callbacks.display import (
    ProgressBarCallback,
    TrainLoggerCallback,
    WatchTickerCallback,
    get_progress_string,
)
from anode.frontends.neon.callbacks.recording import (
    BatchNormTuneCallback,
    GANCostCallback,
    HistCallback,
    LossCallback,
    MetricCallback,
    MultiLabelStatsCallback,
    RunTimerCallback,
    TrainCostCallback,
    TrainMulticostCallback,
)
from anode.frontends.neon.callbacks.saving import (
    EarlyStopCallback,
    SaveBestStateCallback,
    SerializeModelCallback,
)
from anode.frontends.neon.util.persist import load_class, load_obj, save_obj

if TYPE_CHECKING:
    from h5py import File

    from anode.frontends.neon.transforms.cost import Metric

__all__ = [
    "BatchNormTuneCallback",
    "Callback",
    "Callbacks",
    "DeconvCallback",
    "EarlyStopCallback",
    "GANCostCallback",
    "HistCallback",
    "LossCallback",
    "MetricCallback",
    "MultiLabelStatsCallback",
    "ProgressBarCallback",
    "RunTimerCallback",
    "SaveBestStateCallback",
    "SerializeModelCallback",
    "TrainCostCallback",
    "TrainLoggerCallback",
    "TrainMulticostCallback",
    "WatchTickerCallback",
    "get_progress_string",
]

logger = logging.getLogger("neon.callbacks.callbacks")


class Callbacks(NervanaObject):
    """The callbacks of a training, which run in their order, and the HDF5 file they write.

    Without an `output_file` the HDF5 file is in memory. The usual callbacks are there from the
    start: loss (with `eval_freq`), training cost, progress bar, metric, snapshots (with
    `save_path`), log, timer. An interrupt (SIGINT) saves the model, if there is a `save_path`, and
    raises KeyboardInterrupt at the end of the minibatch, at once if it comes twice.
    """

    def __init__(
        self,
        model: Model,
        train_set: Any = None,
        output_file: str | None = None,
        eval_freq: int | None = None,
        progress_bar: bool = True,
        save_path: str | None = None,
        serialize: int = 0,
        history: int = 1,
        model_file: str | None = None,
        eval_set: Any = None,
        metric: Metric | None = None,
        log_token: str | None = None,
        multicost: bool = False,
    ) -> None:
        if train_set is not None:
            logger.warning("Callbacks class no longer accepts train_set as a parameter.")
        super().__init__(name=None)
        self.callbacks: list[Callback] = []
        self.epoch_marker = self.epoch_minibatches = 0
        self.output_file, self.save_path, self.model_file = output_file, save_path, model_file
        self.callback_data = _open(output_file, self.name)
        self.model: Callable[[], Model] = weakref.ref(model)
        self._interrupted = False
        self._previous_handler: Any = signal.SIG_DFL
        self.add_callback(TrainMulticostCallback() if multicost else TrainCostCallback())
        if progress_bar:
            self.add_callback(ProgressBarCallback())
        if eval_freq:
            self._add_evaluation(eval_set, metric, eval_freq)
        if save_path:
            self.add_callback(SerializeModelCallback(save_path, max(serialize, 1), history))
        self.add_callback(TrainLoggerCallback())
        self.add_callback(RunTimerCallback())
        if log_token:
            logger.warning("log_token: the service that took it is no more, nothing is sent")

    def _add_evaluation(self, eval_set: Any, metric: Metric | None, eval_freq: int) -> None:
        if not eval_set:
            raise ValueError("Evaluation frequency specified but no eval set provided!")
        self.add_callback(LossCallback(eval_set, eval_freq), insert_pos=0)
        if metric:
            self.add_callback(MetricCallback(eval_set, metric, eval_freq))

    def __del__(self) -> None:
        if data := self.__dict__.get("callback_data"):
            data.close()

    def serialize(self) -> dict[str, Any]:
        """What `get_description` gives."""
        return self.get_description()

    def get_description(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The callbacks with their arguments, and how far the training is."""
        return {
            "epoch_marker": self.epoch_marker,
            "output_file": self.output_file,
            "callbacks": [callback.get_description() for callback in self.callbacks],
        }

    @classmethod
    def load_callbacks(cls, cdict: str | dict[str, Any], model: Model, data: Any = ()) -> Callbacks:
        """Callbacks from their description, or from the path of a file that has one."""
        found: dict[str, Any] = load_obj(cdict) if isinstance(cdict, str) else cdict
        callbacks = cls(model, output_file=found["output_file"])
        callbacks.epoch_marker = found["epoch_marker"]
        callbacks.callbacks = [load_class(c["type"])(**c["config"]) for c in found["callbacks"]]
        return callbacks

    def add_callback(self, callback: Callback, insert_pos: int | None = None) -> None:
        """Add a callback at a position, or behind the others."""
        place = len(self.callbacks) if insert_pos is None else insert_pos
        self.callbacks.insert(place, callback)

    def add_deconv_callback(
        self, train_set: Any, valid_set: Any, max_fm: int = 16, dataset_pct: float = 25
    ) -> None:
        """Add a `DeconvCallback`."""
        self.add_callback(DeconvCallback(train_set, valid_set, max_fm, dataset_pct))

    def add_save_best_state_callback(self, path: str) -> None:
        """Add a `SaveBestStateCallback`."""
        self.add_callback(SaveBestStateCallback(path))

    def add_watch_ticker_callback(self, valid: Any) -> None:
        """Add a `WatchTickerCallback`."""
        self.add_callback(WatchTickerCallback(self.model, valid))

    def add_early_stop_callback(self, stop_func: Callable[[Any, float], tuple[Any, bool]]) -> None:
        """Add an `EarlyStopCallback`."""
        self.add_callback(EarlyStopCallback(stop_func))

    def add_hist_callback(
        self, plot_per_mini: bool = False, filter_key: list[str] | None = None
    ) -> None:
        """Add a `HistCallback`, by default of weights `W`."""
        self.add_callback(HistCallback(plot_per_mini, ["W"] if filter_key is None else filter_key))

    def on_train_begin(self, epochs: int) -> None:
        """Prepare the file, load `model_file`, catch interrupts, and call all callbacks."""
        data, model = self.callback_data, self.model()
        config = data.create_group("config")
        config.attrs["total_minibatches"] = math.ceil(model.ndata / self.be.bsz) * epochs
        config.attrs["total_epochs"] = epochs
        data.create_group("time_markers").create_dataset("minibatch", (epochs,), "f4")
        if self.model_file:
            model.load_params(self.model_file)
        self._interrupted = False
        if threading.current_thread() is threading.main_thread():
            previous = signal.signal(signal.SIGINT, self._interrupt)
            self._previous_handler = signal.SIG_DFL if previous is None else previous
        for callback in self.callbacks:
            callback.on_train_begin(data, model, epochs)

    def on_train_end(self) -> None:
        """Call all callbacks and close the file."""
        self._restore_handler()
        for callback in self.callbacks:
            callback.on_train_end(self.callback_data, self.model())
        self.callback_data.close()

    def on_epoch_begin(self, epoch: int) -> None:
        """Call the callbacks whose time it is."""
        for callback in self._due(epoch, "epoch_freq"):
            callback.on_epoch_begin(self.callback_data, self.model(), epoch)

    def on_epoch_end(self, epoch: int) -> None:
        """Call the callbacks whose time it is, and mark in the file where the epoch ended."""
        for callback in self._due(epoch, "epoch_freq"):
            callback.on_epoch_end(self.callback_data, self.model(), epoch)
        self.epoch_marker += self.epoch_minibatches
        markers = self.callback_data["time_markers"]
        markers["minibatch"][epoch] = self.epoch_marker
        markers.attrs["epochs_complete"] = epoch + 1
        markers.attrs["minibatches_complete"] = self.epoch_marker
        self.callback_data.flush()

    def on_minibatch_begin(self, epoch: int, minibatch: int) -> None:
        """Call the callbacks whose time it is."""
        for callback in self._due(minibatch, "minibatch_freq"):
            callback.on_minibatch_begin(self.callback_data, self.model(), epoch, minibatch)

    def on_minibatch_end(self, epoch: int, minibatch: int) -> None:
        """Call the callbacks whose time it is; then stop, if an interrupt came."""
        for callback in self._due(minibatch, "minibatch_freq"):
            callback.on_minibatch_end(self.callback_data, self.model(), epoch, minibatch)
        self.epoch_minibatches = minibatch + 1
        if self._interrupted:
            self.on_sigint_catch(epoch, minibatch)

    def on_sigint_catch(self, epoch: int, minibatch: int) -> None:
        """Save the model, if there is a path for it, and raise KeyboardInterrupt."""
        self._restore_handler()
        if self.save_path is None:
            raise KeyboardInterrupt
        save_obj(self.model().serialize(keep_states=True), self.save_path)
        raise KeyboardInterrupt(f"Checkpoint file saved to {self.save_path}")

    def _due(self, time: int, freq: str) -> list[Callback]:
        data, model = self.callback_data, self.model()
        return [c for c in self.callbacks if c.should_fire(data, model, time, getattr(c, freq))]

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self._interrupted:
            raise KeyboardInterrupt
        self._interrupted = True

    def _restore_handler(self) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, self._previous_handler)


def _open(output_file: str | None, name: str) -> File:
    try:
        import h5py
    except ImportError as error:
        raise ImportError("neon's callbacks need h5py: pip install 'anode[neon]'") from error
    if output_file is None:
        return h5py.File(name, "w", driver="core", backing_store=False)
    if os.path.isfile(output_file):
        logger.warning("Overwriting output file %s", output_file)
        os.remove(output_file)
    return h5py.File(output_file, "w")


for _name in __all__:  # descriptions have neon's path
    globals()[_name].__module__ = __name__

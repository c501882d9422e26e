"""Callbacks: what runs at the begin and the end of training, epochs and batches."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from anode.frontends.tensorflow.keras.progress import Progbar
from anode.frontends.tensorflow.opdef import export


def _cb(name: str) -> Callable[[Any], Any]:
    return export(f"keras.callbacks.{name}", f"python.keras.callbacks_v1.{name}")


@_cb("Callback")
class Callback:
    """The base of callbacks: methods that do nothing, to be overridden."""

    def __init__(self) -> None:
        self.validation_data: Any = None
        self.model: Any = None

    def set_params(self, params: Any) -> None:
        self.params = params

    def set_model(self, model: Any) -> None:
        self.model = model

    def on_batch_begin(self, batch: int, logs: Any = None) -> None:
        pass

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        pass

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.on_batch_end(batch, logs)


def _nothing(self: Callback, logs: Any = None) -> None:
    """Called by the loops; does nothing unless overridden."""


def _nothing_numbered(self: Callback, number: int, logs: Any = None) -> None:
    """Called by the loops with the number of the epoch or batch."""


for _mode in ("train", "test", "predict"):
    for _end in ("begin", "end"):
        setattr(Callback, f"on_{_mode}_{_end}", _nothing)
        if _mode != "train":
            setattr(Callback, f"on_{_mode}_batch_{_end}", _nothing_numbered)
Callback.on_epoch_begin = Callback.on_epoch_end = _nothing_numbered  # type: ignore[attr-defined]


class CallbackList:
    """Callbacks called one after the other; for evaluation and prediction too."""

    def __init__(self, callbacks: Iterable[Any], mode: str = "train") -> None:
        self.callbacks, self.mode = list(callbacks), mode

    def __iter__(self) -> Any:
        return iter(self.callbacks)

    def append(self, callback: Any) -> None:
        self.callbacks.append(callback)

    def _all(self, name: str, *args: Any) -> None:
        for callback in self.callbacks:
            method = getattr(callback, name, None)
            if method is not None:
                method(*args)

    def on_train_begin(self, logs: Any = None) -> None:
        self._all("on_train_begin", logs or {})

    def on_train_end(self, logs: Any = None) -> None:
        self._all("on_train_end", logs or {})

    def on_test_begin(self) -> None:
        self._all("on_test_begin", {})
        self._bar("on_epoch_begin", 0)

    def on_test_end(self) -> None:
        self._all("on_test_end", {})

    def on_predict_begin(self) -> None:
        self._all("on_predict_begin", {})
        self._bar("on_epoch_begin", 0)

    def on_predict_end(self) -> None:
        self._all("on_predict_end", {})

    def _bar(self, name: str, *args: Any) -> None:
        """The progress bar shows an evaluation as if it were an epoch."""
        for callback in self.callbacks:
            if isinstance(callback, ProgbarLogger):
                getattr(callback, name)(*args)

    def finish(self, logs: Any) -> None:
        self._bar("on_epoch_end", 0, logs)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._all("on_epoch_begin", epoch, logs or {})

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._all("on_epoch_end", epoch, {} if logs is None else logs)

    def on_batch_begin(self, mode: str, batch: int, logs: Any) -> None:
        self._all(f"on_{mode}_batch_begin", batch, logs)

    def on_batch_end(self, mode: str, batch: int, logs: Any) -> None:
        self._all(f"on_{mode}_batch_end", batch, logs)


def configured(
    model: Any,
    callbacks: Any,
    verbose: int,
    names: Sequence[str],
    source: Any,
    epochs: int,
    valid: Any,
    mode: str = "train",
) -> CallbackList:
    """The callbacks of a loop with Keras's own around the script's."""
    given = list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks]
    listed = [c for c in given if c is not None]
    if mode == "train":
        model.history = History()
        listed = [BaseLogger(stateful_metrics=names[1:]), *listed, model.history]
    if verbose:
        how = "samples" if source.samples is not None else "steps"
        listed.insert(1 if mode == "train" else 0, ProgbarLogger(how, names[1:]))
    params = {
        "batch_size": source.batch_size,
        "epochs": epochs,
        "steps": source.steps,
        "samples": source.samples,
        "verbose": verbose,
        "do_validation": valid is not None,
        "metrics": list(names),
    }
    for callback in listed:
        callback.set_model(model)
        callback.set_params(params)
        if valid is not None and valid.whole is not None:
            callback.validation_data = valid.whole.arrays
    return CallbackList(listed, mode)


@_cb("BaseLogger")
class BaseLogger(Callback):
    """Means of the metrics over an epoch, put into its logs where they are absent."""

    def __init__(self, stateful_metrics: Any = None) -> None:
        super().__init__()
        self.stateful_metrics = set(stateful_metrics or ())

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.seen = 0
        self.totals: dict[str, Any] = {}

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        logs = logs or {}
        size = logs.get("size", 0)
        self.seen += size
        for key, value in logs.items():
            if key in self.stateful_metrics:
                self.totals[key] = value
            else:
                self.totals[key] = self.totals.get(key, 0) + value * size

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        for key in self.params["metrics"]:
            if logs is not None and key in self.totals and key not in logs:
                total = self.totals[key]
                logs[key] = total if key in self.stateful_metrics else total / self.seen


@_cb("TerminateOnNaN")
class TerminateOnNaN(Callback):
    """Stop where the loss is not a number."""

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is not None and not np.isfinite(loss):
            print(f"Batch {batch}: Invalid loss, terminating training")
            self.model.stop_training = True


@_cb("ProgbarLogger")
class ProgbarLogger(Callback):
    """The progress bar on standard output."""

    def __init__(self, count_mode: str = "samples", stateful_metrics: Any = None) -> None:
        super().__init__()
        if count_mode not in ("samples", "steps"):
            raise ValueError(f"Unknown `count_mode`: {count_mode}")
        self.use_steps = count_mode == "steps"
        self.stateful_metrics = set(stateful_metrics or ())

    def on_train_begin(self, logs: Any = None) -> None:
        self.verbose, self.epochs = self.params["verbose"], self.params["epochs"]

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.verbose = self.params["verbose"]
        self.seen = 0
        self.target = self.params["steps" if self.use_steps else "samples"]
        if self.verbose and self.params["epochs"] > 1:
            print(f"Epoch {epoch + 1}/{self.params['epochs']}")
        unit = "step" if self.use_steps else "sample"
        stateful = self.stateful_metrics
        self.progbar = Progbar(
            self.target, verbose=self.verbose, stateful_metrics=stateful, unit_name=unit
        )

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        self.seen += 1 if self.use_steps else (logs or {}).get("size", 0)
        self.log_values = self._values(logs)
        if self.verbose and (self.target is None or self.seen < self.target):
            self.progbar.update(self.seen, self.log_values)

    on_test_batch_end = on_predict_batch_end = on_batch_end

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if not self.verbose:
            return
        if self.target is None:
            self.progbar.target = self.seen
        self.progbar.stateful_metrics |= set(logs or ())
        self.progbar.update(self.seen, self._values(logs))

    def _values(self, logs: Any) -> list[tuple[str, Any]]:
        return [(k, logs[k]) for k in self.params["metrics"] if k in (logs or {})]


@_cb("History")
class History(Callback):
    """The values of all epochs: `history` has a list for each metric."""

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs: Any = None) -> None:
        self.epoch, self.history = [], {}

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.epoch.append(epoch)
        for key, value in (logs or {}).items():
            self.history.setdefault(key, []).append(value)


class _Monitor(Callback):
    """What watches a metric: whether a value is better than another."""

    def __init__(self, monitor: str, mode: str, min_delta: float = 0.0) -> None:
        super().__init__()
        self.monitor = monitor
        if mode not in ("auto", "min", "max"):
            mode = "auto"
        accuracy = "acc" in monitor or monitor.startswith("fmeasure")
        rising = mode == "max" or (mode == "auto" and accuracy)
        self.monitor_op = np.greater if rising else np.less
        self.worst = -np.inf if rising else np.inf
        self.min_delta = abs(min_delta) * (1 if rising else -1)

    def _warn(self, what: str, logs: Any) -> None:
        from anode.frontends.tensorflow.api import logging

        logging.warning(
            f"{what} conditioned on metric `{self.monitor}` which is not available. Available "
            f"metrics are: {','.join(logs or ())}"
        )


@_cb("EarlyStopping")
class EarlyStopping(_Monitor):
    """Stop where a metric has not become better for `patience` epochs."""

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience, self.verbose, self.baseline = patience, verbose, baseline
        self.restore_best_weights = restore_best_weights
        self.wait = self.stopped_epoch = 0
        self.best_weights: Any = None

    def on_train_begin(self, logs: Any = None) -> None:
        self.wait = self.stopped_epoch = 0
        self.best = self.worst if self.baseline is None else self.baseline

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        current = (logs or {}).get(self.monitor)
        if current is None:
            self._warn("Early stopping", logs)
            return
        if self.monitor_op(current - self.min_delta, self.best):
            self.best, self.wait = current, 0
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            return
        self.wait += 1
        if self.wait >= self.patience:
            self.stopped_epoch = epoch
            self.model.stop_training = True
            if self.restore_best_weights:
                if self.verbose > 0:
                    print("Restoring model weights from the end of the best epoch.")
                self.model.set_weights(self.best_weights)

    def on_train_end(self, logs: Any = None) -> None:
        if self.stopped_epoch > 0 and self.verbose > 0:
            print(f"Epoch {self.stopped_epoch + 1:05d}: early stopping")

    def get_monitor_value(self, logs: Any) -> Any:
        return (logs or {}).get(self.monitor)


@_cb("ModelCheckpoint")
class ModelCheckpoint(_Monitor):
    """Save the model after epochs, or after some number of samples."""

    def __init__(
        self,
        filepath: Any,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: Any = "epoch",
        **kwargs: Any,
    ) -> None:
        super().__init__(monitor, mode)
        self.filepath, self.verbose = os.fspath(filepath), verbose
        self.save_best_only, self.save_weights_only = save_best_only, save_weights_only
        self.save_freq = save_freq
        self.period = kwargs.pop("period", 1)
        self.load_weights_on_restart = kwargs.pop("load_weights_on_restart", False)
        if kwargs:
            raise TypeError(f"ModelCheckpoint: unexpected arguments {sorted(kwargs)}")
        if save_freq != "epoch" and not isinstance(save_freq, int):
            raise ValueError(f"Unrecognized save_freq: {save_freq}")
        self.best = self.worst
        self.epochs_since_last_save = self._samples = self._current_epoch = 0

    def on_train_begin(self, logs: Any = None) -> None:
        if self.load_weights_on_restart and os.path.exists(self.filepath):
            self.model.load_weights(self.filepath)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._current_epoch = epoch

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        if isinstance(self.save_freq, int):
            self._samples += (logs or {}).get("size", 1)
            if self._samples >= self.save_freq:
                self._save(self._current_epoch, logs)
                self._samples = 0

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.epochs_since_last_save += 1
        if self.save_freq == "epoch" and self.epochs_since_last_save >= self.period:
            self._save(epoch, logs)

    def _save(self, epoch: int, logs: Any) -> None:
        self.epochs_since_last_save = 0
        logs = logs or {}
        path = self.filepath.format(epoch=epoch + 1, **logs)
        if not self.save_best_only:
            self._say(epoch, f"saving model to {path}")
            self._write(path)
            return
        current = logs.get(self.monitor)
        if current is None:
            self._warn("Can save best model only with", logs)
        elif self.monitor_op(current, self.best):
            self._say(
                epoch,
                f"{self.monitor} improved from {self.best:0.5f} to {current:0.5f}, saving model to "
                f"{path}",
            )
            self.best = current
            self._write(path)
        else:
            self._say(epoch, f"{self.monitor} did not improve from {self.best:0.5f}")

    def _say(self, epoch: int, text: str) -> None:
        if self.verbose > 0:
            print(f"\nEpoch {epoch + 1:05d}: {text}")

    def _write(self, path: str) -> None:
        if self.save_weights_only:
            self.model.save_weights(path, overwrite=True)
        else:
            self.model.save(path, overwrite=True)


@_cb("LearningRateScheduler")
class LearningRateScheduler(Callback):
    """The learning rate from a function of the epoch (and the rate so far)."""

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        super().__init__()
        self.schedule, self.verbose = schedule, verbose

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        from anode.frontends.tensorflow.keras import backend as K

        if not hasattr(self.model.optimizer, "lr"):
            raise ValueError('Optimizer must have a "lr" attribute.')
        try:
            rate = self.schedule(epoch, float(K.get_value(self.model.optimizer.lr)))
        except TypeError:
            rate = self.schedule(epoch)
        if not isinstance(rate, (float, np.float32, np.float64)):
            raise ValueError('The output of the "schedule" function should be float.')
        K.set_value(self.model.optimizer.lr, rate)
        if self.verbose > 0:
            print(
                f"\nEpoch {epoch + 1:05d}: LearningRateScheduler reducing learning rate to {rate}."
            )

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        from anode.frontends.tensorflow.keras import backend as K

        if logs is not None:
            logs["lr"] = K.get_value(self.model.optimizer.lr)


@_cb("ReduceLROnPlateau")
class ReduceLROnPlateau(_Monitor):
    """Multiply the learning rate by `factor` where a metric stopped to become better."""

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0,
        **kwargs: Any,
    ) -> None:
        if factor >= 1.0:
            raise ValueError("ReduceLROnPlateau does not support a factor >= 1.0.")
        super().__init__(monitor, mode, kwargs.pop("epsilon", min_delta))
        self.factor, self.patience, self.verbose = factor, patience, verbose
        self.cooldown, self.min_lr = cooldown, min_lr
        self._reset()

    def _reset(self) -> None:
        self.best, self.cooldown_counter, self.wait = self.worst, 0, 0

    def on_train_begin(self, logs: Any = None) -> None:
        self._reset()

    def in_cooldown(self) -> bool:
        return self.cooldown_counter > 0

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        from anode.frontends.tensorflow.keras import backend as K

        logs = {} if logs is None else logs
        logs["lr"] = K.get_value(self.model.optimizer.lr)
        current = logs.get(self.monitor)
        if current is None:
            self._warn("Reduce LR on plateau", logs)
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self.monitor_op(current - self.min_delta, self.best):
            self.best, self.wait = current, 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience:
                self._reduce(epoch, float(K.get_value(self.model.optimizer.lr)))

    def _reduce(self, epoch: int, before: float) -> None:
        from anode.frontends.tensorflow.keras import backend as K

        if before > self.min_lr:
            rate = max(before * self.factor, self.min_lr)
            K.set_value(self.model.optimizer.lr, rate)
            if self.verbose > 0:
                print(
                    f"\nEpoch {epoch + 1:05d}: ReduceLROnPlateau reducing learning rate to {rate}."
                )
            self.cooldown_counter, self.wait = self.cooldown, 0


@_cb("CSVLogger")
class CSVLogger(Callback):
    """A line of a table for each epoch."""

    def __init__(self, filename: Any, separator: str = ",", append: bool = False) -> None:
        super().__init__()
        self.filename, self.sep, self.append = filename, separator, append
        self.writer: Any = None
        self.keys: list[str] = []

    def on_train_begin(self, logs: Any = None) -> None:
        present = self.append and os.path.exists(self.filename)
        self._header = not present or not os.path.getsize(self.filename)
        self.csv_file = open(self.filename, "a" if self.append else "w")  # noqa: SIM115

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs = logs or {}
        if self.writer is None:
            self.keys = sorted(logs)
            self.writer = csv.writer(self.csv_file, delimiter=self.sep, lineterminator="\n")
            if self._header:
                self.writer.writerow(["epoch", *self.keys])
        self.writer.writerow([epoch, *(_cell(logs.get(k, "NA")) for k in self.keys)])
        self.csv_file.flush()

    def on_train_end(self, logs: Any = None) -> None:
        self.csv_file.close()
        self.writer = None


def _cell(value: Any) -> Any:
    if isinstance(value, (list, tuple, np.ndarray)) and np.ndim(value) > 0:
        return f'"[{", ".join(map(str, value))}]"'
    return value


@_cb("LambdaCallback")
class LambdaCallback(Callback):
    """Functions as the methods of a callback."""

    def __init__(
        self,
        on_epoch_begin: Any = None,
        on_epoch_end: Any = None,
        on_batch_begin: Any = None,
        on_batch_end: Any = None,
        on_train_begin: Any = None,
        on_train_end: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        self.__dict__.update(kwargs)
        given = {k: v for k, v in locals().items() if k.startswith("on_") and v is not None}
        self.__dict__.update(given)


@_cb("RemoteMonitor")
class RemoteMonitor(Callback):
    """Sending of metrics to a server, which anode does not do."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError("RemoteMonitor sends to the network: not implemented by anode")

"""The loops over epochs and batches of `fit`, `evaluate` and `predict`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from anode.frontends.tensorflow.keras import data
from anode.frontends.tensorflow.keras.callbacks import CallbackList, configured
from anode.frontends.tensorflow.keras.data import Batch
from anode.frontends.tensorflow.keras.layer import single

FIT = frozenset(
    [
        "x",
        "y",
        "batch_size",
        "epochs",
        "verbose",
        "callbacks",
        "validation_split",
        "validation_data",
        "shuffle",
        "class_weight",
        "sample_weight",
        "initial_epoch",
        "steps_per_epoch",
        "validation_steps",
        "validation_freq",
    ]
)


@dataclass
class Source:
    """Where batches come from: arrays that are cut up, or something that gives batches.

    `samples` is None unless all are known; `steps` is None for all of the data.
    """

    model: Any
    whole: Batch | None
    batches: Any
    batch_size: int
    steps: int | None
    shuffle: Any
    class_weight: Any = None

    @property
    def samples(self) -> int | None:
        return self.whole.size if self.whole is not None and self.steps is None else None

    def epoch(self) -> Iterator[tuple[Batch, int]]:
        """Batches with their numbers of samples."""
        if self.whole is not None and self.steps is None:
            yield from self._slices(self.whole)
        elif self.whole is not None:
            for _ in range(self.steps or 0):
                yield self.whole, 1
        else:
            yield from self._given()

    def _slices(self, whole: Batch) -> Iterator[tuple[Batch, int]]:
        count, size = whole.size, self.batch_size
        order: Any = np.arange(count)
        if self.shuffle == "batch":
            order = _batch_shuffled(order, size)
        elif self.shuffle:
            np.random.shuffle(order)
        for start in range(0, count, size):
            stop = min(count, start + size)
            index = order[start:stop] if self.shuffle else slice(start, stop)
            yield whole.taken(index), stop - start

    def _given(self) -> Iterator[tuple[Batch, int]]:
        if self.steps is None or not hasattr(self, "_running"):
            self.batches.restart()
            self._running = iter(self.batches)
        done = 0
        while self.steps is None or done < self.steps:
            try:
                item = next(self._running)
            except StopIteration:
                if not done:
                    self._exhausted()
                return
            x, y, weight = data.parts(item)
            self.model._set_inputs_of(x)
            batch = data.standardized(self.model, x, y, weight, self.class_weight)
            yield batch, batch.size
            done += 1

    def _exhausted(self) -> None:
        raise ValueError(
            "the data set gives no batches, or fewer than the steps of all epochs need"
        )


def _batch_shuffled(order: Any, size: int) -> Any:
    """The order with whole batches shuffled; a last short one stays last."""
    batches = len(order) // size
    rest = order[batches * size :]
    front = order[: batches * size].reshape(batches, size)
    np.random.shuffle(front)
    return np.append(front.flatten(), rest)


def source_of(
    model: Any,
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    batch_size: int | None = None,
    steps: int | None = None,
    shuffle: Any = False,
    class_weight: Any = None,
) -> Source:
    """A source of batches of whatever a script passes as data."""
    if data.is_dataset(x) or data.is_generator(x):
        if y is not None:
            raise ValueError("You passed a dataset or generator as `x`: then `y` must be None")
        if steps is None and hasattr(x, "__len__") and not data.is_dataset(x):
            steps = len(x)
        given = data.batched(x, bool(shuffle))
        return Source(model, None, given, batch_size or 32, steps, False, class_weight)
    model._set_inputs_of(x)
    whole = data.standardized(model, x, y, sample_weight, class_weight)
    return Source(model, whole, None, batch_size or _fixed_size(model), steps, shuffle)


def _fixed_size(model: Any) -> int:
    """The batch size that the model's inputs ask for, else Keras's 32."""
    shape = model.inputs[0].shape
    size = shape.as_list()[0] if shape.rank else None
    return size or 32


def _validation(model: Any, given: Any, batch_size: int | None, steps: int | None) -> Source:
    if data.is_dataset(given) or data.is_generator(given):
        return source_of(model, given, batch_size=batch_size, steps=steps)
    if not isinstance(given, (list, tuple)) or len(given) not in (2, 3):
        raise ValueError(
            "When passing a `validation_data` argument, it must contain either 2 items (x_val, "
            f"y_val), or 3 items (x_val, y_val, val_sample_weights). However we received {given}"
        )
    x, y, weight = (*given, None)[:3]
    # TensorFlow 1.15 shuffles arrays for validation too, which moves NumPy's generator on.
    return source_of(model, x, y, weight, batch_size, steps, shuffle=True)


def _split(whole: Batch, fraction: float) -> tuple[Batch, Batch]:
    if not 0.0 < fraction < 1.0:
        raise ValueError(f"validation_split must lie between 0 and 1, not {fraction}")
    at = int(whole.size * (1.0 - fraction))
    return whole.taken(slice(0, at)), whole.taken(slice(at, None))


def fit(
    model: Any,
    x: Any,
    y: Any,
    batch_size: int | None,
    epochs: int,
    verbose: int,
    callbacks: Any,
    validation_split: float,
    validation_data: Any,
    shuffle: Any,
    class_weight: Any,
    sample_weight: Any,
    initial_epoch: int,
    steps_per_epoch: int | None,
    validation_steps: int | None,
    validation_freq: Any,
) -> Any:
    """Train for some epochs; gives the History."""
    train = source_of(
        model, x, y, sample_weight, batch_size, steps_per_epoch, shuffle, class_weight
    )
    valid = None
    if validation_data is not None:
        valid = _validation(model, validation_data, batch_size, validation_steps)
    elif validation_split:
        if train.whole is None:
            raise ValueError("`validation_split` is only supported for arrays")
        train.whole, rest = _split(train.whole, validation_split)
        valid = Source(model, rest, None, batch_size or _fixed_size(model), validation_steps, True)
    if verbose and train.samples is not None:
        text = f"Train on {train.samples} samples"
        if valid is not None and valid.samples is not None:
            text += f", validate on {valid.samples} samples"
        print(text)
    elif verbose and train.steps is not None:
        print(f"Train for {train.steps} steps" + _validate_text(valid))
    model.stop_training = False
    names = model.metrics_names if model.outputs else ["loss"]
    shown = names + ([f"val_{n}" for n in names] if valid is not None else [])
    listed = configured(model, callbacks, verbose, shown, train, epochs, valid)
    listed.on_train_begin()
    for epoch in range(initial_epoch, epochs):
        _epoch(model, train, valid, listed, epoch, validation_freq)
        if model.stop_training:
            break
    listed.on_train_end()
    return model.history


def _validate_text(valid: Source | None) -> str:
    if valid is None:
        return ""
    if valid.samples is not None:
        return f", validate on {valid.samples} samples"
    return f", validate for {valid.steps} steps" if valid.steps is not None else ""


def _epoch(
    model: Any,
    train: Source,
    valid: Source | None,
    callbacks: CallbackList,
    epoch: int,
    frequency: Any,
) -> None:
    model.reset_metrics()
    callbacks.on_epoch_begin(epoch, {})
    values = _over_batches(model, "train", train, callbacks)
    logs = dict(zip(model.metrics_names, values, strict=False))
    if valid is not None and _validates(epoch, frequency):
        found = evaluated(model, valid, None)
        logs.update(zip((f"val_{n}" for n in model.metrics_names), found, strict=False))
    callbacks.on_epoch_end(epoch, logs)


def _validates(epoch: int, frequency: Any) -> bool:
    if isinstance(frequency, int):
        if frequency < 1:
            raise ValueError("`validation_freq` can not be less than 1.")
        return (epoch + 1) % frequency == 0
    return epoch + 1 in frequency


def _over_batches(
    model: Any, mode: str, source: Source, callbacks: CallbackList | None
) -> list[Any]:
    """The mean of the loss and the last values of the metrics, which are running ones."""
    total: Any = 0.0
    count = 0
    last: list[Any] = []
    for number, (batch, size) in enumerate(source.epoch()):
        logs: dict[str, Any] = {"batch": number, "size": size}
        if callbacks is not None:
            callbacks.on_batch_begin(mode, number, logs)
        last = model._step(mode, batch.ranks)(batch.arrays)
        weight = size if source.samples is not None else 1
        total, count = total + np.float64(last[0]) * weight, count + weight
        if callbacks is not None:
            logs.update(zip(model.metrics_names, last, strict=False))
            callbacks.on_batch_end(mode, number, logs)
        if mode == "train" and model.stop_training:
            break
    if not last:
        raise ValueError("there are no samples to work on")
    return [total / count, *last[1:]]


def evaluated(model: Any, source: Source, callbacks: CallbackList | None) -> list[Any]:
    model.reset_metrics()
    return _over_batches(model, "test", source, callbacks)


def evaluate(
    model: Any,
    x: Any,
    y: Any,
    batch_size: int | None,
    verbose: int,
    sample_weight: Any,
    steps: int | None,
    callbacks: Any,
) -> Any:
    """The loss and the metrics over all data."""
    source = source_of(model, x, y, sample_weight, batch_size, steps)
    names = model.metrics_names if model.outputs else ["loss"]
    listed = configured(model, callbacks, verbose, names, source, 1, None, mode="test")
    listed.on_test_begin()
    values = evaluated(model, source, listed)
    listed.finish(dict(zip(model.metrics_names, values, strict=False)))
    listed.on_test_end()
    return single(values)


def predict(
    model: Any, x: Any, batch_size: int | None, verbose: int, steps: int | None, callbacks: Any
) -> Any:
    """The outputs for all data, batches put one after the other."""
    source = source_of(model, x, None, None, batch_size, steps)
    listed = configured(model, callbacks, verbose, [], source, 1, None, mode="predict")
    listed.on_predict_begin()
    parts: list[list[Any]] = []
    for number, (batch, size) in enumerate(source.epoch()):
        logs = {"batch": number, "size": size}
        listed.on_batch_begin("predict", number, logs)
        outputs = model._step("predict")(batch.x)
        parts.append(outputs)
        listed.on_batch_end("predict", number, {**logs, "outputs": outputs})
    listed.finish({})
    listed.on_predict_end()
    if not parts:
        return np.zeros([0, *(model.outputs[0].shape.as_list()[1:])], np.float32)
    joined = [_joined(column) for column in zip(*parts, strict=True)]
    return single(joined)


def _joined(column: Sequence[Any]) -> Any:
    if len(column) == 1:
        return column[0]
    join: Callable[..., Any] = np.concatenate if np.ndim(column[0]) else np.asarray
    return join(list(column))

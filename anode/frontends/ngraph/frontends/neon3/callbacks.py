"""neon 3's loops and callbacks: feeds that are added to minibatches, accuracies of results."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from anode.frontends.ngraph.frontends.neon import callbacks as base
from anode.frontends.ngraph.frontends.neon.callbacks import (
    Callback,
    CallbackContainer,
    CallbackPhase,
    RunTimerCallback,
    TrainCostCallback,
    TrainLoggerCallback,
)

__all__ = [
    "Callback",
    "CallbackContainer",
    "CallbackPhase",
    "FeedAddWrapper",
    "LossCallback",
    "ProgressCallback",
    "RunTimerCallback",
    "TrainCostCallback",
    "TrainLoggerCallback",
    "TrainSaverCallback",
    "loop_eval",
    "loop_train",
    "make_default_callbacks",
]


def make_default_callbacks(
    transformer: Any,
    output_file: str | None,
    frequency: int,
    train_computation: Callable[[Any], Any],
    total_iterations: int,
    eval_set: Any = None,
    eval_feed_wrapper: Any = None,
    loss_computation: Any = None,
    enable_top5: bool = False,
    use_progress_bar: bool = True,
) -> CallbackContainer:
    """Training, costs, lines each `frequency` minibatches, losses of `eval_set`, a progress bar."""
    callbacks = CallbackContainer(transformer, output_file, total_iterations)
    callbacks.append(TrainCostCallback(train_computation))
    callbacks.append(TrainLoggerCallback(frequency))
    if eval_set is not None:
        callbacks.append(
            LossCallback(frequency, eval_set, eval_feed_wrapper, loss_computation, enable_top5)
        )
    if use_progress_bar:
        callbacks.append(ProgressCallback())
    return callbacks


class LossCallback(base.LossCallback):
    """Losses of a data set; of an output 'results' the share that is right, at once or in five."""

    def __init__(
        self,
        frequency: int,
        dataset: Any,
        eval_feed_wrapper: Any,
        interval_loss_comp: Any,
        enable_top5: bool,
    ) -> None:
        super().__init__(frequency, dataset, interval_loss_comp)
        self.eval_feed_wrapper = eval_feed_wrapper
        self.enable_top5 = enable_top5

    def evaluated(self) -> dict[str, Any]:
        return loop_eval(
            self.dataset, self.interval_loss_comp, self.enable_top5, self.eval_feed_wrapper
        )

    def names(self) -> list[str]:
        return [*super().names(), "top_1_acc", *(["top_5_acc"] if self.enable_top5 else [])]


class ProgressCallback(base.ProgressCallback):
    """Draws a progress bar with the cost of the last minibatch."""

    def __call__(
        self, transformer: Any, callback_data: Any, phase: CallbackPhase, data: Any, idx: Any
    ) -> None:
        super().__call__(transformer, callback_data, phase, data, idx)
        if phase == CallbackPhase.minibatch_post:
            self.tpbar.set_description(f"Train Cost {callback_data['cost/train'][idx]:0.4f}")


class TrainSaverCallback(Callback):
    """Saves the weights to `filename`_<minibatch> each `frequency` minibatches."""

    def __init__(self, saver: Any, filename: str, frequency: int) -> None:
        self.saver = saver
        self.filename = filename
        self.frequency = frequency

    def __call__(
        self, transformer: Any, callback_data: Any, phase: CallbackPhase, data: Any, idx: Any
    ) -> None:
        if phase == CallbackPhase.minibatch_post and (idx + 1) % self.frequency == 0:
            self.saver.save(filename=f"{self.filename}_{idx}")


class FeedAddWrapper:
    """Adds `wrapper(step=…, **wrapper_kwargs)` to a minibatch under the name `holder`."""

    def __init__(
        self,
        wrapper: Callable[..., Any] | None = None,
        holder: str | None = None,
        wrapper_kwargs: dict[str, Any] | None = None,
        clear_feed: bool = False,
    ) -> None:
        self.wrapper = wrapper
        self.holder = holder
        self.wrapper_kwargs = wrapper_kwargs or {}
        self.clear_feed = clear_feed

    def __call__(self, data: dict[Any, Any], step: int) -> None:
        if self.clear_feed:
            data.clear()
        if self.wrapper is not None:
            data[self.holder] = self.wrapper(step=step, **self.wrapper_kwargs)


def loop_train(
    dataset: Iterable[Any], callbacks: Any, train_feed_wrapper: FeedAddWrapper | None = None
) -> None:
    """Call the callbacks around all minibatches, which get their number as 'iteration'."""
    callbacks(CallbackPhase.train_pre_)
    for index, data in enumerate(dataset):
        if train_feed_wrapper is not None:
            train_feed_wrapper(data=data, step=index)
        data["iteration"] = index
        callbacks(CallbackPhase.minibatch_pre_, data, index)
        callbacks(CallbackPhase.minibatch_post, data, index)
    callbacks(CallbackPhase.train_post)


def loop_eval(
    dataset: Any,
    computation: Callable[[Any], dict[str, Any]],
    enable_top5: bool = False,
    eval_feed_wrapper: FeedAddWrapper | None = None,
) -> dict[str, Any]:
    """The mean of each output over a data set; 'results', of which the first axis is that of the
    classes, gives 'top_1_acc' and with `enable_top5` 'top_5_acc'."""

    def evaluated(data: dict[Any, Any]) -> dict[str, Any]:
        if eval_feed_wrapper is not None:
            eval_feed_wrapper(data=data, step=0)
        data["iteration"] = 0
        results = dict(computation(data))
        if "results" in results:
            best = np.argsort(results.pop("results"), axis=0)[-5:]
            right = np.equal(np.asarray(data["label"]).T, best)
            results["top_1_acc"] = right[-1]
            if enable_top5:
                results["top_5_acc"] = np.any(right, axis=0)
        return results

    return base.loop_eval(dataset, evaluated)

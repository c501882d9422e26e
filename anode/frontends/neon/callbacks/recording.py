"""Callbacks that write into the HDF5 file: costs, metrics, times, histograms."""

from __future__ import annotations

import sys
import time
from collections import deque
from timeit import default_timer
from typing import TYPE_CHECKING, Any

import numpy as np

from anode.frontends.neon.callbacks.callback import (
    Callback,
    Model,
    first_minibatch,
    logger,
    number,
)
from anode.frontends.neon.transforms.cost import Metric

if TYPE_CHECKING:
    from h5py import Dataset, File

Data = Any  # an iterator over minibatches


class RunTimerCallback(Callback):
    """Writes time/train/start_time and end_time, in seconds since 1970."""

    def __init__(self) -> None:
        super().__init__()

    def on_train_begin(self, callback_data: File, model: Model, epochs: int) -> None:
        timing = callback_data.create_group("time/train")
        for name in ("start_time", "end_time"):
            timing.create_dataset(name, (1,), dtype="float64")
        self._write(timing["start_time"])

    def on_train_end(self, callback_data: File, model: Model) -> None:
        self._write(callback_data["time/train/end_time"])

    def _write(self, dataset: Dataset) -> None:
        dataset[0] = time.time()
        dataset.attrs["units"] = "seconds"


class _RunningMean(Callback):
    """A callback that writes the mean of the last `wsz` minibatches' costs for each minibatch."""

    def __init__(self, wsz: int = 10) -> None:
        super().__init__(epoch_freq=1)
        self.wsz = wsz
        self._epoch, self._start = -1, 0

    def _begin(self, callback_data: File) -> int:
        points = int(callback_data["config"].attrs["total_minibatches"])
        self.wsz = min(points, self.wsz)
        self.cost_history: deque[Any] = deque(maxlen=self.wsz)
        self._epoch = -1
        return points

    def _mean(self, cost: Any) -> Any:
        self.cost_history.append(cost)
        return sum(self.cost_history) / len(self.cost_history)

    def _place(self, callback_data: File, epoch: int, minibatch: int) -> int:
        if epoch != self._epoch:
            self._epoch, self._start = epoch, first_minibatch(callback_data, epoch)
        return self._start + minibatch


class _Elements:
    """Writes single f4 elements of a dataset, 7 times as fast as `dataset[i] = value`."""

    def __init__(self, dataset: Dataset) -> None:
        from h5py import h5s

        self._file, self._selected = dataset.id, dataset.id.get_space()
        self._memory, self._value = h5s.create_simple((1,)), np.zeros(1, np.float32)

    def __setitem__(self, place: int, value: float) -> None:
        self._value[0] = value
        self._selected.select_hyperslab((place,), (1,))
        self._file.write(self._memory, self._selected, self._value)


class TrainCostCallback(_RunningMean):
    """Writes cost/train, the mean of the last `wsz` minibatches' costs, for each minibatch.

    With a GeneralizedCostMask it is the last one's: neon overwrote that cost, and so its history.
    """

    def on_train_begin(self, callback_data: File, model: Model, epochs: int) -> None:
        from anode.frontends.neon.layers import GeneralizedCostMask

        first = model.cost.costs[0] if _is_multicost(model.cost) else model.cost
        if isinstance(first, GeneralizedCostMask):
            self.wsz = 1
        costs = callback_data.create_dataset("cost/train", (self._begin(callback_data),), "f4")
        costs.attrs["time_markers"] = "minibatch"
        self._costs = _Elements(costs)

    def on_minibatch_end(
        self, callback_data: File, model: Model, epoch: int, minibatch: int
    ) -> None:
        place = self._place(callback_data, epoch, minibatch)
        self._costs[place] = self._mean(number(model.cost.cost))


class TrainMulticostCallback(_RunningMean):
    """Writes multicost/train, likewise, for each cost of a `Multicost`.

    multicost/train_allbranches has the last minibatch's cost of every branch, also of those within
    branches, each without what the branches below it cost.
    """

    def on_train_begin(self, callback_data: File, model: Model, epochs: int) -> None:
        assert _is_multicost(model.cost), "Cost must be a Multicost"
        points = self._begin(callback_data)
        self.ncosts = len(model.cost.costs)
        self.ncosts_allbranches = self.recursive_multicost_len(model.cost)
        columns = {"train": self.ncosts, "train_allbranches": self.ncosts_allbranches}
        for name, width in columns.items():
            made = callback_data.create_dataset(
                f"multicost/{name}", (points, width), dtype="float64"
            )
            made.attrs["time_markers"] = "minibatch"

    def on_minibatch_end(
        self, callback_data: File, model: Model, epoch: int, minibatch: int
    ) -> None:
        place = self._place(callback_data, epoch, minibatch)
        costs = np.array([number(c.cost) for c in model.cost.costs])
        callback_data["multicost/train"][place, :] = self._mean(costs)
        nested = self.multicost_recurse(model.cost)
        callback_data["multicost/train_allbranches"][place, :] = self.separate_branch_costs(nested)

    def multicost_recurse(self, x: Any) -> Any:
        """The costs of a `Multicost`, lists where branches have branches; or one cost."""
        return [self.multicost_recurse(c) for c in x.costs] if _is_multicost(x) else number(x.cost)

    def separate_branch_costs(self, x: list[Any]) -> np.ndarray:
        """All costs in a row, the first of each list less the first of each branch beside it."""
        heads = [c[0] if isinstance(c, list) else c for c in x]
        flat = [] if isinstance(x[0], list) else [heads[0] - sum(heads[1:])]
        for branch in x[len(flat) :]:
            flat.extend(
                self.separate_branch_costs(branch) if isinstance(branch, list) else [branch]
            )
        return np.array(flat)

    def recursive_multicost_len(self, item: Any) -> int:
        """The number of costs that are not `Multicost`s."""
        return sum(map(self.recursive_multicost_len, item.costs)) if _is_multicost(item) else 1


def _is_multicost(cost: Any) -> bool:
    from anode.frontends.neon.layers.container import Multicost

    return isinstance(cost, Multicost)


class LossCallback(Callback):
    """Writes cost/loss, the mean cost of `eval_set`, and time/loss, the seconds that it took."""

    epoch_freq: int

    def __init__(self, eval_set: Data, epoch_freq: int = 1) -> None:
        super().__init__(epoch_freq=epoch_freq)
        self.eval_set = eval_set

    def on_train_begin(self, callback_data: File, model: Model, epochs: int) -> None:
        for name in ("cost/loss", "time/loss"):
            callback_data.create_dataset(name, (epochs // self.epoch_freq,), "f4")
        callback_data["cost/loss"].attrs["time_markers"] = "epoch_freq"
        callback_data["cost/loss"].attrs["epoch_freq"] = self.epoch_freq

    def on_epoch_end(self, callback_data: File, model: Model, epoch: int) -> None:
        start, processed, loss = default_timer(), 0, 0.0
        self.eval_set.reset()
        for x, t in self.eval_set:
            y = model.fprop(x, inference=True)
            model.cost.get_cost(y, t)
            steps = (y[0] if isinstance(y, list) else y).shape[1] // self.be.bsz
            rows = min(self.eval_set.ndata - processed, self.be.bsz)  # not those wrapped round
            loss += float(model.cost.outputs.get()[:, : rows * steps].sum()) / steps
            processed += rows
        place = epoch // self.epoch_freq
        callback_data["time/loss"][place] = default_timer() - start
        callback_data["cost/loss"][place] = loss / processed


class MetricCallback(Callback):
    """Writes metrics/<name> for each number that a metric of `eval_set` gives."""

    epoch_freq: int

    def __init__(self, eval_set: Data, metric: Metric, epoch_freq: int = 1) -> None:
        super().__init__(epoch_freq=epoch_freq)
        if isinstance(metric, type):
            raise ValueError(
                f"metric passed in was the class {metric}.  Pass an instance of this class instead."
            )
        self.eval_set, self.metric = eval_set, metric
        self.metric_cnt = len(metric.metric_names)
        self.metric_desc = ", ".join(metric.metric_names)

    def on_train_begin(self, callback_data: File, model: Model, epochs: int) -> None:
        for name in self.metric.metric_names:
            dataset = callback_data.create_dataset(
                f"metrics/{name}", (epochs // self.epoch_freq,), "f4"
            )
            dataset.attrs["time_markers"] = "epoch_freq"
            dataset.attrs["epoch_freq"] = self.epoch_freq

    def on_epoch_end(self, callback_data: File, model: Model, epoch: int) -> None:
        self.eval_set.reset()
        stats = model.eval(self.eval_set, metric=self.metric).flatten()
        logger.info("%s: %s", self.metric_desc, ", ".join(map(str, stats)))
        for name, value in zip(self.metric.metric_names, stats, strict=True):
            callback_data[f"metrics/{name}"][epoch // self.epoch_freq] = value


class MultiLabelStatsCallback(Callback):
    """Prints what a metric that has `outputs` per class, as `PrecisionRecall`, gives each label."""

    def __init__(
        self, eval_set: Data, labels: list[str], metric: Metric, epoch_freq: int = 1
    ) -> None:
        super().__init__(epoch_freq=epoch_freq)
        self.eval_set, self.metric, self.labels = eval_set, metric, labels
        self.metric_desc = ", ".join(metric.metric_names)

    def on_epoch_end(self, callback_data: File, model: Model, epoch: int) -> None:
        self.eval_set.reset()
        batches = [self._outputs(model, x, t) for x, t in self.eval_set]
        stats = np.mean(batches, axis=0)
        for label, row in zip(self.labels, stats, strict=False):
            pairs = zip(self.metric.metric_names, row, strict=True)
            text = "".join(f"{name}: {int(value * 100.0)}% " for name, value in pairs)
            sys.stdout.write(f"[{text}] -> {label}\n")
        sys.stdout.flush()

    def _outputs(self, model: Model, x: Any, t: Any) -> np.ndarray:
        self.metric(model.fprop(x, inference=True), t)
        return np.array(self.metric.outputs.get())  # type: ignore[attr-defined]


class HistCallback(Callback):
    """Writes hist/<layer>_<i>_<parameter>: histograms of parameters, [bins, times].

    Bin i counts elements with round(log2 |x|) = i + offset, the first also the smaller ones.
    """

    def __init__(self, plot_per_mini: bool, filter_key: list[str]) -> None:
        super().__init__(epoch_freq=1, minibatch_freq=1)
        self.plot_per_mini = plot_per_mini
        self.filter = self.filter_key = filter_key

    def on_train_begin(self, callback_data: File, model: Model, epochs: int) -> None:
        self.minibatches = int(callback_data["config"].attrs["total_minibatches"])
        group = callback_data.create_group("hist")
        group.attrs["bins"], group.attrs["offset"] = self.be.hist_bins, self.be.hist_offset
        group.attrs["time_markers"] = "minibatch" if self.plot_per_mini else "epoch"
        group.attrs["time_steps"] = self.minibatches if self.plot_per_mini else epochs

    def on_minibatch_end(
        self, callback_data: File, model: Model, epoch: int, minibatch: int
    ) -> None:
        if self.plot_per_mini:
            self._write(callback_data, model, first_minibatch(callback_data, epoch) + minibatch)

    def on_epoch_end(self, callback_data: File, model: Model, epoch: int) -> None:
        if not self.plot_per_mini:
            self._write(callback_data, model, epoch)

    def _write(self, callback_data: File, model: Model, place: int) -> None:
        group = callback_data["hist"]
        for i, layer in enumerate(model.layers.layers):
            for key in self.filter:
                if (values := getattr(layer, key, None)) is not None:
                    values.hist(f"{layer.name}_{i}_{key}")
        counts, rows = self.be.dump_hist_data()
        for name, row in rows.items():
            shape = self.be.hist_bins, int(group.attrs["time_steps"])
            dataset = group.require_dataset(name, shape=shape, dtype=np.dtype("int32"))
            dataset[:, place] = counts.get()[row]


class GANCostCallback(Callback):
    """Writes gan/gen_iter and gan/cost_dis for minibatches that trained the generator."""

    def __init__(self) -> None:
        super().__init__(epoch_freq=1)

    def on_train_begin(self, callback_data: File, model: Model, epochs: int) -> None:
        points = int(callback_data["config"].attrs["total_minibatches"])
        for name in ("gan/gen_iter", "gan/cost_dis"):
            made = callback_data.create_dataset(name, (points,), "f4")
            made.attrs["time_markers"] = "minibatch"

    def on_minibatch_end(
        self, callback_data: File, model: Model, epoch: int, minibatch: int
    ) -> None:
        if model.current_batch == model.last_gen_batch > 0:
            place = first_minibatch(callback_data, epoch) + minibatch
            callback_data["gan/gen_iter"][place] = model.gen_iter
            callback_data["gan/cost_dis"][place] = number(model.cost_dis)


class BatchNormTuneCallback(Callback):
    """Sets the running statistics of batch norms to the exact mean over `tune_set`."""

    def __init__(self, tune_set: Data, epoch_freq: int = 1) -> None:
        super().__init__(epoch_freq=epoch_freq)
        self.tune_set = tune_set
        self.bn_layers: list[Any] = []

    def on_epoch_end(self, callback_data: File, model: Model, epoch: int) -> None:
        from anode.frontends.neon.layers import BatchNorm

        self.bn_layers = self.bn_layers or [
            layer for layer in model.layers_to_optimize if type(layer) is BatchNorm
        ]
        self.tune_set.reset()
        count = 0
        for count, (x, _) in enumerate(self.tune_set, 1):
            for layer in self.bn_layers:
                layer.rho = (count - 1) / count  # the mean of the batches so far
            model.fprop(x)
            model.layers.revert_tensors()
        for layer in self.bn_layers if count > 1 else ():
            layer.gvar[:] = layer.gvar * (count / (count - 1))

"""Metrics: measures of a model on data, summed over batches in the graph, combined on the host."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anode import ops
from anode.errors import ShapeError
from anode.frontends.layers.costs import Cost, Prediction, dense, labels, one, per_row, safelog
from anode.frontends.layers.structure import Nodes
from anode.ir.dtypes import DType, i32
from anode.ir.node import Node


class Metric:
    """A measure of outputs against targets. A subclass has `sums`, often `names`."""

    @property
    def names(self) -> tuple[str, ...]:
        """What the numbers of `combine` are called."""
        return (type(self).__name__,)

    def sums(self, y: Node, t: Node) -> Node:
        """A vector or matrix that adds over rows, so that batches may be of any size."""
        raise NotImplementedError

    def measured(self, prediction: Prediction, t: Nodes) -> Node:
        """`sums` of a model's output and targets; of sequences, what needs their lengths too."""
        return self.sums(prediction.value, one(self, t))

    def count(self, value: np.ndarray) -> np.ndarray:
        """What adds over minibatches, from the value of `sums`: work for the host, if there is."""
        return value

    def combine(self, sums: np.ndarray, rows: int) -> np.ndarray:
        """The measures from the sums over all `rows`, by default their means."""
        return sums / rows


@dataclass(frozen=True)
class Misclassification(Metric):
    """The share of rows whose largest output is not the target's class (at one output: above ½)."""

    @property
    def names(self) -> tuple[str, ...]:
        return ("Top1Misclass",)

    def sums(self, y: Node, t: Node) -> Node:
        return _total(1.0 - _right(y, t))


@dataclass(frozen=True)
class Accuracy(Metric):
    """The share of rows whose largest output is the target's class (at one output: above ½)."""

    def sums(self, y: Node, t: Node) -> Node:
        return _total(_right(y, t))


@dataclass(frozen=True)
class LogLoss(Metric):
    """The mean of −log(Σ y · t)."""

    def sums(self, y: Node, t: Node) -> Node:
        return _total(-safelog(per_row(y * dense(y, t))))


@dataclass(frozen=True)
class TopKMisclassification(Metric):
    """LogLoss, and the shares of rows whose class is not first, not among the first `k` outputs.

    Classes that tie for the last places share them, as in neon. Outputs of NaN are wrong ones.
    """

    k: int

    @property
    def names(self) -> tuple[str, ...]:
        return ("LogLoss", "Top1Misclass", f"Top{self.k}Misclass")

    def sums(self, y: Node, t: Node) -> Node:
        right = ops.sum(y * dense(y, t), axis=1, keepdims=True)
        above = per_row(ops.convert(ops.greater(y, right), dtype=y.dtype))
        ties = per_row(ops.convert(ops.equal(y, right), dtype=y.dtype))
        missed = [1.0 - _share(float(places) - above, ties) for places in (1, self.k)]
        loss = -safelog(ops.reshape(right, shape=above.shape))
        return ops.concatenate(*map(_total, (loss, *missed)), axis=0)


@dataclass(frozen=True)
class PrecisionRecall(Metric):
    """Precision and recall, each class's own and then their mean, of outputs as 0s and 1s.

    `binarize` makes the largest output 1 and the others 0 first; without it outputs are taken as
    they are. `epsilon` is added to the counts that divide.
    """

    num_classes: int
    binarize: bool = False
    epsilon: float = 1e-6

    @property
    def names(self) -> tuple[str, ...]:
        return ("Precision", "Recall")

    def sums(self, y: Node, t: Node) -> Node:
        if y.shape[1:] != (self.num_classes,):
            raise ShapeError(f"PrecisionRecall({self.num_classes}): the output is {y.type}")
        t = dense(y, t)
        if self.binarize:
            y = ops.one_hot(_chosen(y), depth=self.num_classes, dtype=y.dtype)
        return ops.stack([ops.sum(x, axis=0) for x in (y * t, y, t)])

    def combine(self, sums: np.ndarray, rows: int) -> np.ndarray:
        hits, predicted, actual = sums
        precision, recall = hits / (predicted + self.epsilon), hits / (actual + self.epsilon)
        return np.array([precision.mean(), recall.mean()])


@dataclass(frozen=True)
class MultiMetric(Metric):
    """A metric of one output of a tree: `index` counts its rows of layers from 0.

    Of a tuple of targets it takes that of the same index. Its numbers are called by the metric's
    names with the index.
    """

    metric: Metric
    index: int

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{name}_{self.index}" for name in self.metric.names)

    def measured(self, prediction: Prediction, t: Nodes) -> Node:
        branches = (prediction, *prediction.heads)
        if not 0 <= self.index < len(branches):
            raise ShapeError(
                f"MultiMetric: there are {len(branches)} outputs, not {self.index + 1}"
            )
        chosen = t[self.index] if isinstance(t, tuple) and len(t) == len(branches) else t
        return self.metric.measured(branches[self.index], chosen)

    def count(self, value: np.ndarray) -> np.ndarray:
        return self.metric.count(value)

    def combine(self, sums: np.ndarray, rows: int) -> np.ndarray:
        return self.metric.combine(sums, rows)


def names(metric: Metric | Cost) -> tuple[str, ...]:
    """The names of a metric's numbers; a cost has one, called like its class."""
    return (type(metric).__name__,) if isinstance(metric, Cost) else metric.names


def sums(metric: Metric | Cost, prediction: Prediction, t: Nodes) -> Node:
    """What a metric, or a cost, adds up over a batch."""
    if isinstance(metric, Cost):
        return _total(metric.rows(prediction, t))
    return metric.measured(prediction, t)


def count(metric: Metric | Cost, value: np.ndarray) -> np.ndarray:
    """What a metric, or a cost, adds up over minibatches."""
    return value if isinstance(metric, Cost) else metric.count(value)


def combine(metric: Metric | Cost, total: np.ndarray, rows: int) -> dict[str, float]:
    """The numbers of a metric by name, from its sums over `rows` rows."""
    found = total / rows if isinstance(metric, Cost) else metric.combine(total, rows)
    return dict(zip(names(metric), map(float, found), strict=True))


def _right(y: Node, t: Node) -> Node:
    """f32: 1 for each row whose class is the target's, else 0."""
    if y.shape[-1] == 1:
        hits = ops.equal(ops.greater(y, 0.5), ops.greater(dense(y, t), 0.5))
        return ops.convert(ops.reshape(hits, shape=y.shape[:-1]), dtype="f32")
    wanted = labels(y, t)
    return ops.convert(ops.equal(_chosen(y, wanted.dtype), wanted), dtype="f32")


def _chosen(y: Node, dtype: DType = i32) -> Node:
    return ops.argmax(y, axis=len(y.shape) - 1, dtype=dtype)


def _total(rows: Node) -> Node:
    return ops.reshape(ops.sum(rows), shape=(1,))


def _share(places: Node, ties: Node) -> Node:
    """How much of `places` the right one of `ties` equal outputs gets: none to all of one.

    A NaN is not equal to itself, and gets none.
    """
    share = ops.clamp(ops.zeros_like(places), places / ties, ops.ones_like(places))
    return ops.where(ops.greater(ties, 0.0), share, 0.0)

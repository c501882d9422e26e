"""Costs, which give a value and an error, and metrics, which give NumPy numbers.

A cost's value is one row, summed over features; its error is not divided by the batch. Both are
op-trees. A metric is called as `metric(y, t, calcrange=slice(...))`, the range of columns that
count, and its `metric_names` name the numbers it gives.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from anode.frontends.neon import NervanaObject
from anode.frontends.neon import logger as neon_logger
from anode.frontends.neon.transforms.transform import Value

ALL = slice(0, None)


class Cost(NervanaObject):
    """A cost of the output `y` for the target `t`.

    A subclass has `__call__` and `bprop`, or attributes func and funcgrad.
    """

    func: Any
    funcgrad: Any

    def __call__(self, y: Value, t: Value) -> Value:
        return self.func(y, t)

    def bprop(self, y: Value, t: Value) -> Value:
        """The error: the derivative by `y`, or by the argument of the activation it goes with."""
        return self.funcgrad(y, t)


def _check_shapes(y: Value, t: Value) -> None:
    if y.shape != t.shape:
        raise ValueError(
            "CrossEntropy requires network output shape to match targets. "
            f"Network output shape was {y.shape} and targets shape was {t.shape}"
        )


class CrossEntropyBinary(Cost):
    """Σ −t·log(y) − (1 − t)·log(1 − y); the error, y − t, is that before a Logistic."""

    def __init__(self, scale: float = 1) -> None:
        self.scale = scale

    def __call__(self, y: Value, t: Value) -> Value:
        _check_shapes(y, t)
        be = self.be
        return be.sum(be.safelog(1 - y) * (t - 1) - be.safelog(y) * t, axis=0)

    def bprop(self, y: Value, t: Value) -> Value:
        return self.scale * (y - t)


class CrossEntropyMulti(Cost):
    """−Σ t·log(y), in bits with `usebits`; the error, y − t, is that before a Softmax."""

    def __init__(self, scale: float = 1, usebits: bool = False) -> None:
        super().__init__()
        self.scale, self.usebits = scale, usebits
        self.logscale = 1 / math.log(2) if usebits else 1.0

    def __call__(self, y: Value, t: Value) -> Value:
        _check_shapes(y, t)
        return self.be.sum(-t * self.logscale * self.be.safelog(y), axis=0)

    def bprop(self, y: Value, t: Value) -> Value:
        return self.logscale * self.scale * (y - t)


class SumSquared(Cost):
    """½ Σ (y − t)²."""

    def __init__(self) -> None:
        pass

    def __call__(self, y: Value, t: Value) -> Value:
        return self.be.sum(self.be.square(y - t), axis=0) / 2.0

    def bprop(self, y: Value, t: Value) -> Value:
        return y - t


class MeanSquared(Cost):
    """½ mean (y − t)²."""

    def __init__(self) -> None:
        pass

    def __call__(self, y: Value, t: Value) -> Value:
        return self.be.mean(self.be.square(y - t), axis=0) / 2.0

    def bprop(self, y: Value, t: Value) -> Value:
        return (y - t) / y.shape[0]


class SmoothL1Loss(Cost):
    """Σ ½(σd)² where |d| < 1/σ², |d| − ½/σ² elsewhere, with d = y − t. Source: Girshick 2015."""

    def __init__(self, sigma: float = 1.0) -> None:
        self.sigma = sigma
        self._sigma2 = sigma * sigma

    def smoothL1(self, x: Value) -> Value:
        """The cost of each difference."""
        size, limit = self.be.absolute(x), 1 / self._sigma2
        near = 0.5 * self.be.square(x) * self._sigma2 * (size < limit)
        return near + (size - 0.5 * limit) * (size >= limit)

    def smoothL1grad(self, x: Value) -> Value:
        """The derivative of `smoothL1`."""
        size, limit = self.be.absolute(x), 1 / self._sigma2
        return x * self._sigma2 * (size < limit) + self.be.sgn(x) * (size >= limit)

    def __call__(self, y: Value, t: Value) -> Value:
        return self.be.sum(self.smoothL1(y - t), axis=0)

    def bprop(self, y: Value, t: Value) -> Value:
        return self.smoothL1grad(y - t)


class SquareHingeLoss(Cost):
    """mean max(margin − (2t − 1)·y, 0)², for targets 0 and 1."""

    def __init__(self, margin: float = 1) -> None:
        self.margin = margin

    def squarehinge(self, y: Value, t: Value) -> Value:
        """The cost."""
        return self.be.mean(self.be.square(self._missing(y, t)), axis=0)

    def squarehingegrad(self, y: Value, t: Value) -> Value:
        """Its derivative by `y`."""
        return -2 * (2 * t - 1) * self._missing(y, t) / float(y.shape[0])

    def _missing(self, y: Value, t: Value) -> Value:
        return self.be.maximum(self.margin - (2 * t - 1) * y, 0)

    __call__ = squarehinge
    bprop = squarehingegrad


class GANCost(Cost):
    """What a discriminator's outputs for data and for noise cost it, and the generator.

    `func` is "original" or "modified" (Goodfellow et al. 2014; they differ in the generator's
    cost), or "wasserstein" (Arjovsky et al. 2017).
    """

    def __init__(self, scale: float = 1.0, cost_type: str = "dis", func: str = "modified") -> None:
        assert cost_type in ("dis", "gen"), "Illegal GAN cost type, can only be: gen or dis"
        assert func in ("original", "modified", "wasserstein"), (
            "Unsupported GAN cost function, supported: original, modified, wasserstein"
        )
        self.scale, self.cost_type, self.func = scale, cost_type, func
        self.one_buf = self.be.iobuf(1)
        self.one_buf.fill(1)

    def __call__(self, y_data: Value, y_noise: Value, cost_type: str | None = "dis") -> Value:
        """The cost of a kind: "dis", "dis_data" (its first term), "dis_noise", or "gen"."""
        assert y_data.shape == y_noise.shape, "Noise and data output shape mismatch"
        if cost_type == "dis":
            cost = self._data(y_data) + self._noise(y_noise)
        elif cost_type == "dis_data":
            cost = self._data(y_data)
        elif cost_type == "dis_noise":
            cost = self._noise(y_noise)
        elif cost_type == "gen":
            cost = self._generator(y_noise)
        else:
            raise ValueError(f"GANCost has no cost {cost_type!r}: dis, dis_data, dis_noise, gen")
        return self.be.mean(cost, axis=0)

    def _data(self, y: Value) -> Value:
        return y if self.func == "wasserstein" else -self.be.safelog(y)

    def _noise(self, y: Value) -> Value:
        return -y if self.func == "wasserstein" else -self.be.safelog(1 - y)

    def _generator(self, y: Value) -> Value:
        if self.func == "wasserstein":
            return y
        return self.be.safelog(1 - y) if self.func == "original" else -self.be.safelog(y)

    def bprop_data(self, y_data: Value) -> Value:
        """The derivative of the discriminator's cost by its output for data."""
        if self.func == "wasserstein":
            return self.scale * self.one_buf
        return self.scale * (-1.0 / y_data)

    def bprop_noise(self, y_noise: Value) -> Value:
        """The derivative of the discriminator's cost by its output for noise."""
        if self.func == "wasserstein":
            return -self.scale * self.one_buf
        return self.scale / (1.0 - y_noise)

    def bprop_generator(self, y_noise: Value) -> Value:
        """The derivative of the generator's cost by the discriminator's output for noise."""
        if self.func == "wasserstein":
            return self.scale * self.one_buf
        return self.scale / (y_noise - 1.0) if self.func == "original" else -self.scale / y_noise


class Metric(Cost):
    """What is measured but not trained for."""

    metric_names: list[str]

    def __call__(self, y: Value, t: Value, calcrange: slice = ALL) -> Any:
        raise NotImplementedError()


class MultiMetric(Metric):
    """A metric of one output of a model that has several, with the target of the same index."""

    def __init__(self, metric: Metric, index: int) -> None:
        self.metric, self.index = metric, index

    def __call__(self, y: Value, t: Value, *args: Any, **kwargs: Any) -> Any:
        target = t[self.index] if isinstance(t, (list, tuple)) else t
        return self.metric(y[self.index], target, *args, **kwargs)

    def __getattr__(self, key: str) -> Any:
        if key == "metric":  # not there yet, while it is copied
            raise AttributeError(key)
        return getattr(self.metric, key)


class LogLoss(Metric):
    """The mean of −log of the probability that the output gives the target."""

    def __init__(self) -> None:
        self.correctProbs = self.be.iobuf(1)
        self.metric_names = ["LogLoss"]

    def __call__(self, y: Value, t: Value, calcrange: slice = ALL) -> Any:
        self.correctProbs[:] = -self.be.safelog(self.be.sum(y * t, axis=0))
        return np.array(_mean(self.correctProbs, calcrange))


class TopKMisclassification(Metric):
    """LogLoss, and the parts whose target is not the likeliest, not among the `k` likeliest.

    Classes as likely as the target share the places that are left.
    """

    def __init__(self, k: int) -> None:
        self.k = k
        self.correctProbs, self.top1, self.topk = (self.be.iobuf(1) for _ in range(3))
        self.metric_names = ["LogLoss", "Top1Misclass", f"Top{k}Misclass"]

    def __call__(self, y: Value, t: Value, calcrange: slice = ALL) -> Any:
        be, target = self.be, self.correctProbs
        target[:] = be.sum(y * t, axis=0)
        places = self.k - be.sum(y > target, axis=0)
        equal = be.sum(y == target, axis=0)
        share = (equal <= places) * (1 - places / equal) + places / equal
        self.topk[:] = 1.0 - (places > 0) * share
        self.top1[:] = 1.0 - (be.max(y, axis=0) == target) / equal
        target[:] = -be.safelog(target)
        return np.array([_mean(x, calcrange) for x in (target, self.top1, self.topk)])


class Misclassification(Metric):
    """The part of columns whose largest output is not the target's; `outputs` has each's 0 or 1."""

    def __init__(self, steps: int = 1) -> None:
        self.preds = self.be.iobuf((1, steps), persist_values=False)
        self.hyps = self.be.iobuf((1, steps), persist_values=False)
        self.outputs = self.preds
        self.metric_names = ["Top1Misclass"]

    def __call__(self, y: Value, t: Value, calcrange: slice = ALL) -> Any:
        self.preds[:] = self.be.argmax(y, axis=0)
        self.hyps[:] = self.be.argmax(t, axis=0)
        self.outputs[:] = self.be.not_equal(self.preds, self.hyps)
        return _mean(self.outputs, calcrange)


class Accuracy(Metric):
    """The part of columns whose largest output is the target's; `outputs` has each's 0 or 1."""

    def __init__(self) -> None:
        self.preds = self.be.iobuf(1)
        self.hyps = self.be.iobuf(1)
        self.outputs = self.preds
        self.metric_names = ["Accuracy"]

    def __call__(self, y: Value, t: Value, calcrange: slice = ALL) -> Any:
        self.preds[:] = self.be.argmax(y, axis=0)
        self.hyps[:] = self.be.argmax(t, axis=0)
        self.outputs[:] = self.be.equal(self.preds, self.hyps)
        return _mean(self.outputs, calcrange)


class PrecisionRecall(Metric):
    """Precision and recall, means over classes; `outputs` has each class's, [num_classes, 2].

    Outputs and targets are 0 and 1; with `binarize` the output is overwritten with 1 for its
    largest class and 0 for others. `epsilon` is added to divisors.
    """

    def __init__(self, num_classes: int, binarize: bool = False, epsilon: float = 1e-6) -> None:
        self.outputs = self.be.empty((num_classes, 2))
        self.token_stats = self.be.empty((num_classes, 3))
        self.bin_buf = self.be.iobuf(1, dtype=np.int32) if binarize else None
        self.eps = epsilon
        self.metric_names = ["Precision", "Recall"]

    def __call__(self, y: Value, t: Value, calcrange: slice = ALL) -> Any:
        be, stats = self.be, self.token_stats
        if self.bin_buf is not None:
            be.argmax(y, axis=0, out=self.bin_buf)
            y[:] = be.onehot(self.bin_buf, axis=0)
        for column, counted in enumerate((y * t, y, t)):
            stats[:, column] = be.sum(counted, axis=1)
        self.outputs[:, 0] = stats[:, 0] / (stats[:, 1] + self.eps)
        self.outputs[:, 1] = stats[:, 0] / (stats[:, 2] + self.eps)
        return self.outputs.get().mean(axis=0)


class ObjectDetection(Metric):
    """Accuracy of labels, and smooth L1 loss of boxes, of a detector's two outputs.

    `y` is (labels, boxes), `t` ((labels, mask) or labels, (boxes, mask)).
    """

    def __init__(self) -> None:
        self.metric_names = ["Accuracy", "SmoothL1Loss"]
        self.label_ind, self.bbox_ind = 0, 1

    def smoothL1(self, x: Value) -> Value:
        """The loss of each difference."""
        return SmoothL1Loss().smoothL1(x)

    def __call__(self, y: Value, t: Value, calcrange: slice = ALL) -> Any:
        be = self.be
        boxes, box_mask = t[self.bbox_ind]
        self.detectionMetric = be.empty((1, boxes.shape[1]))
        differences = y[self.bbox_ind] * box_mask - boxes
        self.detectionMetric[:] = be.sum(self.smoothL1(differences), axis=0)
        guess, label = y[self.label_ind], t[self.label_ind]
        if isinstance(label, tuple):
            guess, label = guess * label[1], label[0] * label[1]
        self.preds, self.hyps, self.labelMetric = (be.empty((1, guess.shape[1])) for _ in range(3))
        self.preds[:] = be.argmax(guess, axis=0)
        self.hyps[:] = be.argmax(label, axis=0)
        self.labelMetric[:] = be.equal(self.preds, self.hyps)
        return np.array([_mean(x, calcrange) for x in (self.labelMetric, self.detectionMetric)])


class BLEUScore(Metric):
    """The BLEU score of sentences, in percent; `bleu_n` has those of n-grams up to 1, 2, … N.

    Source: Papineni et al. 2002. N-grams that contain `unk` never match.
    """

    def __init__(self, unk: str = "<unk>") -> None:
        self.metric_names = ["BLEU"]
        self.end_token = "."
        self.unk_symbol = unk

    def __call__(  # type: ignore[override]  # a metric of texts
        self,
        y: Iterable[str],
        t: Iterable[Sequence[str]],
        N: int = 4,
        brevity_penalty: bool = False,
        lower_case: bool = True,
    ) -> float:
        """The score of sentences `y`, each of which has several references in `t`.

        `lower_case` is of the sentences; references are taken as they are.
        """
        totals, correct = np.zeros(N), np.zeros(N)
        length = reference_length = 0
        for sentence, references in zip(y, t, strict=False):
            words = (sentence.lower() if lower_case else sentence).strip(self.end_token).split()
            others = [reference.split() for reference in references]
            length += len(words)
            reference_length += min((abs(len(words) - len(o)), len(o)) for o in others)[1]
            self._count(_ngrams(words, N), _most(others, N), totals, correct)
        penalty = 1.0
        if brevity_penalty and length < reference_length:
            penalty = math.exp(1 - reference_length / length)
        logs = np.log(correct / totals + 1e-7)
        self.bleu_n = [100 * penalty * np.exp(logs[:n].mean()) for n in range(1, N + 1)]
        shown = " ".join(str(np.round(score, 2)) for score in self.bleu_n)
        neon_logger.display("Bleu scores: " + shown)
        return self.bleu_n[-1]

    def _count(
        self, found: Counter[Ngram], most: Counter[Ngram], totals: np.ndarray, correct: np.ndarray
    ) -> None:
        for ngram, count in found.items():
            totals[len(ngram) - 1] += count
            if self.unk_symbol not in " ".join(ngram):
                correct[len(ngram) - 1] += min(count, most[ngram])


Ngram = tuple[str, ...]


def _ngrams(words: Sequence[str], longest: int) -> Counter[Ngram]:
    return Counter(
        tuple(words[start : start + n])
        for n in range(1, longest + 1)
        for start in range(len(words) - n + 1)
    )


def _most(sentences: Sequence[Sequence[str]], longest: int) -> Counter[Ngram]:
    """How often each n-gram occurs in the sentence that has most of it."""
    most: Counter[Ngram] = Counter()
    for words in sentences:
        most |= _ngrams(words, longest)
    return most


def _mean(buffer: Value, calcrange: slice) -> Any:
    return buffer.get()[:, calcrange].mean()

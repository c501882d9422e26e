"""Decoding of connectionist temporal classification: from scores of classes over time to labels.

One sequence at a time, scores (time, classes), of which class `blank` stands for no label.
Source: Graves, Fernández, Gomez and Schmidhuber 2006; the search with a language model is that of
Hannun, Maas, Jurafsky and Ng 2014.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from anode.errors import DataError

Labels = tuple[int, ...]
Scorer = Callable[[Labels], float]


class Hypothesis(NamedTuple):
    """A labelling and its score: its log probability, plus what a scorer added."""

    labels: Labels
    score: float


def collapse(path: Sequence[int], blank: int = 0, *, merge_repeated: bool = True) -> Labels:
    """The labels that a class at each time says: repeated ones merged, then without blanks."""
    kept = (k for k, _ in groupby(path)) if merge_repeated else path
    return tuple(k for k in kept if k != blank)


def greedy(scores: np.ndarray, blank: int = 0, *, merge_repeated: bool = True) -> Labels:
    """The labels of the likeliest class at each time, from any increasing function of p."""
    _check(scores, blank)
    return collapse(scores.argmax(-1).tolist(), blank, merge_repeated=merge_repeated)


def beam_search(
    scores: np.ndarray, width: int, blank: int = 0, *, scorer: Scorer | None = None
) -> list[Hypothesis]:
    """The likeliest labellings, best first, that a search keeping `width` prefixes finds.

    `scores` are logits or log probabilities. `scorer(labels)` is what the last of the labels adds
    to the score of those before it, such as α · log p of a language model plus β; it is asked once
    for each prefix.
    """
    _check(scores, blank)
    if width < 1:
        raise DataError(f"a search keeps at least one prefix, not {width}")
    log_p = log_softmax(scores)
    labels = np.delete(np.arange(log_p.shape[-1]), blank)
    beams = _Beams([()], np.zeros(1), np.full(1, -np.inf), np.zeros(1))
    asked = _Bonus(scorer)
    for row in log_p:
        beams = beams.grown(row, blank, labels, width, asked)
    scored = np.logaddexp(beams.by_blank, beams.by_label) + beams.bonus
    order = np.argsort(-scored, kind="stable")
    return [Hypothesis(beams.prefixes[i], float(scored[i])) for i in order]


def log_softmax(scores: np.ndarray) -> np.ndarray:
    """log p f64 of each class, of logits along the last axis; log probabilities stay themselves."""
    shifted = scores.astype(np.float64) - scores.max(-1, keepdims=True)
    normal: np.ndarray = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return normal


class _Beams(NamedTuple):
    """Prefixes, each with the log probability of the paths that end in a blank, and in its label.

    `bonus` is what the scorer added.
    """

    prefixes: list[Labels]
    by_blank: np.ndarray
    by_label: np.ndarray
    bonus: np.ndarray

    def grown(
        self, row: np.ndarray, blank: int, labels: np.ndarray, width: int, bonus: _Bonus
    ) -> _Beams:
        """The best prefixes after one more time, whose classes have the log probabilities `row`."""
        total = np.logaddexp(self.by_blank, self.by_label)
        last = [prefix[-1] if prefix else blank for prefix in self.prefixes]
        by_blank = total + row[blank]
        by_label = np.where(np.array(last) == blank, -np.inf, self.by_label + row[last])
        # A label that repeats the last one is a new one only after a blank.
        repeats = labels == np.array(last)[:, None]
        longer = np.where(repeats, self.by_blank[:, None], total[:, None]) + row[labels]
        self._meet(longer, by_label, np.searchsorted(labels, last))
        raised = self.bonus[:, None] + bonus.of(self.prefixes, labels, longer)
        blanks = np.concatenate([by_blank, np.full(longer.size, -np.inf)])
        ends = np.concatenate([by_label, longer.ravel()])
        added = np.concatenate([self.bonus, raised.ravel()])
        scored = np.logaddexp(blanks, ends) + added
        best = np.argsort(-scored, kind="stable")[:width]
        best = best[scored[best] > -np.inf]
        prefixes = [self._prefix(i, labels) for i in best.tolist()]
        return _Beams(prefixes, blanks[best], ends[best], added[best])

    def _prefix(self, candidate: int, labels: np.ndarray) -> Labels:
        """A candidate: one of the prefixes, or after them each prefix with each label more."""
        count = len(self.prefixes)
        if candidate < count:
            return self.prefixes[candidate]
        parent, place = divmod(candidate - count, len(labels))
        return (*self.prefixes[parent], int(labels[place]))

    def _meet(self, longer: np.ndarray, by_label: np.ndarray, places: np.ndarray) -> None:
        """Add a prefix that is another one with a label more to that other one."""
        at = {prefix: i for i, prefix in enumerate(self.prefixes)}
        for i, prefix in enumerate(self.prefixes):
            parent = at.get(prefix[:-1]) if prefix else None
            if parent is not None:
                by_label[i] = np.logaddexp(by_label[i], longer[parent, places[i]])
                longer[parent, places[i]] = -np.inf


class _Bonus:
    """What a scorer adds to prefixes, each asked for once."""

    def __init__(self, scorer: Scorer | None) -> None:
        self.scorer = scorer
        self.known: dict[Labels, float] = {}

    def of(self, prefixes: list[Labels], labels: np.ndarray, longer: np.ndarray) -> np.ndarray:
        """For each prefix with each of the labels more that has a probability; else 0."""
        found = np.zeros(longer.shape)
        if self.scorer is None:
            return found
        for i, k in np.argwhere(longer > -np.inf).tolist():
            prefix = (*prefixes[i], int(labels[k]))
            if prefix not in self.known:
                self.known[prefix] = self.scorer(prefix)
            found[i, k] = self.known[prefix]
        return found


def _check(scores: np.ndarray, blank: int) -> None:
    if scores.ndim != 2 or not 0 <= blank < scores.shape[1]:
        raise DataError(
            f"scores are (time, classes) with the blank {blank} among them, not {scores.shape}"
        )

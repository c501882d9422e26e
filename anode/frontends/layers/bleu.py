"""BLEU: how much of sentences' runs of words occurs in reference sentences.

Source: Papineni et al., "BLEU: a Method for Automatic Evaluation of Machine Translation", 2002.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from anode import ops
from anode.errors import DataError, ShapeError
from anode.frontends.layers.metrics import Metric
from anode.ir.node import Node

Words = Sequence[Hashable]


@dataclass(frozen=True)
class Bleu:
    """The score of a corpus, and what it is made of; printed as multi-bleu.perl does.

    `precisions` are the shares of runs of 1, 2, … words that the references have; `length` and
    `reference_length` count words, of the references nearest in length.
    """

    precisions: tuple[float, ...]
    length: int
    reference_length: int

    @property
    def penalty(self) -> float:
        """The factor, at most 1, for sentences shorter than their references."""
        if not self.length:
            return 0.0
        return math.exp(min(0.0, 1 - self.reference_length / self.length))

    @property
    def score(self) -> float:
        """The geometric mean of the precisions times the penalty, in per cent."""
        if not all(self.precisions):
            return 0.0
        return (
            100
            * self.penalty
            * math.exp(sum(map(math.log, self.precisions)) / len(self.precisions))
        )

    def __str__(self) -> str:
        shares = "/".join(f"{100 * share:.1f}" for share in self.precisions)
        ratio = self.length / max(self.reference_length, 1)
        return (
            f"BLEU = {self.score:.2f}, {shares} (BP={self.penalty:.3f}, ratio={ratio:.3f}, "
            f"hyp_len={self.length}, ref_len={self.reference_length})"
        )


def bleu(
    sentences: Iterable[Words], references: Iterable[Sequence[Words]], longest: int = 4
) -> Bleu:
    """The BLEU of sentences, as lists of words, with the references that each has.

    Runs of 1 to `longest` words count. Raises DataError for a sentence without references.
    """
    counts = np.zeros(2 * longest + 2)
    for words, others in zip(sentences, references, strict=True):
        if not others:
            raise DataError(f"the sentence {' '.join(map(str, words))!r} has no reference")
        counts += counted(words, others, longest)
    return of_counts(counts)


def counted(words: Words, others: Sequence[Words], longest: int) -> np.ndarray:
    """What a sentence adds up to: right and all runs of each length, its length, the nearest."""
    right, total = [], []
    for n in range(1, longest + 1):
        found, most = _runs(words, n), Counter[tuple[Hashable, ...]]()
        for other in others:
            most |= _runs(other, n)
        right.append((found & most).total())
        total.append(found.total())
    nearest = min((abs(len(other) - len(words)), len(other)) for other in others)[1]
    return np.array([*right, *total, len(words), nearest], float)


def of_counts(counts: np.ndarray) -> Bleu:
    """The score of what `counted` gave, added up over sentences."""
    right, total = counts[:-2].reshape(2, -1)
    shares = np.divide(right, total, out=np.zeros_like(right), where=total > 0)
    return Bleu(tuple(map(float, shares)), int(counts[-2]), int(counts[-1]))


@dataclass(frozen=True)
class BLEU(Metric):
    """BLEU in per cent of sequences of tokens [batch, steps] against one reference each.

    Outputs are tokens, or numbers for each token, of which the largest is taken. A sentence ends
    before the first token `end`, if that is given; runs of up to `longest` tokens count.
    """

    end: int | None = None
    longest: int = 4

    def sums(self, y: Node, t: Node) -> Node:
        if not y.dtype.is_integer:
            y = ops.argmax(y, axis=len(y.shape) - 1, dtype="i32")
        if y.shape != t.shape or len(t.shape) != 2 or not t.dtype.is_integer:
            raise ShapeError(f"BLEU takes tokens [batch, steps], not {y.type} and {t.type}")
        return ops.stack([ops.convert(x, dtype="i32") for x in (y, t)])

    def count(self, value: np.ndarray) -> np.ndarray:
        total = np.zeros(2 * self.longest + 2)
        for sentence, reference in zip(*value.tolist(), strict=True):
            total += counted(self._cut(sentence), [self._cut(reference)], self.longest)
        return total

    def combine(self, sums: np.ndarray, rows: int) -> np.ndarray:
        return np.array([of_counts(sums).score])

    def _cut(self, tokens: list[int]) -> list[int]:
        return tokens[: tokens.index(self.end)] if self.end in tokens else tokens


def _runs(words: Words, n: int) -> Counter[tuple[Hashable, ...]]:
    """How often each run of n words occurs."""
    return Counter(tuple(words[start : start + n]) for start in range(len(words) - n + 1))

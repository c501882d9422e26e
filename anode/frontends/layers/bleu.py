"""BLEU: how much of sentences' runs of words occurs in reference sentences.

Source: Papineni et al., "BLEU: a Method for Automatic Evaluation of Machine Translation", 2002.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from anode.errors import DataError

Words = Sequence[str]


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
    total, right = [0] * longest, [0] * longest
    length = reference_length = 0
    for words, others in zip(sentences, references, strict=True):
        if not others:
            raise DataError(f"the sentence {' '.join(words)!r} has no reference")
        length += len(words)
        reference_length += min((abs(len(o) - len(words)), len(o)) for o in others)[1]
        for n in range(1, longest + 1):
            found, most = _runs(words, n), Counter[tuple[str, ...]]()
            for other in others:
                most |= _runs(other, n)
            total[n - 1] += found.total()
            right[n - 1] += (found & most).total()
    shares = tuple(r / t if t else 0.0 for r, t in zip(right, total, strict=True))
    return Bleu(shares, length, reference_length)


def _runs(words: Words, n: int) -> Counter[tuple[str, ...]]:
    """How often each run of n words occurs."""
    return Counter(tuple(words[start : start + n]) for start in range(len(words) - n + 1))

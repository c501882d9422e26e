"""Transcripts: how far what was heard is from what was said."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from anode.errors import DataError


def edit_distance(a: Sequence[Any], b: Sequence[Any]) -> int:
    """The fewest insertions, deletions and substitutions that make `b` of `a`.

    Source: Levenshtein 1966, by the dynamic programme of Wagner and Fischer 1974.
    """
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            cheapest = min(row[j] + 1, row[j - 1] + 1, diagonal + (x != y))
            diagonal, row[j] = row[j], cheapest
    return row[-1]


def label_error_rate(heard: Iterable[Sequence[Any]], said: Iterable[Sequence[Any]]) -> float:
    """All edit distances over the number of all labels said: 0 is right, above 1 is possible."""
    pairs = list(zip(heard, said, strict=True))
    total = sum(len(truth) for _, truth in pairs)
    if not total:
        raise DataError("an error rate needs a transcript that is not empty")
    return sum(edit_distance(truth, guess) for guess, truth in pairs) / total


def character_error_rate(heard: Iterable[str], said: Iterable[str]) -> float:
    """The label error rate of characters, blanks between words included."""
    return label_error_rate(heard, said)


def word_error_rate(heard: Iterable[str], said: Iterable[str]) -> float:
    """The label error rate of words, which are what is between white space."""
    return label_error_rate(map(str.split, heard), map(str.split, said))

"""Minibatches of sequences of like lengths, padded, with their lengths and labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from anode.data.batches import Last, Minibatches, Position, permutation
from anode.errors import DataError


class SequenceBatches(Minibatches):
    """Minibatches ((x, lengths), (labels, counts)) of sequences, each with some labels.

    `sequences` are arrays f32[steps, …] that differ in their steps only, `labels` as many sequences
    of integers. They are put into `buckets` of about as many rows by their lengths, and a minibatch
    has rows of one bucket: x[batch, most steps of the bucket, …], padded with 0, and labels
    i32[batch, most labels of all], padded with 0. So there are as many shapes of minibatches as
    buckets; `last="keep"` adds one for each bucket's smaller last minibatch.

    With a seed both the rows of each bucket and the buckets' minibatches come in a random order.
    `position` resumes as in `Minibatches`.
    """

    def __init__(
        self,
        sequences: Sequence[np.ndarray],
        labels: Sequence[Sequence[int]],
        batch_size: int,
        *,
        buckets: int = 4,
        seed: int | None = None,
        last: Last = "drop",
    ) -> None:
        if len(sequences) != len(labels):
            raise DataError(f"{len(sequences)} sequences and labels of {len(labels)}")
        if last == "wrap":
            raise DataError("last='wrap' is not there for sequences; choose 'drop' or 'keep'")
        super().__init__(len(sequences), batch_size, seed=seed, last=last)
        self.sequences = sequences
        self.lengths = np.array([len(x) for x in sequences], np.int32)
        self.counts = np.array([len(row) for row in labels], np.int32)
        self.labels = _padded([np.array(row, np.int32) for row in labels], int(self.counts.max()))
        order = np.argsort(self.lengths, kind="stable")
        self.buckets = [rows for rows in np.array_split(order, max(buckets, 1)) if len(rows)]
        self._plan: tuple[int, list[np.ndarray]] | None = None  # the epoch and its minibatches
        if not len(self):
            raise DataError(
                f"no bucket has {batch_size} rows; choose fewer buckets, a smaller batch_size or "
                "last='keep'"
            )

    def __len__(self) -> int:
        """Minibatches in an epoch."""
        return sum(len(self._cuts(rows)) for rows in self.buckets)

    def _minibatch(self, position: Position) -> Any:
        rows = self._epoch(position.epoch)[position.batch]
        bucket = next(bucket for bucket in self.buckets if rows[0] in bucket)
        steps = int(self.lengths[bucket].max())
        x = _padded([self.sequences[row] for row in rows], steps)
        return (x, self.lengths[rows]), (self.labels[rows], self.counts[rows])

    def _epoch(self, epoch: int) -> list[np.ndarray]:
        """The rows of each minibatch of an epoch."""
        if self._plan is not None and self._plan[0] == epoch:
            return self._plan[1]
        plan = [
            rows[cut]
            for i, bucket in enumerate(self.buckets)
            for rows in [self._shuffled(bucket, epoch, i + 1)]
            for cut in self._cuts(bucket)
        ]
        order = self._shuffled(np.arange(len(plan)), epoch, 0)
        self._plan = epoch, [plan[i] for i in order]
        return self._plan[1]

    def _shuffled(self, values: np.ndarray, epoch: int, stream: int) -> np.ndarray:
        if self.seed is None:
            return values
        order = permutation(len(values), self.seed, epoch * (len(self.buckets) + 1) + stream)
        return values[order]

    def _cuts(self, rows: np.ndarray) -> list[slice]:
        size = self.batch_size
        stop = len(rows) if self.last == "keep" else len(rows) - size + 1
        return [slice(start, start + size) for start in range(0, stop, size)]


def _padded(rows: Sequence[np.ndarray], length: int) -> np.ndarray:
    """Rows of different lengths as one array, with zeros after each."""
    found = np.zeros((len(rows), length, *rows[0].shape[1:]), rows[0].dtype)
    for whole, row in zip(found, rows, strict=True):
        whole[: len(row)] = row
    return found

"""Minibatches in a seeded order that can be resumed at any minibatch."""

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import numpy as np

from anode.errors import DataError

Arrays = tuple[np.ndarray, ...]


class Position(NamedTuple):
    """Where the next minibatch is: the epoch and the number of the minibatch in it, both from 0."""

    epoch: int = 0
    batch: int = 0


class Batches:
    """An iterable over the minibatches of one epoch after another.

    `arrays` share their first dimension, the rows. `for batch in batches` runs to the end of the
    current epoch, and the next `for` takes the next one; `next_batch` runs on across epochs. A
    minibatch is a tuple with one array of `batch_size` rows for each of `arrays`, or what
    `transform` makes of these.

    The order of an epoch depends on `seed`, the epoch and the number of rows only (see
    `permutation`); without a seed, rows come in their order and minibatches are views. `last` says
    what becomes of rows left over at the end of an epoch: "drop" leaves them out, "keep" makes a
    smaller minibatch, "wrap" fills it up from the start of the same epoch's order.

    `position` is where the next minibatch is. Saved after a training step and assigned to an equal
    `Batches`, it resumes with exactly the minibatch that would have followed.
    """

    def __init__(
        self,
        arrays: Arrays,
        batch_size: int,
        *,
        seed: int | None = None,
        last: Literal["drop", "keep", "wrap"] = "drop",
        transform: Callable[..., Arrays] | None = None,
    ) -> None:
        self.rows = _rows(arrays)
        if last not in ("drop", "keep", "wrap"):
            raise DataError(f"last={last!r}: choose 'drop', 'keep' or 'wrap'")
        if batch_size < 1 or (last == "drop" and batch_size > self.rows):
            raise DataError(
                f"batch_size={batch_size} gives no minibatch of {self.rows} rows; "
                "choose one from 1 to the number of rows, or last='keep'"
            )
        if seed is not None and not 0 <= seed < 2**64:
            raise DataError(f"seed={seed}: choose an integer from 0 to 2**64 - 1")
        self.arrays = tuple(arrays)
        self.batch_size = batch_size
        self.seed = seed
        self.last = last
        self.transform = transform
        self._position = Position()
        self._order: tuple[int, np.ndarray] | None = None  # the epoch and its permutation

    def __len__(self) -> int:
        """Minibatches in an epoch."""
        whole, left = divmod(self.rows, self.batch_size)
        return whole + (left > 0 and self.last != "drop")

    @property
    def position(self) -> Position:
        """The next minibatch; any pair in range may be assigned."""
        return self._position

    @position.setter
    def position(self, value: tuple[int, int]) -> None:
        epoch, batch = value
        if not (0 <= epoch < 2**64 and 0 <= batch < len(self)):
            raise DataError(
                f"position {tuple(value)}: the epoch counts from 0, the batch from 0 to "
                f"{len(self) - 1} for {self.rows} rows in minibatches of {self.batch_size}"
            )
        self._position = Position(epoch, batch)

    def __iter__(self) -> Iterator[Arrays]:
        epoch = self._position.epoch
        while self._position.epoch == epoch:
            yield self.next_batch()

    def next_batch(self) -> Arrays:
        """The minibatch at `position`, which moves on, after the last one to the next epoch."""
        epoch, batch = self._position
        arrays = self._gather(epoch, batch)
        ended = batch + 1 == len(self)
        self._position = Position(epoch + 1, 0) if ended else Position(epoch, batch + 1)
        return arrays if self.transform is None else self.transform(*arrays)

    def _gather(self, epoch: int, batch: int) -> Arrays:
        rows = self._batch_rows(epoch, batch)
        if isinstance(rows, slice):
            return tuple(array[rows] for array in self.arrays)
        return tuple(np.take(array, rows, axis=0) for array in self.arrays)

    def _batch_rows(self, epoch: int, batch: int) -> slice | np.ndarray:
        start = batch * self.batch_size
        stop = start + self.batch_size
        wraps = stop > self.rows and self.last == "wrap"
        if self.seed is None:
            return np.arange(start, stop) % self.rows if wraps else slice(start, stop)
        if self._order is None or self._order[0] != epoch:
            self._order = epoch, permutation(self.rows, self.seed, epoch)
        order = self._order[1]
        return np.take(order, range(start, stop), mode="wrap") if wraps else order[start:stop]


def permutation(rows: int, seed: int, epoch: int) -> np.ndarray:
    """The order i64[rows] of the rows in an epoch: the ranks of as many Philox 4x64-10 words.

    The generator's key is (seed, epoch). Sorting its raw words gives the same order on every
    machine and under every NumPy, whose own `permutation` may change between versions.
    """
    words = np.random.Philox(key=np.array([seed, epoch], np.uint64)).random_raw(rows)
    return np.argsort(words, kind="stable")


def _rows(arrays: Arrays) -> int:
    if not arrays or any(array.ndim == 0 for array in arrays):
        raise DataError("arrays: give at least one, each with a first dimension of rows")
    rows = {len(array) for array in arrays}
    if len(rows) > 1:
        raise DataError(f"arrays have {sorted(rows)} rows; all need the same first dimension")
    if rows == {0}:
        raise DataError("arrays have no rows; give at least one")
    return rows.pop()

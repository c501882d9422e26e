"""Minibatches in a seeded order that can be resumed at any minibatch."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import numpy as np

from anode.errors import DataError

Arrays = tuple[np.ndarray, ...]
Last = Literal["drop", "keep", "wrap"]
Augment = Callable[[np.ndarray, np.ndarray], np.ndarray]
DRAWS = 4  # random words for each row: what one block of Philox 4x64 gives


class Position(NamedTuple):
    """Where the next minibatch is: the epoch and the number of the minibatch in it, both from 0."""

    epoch: int = 0
    batch: int = 0


class Minibatches(ABC):
    """An iterable over the minibatches of one epoch after another, wherever the rows come from.

    `for batch in batches` runs to the end of the current epoch, and the next `for` takes the next
    one; `next_batch` runs on across epochs.

    The order of an epoch depends on `seed`, the epoch and the number of rows only (see
    `permutation`); without a seed, rows come in their order. `last` says what becomes of rows left
    over at the end of an epoch: "drop" leaves them out, "keep" makes a smaller minibatch, "wrap"
    fills it up from the start of the same epoch's order.

    `position` is where the next minibatch is. Saved after a training step and assigned to equal
    minibatches, it resumes with exactly the minibatch that would have followed.
    """

    def __init__(
        self, rows: int, batch_size: int, *, seed: int | None = None, last: Last = "drop"
    ) -> None:
        if last not in ("drop", "keep", "wrap"):
            raise DataError(f"last={last!r}: choose 'drop', 'keep' or 'wrap'")
        if batch_size < 1 or (last == "drop" and batch_size > rows):
            raise DataError(
                f"batch_size={batch_size} gives no minibatch of {rows} rows; "
                "choose one from 1 to the number of rows, or last='keep'"
            )
        if seed is not None and not 0 <= seed < 2**64:
            raise DataError(f"seed={seed}: choose an integer from 0 to 2**64 - 1")
        self.rows = rows
        self.batch_size = batch_size
        self.seed = seed
        self.last = last
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
        arrays = self._minibatch(self._position)
        self._position = self._following(self._position)
        return arrays

    @abstractmethod
    def _minibatch(self, position: Position) -> Arrays:
        """The arrays of a minibatch."""

    def _following(self, position: Position) -> Position:
        epoch, batch = position
        return Position(epoch + 1, 0) if batch + 1 == len(self) else Position(epoch, batch + 1)

    def _rows_at(self, position: Position) -> slice | np.ndarray:
        epoch, batch = position
        start = batch * self.batch_size
        stop = start + self.batch_size
        wraps = stop > self.rows and self.last == "wrap"
        if self.seed is None:
            return np.arange(start, stop) % self.rows if wraps else slice(start, stop)
        if self._order is None or self._order[0] != epoch:
            self._order = epoch, permutation(self.rows, self.seed, epoch)
        order = self._order[1]
        return np.take(order, range(start, stop), mode="wrap") if wraps else order[start:stop]

    def _draws_at(self, position: Position, count: int) -> np.ndarray:
        """The random words of a minibatch of `count` rows."""
        assert self.seed is not None
        return draws(self.seed, position.epoch, position.batch * self.batch_size, count)


class Batches(Minibatches):
    """Minibatches of arrays in memory; see `Minibatches` for their order.

    `arrays` share their first dimension, the rows. A minibatch is a tuple with one array of
    `batch_size` rows for each of `arrays`; without a seed these are views. `augment`, such as
    `RandomCrop`, replaces the first array by what it makes of it and of random words
    u64[rows, 4], which depend on the seed, the epoch and the row's place in it; it needs a seed.
    `transform`, if given, then takes the arrays and returns others.
    """

    def __init__(
        self,
        arrays: Arrays,
        batch_size: int,
        *,
        seed: int | None = None,
        last: Last = "drop",
        augment: Augment | None = None,
        transform: Callable[..., Arrays] | None = None,
    ) -> None:
        super().__init__(_rows(arrays), batch_size, seed=seed, last=last)
        if augment is not None and seed is None:
            raise DataError("augment draws random numbers: give a seed")
        self.arrays = tuple(arrays)
        self.augment = augment
        self.transform = transform

    def _minibatch(self, position: Position) -> Arrays:
        arrays = self._gather(self._rows_at(position))
        if self.augment is not None:
            first, *others = arrays
            arrays = self.augment(first, self._draws_at(position, len(first))), *others
        return arrays if self.transform is None else self.transform(*arrays)

    def _gather(self, rows: slice | np.ndarray) -> Arrays:
        if isinstance(rows, slice):
            return tuple(array[rows] for array in self.arrays)
        return tuple(np.take(array, rows, axis=0) for array in self.arrays)


def permutation(rows: int, seed: int, epoch: int) -> np.ndarray:
    """The order i64[rows] of the rows in an epoch: the ranks of as many Philox 4x64-10 words.

    The generator's key is (seed, epoch). Sorting its raw words gives the same order on every
    machine and under every NumPy, whose own `permutation` may change between versions.
    """
    words = np.random.Philox(key=np.array([seed, epoch], np.uint64)).random_raw(rows)
    return np.argsort(words, kind="stable")


def draws(seed: int, epoch: int, start: int, count: int) -> np.ndarray:
    """Random words u64[count, 4] for the rows at the places `start` … of an epoch's order.

    A row's words are the Philox block of its place, so they do not depend on how the epoch is cut
    into minibatches. The counter's third word keeps them apart from those of `permutation`.
    """
    counter = np.array([start, 0, 1, 0], np.uint64)
    words = np.random.Philox(key=np.array([seed, epoch], np.uint64), counter=counter)
    return words.random_raw(DRAWS * count).reshape(count, DRAWS)


def below(words: np.ndarray, bound: int | np.ndarray) -> np.ndarray:
    """Random words u64 as integers i64 from 0 to `bound` - 1, for bounds up to 2**32."""
    return ((words >> np.uint64(32)) * np.asarray(bound, np.uint64) >> np.uint64(32)).astype(int)


def _rows(arrays: Arrays) -> int:
    if not arrays or any(array.ndim == 0 for array in arrays):
        raise DataError("arrays: give at least one, each with a first dimension of rows")
    rows = {len(array) for array in arrays}
    if len(rows) > 1:
        raise DataError(f"arrays have {sorted(rows)} rows; all need the same first dimension")
    if rows == {0}:
        raise DataError("arrays have no rows; give at least one")
    return rows.pop()

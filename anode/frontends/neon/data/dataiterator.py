"""Iterators over arrays: minibatches of columns, which wrap round at the end of the data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from anode.frontends.neon import NervanaObject


class NervanaDataIterator(NervanaObject):
    """Whatever a model can be fitted to: `nbatches`, `ndata`, `shape`, `reset` and iteration."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)

    def nbatches(self) -> int:
        """The number of minibatches; iterators have a number in place of this method."""
        raise NotImplementedError(f"{type(self).__name__} has no nbatches")

    def reset(self) -> None:
        """Go back to the first row."""
        raise NotImplementedError(f"{type(self).__name__} has no reset")

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__} has no __iter__")


class ArrayIterator(NervanaDataIterator):
    """Minibatches of arrays with a row for each example.

    `X` is an array (examples, features), or a list of them, which gives a tuple of inputs. Labels
    `y` become one-hot columns of `nclass` rows, unless `make_onehot` is False; without `y` the
    inputs are the targets. `lshape` is the shape of an example, such as (channels, height, width).

    Where the batch size does not divide the data, the last minibatch takes its missing rows from
    the start, and the next epoch begins after them; `reset` begins at the start again.
    """

    def __init__(
        self,
        X: Any,
        y: Any = None,
        nclass: int | None = None,
        lshape: Sequence[int] | None = None,
        make_onehot: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        self.start, self.nclass = 0, nclass
        arrays = [np.asarray(x) for x in (X if isinstance(X, list) else [X])]
        self.ndata = len(arrays[0])
        self._check(arrays, y, lshape, make_onehot)
        self.shape: Any = [x.shape[1] if lshape is None else lshape for x in arrays]
        if len(arrays) == 1:
            self.shape, self.lshape = self.shape[0], lshape
        self.inputs = [Rows(self.be, x) for x in arrays]
        self.targets: Rows | OneHotRows | None = None
        if y is not None:
            y = np.asarray(y)
            self.targets = OneHotRows(self.be, y, nclass) if make_onehot else Rows(self.be, y)

    def _check(self, arrays: list[np.ndarray], y: Any, lshape: Any, make_onehot: bool) -> None:
        if self.ndata < self.be.bsz:
            raise AssertionError(
                f"{self.ndata} examples do not fill a minibatch of {self.be.bsz}; "
                "use a smaller batch size (-z)"
            )
        for x in arrays:
            if lshape is not None and x.shape[1] != np.prod(lshape):
                raise AssertionError(f"lshape {lshape} does not hold {x.shape[1]} features")
            if y is not None and len(y) != len(x):
                raise AssertionError(f"there are {len(x)} examples but {len(y)} labels")
        if y is None or not make_onehot:
            return
        if self.nclass is None:
            raise AttributeError("one-hot labels need nclass, the number of classes")
        labels = np.asarray(y)
        if labels.min() < 0 or labels.max() >= self.nclass:
            raise AssertionError(f"labels must be from 0 to {self.nclass - 1} (nclass - 1)")
        if (np.floor(labels) != labels).any():
            raise AssertionError("labels must be whole numbers")

    @property
    def Xdev(self) -> list[Any]:
        """The inputs as tensors (examples, features)."""
        return [self.be.array(rows.rows) for rows in self.inputs]

    @property
    def Xbuf(self) -> tuple[Any, ...]:
        """The tensors that minibatches of inputs are put into."""
        return tuple(rows.buffer for rows in self.inputs)

    @property
    def ybuf(self) -> Any:
        """The tensor that minibatches of targets are put into; None where inputs are targets."""
        return None if self.targets is None else self.targets.buffer

    @property
    def nbatches(self) -> int:  # type: ignore[override]
        """The number of minibatches from the current start to the end of the data."""
        return -((self.start - self.ndata) // self.be.bsz)

    def reset(self) -> None:
        """Begin the next epoch with the first row."""
        self.start = 0

    def __iter__(self) -> Iterator[Any]:
        size = self.be.bsz
        parts = [*self.inputs, *([] if self.targets is None else [self.targets])]
        for begin in range(self.start, self.ndata, size):
            wrapped = max(0, begin + size - self.ndata)
            if wrapped:
                self.start = wrapped
            for part in parts:
                part.fill(begin, begin + size, wrapped)
            inputs = self.Xbuf if len(self.inputs) > 1 else self.Xbuf[0]
            yield inputs, inputs if self.targets is None else self.ybuf


class Rows:
    """An array with a row for each example, and the tensor its minibatches are put into."""

    def __init__(self, be: Any, array: np.ndarray) -> None:
        self.rows = np.ascontiguousarray(array, dtype=be.default_dtype)
        self.buffer = be.iobuf(array.shape[1])

    def fill(self, begin: int, end: int, wrapped: int) -> None:
        """Put rows `begin` to `end` in as columns, the last `wrapped` of them from the start."""
        self.buffer.set(chosen(self.rows, begin, end, wrapped).T)


class OneHotRows:
    """A label for each example, and the tensor that takes their one-hot columns."""

    def __init__(self, be: Any, labels: np.ndarray, nclass: int | None) -> None:
        self.rows = labels.reshape(-1).astype(np.int64)
        self.buffer = be.iobuf(nclass)

    def fill(self, begin: int, end: int, wrapped: int) -> None:
        labels = chosen(self.rows, begin, end, wrapped)
        self.buffer.set(onehot(labels, self.buffer.shape[0], self.buffer.dtype))


def chosen(rows: np.ndarray, begin: int, end: int, wrapped: int) -> np.ndarray:
    """The rows from `begin` to `end`, of which the last `wrapped` are the first ones again."""
    found = rows[begin : end - wrapped]
    return np.concatenate([found, rows[:wrapped]]) if wrapped else found


def onehot(labels: np.ndarray, depth: int, dtype: Any = np.float32) -> np.ndarray:
    """A column for each label, 1 in the row of that number; labels outside give zeros."""
    labels = labels.astype(np.int64, copy=False)  # files may have whole numbers as floats
    columns = np.zeros((depth, labels.size), dtype)
    within = np.flatnonzero((labels >= 0) & (labels < depth))
    columns[labels[within], within] = 1
    return columns

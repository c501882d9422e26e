"""Iterators of minibatches over arrays in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from anode.frontends import ngraph as ng
from anode.frontends.ngraph.frontends.neon.axis import ax


class ArrayIterator:
    """Minibatches of arrays whose first axis is the batch's; it wraps around at the end.

    `data_arrays` is an array, a sequence of arrays, or a dict of {'data': array, 'axes': names}.
    A minibatch is a dict of arrays with the 'iteration', which counts from 1. With `shuffle` the
    rows are permuted by numpy.random before every epoch.
    """

    def __init__(
        self,
        data_arrays: Any,
        batch_size: int,
        total_iterations: int | None = None,
        tgt_key: str = "label",
        shuffle: bool = False,
    ) -> None:
        self.batch_size = batch_size
        self.tgt_key = tgt_key
        self.axis_names: dict[Any, Any] = {}
        if isinstance(data_arrays, Mapping):
            self.data_arrays = {name: field["data"] for name, field in data_arrays.items()}
            self.axis_names = {name: field["axes"] for name, field in data_arrays.items()}
        elif isinstance(data_arrays, Sequence):
            self.data_arrays = dict(enumerate(data_arrays))
        else:
            self.data_arrays = {0: data_arrays}
        self.keys = list(self.data_arrays)
        self.ndata = len(self.data_arrays[self.keys[0]])
        if self.ndata < batch_size:
            raise ValueError(
                f"Number of examples is smaller than the batch size: {self.ndata} < {batch_size}"
            )
        self.index = 0
        self.pos = 0
        self.shuffle = shuffle
        if shuffle:
            self.shuffle_data()
        self.total_iterations = self.nbatches if total_iterations is None else total_iterations

    @property
    def nbatches(self) -> int:
        """The number of minibatches in the data, the last one filled up from the start."""
        return -(-self.ndata // self.batch_size)

    def make_placeholders(self, include_iteration: bool = False) -> dict[Any, Any]:
        """A placeholder for each array, and one for 'iteration' where that is asked for."""
        ax.N.length = self.batch_size
        placeholders = {name: ng.placeholder(self._axes(name)) for name in self.keys}
        if include_iteration:
            placeholders["iteration"] = ng.placeholder(axes=())
        return placeholders

    def _axes(self, name: Any) -> Any:
        lengths = self.data_arrays[name].shape[1:]
        names = self.axis_names[name][1:] if name in self.axis_names else [None] * len(lengths)
        return ng.make_axes([ax.N, *map(_axis, names, lengths)])

    def reset(self) -> None:
        """Start again with the first row."""
        self.start = 0
        self.index = 0
        self.pos = 0

    def shuffle_data(self) -> None:
        """Permute the rows, with numpy.random's global generator."""
        order = np.random.permutation(self.ndata)
        self.data_arrays = {name: array[order] for name, array in self.data_arrays.items()}

    def get_at_most(self, bsz: int) -> tuple[int, dict[Any, Any]]:
        """The next rows, `bsz` or what is left of the epoch, and how many they are."""
        bsz = min(bsz, self.ndata - self.pos)
        rows = slice(self.pos, self.pos + bsz)
        batch = {name: array[rows] for name, array in self.data_arrays.items()}
        self.pos = (self.pos + bsz) % self.ndata
        if self.pos == 0 and self.shuffle:
            self.shuffle_data()
        return bsz, batch

    def __next__(self) -> dict[Any, Any]:
        if self.index >= self.total_iterations:
            raise StopIteration
        self.index += 1
        total, batch = self.get_at_most(self.batch_size)
        while total < self.batch_size:
            count, more = self.get_at_most(self.batch_size - total)
            batch = {name: np.concatenate([batch[name], more[name]]) for name in batch}
            total += count
        batch["iteration"] = self.index
        return batch

    def next(self) -> dict[Any, Any]:
        """The next minibatch."""
        return self.__next__()

    def __iter__(self) -> Iterator[dict[Any, Any]]:
        return self


def _axis(name: str | None, length: int) -> Any:
    if name == ax.REC.name:
        ax.REC.length = length
        return ax.REC
    return ng.make_axis(length=length, name=name)


class SequentialArrayIterator:
    """Windows of `time_steps` elements of long sequences, `batch_size` at a time.

    `data_arrays` is a dict of arrays of one length. Windows start `stride` elements apart (default:
    time_steps). With `shuffle` a row of the minibatch goes on where the row of the one before
    ended; without, the windows follow one another within the minibatch. `reverse_target` reverses
    the array `tgt_key` in time, `get_prev_target` adds it shifted by one as 'prev_tgt'. The arrays
    of a minibatch are overwritten by the next one.
    """

    def __init__(
        self,
        data_arrays: Mapping[str, Any],
        time_steps: int,
        batch_size: int,
        total_iterations: int | None = None,
        reverse_target: bool = False,
        get_prev_target: bool = False,
        stride: int | None = None,
        include_iteration: bool = False,
        tgt_key: str = "tgt_txt",
        shuffle: bool = True,
    ) -> None:
        if not isinstance(data_arrays, Mapping):
            raise ValueError("Must provide dict as input")
        self.data_array = data_arrays
        self.seq_len = time_steps
        self.batch_size = batch_size
        self.get_prev_target = get_prev_target
        self.reverse_target = reverse_target
        self.include_iteration = include_iteration
        self.tgt_key = tgt_key
        self.shuffle = shuffle
        self.stride = time_steps if stride is None else stride
        self.current_iter = 0
        self.start = 0
        self.index = 0
        self.ndata = len(next(iter(data_arrays.values())))
        self.data_arrays = {name: a[: self.used_samples] for name, a in data_arrays.items()}
        if get_prev_target:
            self.data_arrays["prev_tgt"] = np.copy(self.data_arrays[tgt_key])
        self.feature_dims = {
            name: a.shape[1] if a.ndim > 1 else 1 for name, a in self.data_arrays.items()
        }
        self.samples: dict[str, Any] = {
            name: np.squeeze(np.zeros((batch_size, time_steps, self.feature_dims[name]), a.dtype))
            for name, a in self.data_arrays.items()
        }
        if self.nbatches < 1:
            raise ValueError("Number of examples is smaller than the batch size")
        self.total_iterations = self.nbatches if total_iterations is None else total_iterations

    @property
    def used_samples(self) -> int:
        """The elements that fill whole minibatches; the rest is left out."""
        whole = self.stride * self.batch_size
        self.ndata = self.ndata // whole * whole
        return self.ndata

    @property
    def nbatches(self) -> int:
        """The number of minibatches in the data."""
        return (self.ndata - self.start) // self.stride // self.batch_size

    def make_placeholders(self) -> dict[str, Any]:
        """A placeholder with the axes N and REC for each array."""
        ax.N.length = self.batch_size
        ax.REC.length = self.seq_len
        axes = ng.make_axes([ax.N, ax.REC])
        return {name: ng.placeholder(axes) for name in self.data_arrays}

    def reset(self) -> None:
        """Start again with the first window."""
        self.start = 0
        self.current_iter = 0

    def _starts(self) -> np.ndarray:
        """Where the windows of the minibatch start, a column."""
        rows = np.arange(self.batch_size)[:, None]
        if self.shuffle:
            first = self.current_iter * self.stride
            return self.start + first + rows * self.nbatches * self.seq_len
        return self.start + (self.current_iter * self.batch_size + rows) * self.stride

    def __iter__(self) -> Iterator[dict[str, Any]]:
        while self.current_iter < self.total_iterations:
            places = (self._starts() + np.arange(self.seq_len)) % self.ndata
            for name, array in self.data_arrays.items():
                sample = self.samples[name]
                sample[...] = array[places].reshape(sample.shape)
            self.current_iter += 1
            if self.reverse_target:
                target = self.samples[self.tgt_key]
                target[:] = target[:, ::-1].copy()
            if self.get_prev_target:
                self.samples["prev_tgt"] = np.roll(self.samples[self.tgt_key], shift=1, axis=1)
            if self.include_iteration is True:
                self.samples["iteration"] = self.index
            yield self.samples

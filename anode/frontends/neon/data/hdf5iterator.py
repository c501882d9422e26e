"""Iterators over HDF5 files, for data that memory does not hold."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from anode.errors import DataError
from anode.frontends.neon.data.dataiterator import ArrayIterator, NervanaDataIterator, onehot


def h5py_module() -> Any:
    """The package h5py; raises DataError with the way to install it."""
    try:
        import h5py
    except ImportError:
        raise DataError("HDF5 files need the h5py package: pip install 'anode[neon]'") from None
    return h5py


class HDF5Iterator(ArrayIterator):
    """Minibatches of an HDF5 file's data sets `input` (N, F) and, if it is there, `output` (N, M).

    The attribute `lshape` of `input` is an example's shape. A data set `mean`, of F numbers or of
    one for each channel, is subtracted. The last minibatch wraps round as with `ArrayIterator`.
    """

    shape: Any
    lshape: Any

    def __init__(self, hdf_filename: str, name: str | None = None) -> None:
        NervanaDataIterator.__init__(self, name=name)
        self.hdf_filename = hdf_filename
        if not os.path.isfile(hdf_filename):
            raise OSError(f"File not found {hdf_filename}")
        self.hdf_file = h5py_module().File(hdf_filename, mode="r")
        self.inp = self.hdf_file["input"]
        self.ndata, self.start = self.inp.shape[0], 0
        if self.ndata < self.be.bsz:
            raise AssertionError(
                f"{hdf_filename}: {self.ndata} examples do not fill a minibatch of {self.be.bsz}"
            )
        self.lshape = tuple(int(size) for size in self.inp.attrs["lshape"])
        self.shape = self.lshape
        self.out = self.hdf_file.get("output")
        self.inpbuf: Any = None
        self.outbuf: Any = None
        self.allocated = False

    def allocate(self) -> None:
        """Make the tensors that minibatches are put into, once."""
        if not self.allocated:
            self.allocate_inputs()
            self.allocate_outputs()
            self.allocated = True

    def allocate_inputs(self) -> None:
        """Make the tensor of inputs, and read the mean that is subtracted from them."""
        features = self.inp.shape[1]
        self.inpbuf = self.be.iobuf(features)
        self.mean: Any = None  # a tensor
        self._mean: np.ndarray | None = None
        if "mean" in self.hdf_file:
            mean = np.asarray(self.hdf_file["mean"], self.be.default_dtype).reshape(-1)
            self.mean = self.be.array(mean.reshape(-1, 1))
            if mean.size != features:
                if mean.size != self.lshape[0]:
                    raise AssertionError(
                        f"{self.hdf_filename}: a mean of {mean.size} numbers fits neither "
                        f"{features} features nor {self.lshape[0]} channels"
                    )
                mean = np.repeat(mean, features // mean.size)
            self._mean = mean[:, np.newaxis]

    def allocate_outputs(self) -> None:
        """Make the tensor of targets, if the file has any."""
        self.outbuf = None if self.out is None else self.be.iobuf(self.out.shape[1])

    def gen_input(self, mini_batch: np.ndarray) -> None:
        """Put a minibatch (features, batch) into the tensor of inputs, less the mean."""
        self.inpbuf.set(mini_batch if self._mean is None else mini_batch - self._mean)

    def gen_output(self, mini_batch: np.ndarray) -> None:
        """Put a minibatch (outputs, batch) into the tensor of targets."""
        self.outbuf.set(mini_batch)

    def cleanup(self) -> None:
        """Close the file."""
        self.hdf_file.close()

    def __del__(self) -> None:
        if getattr(self, "hdf_file", None):
            self.cleanup()

    @property
    def Xbuf(self) -> tuple[Any, ...]:
        return (self.inpbuf,)

    @property
    def ybuf(self) -> Any:
        return self.outbuf

    def __iter__(self) -> Iterator[Any]:
        self.allocate()
        size = self.be.bsz
        for begin in range(self.start, self.ndata, size):
            end = min(begin + size, self.ndata)
            if end == self.ndata:
                self.start = begin + size - end
            self.gen_input(self._columns(self.inp, begin, end))
            if self.outbuf is not None:
                self.gen_output(self._columns(self.out, begin, end))
            yield self.inpbuf, self.outbuf

    def _columns(self, rows: Any, begin: int, end: int) -> np.ndarray:
        """Rows of a data set as columns, filled up from its start."""
        missing = begin + self.be.bsz - end
        found = np.asarray(rows[begin:end])
        if missing:
            found = np.concatenate([found, rows[:missing]])
        return found.T.astype(self.be.default_dtype)


class HDF5IteratorOneHot(HDF5Iterator):
    """The same with labels in `output`, whose attribute `nclass` counts the classes, as one-hot."""

    def __init__(self, hdf_filename: str, name: str | None = None) -> None:
        super().__init__(hdf_filename, name=name)
        if self.out is not None:
            if "nclass" not in self.out.attrs:
                raise AssertionError(f"{hdf_filename}: Missing nclass attribute of output")
            self.nclass = int(self.out.attrs["nclass"])
            self.out = np.array(self.out, dtype=np.int32).reshape(-1, 1)

    def allocate_outputs(self) -> None:
        self.outbuf = None if self.out is None else self.be.iobuf(self.nclass)

    def gen_output(self, mini_batch: np.ndarray) -> None:
        labels = np.asarray(mini_batch).reshape(-1).astype(np.int64)
        self.outbuf.set(onehot(labels, self.outbuf.shape[0], self.be.default_dtype))


class HDF5IteratorAutoencoder(HDF5Iterator):
    """The same with the inputs as the targets."""

    def __iter__(self) -> Iterator[Any]:
        for x, _ in super().__iter__():
            yield x, x

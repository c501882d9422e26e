"""What changes the minibatches of a loader: casts, one-hot labels, means taken away."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import uuid4

import numpy as np

from anode.data.decode import pillow
from anode.frontends.neon import NervanaObject
from anode.frontends.neon.data.dataiterator import onehot


class DataLoaderTransformer(NervanaObject):
    """A loader whose minibatches are another's, with `transform` of the item `index`.

    Without an index `transform` gets the whole minibatch. Other attributes are the loader's.
    """

    def __init__(self, dataloader: Any, index: int | None = None) -> None:
        super().__init__()
        self.dataloader, self.index = dataloader, index
        if index is not None:
            self._shape = int(np.prod(dataloader.shapes()[index])), self.be.bsz

    def __getattr__(self, key: str) -> Any:
        if key == "dataloader":  # not set yet
            raise AttributeError(key)
        return getattr(self.dataloader, key)

    def __iter__(self) -> Iterator[Any]:
        for batch in self.dataloader:
            if self.index is None:
                yield self.transform(batch)
                continue
            changed = self.transform(batch[self.index])
            if changed is None:
                raise ValueError(f"{self.classnm} returned None from a transformer")
            yield [changed if i == self.index else item for i, item in enumerate(batch)]

    def transform(self, t: Any) -> Any:
        """What becomes of an item, or of a minibatch."""
        raise NotImplementedError(f"{self.classnm} has no transform")


class OneHot(DataLoaderTransformer):
    """Labels as one-hot columns of `nclasses` rows."""

    def __init__(self, dataloader: Any, index: int, nclasses: int, *args: Any, **kw: Any) -> None:
        super().__init__(dataloader, index, *args, **kw)
        self.output = self.be.iobuf(nclasses)

    def transform(self, t: Any) -> Any:
        labels = _host(t).reshape(-1).astype(np.int64)
        return self.output.set(onehot(labels, self.output.shape[0], self.output.dtype))


class PixelWiseOneHot(DataLoaderTransformer):
    """The label of each pixel as `nclasses` rows, all pixels of the first class first."""

    def __init__(self, dataloader: Any, index: int, nclasses: int, *args: Any, **kw: Any) -> None:
        super().__init__(dataloader, index, *args, **kw)
        self.output: Any = None
        self.nclasses = nclasses

    def transform(self, t: Any) -> Any:
        if self.output is None:
            self.output = self.be.iobuf(self.nclasses * t.shape[0], dtype=np.int32)
        labels = _host(t).reshape(-1).astype(np.int64)
        columns = onehot(labels, self.nclasses, np.int32)
        return self.output.set(columns.reshape(self.output.shape))


class TypeCast(DataLoaderTransformer):
    """An item as numbers of the type `dtype`."""

    def __init__(self, dataloader: Any, index: int, dtype: Any, *args: Any, **kw: Any) -> None:
        super().__init__(dataloader, index, *args, **kw)
        self.output = self.be.iobuf(self._shape[0], dtype=dtype)

    def transform(self, t: Any) -> Any:
        return self.output.set(_host(t))


class Retuple(DataLoaderTransformer):
    """A minibatch as (inputs, targets), each the items of some indices; one alone is no tuple."""

    def __init__(
        self,
        dataloader: Any,
        data: Sequence[int] = (0,),
        target: Sequence[int] = (1,),
        *args: Any,
        **kw: Any,
    ) -> None:
        super().__init__(dataloader, None, *args, **kw)
        self._data, self._target = data, target
        self.output = None

    def transform(self, t: Any) -> Any:
        parts = (tuple(t[i] for i in chosen) for chosen in (self._data, self._target))
        return tuple(part if len(part) > 1 else part[0] for part in parts)


class BGRMeanSubtract(DataLoaderTransformer):
    """Images (3 · pixels, batch) less a mean for each of blue, green and red."""

    def __init__(
        self,
        dataloader: Any,
        index: int,
        pixel_mean: Sequence[float] = (127, 119, 104),
        *args: Any,
        **kw: Any,
    ) -> None:
        super().__init__(dataloader, index, *args, **kw)
        self.pixel_mean = np.asarray(pixel_mean)[:, np.newaxis]

    def transform(self, t: Any) -> Any:
        return _replace(t, _host(t).reshape(3, -1) - self.pixel_mean)


class ValueNormalize(DataLoaderTransformer):
    """An item with one range of values mapped to another."""

    def __init__(
        self,
        dataloader: Any,
        index: int,
        source_range: Sequence[float] = (0.0, 255.0),
        target_range: Sequence[float] = (0.0, 1.0),
        *args: Any,
        **kw: Any,
    ) -> None:
        super().__init__(dataloader, index, *args, **kw)
        self.xmin, self.xspan = source_range[0], source_range[1] - source_range[0]
        self.ymin, self.yspan = target_range[0], target_range[1] - target_range[0]

    def transform(self, t: Any) -> Any:
        return _replace(t, (_host(t) - self.xmin) / self.xspan * self.yspan + self.ymin)


class DumpImage(DataLoaderTransformer):
    """Writes one image of each minibatch to a PNG of a random name; the minibatch stays as it is.

    `outshape` is (channels, height, width), the channels blue, green, red.
    """

    def __init__(
        self,
        dataloader: Any,
        index: int,
        image_index: int,
        outshape: Sequence[int],
        output_directory: str | None = None,
        *args: Any,
        **kw: Any,
    ) -> None:
        super().__init__(dataloader, index, *args, **kw)
        self.image_index, self.outshape = image_index, tuple(outshape)
        self.output_directory = output_directory or "/tmp"

    def transform(self, t: Any) -> Any:
        planes = _host(t)[:, self.image_index].reshape(self.outshape)
        pixels = planes.transpose(1, 2, 0)[:, :, ::-1].astype(np.uint8)
        if pixels.shape[2] == 1:
            pixels = np.repeat(pixels, 3, axis=2)
        pillow().fromarray(np.ascontiguousarray(pixels)).save(self.filename())
        return t

    def filename(self) -> str:
        """A new name for an image."""
        return os.path.join(self.output_directory, f"{uuid4().hex}.png")


def _host(t: Any) -> np.ndarray:
    """The values of a tensor or array."""
    return t if isinstance(t, np.ndarray) else t.get()


def _replace(t: Any, values: np.ndarray) -> Any:
    """The tensor or array `t` with other values of its type in place of its own."""
    if isinstance(t, np.ndarray):
        t[...] = values.reshape(t.shape)
        return t
    return t.set(values.reshape(t.shape))

"""The minibatches of an aeon loader as tensors with a column for each example."""

from __future__ import annotations

from typing import Any

import numpy as np

from anode.frontends.neon.data.dataloader_transformers import DataLoaderTransformer


class DataLoaderAdapter(DataLoaderTransformer):
    """A loader of ((name, array (batch, …)), …) as one of tuples of tensors (features, batch)."""

    def __init__(self, dataloader: Any) -> None:
        super().__init__(dataloader, None)
        self.shape = self.shapes()[0]
        self.nbatches = -(-dataloader.ndata // self.be.bsz)

    def transform(self, t: Any) -> tuple[Any, ...]:
        found = []
        for name, value in t:
            if len(value) != self.be.bsz:
                raise ValueError(
                    f"the loader's minibatches have {len(value)} rows of {name}, the backend's "
                    f"{self.be.bsz}; give both the same batch_size"
                )
            columns = np.ascontiguousarray(value.reshape(len(value), -1).T)
            found.append(self.be.array(columns, dtype=value.dtype))
        return tuple(found)

    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shape of an example of each item."""
        return tuple(tuple(size for _, size in axes) for _, axes in self.dataloader.axes_info)

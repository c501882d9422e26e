"""aeon's data loader, where the package aeon is installed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from anode.frontends import ngraph as ng

try:
    from aeon import DataLoader
except ImportError as error:
    raise ImportError(
        "AeonDataLoader needs aeon, https://github.com/NervanaSystems/aeon, which is not installed;"
        " ArrayIterator takes arrays in memory"
    ) from error

NAME_MAP = {"channels": "C", "height": "H", "width": "W", "frames": "D"}


class AeonDataLoader:
    """Minibatches that aeon reads and augments, as its `config` says."""

    def __init__(self, config: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        self.config = config
        self._dataloader = DataLoader(config)
        self.ndata = self._dataloader.ndata
        if self.ndata < self._dataloader.batch_size:
            raise ValueError("Number of examples is smaller than the batch size")

    def __next__(self) -> dict[str, Any]:
        batch = dict(next(self._dataloader))
        if "label" in batch:
            batch["label"] = batch["label"].flatten()
        return batch

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self

    def make_placeholders(self, include_iteration: bool = False) -> dict[str, Any]:
        """A placeholder for each of aeon's arrays, and one for 'iteration' where asked for."""
        batch = ng.make_axis(self._dataloader.batch_size, name="N")
        placeholders = {}
        for name, axes in self._dataloader.axes_info:
            rest = [] if name == "label" else axes
            named = [ng.make_axis(name=NAME_MAP.get(n, n), length=length) for n, length in rest]
            placeholders[name] = ng.placeholder(ng.make_axes([batch, *named]))
        if include_iteration:
            placeholders["iteration"] = ng.placeholder(axes=())
        return placeholders

    def reset(self) -> None:
        """Start again with the first record."""
        self._dataloader.reset()

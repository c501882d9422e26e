"""AeonDataLoader: minibatches of images and labels, as the package aeon's configuration says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from anode.data.manifests import ManifestLoader
from anode.errors import DataError
from anode.frontends import ngraph as ng

NAME_MAP = {"channels": "C", "height": "H", "width": "W", "frames": "D"}


class AeonDataLoader:
    """Minibatches as dicts of arrays, with the options of `anode.data.manifests`.

    `iteration_mode` says when they end: after an epoch ("ONCE"), after `iteration_mode_count` of
    them ("COUNT"), or never ("INFINITE").
    """

    def __init__(self, config: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        self.config = config
        self._dataloader = ManifestLoader(config)
        self._end = _end(config, len(self._dataloader))
        self._taken = 0
        if self.ndata < self._dataloader.batch_size:
            raise ValueError("Number of examples is smaller than the batch size")

    @property
    def ndata(self) -> int:
        """The number of examples of an epoch."""
        return self._dataloader.ndata

    def __next__(self) -> dict[str, Any]:
        if self._taken == self._end:
            raise StopIteration
        self._taken += 1
        names = (name for name, _ in self._dataloader.axes_info)
        batch = dict(zip(names, self._dataloader.next_batch(), strict=True))
        if "label" in batch:
            batch["label"] = batch["label"].flatten()
        return batch

    def next(self) -> dict[str, Any]:
        """The next minibatch."""
        return self.__next__()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self

    def make_placeholders(self, include_iteration: bool = False) -> dict[str, Any]:
        """A placeholder for each of the arrays, and one for 'iteration' where asked for."""
        placeholders = self._placeholders(ng.make_axis(self._dataloader.batch_size, name="N"))
        if include_iteration:
            placeholders["iteration"] = ng.placeholder(axes=())
        return placeholders

    def make_input_ops(
        self, address: Any, port: Any, batch_axis: Any, device: Any, device_id: Any
    ) -> dict[str, Any]:
        """The placeholders with `batch_axis` and 'iteration'; a server of data is an error."""
        if address is not None or port is not None:
            raise DataError(f"there is no client of aeon's server at {address}:{port}; use files")
        with ng.metadata(device=device, device_id=device_id, parallel=batch_axis):
            placeholders = self._placeholders(batch_axis)
        return placeholders | {"iteration": ng.placeholder(axes=())}

    def _placeholders(self, batch: Any) -> dict[str, Any]:
        return {
            name: ng.placeholder([batch, *([] if name == "label" else map(_axis, axes))])
            for name, axes in self._dataloader.axes_info
        }

    def reset(self) -> None:
        """Start again with the first record."""
        self._taken = 0
        self._dataloader.reset()


def _axis(axis: tuple[str, int]) -> Any:
    name, length = axis
    return ng.make_axis(name=NAME_MAP.get(name, name), length=length)


def _end(config: dict[str, Any], epoch: int) -> int | None:
    """How many minibatches there are; None where they do not end."""
    mode = str(config.get("iteration_mode", "ONCE"))
    count = int(config.get("iteration_mode_count", 0))
    if mode not in ("ONCE", "COUNT", "INFINITE") or (mode == "COUNT" and count < 1):
        raise DataError(
            f"iteration_mode is {mode!r} with iteration_mode_count {count}; choose 'ONCE', "
            "'INFINITE', or 'COUNT' with a count from 1"
        )
    return {"ONCE": epoch, "COUNT": count}.get(mode)

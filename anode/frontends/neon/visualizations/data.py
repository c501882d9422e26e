"""Readers of the HDF5 files that callbacks write, neon's or anode's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from anode.errors import DataError

if TYPE_CHECKING:
    from h5py import Dataset, File

Line = tuple[str, np.ndarray, np.ndarray]  # name, x, y
Histogram = tuple[str, np.ndarray, int, int, int, int]  # name, counts, height, width, bins, offset
FeatureMap = tuple[int, np.ndarray, np.ndarray]  # number, pixels that excite it, image
Layer = tuple[str, list[FeatureMap]]
LINES = ("cost", "multicost", "metrics")


@contextmanager
def _opened(filename: str) -> Iterator[File]:
    try:
        import h5py
    except ImportError as error:
        raise ImportError("reading HDF5 needs h5py: pip install 'anode[neon]'") from error
    with h5py.File(filename, "r") as file:
        if "config" not in file or "time_markers" not in file:
            raise DataError(
                f"{filename} has no training in it; give a file made with --output_file"
            )
        yield file


def create_minibatch_x(
    minibatches: int, minibatch_markers: Sequence[float] | np.ndarray, epoch_axis: bool
) -> np.ndarray:
    """The place of each minibatch: its number, or its epoch and the part of it that is over.

    `minibatch_markers` has how many minibatches were over at the end of each epoch.
    """
    if not epoch_axis:
        return np.arange(minibatches)
    x, last = np.zeros(minibatches), 0
    for epoch, end in enumerate(np.asarray(minibatch_markers).astype(int)):
        x[last:end] = epoch + np.arange(end - last) / max(end - last, 1)
        last = end
    return x


def create_epoch_x(
    points: int, epoch_freq: int, minibatch_markers: Sequence[float] | np.ndarray, epoch_axis: bool
) -> np.ndarray:
    """The place of the last minibatch of each `epoch_freq`-th epoch, counted likewise."""
    markers = np.asarray(minibatch_markers).astype(int)
    last = markers[epoch_freq - 1 :: epoch_freq][:points] - 1
    total = int(markers[-1]) if len(markers) else 0
    return create_minibatch_x(total, minibatch_markers, epoch_axis)[last]


def h5_cost_data(filename: str, epoch_axis: bool = True) -> list[Line]:
    """The costs of a file, as (name, x, y); of a training cut short, what it got to."""
    with _opened(filename) as file:
        return list(_lines(file, "cost", epoch_axis))


def h5_line_data(filename: str, epoch_axis: bool = True) -> dict[str, list[Line]]:
    """All that a file has over time, costs and metrics, in groups."""
    with _opened(filename) as file:
        found = {group: list(_lines(file, group, epoch_axis)) for group in LINES}
    return {group: lines for group, lines in found.items() if lines}


def _lines(file: File, group: str, epoch_axis: bool) -> Iterator[Line]:
    markers = file["time_markers/minibatch"][...]
    epochs = int(file["time_markers"].attrs.get("epochs_complete", len(markers)))
    for name, values in file.get(group, {}).items():
        x, y = _points(name, values, markers[:epochs], epoch_axis)
        for column in range(y.shape[1]):
            yield (name if y.shape[1] == 1 else f"{name} {column}"), x, y[:, column]


def _points(
    name: str, values: Dataset, markers: np.ndarray, epoch_axis: bool
) -> tuple[np.ndarray, np.ndarray]:
    y = values[...].reshape(len(values), -1)
    kind = values.attrs["time_markers"]
    if kind == "minibatch":
        over = int(markers[-1]) if len(markers) else 0
        x = create_minibatch_x(over, markers, epoch_axis)
    elif kind == "epoch_freq":
        x = create_epoch_x(len(y), int(values.attrs["epoch_freq"]), markers, epoch_axis)
    else:
        raise DataError(f"{name}: time_markers is {kind!r}, neither minibatch nor epoch_freq")
    return x, y[: len(x)]


def h5_hist_data(filename: str, epoch_axis: bool = True) -> list[Histogram]:
    """The histograms of a file: name, counts [bins, times], bins, width in time, bins, offset."""
    with _opened(filename) as file:
        if "hist" not in file:
            return []
        group: Any = file["hist"]
        bins, offset = int(group.attrs["bins"]), int(group.attrs["offset"])
        unit = "total_epochs" if epoch_axis else "total_minibatches"
        width = int(file["config"].attrs[unit])
        return [(name, counts[...], bins, width, bins, offset) for name, counts in group.items()]


def h5_deconv_data(filename: str) -> list[Layer] | None:
    """The guided back-propagation of a file, u8[h, w, c] each; None where there is none."""
    with _opened(filename) as file:
        if "deconv" not in file:
            return None
        found: Any = file["deconv/max_act"]
        images: Any = file["deconv/img"]
        return [(name, list(_maps(found[name], images))) for name in found]


def _maps(layer: Any, images: Any) -> Iterator[FeatureMap]:
    for fm, (batch, column) in enumerate(layer["batch_img"]):
        stored = images[f"batch_{batch}"]
        image = stored["HWC_uint8"][:, :, :, int(stored.attrs[str(column)])]
        yield fm, layer["vis"][fm], image

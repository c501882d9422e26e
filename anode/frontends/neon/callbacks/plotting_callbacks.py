"""The callback that draws samples of a GAN."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from anode.frontends.neon.callbacks.callback import Callback, Frequency, Model

if TYPE_CHECKING:
    from h5py import File

MEDIAN = 101  # generator iterations
Pixels = np.ndarray


class GANPlotCallback(Callback):
    """Writes <filename>_data_<epoch>.png and _noise_<epoch>.png: images of the data and generated.

    Images are `hw` pixels high and wide, with `padding` between them. Of a Wasserstein GAN whose
    costs a `GANCostCallback` records <filename>_training.png is the estimate of the distance, and
    its running median. Sizes of that chart are in pixels.
    """

    def __init__(
        self,
        filename: str,
        hw: int = 28,
        nchan: int = 1,
        num_samples: int = 16,
        sym_range: bool = False,
        padding: int = 2,
        plot_width: int = 1200,
        plot_height: int = 600,
        dpi: float = 60.0,
        font_size: int = 10,
        epoch_freq: Frequency = 1,
    ) -> None:
        super().__init__(epoch_freq=epoch_freq)
        self.filename, self.hw, self.nchan, self.num_samples = filename, hw, nchan, num_samples
        self.sym_range, self.padding = sym_range, padding
        self.plot_width, self.plot_height = plot_width, plot_height
        self.dpi, self.font_size = dpi, font_size

    def on_epoch_end(self, callback_data: File, model: Model, epoch: int) -> None:
        for kind, batch in (("data", model.data_batch), ("noise", model.noise_batch)):
            pixels = self._sheet(self._scaled(batch.get()))
            _save(pixels, f"{self.filename}_{kind}_{epoch:03d}.png")
        if model.cost.costfunc.func == "wasserstein" and "gan" in callback_data:
            self._chart(callback_data)

    def _scaled(self, batch: np.ndarray) -> np.ndarray:
        """From the data's range to that of pixels, 0 to 1; one channel is ink on paper."""
        if self.nchan == 1:
            return 1.0 - batch
        return (batch + 1.0) / 2.0 if self.sym_range else batch

    def _sheet(self, batch: np.ndarray) -> Pixels:
        """The first samples in a grid, [height, width, channels], column by column."""
        side, number = self.hw, self.num_samples
        assert batch.shape[0] == self.nchan * side * side, "wrong image size specified"
        assert number <= batch.shape[1], "number of samples must not exceed batch size"
        images = batch[:, :number].reshape(self.nchan, side, side, number).transpose(3, 1, 2, 0)
        rows = math.ceil(math.sqrt(number))
        step = side + self.padding
        columns = math.ceil(number / rows)
        sheet = np.ones((rows * step - self.padding, columns * step - self.padding, self.nchan))
        for i, image in enumerate(images):
            column, row = divmod(i, rows)
            corner = row * step, column * step
            sheet[corner[0] : corner[0] + side, corner[1] : corner[1] + side] = image[:, :, ::-1]
        return sheet

    def _chart(self, callback_data: File) -> None:
        iterations = callback_data["gan/gen_iter"][:]
        trained = np.flatnonzero(iterations)
        if len(trained):
            estimate = -callback_data["gan/cost_dis"][:][trained].astype(np.float64)
            _draw(iterations[trained], estimate, self.filename)


def running_median(values: np.ndarray, window: int = MEDIAN) -> np.ndarray:
    """The median of each value and its neighbours, `window` of them; zeros are outside."""
    padded = np.pad(values, window // 2)
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, window), axis=1)


def _save(pixels: Pixels, path: str) -> None:
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError("GANPlotCallback needs Pillow: pip install 'anode[neon]'") from error
    scaled = (np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    Image.fromarray(scaled[:, :, 0] if scaled.shape[2] == 1 else scaled).convert("RGB").save(path)


def _draw(iterations: np.ndarray, estimate: np.ndarray, filename: str) -> None:
    from anode.pictures.canvas import GREY, INK, LINES, RULE, Canvas, nice_ticks, tick_labels

    ticks = nice_ticks(float(estimate.min()), float(estimate.max()))
    canvas = Canvas(400, 300)

    def at(x: float, y: float) -> tuple[float, float]:
        across = (x - iterations[0]) / max(iterations[-1] - iterations[0], 1)
        return 60 + 320 * across, 260 - 220 * (y - ticks[0]) / (ticks[-1] - ticks[0])

    for tick, label in zip(ticks, tick_labels(ticks), strict=True):
        canvas.line([at(iterations[0], tick), at(iterations[-1], tick)], RULE)
        canvas.text((54, at(iterations[0], tick)[1]), label, GREY, 10, "rm")
    for values, colour, width in ((estimate, INK, 0.5), (running_median(estimate), LINES[1], 2)):
        canvas.line([at(x, y) for x, y in zip(iterations, values, strict=True)], colour, width)
    canvas.text((60, 14), filename, INK, 12)
    canvas.text((220, 284), "Generator Iterations", GREY, 10, "mm")
    canvas.text((60, 30), "Wasserstein estimate", GREY, 10)
    canvas.write(f"{filename}_training.png")

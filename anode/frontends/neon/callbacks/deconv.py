"""Guided back-propagation: pictures of what excites the feature maps of convolutions most."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from anode.frontends.neon.callbacks.callback import Callback, Model, logger

if TYPE_CHECKING:
    from h5py import File, Group

BAR = 20  # characters
Images = dict[int, dict[int, np.ndarray]]  # of each minibatch, by column


class DeconvCallback(Callback):
    """After training, writes which image excites each feature map most, and by which pixels.

    For each convolution deconv/max_act/<place of the layer> has, for up to `max_fm` feature maps,
    `batch_img` (the minibatch and the column), `fm_loc` (the position), `activation` and `vis`, the
    picture of the pixels.
    deconv/img/batch_<i> has the images as HWC_uint8; its attributes say where each column is.
    Images are of the first `dataset_pct` percent of `valid_set`.

    Source: Springenberg, Dosovitskiy, Brox, Riedmiller 2015, arXiv:1412.6806.
    """

    def __init__(
        self, train_set: Any, valid_set: Any, max_fm: int = 16, dataset_pct: float = 25
    ) -> None:
        super().__init__(epoch_freq=1)
        self.train_set, self.valid_set = train_set, valid_set
        self.max_fm, self.dataset_pct = max_fm, dataset_pct
        self.name = "Guided Bprop"

    def on_train_end(self, callback_data: File, model: Model) -> None:
        layers = model.layers.layers
        logger.info("%s Visualization of %s feature maps per layer:", self.name, self.max_fm)
        found = {
            place: self._create(callback_data, place, layers) for place in convolutions(layers)
        }
        images = self._find(callback_data, model, found)
        start = time.time()
        for done, place in enumerate(reversed(range(len(layers))), 1):
            if place in found:
                self._visualize(model, place, found[place], images)
            self._progress(f"Compute {self.name}", done, len(layers), "layers", start)
        sys.stdout.write("\n")

    def _create(self, callback_data: File, place: int, layers: list[Any]) -> Group:
        channels, height, width = layers[0].in_shape
        maps = min(layers[place].out_shape[0], self.max_fm)
        group = callback_data.create_group(f"deconv/max_act/{place:04}")
        group.create_dataset("batch_img", (maps, 2), dtype="uint16")
        group.create_dataset("fm_loc", (maps, 1), dtype="int16")
        group.create_dataset("vis", (maps, height, width, channels), dtype="uint8")
        group.create_dataset("activation", (maps, 1), dtype="float32")
        group["activation"][:] = -np.inf
        return group

    def _find(self, callback_data: File, model: Model, found: dict[int, Group]) -> Images:
        """Write the largest activation of each feature map; the images that have them."""
        images: Images = {}
        last = int(self.dataset_pct / 100.0 * self.valid_set.nbatches + 0.5)
        start = time.time()
        self.valid_set.reset()
        for batch, (x, _) in enumerate(self.valid_set):
            if batch > last:
                break
            inputs = np.array(x.get())  # a layer may overwrite its input
            if columns := self._largest(model, x, batch, found):
                images[batch] = {column: inputs[:, column] for column in columns}
                self._store(callback_data, batch, images[batch], model.layers.layers[0].in_shape)
            self._progress("Find Max Act Imgs", batch, last, "batches", start)
        sys.stdout.write("\n")
        return images

    def _largest(self, model: Model, x: Any, batch: int, found: dict[int, Group]) -> list[int]:
        """The columns of a minibatch that have larger activations than all before."""
        columns: set[int] = set()
        for place, layer in enumerate(model.layers.layers):
            x = layer.fprop(x, inference=True)
            if place not in found:
                continue
            group, maps = found[place], found[place]["vis"].shape[0]
            values = layer.outputs.get().reshape(layer.out_shape[0], -1)[:maps]
            places = values.argmax(axis=1)
            largest = values[np.arange(maps), places]
            for fm in np.flatnonzero(largest > group["activation"][:, 0]):
                location, column = divmod(int(places[fm]), self.be.bsz)
                group["activation"][fm] = largest[fm]
                group["batch_img"][fm] = batch, column
                group["fm_loc"][fm] = location
                columns.add(column)
        return sorted(columns)

    def _store(
        self,
        callback_data: File,
        batch: int,
        images: dict[int, np.ndarray],
        shape: tuple[int, int, int],
    ) -> None:
        group = callback_data.create_group(f"deconv/img/batch_{batch}")
        stacked = np.stack(list(images.values()), axis=1).reshape(*shape, len(images))
        pixels = self.scale_to_rgb(stacked.transpose(1, 2, 0, 3)).astype(np.uint8)
        group.create_dataset("HWC_uint8", data=pixels, compression="gzip")
        for index, column in enumerate(images):
            group.attrs[str(column)] = index

    def _visualize(self, model: Model, place: int, group: Group, images: Images) -> None:
        """Write the pictures of a layer's feature maps, a minibatch of them at a time."""
        layers, size = model.layers.layers, self.be.bsz
        locations, activations = group["fm_loc"][:, 0], group["activation"][:, 0]
        channels, height, width = layers[0].in_shape
        chosen = [(int(b), int(i)) for b, i in group["batch_img"]]
        for first in range(0, len(chosen), size):
            maps = range(first, min(first + size, len(chosen)))
            inputs = np.zeros((channels * height * width, size), np.float32)
            error = np.zeros((layers[place].out_shape[0], *_area(layers[place]), size), np.float32)
            for column, fm in enumerate(maps):
                batch, image = chosen[fm]
                inputs[:, column] = images[batch][image]
                error.reshape(len(error), -1, size)[fm, locations[fm], column] = activations[fm]
            model.fprop(self.be.array(inputs), inference=True)
            pixels = self._backward(layers[: place + 1], error.reshape(-1, size))
            pixels = pixels.reshape(channels, height, width, size).transpose(3, 1, 2, 0)
            for column, fm in enumerate(maps):
                group["vis"][fm] = self.scale_to_rgb(pixels[column]).astype(np.uint8)

    def _backward(self, layers: list[Any], error: np.ndarray) -> np.ndarray:
        """The error at the input; after each convolution only its positive part, where x > 0."""
        from anode.frontends.neon.layers import Convolution, Pooling

        for layer in reversed(layers):
            if isinstance(layer, Convolution):
                outside = self.be.empty(layer.inputs.shape)
                positive = self.be.array(np.maximum(error, 0))
                self.be.bprop_conv(layer.nglayer, layer.W, positive, outside)
                error = outside.get() * (layer.inputs.get() > 0)
            elif isinstance(layer, Pooling):
                error = layer.bprop(self.be.array(error)).get()
        return error

    def scale_to_rgb(self, img: np.ndarray) -> np.ndarray:
        """The values of an array, stretched to 0 to 255."""
        low, high = img.min(), img.max()
        return (img - low) * (255.0 / (high - low)) if high > low else img - low

    def _progress(self, tag: str, done: int, total: int, unit: str, start: float) -> None:
        bar = "\u2588" * int(done / max(total, 1) * BAR)
        seconds = time.time() - start
        sys.stdout.write(
            f"\rVisualization  [{tag} |{bar:<{BAR}}| {done:4}/{total:<4} {unit}, {seconds:.2f}s]"
        )
        sys.stdout.flush()


def convolutions(layers: list[Any]) -> list[int]:
    """The places of convolutions in a list of layers."""
    from anode.frontends.neon.layers import Convolution

    return [place for place, layer in enumerate(layers) if isinstance(layer, Convolution)]


def _area(layer: Any) -> tuple[int, int]:
    _, height, width = layer.out_shape
    return height, width

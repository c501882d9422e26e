"""Callbacks that draw what a model learns: features with what excites them, weights over time.

They are given to `Model.fit` like any other callback; their files are PNG or HTML by their ending,
and `{epoch}` in the path becomes the number of epochs done.
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike, fspath
from typing import Any

import numpy as np

from anode.errors import DataError, GraphError
from anode.frontends.layers.callbacks import Callback
from anode.frontends.layers.layers import Layer
from anode.frontends.layers.model import Model
from anode.frontends.layers.scope import Scope
from anode.frontends.layers.training import Training
from anode.inspect.sheets import Feature, WeightCounts, feature_sheet, histogram_sheet
from anode.ir.graph import close, fresh_inputs
from anode.ir.node import Node
from anode.ir.types import tensor
from anode.ir.variable import Variable
from anode.ops.taps import histogram
from anode.transform.guided import guided_gradient


class _Drawn(Callback):
    """Common to these callbacks: when they draw, and where to."""

    order = 60

    def __init__(self, path: str | PathLike[str], every: int) -> None:
        self.path, self.every = fspath(path), every

    def on_epoch_end(self, run: Training) -> None:
        if (run.epoch + 1) % self.every == 0:
            epochs = run.epoch + 1
            path = self.path.replace("{epoch}", str(epochs))
            self.draw(run.model, path, f"{run.model.name}, epoch {epochs}")

    def draw(self, model: Model, path: str, title: str) -> None:
        raise NotImplementedError


class WeightHistograms(_Drawn):
    """Draws the histograms of what `select` finds, and those of before training as lines.

    A model that training itself builds has those of after its first minibatch instead.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        select: str = "parameter:trainable",
        *,
        bins: int = 40,
        every: int = 1,
    ) -> None:
        super().__init__(path, every)
        self.select, self.bins = select, bins
        self._before: dict[str, Any] = {}

    def on_minibatch_begin(self, run: Training) -> None:
        if not self._before and len(run.model.state):  # else this minibatch builds the model
            self._before = self._counts(run.model)

    def on_minibatch_end(self, run: Training) -> None:
        self.on_minibatch_begin(run)

    def draw(self, model: Model, path: str, title: str) -> None:
        now = self._counts(model)
        weights = {}
        for variable in self._parameters(model):
            values = np.asarray(model.state[variable], np.float64)
            name = variable.name
            before = self._before.get(name, now[name])
            weights[name] = WeightCounts(now[name], before, values.mean(), values.std())
        histogram_sheet(weights, path, title)

    def _counts(self, model: Model) -> dict[str, Any]:
        return {v.name: histogram(model.state[v], self.bins) for v in self._parameters(model)}

    def _parameters(self, model: Model) -> tuple[Variable, ...]:
        found = model.select(self.select).parameters
        if not found:
            raise GraphError(f"WeightHistograms: {self.select} finds no parameter")
        return found


class GuidedPictures(_Drawn):
    """Draws, of the layers that `select` finds, what excites each of their first feature maps.

    Of `images`, rows of the model's data, the one with the largest activation of a feature map is
    shown, and the gradient of that activation by the pixels, guided: see `guided_features`.
    """

    def __init__(
        self,
        images: np.ndarray,
        path: str | PathLike[str],
        select: str = "convolution",
        *,
        features: int = 8,
        every: int = 1,
    ) -> None:
        super().__init__(path, every)
        self.images, self.select, self.features = np.asarray(images), select, features

    def draw(self, model: Model, path: str, title: str) -> None:
        layers = [layer for layer in model.select(self.select) if isinstance(layer, Layer)]
        if not layers:
            raise GraphError(f"GuidedPictures: {self.select} finds no layer")
        wanted = range(self.features)
        drawn = {
            self._name(model, layer): guided_features(model, layer, self.images, wanted)
            for layer in layers
        }
        feature_sheet(drawn, path, title)

    def _name(self, model: Model, layer: Layer) -> str:
        found = model.select("layer")
        return found.names[list(found).index(layer)]


def guided_features(
    model: Model, layer: Layer, images: np.ndarray, features: Sequence[int]
) -> list[Feature]:
    """What excites feature maps of a layer most, found in `images`, rows of the model's data.

    The layer's output, with what was made with it such as its activation, is [rows, …, channels].
    The gradient of the largest activation goes back to the input of the first layer; on its way
    each relu lets only positive gradients through. Numbers beyond the last channel are left out.
    """
    (x,) = fresh_inputs(tensor(images.dtype, *images.shape))
    pixels, y = _outputs(model, layer, x)
    run = model.compile(close((x,), [y, pixels]))
    values, seen = run(images, state=model.state)
    channels = values.shape[-1]
    chosen = [index for index in features if index < channels]
    places: list[tuple[Any, ...]] = [
        np.unravel_index(np.argmax(values[..., i]), values.shape[:-1]) for i in chosen
    ]
    rows = np.array([place[0] for place in places])
    seeds = np.zeros((len(chosen), *values.shape[1:]), values.dtype)
    for row, (index, place) in enumerate(zip(chosen, places, strict=True)):
        seeds[(row, *place[1:], index)] = 1
    guided = _guided(model, layer, images[rows], seeds)
    return [
        Feature(index, float(values[(*place, index)]), seen[place[0]], picture)
        for index, place, picture in zip(chosen, places, guided, strict=True)
    ]


def _guided(model: Model, layer: Layer, images: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    x, ct = fresh_inputs(tensor(images.dtype, *images.shape), tensor(seeds.dtype, *seeds.shape))
    pixels, y = _outputs(model, layer, x)
    run = model.compile(close((x, ct), [guided_gradient(y, pixels, ct)]))
    found: np.ndarray = run(images, seeds, state=model.state)[0]
    return found


def _outputs(model: Model, layer: Layer, x: Node) -> tuple[Node, Node]:
    """The input of a model's first layer, and the output of a layer and what was made with it."""
    scope = Scope(training=False)
    model.through(x, scope)
    mine = [b.y for b in scope.built if b.layer is layer or b.layer.part_of is layer]
    if not mine:
        raise GraphError(f"{model.name} has no layer {layer!r}")
    pixels, y = scope.built[0].x, mine[-1]
    if len(pixels.shape) < 3 or len(y.shape) != len(pixels.shape) + (len(pixels.shape) == 3):
        raise DataError(f"{pixels.type} and {y.type} are no images and feature maps of images")
    return pixels, y

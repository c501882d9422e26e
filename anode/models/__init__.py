"""Networks, told once for examples, benchmarks and reports: layers, images, cost, optimiser."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import partial
from types import MappingProxyType
from typing import Any

from anode.errors import UnsupportedOp
from anode.frontends import layers as nn
from anode.ir.graph import Graph, close, fresh_inputs
from anode.ir.node import Node
from anode.ir.types import TensorType, tensor
from anode.models.adversarial import critic, discriminator, generator
from anode.models.classifiers import alexnet, allcnn, cifar10_quick, lenet, overfeat, vgg_a
from anode.models.inception import googlenet
from anode.models.residual import resnet

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "alexnet",
    "allcnn",
    "architecture",
    "cifar10_quick",
    "critic",
    "discriminator",
    "generator",
    "googlenet",
    "lenet",
    "overfeat",
    "resnet",
    "vgg_a",
]


@dataclass(frozen=True)
class Architecture:
    """A classifier: its layers, images (height, width, channels), classes, and how it is trained.

    `batch` is the usual size of a minibatch. Images are bytes that `preprocess` makes floats of, or
    floats where it is None.
    """

    layers: Callable[[], list[Any]]
    image: tuple[int, ...]
    classes: int
    batch: int = 128
    cost: nn.Cost = field(default_factory=nn.CrossEntropyMulti)
    optimizer: nn.Optimizer = field(
        default_factory=partial(nn.GradientDescentMomentum, 0.01, 0.9, wdecay=0.0005)
    )
    preprocess: Callable[[Node], Node] | None = None

    def model(self, **options: Any) -> nn.Model:
        """The model, with options of `Model` such as `seed` and `backend`."""
        return nn.Model(self.layers(), preprocess=self.preprocess, **options)

    def types(self, batch: int | None = None) -> tuple[TensorType, TensorType]:
        """The types of a minibatch's images and labels."""
        rows = batch or self.batch
        dtype = "f32" if self.preprocess is None else "u8"
        return tensor(dtype, rows, *self.image), tensor("i32", rows)

    def training_graph(self, batch: int | None = None) -> Graph:
        """The graph of a training step; no variable gets a value."""
        return self.model().training_step(self.cost, self.optimizer).graph(*self.types(batch))

    def inference_graph(self, batch: int | None = None) -> Graph:
        """The graph from images to outputs."""
        inputs = fresh_inputs(self.types(batch)[0])
        return close(inputs, [self.model().forward(inputs[0])[0].value], names=("x", "y"))


_IMAGENET, _SMALL = (224, 224, 3), (32, 32, 3)
_HEADS = nn.Multicost([nn.CrossEntropyMulti()] * 3, [1.0, 0.3, 0.3])

ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType(
    {
        "lenet": Architecture(lenet, (28, 28, 1), 10, 64, preprocess=nn.unit_range),
        "cifar10-quick": Architecture(cifar10_quick, _SMALL, 10),
        "allcnn": Architecture(allcnn, _SMALL, 10),
        "resnet-20": Architecture(partial(resnet, 20), _SMALL, 10),
        "resnet-56": Architecture(partial(resnet, 56), _SMALL, 10),
        "alexnet": Architecture(alexnet, _IMAGENET, 1000),
        "vgg-a": Architecture(vgg_a, _IMAGENET, 1000, 64),
        "overfeat": Architecture(overfeat, (231, 231, 3), 1000),
        "googlenet": Architecture(googlenet, _IMAGENET, 1000, cost=_HEADS),
    }
)


def architecture(name: str) -> Architecture:
    """The architecture called `name`; UnsupportedOp with the nearest names if there is none."""
    if name not in ARCHITECTURES:
        near = get_close_matches(name, ARCHITECTURES, 3, 0.5) or sorted(ARCHITECTURES)
        raise UnsupportedOp(f"there is no model {name!r}; did you mean {', '.join(near)}?")
    return ARCHITECTURES[name]

"""The measured convolution nets, told once for all contestants: layers, arithmetic, fixed data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Arrays = dict[str, npt.NDArray[Any]]
Shape = tuple[int, ...]  # of one image: (height, width, channels), or (features,)


@dataclass(frozen=True)
class Conv:
    """A convolution: weights [kernel, kernel, in, filters], with a bias unless a norm follows."""

    filters: int
    kernel: int
    stride: int = 1
    padding: int = 0
    bias: bool = True


@dataclass(frozen=True)
class BatchNorm:
    """Batch normalisation with scale and offset for each channel, epsilon 1e-5."""


@dataclass(frozen=True)
class Relu:
    """max(x, 0)."""


@dataclass(frozen=True)
class MaxPool:
    """The maximum of windows of kernel × kernel that lie inside."""

    kernel: int
    stride: int


@dataclass(frozen=True)
class GlobalPool:
    """The mean of each channel: (height, width, channels) -> (channels,)."""


@dataclass(frozen=True)
class Affine:
    """A fully connected layer: weights [in, units]; images are flattened row by row."""

    units: int


@dataclass(frozen=True)
class Residual:
    """The body's result plus its input, or plus what `shortcut` makes of it."""

    body: tuple[Layer, ...]
    shortcut: tuple[Layer, ...] = ()


Layer = Conv | BatchNorm | Relu | MaxPool | GlobalPool | Affine | Residual


@dataclass(frozen=True)
class Net:
    """A classifier and how its step is measured: softmax cross entropy, SGD with momentum.

    A round of the measurement has `steps` steps.
    """

    layers: tuple[Layer, ...]
    image: Shape
    classes: int
    batch: int
    rate: float = 0.01
    momentum: float = 0.9
    steps: int = 5


def _resnet(depth: int) -> tuple[Layer, ...]:
    """The CIFAR-10 ResNet of 6n + 2 layers, with projections where the size changes."""
    layers: list[Layer] = [Conv(16, 3, 1, 1, bias=False), BatchNorm(), Relu()]
    for stage, filters in enumerate((16, 32, 64)):
        for block in range((depth - 2) // 6):
            stride = 2 if stage and not block else 1
            body = (Conv(filters, 3, stride, 1, bias=False), BatchNorm(), Relu())
            body += (Conv(filters, 3, 1, 1, bias=False), BatchNorm())
            shortcut = (Conv(filters, 1, stride, bias=False), BatchNorm()) if stride == 2 else ()
            layers += [Residual(body, shortcut), Relu()]
    return (*layers, GlobalPool(), Affine(10))


NETS = {
    "lenet": Net(
        (
            *(Conv(20, 5), MaxPool(2, 2), Conv(50, 5), MaxPool(2, 2)),
            *(Affine(500), Relu(), Affine(10)),
        ),
        (28, 28, 1),
        classes=10,
        batch=64,
        rate=0.001,
        steps=30,
    ),
    "resnet20": Net(_resnet(20), (32, 32, 3), classes=10, batch=128),
    "resnet56": Net(_resnet(56), (32, 32, 3), classes=10, batch=128, steps=3),
    "alexnet": Net(
        (
            *(Conv(64, 11, 4, 2), Relu(), MaxPool(3, 2), Conv(192, 5, 1, 2), Relu(), MaxPool(3, 2)),
            *(Conv(384, 3, 1, 1), Relu(), Conv(256, 3, 1, 1), Relu()),
            *(Conv(256, 3, 1, 1), Relu(), MaxPool(3, 2)),
            *(Affine(4096), Relu(), Affine(4096), Relu(), Affine(1000)),
        ),
        (224, 224, 3),
        classes=1000,
        batch=32,
        rate=1e-4,
        steps=3,
    ),
}


def output_shape(layer: Layer, shape: Shape) -> Shape:
    """What `layer` makes of one image of `shape`."""
    match layer:
        case Conv(filters, kernel, stride, padding):
            return (*((n + 2 * padding - kernel) // stride + 1 for n in shape[:2]), filters)
        case MaxPool(kernel, stride):
            return (*((n - kernel) // stride + 1 for n in shape[:2]), shape[2])
        case GlobalPool():
            return shape[2:]
        case Affine(units):
            return (units,)
        case Residual(body):
            for inner in body:
                shape = output_shape(inner, shape)
    return shape


def walk(
    layers: tuple[Layer, ...], shape: Shape, path: str = ""
) -> Iterator[tuple[str, Layer, Shape]]:
    """Every layer that has weights, with its name and the shape of its input, in order."""
    for index, layer in enumerate(layers):
        name = f"{path}{index}"
        if isinstance(layer, Residual):
            yield from walk(layer.body, shape, f"{name}.body.")
            yield from walk(layer.shortcut, shape, f"{name}.shortcut.")
        elif isinstance(layer, (Conv, BatchNorm, Affine)):
            yield name, layer, shape
        shape = output_shape(layer, shape)


def initial_arrays(net: Net) -> Arrays:
    """Every weight under "layer.weight" and "layer.bias": He normal, zero biases, scales of one."""
    random, arrays = np.random.RandomState(0), Arrays()
    for name, layer, shape in walk(net.layers, net.image):
        match layer:
            case BatchNorm():
                arrays[f"{name}.weight"] = np.ones(shape[-1], np.float32)
                arrays[f"{name}.bias"] = np.zeros(shape[-1], np.float32)
                continue
            case Conv(filters, kernel):
                size: Shape = (kernel, kernel, shape[2], filters)
            case Affine(units):
                size = (prod(shape), units)
        spread = np.sqrt(2 / prod(size[:-1]))
        arrays[f"{name}.weight"] = (random.randn(*size) * spread).astype(np.float32)
        if not isinstance(layer, Conv) or layer.bias:
            arrays[f"{name}.bias"] = np.zeros(size[-1], np.float32)
    return arrays


def batch_of(net: Net) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """The fixed batch: images float32 [batch, height, width, channels], labels int64 [batch]."""
    random = np.random.RandomState(1)
    images = random.randn(net.batch, *net.image).astype(np.float32)
    return images, random.randint(net.classes, size=net.batch)


def step_flops(net: Net) -> int:
    """Floating-point operations in the products and convolutions of one step.

    Two for each multiply and add, three times a layer (value, gradients by weights and by input);
    the first layer needs no gradient by input. What is no product is left out.
    """
    total = []
    for _, layer, shape in walk(net.layers, net.image):
        if isinstance(layer, BatchNorm):
            continue
        places = prod(output_shape(layer, shape))
        depth = layer.kernel**2 * shape[2] if isinstance(layer, Conv) else prod(shape)
        total.append(2 * net.batch * places * depth)
    return 3 * sum(total) - total[0]


def save_arrays(net: Net, path: Path) -> None:
    """Write the weights and the batch to one .npz file."""
    images, labels = batch_of(net)
    np.savez(path, **{"images": images, "labels": labels, **initial_arrays(net)})


def load_arrays(path: Path) -> tuple[Arrays, npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Read what `save_arrays` wrote: (weights, images, labels)."""
    with np.load(path) as file:
        arrays = dict(file)
    images, labels = arrays.pop("images"), arrays.pop("labels")
    return arrays, images, labels

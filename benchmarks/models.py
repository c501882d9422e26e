"""The measured models: sizes, arithmetic, fixed data, and the file every contestant loads."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[Any]  # float32, or float64 in the oracle
Layers = list[tuple[Floats, Floats]]


@dataclass(frozen=True)
class MLP:
    """A multilayer perceptron: ReLU hidden layers, softmax cross entropy, SGD with momentum.

    `widths` starts with the number of features and ends with the number of classes. One step is
    `v = momentum * v + gradient; w = w - rate * v`, with the gradient of the batch's mean loss.
    """

    widths: tuple[int, ...]
    batch: int
    rate: float
    momentum: float = 0.9


MODELS = {
    "small": MLP((784, 100, 10), batch=128, rate=0.1),
    "medium": MLP((784, 300, 100, 10), batch=70, rate=0.01),
    "large": MLP((784, 1568, 500, 10), batch=70, rate=0.01),
}


def step_flops(mlp: MLP) -> int:
    """Floating-point operations in the matrix products of one step.

    Each m×k by k×n product counts 2·m·n·k. A layer has three (value, gradient by weights, gradient
    by input); the first layer needs no gradient by input. What is not a product is left out.
    """
    products = [2 * mlp.batch * rows * columns for rows, columns in pairwise(mlp.widths)]
    return 3 * sum(products) - products[0]


def initial_layers(mlp: MLP) -> Layers:
    """One (weight [in, out], bias [out]) float32 pair per layer: He normal weights, zero biases."""
    random = np.random.RandomState(0)
    return [
        (
            (random.randn(rows, columns) * np.sqrt(2 / rows)).astype(np.float32),
            np.zeros(columns, np.float32),
        )
        for rows, columns in pairwise(mlp.widths)
    ]


def batch_of(mlp: MLP) -> tuple[Floats, npt.NDArray[np.int64]]:
    """The fixed batch: images float32 [batch, features] in [0, 1), labels int64 [batch]."""
    random = np.random.RandomState(1)
    images = random.rand(mlp.batch, mlp.widths[0]).astype(np.float32)
    return images, random.randint(mlp.widths[-1], size=mlp.batch)


def save_arrays(mlp: MLP, path: Path) -> None:
    """Write the initial layers and the batch to one .npz file."""
    images, labels = batch_of(mlp)
    layers = {
        f"{kind}{index}": array
        for index, layer in enumerate(initial_layers(mlp))
        for kind, array in zip(("weight", "bias"), layer, strict=True)
    }
    np.savez(path, **{"images": images, "labels": labels, **layers})


def load_arrays(mlp: MLP, path: Path) -> tuple[Layers, Floats, npt.NDArray[np.int64]]:
    """Read what `save_arrays` wrote: (layers, images, labels)."""
    with np.load(path) as file:
        layers = [(file[f"weight{i}"], file[f"bias{i}"]) for i in range(len(mlp.widths) - 1)]
        return layers, file["images"], file["labels"]

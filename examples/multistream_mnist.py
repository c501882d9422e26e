"""Tell digits from their two halves, each seen by its own layers, which are merged later.

python examples/multistream_mnist.py
"""

import argparse

import numpy as np

from anode import data, layers
from anode.scripts import plain_errors, positive


def halves(images: np.ndarray, labels: np.ndarray) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """The upper and the lower halves of images as two inputs, and the labels."""
    return (images[:, :14], images[:, 14:]), labels


def streams() -> list:
    """A network of its own for each half, then one for both."""

    def half() -> list:
        return [layers.Affine(64, bias=0.0, activation=layers.Rectlin())]

    return [
        layers.MergeMultistream([half(), half()], merge="stack"),
        layers.Affine(64, bias=0.0, activation=layers.Rectlin()),
        layers.Affine(10, bias=0.0, activation=layers.Softmax()),
    ]


def main(epochs: int = 5, batch: int = 64, seed: int = 0, backend: str | None = None) -> float:
    """The accuracy on the test images after `epochs`."""
    images = data.load_mnist()
    arrays = images.train.images, images.train.labels
    train = data.Batches(arrays, batch, seed=seed, transform=halves)
    arrays = images.test.images, images.test.labels
    test = data.Batches(arrays, 1000, last="keep", transform=halves)
    model = layers.Model(streams(), preprocess=layers.unit_range, seed=seed, backend=backend)
    optimizer = layers.GradientDescentMomentum(0.1, 0.9)
    callbacks = [layers.Evaluate(test, layers.Accuracy()), layers.Progress()]
    history = model.fit(train, layers.CrossEntropyMulti(), optimizer, epochs, callbacks)
    return history["Accuracy"][-1]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=positive, default=5)
    parser.add_argument("--batch", type=positive, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-b", "--backend", choices=("cpu", "reference"))
    with plain_errors():
        print(f"test accuracy {100 * main(**vars(parser.parse_args())):.2f} %")

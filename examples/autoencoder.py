"""Squeeze digits through a convolutional autoencoder: python examples/autoencoder.py"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from anode import data, layers
from anode.scripts import plain_errors, positive

COLUMNS = 12
INIT = layers.Uniform(-0.1, 0.1)


def autoencoder() -> list:
    """28x28 pixels to 32 maps of 2x2, and back: 784 numbers as 128."""
    rectified = {"init": INIT, "activation": layers.Rectlin()}
    return [
        layers.Reshape((28, 28, 1)),
        layers.Conv((4, 4, 8), **rectified),
        layers.Pooling(2),
        layers.Conv((4, 4, 32), **rectified),
        layers.Pooling(4),
        layers.Deconv((4, 4, 16), strides=3, **rectified),
        layers.Deconv((4, 4, 8), strides=2, **rectified),
        layers.Deconv((4, 4, 8), strides=2, padding=2, **rectified),
        layers.Conv((5, 5, 1), padding=1, init=INIT, bias=0.0),
    ]


def both(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bytes as the input, and the same from 0 to 1 as the target."""
    return images, images.astype(np.float32) / 255


def sheet(images: np.ndarray, found: np.ndarray, path: Path) -> None:
    """Write digits as one PNG, and below them what came out."""
    rows = [np.hstack(part) for part in (images / 255, found.reshape(-1, 28, 28).clip(0, 1))]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((255 * np.vstack(rows)).astype(np.uint8)).save(path)


def main(
    epochs: int = 5,
    batch: int = 64,
    seed: int = 0,
    backend: str | None = None,
    out: str = "runs/autoencoder.png",
) -> float:
    """The mean squared error of a test pixel after `epochs`."""
    images = data.load_mnist()
    train = data.Batches((images.train.images,), batch, seed=seed, transform=both)
    test = data.Batches((images.test.images,), 500, last="keep", transform=both)
    preprocess = layers.unit_range
    model = layers.Model(autoencoder(), preprocess=preprocess, seed=seed, backend=backend)
    cost = layers.MeanSquared()
    callbacks = [layers.Evaluate(test, cost), layers.Progress()]
    history = model.fit(train, cost, layers.Adam(0.002), epochs, callbacks)
    shown = images.test.images[:COLUMNS]
    sheet(shown, model.predict(shown), Path(out))
    return 2 * history["MeanSquared"][-1]  # the cost has a factor of one half


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=positive, default=5)
    parser.add_argument("--batch", type=positive, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-b", "--backend", choices=("cpu", "reference"))
    parser.add_argument("--out", default="runs/autoencoder.png", help="digits before and after")
    with plain_errors():
        print(f"mean squared error of a test pixel {main(**vars(parser.parse_args())):.4f}")

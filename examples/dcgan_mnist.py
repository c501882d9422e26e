"""Train a DCGAN on MNIST and draw digits that it makes up: python examples/dcgan_mnist.py"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from anode import data, layers, models, ops
from anode.scripts import plain_errors, positive

NOISE, ROWS, COLUMNS = 64, 8, 12


def symmetric(images):
    """Bytes as floats from −1 to 1."""
    return ops.convert(images, dtype="f32") / 127.5 - 1.0


def sheet(images: np.ndarray, path: Path) -> None:
    """Write images f32[ROWS · COLUMNS, h, w, 1] from −1 to 1 side by side as one PNG."""
    height, width = images.shape[1:3]
    grid = images.reshape(ROWS, COLUMNS, height, width).swapaxes(1, 2)
    pixels = (127.5 * (grid.reshape(ROWS * height, COLUMNS * width) + 1)).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def main(
    epochs: int = 3,
    batch: int = 64,
    steps: int | None = None,
    seed: int = 0,
    backend: str | None = None,
    out: str = "runs/dcgan.png",
) -> np.ndarray:
    """The images of the sheet, drawn again after each epoch."""
    images = data.load_mnist().train.images
    train = data.Batches((images,), batch, seed=seed)
    gan = layers.GAN(
        models.generator(),
        models.discriminator(),
        NOISE,
        preprocess=symmetric,
        seed=seed,
        backend=backend,
    )
    judge = gan.discriminator_step(layers.Adam(0.0002, 0.5))
    fool = gan.generator_step(layers.Adam(0.0002, 0.5))
    noise = np.random.default_rng(seed).standard_normal((ROWS * COLUMNS, NOISE), np.float32)
    for epoch in range(epochs):
        costs = []
        for number, (real,) in enumerate(train):
            if steps is not None and number == steps:
                break
            costs.append((judge(real), fool(real)))
        both = np.mean(costs, axis=0)
        print(f"epoch {epoch + 1}: discriminator {both[0]:.3f}, generator {both[1]:.3f}")
        sheet(gan.generate(noise), Path(out))
    return gan.generate(noise)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=positive, default=3)
    parser.add_argument("--batch", type=positive, default=64)
    parser.add_argument("--steps", type=positive, help="minibatches of an epoch, by default all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-b", "--backend", choices=("cpu", "reference"))
    parser.add_argument("--out", default="runs/dcgan.png", help="the sheet of digits")
    with plain_errors():
        main(**vars(parser.parse_args()))

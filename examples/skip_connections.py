"""A network of 42 layers, which learns with skip connections and does not with `--plain`.

python examples/skip_connections.py
"""

import argparse

from anode import data, layers
from anode.scripts import plain_errors, positive


def block(width: int, plain: bool) -> list:
    """Two layers, and around them their input, unless `plain`."""
    pair = [
        layers.Affine(width, layers.Gaussian(scale=0.05), bias=0.0, activation=layers.Rectlin()),
        layers.Affine(width, layers.Gaussian(scale=0.05), bias=0.0),
    ]
    return [pair if plain else layers.MergeSum([pair, layers.SkipNode()]), layers.Rectlin()]


def network(blocks: int = 20, width: int = 64, plain: bool = False) -> list:
    """A first layer, the blocks, and a last one."""
    return [
        layers.Affine(width, bias=0.0, activation=layers.Rectlin()),
        [block(width, plain) for _ in range(blocks)],
        layers.Affine(10, bias=0.0, activation=layers.Softmax()),
    ]


def main(
    epochs: int = 3,
    batch: int = 64,
    blocks: int = 20,
    plain: bool = False,
    seed: int = 0,
    backend: str | None = None,
) -> float:
    """The accuracy on the test images after `epochs`."""
    images = data.load_mnist()
    train = data.Batches((images.train.images, images.train.labels), batch, seed=seed)
    test = data.Batches((images.test.images, images.test.labels), 1000, last="keep")
    model = layers.Model(
        network(blocks, plain=plain), preprocess=layers.unit_range, seed=seed, backend=backend
    )
    callbacks = [layers.Evaluate(test, layers.Accuracy()), layers.Progress()]
    history = model.fit(train, layers.CrossEntropyMulti(), layers.Adam(0.001), epochs, callbacks)
    return history["Accuracy"][-1]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=positive, default=3)
    parser.add_argument("--batch", type=positive, default=64)
    parser.add_argument("--blocks", type=positive, default=20, help="of two layers each")
    parser.add_argument("--plain", action="store_true", help="without skip connections")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-b", "--backend", choices=("cpu", "reference"))
    with plain_errors():
        print(f"test accuracy {100 * main(**vars(parser.parse_args())):.2f} %")

"""Train a small network on the MNIST that comes with anode: python examples/mnist_mlp.py"""

import argparse

from anode import data, layers
from anode.scripts import plain_errors, positive


def main(folder: str | None = None, epochs: int = 10) -> float:
    images = data.load_mnist(folder)
    train = data.Batches((images.train.images, images.train.labels), 128, seed=0)
    test = data.Batches((images.test.images, images.test.labels), 1000, last="keep")

    model = layers.Model(
        [
            layers.Affine(100, bias=0.0, activation=layers.Rectlin()),
            layers.Affine(10, bias=0.0, activation=layers.Softmax()),
        ],
        preprocess=layers.unit_range,
    )
    cost, optimizer = layers.CrossEntropyMulti(), layers.GradientDescentMomentum(0.1, 0.9)
    model.fit(train, cost, optimizer, epochs, [layers.Progress()])
    return model.eval(test, layers.Accuracy())["Accuracy"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", help="of other images in four IDX files")
    parser.add_argument("--epochs", type=positive, default=10)
    with plain_errors():
        print(f"test accuracy {100 * main(**vars(parser.parse_args())):.2f} %")

"""Train LeNet on the MNIST that comes with anode: python examples/lenet_mnist.py"""

import argparse

from anode import data, layers, models
from anode.scripts import plain_errors, positive


def main(epochs: int = 5, batch: int = 64, seed: int = 0, backend: str | None = None) -> float:
    """The accuracy on the test images after `epochs`."""
    images = data.load_mnist()
    train = data.Batches((images.train.images, images.train.labels), batch, seed=seed)
    test = data.Batches((images.test.images, images.test.labels), 1000, last="keep")

    model = layers.Model(models.lenet(), preprocess=layers.unit_range, seed=seed, backend=backend)
    schedule = layers.StepSchedule([epochs // 2, epochs - 1], [0.02, 0.004])
    optimizer = layers.GradientDescentMomentum(0.05, 0.9, wdecay=0.0005, schedule=schedule)
    accuracy = layers.Accuracy()
    callbacks = [layers.Evaluate(test, accuracy), layers.Progress()]
    return model.fit(train, layers.CrossEntropyMulti(), optimizer, epochs, callbacks)["Accuracy"][
        -1
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=positive, default=5)
    parser.add_argument("--batch", type=positive, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-b", "--backend", choices=("cpu", "reference"))
    with plain_errors():
        print(f"test accuracy {100 * main(**vars(parser.parse_args())):.2f} %")

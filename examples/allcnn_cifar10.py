"""Train All-CNN on CIFAR-10: python examples/allcnn_cifar10.py FOLDER --epochs 10"""

import argparse

from anode import data, layers, models
from anode.scripts import plain_errors, positive


def main(
    folder: str, epochs: int = 10, batch: int = 128, seed: int = 0, backend: str | None = None
) -> float:
    """The accuracy on the test images of a CIFAR-10 folder, after `epochs`."""
    images = data.load_cifar10(folder)
    train = data.Batches(
        (images.train.images, images.train.labels), batch, seed=seed, augment=data.RandomCrop()
    )
    test = data.Batches((images.test.images, images.test.labels), 500, last="keep")
    model = layers.Model(models.allcnn(), preprocess=layers.unit_range, seed=seed, backend=backend)
    schedule = layers.PolySchedule(epochs, 1.0)
    optimizer = layers.GradientDescentMomentum(0.05, 0.9, wdecay=0.001, schedule=schedule)
    callbacks = [layers.Evaluate(test, layers.Accuracy()), layers.Progress()]
    history = model.fit(train, layers.CrossEntropyMulti(), optimizer, epochs, callbacks)
    return history["Accuracy"][-1]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--epochs", type=positive, default=10)
    parser.add_argument("--batch", type=positive, default=128)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-b", "--backend", choices=("cpu", "reference"))
    with plain_errors():
        print(f"test accuracy {100 * main(**vars(parser.parse_args())):.2f} %")

"""Train a residual network on CIFAR-10: python examples/resnet_cifar10.py FOLDER --epochs 8

FOLDER holds CIFAR-10's batches, or folders train and test of images, one folder for each class.
"""

import argparse
from pathlib import Path

import numpy as np

from anode import data, layers, models, ops
from anode.pictures import learning_curves
from anode.scripts import plain_errors, positive

MEAN, DEVIATION = (np.float32([125.3, 123.0, 113.9]), np.float32([63.0, 62.1, 66.7]))


def standardised(images):
    """Bytes as floats with the training images' mean 0 and deviation 1 in each channel."""
    return (ops.convert(images, dtype="f32") - MEAN) / DEVIATION


def main(
    folder: str,
    depth: int = 20,
    epochs: int = 8,
    batch: int = 64,
    seed: int = 0,
    backend: str | None = None,
    out: str = "runs/resnet",
) -> float:
    """The accuracy on the test images; `out` gets a checkpoint after each epoch and the curves."""
    images = data.load_cifar10(folder)
    train = data.Batches(
        (images.train.images, images.train.labels), batch, seed=seed, augment=data.RandomCrop()
    )
    test = data.Batches((images.test.images, images.test.labels), 500, last="keep")
    model = layers.Model(models.resnet(depth), preprocess=standardised, seed=seed, backend=backend)
    cost = layers.CrossEntropyMulti()
    schedule = layers.PolySchedule(epochs, 2.0)
    optimizer = layers.GradientDescentMomentum(
        0.1, 0.9, wdecay=0.0005, nesterov=True, schedule=schedule
    )
    Path(out).mkdir(parents=True, exist_ok=True)
    checkpoint = Path(out, f"resnet-{depth}.safetensors")
    if checkpoint.exists():
        model.load(checkpoint)
    callbacks = [
        layers.Evaluate(test, (cost, layers.Accuracy())),
        layers.Progress(),
        layers.Checkpoint(checkpoint),
    ]
    found = model.fit(train, cost, optimizer, epochs, callbacks).epochs
    curves = {
        "train loss": found["cost"],
        "test loss": found["CrossEntropyMulti"],
        "test accuracy": found["Accuracy"],
    }
    learning_curves(curves, Path(out, f"resnet-{depth}.png"), f"ResNet-{depth} on CIFAR-10")
    return found["Accuracy"][-1]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--depth", type=positive, default=20, help="20, 32, 44, 56 or 110")
    parser.add_argument("--epochs", type=positive, default=8)
    parser.add_argument("--batch", type=positive, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-b", "--backend", choices=("cpu", "reference"))
    parser.add_argument("--out", default="runs/resnet")
    with plain_errors():
        print(f"test accuracy {100 * main(**vars(parser.parse_args())):.2f} %")

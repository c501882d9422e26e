"""Train and test AlexNet on images that `anode data ingest` made records of.

python examples/alexnet.py RECORDS VALIDATION --epochs 90 --save alexnet.safetensors
python examples/alexnet.py RECORDS VALIDATION --test-only --model-file alexnet.safetensors
"""

import argparse

import numpy as np

from anode import data, layers, models, ops
from anode.errors import DataError
from anode.scripts import plain_errors, positive

COST = layers.CrossEntropyMulti()
MEASURES = layers.TopKMisclassification(5)  # with the top-1 error beside the top-5 error


def centred(means):
    """Bytes as floats without the data set's channel means, inside the compiled step."""
    return lambda images: ops.convert(images, dtype="f32") - means


def optimizer() -> layers.Optimizer:
    """neon's: biases learn twice as fast and do not decay."""
    schedule = layers.Schedule([22, 44, 65], (1 / 250) ** (1 / 3))
    weights = layers.GradientDescentMomentum(0.01, 0.9, wdecay=0.0005, schedule=schedule)
    biases = layers.GradientDescentMomentum(0.02, 0.9, schedule=layers.Schedule([44], 0.1))
    return layers.MultiOptimizer({"Bias": biases, "default": weights})


def main(options: argparse.Namespace) -> dict[str, float]:
    """The errors on the validation images."""
    records = data.open_records(options.records)
    test = data.ImageLoader(options.validation, options.batch, short_side=256, last="keep")
    if test.records.classes != records.classes:
        raise DataError(f"{options.validation} has other classes than {options.records}")
    model = layers.Model(
        models.alexnet(len(records.classes)),
        preprocess=centred(np.float32(records.mean)),
        seed=options.seed,
        backend=options.backend,
        threads=options.threads,
    )
    if options.model_file:
        model.load(options.model_file, weights_only=options.test_only)
    if not options.test_only:
        train = data.ImageLoader(records, options.batch, short_side=256, seed=options.seed)
        callbacks = [
            layers.Evaluate(test, MEASURES),
            layers.Progress(),
            layers.Checkpoint(options.save, minibatches=500),
        ]
        with train:
            model.fit(train, COST, optimizer(), options.epochs, callbacks)
    with test:
        return model.eval(test, MEASURES)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("records", help="training records, whose means are subtracted")
    parser.add_argument("validation", help="validation records")
    parser.add_argument("--epochs", type=positive, default=90)
    parser.add_argument("--batch", type=positive, default=128)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-b", "--backend", choices=("cpu", "reference"))
    parser.add_argument("--threads", type=positive)
    parser.add_argument("--save", default="alexnet.safetensors", help="checkpoint to write")
    parser.add_argument("--model-file", help="checkpoint to start from, or to test")
    parser.add_argument("--test-only", action="store_true")
    given = parser.parse_args()
    if given.test_only and not given.model_file:
        parser.error("--test-only needs the --model-file to test")
    with plain_errors():
        for name, value in main(given).items():
            print(f"{name} {value:.4f}")

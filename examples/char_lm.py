"""Learn to write like a text, letter by letter: python examples/char_lm.py tinyshakespeare.txt

A language model of two LSTMs; the state is carried from minibatch to minibatch. The last twentieth
of the text is held out. After each epoch the network goes on from --prompt.
"""

import argparse
from pathlib import Path

import numpy as np

from anode import layers
from anode.data import text
from anode.scripts import plain_errors, positive

COST = layers.PerStep(layers.CrossEntropyMulti(), mean=True)


def network(tokens: int, units: int, keep: float) -> list:
    remember = (0.0, 1.0, 0.0, 0.0)  # the bias of each gate
    return [
        layers.LookupTable(tokens, 64),
        layers.LSTM(units, bias=remember, reset_cells=False),
        layers.Dropout(keep, scaled=True),
        layers.LSTM(units, bias=remember, reset_cells=False),
        layers.Dropout(keep, scaled=True),
        layers.Affine(tokens, bias=0.0, activation=layers.Softmax()),
    ]


class Sample(layers.Callback):
    """Prints what the network writes after each epoch."""

    def __init__(self, known: text.Vocabulary, prompt: str, length: int, temperature: float):
        self.known, self.prompt = known, prompt
        self.length, self.temperature = length, temperature

    def on_epoch_end(self, training) -> None:
        numbers = np.array([self.known.encode(self.prompt)], np.int32)
        found = layers.generate(
            *(training.model, numbers, self.length),
            temperature=self.temperature,
            seed=training.epoch,
        )
        print("-" * 80, self.prompt + "".join(self.known.decode(found[0])), "-" * 80, sep="\n")


def main(
    path: str,
    epochs: int = 10,
    units: int = 256,
    rows: int = 64,
    steps: int = 64,
    keep: float = 0.8,
    prompt: str = "ROMEO:\n",
    length: int = 300,
    temperature: float = 0.7,
    seed: int = 0,
) -> float:
    """The cost of a letter held out, in nats."""
    letters = Path(path).read_text(encoding="utf-8")
    known = text.Vocabulary.of([letters])
    numbers = known.encode(letters)
    held = len(numbers) // 20
    train = text.streams(numbers[:-held], rows, steps)
    test = text.streams(numbers[-held:], min(rows, 8), 2 * steps)
    model = layers.Model(network(len(known), units, keep), seed=seed)
    schedule = layers.PolySchedule(epochs, 1.0)
    optimizer = layers.Adam(0.004, gradient_clip_norm=5.0, schedule=schedule)
    sample = Sample(known, prompt, length, temperature)
    callbacks = [layers.Progress(), layers.Evaluate(test, COST), sample]
    model.fit(train, COST, optimizer, epochs, callbacks)
    return model.eval(test, COST)["PerStep"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("text")
    parser.add_argument("--epochs", type=positive, default=10)
    parser.add_argument("--units", type=positive, default=256)
    parser.add_argument(
        "--rows", type=positive, default=64, help="streams that the text is cut into"
    )
    parser.add_argument("--steps", type=positive, default=64, help="letters between two updates")
    parser.add_argument("--keep", type=float, default=0.8, help="share that dropout keeps")
    parser.add_argument("--prompt", default="ROMEO:\n")
    parser.add_argument("--length", type=positive, default=300, help="letters to write")
    parser.add_argument("--temperature", type=float, default=0.7)
    parser.add_argument("--seed", type=int, default=0)
    options = vars(parser.parse_args())
    with plain_errors():
        nats = main(options.pop("text"), **options)
        print(f"{nats:.3f} nats, {nats / np.log(2):.3f} bits a letter of the text held out")

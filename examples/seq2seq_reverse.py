"""Learn to write words backwards: python examples/seq2seq_reverse.py

An encoder reads up to 20 letters, a decoder that attends to them writes them from the last to the
first. Words are drawn anew for each minibatch.
"""

import argparse
from collections.abc import Iterator

import numpy as np

from anode import layers
from anode.scripts import plain_errors, positive

PAD, START, END, LETTERS = 0, 1, 2, 26  # the tokens; letters are from 3 on
TOKENS = LETTERS + 3


def words(count: int, longest: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Words of 1 to `longest` letters, padded, and the same backwards with END."""
    given = np.zeros((count, longest), np.int32)
    wanted = np.zeros((count, longest + 1), np.int32)
    for x, y, length in zip(given, wanted, random.integers(1, longest + 1, count), strict=True):
        x[:length] = random.integers(3, TOKENS, length)
        y[: length + 1] = [*x[:length][::-1], END]
    return given, wanted


class Words:
    """Minibatches of new words, `batches` of them an epoch."""

    def __init__(self, batches: int, rows: int, longest: int, seed: int) -> None:
        self.batches, self.rows, self.longest = batches, rows, longest
        self.random = np.random.default_rng(seed)

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for _ in range(self.batches):
            yield words(self.rows, self.longest, self.random)


def network(longest: int, units: int) -> layers.Seq2Seq:
    encoder = [layers.LookupTable(TOKENS, 32, pad_idx=PAD), layers.BiGRU(units // 2)]
    decoder = [
        layers.LookupTable(TOKENS, 32),
        layers.GRU(units),
        layers.Attention(units),
        layers.Affine(TOKENS, bias=0.0, activation=layers.Softmax()),
    ]
    return layers.Seq2Seq(encoder, decoder, start=START, end=END, steps=longest + 1)


def main(
    epochs: int = 10, batches: int = 300, longest: int = 20, units: int = 128, seed: int = 0
) -> float:
    """The share of 2,000 other words that come out right in every letter."""
    model = layers.Model([network(longest, units)], seed=seed)
    cost = layers.PerStep(layers.CrossEntropyMulti(), pad_idx=PAD, mean=True)
    exact = layers.ExactMatch(pad_idx=PAD)
    test = [words(500, longest, np.random.default_rng([seed, i])) for i in range(4)]
    callbacks = [layers.Progress(), layers.Evaluate(test, exact)]
    schedule = layers.PolySchedule(epochs, 1.0)
    optimizer = layers.Adam(0.003, gradient_clip_norm=5.0, schedule=schedule)
    model.fit(Words(batches, 64, longest, seed), cost, optimizer, epochs, callbacks)
    said = model.predict(test[0][0][:5])
    for given, found in zip(test[0][0], said, strict=False):
        print(f"{spelled(given):>{longest}} -> {spelled(found)}")
    return model.eval(test, exact)["ExactMatch"]


def spelled(tokens: np.ndarray) -> str:
    return "".join(chr(ord("a") + token - 3) for token in tokens if token > END)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=positive, default=10)
    parser.add_argument("--batches", type=positive, default=300, help="minibatches of an epoch")
    parser.add_argument("--longest", type=positive, default=20, help="letters of a word, at most")
    parser.add_argument("--units", type=positive, default=128)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with plain_errors():
        right = main(options.epochs, options.batches, options.longest, options.units, options.seed)
        print(f"{100 * right:.2f} % of 2,000 new words are right in every letter")

"""Learn whether movie reviews praise: python examples/sentiment_lstm.py movie_reviews.zip

DATA is NLTK's movie_reviews, a folder or a zip with pos/*.txt and neg/*.txt, of which a fixed tenth
is held out for testing; or the folder of IMDB's aclImdb, which has train and test. A bidirectional
LSTM reads the mean vectors of phrases of 20 words; few reviews are soon known by heart, so half of
the words are left out in training, and some networks, each from other first weights, vote.
"""

import argparse
import re
from pathlib import Path

import numpy as np

from anode import layers, ops
from anode.data import Batches, text
from anode.data.batches import permutation
from anode.scripts import plain_errors, positive

SPLIT = 0  # the seed of the order whose first tenth is held out
PHRASE = 20  # words


def split(path: str) -> tuple[text.Texts, text.Texts]:
    """The reviews to learn from, and those to test with."""
    if Path(path, "train").is_dir():
        return text.load_reviews(path, "train"), text.load_reviews(path, "test")
    reviews = text.load_reviews(path)
    order = permutation(len(reviews), SPLIT, 0)
    held = len(reviews) // 10
    return reviews[order[held:]], reviews[order[:held]]


def words(review: str) -> list[str]:
    return re.findall(r"[a-z']+|[!?]", review.lower().replace("<br />", " "))


def arrays(reviews: text.Texts, known: text.Vocabulary, steps: int) -> tuple[np.ndarray, ...]:
    rows = [known.encode(words(review)) for review in reviews.texts]
    return text.padded(rows, steps, keep="both"), reviews.labels


class WordDropout(layers.Layer):
    """Leaves out a share of the words in training: their vectors become zero."""

    def __init__(self, share: float) -> None:
        self.share = share

    def build(self, x):
        if not self.training:
            return x
        key, stream = self.draw()
        kept = ops.less(ops.uniform(key, stream=stream, shape=x.shape[:2]), 1 - self.share)
        kept = ops.broadcast_in_dim(kept, shape=x.shape, axes=(0, 1))
        return ops.select(kept, x / (1 - self.share), ops.zeros_like(x))


class Phrases(layers.Layer):
    """The mean vector of each phrase of so many words."""

    def __init__(self, count: int) -> None:
        self.count = count

    def build(self, x):
        batch, steps, size = x.shape
        y = ops.mean(ops.reshape(x, shape=(batch, steps // self.count, self.count, size)), axis=2)
        self.set_lengths(y, ops.floor_divide(self.lengths(x) + (self.count - 1), self.count))
        return y


def network(tokens: int, units: int) -> list:
    return [
        layers.LookupTable(tokens, 32, layers.Gaussian(scale=0.05), pad_idx=0),
        WordDropout(0.5),
        layers.Dropout(0.5, scaled=True),
        Phrases(PHRASE),
        layers.BiLSTM(units),
        layers.RecurrentMean(),
        layers.Affine(2, bias=0.0, activation=layers.Softmax()),
    ]


def main(
    path: str, epochs: int = 4, steps: int = 1000, units: int = 16, networks: int = 5, seed: int = 0
) -> float:
    """The accuracy on the reviews held out."""
    train, test = split(path)
    known = text.Vocabulary.of(map(words, train.texts), 20000, least=2)
    print(f"{len(train)} reviews to learn from, {len(test)} to test; {len(known)} words")
    learned, (held_out, labels) = (arrays(reviews, known, steps) for reviews in (train, test))
    votes = np.zeros((len(labels), 2))
    for i in range(networks):
        model = layers.Model(network(len(known), units), seed=seed + i)
        optimizer = layers.Adam(0.01, schedule=layers.PolySchedule(epochs, 1.0))
        batches = Batches(learned, 50, seed=seed + i)
        cost, callbacks = layers.CrossEntropyMulti(), [layers.Progress()]
        model.fit(batches, cost, optimizer, epochs, callbacks)
        votes += model.get_outputs(np.split(held_out, range(100, len(held_out), 100)))
        right = (votes.argmax(1) == labels).mean()
        print(f"{i + 1} of {networks} networks: {100 * right:.1f} % are right")
    return float(right)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--epochs", type=positive, default=4)
    parser.add_argument(
        "--steps", type=positive, default=1000, help="words of a review, from both ends"
    )
    parser.add_argument("--units", type=positive, default=16)
    parser.add_argument("--networks", type=positive, default=5)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with plain_errors():
        accuracy = main(
            *(options.data, options.epochs, options.steps, options.units),
            networks=options.networks,
            seed=options.seed,
        )
        print(f"{100 * accuracy:.1f} % of the reviews held out are right")

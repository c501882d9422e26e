"""Film reviews as sequences of words, with their judgement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from anode.frontends.ngraph.frontends.neon.data.files import local_file, read_pickle

Sentences = list[list[int]]


def preprocess_text(
    X: Sentences,
    vocab_size: int | None,
    oov: int | None = 2,
    start: int | None = 1,
    index_from: int = 3,
) -> Sentences:
    """The sentences with `start` before them, words shifted by `index_from`, rare ones as `oov`.

    Rare are words from `vocab_size` on, after the shift.
    """
    before = [] if start is None else [start]
    X = [[*before, *(word + index_from for word in sentence)] for sentence in X]
    if vocab_size is None:
        vocab_size = max(max(sentence) for sentence in X)
    if oov is None:
        return X
    return [[oov if word >= vocab_size else word for word in sentence] for sentence in X]


def pad_sentences(
    sentences: Sequence[Sequence[int]],
    pad_idx: int,
    pad_to_len: int | None = None,
    pad_from: str = "left",
) -> np.ndarray:
    """The last `pad_to_len` words of each sentence, filled with `pad_idx` on the left or right."""
    length = max(map(len, sentences)) if pad_to_len is None else pad_to_len
    padded = np.full((len(sentences), length), pad_idx, dtype=np.int32)
    for row, sentence in zip(padded, sentences, strict=True):
        words = sentence[-length:]
        place = slice(length - len(words), None) if pad_from == "left" else slice(len(words))
        row[place] = words
    return padded


class IMDB:
    """The file imdb.pkl in the folder `path`; `shuffle` is by numpy.random."""

    def __init__(
        self,
        path: str = ".",
        vocab_size: int = 20000,
        sentence_length: int = 128,
        pad_idx: int = 0,
        shuffle: bool = True,
    ) -> None:
        self.path = path
        self.url = "https://s3.amazonaws.com/text-datasets"
        self.filename = "imdb.pkl"
        self.filesize = 33213513
        self.vocab_size = vocab_size
        self.sentence_length = sentence_length
        self.shuffle = shuffle
        self.pad_idx = pad_idx

    def load_data(self, test_split: float = 0.2) -> dict[str, dict[str, Any]]:
        """'train' and 'valid': 'review' with the axes N and REC, and 'label'."""
        X, y = read_pickle(local_file(self.path, self.url, self.filename, self.filesize))
        reviews = pad_sentences(
            preprocess_text(X, self.vocab_size), self.pad_idx, self.sentence_length
        )
        labels = np.asarray(y)
        if self.shuffle:
            order = np.arange(len(labels))
            np.random.shuffle(order)
            reviews, labels = reviews[order], labels[order]
        count = int(len(reviews) * (1 - test_split))
        self.nclass = 1 + int(labels.max())
        self.data_dict = {
            phase: {
                "review": {"data": reviews[rows], "axes": ("N", "REC")},
                "label": {"data": labels[rows], "axes": ("N",)},
            }
            for phase, rows in (("train", slice(count)), ("valid", slice(count, None)))
        }
        return self.data_dict

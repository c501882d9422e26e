"""Sentences made into arrays: cleaned, padded on the left, cut to a vocabulary."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from anode.data.pickles import read_value
from anode.errors import DataError

# Source: the tokenisation of Y. Kim's "Convolutional Neural Networks for Sentence Classification".
# The backslashes that come out before brackets and question marks are part of it.
CLEANING = (
    (r"[^A-Za-z0-9(),!?'`]", " "),
    (r"'re", " 're"),
    (r"'d", " 'd"),
    (r"'ll", " 'll"),
    (r"'s", " 's"),
    (r"'ve", " 've"),
    (r"n't", " n't"),
    (r"!", " ! "),
    (r",", " , "),
    (r"\)", r" \\) "),
    (r"\(", r" \\( "),
    (r"\?", r" \\? "),
    (r"\s{2,}", " "),
)
MAX_HEADER = 1 << 10
MAX_WORD = 1 << 16


def clean_string(base: str) -> str:
    """Text in lower case, with blanks between words and marks, and without other characters."""
    for pattern, replacement in CLEANING:
        base = re.sub(pattern, replacement, base)
    return base.strip().lower()


def pad_sentences(
    sentences: Sequence[Sequence[int]],
    sentence_length: int | None = None,
    dtype: Any = np.int32,
    pad_val: float = 0.0,
) -> np.ndarray:
    """i32[sentences, length]: the last words of each sentence, after padding on the left.

    The length is by default that of the longest. The result is of i32 whatever `dtype` is.
    """
    if sentence_length is None:
        sentence_length = max(map(len, sentences))
    found = np.full((len(sentences), sentence_length), pad_val).astype(np.int32)
    for row, sentence in zip(found, sentences, strict=True):
        kept = sentence[-sentence_length:]
        if len(kept):
            row[-len(kept) :] = kept
    return found


def pad_data(
    path: str,
    vocab_size: int = 20000,
    sentence_length: int = 100,
    oov: int | None = 2,
    start: int | None = 1,
    index_from: int = 3,
    seed: int = 113,
    test_split: float = 0.2,
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray], int]:
    """Training and test sentences of a pickle (lists of word numbers, labels), and the classes.

    Both are shuffled by `seed`, through NumPy's global generator. Word numbers grow by
    `index_from`; what is then beyond `vocab_size` becomes `oov`, and `start` begins a sentence.
    """
    found = read_value(path)
    if not isinstance(found, (tuple, list)) or len(found) != 2:
        raise DataError(
            f"{path}: is no pickle (sentences, labels); `anode data legacy imdb` makes one"
        )
    sentences, labels = _shuffled(list(found[0]), list(found[1]), seed)
    sentences = _numbered(sentences, vocab_size, oov, start, index_from)
    cut = int(len(sentences) * (1 - test_split))
    parts = [
        (
            pad_sentences(sentences[part], sentence_length=sentence_length),
            np.array(labels[part]).reshape(-1, 1),
        )
        for part in (slice(None, cut), slice(cut, None))
    ]
    return parts[0], parts[1], 1 + max(np.max(y) for _, y in parts)


def get_paddedXY(
    X: Any,
    y: Any,
    vocab_size: int = 20000,
    sentence_length: int = 100,
    oov: int | None = 2,
    start: int | None = 1,
    index_from: int = 3,
    seed: int = 113,
    shuffle: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """Sentences and labels as arrays, as `pad_data` makes them; without `oov` words are dropped."""
    if shuffle:
        X, y = _shuffled(X, y, seed)
    numbered = _numbered(X, vocab_size, oov, start, index_from)
    if oov is None:
        largest = vocab_size or max(map(max, numbered))
        numbered = [[word for word in sentence if word < largest] for sentence in numbered]
    return pad_sentences(numbered, sentence_length), np.array(y, np.int32).reshape(-1, 1)


def _shuffled(sentences: Any, labels: Any, seed: int) -> tuple[Any, Any]:
    """Both in the same new order, in place, which leaves NumPy's global generator seeded."""
    for part in (sentences, labels):
        np.random.seed(seed)
        np.random.shuffle(part)
    return sentences, labels


def _numbered(
    sentences: Any, vocab_size: int, oov: int | None, start: int | None, index_from: int
) -> list[list[int]]:
    """Sentences with the numbers of their words moved up, begun with `start`."""
    first = [] if start is None else [start]
    moved = [[*first, *(word + index_from for word in sentence)] for sentence in sentences]
    if oov is None:
        return moved
    largest = vocab_size or max(map(max, moved))
    return [[oov if word >= largest else word for word in sentence] for sentence in moved]


def get_google_word2vec_W(
    fname: str, vocab: Mapping[str, int], vocab_size: int = 1000000, index_from: int = 3
) -> tuple[np.ndarray, int, int]:
    """The embedding of a vocabulary from word2vec's binary file, its width, and its rows.

    The word of number i has the row i + `index_from`; rows without a word are uniform in ±0.25,
    from NumPy's global generator. Raises DataError for a damaged file.
    """
    rows = min(len(vocab) + index_from, vocab_size)
    with open(fname, "rb") as file:
        try:
            count, width = map(int, file.readline(MAX_HEADER).split())
            weights, found = np.zeros((rows, width)), np.zeros(rows, bool)
            for _ in range(count):
                row = vocab.get(_word(file), rows) + index_from
                vector = file.read(4 * width)
                if row < rows:
                    weights[row], found[row] = np.frombuffer(vector, "<f4"), True
        except ValueError as error:
            raise DataError(f"{fname}: no binary file of word2vec ({error})") from error
    for missing in np.flatnonzero(~found):
        weights[missing] = np.random.uniform(-0.25, 0.25, width)
    return weights, width, rows


def _word(file: Any) -> str:
    """The next word of a word2vec file, which a blank ends."""
    word = bytearray()
    while (byte := file.read(1)) != b" ":
        if not byte or len(word) > MAX_WORD:
            raise ValueError("a word has no end")
        word += byte
    return word.strip(b"\n").decode("utf-8", "replace")

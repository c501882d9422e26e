"""`tf.keras.datasets`: MNIST as it comes with anode, others from Keras's folder of downloads."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from anode.data import idx, image_sets
from anode.data.cifar import load_cifar10, load_cifar100
from anode.frontends.tensorflow.opdef import export

Pair = tuple[np.ndarray, np.ndarray]
IMDB_REUTERS_SEED = 113


def _keras(name: str) -> Callable[[Any], Any]:
    return export(f"keras.datasets.{name}", f"contrib.keras.datasets.{name}")


def _folder() -> Path:
    """Where Keras keeps its downloads."""
    return Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "datasets"


def _path(name: str | os.PathLike[str], source: str) -> Path:
    """The file of that name, or under Keras's folder; FileNotFoundError says where it belongs."""
    path = _folder() / name
    if not path.exists():
        raise FileNotFoundError(f"{path}: not there, and nothing is downloaded; put {source} there")
    return path


@_keras("mnist.load_data")
def load_mnist(path: str = "mnist.npz") -> tuple[Pair, Pair]:
    """(images u8[60000, 28, 28], labels u8[60000]) and the same of the 10,000 for tests.

    They are read from `path` in Keras's folder if it is there, else from what anode ships.
    """
    stored = _folder() / path
    if stored.exists():
        with np.load(stored) as arrays:
            return (arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"])
    return _idx_pairs(image_sets.SHIPPED)


@_keras("fashion_mnist.load_data")
def load_fashion_mnist() -> tuple[Pair, Pair]:
    """Fashion-MNIST, in the form of MNIST, from the four `.gz` files."""
    name = "fashion-mnist"
    return _idx_pairs(_path(name, "the folder with its four .gz files"))


def _idx_pairs(root: Path) -> tuple[Pair, Pair]:
    def pair(part: str) -> Pair:
        images = idx.read_idx(root / f"{part}-images-idx3-ubyte.gz")
        return images.copy(), idx.read_idx(root / f"{part}-labels-idx1-ubyte.gz").copy()

    return pair("train"), pair("t10k")


def _cifar(splits: image_sets.Splits) -> tuple[Pair, Pair]:
    train, test = splits.train, splits.test
    return (train.images, train.labels[:, None]), (test.images, test.labels[:, None])


@_keras("cifar10.load_data")
def load_cifar_10() -> tuple[Pair, Pair]:
    """(images u8[n, 32, 32, 3], labels u8[n, 1]) of CIFAR-10, for training and for tests."""
    name = "cifar-10-batches-py"
    return _cifar(load_cifar10(_path(name, "the folder that cifar-10-python.tar.gz unpacks to")))


@_keras("cifar100.load_data")
def load_cifar_100(label_mode: str = "fine") -> tuple[Pair, Pair]:
    """CIFAR-100 in the form of `cifar10.load_data`, with its 100 fine classes."""
    if label_mode != "fine":
        raise ValueError(f"label_mode={label_mode!r}: only 'fine' is read")
    name = "cifar-100-python"
    return _cifar(load_cifar100(_path(name, "the folder that cifar-100-python.tar.gz unpacks to")))


@_keras("boston_housing.load_data")
def load_boston(
    path: str = "boston_housing.npz", test_split: float = 0.2, seed: int = 113
) -> tuple[Pair, Pair]:
    """The houses of Boston, shuffled with the seed, the last `test_split` of them for tests."""
    if not 0 <= test_split < 1:
        raise AssertionError(f"test_split={test_split}: choose from 0 up to, not including, 1")
    with np.load(_path(path, "Keras's boston_housing.npz"), allow_pickle=False) as arrays:
        rows, targets = arrays["x"], arrays["y"]
    np.random.seed(seed)
    order = np.arange(len(rows))
    np.random.shuffle(order)
    rows, targets = rows[order], targets[order]
    cut = int(len(rows) * (1 - test_split))
    return (rows[:cut], targets[:cut]), (rows[cut:], targets[cut:])


@_keras("imdb.get_word_index")
def imdb_word_index(path: str = "imdb_word_index.json") -> dict[str, int]:
    """The number of each word of the film reviews."""
    return _word_index(path)


@_keras("reuters.get_word_index")
def reuters_word_index(path: str = "reuters_word_index.json") -> dict[str, int]:
    """The number of each word of the newswires."""
    return _word_index(path)


def _word_index(path: str) -> dict[str, int]:
    indices: dict[str, int] = json.loads(_path(path, f"Keras's {path}").read_text())
    return indices


def _shuffled(texts: np.ndarray, labels: np.ndarray) -> Pair:
    order = np.arange(len(texts))
    np.random.shuffle(order)
    return texts[order], labels[order]


def _marked(text: Any, start_char: int | None, index_from: int) -> list[int]:
    if start_char is not None:
        return [start_char] + [word + index_from for word in text]
    return [word + index_from for word in text] if index_from else list(text)


def _limited(text: list[int], num_words: int, skip_top: int, oov_char: int | None) -> list[int]:
    known = range(skip_top, num_words)
    if oov_char is None:
        return [word for word in text if word in known]
    return [word if word in known else oov_char for word in text]


def _encoded(
    texts: Any,
    labels: Any,
    num_words: int | None,
    skip_top: int,
    maxlen: int | None,
    start_char: int | None,
    oov_char: int | None,
    index_from: int,
) -> tuple[list[list[int]], Any]:
    """Texts marked at the start, cut off at `maxlen`, with rare and too frequent words replaced."""
    words = [_marked(text, start_char, index_from) for text in texts]
    if maxlen:
        short = [index for index, text in enumerate(words) if len(text) < maxlen]
        words, labels = [words[index] for index in short], [labels[index] for index in short]
        if not words:
            raise ValueError(f"After filtering for sequences shorter than maxlen={maxlen}, no text")
    limit = num_words or max(max(text) for text in words) + 1
    return [_limited(text, limit, skip_top, oov_char) for text in words], labels


def _objects(texts: list[list[int]]) -> np.ndarray:
    array = np.empty(len(texts), dtype=object)
    array[:] = texts
    return array


@_keras("imdb.load_data")
def load_imdb(
    path: str = "imdb.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    seed: int = IMDB_REUTERS_SEED,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
) -> tuple[Pair, Pair]:
    """Film reviews as lists of word numbers, and 1 for praise; 25,000 each to train and test."""
    with np.load(_path(path, "Keras's imdb.npz"), allow_pickle=True) as arrays:
        train = arrays["x_train"], arrays["y_train"]
        test = arrays["x_test"], arrays["y_test"]
    np.random.seed(seed)
    train, test = _shuffled(*train), _shuffled(*test)
    words, labels = _encoded(
        np.concatenate([train[0], test[0]]),
        np.concatenate([train[1], test[1]]),
        num_words,
        skip_top,
        maxlen,
        start_char,
        oov_char,
        index_from,
    )
    cut, texts, marks = len(train[0]), _objects(words), np.array(labels)
    return (texts[:cut], marks[:cut]), (texts[cut:], marks[cut:])


@_keras("reuters.load_data")
def load_reuters(
    path: str = "reuters.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    test_split: float = 0.2,
    seed: int = IMDB_REUTERS_SEED,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
) -> tuple[Pair, Pair]:
    """Newswires as lists of word numbers with one of 46 topics, shuffled with the seed."""
    with np.load(_path(path, "Keras's reuters.npz"), allow_pickle=True) as arrays:
        texts, labels = arrays["x"], arrays["y"]
    np.random.seed(seed)
    texts, labels = _shuffled(texts, labels)
    words, labels = _encoded(
        texts, labels, num_words, skip_top, maxlen, start_char, oov_char, index_from
    )
    cut = int(len(words) * (1 - test_split))
    array, marks = _objects(words), np.asarray(labels)
    return (array[:cut], marks[:cut]), (array[cut:], marks[cut:])

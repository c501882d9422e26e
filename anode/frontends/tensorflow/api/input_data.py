"""MNIST as TensorFlow 1's tutorials read it: split, scaled, one-hot, shuffled in the same order."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from anode.data.image_sets import SHIPPED
from anode.frontends.tensorflow import dtypes
from anode.frontends.tensorflow.graph import get_default_graph
from anode.frontends.tensorflow.opdef import export

DEFAULT_SOURCE_URL = "https://storage.googleapis.com/cvdf-datasets/mnist/"
OFFICIAL_SOURCES = (DEFAULT_SOURCE_URL, "http://yann.lecun.com/exdb/mnist/")
IMAGES_MAGIC = 2051
LABELS_MAGIC = 2049
FAKE_EXAMPLES = 10000
TUTORIAL = "examples.tutorials.mnist.input_data"
LEARN = "contrib.learn.python.learn.datasets.mnist"
SHORT = "contrib.learn.datasets.mnist"


@export("contrib.learn.datasets.base.Datasets", "contrib.learn.python.learn.datasets.base.Datasets")
class Datasets(NamedTuple):
    """The three parts of a data set."""

    train: Any
    validation: Any
    test: Any


@export(f"{TUTORIAL}.dense_to_one_hot", f"{LEARN}.dense_to_one_hot", f"{SHORT}.dense_to_one_hot")
def dense_to_one_hot(labels_dense: np.ndarray, num_classes: int) -> np.ndarray:
    """Rows of float64 zeros with a one at the label, for labels of shape [n]."""
    labels = np.asarray(labels_dense).ravel()
    one_hot = np.zeros((len(labels), num_classes))
    one_hot[np.arange(len(labels)), labels] = 1
    return one_hot


def _words(content: bytes, count: int) -> np.ndarray:
    return np.frombuffer(content, ">u4", count).astype(np.int64)


@export(f"{TUTORIAL}.extract_images", f"{LEARN}.extract_images", f"{SHORT}.extract_images")
def extract_images(f: BinaryIO) -> np.ndarray:
    """The images u8[n, rows, columns, 1] of an open `.gz` file; ValueError for a wrong magic."""
    print("Extracting", f.name)
    content = gzip.decompress(f.read())
    magic, count, rows, columns = _words(content, 4)
    if magic != IMAGES_MAGIC:
        raise ValueError(f"Invalid magic number {magic} in MNIST image file: {f.name}")
    size = int(count * rows * columns)
    return np.frombuffer(content, np.uint8, size, 16).reshape(count, rows, columns, 1)


@export(f"{TUTORIAL}.extract_labels", f"{LEARN}.extract_labels", f"{SHORT}.extract_labels")
def extract_labels(f: BinaryIO, one_hot: bool = False, num_classes: int = 10) -> np.ndarray:
    """The labels u8[n], or one-hot, of an open `.gz` file; ValueError for a wrong magic."""
    print("Extracting", f.name)
    content = gzip.decompress(f.read())
    magic, count = _words(content, 2)
    if magic != LABELS_MAGIC:
        raise ValueError(f"Invalid magic number {magic} in MNIST label file: {f.name}")
    labels = np.frombuffer(content, np.uint8, int(count), 8)
    return dense_to_one_hot(labels, num_classes) if one_hot else labels


def _numpy_seed(seed: int | None) -> int | None:
    """What NumPy's global generator is seeded with, from the graph's seed and that of the op."""
    graph_seed = get_default_graph().seed
    if seed is None:
        return graph_seed
    return 2**31 - 1 if (graph_seed, seed) == (0, 0) else seed  # TensorFlow keeps (0, 0) apart


@export(f"{TUTORIAL}.DataSet", f"{LEARN}.DataSet", f"{SHORT}.DataSet", f"{TUTORIAL}._DataSet")
class DataSet:
    """Images and labels that `next_batch` hands out, in an order drawn anew for each epoch.

    The order is a permutation of the stored rows, which are bytes as in the file: a batch gathers
    and scales its rows; all are put in order and scaled only when somebody reads `images`.
    """

    def __init__(
        self,
        images: Any,
        labels: Any,
        fake_data: bool = False,
        one_hot: bool = False,
        dtype: Any = dtypes.float32,
        reshape: bool = True,
        seed: int | None = None,
    ) -> None:
        np.random.seed(_numpy_seed(seed))
        dtype = dtypes.as_dtype(dtype).base_dtype
        if dtype not in (dtypes.uint8, dtypes.float32):
            raise TypeError(f"Invalid image dtype {dtype!r}, expected uint8 or float32")
        self._fake = fake_data
        self.one_hot = one_hot
        self._stored = (images, labels)
        self._order: np.ndarray | None = None
        self._bytes = dtype == dtypes.float32 and not fake_data  # still to be scaled
        self._num_examples = FAKE_EXAMPLES if fake_data else len(images)
        self._epochs_completed = 0
        self._index_in_epoch = 0
        if not fake_data:
            self._stored = (_checked(images, labels, reshape), labels)

    def _ordered(self) -> tuple[Any, Any]:
        if self._order is not None:
            images, labels = self._stored
            self._stored = images[self._order], labels[self._order]
            self._order = None
        if self._bytes:
            self._stored = _scaled(self._stored[0]), self._stored[1]
            self._bytes = False
        return self._stored

    @property
    def images(self) -> Any:
        """The images in this epoch's order: f32[n, 784] in 0..1 unless asked otherwise."""
        return self._ordered()[0]

    @property
    def labels(self) -> Any:
        """The labels in this epoch's order: u8[n], or f64[n, 10] if one-hot."""
        return self._ordered()[1]

    @property
    def _images(self) -> Any:
        return self.images

    @_images.setter
    def _images(self, images: Any) -> None:
        self._stored = images, self.labels

    @property
    def _labels(self) -> Any:
        return self.labels

    @_labels.setter
    def _labels(self, labels: Any) -> None:
        self._stored = self.images, labels

    @property
    def num_examples(self) -> int:
        """The number of rows."""
        return self._num_examples

    @property
    def epochs_completed(self) -> int:
        """How often the rows were used up."""
        return self._epochs_completed

    def _shuffle(self) -> None:
        order = np.arange(self._num_examples)
        np.random.shuffle(order)
        self._order = order if self._order is None else self._order[order]

    def _rows(self, start: int, end: int) -> tuple[Any, Any]:
        images, labels = self._stored
        rows = slice(start, end) if self._order is None else self._order[start:end]
        return _scaled(images[rows]) if self._bytes else images[rows], labels[rows]

    def next_batch(
        self, batch_size: int, fake_data: bool = False, shuffle: bool = True
    ) -> tuple[Any, Any]:
        """The next rows; those left of an epoch are followed by the first of the next one."""
        if fake_data:
            return self._fake_batch(batch_size)
        start = self._index_in_epoch
        if self._epochs_completed == 0 and start == 0 and shuffle:
            self._shuffle()
        if start + batch_size <= self._num_examples:
            self._index_in_epoch = start + batch_size
            return self._rows(start, self._index_in_epoch)
        self._epochs_completed += 1
        rest = self._rows(start, self._num_examples)
        if shuffle:
            self._shuffle()
        self._index_in_epoch = batch_size - (self._num_examples - start)
        new = self._rows(0, self._index_in_epoch)
        return np.concatenate((rest[0], new[0])), np.concatenate((rest[1], new[1]))

    def _fake_batch(self, batch_size: int) -> tuple[Any, Any]:
        label = [1] + [0] * 9 if self.one_hot else 0
        return [[1] * 784 for _ in range(batch_size)], [label for _ in range(batch_size)]


def _checked(images: np.ndarray, labels: np.ndarray, reshape: bool) -> np.ndarray:
    if len(images) != len(labels):
        raise AssertionError(f"images.shape: {images.shape} labels.shape: {labels.shape}")
    if not reshape:
        return images
    if images.shape[3] != 1:
        raise AssertionError(f"images have {images.shape[3]} channels, not 1; pass reshape=")
    return images.reshape(images.shape[0], images.shape[1] * images.shape[2])


def _scaled(images: np.ndarray) -> np.ndarray:
    """Intensities of 0..255 as f32 in 0..1."""
    scaled = images.astype(np.float32)
    scaled *= np.float32(1.0 / 255.0)
    return scaled


def _maybe_download(name: str, folder: str | os.PathLike[str], source_url: str) -> str:
    """The path of the file in `folder`, put there from what anode ships if it was missing."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    path = os.path.join(folder, name)
    if os.path.exists(path):
        return path
    if source_url.replace("https:", "http:").rstrip("/") in {
        url.replace("https:", "http:").rstrip("/") for url in OFFICIAL_SOURCES
    }:
        shutil.copyfile(SHIPPED / name, path)
        print("Successfully copied", name, os.path.getsize(path), "bytes that come with anode.")
    else:
        from urllib.request import urlretrieve  # it takes its time to import

        urlretrieve(source_url + name, path)
        print("Successfully downloaded", name, os.path.getsize(path), "bytes.")
    return path


@export(f"{TUTORIAL}.read_data_sets", f"{LEARN}.read_data_sets", f"{SHORT}.read_data_sets")
def read_data_sets(
    train_dir: str | os.PathLike[str],
    fake_data: bool = False,
    one_hot: bool = False,
    dtype: Any = dtypes.float32,
    reshape: bool = True,
    validation_size: int = 5000,
    seed: int | None = None,
    source_url: str = DEFAULT_SOURCE_URL,
) -> Datasets:
    """MNIST's training, validation and test sets from the four `.gz` files in `train_dir`.

    The first `validation_size` training images are the validation set. Missing files are written
    there from those that come with anode, or downloaded where `source_url` is not MNIST's own.
    """
    options = {"dtype": dtype, "reshape": reshape, "seed": seed}
    if fake_data:
        options = {"dtype": dtype, "seed": seed, "fake_data": True, "one_hot": one_hot}
        return Datasets(*(DataSet([], [], **options) for _ in range(3)))
    parts = []
    for part in ("train", "t10k"):
        for kind in ("images-idx3", "labels-idx1"):
            name = f"{part}-{kind}-ubyte.gz"
            path = _maybe_download(name, train_dir, source_url or DEFAULT_SOURCE_URL)
            with open(path, "rb") as file:
                if kind.startswith("images"):
                    parts.append(extract_images(file))
                else:
                    parts.append(extract_labels(file, one_hot))
    images, labels, test_images, test_labels = parts
    if not 0 <= validation_size <= len(images):
        raise ValueError(
            f"Validation size should be between 0 and {len(images)}. Received: {validation_size}."
        )
    cut = validation_size
    return Datasets(
        train=DataSet(images[cut:], labels[cut:], **options),
        validation=DataSet(images[:cut], labels[:cut], **options),
        test=DataSet(test_images, test_labels, **options),
    )


@export(f"{LEARN}.load_mnist", f"{SHORT}.load_mnist")
def load_mnist(train_dir: str | os.PathLike[str] = "MNIST-data") -> Datasets:
    """MNIST as `read_data_sets` splits it."""
    return read_data_sets(train_dir)

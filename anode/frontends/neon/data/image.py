"""MNIST, CIFAR-10 and made-up images, in the files that neon kept them in."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from anode.data.pickles import read_pickle, read_value, write_value
from anode.errors import DataError
from anode.frontends.neon.data.dataiterator import ArrayIterator
from anode.frontends.neon.data.datasets import Dataset, unpack_tar

Splits = tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray], int]
CIFAR_FOLDER = "cifar-10-batches-py"
CIFAR_TRAIN = tuple(f"data_batch_{i}" for i in range(1, 6))


class MNIST(Dataset):
    """Handwritten digits from mnist.pkl.gz: a pickle ((X, y), (X, y)) of u8[n, 28, 28] and labels.

    `normalize` makes bytes numbers from 0 to 1, with `sym_range` from −1 to 1. A `size` below 28
    crops, one above pads. `shuffle` puts the training images, but not their labels, into another
    order, as the original does.
    """

    def __init__(
        self,
        path: str = ".",
        subset_pct: float = 100,
        normalize: bool = True,
        sym_range: bool = False,
        size: int = 28,
        shuffle: bool = False,
    ) -> None:
        super().__init__(
            "mnist.pkl.gz", "https://s3.amazonaws.com/img-datasets", 15296311, path, subset_pct
        )
        self.normalize, self.sym_range = normalize, sym_range
        self.size, self.shuffle = size, shuffle

    def load_data(self) -> Splits:
        """Training and test rows f64[n, size²] with their labels, and the number of classes."""
        return self._load(np.float64)

    def _load(self, dtype: Any) -> Splits:
        path = self._valid_path_append(self.path, self.filename)
        if not os.path.exists(path):
            self.fetch_dataset(self.url, self.filename, path, 15296311)
        (train, y_train), (test, y_test) = _two_parts(path)
        train, y_train, test, y_test = (
            part[: int(len(part) * self.subset_pct / 100.0)]
            for part in (train, y_train, test, y_test)
        )
        train, test = (self._sized(x).reshape(len(x), -1) for x in (train, test))
        if self.normalize:
            train, test = (scaled(x, dtype, self.sym_range) for x in (train, test))
        if self.shuffle:
            np.random.seed(0)
            train = np.array(train)
            np.random.shuffle(train)
        return (train, y_train), (test, y_test), 10

    def _sized(self, images: np.ndarray) -> np.ndarray:
        if self.size <= 28:
            return images[:, : self.size, : self.size]
        extra = self.size - 28
        return np.pad(images, ((0, 0), (0, extra), (0, extra)))

    def gen_iterators(self) -> dict[str, Any]:
        """The iterators "train" and "valid"."""
        (x_train, y_train), (x_test, y_test), nclass = self._load(self.be.default_dtype)
        lshape = (1, self.size, self.size)
        self._data_dict = {
            "train": ArrayIterator(x_train, y_train, nclass, lshape, name="train"),
            "valid": ArrayIterator(x_test, y_test, nclass, lshape, name="valid"),
        }
        return self._data_dict


def _two_parts(path: str) -> Any:
    """The content of mnist.pkl.gz, its form checked."""
    found = read_value(path)
    try:
        for images, labels in found:
            good = images.dtype == np.uint8 and images.shape == (len(labels), 28, 28)
            if len(found) != 2 or not good:
                raise ValueError
    except (TypeError, ValueError, AttributeError):
        raise DataError(
            f"{path}: is no pickle ((X, y), (X, y)) with X of bytes [n, 28, 28]; "
            "`anode data legacy mnist` makes one"
        ) from None
    return found


def scaled(x: np.ndarray, dtype: Any, symmetric: bool = False) -> np.ndarray:
    """Bytes as x / 255, or 2x / 255 − 1, computed in f64 and rounded to `dtype`."""
    if x.dtype != np.uint8:
        values = x / 255.0
        return (values * 2.0 - 1.0 if symmetric else values).astype(dtype)
    table = np.arange(256) / 255.0
    found: np.ndarray = (table * 2.0 - 1.0 if symmetric else table).astype(dtype)[x]
    return found


class DUMMY(Dataset):
    """A minibatch of random images of 224 pixels, for timing."""

    def __init__(
        self,
        path: str = ".",
        subset_pct: float = 100,
        normalize: bool = True,
        contrast_normalize: bool = False,
        whiten: bool = False,
        pad_classes: bool = False,
        batch_size: int = 128,
    ) -> None:
        super().__init__("dummy", "dummy", 1, path=path, subset_pct=subset_pct)
        self.batch_size = batch_size

    def load_data(self) -> tuple[np.ndarray, np.ndarray, int]:
        """Images between −1 and 1, labels, and the number 10."""
        images = np.random.uniform(-1, 1, (self.batch_size, 3 * 224 * 224))
        return images, np.random.randint(0, 999, (self.batch_size, 1000)), 10

    def gen_iterators(self) -> dict[str, Any]:
        """The iterators "train" and "valid", of the same images."""
        x, y, _ = self.load_data()
        self._data_dict = {
            part: ArrayIterator(x, y, nclass=1000, lshape=(3, 224, 224))
            for part in ("train", "valid")
        }
        return self._data_dict


class CIFAR10(Dataset):
    """CIFAR-10 from cifar-10-python.tar.gz, or from the folder it unpacks to.

    `normalize` divides by 255, `contrast_normalize` gives each image mean 0 and norm 55, `whiten`
    decorrelates the pixels, and `pad_classes` makes the 10 classes 16.
    """

    def __init__(
        self,
        path: str = ".",
        subset_pct: float = 100,
        normalize: bool = True,
        contrast_normalize: bool = False,
        whiten: bool = False,
        pad_classes: bool = False,
    ) -> None:
        super().__init__(
            "cifar-10-python.tar.gz",
            "http://www.cs.toronto.edu/~kriz",
            170498071,
            path=path,
            subset_pct=subset_pct,
        )
        self.normalize, self.contrast_normalize = normalize, contrast_normalize
        self.whiten, self.pad_classes = whiten, pad_classes

    def load_data(self) -> Splits:
        """Training and test rows f64[n, 3072] with labels [n, 1], and the number of classes."""
        return self._load(np.float64)

    def _load(self, dtype: Any) -> Splits:
        folder = self._unpacked()
        parts = [_cifar_batch(os.path.join(folder, name)) for name in CIFAR_TRAIN]
        train = np.concatenate([data for data, _ in parts])
        y_train = np.concatenate([labels for _, labels in parts])
        test, y_test = _cifar_batch(os.path.join(folder, "test_batch"))
        train, y_train, test, y_test = (
            part[: int(len(part) * self.subset_pct / 100.0)]
            for part in (train, y_train, test, y_test)
        )
        if self.contrast_normalize:
            train = self.global_contrast_normalize(train, scale=55.0)
            test = self.global_contrast_normalize(test, scale=55.0)
        if self.normalize:
            kind = np.float64 if self.whiten else dtype
            train, test = scaled(train, kind), scaled(test, kind)
        if self.whiten:
            cache = os.path.join(os.path.dirname(folder), "cifar-10-zca-cache.pkl")
            train, test = self.zca_whiten(train, test, cache=cache)
        return (train, y_train), (test, y_test), 10

    def _unpacked(self) -> str:
        """The folder of the batches, unpacked or fetched where it is absent."""
        root, path = self._valid_path_append(self.path, "", self.filename)
        folder = os.path.join(root, CIFAR_FOLDER)
        names = (*CIFAR_TRAIN, "test_batch")
        if not all(os.path.exists(os.path.join(folder, name)) for name in names):
            if not os.path.exists(path):
                self.fetch_dataset(self.url, self.filename, path, self.size)
            unpack_tar(path, root, [f"{CIFAR_FOLDER}/{name}" for name in names])
        return folder

    def gen_iterators(self) -> dict[str, Any]:
        """The iterators "train" and "valid"."""
        (x_train, y_train), (x_test, y_test), nclass = self._load(self.be.default_dtype)
        nclass = 16 if self.pad_classes else nclass
        self._data_dict = {
            "train": ArrayIterator(x_train, y_train, nclass, (3, 32, 32), name="train"),
            "valid": ArrayIterator(x_test, y_test, nclass, (3, 32, 32), name="valid"),
        }
        return self._data_dict

    @staticmethod
    def _compute_zca_transform(
        imgs: np.ndarray, filter_bias: float = 0.1
    ) -> tuple[np.ndarray, np.ndarray]:
        """The mean row, and (covariance + filter_bias · I)^−½."""
        covariance = np.cov(imgs.T)
        values, vectors = np.linalg.eigh(covariance + filter_bias * np.eye(len(covariance)))
        return imgs.mean(0), np.dot(vectors * values**-0.5, vectors.T)

    @staticmethod
    def zca_whiten(
        train: np.ndarray, test: np.ndarray, cache: str | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Both parts whitened by the training part's statistics, which the file `cache` keeps."""
        if cache and os.path.isfile(cache):
            mean, whitening = read_value(cache)
        else:
            mean, whitening = CIFAR10._compute_zca_transform(train)
            if cache:
                write_value(cache, (mean, whitening))
        return np.dot(train - mean, whitening), np.dot(test - mean, whitening)

    @staticmethod
    def global_contrast_normalize(
        X: np.ndarray, scale: float = 1.0, min_divisor: float = 1e-8
    ) -> np.ndarray:
        """Rows less their means, divided by norm / scale; where that is tiny, by 1."""
        centred = X - X.mean(axis=1)[:, np.newaxis]
        norms = np.sqrt((centred**2).sum(axis=1)) / scale
        norms[norms < min_divisor] = 1.0
        centred /= norms[:, np.newaxis]
        return centred


def _cifar_batch(path: str) -> tuple[np.ndarray, np.ndarray]:
    """The pixels u8[n, 3072] and labels [n, 1] of one batch."""
    found = read_pickle(path)
    data, labels = found.get("data"), found.get("labels")
    if not isinstance(data, np.ndarray) or data.ndim != 2 or data.shape[1] != 3072:
        raise DataError(f"{path}: has no array 'data' of [n, 3072]; fetch it again")
    if labels is None or len(labels) != len(data):
        raise DataError(f"{path}: has no labels for its {len(data)} images; fetch it again")
    return data, np.asarray(labels).reshape(-1, 1)

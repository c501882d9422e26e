"""MNIST as shipped, and other sets with the same four files."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from anode.data import FASHION, image_sets, load_fashion_mnist, load_mnist
from anode.errors import DataError


@pytest.fixture(scope="module")
def mnist():
    return load_mnist()


def write_set(
    folder: Path, images: np.ndarray, labels: np.ndarray, part: str, zipped: bool
) -> None:
    for kind, array in ("images-idx3", images), ("labels-idx1", labels):
        content = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
        content += array.astype(np.uint8).tobytes()
        name = f"{part}-{kind}-ubyte"
        if zipped:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)


def small_set(folder: Path, count: int = 20, zipped: bool = False) -> np.ndarray:
    images = np.random.default_rng(0).integers(0, 256, (count, 28, 28), np.uint8)
    for part in "train", "t10k":
        write_set(folder, images, np.arange(count) % 10, part, zipped)
    return images


def test_the_official_contents(mnist):
    train, test = mnist.train, mnist.test
    assert mnist.valid is None
    assert train.images.shape == (60_000, 28, 28) and test.images.shape == (10_000, 28, 28)
    assert train.images.dtype == train.labels.dtype == np.uint8
    assert train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert test.labels[:5].tolist() == [7, 2, 1, 0, 4]
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(train.labels).tolist() == counts
    assert train.images.mean() / 255 == pytest.approx(0.13066, abs=1e-5)
    assert train.classes == tuple("0123456789")


def test_validation_is_the_first_rows_of_training(mnist):
    splits = load_mnist(validation=5000)
    assert [len(part) for part in (splits.train, splits.valid, splits.test)] == [55000, 5000, 10000]
    np.testing.assert_array_equal(splits.valid.images, mnist.train.images[:5000])
    np.testing.assert_array_equal(splits.train.images, mnist.train.images[5000:])
    np.testing.assert_array_equal(splits.valid.labels, mnist.train.labels[:5000])
    np.testing.assert_array_equal(splits.train.labels, mnist.train.labels[5000:])


@pytest.mark.parametrize("zipped", [False, True])
def test_a_folder_of_ones_own(tmp_path, zipped):
    images = small_set(tmp_path, zipped=zipped)
    splits = load_fashion_mnist(tmp_path, validation=4)
    np.testing.assert_array_equal(splits.train.images, images[4:])
    np.testing.assert_array_equal(splits.valid.labels, [0, 1, 2, 3])
    assert splits.test.classes == FASHION and len(FASHION) == 10


@pytest.mark.parametrize("validation", [-1, 20])
def test_validation_out_of_range(tmp_path, validation):
    small_set(tmp_path)
    with pytest.raises(DataError, match="choose 0 to 19 of the 20"):
        load_mnist(tmp_path, validation=validation)


def test_a_missing_file_is_named(tmp_path):
    small_set(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match=r"no t10k-labels-idx1-ubyte\.gz"):
        load_mnist(tmp_path)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((3, 28, 27)), np.zeros(3), "not uint8\\[n, 28, 28\\]"),
        (np.zeros((3, 784)), np.zeros(3), "not uint8\\[n, 28, 28\\]"),
        (np.zeros((3, 28, 28)), np.zeros(2), "for 3 images"),
        (np.zeros((3, 28, 28)), np.array([0, 10, 1]), "label 10 is beyond the 10 classes"),
    ],
)
def test_files_that_disagree(tmp_path, images, labels, message):
    write_set(tmp_path, images, labels, "train", zipped=False)
    with pytest.raises(DataError, match=message):
        load_mnist(tmp_path)


def test_the_shipped_files_are_checked(tmp_path, monkeypatch):
    small_set(tmp_path)
    monkeypatch.setattr(image_sets, "SHIPPED", tmp_path)
    with pytest.raises(DataError, match="not the official file"):
        load_mnist()

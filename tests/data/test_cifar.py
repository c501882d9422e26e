"""CIFAR in its three forms gives the same images."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from anode.data import load_cifar10, load_cifar100, load_images
from anode.errors import DataError

Image = pytest.importorskip("PIL.Image")
COUNT = 4
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (6 * COUNT, 32, 32, 3), np.uint8)
LABELS = RNG.integers(0, 10, 6 * COUNT, np.uint8)
PLANES = np.ascontiguousarray(IMAGES.transpose(0, 3, 1, 2)).reshape(len(IMAGES), 3072)
PARTS = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]


def python_batches(folder: Path) -> None:
    for i, name in enumerate(PARTS):
        rows = slice(i * COUNT, (i + 1) * COUNT)
        batch = {b"data": PLANES[rows], b"labels": LABELS[rows].tolist()}
        (folder / name).write_bytes(pickle.dumps(batch, 2))
    names = {b"label_names": [b"c%d" % i for i in range(10)]}
    (folder / "batches.meta").write_bytes(pickle.dumps(names, 2))


def binary_batches(folder: Path) -> None:
    for i, name in enumerate(PARTS):
        rows = slice(i * COUNT, (i + 1) * COUNT)
        content = np.concatenate([LABELS[rows, None], PLANES[rows]], axis=1)
        (folder / f"{name}.bin").write_bytes(content.tobytes())
    (folder / "batches.meta.txt").write_text("\n".join(f"c{i}" for i in range(10)) + "\n\n")


@pytest.mark.parametrize("within", ["", "unpacked"])
@pytest.mark.parametrize("write", [python_batches, binary_batches])
def test_batches(tmp_path, write, within):
    names = {python_batches: "cifar-10-batches-py", binary_batches: "cifar-10-batches-bin"}
    folder = tmp_path / names[write] if within else tmp_path
    folder.mkdir(exist_ok=True)
    write(folder)
    splits = load_cifar10(tmp_path, validation=3)
    np.testing.assert_array_equal(splits.valid.images, IMAGES[:3])
    np.testing.assert_array_equal(splits.train.images, IMAGES[3 : 5 * COUNT])
    np.testing.assert_array_equal(splits.train.labels, LABELS[3 : 5 * COUNT])
    np.testing.assert_array_equal(splits.test.images, IMAGES[5 * COUNT :])
    assert splits.train.images.flags.c_contiguous and splits.train.classes[3] == "c3"


def test_names_are_the_official_ones_where_no_file_has_them(tmp_path):
    binary_batches(tmp_path)
    (tmp_path / "batches.meta.txt").unlink()
    assert load_cifar10(tmp_path).test.classes[:2] == ("airplane", "automobile")


def test_image_files(tmp_path):
    for part, start in (("train", 0), ("test", 6)):
        for i in range(6):
            path = tmp_path / part / f"class{i % 2}" / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(IMAGES[start + i]).save(path)
    splits = load_cifar10(tmp_path)
    np.testing.assert_array_equal(splits.train.images, IMAGES[:6])
    np.testing.assert_array_equal(splits.test.images, IMAGES[6:12])
    assert splits.train.labels.tolist() == [0, 1] * 3
    assert splits.train.classes == ("class0", "class1")
    (tmp_path / "test" / "class2").mkdir()
    with pytest.raises(DataError, match="test has the class class2, train has not"):
        load_cifar10(tmp_path)


def test_cifar100(tmp_path):
    coarse = np.zeros(COUNT, np.uint8)
    for i, name in enumerate(("train", "test")):
        rows = slice(i * COUNT, (i + 1) * COUNT)
        batch = {"data": PLANES[rows], "fine_labels": (90 + LABELS[rows]).tolist()}
        (tmp_path / name).write_bytes(pickle.dumps(batch | {"coarse_labels": coarse.tolist()}, 2))
    found = load_cifar100(tmp_path)
    np.testing.assert_array_equal(found.test.images, IMAGES[COUNT : 2 * COUNT])
    np.testing.assert_array_equal(found.train.labels, 90 + LABELS[:COUNT])
    for i, name in enumerate(("train", "test")):
        rows = slice(i * COUNT, (i + 1) * COUNT)
        content = np.concatenate([coarse[:, None], LABELS[rows, None], PLANES[rows]], axis=1)
        (tmp_path / f"{name}.bin").write_bytes(content.tobytes())
        (tmp_path / name).unlink()
    np.testing.assert_array_equal(load_cifar100(tmp_path).test.labels, LABELS[COUNT : 2 * COUNT])


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({}, "no array 'data'"),
        ({"data": PLANES[:2].tolist(), "labels": [1, 2]}, "no array 'data'"),
        ({"data": PLANES[:2, :3071], "labels": [1, 2]}, r"not \[n, 3072\]"),
        ({"data": PLANES[:2], "labels": [1]}, "no labels for its 2 images"),
        ({"data": PLANES[:2], "labels": [1, 256]}, "no numbers from 0 to 255"),
        ({"data": PLANES[:2], "labels": [1, 10]}, "label 10 is beyond the 10 classes"),
    ],
)
def test_python_batches_that_do_not_fit(tmp_path, batch, message):
    python_batches(tmp_path)
    (tmp_path / "data_batch_3").write_bytes(pickle.dumps(batch, 2))
    with pytest.raises(DataError, match=message):
        load_cifar10(tmp_path)


def test_binary_batches_that_do_not_fit(tmp_path):
    binary_batches(tmp_path)
    path = tmp_path / "data_batch_2.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"data_batch_2\.bin: 12291 bytes are no whole images"):
        load_cifar10(tmp_path)
    path.unlink()
    with pytest.raises(DataError, match=r"data_batch_2\.bin: cannot be read"):
        load_cifar10(tmp_path)


def test_a_folder_without_the_set(tmp_path):
    with pytest.raises(DataError, match="has no data_batch_1"):
        load_cifar10(tmp_path)
    with pytest.raises(DataError, match="nowhere: cannot be read"):
        load_images(tmp_path / "nowhere")
    with pytest.raises(DataError, match="no images in a folder for each class"):
        load_images(tmp_path)


def test_images_of_several_sizes_or_none(tmp_path):
    (tmp_path / "a").mkdir()
    Image.fromarray(IMAGES[0]).save(tmp_path / "a" / "0.png")
    Image.fromarray(IMAGES[0, :, :30]).save(tmp_path / "a" / "1.png")
    with pytest.raises(DataError, match=r"1\.png: 30x32 pixels, not 32x32"):
        load_images(tmp_path)
    (tmp_path / "a" / "1.png").write_text("no image")
    with pytest.raises(DataError, match=r"1\.png: it is no image"):
        load_images(tmp_path)

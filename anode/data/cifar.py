"""CIFAR-10 and CIFAR-100 in the forms they come in: Python batches, binary batches, image files.

Source: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009, and the page
of the data sets, www.cs.toronto.edu/~kriz/cifar.html.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from anode.data.image_folders import class_folders, load_images
from anode.data.image_sets import ImageSet, Splits, split
from anode.data.pickles import read_pickle
from anode.errors import DataError

SIDE = 32
PIXELS = 3 * SIDE * SIDE  # a plane each of red, green and blue
MAX_BYTES = 1 << 30
CIFAR10 = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)


@dataclass(frozen=True)
class Layout:
    """The files of one of the two sets, and where the label is in them."""

    train: tuple[str, ...]
    test: str
    key: str  # of the labels, in a Python batch
    label_bytes: int  # before the pixels of an image in a binary batch; the last is the label
    names: str  # of the classes: their key in the Python form
    meta: str
    text: str  # the file of the classes' names in the binary form
    classes: tuple[str, ...]
    folders: tuple[str, ...]


TEN = Layout(
    train=tuple(f"data_batch_{i}" for i in range(1, 6)),
    test="test_batch",
    key="labels",
    label_bytes=1,
    names="label_names",
    meta="batches.meta",
    text="batches.meta.txt",
    classes=CIFAR10,
    folders=("", "cifar-10-batches-py", "cifar-10-batches-bin", "jpg"),
)
HUNDRED = Layout(
    train=("train",),
    test="test",
    key="fine_labels",
    label_bytes=2,
    names="fine_label_names",
    meta="meta",
    text="fine_label_names.txt",
    classes=tuple(f"class {i}" for i in range(100)),
    folders=("", "cifar-100-python", "cifar-100-binary"),
)


def load_cifar10(folder: str | PathLike[str], *, validation: int = 0) -> Splits:
    """CIFAR-10: 50,000 training and 10,000 test images u8[n, 32, 32, 3] of 10 classes.

    `folder` holds the five batches and the test batch, Python's or binary (`.bin`), or folders
    `train` and `test` with one of images for each class; or it holds the folder of these that the
    archives unpack to. A file need not have 10,000 images. `validation` sets aside that many of the
    first training rows, as `load_mnist` does. Pickles are read without running them. Image files
    need Pillow, and their rows take the classes in turn. Raises `DataError` where files are
    missing, damaged or disagree with each other.
    """
    return _load(Path(folder), TEN, validation)


def load_cifar100(folder: str | PathLike[str], *, validation: int = 0) -> Splits:
    """CIFAR-100 with its 100 fine classes; see `load_cifar10`, whose forms it comes in."""
    return _load(Path(folder), HUNDRED, validation)


def _load(folder: Path, layout: Layout, validation: int) -> Splits:
    for root in (folder / name for name in layout.folders):
        if (root / layout.train[0]).is_file():
            train, test = _batches(root, layout, "", _python_batch, _python_names)
        elif (root / f"{layout.train[0]}.bin").is_file():
            train, test = _batches(root, layout, ".bin", _binary_batch, _text_names)
        elif (root / "train").is_dir() and (root / "test").is_dir():
            names = class_folders(root / "train")
            if unknown := sorted({*class_folders(root / "test")} - {*names}):
                raise DataError(f"{root}: test has the class {unknown[0]}, train has not")
            train, test = (load_images(root / part, names) for part in ("train", "test"))
        else:
            continue
        return split(train, test, validation, root)
    raise DataError(
        f"{folder}: has no {layout.train[0]}, no {layout.train[0]}.bin and no folders train and "
        "test; give the folder that the archive unpacks to"
    )


Batch = tuple[np.ndarray, np.ndarray]


def _batches(
    root: Path,
    layout: Layout,
    suffix: str,
    read: Callable[[Path, Layout], Batch],
    names: Callable[[Path, Layout], Sequence[Any]],
) -> tuple[ImageSet, ImageSet]:
    found = tuple(str(name) for name in names(root, layout)) or layout.classes
    parts = []
    for stems in (layout.train, (layout.test,)):
        read_parts = [read(root / f"{stem}{suffix}", layout) for stem in stems]
        pixels, labels = (np.concatenate(arrays) for arrays in zip(*read_parts, strict=True))
        if len(labels) and labels.max() >= len(found):
            raise DataError(f"{root}: label {labels.max()} is beyond the {len(found)} classes")
        planes = pixels.reshape(-1, 3, SIDE, SIDE)
        parts.append(ImageSet(planes.transpose(0, 2, 3, 1).copy(), labels, found))
    return parts[0], parts[1]


def _python_batch(path: Path, layout: Layout) -> Batch:
    found = read_pickle(path)
    pixels, labels = found.get("data"), found.get(layout.key)
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8:
        raise DataError(f"{path}: has no array 'data' of bytes; fetch it again")
    if pixels.ndim != 2 or pixels.shape[1] != PIXELS:
        raise DataError(f"{path}: its data are {list(pixels.shape)}, not [n, {PIXELS}]")
    if not isinstance(labels, (list, np.ndarray)) or len(labels) != len(pixels):
        raise DataError(f"{path}: has no {layout.key} for its {len(pixels)} images")
    if not all(isinstance(label, (int, np.integer)) and 0 <= label < 256 for label in labels):
        raise DataError(f"{path}: its {layout.key} are no numbers from 0 to 255")
    return pixels, np.array(labels, np.uint8)


def _binary_batch(path: Path, layout: Layout) -> Batch:
    record = layout.label_bytes + PIXELS
    try:
        size = path.stat().st_size
        if size > MAX_BYTES or size % record:
            raise DataError(f"{path}: {size} bytes are no whole images of {record}; fetch it again")
        content = np.fromfile(path, np.uint8).reshape(-1, record)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    return content[:, layout.label_bytes :], content[:, layout.label_bytes - 1]


def _python_names(root: Path, layout: Layout) -> Sequence[Any]:
    path = root / layout.meta
    names = read_pickle(path).get(layout.names, ()) if path.is_file() else ()
    return [name.decode(errors="replace") if isinstance(name, bytes) else name for name in names]


def _text_names(root: Path, layout: Layout) -> Sequence[Any]:
    path = root / layout.text
    return path.read_text(errors="replace").split() if path.is_file() else ()

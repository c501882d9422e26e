"""Folders of small images of one size, a folder for each class, read into memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np

from anode.data.decode import SUFFIXES, decode
from anode.data.image_sets import ImageSet
from anode.errors import DataError

MAX_FILE = 1 << 28
MAX_BYTES = 1 << 34  # of all pixels


def load_images(folder: str | os.PathLike[str], classes: tuple[str, ...] | None = None) -> ImageSet:
    """The images under `folder`/CLASS/, all of the same size, as u8[n, h, w, 3].

    The rows take the classes in turn, each class's files by name, so that the first rows are a fair
    sample. `classes` are by default the names of the subfolders, sorted. Needs Pillow. Raises
    `DataError` for a file that is no image or has another size than the first, and for more than
    16 GiB of pixels: `anode data ingest` and `ImageLoader` are for those.
    """
    root = Path(folder)
    names = classes if classes is not None else class_folders(root)
    files = [[(path, label) for path in image_files(root / n)] for label, n in enumerate(names)]
    turns = [pair for pair in chain(*zip_longest(*files)) if pair is not None]
    if not turns:
        raise DataError(f"{root}: has no images in a folder for each class; check the path")
    first = _pixels(turns[0][0])
    if len(turns) * first.nbytes > MAX_BYTES:
        raise DataError(f"{root}: {len(turns)} images are too many for memory; ingest them instead")
    images = np.empty((len(turns), *first.shape), np.uint8)
    for row, (path, _) in enumerate(turns):
        found = _pixels(path)
        if found.shape != first.shape:
            raise DataError(
                f"{path}: {found.shape[1]}x{found.shape[0]} pixels, not {first.shape[1]}x"
                f"{first.shape[0]} as {turns[0][0]}; ingest images of several sizes instead"
            )
        images[row] = found
    kind = np.uint8 if len(names) <= 256 else np.int32
    return ImageSet(images, np.array([label for _, label in turns], kind), names)


def class_folders(root: Path) -> tuple[str, ...]:
    """The names of the subfolders, sorted, without hidden ones."""
    try:
        with os.scandir(root) as found:
            return tuple(sorted(e.name for e in found if e.is_dir() and e.name[0] != "."))
    except OSError as error:
        raise DataError(f"{root}: cannot be read ({error.strerror}); check the path") from error


def image_files(folder: Path) -> Iterator[Path]:
    """The files of a folder that are named like images, sorted."""
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror}); check the path") from error
    return (folder / name for name in names if name.lower().endswith(SUFFIXES))


def _pixels(path: Path) -> np.ndarray:
    try:
        if path.stat().st_size > MAX_FILE:
            raise DataError(f"larger than {MAX_FILE} bytes")
        return decode(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except DataError as error:
        raise DataError(f"{path}: {error}; remove it or fetch it again") from error

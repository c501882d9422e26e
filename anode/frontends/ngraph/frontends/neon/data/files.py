"""Files of data sets: fetched where they are missing, read without running anything."""

from __future__ import annotations

import os
import tarfile
from typing import Any

from anode.data.pickles import read_value
from anode.frontends.ngraph.util.persist import fetch_file, valid_path_append

Field = dict[str, Any]


def local_file(folder: str, url: str, name: str, size: int | None = None) -> str:
    """The path of a data set's file, which is downloaded where it is missing."""
    path: str = valid_path_append(folder, name)
    if not os.path.exists(path):
        fetch_file(url, name, path, size)
    return path


def read_pickle(path: str) -> Any:
    """The plain values and arrays of a pickle, which may be gzipped."""
    return read_value(path)


def unpacked(archive: str, folder: str) -> str:
    """The directory `folder` beside an archive that holds it."""
    where = os.path.dirname(archive)
    path = os.path.join(where, folder)
    if not os.path.isdir(path):
        with tarfile.open(archive, "r:*") as file:
            file.extractall(where, filter="data")
    return path


def labelled(images: Any, axes: tuple[str, ...], labels: Any) -> dict[str, Field]:
    """Images and labels as ArrayIterator takes them."""
    return {"image": {"data": images, "axes": axes}, "label": {"data": labels, "axes": ("N",)}}

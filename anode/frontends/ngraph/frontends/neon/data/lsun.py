"""Scenes of LSUN, whose databases need the packages lmdb and Pillow."""

from __future__ import annotations

import csv
import os
import zipfile
from typing import Any

from anode.frontends.ngraph.frontends.neon.data.files import local_file
from anode.frontends.ngraph.util.persist import ensure_dirs_exist, valid_path_append


class LSUN:
    """LSUN's categories, as files below `path`."""

    url = "http://lsun.cs.princeton.edu/htbin/"

    def __init__(self, path: str = ".") -> None:
        self.path = path

    @staticmethod
    def lsun_categories(tag: str = "latest") -> Any:
        """The names of the categories, as the server lists them."""
        import json
        from urllib.request import urlopen

        with urlopen(f"{LSUN.url}list.cgi?tag={tag}", timeout=60) as answer:
            return json.load(answer)

    def download_lsun(
        self, category: str, dset: str, tag: str = "latest", overwrite: bool = False
    ) -> None:
        """Download and unpack a category's "train" or "val" set, or the "test" set of all."""
        name = "test_lmdb" if dset == "test" else f"{category}_{dset}_lmdb"
        self.filepath: str = valid_path_append(self.path, name)
        if os.path.exists(self.filepath) and not overwrite:
            return
        query = f"download.cgi?tag={tag}&category={category}&set={dset}"
        archive = valid_path_append(self.path, name + ".zip")
        if not os.path.exists(archive):
            os.replace(local_file(self.path, self.url, query), archive)
        with zipfile.ZipFile(archive) as file:
            file.extractall(self.path)

    def ingest_lsun(
        self,
        category: str,
        dset: str,
        lbl_map: dict[str, int],
        tag: str = "latest",
        overwrite: bool = False,
        png_conv: bool = False,
    ) -> str:
        """The path of a manifest of image and label files, which are written where missing."""
        self.download_lsun(category, dset, tag=tag, overwrite=overwrite)
        folder = os.path.join(self.path, "test" if dset == "test" else f"{category}_{dset}")
        manifest = f"{folder}_index.csv"
        if os.path.exists(manifest) and not overwrite:
            return manifest
        labels = {}
        for name, number in lbl_map.items():
            labels[name] = ensure_dirs_exist(os.path.join(self.path, "labels", f"{name}.txt"))
            with open(labels[name], "w", encoding="ascii") as file:
                file.write(f"{number}\n")
        with open(manifest, "w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file, delimiter="\t", lineterminator="\n")
            for image in _exported(f"{folder}_lmdb", folder, png_conv):
                pair = (image, labels[category])
                rows.writerow([os.path.relpath(path, self.path) for path in pair])
        return manifest


def _exported(database: str, folder: str, png: bool) -> list[str]:
    """The paths of the images of a database, written to a folder."""
    try:
        import lmdb
    except ImportError as error:
        raise ImportError("LSUN's databases need lmdb: pip install lmdb") from error
    from io import BytesIO

    from PIL import Image

    os.makedirs(folder, exist_ok=True)
    paths = []
    with lmdb.open(database, readonly=True, lock=False) as env, env.begin() as transaction:
        for key, value in transaction.cursor():
            path = os.path.join(folder, key.decode() + (".png" if png else ".webp"))
            if png:
                Image.open(BytesIO(value)).convert("RGB").save(path, "png")
            else:
                with open(path, "wb") as file:
                    file.write(value)
            paths.append(path)
    return paths

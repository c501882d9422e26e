"""Small colour images of ten classes."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from anode.frontends.ngraph.frontends.neon.data.files import (
    labelled,
    local_file,
    read_pickle,
    unpacked,
)


class CIFAR10:
    """The file cifar-10-python.tar.gz in the folder `path`, downloaded where it is missing."""

    def __init__(self, path: str = ".") -> None:
        self.path = path
        self.url = "http://www.cs.toronto.edu/~kriz"
        self.filename = "cifar-10-python.tar.gz"
        self.size = 170498071
        self.folder = "cifar-10-batches-py"
        self.train_files = [f"data_batch_{i}" for i in range(1, 6)]
        self.valid_file = "test_batch"
        self.label_key = "labels"

    def load_data(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Images of training and of validation: u8 with the axes N, C, H, W; labels."""
        archive = local_file(self.path, self.url, self.filename, self.size)
        folder = unpacked(archive, self.folder)
        self.train_set = self._read(folder, self.train_files)
        self.valid_set = self._read(folder, [self.valid_file])
        return self.train_set, self.valid_set

    def _read(self, folder: str, names: list[str]) -> dict[str, Any]:
        batches = [read_pickle(os.path.join(folder, name)) for name in names]
        images = np.vstack([batch["data"] for batch in batches]).reshape(-1, 3, 32, 32)
        labels = np.concatenate([batch[self.label_key] for batch in batches])
        return labelled(images, ("N", "C", "H", "W"), labels)

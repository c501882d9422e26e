"""Handwritten digits."""

from __future__ import annotations

from typing import Any

from anode.frontends.ngraph.frontends.neon.data.files import labelled, local_file, read_pickle


class MNIST:
    """The file mnist.pkl.gz in the folder `path`, downloaded where it is missing."""

    def __init__(self, path: str = ".") -> None:
        self.path = path
        self.url = "https://s3.amazonaws.com/img-datasets"
        self.filename = "mnist.pkl.gz"
        self.size = 15296311

    def load_data(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """60,000 images of training and 10,000 of validation: u8 with the axes N, H, W; labels."""
        path = local_file(self.path, self.url, self.filename, self.size)
        sets = read_pickle(path)[:2]
        self.train_set, self.valid_set = (
            labelled(images.reshape(count, 28, 28), ("N", "H", "W"), labels)
            for (images, labels), count in zip(sets, (60000, 10000), strict=True)
        )
        return self.train_set, self.valid_set

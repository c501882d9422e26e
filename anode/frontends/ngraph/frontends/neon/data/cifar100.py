"""Small colour images of a hundred classes in twenty groups."""

from __future__ import annotations

from anode.frontends.ngraph.frontends.neon.data.cifar10 import CIFAR10


class CIFAR100(CIFAR10):
    """The file cifar-100-python.tar.gz in the folder `path`; labels are those of the groups."""

    def __init__(self, path: str = ".") -> None:
        super().__init__(path)
        self.filename = "cifar-100-python.tar.gz"
        self.size = 169001437
        self.folder = "cifar-100-python"
        self.train_files = ["train"]
        self.valid_file = "test"
        self.label_key = "coarse_labels"

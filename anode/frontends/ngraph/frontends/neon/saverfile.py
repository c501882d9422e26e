"""Arrays by name in a .npz file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


class SaverFile:
    """The file `name`, to which .npz is added where it is missing."""

    def __init__(self, name: str) -> None:
        self.name = name.removesuffix(".npz")

    def write_values(self, tensors: Mapping[str, Any], compress: bool = False) -> None:
        """Write arrays by name."""
        save = np.savez_compressed if compress else np.savez
        save(self.name, **tensors)

    def read_values(self) -> dict[str, Any]:
        """The arrays by name; nothing in the file is executed."""
        with np.load(self.name + ".npz", allow_pickle=False) as file:
            return {name: file[name] for name in file.files}

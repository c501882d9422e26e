"""Travelling-salesman tours of Vinyals et al. (2015)."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from anode.errors import DataError

DRIVE_IDS = {
    "tsp5_train.zip": "0B2fg8yPGn2TCSW1pNTJMXzFPYTg",
    "tsp10_train.zip": "0B2fg8yPGn2TCbHowM0hfOTJCNkU",
}


class TSP:
    """Files of lines "x y x y … output i j … i": cities in a square, and their shortest tour."""

    def __init__(self, train_filename: str, test_filename: str, path: str = ".") -> None:
        self.path = path
        self.filemap = {
            "train": {"filename": train_filename},
            "test": {"filename": test_filename},
        }

    def load_data(self) -> dict[str, dict[str, Any]]:
        """'inp_txt' (N, cities, 2), the tours 'tgt_txt' and their cities 'teacher_tgt'."""
        self.data_dict = {phase: self._load(phase) for phase in self.filemap}
        return self.data_dict

    def _load(self, phase: str) -> dict[str, Any]:
        path = os.path.join(os.path.expanduser(self.path), self.filemap[phase]["filename"])
        if not os.path.exists(path):
            archives = " or ".join(
                f"{name} (https://drive.google.com/uc?export=download&id={key})"
                for name, key in DRIVE_IDS.items()
            )
            raise DataError(f"{path} is missing: unpack {archives} there")
        cities, tours = [], []
        with open(path, encoding="utf-8") as file:
            for line in file:
                inputs, outputs = line.split("output")
                cities.append(np.array(inputs.split(), dtype=float).reshape(-1, 2))
                tours.append(np.array(outputs.split(), dtype=int)[:-1] - 1)
        x, y = np.array(cities), np.array(tours)
        # The decoder is fed the city before each: in the original the one before in number.
        teacher = np.take_along_axis(x, (y - 1)[:, :, None] % x.shape[1], axis=1)
        return {"inp_txt": x, "tgt_txt": y, "teacher_tgt": teacher}

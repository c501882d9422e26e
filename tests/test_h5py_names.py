"""What h5py has changed is as it was, in a run."""

import subprocess
import sys

import pytest

pytest.importorskip("h5py")

SCRIPT = """
from anode.commands import h5py_names
h5py_names.restore()
import h5py
import numpy as np

with h5py.File("new.h5") as file:  # made, as no mode is given
    kind = np.dtype([("y", np.uint8), ("text", h5py.special_dtype(vlen=str))])
    records = file.create_dataset("records", (2,), dtype=kind)
    row = np.zeros((1,), kind)
    row["y"], row["text"] = 3, "some words"
    records[1] = row
    file.create_dataset("words", data=["one", "two"])
    file["fixed"] = np.array([b"ab", b"c"])
with h5py.File("new.h5", "r") as file:
    assert file["records"][1]["text"] == "some words" and file["records"][1]["y"] == 3
    assert file["records"][:]["text"].tolist()[1] == "some words"
    assert file["records"]["y"].tolist() == [0, 3]
    assert file["words"][:].tolist() == ["one", "two"] and file["words"][0] == "one"
    assert file["fixed"][:].tolist() == [b"ab", b"c"]
    assert file["words"].value.tolist() == ["one", "two"] and file["fixed"].value[0] == b"ab"
with h5py.File("new.h5") as file:
    file["more"] = 1.5
    assert file["more"].value == 1.5
    costs = file.create_dataset("costs", data=np.arange(6.0).reshape(3, 2))
    costs[np.float32(1.0)] = 7
    costs[2.0, np.float64(1)] = 8
    assert costs[1.0].tolist() == [7, 7] and costs[:, 1.0].tolist() == [1, 7, 8]
    try:
        costs[0.5]
    except (TypeError, ValueError):
        pass
    else:
        raise AssertionError("there is no row 0.5")
h5py_names.restore()
with h5py.File("new.h5", "r") as file:
    assert file["words"][1] == "two"
"""


def test_text_values_and_modes(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr

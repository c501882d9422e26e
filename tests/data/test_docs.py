"""The code of docs/data.md runs from top to bottom; Pillow is asked for where it is missing."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from anode import data
from anode.data.ingestion import Options
from anode.errors import DataError
from tests.data.pictures import write_tree

PAGE = Path(__file__).parents[2] / "docs" / "data.md"


def test_the_code_of_the_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "cifar-10"
    folder.mkdir()
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        np.zeros((40, 3073), np.uint8).tofile(folder / f"{name}.bin")
    write_tree(tmp_path / "tree", images=12, damaged=False)
    for part in ("train", "val"):
        data.ingest("tree", f"records/{part}", Options(short_side=256), workers=1)
    names: dict = {"__name__": "docs"}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(compile(block, str(PAGE), "exec"), names)
    assert names["x"].shape == (32, 224, 224, 3) and names["x"].dtype == np.uint8
    assert names["model"].progress.epoch == 1
    assert [len(x) for x, _ in names["valid"]] == [32, 4]


def test_pillow_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(DataError, match=r"pip install 'anode\[images\]'"):
        data.ImageLoader(tmp_path, 1)

"""The code of docs/layers.md runs, from top to bottom."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "layers.md"


def test_the_code_of_the_page_runs(backend, monkeypatch, capsys):
    monkeypatch.setenv("ANODE_BACKEND", backend)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) == 13
    names = {"__name__": "docs"}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    assert "Epoch 3/3" in capsys.readouterr().out
    assert names["probabilities"].shape == (5, 10)
    names["scaled"].predict(names["probabilities"])

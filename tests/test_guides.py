"""The code of the guides runs, from top to bottom."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"


@pytest.mark.parametrize("page", ["selectors.md", "export.md"])
def test_the_code_of_a_guide_runs(page):
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    assert blocks
    names = {"__name__": "docs"}
    for block in blocks:
        exec(compile(block, str(DOCS / page), "exec"), names)

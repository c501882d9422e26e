"""The code of docs/layout.md runs and shows what the page says."""

import re
from pathlib import Path

from anode.passes.simplify import RULES

PAGE = Path(__file__).parents[2] / "docs" / "layout.md"


def test_the_page(capsys):
    text = PAGE.read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(compile(code, str(PAGE), "exec"), {})
    printed = capsys.readouterr().out
    rules = set(re.findall(r"^\| `(\w+)`", text, re.MULTILINE))
    shown = {line.split()[0] for line in printed.splitlines()}
    assert {"transpose_cancelled", "transpose_kept", "variable_stored", "order_changed"} <= shown
    assert shown - {rule.name for rule in RULES} <= rules
    assert len(re.findall("transpose_kept", printed)) == 2
    assert "dims in the order (2, 3, 1, 0)" in printed

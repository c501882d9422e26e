"""Golden texts: a graph, `--- passes`, the graph they make of it. Equal graphs are one object."""

import re
from pathlib import Path

import pytest

import anode.ops  # noqa: F401 (declares the ops that the texts name)
from anode.ir.text import parse
from anode.passes.layout import layout
from anode.passes.legalize import legalize
from anode.passes.pipeline import run_pass
from anode.passes.simplify import simplify
from anode.rewrite.trace import Trace

FILES = sorted((Path(__file__).parent / "golden").glob("*.txt"))
PASSES = {step.__name__: step for step in (simplify, layout, legalize)}


def after(graph, names):
    for name in names:
        graph = run_pass(PASSES[name], graph, Trace(name))
    return graph


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_golden(path):
    before, *stages = re.split(r"^--- (.+)\n", path.read_text(), flags=re.MULTILINE)
    assert stages
    for names, wanted in zip(stages[::2], stages[1::2], strict=True):
        made = after(parse(before, str(path)), names.split())
        assert made is parse(wanted, str(path)), f"after {names}:\n{made}"

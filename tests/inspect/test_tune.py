"""Measuring convolutions: what is measured, what is kept, and that it decides."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from anode import ops
from anode.backends.cpu import costs, onednn
from anode.backends.cpu.costs import Costs
from anode.backends.cpu.onednn_conv import Problem
from anode.inspect import tune
from anode.ir.graph import Graph, trace
from anode.ir.types import tensor

pytestmark = pytest.mark.skipif(
    isinstance(onednn.load(), str), reason="oneDNN is not installed here"
)


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tune, "RUNS", 1)
    monkeypatch.setattr(tune, "SHORTEST", 0.0)
    monkeypatch.setenv("ANODE_CACHE", str(tmp_path))


def layers() -> Graph:
    """Two equal convolutions, one with other strides, and one that oneDNN has not."""

    def function(x, w):
        y = ops.convolution(
            ops.convolution(x, w, low=(1, 1), high=(1, 1)), w, low=(1, 1), high=(1, 1)
        )
        return ops.convolution(y, w, strides=(2, 2)), ops.convolution(y, w, low=(-1, 0))

    return trace(function, tensor("f32", 2, 8, 8, 16), tensor("f32", 3, 3, 16, 16))


def test_each_distinct_convolution_is_measured_once() -> None:
    found = list(tune.measure(layers(), 1))
    assert len({result.name for result in found}) == len(found) == 3
    assert [result.seconds is None for result in found].count(True) == 1
    assert all(min(r.seconds) > 0 for r in found if r.seconds is not None)


def test_costs_are_added_to_those_kept(tmp_path: Path) -> None:
    assert costs.save({"a": (1.0, 2.0, 3.0)}) == tmp_path / costs.FILE
    costs.save({"b": (3.0, 4.0, 5.0)})
    assert Costs.load() == Costs({"a": (1.0, 2.0, 3.0), "b": (3.0, 4.0, 5.0)})
    assert Costs.load().key != Costs().key
    assert [path.name for path in tmp_path.iterdir()] == [costs.FILE]


def test_nothing_is_kept_without_a_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANODE_CACHE", "off")
    assert costs.save({"a": (1.0, 2.0, 3.0)}) is None and Costs.load() == Costs()


def test_the_command_shows_and_keeps(tmp_path: Path) -> None:
    from anode.commands.tune import tune as command

    text = io.StringIO()
    command("lenet", 2, Console(file=text, width=40))
    assert "2×12×12×20 5/1 → 50" in text.getvalue() and str(tmp_path) in text.getvalue()
    title, *rows = text.getvalue().splitlines()[:6]
    assert title.split()[-1] == "chosen" and len({len(row) for row in (title, *rows)}) == 1
    assert len(Costs.load().measured) == 5


def problem(**changes: object) -> Problem:
    values = {
        "kind": "forward",
        "batch": 1,
        "sizes": (14, 14),
        "channels": 64,
        "kernel": (3, 3),
        "filters": 64,
        "strides": (1, 1),
        "low": (1, 1),
        "high": (1, 1),
        "dilations": (1, 1),
        "groups": 1,
        "dtype": "f32",
    }
    return Problem(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes, name",
    [
        ({}, "wide"),
        ({"channels": 16}, "narrow"),
        ({"channels": 3}, "few channels"),
        ({"strides": (2, 2)}, "strided"),
        ({"kernel": (1, 1)}, "pointwise"),
        ({"groups": 64}, "depthwise"),
        ({"groups": 8}, "thin groups"),
        ({"groups": 2}, "wide"),
    ],
)
def test_classes_of_shapes(changes: dict, name: str) -> None:
    assert costs.shape_class(problem(**changes)) == name
    for kind in costs.KINDS:
        for dtype in ("f32", "bf16"):
            choice = Costs().compare(problem(kind=kind, dtype=dtype, **changes), 8, 2)
            assert "by oneDNN" in choice.reason and "generated" in choice.reason


def test_one_image_leaves_a_thread_idle_and_odd_filters_leave_lanes() -> None:
    two = (costs.ONEDNN, costs.GENERATED)
    assert Costs().compare(problem(), 1, 1, two).way == costs.ONEDNN
    assert Costs().compare(problem(), 1, 2, two).way == costs.GENERATED
    assert Costs().compare(problem(filters=36), 8, 2, two).way == costs.GENERATED

"""Connectionist temporal classification against the sum over all paths."""

from __future__ import annotations

import os
import subprocess
from io import BytesIO
from itertools import groupby, product
from pathlib import Path

import numpy as np
import pytest

from anode import ops
from anode.errors import ShapeError
from anode.ir.graph import trace
from anode.ir.node import Node
from anode.ir.types import tensor
from anode.transform.grad import gradients
from tests.ops.test_nn import run

RANDOM = np.random.default_rng(0)


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def said(path: tuple[int, ...], blank: int, merge: bool) -> list[int]:
    kept = [k for k, _ in groupby(path)] if merge else list(path)
    return [k for k in kept if k != blank]


def by_enumeration(logits: np.ndarray, labels: list[int], blank: int, merge: bool = True) -> float:
    """−log of the probability of all paths (time, classes) that say the labels."""
    p = softmax(logits)
    times, classes = p.shape
    paths = product(range(classes), repeat=times)
    hits = [path for path in paths if said(path, blank, merge) == labels]
    total = sum(np.prod(p[range(times), path]) for path in hits)
    return float(-np.log(total)) if total else np.inf


def padded(labels: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    lengths = np.array([len(row) for row in labels], np.int32)
    table = np.full((len(labels), max([*lengths, 1])), 99, np.int32)
    for row, values in zip(table, labels, strict=True):
        row[: len(values)] = values
    return table, lengths


LABELS = [[0, 1], [1, 1], [], [0, 1, 0], [1]]


@pytest.mark.parametrize("merge", [True, False])
@pytest.mark.parametrize("blank", [0, 2])
def test_the_loss_is_that_of_all_paths(blank: int, merge: bool) -> None:
    labels = [[k + 1 if blank == 0 else k for k in row] for row in LABELS]
    table, lengths = padded(labels)
    logits = RANDOM.normal(size=(5, len(labels), 3))
    times = np.array([5, 4, 3, 5, 0], np.int32)
    found = run(
        lambda *xs: ops.ctc_loss(*xs, blank=blank, merge_repeated=merge),
        logits,
        table,
        times,
        lengths,
    )[0]
    expected = [by_enumeration(logits[:t, i], labels[i], blank, merge) for i, t in enumerate(times)]
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    assert found[4] == np.inf  # a label, and no time


def test_the_gradient_by_finite_differences() -> None:
    table, lengths = padded([[0, 1], [1, 1], [], [0, 0, 0]])
    logits, times = RANDOM.normal(size=(4, 4, 3)), np.array([4, 3, 2, 4], np.int32)

    def slope(x: Node, *rest: Node) -> tuple[Node, ...]:
        loss = ops.ctc_loss(x, *rest, blank=2)
        return loss, *gradients([loss], [x], [ops.convert(rest[1], dtype="f64") * 0.5])

    loss, found = run(slope, logits, table, times, lengths)
    assert np.isinf(loss).tolist() == [False, False, False, True]  # three alike need two blanks
    weights = times * 0.5
    for place in np.ndindex(*logits.shape):
        if place[1] == 3:
            assert found[place] == 0
            continue
        ahead, behind = logits.copy(), logits.copy()
        ahead[place] += 1e-5
        behind[place] -= 1e-5
        ends = [
            run(lambda *xs: ops.ctc_loss(*xs, blank=2), x, table, times, lengths)[0]
            for x in (ahead, behind)
        ]
        expected = weights[place[1]] * (ends[0][place[1]] - ends[1][place[1]]) / 2e-5
        assert found[place] == pytest.approx(expected, abs=1e-7)


def test_a_sure_path_costs_nothing_and_long_sequences_stay_finite() -> None:
    sure = np.full((3, 1, 3), -1e4, np.float32)
    sure[range(3), 0, [0, 2, 1]] = 1e4
    table, lengths = padded([[0, 1]])
    times = np.array([3], np.int32)
    assert run(lambda *xs: ops.ctc_loss(*xs, blank=2), sure, table, times, lengths)[0] == 0
    flat = np.zeros((2000, 1, 3), np.float32)
    times = np.array([2000], np.int32)
    loss = run(lambda *xs: ops.ctc_loss(*xs, blank=2), flat, table, times, lengths)[0]
    assert 2000 < loss[0] < 2200


def test_operands_must_fit() -> None:
    types = [tensor("f32", 3, 2, 4), tensor("i32", 1, 2), tensor("i32", 1), tensor("i32", 1)]
    with pytest.raises(ShapeError, match="ctc_loss takes logits"):
        trace(lambda *xs: ops.ctc_loss(*xs), *types)
    types[0] = tensor("f32", 3, 1, 4)
    with pytest.raises(ShapeError, match="blank 7"):
        trace(lambda *xs: ops.ctc_loss(*xs, blank=7), *types)


@pytest.mark.slow
def test_against_torch() -> None:
    python = Path.home() / ".cache/anode-bench/torch/bin/python"
    if not python.exists():
        pytest.skip("no torch")
    code = """
import sys, numpy as np, torch
x = torch.tensor(np.load(sys.stdin.buffer), requires_grad=True)
loss = torch.nn.functional.ctc_loss(x.log_softmax(-1), torch.tensor([[1, 2, 2, 3], [4, 1, 0, 0],
    [3, 0, 0, 0]]), torch.tensor([20, 15, 9]), torch.tensor([4, 2, 1]), reduction="none")
loss.sum().backward()
np.save(sys.stdout.buffer, loss.detach().numpy())
np.save(sys.stdout.buffer, x.grad.numpy())
"""
    logits = RANDOM.normal(size=(20, 3, 6))
    pipe = Path(os.environ.get("TMPDIR", "/tmp")) / "ctc_logits.npy"
    np.save(pipe, logits)
    with pipe.open("rb") as file:
        done = subprocess.run([python, "-c", code], stdin=file, capture_output=True, check=True)
    stream = BytesIO(done.stdout)
    expected = np.load(stream), np.load(stream)

    def slope(x: Node, *rest: Node) -> tuple[Node, ...]:
        loss = ops.ctc_loss(x, *rest)
        return loss, *gradients([ops.sum(loss)], [x])

    table = np.array([[1, 2, 2, 3], [4, 1, 0, 0], [3, 0, 0, 0]], np.int32)
    lengths = np.array([20, 15, 9], np.int32), np.array([4, 2, 1], np.int32)
    found = run(slope, logits, table, *lengths)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-9)

"""Connectionist temporal classification against the sum over all paths."""

from __future__ import annotations

from itertools import groupby, product
from typing import Any

import numpy as np
import pytest

from anode import ops
from anode.errors import ShapeError
from anode.ir.graph import trace
from anode.ir.node import Node
from anode.ir.types import tensor
from anode.runtime.executable import compile
from anode.transform.grad import gradients
from tests.ops.ctc_cases import RECORDED, SHAPES, Case, cases
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


def slope(case: Case) -> Any:
    def function(x: Node, labels: Node, times: Node, lengths: Node, weights: Node) -> Any:
        loss = ops.ctc_loss(x, labels, times, lengths, blank=case.blank)
        return loss, *gradients([loss], [x], [weights])

    return function


@pytest.mark.parametrize("index", range(len(SHAPES)))
@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_200_sequences_against_torch(index: int, backend: str) -> None:
    case = list(cases())[index]
    recorded = np.load(RECORDED)
    expected = recorded[f"loss_{index}"], recorded[f"gradient_{index}"]
    kind, integer = (np.float64, np.int64) if backend == "reference" else (np.float32, np.int32)
    arrays = [case.logits.astype(kind)]
    arrays += [values.astype(integer) for values in (case.labels, case.times, case.lengths)]
    arrays.append(case.weights.astype(kind))
    if backend == "reference":
        found, tolerances = run(slope(case), *arrays), (1e-9, 1e-7)
    else:
        graph = trace(slope(case), *[tensor(a.dtype, *a.shape) for a in arrays])
        found, tolerances = list(compile(graph, "cpu")(*arrays)), (1e-5, 2e-5)
    assert np.isinf(found[0]).tolist() == np.isinf(expected[0]).tolist()
    np.testing.assert_allclose(found[0], expected[0], tolerances[0], tolerances[0])
    np.testing.assert_allclose(found[1], expected[1], tolerances[1], tolerances[1])


def test_no_labels_and_no_time() -> None:
    logits, none = RANDOM.normal(size=(3, 2, 4)), np.zeros((2, 0), np.int32)
    times, lengths = np.array([3, 0], np.int32), np.zeros(2, np.int32)
    loss = run(lambda *xs: ops.ctc_loss(*xs), logits, none, times, lengths)[0]
    np.testing.assert_allclose(loss, [-np.log(softmax(logits)[:, 0, 0]).sum(), 0], atol=1e-12)

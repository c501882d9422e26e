"""Arrays, strings, sparse tensors and images: the numbers, shapes and gradients of TensorFlow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from anode.frontends.tensorflow.core import Graph
from anode.frontends.tensorflow.modules import namespace
from tests.frontends.tensorflow.table.array_cases import (
    CASES,
    ERRORS,
    RECORD,
    array,
    build,
    gradients,
)

EXPECTED = dict(np.load(RECORD))
tf = namespace("")
COARSER = ("sparse_concat", "sparse_fill_empty_rows")  # shapes that TensorFlow knows more of
PHASES = ("method=2", "BICUBIC", "bicubic")  # TensorFlow rounds a pixel's place to 1/1024


def recorded(i: int, kind: str = "") -> list[np.ndarray]:
    found, j = [], 0
    while f"{i}.{kind}{j}" in EXPECTED:
        found.append(EXPECTED[f"{i}.{kind}{j}"])
        j += 1
    return found


def fits(shape: Any, dims: list[int]) -> bool:
    """Whether a static shape says at least what TensorFlow's says."""
    if dims == [-2]:
        return True
    known = shape.as_list()
    return len(known) == len(dims) and all(b in (-1, a) for a, b in zip(known, dims, strict=True))


@pytest.mark.parametrize("i", range(len(CASES)), ids=CASES)
def test_results_are_those_of_tensorflow(i: int) -> None:
    text = CASES[i]
    with Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(1)
        tensors, feed = build(tf, text)
        found = [array(value) for value in session.run(tensors, feed)]
        slopes = gradients(tf, text, tensors, feed) if recorded(i, "gradient.") else []
        slopes = session.run(slopes, feed)
    expected = recorded(i)
    assert len(found) == len(expected)
    tolerance = 1e-3 if any(part in text for part in PHASES) else 1e-5
    for j, (t, ours, theirs) in enumerate(zip(tensors, found, expected, strict=True)):
        assert ours.dtype == theirs.dtype or ours.dtype.kind == "S"
        if ours.dtype.kind == "S":
            assert ours.tolist() == theirs.tolist()
        else:
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=tolerance)
        if not any(part in text for part in COARSER):
            assert fits(t.shape, EXPECTED[f"{i}.{j}.shape"].tolist())
    for ours, theirs in zip(slopes, recorded(i, "gradient."), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("text", ERRORS)
def test_what_tensorflow_refuses_is_refused_when_it_is_built(text: str) -> None:
    with Graph().as_default(), pytest.raises((ValueError, TypeError)):
        build(tf, text)

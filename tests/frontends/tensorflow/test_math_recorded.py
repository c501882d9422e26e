"""Names, values and gradients of mathematical functions as TensorFlow gave them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from tests.frontends.tensorflow.math_cases import CASES, RECORD, results

EXPECTED = json.loads(RECORD.read_text())
# TensorFlow 2, which made the record, builds these of other operations than TensorFlow 1.15 does.
REBUILT = ("counts", "matrix_triangular_solve", "ranges")


def test_every_case_is_recorded() -> None:
    assert EXPECTED.keys() == CASES.keys()


@pytest.mark.parametrize("name", CASES)
def test_results_are_those_of_tensorflow(tf: Any, name: str) -> None:
    names, found = results(tf, name)
    recorded_names, recorded = EXPECTED[name]
    own = [(a, b) for a, b in zip(names, recorded_names, strict=True) if "gradients" not in b]
    assert name in REBUILT or all(a == b for a, b in own if "Const" not in b)
    for ours, theirs in zip(found, recorded, strict=True):
        assert np.shape(ours) == np.shape(theirs)
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=2e-5)

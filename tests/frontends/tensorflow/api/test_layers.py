"""Layers, cells, loops and decoders have the names, values and gradients of TensorFlow 1.15."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from tests.frontends.tensorflow.api.layer_cases import CASES, RECORD, results

EXPECTED = json.loads(RECORD.read_text())


def test_every_case_is_recorded() -> None:
    assert EXPECTED.keys() == CASES.keys()


@pytest.mark.parametrize("name", CASES)
def test_results_are_those_of_tensorflow(tf: Any, name: str) -> None:
    found, expected = results(tf, name), EXPECTED[name]
    assert found["variables"] == expected["variables"]
    for ours, theirs in zip(found["shapes"], expected["shapes"], strict=True):
        assert len(ours) == len(theirs)
        assert all(a == b for a, b in zip(ours, theirs, strict=True) if a is not None and b)
    for ours, theirs in zip(found["values"], expected["values"], strict=True):
        assert ours[0] == theirs[0]
        np.testing.assert_allclose(ours[1:], theirs[1:], rtol=2e-4, atol=2e-4)
    np.testing.assert_allclose(found["gradients"], expected["gradients"], rtol=1e-3, atol=2e-3)

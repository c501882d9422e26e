"""Values, gradients and variables of neural-network functions as TensorFlow computed them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from anode.frontends.tensorflow.modules import namespace
from tests.frontends.tensorflow.nn_cases import CASES, RECORD, results

EXPECTED = json.loads(RECORD.read_text())


def test_every_case_is_recorded() -> None:
    assert EXPECTED.keys() == CASES.keys()


@pytest.mark.parametrize("name", CASES)
def test_results_are_those_of_tensorflow(name: str) -> None:
    found = results(namespace(""), name)
    assert [len(row) for row in found] == [len(row) for row in EXPECTED[name]]
    for ours, theirs in zip(found, EXPECTED[name], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=3e-4, atol=3e-4)

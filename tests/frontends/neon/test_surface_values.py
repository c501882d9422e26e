"""Transforms, optimisers and schedules give the numbers of neon 2.6."""

import json
from pathlib import Path

import numpy as np
import pytest

from anode.frontends import serve
from tests.frontends.neon import surface_values

EXPECTED = json.loads(Path(__file__).with_name("surface_values.json").read_text())


@pytest.fixture(autouse=True, scope="module")
def backend():
    serve.install("neon")
    from neon.backends import gen_backend

    yield gen_backend("cpu", rng_seed=0, batch_size=surface_values.BATCH)
    serve.uninstall("neon")


def close(found, expected, where):
    if isinstance(expected, dict):
        assert list(found) == list(expected) or set(found) == set(expected), where
        for key in expected:
            close(found[key], expected[key], f"{where} {key}")
    elif isinstance(expected, list) and expected and isinstance(expected[0], (list, dict)):
        assert len(found) == len(expected), where
        for i, (a, b) in enumerate(zip(found, expected, strict=True)):
            close(a, b, f"{where} {i}")
    elif isinstance(expected, list) and all(isinstance(x, (int, float)) for x in expected):
        np.testing.assert_allclose(found, expected, 2e-4, 2e-6, err_msg=where)
    else:
        assert found == expected, where


@pytest.mark.parametrize("part", surface_values.ALL, ids=lambda part: part.__name__)
def test_values_are_neons(part):
    close(part(), EXPECTED[part.__name__], part.__name__)

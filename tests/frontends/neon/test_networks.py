"""Networks of all layers train as with neon 2.6: the same costs, weights and outputs."""

import json
from pathlib import Path

import numpy as np
import pytest

from anode.frontends import serve

RECORDED = json.loads(Path(__file__).with_name("networks.json").read_text())


@pytest.fixture(autouse=True)
def neon():
    serve.install("neon")
    yield
    serve.uninstall("neon")


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_the_numbers_are_those_of_the_original(name):
    from neon.backends import gen_backend

    from tests.frontends.neon.networks import trained

    found = trained(gen_backend("cpu", rng_seed=0, batch_size=8), name)
    for part, values in RECORDED[name].items():
        np.testing.assert_allclose(found[part], values, rtol=2e-5, atol=2e-6, err_msg=part)

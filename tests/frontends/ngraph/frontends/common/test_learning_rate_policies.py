import numpy as np
import pytest

from anode.frontends import ngraph as ng
from anode.frontends.ngraph.frontends.common.learning_rate_policies import policy_of
from anode.frontends.ngraph.testing import executor

BASE = {"base_lr": 0.8}
FORMULAS = {
    "step": ({"gamma": 0.5, "step": 3}, lambda i: 0.5 ** (i // 3)),
    "exp": ({"gamma": 0.9}, lambda i: 0.9**i),
    "inv": ({"gamma": 0.1, "power": 0.7}, lambda i: (1 + 0.1 * i) ** -0.7),
    "poly": ({"max_iter": 12, "power": 2}, lambda i: (1 - i / 12) ** 2),
    "sigmoid": ({"gamma": 0.7, "step_size": 4}, lambda i: 1 / (1 + np.exp(-0.7 * (i - 4)))),
    "schedule": (
        {"gamma": [0.5, 0.1], "schedule": [2, 5]},
        lambda i: 0.5 ** (i >= 2) * 0.1 ** (i >= 5),
    ),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_formula(name):
    parameters, formula = FORMULAS[name]
    iteration = ng.placeholder(())
    rate = policy_of({"name": name, **BASE, **parameters})(iteration)
    with executor(rate, iteration) as computation:
        found = [float(computation(i)) for i in range(8)]
    np.testing.assert_allclose(found, [0.8 * formula(i) for i in range(8)], rtol=1e-5)


def test_a_number_is_a_fixed_rate():
    with executor(policy_of(0.25)(0)) as computation:
        assert float(computation()) == 0.25


def test_one_gamma_for_all_points_leaves_the_parameters():
    parameters = {"name": "schedule", **BASE, "gamma": 0.5, "schedule": [1, 2]}
    policy_of(parameters)
    assert parameters["gamma"] == 0.5


@pytest.mark.parametrize(
    ("parameters", "error", "text"),
    [
        ({"name": "cosine", **BASE}, NotImplementedError, "'cosine' is none of exp, fixed"),
        ({"name": "step", **BASE}, ValueError, "'step' needs gamma, step"),
        ({"name": "schedule", **BASE, "gamma": [1], "schedule": [1, 2]}, ValueError, "1 and 2"),
        ({"name": "schedule", **BASE, "gamma": 1, "schedule": 3}, ValueError, "sequence"),
    ],
)
def test_errors(parameters, error, text):
    with pytest.raises(error, match=text):
        policy_of(parameters)

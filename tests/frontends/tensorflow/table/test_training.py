"""Optimisers' ops that no tf.train optimiser makes: two steps, as TensorFlow 2.21 computes them."""

import numpy as np
import pytest

from anode.frontends.tensorflow.graph import apply

START = ([1.0, -2.0, 0.5], [0.1, 0.2, 0.3], [0.3, 0.2, 0.4])
GRADIENT = [0.5, -1.0, 0.0]
# op, scalars before and after the gradient, attributes, the references after two steps
CASES = {
    "ResourceApplyAdaMax": (
        [0.9, 0.1, 0.9, 0.99, 1e-3],
        [],
        {},
        [[0.3692615, -2.051948, -0.7983582], [0.17600003, -0.02800005, 0.243], [0.5, 1, 0.39204]],
    ),
    "ResourceApplyKerasMomentum": (
        [0.1],
        [0.9],
        {"use_nesterov": True},
        [[0.9234, -1.2312, 0.9617], [-0.014, 0.352, 0.243]],
    ),
    "ResourceApplyAdagradV2": (
        [0.1, 0.01],
        [],
        {},
        [[0.8531624, -1.8425703, 0.5], [0.6, 2.2, 0.3]],
    ),
    "ResourceApplyAdam": (
        [0.9, 0.99, 0.1, 0.9, 0.99, 1e-3],
        [],
        {"use_nesterov": True},
        [
            [0.92985666, -1.9669882, 0.426573],
            [0.17600003, -0.02800005, 0.243],
            [0.29900503, 0.21591999, 0.39204],
        ],
    ),
    "ResourceApplyFtrl": (
        [],
        [0.1, 0.01, 0.02, -0.5],
        {"multiply_linear_by_lr": True},
        [
            [-0.18782252, -1.2020046, -0.7231896],
            [0.6, 2.2, 0.3],
            [0.147238, 1.7886689, 0.4],
        ],
    ),
}


@pytest.mark.parametrize("resource", [True, False])
@pytest.mark.parametrize("type", CASES)
def test_two_steps(tf, type, resource):
    before, after, attrs, expected = CASES[type]
    if type.endswith("Momentum"):
        attrs = {**attrs, "use_nesterov": True}
    variables = [
        tf.Variable(np.float32(value), use_resource=resource) for value in START[: len(expected)]
    ]
    refs = [v._ref() for v in variables]
    type = type if resource else type.removeprefix("Resource")
    step = apply(type, *refs, *before, np.float32(GRADIENT), *after, **attrs)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        for _ in range(2):
            sess.run(step)
        found = sess.run(variables)
    for value, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(value, wanted, rtol=2e-5)

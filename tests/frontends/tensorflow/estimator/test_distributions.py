"""Distributions and conditional random fields: numbers recorded from TensorFlow 1.15."""

import numpy as np
import pytest

# a, b, value; log-density of the value, entropy of a, divergence of a from b
CASES = [
    (
        "Normal([0.0, 1.0], [1.0, 2.0])",
        "Normal(0.5, 1.5)",
        [0.3, 0.4],
        [-0.9639385, -1.6570857],
        [1.4189385, 2.1120858],
        [0.1832429, 0.1567624],
    ),
    (
        "Bernoulli(probs=[0.2, 0.7])",
        "Bernoulli(logits=[0.1, 0.3])",
        [1, 0],
        [-1.6094379, -1.2039728],
        [0.5004025, 0.6108643],
        [0.2239942, 0.0334909],
    ),
    (
        "Categorical(logits=[[0.1, 0.5, 0.2]])",
        "Categorical(probs=[0.2, 0.3, 0.5])",
        [1],
        [-0.8800989],
        [1.0834774],
        [0.0762684],
    ),
    (
        "Beta([1.5, 2.0], [2.0, 3.0])",
        "Beta(1.0, 2.0)",
        [0.2, 0.3],
        [0.2938933, 0.5675839],
        [-0.1080499, -0.2349067],
        [0.0952753, 0.1250927],
    ),
    (
        "Gamma([1.5, 2.0], [2.0, 3.0])",
        "Gamma(1.0, 2.0)",
        [0.2, 0.3],
        [-0.0442159, 0.0932517],
        [0.6678256, 0.4786035],
        [0.1390272, 0.1615827],
    ),
    (
        "MultivariateNormalDiag([0.0, 1.0], [1.0, 2.0])",
        "MultivariateNormalDiag([0.5, 1.0], [1.0, 1.0])",
        [0.2, 0.3],
        -2.6122742,
        3.5310242,
        0.9318528,
    ),
]
# two draws with the seed 5
DRAWS = [
    ("Normal([0.0, 1.0], 2.0)", [[-2.3561656, -0.4198828], [-3.496316, 0.0092555]]),
    ("Bernoulli(probs=[0.5, 0.4])", [[1.0, 0.0], [1.0, 0.0]]),
    ("Laplace([0.0, 1.0], 2.0)", [[-0.5056015, 1.793107], [-1.9151552, 2.0624151]]),
    ("Exponential([1.0, 2.0])", [[0.945948, 0.2049755], [1.6507249, 0.1740327]]),
]
TOLERANCE = {"rtol": 2e-5, "atol": 1e-6}


def close(tf, tensor, expected):
    with tf.Session() as session:
        np.testing.assert_allclose(session.run(tensor), expected, **TOLERANCE)


def made(tf, text):
    name, _, rest = text.partition("(")
    return eval(f"make({rest}", {"make": getattr(tf.contrib.distributions, name)})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0].partition("(")[0])
def test_densities(tf, case):
    a, b, value, log_prob, entropy, divergence = case
    one, other = made(tf, a), made(tf, b)
    close(tf, one.log_prob(value), log_prob)
    close(tf, one.entropy(), entropy)
    close(tf, tf.distributions.kl_divergence(one, other), divergence)
    assert one.sample([2, 3]).shape[:2] == [2, 3]


def test_conditional_random_field(tf):
    rng = np.random.RandomState(1)
    scores, tags = rng.randn(3, 4, 5).astype("f"), rng.randint(0, 5, (3, 4))
    transitions = rng.randn(5, 5).astype("f")
    params = tf.constant(transitions)
    crf = tf.contrib.crf
    found, _ = crf.crf_log_likelihood(tf.constant(scores), tf.constant(tags), [4, 2, 1], params)
    close(tf, found, [-12.27519, -2.2429018, -2.0528023])
    gradient = tf.gradients(tf.reduce_sum(found), params)[0][0]
    close(tf, gradient, [-0.01702559, -0.24139225, 0.91523284, -0.18545464, -0.88126266])
    path, score = crf.viterbi_decode(scores[0], transitions)
    assert path == [0, 4, 0, 4]
    assert score == pytest.approx(7.794283)


def test_draws(tf):
    for text, expected in DRAWS:
        close(tf, made(tf, text).sample(2, seed=5), expected)


def test_refusals(tf):
    d = tf.distributions
    with pytest.raises(NotImplementedError, match=r"No KL\(distribution_a"):
        d.kl_divergence(d.Normal(0.0, 1.0), d.Uniform())
    with pytest.raises(ValueError, match="probs or logits"):
        d.Bernoulli()
    with pytest.raises(NotImplementedError, match="mean is not implemented for Categorical"):
        d.Categorical(logits=[0.0, 1.0]).mean()

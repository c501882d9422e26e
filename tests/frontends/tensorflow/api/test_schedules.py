"""Learning rates at steps 0, 5, 7, 20, 25 and 40, as TensorFlow 2.21's compat.v1 gives them."""

import numpy as np
import pytest

STEPS = (0, 5, 7, 20, 25, 40)
CASES = {
    "exponential": (
        lambda t, g: t.exponential_decay(0.1, g, 10, 0.9),
        [0.1, 0.09486832, 0.092890166, 0.081, 0.07684334, 0.06560999],
    ),
    "staircase": (
        lambda t, g: t.exponential_decay(0.1, g, 10, 0.9, staircase=True),
        [0.1, 0.1, 0.1, 0.081, 0.081, 0.06560999],
    ),
    "piecewise": (
        lambda t, g: t.piecewise_constant(g, [5, 20], [1.0, 0.5, 0.1]),
        [1.0, 1.0, 0.5, 0.5, 0.1, 0.1],
    ),
    "polynomial": (
        lambda t, g: t.polynomial_decay(0.1, g, 20, 0.01, power=0.5),
        [0.1, 0.08794229, 0.08256032, 0.01, 0.01, 0.01],
    ),
    "polynomial_cycle": (
        lambda t, g: t.polynomial_decay(0.1, g, 20, 0.01, power=2.0, cycle=True),
        [0.1, 0.060625, 0.048024997, 0.01, 0.02265625, 0.01],
    ),
    "natural_exp": (
        lambda t, g: t.natural_exp_decay(0.1, g, 10, 0.9),
        [0.1, 0.063762814, 0.05325918, 0.01652989, 0.010539922, 0.0027323724],
    ),
    "inverse_time": (
        lambda t, g: t.inverse_time_decay(0.1, g, 10, 0.9, staircase=True),
        [0.1, 0.1, 0.1, 0.03571429, 0.03571429, 0.02173913],
    ),
    "cosine": (
        lambda t, g: t.cosine_decay(0.1, g, 30, 0.1),
        [0.1, 0.09397115, 0.08844151, 0.03249999, 0.016028851, 0.01],
    ),
    "cosine_restarts": (
        lambda t, g: t.cosine_decay_restarts(0.1, g, 10, 2.0, 0.9, 0.1),
        [0.1, 0.055, 0.028549666, 0.050499994, 0.021862177, 0.07222404],
    ),
    "cosine_restarts_of_equal_length": (
        lambda t, g: t.cosine_decay_restarts(0.1, g, 10, 1.0, 0.9, 0.1),
        [0.1, 0.055, 0.028549666, 0.082899995, 0.046449993, 0.06904899],
    ),
    "linear_cosine": (
        lambda t, g: t.linear_cosine_decay(0.1, g, 30, 0.5, 0.1, 0.01),
        [0.111, 0.088081196, 0.07653628, 0.011833328, 0.0027863267, 0.001],
    ),
}


@pytest.mark.parametrize("key", CASES)
def test_rates(tf, key):
    schedule, expected = CASES[key]
    step = tf.placeholder(tf.int64, [])
    rate = schedule(tf.train, step)
    with tf.Session() as sess:
        found = [sess.run(rate, {step: i}) for i in STEPS]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-8)


def test_names(tf):
    step = tf.train.get_or_create_global_step()
    assert tf.train.exponential_decay(0.1, step, 10, 0.9).name == "ExponentialDecay:0"
    assert tf.train.exponential_decay(0.1, step, 10, 0.9, name="lr").name == "lr:0"


def test_noise_keeps_near_the_line(tf):
    step = tf.constant(10)
    rate = tf.train.noisy_linear_cosine_decay(0.1, step, 100, initial_variance=1e-12)
    with tf.Session() as sess:
        expected = sess.run(tf.train.linear_cosine_decay(0.1, step, 100))
        np.testing.assert_allclose(sess.run(rate), expected, atol=1e-5)


def test_errors(tf):
    with pytest.raises(ValueError, match="global_step is required"):
        tf.train.exponential_decay(0.1, None, 10, 0.9)
    with pytest.raises(ValueError, match="1 less than the length"):
        tf.train.piecewise_constant(tf.constant(1), [5], [1.0])

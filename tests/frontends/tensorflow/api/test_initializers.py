"""Initialisers: names of their operations, moments of what they draw, and wrong arguments."""

import numpy as np
import pytest

BOUND = 0.1  # √(6 / (200 + 400))
CASES = {
    "glorot_uniform_initializer": ("random_uniform", BOUND / np.sqrt(3)),
    "initializers.glorot_normal": ("truncated_normal", np.sqrt(2 / 600)),
    "initializers.he_normal": ("truncated_normal", np.sqrt(2 / 200)),
    "initializers.he_uniform": ("random_uniform", np.sqrt(2 / 200)),
    "initializers.lecun_normal": ("truncated_normal", np.sqrt(1 / 200)),
    "initializers.lecun_uniform": ("random_uniform", np.sqrt(1 / 200)),
    "uniform_unit_scaling_initializer": ("random_uniform", np.sqrt(1 / 200)),
    "random_normal_initializer": ("random_normal", 1.0),
    "keras.initializers.RandomNormal": ("random_normal", 0.05),
}


def found(tf, path):
    for part in path.split("."):
        tf = getattr(tf, part)
    return tf


@pytest.mark.parametrize("path", CASES)
def test_deviation_and_name(tf, path):
    name, deviation = CASES[path]
    v = tf.get_variable("v", [200, 400], initializer=found(tf, path)(seed=1))
    assert v.initial_value.name == f"v/Initializer/{name}:0"
    with tf.Session() as sess:
        sess.run(v.initializer)
        values = sess.run(v)
    assert abs(values.mean()) < 0.02 * max(deviation, 0.05) * 10
    np.testing.assert_allclose(values.std(), deviation, rtol=0.03)


def test_constants(tf):
    with tf.Session() as sess:
        assert sess.run(tf.constant_initializer([1, 2])([3])).tolist() == [1, 2, 2]
        assert sess.run(tf.ones_initializer()([2], tf.int32)).tolist() == [1, 1]
        assert sess.run(tf.zeros_initializer()([2], tf.bool)).tolist() == [False, False]
        assert sess.run(tf.initializers.identity(2.0)([2, 3])).tolist() == [[2, 0, 0], [0, 2, 0]]
        assert sess.run(tf.zeros_initializer()([3000])).shape == (3000,)


@pytest.mark.parametrize("shape", [[6, 4], [4, 6], [2, 3, 4]])
def test_orthogonal_rows_or_columns(tf, shape):
    with tf.Session() as sess:
        q = sess.run(tf.orthogonal_initializer(gain=2.0, seed=1)(shape)).reshape(-1, shape[-1])
    product = q @ q.T if q.shape[0] < q.shape[1] else q.T @ q
    np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-5)


def test_configs(tf):
    first = tf.truncated_normal_initializer(stddev=0.1, seed=3)
    config = first.get_config()
    assert config == {"mean": 0.0, "stddev": 0.1, "seed": 3, "dtype": "float32"}
    assert type(first).from_config(config).stddev == 0.1


def test_errors(tf):
    with pytest.raises(ValueError, match="must be positive float"):
        tf.variance_scaling_initializer(scale=0.0)
    with pytest.raises(ValueError, match="mode"):
        tf.variance_scaling_initializer(mode="fan")
    with pytest.raises(ValueError, match="floating point type"):
        tf.random_normal_initializer(dtype=tf.int32)
    with pytest.raises(TypeError, match="Invalid type for initial value"):
        tf.constant_initializer(None)
    with pytest.raises(ValueError, match="at least two-dimensional"):
        tf.orthogonal_initializer()([3])

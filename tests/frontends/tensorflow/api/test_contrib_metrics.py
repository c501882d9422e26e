"""Metrics and losses of tf.contrib, against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from anode.frontends.tensorflow.modules import namespace

tf: Any = namespace("")
RANDOM = np.random.default_rng(0)


def batches(metric: Any, *batches_of: list[np.ndarray]) -> list[Any]:
    """The value of a metric after each of several batches."""
    with tf.Graph().as_default():
        inputs = [tf.placeholder(str(column[0].dtype), [None]) for column in batches_of]
        value, update = metric(*inputs)
        found = []
        with tf.Session() as session:
            session.run(tf.local_variables_initializer())
            for arrays in zip(*batches_of, strict=True):
                session.run(update, dict(zip(inputs, arrays, strict=True)))
                found.append(session.run(value))
        return found


def test_pearson_correlation_of_batches_is_that_of_all() -> None:
    x = [RANDOM.normal(size=n).astype(np.float32) for n in (5, 3, 9)]
    y = [RANDOM.normal(size=n).astype(np.float32) + v for n, v in zip((5, 3, 9), x, strict=True)]
    found = batches(tf.contrib.metrics.streaming_pearson_correlation, x, y)
    assert found[-1] == pytest.approx(np.corrcoef(np.hstack(x), np.hstack(y))[0, 1], abs=1e-5)
    covariance = batches(tf.contrib.metrics.streaming_covariance, x, y)
    assert covariance[1] == pytest.approx(
        np.cov(np.hstack(x[:2]), np.hstack(y[:2]))[0, 1], abs=1e-5
    )


def test_predictions_come_first() -> None:
    predictions, labels = np.array([1, 1, 0], np.int64), np.array([1, 0, 0], np.int64)
    found = batches(tf.contrib.metrics.streaming_recall, [predictions], [labels])
    assert found == [1.0]
    assert batches(tf.contrib.metrics.streaming_precision, [predictions], [labels]) == [0.5]


def test_f1_is_the_best_over_thresholds() -> None:
    labels, scores = np.array([1, 1, 0, 1], bool), np.array([0.9, 0.6, 0.5, 0.2], np.float32)
    found = batches(tf.contrib.metrics.f1_score, [labels], [scores])
    assert found[0] == pytest.approx(2 * 0.75 / 1.75, abs=1e-5)  # all are predicted


def test_aggregate_metric_map() -> None:
    pairs = {"a": ("value a", "update a"), "b": ("value b", "update b")}
    values, updates = tf.contrib.slim.metrics.aggregate_metric_map(pairs)
    assert values == {"a": "value a", "b": "value b"}
    assert updates == {"a": "update a", "b": "update b"}
    with pytest.raises(ValueError, match="at least one"):
        tf.contrib.metrics.aggregate_metrics()


def test_contrib_losses_take_predictions_first_and_weights_of_examples() -> None:
    p, y = RANDOM.normal(size=(2, 4, 3)).astype(np.float32)
    w = np.array([1, 0, 2, 3], np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
        loss = tf.contrib.losses.mean_squared_error(p, y, weights=w)
        absolute = tf.contrib.losses.absolute_difference(tf.constant(p), tf.constant(y))
        total = tf.contrib.losses.get_total_loss()
        found = session.run([loss, absolute, total])
    square = ((p - y) ** 2 * w[:, None]).sum() / 9  # of the elements whose weight is not 0
    expected = [square, np.abs(p - y).mean(), square + np.abs(p - y).mean()]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_contrib_cross_entropies() -> None:
    logits, labels = RANDOM.normal(size=(4, 3)).astype(np.float32), np.array([[0], [1], [2], [1]])
    with tf.Graph().as_default(), tf.Session() as session:
        sparse = tf.contrib.losses.sparse_softmax_cross_entropy(logits, labels)
        dense = tf.contrib.losses.softmax_cross_entropy(logits, np.eye(3)[labels[:, 0]])
        found = session.run([sparse, dense])
    assert found[0] == pytest.approx(found[1], rel=1e-6)

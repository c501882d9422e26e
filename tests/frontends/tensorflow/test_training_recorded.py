"""A seeded training: TensorFlow's losses, from its weights, dropout masks and updates."""

from __future__ import annotations

from typing import Any

import numpy as np

# of TensorFlow, for the network below
LOSSES = [1.62673, 1.59584, 1.59456, 1.58485, 1.57441, 1.54478]
LOSSES += [1.51305, 1.50863, 1.48341, 1.53304, 1.4852, 1.47006]


def network(tf: Any, x: Any, y: Any) -> tuple[Any, Any]:
    """The loss of two layers with dropout, and a step of Adam with clipped gradients."""
    w1 = tf.Variable(tf.truncated_normal([20, 32], stddev=0.1, seed=1))
    w2 = tf.Variable(tf.random_uniform([32, 5], -0.3, 0.3, seed=2))
    b2 = tf.Variable(tf.random_normal([5], seed=4) * 0.1)
    hidden = tf.nn.relu(tf.matmul(x, w1) + tf.Variable(tf.zeros([32])))
    logits = tf.matmul(tf.nn.dropout(hidden, 0.7, seed=3), w2) + b2
    costs = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits)
    loss = tf.reduce_mean(costs) + 1e-3 * tf.nn.l2_loss(w1)
    adam = tf.train.AdamOptimizer(0.01)
    gradients, variables = zip(*adam.compute_gradients(loss), strict=True)
    clipped, _ = tf.clip_by_global_norm(gradients, 1.0)
    return loss, adam.apply_gradients(zip(clipped, variables, strict=True))


def test_losses_are_those_of_tensorflow(tf: Any) -> None:
    random = np.random.RandomState(0)
    inputs, labels = random.rand(64, 20).astype("f4"), random.randint(0, 5, 64)
    x, y = tf.placeholder(tf.float32, [None, 20]), tf.placeholder(tf.int64, [None])
    fetches = network(tf, x, y)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        found = [session.run(fetches, {x: inputs, y: labels})[0] for _ in LOSSES]
    np.testing.assert_allclose(found, LOSSES, atol=3e-5)

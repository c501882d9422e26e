"""tf.contrib.slim.learning: the training loop."""

import numpy as np


def test_training_stops_at_its_number_of_steps_and_saves(tf, tmp_path):
    slope, x = tf.Variable(0.0), tf.constant([1.0, 2.0, 3.0])
    loss = tf.reduce_mean(tf.square(slope * x - 2 * x))
    optimizer = tf.train.GradientDescentOptimizer(0.05)
    step = tf.contrib.slim.learning.create_train_op(loss, optimizer)
    last = tf.contrib.slim.learning.train(step, str(tmp_path), number_of_steps=20)
    assert last < 1e-3
    path = tf.train.latest_checkpoint(str(tmp_path))
    assert path.endswith("model.ckpt-20")
    np.testing.assert_allclose(tf.train.load_checkpoint(path).get_tensor("Variable"), 2, atol=0.05)

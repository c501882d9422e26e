"""The cell of a search over cells: names and values by TensorFlow 1.15."""

from typing import Any

import numpy as np


def test_nas_cell(tf: Any) -> None:
    draw = np.random.RandomState(2).uniform
    x = tf.constant(draw(-1, 1, [2, 3, 2]), tf.float32)
    with tf.variable_scope("r", initializer=lambda shape, **_: draw(-1, 1, shape).astype("f")):
        cell = tf.contrib.rnn.NASCell(3, num_proj=2, use_bias=True)
        outputs, state = tf.nn.dynamic_rnn(cell, x, dtype=tf.float32)
    assert [v.op.name for v in tf.trainable_variables()] == [
        f"r/rnn/nas_cell/{name}"
        for name in ("recurrent_kernel", "kernel", "bias", "projection_weights")
    ]
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        outputs, c = session.run([outputs, state.c])
    expected = [[-0.0059638717, 0.0012748280], [-0.0053663012, 0.0062841014]]
    cells = [[0.0160521008, 0.0, 0.0834295377], [0.0409998745, 0.0265550129, 0.0286250152]]
    np.testing.assert_allclose(outputs[:, 2], expected, rtol=1e-5)
    np.testing.assert_allclose(c, cells, rtol=1e-5)

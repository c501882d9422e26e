"""Recurrent layers of tf.keras: what they refuse, and sequences of unequal lengths."""

import numpy as np
import pytest

from anode.errors import UnsupportedOp


def test_constants_are_refused(tf):
    layer = tf.keras.layers.LSTM(2)
    with pytest.raises(UnsupportedOp, match="constants"):
        layer(tf.zeros([1, 3, 4]), constants=[tf.zeros([1, 2])])


@pytest.mark.parametrize("kind", ["SimpleRNN", "GRU", "LSTM"])
def test_masked_steps_leave_the_state_alone(tf, kind):
    tf.set_random_seed(1)
    short = np.random.RandomState(0).rand(1, 3, 4).astype(np.float32)
    padded = np.concatenate([short, np.zeros((1, 2, 4), np.float32)], axis=1)
    inputs = tf.keras.Input((None, 4))
    masked = tf.keras.layers.Masking()(inputs)
    model = tf.keras.Model(inputs, getattr(tf.keras.layers, kind)(5)(masked))
    np.testing.assert_allclose(model.predict(padded), model.predict(short), rtol=1e-5, atol=1e-6)

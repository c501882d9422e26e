"""Moving averages: values and names as TensorFlow 2.21's compat.v1 has them."""

import numpy as np


def test_averages_of_a_variable_and_a_tensor(tf):
    w = tf.Variable([1.0, 2.0], name="W")
    x = tf.placeholder(tf.float32, [], name="x")
    t = tf.multiply(x, 2.0, name="t")
    ema = tf.train.ExponentialMovingAverage(0.9, num_updates=5, zero_debias=True, name="E")
    grow, update = w.assign_add([1.0, 1.0]), ema.apply([w, t])
    assert [v.op.name for v in tf.global_variables()] == [
        *("W", "W/E", "t/E", "t/E/biased", "t/E/local_step")
    ]
    assert tf.moving_average_variables() == [w]
    assert (update.name, ema.average_name(w), ema.average(x)) == ("E", "W/E", None)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        for i in range(3):
            sess.run(grow)
            sess.run(update, {x: i + 1.0})
        of_variable, of_tensor = sess.run([ema.average(w), ema.average(t)])
    np.testing.assert_allclose(of_variable, [3.376, 4.376], rtol=1e-6)
    np.testing.assert_allclose(of_tensor, 5.076923, rtol=1e-6)


def test_variables_to_restore_take_their_averages(tf):
    w = tf.Variable([1.0], name="W")
    other = tf.Variable(1.0, trainable=False, name="o")
    ema = tf.train.ExponentialMovingAverage(0.9)
    assert ema.variables_to_restore() == {"W/ExponentialMovingAverage": w, "o": other}


def test_assign_moving_average(tf):
    from tensorflow.python.training import moving_averages

    m = tf.get_variable("m", [2], initializer=tf.zeros_initializer())
    value = tf.constant([1.0, 3.0])
    plain = moving_averages.assign_moving_average(m, value, 0.9, zero_debias=False)
    debiased = moving_averages.assign_moving_average(m, value, 0.9)
    assert [v.op.name for v in tf.global_variables()] == ["m", "m/biased", "m/local_step"]
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        np.testing.assert_allclose(sess.run(plain), [0.1, 0.3], rtol=1e-6)
        np.testing.assert_allclose(sess.run(debiased), [1, 3], rtol=1e-6)
        np.testing.assert_allclose(sess.run(debiased), [1, 3], rtol=1e-6)

"""tf.gradients: what TensorFlow gives, rows of lookups, stops, and gradients of one's own."""

import numpy as np
import pytest


@pytest.fixture
def run(tf):
    sess = tf.Session()

    def evaluate(fetches, feed=None):
        sess.run(tf.variables_initializer(tf.global_variables()))
        return sess.run(fetches, feed)

    yield evaluate
    sess.close()


def test_first_and_second_derivatives(tf, run):
    z = tf.Variable(3.0)
    first = tf.gradients(z * z * z, z)[0]
    assert run([first, tf.gradients(first, z)[0]]) == [27, 18]
    b = tf.constant([1.0, 2.0])
    np.testing.assert_allclose(run(tf.hessians(tf.reduce_sum(b * b * b), b)[0]), [[6, 0], [0, 12]])


def test_weights_stops_and_nothing(tf, run):
    z, other = tf.Variable(3.0), tf.Variable(1.0)
    q = z * 2.0
    r = q * z
    assert run(tf.gradients([z * z, z * 2.0], z, grad_ys=[2.0, None])) == [14]
    assert run(tf.gradients(r, z, stop_gradients=[q])) == [6]
    assert run(tf.gradients(r, [q, z])) == [3, 12]
    assert tf.gradients(r, other) == [None]
    assert tf.gradients(tf.constant(1), z) == [None]
    assert tf.gradients(tf.cast(tf.cast(z, tf.int32), tf.float32), z) == [None]
    assert run(tf.gradients(r, [other], unconnected_gradients="zero")) == [0]
    with pytest.raises(ValueError, match="Passed 1 grad_ys for 2 ys"):
        tf.gradients([r, q], z, grad_ys=[1.0])


def test_lookups_give_rows(tf, run):
    w = tf.Variable(np.arange(12, dtype=np.float32).reshape(4, 3) / 10)
    loss = tf.reduce_sum(tf.square(tf.gather(w, [0, 2, 0])))
    (rows,) = tf.gradients(loss, w)
    assert isinstance(rows, tf.IndexedSlices) and rows.shape.as_list() == [4, 3]
    found = run(rows)
    assert found.indices.tolist() == [0, 2, 0] and found.values.shape == (3, 3)
    dense = run(tf.convert_to_tensor(rows))
    expected = np.zeros((4, 3))
    expected[0], expected[2] = [0, 0.4, 0.8], [1.2, 1.4, 1.6]
    np.testing.assert_allclose(dense, expected, rtol=1e-6)
    joined = tf.gradients(loss + tf.reduce_sum(tf.nn.embedding_lookup(w, [[1], [3]])), w)[0]
    np.testing.assert_allclose(
        run(tf.convert_to_tensor(joined)) - expected,
        np.eye(4)[[1, 3]].sum(0)[:, None] * [1, 1, 1],
        atol=1e-6,
    )


def test_a_variable_used_otherwise_too_has_a_dense_gradient(tf, run):
    w = tf.Variable(np.ones((4, 3), np.float32))
    loss = tf.reduce_sum(tf.gather(w, [1, 1])) + tf.reduce_sum(w)
    (gradient,) = tf.gradients(loss, w)
    assert isinstance(gradient, tf.Tensor)
    assert run(gradient)[:, 0].tolist() == [1, 3, 1, 1]


def test_norms_of_rows_are_those_of_their_values(tf, run):
    w = tf.Variable(np.ones((4, 1), np.float32))
    (rows,) = tf.gradients(tf.reduce_sum(tf.gather(w, [0, 0])), w)
    (clipped,), norm = tf.clip_by_global_norm([rows], 1.0)
    assert isinstance(clipped, tf.IndexedSlices)
    np.testing.assert_allclose(run(norm), np.sqrt(2), rtol=1e-6)


def test_a_custom_gradient(tf, run):
    @tf.custom_gradient
    def f(x):
        return tf.square(x), lambda dy: dy * 100.0 * x

    z = tf.Variable(3.0)
    assert run([f(z), *tf.gradients(f(z) * 2.0 + z, z)]) == [9, 601]


def test_a_registered_gradient_replaces_that_of_an_op(tf, run):
    name = f"Guided{id(tf.get_default_graph())}"

    @tf.RegisterGradient(name)
    def guided(op, gradient):
        return tf.nn.relu(gradient) * 7.0

    b = tf.Variable([1.0, 2.0, 3.0])
    with tf.get_default_graph().gradient_override_map({"Relu": name}):
        h = tf.nn.relu(b - 2.0)
    assert run(tf.gradients(h * [1.0, -1.0, 1.0], b))[0].tolist() == [7, 0, 7]
    with pytest.raises(KeyError, match="two gradient"):
        tf.RegisterGradient(name)(guided)


def test_a_gradient_of_ones_own_inside_a_loop_is_refused(tf):
    @tf.custom_gradient
    def f(x):
        return tf.square(x), lambda dy: dy

    z = tf.Variable(1.0)
    out = tf.while_loop(lambda i, _: i < 2, lambda i, x: (i + 1, f(x)), [0, z * 1.0])[1]
    with pytest.raises(Exception, match="gradient of its own inside control flow"):
        tf.gradients(out, z)

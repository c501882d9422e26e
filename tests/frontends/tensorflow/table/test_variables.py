"""Scatters into variables, on references and on handles, as TensorFlow 2.21 computes them."""

import numpy as np
import pytest

from anode.frontends.tensorflow.graph import apply

SCATTERED = {
    "add": [[4, 6], [14, 27]],
    "sub": [[4, 6], [2, -7]],
    "mul": [[4, 6], [64, 600]],
    "div": [[4, 6], [1, 1 / 6]],
    "min": [[4, 6], [2, 5]],
    "max": [[4, 6], [8, 12]],
    "update": [[4, 6], [4, 5]],
}


@pytest.mark.parametrize("resource", [True, False])
@pytest.mark.parametrize("name", SCATTERED)
def test_rows_that_meet(tf, name, resource):
    v = tf.Variable([[4.0, 6.0], [8.0, 10.0]], use_resource=resource)
    changed = getattr(tf, f"scatter_{name}")(v, [1, 1], [[2.0, 12.0], [4.0, 5.0]])
    with tf.Session() as sess:
        sess.run(v.initializer)
        np.testing.assert_allclose(sess.run(changed), SCATTERED[name], rtol=1e-6)


def test_vectors_of_indices_and_scalars(tf):
    v = tf.Variable(np.zeros((2, 2, 2), np.float32))
    with tf.Session() as sess:
        sess.run(v.initializer)
        part = sess.run(tf.scatter_nd_add(v, [[0, 1], [0, 1]], [[1.0, 2.0], [1.0, 2.0]]))
        assert part[0].tolist() == [[0, 0], [2, 4]]
        assert sess.run(tf.scatter_update(v, [1], 3.0))[1].tolist() == [[3, 3], [3, 3]]


def test_handles(tf):
    v = tf.Variable([[1.0, 2.0], [3.0, 4.0]], use_resource=True)
    shape = apply("VariableShape", v.handle, out_type="int32")
    with tf.Session() as sess:
        sess.run(v.initializer)
        assert sess.run(v.sparse_read([1, 1])).tolist() == [[3, 4], [3, 4]]
        assert sess.run(shape).tolist() == [2, 2]
        assert sess.run(v[0].assign([8.0, 9.0]))[0].tolist() == [8, 9]
        assert sess.run(v.is_initialized())


@pytest.mark.parametrize(
    "spec",
    [
        np.s_[1],
        np.s_[..., 0],
        np.s_[::-1, 1:],
        np.s_[0, :, None],
        np.s_[-1:, ::2],
        np.s_[:],
    ],
)
def test_parts_are_assigned_as_in_numpy(tf, spec):
    expected = np.arange(12, dtype=np.float32).reshape(3, 4)
    v = tf.Variable(expected.copy())
    value = -1 - np.arange(expected[spec].size, dtype=np.float32).reshape(expected[spec].shape)
    expected[spec] = value
    with tf.Session() as sess:
        sess.run(v.initializer)
        np.testing.assert_array_equal(sess.run(v[spec].assign(value)), expected)


def test_a_wrong_shape_at_run_time(tf):
    v = tf.Variable([1.0, 2.0])
    fed = tf.placeholder(tf.float32)
    with (
        tf.Session() as sess,
        pytest.raises(tf.errors.InvalidArgumentError, match=r"lhs shape= .2. rhs shape= .3."),
    ):
        sess.run(tf.assign(v, fed), {fed: np.zeros(3)})


def test_a_shape_that_is_not_validated_may_change(tf):
    v = tf.Variable(tf.placeholder(tf.float32, [None]), validate_shape=False)
    with tf.Session() as sess:
        for size in (5, 2):
            sess.run(tf.assign(v, tf.ones([size]), validate_shape=False))
            assert sess.run(v + 1.0).tolist() == [2.0] * size


def test_variables_of_strings(tf, tmp_path):
    v = tf.Variable(["a", "b"], name="v")
    given = tf.placeholder(tf.string)
    assigned = tf.assign(v, given)
    with tf.Session() as session:
        ready = tf.is_variable_initialized(v)
        assert not session.run(ready)
        with pytest.raises(tf.errors.FailedPreconditionError, match="uninitialized value v"):
            session.run(v)
        session.run(v.initializer)
        assert session.run(ready) and session.run(v).tolist() == [b"a", b"b"]
        path = tf.train.Saver().save(session, str(tmp_path / "model"))
        session.run(assigned, {given: ["c", "d"]})
        assert session.run(tf.strings.join([v, "!"])).tolist() == [b"c!", b"d!"]
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"lhs shape= \[2\] rhs shape= "):
            session.run(assigned, {given: ["x"]})
        tf.train.Saver().restore(session, path)
        assert session.run(v).tolist() == [b"a", b"b"]

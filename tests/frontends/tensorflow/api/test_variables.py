"""tf.Variable: its operations and names, assignments, initial values, collections."""

import numpy as np
import pytest


def names(tf):
    return [op.name for op in tf.get_default_graph().get_operations()]


def test_the_operations_of_a_variable(tf):
    v = tf.Variable([[1.0, 2.0]], name="W")
    assert names(tf) == ["W/initial_value", "W", "W/Assign", "W/read"]
    assert str(v) == "<tf.Variable 'W:0' shape=(1, 2) dtype=float32_ref>"
    assert (v.op.type, v.initializer.name, v.value().name) == ("VariableV2", "W/Assign", "W/read:0")


def test_an_initial_value_that_is_a_function_has_a_scope(tf):
    tf.Variable(lambda: tf.zeros([2]), name="V")
    assert names(tf) == ["V/Initializer/zeros", "V", "V/Assign", "V/read"]


def test_a_resource_variable(tf):
    v = tf.get_variable("R", initializer=[1.0, 2.0], use_resource=True)
    assert str(v) == "<tf.Variable 'R:0' shape=(2,) dtype=float32>"
    assert "R/Read/ReadVariableOp" in names(tf)
    with tf.Session() as sess:
        sess.run(v.initializer)
        assert sess.run(v.assign_add([1.0, 1.0])).tolist() == [2, 3]
        assert sess.run(v * 2.0).tolist() == [4, 6]


def test_assignments_give_the_new_value(tf):
    v = tf.Variable([1.0, 2.0])
    with tf.Session() as sess:
        sess.run(v.initializer)
        assert sess.run(v.assign([3.0, 4.0])).tolist() == [3, 4]
        assert sess.run(tf.assign_add(v, [1.0, 1.0])).tolist() == [4, 5]
        assert sess.run(tf.assign_sub(v, [2.0, 2.0])).tolist() == [2, 3]
        assert v.eval(sess).tolist() == [2, 3]


def test_scatters_and_slices(tf):
    v = tf.Variable(np.zeros((3, 2), np.float32))
    with tf.Session() as sess:
        sess.run(v.initializer)
        added = sess.run(tf.scatter_add(v, [0, 0], [[1.0, 1.0], [2.0, 2.0]]))
        assert added.tolist() == [[3, 3], [0, 0], [0, 0]]
        assert sess.run(tf.scatter_update(v, 2, [5.0, 6.0]))[2].tolist() == [5, 6]
        assert sess.run(tf.scatter_nd_update(v, [[1, 0]], [9.0]))[1].tolist() == [9, 0]
        assert sess.run(v[:, 1].assign([7.0, 8.0, 9.0]))[:, 1].tolist() == [7, 8, 9]
        assert sess.run(v)[2].tolist() == [5, 9]


def test_initial_values_that_depend_on_other_variables(tf):
    w = tf.Variable([2.0])
    twice = tf.Variable(w.initialized_value() * 2.0)
    again = tf.Variable(w * 3.0)
    with tf.Session() as sess:
        sess.run(twice.initializer)  # w has no value yet: its initial value serves
        assert sess.run(twice).tolist() == [4]
        sess.run(tf.global_variables_initializer())
        assert sess.run([twice, again]) == [[4], [6]]


def test_load_sets_a_python_value(tf):
    v = tf.Variable([1.0, 2.0])
    with tf.Session() as sess:
        sess.run(v.initializer)
        v.load([5.0, 6.0], sess)
        assert sess.run(v).tolist() == [5, 6]


def test_count_up_to_ends(tf):
    v = tf.Variable(0)
    count = v.count_up_to(2)
    with tf.Session() as sess:
        sess.run(v.initializer)
        assert [sess.run(count), sess.run(count)] == [0, 1]
        with pytest.raises(tf.errors.OutOfRangeError, match="Reached limit of 2"):
            sess.run(count)


def test_what_is_not_initialized_is_reported(tf):
    v, _ = tf.Variable(1.0, name="a"), tf.Variable(1.0, name="b")
    report = tf.report_uninitialized_variables()
    with tf.Session() as sess:
        sess.run(v.initializer)
        assert sess.run(report).tolist() == [b"b"]
        assert sess.run([tf.is_variable_initialized(x) for x in tf.global_variables()]) == [1, 0]
        with pytest.raises(tf.errors.FailedPreconditionError, match="uninitialized value b"):
            sess.run(tf.assert_variables_initialized())


def test_collections(tf):
    a = tf.Variable(1.0, name="m/a")
    b = tf.Variable(1.0, trainable=False, name="b")
    c = tf.Variable(1.0, collections=[tf.GraphKeys.LOCAL_VARIABLES], trainable=False)
    assert tf.global_variables() == [a, b]
    assert tf.trainable_variables() == [a] == tf.trainable_variables("m/")
    assert tf.local_variables() == [c]
    assert tf.global_variables_initializer().name == "init"
    with pytest.raises(ValueError, match="collections argument"):
        tf.Variable(1.0, collections="x")


def test_operators_and_errors(tf):
    v = tf.Variable([1.0, 2.0])
    with tf.Session() as sess:
        sess.run(v.initializer)
        assert [x.tolist() for x in sess.run([v + 1.0, 1.0 - v, -v])] == [[2, 3], [0, -1], [-1, -2]]
        assert sess.run(v[1]) == 2
    with pytest.raises(TypeError, match="not iterable"):
        iter(v)
    with pytest.raises(ValueError, match="initial_value must be specified"):
        tf.Variable()
    with pytest.raises(ValueError, match="Shapes must be equal"):
        tf.assign(v, [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="no variable"):
        tf.assign(tf.constant(1.0), 2.0)


def test_a_message_and_back(tf):
    v = tf.Variable([1.0], name="s/v", trainable=False)
    proto = v.to_proto(export_scope="s")
    assert (proto.variable_name, proto.initializer_name) == ("v:0", "v/Assign")
    back = tf.Variable.from_proto(v.to_proto())
    assert back.name == "s/v:0" and back.initializer is v.initializer and not back.trainable


def test_creators_make_variables_instead(tf):
    seen = []

    def creator(next_creator, **kwargs):
        seen.append(kwargs["name"])
        return next_creator(**{**kwargs, "trainable": False})

    with tf.variable_creator_scope(creator):
        tf.Variable([1.0], name="a")
        tf.get_variable("b", [1])
    tf.Variable([1.0], name="c")
    assert seen == ["a", "b"]
    assert [v.op.name for v in tf.trainable_variables()] == ["c"]

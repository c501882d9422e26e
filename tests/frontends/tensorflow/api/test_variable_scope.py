"""tf.variable_scope and tf.get_variable: names, sharing and errors as TensorFlow 1.15 has them."""

import pytest


def test_names_of_scopes_entered_again(tf):
    def made():
        return tf.Variable(1.0).name, tf.constant(1.0).name

    with tf.variable_scope("s") as s:
        assert (s.name, s.original_name_scope) == ("s", "s/")
        assert tf.get_variable("v", [1]).name == "s/v:0"
        assert made() == ("s/Variable:0", "s/Const:0")
    with tf.variable_scope("s") as again:
        assert (again.name, again.original_name_scope) == ("s", "s_1/")
        assert tf.get_variable("w", [1]).name == "s/w:0"
        assert made() == ("s_1/Variable:0", "s_1/Const:0")
    with tf.variable_scope(again, reuse=True) as reused:
        assert (reused.name, reused.original_name_scope, reused.reuse) == ("s", "s_1/", True)
        assert tf.get_variable("w").name == "s/w:0"
        assert made() == ("s_2/Variable:0", "s_2/Const:0")


def test_default_names_are_unique(tf):
    with tf.variable_scope("s"):
        pass
    with tf.variable_scope(None, "s") as first:
        assert (first.name, first.original_name_scope) == ("s_1", "s_1/")
    with tf.variable_scope(None, "d") as outer:
        assert outer.name == "d"
        found = []
        for _ in range(2):
            with tf.variable_scope(None, "d") as inner:
                found.append(inner.name)
        assert found == ["d/d", "d/d_1"]
    with tf.name_scope("ns"), tf.variable_scope(None, "d") as under:
        assert (under.name, under.original_name_scope) == ("d_1", "ns/d/")


def test_name_scopes_do_not_prefix_shared_variables(tf):
    with tf.variable_scope("v"), tf.name_scope("inner"):
        assert tf.get_variable("q", [1]).name == "v/q:0"
        assert tf.constant(1).name == "v/inner/Const:0"
        with tf.variable_scope(tf.get_variable_scope(), auxiliary_name_scope=False):
            assert tf.constant(1).name == "v/inner/Const_1:0"


def test_reuse(tf):
    with tf.variable_scope("a") as scope:
        v = tf.get_variable("v", [1])
        scope.reuse_variables()
        assert tf.get_variable("v") is v and tf.get_variable_scope().reuse
        with tf.variable_scope("inside", reuse=False) as inside:
            assert inside.reuse  # it is inherited
    with tf.variable_scope("b", reuse=tf.AUTO_REUSE):
        assert tf.get_variable("v", [1]) is tf.get_variable("v", [1])


@pytest.mark.parametrize(
    ("reuse", "arguments", "message"),
    [
        (None, {"shape": [2]}, "Variable a already exists, disallowed. Did you mean to set reuse"),
        (True, {"name": "b", "shape": [2]}, "Variable b does not exist, or was not created with"),
        (True, {"shape": [3]}, r"specified shape \(3,\) and found shape \(2,\)"),
        (True, {"dtype": "int32"}, "specified dtype int32 and found dtype float32_ref"),
        (None, {"name": "c"}, r"Shape of a new variable \(c\) must be fully defined, but instead "),
        (None, {"name": "c", "shape": [None, 2]}, r"\(\?, 2\)"),
        (None, {"name": "c", "shape": [1], "initializer": 2.0}, "is a constant, do not specify"),
        (None, {"name": "c", "shape": [1], "dtype": "string"}, "initializer for variable c"),
        (None, {"name": "c", "dtype": "int32", "initializer": 2.0}, "don't match"),
    ],
)
def test_errors(tf, reuse, arguments, message):
    tf.get_variable("a", [2])
    with (
        tf.variable_scope(tf.get_variable_scope(), reuse=reuse),
        pytest.raises(ValueError, match=message),
    ):
        tf.get_variable(**{"name": "a", **arguments})


def test_wrong_scopes(tf):
    with pytest.raises(TypeError, match="name_or_scope is required"):
        tf.variable_scope(None)
    with pytest.raises(TypeError, match="must be a string or VariableScope"):
        tf.variable_scope(3).__enter__()
    with pytest.raises(ValueError, match="must be True or False or None"):
        tf.variable_scope("x", reuse=3)


def test_defaults_of_a_scope(tf):
    with tf.variable_scope("r", regularizer=tf.reduce_sum, initializer=tf.ones_initializer()):
        ones = tf.get_variable("x", [2])
        tf.get_variable("y", [2], regularizer=tf.no_regularizer)
    assert ones.initial_value.name == "r/x/Initializer/ones:0"
    losses = tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)
    assert [loss.name for loss in losses] == ["r/x/Regularizer/Sum:0"]
    assert tf.get_variable("i", [2], tf.int32).initial_value.name == "i/Initializer/zeros:0"


def test_custom_getters_nest(tf):
    seen = []

    def getter(tag):
        def get(getter, name, *args, **kwargs):
            seen.append((tag, name))
            return getter(name, *args, **kwargs)

        return get

    with (
        tf.variable_scope("a", custom_getter=getter("outer")),
        tf.variable_scope("b", custom_getter=getter("inner")),
    ):
        assert tf.get_variable("v", [1]).name == "a/b/v:0"
    assert seen == [("inner", "a/b/v"), ("outer", "a/b/v")]


def test_partitions_read_and_save_as_one(tf, tmp_path):
    with tf.variable_scope("p", partitioner=tf.fixed_size_partitioner(2)):
        parts = tf.get_variable("v", [5, 3], initializer=tf.ones_initializer())
    assert [v.name for v in parts] == ["p/v/part_0:0", "p/v/part_1:0"]
    assert [v._get_save_slice_info().spec for v in parts] == ["5 3 0,3:0,3", "5 3 3,2:0,3"]
    whole = tf.convert_to_tensor(parts)
    assert whole.name == "p/v:0" and whole.shape.as_list() == [5, 3]
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        path = tf.train.Saver().save(sess, str(tmp_path / "m"))
        assert sess.run(whole).sum() == 15
    assert tf.train.load_variable(path, "p/v").shape == (5, 3)


def test_templates_share_their_variables(tf):
    scale = tf.make_template("tm", lambda x: x * tf.get_variable("w", []))
    assert [scale(1.0).name, scale(2.0).name] == ["tm/mul:0", "tm_1/mul:0"]
    assert [v.name for v in scale.variables] == ["tm/w:0"]
    other = tf.make_template("tm", lambda x: x * tf.get_variable("w", []))
    other(1.0)
    assert [v.name for v in other.variables] == ["tm_1/w:0"]
    wrong = tf.make_template("bad", lambda: tf.Variable(1.0))
    wrong()
    with pytest.raises(ValueError, match="Trainable variable created when calling a template"):
        wrong()


def test_variables_made_inside_control_flow_are_outside_of_it(tf):
    def body(i, x):
        with tf.variable_scope("cell", reuse=tf.AUTO_REUSE):
            w = tf.get_variable("w", [], initializer=tf.constant_initializer(2.0))
        return i + 1, x * w

    _, found = tf.while_loop(lambda i, _: i < 3, body, [0, 1.0])
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        assert sess.run(found) == 8
    assert [v.name for v in tf.trainable_variables()] == ["cell/w:0"]

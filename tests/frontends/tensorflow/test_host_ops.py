"""Python functions, printing and assertions in graphs: text and errors as TensorFlow 1.15's."""

import sys

import numpy as np
import pytest

from anode.frontends.tensorflow.table.host import summary, summary_of_ends

CUBE = np.arange(8).reshape(2, 2, 2)
FLOATS = [0.1, 1e10, 1e-7, 1 / 3, np.nan, -np.inf, 123456789.0, 1234567.0]


@pytest.mark.parametrize(
    ("value", "limit", "text"),
    [
        (np.array(1.5), 3, "1.5"),
        (np.arange(5), 3, "0 1 2..."),
        (np.array([[1, 2], [3, 4]]), 3, "[1 2][3...]..."),
        (np.array([[1, 2], [3, 4]]), 2, "[1 2]..."),
        (CUBE, 10, "[[0 1][2 3]][[4 5][6 7]]"),
        (CUBE, 5, "[[0 1][2 3]][[4...]]..."),
        (np.arange(3), -1, "0 1 2"),
        (np.zeros((2, 0)), 3, ""),
        (np.array([True, False]), 3, "1 0"),
        (np.array([b"a", b"b\n"], object), 3, "a b\\n"),
        (
            np.array(FLOATS, np.float32),
            9,
            "0.1 1e+10 1e-07 0.333333343 nan -inf 123456792 1234567",
        ),
        (np.array([1e10, 1 / 3, 1e16]), 9, "10000000000 0.33333333333333331 1e+16"),
    ],
)
def test_summary(value, limit, text):
    assert summary(value, limit) == text


@pytest.mark.parametrize(
    ("value", "ends", "text"),
    [
        (np.arange(8), 3, "[0 1 2 ... 5 6 7]"),
        (np.arange(100), 2, "[0 1 ... 98 99]"),
        (np.array([[1.0, 2.5], [3, 4]]), 3, "[[1 2.5]\n [3 4]]"),
        (CUBE, -1, "[[[0 1]\n  [2 3]]\n\n [[4 5]\n  [6 7]]]"),
        (np.array(b"abc", object), 3, '"abc"'),
    ],
)
def test_summary_of_ends(value, ends, text):
    assert summary_of_ends(value, ends) == text


def test_print(tf, capsys):
    value, fed = tf.constant([1.0, 2.0]), tf.placeholder(tf.float32, [2])
    weights = tf.Variable([3.0, 4.0])
    loss = tf.reduce_sum(tf.Print(weights * fed, [fed, tf.shape(fed)], "fed: ", first_n=1))
    [gradient] = tf.gradients(loss, weights)
    with tf.Session() as session:
        session.run(weights.initializer)
        assert session.run([loss, gradient], {fed: [1.0, 2.0]})[0] == 11
        assert session.run(gradient, {fed: [5.0, 6.0]}).tolist() == [5, 6]
        session.run(loss, {fed: [5.0, 6.0]})
        assert capsys.readouterr().err == "fed: [1 2][2]\n"
        session.run(tf.print("v", value, [1, value], "{}", sep="|", output_stream=sys.stdout))
        assert capsys.readouterr().out == "v|[1 2]|[1, [1 2]]|{}\n"
    with pytest.raises(ValueError, match="Unrecognized keyword"):
        tf.print(value, colour="red")
    with pytest.raises(ValueError, match="Unsupported output stream"):
        tf.print(value, output_stream="nowhere")


def test_assertions_when_it_runs(tf):
    fed = tf.placeholder(tf.float32, [2], name="x")
    with tf.control_dependencies([tf.assert_positive(fed)]):
        doubled = fed * 2
    equal = tf.assert_equal(fed, [1.0, 3.0], message="hey")
    free = tf.Assert(tf.reduce_all(fed > 0), ["sizes", fed, tf.range(5)], summarize=2)
    rank = tf.assert_rank(tf.placeholder_with_default([[1.0]], None), 1)
    with tf.Session() as session:
        assert session.run(doubled, {fed: [1, 2]}).tolist() == [2, 4]
        with pytest.raises(tf.errors.InvalidArgumentError) as caught:
            session.run(doubled, {fed: [-1, 2]})
        condition = "assertion failed: [] [Condition x > 0 did not hold element-wise:] "
        assert caught.value.message.startswith(condition + "[x (x:0) = ] [-1 2]")
        with pytest.raises(tf.errors.InvalidArgumentError) as caught:
            session.run(equal, {fed: [1, 2]})
        about = "[x (x:0) = ] [1 2] [y (assert_equal_1/y:0) = ] [1 3]"
        condition = "assertion failed: [hey] [Condition x == y did not hold element-wise:] "
        assert caught.value.message == condition + about
        with pytest.raises(tf.errors.InvalidArgumentError) as caught:
            session.run(free, {fed: [-1, 2]})
        assert caught.value.message == "assertion failed: [sizes] [-1 2] [0 1...]"
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"must have rank\] \[1\]"):
            session.run(rank)


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        ("assert_equal", (1, 1), (1, 2)),
        ("assert_none_equal", (1, 2), (1, 1)),
        ("assert_less", (1, 2), (2, 2)),
        ("assert_less_equal", (2, 2), (3, 2)),
        ("assert_greater", (3, 2), (2, 2)),
        ("assert_greater_equal", (2, 2), (1, 2)),
        ("assert_positive", (1,), (0,)),
        ("assert_non_negative", (0,), (-1,)),
        ("assert_negative", (-1,), (0,)),
        ("assert_non_positive", (0,), (1,)),
        ("assert_near", (1.0, 1.0000001), (1.0, 1.1)),
    ],
)
def test_every_comparison(tf, check, good, bad):
    function = getattr(tf.debugging, check)
    with tf.Session() as session:
        session.run(function(*good))
        with pytest.raises(tf.errors.InvalidArgumentError, match="not"):
            session.run(function(*bad))


def test_what_is_known_fails_at_once(tf):
    fed = tf.placeholder(tf.float32, [2], name="x")
    message = "hey\nCondition x == y did not hold element-wise:\nx (assert_equal_1/x:0) = \n1"
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        tf.assert_equal(1, 3, message="hey")
    assert caught.value.message.startswith(message)
    with pytest.raises(ValueError, match=r"Tensor x:0 must have rank 2\.  Received rank 1"):
        tf.assert_rank(fed, 2)
    with pytest.raises(ValueError, match="must have rank at least 2"):
        tf.assert_rank_at_least(fed, 2)
    with pytest.raises(ValueError, match=r"must have rank in \(0, 2\)"):
        tf.assert_rank_in(fed, [0, 2])
    with pytest.raises(TypeError, match="x:0 must be of type <dtype: 'int32'>"):
        tf.assert_type(fed, tf.int32)
    with pytest.raises(TypeError, match="to be integer type"):
        tf.assert_integer(fed)
    with pytest.raises(ValueError, match="Expected scalar shape"):
        tf.debugging.assert_scalar(fed)
    with pytest.raises(TypeError, match='"proper" iterable'):
        tf.debugging.assert_proper_iterable(fed)
    with pytest.raises(ValueError, match="must be of the same type"):
        tf.debugging.assert_same_float_dtype([fed, tf.constant(1.0, tf.float64)])


def test_numbers_that_are_none(tf):
    fed = tf.placeholder(tf.float32, [2])
    quotient = tf.check_numerics(1 / fed, "quotient")
    finite = tf.verify_tensor_all_finite(1 / fed, "finite")
    with tf.Session() as session:
        assert session.run([quotient, finite], {fed: [1, 2]})[1].tolist() == [1, 0.5]
        with pytest.raises(tf.errors.InvalidArgumentError, match="quotient : Tensor had Inf"):
            session.run(quotient, {fed: [0, 1]})
        with pytest.raises(tf.errors.InvalidArgumentError, match="had Inf and NaN"):
            session.run(finite, {fed: [0, np.nan]})
    with tf.Graph().as_default(), tf.Session() as session:
        fed = tf.placeholder(tf.float32, [2], name="fed")
        quotient = tf.divide(1.0, fed, name="quotient")
        checks = tf.add_check_numerics_ops()
        session.run(checks, {fed: [1, 2]})
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"quotient.*:0 : Tensor had Inf"):
            session.run(checks, {fed: [1, 0]})


def test_python_functions(tf):
    seen = []

    def both(number, text, flag):
        seen.extend([type(number), type(text), flag])
        return number + 1, np.array(["a", "bc"])

    number, text = tf.py_func(both, [1.5, "abc", True], [tf.float32, tf.string])
    nothing = tf.py_func(lambda: seen.append("called"), [], [])
    with tf.Session() as session:
        assert session.run(number) == 2.5
        assert seen == [np.float32, bytes, True]
        assert session.run(text).tolist() == [b"a", b"bc"]
        session.run(nothing)
        assert seen[-1] == "called"
    assert tf.py_func(lambda: 1, [], tf.int64, stateful=False).op.type == "PyFuncStateless"


@pytest.mark.parametrize(
    ("function", "kind", "message"),
    [
        (lambda: 1.5, "InvalidArgumentError", "0-th value returned by pyfunc_0 is double"),
        (lambda: [1, 2], "InvalidArgumentError", "returns 2 values, but expects to see 1"),
        (lambda: None, "InvalidArgumentError", "returns 0 values"),
        (lambda: {}["k"], "UnknownError", "KeyError: 'k'"),
        (lambda: next(iter([])), "OutOfRangeError", "StopIteration"),
        (lambda: int("x"), "InvalidArgumentError", "ValueError: invalid literal"),
    ],
)
def test_errors_of_python_functions(tf, function, kind, message):
    with tf.Session() as session, pytest.raises(getattr(tf.errors, kind), match=message):
        session.run(tf.py_func(function, [], tf.float32))


def test_py_function_casts(tf):
    doubled = tf.py_function(lambda x: x.numpy() * 2, [[1.0, 2.0]], tf.float64)
    with tf.Session() as session:
        assert session.run(doubled).tolist() == [2, 4]

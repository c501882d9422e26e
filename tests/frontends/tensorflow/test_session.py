"""Sessions: fetches and feeds of every kind, order of effects, caching, errors."""

import threading
from collections import namedtuple

import numpy as np
import pytest


def test_fetches_keep_their_structure(tf):
    x = tf.placeholder(tf.float32, [2], name="x")
    y = x + 1.0
    pair = namedtuple("pair", "a b")
    with tf.Session() as session:
        feed = {x: [1, 2]}
        assert session.run("x:0", feed).tolist() == [1, 2]
        got = session.run({"p": pair(x, [y, y.op]), "t": (y,)}, feed)
    assert got["p"].a.tolist() == [1, 2] and got["p"].b[0].tolist() == [2, 3]
    assert got["p"].b[1] is None and got["t"][0].tolist() == [2, 3]


def test_scalars_are_numpy_scalars(tf):
    with tf.Session() as session:
        value = session.run(tf.constant(2.5))
    assert isinstance(value, np.float32) and value == 2.5


def test_an_intermediate_tensor_can_be_fed(tf):
    x = tf.placeholder(tf.float32, [])
    y = x * 2.0
    with tf.Session() as session:
        assert session.run(y + 1.0, {y: 10.0}) == 11
        with pytest.raises(tf.errors.InvalidArgumentError, match="must feed a value"):
            session.run(y)


def test_a_variable_can_be_fed(tf):
    v = tf.Variable(1.0)
    with tf.Session() as session:
        session.run(v.initializer)
        assert session.run(v * 3.0, {v: 5.0}) == 15
        assert session.run(v * 3.0) == 3


def test_what_cannot_be_fed_or_fetched_is_refused(tf):
    x = tf.placeholder(tf.float32, [None, 2], name="x")
    with tf.Session() as session:
        with pytest.raises(ValueError, match=r"Cannot feed value of shape \(3,\)"):
            session.run(x, {x: np.zeros(3)})
        with pytest.raises(TypeError, match="Cannot interpret feed_dict key"):
            session.run(x, {"nothing:0": 1})
        with pytest.raises(TypeError, match="invalid type"):
            session.run(3.5)
        with pytest.raises(ValueError, match="not an element of this graph"):
            session.run(tf.Graph().create_op if False else _foreign(tf))
    with pytest.raises(RuntimeError, match="closed Session"):
        session.run(x)


def _foreign(tf):
    with tf.Graph().as_default():
        return tf.constant(1)


def test_uninitialized_variables_are_named(tf):
    v = tf.Variable([1.0], name="weights")
    with (
        tf.Session() as session,
        pytest.raises(tf.errors.FailedPreconditionError, match="uninitialized value weights"),
    ):
        session.run(v + 1.0)


def test_a_read_sees_the_last_assignment_made_before_it(tf):
    v = tf.Variable(1.0)
    before = v + 0.0
    added = tf.assign_add(v, 10.0)
    with tf.control_dependencies([added]):
        after = v + 0.0
    with tf.Session() as session:
        session.run(v.initializer)
        for start in (1, 11, 21, 31):  # by the reference first, compiled later
            assert session.run([before, after, added]) == [start, start + 10, start + 10]


def test_sessions_have_their_own_variables_and_share_plans(tf):
    v = tf.Variable(1.0)
    double = tf.assign(v, v * 2.0)
    with tf.Session() as one, tf.Session() as two:
        one.run(v.initializer)
        two.run(v.initializer)
        for _ in range(5):
            one.run(double)
        two.run(double)
        assert (one.run(v), two.run(v)) == (32, 2)


def test_shapes_that_depend_on_data(tf):
    x = tf.placeholder(tf.float32, [None])
    filled = tf.fill([tf.cast(tf.reduce_sum(x), tf.int32), 2], 7.0)
    total = tf.reduce_sum(filled * tf.reduce_max(x))
    assert filled.get_shape().as_list() == [None, 2]
    with tf.Session() as session:
        for fed in ([1, 2], [1, 1], [2, 2], [1, 2]):
            got, sum_ = session.run([filled, total], {x: fed})
            assert got.shape == (sum(fed), 2) and sum_ == 14 * sum(fed) * max(fed)


def test_the_same_seed_draws_the_same_numbers_in_every_session(tf):
    tf.set_random_seed(3)
    a, b = tf.random_normal([4]), tf.random_uniform([4])
    draws = []
    for _ in range(2):
        with tf.Session() as session:
            draws.append([session.run([a, b]) for _ in range(4)])
    assert np.array_equal(np.array(draws[0]), np.array(draws[1]))
    assert len({d[0].tobytes() for d in draws[0]}) == 4


def test_threads_share_a_session(tf):
    v = tf.Variable(0.0)
    add = tf.assign_add(v, 1.0)
    with tf.Session() as session:
        session.run(v.initializer)
        threads = [threading.Thread(target=session.run, args=(add,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert session.run(v) == 8


def test_threads_that_divide_a_plan_run_each_assignment_once(tf):
    x, count = tf.placeholder(tf.float32, [None]), tf.Variable(0.0)
    with tf.control_dependencies([tf.assign_add(count, 1.0)]):
        size = tf.cast(tf.reduce_sum(x), tf.int32)
    shaped = tf.reduce_sum(tf.ones([size, tf.size(tf.where(x > 0.5))]))
    found = []
    with tf.Session() as session:
        session.run(count.initializer)
        feeds = [{x: [1.0] * n} for n in (1, 2, 3, 4)] * 2
        calls = [lambda feed=feed: found.append(session.run(shaped, feed)) for feed in feeds]
        threads = [threading.Thread(target=call) for call in calls]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(found) == [1, 1, 4, 4, 9, 9, 16, 16]
        assert session.run(count) == 8


def test_a_large_constant(tf):
    value = np.arange(40000, dtype=np.float32).reshape(200, 200)
    with tf.Session() as session:
        for _ in range(4):
            got = session.run(tf.constant(value) * 2.0)
            assert np.array_equal(got, value * 2)


def test_interactive_session_is_the_default(tf):
    session = tf.InteractiveSession()
    assert tf.constant(3).eval() == 3
    session.close()
    with pytest.raises(ValueError, match="No default session"):
        tf.constant(3).eval()


@pytest.mark.parametrize("times", [1, 4])  # by the reference, and compiled
def test_indices_out_of_range_are_refused(tf, times):
    table, ids = tf.Variable(tf.ones([5, 2])), tf.placeholder(tf.int32, [None])
    rows = tf.nn.embedding_lookup(table, ids)
    with tf.Session() as session:
        session.run(table.initializer)
        for _ in range(times):
            assert session.run(rows, {ids: [0, 4]}).shape == (2, 2)
        for wrong in (5, -1):
            with pytest.raises(
                tf.errors.InvalidArgumentError, match=rf"{wrong} is not in \[0, 5\)"
            ):
                session.run(rows, {ids: [0, wrong]})


def test_labels_out_of_range_are_refused(tf):
    labels = tf.placeholder(tf.int64, [None])
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=tf.zeros([1, 3]))
    with (
        tf.Session() as session,
        pytest.raises(tf.errors.InvalidArgumentError, match="3 is not in"),
    ):
        session.run(loss, {labels: [3]})


def test_an_operation_that_gets_a_control_input_later_waits_for_it(tf):
    v = tf.Variable(0.0)
    y = tf.constant(1.0) * 2.0
    with tf.Session() as session:
        session.run(v.initializer)
        assert session.run(y) == 2
        y.op._add_control_input(tf.assign_add(v, 1.0).op)
        assert session.run(y) == 2 and session.run(v) == 1


def test_a_callable_takes_options_where_it_was_asked_to(tf):
    x = tf.placeholder(tf.float32)
    with tf.Session() as session:
        plain = session.make_callable(x * 2, [x])
        assert plain(3) == 6
        with pytest.raises(TypeError, match="run_metadata"):
            plain(3, run_metadata=tf.RunMetadata())
        traced, metadata = session.make_callable(x * 3, [x], accept_options=True), tf.RunMetadata()
        options = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE)
        assert traced(3, options=options, run_metadata=metadata) == 9
        assert metadata.step_stats.dev_stats

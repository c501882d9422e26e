"""Control flow and gradients through it, compiled and on the host."""

import numpy as np
import pytest

from anode.errors import UnsupportedOp


def runs(session, fetch, feed=None, times=4):
    """The same value from the reference and from compiled code."""
    values = [session.run(fetch, feed) for _ in range(times)]
    for value in values[1:]:
        np.testing.assert_allclose(np.array(value), np.array(values[0]), rtol=1e-5, atol=1e-6)
    return values[0]


def test_cond_takes_one_branch(tf):
    p = tf.placeholder(tf.float32, [])
    y = tf.cond(p > 0, lambda: p * 2.0, lambda: p * 3.0)
    (slope,) = tf.gradients(y, p)
    with tf.Session() as session:
        assert runs(session, [y, slope], {p: 1.0}) == [2, 2]
        assert runs(session, [y, slope], {p: -1.0}) == [-3, 3]


def test_cond_branches_of_different_shapes(tf):
    p = tf.placeholder(tf.float32, [])
    y = tf.cond(p > 0, lambda: tf.ones([2]), lambda: tf.ones([3]))
    with tf.Session() as session:
        assert runs(session, y, {p: 1.0}).shape == (2,)
        assert runs(session, y, {p: -1.0}).shape == (3,)


def test_an_assignment_in_a_branch_happens_only_there(tf):
    p = tf.placeholder(tf.bool, [])
    v = tf.Variable(0.0)
    y = tf.cond(p, lambda: tf.assign_add(v, 1.0), lambda: tf.constant(-1.0))
    with tf.Session() as session:
        session.run(v.initializer)
        got = [session.run([y, v], {p: flag}) for flag in (True, False, True, False)]
    assert got == [[1, 1], [-1, 1], [2, 2], [-1, 2]]


def test_while_loop_and_its_gradient(tf):
    p = tf.placeholder(tf.float32, [])
    _, power = tf.while_loop(lambda i, a: i < 5, lambda i, a: (i + 1, a * p), [0, 1.0])
    (slope,) = tf.gradients(power, p)
    with tf.Session() as session:
        assert runs(session, [power, slope], {p: 2.0}) == [32, 80]


def test_gradient_of_a_loop_whose_length_is_fed(tf):
    p, n = tf.placeholder(tf.float32, []), tf.placeholder(tf.int32, [])
    _, power = tf.while_loop(lambda i, a: i < n, lambda i, a: (i + 1, a * p), [0, 1.0])
    (slope,) = tf.gradients(power, p)
    with tf.Session() as session:
        for steps in (3, 4, 1, 4):
            assert session.run([power, slope], {p: 2.0, n: steps}) == [
                2**steps,
                steps * 2 ** (steps - 1),
            ]


def test_a_loop_whose_variable_grows(tf):
    _, y = tf.while_loop(
        lambda i, a: i < 5,
        lambda i, a: (i + 1, tf.concat([a, a], 0)),
        [0, tf.ones([1])],
        shape_invariants=[tf.TensorShape([]), tf.TensorShape([None])],
    )
    with tf.Session() as session:
        assert runs(session, y).shape == (32,)


def test_a_loop_that_assigns(tf):
    v = tf.Variable(0.0)

    def body(i):
        with tf.control_dependencies([tf.assign_add(v, 2.0)]):
            return i + 1

    last = tf.while_loop(lambda i: i < 3, body, [0])
    with tf.Session() as session:
        session.run(v.initializer)
        for total in (6, 12, 18, 24):
            assert session.run([last, v]) == [3, total]


def test_a_changing_shape_needs_an_invariant(tf):
    with pytest.raises(ValueError, match="not an invariant for the loop"):
        tf.while_loop(lambda a: True, lambda a: tf.concat([a, a], 0), [tf.ones([1])])


def test_random_numbers_differ_between_iterations(tf):
    tf.set_random_seed(1)
    draws = tf.map_fn(lambda x: x + tf.random_uniform([]), tf.zeros([6]))
    with tf.Session() as session:
        assert len(set(session.run(draws).tolist())) == 6


# gradients


def test_equal_constants_are_different_tensors_to_a_gradient(tf):
    x = tf.constant(3.0)
    y = x * x + tf.constant(3.0)
    with tf.Session() as session:
        assert session.run(tf.gradients(y, x)) == [6]


def test_a_gradient_by_a_copy_is_by_the_copy_only(tf):
    x = tf.Variable(2.0)
    h = tf.identity(x)
    y = h * h + x
    with tf.Session() as session:
        session.run(x.initializer)
        assert runs(session, tf.gradients(y, [h, x])) == [4, 5]


def test_second_derivatives(tf):
    x = tf.placeholder(tf.float32, [])
    (first,) = tf.gradients(x**3 + 2 * x, x)
    (second,) = tf.gradients(first, x)
    with tf.Session() as session:
        assert runs(session, [first, second], {x: 3.0}) == [29, 18]


def test_two_updates_of_one_variable_in_a_run(tf):
    v = tf.Variable(3.0)
    loss = v * v
    one = tf.train.GradientDescentOptimizer(0.1).minimize(loss)
    two = tf.train.GradientDescentOptimizer(0.1).minimize(loss)
    with tf.Session() as session:
        session.run(v.initializer)
        session.run([one, two])  # both by the loss of the value at the start
        assert session.run(v) == pytest.approx(3 - 0.6 - 0.6)


def test_unconnected_gradients_are_none(tf):
    x, y = tf.constant(1.0), tf.constant(2.0)
    assert tf.gradients(x * 2.0, y) == [None]
    assert tf.gradients(tf.stop_gradient(x) * 2.0, x) == [None]


def test_a_gradient_across_a_value_known_at_run_time_only(tf):
    x = tf.placeholder(tf.float32, [None])
    v = tf.Variable(2.0)
    scaled = x * v
    count = tf.cast(tf.reduce_max(scaled), tf.int32)
    y = tf.reduce_sum(tf.reshape(scaled, [count, -1]) * 3.0)
    with tf.Session() as session:
        session.run(v.initializer)
        for fed in ([1, 2, 0, 0], [2, 1, 1, 0]):
            assert session.run(tf.gradients(y, v), {x: fed}) == [3 * sum(fed)]


@pytest.mark.parametrize("lengths", [None, [3, 1]])
def test_a_cell_may_keep_a_tensor_array_in_its_state(tf, lengths):
    """An attention cell in dynamic_rnn: the alignments of all steps come back."""
    tf.set_random_seed(1)
    memory = tf.placeholder(tf.float32, [2, 4, 3])
    cell = tf.contrib.seq2seq.AttentionWrapper(
        tf.nn.rnn_cell.GRUCell(3),
        tf.contrib.seq2seq.BahdanauAttention(5, memory),
        alignment_history=True,
    )
    inputs = tf.ones([2, 3, 3])
    outputs, state = tf.nn.dynamic_rnn(cell, inputs, sequence_length=lengths, dtype=tf.float32)
    alignments = state.alignment_history.stack()
    slopes = tf.gradients(outputs, memory)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        feed = {memory: np.linspace(-1, 1, 24).reshape(2, 4, 3)}
        found, output, slope = (runs(session, t, feed) for t in (alignments, outputs, slopes[0]))
    np.testing.assert_allclose(found.sum(2), np.ones((3, 2)), rtol=1e-5)
    assert np.any(slope) and np.any(output[1, 1:]) == (lengths is None)


def decoding_greedily(tf, maximum):
    """A decoder that feeds itself: (ids, lengths, the derivative by its first state, its feed)."""
    draw = np.random.RandomState(26).uniform
    table = tf.constant(draw(-1, 1, [5, 4]), tf.float32)
    start = tf.placeholder(tf.float32, [3, 4])
    with tf.variable_scope("d", initializer=lambda shape, **_: draw(-1.5, 1.5, shape).astype("f")):
        layer = tf.layers.Dense(
            5,
            kernel_initializer=lambda shape, **_: tf.constant(draw(-1.5, 1.5, [4, 5]), tf.float32),
            bias_initializer=lambda shape, **_: tf.constant([0, 0, 0, 0, 1.5]),
        )
        helper = tf.contrib.seq2seq.GreedyEmbeddingHelper(table, tf.fill([3], 1), 4)
        decoder = tf.contrib.seq2seq.BasicDecoder(tf.nn.rnn_cell.GRUCell(4), helper, start, layer)
        found, _, lengths = tf.contrib.seq2seq.dynamic_decode(decoder, maximum_iterations=maximum)
    (slope,) = tf.gradients(found.rnn_output, start)
    return found.sample_id, lengths, slope, {start: np.linspace(-2, 2, 12).reshape(3, 4)}


@pytest.mark.parametrize("maximum", [6, None])
def test_a_gradient_through_a_loop_that_ends_by_what_it_computes(tf, maximum):
    """Bounded it is a loop of known sizes; without a bound its outputs grow. By TensorFlow 1.15."""
    ids, lengths, slope, feed = decoding_greedily(tf, maximum)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        assert runs(session, lengths, feed).tolist() == [1, 1, 5]
        assert runs(session, ids, feed).tolist() == [[4] * 5, [4] * 5, [3, 3, 3, 3, 4]]
        expected = [
            [5.6973996, -1.7061692, -2.388122, -6.1891103],
            [8.014192, 3.6943593, -6.709908, -2.988379],
            [7.8379965, 6.3004336, -12.714675, 0.30236292],
        ]
        np.testing.assert_allclose(runs(session, slope, feed), expected, rtol=2e-5)
        together = session.run([ids, slope], feed)
        np.testing.assert_allclose(together[1], expected, rtol=2e-5)


def test_raw_rnn_trains(tf):
    """Its outputs grow with each step. Losses by TensorFlow 1.15."""
    x, lengths = tf.placeholder(tf.float32, [4, 3, 2]), tf.placeholder(tf.int32, [3])
    start = tf.constant_initializer(np.linspace(-1, 1, 60))
    with tf.variable_scope("r", initializer=start):
        cell = tf.nn.rnn_cell.BasicLSTMCell(3)
        steps = tf.TensorArray(tf.float32, 4).unstack(x)

        def loop(time, output, state, _):
            state = cell.zero_state(3, tf.float32) if output is None else state
            done = tf.reduce_all(time >= lengths)
            given = tf.cond(done, lambda: tf.zeros([3, 2]), lambda: steps.read(time))
            return time >= lengths, given, state, output, None

        outputs, last, _ = tf.nn.raw_rnn(cell, loop)
    loss = tf.reduce_sum(outputs.stack() ** 2) + tf.reduce_sum(last.h)
    step = tf.train.GradientDescentOptimizer(0.1).minimize(loss)
    feed = {x: np.linspace(-2, 2, 24).reshape(4, 3, 2), lengths: [2, 3, 1]}
    losses = []
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for _ in range(4):
            losses.append(session.run(loss, feed))
            session.run(step, feed)
        losses.append(session.run(loss, {**feed, lengths: [4, 2, 2]}))
    expected = [13.317572, 10.5721245, 6.9836473, 4.1274242, 2.635884]
    np.testing.assert_allclose(losses, expected, rtol=1e-5)


def test_a_growing_loop_that_draws_is_not_computed_again(tf):
    start = tf.placeholder(tf.float32, [1])
    _, y = tf.while_loop(
        lambda i, a: i < 3,
        lambda i, a: (i + 1, tf.concat([a, a * tf.random_uniform([])], 0)),
        [0, start],
        shape_invariants=[tf.TensorShape([]), tf.TensorShape([None])],
    )
    slopes = tf.gradients(y, start)
    with tf.Session() as session, pytest.raises(UnsupportedOp, match="derivative through while"):
        session.run(slopes, {start: [1.0]})

"""Beam search: values by TensorFlow 1.15."""

from typing import Any

import numpy as np
import pytest


def beams(tf: Any, attention: bool, steps: int, **penalties: float) -> Any:
    draw = np.random.RandomState(5).uniform
    seq = tf.contrib.seq2seq
    table = tf.constant(draw(-1, 1, [5, 4]), tf.float32)
    state = tf.constant(draw(-1, 1, [2, 4]), tf.float32)
    memory = tf.placeholder_with_default(draw(-1, 1, [2, 3, 4]).astype("f"), [2, None, 4])
    state, memory = seq.tile_batch((state, memory), 3)
    with tf.variable_scope("d", initializer=lambda shape, **_: draw(-1.5, 1.5, shape).astype("f")):
        cell = tf.nn.rnn_cell.GRUCell(4)
        if attention:
            mechanism = seq.LuongAttention(4, memory)
            cell = seq.AttentionWrapper(cell, mechanism, alignment_history=True)
            state = cell.zero_state(6, tf.float32).clone(cell_state=state)
        layer = tf.layers.Dense(
            5,
            kernel_initializer=lambda shape, **_: tf.constant(draw(-2, 2, [4, 5]), tf.float32),
            bias_initializer=lambda shape, **_: tf.constant([0, 0, 0, 0, 2.0]),
        )
        start = tf.fill([2], 1)
        decoder = seq.BeamSearchDecoder(cell, table, start, 4, state, 3, layer, **penalties)
        return seq.dynamic_decode(decoder, maximum_iterations=steps)


def test_beams_of_a_cell_with_attention_and_penalties(tf: Any) -> None:
    penalties = {"length_penalty_weight": 0.7, "coverage_penalty_weight": 0.3}
    found, state, lengths = beams(tf, True, 4, **penalties)
    assert found.predicted_ids.shape.as_list() == [2, None, 3]
    fetches = [found, state.lengths, state.cell_state.alignment_history, lengths]
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        found, own, history, lengths = session.run(fetches)
    assert found.predicted_ids.tolist() == [
        [[3, 4, 1], [3, 4, 3], [3, 4, 3], [3, 4, 3]],
        [[4, 0, 1], [4, 4, 4], [4, 4, 4], [4, 4, 4]],
    ]
    last = [[-1.5337771, -1.7141287, -2.4959447], [-1.5727324, -2.8062136, -3.200661]]
    np.testing.assert_allclose(found.beam_search_decoder_output.scores[:, -1], last, rtol=1e-5)
    assert own.tolist() == [[4, 1, 4], [1, 2, 2]]
    assert lengths.tolist() == [[4, 2, 4], [1, 2, 2]]
    first = [0.41257119, 0.41433737, 0.17309147]
    np.testing.assert_allclose(history[0, :3], [first] * 3, rtol=1e-5)
    np.testing.assert_allclose(history[3, 3], [0.18115173, 0.56454343, 0.25430483], rtol=1e-5)


def test_a_finished_beam_keeps_its_score_and_moves(tf: Any) -> None:
    found, state, _ = beams(tf, False, 5)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        scores, finished = session.run([found.beam_search_decoder_output.scores, state.finished])
    assert finished[1].any()
    second = [
        [-0.5537633, -1.7829852, -2.1997952],
        [-0.9682192, -1.7829852, -2.3757586],
        [-1.4453977, -1.7829852, -2.3757586],
        [-1.7829852, -2.0403574, -2.3757586],
        [-1.7829852, -2.3757586, -2.7522683],
    ]
    np.testing.assert_allclose(scores[1], second, rtol=1e-5)


def test_a_beam_is_followed_to_its_start(tf: Any) -> None:
    tree = tf.contrib.seq2seq.gather_tree(
        tf.constant([[[1, 2, 3]], [[4, 5, 6]], [[7, 8, 9]]]),
        tf.constant([[[0, 0, 0]], [[0, 1, 1]], [[2, 1, 2]]]),
        tf.constant([3]),
        10,
    )
    with tf.Session() as session:
        assert session.run(tree).tolist() == [[[2, 2, 2]], [[6, 5, 6]], [[7, 8, 9]]]


def test_tokens_have_a_rank(tf: Any) -> None:
    cell = tf.nn.rnn_cell.GRUCell(4)
    state = cell.zero_state(4, tf.float32)
    table = tf.ones([3, 2])
    with pytest.raises(ValueError, match="start_tokens must be a vector"):
        tf.contrib.seq2seq.BeamSearchDecoder(cell, table, 1, 2, state, 2)
    with pytest.raises(ValueError, match="end_token must be a scalar"):
        tf.contrib.seq2seq.BeamSearchDecoder(cell, table, [1, 1], [2], state, 2)

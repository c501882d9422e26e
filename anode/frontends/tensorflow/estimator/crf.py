"""tf.contrib.crf: likelihood and best path of a linear-chain conditional random field."""

from __future__ import annotations

from typing import Any

import numpy as np

from anode.frontends.tensorflow.modules import tensorflow as tf
from anode.frontends.tensorflow.opdef import export

PATHS = ("contrib.crf.", "contrib.crf.python.ops.crf.")


def _export(name: str) -> Any:
    return export(*(path + name for path in PATHS))


def _valid(inputs: Any, lengths: Any) -> Any:
    """1 at the steps before each sequence's end, [batch, time]."""
    return tf.sequence_mask(lengths, maxlen=tf.shape(inputs)[1], dtype=inputs.dtype)


@_export("crf_unary_score")
def crf_unary_score(tag_indices: Any, sequence_lengths: Any, inputs: Any) -> Any:
    """Σ of the scores of the tags of each sequence, [batch]."""
    hot = tf.one_hot(tag_indices, tf.shape(inputs)[2], dtype=inputs.dtype)
    scores = tf.reduce_sum(inputs * hot, 2)
    return tf.reduce_sum(scores * _valid(inputs, sequence_lengths), 1)


@_export("crf_binary_score")
def crf_binary_score(tag_indices: Any, sequence_lengths: Any, transition_params: Any) -> Any:
    """Σ of the scores of each sequence's transitions, [batch]."""
    params = tf.convert_to_tensor(transition_params)
    count = tf.shape(params)[0]
    places = tf.cast(tag_indices[:, :-1], tf.int32) * count + tf.cast(tag_indices[:, 1:], tf.int32)
    scores = tf.gather(tf.reshape(params, [-1]), places)
    mask = tf.sequence_mask(
        tf.maximum(sequence_lengths - 1, 0), maxlen=tf.shape(places)[1], dtype=params.dtype
    )
    return tf.reduce_sum(scores * mask, 1)


@_export("crf_sequence_score")
def crf_sequence_score(
    inputs: Any, tag_indices: Any, sequence_lengths: Any, transition_params: Any
) -> Any:
    """The score of each sequence's tags, not normalised, [batch]."""
    unary = crf_unary_score(tag_indices, sequence_lengths, inputs)
    return unary + crf_binary_score(tag_indices, sequence_lengths, transition_params)


def _folded(inputs: Any, lengths: Any, params: Any, combine: Any) -> Any:
    """Scores of all tags carried through time; a sequence that is over keeps its own."""
    steps = tf.transpose(inputs, [1, 0, 2])
    mask = tf.transpose(_valid(inputs, lengths))

    def step(state: Any, item: Any) -> Any:
        score, valid = item
        made = combine(tf.expand_dims(state, 2) + tf.expand_dims(params, 0)) + score
        valid = tf.expand_dims(valid, 1)
        return made * valid + state * (1 - valid)

    states = tf.scan(step, (steps[1:], mask[1:]), initializer=steps[0])
    return steps, states


@_export("crf_log_norm")
def crf_log_norm(inputs: Any, sequence_lengths: Any, transition_params: Any) -> Any:
    """log Σ exp of the scores of all tags of each sequence, [batch]."""
    inputs = tf.convert_to_tensor(inputs)
    params = tf.convert_to_tensor(transition_params)
    if inputs.shape.as_list()[1] == 1:
        return tf.reduce_logsumexp(inputs[:, 0], [1])
    _, states = _folded(inputs, sequence_lengths, params, lambda x: tf.reduce_logsumexp(x, [1]))
    found = tf.reduce_logsumexp(states[-1], [1])
    empty = tf.less_equal(sequence_lengths, tf.zeros_like(sequence_lengths))
    return tf.where(empty, tf.zeros_like(found), found)


@_export("crf_log_likelihood")
def crf_log_likelihood(
    inputs: Any, tag_indices: Any, sequence_lengths: Any, transition_params: Any = None
) -> tuple[Any, Any]:
    """The log-likelihood of each sequence's tags, [batch], and the transition scores."""
    inputs = tf.convert_to_tensor(inputs)
    sequence_lengths = tf.convert_to_tensor(sequence_lengths)
    if transition_params is None:
        count = inputs.shape.as_list()[2]
        transition_params = tf.get_variable("transitions", [count, count])
    score = crf_sequence_score(inputs, tag_indices, sequence_lengths, transition_params)
    return score - crf_log_norm(inputs, sequence_lengths, transition_params), transition_params


@_export("viterbi_decode")
def viterbi_decode(score: Any, transition_params: Any) -> tuple[list[Any], Any]:
    """The best tags of one sequence of NumPy scores [time, tags], and their score."""
    score, transition_params = np.asarray(score), np.asarray(transition_params)
    best = np.zeros_like(score)
    back = np.zeros_like(score, dtype=np.int32)
    best[0] = score[0]
    for t in range(1, score.shape[0]):
        through = np.expand_dims(best[t - 1], 1) + transition_params
        best[t] = score[t] + np.max(through, 0)
        back[t] = np.argmax(through, 0)
    path = [np.argmax(best[-1])]
    for pointers in reversed(back[1:]):
        path.append(pointers[path[-1]])
    return path[::-1], np.max(best[-1])


@_export("crf_decode")
def crf_decode(potentials: Any, transition_params: Any, sequence_length: Any) -> tuple[Any, Any]:
    """The best tags of each sequence, [batch, time], and their scores, [batch]."""
    raise NotImplementedError(
        "tf.contrib.crf.crf_decode is not supported by anode: use viterbi_decode on the scores"
    )

"""Models of layers, cells, loops and decoders; what TensorFlow 1.15 makes of them is recorded.

Run this file with TensorFlow 1.15's Python to write recorded_layers.json again.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

CASES: dict[str, Callable[[Any], Any]] = {}
RECORD = Path(__file__).parent / "recorded_layers.json"
LENGTHS = {"n:0": [2, 6, 4]}


def case(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    CASES[function.__name__] = function
    return function


def given(tf: Any, *shape: int, name: str = "x") -> Any:
    """A placeholder whose batch size is unknown, and which is fed by `feeds`."""
    return tf.placeholder(tf.float32, [None, *shape], name=name)


def lengths(tf: Any) -> Any:
    return tf.placeholder(tf.int32, [None], name="n")


@case
def dense(tf: Any) -> Any:
    x = given(tf, 6, 5)
    h = tf.layers.dense(x[:, 0], 7, activation=tf.nn.relu)
    with tf.variable_scope("foo"):
        a = tf.layers.dense(h, 3, name="d")
    with tf.variable_scope("foo", reuse=True):
        b = tf.layers.dense(h, 3, name="d")
    layer = tf.layers.Dense(4)
    return a, b, layer(h), layer(h), tf.layers.dense(x, 2, use_bias=False), tf.layers.flatten(x)


@case
def convolutions(tf: Any) -> Any:
    x = tf.reshape(given(tf, 6, 5, 3), [-1, 6, 5, 3])
    c = tf.layers.conv2d(x, 4, 3, padding="same", activation=tf.nn.relu)
    line = tf.reshape(c, [-1, 6, 20])
    return (
        tf.layers.conv2d(x, 4, [3, 2], strides=(2, 1), use_bias=False, name="cc"),
        tf.layers.conv2d(x, 4, 3, dilation_rate=2),
        tf.layers.conv2d_transpose(c, 5, 3, strides=2, padding="same"),
        tf.layers.conv2d_transpose(c, 5, (5, 4), strides=(2, 3), padding="valid"),
        tf.layers.separable_conv2d(x, 6, 3, depth_multiplier=2),
        tf.layers.conv1d(line, 5, 3, strides=2, padding="same"),
        tf.layers.conv1d(line, 5, 3, dilation_rate=2, activation=tf.tanh),
        tf.layers.separable_conv1d(line, 5, 3),
        tf.layers.conv3d(tf.reshape(x, [-1, 3, 2, 5, 3]), 4, 2),
    )


@case
def pooling(tf: Any) -> Any:
    x = given(tf, 6, 5, 3)
    line = tf.reshape(x, [-1, 6, 15])
    return (
        tf.layers.max_pooling2d(x, 2, 2),
        tf.layers.average_pooling2d(x, [3, 2], [2, 1], padding="same"),
        tf.layers.max_pooling1d(line, 2, 2),
        tf.layers.average_pooling1d(line, 3, 1, "same"),
        tf.layers.max_pooling3d(tf.reshape(x, [-1, 3, 2, 5, 3]), 2, 1),
    )


@case
def batch_normalization(tf: Any) -> Any:
    x = given(tf, 6, 5, 3)
    flat = tf.reshape(x, [-1, 90])[:, :8]
    training = tf.placeholder_with_default(True, [])
    with tf.variable_scope("plain"):
        a = tf.layers.batch_normalization(flat, training=True, momentum=0.9)
    b = tf.layers.batch_normalization(flat)
    c = tf.layers.batch_normalization(flat, training=training)
    d = tf.layers.batch_normalization(x, training=True)
    e = tf.layers.batch_normalization(x, training=tf.logical_not(training), scale=False)
    with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
        moved = [tf.identity(v.read_value()) for v in tf.global_variables() if "moving" in v.name]
    return (a, b, c, d, e, *moved)


@case
def cells(tf: Any) -> Any:
    x, n = given(tf, 6, 5), lengths(tf)
    rnn = tf.contrib.rnn
    made = {
        "a": rnn.BasicRNNCell(4),
        "b": rnn.BasicLSTMCell(4),
        "c": rnn.GRUCell(4),
        "d": rnn.LSTMCell(4, use_peepholes=True, num_proj=3, cell_clip=0.3),
        "e": rnn.MultiRNNCell([rnn.BasicLSTMCell(4), rnn.GRUCell(3)]),
        "f": rnn.MultiRNNCell(
            [rnn.BasicLSTMCell(4, state_is_tuple=False) for _ in range(2)], state_is_tuple=False
        ),
        "g": rnn.DropoutWrapper(rnn.ResidualWrapper(rnn.GRUCell(5)), output_keep_prob=1.0),
        "h": rnn.OutputProjectionWrapper(rnn.BasicLSTMCell(4), 3),
        "i": rnn.InputProjectionWrapper(rnn.GRUCell(4), 3),
        "j": rnn.LayerNormBasicLSTMCell(4),
        "k": rnn.LSTMBlockCell(4),
        "l": rnn.GRUBlockCellV2(4),
    }
    outputs = []
    for name, cell in made.items():
        with tf.variable_scope(name):
            found = tf.nn.dynamic_rnn(
                cell, x, sequence_length=n if name in "bce" else None, dtype=tf.float32
            )
        outputs += tf.contrib.framework.nest.flatten(found)
    return outputs


@case
def recurrent_loops(tf: Any) -> Any:
    x, n = given(tf, 6, 5), lengths(tf)
    rnn, flatten = tf.contrib.rnn, tf.contrib.framework.nest.flatten
    outputs = flatten(
        tf.nn.bidirectional_dynamic_rnn(
            rnn.GRUCell(4), rnn.LSTMCell(3), x, sequence_length=n, dtype=tf.float32
        )
    )
    steps = tf.unstack(x, axis=1)
    with tf.variable_scope("s"):
        outputs += flatten(
            rnn.static_rnn(rnn.BasicLSTMCell(4), steps, dtype=tf.float32, sequence_length=n)
        )
    with tf.variable_scope("t"):
        outputs += flatten(
            rnn.static_bidirectional_rnn(
                rnn.GRUCell(4), rnn.GRUCell(3), steps, dtype=tf.float32, sequence_length=n
            )
        )
    with tf.variable_scope("u"):
        outputs += flatten(
            rnn.stack_bidirectional_dynamic_rnn(
                [rnn.GRUCell(4), rnn.GRUCell(2)],
                [rnn.GRUCell(4), rnn.GRUCell(2)],
                x,
                dtype=tf.float32,
            )
        )
    with tf.variable_scope("v"):
        cell = rnn.BasicLSTMCell(4)
        state = cell.zero_state(tf.shape(x)[0], tf.float32)
        found, state = tf.nn.dynamic_rnn(
            cell, tf.transpose(x, [1, 0, 2]), initial_state=state, time_major=True
        )
        outputs += [found, cell(steps[0], state)[0]]
    return outputs


@case
def raw_rnn(tf: Any) -> Any:
    x, n = given(tf, 6, 5), lengths(tf)
    batch, cell = tf.shape(x)[0], tf.contrib.rnn.LSTMCell(4)
    rows = tf.TensorArray(tf.float32, size=6).unstack(tf.transpose(x, [1, 0, 2]))

    def step(time: Any, output: Any, state: Any, loop_state: Any) -> Any:
        state = cell.zero_state(batch, tf.float32) if output is None else state
        ended = time >= n
        following = tf.cond(
            tf.reduce_all(ended), lambda: tf.zeros([batch, 5]), lambda: rows.read(time)
        )
        return ended, following, state, output, None

    arrays, state, _ = tf.nn.raw_rnn(cell, step)
    again, _ = cell(x[:, 0], cell.zero_state(batch, tf.float32))
    return tf.stop_gradient(arrays.stack()), tf.stop_gradient(state.h), again


@case
def control_flow(tf: Any) -> Any:
    x, n = given(tf, 6, 5), lengths(tf)
    first = tf.transpose(x, [1, 0, 2])
    array = tf.TensorArray(tf.float32, 4, clear_after_read=False)
    _, array = tf.while_loop(
        lambda i, a: i < 4,
        lambda i, a: (i + 1, a.write(i, x[0] * tf.cast(i, tf.float32))),
        (0, array),
    )
    _, grown = tf.while_loop(
        lambda i, a: i < n[0],
        lambda i, a: (i + 1, tf.concat([a, tf.fill([1, 2], tf.cast(i, tf.float32))], 0)),
        [0, tf.zeros([0, 2])],
        shape_invariants=[tf.TensorShape([]), tf.TensorShape([None, 2])],
    )
    power = tf.while_loop(
        lambda i, v: i < 3, lambda i, v: (i + 1, v * v * 0.5 + x[0, 0]), [0, x[0, 1]]
    )[1]
    nested = tf.cond(n[0] > 3, lambda: {"a": x[0], "b": (n,)}, lambda: {"a": x[1], "b": (n + 1,)})
    return (
        array.stack(),
        array.gather([2, 0]),
        grown,
        power,
        nested["a"],
        nested["b"][0],
        tf.cond(n[0] > 1, lambda: tf.square(x), lambda: -x),
        tf.case(
            [(n[0] > 5, lambda: x * 2), (n[0] > 1, lambda: x * 3)],
            default=lambda: x,
            exclusive=True,
        ),
        tf.map_fn(lambda t: (t[0] * 2, t[1] + 1), (first, tf.range(6)), (tf.float32, tf.int32))[0],
        tf.scan(lambda a, t: a + t, first),
        tf.scan(lambda a, t: a * 0.5 + t, first, initializer=tf.zeros_like(x[:, 0]), reverse=True),
        tf.foldl(lambda a, t: a - t, first),
        tf.foldr(lambda a, t: a * t, first),
    )


@case
def slim(tf: Any) -> Any:
    x, s = given(tf, 6, 5, 3), tf.contrib.slim
    elu = s.arg_scope([s.conv2d, s.fully_connected], activation_fn=tf.nn.elu)
    normal = {"normalizer_fn": s.batch_norm, "normalizer_params": {"scale": True}}
    with elu, s.arg_scope([s.conv2d], **normal):
        c = s.conv2d(x, 4, 3, scope="c1")
        d = s.repeat(c, 2, s.conv2d, 5, [3, 3], scope="c2")
        f = s.fully_connected(s.flatten(d), 6, scope="fc")
        g = s.stack(f, s.fully_connected, [5, 4], scope="st")
    return (
        c,
        d,
        f,
        g,
        s.max_pool2d(c, 2),
        s.avg_pool2d(c, [3, 3], stride=1, padding="SAME"),
        s.conv2d_transpose(c, 3, 4, stride=2),
        s.separable_conv2d(x, 5, 3, depth_multiplier=2),
        s.separable_conv2d(x, None, [3, 3], depth_multiplier=1, stride=2),
        s.dropout(f, is_training=False),
        s.softmax(f),
        s.one_hot_encoding(tf.constant([0, 2]), 3),
    )


@case
def contrib_layers(tf: Any) -> Any:
    x, layers = given(tf, 6, 5, 4), tf.contrib.layers
    flat = layers.flatten(x)[:, :6]
    return (
        layers.batch_norm(flat, updates_collections=None, scale=True),
        layers.batch_norm(flat, is_training=False, scope="still"),
        layers.batch_norm(x, updates_collections=None, center=False),
        layers.layer_norm(x),
        layers.layer_norm(flat),
        layers.instance_norm(x),
        layers.group_norm(x, 2),
        layers.conv2d_in_plane(x, 3),
        layers.unit_norm(flat, 1),
        layers.bias_add(flat),
        layers.linear(flat, 3),
        layers.maxout(flat, 2),
        layers.embed_sequence(tf.constant([[1, 2], [0, 3]]), 5, 4),
        layers.fully_connected(x, 2, tf.tanh, normalizer_fn=layers.layer_norm),
    )


def _decoded(tf: Any, attention: Any, helper: Any, memory: Any, n: Any, name: str) -> Any:
    q = tf.contrib.seq2seq
    with tf.variable_scope(name):
        cell = q.AttentionWrapper(
            tf.contrib.rnn.GRUCell(6),
            attention(6, memory, memory_sequence_length=n),
            attention_layer_size=7,
            alignment_history=True,
        )
        state = cell.zero_state(tf.shape(memory)[0], tf.float32)
        decoder = q.BasicDecoder(cell, helper, state)
        out, last, count = q.dynamic_decode(decoder, impute_finished=True, maximum_iterations=4)
    return [out.rnn_output, out.sample_id, count, last.attention, last.alignment_history.stack()]


@case
def decoders(tf: Any) -> Any:
    x, n = given(tf, 6, 5), lengths(tf)
    q, batch = tf.contrib.seq2seq, tf.shape(x)[0]
    table = tf.get_variable("table", [7, 5])
    training = q.TrainingHelper(x, n)
    greedy = q.GreedyEmbeddingHelper(table, tf.fill([batch], 1), 2)
    outputs = _decoded(tf, q.BahdanauAttention, training, x, n, "a")
    found = _decoded(tf, q.LuongAttention, greedy, tf.concat([x, x], 2), n, "b")
    outputs += [tf.stop_gradient(t) for t in found]
    targets = tf.constant([[1, 2, 3, 4]] * 3)
    weights = tf.constant([[1.0, 1, 0, 1]] * 3)
    for keywords in (
        {},
        {"average_across_timesteps": False},
        {"average_across_timesteps": False, "average_across_batch": False},
    ):
        outputs.append(q.sequence_loss(outputs[0], targets, weights, **keywords))
    return [*outputs, q.tile_batch(x[:, 0], 2)]


@case
def legacy_decoders(tf: Any) -> Any:
    s, rnn = tf.contrib.legacy_seq2seq, tf.contrib.rnn
    encoded = [tf.constant([i, i + 1]) for i in range(3)]
    decoded = [tf.constant([i, 2]) for i in range(4)]
    with tf.variable_scope("a"):
        a, _ = s.embedding_rnn_seq2seq(encoded, decoded, rnn.BasicLSTMCell(4), 6, 7, 5)
    with tf.variable_scope("b"):
        b, _ = s.embedding_attention_seq2seq(
            encoded, decoded, rnn.GRUCell(4), 6, 7, 5, num_heads=2, feed_previous=True
        )
    with tf.variable_scope("c"):
        c, _ = s.embedding_tied_rnn_seq2seq(encoded, decoded, rnn.GRUCell(4), 7, 5)
    weights = [tf.ones([2])] * 4
    by_example = s.sequence_loss_by_example(a, decoded, weights)
    return [*a, *b, *c, by_example, s.sequence_loss(a, decoded, weights)]


def feeds(tf: Any) -> dict[str, Any]:
    """A value for each placeholder of the default graph, the same in each run."""
    found: dict[str, Any] = {}
    for op in tf.get_default_graph().get_operations():
        if op.type == "Placeholder":
            name, shape = op.outputs[0].name, op.outputs[0].get_shape().as_list()
            sizes = [3, *shape[1:]]
            found[name] = LENGTHS.get(name) or np.random.RandomState(0).uniform(-1, 1, sizes)
    return found


def fill(tf: Any, session: Any) -> None:
    """Set each variable to values that follow from its name."""
    for variable in tf.global_variables():
        random = np.random.RandomState(zlib.crc32(variable.op.name.encode()) % 2**31)
        low, high = (0.5, 1.5) if "variance" in variable.name else (-0.5, 0.5)
        shape = variable.get_shape().as_list()
        variable.load(random.uniform(low, high, shape).astype(np.float32), session)


def results(tf: Any, name: str) -> dict[str, Any]:
    """Names of the variables; shapes, first elements and sums of outputs; sums of gradients."""
    outputs = list(CASES[name](tf))
    trained = tf.trainable_variables()
    loss = tf.add_n([tf.reduce_sum(tf.square(t)) for t in outputs if t.dtype.is_floating])
    gradients = [g for g in tf.gradients(loss, trained) if g is not None]
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        fill(tf, session)
        values, slopes = session.run([outputs, gradients], feeds(tf))
    return {
        "variables": [
            [v.name, v.get_shape().as_list(), any(v is t for t in trained)]
            for v in tf.global_variables()
        ],
        "shapes": [t.get_shape().as_list() for t in outputs],
        "values": [
            [list(np.shape(v)), *np.ravel(v)[:4].astype(float), float(np.sum(v))] for v in values
        ],
        "gradients": [float(np.sum(getattr(g, "values", g))) for g in slopes],
    }


if __name__ == "__main__":
    import tensorflow

    recorded = {}
    for each in CASES:
        with tensorflow.Graph().as_default():
            recorded[each] = results(tensorflow, each)
    lines = (f"{json.dumps(name)}: {json.dumps(found)}" for name, found in recorded.items())
    RECORD.write_text("{" + ",\n".join(lines) + "}\n")

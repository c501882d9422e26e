"""Models of every kind that TensorFlow-1 scripts save, as functions of the module `tf`.

Each one builds a graph and gives its Step. What it draws at random comes from feeds, so that two
implementations can take the same step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

BATCH, FEATURES, CLASSES = 8, 6, 3


@dataclass
class Step:
    """One training step: what it runs, what it is fed, the loss, and how Savers are made."""

    train: Any
    loss: Any
    feeds: dict
    saver: dict


def floats(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.RandomState(seed).standard_normal(shape).astype(np.float32)


def integers(high: int, *shape: int, seed: int = 0) -> np.ndarray:
    return np.random.RandomState(seed).randint(0, high, shape).astype(np.int32)


def inputs(tf: Any) -> Any:
    x = tf.placeholder(tf.float32, [None, FEATURES], name="x")
    y = tf.placeholder(tf.int32, [None], name="y")
    return x, y, {x: floats(BATCH, FEATURES), y: integers(CLASSES, BATCH)}


def cross_entropy(tf: Any, labels: Any, logits: Any) -> Any:
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    return tf.reduce_mean(losses, name="loss")


def perceptron(tf: Any, x: Any) -> Any:
    """Two layers of plain variables, as most scripts have them."""
    for i, size in enumerate((5, CLASSES)):
        with tf.name_scope(f"layer{i}"):
            weights = tf.Variable(
                tf.truncated_normal([int(x.shape[1]), size], stddev=0.5), name="W"
            )
            bias = tf.Variable(tf.constant(0.1, shape=[size]), name="b")
            x = tf.nn.bias_add(tf.matmul(x, weights), bias)
            if not i:
                x = tf.nn.relu(x)
    return x


def trained_by(optimizer: Any, tf: Any, **saver: Any) -> Step:
    x, y, feeds = inputs(tf)
    loss = cross_entropy(tf, y, perceptron(tf, x))
    step = tf.train.get_or_create_global_step()
    return Step(optimizer.minimize(loss, global_step=step), loss, feeds, saver)


def descent(tf: Any) -> Step:
    return trained_by(tf.train.GradientDescentOptimizer(0.1), tf)


def momentum(tf: Any) -> Step:
    step = tf.train.get_or_create_global_step()
    rate = tf.train.exponential_decay(0.1, step, 2, 0.5, staircase=True)
    return trained_by(tf.train.MomentumOptimizer(rate, 0.9, use_nesterov=True), tf)


def adam_with_averages(tf: Any) -> Step:
    made = trained_by(tf.train.AdamOptimizer(0.01), tf)
    average = tf.train.ExponentialMovingAverage(0.9, tf.train.get_global_step())
    with tf.control_dependencies([made.train]):
        made.train = average.apply(tf.trainable_variables())
    return made


def rmsprop(tf: Any) -> Step:
    return trained_by(tf.train.RMSPropOptimizer(0.01, momentum=0.5, centered=True), tf)


def adagrad_sharded(tf: Any) -> Step:
    return trained_by(tf.train.AdagradOptimizer(0.1), tf, sharded=True)


def adadelta(tf: Any) -> Step:
    return trained_by(tf.train.AdadeltaOptimizer(0.5), tf)


def ftrl(tf: Any) -> Step:
    strengths = {"l1_regularization_strength": 0.01, "l2_regularization_strength": 0.01}
    return trained_by(tf.train.FtrlOptimizer(0.1, **strengths), tf)


def proximal_adagrad(tf: Any) -> Step:
    optimizer = tf.train.ProximalAdagradOptimizer(0.1, l2_regularization_strength=0.01)
    return trained_by(optimizer, tf)


def clipped(tf: Any) -> Step:
    """Gradients clipped between their computation and their application."""
    x, y, feeds = inputs(tf)
    loss = cross_entropy(tf, y, perceptron(tf, x))
    optimizer = tf.train.AdamOptimizer(0.01)
    gradients, variables = zip(*optimizer.compute_gradients(loss))  # noqa: B905 (Python 3.7)
    gradients, _ = tf.clip_by_global_norm(gradients, 0.5)
    train = optimizer.apply_gradients(zip(gradients, variables))  # noqa: B905
    return Step(train, loss, feeds, {})


def convolutions(tf: Any) -> Step:
    """tf.layers with batch normalisation, whose statistics are saved too."""
    x, y = tf.placeholder(tf.float32, [None, 8, 8, 3]), tf.placeholder(tf.int32, [None])
    h = x
    for filters in (4, 6):
        h = tf.layers.conv2d(h, filters, 3, padding="same", use_bias=False)
        h = tf.nn.relu(tf.layers.batch_normalization(h, training=True, momentum=0.9))
        h = tf.layers.max_pooling2d(h, 2, 2)
    logits = tf.layers.dense(tf.layers.flatten(h), CLASSES, name="logits")
    loss = cross_entropy(tf, y, logits)
    with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
        train = tf.train.MomentumOptimizer(0.01, 0.9).minimize(loss)
    return Step(train, loss, {x: floats(BATCH, 8, 8, 3), y: integers(CLASSES, BATCH)}, {})


def plain_convolutions(tf: Any) -> Step:
    x, y = tf.placeholder(tf.float32, [None, 8, 8, 2]), tf.placeholder(tf.int32, [None])
    with tf.variable_scope("net", initializer=tf.random_normal_initializer(stddev=0.1)):
        h = tf.nn.conv2d(x, tf.get_variable("k1", [3, 3, 2, 4]), [1, 2, 2, 1], "SAME")
        h = tf.nn.elu(h + tf.get_variable("b1", [4]))
        h = tf.nn.depthwise_conv2d(h, tf.get_variable("k2", [3, 3, 4, 2]), [1, 1, 1, 1], "VALID")
        h = tf.nn.lrn(tf.nn.avg_pool(h, [1, 2, 2, 1], [1, 1, 1, 1], "SAME"))
        logits = tf.matmul(tf.reshape(h, [-1, 32]), tf.get_variable("w", [32, CLASSES]))
    loss = cross_entropy(tf, y, logits)
    train = tf.train.RMSPropOptimizer(0.01).minimize(loss)
    return Step(train, loss, {x: floats(BATCH, 8, 8, 2), y: integers(CLASSES, BATCH)}, {})


def sequences(tf: Any) -> Any:
    x, n = tf.placeholder(tf.float32, [None, 5, 4]), tf.placeholder(tf.int32, [None])
    y = tf.placeholder(tf.int32, [None])
    lengths = np.array([5, 3, 1, 4, 5, 2, 5, 4])
    return x, n, y, {x: floats(BATCH, 5, 4), n: lengths, y: integers(CLASSES, BATCH)}


def stacked_lstm(tf: Any) -> Step:
    x, n, y, feeds = sequences(tf)
    cells = [tf.nn.rnn_cell.LSTMCell(6, use_peepholes=True), tf.nn.rnn_cell.BasicLSTMCell(5)]
    many = tf.nn.rnn_cell.MultiRNNCell(cells)
    _, state = tf.nn.dynamic_rnn(many, x, n, dtype=tf.float32)
    loss = cross_entropy(tf, y, tf.layers.dense(state[-1].h, CLASSES))
    return Step(tf.train.AdamOptimizer(0.01).minimize(loss), loss, feeds, {})


def both_directions(tf: Any) -> Step:
    x, n, y, feeds = sequences(tf)
    forth, back = tf.nn.rnn_cell.GRUCell(4), tf.nn.rnn_cell.GRUCell(3)
    _, states = tf.nn.bidirectional_dynamic_rnn(forth, back, x, n, dtype=tf.float32)
    loss = cross_entropy(tf, y, tf.layers.dense(tf.concat(states, 1), CLASSES))
    return Step(tf.train.AdagradOptimizer(0.1).minimize(loss), loss, feeds, {})


def embeddings(tf: Any) -> Step:
    """Sparse updates of the table, and of its slots."""
    ids, y = tf.placeholder(tf.int32, [None, 4]), tf.placeholder(tf.int32, [None])
    with tf.variable_scope("embed"):
        table = tf.get_variable("table", [20, 5])
    found = tf.reduce_mean(tf.nn.embedding_lookup(table, ids), 1)
    loss = cross_entropy(tf, y, tf.layers.dense(found, CLASSES))
    train = tf.train.AdamOptimizer(0.01).minimize(loss)
    return Step(train, loss, {ids: integers(20, BATCH, 4), y: integers(CLASSES, BATCH)}, {})


def word_vectors(tf: Any) -> Step:
    """word2vec's noise-contrastive loss; the candidates are given."""
    words, labels = tf.placeholder(tf.int32, [BATCH]), tf.placeholder(tf.int32, [BATCH, 1])
    with tf.name_scope("embeddings"):
        table = tf.Variable(tf.random_uniform([30, 4], -1.0, 1.0))
    with tf.name_scope("weights"):
        weights = tf.Variable(tf.truncated_normal([30, 4], stddev=0.5))
    biases = tf.Variable(tf.zeros([30]), name="biases")
    expected = np.full((BATCH, 1), 0.3, "f4"), np.full(6, 0.2, "f4")
    losses = tf.nn.nce_loss(
        weights=weights,
        biases=biases,
        labels=tf.cast(labels, tf.int64),
        inputs=tf.nn.embedding_lookup(table, words),
        num_sampled=6,
        num_classes=30,
        sampled_values=tuple(map(tf.constant, (integers(30, 6).astype(np.int64), *expected))),
    )
    loss = tf.reduce_mean(losses)
    train = tf.train.GradientDescentOptimizer(1.0).minimize(loss)
    return Step(train, loss, {words: integers(30, BATCH), labels: integers(30, BATCH, 1)}, {})


def variational(tf: Any) -> Step:
    x, noise = tf.placeholder(tf.float32, [None, 12]), tf.placeholder(tf.float32, [None, 2])
    with tf.variable_scope("encoder"):
        h = tf.layers.dense(x, 8, tf.nn.softplus)
        mean, spread = tf.layers.dense(h, 2, name="mean"), tf.layers.dense(h, 2, name="log_var")
    z = mean + tf.exp(0.5 * spread) * noise
    with tf.variable_scope("decoder"):
        logits = tf.layers.dense(tf.layers.dense(z, 8, tf.nn.tanh), 12)
    wrong = tf.nn.sigmoid_cross_entropy_with_logits(labels=x, logits=logits)
    divergence = -0.5 * tf.reduce_sum(1.0 + spread - tf.square(mean) - tf.exp(spread), 1)
    loss = tf.reduce_mean(tf.reduce_sum(wrong, 1) + divergence)
    feeds = {x: np.random.RandomState(0).rand(BATCH, 12), noise: floats(BATCH, 2)}
    return Step(tf.train.AdamOptimizer(0.01).minimize(loss), loss, feeds, {})


def adversaries(tf: Any) -> Step:
    """Two scopes, one of them used twice, and an optimiser for each."""
    real, noise = tf.placeholder(tf.float32, [None, 4]), tf.placeholder(tf.float32, [None, 3])

    def judge(x: Any, reuse: bool) -> Any:
        with tf.variable_scope("discriminator", reuse=reuse):
            h = tf.nn.leaky_relu(tf.layers.dense(x, 6, name="h"))
            return tf.layers.dense(h, 1, name="out")

    with tf.variable_scope("generator"):
        fake = tf.layers.dense(tf.layers.dense(noise, 6, tf.nn.relu), 4)
    of_real, of_fake = judge(real, False), judge(fake, True)
    cross = tf.nn.sigmoid_cross_entropy_with_logits
    first = tf.reduce_mean(cross(logits=of_real, labels=tf.ones_like(of_real)))
    second = tf.reduce_mean(cross(logits=of_fake, labels=tf.zeros_like(of_fake)))
    third = tf.reduce_mean(cross(logits=of_fake, labels=tf.ones_like(of_fake)))
    ours, theirs = (tf.trainable_variables(scope) for scope in ("generator", "discriminator"))
    adam, rmsprop = tf.train.AdamOptimizer(0.01, beta1=0.5), tf.train.RMSPropOptimizer(0.01)
    d = adam.compute_gradients(first + second, theirs)
    g = rmsprop.compute_gradients(third, ours)
    with tf.control_dependencies([gradient for gradient, _ in d + g]):  # of the same moment
        train = tf.group(adam.apply_gradients(d), rmsprop.apply_gradients(g))
    feeds = {real: floats(BATCH, 4), noise: floats(BATCH, 3, seed=1)}
    return Step(train, first + second, feeds, {})


def translation(tf: Any) -> Step:
    """An encoder, and a decoder that looks back at it."""
    source, target = tf.placeholder(tf.int32, [None, 5]), tf.placeholder(tf.int32, [None, 4])
    table = tf.get_variable("embedding", [10, 4])
    with tf.variable_scope("encoder"):
        found = tf.nn.embedding_lookup(table, source)
        memory, state = tf.nn.dynamic_rnn(tf.nn.rnn_cell.GRUCell(6), found, dtype=tf.float32)
    with tf.variable_scope("decoder"):
        seen = tf.nn.embedding_lookup(table, target)
        outputs, _ = tf.nn.dynamic_rnn(tf.nn.rnn_cell.GRUCell(6), seen, initial_state=state)
        weights = tf.nn.softmax(tf.matmul(outputs, memory, transpose_b=True))
        joined = tf.concat([outputs, tf.matmul(weights, memory)], 2)
        logits = tf.layers.dense(joined, 10, use_bias=False)
    loss = cross_entropy(tf, target, logits)
    feeds = {source: integers(10, BATCH, 5), target: integers(10, BATCH, 4, seed=1)}
    return Step(tf.train.AdamOptimizer(0.01).minimize(loss), loss, feeds, {})


def unrolled(tf: Any) -> Step:
    """A static loop over time, with shared variables."""
    x, _, y, feeds = sequences(tf)
    outputs, _ = tf.nn.static_rnn(
        tf.nn.rnn_cell.BasicRNNCell(5), tf.unstack(x, axis=1), dtype=tf.float32
    )
    loss = cross_entropy(tf, y, tf.layers.dense(outputs[-1], CLASSES))
    train = tf.train.MomentumOptimizer(0.1, 0.9).minimize(loss)
    return Step(train, loss, {t: v for t, v in feeds.items() if t is not _}, {})


def cut_to_slices(tf: Any) -> Step:
    """Partitioned variables: their slots are partitioned as they are."""
    x, y, feeds = inputs(tf)
    cut = tf.fixed_size_partitioner(3)
    with tf.variable_scope("cut", partitioner=cut):
        weights = tf.get_variable("W", [FEATURES, CLASSES])
        bias = tf.get_variable("b", [CLASSES], partitioner=None)
    loss = cross_entropy(tf, y, tf.matmul(x, tf.convert_to_tensor(weights)) + bias)
    return Step(tf.train.AdamOptimizer(0.1).minimize(loss), loss, feeds, {})


def of_many_types(tf: Any) -> Step:
    """Variables of most types, each changed by the step."""
    types = ("float16", "float64", "int8", "int16", "int32", "int64", "uint8")
    changes = []
    for i, name in enumerate(types):
        value = np.arange(4).reshape(2, 2).astype(name)
        variable = tf.Variable(value, name="v_" + name, trainable=False)
        changes.append(tf.assign(variable, variable + np.ones((2, 2), name) * (i % 3 + 1)))
    flag = tf.Variable([True, False], name="flag", trainable=False)
    text = tf.Variable(["a", ""], name="text", trainable=False)
    empty = tf.Variable(np.zeros((0, 3), "f4"), name="empty", trainable=False)
    changes += [tf.assign(flag, tf.logical_not(flag))]
    changes.append(tf.assign(text, tf.add(text, ["b", "longer"])))
    changes.append(tf.assign(empty, empty * 2.0))
    scalar = tf.Variable(1.5, name="scalar")
    loss = tf.square(scalar)
    changes.append(tf.train.GradientDescentOptimizer(0.1).minimize(loss))
    return Step(tf.group(*changes), loss, {}, {})


def resources(tf: Any) -> Step:
    """Resource variables, and some known by other names in the checkpoint."""
    x, y, feeds = inputs(tf)
    with tf.variable_scope("auto", use_resource=True):
        weights = tf.get_variable("W", [FEATURES, CLASSES])
        bias = tf.get_variable("b", [CLASSES], initializer=tf.zeros_initializer())
    loss = cross_entropy(tf, y, tf.matmul(x, weights) + bias)
    train = tf.train.MomentumOptimizer(0.1, 0.9).minimize(loss)
    return Step(train, loss, feeds, {"var_list": tf.global_variables()})


def siamese(tf: Any) -> Step:
    """One scope used twice, with regularisation."""
    a, b = (tf.placeholder(tf.float32, [None, FEATURES]) for _ in range(2))
    alike = tf.placeholder(tf.float32, [None])
    decay = tf.keras.regularizers.l2(0.01)

    def embedded(x: Any) -> Any:
        with tf.variable_scope("tower", reuse=tf.AUTO_REUSE):
            h = tf.layers.dense(x, 5, tf.nn.relu, name="h", kernel_regularizer=decay)
            return tf.layers.dense(h, 2, name="e")

    away = tf.reduce_sum(tf.square(embedded(a) - embedded(b)), 1)
    apart = tf.square(tf.maximum(0.0, 1.0 - tf.sqrt(away + 1e-6)))
    loss = (
        tf.reduce_mean(alike * away + (1.0 - alike) * apart) + tf.losses.get_regularization_loss()
    )
    train = tf.train.AdamOptimizer(0.01).minimize(loss)
    same = (np.arange(BATCH) % 2).astype(np.float32)
    feeds = {a: floats(BATCH, FEATURES), b: floats(BATCH, FEATURES, seed=1), alike: same}
    return Step(train, loss, feeds, {})


MODELS = (
    *(descent, momentum, adam_with_averages, rmsprop, adagrad_sharded, adadelta, ftrl),
    *(proximal_adagrad, clipped, convolutions, plain_convolutions, stacked_lstm, both_directions),
    *(embeddings, word_vectors, variational, adversaries, translation, unrolled, cut_to_slices),
    *(of_many_types, resources, siamese),
)

"""tf.nn: dropout, data formats, names, training, and what raises."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from anode.errors import UnsupportedOp
from anode.frontends.tensorflow.modules import namespace

tf: Any = namespace("")
RANDOM = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def graph() -> Iterator[None]:
    with tf.Graph().as_default():
        yield


def real(*shape: int) -> Any:
    return tf.constant(RANDOM.normal(size=shape).astype(np.float32))


def run(*fetches: Any) -> Any:
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        return session.run(list(fetches))


# dropout


def test_dropout_scales_what_it_keeps_and_its_gradient_has_the_same_mask() -> None:
    x = tf.ones([200, 50])
    y = tf.nn.dropout(x, keep_prob=0.8, seed=1)
    assert y.name == "dropout/mul_1:0"
    value, gradient = run(y, tf.gradients(y, [x])[0])
    assert sorted(np.unique(value)) == [0, 1.25]
    assert value.mean() == pytest.approx(1, abs=0.03)
    np.testing.assert_array_equal(value, gradient)


def test_dropout_by_noise_shape_and_a_rate_that_is_fed() -> None:
    rate = tf.placeholder(tf.float32, [])
    y = tf.nn.dropout(tf.ones([100, 4]), rate=rate, noise_shape=[None, 1], seed=2)
    assert y.shape.as_list() == [100, 4]
    with tf.Session() as session:
        first, second = (session.run(y, {rate: 0.5}) for _ in range(2))
        whole = session.run(y, {rate: 0.0})
    assert {0, 2} == set(np.unique(first))
    assert (first == first[:, :1]).all()
    assert (first != second).any()
    assert (whole == 1).all()


def test_dropout_without_dropping_is_its_input() -> None:
    x = real(2, 3)
    assert tf.nn.dropout(x, 1.0) is x
    assert tf.nn.dropout(x, rate=0) is x


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"rate": 1.5}, "range"),
        ({"keep_prob": 0.5, "rate": 0.5}, "Cannot specify both"),
        ({}, "must provide a rate"),
        ({"keep_prob": "half"}, "keep_prob must be"),
    ],
)
def test_dropout_raises(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tf.nn.dropout(real(2, 3), **kwargs)


# data formats


def channels_first(x: Any) -> Any:
    return tf.transpose(x, [0, 3, 1, 2])


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_channels_first_is_channels_last_transposed(padding: str) -> None:
    x, w = real(2, 7, 8, 3), real(3, 3, 3, 2)
    y = channels_first(x)
    last = {"data_format": "NHWC", "padding": padding}
    first = {"data_format": "NCHW", "padding": padding}
    ones = tf.ones([3]), tf.zeros([3])
    pairs = [
        (tf.nn.conv2d(y, w, [1, 1, 2, 1], **first), tf.nn.conv2d(x, w, [1, 2, 1, 1], **last)),
        (tf.nn.max_pool(y, [1, 1, 2, 3], 2, **first), tf.nn.max_pool(x, [1, 2, 3, 1], 2, **last)),
        (tf.nn.avg_pool(y, 2, 2, **first), tf.nn.avg_pool(x, 2, 2, **last)),
        (
            tf.nn.depthwise_conv2d(y, w, [1, 1, 1, 1], **first),
            tf.nn.depthwise_conv2d(x, w, [1, 1, 1, 1], **last),
        ),
        (
            tf.nn.fused_batch_norm(y, *ones, data_format="NCHW")[0],
            tf.nn.fused_batch_norm(x, *ones)[0],
        ),
    ]
    for a, b in pairs:
        assert a.shape.as_list() == channels_first(b).shape.as_list()
        np.testing.assert_allclose(*run(a, channels_first(b)), atol=1e-5)


def test_grouped_convolution() -> None:
    x, w = real(2, 5, 5, 4), real(3, 3, 2, 6)
    halves = [
        tf.nn.conv2d(x[..., 2 * i : 2 * i + 2], w[..., 3 * i : 3 * i + 3], 1, "SAME")
        for i in range(2)
    ]
    found, expected = run(tf.nn.conv2d(x, w, 1, "SAME"), tf.concat(halves, 3))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_pooling_of_channels() -> None:
    x = real(2, 3, 3, 6)
    found, value = run(tf.nn.max_pool(x, [1, 1, 1, 2], [1, 1, 1, 2], "SAME"), x)
    np.testing.assert_array_equal(found, value.reshape(2, 3, 3, 3, 2).max(-1))


def test_shapes_of_unknown_batches_and_images() -> None:
    x = tf.placeholder(tf.float32, [None, None, None, 3])
    y = tf.nn.conv2d(x, real(3, 3, 3, 5), [1, 2, 2, 1], "SAME")
    assert y.shape.as_list() == [None, None, None, 5]
    assert tf.nn.max_pool(y, 2, 2, "VALID").shape.as_list() == [None, None, None, 5]
    z = tf.placeholder(tf.float32, [None, 4, 4, 3])
    shape = tf.stack([tf.shape(z)[0], 8, 8, 2])
    up = tf.nn.conv2d_transpose(z, real(3, 3, 2, 3), shape, [1, 2, 2, 1])
    assert up.shape.as_list() == [None, 8, 8, 2]
    with tf.Session() as session:
        assert session.run(up, {z: np.ones((3, 4, 4, 3))}).shape == (3, 8, 8, 2)


def test_the_rank_of_results_is_known_where_that_of_images_is_not() -> None:
    y = tf.nn.conv2d(tf.placeholder(tf.float32), real(3, 3, 3, 5), 1, "VALID")
    assert y.shape.as_list() == [None, None, None, 5]
    assert tf.nn.max_pool(tf.placeholder(tf.float32), 2, 2, "SAME").shape.ndims == 4


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: tf.nn.conv2d(x, tf.ones([3, 3, 4, 5]), 1, "SAME"), "but are 3 and 4"),
        (lambda x: tf.nn.conv2d(x, tf.ones([9, 3, 3, 5]), 1, "VALID"), "subtracting 9 from 8"),
        (lambda x: tf.nn.conv2d(x[0], tf.ones([3, 3, 3, 5]), 1, "SAME"), "must be rank 4"),
        (lambda x: tf.nn.max_pool(x, 9, 1, "VALID"), "subtracting 9 from 8"),
        (lambda x: tf.nn.depthwise_conv2d(x, tf.ones([3, 3, 1, 2]), [1] * 4, "SAME"), "3 and 1"),
        (lambda x: tf.nn.bias_add(x, tf.ones([5])), "but are 3 and 5"),
        (
            lambda x: tf.nn.softmax_cross_entropy_with_logits(labels=x[..., :2], logits=x),
            "Dimensions must be equal",
        ),
    ],
)
def test_images_that_do_not_fit_raise_while_the_graph_is_built(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(tf.placeholder(tf.float32, [None, 8, 8, 3]))


# names


@pytest.mark.parametrize(
    ("build", "name"),
    [
        (lambda x: tf.nn.relu(x), "Relu:0"),
        (lambda x: tf.nn.relu(x, name="out"), "out:0"),
        (lambda x: tf.nn.crelu(x), "CRelu/Relu:0"),
        (lambda x: tf.nn.l2_normalize(x, 1), "l2_normalize:0"),
        (lambda x: tf.nn.moments(x, [0])[1], "moments/Squeeze_1:0"),
        (lambda x: tf.nn.xw_plus_b(x, tf.ones([3, 2]), tf.ones([2])), "xw_plus_b:0"),
        (lambda x: tf.nn.embedding_lookup(x, [1]), "embedding_lookup/Identity:0"),
        (lambda x: tf.nn.in_top_k(x, [0, 1], 1), "in_top_k/InTopKV2:0"),
        (lambda x: tf.losses.mean_squared_error(x, x), "mean_squared_error/value:0"),
        (lambda x: tf.metrics.mean(x)[1], "mean/update_op:0"),
        (
            lambda x: tf.nn.softmax_cross_entropy_with_logits(labels=x, logits=x),
            "softmax_cross_entropy_with_logits_sg/Reshape_2:0",
        ),
        (
            lambda x: tf.nn.sigmoid_cross_entropy_with_logits(labels=x, logits=x),
            "logistic_loss:0",
        ),
    ],
)
def test_names_are_those_of_tensorflow(build: Any, name: str) -> None:
    assert build(tf.placeholder(tf.float32, [2, 3])).name == name


# what raises


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: tf.nn.softmax_cross_entropy_with_logits(x, x), "named arguments"),
        (lambda x: tf.nn.softmax_cross_entropy_with_logits(labels=x), "must be provided"),
        (
            lambda x: tf.nn.sparse_softmax_cross_entropy_with_logits(labels=[[1]], logits=x),
            "Rank mismatch",
        ),
        (
            lambda x: tf.nn.sparse_softmax_cross_entropy_with_logits(labels=[1], logits=x),
            "Shape mismatch",
        ),
        (
            lambda x: tf.nn.sigmoid_cross_entropy_with_logits(labels=x[:1], logits=x),
            "must have the same shape",
        ),
        (lambda x: tf.nn.max_pool(x, 2, 2, "same"), "padding"),
        (lambda x: tf.nn.conv2d(x, x, 1, "SAME", data_format="HWCN"), "data_format"),
        (lambda x: tf.nn.softmax(x, axis=1, dim=1), "Cannot specify both"),
        (lambda x: tf.losses.mean_squared_error(x, x, weights=[1.0, 2, 3]), "broadcast"),
        (lambda x: tf.losses.mean_squared_error(None, x), "labels must not be None"),
        (lambda x: tf.losses.mean_squared_error(x, x, reduction="mean"), "Invalid Reduction"),
        (lambda x: tf.metrics.auc(x, x, curve="XY"), "curve must be either"),
    ],
)
def test_errors_are_raised_while_the_graph_is_built(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(tf.placeholder(tf.float32, [2, 3]))


@pytest.mark.parametrize("name", ["fractional_max_pool", "quantized_conv2d"])
def test_what_is_not_supported_says_so(name: str) -> None:
    with pytest.raises(UnsupportedOp, match=name):
        getattr(tf.nn, name)(None)


# embeddings


@pytest.mark.parametrize("strategy", ["mod", "div"])
def test_partitioned_tables_are_shards(strategy: str) -> None:
    table = tf.get_variable("table", [7, 2], partitioner=tf.fixed_size_partitioner(3))
    ids = [0, 6, 3, 5]
    found, *shards = run(tf.nn.embedding_lookup(table, ids, strategy), *table)
    places = {
        "mod": [(i % 3, i // 3) for i in ids],
        "div": [(0, 0), (2, 1), (1, 0), (2, 0)],  # of 3, 2 and 2 rows
    }
    expected = [shards[shard][row] for shard, row in places[strategy]]
    np.testing.assert_array_equal(found, expected)


def test_embedding_norms_and_gradients() -> None:
    table = tf.get_variable("table", [4, 3])
    rows = tf.nn.embedding_lookup(table, [[0, 2], [2, 2]], max_norm=0.5)
    total = tf.nn.embedding_lookup(table, [[0, 2], [2, 2]])
    gradient = tf.convert_to_tensor(tf.gradients(total, [table])[0])
    found, slope, whole = run(rows, gradient, table)
    assert np.linalg.norm(found, axis=-1).max() <= 0.5 + 1e-6
    np.testing.assert_allclose(slope, np.array([1, 0, 3, 0])[:, None] * np.ones((1, 3)))
    small = np.linalg.norm(whole[0]) <= 0.5
    assert np.allclose(found[0, 0], whole[0]) == small


# samplers


@pytest.mark.parametrize("name", ["uniform", "log_uniform"])
def test_unique_samples_and_their_expected_counts(name: str) -> None:
    labels = tf.constant([[0], [9]], tf.int64)
    call = getattr(tf.nn, f"{name}_candidate_sampler")
    sampled, true, counts = run(*call(labels, 1, 6, True, 10, seed=3))
    assert len(set(sampled)) == 6
    assert (sampled >= 0).all()
    assert (sampled < 10).all()
    assert true.shape == (2, 1)
    assert (counts <= 1).all()
    if name == "log_uniform":
        assert true[0] > true[1]
    again = run(call(labels, 1, 6, True, 10, seed=3)[0])[0]
    np.testing.assert_array_equal(sampled, again)


RECORDED = {  # by TensorFlow 2.21: two runs
    "uniform": [[7, 4, 9, 10, 3], [1, 10, 8, 9, 11]],
    "log_uniform": [[0, 1, 5, 7, 2], [0, 5, 3, 1, 4]],
}


@pytest.mark.parametrize("name", RECORDED)
def test_seeded_samples_are_those_of_tensorflow(name: str) -> None:
    tf.set_random_seed(3)
    call = getattr(tf.nn, f"{name}_candidate_sampler")
    sampled, _, _ = call(tf.constant([[0]], tf.int64), 1, 5, True, 12, seed=5)
    with tf.Session() as session:
        assert [session.run(sampled).tolist() for _ in range(2)] == RECORDED[name]


def test_the_frequencies_of_sampled_classes() -> None:
    labels = tf.constant([[0], [3]], tf.int64)
    fixed = {"unigrams": [1.0, 2.0, 3.0, 4.0], "distortion": 2.0, "seed": 1}
    sampled, true, _ = run(
        *tf.nn.fixed_unigram_candidate_sampler(labels, 1, 30000, False, 4, **fixed)
    )
    expected = 30000 * np.array([1, 4, 9, 16]) / 30
    np.testing.assert_allclose(np.bincount(sampled), expected, rtol=0.08)
    np.testing.assert_allclose(true[:, 0], expected[[0, 3]], rtol=1e-5)
    sampled, true, _ = run(*tf.nn.log_uniform_candidate_sampler(labels, 1, 30000, False, 8, seed=1))
    places = np.arange(8)
    expected = 30000 * np.log((places + 2) / (places + 1)) / np.log(9)
    np.testing.assert_allclose(np.bincount(sampled), expected, rtol=0.08)
    np.testing.assert_allclose(true[:, 0], expected[[0, 3]], rtol=1e-5)


def test_more_unique_samples_than_classes_raise() -> None:
    labels = tf.constant([[0]], tf.int64)
    with pytest.raises(tf.errors.InvalidArgumentError, match="too small"):
        run(*tf.nn.uniform_candidate_sampler(labels, 1, 6, True, 5))
    with pytest.raises(UnsupportedOp, match="learned_unigram"):
        tf.nn.learned_unigram_candidate_sampler(labels, 1, 6, True, 5)


def test_word_vectors_learn_by_noise_contrastive_estimation() -> None:
    tf.set_random_seed(1)
    words, following = tf.placeholder(tf.int32, [None]), tf.placeholder(tf.int64, [None, 1])
    vectors = tf.Variable(tf.random_uniform([20, 8], -1, 1))
    weights, biases = tf.Variable(tf.truncated_normal([20, 8])), tf.Variable(tf.zeros([20]))
    inputs = tf.nn.embedding_lookup(vectors, words)
    loss = tf.reduce_mean(tf.nn.nce_loss(weights, biases, following, inputs, 5, 20))
    step = tf.train.GradientDescentOptimizer(0.5).minimize(loss)
    random = np.random.RandomState(0)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        losses = []
        for _ in range(150):
            batch = random.randint(0, 20, 16)
            feeds = {words: batch, following: (batch[:, None] + 1) % 20}
            losses.append(session.run([loss, step], feeds)[0])
    assert np.mean(losses[-20:]) < 0.5 * np.mean(losses[:20])

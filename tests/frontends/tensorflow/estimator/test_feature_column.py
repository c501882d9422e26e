"""Feature columns: ids and numbers recorded from TensorFlow 1.15."""

import numpy as np
import pytest

FEATURES = {
    "a": np.array([["x", "y"], ["z", ""]]),
    "b": np.array([[1], [7]]),
    "n": np.array([[0.5], [2.5]], "f"),
}


def layer(tf, columns, features=FEATURES):
    tensors = {key: tf.constant(value) for key, value in features.items()}
    output = tf.feature_column.input_layer(tensors, columns)
    with tf.Session() as session:
        session.run([tf.global_variables_initializer(), tf.tables_initializer()])
        return session.run(output)


def places(tf, column):
    found = layer(tf, [tf.feature_column.indicator_column(column)])
    return [np.flatnonzero(row).tolist() for row in found]


def test_crossed(tf):
    fc = tf.feature_column
    assert places(tf, fc.crossed_column(["a", "b"], 100)) == [[26, 27], [47, 51]]
    bucketized = fc.bucketized_column(fc.numeric_column("n"), [0.0, 1.0, 2.0])
    identity = fc.categorical_column_with_identity("b", 10)
    three = fc.crossed_column([bucketized, "a", identity], 1000, hash_key=5)
    assert places(tf, three) == [[339, 771], [407, 730]]


def test_dense_in_order_of_names(tf):
    fc = tf.feature_column
    number = fc.numeric_column("n", normalizer_fn=lambda x: x * 2)
    buckets = fc.bucketized_column(fc.numeric_column("n"), [0.0, 1.0, 2.0])
    words = fc.categorical_column_with_vocabulary_list("a", ["x", "z"], num_oov_buckets=1)
    found = layer(tf, [number, buckets, fc.indicator_column(words)])
    indicator, value, one_hot = found[:, :3], found[:, 3], found[:, 4:]
    assert indicator[:, :2].tolist() == [[1, 0], [0, 1]]
    assert one_hot.tolist() == [[0, 1, 0, 0], [0, 0, 0, 1]]
    assert value.tolist() == [1, 5]


def test_embeddings(tf):
    fc = tf.feature_column
    words = fc.categorical_column_with_vocabulary_list("a", ["x", "y", "z"])
    table = tf.constant_initializer([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    found = layer(tf, [fc.embedding_column(words, 2, initializer=table)])
    assert found.tolist() == [[2, 3], [5, 6]]
    names = [v.op.name for v in tf.global_variables()]
    assert names == ["input_layer/a_embedding/embedding_weights"]
    other = fc.categorical_column_with_vocabulary_list("c", ["x", "y", "z"])
    shared = fc.shared_embedding_columns([words, other], 2, initializer=table)
    both = {**FEATURES, "c": np.array([["z"], ["q"]])}
    assert layer(tf, shared, both).tolist() == [[2, 3, 5, 6], [5, 6, 0, 0]]


def test_linear_model(tf):
    fc = tf.feature_column
    words = fc.categorical_column_with_vocabulary_list("a", ["x", "y", "z"])
    features = {key: tf.constant(value) for key, value in FEATURES.items()}
    output = fc.linear_model(features, [words, fc.numeric_column("n")], units=2)
    step = tf.train.GradientDescentOptimizer(0.1).minimize(tf.reduce_sum(output))
    with tf.Session() as session:
        session.run([tf.global_variables_initializer(), tf.tables_initializer()])
        session.run(step)
        found = session.run(output)
    # bias −0.2; x, y, z −0.1 each; n −0.1 · (0.5 + 2.5)
    np.testing.assert_allclose(found[:, 0], [-0.2 - 0.2 - 0.15, -0.2 - 0.1 - 0.75], rtol=1e-6)
    names = sorted(v.op.name for v in tf.trainable_variables())
    expected = ["a/weights", "bias_weights", "n/weights"]
    assert names == [f"linear_model/{name}" for name in expected]


def test_parse_spec_and_errors(tf):
    fc = tf.feature_column
    number, words = fc.numeric_column("n", (2,)), fc.categorical_column_with_hash_bucket("a", 5)
    spec = fc.make_parse_example_spec([number, words])
    assert spec["n"].shape == [2]
    assert spec["a"].dtype == tf.string
    with pytest.raises(ValueError, match="_DenseColumn"):
        layer(tf, [words])
    with pytest.raises(ValueError, match="sorted list"):
        fc.bucketized_column(fc.numeric_column("n"), [2.0, 1.0])
    with pytest.raises(ValueError, match="not in features"):
        layer(tf, [fc.numeric_column("missing")])
    with pytest.raises(tf.errors.InvalidArgumentError, match="not an id of column b"):
        places(tf, fc.categorical_column_with_identity("b", 5))

"""Canned estimators: variables and metrics recorded from TensorFlow 1.15 with the same seed."""

import numpy as np
import pytest

RNG = np.random.RandomState(0)
X = RNG.randn(64, 4).astype("f")
CLASSES = (np.abs(X[:, 0]) * 2).astype("i") % 3
SIGNS = (X[:, 0] > 0).astype("i")
VALUES = (X[:, 0] * 2 + X[:, 1]).astype("f")
NAMES = np.array(["a", "b", "c", "d"] * 16)


def source(tf, labels):
    columns = {"x": X, "s": NAMES, "w": np.ones(64, "f")}
    return tf.estimator.inputs.numpy_input_fn(
        columns, labels, batch_size=16, num_epochs=2, shuffle=False
    )


@pytest.fixture
def columns(tf):
    number = tf.feature_column.numeric_column("x", shape=[4])
    words = tf.feature_column.categorical_column_with_vocabulary_list("s", ["a", "b", "c"])
    return number, words


@pytest.fixture
def config(tf, tmp_path):
    return tf.estimator.RunConfig(tf_random_seed=42, model_dir=str(tmp_path))


def check(tf, made, labels, variables, metrics):
    made.train(source(tf, labels))
    sums = {name: float(np.sum(made.get_variable_value(name))) for name in variables}
    assert sums == pytest.approx(variables, rel=1e-4, abs=1e-5)
    found = made.evaluate(source(tf, labels))
    assert {name: float(found[name]) for name in metrics} == pytest.approx(metrics, rel=1e-4)
    return next(made.predict(source(tf, None)))


def test_dnn_classifier(tf, columns, config):
    made = tf.estimator.DNNClassifier([5, 3], columns[:1], n_classes=3, config=config)
    variables = {
        "dnn/hiddenlayer_0/kernel": -3.1682398,
        "dnn/hiddenlayer_0/kernel/t_0/Adagrad": 52.2223015,
        "dnn/hiddenlayer_1/bias": -0.1824711,
        "dnn/logits/kernel": 0.3476416,
    }
    metrics = {"accuracy": 0.515625, "average_loss": 1.0342611, "loss": 16.5481777}
    found = check(tf, made, CLASSES, variables, metrics)
    assert found["all_classes"].tolist() == [b"0", b"1", b"2"]
    expected = [0.0775722, 0.0188755, -0.1558568]
    np.testing.assert_allclose(found["logits"], expected, rtol=1e-4)


def test_dropout_and_vocabulary(tf, columns, config):
    made = tf.estimator.DNNClassifier(
        [4],
        columns[:1],
        n_classes=3,
        label_vocabulary=["p", "q", "r"],
        config=config,
        dropout=0.3,
        optimizer=tf.train.AdamOptimizer(0.01),
    )
    variables = {"dnn/hiddenlayer_0/kernel": -2.2748613, "dnn/head/beta1_power": 0.3874204}
    metrics = {"accuracy": 0.515625, "average_loss": 1.0674987}
    found = check(tf, made, np.array(["p", "q", "r"])[CLASSES], variables, metrics)
    assert found["classes"].tolist() == [b"p"]


def test_linear_classifiers(tf, columns, config):
    made = tf.estimator.LinearClassifier(columns, n_classes=3, config=config)
    variables = {
        "linear/linear_model/bias_weights": 0.2542956,
        "linear/linear_model/s/weights": -0.7473423,
        "linear/linear_model/x/weights/part_0/Ftrl": 344.3164368,
    }
    metrics = {"accuracy": 0.671875, "average_loss": 0.9447399}
    check(tf, made, CLASSES, variables, metrics)


def test_binary_metrics(tf, columns, config):
    made = tf.estimator.LinearClassifier(columns, config=config, weight_column="w")
    metrics = {
        "accuracy": 0.921875,
        "accuracy_baseline": 0.53125,
        "auc": 0.9828431,
        "auc_precision_recall": 0.9809965,
        "average_loss": 0.4299061,
        "label/mean": 0.46875,
        "loss": 6.8784976,
        "precision": 0.962963,
        "prediction/mean": 0.4567571,
        "recall": 0.8666667,
    }
    found = check(tf, made, SIGNS, {"linear/linear_model/x/weights": 0.944494}, metrics)
    np.testing.assert_allclose(found["logistic"], [0.7667553], rtol=1e-4)


def test_regressors(tf, columns, config):
    made = tf.estimator.LinearRegressor(columns[:1], config=config)
    metrics = {"average_loss": 2.1708789, "prediction/mean": -0.00921}
    found = check(tf, made, VALUES, {"linear/linear_model/x/weights": 1.7124587}, metrics)
    np.testing.assert_allclose(found["predictions"], [2.0589814], rtol=1e-4)


def test_combined(tf, columns, config):
    made = tf.estimator.DNNLinearCombinedClassifier(
        linear_feature_columns=columns[1:],
        dnn_feature_columns=columns[:1],
        dnn_hidden_units=[4],
        n_classes=3,
        config=config,
    )
    variables = {
        "dnn/hiddenlayer_0/kernel/Adagrad": 280.267823,
        "linear/linear_model/s/weights": -0.0132082,
        "global_step": 8.0,
    }
    check(tf, made, CLASSES, variables, {"average_loss": 1.1864276})


def test_baseline(tf, config):
    made = tf.estimator.BaselineClassifier(n_classes=3, config=config)
    metrics = {"accuracy": 0.4375, "average_loss": 1.0680842}
    check(tf, made, CLASSES, {"baseline/bias": 0.1405682}, metrics)


def test_refusals(tf, columns):
    with pytest.raises(NotImplementedError, match="SDCA"):
        tf.estimator.LinearClassifier(columns, optimizer="SDCA")
    with pytest.raises(ValueError, match="loss_reduction"):
        tf.estimator.DNNRegressor([1], columns, loss_reduction="none of them")
    with pytest.raises(AttributeError, match="BoostedTreesClassifier is not implemented"):
        _ = tf.estimator.BoostedTreesClassifier

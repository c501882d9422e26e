"""tf.contrib.learn: numbers recorded from TensorFlow 1.15 with the same seed."""

import logging

import numpy as np
import pytest

RNG = np.random.RandomState(0)
X = RNG.randn(64, 4).astype("f")
CLASSES = (np.abs(X[:, 0]) * 2).astype("i") % 3
VALUES = (X[:, 0] * 2 + X[:, 1]).astype("f")
DOCUMENTS = ["hello world foo", "foo Bar hello HELLO", "the dog's x-ray"]


@pytest.fixture
def config(tf, tmp_path):
    return tf.contrib.learn.RunConfig(tf_random_seed=42, model_dir=str(tmp_path))


def test_dnn_classifier(tf, config):
    learn = tf.contrib.learn
    columns = learn.infer_real_valued_columns_from_input(X)
    made = learn.DNNClassifier([5, 3], columns, n_classes=3, config=config)
    made.fit(x=X, y=CLASSES, steps=20, batch_size=16)
    weights = made.get_variable_value("dnn/hiddenlayer_1/weights")
    assert float(weights.sum()) == pytest.approx(-1.1557448, rel=1e-4)
    found = made.evaluate(x=X, y=CLASSES)
    assert float(found["loss"]) == pytest.approx(1.066833, rel=1e-4)
    assert list(made.predict(X[:3])) == [1, 1, 1]
    np.testing.assert_allclose(
        next(made.predict_proba(X[:2])), [0.3185303, 0.3947102, 0.2867595], rtol=1e-4
    )


def test_linear_regressor(tf, config):
    learn = tf.contrib.learn
    made = learn.LinearRegressor(learn.infer_real_valued_columns_from_input(X), config=config)
    made.fit(x=X, y=VALUES, steps=20, batch_size=16)
    assert float(made.evaluate(x=X, y=VALUES)["loss"]) == pytest.approx(0.857901, rel=1e-4)
    found = list(made.predict(X[:3]))
    np.testing.assert_allclose(found, [2.9519634, 1.5739911, 0.4780517], rtol=1e-4)


def model_fn(tf):
    def model(features, labels, mode):
        output = tf.layers.dense(features, 1, kernel_initializer=tf.zeros_initializer(), name="d")
        if mode == tf.contrib.learn.ModeKeys.INFER:
            return tf.contrib.learn.ModelFnOps(mode, predictions=output)
        loss = tf.losses.mean_squared_error(labels[:, None], output)
        step = tf.train.get_global_step()
        op = tf.contrib.layers.optimize_loss(loss, step, learning_rate=0.1, optimizer="SGD")
        return tf.contrib.learn.ModelFnOps(mode, predictions=output, loss=loss, train_op=op)

    return model


def test_estimator_of_a_function(tf, config, caplog):
    learn = tf.contrib.learn
    monitor = learn.monitors.ValidationMonitor(X, VALUES, every_n_steps=5)
    made = learn.Estimator(model_fn=model_fn(tf), config=config)
    with caplog.at_level(logging.INFO, "tensorflow"):
        made.fit(X, VALUES, steps=20, batch_size=16, monitors=[monitor])
    assert "Validation (step " in caplog.text
    assert float(made.get_variable_value("d/kernel").sum()) == pytest.approx(3.012959, rel=1e-4)
    absolute = learn.MetricSpec(metric_fn=tf.contrib.metrics.streaming_mean_absolute_error)
    found = made.evaluate(x=X, y=VALUES, metrics={"m": absolute}, steps=2, batch_size=8)
    assert float(found["m"]) == pytest.approx(0.0438736, rel=1e-3)
    assert learn.SKCompat(made).predict(X[:2]).shape == (2, 1)
    with pytest.raises(ValueError, match="not both"):
        made.fit(X, VALUES, input_fn=lambda: None, steps=1)


def test_experiment(tf, config):
    learn = tf.contrib.learn
    rows = np.arange(8.0)[:, None].astype("f") / 8

    def experiment(run_config, hparams):
        def model(features, labels, mode, params):
            output = tf.layers.dense(features, 1, kernel_initializer=tf.zeros_initializer())
            loss = tf.losses.mean_squared_error(labels[:, None], output)
            step = tf.train.get_global_step()
            op = tf.train.GradientDescentOptimizer(params.rate).minimize(loss, step)
            return learn.ModelFnOps(mode, output, loss, op)

        def source():
            return tf.constant(rows), tf.constant(rows[:, 0] * 3)

        made = learn.Estimator(model, config=run_config, params=hparams)
        return learn.Experiment(made, source, source, train_steps=30, eval_steps=2)

    hparams = tf.contrib.training.HParams(rate=0.1)
    found, _ = learn.learn_runner.run(experiment, run_config=config, hparams=hparams)
    assert float(found["loss"]) == pytest.approx(0.2205462, rel=1e-4)
    assert found["global_step"] == 30


def test_vocabulary(tf, tmp_path):
    text = tf.contrib.learn.preprocessing
    processor = text.VocabularyProcessor(5)
    rows = np.array(list(processor.fit_transform(DOCUMENTS)))
    assert rows.tolist() == [[1, 2, 3, 0, 0], [3, 4, 1, 5, 0], [6, 7, 8, 0, 0]]
    assert len(processor.vocabulary_) == 9
    assert list(processor.reverse([[1, 2, 0]])) == ["hello world <UNK>"]
    frequent = text.VocabularyProcessor(4, min_frequency=1)
    rows = np.array(list(frequent.fit_transform(DOCUMENTS)))
    assert rows.tolist() == [[2, 0, 1, 0], [1, 0, 2, 0], [0, 0, 0, 0]]
    processor.save(str(tmp_path / "words"))
    again = text.VocabularyProcessor.restore(str(tmp_path / "words"))
    assert next(again.transform(["world"])).tolist() == [2, 0, 0, 0, 0]
    assert [row.tolist() for row in text.ByteProcessor(3).transform(["ab"])] == [[97, 98, 0]]


def test_contrib_columns(tf):
    layers = tf.contrib.layers
    words = layers.sparse_column_with_keys("s", ["a", "b"])
    number = layers.real_valued_column("n")
    features = {"s": tf.constant([["b"], ["q"]]), "n": tf.constant([[1.0], [2.0]])}
    whole = layers.sparse_column_with_integerized_feature("i", 4)
    features["i"] = tf.constant([[5], [2]])
    output = layers.input_from_feature_columns(
        features, [layers.one_hot_column(words), number, layers.one_hot_column(whole)]
    )
    with tf.Session() as session:
        session.run(tf.tables_initializer())
        found = session.run(output)
    assert found.tolist() == [[0, 1, 0, 0, 1, 0, 1], [0, 0, 1, 0, 2, 0, 0]]
    spec = layers.create_feature_spec_for_parsing([words, number])
    assert set(spec) == {"s", "n"}

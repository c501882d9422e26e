"""Estimators of model functions: numbers, files and log lines as TensorFlow 1.15 gives them."""

import logging
import os

import numpy as np
import pytest


@pytest.fixture
def data():
    rng = np.random.RandomState(0)
    x = rng.randn(64, 4).astype("f")
    return x, (x[:, 0] + x[:, 1] > 0).astype("int32")


def model_fn(tf):
    def model(features, labels, mode, params):
        logits = tf.layers.dense(features["x"], 2, kernel_initializer=tf.zeros_initializer())
        predictions = {"c": tf.argmax(logits, 1), "p": tf.nn.softmax(logits)}
        if mode == tf.estimator.ModeKeys.PREDICT:
            return tf.estimator.EstimatorSpec(mode, predictions=predictions)
        loss = tf.losses.sparse_softmax_cross_entropy(labels, logits)
        optimizer = tf.train.GradientDescentOptimizer(params["rate"])
        return tf.estimator.EstimatorSpec(
            mode,
            predictions=predictions,
            loss=loss,
            train_op=optimizer.minimize(loss, global_step=tf.train.get_global_step()),
            eval_metric_ops={"acc": tf.metrics.accuracy(labels, predictions["c"])},
        )

    return model


def estimator(tf, folder):
    return tf.estimator.Estimator(model_fn(tf), model_dir=str(folder), params={"rate": 0.5})


def batches(tf, data):
    x, y = data
    return lambda: tf.data.Dataset.from_tensor_slices(({"x": x}, y)).repeat(2).batch(16)


def rows_of(tf, x):
    return lambda: tf.data.Dataset.from_tensors({"x": x})


def test_train_evaluate_predict(tf, tmp_path, data, caplog):
    with caplog.at_level(logging.INFO, "tensorflow"):
        made = estimator(tf, tmp_path).train(batches(tf, data))
    assert "Loss for final step: " in caplog.text
    assert "Saving checkpoints for 8 into" in caplog.text
    assert ", step = 1" in caplog.text
    assert made.latest_checkpoint() == str(tmp_path / "model.ckpt-8")
    assert sorted(made.get_variable_names()) == ["dense/bias", "dense/kernel", "global_step"]
    with caplog.at_level(logging.INFO, "tensorflow"):
        found = made.evaluate(batches(tf, data), steps=2, name="two")
    assert list(found) == ["acc", "loss", "global_step"]
    assert found["global_step"] == 8
    assert found["acc"] > 0.9
    assert "Evaluation [2/2]" in caplog.text
    assert (tmp_path / "eval_two").is_dir()
    rows = list(made.predict(rows_of(tf, data[0][:3]), predict_keys=["c"]))
    assert [int(row["c"]) for row in rows] == data[1][:3].tolist()
    names = {name.partition(".")[0] for name in os.listdir(tmp_path)}
    assert {"checkpoint", "events", "graph", "model"} <= names


def test_steps(tf, tmp_path, data, caplog):
    made = estimator(tf, tmp_path)
    made.train(batches(tf, data), steps=3).train(batches(tf, data), steps=2)
    assert made.get_variable_value("global_step") == 5
    with caplog.at_level(logging.INFO, "tensorflow"):
        made.train(batches(tf, data), max_steps=5)
    assert "Skipping training since max_steps has already saved." in caplog.text
    with pytest.raises(ValueError, match="both steps and max_steps"):
        made.train(batches(tf, data), steps=1, max_steps=2)
    with pytest.raises(ValueError, match="steps > 0"):
        made.evaluate(batches(tf, data), steps=0)


def test_warm_start(tf, tmp_path, data):
    first = estimator(tf, tmp_path / "first").train(batches(tf, data))
    second = tf.estimator.Estimator(
        model_fn(tf),
        model_dir=str(tmp_path / "second"),
        params={"rate": 0.0},
        warm_start_from=first.model_dir,
    )
    second.train(batches(tf, data), steps=1)
    kernel = second.get_variable_value("dense/kernel")
    assert np.array_equal(kernel, first.get_variable_value("dense/kernel"))


def test_export(tf, tmp_path, data):
    made = estimator(tf, tmp_path).train(batches(tf, data))

    def receiver():
        x = tf.placeholder(tf.float32, [None, 4], name="given")
        return tf.estimator.export.ServingInputReceiver({"x": x}, {"x": x})

    folder = made.export_savedmodel(str(tmp_path / "export"), receiver)
    assert isinstance(folder, bytes)
    with tf.Graph().as_default(), tf.Session() as session:
        meta = tf.saved_model.loader.load(session, ["serve"], folder.decode())
        output = meta.signature_def["serving_default"].outputs["p"].name
        found = session.run(output, {"given:0": data[0][:2]})
    expected = [p["p"] for p in made.predict(rows_of(tf, data[0][:2]))]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_train_and_evaluate(tf, tmp_path, data):
    train = tf.estimator.TrainSpec(batches(tf, data), max_steps=6)
    test = tf.estimator.EvalSpec(batches(tf, data), steps=None, throttle_secs=0)
    found, exports = tf.estimator.train_and_evaluate(estimator(tf, tmp_path), train, test)
    assert found["global_step"] == 6
    assert exports == []


def test_specs(tf):
    spec = tf.estimator.EstimatorSpec
    keys = tf.estimator.ModeKeys
    with pytest.raises(ValueError, match=r"Missing train_op\."):
        spec(keys.TRAIN, loss=tf.constant(1.0))
    with pytest.raises(ValueError, match="Loss must be scalar"):
        spec(keys.EVAL, loss=tf.constant([1.0, 2.0]))
    with pytest.raises(TypeError, match="eval_metric_ops"):
        spec(keys.EVAL, loss=tf.constant(1.0), eval_metric_ops={"a": tf.constant(1.0)})
    with pytest.raises(ValueError, match="cannot be both set"):
        tf.estimator.RunConfig(save_checkpoints_steps=1, save_checkpoints_secs=1)
    config = tf.estimator.RunConfig(tf_random_seed=3).replace(save_checkpoints_steps=7)
    assert (config.tf_random_seed, config.save_checkpoints_secs) == (3, None)
    with pytest.raises(ValueError, match="must include features"):
        tf.estimator.Estimator(lambda labels: None, model_dir="/tmp/never")


def test_tpu_estimator(tf, tmp_path):
    rows = (np.arange(8, dtype="f") / 8)[:, None]

    def model(features, labels, mode, params):
        assert params["batch_size"] == (4 if mode == "train" else 2)
        output = tf.layers.dense(features, 1, kernel_initializer=tf.zeros_initializer())
        loss = tf.losses.mean_squared_error(labels, output)
        step = tf.train.get_global_step()
        return tf.contrib.tpu.TPUEstimatorSpec(
            mode,
            loss=loss,
            train_op=tf.train.GradientDescentOptimizer(0.1).minimize(loss, step),
            eval_metrics=(lambda a, b: {"m": tf.metrics.mean_absolute_error(a, b)},
                          [labels, output]),
        )  # fmt: skip

    def source(params):
        return tf.data.Dataset.from_tensor_slices((rows, rows)).batch(params["batch_size"])

    config = tf.contrib.tpu.RunConfig(model_dir=str(tmp_path))
    made = tf.contrib.tpu.TPUEstimator(
        model, config=config, use_tpu=False, train_batch_size=4, eval_batch_size=2
    )
    assert made.train(source).evaluate(source)["m"] < 0.5
    with pytest.raises(NotImplementedError, match="no TPUs"):
        tf.contrib.tpu.TPUEstimator(model, config=config)

"""Training, against numbers that TensorFlow 1.15 printed for the same scripts."""

import numpy as np
import pytest

# The loss of two epochs, see `trained`.
OPTIMIZERS = {
    "sgd": [0.3541478, 0.3551435],
    "rmsprop": [0.3543203, 0.3530842],
    "adagrad": [0.3541428, 0.3549098],
    "adadelta": [0.3540619, 0.3557045],
    "adam": [0.3542101, 0.3546461],
    "adamax": [0.354198, 0.3550291],
    "nadam": [0.3541554, 0.3546753],
    "ftrl": [0.3135454, 0.2500164],
}
LOSSES = {
    "mae": [0.535787, 0.5384528],
    "mape": [3.819505e09, 5.484527e09],
    "msle": [0.1920956, 0.1906396],
    "hinge": [1.004537, 1.007203],
    "squared_hinge": [1.288286, 1.291646],
    "categorical_hinge": [0.9223982, 0.8652787],
    "logcosh": [0.1838187, 0.1851657],
    "binary_crossentropy": [0.9766734, 0.9015327],
    "categorical_crossentropy": [0.9635562, 0.8356848],
    "kld": [1.071343, 0.9458137],
    "poisson": [1.057827, 1.00697],
    "cosine_proximity": [0.6013421, 0.6470684],
}


def trained(tf, optimizer, loss, metrics):
    """The history of a model with batch normalisation and a regularizer."""
    layers = tf.keras.layers
    tf.keras.backend.learning_phase()
    tf.set_random_seed(1)
    np.random.seed(0)
    inputs = tf.keras.Input((4,))
    hidden = layers.BatchNormalization()(layers.Dense(5, activation="tanh")(inputs))
    outputs = layers.Dense(2, kernel_regularizer="l2", activation="sigmoid")(hidden)
    model = tf.keras.Model(inputs, outputs)
    model.compile(optimizer, loss, metrics)
    x, y = np.random.rand(16, 4), np.random.randint(0, 2, (16, 2))
    return model.fit(x, y, batch_size=5, epochs=2, verbose=0).history


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_are_those_of_tensorflow(tf, name):
    history = trained(tf, name, "mse", ["mae"])
    np.testing.assert_allclose(history["loss"], OPTIMIZERS[name], rtol=1e-4)
    assert list(history) == ["loss", "mean_absolute_error"]


@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_those_of_tensorflow(tf, name):
    history = trained(tf, "sgd", name, ["accuracy"])
    np.testing.assert_allclose(history["loss"], LOSSES[name], rtol=1e-4)
    assert list(history) == ["loss", "acc"]


def test_a_classifier_prints_and_learns_as_in_tensorflow(tf, capsys):
    layers = tf.keras.layers
    tf.set_random_seed(1)
    np.random.seed(0)
    model = tf.keras.Sequential(
        [
            layers.Flatten(input_shape=(2, 3)),
            layers.Dense(4, activation="relu"),
            layers.Dropout(0.2),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.summary()
    model.compile("adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    x = np.random.rand(20, 2, 3).astype("f")
    y = np.random.randint(0, 3, 20)
    history = model.fit(x, y, epochs=3, batch_size=8, validation_split=0.2).history
    printed = capsys.readouterr().out
    assert "flatten (Flatten)            (None, 6)                 0         \n" in printed
    assert "Train on 16 samples, validate on 4 samples\nEpoch 1/3\n" in printed
    assert "16/16 [==============================]" in printed
    expected = [1.1381992101669312, 1.1410517692565918, 1.1421769857406616]
    np.testing.assert_allclose(history["loss"], expected, rtol=1e-6)
    np.testing.assert_allclose(history["val_loss"], [1.0839317, 1.0887743, 1.0939847], rtol=1e-6)
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0), [1.1229807, 0.3], rtol=1e-6)
    assert [w.name for w in model.weights][:2] == ["dense/kernel:0", "dense/bias:0"]


def test_callbacks_stop_and_change_the_rate(tf):
    keras = tf.keras
    model = keras.Sequential([keras.layers.Dense(1, input_shape=(2,))])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    x, y = np.ones((4, 2)), np.ones((4, 1))
    stop = keras.callbacks.EarlyStopping(monitor="loss", patience=1)
    assert len(model.fit(x, y, epochs=5, verbose=0, callbacks=[stop]).epoch) == 2
    rates = keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1))
    history = model.fit(x, y, epochs=2, verbose=0, callbacks=[rates]).history
    np.testing.assert_allclose(history["lr"], [0.1, 0.05])


def test_data_sets_and_generators_train(tf):
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(2,))])
    model.compile(tf.train.GradientDescentOptimizer(0.1), "mse", ["mae"])
    x, y = np.ones((8, 2), "f"), np.ones((8, 1), "f")
    pairs = tf.data.Dataset.from_tensor_slices((x, y)).batch(4).repeat()
    first = model.fit(pairs, steps_per_epoch=2, epochs=2, verbose=0).history["loss"]
    assert first[1] < first[0]

    def batches():
        while True:
            yield x[:4], y[:4]

    later = model.fit_generator(batches(), steps_per_epoch=2, epochs=1, verbose=0)
    assert later.history["loss"][0] < first[1]
    assert model.predict(x).shape == (8, 1)


def test_weights_travel_through_a_checkpoint(tf, tmp_path):
    def make():
        return tf.keras.Sequential([tf.keras.layers.Dense(3, input_shape=(2,))])

    one, two = make(), make()
    one.save_weights(str(tmp_path / "weights"))
    two.load_weights(str(tmp_path / "weights"))
    np.testing.assert_array_equal(one.get_weights()[0], two.get_weights()[0])
    again = tf.keras.models.model_from_json(one.to_json())
    assert again.layers[0].units == 3

"""DynamicRnnEstimator against the same network in NumPy; TensorFlow 1.15 reads its checkpoints."""

from itertools import islice

import numpy as np
import pytest

RNG = np.random.RandomState(0)
X = RNG.rand(6, 5).astype("f")
SUMS = np.cumsum(X, axis=1).astype("f")
LENGTHS = np.array([2, 5, 3, 1, 4, 5], "i")


@pytest.fixture
def rnn(tf):
    from tensorflow.contrib.learn.python.learn.estimators import constants, dynamic_rnn_estimator

    def make(multiple, tmp_path, **options):
        types = dynamic_rnn_estimator.PredictionType
        problem = "CLASSIFICATION" if "num_classes" in options else "LINEAR_REGRESSION"
        return dynamic_rnn_estimator.DynamicRnnEstimator(
            getattr(constants.ProblemType, problem),
            types.MULTIPLE_VALUE if multiple else types.SINGLE_VALUE,
            [tf.contrib.layers.real_valued_column("x")],
            num_units=3,
            model_dir=str(tmp_path),
            **options,
        )

    return make


def data(tf, labels, **features):
    def given():
        return {k: tf.constant(v) for k, v in {"x": X, **features}.items()}, tf.constant(labels)

    return given


def logits(made, start=0.0):
    """What the basic cell and the layer after it give, [batch, time, columns], and the state."""
    kernel, bias, weights, offset = (
        made.get_variable_value(name)
        for name in made.get_variable_names()
        if any(part in name for part in ("rnn/", "fully_connected"))
        if not name.endswith(("/Adam", "/Adam_1", "/Momentum"))
    )
    if kernel.ndim == 1:
        kernel, bias = bias, kernel
    if weights.ndim == 1:
        weights, offset = offset, weights
    if kernel.shape != (4, 3):
        kernel, bias, weights, offset = weights, offset, kernel, bias
    state = np.full((len(X), 3), start)
    found = []
    for t in range(X.shape[1]):
        state = np.tanh(np.concatenate([X[:, t : t + 1], state], 1) @ kernel + bias)
        found.append(state @ weights + offset)
    return np.stack(found, axis=1), state


def test_a_number_at_each_step(tf, rnn, tmp_path):
    made, given = rnn(True, tmp_path, optimizer="Momentum", momentum=0.9), data(tf, SUMS)
    made.fit(input_fn=given, steps=3)
    found, state = logits(made)
    rows = list(islice(made.predict(input_fn=given), len(X)))
    np.testing.assert_allclose([row["scores"] for row in rows], found[..., 0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        [row["rnn_cell_state_0"] for row in rows], state, rtol=1e-5, atol=1e-6
    )
    loss = made.evaluate(input_fn=given, steps=1)["loss"]
    assert loss == pytest.approx(np.mean((found[..., 0] - SUMS) ** 2), rel=1e-5)
    made.fit(input_fn=given, steps=60)
    assert made.evaluate(input_fn=given, steps=1)["loss"] < 0.7 * loss


def test_a_class_at_the_end_of_each_sequence(tf, rnn, tmp_path):
    labels = RNG.randint(0, 3, len(X)).astype("i")
    made = rnn(False, tmp_path, num_classes=3, predict_probabilities=True)
    start = {"rnn_cell_state_0": np.full((len(X), 3), 0.5, "f")}
    given = data(tf, labels, sequence_length=LENGTHS, **start)
    made.fit(input_fn=given, steps=2)
    last = logits(made, 0.5)[0][np.arange(len(X)), LENGTHS - 1]
    expected = np.exp(last) / np.exp(last).sum(1, keepdims=True)
    rows = list(islice(made.predict(input_fn=given), len(X)))
    np.testing.assert_allclose(
        [row["probabilities"] for row in rows], expected, rtol=1e-5, atol=1e-6
    )
    assert [row["classes"] for row in rows] == list(expected.argmax(1))
    found = made.evaluate(input_fn=given, steps=1)
    assert found["accuracy"] == pytest.approx(np.mean(expected.argmax(1) == labels))
    chosen = expected[np.arange(len(X)), labels]
    assert found["loss"] == pytest.approx(-np.log(chosen).mean(), rel=1e-5)


def test_one_of_two_classes_within_each_length(tf, rnn, tmp_path):
    labels = (SUMS > 1).astype("i")
    made = rnn(True, tmp_path, num_classes=2)
    given = data(tf, labels, sequence_length=LENGTHS)
    made.fit(input_fn=given, steps=2)
    found = logits(made)[0][..., 0]
    within = np.arange(X.shape[1]) < LENGTHS[:, None]
    scores, truth = found[within], labels[within]
    measured = made.evaluate(input_fn=given, steps=1)
    assert measured["accuracy"] == pytest.approx(np.mean((scores > 0) == truth))
    losses = np.logaddexp(0, scores) - scores * truth
    assert measured["loss"] == pytest.approx(losses.mean(), rel=1e-5)


def test_what_does_not_go_together_is_an_error(tf, rnn, tmp_path):
    with pytest.raises(ValueError, match="only be set to True for problem_type"):
        rnn(True, tmp_path, predict_probabilities=True)
    with pytest.raises(ValueError, match="num_classes must be specified"):
        rnn(True, tmp_path, num_classes=0)
    with pytest.raises(ValueError, match="supported cell types"):
        rnn(True, tmp_path, cell_type="gated").fit(input_fn=data(tf, SUMS), steps=1)
    with pytest.raises(ValueError, match="one greater than the number of cells"):
        made = rnn(True, tmp_path, dropout_keep_probabilities=[0.5])
        made.fit(input_fn=data(tf, SUMS), steps=1)

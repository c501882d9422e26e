"""The CTC cost and the label error rate of models of sequences."""

import numpy as np
import pytest

from anode import layers as nn
from anode import ops
from anode.data.ctc import greedy
from anode.errors import ShapeError
from anode.ir.graph import close, fresh_inputs
from anode.ir.types import tensor
from anode.ops.evaluate import evaluate

RANDOM = np.random.default_rng(0)
STEPS, CLASSES = 7, 4
X = RANDOM.normal(size=(3, STEPS, 5)).astype(np.float32)
TIMES = np.array([7, 5, 4], np.int32)
LABELS = np.array([[1, 2, 1], [3, 0, 0], [2, 2, 0]], np.int32)
COUNTS = np.array([3, 1, 2], np.int32)


def direct(scores, times=TIMES, labels=LABELS, counts=COUNTS, **options):
    """The op itself, on the reference."""
    arrays = (np.moveaxis(scores, 1, 0), labels, times, counts)
    inputs = fresh_inputs(*(tensor(a.dtype, *a.shape) for a in arrays))
    return evaluate(close(inputs, [ops.ctc_loss(*inputs, **options)]), arrays)[0][0]


def network():
    return nn.Model([nn.Linear(CLASSES)], seed=1)


def test_the_cost_of_sequences_with_lengths():
    model = network()
    scores = model.predict((X, TIMES))
    assert scores.shape == (3, STEPS, CLASSES)
    expected = direct(scores).mean()
    found = model.eval([((X, TIMES), (LABELS, COUNTS))], nn.CTC())
    assert found["CTC"] == pytest.approx(expected, rel=1e-5)
    step = model.training_step(nn.CTC(), nn.GradientDescentMomentum(0.1))
    assert float(step((X, TIMES), (LABELS, COUNTS))) == pytest.approx(expected, rel=1e-5)
    assert float(step((X, TIMES), (LABELS, COUNTS))) < expected


def test_without_lengths_all_steps_count():
    model = nn.Model([nn.Masking(None), nn.Linear(CLASSES)])
    expected = direct(model.predict(X), np.full(3, STEPS, np.int32)).mean()
    assert model.eval([(X, (LABELS, COUNTS))], nn.CTC())["CTC"] == pytest.approx(expected, rel=1e-5)


def test_what_lies_beyond_the_lengths_does_not_matter():
    model = nn.Model(
        [nn.Conv((3, 6), strides=2, padding=1, activation=nn.Rectlin()), nn.Linear(CLASSES)], seed=1
    )
    other = X.copy()
    for row, count in zip(other, TIMES, strict=True):
        row[count:] = 1e3
    targets = LABELS[:, :2], np.array([1, 1, 1], np.int32)
    costs = [model.eval([((x, TIMES), targets)], nn.CTC())["CTC"] for x in (X, other)]
    assert costs[0] == costs[1]
    alone = [
        model.eval([((x[None, :n], np.array([n])), (t[None], np.array([1])))], nn.CTC())["CTC"]
        for x, n, t in zip(X, TIMES, targets[0], strict=True)
    ]
    assert costs[0] == pytest.approx(np.mean(alone), rel=1e-5)


def test_pooling_shortens_sequences():
    model = nn.Model([nn.Pooling((2,)), nn.Linear(CLASSES)], seed=1)
    scores = model.predict((X, TIMES))
    assert scores.shape == (3, 3, CLASSES)
    once = LABELS, np.array([1, 1, 1], np.int32)
    expected = direct(scores, TIMES // 2, *once).mean()
    assert model.eval([((X, TIMES), once)], nn.CTC())["CTC"] == pytest.approx(expected, rel=1e-5)


def test_impossible_labels():
    targets = LABELS, np.array([3, 1, 2], np.int32)
    times = np.array([7, 5, 2], np.int32)  # 2, 2 needs a blank between
    model = network()
    assert model.eval([((X, times), targets)], nn.CTC())["CTC"] == np.inf
    finite = model.eval([((X, times), targets)], nn.CTC(zero_infinity=True))["CTC"]
    two = model.eval([((X[:2], times[:2]), (LABELS[:2], COUNTS[:2]))], nn.CTC())["CTC"]
    assert finite == pytest.approx(two * 2 / 3, rel=1e-5)
    step = model.training_step(nn.CTC(), nn.GradientDescentMomentum(0.1))
    assert step((X, times), targets) == np.inf
    assert np.isfinite(model.state.named("Linear_0.weight")).all()


def test_the_error_rate():
    model = network()
    rate = nn.LabelErrorRate()
    data = [((X, TIMES), (LABELS, COUNTS)), ((X[:1], TIMES[:1]), (LABELS[:1], COUNTS[:1]))]
    from anode.data.transcripts import label_error_rate

    heard, said = [], []
    for (x, times), (labels, counts) in data:
        heard += [greedy(row[:n]) for row, n in zip(model.predict((x, times)), times, strict=True)]
        said += [tuple(row[:n]) for row, n in zip(labels, counts, strict=True)]
    assert model.eval(data, rate) == {"LabelErrorRate": label_error_rate(heard, said)}
    right = nn.Model([nn.Activation(lambda x: x)])
    path = np.eye(CLASSES, dtype=np.float32)[[[1, 1, 0, 2, 1, 0, 3]]]
    found = right.eval([((path, np.array([6])), (LABELS[:1], COUNTS[:1]))], rate)
    assert found == {"LabelErrorRate": 0.0}
    shorter = right.eval([((path[:, :4], np.array([2])), (LABELS[:1], COUNTS[:1]))], rate)
    assert shorter == {"LabelErrorRate": pytest.approx(2 / 3)}


def test_the_error_rate_of_words():
    path = [2, 0, 2, 1, 0, 1, 3, 2, 1, 2]  # 22 32 2, where 1 is between words
    scores = np.eye(CLASSES, dtype=np.float32)[[path]]
    labels = np.array([[2, 2, 1, 3, 1, 3, 2]])  # 22 3 32
    data = [((scores, np.array([10])), (labels, np.array([7])))]
    model = nn.Model([nn.Activation(lambda x: x)], backend="reference")
    assert model.eval(data, nn.WordErrorRate()) == {"WordErrorRate": pytest.approx(2 / 3)}


def test_sequences_of_any_length_share_a_model():
    model = network()
    whole = model.predict((X, TIMES))
    np.testing.assert_allclose(model.predict((X[:, :5], np.array([5, 5, 4]))), whole[:, :5], 1e-5)
    with pytest.raises(ShapeError, match="was built for rows"):
        model.predict((X[:, :, :3], TIMES))


class Halved(nn.Layer):
    def build(self, x):
        return x[:, ::2]


def test_messages():
    targets = LABELS, COUNTS
    with pytest.raises(ShapeError, match="pair of targets"):
        network().eval([((X, TIMES), LABELS)], nn.CTC())
    with pytest.raises(ShapeError, match="leave out Softmax"):
        nn.Model([nn.Linear(CLASSES), nn.Activation(nn.Softmax())]).eval(
            [((X, TIMES), targets)], nn.CTC()
        )
    with pytest.raises(ShapeError, match="without set_lengths"):
        nn.Model([nn.Linear(CLASSES), Halved()]).eval([((X, TIMES), targets)], nn.CTC())
    with pytest.raises(ShapeError, match=r"CTC takes outputs \(batch, steps, classes\)"):
        nn.Model([nn.Flatten(), nn.Linear(CLASSES)]).eval([(X, targets)], nn.CTC())
    with pytest.raises(ShapeError, match="a tuple of inputs is of sequences"):
        network().predict((X, X))
    with pytest.raises(ShapeError, match="CrossEntropyMulti takes one array of targets"):
        network().eval([((X, TIMES), targets)], nn.CrossEntropyMulti())


def test_convolutions_over_steps_and_bands():
    """Padded rows of a net like Deep Speech 2 give what they give alone."""
    model = nn.Model(
        [
            nn.Conv((3, 3, 4), strides=(2, 1), padding=1, batch_norm=True, activation=nn.Rectlin()),
            nn.Reshape((-1, 5 * 4)),
            nn.BiGRU(3),
            nn.Affine(CLASSES, bias=0.0),
        ],
        backend="reference",
    )
    together = model.predict((X, TIMES))
    assert together.shape == (3, 4, CLASSES)
    for i, n in enumerate(TIMES):
        alone = model.predict((X[i : i + 1, :n], TIMES[i : i + 1]))[0]
        np.testing.assert_allclose(together[i, : len(alone)], alone, atol=1e-6)


def test_saving_and_loading(tmp_path):
    data = [((X, TIMES), (LABELS, COUNTS))]
    models = [nn.Model([nn.Linear(CLASSES)], seed=i, backend="reference") for i in range(2)]
    models[0].fit(data, nn.CTC(), nn.Adam(0.1), 2)
    models[0].save(tmp_path / "m")
    models[1].load(tmp_path / "m")
    for model in models:
        model.fit(data, nn.CTC(), nn.Adam(0.1), 4)
    assert models[0].history.costs == models[1].history.costs
    assert models[0].history.costs[-1] < models[0].history.costs[0]

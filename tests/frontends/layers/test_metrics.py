import numpy as np
import pytest

from anode import layers as nn
from anode import ops
from anode.data import Batches
from anode.errors import DataError, ShapeError

RNG = np.random.default_rng(0)
Y = RNG.random((7, 4)).astype(np.float32)
Y /= Y.sum(1, keepdims=True)
LABELS = np.array([0, 1, 2, 3, 0, 1, 2])
HOT = np.eye(4, dtype=np.uint8)[LABELS]
CHOSEN = Y.argmax(1)


def measure(metric, t=LABELS, y=Y, backend="reference", size=3):
    model = nn.Model([nn.Identity()], backend=backend)
    return model.eval(Batches((y, t), size, last="keep"), metric)


@pytest.mark.parametrize("t", [LABELS, LABELS.astype(np.uint8), LABELS[:, None], HOT])
def test_accuracy(t, backend):
    wanted = (CHOSEN == LABELS).mean()
    assert measure(nn.Accuracy(), t, backend=backend) == {"Accuracy": pytest.approx(wanted)}
    assert measure(nn.Misclassification(), t) == {"Top1Misclass": pytest.approx(1 - wanted)}


def test_log_loss(backend):
    wanted = -np.log(Y[np.arange(7), LABELS]).mean()
    assert measure(nn.LogLoss(), backend=backend)["LogLoss"] == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_top_k(k, backend):
    found = measure(nn.TopKMisclassification(k), backend=backend)
    rank = (Y[np.arange(7), LABELS][:, None] < Y).sum(1)
    assert found["Top1Misclass"] == pytest.approx((rank > 0).mean(), rel=1e-5)
    assert found[f"Top{k}Misclass"] == pytest.approx((rank >= k).mean(), rel=1e-5)
    assert found["LogLoss"] == pytest.approx(measure(nn.LogLoss())["LogLoss"], rel=1e-5)


def test_ties_share_the_last_place():
    y = np.array([[0.4, 0.2, 0.2, 0.2]], np.float32)
    t = np.array([1])
    found = measure(nn.TopKMisclassification(2), t, y)
    assert found["Top1Misclass"] == 1 and found["Top2Misclass"] == pytest.approx(2 / 3)
    assert measure(nn.TopKMisclassification(4), t, y)["Top4Misclass"] == 0


def test_what_is_not_a_number_is_not_right(backend):
    y, t = np.full((3, 4), np.nan, np.float32), np.array([0, 1, 2])
    y[1] = [0.1, 0.7, 0.1, 0.1]
    found = measure(nn.TopKMisclassification(2), t, y, backend=backend)
    assert found["Top1Misclass"] == found["Top2Misclass"] == pytest.approx(2 / 3)
    assert np.isnan(found["LogLoss"])


def test_precision_and_recall(backend):
    found = measure(nn.PrecisionRecall(4, binarize=True), backend=backend)
    chosen = np.eye(4)[CHOSEN]
    hits = (chosen * HOT).sum(0)
    assert found["Precision"] == pytest.approx((hits / (chosen.sum(0) + 1e-6)).mean(), rel=1e-5)
    assert found["Recall"] == pytest.approx((hits / (HOT.sum(0) + 1e-6)).mean(), rel=1e-5)
    raw = measure(nn.PrecisionRecall(4))
    assert raw["Recall"] == pytest.approx(((Y * HOT).sum(0) / (HOT.sum(0) + 1e-6)).mean(), rel=1e-5)
    with pytest.raises(ShapeError, match=r"PrecisionRecall\(3\): the output is f32\[3,4\]"):
        measure(nn.PrecisionRecall(3))


def test_a_single_output_counts_from_one_half():
    y = np.array([[0.2], [0.7], [0.6]], np.float32)
    assert measure(nn.Accuracy(), np.array([0, 1, 0]), y)["Accuracy"] == pytest.approx(2 / 3)


def test_several_at_once_and_costs():
    found = measure([nn.Accuracy(), nn.CrossEntropyMulti()])
    assert found["CrossEntropyMulti"] == pytest.approx(
        -np.log(Y[np.arange(7), LABELS]).mean(), rel=1e-5
    )
    assert list(found) == ["Accuracy", "CrossEntropyMulti"]


@pytest.mark.parametrize("size", [1, 2, 7])
def test_any_batch_size_gives_the_same(size):
    metrics = [nn.TopKMisclassification(2), nn.PrecisionRecall(4, True), nn.MeanSquared()]
    assert measure(metrics, size=size) == pytest.approx(measure(metrics), rel=1e-5)


def test_a_metric_of_ones_own():
    class Largest(nn.Metric):
        def sums(self, y, t):
            return ops.reshape(ops.sum(ops.max(y, axis=1)), shape=(1,))

    assert measure(Largest())["Largest"] == pytest.approx(Y.max(1).mean())


def test_data_stay_where_they_are():
    data = Batches((Y, LABELS), 3, last="keep")
    data.position = (2, 1)
    model = nn.Model([nn.Identity()], backend="reference")
    assert model.eval(data, nn.Accuracy())["Accuracy"] == pytest.approx((CHOSEN == LABELS).mean())
    assert data.position == (2, 1)
    assert model.get_outputs(data).shape == (7, 4)
    with pytest.raises(DataError, match="no minibatch"):
        model.eval([], nn.Accuracy())

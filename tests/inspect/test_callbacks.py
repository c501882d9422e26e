"""Callbacks that draw: what excites feature maps, and histograms of weights."""

import re
from base64 import b64decode
from io import BytesIO

import numpy as np
import pytest

from anode import layers as nn
from anode.errors import DataError, GraphError, UnsupportedOp
from anode.inspect.callbacks import GuidedPictures, WeightHistograms, guided_features
from anode.inspect.sheets import feature_sheet, histogram_sheet

PIL = pytest.importorskip("PIL.Image")
X = np.random.default_rng(0).integers(0, 255, (12, 10, 10), np.uint8)
Y = np.arange(12) % 3
COST, OPTIMIZER = nn.CrossEntropyMulti(), nn.Adam(0.01)


def network():
    return nn.Model(
        [
            nn.Conv((3, 3, 4), bias=0.0, activation=nn.Rectlin(), name="conv1"),
            nn.MergeSum([nn.SkipNode(), nn.Conv((3, 3, 4), padding=1, activation=nn.Rectlin())]),
            nn.Pooling(2),
            nn.Affine(3, bias=0.0, activation=nn.Softmax()),
        ],
        preprocess=nn.unit_range,
    )


def size(path):
    with PIL.open(path) as image:
        return image.size


def test_guided_features_are_where_the_map_looks():
    model = network()
    model.build(X)
    weight = np.zeros((3, 3, 1, 4), np.float32)
    weight[1, 1, 0] = 1  # feature maps that see one pixel
    model.state[model.state.variable("conv1.weight")] = weight
    features = guided_features(model, model.layers[0], X, range(9))
    assert [feature.index for feature in features] == [0, 1, 2, 3]
    inner = X[:, 1:-1, 1:-1]
    for feature in features:
        assert feature.activation == pytest.approx(inner.max() / 255)
        assert np.count_nonzero(feature.guided) == 1
        brightest = np.unravel_index(np.argmax(feature.guided), feature.guided.shape)
        assert feature.image[brightest] == feature.activation


def test_a_layer_inside_others_and_one_without_images():
    model = network()
    model.build(X)
    inner = model.select("mergesum convolution")[0]
    assert len(guided_features(model, inner, X, [0, 2])) == 2
    with pytest.raises(DataError, match="are no images and feature maps"):
        guided_features(model, model.select("linear")[0], X, [0])


def test_sheets_while_training(tmp_path):
    callbacks = [
        GuidedPictures(X, tmp_path / "f{epoch}.png", features=3),
        GuidedPictures(X, tmp_path / "f.html", "#conv1", features=2, every=2),
        WeightHistograms(tmp_path / "w{epoch}.html", every=2),
        WeightHistograms(tmp_path / "w.png", "linear", bins=5),
    ]
    model = network()
    model.fit([(X, Y)] * 2, COST, OPTIMIZER, 2, callbacks)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "f.html", "f1.png", "f2.png", "w.png", "w2.html",
    ]  # fmt: skip
    assert size(tmp_path / "f1.png") == size(tmp_path / "f2.png")
    page = (tmp_path / "w2.html").read_text()
    assert "model, epoch 2" in page
    (data,) = re.findall(r"base64,([^\"]+)", page)
    assert PIL.open(BytesIO(b64decode(data))).size[0] > 500
    assert (tmp_path / "f.html").read_text().count("<h2>conv1</h2>") == 1


def test_training_is_the_same_with_and_without(tmp_path):
    costs = []
    for callbacks in ([], [WeightHistograms(tmp_path / "w.png")]):
        model = network()
        model.fit([(X, Y)] * 2, COST, OPTIMIZER, 2, callbacks)
        costs.append(model.history.costs)
    assert costs[0] == costs[1]


@pytest.mark.parametrize(
    ("callback", "message"),
    [
        (lambda p: WeightHistograms(p / "w.png", "pooling"), "pooling finds no parameter"),
        (lambda p: GuidedPictures(X, p / "w.png", "op|relu"), "finds no layer"),
    ],
)
def test_selectors_that_find_nothing(tmp_path, callback, message):
    with pytest.raises(GraphError, match=message):
        network().fit([(X, Y)], COST, OPTIMIZER, 1, [callback(tmp_path)])


def test_other_endings_and_nothing_to_draw(tmp_path):
    model = network()
    model.build(X)
    features = {"conv1": guided_features(model, model.layers[0], X, [0])}
    with pytest.raises(UnsupportedOp, match=r"written as \.png or \.html"):
        feature_sheet(features, tmp_path / "x.gif")
    with pytest.raises(DataError, match="no parameters to draw"):
        histogram_sheet({}, tmp_path / "x.png")

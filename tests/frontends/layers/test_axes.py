"""Named axes: lengths that agree, names that stay, and errors with the lines of both."""

import re

import numpy as np
import pytest

from anode import layers as nn
from anode import ops
from anode.errors import ShapeError

LINE = r" \(.*test_axes.py:\d+\)"


def built(layers, *shape):
    model = nn.Model(layers)
    model.build(np.zeros(shape, np.float32))
    return model


def test_an_axis_is_a_size_with_a_name():
    digit = nn.Axis("digit", 10)
    model = built([nn.Axes("pixel"), nn.Affine(digit, bias=0.0, activation=nn.Softmax())], 2, 30)
    assert model.state.named("Linear_0.weight").shape == (30, 10)
    assert model.select("[axes~=digit]").names == ["Linear_0", "Bias_0", "Activation_0"]
    assert model.select("[axes~=pixel]").names == ["Axes_0"]


def test_names_stay_where_dims_do():
    model = built(
        [
            nn.Axes("height", "width", nn.Axis("colour", 3)),
            nn.Conv((3, 3, nn.Axis("maps", 8)), padding="SAME", activation=nn.Rectlin()),
            nn.Pooling((2, 1)),
            nn.Conv((3, 3, 8)),
        ],
        *(2, 6, 6, 3),
    )
    axes = {e.name: e.attributes["axes"] for e in model.select("layer").elements}
    assert axes["Activation_0"] == ("height", "width", "maps")
    assert axes["Pooling_0"] == ("width", "maps")  # the height is another one
    assert axes["Convolution_1"] == ()


def test_names_change_nothing_that_is_computed():
    x = np.random.default_rng(0).random((4, 6), np.float32)
    plain = nn.Model([nn.Affine(5, bias=0.0), nn.Affine(2)])
    named = nn.Model([nn.Axes("f"), nn.Affine(nn.Axis("h", 5), bias=0.0), nn.Affine(2)])
    np.testing.assert_array_equal(plain.predict(x), named.predict(x))


def test_a_layer_finds_a_dim_by_its_name():
    class MeanOver(nn.Layer):
        def __init__(self, axis):
            self.over = axis

        def build(self, x):
            return ops.mean(x, axis=self.dim(x, self.over))

    layers = [nn.Axes("time", "feature"), MeanOver("time")]
    x = np.random.default_rng(0).random((2, 5, 3), np.float32)
    np.testing.assert_allclose(nn.Model(layers).predict(x), x.mean(axis=1), rtol=1e-6)
    with pytest.raises(ShapeError, match="has no axis 'space'; it has time, feature"):
        built([nn.Axes("time", "feature"), MeanOver("space")], 2, 5, 3)
    with pytest.raises(ShapeError, match="it has no named axis"):
        built([MeanOver("space")], 2, 5, 3)


ERRORS = {
    "the data": (
        lambda: [nn.Axes(nn.Axis("height", 28), "width")],
        rf"Axes_0: axis 'height' is 28{LINE}, but 6 here",
    ),
    "two lengths of one name": (
        lambda: [nn.Axes("time", "feature"), nn.Affine(nn.Axis("time", 9))],
        rf"Linear_0: axis 'time' is 6{LINE}, but 9 here{LINE}",
    ),
    "another name": (
        lambda: [nn.Axes("time", "feature"), nn.Bias(), nn.Axes("time", "word")],
        rf"Axes_1: dim 2 of f32\[2,6,3\] is 'feature'{LINE}, not 'word'{LINE}",
    ),
    "another rank": (
        lambda: [nn.Axes("time")],
        r"Axes_0: f32\[2,6,3\] has 2 dims after the batch, not time",
    ),
}


@pytest.mark.parametrize(("layers", "message"), ERRORS.values(), ids=ERRORS)
def test_mismatches_name_the_lines(layers, message):
    with pytest.raises(ShapeError, match=message):
        built(layers(), 2, 6, 3)


def test_what_is_wrong_where_it_is_written():
    with pytest.raises(ShapeError, match="two axes are called 'time'"):
        nn.Axes("time", "time")
    with pytest.raises(ShapeError, match=re.escape("axis 'h': 0 is no length")):
        nn.Axis("h", 0)
    with pytest.raises(ShapeError, match=rf"Linear makes the axis 'h'; give it a length{LINE}"):
        nn.Affine(nn.Axis("h"))
    with pytest.raises(ShapeError, match="Convolution makes the axis 'h'"):
        nn.Conv((3, 3, nn.Axis("h")))


def test_lengths_are_of_one_build():
    """Sequences of another length bind the axis anew."""
    state = nn.Axis("state", 4)
    layers = [nn.Axes("time", "feature"), nn.LSTM(state), nn.Axes("time", "state")]
    model = nn.Model([*layers, nn.RecurrentLast(), nn.Affine(2)])
    for steps in (5, 7):
        assert model.predict(np.zeros((2, steps, 3), np.float32)).shape == (2, 2)
    assert model.select("lstm").elements[0].attributes["axes"] == ("time", "state")


@pytest.mark.parametrize("kind", [nn.Recurrent, nn.GRU])
def test_recurrent_layers_take_an_axis(kind):
    model = built([kind(nn.Axis("state", 4))], 2, 5, 3)
    assert model.select("[axes~=state]").names == [f"{kind.__name__}_0"]

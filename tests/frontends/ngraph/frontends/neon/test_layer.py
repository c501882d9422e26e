"""Arguments and errors of layers; their numbers are in test_training.py."""

import numpy as np
import pytest

from anode.frontends import ngraph as ng
from anode.frontends.ngraph.frontends.neon.activation import Explin, Normalizer, Rectlinclip, Tanh
from anode.frontends.ngraph.frontends.neon.axis import ax
from anode.frontends.ngraph.frontends.neon.initializer import ConstantInit
from anode.frontends.ngraph.frontends.neon.layer import (
    Affine,
    BatchNorm,
    BiRNN,
    Convolution,
    Deconvolution,
    Dropout,
    Layer,
    Linear,
    LookupTable,
    Pooling,
)
from anode.frontends.ngraph.op_graph.axes import IncompatibleAxesError
from anode.frontends.ngraph.testing import executor

C, H, W, N = (ng.make_axis(i, name=n) for i, n in enumerate("CHWN", 3))
ONE = ConstantInit(1)


def ran(op, *parameters):
    with executor(op, *parameters[::2]) as computation:
        return computation(*parameters[1::2])


def image():
    return ng.placeholder([N, C, H, W])


def lengths(op):
    return dict(zip(op.axes.names, op.axes.lengths, strict=True))


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (Convolution((3, 3, 7), ONE), {"N": 6, "C": 7, "H": 2, "W": 3}),
        (Convolution({"W": 2, "K": 7}, ONE, padding="same"), {"N": 6, "C": 7, "H": 4, "W": 5}),
        (Convolution((2, 2, 7), ONE, strides={"H": 2, "W": 3}), {"N": 6, "C": 7, "H": 2, "W": 2}),
        (Convolution((3, 3, 7), ONE, padding=(1, 0)), {"N": 6, "C": 7, "H": 3, "W": 4}),
        (Deconvolution((3, 3, 7), ONE, strides=2), {"N": 6, "C": 7, "H": 9, "W": 11}),
        (
            Deconvolution((3, 3, 7), ONE, strides=2, deconv_out_shape=(None, 8, 10)),
            {"N": 6, "C": 7, "H": 8, "W": 10},
        ),
        (Pooling((2, 2), strides=2), {"N": 6, "C": 3, "H": 2, "W": 2}),
        (Pooling((3, 1, 1, 1), pool_type="AVG"), {"N": 6, "C": 1, "H": 4, "W": 5}),
    ],
)
def test_images_keep_their_order(layer, expected):
    out = layer(image())
    assert lengths(out) == expected and list(out.axes.names) == list(expected)


def test_convolution_over_time():
    time = ng.make_axis(5, name="time")
    out = Convolution((2, 4), ONE)(ng.placeholder([C, time, N]), spatial_axes={"W": "time"})
    assert lengths(out) == {"C": 4, "time": 4, "N": 6}


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: Convolution((3,), ONE), ValueError, "2 to 4 numbers"),
        (lambda: Convolution((1, 2), ONE, batch_norm=True, bias_init=ONE), ValueError, "bias"),
        (lambda: Affine(ONE, 2, batch_norm=True, bias_init=ONE), ValueError, "bias"),
        (lambda: Pooling((2, 2), pool_type="sum"), ValueError, "'max' or 'avg'"),
        (lambda: Linear(ONE), ValueError, "neither nout nor axes"),
        (lambda: Linear(ONE, nout=2, axes=[C]), ValueError, "nout is None"),
        (lambda: Linear(ONE, axes=[C, N]), ValueError, "those of features"),
        (lambda: Linear(ONE, axes=[C], keep_axes=[C]), IncompatibleAxesError, "share"),
        (lambda: BiRNN(2, ONE, sum_out=True, concat_out=True), ValueError, "both"),
    ],
)
def test_errors(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_an_input_of_other_channels():
    layer = Convolution((1, 1, 2), ONE)
    layer(image())
    with pytest.raises(ValueError, match="has filters with the axes"):
        layer(ng.placeholder([N, ng.make_axis(9, name="C"), H, W]))


def test_linear_keeps_axes():
    x = ng.placeholder([C, H, N])
    out = Linear(ONE, nout=2, keep_axes=[H, N])(x)
    assert out.axes.lengths == (2, 4, 6)
    np.testing.assert_allclose(ran(out, x, np.ones((3, 4, 6))), np.full((2, 4, 6), 3))


def test_look_up_table_keeps_the_padding_at_zero():
    steps = ng.make_axis(2, name="REC")
    words = ng.placeholder([N, steps])
    out = LookupTable(4, 3, lambda axes: np.ones(axes.lengths), pad_idx=2)(words)
    assert out.axes.names == ("F", "REC", "N")
    found = ran(out, words, np.array([[0, 2]] * 6))
    assert (found[:, 0] == 1).all() and (found[:, 1] == 0).all()


def test_look_up_table_names_a_word_that_it_lacks():
    words = ng.placeholder([N, ng.make_axis(2, name="REC")])
    out = LookupTable(4, 3, lambda axes: np.ones(axes.lengths))(words)
    with pytest.raises(IndexError, match=r"index 4 is outside of 0 to 3"):
        ran(out, words, np.array([[0, 4]] * 6))


def test_dropout_has_a_mask_for_each_sample():
    x = ng.placeholder([C, N])
    layer = Dropout(0.5)
    np.random.seed(0)
    found = ran(layer(x), x, np.ones((3, 6)))
    assert set(found.ravel()) == {0, 1} and len({tuple(column) for column in found.T}) > 1
    with Layer.inference_mode_on():
        assert (ran(layer(x), x, np.ones((3, 6))) == 0.5).all()


def test_batch_norm_tuned_to_a_plain_mean():
    x, i = ng.placeholder([ng.make_axis(2, name="F"), N]), ng.placeholder(())
    layer = BatchNorm()
    out = layer(x)
    tune = layer.set_tuning_iteration(i)
    rows = [np.full((2, 6), value) for value in (1.0, 2.0, 6.0)]
    with executor(ng.sequential([tune, out, layer.gmean]), x, i) as step:
        means = [step(row, number) for number, row in enumerate(rows)]
    np.testing.assert_allclose(means[-1], [3, 3], rtol=1e-6)


def test_activations():
    x = ng.placeholder([C])
    given = np.array([-1.0, 0.5, 30.0])
    for activation, expected in (
        (Rectlinclip(slope=0.1), [-0.1, 0.5, 20]),
        (Explin(2), [2 * (np.exp(-1) - 1), 0.5, 30]),
        (Normalizer(2), given / 2),
        (Tanh(), np.tanh(given)),
    ):
        np.testing.assert_allclose(ran(activation(x), x, given), expected, rtol=1e-6)


def test_the_axes_of_the_frontend():
    assert (ax.N.name, ax.REC.name, ax.Y.name) == ("N", "REC", "Y")


def test_look_up_table_without_padding_starts_at_zero():
    words = ng.placeholder([N])
    out = LookupTable(4, 3, lambda axes: np.ones(axes.lengths))(words)
    assert (ran(out, words, np.arange(6) % 4) == 0).all()

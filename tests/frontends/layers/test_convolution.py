"""Layers of images against sums written out."""

import numpy as np
import pytest

from anode import layers as nn
from anode.errors import ShapeError

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((2, 7, 6, 4)).astype(np.float32)


def outputs(layers, x=X, **options):
    return nn.Model(layers, backend="reference", **options).predict(x)


def correlated(x, w, strides=(1, 1), pad=((0, 0), (0, 0)), dilation=(1, 1), groups=1):
    """The convolution of x (n, h, w, c) with w (kh, kw, c / groups, o), in float64."""
    x = np.pad(x.astype(float), ((0, 0), *pad, (0, 0)))
    kh, kw, inner, filters = w.shape
    height = (x.shape[1] - (kh - 1) * dilation[0] - 1) // strides[0] + 1
    width = (x.shape[2] - (kw - 1) * dilation[1] - 1) // strides[1] + 1
    y = np.zeros((len(x), height, width, filters))
    for i in range(height):
        for j in range(width):
            top, left = i * strides[0], j * strides[1]
            window = x[:, top :: dilation[0], left :: dilation[1]][:, :kh, :kw]
            for f in range(filters):
                first = f // (filters // groups) * inner
                part = window[..., first : first + inner]
                y[:, i, j, f] = (part * w[..., f]).sum((1, 2, 3))
    return y


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {}),
        ({"strides": 2, "padding": 1}, {"strides": (2, 2), "pad": ((1, 1), (1, 1))}),
        ({"strides": {"str_h": 2}}, {"strides": (2, 1)}),
        ({"padding": {"pad_w": 2}}, {"pad": ((0, 0), (2, 2))}),
        ({"padding": "SAME", "strides": 2}, {"strides": (2, 2), "pad": ((1, 1), (0, 1))}),
        ({"padding": [(0, 1), (2, 0)]}, {"pad": ((0, 1), (2, 0))}),
        ({"dilation": (2, 1)}, {"dilation": (2, 1)}),
        ({"groups": 2}, {"groups": 2}),
        ({"groups": 4}, {"groups": 4}),
    ],
    ids=str,
)
def test_convolution(options, expected):
    groups = options.get("groups", 1)
    w = RANDOM.standard_normal((3, 3, 4 // groups, 8)).astype(np.float32)
    found = outputs([nn.Convolution((3, 3, 8), init=w, **options)])
    np.testing.assert_allclose(found, correlated(X, w, **expected), rtol=1e-4, atol=1e-4)


def test_one_and_three_dims():
    w = RANDOM.standard_normal((2, 4, 3)).astype(np.float32)
    found = outputs([nn.Convolution((2, 3), init=w)], X[:, :, 0])
    wanted = correlated(X[:, :, :1], w[:, None])[:, :, 0]
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
    flat = RANDOM.standard_normal((1, 2, 2, 4, 3)).astype(np.float32)
    volume = outputs([nn.Convolution((1, 2, 2, 3), init=flat)], X[:, None])
    np.testing.assert_allclose(volume[:, 0], correlated(X, flat[0]), rtol=1e-4, atol=1e-4)


def test_grey_images_have_one_channel():
    images = X[..., 0]
    w = RANDOM.standard_normal((3, 3, 1, 2)).astype(np.float32)
    layers = [nn.Convolution((3, 3, 2), init=w)]
    assert np.array_equal(outputs(layers, images), outputs(layers, images[..., None]))


def test_channels_first_images_are_turned():
    layers = [nn.Convolution((3, 3, 2), init=nn.Kaiming())]
    turned = np.ascontiguousarray(np.moveaxis(X, -1, 1))
    assert np.array_equal(outputs(layers, turned, data_format="channels_first"), outputs(layers))
    with pytest.raises(ShapeError, match="data_format 'NCHW' is none of channels_last"):
        nn.Model(layers, data_format="NCHW")


@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("padding", [0, 1, "SAME"])
def test_deconvolution_is_the_adjoint_of_convolution(strides, padding):
    """⟨conv(x), y⟩ = ⟨x, deconv(y)⟩."""
    w = RANDOM.standard_normal((3, 3, 4, 5)).astype(np.float32)
    x = RANDOM.standard_normal((2, 7, 7, 4)).astype(np.float32)
    if padding == "SAME":
        x = x[:, :6, :6]
    forward = outputs([nn.Convolution((3, 3, 5), strides, padding, init=w)], x)
    y = RANDOM.standard_normal(forward.shape).astype(np.float32)
    back = outputs([nn.Deconvolution((3, 3, 4), strides, padding, init=w)], y)
    assert back.shape == x.shape
    assert float((forward * y).sum()) == pytest.approx(float((x * back).sum()), rel=1e-4)


def test_deconvolution_may_pad_its_output():
    layer = nn.Deconvolution((3, 3, 1), strides=2, padding=1, output_padding=1)
    assert outputs([layer]).shape == (2, 14, 12, 1)


def test_pooling():
    windows = X[:, :6].reshape(2, 3, 2, 3, 2, 4)
    np.testing.assert_array_equal(outputs([nn.Pooling(2)]), windows.max((2, 4)))
    average = outputs([nn.Pooling((2, 2), op="avg")])
    np.testing.assert_allclose(average, windows.mean((2, 4)), rtol=1e-5, atol=1e-6)
    norm = outputs([nn.Pooling(2, op="l2")])
    np.testing.assert_allclose(norm, np.sqrt((windows**2).sum((2, 4))), rtol=1e-5)


def test_pooling_of_grey_images_and_sequences():
    found = outputs([nn.Pooling(2)], X[..., 0])
    assert np.array_equal(found, outputs([nn.Pooling(2)])[..., :1])
    sequences = outputs([nn.Pooling((2,))], X[:, :6, 0])
    assert np.array_equal(sequences, X[:, :6, 0].reshape(2, 3, 2, 4).max(2))
    assert np.array_equal(outputs([nn.Pooling("all")], X[:, :, 0]), X[:, :, 0].max(1)[:, None])


def test_pooling_rounds_up_and_counts_as_caffe_does():
    """Caffe divides by the window cut at the padding's end."""
    assert outputs([nn.Pooling(2, ceil=True)]).shape == (2, 4, 3, 4)
    last = outputs([nn.Pooling(2, op="avg", ceil=True)])[:, 3, 0]
    np.testing.assert_allclose(last, X[:, 6, :2].mean(1), rtol=1e-5, atol=1e-6)
    corner = outputs([nn.Pooling(3, op="avg", strides=1, padding=1)])[:, 0, 0]
    np.testing.assert_allclose(corner, X[:, :2, :2].sum((1, 2)) / 9, rtol=1e-5, atol=1e-6)


def test_pooling_of_whole_images():
    found = outputs([nn.Pooling("all", op="avg")])
    np.testing.assert_allclose(found, X.mean((1, 2), keepdims=True), rtol=1e-4, atol=1e-6)
    assert np.array_equal(outputs([nn.Pooling("all")]), X.max((1, 2), keepdims=True))


def test_lrn():
    squares = np.pad(X.astype(float) ** 2, ((0, 0),) * 3 + ((1, 1),))
    total = sum(squares[..., i : i + 4] for i in range(3))
    wanted = X * (2 + 0.5 / 3 * total) ** -0.75
    np.testing.assert_allclose(outputs([nn.LRN(3, 0.5, 0.75, 2)]), wanted, rtol=1e-4)


def test_upsampling():
    wanted = X.repeat(2, 1).repeat(3, 2)
    assert np.array_equal(outputs([nn.Upsampling((2, 3))]), wanted)
    assert np.array_equal(
        outputs([nn.Upsampling(2)], X[..., 0])[..., 0], X[..., 0].repeat(2, 1).repeat(2, 2)
    )
    flat = np.ones((1, 3, 3, 2), np.float32)
    np.testing.assert_allclose(outputs([nn.Upsampling(2, "linear")], flat), 1.0, rtol=1e-6)


def test_images_are_flattened_channels_first():
    wanted = np.moveaxis(X, -1, 1).reshape(2, -1)
    assert np.array_equal(outputs([nn.Flatten()]), wanted)
    w = RANDOM.standard_normal((wanted.shape[1], 3)).astype(np.float32)
    np.testing.assert_allclose(outputs([nn.Linear(3, w)]), wanted @ w, rtol=1e-4, atol=1e-4)


def test_batch_norm_of_images_is_by_channel():
    model = nn.Model([nn.BatchNorm(rho=0.0, eps=0.0, unbiased=True), nn.Linear(1)])
    model.backend = "reference"
    model.training_step(nn.MeanSquared(), nn.GradientDescentMomentum(0.0))(X, np.zeros((2, 1), "f"))
    np.testing.assert_allclose(
        model.state.named("BatchNorm_0.mean"), X.mean((0, 1, 2)), rtol=1e-3, atol=1e-6
    )
    np.testing.assert_allclose(
        model.state.named("BatchNorm_0.variance"), X.var((0, 1, 2), ddof=1), rtol=1e-4
    )


def test_initialisers_know_the_fans_of_a_kernel():
    model = nn.Model([nn.Convolution((5, 5, 64), init=nn.Kaiming(), groups=2)])
    model.build(np.zeros((1, 8, 8, 32), np.float32))
    weight = model.state.named("Convolution_0.weight")
    assert weight.shape == (5, 5, 16, 64)
    assert weight.std() == pytest.approx(np.sqrt(2 / (5 * 5 * 16)), rel=0.02)


def test_conv_is_a_list_of_named_layers():
    layers = nn.Conv((3, 3, 4), bias=0.0, activation=nn.Rectlin(), name="conv1")
    assert [layer.name for layer in layers] == ["conv1", "conv1_bias", "conv1_Rectlin"]
    kinds = [type(layer).__name__ for layer in nn.Deconv((3, 3, 4), batch_norm=True)]
    assert kinds == ["Deconvolution", "BatchNorm"]
    assert (outputs(layers) >= 0).all()


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (lambda: nn.Convolution((3, 3, 8), groups=3), "4 and 8 channels do not make 3 groups"),
        (lambda: nn.Convolution((3, 3, 3, 3, 8)), "a kernel of 4 dims takes 6 dims"),
        (lambda: nn.Convolution((3, 3, 8), strides=(1, 1, 1)), "3 sizes for 2 spatial dims"),
        (lambda: nn.Convolution((3, 3, 8), strides={"str_d": 1}), "'str_d' is no dim of 2"),
        (lambda: nn.Convolution((9, 3, 8)), "a kernel of 9"),
        (lambda: nn.Pooling(2, op="min"), "there is no op 'min'"),
        (lambda: nn.Pooling("all", strides=2), "whole images have no strides"),
        (lambda: nn.Conv((3, 3, 8), bias=0.0, batch_norm=True), "batch_norm has an offset already"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_does_not_fit(layer, message):
    with pytest.raises(ShapeError, match=message):
        outputs([layer()])


def test_bytes_are_refused():
    with pytest.raises(ShapeError, match="not floating point; give the model preprocess"):
        outputs([nn.Convolution((3, 3, 8))], np.zeros((2, 5, 5, 1), np.uint8))

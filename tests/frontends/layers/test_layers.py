import numpy as np
import pytest

from anode import layers as nn
from anode import ops
from anode.errors import GraphError, ShapeError

RNG = np.random.default_rng(0)
X = RNG.standard_normal((6, 4)).astype(np.float32)


def outputs(layers, x=X, backend="reference", **options):
    return nn.Model(layers, backend=backend, **options).predict(x)


def trained(model, x, t):
    model.training_step(nn.SumSquared(), nn.GradientDescentMomentum(0.0))(x, t)
    return model


def elu(x):
    return np.where(x > 0, x, np.expm1(x))


def softmax(x):
    e = np.exp(x)
    return e / e.sum(1, keepdims=True)


@pytest.mark.parametrize(
    ("activation", "formula"),
    [
        (nn.Identity(), lambda x: x),
        (nn.Rectlin(), lambda x: np.maximum(x, 0)),
        (nn.Rectlin(0.1), lambda x: np.where(x > 0, x, 0.1 * x)),
        (nn.Rectlinclip(xcut=0.5), lambda x: np.clip(x, 0, 0.5)),
        (nn.Rectlinclip(0.1, 0.5), lambda x: np.minimum(np.where(x > 0, x, 0.1 * x), 0.5)),
        (nn.Explin(2.0), lambda x: np.where(x > 0, x, 2 * np.expm1(x))),
        (nn.Selu(), lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632 * np.expm1(x))),
        (
            nn.Gelu(True),
            lambda x: x * (1 + np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3))) / 2,
        ),
        (nn.Silu(), lambda x: x / (1 + np.exp(-x))),
        (nn.Softplus(), lambda x: np.log1p(np.exp(x))),
        (nn.Tanh(), np.tanh),
        (nn.Logistic(), lambda x: 1 / (1 + np.exp(-x))),
        (nn.Softmax(), softmax),
        (nn.Softmax(0), lambda x: softmax(x.T).T),
        (nn.Sign(), np.sign),
        (nn.Normalizer(), lambda x: x / 128),
        (ops.tanh, np.tanh),
    ],
    ids=lambda value: str(value) if type(value).__module__.startswith("anode") else "",
)
def test_activations(activation, formula, backend):
    np.testing.assert_allclose(
        outputs([activation], backend=backend), formula(X), rtol=1e-4, atol=1e-6
    )


def test_affine(backend):
    w, b = RNG.standard_normal((4, 3)).astype(np.float32), np.float32([1, 2, 3])
    found = outputs([nn.Affine(3, w, b, activation=nn.Tanh())], backend=backend)
    np.testing.assert_allclose(found, np.tanh(X @ w + b), rtol=1e-5, atol=1e-6)


def test_affine_names():
    layers = nn.Affine(3, bias=0.0, activation=nn.Rectlin(), name="fc")
    assert [layer.name for layer in layers] == ["fc", "fc_bias", "fc_Rectlin"]
    assert [type(v).__name__ for v in nn.Affine(3, batch_norm=True)] == ["Linear", "BatchNorm"]
    model = nn.Model([layers, nn.Affine(2, bias=0.0)], backend="reference")
    model.build(X)
    names = [variable.name for variable in model.state]
    assert names == ["fc.weight", "fc_bias.bias", "Linear_0.weight", "Bias_0.bias"]
    with pytest.raises(ShapeError, match="batch_norm has an offset already"):
        nn.Affine(3, bias=0.0, batch_norm=True)


def test_linear_flattens_images_that_preprocess_converts(backend):
    images = RNG.integers(0, 256, (5, 2, 3), np.uint8)
    w = RNG.standard_normal((6, 2)).astype(np.float32)
    found = outputs([nn.Linear(2, w)], images, backend, preprocess=nn.unit_range)
    np.testing.assert_allclose(found, images.reshape(5, 6) / 255 @ w, rtol=1e-4, atol=1e-5)


def test_f64_data_are_converted():
    assert outputs([nn.Linear(2)], X.astype(np.float64)).dtype == np.float32


def test_reshape():
    assert outputs([nn.Reshape((2, -1))]).shape == (6, 2, 2)
    assert np.array_equal(outputs([nn.Reshape((2, 2)), nn.Reshape((-1,))]), X)
    with pytest.raises(ShapeError, match=r"Reshape_0: \[4\] does not reshape to \[3, -1\]"):
        outputs([nn.Reshape((3, -1))])


def test_bias_of_images():
    images = np.zeros((2, 4, 5, 3), np.float32)
    found = outputs([nn.Bias(np.float32([1, 2, 3]))], images)
    assert np.array_equal(found[1, 2, 2], [1, 2, 3])


class Ones(nn.Layer):
    """A weight of ones to train through."""

    def build(self, x):
        return x * self.variable("w", x.shape[1:], 1.0)


@pytest.mark.parametrize("scaled", [False, True])
def test_dropout(scaled, backend):
    x = np.ones((50, 40), np.float32)
    seen = []

    class Spy(nn.Layer):
        def build(self, x):
            mask = self.variable("seen", x.shape, 0.0, trainable=False)
            if self.training:
                self.update(mask, x)
            return x

    model = nn.Model([Ones(), nn.Dropout(0.8, scaled=scaled), Spy()], backend=backend, seed=5)
    step = model.training_step(nn.SumSquared(), nn.GradientDescentMomentum(0.0))
    for _ in range(2):
        step(x, x)
        seen.append(model.state.named("Spy_0.seen").copy())
    kept = np.float32(1 / 0.8) if scaled else np.float32(1)
    assert set(np.unique(seen)) == {np.float32(0), kept}
    assert [(s != 0).mean() for s in seen] == pytest.approx([0.8, 0.8], abs=0.04)
    assert not np.array_equal(*seen)
    assert model.state.named("random").tolist() == [5, 0, 2, 0]
    np.testing.assert_allclose(outputs([nn.Dropout(0.8, scaled=scaled)], x), 1.0 if scaled else 0.8)


def test_the_step_number_carries():
    model = nn.Model([Ones(), nn.Dropout()], backend="reference")
    model.build(X)
    model.state.named("random")[2] = 2**32 - 1
    trained(model, X, X)
    assert model.state.named("random").tolist() == [0, 0, 0, 1]


def test_dropout_of_nothing():
    with pytest.raises(ShapeError, match="keep=0 is no probability"):
        nn.Dropout(0)


def test_batch_norm(backend):
    model = nn.Model([nn.BatchNorm(rho=0.8, eps=1e-2)], backend=backend)
    mean, variance = np.zeros(4), np.zeros(4)
    for i in range(3):
        x = X * (i + 1) + i
        trained(model, x, x)
        mean = 0.8 * mean + 0.2 * x.mean(0)
        variance = 0.8 * variance + 0.2 * x.var(0)
    np.testing.assert_allclose(model.state.named("BatchNorm_0.mean"), mean, rtol=1e-4)
    np.testing.assert_allclose(model.state.named("BatchNorm_0.variance"), variance, rtol=1e-4)
    wanted = (X - mean) / np.sqrt(variance + 1e-2)
    np.testing.assert_allclose(model.predict(X), wanted, rtol=1e-4, atol=1e-5)


def test_batch_norm_trains_on_the_batch():
    model = nn.Model([nn.BatchNorm(eps=0.0)], backend="reference")
    loss = model.training_step(nn.SumSquared(), nn.Adam())(X, np.zeros_like(X))
    assert loss == pytest.approx(2.0, rel=1e-5)  # half the sum of 4 unit variances


class Scale(nn.Layer):
    def __init__(self, init=1.0):
        self.init = init

    def build(self, x):
        return x * self.variable("w", x.shape[1:], self.init)


def test_a_layer_of_ones_own(backend):
    model = nn.Model([Scale(2.0)], backend=backend)
    np.testing.assert_allclose(model.predict(X), 2 * X)
    model.fit([(X, 3 * X)] * 200, nn.SumSquared(), nn.GradientDescentMomentum(0.2), 1)
    np.testing.assert_allclose(model.state.named("Scale_0.w"), 3, rtol=1e-3)


def test_a_layer_of_layers():
    class Residual(nn.Layer):
        def __init__(self):
            self.inner = [nn.Linear(4, 0.5), nn.Activation(ops.tanh)]

        def build(self, x):
            y = x
            for i, layer in enumerate(self.inner):
                y = self.apply(layer, y, str(i))
            return x + y

    model = nn.Model([Residual(), Residual()], backend="reference")
    model.build(X)
    assert [v.name for v in model.state] == ["Residual_0.0.weight", "Residual_1.0.weight"]
    once = outputs([Residual()])
    np.testing.assert_allclose(once, X + np.tanh(X @ np.full((4, 4), 0.5)), rtol=1e-5)


def test_a_layer_twice_shares_its_variables():
    layer = nn.Linear(4, nn.Gaussian())
    model = nn.Model([layer, ops.tanh, layer], backend="reference")
    w = None
    y = model.predict(X)
    w = model.state.named("Linear_0.weight")
    assert len(model.state) == 1
    np.testing.assert_allclose(y, np.tanh(X @ w) @ w, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("layers", "x", "message"),
    [
        ([nn.Linear(2)], X.astype(np.uint8), r"Linear_0: the input is u8\[6,4\], not floating"),
        ([nn.Linear(2, np.zeros((3, 2), np.float32))], X, r"Linear_0.weight: an initial array"),
        ([nn.Bias(name="b")], X[:, 0], r"b: the input is f32\[6\]; it needs a dim of features"),
        ([nn.Linear(3, name="fc"), Scale(), lambda x: x + ops.zeros((4,))], X, "Activation_0: add"),
        ([nn.Tanh], X, "is no layer"),
        ([], X, "has no layers"),
        ([nn.Linear(2, name="a"), nn.Bias(name="a")], X, "two layers are called 'a'"),
    ],
)
def test_errors_name_the_layer(layers, x, message):
    with pytest.raises(ShapeError, match=message):
        outputs(layers, x)


def test_more_misuse():
    with pytest.raises(TypeError, match="momentum"):
        nn.Linear(3, momentum=1)
    model = nn.Model([nn.Linear(2)], backend="reference")
    model.predict(X)
    with pytest.raises(
        ShapeError, match=r"model was built for rows of shape \[4\], got shape \[3\]"
    ):
        model.predict(X[:, :3])
    with pytest.raises(ShapeError, match="'mse' is no Cost"):
        model.training_step("mse", nn.Adam())

    class Wrong(nn.Layer):
        def build(self, x):
            self.update(x, x)
            return x

    with pytest.raises(GraphError, match="only a layer's own variable"):
        outputs([Wrong()])

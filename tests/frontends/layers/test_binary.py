"""Weights and activations of −1 and 1, and factors that are powers of two."""

import numpy as np
import pytest

from anode import layers as nn

RNG = np.random.default_rng(0)
X = RNG.standard_normal((6, 3)).astype(np.float32)
T = RNG.standard_normal((6, 2)).astype(np.float32)


def power(x):
    size = np.maximum(np.abs(x), np.exp(-50))
    return np.sign(x) * 2.0 ** np.round(np.log2(size))


def signs(x):
    return np.where(x < 0, -1, 1)


def test_a_product_with_signs_trains_the_weight_straight_through(backend):
    model = nn.Model([nn.BinaryLinear(2, name="first")], backend=backend)
    found = model.predict(X)
    weight = model.state.named("first.weight").copy()
    np.testing.assert_allclose(found, X @ signs(weight), rtol=1e-5, atol=1e-6)
    model.fit([(X, T)], nn.SumSquared(), nn.GradientDescentMomentum(1.0, 0.0), 1)
    error = (X @ signs(weight) - T) / len(X)
    wanted = weight - X.T @ error
    np.testing.assert_allclose(model.state.named("first.weight"), wanted, rtol=1e-4, atol=1e-5)


def test_activations_pass_back_within_one(backend):
    layers = [nn.Bias(name="first"), nn.Binary(), nn.Linear(2, name="last")]
    model = nn.Model(layers, backend=backend)
    model.build(X)
    last = model.state.named("last.weight").copy()
    np.testing.assert_allclose(model.predict(X), signs(X) @ last, rtol=1e-5, atol=1e-6)
    model.fit([(X, T)], nn.SumSquared(), nn.GradientDescentMomentum(1.0, 0.0), 1)
    error = (signs(X) @ last - T) @ last.T * (np.abs(X) <= 1) / len(X)
    np.testing.assert_allclose(model.state.named("first.bias"), -error.sum(0), rtol=1e-4, atol=1e-5)


def test_normalisation_by_shifts(backend):
    model = nn.Model([nn.ShiftBatchNorm(rho=0.5, name="norm")], backend=backend)
    model.build(X)
    model.state[model.state.variable("norm.scale")] = np.float32([3, 1, 0.3])
    scale = model.state.named("norm.scale").copy()
    centred = X - X.mean(0)
    variance = (centred * power(centred)).mean(0)
    y = centred * power(1 / np.sqrt(variance + 1e-6))
    t = np.zeros_like(X)
    cost = nn.SumSquared()
    loss = 0.5 * ((y * power(scale)) ** 2).sum(1).mean()
    history = model.fit([(X, t)], cost, nn.GradientDescentMomentum(1.0, 0.0), 1)
    np.testing.assert_allclose(history["cost"][-1], loss, rtol=1e-4)
    found = model.state.named("norm.scale") - scale
    np.testing.assert_allclose(found, -(y * y * power(scale)).mean(0), rtol=1e-3)
    np.testing.assert_allclose(model.state.named("norm.mean"), X.mean(0) / 2, rtol=1e-4)
    np.testing.assert_allclose(model.state.named("norm.variance"), variance / 2, rtol=1e-4)
    running = [model.state.named(f"norm.{name}").copy() for name in ("mean", "variance")]
    scale, offset = (model.state.named(f"norm.{name}").copy() for name in ("scale", "offset"))
    wanted = (X - running[0]) * power(1 / np.sqrt(running[1] + 1e-6)) * power(scale) + offset
    np.testing.assert_allclose(model.predict(X), wanted, rtol=1e-4, atol=1e-5)


def test_steps_of_powers_of_two():
    optimizer = nn.ShiftAdaMax(0.002, 0.9)
    assert optimizer.rate(0) == pytest.approx(0.002 / 0.1)
    model = nn.Model([nn.Linear(2, init=nn.Uniform(-0.9, 0.9), name="first")], backend="reference")
    model.build(X)
    weight = model.state.named("first.weight").copy()
    gradient = X.T @ (X @ weight - T) / len(X)
    model.fit([(X, T)], nn.SumSquared(), optimizer, 1)
    step = 0.1 * gradient * power(1 / np.abs(gradient)) * power(np.float64(0.02))
    wanted = np.clip(weight - step, -1, 1)
    np.testing.assert_allclose(model.state.named("first.weight"), wanted, rtol=1e-4, atol=1e-6)


def test_a_binary_network_learns():
    rows = RNG.standard_normal((128, 8)).astype(np.float32)
    labels = (rows[:, :4].sum(1) > rows[:, 4:].sum(1)).astype(np.int32)
    layers = [
        nn.BinaryAffine(64, batch_norm=True, activation=nn.Binary(), name="one"),
        nn.BinaryAffine(2, batch_norm=True, activation=nn.Softmax(), name="two"),
    ]
    model = nn.Model(layers, backend="reference")
    assert [type(layer).__name__ for layer in model.layers[:3]] == [
        "BinaryLinear", "ShiftBatchNorm", "Activation",
    ]  # fmt: skip
    model.fit([(rows, labels)], nn.CrossEntropyMulti(), nn.ShiftAdaMax(), 60)
    assert model.eval([(rows, labels)], nn.Accuracy())["Accuracy"] > 0.8
    assert np.abs(model.state.named("one.weight")).max() <= 1

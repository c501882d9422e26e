import numpy as np
import pytest

from anode import layers as nn
from anode.errors import ShapeError


def weight(init, nin=300, nout=200, seed=0):
    model = nn.Model([nn.Linear(nout, init)], seed=seed, backend="reference")
    model.build(np.zeros((1, nin), np.float32))
    return model.state.named("Linear_0.weight")


def std_of_uniform(bound):
    return 2 * bound / np.sqrt(12)


@pytest.mark.parametrize(
    ("init", "mean", "std", "bound"),
    [
        (nn.Constant(3), 3, 0, 3),
        (nn.Uniform(-1, 3), 1, std_of_uniform(2), 3),
        (nn.Gaussian(2, 0.5), 2, 0.5, 6),
        (nn.GlorotUniform(), 0, std_of_uniform((6 / 500) ** 0.5), (6 / 500) ** 0.5),
        (nn.Xavier(), 0, std_of_uniform((3 / 300) ** 0.5), (3 / 300) ** 0.5),
        (nn.Kaiming(), 0, (2 / 300) ** 0.5, 1),
        (2.5, 2.5, 0, 2.5),
    ],
    ids=lambda value: type(value).__name__,
)
def test_moments(init, mean, std, bound):
    w = weight(init)
    assert w.shape == (300, 200) and w.dtype == np.float32
    assert w.mean() == pytest.approx(mean, abs=4 * std / np.sqrt(w.size) + 1e-6)
    assert w.std() == pytest.approx(std, rel=0.02, abs=1e-6)
    assert np.abs(w).max() <= bound * (1 + 1e-6)


@pytest.mark.parametrize("init", [nn.Gaussian(), nn.Orthonormal()], ids=lambda v: type(v).__name__)
def test_the_seed_decides(init):
    assert np.array_equal(weight(init, seed=3), weight(init, seed=3))
    assert not np.array_equal(weight(init, seed=3), weight(init, seed=4))


def test_two_layers_differ():
    for init in (nn.Gaussian(), nn.Orthonormal()):
        model = nn.Model([nn.Linear(9, init), nn.Linear(9, init)], backend="reference")
        model.build(np.zeros((1, 9), np.float32))
        first, second = (model.state.named(f"Linear_{i}.weight") for i in (0, 1))
        assert not np.array_equal(first, second)


@pytest.mark.parametrize("nout", [5, 20])
def test_orthonormal(nout):
    w = weight(nn.Orthonormal(1.1), 10, nout)
    product = w.T @ w if nout < 10 else w @ w.T
    assert np.allclose(product, 1.21 * np.eye(len(product)), atol=1e-5)


def test_identity_and_array():
    assert np.array_equal(weight(nn.IdentityInit(), 3, 4), np.eye(3, 4))
    large = np.random.default_rng(0).standard_normal((300, 200)).astype(np.float32)
    assert np.array_equal(weight(large), large)  # larger than a constant of a graph may be
    assert np.array_equal(weight(nn.Array(np.eye(2)), 2, 2), np.eye(2))


def test_misfits():
    with pytest.raises(ShapeError, match=r"Linear_0.weight: an initial array of shape \(2, 2\)"):
        weight(np.eye(2), 3, 2)
    with pytest.raises(ShapeError, match=r"Linear_0: 'glorot' is no initialiser"):
        weight("glorot")
    with pytest.raises(ShapeError, match="IdentityInit needs at least two dims"):
        model = nn.Model([nn.Bias(nn.IdentityInit())], backend="reference")
        model.build(np.zeros((1, 3), np.float32))

import numpy as np
import pytest

from anode.frontends import ngraph as ng
from anode.frontends.ngraph.testing import (
    ExecutorFactory,
    RandomTensorGenerator,
    assert_allclose,
    check_derivative,
    is_flex_factory,
    numeric_derivative,
    raise_all_numpy_errors,
)
from anode.frontends.ngraph.transformers import base, make_transformer_factory

A = ng.make_axis(3, name="testing_a")


def test_random_tensors_are_of_a_seed():
    rng = RandomTensorGenerator(5)
    first = rng.uniform(-1, 1, [A])
    rng.reset()
    np.testing.assert_array_equal(rng.uniform(-1, 1, [A]), first)
    np.testing.assert_array_equal(
        first, np.random.RandomState(5).uniform(-1, 1, 3).astype(np.float32)
    )
    assert rng.random_integers(2, 3, [A]).dtype == np.int8
    assert set(rng.discrete_uniform(1, 2, 0.5, ng.make_axes([A])) * 2) <= {2, 3, 4}
    assert rng.randn_abs_clip(ng.make_axes([A]), clip_min=0.5, clip_max=0.6).max() <= 0.6
    assert rng.normal(0, 1, [A], dtype=np.float64).dtype == np.float64


def test_derivatives_by_differences_and_by_formula():
    found = numeric_derivative(lambda x: x**2, np.array([1.0, 2.0]), 1e-4)
    np.testing.assert_allclose(found, [[2, 0], [0, 4]], rtol=1e-3, atol=1e-3)
    x = ng.placeholder([A])
    with ExecutorFactory() as factory:
        whole = factory.derivative(x * x, x)(np.array([1, 2, 3], np.float32))
    np.testing.assert_array_equal(whole, np.diag([2, 4, 6]))
    with pytest.raises(AssertionError):
        check_derivative(ng.stop_gradient(x), x, 1e-2, np.ones(3))
    with pytest.raises(ValueError, match="integers"):
        numeric_derivative(lambda x: x, np.array([1]), 1)


@pytest.mark.parametrize("name", ["cpu", "ngcpu"])
def test_comparison_has_the_tolerance_of_the_transformer(name, monkeypatch):
    monkeypatch.setattr(base._Chosen, "factory", make_transformer_factory(name))
    assert_allclose(1.0, 1.000001)
    with pytest.raises(AssertionError):
        assert_allclose(1.0, 1.000001, transformer_overwrite=False)
    assert not is_flex_factory(make_transformer_factory("cpu"))


def test_numpy_errors_raise():
    with pytest.raises(FloatingPointError):
        raise_all_numpy_errors(lambda: np.float32(1) / np.float32(0))()

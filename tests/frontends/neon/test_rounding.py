"""-u rounds the weights that an optimiser writes, at random and without bias."""

import numpy as np
import pytest

from anode.errors import ShapeError
from anode.frontends.neon import NervanaObject
from anode.frontends.neon.backends import gen_backend
from anode.frontends.neon.optimizers import Adam, GradientDescentMomentum, RMSProp, ShiftAdaMax


@pytest.fixture(autouse=True)
def backend():
    before = NervanaObject.be
    yield
    NervanaObject.be = before


class Layer:
    """A layer with one parameter."""

    def __init__(self, be, values):
        self.value, self.gradient, self.states = be.array(values), be.zeros(values.shape), []

    def get_params(self):
        return (self.value, self.gradient), self.states


def stepped(optimizer, values, **options):
    be = gen_backend("cpu", rng_seed=0, batch_size=1, **options)
    layer = Layer(be, values)
    optimizer().optimize([layer], 0)
    return layer.value.get()


VALUES = np.random.RandomState(1).uniform(0.5, 2, (40, 50))


def bits_of(values):
    """The lowest bits of f32 significands, beyond the tenth."""
    return values.astype(np.float32).view(np.uint32) & ((1 << 13) - 1)


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda **k: GradientDescentMomentum(0.1, 0.9, **k),
        lambda **k: RMSProp(**k),
        lambda **k: ShiftAdaMax(**k),
    ],
)
def test_weights_have_so_many_bits(optimizer):
    assert bits_of(stepped(optimizer, VALUES)).any() or optimizer is ShiftAdaMax
    for given in ({"stochastic_round": True}, {"stochastic_round": 10}):
        assert not bits_of(stepped(lambda given=given: optimizer(**given), VALUES)).any()


def test_the_backend_s_rounding_counts_for_every_optimizer():
    found = stepped(lambda: GradientDescentMomentum(0.1, 0.9), VALUES, stochastic_round=10)
    assert not bits_of(found).any()
    np.testing.assert_allclose(found, VALUES, rtol=2**-10)
    assert abs((found - VALUES.astype(np.float32)).mean()) < 2e-5  # of a spacing of 1e-3 to 2e-3
    nearest = stepped(lambda: GradientDescentMomentum(0.1, 0.9), VALUES, stochastic_round=3)
    assert set((nearest * 16).ravel()) <= set(range(8, 33))


def test_a_rate_given_as_rounding_is_told_and_does_not_round(caplog):
    rounded, plain = (
        stepped(lambda given=given: Adam(*given, learning_rate=0.1), VALUES)
        for given in ((0.01,), ())
    )
    np.testing.assert_array_equal(rounded, plain)
    assert "Adam: stochastic_round=0.01 is no number of bits" in caplog.text
    assert "learning_rate, which is 0.1?" in caplog.text


@pytest.mark.parametrize("datatype", [np.float16, np.float64])
def test_other_types(datatype):
    found = stepped(
        lambda: GradientDescentMomentum(0.1, 0.9), VALUES, stochastic_round=5, datatype=datatype
    )
    assert found.dtype == datatype
    assert set((found * 64).ravel()) <= set(range(32, 129))


def test_the_same_with_a_seed_and_other_numbers_without_touching_rng():
    def optimizer():
        return GradientDescentMomentum(0.1, 0.9, stochastic_round=4)

    one = stepped(optimizer, VALUES)
    drawn = NervanaObject.be.rng.uniform()
    np.testing.assert_array_equal(one, stepped(optimizer, VALUES))
    stepped(lambda: GradientDescentMomentum(0.1, 0.9), VALUES)
    assert NervanaObject.be.rng.uniform() == drawn
    with pytest.raises(ShapeError, match="0 to 22 bits"):
        stepped(lambda: GradientDescentMomentum(0.1, 0.9, stochastic_round=30), VALUES)

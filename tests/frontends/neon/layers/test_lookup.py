"""Look-up tables name an index that is outside of them, before the step has run."""

import numpy as np
import pytest

from anode.frontends.neon.backends import gen_backend
from anode.frontends.neon.data import ArrayIterator
from anode.frontends.neon.initializers import Gaussian
from anode.frontends.neon.layers import Affine, GeneralizedCost, LookupTable, RecurrentSum
from anode.frontends.neon.models import Model
from anode.frontends.neon.optimizers import GradientDescentMomentum
from anode.frontends.neon.transforms import SumSquared
from tests.frontends.neon.networks import Costs

WORDS = 7


@pytest.fixture
def be():
    return gen_backend("cpu", rng_seed=0, batch_size=2)


def network():
    init = Gaussian(scale=0.1)
    table = LookupTable(vocab_size=WORDS, embedding_dim=3, init=init, name="words")
    return Model([table, RecurrentSum(), Affine(2, init)])


def words(*rows):
    return np.array(rows, np.int32)


def trained(model, x):
    y = np.zeros((len(x), 2), np.float32)
    data = ArrayIterator(x, y, nclass=None, lshape=(x.shape[1],), make_onehot=False)
    cost = GeneralizedCost(SumSquared())
    model.fit(data, cost, GradientDescentMomentum(0.1, 0.9), 3, Costs(cost))


@pytest.mark.parametrize("wrong", [-1, WORDS])
def test_an_index_outside_is_an_error(be, wrong):
    fine = [[1, 2], [0, 6], [3, 3], [4, 4], [0, 5]]
    trained(network(), words(*fine, [1, 1]))
    with pytest.raises(IndexError, match=rf"words, a table of \(7, 3\): index {wrong} is outside"):
        trained(network(), words(*fine, [1, wrong]))


def test_taking_from_a_tensor(be):
    x = be.array(np.arange(6.0).reshape(3, 2))
    found = x.take([2, 0], axis=0)
    np.testing.assert_array_equal(found.get(), [[4, 5], [0, 1]])
    with pytest.raises(IndexError, match=r"take of \(3, 2\): index 3 is outside of 0 to 2"):
        x.take([1, 3], axis=0)

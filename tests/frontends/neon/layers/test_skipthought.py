"""SkipThought beside neon 2.6, which gave these numbers for the same lines with rng_seed=0."""

import numpy as np
import pytest

from anode.frontends.neon import NervanaObject
from anode.frontends.neon.backends import gen_backend
from anode.frontends.neon.initializers import Constant, Uniform
from anode.frontends.neon.layers import GRU, GeneralizedCostMask, Multicost, SkipThought
from anode.frontends.neon.models import Model
from anode.frontends.neon.optimizers import Adam
from anode.frontends.neon.transforms import CrossEntropyMulti, Logistic, Tanh
from anode.frontends.neon.util.persist import load_obj

COSTS = [2.5363709926605225, 2.4501445293426514, 2.3689961433410645, 2.280249834060669]


@pytest.fixture
def be():
    before = NervanaObject.be
    yield gen_backend("cpu", rng_seed=0, batch_size=2)
    NervanaObject.be = before


class Sentences:
    """The shape of three sentences of five words."""

    shape, nbatches, ndata = [(5, 1)] * 3, 1, 2


def made():
    init = Uniform(-0.5, 0.5)
    layers = SkipThought(
        7, 3, init, 4, GRU, init, Tanh(), Logistic(), init_ff=init, init_const=Constant(0.0)
    )
    masked = [GeneralizedCostMask(CrossEntropyMulti(usebits=True)) for _ in range(2)]
    model, cost = Model(layers), Multicost(costs=masked, weights=[1, 0.5])
    model.initialize(Sentences(), cost)
    return model, cost


def minibatch(be):
    random = np.random.RandomState(3)
    x = [be.array(random.randint(0, 7, (5, 2)), dtype=np.int32) for _ in range(3)]
    targets = []
    for _ in range(2):
        y, mask = np.zeros((7, 10)), np.ones((7, 10))
        y[random.randint(0, 7, 10), np.arange(10)] = 1
        mask[:, 6:] = 0
        targets.append((be.array(y), be.array(mask)))
    return x, targets


def test_costs_are_the_original_s(be):
    model, cost = made()
    x, targets = minibatch(be)
    optimizer, found = Adam(learning_rate=0.05), []
    for epoch in range(4):
        y = model.fprop(x)
        found.append(np.asarray(cost.get_cost(y, targets)).item())
        model.bprop(cost.get_errors(y, targets))
        optimizer.optimize(model.layers_to_optimize, epoch=epoch)
    np.testing.assert_allclose(found, COSTS, rtol=1e-6)
    tables, words = model.layers.layers[:3], model.layers.layers[6::3]
    np.testing.assert_allclose(np.abs(tables[0].dW.get()).sum(), 0.81648701, rtol=1e-5)
    for layer in tables[1:]:
        np.testing.assert_array_equal(layer.dW.get(), tables[0].dW.get())
    np.testing.assert_array_equal(words[0].W.get(), words[1].W.get())


def test_saved_and_read(be, tmp_path):
    model, _ = made()
    path = str(tmp_path / "model.p")
    model.save_params(path)
    assert b"neon.layers.recurrent\nGRU" in (tmp_path / "model.p").read_bytes()
    again = Model(load_obj(path))
    again.initialize(Sentences())
    x, _ = minibatch(be)
    for one, other in zip(model.fprop(x), again.fprop(x), strict=True):
        np.testing.assert_array_equal(one.get(), other.get())
    assert again.layers.layer_dict["encoder"] is again.layers.layers[3]

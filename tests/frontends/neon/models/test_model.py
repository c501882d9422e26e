"""Model: outputs, files, what it says of itself, and the adversarial one."""

import numpy as np
import pytest

from anode.frontends.neon.backends import gen_backend
from anode.frontends.neon.benchmark import Benchmark
from anode.frontends.neon.initializers import Gaussian
from anode.frontends.neon.layers import (
    Affine,
    Conv,
    GeneralizedCost,
    GeneralizedGANCost,
    Sequential,
)
from anode.frontends.neon.layers.container import GenerativeAdversarial
from anode.frontends.neon.layers.layer import Layer
from anode.frontends.neon.models import GAN, Model
from anode.frontends.neon.optimizers import Adam, GradientDescentMomentum
from anode.frontends.neon.optimizers.optimizer import Optimizer
from anode.frontends.neon.transforms import (
    CrossEntropyMulti,
    GANCost,
    Logistic,
    Misclassification,
    Rectlin,
    Softmax,
)
from tests.frontends.neon.networks import Costs, Data


@pytest.fixture
def be():
    return gen_backend("cpu", rng_seed=0, batch_size=8)


def layers():
    init = Gaussian(scale=0.1)
    return [
        Conv((3, 3, 4), init=init, batch_norm=True, activation=Rectlin()),
        Affine(4, init=init, activation=Softmax()),
    ]


def trained(be, path=None, epochs=1):
    model = Model(str(path) if path else layers())
    data, cost = Data(be, (2, 5, 5), "multi"), GeneralizedCost(CrossEntropyMulti())
    callbacks = Costs(cost)
    model.fit(data, cost, GradientDescentMomentum(0.1, 0.9), epochs, callbacks)
    return model, data, callbacks.found


def test_training_goes_on_from_a_file(be, tmp_path):
    _, _, whole = trained(be, epochs=2)
    be.rng_reset()
    first, _, costs = trained(be)
    first.epoch_index = 0  # files hold the epoch to begin with
    first.save_params(str(tmp_path / "model.prm"))
    _, _, rest = trained(be, tmp_path / "model.prm", epochs=2)
    np.testing.assert_allclose(costs + rest, whole, rtol=1e-6)


def test_a_description_makes_the_same_network(be):
    model, data, _ = trained(be)
    again = Model(model.get_description(get_weights=True, keep_states=True))
    assert [layer.name for layer in again.layers.layers] == [
        layer.name for layer in model.layers.layers
    ]
    np.testing.assert_array_equal(again.get_outputs(data), model.get_outputs(data))


def test_evaluation_leaves_out_rows_that_wrap_round(be):
    model, data, _ = trained(be)
    outputs = model.get_outputs(data)
    assert outputs.shape == (32, 4)
    data.ndata = 29
    targets = np.concatenate([t.get().T for _, t in data])
    wrong = (outputs.argmax(1) != targets.argmax(1))[:29].mean()
    found = model.eval(data, metric=Misclassification())
    np.testing.assert_allclose(found, [wrong], rtol=1e-6)
    assert "%.3f" % found == f"{wrong:.3f}"  # noqa: UP031 (as scripts format it)


def test_times_are_told(be):
    model, data, _ = trained(be)
    model.optimizer = GradientDescentMomentum(0.1, 0.9)
    found = Benchmark(model).time(data, niterations=3)
    assert {part: len(values) for part, values in found.items()} == dict.fromkeys(
        ("fprop", "bprop", "iteration", "data_loading"), 3
    )
    cost = GeneralizedCost(CrossEntropyMulti())
    table = model.benchmark(data, cost=model.cost or cost, optimizer=model.optimizer, niterations=2)
    assert set(table["iteration"]) == {"mean", "median", "min", "max"}


def test_a_generator_and_a_discriminator_train(be):
    np.random.seed(0)
    init = Gaussian(scale=0.1)
    generator = Sequential([Affine(18, init=init, activation=Logistic())])
    discriminator = Sequential([Affine(1, init=init, activation=Logistic())])
    model = GAN(GenerativeAdversarial(generator, discriminator), noise_dim=(3,), k=2)
    cost = GeneralizedGANCost(costfunc=GANCost(func="modified"))
    model.fit(Data(be, 18, "multi"), cost, Adam(learning_rate=0.01), 2, Costs(cost))
    assert model.gen_iter == 3  # every other minibatch, after the first two
    assert np.isfinite(model.total_cost).all()


def test_weights_loaded_in_the_midst_count(be, tmp_path):
    """The step is recorded anew when optimisers' memory is replaced."""
    model, data, _ = trained(be)
    model.save_params(str(tmp_path / "model.prm"))
    costs = Costs(model.cost)
    for _ in range(2):
        for layer in model.layers_to_optimize:  # new tensors, as of a network from a file
            several = any(isinstance(part, list) for part in layer.states)
            layer.states = [[] for _ in layer.states] if several else []
        model.load_params(str(tmp_path / "model.prm"))
        model.epoch_index = 0
        model.fit(data, model.cost, model.optimizer, 1, costs)
    assert costs.found[:4] == costs.found[4:]


def test_old_files_have_the_bias_apart(be):
    """Before neon 2.3 a convolution with a bias was two layers."""
    init = Gaussian(scale=0.1)
    model = Model([Conv((3, 3, 4), init=init, bias=init), Affine(4, init=init)])
    data = Data(be, (2, 5, 5), "multi")
    outputs = model.get_outputs(data)
    found = model.serialize()
    new = found["model"]["config"]["layers"][0]
    bias = new["config"].pop("bias")
    parts = new["params"], {"W": new["params"].pop("weight_bias")}
    kinds = ("Convolution", "Bias")
    configs = new["config"], {"init": bias, "name": "bias"}
    found["model"]["config"]["layers"][:1] = [
        {"type": f"neon.layers.layer.{kind}", "config": config, "params": part, "states": []}
        for kind, config, part in zip(kinds, configs, parts, strict=True)
    ]
    again = Model([Conv((3, 3, 4), init=init, bias=init), Affine(4, init=init)])
    again.initialize(data)
    again.deserialize(found, load_states=False)
    np.testing.assert_array_equal(again.get_outputs(data), outputs)


def test_layers_and_optimisers_of_the_users_train(be):
    """Written with be's functions, and Python that counts."""

    class Square(Layer):
        def __init__(self):
            super().__init__()
            self.owns_delta = True

        def configure(self, in_obj):
            super().configure(in_obj)
            self.out_shape = self.in_shape
            return self

        def fprop(self, inputs, inference=False):
            self.inputs = inputs
            self.outputs[:] = inputs * inputs
            return self.outputs

        def bprop(self, error):
            self.deltas[:] = 2 * self.inputs * error
            return self.deltas

    class Slowing(Optimizer):
        steps = 0

        def optimize(self, layer_list, epoch):
            self.steps += 1
            for layer in layer_list:
                (weight, gradient), _ = layer.get_params()
                weight[:] = weight - (0.1 / self.steps) * gradient / self.be.bsz

    init = Gaussian(scale=0.3)
    model = Model([Affine(6, init=init), Square(), Affine(4, init=init, activation=Softmax())])
    data, cost = Data(be, 10, "multi"), GeneralizedCost(CrossEntropyMulti())
    callbacks = Costs(cost)
    model.initialize(data, cost)
    weights = [layer.W.get().astype(np.float64) for layer in model.layers_to_optimize]
    model.fit(data, cost, Slowing(), 2, callbacks)
    want = []
    for step in range(8):
        x, t = (part.get() for part in data.batches[step % 4])
        hidden = weights[0] @ x
        logits = weights[1] @ hidden**2
        y = np.exp(logits) / np.exp(logits).sum(0)
        want.append(-(t * np.log(y)).sum(0).mean())
        back = (weights[1].T @ (y - t)) * 2 * hidden
        rate = 0.1 / (step + 1) / be.bsz
        weights = [weights[0] - rate * back @ x.T, weights[1] - rate * (y - t) @ (hidden**2).T]
    np.testing.assert_allclose(callbacks.found, want, rtol=1e-5)

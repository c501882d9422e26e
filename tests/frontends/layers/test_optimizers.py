"""Three steps of every optimiser against neon's formulas in float64."""

import numpy as np
import pytest

from anode import layers as nn
from anode.errors import UnsupportedOp

W = np.random.default_rng(0).standard_normal((4, 2)).astype(np.float32)
B = np.array([0.3, -0.2], np.float32)
BATCHES = [
    tuple(np.random.default_rng(i).standard_normal((5, n)).astype(np.float32) for n in (4, 2))
    for i in (1, 2, 3)
]


def gradients(w, b, x, t):
    d = (x @ w + b - t) / len(x)  # of the mean over rows of half the summed squares
    return [x.T @ d, d.sum(0)]


def expected(rule, clip_value=None, clip_norm=None, param_clip=None):
    """Parameters after three steps of `rule(p, g, s, memory)`."""
    params, memories = [W.astype(float), B.astype(float)], [{}, {}]
    for x, t in BATCHES:
        found = gradients(*params, x.astype(float), t.astype(float))
        norm = np.sqrt(sum((g**2).sum() for g in found))
        s = clip_norm / max(norm, clip_norm) if clip_norm else 1.0
        if clip_value:
            found = [np.clip(g, -clip_value, clip_value) for g in found]
        params = [rule(p, g, s, m) for p, g, m in zip(params, found, memories, strict=True)]
        if param_clip:
            params = [np.clip(p, -param_clip, param_clip) for p in params]
    return params


def trained(optimizer, backend):
    model = nn.Model([nn.Linear(2, W), nn.Bias(B)], backend=backend)
    step = model.training_step(nn.SumSquared(), optimizer)
    for x, t in BATCHES:
        step(x, t)
    return [model.state.named(name).copy() for name in ("Linear_0.weight", "Bias_0.bias")]


def check(optimizer, backend, rule, **clipping):
    for found, wanted in zip(trained(optimizer, backend), expected(rule, **clipping), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("decay", [0, 0.1])
@pytest.mark.parametrize("momentum", [0, 0.9])
def test_momentum(momentum, decay, nesterov, backend):
    def rule(p, g, s, m):
        g = s * g + decay * p
        if momentum == 0:
            return p - 0.1 * g
        m["v"] = momentum * m.get("v", 0) - 0.1 * g
        return p + (momentum * m["v"] - 0.1 * g if nesterov else m["v"])

    optimizer = nn.GradientDescentMomentum(0.1, momentum, wdecay=decay, nesterov=nesterov)
    check(optimizer, backend, rule)


def test_rmsprop(backend):
    def rule(p, g, s, m):
        m["a"] = 0.9 * m.get("a", 0) + 0.1 * g**2
        return p - s * g * 0.02 / (np.sqrt(m["a"] + 1e-4) + 1e-4)

    check(nn.RMSProp(0.9, 0.02, 1e-4), backend, rule)


def test_adagrad(backend):
    def rule(p, g, s, m):
        m["a"] = m.get("a", 0) + g**2
        return p - s * g * 0.02 / np.sqrt(m["a"] + 1e-4)

    check(nn.Adagrad(0.02, 1e-4), backend, rule)


def test_adadelta(backend):
    def rule(p, g, s, m):
        m["a"] = 0.9 * m.get("a", 0) + 0.1 * g**2
        u = np.sqrt((m.get("b", 0) + 1e-4) / (m["a"] + 1e-4)) * g
        m["b"] = 0.9 * m.get("b", 0) + 0.1 * u**2
        return p - u

    check(nn.Adadelta(0.9, 1e-4), backend, rule)


@pytest.mark.parametrize("beta_1", [0.9, 0])
def test_adam(beta_1, backend):
    def rule(p, g, s, m):
        t = m["t"] = m.get("t", 0) + 1
        m["m"] = beta_1 * m.get("m", 0) + (1 - beta_1) * g
        m["v"] = 0.999 * m.get("v", 0) + 0.001 * g**2
        rate = 0.02 * np.sqrt(1 - 0.999**t) / (1 - beta_1**t)
        return p - s * rate * m["m"] / (np.sqrt(m["v"]) + 1e-8)

    check(nn.Adam(0.02, beta_1), backend, rule)
    check(nn.Adam(0.02, beta_1, gradient_clip_norm=0.5), backend, rule, clip_norm=0.5)


@pytest.mark.parametrize("kind", [nn.RMSProp, nn.Adagrad])
def test_epsilon_may_stand_outside_the_root(kind, backend):
    """As in Caffe, here with weight decay."""

    def rule(p, g, s, m):
        g = g + 0.1 * p
        old = m.get("a", 0)
        m["a"] = old + g**2 if kind is nn.Adagrad else 0.9 * old + 0.1 * g**2
        return p - 0.02 * g / (np.sqrt(m["a"]) + 1e-4)

    decay = {"decay_rate": 0.9} if kind is nn.RMSProp else {}
    options = {"learning_rate": 0.02, "epsilon": 1e-4, "wdecay": 0.1, **decay}
    check(kind(epsilon_in_root=False, **options), backend, rule)


def test_each_layer_has_its_optimizer(backend):
    fast, slow = nn.GradientDescentMomentum(0.2), nn.GradientDescentMomentum(0.1)
    together = nn.MultiOptimizer({"Bias": fast, "default": slow}, gradient_clip_norm=0.5)
    found = trained(together, backend)

    def rule(p, g, s, m):
        return p - (0.2 if p.ndim == 1 else 0.1) * s * g

    for array, wanted in zip(found, expected(rule, clip_norm=0.5), strict=True):
        np.testing.assert_allclose(array, wanted, rtol=2e-5, atol=1e-6)
    by_name = nn.MultiOptimizer({"Linear_0": slow, "Bias_0": fast}, gradient_clip_norm=0.5)
    for array, wanted in zip(trained(by_name, backend), found, strict=True):
        assert np.array_equal(array, wanted)


def test_schedules_of_several_optimizers():
    halves = nn.GradientDescentMomentum(0.2, schedule=nn.PowerSchedule(1, 0.5))
    both = nn.MultiOptimizer({"Bias": halves, "default": nn.GradientDescentMomentum(0.1)})
    assert {v.name: rate for v, rate in both.rates(2).items()} == {
        "optimizer.Bias.learning_rate": 0.05,
        "optimizer.default.learning_rate": 0.1,
    }


def plain(p, g, s, m):
    return p - 0.1 * s * g


@pytest.mark.parametrize(
    ("option", "check_with"),
    [
        ({"gradient_clip_value": 0.3}, {"clip_value": 0.3}),
        ({"gradient_clip_norm": 0.5}, {"clip_norm": 0.5}),
        ({"gradient_clip_norm": 1e6}, {"clip_norm": 1e6}),
        ({"param_clip_value": 0.4}, {"param_clip": 0.4}),
    ],
    ids=str,
)
def test_clipping(option, check_with, backend):
    check(nn.GradientDescentMomentum(0.1, **option), backend, plain, **check_with)


def test_the_schedule_sets_the_rate_without_compiling():
    optimizer = nn.GradientDescentMomentum(0.1, schedule=nn.PowerSchedule(1, 0.5))
    model = nn.Model([nn.Linear(2, W), nn.Bias(B)], backend="reference")
    step = model.training_step(nn.SumSquared(), optimizer)
    rates = []
    for epoch, (x, t) in enumerate(BATCHES):
        step.set_epoch(epoch)
        step(x, t)
        rates.append(float(model.state.named("optimizer.learning_rate")))
    assert rates == pytest.approx([0.1, 0.05, 0.025])
    assert len(step.executables) == 1


def test_two_steps_on_one_model_keep_their_rates():
    model = nn.Model([nn.Linear(2, W)], backend="reference")
    fast, slow = (
        model.training_step(nn.SumSquared(), nn.GradientDescentMomentum(rate))
        for rate in (0.1, 0.0)
    )
    fast(*BATCHES[0])
    before = model.state.named("Linear_0.weight").copy()
    slow(*BATCHES[1])
    assert np.array_equal(model.state.named("Linear_0.weight"), before)
    fast(*BATCHES[1])
    assert not np.array_equal(model.state.named("Linear_0.weight"), before)


def test_what_optimizers_refuse():
    with pytest.raises(TypeError, match="learning_rat"):
        nn.Adam(learning_rat=0.1)
    model = nn.Model([nn.Linear(2, W)], backend="reference")
    for optimizers, message in [
        ({"Bias": nn.Adam(), "default": nn.Adam()}, "no parameter goes by 'Bias'"),
        ({"Linear_1": nn.Adam()}, "nothing is for Linear_0.weight"),
    ]:
        with pytest.raises(UnsupportedOp, match=message):
            model.training_step(nn.SumSquared(), nn.MultiOptimizer(optimizers))(*BATCHES[0])
    with pytest.raises(UnsupportedOp, match="give these options to the optimisers"):
        nn.MultiOptimizer({"default": nn.Adam()}, schedule=nn.ExpSchedule(0.1))

import numpy as np
import pytest

from anode import layers as nn
from anode.errors import ShapeError

RNG = np.random.default_rng(0)
TOKENS = np.array([[1, 2, 0], [3, 0, 0]], np.uint8)


def trained_table(rate, **options):
    """The table before and after a step."""
    model = nn.Model([nn.LookupTable(5, 2, **options), nn.RecurrentSum()], backend="cpu")
    model.build(TOKENS)
    before = model.state.named("LookupTable_0.table").copy()
    step = model.training_step(nn.SumSquared(), nn.GradientDescentMomentum(rate, 0.9))
    step(TOKENS, np.ones((2, 2), "f4"))
    return before, model.state.named("LookupTable_0.table"), model


def test_lookup_table(backend):
    table = RNG.standard_normal((5, 2)).astype("f4")
    model = nn.Model([nn.LookupTable(5, 2, table)], backend=backend)
    np.testing.assert_array_equal(model.predict(TOKENS), table[TOKENS])
    model = nn.Model([nn.LookupTable(5, 2, table, pad_idx=0)], backend=backend)
    wanted = np.where(TOKENS[..., None] != 0, table[TOKENS], 0)
    np.testing.assert_array_equal(model.predict(TOKENS), wanted)
    with pytest.raises(ShapeError, match="LookupTable takes integers"):
        nn.Model([nn.LookupTable(5, 2)]).predict(table)


def test_the_rows_of_tokens_that_came_are_trained_but_the_padding_is_not():
    before, after, _ = trained_table(0.1, pad_idx=0)
    changed = (before != after).any(axis=1)
    assert changed.tolist() == [False, True, True, True, False]
    before, after, _ = trained_table(0.1)
    assert (before != after).any(axis=1).tolist() == [True, True, True, True, False]
    before, after, model = trained_table(0.1, update=False)
    np.testing.assert_array_equal(before, after)
    assert not next(v for v in model.state if v.name.endswith("table")).trainable


def test_tokens_as_one_hot_rows(backend):
    """A network trains on them as on rows of ones and zeros, without a product."""
    rows, targets = np.eye(5, dtype="f4")[TOKENS], RNG.standard_normal((2, 3, 4)).astype("f4")
    found = []
    for first, x in (([nn.OneHot(5)], TOKENS), ([nn.Masking(None)], rows)):
        model = nn.Model([*first, nn.LSTM(3), nn.Affine(4)], backend=backend, seed=1)
        model.build(x)
        step = model.training_step(nn.PerStep(nn.SumSquared()), nn.RMSProp(0.1))
        found.append([float(step(x, targets)) for _ in range(3)])
    np.testing.assert_allclose(*found, rtol=1e-5)
    with pytest.raises(ShapeError, match="OneHot takes integers"):
        nn.Model([nn.OneHot(5)]).predict(rows)


def test_sums_means_and_last_steps():
    x = RNG.standard_normal((2, 3, 2)).astype("f4")
    kinds = {nn.RecurrentSum: x.sum(1), nn.RecurrentMean: x.mean(1), nn.RecurrentLast: x[:, -1]}
    for kind, wanted in kinds.items():
        found = nn.Model([kind()], backend="cpu").predict(x)
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
        none = nn.Model([nn.Masking(), kind()], backend="cpu").predict(np.zeros_like(x))
        np.testing.assert_array_equal(none, np.zeros((2, 2)))
        with pytest.raises(ShapeError, match=f"{kind.__name__} takes"):
            nn.Model([kind()]).predict(x[:, 0])


def scores(tokens, classes=5):
    """Outputs that hold `tokens` for the likeliest."""
    noise = RNG.uniform(0, 0.4, (*tokens.shape, classes))
    return (np.eye(classes)[tokens] + noise).astype("f4")


class Given(nn.Layer):
    """What comes in, as a sequence."""

    def build(self, x):
        return x * 1.0


def evaluated(x, t, measure, layers=()):
    model = nn.Model([Given(), *layers], backend="cpu")
    return next(iter(model.eval([(x, t)], measure).values()))


def test_accuracies_of_steps_and_rows():
    said = np.array([[1, 2, 3], [4, 1, 1], [2, 2, 2]])
    wanted = np.int32([[1, 2, 3], [4, 1, 0], [2, 1, 0]])
    x = scores(said)
    assert evaluated(x, wanted, nn.StepAccuracy()) == pytest.approx(6 / 9)
    assert evaluated(x, wanted, nn.StepAccuracy(pad_idx=0)) == pytest.approx(6 / 7)
    assert evaluated(x, wanted, nn.ExactMatch()) == pytest.approx(1 / 3)
    assert evaluated(x, wanted, nn.ExactMatch(pad_idx=0)) == pytest.approx(2 / 3)


def test_costs_of_steps_that_count():
    t = np.int32([[1, 2, 3], [4, 0, 0]])
    x = RNG.standard_normal((2, 3, 5)).astype("f4")
    p = np.exp(x) / np.exp(x).sum(-1, keepdims=True)
    each = -np.log(np.take_along_axis(p, t[..., None], 2)[..., 0])
    softmax = [nn.Activation(nn.Softmax())]
    cross = nn.CrossEntropyMulti()
    assert evaluated(x, t, nn.PerStep(cross), softmax) == pytest.approx(each.sum() / 2, rel=1e-5)
    counted = each[t != 0]
    found = evaluated(x, t, nn.PerStep(cross, pad_idx=0), softmax)
    assert found == pytest.approx(counted.sum() / 2, rel=1e-5)
    found = evaluated(x, t, nn.PerStep(cross, pad_idx=0, mean=True), softmax)
    assert found == pytest.approx(counted.mean(), rel=1e-5)
    with pytest.raises(ShapeError, match="pad_idx=0: targets are tokens"):
        evaluated(x, x, nn.PerStep(cross, pad_idx=0), softmax)
    lengths = nn.PerStep(cross, mean=True)
    assert evaluated((x, np.int32([3, 1])), t, lengths, softmax) == pytest.approx(counted.mean())
    squared = nn.PerStep(nn.SumSquared())
    assert evaluated(x, x + 1, squared) == pytest.approx(0.5 * 5 * 3, rel=1e-5)


def normed(layer, x, lengths):
    """What a layer gives in training, and its running mean and variance after a step."""
    model = nn.Model([layer], backend="cpu")
    step = model.training_step(nn.PerStep(nn.SumSquared()), nn.GradientDescentMomentum(0.0, 0.0))
    cost = step((x, np.int32(lengths)), np.zeros_like(x))
    kept = [model.state.named(f"{model.names[layer]}.{name}") for name in ("mean", "variance")]
    return float(cost), *kept


@pytest.mark.parametrize("shape", [(3, 6, 2), (3, 6, 4, 2)], ids=["sequences", "spectrograms"])
@pytest.mark.parametrize("unbiased", [False, True])
def test_batch_norm_counts_no_padding(shape, unbiased):
    x, lengths = RNG.standard_normal(shape).astype("f4") + 3, [6, 2, 0]
    x[1, 2:], x[2] = 1e4, -1e4
    _, mean, variance = normed(nn.BatchNorm(rho=0.0, unbiased=unbiased), x, lengths)
    counted = np.concatenate([x[0], x[1, :2]]).reshape(-1, 2).astype("f8")
    np.testing.assert_allclose(mean, counted.mean(0), rtol=1e-5)
    np.testing.assert_allclose(variance, counted.var(0, ddof=int(unbiased)), rtol=1e-5)


def test_batch_norm_of_nothing_but_padding_is_finite():
    x = np.ones((2, 3, 2), "f4")
    cost, mean, variance = normed(nn.BatchNorm(rho=0.0, unbiased=True), x, [0, 0])
    assert np.isfinite(cost)
    np.testing.assert_array_equal([*mean, *variance], np.zeros(4))


NORMED = {
    "affine": lambda: nn.Affine(4, batch_norm=True, activation=nn.Rectlin()),
    "binary": lambda: nn.BinaryAffine(4, batch_norm=True),
    "convolution": lambda: nn.Conv((3, 4), padding=1, batch_norm=True, activation=nn.Rectlin()),
    "recurrent": lambda: nn.BiBNRNN(4),
    "cell": lambda: nn.Recurrent(nn.LSTMCell(4, batch_norm=True)),
}


@pytest.mark.parametrize("name", NORMED)
def test_training_with_batch_norm_does_not_depend_on_the_padding(name):
    lengths, y = np.int32([5, 3]), RNG.standard_normal((2, 3)).astype("f4")
    x = RNG.standard_normal((2, 5, 3)).astype("f4")
    longer = np.concatenate([x, np.full((2, 4, 3), 50, "f4")], axis=1)
    longer[1, 3:] = -50

    def trained(given):
        layers = [nn.Masking(None), NORMED[name](), nn.RecurrentMean(), nn.Affine(3, bias=0.0)]
        model = nn.Model(layers, backend="cpu", seed=2)
        step = model.training_step(nn.SumSquared(), nn.GradientDescentMomentum(0.1, 0.0))
        costs = [step((given, lengths), y) for _ in range(2)]
        return np.concatenate([np.ravel(costs), *(np.ravel(a) for _, a in model.state.items())])

    np.testing.assert_allclose(trained(longer), trained(x), rtol=2e-4, atol=1e-5)

"""GANs of few numbers: costs as formulas, who is trained, the gradient penalty."""

import numpy as np
import pytest

from anode import layers as nn
from anode.errors import BackendError, UnsupportedOp

REAL = np.random.default_rng(0).standard_normal((6, 2)).astype(np.float32)
STILL = nn.GradientDescentMomentum(0.0)


def gan(func="modified", **options):
    slope = np.float32([[0.6], [-1.2]])
    return nn.GAN(
        [nn.Affine(2, np.zeros((3, 2), np.float32), bias=np.float32([0.5, 1.0]))],
        [nn.Affine(1, slope, bias=0.25)],
        3,
        func,
        backend="reference",
        **options,
    )


def softplus(x):
    return np.log1p(np.exp(x)).mean()


RIGHT = REAL @ np.float32([[0.6], [-1.2]]) + 0.25
WRONG = 0.5 * 0.6 - 1.2 + 0.25  # the generator gives one image, whatever the noise


@pytest.mark.parametrize(
    ("func", "judging", "fooling"),
    [
        ("modified", softplus(WRONG) + softplus(-RIGHT), softplus(-WRONG)),
        ("original", softplus(WRONG) + softplus(-RIGHT), -softplus(WRONG)),
        ("wasserstein", WRONG - RIGHT.mean(), -WRONG),
    ],
)
def test_costs(func, judging, fooling):
    assert gan(func).discriminator_step(STILL)(REAL) == pytest.approx(judging, rel=1e-5)
    assert gan(func).generator_step(STILL)(REAL) == pytest.approx(fooling, rel=1e-5)


def test_the_penalty_is_of_the_gradients_norm():
    """A linear critic has the slope w everywhere."""
    penalty = (np.hypot(0.6, 1.2) - 1) ** 2
    found = gan("wasserstein", penalty=10.0).discriminator_step(STILL)(REAL)
    assert found == pytest.approx(WRONG - RIGHT.mean() + 10 * penalty, rel=1e-5)


def test_the_penalty_trains_the_slope_to_one():
    model = gan("wasserstein", penalty=100.0)
    step = model.discriminator_step(nn.GradientDescentMomentum(0.002))
    for _ in range(60):
        step(REAL)
    slope = model.state.named("discriminator.Linear_0.weight")
    assert np.linalg.norm(slope) == pytest.approx(1, abs=0.05)


def test_each_step_trains_one_network():
    model = gan()
    judge, fool = (make(nn.Adam(0.1)) for make in (model.discriminator_step, model.generator_step))
    judge(REAL)
    names = [v.name for v in model.state if v.trainable]
    kept = {name: model.state.named(name).copy() for name in names}
    fool(REAL)
    changed = {n.split(".")[0] for n in names if not np.array_equal(kept[n], model.state.named(n))}
    assert changed == {"generator"}
    kept = {name: model.state.named(name).copy() for name in names}
    judge(REAL)
    changed = {n.split(".")[0] for n in names if not np.array_equal(kept[n], model.state.named(n))}
    assert changed == {"discriminator"}


def test_it_learns_a_distribution(backend):
    """Means and spread of two numbers, by a generator that is linear in its noise."""
    target = (np.random.default_rng(1).standard_normal((64, 2)) * 0.5 + [2, -1]).astype(np.float32)
    model = nn.GAN(
        [nn.Affine(2, bias=0.0)],
        [nn.Affine(16, bias=0.0, activation=nn.Rectlin(0.2)), nn.Affine(1, bias=0.0)],
        4,
        backend=backend,
    )
    judge = model.discriminator_step(nn.Adam(0.02, 0.5))
    fool = model.generator_step(nn.Adam(0.02, 0.5))
    for _ in range(200):
        judge(target)
        fool(target)
    noise = np.random.default_rng(2).standard_normal((256, 4)).astype(np.float32)
    np.testing.assert_allclose(model.generate(noise).mean(0), [2, -1], atol=0.5)


def test_unknown_functions_are_refused():
    with pytest.raises(UnsupportedOp, match="no func 'hinge', only modified, original"):
        gan("hinge")


def test_parts_of_both_networks_have_settings_and_taps():
    model = gan()
    found = model.select("#discriminator parameter")
    assert found.names == ["discriminator.Linear_0.weight", "discriminator.Bias_0.bias"]
    assert len(model.select("linear")) == 2
    model.select("#generator bias parameter").set(frozen=True, init=np.float32([2.0, 3.0]))
    model.select("#discriminator linear").set(rate=0.0)
    lines = []
    model.select("#discriminator linear").print(write=lines.append)
    counted = model.select("parameter").histogram(gradient=True)
    rule = nn.GradientDescentMomentum(0.1)
    judge, fool = model.discriminator_step(rule), model.generator_step(rule)
    judge(REAL), fool(REAL)
    assert [line.split(":")[0] for line in lines] == ["discriminator.Linear_0 (Linear)"] * 3
    assert sorted(counted.latest) == [
        "discriminator.Bias_0.bias (gradient)",
        "discriminator.Linear_0.weight (gradient)",
        "generator.Linear_0.weight (gradient)",
    ]
    values = {variable.name: array.ravel().tolist() for variable, array in model.state.items()}
    assert values["generator.Bias_0.bias"] == [2.0, 3.0]
    assert values["discriminator.Linear_0.weight"] == np.float32([0.6, -1.2]).tolist()
    assert values["generator.Linear_0.weight"] != [0.0] * 6
    model.select("#generator parameter").set(frozen=False)
    fool(REAL)
    assert model.state.named("generator.Bias_0.bias").tolist() != [2.0, 3.0]


def test_a_finite_check_names_the_network():
    model = gan()
    model.select("layer").check_finite()
    with pytest.raises(BackendError, match=r"discriminator\.Linear_0 .* is not finite"):
        model.discriminator_step(STILL)(np.full_like(REAL, np.inf))

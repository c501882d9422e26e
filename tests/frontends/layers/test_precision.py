"""Mixed precision of training steps, scales of the loss, and stochastic rounding."""

from __future__ import annotations

import numpy as np
import pytest

from anode import layers as nn
from anode.data import load_mnist
from anode.errors import ShapeError, UnsupportedOp

IMAGES = load_mnist().train[:256]


def model() -> nn.Model:
    return nn.Model(
        [
            nn.Conv((5, 5, 8), bias=0.0, activation=nn.Rectlin(), strides=2),
            nn.Affine(10, bias=0.0, activation=nn.Softmax()),
        ],
        preprocess=nn.unit_range,
    )


def losses(precision: object, steps: int = 30, optimizer: object = None) -> list[float]:
    made = model()
    optimizer = optimizer or nn.GradientDescentMomentum(0.1, 0.9)
    step = made.training_step(nn.CrossEntropyMulti(), optimizer, precision)
    found = [float(step(IMAGES.images, IMAGES.labels)) for _ in range(steps)]
    losses.state = made.state
    return found


def test_half_products_train_as_well() -> None:
    exact, half = losses(None), losses("bf16")
    assert half[0] == pytest.approx(exact[0], rel=0.02) and half[0] != exact[0]
    assert half[-1] < 0.6 and half[-1] == pytest.approx(exact[-1], rel=0.15)
    weights = [v for v in losses.state if v.name.endswith("weight")]
    assert weights and all(str(v.type.dtype) == "f32" for v in weights)


def test_a_static_scale_changes_nothing_but_rounding() -> None:
    plain, scaled = losses("bf16", 5), losses(nn.Precision("bf16", 1024.0), 5)
    np.testing.assert_allclose(scaled, plain, rtol=1e-5)


def value(name: str) -> float:
    return next(float(a) for v, a in losses.state.items() if v.name == f"optimizer.{name}")


def test_a_dynamic_scale_grows_while_gradients_are_finite() -> None:
    found = losses(nn.Precision("f16", "dynamic", growth=4), 9)
    assert value("loss_scale") == 2.0**17 and value("loss_scale.steps") == 1
    np.testing.assert_allclose(found, losses(None, 9), rtol=0.05)


def test_a_step_with_infinite_gradients_changes_no_weight() -> None:
    made = model()
    step = made.training_step(
        nn.CrossEntropyMulti(), nn.GradientDescentMomentum(0.1, 0.9), nn.Precision("f16", "dynamic")
    )
    step(IMAGES.images, IMAGES.labels)
    scale = next(v for v in made.state if v.name == "optimizer.loss_scale")
    made.state[scale] = np.float32(2.0**40)
    before = {v.name: np.array(a) for v, a in made.state.items() if v.name != scale.name}
    step(IMAGES.images, IMAGES.labels)
    assert float(made.state[scale]) == 2.0**39
    for variable, array in made.state.items():
        if variable.trainable or "velocity" in variable.name:
            np.testing.assert_array_equal(array, before[variable.name])


def test_other_types_and_scales_are_refused() -> None:
    for dtype in ("f64", "bf17", 3):
        with pytest.raises(ShapeError, match=f"is of bf16 or f16, not .*{dtype}"):
            model().training_step(nn.CrossEntropyMulti(), nn.Adam(), dtype)
    for scale in (-1, 0, float("inf"), float("nan"), "Dynamic", None):
        with pytest.raises(ShapeError, match=f"loss_scale='?{scale}"):
            nn.Precision("f16", scale)
    with pytest.raises(ShapeError, match="growth=0"):
        nn.Precision("f16", "dynamic", growth=0)


def test_stochastic_rounding_leaves_few_bits_and_trains() -> None:
    found = losses(None, 30, nn.GradientDescentMomentum(0.1, 0.9, stochastic_round=7))
    for variable, array in losses.state.items():
        if variable.trainable:
            assert not (np.asarray(array).view(np.uint32) & 0xFFFF).any()
    assert found[-1] < 0.6
    assert found == losses(None, 30, nn.GradientDescentMomentum(0.1, 0.9, stochastic_round=7))


def test_the_seed_decides_what_is_rounded_up() -> None:
    def rounded(seed: int, threads: int = 1) -> dict[str, bytes]:
        made = nn.Model(
            [nn.Linear(8, nn.Array(np.full((8, 8), 0.3))), nn.Bias(nn.Array(np.full(8, 0.3)))],
            seed=seed,
            threads=threads,
        )
        both = nn.GradientDescentMomentum(0.001, stochastic_round=True)
        optimizer = nn.MultiOptimizer({"Bias": both, "default": both})
        made.training_step(nn.SumSquared(), optimizer)(np.zeros((2, 8)), np.zeros((2, 8)))
        return {v.name: a.tobytes() for v, a in made.state.items()}

    assert rounded(1) == rounded(1, threads=2)
    assert rounded(1)["Linear_0.weight"] != rounded(2)["Linear_0.weight"]
    assert rounded(1)["optimizer.Bias.random"] != rounded(1)["optimizer.default.random"]


def test_stochastic_rounding_is_nowhere_ignored() -> None:
    rounding = nn.GradientDescentMomentum(0.1, stochastic_round=True)
    doubles = nn.Model([nn.Affine(3, activation=nn.Softmax())], dtype="f64")
    step = doubles.training_step(nn.CrossEntropyMulti(), rounding)
    with pytest.raises(ShapeError, match="stochastic_round takes f32"):
        step(np.ones((4, 5)), np.zeros(4, np.int32))
    with pytest.raises(UnsupportedOp, match=r"stochastic_round=2\.5"):
        losses(None, 1, nn.Adam(stochastic_round=2.5))
    with pytest.raises(UnsupportedOp, match="give these options to the optimisers in it"):
        nn.MultiOptimizer(optimizers={"default": rounding}, stochastic_round=True)


@pytest.mark.parametrize("dtype", ["bf16", "f16"])
def test_a_model_of_a_half_type_is_measured_in_f32(dtype: str) -> None:
    data = [(IMAGES.images, IMAGES.labels)]
    measures = [nn.CrossEntropyMulti(), nn.TopKMisclassification(3), nn.Accuracy()]
    found = []
    for kind in (dtype, "f32"):
        layers = [nn.Affine(10, nn.Gaussian(scale=0.01), bias=0.0, activation=nn.Softmax())]
        made = nn.Model(layers, preprocess=nn.unit_range, dtype=kind)
        history = made.fit(data, nn.CrossEntropyMulti(), nn.GradientDescentMomentum(0.1), 3)
        found.append({"cost": history["cost"][-1], **made.eval(data, measures)})
    assert found[0] == pytest.approx(found[1], rel=0.02, abs=0.02)

"""The composites of neural networks against formulas in NumPy, and where they could lose digits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from anode import ops
from anode.errors import ShapeError
from anode.ir.dims import Dim
from anode.ir.graph import trace
from anode.ir.node import Node, constant
from anode.ir.types import tensor
from anode.ops.evaluate import evaluate
from anode.transform.grad import gradients

RANDOM = np.random.default_rng(0)


def run(function: Any, *args: np.ndarray) -> list[np.ndarray]:
    graph = trace(function, *[tensor(a.dtype, *a.shape) for a in args])
    return list(evaluate(graph, args)[0])


def f32(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def np_softmax(x: np.ndarray, axis: int) -> np.ndarray:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


POINTS = np.array([-3.0, -1.0, -0.1, 0.0, 0.1, 1.0, 3.0])
ERF = np.array([math.erf(v / math.sqrt(2)) for v in POINTS])
SOFTPLUS = np.log(1 + np.exp(POINTS))


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (ops.relu, np.maximum(POINTS, 0)),
        (ops.leaky_relu, np.where(POINTS > 0, POINTS, 0.01 * POINTS)),
        (ops.clipped_relu, np.clip(POINTS, 0, 6)),
        (ops.elu, np.where(POINTS > 0, POINTS, np.expm1(POINTS))),
        (
            ops.selu,
            1.0507009873554805
            * np.where(POINTS > 0, POINTS, 1.6732632423543772 * np.expm1(POINTS)),
        ),
        (ops.softplus, SOFTPLUS),
        (ops.softsign, POINTS / (1 + np.abs(POINTS))),
        (ops.gelu, POINTS / 2 * (1 + ERF)),
        (ops.silu, POINTS / (1 + np.exp(-POINTS))),
        (ops.mish, POINTS * np.tanh(SOFTPLUS)),
        (ops.hard_sigmoid, np.clip(0.2 * POINTS + 0.5, 0, 1)),
        (ops.hard_tanh, np.clip(POINTS, -1, 1)),
    ],
    ids=lambda v: getattr(v, "name", ""),
)
def test_activations(function: Any, expected: np.ndarray) -> None:
    np.testing.assert_allclose(run(function, POINTS)[0], expected, rtol=1e-14, atol=1e-16)


def test_approximate_gelu_is_close_to_gelu() -> None:
    exact, near = run(lambda x: (ops.gelu(x), ops.gelu(x, approximate=True)), POINTS)
    assert 1e-6 < np.abs(exact - near).max() < 1e-3


def test_activations_at_the_ends() -> None:
    x = f32(-np.inf, -1e30, -200, 200, 1e30, np.nan)
    np.testing.assert_array_equal(run(ops.relu, x)[0], f32(0, 0, 0, 200, 1e30, np.nan))
    np.testing.assert_array_equal(run(ops.softplus, x)[0], f32(0, 0, 0, 200, 1e30, np.nan))
    np.testing.assert_array_equal(run(ops.clipped_relu, x)[0], f32(0, 0, 0, 6, 6, np.nan))
    np.testing.assert_array_equal(run(ops.elu, x)[0], f32(-1, -1, -1, 200, 1e30, np.nan))
    assert run(ops.softplus, f32(-80))[0][0] == np.float32(math.exp(-80))


def gradient_at(function: Any, x: float) -> float:
    def slope(v: Node) -> tuple[Node, ...]:
        return gradients([function(v)], [v])

    return float(run(slope, np.float64(x))[0])


def test_gradients_at_kinks() -> None:
    assert gradient_at(ops.relu, 0) == 0
    assert gradient_at(ops.clipped_relu, 6) == 0
    assert gradient_at(lambda v: ops.elu(v, alpha=0.5), 0) == 0.5
    assert gradient_at(ops.softplus, 0) == 0.5
    assert gradient_at(ops.softsign, 0) == 1


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_softmax(axis: int) -> None:
    x = RANDOM.normal(size=(3, 4, 5))
    p, log_p = run(lambda x: (ops.softmax(x, axis=axis), ops.log_softmax(x, axis=axis)), x)
    np.testing.assert_allclose(p, np_softmax(x, axis), rtol=1e-13)
    np.testing.assert_allclose(log_p, np.log(np_softmax(x, axis)), rtol=1e-13)


def test_softmax_of_large_logits() -> None:
    x = f32(1e4, 0, -1e4, -np.inf)
    assert run(ops.softmax, x)[0].tolist() == [1, 0, 0, 0]
    assert run(ops.log_softmax, x)[0].tolist() == [0, -1e4, -2e4, -np.inf]


def test_half_types_round_once() -> None:
    x = RANDOM.normal(size=(4, 300)).astype(np.float16)
    exact = np_softmax(x.astype(np.float64), 1)
    np.testing.assert_allclose(run(ops.softmax, x)[0].astype(float), exact, 2.0**-11, 2.0**-25)


def test_losses() -> None:
    logits, labels = RANDOM.normal(size=(6, 5)), RANDOM.integers(0, 5, 6).astype(np.int32)
    targets = np.eye(5)[labels]
    expected = -np.log(np_softmax(logits, 1)[np.arange(6), labels])
    dense = run(lambda x, t: ops.softmax_cross_entropy(x, t, axis=1), logits, targets)[0]
    sparse = run(ops.sparse_softmax_cross_entropy, logits, labels)[0]
    safe = run(lambda x, t: ops.cross_entropy(ops.softmax(x), t, axis=1), logits, targets)[0]
    for found in (dense, sparse, safe):
        np.testing.assert_allclose(found, expected, rtol=1e-13)
    p = 1 / (1 + np.exp(-logits))
    binary = run(ops.sigmoid_cross_entropy, logits, targets)[0]
    expected = -targets * np.log(p) - (1 - targets) * np.log(1 - p)
    np.testing.assert_allclose(binary, expected, rtol=1e-12)


def test_cross_entropy_of_probability_zero_is_fifty() -> None:
    one = f32(1, 0)
    assert run(ops.cross_entropy, f32(0, 1), one)[0] == pytest.approx(50)


def test_losses_of_large_logits_stay_finite() -> None:
    logits, targets = f32(1e4, -1e4), f32(0, 1)
    assert run(ops.softmax_cross_entropy, logits, targets)[0] == 2e4
    assert run(ops.sigmoid_cross_entropy, logits, targets)[0].tolist() == [1e4, 1e4]


def test_a_label_outside_gives_nan() -> None:
    logits = np.zeros((3, 4), np.float32)
    loss = run(ops.sparse_softmax_cross_entropy, logits, np.array([4, -1, 3], np.int32))[0]
    assert np.isnan(loss).tolist() == [True, True, False]


def test_the_gradient_of_the_loss_is_softmax_minus_targets() -> None:
    logits, targets = RANDOM.normal(size=(2, 3)), np.eye(3)[:2]

    def slope(x: Node, t: Node) -> tuple[Node, ...]:
        return gradients([ops.sum(ops.softmax_cross_entropy(x, t, axis=1))], [x])

    expected = np_softmax(logits, 1) - targets
    np.testing.assert_allclose(run(slope, logits, targets)[0], expected, atol=1e-15)


def test_normalized_targets_count_as_summing_to_one() -> None:
    logits, targets = RANDOM.normal(size=(2, 3)), RANDOM.uniform(size=(2, 3))

    def both(x: Node, t: Node) -> tuple[Node, ...]:
        y = ops.softmax_cross_entropy(x, t, axis=1, normalized=True)
        return y, *gradients([ops.sum(y)], [x, t])

    loss, slope, by_targets = run(both, logits, targets)
    p = np_softmax(logits, 1)
    np.testing.assert_allclose(loss, -(targets * np.log(p)).sum(1))
    np.testing.assert_allclose(slope, p - targets, atol=1e-15)
    np.testing.assert_allclose(by_targets, -np.log(p), atol=1e-12)


def test_dropout_scales_what_it_keeps() -> None:
    key = np.array([1, 2, 3, 4], np.uint32)
    x = np.ones((100, 100), np.float32)

    def value_and_slope(x: Node, key: Node) -> tuple[Node, ...]:
        y = ops.dropout(x, key, keep=0.8, stream=3)
        return y, *gradients([y], [x], [y])

    y, slope = run(value_and_slope, x, key)
    assert set(np.unique(y)) == {np.float32(0), np.float32(1.25)}
    assert abs(y.mean() - 1) < 0.025
    np.testing.assert_array_equal(slope, y * np.float32(1.25))  # the same mask


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_batch_norm(axis: int) -> None:
    x = RANDOM.normal(size=(3, 4, 5)) * 3 + 100
    scale, offset = RANDOM.normal(size=(2, x.shape[axis]))
    others = tuple(i for i in range(3) if i != axis % 3)
    shape = [x.shape[i] if i == axis % 3 else 1 for i in range(3)]
    y, mean, variance = run(
        lambda x, s, o: ops.batch_norm_training(x, s, o, axis=axis, epsilon=0.01).items,
        *(x, scale, offset),
    )
    np.testing.assert_allclose(mean, x.mean(others), rtol=1e-13)
    np.testing.assert_allclose(variance, x.var(others), rtol=1e-11)
    unit = (x - x.mean(others, keepdims=True)) / np.sqrt(x.var(others, keepdims=True) + 0.01)
    expected = unit * scale.reshape(shape) + offset.reshape(shape)
    np.testing.assert_allclose(y, expected, atol=1e-11)
    inference = run(
        lambda *xs: ops.batch_norm_inference(*xs, axis=axis, epsilon=0.01),
        *(x, scale, offset, mean, variance),
    )
    np.testing.assert_allclose(inference[0], expected, atol=1e-11)


def test_layer_norm() -> None:
    x, scale, offset = RANDOM.normal(size=(3, 8)), RANDOM.normal(size=8), RANDOM.normal(size=8)
    y = run(lambda *xs: ops.layer_norm(*xs, axes=(-1,), epsilon=0.01), x, scale, offset)[0]
    unit = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 0.01)
    np.testing.assert_allclose(y, unit * scale + offset, atol=1e-13)


def test_symbolic_sizes_bind_to_what_static_ones_give() -> None:
    key = np.array([1, 2, 3, 4], np.uint32)
    args = [RANDOM.normal(size=(5, 3)), RANDOM.normal(size=3), RANDOM.normal(size=3), key]

    def step(x: Node, scale: Node, offset: Node, key: Node) -> tuple[Node, ...]:
        y, mean, variance = ops.batch_norm_training(x, scale, offset, axis=1).items
        kept = ops.dropout(ops.softmax(ops.relu(y)), key, keep=0.5, stream=1)
        loss = ops.sum(ops.layer_norm(kept, scale, offset) * kept) + ops.sum(mean * variance)
        return loss, *gradients([loss], [x, scale])

    rest = [tensor(a.dtype, *a.shape) for a in args[1:]]
    found = evaluate(trace(step, tensor("f64", Dim("n"), 3), *rest).bind(n=5), args)[0]
    for value, expected in zip(found, run(step, *args), strict=True):
        np.testing.assert_array_equal(value, expected)


def test_errors() -> None:
    x, v = constant(np.zeros((2, 3), np.float32)), constant(np.zeros(2, np.float32))
    key = constant(np.zeros(4, np.uint32))
    with pytest.raises(ShapeError, match="axis 2"):
        ops.softmax(x, axis=2)
    with pytest.raises(ShapeError, match="channels"):
        ops.batch_norm_training(x, v, v, axis=1)
    with pytest.raises(ShapeError, match="instance_norm: axis 7"):
        ops.instance_norm(x, v, v, axis=7)
    with pytest.raises(ShapeError, match=r"size takes integers, not 2\.5"):
        ops.local_response_norm(x, size=2.5)
    with pytest.raises(ShapeError, match="of type f32 for f64"):
        ops.batch_norm_training(ops.convert(x, dtype="f64"), v, v, axis=0)
    with pytest.raises(ShapeError, match="axes"):
        ops.layer_norm(x, v, v)
    with pytest.raises(ShapeError, match="one integer for each row"):
        ops.sparse_softmax_cross_entropy(x, v)
    with pytest.raises(ShapeError, match="one shape"):
        ops.sigmoid_cross_entropy(x, constant(0.0))
    with pytest.raises(ShapeError, match="share in"):
        ops.dropout(x, key, keep=0.0, stream=0)

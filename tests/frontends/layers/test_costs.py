import numpy as np
import pytest

from anode import layers as nn
from anode import ops
from anode.errors import ShapeError, UnsupportedOp
from anode.frontends.layers.costs import Prediction, dense
from anode.ir.graph import close, fresh_inputs
from anode.ir.types import tensor
from anode.runtime.executable import compile
from anode.transform.grad import gradients

RNG = np.random.default_rng(0)
X = RNG.standard_normal((4, 3))
T = RNG.random((4, 3))
BITS = (T > 0.5).astype(np.float64)
LABELS = np.array([0, 2, 1, 2])
HOT = np.eye(3)[LABELS]


def logistic(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def smooth_l1(y, t, sigma=2.0):
    d = np.abs(y - t)
    return np.where(d < 1 / sigma**2, 0.5 * (sigma * d) ** 2, d - 0.5 / sigma**2).sum(1)


def binary(y, t):
    return -(t * np.log(y) + (1 - t) * np.log(1 - y)).sum(1)


def multi(y, t):
    return -(t * np.log(y)).sum(1)


CASES = [
    (nn.SumSquared(), None, T, lambda x: 0.5 * ((x - T) ** 2).sum(1)),
    (nn.MeanSquared(), None, T, lambda x: 0.5 * ((x - T) ** 2).mean(1)),
    (nn.SmoothL1(2.0), None, T, lambda x: smooth_l1(x, T)),
    (nn.SquareHinge(), None, BITS, lambda x: (np.maximum(1 - (2 * BITS - 1) * x, 0) ** 2).mean(1)),
    (nn.CrossEntropyBinary(), nn.Logistic(), T, lambda x: binary(logistic(x), T)),
    (nn.CrossEntropyBinary(), nn.Softmax(), T, lambda x: binary(softmax(x), T)),
    (nn.CrossEntropyMulti(), nn.Softmax(), T, lambda x: multi(softmax(x), T)),
    (nn.CrossEntropyMulti(), nn.Softmax(), LABELS, lambda x: multi(softmax(x), HOT)),
    (nn.CrossEntropyMulti(), nn.Softmax(), LABELS[:, None], lambda x: multi(softmax(x), HOT)),
    (
        nn.CrossEntropyMulti(True),
        nn.Softmax(),
        LABELS,
        lambda x: multi(softmax(x), HOT) / np.log(2),
    ),
    (nn.CrossEntropyMulti(), nn.Logistic(), LABELS, lambda x: multi(logistic(x), HOT)),
    (nn.CrossEntropyMulti(), nn.Softmax(0), T, lambda x: multi(softmax(x.T).T, T)),
]


def graph(cost, activation, x, t):
    """Rows and the gradient of their sum by x."""
    inputs = fresh_inputs(*(tensor(a.dtype, *a.shape) for a in (x, t)))
    value = activation(inputs[0]) if activation else inputs[0]
    prediction = Prediction(value, activation, inputs[0] if activation else None)
    rows = cost.rows(prediction, inputs[1])
    return close(inputs, [rows, *gradients([rows], [inputs[0]], [ops.ones_like(rows)])])


def differences(function, x):
    found = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[index] = 1e-6
        found[index] = (function(x + step).sum() - function(x - step).sum()) / 2e-6
    return found


@pytest.mark.parametrize(("cost", "activation", "t", "formula"), CASES)
def test_values_and_gradients(cost, activation, t, formula, backend):
    dtype = np.float32 if backend != "reference" else np.float64
    x = X.astype(dtype)
    rows, found = compile(graph(cost, activation, x, t), backend)(x, t)
    tolerance = (
        {"rtol": 1e-4, "atol": 1e-4} if dtype == np.float32 else {"rtol": 1e-6, "atol": 1e-8}
    )
    if isinstance(activation, nn.Softmax) and activation.axis == 0:
        assert rows.sum() == pytest.approx(formula(X).sum(), rel=1e-4)
    else:
        np.testing.assert_allclose(rows, formula(X), **tolerance)
    np.testing.assert_allclose(found, differences(formula, X), **tolerance)


@pytest.mark.parametrize("labels", [np.uint8, np.int32, np.int64])
def test_fused_costs_stay_finite(labels):
    x = np.array([[1000.0, -1000.0, 0.0]], np.float32)
    t = np.array([1], labels)
    rows, found = compile(graph(nn.CrossEntropyMulti(), nn.Softmax(), x, t), "reference")(x, t)
    assert rows.tolist() == [2000] and found.tolist() == [[1, -1, 0]]
    t = np.array([[0, 1, 1]], np.float32)
    rows, found = compile(graph(nn.CrossEntropyBinary(), nn.Logistic(), x, t), "reference")(x, t)
    assert rows[0] == pytest.approx(2000 + np.log(2)) and np.allclose(found, [[1, -1, -0.5]])


def test_fused_costs_are_one_op():
    x, t = X.astype(np.float32), LABELS
    names = {n.op.name for n in graph(nn.CrossEntropyMulti(), nn.Softmax(), x, t).nodes}
    assert "sparse_softmax_cross_entropy" in names and "log" not in names
    names = {n.op.name for n in graph(nn.CrossEntropyBinary(), nn.Logistic(), x, T).nodes}
    assert "sigmoid_cross_entropy" in names


def test_targets_that_do_not_fit():
    y, t = fresh_inputs(tensor("f32", 4, 3), tensor("f32", 4, 2))
    with pytest.raises(ShapeError, match=r"targets f32\[4,2\] do not fit the output f32\[4,3\]"):
        dense(y, t)
    floats = fresh_inputs(tensor("f32", 4))[0]
    with pytest.raises(ShapeError, match="do not fit"):
        dense(y, floats)


def test_targets_of_a_single_output():
    y, t = fresh_inputs(tensor("f32", 4, 1), tensor("u8", 4))
    assert dense(y, t).type == y.type


def value_and_gradient(build, *arrays):
    """A cost's value of some arrays, and its gradient by the first."""
    inputs = fresh_inputs(*(tensor(array.dtype, *array.shape) for array in arrays))
    value = build(*inputs)
    found = gradients([value], [inputs[0]])
    run = compile(close(inputs, [value, *found]), "reference")
    return run(*arrays)


def checked(build, *arrays):
    """The value, its gradient by the first array compared with finite differences."""
    value, gradient = value_and_gradient(build, *arrays)
    x = arrays[0]
    for place in np.ndindex(*x.shape):
        step = np.zeros_like(x)
        step[place] = 1e-5
        ahead, behind = (value_and_gradient(build, x + s, *arrays[1:])[0] for s in (step, -step))
        np.testing.assert_allclose(gradient[place], (ahead - behind) / 2e-5, rtol=1e-4, atol=1e-8)
    return value


STEPS = RNG.standard_normal((2, 3, 4))
STEP_LABELS = np.array([[0, 1, 3], [2, 2, 1]])


@pytest.mark.parametrize(
    "weights", [np.array([0.5, 2.0]), np.array([[1.0, 0, 0.5], [1, 1, 0]])], ids=["rows", "steps"]
)
def test_masks_of_rows_and_steps(weights):
    cost = nn.CostMask(nn.CrossEntropyMulti())

    def build(x, t, w):
        y = nn.Softmax()(x)
        flat = y if weights.ndim == 2 else ops.reshape(y, shape=(2, 12))
        wide = (
            t
            if weights.ndim == 2
            else ops.reshape(ops.one_hot(t, depth=4, dtype="f64"), shape=(2, 12))
        )
        return ops.sum(cost.rows(Prediction(flat), (wide, w)))

    losses = -np.log(np.take_along_axis(softmax_last(STEPS), STEP_LABELS[..., None], 2)[..., 0])
    wanted = (losses if weights.ndim == 2 else losses.sum(1)) * weights
    np.testing.assert_allclose(checked(build, STEPS, STEP_LABELS, weights), wanted.sum())


def softmax_last(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_masked_steps_take_the_logits():
    cost = nn.CostMask(nn.CrossEntropyMulti())
    weights = np.array([[1.0, 0, 0], [1, 1, 0]])

    def build(x, t, w):
        softmax = nn.Softmax()
        return ops.sum(cost.rows(Prediction(softmax(x), softmax, x), (t, w)))

    x = STEPS * 1e4  # whose softmax is 0 and 1
    losses = -np.take_along_axis(x - x.max(2, keepdims=True), STEP_LABELS[..., None], 2)[..., 0]
    found, _ = value_and_gradient(build, x, STEP_LABELS, weights)
    np.testing.assert_allclose(found, (losses * weights).sum(), rtol=1e-6)


def test_masks_of_elements():
    mask = BITS
    cost = nn.CostMask(nn.SumSquared())
    value = checked(lambda y, t, w: ops.sum(cost.rows(Prediction(y), (t, w))), X, T, mask)
    np.testing.assert_allclose(value, 0.5 * (mask * (X - T) ** 2).sum())


def test_what_masks_refuse():
    cost = nn.CostMask(nn.SumSquared())
    y, t, w = fresh_inputs(tensor("f64", 4, 3), tensor("f64", 4, 3), tensor("f64", 3))
    with pytest.raises(ShapeError, match=r"takes targets \(t, weights\)"):
        cost.rows(Prediction(y), t)
    with pytest.raises(ShapeError, match="do not fit the output"):
        cost.rows(Prediction(y), (t, w))


REAL, FAKE = RNG.standard_normal((5, 1)), RNG.standard_normal((5, 1))


@pytest.mark.parametrize(
    "func, judging, fooling",
    [
        ("modified", None, lambda s: -np.log(logistic(s)).mean()),
        ("original", None, lambda s: np.log(1 - logistic(s)).mean()),
        ("wasserstein", FAKE.mean() - REAL.mean(), lambda s: -s.mean()),
    ],
)
def test_adversarial_costs(func, judging, fooling):
    cost = nn.GANCost(func)
    if judging is None:
        judging = -np.log(logistic(REAL)).mean() - np.log(1 - logistic(FAKE)).mean()
    np.testing.assert_allclose(checked(cost.judging, REAL, FAKE), judging)
    np.testing.assert_allclose(checked(cost.fooling, FAKE), fooling(FAKE))
    with pytest.raises(UnsupportedOp, match="no func 'least'"):
        nn.GANCost("least")

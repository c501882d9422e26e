"""Layers made of layers: names, values, and what trains."""

import numpy as np
import pytest

from anode import layers as nn
from anode.errors import ShapeError

X = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
LABELS = np.array([0, 1, 1, 0], np.int32)


def outputs(layers, x=X):
    return nn.Model(layers, backend="reference").predict(x)


def double(x):
    return x * 2.0


def test_sequential_is_one_layer():
    model = nn.Model([nn.Sequential([nn.Linear(2), double, nn.Linear(2)], name="part")])
    model.backend = "reference"
    found = model.predict(X)
    first, second = (model.state.named(f"part.Linear_{i}.weight") for i in (0, 1))
    np.testing.assert_allclose(found, X @ first * 2 @ second, rtol=1e-5)


def test_merges():
    np.testing.assert_allclose(
        outputs([nn.MergeSum([[], double, [double, double]])]), 7 * X, rtol=1e-6
    )
    skipped = outputs([nn.MergeSum([nn.SkipNode(), double])])
    np.testing.assert_allclose(skipped, 3 * X, rtol=1e-6)
    beside = outputs([nn.MergeBroadcast([double, []])])
    np.testing.assert_allclose(beside, np.concatenate([2 * X, X], 1))


def test_what_merges_refuse():
    with pytest.raises(ShapeError, match="the branches have the shapes"):
        outputs([nn.MergeSum([nn.Linear(2), []])])
    with pytest.raises(ShapeError, match="choose 'recurrent', 'depth', 'stack'"):
        nn.MergeBroadcast([double], merge="side")
    with pytest.raises(ShapeError, match="1 branches, 2 alphas"):
        nn.MergeBroadcast([double], alphas=[1, 2])
    with pytest.raises(ShapeError, match="mode='min' is not there"):
        nn.Parallel([double], "min")
    with pytest.raises(ShapeError, match="at least one branch"):
        nn.MergeSum([])


def tree():
    start = nn.BranchNode()
    head = nn.Affine(2, activation=nn.Softmax(), name="head")
    main = [nn.Affine(2, activation=nn.Softmax(), name="main")]
    return nn.SingleOutputTree([[nn.Linear(5), start, *main], [start, *head]], name="tree")


def test_a_tree_has_one_output_and_trains_by_all():
    model = nn.Model([tree()], backend="reference")
    assert model.predict(X).shape == (4, 2)
    single, both = nn.CrossEntropyMulti(), nn.Multicost([nn.CrossEntropyMulti()] * 2, [1.0, 0.5])
    before = model.state.named("tree.head.weight").copy()
    alone = float(model.eval([(X, LABELS)], single)["CrossEntropyMulti"])
    assert model.eval([(X, LABELS)], both)["Multicost"] == pytest.approx(alone)
    cost = float(model.training_step(both, nn.GradientDescentMomentum(0.1))(X, LABELS))
    hidden = X @ np.asarray(nn_initial(model, "tree.Linear_0.weight"))
    logits = hidden @ before
    rest = np.log(np.exp(logits).sum(1)) - logits[np.arange(4), LABELS]
    assert cost == pytest.approx(alone + 0.5 * rest.mean(), rel=1e-5)
    assert not np.array_equal(model.state.named("tree.head.weight"), before)


def nn_initial(model, name):
    """The value of a variable before training."""
    fresh = nn.Model([tree()], backend="reference")
    fresh.build(X)
    return fresh.state.named(name)


def test_the_number_of_costs_must_be_that_of_the_branches():
    step = nn.Model([tree()], backend="reference").training_step(
        nn.Multicost([nn.CrossEntropyMulti()] * 3), nn.GradientDescentMomentum(0.1)
    )
    with pytest.raises(ShapeError, match="3 costs, 2 branches"):
        step(X, LABELS)
    with pytest.raises(ShapeError, match="1 costs, 2 weights"):
        nn.Multicost([nn.CrossEntropyMulti()], [1.0, 2.0])


def test_a_branch_starts_at_a_branch_node():
    lost = nn.SingleOutputTree([[nn.Linear(2)], [nn.BranchNode(), nn.Linear(2)]])
    step = nn.Model([lost], backend="reference").training_step(
        nn.Multicost([nn.MeanSquared()] * 2), nn.GradientDescentMomentum(0.1)
    )
    with pytest.raises(ShapeError, match="must start with a BranchNode of a branch before it"):
        step(X, np.zeros((4, 2), np.float32))


def test_costs_see_the_last_activation_through_containers():
    """Cross entropy takes the logits, however deep the softmax is, so that it stays finite."""
    w = np.float32([[1000.0, -1000.0]] * 3)
    layers = [nn.Sequential([nn.Linear(2, w), nn.Sequential([nn.Softmax()])])]
    model = nn.Model(layers, backend="reference")
    found = model.eval([(np.ones((1, 3), "f"), np.int32([1]))], nn.CrossEntropyMulti())
    assert found["CrossEntropyMulti"] == pytest.approx(6000.0)


SEQUENCE = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


@pytest.mark.parametrize("merge, axis", [("depth", 2), ("recurrent", 1)])
def test_merged_sequences(merge, axis):
    found = outputs([nn.MergeBroadcast([double, []], merge=merge)], SEQUENCE)
    np.testing.assert_array_equal(found, np.concatenate([2 * SEQUENCE, SEQUENCE], axis))


def test_a_stack_joins_everything_after_the_batch():
    images = np.arange(16, dtype=np.float32).reshape(2, 2, 2, 2)
    found = outputs([nn.MergeBroadcast([double, nn.Linear(3, init=1.0)], merge="stack")], images)
    flat = images.transpose(0, 3, 1, 2).reshape(2, 8)
    sums = np.repeat(flat.sum(1, keepdims=True), 3, 1)
    np.testing.assert_allclose(found, np.concatenate([2 * flat, sums], 1))


@pytest.mark.parametrize(
    "mode, wanted",
    [
        ("concat", np.concatenate([2 * X, X], 1)),
        ("sum", 3 * X),
        ("mean", 1.5 * X),
        ("product", 2 * X**2),
        ("max", np.maximum(2 * X, X)),
        (lambda xs: xs[0] - xs[1], X),
    ],
)
def test_parallel(mode, wanted):
    np.testing.assert_allclose(outputs([nn.Parallel([double, []], mode)]), wanted, rtol=1e-6)


def gradients_of(layers, x, y, cost, at="first.weight"):
    """The gradient of a variable, as what one step of descent takes from it."""
    model = nn.Model(layers, backend="reference")
    model.build(x)
    before = model.state.named(at).copy()
    model.fit([(x, y)], cost, nn.GradientDescentMomentum(1.0, 0.0), 1)
    return before - model.state.named(at)


def numeric(layers, x, y, cost, at="first.weight", step=1e-2):
    """The same by finite differences of what `eval` gives."""
    model = nn.Model(layers, backend="reference")
    model.build(x)
    weight = model.state.named(at).copy()
    found = np.zeros_like(weight)
    for place in np.ndindex(*weight.shape):
        values = []
        for sign in (1, -1):
            changed = weight.copy()
            changed[place] += sign * step
            model.state[model.state.variable(at)] = changed
            values.append(sum(model.eval([(x, y)], cost).values()))
        found[place] = (values[0] - values[1]) / (2 * step)
    return found


TARGETS = np.linspace(-1, 1, 8, dtype=np.float32).reshape(4, 2)


def first(nout=3):
    return nn.Linear(nout, init=nn.Gaussian(scale=0.5), name="first")


@pytest.mark.parametrize(
    "merge",
    [
        lambda: nn.MergeBroadcast([nn.Linear(2), nn.Tanh()], merge="stack"),
        lambda: nn.Parallel([nn.Linear(3), nn.Tanh()], "product"),
        lambda: nn.Parallel([nn.Linear(3), nn.Tanh()], "mean"),
    ],
)
def test_gradients_through_merges(merge):
    layers, cost = [first(), merge(), nn.Linear(2)], nn.SumSquared()
    found = gradients_of(layers, X, TARGETS, cost)
    np.testing.assert_allclose(found, numeric(layers, X, TARGETS, cost), rtol=2e-2, atol=2e-3)


def test_alphas_weight_what_branches_pass_back():
    def of(*alphas):
        merged = nn.MergeBroadcast([nn.Linear(1), nn.Linear(1)], merge="depth", alphas=alphas)
        return gradients_of([first(), merged], X, TARGETS, nn.SumSquared())

    both = of(1, 1)
    np.testing.assert_allclose(of(1, 0) + of(0, 1), both, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(of(0.25, 2), 0.25 * of(1, 0) + 2 * of(0, 1), rtol=1e-4, atol=1e-6)
    layers = [first(), nn.MergeBroadcast([nn.Linear(1), nn.Linear(1)], alphas=[0.25, 2])]
    plain = [first(), nn.MergeBroadcast([nn.Linear(1), nn.Linear(1)])]
    np.testing.assert_allclose(outputs(layers), outputs(plain), rtol=1e-6)


def streams():
    return nn.MergeMultistream([nn.Linear(3, name="first"), [nn.Linear(2), nn.Tanh()]])


def test_streams_have_an_input_each(tmp_path):
    other = X[:, :2] + 1
    layers = [streams(), nn.Linear(2)]
    data = [((X, other), TARGETS)]
    model = nn.Model(layers, backend="reference")
    found = model.predict((X, other))
    assert found.shape == (4, 2)
    mine = model.state.named("MergeMultistream_0.Linear_0.weight")
    kept = np.concatenate([X @ model.state.named("MergeMultistream_0.first.weight"),
                           np.tanh(other @ mine)], 1)  # fmt: skip
    np.testing.assert_allclose(found, kept @ model.state.named("Linear_0.weight"), rtol=1e-5)
    model.fit(data, nn.SumSquared(), nn.GradientDescentMomentum(0.1, 0.9), 1)
    model.save(tmp_path / "model")
    again = nn.Model([streams(), nn.Linear(2)], backend="reference")
    again.load(tmp_path / "model")
    np.testing.assert_array_equal(again.predict((X, other)), model.predict((X, other)))
    at = "MergeMultistream_0.first.weight"
    found = gradients_of(layers, *data[0], nn.SumSquared(), at)
    wanted = numeric(layers, *data[0], nn.SumSquared(), at)
    np.testing.assert_allclose(found, wanted, rtol=2e-2, atol=2e-3)


def test_what_streams_refuse():
    with pytest.raises(ShapeError, match="2 branches need as many inputs"):
        nn.Model([streams()], backend="reference").predict(X)
    with pytest.raises(ShapeError, match="2 branches need as many inputs"):
        nn.Model([streams()], backend="reference").predict((X, X, X))
    with pytest.raises(ShapeError, match="be the model's first layer"):
        nn.Model([double, streams()], backend="reference").predict(X)


def test_a_picture_may_be_the_first_word():
    layers = [nn.MergeMultistream([nn.Linear(5), nn.LookupTable(9, 5)], "recurrent")]
    tokens = np.array([[1, 2, 3], [4, 5, 6]], np.int32)
    found = nn.Model(layers, backend="reference").predict((X[:2], tokens))
    assert found.shape == (2, 4, 5)


def test_a_tree_gives_all_its_outputs():
    start = nn.BranchNode()

    def layers(alphas=None):
        rows = [[first(), start, nn.Linear(2)], [start, nn.Linear(1, name="second")]]
        return [nn.Tree(rows, alphas=alphas, name="tree")]

    model = nn.Model(layers(), backend="reference")
    one, two = model.predict(X)
    assert one.shape == (4, 2) and two.shape == (4, 1)
    parts = model.get_outputs([X[:2], X[2:]])
    np.testing.assert_allclose(parts[1], two, rtol=1e-6)
    cost = nn.Multicost([nn.SumSquared(), nn.SumSquared()], [1.0, 0.5])
    targets = TARGETS, TARGETS[:, :1]
    found = model.eval([(X, targets)], cost)["Multicost"]
    wanted = ((one - targets[0]) ** 2).sum(1) / 2 + ((two - targets[1]) ** 2).sum(1) / 4
    np.testing.assert_allclose(found, wanted.mean(), rtol=1e-5)
    at = "tree.first.weight"
    found = gradients_of(layers(), X, targets, cost, at)
    wanted = numeric(layers(), X, targets, cost, at)
    np.testing.assert_allclose(found, wanted, rtol=2e-2, atol=2e-3)
    alone = gradients_of(layers([1, 0]), X, targets, cost, at)
    doubled = gradients_of(layers([1, 2]), X, targets, cost, at)
    np.testing.assert_allclose(doubled - found, found - alone, rtol=1e-3, atol=1e-5)


def test_a_metric_of_one_output():
    start = nn.BranchNode()
    rows = [[start, nn.Linear(2)], [start, nn.Linear(2)]]
    model = nn.Model([nn.Tree(rows)], backend="reference")
    outputs = model.predict(X)
    metrics = [nn.MultiMetric(nn.Accuracy(), i) for i in range(2)]
    found = model.eval([(X, (LABELS, 1 - LABELS))], metrics)
    for i, wanted in enumerate((LABELS, 1 - LABELS)):
        right = (outputs[i].argmax(1) == wanted).mean()
        assert found[f"Accuracy_{i}"] == pytest.approx(right)
    with pytest.raises(ShapeError, match="there are 2 outputs, not 3"):
        model.eval([(X, LABELS)], nn.MultiMetric(nn.Accuracy(), 2))

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
    with pytest.raises(ShapeError, match="choose 'depth'"):
        nn.MergeBroadcast([double], merge="recurrent")
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

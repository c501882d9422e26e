"""Deep Q-learning against NumPy, and on a corridor whose values are known."""

from pathlib import Path

import numpy as np
import pytest

from anode import layers, tensor
from anode.data import Transitions
from anode.errors import CheckpointError, GraphError, ShapeError


def _agent(double: bool = False, **options: object) -> layers.QLearning:
    optimizer = layers.GradientDescentMomentum(0.5)
    network = [layers.Affine(3, bias=0.0)]
    return layers.QLearning(network, optimizer, double=double, backend="reference", **options)


def _transitions(rows: int = 4) -> Transitions:
    random = np.random.default_rng(0)
    return Transitions(
        random.standard_normal((rows, 5), np.float32),
        random.integers(0, 3, rows, dtype=np.int32),
        random.standard_normal(rows, np.float32),
        np.float32([0.9, 0.9, 0.0, 0.9])[:rows],
        random.standard_normal((rows, 5), np.float32),
    )


@pytest.mark.parametrize("double", [False, True])
def test_a_step_has_the_cost_and_the_update_of_the_formula(double: bool) -> None:
    agent, batch = _agent(double), _transitions()
    agent.step(batch)  # now the two networks differ
    names = ("online.Linear_0.weight", "target.Linear_0.weight")
    weight, target = (agent.state.named(name).astype(np.float64) for name in names)
    bias = agent.state.named("online.Bias_0.bias").astype(np.float64)
    ahead = batch.following @ target + agent.state.named("target.Bias_0.bias")
    chosen = batch.following @ weight + bias if double else ahead
    rows = np.arange(4)
    goal = batch.rewards + batch.discounts * ahead[rows, chosen.argmax(1)]
    difference = (batch.observations @ weight + bias)[rows, batch.actions] - goal
    small = np.abs(difference) < 1
    cost = np.where(small, difference**2 / 2, np.abs(difference) - 0.5).mean()
    slope = np.zeros((4, 3))
    slope[rows, batch.actions] = np.clip(difference, -1, 1) / 4

    assert agent.step(batch) == pytest.approx(cost, rel=1e-5)
    moved = weight - 0.5 * batch.observations.T.astype(np.float64) @ slope
    np.testing.assert_allclose(agent.state.named(names[0]), moved, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(agent.state.named(names[1]), target)


def test_the_target_network_starts_equal_and_follows_when_told() -> None:
    agent, batch = _agent(), _transitions()
    agent.graph(*_types(batch))
    names = ("online.Linear_0.weight", "target.Linear_0.weight")
    np.testing.assert_array_equal(*(agent.state.named(name) for name in names))
    agent.step(batch)
    assert (agent.state.named(names[0]) != agent.state.named(names[1])).any()
    agent.synchronise()
    np.testing.assert_array_equal(*(agent.state.named(name) for name in names))


def test_values_of_a_corridor() -> None:
    """Five places, the goal behind the last: walking on is worth 0.5^(steps left)."""
    agent = layers.QLearning(
        [layers.Affine(2)], layers.GradientDescentMomentum(1.0), backend="reference"
    )
    places = np.repeat(np.arange(5), 2)
    actions = np.tile(np.array([0, 1], np.int32), 5)  # stay, walk on
    places_after = np.minimum(places + actions, 4)
    ends = (places == 4) & (actions == 1)
    seen = np.eye(5, dtype=np.float32)
    batch = Transitions(
        seen[places],
        actions,
        ends.astype(np.float32),
        np.where(ends, 0, 0.5).astype(np.float32),
        seen[places_after],
    )
    for _ in range(200):
        agent.step(batch)
        agent.synchronise()
    walking = 0.5 ** np.arange(4, -1, -1)
    expected = np.stack([walking / 2, walking], axis=1)
    np.testing.assert_allclose(agent.values(seen), expected, atol=1e-3)
    random = np.random.default_rng(0)
    np.testing.assert_array_equal(agent.act(seen, random), np.ones(5))
    explored = agent.act(np.repeat(seen, 100, axis=0), random, 1.0)
    assert 200 < explored.sum() < 300


def test_a_saved_agent_goes_on_with_the_same_bits(tmp_path: Path) -> None:
    agent, batch = _agent(), _transitions()
    agent.step(batch)
    agent.save(tmp_path / "agent", {"steps": 3})
    other = _agent(seed=5)
    assert other.load(tmp_path / "agent", batch) == {"steps": 3}
    assert other.step(batch) == agent.step(batch)
    with pytest.raises(CheckpointError, match="no checkpoint of QLearning"):
        model = layers.Model([layers.Affine(2)])
        model.build(batch.observations)
        model.save(tmp_path / "model")
        other.load(tmp_path / "model", batch)


def test_layers_must_end_in_one_value_for_each_action() -> None:
    agent = layers.QLearning([layers.Reshape((5, 1))], layers.Adam(), backend="reference")
    with pytest.raises(ShapeError, match=r"f32\[rows, actions\]"):
        agent.values(np.zeros((2, 5), np.float32))


def _types(batch: Transitions) -> list:
    from anode.ir.types import tensor

    return [tensor(x.dtype, *x.shape) for x in batch]


def test_the_learning_network_can_be_selected_from(tmp_path: Path) -> None:
    agent, batch = _agent(), _transitions()
    with pytest.raises(GraphError, match="no variables yet"):
        agent.select("linear")
    assert agent.select("linear", tensor("f32", 1, 5)).names == ["online.Linear_0"]
    agent.step(batch)
    assert agent.select("parameter").names == ["online.Linear_0.weight", "online.Bias_0.bias"]
    agent.select("bias parameter").set(frozen=True, init=0.25)
    lines: list[str] = []
    shown = agent.select("linear").print(write=lines.append)
    counted = agent.select("parameter").histogram(gradient=True)
    agent.step(batch)
    shown.remove()
    agent.step(batch)
    assert [line.split(":")[0] for line in lines] == ["online.Linear_0 (Linear)"]
    assert list(counted.latest) == ["online.Linear_0.weight (gradient)"]
    assert agent.state.named("online.Bias_0.bias").tolist() == [0.25] * 3

    agent.save(tmp_path / "a")
    other = _agent()
    other.step(batch)
    other.load(tmp_path / "a", batch)
    assert other.select("parameter:frozen").names == ["online.Bias_0.bias"]
    assert other.step(batch) == agent.step(batch)
    other.select("parameter").set(frozen=False)
    other.step(batch)
    assert (other.state.named("online.Bias_0.bias") != 0.25).any()

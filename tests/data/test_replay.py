"""Replay memory against transitions put together one by one."""

import numpy as np
import pytest

from anode.data import FrameStack, Replay
from anode.errors import DataError

NO = np.zeros(2, bool)


def _filled(count: int, terminal: dict[int, int], cut: dict[int, int], **options: int) -> Replay:
    """Two environments whose frame at step t is [t, environment], the action t, the reward t."""
    memory = Replay(40, 2, (2,), "int64", **options)
    for t in range(count):
        ended, over = NO.copy(), NO.copy()
        if t in terminal:
            ended[terminal[t]] = True
        if t in cut:
            over[cut[t]] = True
        frames = np.array([[t, 0], [t, 1]])
        memory.add(frames, np.array([t, t]), np.array([t, t]), ended, over)
    return memory


def test_a_transition_has_the_rewards_and_what_followed() -> None:
    memory = _filled(10, {}, {}, steps=2)
    found = memory.sample(np.random.default_rng(0), 50)
    t = found.actions
    assert set(t) == set(range(8))
    np.testing.assert_allclose(found.rewards, t + 0.99 * (t + 1), rtol=1e-6)
    np.testing.assert_allclose(found.discounts, np.float32(0.99**2), rtol=1e-6)
    np.testing.assert_array_equal(found.observations[:, 0], t)
    np.testing.assert_array_equal(found.following[:, 0], t + 2)
    np.testing.assert_array_equal(found.following[:, 1], found.observations[:, 1])


def test_nothing_is_worth_anything_after_the_end() -> None:
    memory = _filled(10, {4: 0}, {}, steps=3)
    found = memory.sample(np.random.default_rng(0), 300)
    ended = (found.observations[:, 1] == 0) & (found.actions <= 4) & (found.actions > 1)
    assert ended.any()
    assert (found.discounts[ended] == 0).all()
    assert (found.discounts[~ended] > 0).all()
    last = ended & (found.actions == 4)
    np.testing.assert_array_equal(found.rewards[last], 4)  # and not that of the next episode


def test_no_transition_leads_across_a_cut() -> None:
    memory = _filled(10, {}, {4: 1}, steps=2)
    found = memory.sample(np.random.default_rng(0), 300)
    other = found.observations[:, 1] == 1
    assert set(found.actions[other]) == {0, 1, 2, 5, 6, 7}
    assert set(found.actions[~other]) == set(range(8))


def test_stacks_start_anew_with_the_episode() -> None:
    memory = _filled(10, {4: 0}, {}, stack=3)
    found = memory.sample(np.random.default_rng(0), 300)
    for stack, t in zip(found.observations, found.actions, strict=True):
        start = 5 if stack[-1, 1] == 0 and t >= 5 else 0
        expected = [k if k >= start else 0 for k in range(t - 2, t + 1)]
        np.testing.assert_array_equal(stack[:, 0], expected)


def test_a_full_memory_forgets_the_oldest() -> None:
    memory = _filled(50, {}, {}, stack=2)
    assert len(memory) == 40
    assert set(memory.sample(np.random.default_rng(0), 400).actions) == set(range(31, 49))


def test_a_frame_stack_shows_what_the_memory_gives() -> None:
    seen = FrameStack(np.array([[1], [2]]), 2)
    seen.push(np.array([[3], [4]]), np.array([False, True]))
    np.testing.assert_array_equal(seen.observations[..., 0], [[1, 3], [0, 4]])
    assert FrameStack(np.zeros((2, 5)), 1).observations.shape == (2, 5)


def test_too_small_a_memory_and_too_few_steps_are_errors() -> None:
    with pytest.raises(DataError, match="too small"):
        Replay(8, 4, (1,), stack=2)
    with pytest.raises(DataError, match="too few"):
        _filled(2, {}, {}, steps=2).sample(np.random.default_rng(0), 1)
    with pytest.raises(DataError, match="cut off"):
        _all_cut().sample(np.random.default_rng(0), 1)


def _all_cut() -> Replay:
    memory = Replay(40, 2, (1,))
    for _ in range(9):
        memory.add(np.zeros((2, 1)), np.zeros(2), np.zeros(2), NO, ~NO)
    return memory

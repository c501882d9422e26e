"""Replay memory: what an agent saw and did, from which minibatches of transitions are drawn."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from anode.errors import DataError


class Transitions(NamedTuple):
    """`rows` transitions: observation, action, the rewards after it, and where they led.

    The value of an action is `rewards` + `discounts` · the value of `following`; the discount is 0
    where the episode ended. Stacked frames are a dim after the rows.
    """

    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    discounts: np.ndarray
    following: np.ndarray


class Replay:
    """The last `capacity` steps of `environments` that run side by side, in one ring of arrays.

    A frame is kept once; observations are put together when they are drawn, of the last `stack`
    frames of their episode (zeros before its start). Rewards count for `steps` steps, discounted,
    before the value of what follows takes over. Source: Mnih et al. 2015; Sutton 1988 (n steps).
    """

    def __init__(
        self,
        capacity: int,
        environments: int,
        shape: tuple[int, ...],
        dtype: Any = "uint8",
        *,
        stack: int = 1,
        steps: int = 1,
        discount: float = 0.99,
    ) -> None:
        self.length = capacity // environments
        if min(stack, steps) < 1 or self.length < stack + steps:
            raise DataError(
                f"a memory of {capacity} steps of {environments} environments is too small for "
                f"stack={stack}, steps={steps}"
            )
        self.stack, self.steps, self.discount = stack, steps, float(discount)
        size = (self.length, environments)
        self._frames = np.zeros((*size, *shape), dtype)
        self._actions = np.zeros(size, np.int32)
        self._rewards = np.zeros(size, np.float32)
        self._terminal = np.zeros(size, bool)
        self._last = np.zeros(size, bool)  # of an episode, ended or cut off
        self._count = 0  # steps ever added

    def __len__(self) -> int:
        """Steps kept, of all environments together."""
        return min(self._count, self.length) * self._actions.shape[1]

    def add(
        self,
        frames: np.ndarray,
        actions: np.ndarray,
        rewards: np.ndarray,
        terminated: np.ndarray,
        truncated: np.ndarray,
    ) -> None:
        """Keep one step of every environment: what was seen, done and then got.

        An episode that is cut off (`truncated`) has not ended: no transition leads across the cut,
        and none that needs what came after it is drawn.
        """
        at = self._count % self.length
        self._frames[at] = frames
        self._actions[at], self._rewards[at] = actions, rewards
        self._terminal[at] = terminated
        self._last[at] = np.logical_or(terminated, truncated)
        self._count += 1

    def sample(self, random: np.random.Generator, rows: int) -> Transitions:
        """`rows` transitions, each step of the memory equally likely."""
        first = max(self._count - self.length, 0) + self.stack - 1
        end = self._count - self.steps
        if end <= first:
            raise DataError(f"the memory has {len(self)} steps, too few to draw from")
        when, environments = self._drawn(random, rows, first, end)
        rewards = np.zeros(rows, np.float32)
        discounts = np.ones(rows, np.float32)
        for step in range(self.steps):
            at = (when + step) % self.length, environments
            rewards += discounts * self._rewards[at]
            discounts *= np.where(self._terminal[at], 0.0, self.discount).astype(np.float32)
        return Transitions(
            self._stacked(when, environments),
            self._actions[when % self.length, environments],
            rewards,
            discounts,
            self._stacked(when + self.steps, environments),
        )

    def _drawn(
        self, random: np.random.Generator, rows: int, first: int, end: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Steps in [first, end) and their environments, none before a cut within `steps`."""
        when = np.empty(rows, np.int64)
        environments = np.empty(rows, np.int64)
        missing = np.arange(rows)
        for _ in range(1000):
            when[missing] = random.integers(first, end, len(missing))
            environments[missing] = random.integers(0, self._actions.shape[1], len(missing))
            missing = missing[self._is_cut(when[missing], environments[missing])]
            if not len(missing):
                return when, environments
        raise DataError("nearly all episodes in the memory are cut off; draw fewer steps at once")

    def _is_cut(self, when: np.ndarray, environments: np.ndarray) -> np.ndarray:
        cut, ended = np.zeros(len(when), bool), np.zeros(len(when), bool)
        for step in range(self.steps):
            at = (when + step) % self.length, environments
            cut |= ~ended & self._last[at] & ~self._terminal[at]
            ended |= self._last[at]
        return cut

    def _stacked(self, when: np.ndarray, environments: np.ndarray) -> np.ndarray:
        """The `stack` frames up to the steps `when`, those of earlier episodes as zeros."""
        if self.stack == 1:
            return self._frames[when % self.length, environments]
        steps = when[:, None] + np.arange(1 - self.stack, 1)
        at = steps % self.length, environments[:, None]
        found: np.ndarray = self._frames[at]
        over = self._last[at][:, :-1] | (steps[:, :-1] < 0)  # nothing before belongs to the episode
        found[:, :-1][np.logical_or.accumulate(over[:, ::-1], axis=1)[:, ::-1]] = 0
        return found


class FrameStack:
    """The last `stack` frames of every environment, put together as `Replay` does."""

    def __init__(self, frames: np.ndarray, stack: int) -> None:
        self.stack = stack
        self.frames = np.zeros((len(frames), stack, *frames.shape[1:]), frames.dtype)
        self.frames[:, -1] = frames

    def push(self, frames: np.ndarray, last: np.ndarray) -> None:
        """Append frames; where the episode before them had its `last` step, start anew."""
        self.frames[:, :-1] = self.frames[:, 1:]
        self.frames[last] = 0
        self.frames[:, -1] = frames

    @property
    def observations(self) -> np.ndarray:
        return self.frames if self.stack > 1 else self.frames[:, 0]

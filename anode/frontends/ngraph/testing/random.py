"""Random arrays for tensors with axes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from anode.frontends.ngraph.op_graph.axis import Axes


class RandomTensorGenerator:
    """Arrays of type `dtype` from a seed; `reset` starts again."""

    def __init__(self, seed: int = 0, dtype: Any = np.float32) -> None:
        self.dtype, self.seed = dtype, seed
        self.reset(seed)

    def reset(self, seed: int | None = None) -> None:
        """Start again from `seed`, or from the seed of before."""
        if seed is not None:
            self.seed = seed
        self.rng = np.random.RandomState(seed=self.seed)

    def _array(self, values: Any, dtype: Any) -> np.ndarray:
        return np.array(values, dtype=self.dtype if dtype is None else dtype)

    def uniform(self, low: float, high: float, axes: Any, dtype: Any = None) -> np.ndarray:
        """Numbers in [low, high)."""
        return self._array(self.rng.uniform(low, high, Axes(axes).lengths), dtype)

    def normal(self, loc: float, scale: float, axes: Any, dtype: Any = None) -> np.ndarray:
        """Normally distributed numbers."""
        return self._array(self.rng.normal(loc, scale, Axes(axes).lengths), dtype)

    def discrete_uniform(
        self, low: float, high: float, quantum: float, axes: Any, dtype: Any = None
    ) -> np.ndarray:
        """Multiples of `quantum` above `low`, up to `high`."""
        steps = math.floor((high - low) / quantum)
        found = self._array(self._integers(0, steps, axes), dtype)
        np.multiply(found, quantum, found)
        np.add(found, low, found)
        return found

    def random_integers(self, low: int, high: int, axes: Any, dtype: Any = np.int8) -> np.ndarray:
        """Integers from `low` to `high`, both included."""
        return self._integers(low, high, axes).astype(dtype)

    def _integers(self, low: int, high: int, axes: Any) -> np.ndarray:
        return np.asarray(self.rng.randint(low, high + 1, Axes(axes).lengths))

    def randn_abs_clip(
        self, axes: Any, clip_min: float = 0, clip_max: float = 0, dtype: Any = None
    ) -> np.ndarray:
        """Absolute values of normally distributed numbers, clipped where the limits are not 0."""
        most = clip_max or np.finfo(self.dtype if dtype is None else dtype).max
        values = np.absolute(np.random.randn(*Axes(axes).lengths))
        return np.asarray(np.clip(values, clip_min, most))

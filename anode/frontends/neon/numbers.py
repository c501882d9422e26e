"""Arrays that neon's scripts format as numbers."""

from __future__ import annotations

from typing import Any

import numpy as np


class Numbers(np.ndarray):
    """An array that, having one element, counts as a number: NumPy once let any array do so."""

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    @staticmethod
    def of(values: Any) -> Numbers:
        """The same array."""
        return np.asarray(values).view(Numbers)

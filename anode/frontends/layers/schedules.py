"""Schedules: the learning rate of an epoch, counted from 0."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from anode.errors import ShapeError


class AnySchedule(Protocol):
    """Whatever gives the learning rate of each epoch."""

    def rate(self, learning_rate: float, epoch: int) -> float:
        """The rate of `epoch`, where `learning_rate` is the optimiser's own."""


@dataclass(frozen=True)
class Schedule:
    """learning_rate · change^k, where k of the epochs in `step_config` have been reached."""

    step_config: Sequence[int] = ()
    change: float = 1.0

    def rate(self, learning_rate: float, epoch: int) -> float:
        return float(learning_rate * self.change ** sum(epoch >= s for s in self.step_config))


CONSTANT = Schedule()


@dataclass(frozen=True)
class StepSchedule:
    """The rate `change[i]` from epoch `step_config[i]` on; the learning rate before the first."""

    step_config: Sequence[int]
    change: Sequence[float]

    def __post_init__(self) -> None:
        steps = list(self.step_config)
        if len(steps) != len(self.change) or steps != sorted(steps):
            raise ShapeError("StepSchedule needs increasing epochs and one rate for each of them")

    def rate(self, learning_rate: float, epoch: int) -> float:
        passed = bisect_right(self.step_config, epoch)
        return float(self.change[passed - 1] if passed else learning_rate)


@dataclass(frozen=True)
class PowerSchedule:
    """learning_rate · change^⌊epoch / step_config⌋."""

    step_config: int
    change: float

    def rate(self, learning_rate: float, epoch: int) -> float:
        return float(learning_rate * self.change ** (epoch // self.step_config))


@dataclass(frozen=True)
class ShiftSchedule:
    """learning_rate · 2^(−shift_size · ⌊epoch / interval⌋): BinaryNet's, for power-of-two rates."""

    interval: int
    shift_size: int = 1

    def rate(self, learning_rate: float, epoch: int) -> float:
        return float(learning_rate * 2.0 ** (-self.shift_size * (epoch // self.interval)))


@dataclass(frozen=True)
class ExpSchedule:
    """learning_rate / (1 + decay · epoch)."""

    decay: float

    def rate(self, learning_rate: float, epoch: int) -> float:
        return float(learning_rate / (1 + self.decay * epoch))


@dataclass(frozen=True)
class PolySchedule:
    """learning_rate · (1 − epoch / total_epochs)^power, and 0 from `total_epochs` on.

    neon documents this formula but divides integers, which keeps the rate constant till the end.
    """

    total_epochs: int
    power: float

    def rate(self, learning_rate: float, epoch: int) -> float:
        return float(learning_rate * max(0.0, 1 - epoch / self.total_epochs) ** self.power)

"""Learning rates that are functions of the step."""

from __future__ import annotations

from typing import Any

from anode.frontends.tensorflow.keras.optimizers import LearningRateSchedule
from anode.frontends.tensorflow.modules import tensorflow as tf
from anode.frontends.tensorflow.opdef import export


class _Fields(LearningRateSchedule):
    def get_config(self) -> dict[str, Any]:
        return dict(vars(self))


@export("keras.optimizers.schedules.ExponentialDecay")
class ExponentialDecay(_Fields):
    """initial * decay_rate ** (step / decay_steps)."""

    def __init__(
        self,
        initial_learning_rate: Any,
        decay_steps: Any,
        decay_rate: Any,
        staircase: bool = False,
        name: str | None = None,
    ) -> None:
        self.initial_learning_rate, self.decay_steps = initial_learning_rate, decay_steps
        self.decay_rate, self.staircase, self.name = decay_rate, staircase, name

    def __call__(self, step: Any) -> Any:
        share = step / float(self.decay_steps)
        share = tf.floor(share) if self.staircase else share
        return self.initial_learning_rate * tf.pow(float(self.decay_rate), share)


@export("keras.optimizers.schedules.InverseTimeDecay")
class InverseTimeDecay(_Fields):
    """initial / (1 + decay_rate * step / decay_steps)."""

    def __init__(
        self,
        initial_learning_rate: Any,
        decay_steps: Any,
        decay_rate: Any,
        staircase: bool = False,
        name: str | None = None,
    ) -> None:
        self.initial_learning_rate, self.decay_steps = initial_learning_rate, decay_steps
        self.decay_rate, self.staircase, self.name = decay_rate, staircase, name

    def __call__(self, step: Any) -> Any:
        share = step / float(self.decay_steps)
        share = tf.floor(share) if self.staircase else share
        return self.initial_learning_rate / (1.0 + self.decay_rate * share)

"""tf.estimator.train_and_evaluate: training that stops for evaluations at its checkpoints."""

from __future__ import annotations

import logging
import os
from collections import namedtuple
from collections.abc import Callable
from typing import Any

from anode.frontends.tensorflow.api.session_hooks import (
    CheckpointSaverListener,
    SecondOrStepTimer,
)
from anode.frontends.tensorflow.estimator.estimator import Estimator
from anode.frontends.tensorflow.estimator.exporting import Exporter
from anode.frontends.tensorflow.opdef import export

log = logging.getLogger("tensorflow")
PATH = "python.estimator.training."


@export("estimator.TrainSpec", PATH + "TrainSpec")
class TrainSpec(namedtuple("TrainSpec", ["input_fn", "max_steps", "hooks"])):
    """What train_and_evaluate trains on, and up to which step."""

    __slots__ = ()

    def __new__(
        cls, input_fn: Callable[..., Any], max_steps: int | None = None, hooks: Any = None
    ) -> TrainSpec:
        if max_steps is not None and max_steps <= 0:
            raise ValueError(f"Must specify max_steps > 0, given: {max_steps}")
        return super().__new__(cls, input_fn, max_steps, tuple(hooks or ()))


@export("estimator.EvalSpec", PATH + "EvalSpec")
class EvalSpec(
    namedtuple(
        "EvalSpec",
        ["input_fn", "steps", "name", "hooks", "exporters", "start_delay_secs", "throttle_secs"],
    )
):
    """What train_and_evaluate evaluates on, how often, and what it exports then."""

    __slots__ = ()

    def __new__(
        cls,
        input_fn: Callable[..., Any],
        steps: int | None = 100,
        name: str | None = None,
        hooks: Any = None,
        exporters: Any = None,
        start_delay_secs: float = 120,
        throttle_secs: float = 600,
    ) -> EvalSpec:
        if steps is not None and steps <= 0:
            raise ValueError(f"Must specify steps > 0, given: {steps}")
        if name is not None and not isinstance(name, str):
            raise TypeError(f"`name` must be string, given: {name}")
        if start_delay_secs < 0:
            raise ValueError(f"Must specify start_delay_secs >= 0, given: {start_delay_secs}")
        if throttle_secs < 0:
            raise ValueError(f"Must specify throttle_secs >= 0, given: {throttle_secs}")
        exporters = _exporters(exporters)
        hooks = tuple(hooks or ())
        return super().__new__(
            cls, input_fn, steps, name, hooks, exporters, start_delay_secs, throttle_secs
        )


def _exporters(exporters: Any) -> tuple[Any, ...]:
    if not exporters:
        return ()
    found = (exporters,) if isinstance(exporters, Exporter) else tuple(exporters)
    for exporter in found:
        if not isinstance(exporter, Exporter):
            raise TypeError(f"`exporters` must be Exporters, given: {exporter}")
    names = [exporter.name for exporter in found]
    if len(set(names)) < len(names):
        raise ValueError(f"`exporters` must have unique names. Such name exists: {names}")
    return found


class _Evaluation(CheckpointSaverListener):
    """Evaluates after checkpoints, not more often than the EvalSpec says."""

    def __init__(self, estimator: Estimator, spec: EvalSpec, max_steps: int | None) -> None:
        self._estimator, self._spec, self._max_steps = estimator, spec, max_steps
        self.result: Any = None
        self.exports: list[Any] = []
        self._timer = SecondOrStepTimer(every_secs=spec.throttle_secs)

    def begin(self) -> None:
        self._timer.reset()

    def after_save(self, session: Any, global_step_value: int) -> None:
        if self._timer.last_triggered_step() is None:  # the checkpoint before training
            self._timer.update_last_triggered_step(global_step_value)
        elif self._timer.should_trigger_for_step(global_step_value):
            self.evaluate(global_step_value)
        else:
            log.info(
                "Skip the current checkpoint eval due to throttle secs (%s secs).",
                self._spec.throttle_secs,
            )

    def end(self, session: Any, global_step_value: int) -> None:
        if global_step_value != self._timer.last_triggered_step():
            self.evaluate(global_step_value)

    def evaluate(self, step: int) -> None:
        """Evaluate the newest checkpoint, and let the exporters see the result."""
        self._timer.update_last_triggered_step(step)
        spec, estimator = self._spec, self._estimator
        self.result = estimator.evaluate(
            spec.input_fn, steps=spec.steps, hooks=spec.hooks, name=spec.name
        )
        path = estimator.latest_checkpoint()
        final = self._max_steps is not None and step >= self._max_steps
        self.exports = [
            exporter.export(
                estimator=estimator,
                export_path=os.path.join(estimator.model_dir, "export", exporter.name),
                checkpoint_path=path,
                eval_result=self.result,
                is_the_final_export=final,
            )
            for exporter in spec.exporters
        ]


@export("estimator.train_and_evaluate", PATH + "train_and_evaluate")
def train_and_evaluate(
    estimator: Estimator, train_spec: TrainSpec, eval_spec: EvalSpec
) -> tuple[Any, list[Any]]:
    """Train, evaluating after checkpoints; gives the last result and the last exports."""
    if not isinstance(estimator, Estimator):
        raise TypeError(f"`estimator` must have type `tf.estimator.Estimator`, got {estimator}")
    if not isinstance(train_spec, TrainSpec):
        raise TypeError(f"`train_spec` must have type `tf.estimator.TrainSpec`. Got {train_spec}")
    if not isinstance(eval_spec, EvalSpec):
        raise TypeError(f"`eval_spec` must have type `tf.estimator.EvalSpec`. Got: {eval_spec}")
    config = estimator.config
    log.info("Not using Distribute Coordinator.")
    log.info("Running training and evaluation locally (non-distributed).")
    log.info(
        "Start train and evaluate loop. The evaluate will happen after every checkpoint. "
        "Checkpoint frequency is determined based on RunConfig arguments: save_checkpoints_steps "
        "%s or save_checkpoints_secs %s.",
        config.save_checkpoints_steps,
        config.save_checkpoints_secs,
    )
    listener = _Evaluation(estimator, eval_spec, train_spec.max_steps)
    estimator.train(
        train_spec.input_fn,
        hooks=train_spec.hooks,
        max_steps=train_spec.max_steps,
        saving_listeners=[listener],
    )
    return listener.result, listener.exports

"""tf.contrib.learn.Experiment: an estimator with its inputs, and runs of both."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from typing import Any

from anode.frontends.tensorflow.estimator.exporting import _keep
from anode.frontends.tensorflow.estimator.learn import (
    LEARN,
    InputFnOps,
    LearnEstimator,
)
from anode.frontends.tensorflow.estimator.learn_monitors import ValidationMonitor
from anode.frontends.tensorflow.modules import tensorflow as tf
from anode.frontends.tensorflow.opdef import export

UTILS = ("contrib.learn.utils.", LEARN + "utils.")


@export("contrib.learn.Experiment", LEARN + "experiment.Experiment")
class Experiment:
    """What is needed to train and evaluate a model."""

    def __init__(
        self,
        estimator: Any,
        train_input_fn: Callable[..., Any],
        eval_input_fn: Callable[..., Any],
        eval_metrics: Any = None,
        train_steps: int | None = None,
        eval_steps: int | None = 100,
        train_monitors: Any = None,
        eval_hooks: Any = None,
        local_eval_frequency: int | None = None,
        eval_delay_secs: float = 120,
        continuous_eval_throttle_secs: float = 60,
        min_eval_frequency: int | None = None,
        delay_workers_by_global_step: bool = False,
        export_strategies: Any = None,
        train_steps_per_iteration: int | None = None,
        checkpoint_and_export: bool = False,
        saving_listeners: Any = None,
        check_interval_secs: float = 5,
    ) -> None:
        if not isinstance(estimator, tf.estimator.Estimator):
            raise ValueError("`estimator` must implement `tf.estimator.Estimator`.")
        self._estimator, self._eval_metrics = estimator, eval_metrics
        self._train_input_fn, self._eval_input_fn = train_input_fn, eval_input_fn
        self._train_steps, self._eval_steps = train_steps, eval_steps
        self._train_monitors, self._eval_hooks = list(train_monitors or []), eval_hooks
        self._frequency = local_eval_frequency if min_eval_frequency is None else min_eval_frequency
        self._strategies = _strategies(export_strategies)
        self._listeners = saving_listeners

    @property
    def estimator(self) -> Any:
        return self._estimator

    @property
    def eval_metrics(self) -> Any:
        return self._eval_metrics

    @property
    def train_steps(self) -> int | None:
        return self._train_steps

    @property
    def eval_steps(self) -> int | None:
        return self._eval_steps

    def train(self, delay_secs: float | None = None) -> Any:
        """Train up to `train_steps`."""
        return self._call_train(self._train_steps, self._train_monitors)

    def _call_train(self, steps: int | None, monitors: Any) -> Any:
        if isinstance(self._estimator, LearnEstimator):
            return self._estimator.fit(
                input_fn=self._train_input_fn, max_steps=steps, monitors=monitors
            )
        return self._estimator.train(
            self._train_input_fn,
            hooks=monitors,
            max_steps=steps,
            saving_listeners=self._listeners,
        )

    def evaluate(self, delay_secs: float | None = None, name: str | None = None) -> Any:
        """Evaluate the newest checkpoint."""
        return self._call_evaluate(self._eval_steps, name)

    def _call_evaluate(self, steps: int | None, name: str | None) -> Any:
        given = {"input_fn": self._eval_input_fn, "steps": steps, "hooks": self._eval_hooks}
        if isinstance(self._estimator, LearnEstimator):
            given["metrics"] = self._eval_metrics
        elif self._eval_metrics is not None:
            raise ValueError("`eval_metrics` must be `None` with `tf.estimator.Estimator`")
        return self._estimator.evaluate(name=name, **given)

    def train_and_evaluate(self) -> tuple[Any, list[Any]]:
        """Train, evaluating every `min_eval_frequency` steps; gives the last result and exports."""
        monitors = list(self._train_monitors)
        frequency = 1 if self._frequency is None else self._frequency
        if frequency and isinstance(self._estimator, LearnEstimator):
            monitors.append(
                ValidationMonitor(
                    input_fn=self._eval_input_fn,
                    eval_steps=self._eval_steps,
                    metrics=self._eval_metrics,
                    every_n_steps=frequency,
                    name=None,
                    hooks=self._eval_hooks,
                )
            )
        self._call_train(self._train_steps, monitors)
        found = self._call_evaluate(self._eval_steps, None)
        return found, [
            strategy.export(
                self._estimator,
                os.path.join(self._estimator.model_dir, "export", strategy.name),
                self._estimator.latest_checkpoint(),
                found,
            )
            for strategy in self._strategies
        ]

    local_run = train_and_evaluate

    def test(self) -> Any:
        """Train one step and evaluate one batch."""
        self._call_train(1, self._train_monitors)
        return self._call_evaluate(1, "one_pass"), []


def _strategies(given: Any) -> list[Any]:
    if given is None:
        return []
    found = [given] if isinstance(given, ExportStrategy) else list(given)
    for item in found:
        if not isinstance(item, ExportStrategy):
            raise ValueError("`export_strategies` must be an ExportStrategy or several of them")
    return found


@export("contrib.learn.ExportStrategy", LEARN + "export_strategy.ExportStrategy")
class ExportStrategy:
    """A name and the function that exports a model."""

    def __init__(
        self, name: str, export_fn: Callable[..., Any], strip_default_attrs: Any = None
    ) -> None:
        self.name, self.export_fn, self.strip_default_attrs = name, export_fn, strip_default_attrs

    def export(
        self,
        estimator: Any,
        export_path: str,
        checkpoint_path: str | None = None,
        eval_result: Any = None,
    ) -> Any:
        """Export the estimator's model; gives the path."""
        names = inspect.signature(self.export_fn).parameters
        offered = {"checkpoint_path": checkpoint_path, "eval_result": eval_result}
        extra = {key: value for key, value in offered.items() if key in names}
        return self.export_fn(estimator, export_path, **extra)


@export(
    "contrib.learn.make_export_strategy",
    *(f"{path}saved_model_export_utils.make_export_strategy" for path in UTILS),
)
def make_export_strategy(
    serving_input_fn: Callable[..., Any],
    default_output_alternative_key: Any = None,
    assets_extra: Any = None,
    as_text: bool = False,
    exports_to_keep: int | None = 5,
    strip_default_attrs: Any = None,
) -> ExportStrategy:
    """The strategy that writes a SavedModel and keeps the newest ones."""

    def export_fn(estimator: Any, export_dir_base: str, checkpoint_path: str | None = None) -> Any:
        found = estimator.export_savedmodel(
            export_dir_base,
            serving_input_fn,
            assets_extra=assets_extra,
            as_text=as_text,
            checkpoint_path=checkpoint_path,
        )
        _keep(export_dir_base, exports_to_keep)
        return found

    return ExportStrategy("Servo", export_fn, strip_default_attrs)


@export(
    "contrib.learn.build_parsing_serving_input_fn",
    *(f"{path}input_fn_utils.build_parsing_serving_input_fn" for path in UTILS),
)
def build_parsing_serving_input_fn(feature_spec: Any, default_batch_size: int | None = None) -> Any:
    """A function for a model that is served serialised Examples."""

    def input_fn() -> Any:
        examples = tf.placeholder(tf.string, [default_batch_size], name="input_example_tensor")
        features = tf.parse_example(examples, feature_spec)
        return InputFnOps(features, None, {"examples": examples})

    return input_fn


def _schedule(experiment: Experiment, schedule: str | None) -> Any:
    name = schedule or "train_and_evaluate"
    if not hasattr(experiment, name):
        known = [n for n in dir(experiment) if not n.startswith("_")]
        raise ValueError(f"Schedule references non-existent task {name}; known are {known}")
    task = getattr(experiment, name)
    if not callable(task):
        raise TypeError(f"Schedule references non-callable member {name}")
    return task()


@export("contrib.learn.learn_runner.run", LEARN + "learn_runner.run")
def run(
    experiment_fn: Callable[..., Any],
    output_dir: str | None = None,
    schedule: str | None = None,
    run_config: Any = None,
    hparams: Any = None,
) -> Any:
    """Make the experiment and run the method that `schedule` names."""
    if not callable(experiment_fn):
        raise TypeError(f"Experiment builder [{experiment_fn}] is not callable.")
    if output_dir is not None and run_config is not None:
        raise ValueError("Cannot provide both `output_dir` and `run_config`")
    if output_dir is None and run_config is None:
        raise ValueError("Must set value for `output_dir` or `run_config`")
    if run_config is not None:
        if run_config.model_dir is None:
            raise ValueError("Must specify `model_dir` in `run_config`")
        experiment = experiment_fn(run_config=run_config, hparams=hparams)
    else:
        experiment = experiment_fn(output_dir)
    if not isinstance(experiment, Experiment):
        raise TypeError("Experiment builder did not return an Experiment instance")
    return _schedule(experiment, schedule)


@export("contrib.learn.learn_runner.tune", LEARN + "learn_runner.tune")
def tune(experiment_fn: Any, tuner: Any) -> None:
    """Not supported: there is no tuner."""
    raise NotImplementedError("tf.contrib.learn.learn_runner.tune is not supported by anode")

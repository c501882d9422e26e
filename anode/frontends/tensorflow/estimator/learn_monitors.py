"""tf.contrib.learn.monitors: what happens every so many steps of a fit, as hooks."""

from __future__ import annotations

import logging
from typing import Any

from anode.frontends.tensorflow.api.session_hooks import SessionRunArgs, SessionRunHook
from anode.frontends.tensorflow.estimator.learn import LEARN
from anode.frontends.tensorflow.modules import tensorflow as tf
from anode.frontends.tensorflow.opdef import export

log = logging.getLogger("tensorflow")
MONITORS = ("contrib.learn.monitors.", LEARN + "monitors.")


def _export(name: str) -> Any:
    return export(*(path + name for path in MONITORS))


@_export("BaseMonitor")
class BaseMonitor(SessionRunHook):
    """A monitor that does nothing, to derive from."""

    _estimator: Any = None

    def set_estimator(self, estimator: Any) -> None:
        self._estimator = estimator

    def step_begin(self, step: int) -> Any:
        """Tensors, or names of tensors, to fetch in a step."""
        return []

    def step_end(self, step: int, output: Any) -> bool:
        """Sees what was fetched; True asks for the end."""
        return False

    def begin(self, max_steps: int | None = None) -> None:
        self._step_tensor = tf.train.get_global_step()
        self._last: int | None = None

    def before_run(self, run_context: Any) -> Any:
        if self._last is None:
            self._last = int(run_context.session.run(self._step_tensor))
        self._step = self._last + 1
        graph = tf.get_default_graph()
        wanted = {str(item): graph.as_graph_element(item) for item in self.step_begin(self._step)}
        return SessionRunArgs(wanted)

    def after_run(self, run_context: Any, run_values: Any) -> None:
        self._last = self._step
        if self.step_end(self._step, run_values.results or {}):
            run_context.request_stop()


@_export("EveryN")
class EveryN(BaseMonitor):
    """Acts at the first steps and then every so many."""

    def __init__(self, every_n_steps: int = 100, first_n_steps: int = 1) -> None:
        self._every_n_steps, self._first_n_steps = every_n_steps, first_n_steps
        self._last_active = 0
        self._first: int | None = None

    def every_n_step_begin(self, step: int) -> Any:
        return []

    def every_n_step_end(self, step: int, outputs: Any) -> bool:
        return False

    def _due(self, step: int) -> bool:
        if self._first is None:
            self._first = step
        early = step - self._first < self._first_n_steps
        return early or step >= self._every_n_steps + self._last_active

    def step_begin(self, step: int) -> Any:
        self._acts = self._due(step)
        return self.every_n_step_begin(step) if self._acts else []

    def step_end(self, step: int, output: Any) -> bool:
        if not self._acts:
            return False
        self._last_active = step
        return bool(self.every_n_step_end(step, output))


@_export("PrintTensor")
class PrintTensor(EveryN):
    """Logs tensors by name."""

    def __init__(self, tensor_names: Any, every_n: int = 100, first_n: int = 1) -> None:
        super().__init__(every_n, first_n)
        named = tensor_names if isinstance(tensor_names, dict) else {n: n for n in tensor_names}
        self._names = named

    def every_n_step_begin(self, step: int) -> Any:
        return list(self._names.values())

    def every_n_step_end(self, step: int, outputs: Any) -> bool:
        pairs = [f"{tag} = {outputs[str(name)]}" for tag, name in self._names.items()]
        log.info("Step %d: %s", step, ", ".join(pairs))
        return False


@_export("StopAtStep")
class StopAtStep(BaseMonitor):
    """Asks for the end after a number of steps, or at a step."""

    def __init__(self, num_steps: int | None = None, last_step: int | None = None) -> None:
        if (num_steps is None) == (last_step is None):
            raise ValueError("One of num_steps or last_step must be specified.")
        self._num_steps, self._end_step = num_steps, last_step

    def step_begin(self, step: int) -> Any:
        if self._end_step is None:
            assert self._num_steps is not None
            self._end_step = step + self._num_steps - 1
        return []

    def step_end(self, step: int, output: Any) -> bool:
        assert self._end_step is not None
        return step >= self._end_step


@_export("ValidationMonitor")
class ValidationMonitor(EveryN):
    """Evaluates the newest checkpoint, and stops when it gets no better."""

    def __init__(
        self,
        x: Any = None,
        y: Any = None,
        input_fn: Any = None,
        batch_size: int | None = None,
        eval_steps: int | None = None,
        every_n_steps: int = 100,
        metrics: Any = None,
        hooks: Any = None,
        early_stopping_rounds: int | None = None,
        early_stopping_metric: str = "loss",
        early_stopping_metric_minimize: bool = True,
        name: str | None = None,
        check_interval_secs: float = 5,
    ) -> None:
        super().__init__(every_n_steps, -1)
        if x is None and input_fn is None:
            raise ValueError("Either x or input_fn should be provided.")
        self._given = {
            "x": x,
            "y": y,
            "input_fn": input_fn,
            "batch_size": batch_size,
            "steps": eval_steps,
            "metrics": metrics,
            "hooks": hooks,
            "name": name,
        }
        self._rounds, self._metric = early_stopping_rounds, early_stopping_metric
        self._minimize, self._path = early_stopping_metric_minimize, None
        self._best_value: Any = None
        self._best_step: int | None = None
        self._best_metrics: Any = None
        self._early_stopped = False

    @property
    def early_stopped(self) -> bool:
        return self._early_stopped

    @property
    def best_step(self) -> int | None:
        return self._best_step

    @property
    def best_value(self) -> Any:
        return self._best_value

    @property
    def best_metrics(self) -> Any:
        return self._best_metrics

    def every_n_step_end(self, step: int, outputs: Any) -> bool:
        path = self._estimator.latest_checkpoint()
        if path is None or path == self._path:
            return False
        self._path = path
        found = self._estimator.evaluate(**self._given)
        text = ", ".join(f"{key} = {value!s}" for key, value in sorted(found.items()))
        log.info("Validation (step %d): %s", step, text)
        if self._rounds is None:
            return False
        return self._stops(found)

    def _stops(self, found: Any) -> bool:
        if self._metric not in found:
            raise ValueError(f"Metric {self._metric} missing from outputs {sorted(found)}.")
        value, step = found[self._metric], int(found["global_step"])
        best = self._best_value
        if best is None or (value < best if self._minimize else value > best):
            self._best_value, self._best_step, self._best_metrics = value, step, found
        assert self._best_step is not None and self._rounds is not None
        self._early_stopped = step - self._best_step >= self._rounds
        if self._early_stopped:
            log.info(
                "Stopping. Best step: %d with %s = %s.",
                self._best_step,
                self._metric,
                self._best_value,
            )
        return self._early_stopped


@_export("replace_monitors_with_hooks")
def replace_monitors_with_hooks(monitors_or_hooks: Any, estimator: Any) -> list[Any]:
    """The hooks of a fit; monitors learn to know their estimator."""
    found = monitors_or_hooks or []
    if isinstance(found, SessionRunHook):
        found = [found]
    for hook in found:
        if not isinstance(hook, SessionRunHook):
            raise TypeError(f"neither a monitor nor a hook: {hook!r}")
        if isinstance(hook, BaseMonitor):
            hook.set_estimator(estimator)
    return list(found)

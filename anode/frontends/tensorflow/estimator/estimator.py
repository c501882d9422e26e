"""tf.estimator.Estimator: trains, evaluates and predicts with the model of a function."""

from __future__ import annotations

import copy
import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from anode.frontends.tensorflow.estimator import evaluation, inputs, warm_start
from anode.frontends.tensorflow.estimator.run_config import RunConfig
from anode.frontends.tensorflow.estimator.spec import EstimatorSpec, ModeKeys
from anode.frontends.tensorflow.modules import tensorflow as tf
from anode.frontends.tensorflow.opdef import export

log = logging.getLogger("tensorflow")
READS_OF_STEP = 11  # operations by which TensorFlow reads the global step, initialised or not


def _folder(given: Any, config: Any) -> tuple[str, Any]:
    """The folder of a model and the settings with it; a temporary one if none is named."""
    if given is not None:
        given = os.fspath(given.decode() if isinstance(given, bytes) else given)
        if config.model_dir is not None and config.model_dir != given:
            raise ValueError(
                "`model_dir` are set both in constructor and `RunConfig`, but with different "
                f"values. In constructor: '{given}', in `RunConfig`: '{config.model_dir}' "
            )
    if not given and not config.model_dir:
        given = tempfile.mkdtemp()
        log.warning("Using temporary folder as model directory: %s", given)
    folder = given or config.model_dir
    if config.model_dir is None:
        config = config.replace(model_dir=folder)
    return folder, config


def _settings(config: Any) -> Any:
    if config is None:
        return RunConfig()
    if isinstance(config, Mapping):
        made = tf.ConfigProto()
        for key, value in config.items():
            setattr(made, key, value)
        return RunConfig(session_config=made)
    if not isinstance(config, RunConfig):
        raise ValueError(f"config must be an instance of `RunConfig`, received {config}")
    return copy.deepcopy(config)


@export("estimator.Estimator", "python.estimator.estimator.Estimator")
class Estimator:
    """A model with its folder of checkpoints; each call builds a graph of its own."""

    def __init__(
        self,
        model_fn: Callable[..., Any],
        model_dir: Any = None,
        config: Any = None,
        params: Any = None,
        warm_start_from: Any = None,
    ) -> None:
        self._config = _settings(config)
        self._model_dir, self._config = _folder(model_dir, self._config)
        log.info("Using config: %s", vars(self._config))
        self._session_config = self._config.session_config
        if model_fn is None:
            raise ValueError("model_fn must be provided to Estimator.")
        self._model_fn = inputs.model_function(model_fn, params)
        self._params = copy.deepcopy(params or {})
        self._warm_start_settings = warm_start.settings(warm_start_from)

    @property
    def model_dir(self) -> str:
        return self._model_dir

    @property
    def config(self) -> Any:
        return copy.deepcopy(self._config)

    @property
    def params(self) -> Any:
        return copy.deepcopy(self._params)

    @property
    def model_fn(self) -> Callable[..., Any]:
        """The model as a function of features, labels, mode and config."""

        def public_model_fn(features: Any, labels: Any, mode: Any, config: Any) -> Any:
            return self._call_model_fn(features, labels, mode, config)

        return public_model_fn

    def get_variable_value(self, name: str) -> Any:
        """The value of a variable in the newest checkpoint, as a NumPy array."""
        self._check_built()
        return tf.train.load_variable(self._model_dir, name)

    def get_variable_names(self) -> list[str]:
        """The names of all variables in the newest checkpoint."""
        self._check_built()
        return [name for name, _ in tf.train.list_variables(self._model_dir)]

    def latest_checkpoint(self) -> str | None:
        path: str | None = tf.train.latest_checkpoint(self._model_dir)
        return path

    def eval_dir(self, name: str | None = None) -> str:
        """The folder of an evaluation's summaries."""
        return os.path.join(self._model_dir, f"eval_{name}" if name else "eval")

    def _check_built(self) -> None:
        if self.latest_checkpoint() is None:
            raise ValueError(
                f"Estimator has not been trained: there is no checkpoint in {self._model_dir}"
            )

    # training

    def train(
        self,
        input_fn: Callable[..., Any],
        hooks: Any = None,
        steps: int | None = None,
        max_steps: int | None = None,
        saving_listeners: Any = None,
    ) -> Estimator:
        """Train by `steps` more, up to `max_steps` in all, or to the end of the input."""
        for name, value in (("steps", steps), ("max_steps", max_steps)):
            if value is not None and value <= 0:
                raise ValueError(f"Must specify {name} > 0, given: {value}")
        if steps is not None and max_steps is not None:
            raise ValueError("Can not provide both steps and max_steps.")
        if max_steps is not None and self._trained_steps() >= max_steps:
            log.info("Skipping training since max_steps has already saved.")
            return self
        hooks = _hooks(hooks)
        if steps is not None or max_steps is not None:
            hooks.append(tf.train.StopAtStepHook(steps, max_steps))
        listeners = _listeners(saving_listeners)
        loss = self._train_model(input_fn, hooks, listeners)
        log.info("Loss for final step: %s.", loss)
        return self

    def _trained_steps(self) -> int:
        path = self.latest_checkpoint()
        if path is None:
            return 0
        reader = tf.train.NewCheckpointReader(path)
        return int(reader.get_tensor("global_step")) if reader.has_tensor("global_step") else 0

    def _train_model(self, input_fn: Any, hooks: list[Any], listeners: tuple[Any, ...]) -> Any:
        with tf.Graph().as_default() as graph, graph.device(self._config.device_fn):
            tf.set_random_seed(self._config.tf_random_seed)
            step = self._create_and_assert_global_step(graph)
            graph._number_from(graph._last_id, READS_OF_STEP)
            features, labels, own = self._features_and_labels(input_fn, ModeKeys.TRAIN)
            spec = self._call_model_fn(features, labels, ModeKeys.TRAIN, self.config)
            return self._train_with_spec(spec, [*own, *hooks], step, listeners)

    def _train_with_spec(
        self, spec: Any, hooks: list[Any], step: Any, listeners: tuple[Any, ...]
    ) -> Any:
        config = self._config
        if self._warm_start_settings is not None:
            log.info("Warm-starting with WarmStartSettings: %s", self._warm_start_settings)
            warm_start.begin(self._warm_start_settings)
        summaries = tf.get_collection(tf.GraphKeys.SUMMARIES)
        if not any(summary.op.name == "loss" for summary in summaries):
            tf.summary.scalar("loss", spec.loss)
        tf.add_to_collection(tf.GraphKeys.LOSSES, spec.loss)
        hooks.append(tf.train.NanTensorHook(spec.loss))
        if config.log_step_count_steps is not None:
            with tf.control_dependencies([spec.train_op]):
                counted = tf.identity(step.read_value(), name="global_step_logged")
            logged = {"loss": spec.loss, "step": counted}
            every = config.log_step_count_steps
            hooks.append(tf.train.LoggingTensorHook(logged, every_n_iter=every))
        hooks.extend(spec.training_hooks)
        self._add_saver(spec)
        chief = self._saver_hooks(spec, [*hooks, *spec.training_chief_hooks], listeners)
        return self._run_training(spec, hooks, [*chief, *spec.training_chief_hooks])

    def _add_saver(self, spec: Any) -> None:
        if spec.scaffold.saver or tf.get_collection(tf.GraphKeys.SAVERS):
            return
        saver = tf.train.Saver(
            sharded=True,
            max_to_keep=self._config.keep_checkpoint_max,
            keep_checkpoint_every_n_hours=self._config.keep_checkpoint_every_n_hours,
            defer_build=True,
            save_relative_paths=True,
        )
        tf.add_to_collection(tf.GraphKeys.SAVERS, saver)

    def _saver_hooks(self, spec: Any, hooks: list[Any], listeners: tuple[Any, ...]) -> list[Any]:
        """The hook that saves checkpoints, unless there is one; the listeners go to it."""
        config = self._config
        savers = [hook for hook in hooks if isinstance(hook, tf.train.CheckpointSaverHook)]
        own = []
        secs, steps = config.save_checkpoints_secs, config.save_checkpoints_steps
        if (secs or steps) and not savers:
            saver = tf.train.CheckpointSaverHook(
                self._model_dir, save_secs=secs, save_steps=steps, scaffold=spec.scaffold
            )
            savers = own = [saver]
        if listeners and not savers:
            raise ValueError(
                "There should be a CheckpointSaverHook to use saving_listeners. Please set one of "
                "the RunConfig.save_checkpoints_steps or RunConfig.save_checkpoints_secs."
            )
        if listeners:
            savers[0]._listeners.extend(listeners)
        return own

    def _run_training(self, spec: Any, hooks: list[Any], chief: list[Any]) -> Any:
        loss = None
        with tf.train.MonitoredTrainingSession(
            checkpoint_dir=self._model_dir,
            scaffold=spec.scaffold,
            hooks=hooks,
            chief_only_hooks=chief,
            save_checkpoint_secs=0,
            save_summaries_steps=self._config.save_summary_steps,
            config=self._session_config,
            log_step_count_steps=self._config.log_step_count_steps,
        ) as session:
            while not session.should_stop():
                _, loss = session.run([spec.train_op, spec.loss])
        if loss is None:
            log.warning(
                "Training with estimator made no steps. Perhaps input is empty or misspecified."
            )
        return loss

    # evaluation

    def evaluate(
        self,
        input_fn: Callable[..., Any],
        steps: int | None = None,
        hooks: Any = None,
        checkpoint_path: str | None = None,
        name: str | None = None,
    ) -> dict[str, Any]:
        """The model's metrics, `loss` and `global_step`, over `steps` batches or all."""
        if steps is not None and steps <= 0:
            raise ValueError(f"Must specify steps > 0, given: {steps}")
        hooks = _hooks(hooks)
        if steps is not None:
            hooks.append(evaluation.StopAfterNEvalsHook(num_evals=steps))
        with tf.Graph().as_default() as graph, graph.device(self._config.device_fn):
            path = checkpoint_path or self._newest("evaluate")
            tf.set_random_seed(self._config.tf_random_seed)
            step = self._create_and_assert_global_step(graph)
            features, labels, own = self._features_and_labels(input_fn, ModeKeys.EVAL)
            spec = self._call_model_fn(features, labels, ModeKeys.EVAL, self.config)
            update, values = _metric_ops(spec, step)
            if self._warm_start_settings is not None and path is None:
                warm_start.begin(self._warm_start_settings)
            found: dict[str, Any] = evaluation.evaluate_once(
                path,
                scaffold=spec.scaffold,
                eval_ops=update,
                final_ops=values,
                hooks=[*own, *hooks, *spec.evaluation_hooks],
                config=self._session_config,
            )
        _write_evaluation(self.eval_dir(name), found, path)
        return found

    def _newest(self, what: str) -> str | None:
        path = self.latest_checkpoint()
        if path is None:
            log.info(
                "Could not find trained model in model_dir: %s, running initialization to %s.",
                self._model_dir,
                what,
            )
        return path

    # prediction

    def predict(
        self,
        input_fn: Callable[..., Any],
        predict_keys: Any = None,
        hooks: Any = None,
        checkpoint_path: str | None = None,
        yield_single_examples: bool = True,
    ) -> Iterator[Any]:
        """Yields the predictions of each example, or of each batch."""
        hooks = _hooks(hooks)
        with tf.Graph().as_default() as graph, graph.device(self._config.device_fn):
            path = checkpoint_path or self._newest("predict")
            tf.set_random_seed(self._config.tf_random_seed)
            self._create_and_assert_global_step(graph)
            features, own = self._features(input_fn)
            spec = self._call_model_fn(features, None, ModeKeys.PREDICT, self.config)
            predictions = _chosen(spec.predictions, predict_keys)
            creator = tf.train.ChiefSessionCreator(
                scaffold=spec.scaffold,
                checkpoint_filename_with_path=path,
                config=self._session_config,
            )
            hooks = [*own, *hooks, *spec.prediction_hooks]
            with tf.train.MonitoredSession(creator, hooks) as session:
                while not session.should_stop():
                    batch = session.run(predictions)
                    if not yield_single_examples:
                        yield batch
                    else:
                        yield from _examples(batch)

    # what the functions of the user get

    def _create_and_assert_global_step(self, graph: Any) -> Any:
        step = self._create_global_step(graph)
        assert step is tf.train.get_global_step()
        assert step.dtype.is_integer
        return step

    def _create_global_step(self, graph: Any) -> Any:
        return tf.train.create_global_step(graph)

    def _call_input_fn(self, input_fn: Callable[..., Any], mode: str) -> Any:
        offered = inputs.accepted(input_fn, mode=mode, params=self.params, config=self.config)
        with tf.device("/cpu:0"):
            return input_fn(**offered)

    def _features_and_labels(self, input_fn: Any, mode: str) -> tuple[Any, Any, list[Any]]:
        return inputs.parsed(self._call_input_fn(input_fn, mode))

    def _features(self, input_fn: Any) -> tuple[Any, list[Any]]:
        result = self._call_input_fn(input_fn, ModeKeys.PREDICT)
        hooks = []
        if isinstance(result, tf.data.Dataset):
            iterator = tf.data.make_initializable_iterator(result)
            hooks.append(inputs.iterator_initializer(iterator))
            result = iterator.get_next()
        elif not _ends(tf.get_default_graph(), input_fn):
            log.warning(
                "Input graph does not use tf.data.Dataset or contain a QueueRunner. That means "
                "predict yields forever. This is probably a mistake."
            )
        if isinstance(result, (list, tuple)):  # labels too: TensorFlow ignores them as well
            result = result[0]
        return result, hooks

    def _call_model_fn(self, features: Any, labels: Any, mode: str, config: Any) -> Any:
        offered = inputs.accepted(
            self._model_fn, labels=labels, mode=mode, params=self.params, config=config
        )
        if labels is not None and "labels" not in offered:
            raise ValueError("model_fn does not take labels, but input_fn returns labels.")
        log.info("Calling model_fn.")
        found = self._model_fn(features=features, **offered)
        log.info("Done calling model_fn.")
        if not isinstance(found, EstimatorSpec):
            raise ValueError("model_fn should return an EstimatorSpec.")
        return found

    # export

    def export_saved_model(
        self,
        export_dir_base: Any,
        serving_input_receiver_fn: Callable[[], Any] | None,
        assets_extra: Any = None,
        as_text: bool = False,
        checkpoint_path: str | None = None,
        experimental_mode: str = ModeKeys.PREDICT,
    ) -> bytes:
        """Write the model for serving into a new folder below a base; gives its path."""
        from anode.frontends.tensorflow.estimator.exporting import export_model

        if not serving_input_receiver_fn:
            raise ValueError("An input_receiver_fn must be defined.")
        if experimental_mode != ModeKeys.PREDICT:
            raise NotImplementedError(
                "export_saved_model(experimental_mode=...) other than PREDICT is not supported"
            )
        return export_model(
            self, export_dir_base, serving_input_receiver_fn, assets_extra, as_text, checkpoint_path
        )

    def export_savedmodel(
        self,
        export_dir_base: Any,
        serving_input_receiver_fn: Callable[[], Any],
        assets_extra: Any = None,
        as_text: bool = False,
        checkpoint_path: str | None = None,
        strip_default_attrs: bool = False,
    ) -> bytes:
        """The older name of `export_saved_model`."""
        return self.export_saved_model(
            export_dir_base, serving_input_receiver_fn, assets_extra, as_text, checkpoint_path
        )


def _ends(graph: Any, input_fn: Any) -> bool:
    """Whether an input may come to an end: of a data set, a queue, or fed by a hook."""
    read = any(op.type == "IteratorGetNext" for op in graph.get_operations())
    queued = bool(graph.get_collection(tf.GraphKeys.QUEUE_RUNNERS))
    return read or queued or isinstance(input_fn, tf.train.SessionRunHook)


def _hooks(hooks: Any) -> list[Any]:
    found = list(hooks or [])
    for hook in found:
        if not isinstance(hook, tf.train.SessionRunHook):
            raise TypeError(f"Hooks must be a SessionRunHook, given: {hook}")
    return found


def _listeners(listeners: Any) -> tuple[Any, ...]:
    found = tuple(listeners or ())
    for listener in found:
        if not isinstance(listener, tf.train.CheckpointSaverListener):
            raise TypeError(
                f"saving_listeners must be a list of CheckpointSaverListener, given: {listener}"
            )
    return found


def _metric_ops(spec: Any, step: Any) -> tuple[Any, dict[str, Any]]:
    """The op that adds a batch to all metrics, and their values by name."""
    metrics = dict(spec.eval_metric_ops)
    if "loss" in metrics:
        raise ValueError('Metric with name "loss" is not allowed, because Estimator makes it')
    metrics["loss"] = tf.metrics.mean(spec.loss)
    ordered = sorted(metrics.items())
    values = {name: value for name, (value, _) in ordered}
    values["global_step"] = step
    return tf.group(*(update for _, (_, update) in ordered)), values


def _chosen(predictions: Any, predict_keys: Any) -> Any:
    if not predict_keys:
        return predictions
    if not isinstance(predictions, Mapping):
        raise ValueError("predict_keys argument is not valid in case of non-dict predictions.")
    known = list(predictions)
    found = {key: value for key, value in predictions.items() if key in predict_keys}
    if not found:
        raise ValueError(
            f"Expected to run at least one output from {known}, provided {predict_keys}."
        )
    return found


def _examples(batch: Any) -> Iterator[Any]:
    if not isinstance(batch, Mapping):
        yield from batch
        return
    sizes = {key: len(value) for key, value in batch.items()}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"Batch length of predictions should be same. {sizes}")
    for i in range(next(iter(sizes.values()), 0)):
        yield {key: value[i] for key, value in batch.items()}


def _write_evaluation(folder: str, found: Mapping[str, Any], path: str | None) -> None:
    """Log the results of an evaluation and write them as summaries."""
    step = found["global_step"]
    text = ", ".join(f"{key} = {value!s}" for key, value in sorted(found.items()))
    log.info("Saving dict for global step %d: %s", step, text)
    summary = tf.Summary()
    for key, value in found.items():
        if value is None or key == "global_step":
            continue
        _add_value(summary, key, value)
    writer = tf.summary.FileWriterCache.get(folder)
    writer.add_summary(summary, int(step))
    writer.flush()
    if path is not None:
        log.info("Saving 'checkpoint_path' summary for global step %d: %s", step, path)
        noted = tf.Summary()
        tensor = tf.make_tensor_proto(path, dtype=tf.string)
        noted.value.add(tag=f"checkpoint_path/{path}", tensor=tensor)
        writer.add_summary(noted, int(step))
        writer.flush()


def _add_value(summary: Any, key: str, value: Any) -> None:
    if isinstance(value, (np.floating, np.integer, float, int, np.bool_)):
        summary.value.add(tag=key, simple_value=float(value))
    elif isinstance(value, bytes):
        summary.value.add(tag=key).CopyFrom(tf.Summary.FromString(value).value[0])
    elif isinstance(value, np.ndarray):
        for i, item in enumerate(np.atleast_1d(value).reshape(-1)):
            summary.value.add(tag=f"{key}/{i}", simple_value=float(item))
    else:
        log.warning("Skipping summary for %s, must be a float, np.float32, np.int64", key)

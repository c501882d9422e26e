"""tf.contrib.learn: estimators that also take arrays, with fit, evaluate and predict."""

from __future__ import annotations

import copy
from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from anode.frontends.tensorflow.api.session_hooks import SessionRunArgs, SessionRunHook
from anode.frontends.tensorflow.estimator import inputs
from anode.frontends.tensorflow.estimator.estimator import Estimator
from anode.frontends.tensorflow.estimator.run_config import RunConfig
from anode.frontends.tensorflow.estimator.spec import EstimatorSpec, PredictOutput
from anode.frontends.tensorflow.modules import tensorflow as tf
from anode.frontends.tensorflow.opdef import export

LEARN = "contrib.learn.python.learn."
MODEL_FN = LEARN + "estimators.model_fn."


@export("contrib.learn.ModeKeys", MODEL_FN + "ModeKeys", LEARN + "ModeKeys")
class ModeKeys:
    """What a model function is called for."""

    TRAIN = "train"
    EVAL = "eval"
    INFER = "infer"


@export("contrib.learn.ModelFnOps", MODEL_FN + "ModelFnOps")
class ModelFnOps(
    namedtuple(
        "ModelFnOps",
        [
            "predictions",
            "loss",
            "train_op",
            "eval_metric_ops",
            "output_alternatives",
            "training_chief_hooks",
            "training_hooks",
            "scaffold",
            "mode",
        ],
    )
):
    """The operations of a model in one mode; ValueError if one that it needs is missing."""

    __slots__ = ()

    def __new__(
        cls,
        mode: Any,
        predictions: Any = None,
        loss: Any = None,
        train_op: Any = None,
        eval_metric_ops: Any = None,
        output_alternatives: Any = None,
        training_chief_hooks: Any = None,
        training_hooks: Any = None,
        scaffold: Any = None,
    ) -> ModelFnOps:
        if mode == ModeKeys.TRAIN and train_op is None:
            raise ValueError("Missing train_op.")
        if mode != ModeKeys.INFER and loss is None:
            raise ValueError("Missing loss.")
        if mode != ModeKeys.TRAIN and predictions is None:
            raise ValueError("Missing predictions.")
        return super().__new__(
            cls,
            predictions,
            loss,
            train_op,
            dict(eval_metric_ops or {}),
            output_alternatives,
            list(training_chief_hooks or []),
            list(training_hooks or []),
            scaffold,
            mode,
        )


InputFnOps = namedtuple("InputFnOps", ["features", "labels", "default_inputs"])
export(
    "contrib.learn.InputFnOps",
    "contrib.learn.utils.input_fn_utils.InputFnOps",
    LEARN + "utils.input_fn_utils.InputFnOps",
)(InputFnOps)


@export("contrib.learn.RunConfig", LEARN + "estimators.run_config.RunConfig")
@export("contrib.learn.estimators.RunConfig")
class LearnRunConfig(RunConfig):
    """The settings of an estimator of contrib.learn."""

    def __init__(
        self,
        master: Any = None,
        num_cores: int = 0,
        log_device_placement: bool = False,
        gpu_memory_fraction: float = 1,
        tf_random_seed: int | None = None,
        save_summary_steps: int | None = 100,
        save_checkpoints_secs: Any = 0,
        save_checkpoints_steps: Any = None,
        keep_checkpoint_max: int | None = 5,
        keep_checkpoint_every_n_hours: float = 10000,
        log_step_count_steps: int | None = 100,
        protocol: Any = None,
        evaluation_master: str = "",
        model_dir: Any = None,
        session_config: Any = None,
        session_creation_timeout_secs: float = 7200,
    ) -> None:
        if master or evaluation_master:
            raise NotImplementedError("RunConfig(master=...): anode runs in one process")
        if save_checkpoints_secs == 0:
            save_checkpoints_secs = 600 if save_checkpoints_steps is None else None
        config = session_config or tf.ConfigProto(
            log_device_placement=log_device_placement,
            inter_op_parallelism_threads=num_cores,
            intra_op_parallelism_threads=num_cores,
            gpu_options=tf.GPUOptions(per_process_gpu_memory_fraction=gpu_memory_fraction),
        )
        super().__init__(
            model_dir=model_dir,
            tf_random_seed=tf_random_seed,
            save_summary_steps=save_summary_steps,
            save_checkpoints_steps=save_checkpoints_steps,
            save_checkpoints_secs=save_checkpoints_secs,
            session_config=config,
            keep_checkpoint_max=keep_checkpoint_max,
            keep_checkpoint_every_n_hours=keep_checkpoint_every_n_hours,
            log_step_count_steps=log_step_count_steps,
            protocol=protocol,
            session_creation_timeout_secs=session_creation_timeout_secs,
        )

    @property
    def tf_config(self) -> Any:
        return self.session_config  # type: ignore[attr-defined]

    @property
    def environment(self) -> str:
        return "local"

    def uid(self, whitelist: Any = None) -> str:
        """A text that differs where settings do."""
        values = {key: str(value) for key, value in sorted(vars(self).items())}
        return ", ".join(f"{key}={value}" for key, value in values.items())


# --- batches of arrays ---------------------------------------------------------------------------


def _array(values: Any) -> np.ndarray:
    """An array in the types that models take: float32, int64, text."""
    if hasattr(values, "to_numpy"):
        values = values.to_numpy()
    array = np.asarray(values)
    if array.dtype.kind in "OUS":
        return np.array([_bytes(item) for item in array.reshape(-1)], object).reshape(array.shape)
    return array.astype(np.float32 if array.dtype.kind == "f" else np.int64)


def _bytes(item: Any) -> Any:
    return item if isinstance(item, bytes) else str(item).encode()


class _Feeder(SessionRunHook):
    """Feeds batches of rows; shuffled by a fixed seed, as TensorFlow does."""

    def __init__(
        self, x: Any, y: Any, batch_size: int | None, shuffle: bool, epochs: int | None
    ) -> None:
        named = x if isinstance(x, Mapping) else {None: x}
        self._columns = {("x", key): _array(value) for key, value in named.items()}
        if y is not None:
            targets = y if isinstance(y, Mapping) else {None: y}
            self._columns.update({("y", key): _array(value) for key, value in targets.items()})
        self._count = len(next(iter(self._columns.values())))
        self._size = min(batch_size or self._count, self._count)
        self._shuffle, self._epochs = shuffle, epochs
        self._random, self._epoch, self._offset = np.random.RandomState(42), 0, 0
        self._rows = self._order()

    def _order(self) -> np.ndarray:
        if self._shuffle:
            return self._random.permutation(self._count)
        return np.arange(self._count)

    def __call__(self) -> tuple[Any, Any]:
        """The placeholders of features and labels, in the default graph."""
        self._places = {
            (part, key): tf.placeholder(
                tf.as_dtype(array.dtype) if array.dtype != object else tf.string,
                [None, *array.shape[1:]],
                name=("input" if part == "x" else "output") + (f"_{key}" if key else ""),
            )
            for (part, key), array in self._columns.items()
        }
        return self._part("x"), self._part("y")

    def _part(self, part: str) -> Any:
        found = {key: place for (p, key), place in self._places.items() if p == part}
        if not found:
            return None
        return found.get(None, found)

    def before_run(self, run_context: Any) -> Any:
        if self._epochs is not None and self._epoch >= self._epochs:
            raise StopIteration
        rows = self._rows[self._offset : self._offset + self._size]
        feeds = {place: self._columns[key][rows] for key, place in self._places.items()}
        self._offset += self._size
        if self._offset >= self._count:
            self._rows, self._offset, self._epoch = self._order(), 0, self._epoch + 1
        return SessionRunArgs(fetches=None, feed_dict=feeds)


def _source(
    x: Any, y: Any, input_fn: Any, batch_size: int | None, shuffle: bool, epochs: int | None
) -> tuple[Any, list[Any]]:
    """The input function and the hooks that feed it."""
    if input_fn is not None:
        if x is not None or y is not None or batch_size is not None:
            raise ValueError("Either x, y and batch_size or input_fn must be provided, not both.")
        return input_fn, []
    if x is None:
        raise ValueError("Either x or input_fn must be provided.")
    feeder = _Feeder(x, y, batch_size, shuffle, epochs)
    return feeder, [feeder]


# --- metrics -------------------------------------------------------------------------------------


@export("contrib.learn.MetricSpec", LEARN + "metric_spec.MetricSpec")
class MetricSpec:
    """A metric with the names of the prediction, label and weight that it takes."""

    def __init__(
        self,
        metric_fn: Callable[..., Any],
        prediction_key: Any = None,
        label_key: Any = None,
        weight_key: Any = None,
    ) -> None:
        self.metric_fn, self.prediction_key = metric_fn, prediction_key
        self.label_key, self.weight_key = label_key, weight_key

    def create_metric_ops(self, inputs: Any, labels: Any, predictions: Any) -> Any:
        """The value and the update of the metric."""
        names = inputs_of(self.metric_fn)
        prediction = _picked(predictions, self.prediction_key, "prediction")
        label = _picked(labels, self.label_key, "label")
        weights = {}
        if self.weight_key is not None:
            weights["weights"] = _picked(inputs, self.weight_key, "weight")
        if "predictions" in names and "labels" in names:
            return self.metric_fn(predictions=prediction, labels=label, **weights)
        return self.metric_fn(prediction, label, **weights)

    def __str__(self) -> str:
        return f"MetricSpec({getattr(self.metric_fn, '__name__', self.metric_fn)})"


def inputs_of(function: Callable[..., Any]) -> tuple[str, ...]:
    try:
        return inputs.argument_names(function)
    except (TypeError, ValueError):
        return ()


def _picked(value: Any, key: Any, what: str) -> Any:
    if not isinstance(value, Mapping):
        return value
    if key is None:
        if len(value) != 1:
            raise ValueError(
                f"MetricSpec without specified {what}_key, but there are {list(value)}"
            )
        return next(iter(value.values()))
    if key not in value:
        raise ValueError(f"Cannot find {what} {key!r}; known are {list(value)}")
    return value[key]


def _metric_ops(metrics: Any, features: Any, labels: Any, predictions: Any) -> dict[str, Any]:
    found = {}
    for key, metric in (metrics or {}).items():
        name, wanted = key if isinstance(key, tuple) else (key, None)
        spec = metric if isinstance(metric, MetricSpec) else MetricSpec(metric, wanted)
        found[name] = spec.create_metric_ops(features, labels, predictions)
    return found


# --- estimators ----------------------------------------------------------------------------------


class NotFittedError(ValueError, AttributeError):
    """A model without checkpoint was to predict."""


export("contrib.learn.NotFittedError")(NotFittedError)


@export("contrib.learn.Estimator", LEARN + "estimators.estimator.Estimator")
@export("contrib.learn.BaseEstimator", LEARN + "estimators.estimator.BaseEstimator")
class LearnEstimator(Estimator):
    """An estimator with fit, evaluate and predict on arrays or input functions."""

    def __init__(
        self,
        model_fn: Any = None,
        model_dir: Any = None,
        config: Any = None,
        params: Any = None,
        feature_engineering_fn: Any = None,
    ) -> None:
        config = LearnRunConfig() if config is None else copy.deepcopy(config)
        names = inputs.argument_names(model_fn)
        if params is not None and "params" not in names:
            raise ValueError(f"Estimator's model_fn ({model_fn}) has less than 4 arguments, but "
                             f"not None params ({params}) are passed.")  # fmt: skip
        self._engineer, self._user_fn, self._metrics = feature_engineering_fn, model_fn, None
        self._output_keys: Any = None

        def called(features: Any, labels: Any, mode: str, params: Any, config: Any) -> Any:
            return self._operations(features, labels, mode, params, config)

        super().__init__(called, model_dir, config, params or {})

    def _operations(
        self, features: Any, labels: Any, mode: str, params: Any, config: Any
    ) -> EstimatorSpec:
        if self._engineer is not None:
            features, labels = self._engineer(features, labels)
        names = inputs.argument_names(self._user_fn)
        offered = {"mode": mode, "params": params, "config": config, "model_dir": self.model_dir}
        extra = {key: value for key, value in offered.items() if key in names}
        found = self._user_fn(features, labels, **extra)
        if not isinstance(found, ModelFnOps):
            if len(found) != 3:
                raise ValueError(
                    "Unrecognized value returned by model_fn, please return ModelFnOps."
                )
            predictions, loss, train_op = found
            found = ModelFnOps(mode, predictions, loss, train_op)
        metrics = {**found.eval_metric_ops}
        if mode == ModeKeys.EVAL:
            metrics.update(_metric_ops(self._metrics, features, labels, found.predictions))
            metrics.pop("loss", None)
        return EstimatorSpec(
            mode,
            found.predictions,
            found.loss,
            found.train_op,
            metrics,
            self._exported(found.predictions) if mode == ModeKeys.INFER else None,
            found.training_chief_hooks,
            found.training_hooks,
            found.scaffold,
        )

    @staticmethod
    def _exported(predictions: Any) -> Any:
        return {"serving_default": PredictOutput(predictions)}

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        input_fn: Any = None,
        steps: int | None = None,
        batch_size: int | None = None,
        monitors: Any = None,
        max_steps: int | None = None,
    ) -> Any:
        """Train on arrays or on what an input function gives."""
        from anode.frontends.tensorflow.estimator.learn_monitors import replace_monitors_with_hooks

        source, hooks = _source(x, y, input_fn, batch_size, True, None)
        hooks += replace_monitors_with_hooks(monitors, self)
        self.train(source, hooks, steps, max_steps)
        return self

    def partial_fit(
        self,
        x: Any = None,
        y: Any = None,
        input_fn: Any = None,
        steps: int = 1,
        batch_size: int | None = None,
        monitors: Any = None,
    ) -> Any:
        """Train a step, or a few."""
        return self.fit(x, y, input_fn, steps, batch_size, monitors)

    def evaluate(  # type: ignore[override]
        self,
        x: Any = None,
        y: Any = None,
        input_fn: Any = None,
        feed_fn: Any = None,
        batch_size: int | None = None,
        steps: int | None = None,
        metrics: Any = None,
        name: str | None = None,
        checkpoint_path: str | None = None,
        hooks: Any = None,
        log_progress: bool = True,
    ) -> dict[str, Any]:
        """The model's metrics and `metrics` by name."""
        source, own = _source(x, y, input_fn, batch_size, False, 1)
        if feed_fn is not None:
            own.append(tf.train.FeedFnHook(feed_fn))
        self._metrics = metrics
        try:
            hooks = [*own, *(hooks or [])]
            return Estimator.evaluate(self, source, steps, hooks, checkpoint_path, name)
        finally:
            self._metrics = None

    def predict(  # type: ignore[override]
        self,
        x: Any = None,
        input_fn: Any = None,
        batch_size: int | None = None,
        outputs: Any = None,
        as_iterable: bool = True,
        iterate_batches: bool = False,
    ) -> Any:
        """The predictions of each example; an array of all unless `as_iterable`."""
        if self.latest_checkpoint() is None:
            raise NotFittedError(f"Couldn't find trained model at {self.model_dir}.")
        source, hooks = _source(x, None, input_fn, batch_size, False, 1)
        if as_iterable:
            return Estimator.predict(
                self, source, outputs, hooks, yield_single_examples=not iterate_batches
            )
        batches = list(Estimator.predict(self, source, outputs, hooks, yield_single_examples=False))
        if isinstance(batches[0], Mapping):
            return {key: np.concatenate([batch[key] for batch in batches]) for key in batches[0]}
        return np.concatenate(batches)

    def export_savedmodel(  # type: ignore[override]
        self,
        export_dir_base: Any,
        serving_input_fn: Any,
        default_output_alternative_key: Any = None,
        assets_extra: Any = None,
        as_text: bool = False,
        checkpoint_path: str | None = None,
        graph_rewrite_specs: Any = None,
        strip_default_attrs: bool = False,
    ) -> bytes:
        """Write the model for serving into a new folder below a base; gives its path."""
        if graph_rewrite_specs is not None:
            raise NotImplementedError("export_savedmodel(graph_rewrite_specs=...)")

        def receiver() -> Any:
            made = serving_input_fn()
            return tf.estimator.export.TensorServingInputReceiver(
                made.features, made.default_inputs
            )

        return self.export_saved_model(
            export_dir_base, receiver, assets_extra, as_text, checkpoint_path
        )

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return {"model_fn": self._user_fn, "model_dir": self.model_dir, "params": self.params}


@export("contrib.learn.SKCompat", LEARN + "estimators.estimator.SKCompat")
class SKCompat:
    """An estimator with the methods of scikit-learn's."""

    def __init__(self, estimator: Any) -> None:
        self._estimator = estimator

    def fit(
        self,
        x: Any,
        y: Any,
        batch_size: int = 128,
        steps: int | None = None,
        max_steps: int | None = None,
        monitors: Any = None,
    ) -> SKCompat:
        self._estimator.fit(x, y, None, steps, batch_size, monitors, max_steps)
        return self

    def score(
        self,
        x: Any,
        y: Any,
        batch_size: int = 128,
        steps: int | None = None,
        metrics: Any = None,
        name: str | None = None,
    ) -> dict[str, Any]:
        found: dict[str, Any] = self._estimator.evaluate(
            x, y, batch_size=batch_size, steps=steps, metrics=metrics, name=name
        )
        return found

    def predict(self, x: Any, batch_size: int = 128, outputs: Any = None) -> Any:
        batches = list(
            LearnEstimator.predict(
                self._estimator,
                x,
                batch_size=batch_size,
                outputs=outputs,
                iterate_batches=True,
            )
        )
        if isinstance(batches[0], Mapping):
            return {key: np.concatenate([batch[key] for batch in batches]) for key in batches[0]}
        return np.concatenate(batches)


@export("contrib.learn.infer_real_valued_columns_from_input")
@export(LEARN + "estimators.estimator.infer_real_valued_columns_from_input")
def infer_real_valued_columns_from_input(x: Any) -> list[Any]:
    """A real-valued column of each array of features."""
    named = x if isinstance(x, Mapping) else {"": x}
    return [
        tf.contrib.layers.real_valued_column(key, int(np.prod(_array(value).shape[1:] or (1,))))
        for key, value in sorted(named.items())
    ]


@export("contrib.learn.infer_real_valued_columns_from_input_fn")
def infer_real_valued_columns_from_input_fn(input_fn: Any) -> list[Any]:
    """A real-valued column of each feature that an input function gives."""
    with tf.Graph().as_default():
        features, _, _ = inputs.parsed(input_fn())
        named = features if isinstance(features, Mapping) else {"": features}
        return [
            tf.contrib.layers.real_valued_column(key, value.shape[1].value, dtype=value.dtype)
            for key, value in sorted(named.items())
        ]


def per_example(found: Iterator[Any], key: str) -> Iterator[Any]:
    """One output of each example."""
    return (item[key] for item in found)

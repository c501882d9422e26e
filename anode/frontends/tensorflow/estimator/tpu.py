"""tf.contrib.tpu's estimator where there is no TPU: it trains on the processor, as TensorFlow's."""

from __future__ import annotations

from typing import Any, NamedTuple

from anode.frontends.tensorflow.estimator import inputs
from anode.frontends.tensorflow.estimator.estimator import Estimator
from anode.frontends.tensorflow.estimator.run_config import RunConfig
from anode.frontends.tensorflow.estimator.spec import EstimatorSpec, ModeKeys
from anode.frontends.tensorflow.modules import tensorflow as tf
from anode.frontends.tensorflow.opdef import export

CONFIG = "contrib.tpu.python.tpu.tpu_config."
ESTIMATOR = "contrib.tpu.python.tpu.tpu_estimator."


@export("contrib.tpu.InputPipelineConfig", CONFIG + "InputPipelineConfig")
class InputPipelineConfig:
    """How inputs are shared among the hosts of TPUs."""

    PER_SHARD_V1 = 1
    PER_HOST_V1 = 2
    PER_HOST_V2 = 3
    BROADCAST = 4
    SLICED = 5


@export("contrib.tpu.TPUConfig", CONFIG + "TPUConfig")
class TPUConfig(NamedTuple):
    """The settings of TPUs, which anode has not: they say nothing about a processor."""

    iterations_per_loop: int = 2
    num_shards: int | None = None
    num_cores_per_replica: int | None = None
    per_host_input_for_training: Any = True
    tpu_job_name: str | None = None
    initial_infeed_sleep_secs: float | None = None
    input_partition_dims: Any = None
    eval_training_input_configuration: int = InputPipelineConfig.PER_HOST_V1
    experimental_host_call_every_n_steps: int = 1


@export("contrib.tpu.RunConfig", CONFIG + "RunConfig")
class TPURunConfig(RunConfig):
    """The settings of a TPUEstimator."""

    def __init__(
        self,
        tpu_config: Any = None,
        evaluation_master: str | None = None,
        master: str | None = None,
        cluster: Any = None,
        **kwargs: Any,
    ) -> None:
        if master or evaluation_master or cluster is not None:
            raise NotImplementedError("tf.contrib.tpu.RunConfig(master=...): anode has no TPUs")
        super().__init__(**kwargs)
        self._tpu_config = tpu_config or TPUConfig()

    @property
    def tpu_config(self) -> Any:
        return self._tpu_config

    @property
    def cluster(self) -> Any:
        return None


@export("contrib.tpu.TPUEstimatorSpec", ESTIMATOR + "TPUEstimatorSpec")
class TPUEstimatorSpec(NamedTuple):
    """The operations of a model in one mode; metrics as a function and its tensors."""

    mode: Any
    predictions: Any = None
    loss: Any = None
    train_op: Any = None
    eval_metrics: Any = None
    export_outputs: Any = None
    scaffold_fn: Any = None
    host_call: Any = None
    training_hooks: Any = None
    evaluation_hooks: Any = None
    prediction_hooks: Any = None

    def as_estimator_spec(self) -> EstimatorSpec:
        """The same for an estimator on the processor."""
        metrics = None
        if self.eval_metrics is not None:
            make, tensors = self.eval_metrics
            metrics = make(**tensors) if isinstance(tensors, dict) else make(*tensors)
        hooks = list(self.training_hooks or ())
        evaluation = list(self.evaluation_hooks or ())
        if self.host_call is not None:
            hooks.append(_HostCall(*self.host_call))
        return EstimatorSpec(
            self.mode,
            self.predictions,
            self.loss,
            self.train_op,
            metrics,
            self.export_outputs,
            training_hooks=hooks,
            scaffold=self.scaffold_fn() if self.scaffold_fn else None,
            evaluation_hooks=evaluation,
            prediction_hooks=self.prediction_hooks,
        )


def _HostCall(make: Any, tensors: Any) -> Any:
    """A hook that runs what a host call gives in each step."""
    base: Any = tf.train.SessionRunHook
    ops = make(**tensors) if isinstance(tensors, dict) else make(*tensors)

    class HostCallHook(base):
        def before_run(self, run_context: Any) -> Any:
            return tf.train.SessionRunArgs(ops)

    return HostCallHook()


@export("contrib.tpu.TPUEstimator", ESTIMATOR + "TPUEstimator")
class TPUEstimator(Estimator):
    """An estimator whose functions find their batch size in `params`."""

    def __init__(
        self,
        model_fn: Any = None,
        model_dir: Any = None,
        config: Any = None,
        params: Any = None,
        use_tpu: bool = True,
        train_batch_size: int | None = None,
        eval_batch_size: int | None = None,
        predict_batch_size: int | None = None,
        batch_axis: Any = None,
        eval_on_tpu: bool = True,
        export_to_tpu: bool = True,
        export_to_cpu: bool = True,
        warm_start_from: Any = None,
        embedding_config_spec: Any = None,
        export_saved_model_api_version: Any = None,
    ) -> None:
        if use_tpu:
            raise NotImplementedError("TPUEstimator(use_tpu=True): anode has no TPUs")
        if config is None or not isinstance(config, TPURunConfig):
            raise ValueError("`config` must be provided with type `tpu_config.RunConfig`")
        if params is not None and "batch_size" in params:
            raise ValueError("batch_size are reserved keys by TPUEstimator: it is in params")
        self._sizes = {
            ModeKeys.TRAIN: train_batch_size,
            ModeKeys.EVAL: eval_batch_size,
            ModeKeys.PREDICT: predict_batch_size,
        }

        def called(features: Any, labels: Any, mode: str, params: Any, config: Any) -> Any:
            given = self._sized(params, mode)
            extra = inputs.accepted(model_fn, labels=labels, mode=mode, params=given, config=config)
            found = model_fn(features=features, **extra)
            return found.as_estimator_spec() if isinstance(found, TPUEstimatorSpec) else found

        super().__init__(called, model_dir, config, params or {}, warm_start_from)

    def _sized(self, params: Any, mode: str) -> dict[str, Any]:
        size = self._sizes[mode]
        return dict(params) if size is None else {**params, "batch_size": size}

    def _call_input_fn(self, input_fn: Any, mode: str) -> Any:
        params = self._sized(self.params, mode)
        return input_fn(**inputs.accepted(input_fn, mode=mode, params=params, config=self.config))


@export("contrib.tpu.CrossShardOptimizer", "tpu.CrossShardOptimizer")
def CrossShardOptimizer(
    opt: Any, reduction: str = "weighted_mean", name: str = "CrossShardOptimizer",
    group_assignment: Any = None,
) -> Any:  # fmt: skip
    """The optimizer itself: there is one shard."""
    return opt

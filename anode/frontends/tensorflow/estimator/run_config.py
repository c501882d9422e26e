"""tf.estimator.RunConfig: where an estimator writes, how often, and from which seed it draws."""

from __future__ import annotations

import copy
import json
import os
from typing import Any

from anode.frontends.tensorflow.modules import tensorflow as tf
from anode.frontends.tensorflow.opdef import export, export_values

USE_DEFAULT: Any = object()


class TaskType:
    """The roles in a cluster."""

    MASTER = "master"
    PS = "ps"
    WORKER = "worker"
    CHIEF = "chief"
    EVALUATOR = "evaluator"


export_values(__name__, {"contrib.learn.TaskType": "TaskType"})

REPLACEABLE = (
    "model_dir",
    "tf_random_seed",
    "save_summary_steps",
    "save_checkpoints_steps",
    "save_checkpoints_secs",
    "session_config",
    "keep_checkpoint_max",
    "keep_checkpoint_every_n_hours",
    "log_step_count_steps",
    "train_distribute",
    "device_fn",
    "protocol",
    "eval_distribute",
    "experimental_distribute",
    "experimental_max_worker_delay_secs",
    "session_creation_timeout_secs",
)
UNSUPPORTED = ("train_distribute", "eval_distribute", "experimental_distribute", "protocol")


def _default_session_config() -> Any:
    config = tf.ConfigProto(allow_soft_placement=True)
    config.graph_options.rewrite_options.meta_optimizer_iterations = 1
    return config


def _check_single_process() -> None:
    """NotImplementedError if the environment describes a cluster."""
    described = json.loads(os.environ.get("TF_CONFIG") or "{}")
    if sum(len(tasks) for tasks in (described.get("cluster") or {}).values()) > 1:
        raise NotImplementedError(
            "TF_CONFIG describes a cluster; anode trains an estimator in one process: unset it"
        )


def _check_values(config: dict[str, Any]) -> None:
    whole = {"save_summary_steps": 0, "keep_checkpoint_max": 0, "save_checkpoints_steps": 0}
    for name, least in whole.items():
        if config[name] is not None and config[name] < least:
            raise ValueError(f"{name} should be >= {least}")
    secs = config["save_checkpoints_secs"]
    if secs is not None and secs < 0:
        raise ValueError("save_checkpoints_secs should be >= 0")
    if (config["keep_checkpoint_every_n_hours"] or 0) <= 0:
        raise ValueError("keep_checkpoint_every_n_hours should be > 0")
    every = config["log_step_count_steps"]
    if every is not None and every <= 0:
        raise ValueError("log_step_count_steps should be > 0")
    seed = config["tf_random_seed"]
    if seed is not None and not isinstance(seed, int) and not hasattr(seed, "__index__"):
        raise ValueError("tf_random_seed must be integer.")
    if config["model_dir"] == "":
        raise ValueError("model_dir should be non-empty")
    for name in UNSUPPORTED:
        if config[name] is not None:
            raise NotImplementedError(f"RunConfig({name}=...) is not supported by anode")


@export("estimator.RunConfig", "python.estimator.run_config.RunConfig")
class RunConfig:
    """The settings of an estimator's runs; `replace` gives a changed copy."""

    _is_chief = True

    def __init__(
        self,
        model_dir: Any = None,
        tf_random_seed: int | None = None,
        save_summary_steps: int | None = 100,
        save_checkpoints_steps: Any = USE_DEFAULT,
        save_checkpoints_secs: Any = USE_DEFAULT,
        session_config: Any = None,
        keep_checkpoint_max: int | None = 5,
        keep_checkpoint_every_n_hours: float = 10000,
        log_step_count_steps: int | None = 100,
        train_distribute: Any = None,
        device_fn: Any = None,
        protocol: Any = None,
        eval_distribute: Any = None,
        experimental_distribute: Any = None,
        experimental_max_worker_delay_secs: Any = None,
        session_creation_timeout_secs: float = 7200,
    ) -> None:
        given = dict(locals())
        steps, secs = save_checkpoints_steps, save_checkpoints_secs
        if steps is USE_DEFAULT and secs is USE_DEFAULT:
            steps, secs = None, 600
        elif steps is USE_DEFAULT:
            steps = None
        elif secs is USE_DEFAULT:
            secs = None
        elif steps is not None and secs is not None:
            raise ValueError(
                "`save_checkpoints_steps` and `save_checkpoints_secs` cannot be both set."
            )
        _check_single_process()
        values = {name: given[name] for name in REPLACEABLE}
        values.update(save_checkpoints_steps=steps, save_checkpoints_secs=secs)
        _check_values(values)
        if session_config is None:
            values["session_config"] = _default_session_config()
        if model_dir is not None:
            values["model_dir"] = os.fspath(model_dir)
        self._set(values)

    def _set(self, values: dict[str, Any]) -> None:
        for name, value in values.items():
            setattr(self, f"_{name}", value)
        self._service = None
        self._cluster_spec = tf.train.ClusterSpec({})
        self._task_type, self._task_id, self._global_id_in_cluster = "worker", 0, 0
        self._master = self._evaluation_master = ""
        self._is_chief = True
        self._num_ps_replicas, self._num_worker_replicas = 0, 1

    def replace(self, **kwargs: Any) -> Any:
        """A copy with other values; ValueError for a property that is not to be replaced."""
        unknown = [name for name in kwargs if name not in REPLACEABLE]
        if unknown:
            raise ValueError(
                f"Replacing {unknown[0]} is not supported. Allowed properties are "
                f"{list(REPLACEABLE)}."
            )
        if {"save_checkpoints_steps", "save_checkpoints_secs"} <= kwargs.keys():
            raise ValueError(
                "`save_checkpoints_steps` and `save_checkpoints_secs` cannot be both set."
            )
        made = copy.copy(self)
        values = {name: getattr(self, f"_{name}") for name in REPLACEABLE} | kwargs
        if kwargs.get("save_checkpoints_steps") is not None:
            values["save_checkpoints_secs"] = None
        if kwargs.get("save_checkpoints_secs") is not None:
            values["save_checkpoints_steps"] = None
        _check_values(values)
        for name, value in values.items():
            setattr(made, f"_{name}", value)
        return made


_READ_ONLY = (
    *REPLACEABLE,
    *("service", "cluster_spec", "task_type", "task_id", "master", "evaluation_master"),
    *("is_chief", "num_ps_replicas", "num_worker_replicas"),
)


def _property(name: str) -> property:
    return property(lambda self: getattr(self, f"_{name}"))


for _name in _READ_ONLY:
    setattr(RunConfig, _name, _property(_name))
RunConfig.global_id_in_cluster = _property("global_id_in_cluster")  # type: ignore[attr-defined]

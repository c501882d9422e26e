"""Optimizers with Keras's update rules, hyper-parameters that are variables, and slots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from anode.frontends.tensorflow.api.indexed_slices import IndexedSlices
from anode.frontends.tensorflow.api.optimizer import Optimizer as TrainOptimizer
from anode.frontends.tensorflow.api.variables import Variable
from anode.frontends.tensorflow.dtypes import float32
from anode.frontends.tensorflow.graph import apply, convert_to_tensor, get_default_graph, name_scope
from anode.frontends.tensorflow.keras import state
from anode.frontends.tensorflow.keras.layer import load
from anode.frontends.tensorflow.keras.state import (
    deserialize_keras_object,
    serialize_keras_object,
)
from anode.frontends.tensorflow.modules import tensorflow as tf
from anode.frontends.tensorflow.opdef import export


def variable(value: Any, name: str, dtype: Any = None, shape: Any = None) -> Any:
    """A resource variable of an optimizer, initialised by Keras."""
    start: Any = lambda: value if shape is None else tf.fill(shape, value)  # noqa: E731
    made = Variable(start, trainable=False, name=name, dtype=dtype, use_resource=True)
    state.track_variable(made)
    return made


@export("keras.optimizers.Optimizer", "python.keras.optimizer_v2.optimizer_v2.OptimizerV2")
class Optimizer:
    """The base of optimizers: gradients, clipping, slots, and one update for each variable.

    A subclass names its `slots` and defines `_updated(gradient, variable, rate)`.
    """

    slots: tuple[str, ...] = ()

    def __init__(self, name: str, learning_rate: Any = None, **kwargs: Any) -> None:
        allowed = {"clipnorm", "clipvalue", "lr", "decay"}
        for key, value in kwargs.items():
            if key not in allowed:
                raise TypeError(f"Unexpected keyword argument passed to optimizer: {key}")
            if isinstance(value, (int, float)) and value < 0:
                raise ValueError(f"Expected {key} >= 0, received: {value}")
        self.__dict__["_hyper"] = {}
        self._name = name
        self._slots: dict[Any, Any] = {}
        self._iterations: Any = None
        self._weights: list[Any] = []
        for clip in ("clipnorm", "clipvalue"):
            if clip in kwargs:
                setattr(self, clip, kwargs[clip])
        if learning_rate is not None or "lr" in kwargs:
            self._hyper["learning_rate"] = kwargs.get("lr", learning_rate)
        self._hyper["decay"] = kwargs.get("decay", 0.0)

    # hyper-parameters

    def __getattribute__(self, name: str) -> Any:
        held = object.__getattribute__(self, "__dict__").get("_hyper")
        if held is not None and not name.startswith("_"):
            name = "learning_rate" if name == "lr" else name
            if name in held:
                return self._hyper_variable(name)
        return object.__getattribute__(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        name = "learning_rate" if name == "lr" else name
        held = self.__dict__.get("_hyper", {})
        if name in held and name not in self.__dict__:
            made = self.__dict__.get("_made", {}).get((name, get_default_graph()))
            held[name] = value
            if made is not None:
                load([(made, value)])
        else:
            object.__setattr__(self, name, value)

    def _set_hyper(self, name: str, value: Any) -> None:
        self._hyper[name] = value

    def _hyper_variable(self, name: str) -> Any:
        value = self._hyper[name]
        if not isinstance(value, (int, float, np.number)):
            return value
        made = self.__dict__.setdefault("_made", {})
        key = (name, get_default_graph())
        if key not in made:
            with self._own_scope():
                made[key] = variable(tf.constant(float(value), float32), name)
        return made[key]

    def _own_scope(self) -> Any:
        return name_scope(f"training/{self._name}/")

    def _get_hyper(self, name: str, dtype: Any = None) -> Any:
        value = self._hyper_variable(name)
        value = value() if callable(value) else value
        return value if dtype is None else tf.cast(value, dtype)

    def _serialize_hyperparameter(self, name: str) -> Any:
        value = self._hyper[name]
        if isinstance(value, LearningRateSchedule):
            return serialize_keras_object(value)
        made = self.__dict__.get("_made", {}).get((name, get_default_graph()))
        if made is not None:
            return float(state.get_session().run(made))
        return value

    @property
    def iterations(self) -> Any:
        """How many updates were made."""
        if self._iterations is None or self._iterations.graph is not get_default_graph():
            with self._own_scope():
                self._iterations = variable(np.int64(0), "iter", "int64")
            self._weights.insert(0, self._iterations)
        return self._iterations

    @iterations.setter
    def iterations(self, value: Any) -> None:
        object.__setattr__(self, "_iterations", value)

    # updates

    def get_gradients(self, loss: Any, params: Sequence[Any]) -> list[Any]:
        """The gradients of a loss, clipped."""
        found = tf.gradients(loss, list(params))
        for gradient, param in zip(found, params, strict=True):
            if gradient is None:
                raise ValueError(
                    f"Variable {param} has `None` for gradient. Please make sure that all of your "
                    "ops have a gradient defined (i.e. are differentiable). Common ops without "
                    "gradient: K.argmax, K.round, K.eval."
                )
        if hasattr(self, "clipnorm"):
            found = [tf.clip_by_norm(g, self.clipnorm) for g in found]
        if hasattr(self, "clipvalue"):
            found = [tf.clip_by_value(g, -self.clipvalue, self.clipvalue) for g in found]
        return list(found)

    def get_updates(self, loss: Any, params: Sequence[Any]) -> list[Any]:
        """The operations of one step."""
        if not params:
            return []
        gradients = self.get_gradients(loss, params)
        return [self.apply_gradients(zip(gradients, params, strict=True))]

    def _compute_gradients(self, loss: Any, var_list: Any, grad_loss: Any = None) -> list[Any]:
        var_list = var_list() if callable(var_list) else var_list
        value = loss() if callable(loss) else loss
        return list(zip(self.get_gradients(value, var_list), var_list, strict=True))

    def minimize(
        self, loss: Any, var_list: Any, grad_loss: Any = None, name: str | None = None
    ) -> Any:
        return self.apply_gradients(self._compute_gradients(loss, var_list, grad_loss), name)

    def apply_gradients(self, grads_and_vars: Any, name: str | None = None) -> Any:
        """An operation that updates the variables and counts the step."""
        pairs = [(g, v) for g, v in grads_and_vars if g is not None]
        if not pairs:
            raise ValueError("No gradients provided for any variable.")
        iterations = self.iterations
        for hyper in list(self._hyper):
            self._hyper_variable(hyper)
        for slot in self.slots:
            for _, v in pairs:
                self.add_slot(v, slot)
        with name_scope(self._name):
            self._prepare()
            rate = self._decayed_lr()
            done = [self._update(g, v, rate) for g, v in pairs]
            done += self._finish(pairs)
            with get_default_graph().control_dependencies([d for d in done if d is not None]):
                return iterations.assign_add(1).op

    def _update(self, gradient: Any, var: Any, rate: Any) -> Any:
        with name_scope(f"update_{var.op.name}"):
            if isinstance(gradient, IndexedSlices):
                gradient = convert_to_tensor(
                    IndexedSlices(
                        gradient.values,
                        gradient.indices,
                        convert_to_tensor(var.shape.as_list(), "int32"),
                    )
                )
            done = self._updated(gradient, var, rate)
            if getattr(var, "constraint", None) is None:
                return done
            with get_default_graph().control_dependencies([done]):
                return var.assign(var.constraint(var)).op

    def _prepare(self) -> None:
        """Make what all updates share."""

    def _finish(self, pairs: Any) -> list[Any]:
        return []

    def _updated(self, gradient: Any, var: Any, rate: Any) -> Any:
        raise NotImplementedError

    def _decayed_lr(self) -> Any:
        rate = self._hyper["learning_rate"]
        if isinstance(rate, LearningRateSchedule):
            return tf.cast(rate(tf.cast(self.iterations, float32)), float32)
        rate = self._get_hyper("learning_rate", float32)
        if not self._hyper.get("decay"):
            return rate
        count = tf.cast(self.iterations, float32)
        return rate / (1.0 + self._get_hyper("decay", float32) * count)

    # slots

    def add_slot(self, var: Any, slot_name: str, initializer: Any = "zeros") -> Any:
        """The slot of a variable, made at the first call."""
        key = (slot_name, var.graph, var.op.name)
        if key not in self._slots:
            with name_scope(f"training/{self._name}/{var.op.name}/"):
                start = self._slot_start(slot_name)
                shape = var.shape.as_list()
                self._slots[key] = variable(start, slot_name, var.dtype.base_dtype, shape)
            self._weights.append(self._slots[key])
        return self._slots[key]

    def _slot_start(self, slot_name: str) -> float:
        return 0.0

    def get_slot(self, var: Any, slot_name: str) -> Any:
        return self._slots[(slot_name, var.graph, var.op.name)]

    def get_slot_names(self) -> list[str]:
        return list(self.slots)

    def _op(
        self, type: str, var: Any, slots: Sequence[str], operands: Sequence[Any], **kw: Any
    ) -> Any:
        """One of TensorFlow's ops that update a variable and its slots."""
        dtype = var.dtype.base_dtype
        refs = [var.handle, *(self.get_slot(var, s).handle for s in slots)]
        values = [tf.cast(o, dtype) for o in operands]
        return apply(f"ResourceApply{type}", *refs, *values, use_locking=False, **kw)

    # weights and configuration

    @property
    def weights(self) -> list[Any]:
        return self._weights

    def variables(self) -> list[Any]:
        return self._weights

    def get_weights(self) -> list[Any]:
        return list(state.get_session().run(self._weights)) if self._weights else []

    def set_weights(self, weights: Sequence[Any]) -> None:
        if len(self._weights) != len(weights):
            raise ValueError(
                f"You called `set_weights(weights)` on optimizer {self._name} with a  weight list "
                f"of length {len(weights)}, but the optimizer was expecting {len(self._weights)} "
                "weights."
            )
        load(list(zip(self._weights, weights, strict=True)))

    def get_config(self) -> dict[str, Any]:
        config: dict[str, Any] = {"name": self._name}
        for clip in ("clipnorm", "clipvalue"):
            if hasattr(self, clip):
                config[clip] = getattr(self, clip)
        for name in self._hyper:
            config[name] = self._serialize_hyperparameter(name)
        return config | {k: getattr(self, k) for k in self._plain}

    _plain: tuple[str, ...] = ()

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        config = dict(config)
        if "lr" in config:
            config["learning_rate"] = config.pop("lr")
        if isinstance(config.get("learning_rate"), dict):
            config["learning_rate"] = _schedule(config["learning_rate"])
        return cls(**config)


@export("keras.optimizers.schedules.LearningRateSchedule")
class LearningRateSchedule:
    """The base of learning rates that are functions of the step."""

    def __call__(self, step: Any) -> Any:
        raise NotImplementedError("Learning rate schedule must override __call__")

    def get_config(self) -> dict[str, Any]:
        raise NotImplementedError("Learning rate schedule must override get_config")

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**config)


def _schedule(config: Any) -> Any:
    from anode.frontends.tensorflow.keras import schedules

    return deserialize_keras_object(config, vars(schedules), None, "decay")


class TFOptimizer:
    """One of tf.train's optimizers in the place of Keras's."""

    def __init__(self, optimizer: Any) -> None:
        self.optimizer, self._steps = optimizer, None

    @property
    def iterations(self) -> Any:
        if self._steps is None:
            with name_scope("training/TFOptimizer/"):
                self._steps = variable(np.int64(0), "iterations", "int64")
        return self._steps

    def get_updates(self, loss: Any, params: Sequence[Any]) -> list[Any]:
        graph = get_default_graph()
        before = {id(v) for v in graph.get_collection("variables")}
        pairs = self.optimizer.compute_gradients(loss, list(params))
        done = self.optimizer.apply_gradients(pairs, global_step=self.iterations)
        for made in graph.get_collection("variables"):
            if id(made) not in before and not hasattr(made, "_keras_tracked"):
                state.track_variable(made)
        return [done]

    def __getattr__(self, name: str) -> Any:
        if name == "lr":
            raise AttributeError("'TFOptimizer' object has no attribute 'lr'")
        return getattr(self.__dict__["optimizer"], name)

    @property
    def weights(self) -> Any:
        raise NotImplementedError

    def get_config(self) -> Any:
        raise NotImplementedError


@export("keras.optimizers.serialize")
def serialize(optimizer: Any) -> Any:
    return serialize_keras_object(optimizer)


def _known(name: str) -> Any:
    from anode.frontends.tensorflow.keras import update_rules

    return {k.lower(): v for k, v in vars(update_rules).items()}.get(name.lower())


@export("keras.optimizers.deserialize")
def deserialize(config: Any, custom_objects: Any = None) -> Any:
    return deserialize_keras_object(config, _known, custom_objects, "optimizer")


@export("keras.optimizers.get")
def get(identifier: Any) -> Any:
    """An optimizer from itself, its name, its configuration, or one of tf.train."""
    if isinstance(identifier, (Optimizer, TFOptimizer)):
        return identifier
    if isinstance(identifier, TrainOptimizer):
        return TFOptimizer(identifier)
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        return deserialize({"class_name": identifier, "config": {}})
    if hasattr(identifier, "get_updates"):
        return identifier
    raise ValueError("Could not interpret optimizer identifier:", identifier)

"""tf.keras.Model: a network with losses, an optimizer and metrics, that trains on arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from anode.frontends.tensorflow.api import nest
from anode.frontends.tensorflow.core import Tensor, get_default_graph
from anode.frontends.tensorflow.graph import name_scope, placeholder
from anode.frontends.tensorflow.keras import data, losses, metrics, state
from anode.frontends.tensorflow.keras.layer import load, single
from anode.frontends.tensorflow.keras.network import Network
from anode.frontends.tensorflow.modules import tensorflow as tf
from anode.frontends.tensorflow.opdef import export


@dataclass(eq=False)
class Output:
    """An output with what training compares it to."""

    name: str
    tensor: Any
    loss: Any
    weight: float
    target: Any
    metrics: list[Any]
    weighted_metrics: list[Any]
    mean_loss: Any = None


@dataclass(frozen=True, eq=False)
class Step:
    """One run of a session: what is fed, and what comes back."""

    feeds: list[Any]
    fetches: list[Any]
    phase: Any
    training: bool

    def __call__(self, arrays: Sequence[Any]) -> list[Any]:
        feed = dict(zip(self.feeds, arrays, strict=True))
        if self.training and self.phase is not None:
            feed[self.phase] = True
        session = state.get_session()
        found = session.run(self.fetches, feed)
        return [value for value in found if value is not None]


@export("keras.Model", "keras.models.Model")
class Model(Network):
    """Layers with training: `compile`, then `fit`, `evaluate`, `predict`.

    Made of `inputs` and `outputs`, or by a subclass that defines `call`.
    """

    _compiled: bool
    _steps: dict[Any, Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.__dict__["_compiled"] = False
        self.__dict__["_steps"] = {}
        self.stop_training = False
        super().__init__(*args, **kwargs)
        self.history: Any = None
        self.optimizer: Any = None

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "stop_training":
            self.__dict__[name] = value
        else:
            super().__setattr__(name, value)

    # compile

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        metrics: Any = None,
        loss_weights: Any = None,
        sample_weight_mode: Any = None,
        weighted_metrics: Any = None,
        target_tensors: Any = None,
        distribute: Any = None,
        **kwargs: Any,
    ) -> None:
        """Choose how to train: the optimizer, the loss of each output, what to report."""
        from anode.frontends.tensorflow.keras import optimizers

        for ignored in ("run_eagerly", "experimental_run_tf_function"):
            if kwargs.pop(ignored, None) and ignored == "run_eagerly":
                raise NotImplementedError("compile: run_eagerly is not implemented by anode")
        if distribute is not None:
            raise NotImplementedError("compile: distribute is not implemented by anode")
        if kwargs:
            raise TypeError(f"Invalid keyword argument(s) in `compile`: {', '.join(kwargs)}")
        self.optimizer = optimizers.get(optimizer)
        self.loss, self.loss_weights = loss, loss_weights
        self.sample_weight_mode = sample_weight_mode
        self._compile_metrics, self._compile_weighted_metrics = metrics, weighted_metrics
        self._target_tensors = target_tensors
        self.__dict__["_steps"] = {}
        self.__dict__["_endpoints"] = None
        self.__dict__["_compiled"] = True
        if self.inputs:
            self._endpoints_once()

    def _endpoints_once(self) -> list[Output]:
        found: list[Output] | None = self.__dict__.get("_endpoints")
        if found is None:
            with self._graph().as_default():
                found = self._make_endpoints()
            self.__dict__["_endpoints"] = found
        return found

    def _graph(self) -> Any:
        return self.outputs[0].graph if self.outputs else get_default_graph()

    def _make_endpoints(self) -> list[Output]:
        names = self.output_names
        chosen = [losses.as_object(item) for item in per_output(self.loss, names, "loss")]
        weights = per_output(self.loss_weights, names, "loss_weights", 1.0)
        targets = per_output(self._target_tensors, names, "target_tensors")
        plain = metrics_of(self._compile_metrics, names)
        weighted = metrics_of(self._compile_weighted_metrics, names)
        found = []
        for i, (name, tensor) in enumerate(zip(names, self.outputs, strict=True)):
            target = targets[i]
            if target is None and chosen[i] is not None:
                target = _target(name, tensor, chosen[i])
            multi = f"{name}_" if len(names) > 1 else ""
            made = [
                [_metric(m, tensor, chosen[i], multi, flag) for m in given[i]]
                for given, flag in ((plain, False), (weighted, True))
            ]
            weight = 1.0 if weights[i] is None else weights[i]
            found.append(Output(name, tensor, chosen[i], weight, target, *made))
        trained = [output for output in found if output.loss is not None]
        if len(names) > 1:
            for output in trained:
                output.mean_loss = metrics.Mean(name=f"{output.name}_loss")
        return found

    @property
    def targets(self) -> list[Any]:
        return [output.target for output in self._endpoints_once() if output.target is not None]

    @property
    def metrics(self) -> list[Any]:
        if not self._compiled or not self.outputs:
            return []
        found = [m for o in self._endpoints_once() for m in (*o.metrics, *o.weighted_metrics)]
        return found + [m for m, _ in self._added_metrics()]

    @property
    def metrics_names(self) -> list[str]:
        if not self._compiled:
            raise ValueError(
                "You must compile a model before training/testing. Use "
                "`model.compile(optimizer, loss)`."
            )
        return ["loss", *(m.name for m in self._stateful())]

    def _stateful(self) -> list[Any]:
        """The metrics that keep sums over batches, in the order of their results."""
        if not self.outputs:
            return []
        outputs = self._endpoints_once()
        return [*(o.mean_loss for o in outputs if o.mean_loss is not None), *self.metrics]

    def _added_metrics(self) -> list[tuple[Any, Any]]:
        """Metrics that layers and the script added, with their tensors."""
        if "_metric_objects" not in self.__dict__:
            self.__dict__["_metric_objects"] = {}
        held = self.__dict__["_metric_objects"]
        found = []
        for layer in (self, *self.layers):
            for tensor in getattr(layer, "_metrics", ()):
                if id(tensor) not in held:
                    held[id(tensor)] = metrics.Mean(name=tensor._metric_name)
                found.append((held[id(tensor)], tensor))
        return found

    def reset_metrics(self) -> None:
        """Begin the sums of metrics anew."""
        load([(v, np.zeros(v.shape.as_list())) for m in self._stateful() for v in m.weights])

    def _collected(self) -> list[Any]:
        return list(self.trainable_weights)

    # steps

    def _step(self, mode: str, ranks: tuple[Any, ...] = ()) -> Step:
        """The run of one batch; `ranks` are those of the sample weights, None where none are."""
        key = (mode, ranks)
        if key not in self._steps:
            with self._graph().as_default():
                self._steps[key] = self._predicting() if mode == "predict" else self._made(*key)
        found: Step = self._steps[key]
        return found

    def _fed_inputs(self) -> list[Any]:
        return [t for t in self.inputs if t.op.type == "Placeholder"]

    def _predicting(self) -> Step:
        fetches = [*self.outputs, *(u.op for u in map(_element, self.state_updates))]
        return Step(self._fed_inputs(), fetches, state.learning_phase_tensor(), False)

    def _made(self, mode: str, ranks: tuple[Any, ...]) -> Step:
        outputs = self._endpoints_once()
        trained = [o for o in outputs if o.loss is not None]
        weights = [
            None
            if rank is None
            else placeholder(state.floatx(), [None] * rank, f"{o.name}_sample_weights")
            for o, rank in zip(trained, ranks or [None] * len(trained), strict=True)
        ]
        results = self._results(trained, weights)
        total = self._total_loss(trained, weights, results)
        fetches = [total, *results]
        feeds = [*self._fed_inputs(), *(o.target for o in trained if _is_fed(o.target))]
        feeds += [w for w in weights if w is not None]
        if mode == "train":
            fetches.append(self._train_op(total))
        else:
            fetches += [u.op for u in map(_element, self.state_updates)]
        return Step(feeds, fetches, state.learning_phase_tensor(), mode == "train")

    def _results(self, outputs: Sequence[Output], weights: Sequence[Any]) -> list[Any]:
        """The running values of metrics."""
        found = []
        with name_scope("metrics"):
            for output, weight in zip(outputs, weights, strict=True):
                mask = getattr(output.tensor, "_keras_mask", None)
                for metric in output.metrics:
                    found.append(metric(output.target, output.tensor, sample_weight=mask))
                combined = _combined(weight, mask)
                for metric in output.weighted_metrics:
                    found.append(metric(output.target, output.tensor, sample_weight=combined))
            found += [metric(tensor) for metric, tensor in self._added_metrics()]
        return found

    def _total_loss(self, outputs: Sequence[Output], weights: Sequence[Any], results: Any) -> Any:
        total: Any = None
        means = []
        with name_scope("loss"):
            for output, weight in zip(outputs, weights, strict=True):
                with name_scope(f"{output.name}_loss"):
                    loss = _output_loss(output, weight)
                if output.mean_loss is not None:
                    means.append(output.mean_loss(loss))
                part = output.weight * loss
                total = part if total is None else total + part
            results[:0] = means
            for extra in self.losses:
                extra = tf.reduce_mean(extra) if extra.shape.rank else extra
                total = extra if total is None else total + extra
        if total is None:
            raise ValueError("The model cannot be compiled because it has no loss to optimize.")
        self.__dict__["total_loss"] = total
        return total

    def _train_op(self, total: Any) -> Any:
        params = self._collected()
        with name_scope("training"):
            updates = self.optimizer.get_updates(loss=total, params=params)
        layers = [u for u in self.updates if isinstance(_element(u), Tensor) or hasattr(u, "type")]
        operations = [getattr(_element(u), "op", u) for u in [*layers, *updates]]
        return tf.group(*operations)

    # training on batches

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Any = None,
        reset_metrics: bool = True,
    ) -> Any:
        """One update; gives the loss and the metrics."""
        result = self._on_batch("train", x, y, sample_weight, class_weight)
        if reset_metrics:
            self.reset_metrics()
        return single(result)

    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, reset_metrics: bool = True
    ) -> Any:
        """The loss and the metrics of a batch."""
        result = self._on_batch("test", x, y, sample_weight, None)
        if reset_metrics:
            self.reset_metrics()
        return single(result)

    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for a batch."""
        self._set_inputs_of(x)
        return single(self._step("predict")(data.standardized(self, x).x))

    def _on_batch(
        self, mode: str, x: Any, y: Any, sample_weight: Any = None, class_weight: Any = None
    ) -> list[Any]:
        self._check_compiled()
        self._set_inputs_of(x)
        batch = data.standardized(self, x, y, sample_weight, class_weight)
        return self._step(mode, batch.ranks)(batch.arrays)

    def _check_compiled(self) -> None:
        if not self._compiled:
            raise RuntimeError(
                "You must compile your model before training/testing. Use `model.compile(optimizer, "  # noqa: E501
                "loss)`."
            )

    def _set_inputs_of(self, x: Any) -> None:
        """Give a subclassed model placeholders like its first data, and call it on them."""
        if self.inputs:
            return
        inputs = data.placeholders(x)
        outputs = self(inputs)
        self.inputs, self.outputs = list(nest.flatten(inputs)), list(nest.flatten(outputs))
        names = list(x) if isinstance(x, dict) else None
        self.input_names = names or [f"input_{i + 1}" for i in range(len(self.inputs))]
        self.output_names = [f"output_{i + 1}" for i in range(len(self.outputs))]

    # loops

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int = 1,
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: Any = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_freq: Any = 1,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Train for some epochs; gives the History. Data are arrays, data sets or generators."""
        from anode.frontends.tensorflow.keras import loops

        if "nb_epoch" in kwargs:
            epochs = kwargs.pop("nb_epoch")
        if kwargs:
            raise TypeError("Unrecognized keyword arguments: " + str(kwargs))
        self._check_compiled()
        given = {k: v for k, v in locals().items() if k in loops.FIT}
        return loops.fit(self, **given)

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int = 1,
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
    ) -> Any:
        """The loss and the metrics over all data."""
        from anode.frontends.tensorflow.keras import loops

        self._check_compiled()
        return loops.evaluate(self, x, y, batch_size, verbose, sample_weight, steps, callbacks)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int = 0,
        steps: int | None = None,
        callbacks: Any = None,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
    ) -> Any:
        """The outputs for all data."""
        from anode.frontends.tensorflow.keras import loops

        return loops.predict(self, x, batch_size, verbose, steps, callbacks)

    def fit_generator(
        self,
        generator: Any,
        steps_per_epoch: int | None = None,
        epochs: int = 1,
        verbose: int = 1,
        callbacks: Any = None,
        validation_data: Any = None,
        validation_steps: int | None = None,
        validation_freq: Any = 1,
        class_weight: Any = None,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
        shuffle: bool = True,
        initial_epoch: int = 0,
    ) -> Any:
        """`fit` on batches that a generator or a Sequence gives."""
        return self.fit(
            generator,
            epochs=epochs,
            verbose=verbose,
            callbacks=callbacks,
            validation_data=validation_data,
            shuffle=shuffle,
            class_weight=class_weight,
            initial_epoch=initial_epoch,
            steps_per_epoch=steps_per_epoch,
            validation_steps=validation_steps,
            validation_freq=validation_freq,
        )

    def evaluate_generator(
        self,
        generator: Any,
        steps: int | None = None,
        callbacks: Any = None,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
        verbose: int = 0,
    ) -> Any:
        return self.evaluate(generator, steps=steps, callbacks=callbacks, verbose=verbose)

    def predict_generator(
        self,
        generator: Any,
        steps: int | None = None,
        callbacks: Any = None,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
        verbose: int = 0,
    ) -> Any:
        return self.predict(generator, steps=steps, callbacks=callbacks, verbose=verbose)


def _element(update: Any) -> Any:
    return getattr(update, "_as_graph_element", lambda: update)()


def _is_fed(target: Any) -> bool:
    return isinstance(target, Tensor) and target.op.type == "Placeholder"


def _target(name: str, output: Any, loss: Any) -> Any:
    rank = output.shape.rank
    shape = None if rank is None else [None] * rank
    return placeholder(output.dtype.base_dtype, shape, f"{name}_target")


def _combined(weight: Any, mask: Any) -> Any:
    if mask is None:
        return weight
    mask = tf.cast(mask, state.floatx())
    if weight is None:
        return mask
    if (weight.shape.rank or 0) < (mask.shape.rank or 0):
        weight = tf.expand_dims(weight, -1)
    return weight * mask


def _output_loss(output: Output, weight: Any) -> Any:
    mask = getattr(output.tensor, "_keras_mask", None)
    values = output.loss.call(output.target, output.tensor)
    return losses.reduced(losses.weighted(values, _combined(weight, mask)), output.loss.reduction)


def per_output(given: Any, names: Sequence[str], what: str, default: Any = None) -> list[Any]:
    """One value for each output, from one value, a list or a dict by names of outputs."""
    if isinstance(given, dict):
        for name in given:
            if name not in names:
                raise ValueError(
                    f'Unknown entry in {what} dictionary: "{name}". Only expected the following '
                    f"keys: {list(names)}"
                )
        return [given.get(name, default) for name in names]
    if isinstance(given, (list, tuple)):
        if len(given) != len(names):
            raise ValueError(
                f"When passing a list as {what}, it should have one entry per model outputs. The "
                f"model has {len(names)} outputs, but you passed {what}={given}"
            )
        return list(given)
    if what == "loss_weights" and given is not None:
        raise TypeError(
            f"Could not interpret loss_weights argument: {given} - expected a list of dicts."
        )
    return [default if given is None else given] * len(names)


def metrics_of(given: Any, names: Sequence[str]) -> list[list[Any]]:
    """The metrics of each output, from a list for all, a list of lists or a dict."""
    if not given:
        return [[] for _ in names]
    if isinstance(given, dict):
        found = [given.get(name, []) for name in names]
        return [list(f) if isinstance(f, (list, tuple)) else [f] for f in found]
    if any(isinstance(item, (list, tuple)) for item in given):
        return [list(f) if isinstance(f, (list, tuple)) else [f] for f in given]
    if not isinstance(given, (list, tuple)):
        raise TypeError(
            "Type of `metrics` argument not understood. Expected a list or dictionary, found: "
            f"{given}"
        )
    return [list(given) for _ in names]


def _metric(given: Any, tensor: Any, loss: Any, prefix: str, weighted: bool) -> Any:
    found: Callable[..., Any] = metrics.chosen(given, tensor, loss)
    if isinstance(found, metrics.Metric):
        found._name = prefix + found.name
        return found
    name = metrics.short_name(given, weighted)
    return metrics.MeanMetricWrapper(found, name=prefix + name)

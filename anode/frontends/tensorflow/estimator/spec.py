"""What a model function returns: EstimatorSpec, and what a model exports and is served with."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Mapping
from typing import Any

from anode.frontends.tensorflow.core import Operation, Tensor
from anode.frontends.tensorflow.graph import convert_to_tensor
from anode.frontends.tensorflow.modules import tensorflow as tf
from anode.frontends.tensorflow.opdef import export

EXPORT = "python.estimator.export.export."
DEFAULT_KEY = "serving_default"


@export("estimator.ModeKeys", "python.estimator.model_fn.ModeKeys")
class ModeKeys:
    """What a model function is called for."""

    TRAIN = "train"
    EVAL = "eval"
    PREDICT = "infer"


@export("estimator.export.ExportOutput")
class ExportOutput:
    """What a model gives when it is served, to derive from."""

    def as_signature_def(self, receiver_tensors: Any) -> Any:
        """The SignatureDef from these inputs to this output."""
        raise NotImplementedError


def _by_name(value: Any, name: str) -> dict[str, Any]:
    found = value if isinstance(value, Mapping) else {name: value}
    for key, tensor in found.items():
        if not isinstance(key, str):
            raise ValueError(f"{name} output key must be a string; got {key}.")
        if not isinstance(tensor, Tensor) and not hasattr(tensor, "dense_shape"):
            raise ValueError(f"{name} output value must be a Tensor; got {tensor}.")
    return dict(found)


@export("estimator.export.ClassificationOutput")
class ClassificationOutput(ExportOutput):
    """Scores of classes, their names, or both."""

    def __init__(self, scores: Any = None, classes: Any = None) -> None:
        if scores is not None and not (isinstance(scores, Tensor) and scores.dtype.is_floating):
            raise ValueError(f"Classification scores must be a float32 Tensor; got {scores}")
        if classes is not None and not (
            isinstance(classes, Tensor) and classes.dtype.base_dtype == tf.string
        ):
            raise ValueError(f"Classification classes must be a string Tensor; got {classes}")
        if scores is None and classes is None:
            raise ValueError("At least one of scores and classes must be set.")
        self.scores, self.classes = scores, classes

    def as_signature_def(self, receiver_tensors: Any) -> Any:
        (examples,) = _single(receiver_tensors, "Classification")
        return tf.saved_model.signature_def_utils.classification_signature_def(
            examples, self.classes, self.scores
        )


@export("estimator.export.RegressionOutput")
class RegressionOutput(ExportOutput):
    """A number for each example."""

    def __init__(self, value: Any) -> None:
        if not (isinstance(value, Tensor) and value.dtype.is_floating):
            raise ValueError(f"Regression output value must be a float32 Tensor; got {value}")
        self.value = value

    def as_signature_def(self, receiver_tensors: Any) -> Any:
        (examples,) = _single(receiver_tensors, "Regression")
        return tf.saved_model.signature_def_utils.regression_signature_def(examples, self.value)


@export("estimator.export.PredictOutput")
class PredictOutput(ExportOutput):
    """Any tensors by name."""

    def __init__(self, outputs: Any) -> None:
        self.outputs = _by_name(outputs, "output")

    def as_signature_def(self, receiver_tensors: Any) -> Any:
        return tf.saved_model.signature_def_utils.predict_signature_def(
            receiver_tensors, self.outputs
        )


def _single(receiver_tensors: Mapping[str, Any], kind: str) -> tuple[Any]:
    if len(receiver_tensors) != 1:
        raise ValueError(
            f"{kind} signatures can only accept a single tensor input of type tf.string. Please "
            "check to make sure that you have structured the serving_input_receiver_fn so that it "
            "creates a single string placeholder."
        )
    (examples,) = receiver_tensors.values()
    if examples.dtype.base_dtype != tf.string:
        raise ValueError(f"{kind} input must be a single string Tensor; got {examples}")
    return (examples,)


# --- the result of a model function --------------------------------------------------------------


@export("estimator.EstimatorSpec", "python.estimator.model_fn.EstimatorSpec")
class EstimatorSpec(
    namedtuple(
        "EstimatorSpec",
        [
            "mode",
            "predictions",
            "loss",
            "train_op",
            "eval_metric_ops",
            "export_outputs",
            "training_chief_hooks",
            "training_hooks",
            "scaffold",
            "evaluation_hooks",
            "prediction_hooks",
        ],
    )
):
    """The operations of a model in one mode.

    ValueError or TypeError if one that the mode needs is missing or is not what it should be.
    """

    __slots__ = ()

    def __new__(
        cls,
        mode: Any,
        predictions: Any = None,
        loss: Any = None,
        train_op: Any = None,
        eval_metric_ops: Any = None,
        export_outputs: Any = None,
        training_chief_hooks: Any = None,
        training_hooks: Any = None,
        scaffold: Any = None,
        evaluation_hooks: Any = None,
        prediction_hooks: Any = None,
    ) -> EstimatorSpec:
        if mode == ModeKeys.TRAIN and train_op is None:
            raise ValueError("Missing train_op.")
        if mode in (ModeKeys.TRAIN, ModeKeys.EVAL) and loss is None:
            raise ValueError("Missing loss.")
        if mode == ModeKeys.PREDICT and predictions is None:
            raise ValueError("Missing predictions.")
        if train_op is not None and not _is_graph_element(train_op):
            raise TypeError(f"train_op must be Operation or Tensor, given: {train_op}")
        if scaffold is not None and not isinstance(scaffold, tf.train.Scaffold):
            raise TypeError(f"scaffold must be tf.train.Scaffold. Given: {scaffold}")
        return super().__new__(
            cls,
            mode,
            _predictions(predictions),
            None if loss is None else _scalar(loss),
            train_op,
            _metrics(eval_metric_ops),
            _export_outputs(export_outputs, predictions, mode),
            _hooks(training_chief_hooks),
            _hooks(training_hooks),
            scaffold or tf.train.Scaffold(),
            _hooks(evaluation_hooks),
            _hooks(prediction_hooks),
        )


def _is_graph_element(value: Any) -> bool:
    return isinstance(value, (Operation, Tensor)) or hasattr(value, "op")


def _predictions(predictions: Any) -> Any:
    if predictions is None:
        return {}
    values = predictions.values() if isinstance(predictions, Mapping) else [predictions]
    for value in values:
        if not _is_graph_element(value):
            raise TypeError(f"predictions must be Tensor, given: {value}")
    return predictions


def _scalar(loss: Any) -> Any:
    if not _is_graph_element(loss):
        raise TypeError(f"loss must be Tensor, given: {loss}")
    loss = convert_to_tensor(loss)
    if loss.shape.num_elements() not in (None, 1):
        raise ValueError(f"Loss must be scalar, given: {loss}")
    return loss if loss.shape.rank == 0 else tf.reshape(loss, [])


def _metrics(eval_metric_ops: Any) -> dict[str, Any]:
    if eval_metric_ops is None:
        return {}
    if not isinstance(eval_metric_ops, Mapping):
        raise TypeError(f"eval_metric_ops must be a dict, given: {eval_metric_ops}")
    for key, value in eval_metric_ops.items():
        if not isinstance(value, tuple) or len(value) != 2:
            raise TypeError(
                "Values of eval_metric_ops must be (metric_value, update_op) tuples, given: "
                f"{value} for key: {key}"
            )
    return dict(eval_metric_ops)


def _export_outputs(outputs: Any, predictions: Any, mode: Any) -> Any:
    if outputs is None:
        if mode != ModeKeys.PREDICT or not _exportable(predictions):
            return None
        outputs = {DEFAULT_KEY: PredictOutput(predictions)}
    if not isinstance(outputs, Mapping):
        raise TypeError(f"export_outputs must be dict, given: {outputs}")
    for value in outputs.values():
        if not isinstance(value, ExportOutput):
            raise TypeError(
                f"Values in export_outputs must be ExportOutput objects. Given: {dict(outputs)}"
            )
    outputs = dict(outputs)
    if DEFAULT_KEY not in outputs:
        if len(outputs) > 1:
            raise ValueError(
                "Multiple export_outputs were provided, but none of them is specified as the "
                "default.  Do this by naming one of them with "
                "signature_constants.DEFAULT_SERVING_SIGNATURE_DEF_KEY."
            )
        (outputs[DEFAULT_KEY],) = outputs.values()
    return outputs


def _exportable(predictions: Any) -> bool:
    values = predictions.values() if isinstance(predictions, Mapping) else [predictions]
    return all(isinstance(value, Tensor) or hasattr(value, "dense_shape") for value in values)


def _hooks(hooks: Any) -> tuple[Any, ...]:
    found = tuple(hooks or ())
    for hook in found:
        if not isinstance(hook, tf.train.SessionRunHook):
            raise TypeError(f"All hooks must be SessionRunHook instances, given: {hook}")
    return found


# --- what a served model receives ----------------------------------------------------------------


def _receivers(receiver_tensors: Any) -> dict[Any, Any]:
    if receiver_tensors is None:
        raise ValueError("receiver_tensors must be defined.")
    if isinstance(receiver_tensors, Mapping):
        return dict(receiver_tensors)
    return {"receiver_tensor": receiver_tensors}


@export("estimator.export.ServingInputReceiver", EXPORT + "ServingInputReceiver")
class ServingInputReceiver(
    namedtuple(
        "ServingInputReceiver", ["features", "receiver_tensors", "receiver_tensors_alternatives"]
    )
):
    """The features of a served model, and the tensors that are fed for them."""

    __slots__ = ()

    def __new__(
        cls, features: Any, receiver_tensors: Any, receiver_tensors_alternatives: Any = None
    ) -> ServingInputReceiver:
        if features is None:
            raise ValueError("features must be defined.")
        features = dict(features) if isinstance(features, Mapping) else {"feature": features}
        receivers = _receivers(receiver_tensors)
        return super().__new__(cls, features, receivers, receiver_tensors_alternatives)


@export("estimator.export.TensorServingInputReceiver", EXPORT + "TensorServingInputReceiver")
class TensorServingInputReceiver(
    namedtuple(
        "TensorServingInputReceiver",
        ["features", "receiver_tensors", "receiver_tensors_alternatives"],
    )
):
    """A ServingInputReceiver whose model takes one tensor, not a dictionary."""

    __slots__ = ()

    def __new__(
        cls, features: Any, receiver_tensors: Any, receiver_tensors_alternatives: Any = None
    ) -> TensorServingInputReceiver:
        if features is None:
            raise ValueError("features must be defined.")
        receivers = _receivers(receiver_tensors)
        return super().__new__(cls, features, receivers, receiver_tensors_alternatives)


@export("estimator.export.build_parsing_serving_input_receiver_fn")
def build_parsing_serving_input_receiver_fn(
    feature_spec: Any, default_batch_size: int | None = None
) -> Any:
    """A function for a model that is served serialised Examples."""

    def serving_input_receiver_fn() -> ServingInputReceiver:
        examples = tf.placeholder(tf.string, [default_batch_size], name="input_example_tensor")
        features = tf.parse_example(examples, feature_spec)
        return ServingInputReceiver(features, {"examples": examples})

    return serving_input_receiver_fn


def _placeholder(tensor: Any, default_batch_size: int | None) -> Any:
    shape = tensor.get_shape()
    if shape.rank is not None:
        shape = [default_batch_size, *shape.as_list()[1:]]
    return tf.placeholder(tensor.dtype.base_dtype, shape, name=tensor.op.name)


@export("estimator.export.build_raw_serving_input_receiver_fn")
def build_raw_serving_input_receiver_fn(
    features: Mapping[str, Any], default_batch_size: int | None = None
) -> Any:
    """A function for a model that is served its features as they are."""

    def serving_input_receiver_fn() -> ServingInputReceiver:
        fed = {key: _placeholder(tensor, default_batch_size) for key, tensor in features.items()}
        return ServingInputReceiver(fed, fed)

    return serving_input_receiver_fn

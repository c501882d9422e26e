"""tf.contrib.learn.DynamicRnnEstimator: a recurrent network as an estimator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from anode.frontends.tensorflow.estimator.learn import LEARN, LearnEstimator, ModeKeys, ModelFnOps
from anode.frontends.tensorflow.modules import tensorflow as tf
from anode.frontends.tensorflow.opdef import export

ESTIMATORS = LEARN + "estimators."
COMMON, ESTIMATOR = ESTIMATORS + "rnn_common.", ESTIMATORS + "dynamic_rnn_estimator."
CLASSES, SCORES, PROBABILITIES = "classes", "scores", "probabilities"


@export("contrib.learn.ProblemType", ESTIMATORS + "constants.ProblemType")
class ProblemType:
    """What a model is asked for."""

    UNSPECIFIED = 0
    CLASSIFICATION = 1
    LINEAR_REGRESSION = 2
    LOGISTIC_REGRESSION = 3


@export(COMMON + "PredictionType", ESTIMATOR + "PredictionType")
class PredictionType:
    """Whether a sequence gets one value, or one for each step."""

    SINGLE_VALUE = 1
    MULTIPLE_VALUE = 2


@export(COMMON + "RNNKeys")
class RNNKeys:
    """Names in the dictionaries of features and predictions."""

    FINAL_STATE_KEY = "final_state"
    LABELS_KEY = "__labels__"
    SEQUENCE_LENGTH_KEY = "sequence_length"
    STATE_PREFIX = "rnn_cell_state"


@export(COMMON + "construct_rnn_cell")
def construct_rnn_cell(
    num_units: Any, cell_type: Any = "basic_rnn", dropout_keep_probabilities: Any = None
) -> Any:
    """One cell for each number of units, on top of each other."""
    sizes = num_units if isinstance(num_units, (list, tuple)) else (num_units,)
    cells = [_cell(cell_type, size) for size in sizes]
    if dropout_keep_probabilities:
        cells = apply_dropout(cells, dropout_keep_probabilities)
    return cells[0] if len(cells) == 1 else tf.nn.rnn_cell.MultiRNNCell(cells)


def _cell(cell_type: Any, units: int) -> Any:
    rnn = tf.nn.rnn_cell
    kinds = {"basic_rnn": rnn.BasicRNNCell, "lstm": rnn.LSTMCell, "gru": rnn.GRUCell}
    kind = kinds.get(cell_type, cell_type)
    if not (isinstance(kind, type) and issubclass(kind, rnn.RNNCell)):
        raise ValueError(f"The supported cell types are {list(kinds)}; got {cell_type}")
    return kind(num_units=units)


@export(COMMON + "apply_dropout")
def apply_dropout(
    cells: Sequence[Any], dropout_keep_probabilities: Sequence[Any], random_seed: Any = None
) -> list[Any]:
    """The cells with dropout at their inputs, and at the output of the last."""
    keep = list(dropout_keep_probabilities)
    if len(keep) != len(cells) + 1:
        raise ValueError(
            "The number of dropout probabilities must be one greater than the number of cells. "
            f"Got {len(cells)} cells and {len(keep)} dropout probabilities."
        )
    keep = [1.0 if probability is None else probability for probability in keep]
    wrap = tf.nn.rnn_cell.DropoutWrapper
    first = [wrap(c, k, 1.0, seed=random_seed) for c, k in zip(cells[:-1], keep[:-2], strict=True)]
    return [*first, wrap(cells[-1], keep[-2], keep[-1])]


@export(COMMON + "select_last_activations")
def select_last_activations(activations: Any, sequence_lengths: Any) -> Any:
    """The activations [batch, k] of each sequence's last step, from [batch, time, k]."""
    with tf.name_scope("select_last_activations", values=[activations, sequence_lengths]):
        batch, longest, width = tf.unstack(tf.shape(activations), 3)
        lengths = longest if sequence_lengths is None else tf.cast(sequence_lengths, tf.int32)
        rows = tf.reshape(activations, [-1, width])
        last = tf.gather(rows, tf.range(batch) * longest + lengths - 1)
        last.set_shape([activations.shape[0], activations.shape[2]])
        return last


@export(COMMON + "mask_activations_and_labels")
def mask_activations_and_labels(activations: Any, labels: Any, sequence_lengths: Any) -> Any:
    """The activations and labels of all steps within the lengths, one after the other."""
    with tf.name_scope("mask_activations_and_labels", values=[activations, labels]):
        batch, longest = tf.unstack(tf.shape(labels)[:2], 2)
        if sequence_lengths is None:
            steps = batch * longest
            return tf.reshape(activations, [steps, -1]), tf.reshape(labels, [steps])
        mask = tf.sequence_mask(sequence_lengths, longest)
        return tf.boolean_mask(activations, mask), tf.boolean_mask(labels, mask)


class _Regression:
    """A number for each row."""

    columns, key = 1, SCORES

    def loss(self, logits: Any, labels: Any) -> Any:
        if labels.shape.rank == 1:
            labels = tf.expand_dims(labels, 1)
        return tf.reduce_mean(tf.square(logits - tf.cast(labels, tf.float32)), name="loss")

    def predictions(self, logits: Any) -> Any:
        return tf.squeeze(logits, [1])

    def metrics(self, predictions: Any, labels: Any) -> dict[str, Any]:
        return {}


class _Classification:
    """One of `classes`; of two, by one logit."""

    key = CLASSES

    def __init__(self, classes: int) -> None:
        if classes < 2:
            raise ValueError("n_classes must be >= 2")
        self.columns = 1 if classes == 2 else classes

    def loss(self, logits: Any, labels: Any) -> Any:
        if self.columns == 1:
            labels = tf.reshape(tf.cast(labels, tf.float32), [-1, 1])
            losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits)
        else:
            labels = tf.reshape(labels, [-1])
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
        return tf.reduce_mean(losses, name="loss")

    def probabilities(self, logits: Any) -> Any:
        return tf.nn.softmax(self._both(logits))

    def predictions(self, logits: Any) -> Any:
        return tf.argmax(self._both(logits), 1)

    def metrics(self, predictions: Any, labels: Any) -> dict[str, Any]:
        return {"accuracy": tf.contrib.metrics.streaming_accuracy(predictions, labels)}

    def _both(self, logits: Any) -> Any:
        return tf.concat([tf.zeros_like(logits), logits], 1) if self.columns == 1 else logits


Target = _Regression | _Classification


def _target(problem_type: int, num_classes: int | None) -> Target:
    if problem_type == ProblemType.LINEAR_REGRESSION:
        return _Regression()
    if problem_type != ProblemType.CLASSIFICATION:
        raise ValueError(
            "problem_type must be either ProblemType.LINEAR_REGRESSION or "
            f"ProblemType.CLASSIFICATION; got {problem_type}"
        )
    if not num_classes:
        raise ValueError("For CLASSIFICATION problem_type, num_classes must be specified.")
    return _Classification(num_classes)


@dataclass(frozen=True)
class _Network:
    """The model function of the estimator."""

    target: Target
    problem_type: int
    single: bool  # one prediction for each sequence
    predict_probabilities: bool
    columns: tuple[list[Any], Any]  # of sequences, and of what is the same in every step
    cells: tuple[Any, Any]  # numbers of units, and the cell's type
    dropout: Any
    optimizer: Any
    learning_rate: float
    clip: float | None

    def __call__(self, features: Any, labels: Any, mode: str) -> ModelFnOps:
        """The operations of the model: a model function."""
        value = "SingleValue" if self.single else "MultiValue"
        kind = "Regressor" if isinstance(self.target, _Regression) else "Classifier"
        with tf.name_scope(f"{value}DynamicRNN{kind}"):
            lengths = features.get(RNNKeys.SEQUENCE_LENGTH_KEY)
            keep = self.dropout if mode == ModeKeys.TRAIN else None
            cell = construct_rnn_cell(*self.cells, keep)
            activations, state = self._run(features, cell)
            predictions = self._predictions(activations, lengths)
            states = enumerate(tf.contrib.framework.nest.flatten(state))
            predictions |= {f"{RNNKeys.STATE_PREFIX}_{i}": tf.identity(s) for i, s in states}
            if mode == ModeKeys.INFER:
                return self._ops(mode, predictions)
            loss = self._loss(activations, labels, lengths)
            metrics = self._metrics(predictions, labels, lengths)
            train = self._train(loss) if mode == ModeKeys.TRAIN else None
        return self._ops(mode, predictions, loss, train, metrics)

    def _run(self, features: Any, cell: Any) -> tuple[Any, Any]:
        """The logits [batch, time, columns], and the last state."""
        per_step, context = self.columns
        x = tf.contrib.layers.sequence_input_from_feature_columns(features, per_step)
        if context is not None:
            fixed = tf.contrib.layers.input_from_feature_columns(features, context)
            fixed = tf.tile(tf.expand_dims(fixed, 1), [1, tf.shape(x)[1], 1])
            x = tf.concat([x, fixed], 2)
        start = _state(features, cell)
        with tf.name_scope("RNN"):
            y, state = tf.nn.dynamic_rnn(cell, x, initial_state=start, dtype=tf.float32)
            return tf.contrib.layers.fully_connected(y, self.target.columns, None), state

    def _predictions(self, activations: Any, lengths: Any) -> dict[str, Any]:
        found = {}
        rows = self._last(activations, lengths)
        if self.predict_probabilities and isinstance(self.target, _Classification):
            found[PROBABILITIES] = self._shaped(self.target.probabilities(rows), activations)
        values = self.target.predictions(rows)
        return {self.target.key: self._shaped(values, activations)} | found

    def _last(self, activations: Any, lengths: Any) -> Any:
        """The rows that there are predictions of."""
        if self.single:
            return select_last_activations(activations, lengths)
        return tf.reshape(activations, [-1, self.target.columns])

    def _shaped(self, values: Any, activations: Any) -> Any:
        """Values of all steps, one after the other, as [batch, time, …]."""
        if self.single:
            return values
        return tf.reshape(values, tf.concat([tf.shape(activations)[:2], tf.shape(values)[1:]], 0))

    def _loss(self, activations: Any, labels: Any, lengths: Any) -> Any:
        if self.single:
            return self.target.loss(select_last_activations(activations, lengths), labels)
        return self.target.loss(*mask_activations_and_labels(activations, labels, lengths))

    def _metrics(self, predictions: dict[str, Any], labels: Any, lengths: Any) -> dict[str, Any]:
        values = predictions[self.target.key]
        if not self.single:
            values, labels = mask_activations_and_labels(values, labels, lengths)
        return self.target.metrics(values, labels)

    def _train(self, loss: Any) -> Any:
        return tf.contrib.layers.optimize_loss(
            loss, None, self.learning_rate, self.optimizer, clip_gradients=self.clip
        )

    def _ops(
        self, mode: str, predictions: Any, loss: Any = None, train: Any = None, metrics: Any = None
    ) -> ModelFnOps:
        shown = {k: v for k, v in predictions.items() if RNNKeys.STATE_PREFIX not in k}
        outputs = {"dynamic_rnn_output": (self.problem_type, shown)} if self.single else None
        return ModelFnOps(mode, predictions, loss, train, metrics, outputs)


def _state(features: Any, cell: Any) -> Any:
    """The first state, of what the features have of it; None where they have nothing."""
    nest = tf.contrib.framework.nest
    count = len(nest.flatten(cell.state_size))
    names = [f"{RNNKeys.STATE_PREFIX}_{i}" for i in range(count)]
    given = [features[name] for name in names if name in features]
    if given and len(given) != count:
        raise ValueError(
            "RNN state was partially specified."
            f"Expected zero or {count} state Tensors; got {len(given)}"
        )
    return nest.pack_sequence_as(cell.state_size, given) if given else None


@export("contrib.learn.DynamicRnnEstimator", ESTIMATOR + "DynamicRnnEstimator")
class DynamicRnnEstimator(LearnEstimator):
    """Cells over the steps of sequences, and a linear layer after them.

    Features may have the key "sequence_length", and the parts of the first state as
    "rnn_cell_state_0" and on; predictions have the parts of the last state.
    """

    def __init__(
        self,
        problem_type: int,
        prediction_type: int,
        sequence_feature_columns: Any,
        context_feature_columns: Any = None,
        num_classes: int | None = None,
        num_units: Any = None,
        cell_type: Any = "basic_rnn",
        optimizer: Any = "SGD",
        learning_rate: float = 0.1,
        predict_probabilities: bool = False,
        momentum: float | None = None,
        gradient_clipping_norm: float | None = 5.0,
        dropout_keep_probabilities: Any = None,
        model_dir: Any = None,
        feature_engineering_fn: Any = None,
        config: Any = None,
    ) -> None:
        if prediction_type not in (PredictionType.SINGLE_VALUE, PredictionType.MULTIPLE_VALUE):
            raise ValueError(
                "prediction_type must be one of PredictionType.MULTIPLE_VALUE or "
                f"PredictionType.SINGLE_VALUE; got {prediction_type}"
            )
        target = _target(problem_type, num_classes)
        if predict_probabilities and isinstance(target, _Regression):
            raise ValueError(
                "predict_probabilities can only be set to True for problem_type "
                f"ProblemType.CLASSIFICATION; got {problem_type}."
            )
        if optimizer == "Momentum":
            optimizer = tf.train.MomentumOptimizer(learning_rate, momentum)
        network = _Network(
            target,
            problem_type,
            prediction_type == PredictionType.SINGLE_VALUE,
            predict_probabilities,
            (list(sequence_feature_columns), context_feature_columns),
            (num_units, cell_type),
            dropout_keep_probabilities,
            optimizer,
            learning_rate,
            gradient_clipping_norm,
        )
        super().__init__(
            model_fn=network,
            model_dir=model_dir,
            config=config,
            feature_engineering_fn=feature_engineering_fn,
        )

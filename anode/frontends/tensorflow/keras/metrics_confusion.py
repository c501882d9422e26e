"""Metrics of true and false positives and negatives."""

from __future__ import annotations

from typing import Any

from anode.frontends.tensorflow.keras.metrics import Metric, _add
from anode.frontends.tensorflow.modules import tensorflow as tf
from anode.frontends.tensorflow.opdef import export


class _Counts(Metric):
    """Sums of predictions above a threshold that are right, and of what they are divided by."""

    other = ""  # what the right ones are divided by, besides themselves

    def __init__(
        self, thresholds: float | None = None, name: str | None = None, dtype: Any = None
    ) -> None:
        super().__init__(name, dtype)
        if isinstance(thresholds, (list, tuple)):
            raise NotImplementedError("several thresholds are not implemented by anode")
        self.thresholds = thresholds
        self.right = self.add_weight("true_positives")
        self.wrong = self.add_weight(self.other)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        limit = 0.5 if self.thresholds is None else self.thresholds
        found = tf.cast(tf.cast(y_pred, self._dtype) > limit, self._dtype)
        true = tf.cast(tf.cast(y_true, "bool"), self._dtype)
        weights = 1.0 if sample_weight is None else tf.cast(sample_weight, self._dtype)
        missed = found * (1 - true) if self.other == "false_positives" else (1 - found) * true
        right = tf.reduce_sum(found * true * weights)
        return tf.group(_add(self.right, right), _add(self.wrong, tf.reduce_sum(missed * weights)))

    def result(self) -> Any:
        right = self.right.value()
        return tf.div_no_nan(right, right + self.wrong.value())


@export("keras.metrics.Precision")
class Precision(_Counts):
    """True positives among all that were predicted."""

    other = "false_positives"


@export("keras.metrics.Recall")
class Recall(_Counts):
    """True positives among all that are positive."""

    other = "false_negatives"

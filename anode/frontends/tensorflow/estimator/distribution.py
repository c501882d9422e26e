"""tf.distributions.Distribution: draws, densities and moments of random variables, in batches."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from anode.frontends.tensorflow.dtypes import as_dtype, int32
from anode.frontends.tensorflow.modules import tensorflow as tf
from anode.frontends.tensorflow.opdef import export, export_values
from anode.frontends.tensorflow.tensor_shape import TensorShape

SPACES = ("distributions.", "contrib.distributions.")


def exported(name: str) -> Any:
    return export(*(space + name for space in SPACES))


@exported("ReparameterizationType")
class ReparameterizationType:
    """Whether derivatives go through the draws of a distribution."""

    def __init__(self, rep_type: str) -> None:
        self._rep_type = rep_type

    def __repr__(self) -> str:
        return f"<Reparameteriation Type: {self._rep_type}>"


FULLY_REPARAMETERIZED = ReparameterizationType("FULLY_REPARAMETERIZED")
NOT_REPARAMETERIZED = ReparameterizationType("NOT_REPARAMETERIZED")
for _space in SPACES:
    for _name in ("FULLY_REPARAMETERIZED", "NOT_REPARAMETERIZED"):
        export_values(__name__, {_space + _name: _name})


@exported("Distribution")
class Distribution:
    """The base: public methods open a name scope and call `_log_prob`, `_draw` and so on."""

    event_rank = 0
    reparameterization_type = FULLY_REPARAMETERIZED

    def _start(self, name: str, kind: Any, /, **parameters: Any) -> None:
        self._name, self._dtype = name, kind
        self._checks = bool(parameters.pop("validate_args", False))
        self._nan = parameters.pop("allow_nan_stats", True)
        self._parameters = parameters

    @property
    def name(self) -> str:
        return self._name

    @property
    def dtype(self) -> Any:
        return self._dtype

    @property
    def parameters(self) -> dict[str, Any]:
        return dict(self._parameters)

    @property
    def allow_nan_stats(self) -> bool:
        return bool(self._nan)

    @property
    def validate_args(self) -> bool:
        return self._checks

    def _batch(self) -> Any:
        """A tensor of the shape of a batch with an event."""
        raise NotImplementedError

    @property
    def batch_shape(self) -> TensorShape:
        whole = self._batch().shape
        if whole.rank is None or not self.event_rank:
            return whole
        return whole[: whole.rank - self.event_rank]

    @property
    def event_shape(self) -> TensorShape:
        whole = self._batch().shape
        return whole[whole.rank - self.event_rank :] if self.event_rank else TensorShape([])

    def batch_shape_tensor(self, name: str = "batch_shape_tensor") -> Any:
        whole = tf.shape(self._batch())
        return whole[: -self.event_rank] if self.event_rank else whole

    def event_shape_tensor(self, name: str = "event_shape_tensor") -> Any:
        whole = tf.shape(self._batch())
        return whole[-self.event_rank :] if self.event_rank else tf.constant([], dtype=int32)

    def is_scalar_batch(self, name: str = "is_scalar_batch") -> Any:
        return tf.constant(self.batch_shape.rank == 0)

    def is_scalar_event(self, name: str = "is_scalar_event") -> Any:
        return tf.constant(self.event_rank == 0)

    def sample(self, sample_shape: Any = (), seed: int | None = None, name: str = "sample") -> Any:
        """Draws of shape [sample shape, batch shape, event shape]."""
        with tf.name_scope(f"{self._name}/{name}/"):
            shape = tf.reshape(tf.convert_to_tensor(sample_shape, dtype=int32), [-1])
            count = tf.reduce_prod(shape)
            drawn = self._draw(count, seed)
            found = tf.reshape(drawn, tf.concat([shape, tf.shape(drawn)[1:]], 0))
            known = tf.contrib.util.constant_value(shape)
            if known is not None:
                found.set_shape(TensorShape(known.tolist()).concatenate(self._whole_shape()))
            return found

    def _whole_shape(self) -> TensorShape:
        return self._batch().shape

    def _draw(self, count: Any, seed: int | None) -> Any:
        """`count` draws, [count, batch shape, event shape]."""
        raise NotImplementedError(f"sample is not implemented for {type(self).__name__}")

    def _shape_of(self, count: Any) -> Any:
        return tf.concat([[count], tf.shape(self._batch())], 0)

    def _call(self, method: str, name: str, *args: Any) -> Any:
        function = getattr(self, method, None)
        if function is None:
            raise NotImplementedError(f"{name} is not implemented for {type(self).__name__}")
        with tf.name_scope(f"{self._name}/{name}/"):
            given = [tf.convert_to_tensor(arg, preferred_dtype=self._dtype) for arg in args]
            return function(*given)

    def log_prob(self, value: Any, name: str = "log_prob") -> Any:
        return self._call("_log_prob", name, value)

    def prob(self, value: Any, name: str = "prob") -> Any:
        return tf.exp(self._call("_log_prob", name, value))

    def cdf(self, value: Any, name: str = "cdf") -> Any:
        return self._call("_cdf", name, value)

    def log_cdf(self, value: Any, name: str = "log_cdf") -> Any:
        return tf.log(self.cdf(value))

    def survival_function(self, value: Any, name: str = "survival_function") -> Any:
        return 1.0 - self.cdf(value)

    def log_survival_function(self, value: Any, name: str = "log_survival_function") -> Any:
        return tf.log(self.survival_function(value))

    def quantile(self, value: Any, name: str = "quantile") -> Any:
        return self._call("_quantile", name, value)

    def entropy(self, name: str = "entropy") -> Any:
        return self._call("_entropy", name)

    def mean(self, name: str = "mean") -> Any:
        return self._call("_mean", name)

    def mode(self, name: str = "mode") -> Any:
        return self._call("_mode", name)

    def variance(self, name: str = "variance") -> Any:
        if hasattr(self, "_variance"):
            return self._call("_variance", name)
        return tf.square(self._call("_stddev", name))

    def stddev(self, name: str = "stddev") -> Any:
        if hasattr(self, "_stddev"):
            return self._call("_stddev", name)
        return tf.sqrt(self._call("_variance", name))

    def covariance(self, name: str = "covariance") -> Any:
        return self._call("_covariance", name)

    def kl_divergence(self, other: Any, name: str = "kl_divergence") -> Any:
        return tf.distributions.kl_divergence(self, other)

    def cross_entropy(self, other: Any, name: str = "cross_entropy") -> Any:
        return self.entropy() + tf.distributions.kl_divergence(self, other)

    def copy(self, **override: Any) -> Any:
        """The same distribution with other parameters."""
        return type(self)(**{**self._parameters, **override})

    def __repr__(self) -> str:
        return (
            f"<tf.distributions.{type(self).__name__} '{self._name}/' "
            f"batch_shape={self.batch_shape} event_shape={self.event_shape} "
            f"dtype={self._dtype.name}>"
        )


def parts_of(name: str, *values: Any) -> list[Any]:
    """Parameters as tensors of one type."""
    known = next((v.dtype.base_dtype for v in values if hasattr(v, "dtype")), None)
    dtype = None if known is None else as_dtype(known)
    with tf.name_scope(name):
        return [
            None if v is None else tf.convert_to_tensor(v, dtype=dtype, preferred_dtype=tf.float32)
            for v in values
        ]


class TwoParts(Distribution):
    """A distribution of two parameters that broadcast."""

    _first: Any
    _second: Any

    def _batch(self) -> Any:
        return self._first + self._second * 0

    def _spread(self, value: Any) -> Any:
        return value + tf.zeros_like(self._batch())


def uniform(self: Any, count: Any, seed: int | None, low: Any = 0.0) -> Any:
    return tf.random_uniform(
        self._shape_of(count), minval=low, maxval=1.0, dtype=self.dtype, seed=seed
    )


def or_nan(known: Any, values: Any) -> Any:
    return tf.where(known, values, tf.fill(tf.shape(values), tf.constant(np.nan, values.dtype)))


def new_seed(seed: int | None, salt: str) -> int | None:
    """The seed of a second draw, as TensorFlow derives it."""
    if seed is None:
        return None
    return int(hashlib.md5((str(seed) + salt).encode()).hexdigest()[:8], 16) & 0x7FFFFFFF

"""tf.distributions: draws, densities and moments of random variables, in batches."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from anode.frontends.tensorflow.dtypes import as_dtype, int32
from anode.frontends.tensorflow.modules import tensorflow as tf
from anode.frontends.tensorflow.opdef import export, export_values
from anode.frontends.tensorflow.tensor_shape import TensorShape

SPACES = ("distributions.", "contrib.distributions.")


def _export(name: str) -> Any:
    return export(*(space + name for space in SPACES))


@_export("ReparameterizationType")
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


@_export("Distribution")
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
        return kl_divergence(self, other)

    def cross_entropy(self, other: Any, name: str = "cross_entropy") -> Any:
        return self.entropy() + kl_divergence(self, other)

    def copy(self, **override: Any) -> Any:
        """The same distribution with other parameters."""
        return type(self)(**{**self._parameters, **override})

    def __repr__(self) -> str:
        return (
            f"<tf.distributions.{type(self).__name__} '{self._name}/' "
            f"batch_shape={self.batch_shape} event_shape={self.event_shape} "
            f"dtype={self._dtype.name}>"
        )


def _parts(name: str, *values: Any) -> list[Any]:
    """Parameters as tensors of one type."""
    known = next((v.dtype.base_dtype for v in values if hasattr(v, "dtype")), None)
    dtype = None if known is None else as_dtype(known)
    with tf.name_scope(name):
        return [
            None if v is None else tf.convert_to_tensor(v, dtype=dtype, preferred_dtype=tf.float32)
            for v in values
        ]


class _TwoParts(Distribution):
    """A distribution of two parameters that broadcast."""

    _first: Any
    _second: Any

    def _batch(self) -> Any:
        return self._first + self._second * 0

    def _spread(self, value: Any) -> Any:
        return value + tf.zeros_like(self._batch())


def _uniform(self: Any, count: Any, seed: int | None, low: Any = 0.0) -> Any:
    return tf.random_uniform(
        self._shape_of(count), minval=low, maxval=1.0, dtype=self.dtype, seed=seed
    )


def _or_nan(known: Any, values: Any) -> Any:
    return tf.where(known, values, tf.fill(tf.shape(values), tf.constant(np.nan, values.dtype)))


def _new_seed(seed: int | None, salt: str) -> int | None:
    """The seed of a second draw, as TensorFlow derives it."""
    if seed is None:
        return None
    return int(hashlib.md5((str(seed) + salt).encode()).hexdigest()[:8], 16) & 0x7FFFFFFF


@_export("Normal")
class Normal(_TwoParts):
    """The normal distribution of mean `loc` and standard deviation `scale`."""

    def __init__(
        self,
        loc: Any,
        scale: Any,
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "Normal",
    ) -> None:
        self._first, self._second = _parts(name, loc, scale)
        dtype = self._first.dtype.base_dtype
        self._start(name, dtype, loc=loc, scale=scale, validate_args=validate_args,
                    allow_nan_stats=allow_nan_stats)  # fmt: skip

    @property
    def loc(self) -> Any:
        return self._first

    @property
    def scale(self) -> Any:
        return self._second

    def _draw(self, count: Any, seed: int | None) -> Any:
        noise = tf.random_normal(self._shape_of(count), 0.0, 1.0, dtype=self.dtype, seed=seed)
        return noise * self.scale + self.loc

    def _z(self, x: Any) -> Any:
        return (x - self.loc) / self.scale

    def _log_prob(self, x: Any) -> Any:
        return -0.5 * tf.square(self._z(x)) - (0.5 * math.log(2.0 * math.pi) + tf.log(self.scale))

    def _cdf(self, x: Any) -> Any:
        return 0.5 * tf.erfc(-self._z(x) / math.sqrt(2.0))

    def _entropy(self) -> Any:
        return self._spread(0.5 * math.log(2.0 * math.pi) + 0.5 + tf.log(self.scale))

    def _mean(self) -> Any:
        return self._spread(self.loc)

    _mode = _mean

    def _stddev(self) -> Any:
        return self._spread(self.scale) - self.loc * 0


@_export("Laplace")
class Laplace(_TwoParts):
    """The Laplace distribution."""

    def __init__(
        self,
        loc: Any,
        scale: Any,
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "Laplace",
    ) -> None:
        self._first, self._second = _parts(name, loc, scale)
        dtype = self._first.dtype.base_dtype
        self._start(name, dtype, loc=loc, scale=scale, validate_args=validate_args,
                    allow_nan_stats=allow_nan_stats)  # fmt: skip

    @property
    def loc(self) -> Any:
        return self._first

    @property
    def scale(self) -> Any:
        return self._second

    def _draw(self, count: Any, seed: int | None) -> Any:
        least = np.nextafter(self.dtype.as_numpy_dtype(-1.0), self.dtype.as_numpy_dtype(0.0))
        drawn = _uniform(self, count, seed, least)
        return self.loc - self.scale * tf.sign(drawn) * tf.log1p(-tf.abs(drawn))

    def _log_prob(self, x: Any) -> Any:
        return -tf.abs((x - self.loc) / self.scale) - math.log(2.0) - tf.log(self.scale)

    def _entropy(self) -> Any:
        return self._spread(math.log(2.0) + 1 + tf.log(self.scale))

    def _mean(self) -> Any:
        return self._spread(self.loc)

    _mode = _mean

    def _stddev(self) -> Any:
        return self._spread(math.sqrt(2.0) * self.scale)


@_export("Uniform")
class Uniform(_TwoParts):
    """The uniform distribution on [low, high)."""

    def __init__(
        self,
        low: Any = 0.0,
        high: Any = 1.0,
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "Uniform",
    ) -> None:
        self._first, self._second = _parts(name, low, high)
        dtype = self._first.dtype.base_dtype
        self._start(name, dtype, low=low, high=high, validate_args=validate_args,
                    allow_nan_stats=allow_nan_stats)  # fmt: skip

    @property
    def low(self) -> Any:
        return self._first

    @property
    def high(self) -> Any:
        return self._second

    def range(self, name: str = "range") -> Any:
        return self.high - self.low

    def _draw(self, count: Any, seed: int | None) -> Any:
        return self.low + self.range() * _uniform(self, count, seed)

    def _prob(self, x: Any) -> Any:
        outside = tf.logical_or(x < self.low, x >= self.high)
        width = self.range() + tf.zeros_like(x)
        return tf.where(
            tf.is_nan(x + width), x + width, tf.where(outside, tf.zeros_like(width), 1.0 / width)
        )

    def prob(self, value: Any, name: str = "prob") -> Any:
        return self._call("_prob", name, value)

    def _log_prob(self, x: Any) -> Any:
        return tf.log(self._prob(x))

    def _cdf(self, x: Any) -> Any:
        return tf.clip_by_value((x - self.low) / self.range(), 0.0, 1.0)

    def _entropy(self) -> Any:
        return tf.log(self.range())

    def _mean(self) -> Any:
        return (self.low + self.high) / 2.0

    def _stddev(self) -> Any:
        return self.range() / math.sqrt(12.0)


@_export("Gamma")
class Gamma(_TwoParts):
    """The gamma distribution of a concentration and a rate."""

    def __init__(
        self,
        concentration: Any,
        rate: Any,
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "Gamma",
    ) -> None:
        self._first, self._second = _parts(name, concentration, rate)
        dtype = self._first.dtype.base_dtype
        self._start(name, dtype, concentration=concentration, rate=rate,
                    validate_args=validate_args, allow_nan_stats=allow_nan_stats)  # fmt: skip

    @property
    def concentration(self) -> Any:
        return self._first

    @property
    def rate(self) -> Any:
        return self._second

    def _draw(self, count: Any, seed: int | None) -> Any:
        return tf.random_gamma([count], self.concentration, self.rate, self.dtype, seed)

    def _log_prob(self, x: Any) -> Any:
        a, b = self.concentration, self.rate
        return (a - 1.0) * tf.log(x) - b * x - (tf.lgamma(a) - a * tf.log(b))

    def _entropy(self) -> Any:
        a = self.concentration
        return a - tf.log(self.rate) + tf.lgamma(a) + (1.0 - a) * tf.digamma(a)

    def _mean(self) -> Any:
        return self.concentration / self.rate

    def _variance(self) -> Any:
        return self.concentration / tf.square(self.rate)

    def _mode(self) -> Any:
        found = (self.concentration - 1.0) / self.rate
        return _or_nan(self.concentration + self.rate * 0 > 1.0, found)


@_export("Exponential")
class Exponential(Gamma):
    """The exponential distribution of a rate."""

    def __init__(
        self,
        rate: Any,
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "Exponential",
    ) -> None:
        (self._second,) = _parts(name, rate)
        self._first = tf.ones_like(self._second)
        self._start(name, self._second.dtype.base_dtype, rate=rate, validate_args=validate_args,
                    allow_nan_stats=allow_nan_stats)  # fmt: skip

    def _draw(self, count: Any, seed: int | None) -> Any:
        tiny = np.finfo(self.dtype.as_numpy_dtype).tiny
        return -tf.log(_uniform(self, count, seed, tiny)) / self.rate

    def _cdf(self, x: Any) -> Any:
        return 1.0 - tf.exp(-self.rate * x)


@_export("Beta")
class Beta(_TwoParts):
    """The beta distribution of two concentrations."""

    def __init__(
        self,
        concentration1: Any = None,
        concentration0: Any = None,
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "Beta",
    ) -> None:
        self._first, self._second = _parts(name, concentration1, concentration0)
        self._start(name, self._first.dtype.base_dtype, concentration1=concentration1,
                    concentration0=concentration0, validate_args=validate_args,
                    allow_nan_stats=allow_nan_stats)  # fmt: skip

    @property
    def concentration1(self) -> Any:
        return self._first

    @property
    def concentration0(self) -> Any:
        return self._second

    @property
    def total_concentration(self) -> Any:
        return self._first + self._second

    def _draw(self, count: Any, seed: int | None) -> Any:
        zeros = tf.zeros_like(self._batch())
        drawn = [
            tf.random_gamma([count], zeros + part, dtype=self.dtype, seed=own)
            for part, own in ((self._first, seed), (self._second, _new_seed(seed, "beta")))
        ]
        return drawn[0] / (drawn[0] + drawn[1])

    def _mode(self) -> Any:
        a, b = self._first + self._second * 0, self._second + self._first * 0
        return _or_nan(tf.logical_and(a > 1.0, b > 1.0), (a - 1.0) / (a + b - 2.0))

    def _log_norm(self) -> Any:
        a, b = self._first, self._second
        return tf.lgamma(a) + tf.lgamma(b) - tf.lgamma(a + b)

    def _log_prob(self, x: Any) -> Any:
        a, b = self._first, self._second
        return (a - 1.0) * tf.log(x) + (b - 1.0) * tf.log1p(-x) - self._log_norm()

    def _entropy(self) -> Any:
        a, b = self._first, self._second
        mixed = (a - 1.0) * tf.digamma(a) + (b - 1.0) * tf.digamma(b)
        return self._log_norm() - mixed + (a + b - 2.0) * tf.digamma(a + b)

    def _mean(self) -> Any:
        return self._first / self.total_concentration

    def _variance(self) -> Any:
        total = self.total_concentration
        return self._first * self._second / (tf.square(total) * (1.0 + total))


# --- discrete ------------------------------------------------------------------------------------


def _either(name: str, logits: Any, probs: Any, several: bool) -> tuple[Any, Any]:
    """Both the log odds and the probabilities from one of them."""
    if (logits is None) == (probs is None):
        raise ValueError("Must pass probs or logits, but not both.")
    if logits is not None:
        (logits,) = _parts(name, logits)
        return logits, tf.nn.softmax(logits) if several else tf.sigmoid(logits)
    (probs,) = _parts(name, probs)
    return tf.log(probs) if several else tf.log(probs) - tf.log1p(-probs), probs


@_export("Bernoulli")
class Bernoulli(Distribution):
    """1 with a probability, else 0."""

    reparameterization_type = NOT_REPARAMETERIZED

    def __init__(
        self,
        logits: Any = None,
        probs: Any = None,
        dtype: Any = int32,
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "Bernoulli",
    ) -> None:
        self.logits, self.probs = _either(name, logits, probs, False)
        self._start(name, as_dtype(dtype), logits=logits, probs=probs, dtype=dtype,
                    validate_args=validate_args, allow_nan_stats=allow_nan_stats)  # fmt: skip

    def _batch(self) -> Any:
        return self.logits

    def _draw(self, count: Any, seed: int | None) -> Any:
        drawn = tf.random_uniform(self._shape_of(count), dtype=self.probs.dtype, seed=seed)
        return tf.cast(tf.less(drawn, self.probs), self.dtype)

    def _log_prob(self, event: Any) -> Any:
        event = tf.cast(event, self.logits.dtype)
        logits = self.logits + tf.zeros_like(event)
        event = event + tf.zeros_like(logits)
        return -tf.nn.sigmoid_cross_entropy_with_logits(labels=event, logits=logits)

    def _entropy(self) -> Any:
        return -self.logits * (tf.sigmoid(self.logits) - 1) + tf.nn.softplus(-self.logits)

    def _mean(self) -> Any:
        return tf.identity(self.probs)

    def _variance(self) -> Any:
        return self.probs * (1.0 - self.probs)

    def _mode(self) -> Any:
        return tf.cast(self.probs > 0.5, self.dtype)


@_export("Categorical")
class Categorical(Distribution):
    """The number of one of several classes."""

    reparameterization_type = NOT_REPARAMETERIZED

    def __init__(
        self,
        logits: Any = None,
        probs: Any = None,
        dtype: Any = int32,
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "Categorical",
    ) -> None:
        self.logits, self.probs = _either(name, logits, probs, True)
        self._start(name, as_dtype(dtype), logits=logits, probs=probs, dtype=dtype,
                    validate_args=validate_args, allow_nan_stats=allow_nan_stats)  # fmt: skip

    @property
    def event_size(self) -> Any:
        return tf.shape(self.logits)[-1]

    def _batch(self) -> Any:
        return self.logits[..., 0]

    def _draw(self, count: Any, seed: int | None) -> Any:
        flat = tf.reshape(self.logits, [-1, self.event_size])
        drawn = tf.transpose(tf.multinomial(flat, count, seed=seed))
        shape = tf.concat([[count], tf.shape(self.logits)[:-1]], 0)
        return tf.cast(tf.reshape(drawn, shape), self.dtype)

    def _log_prob(self, event: Any) -> Any:
        event = tf.cast(event, int32)
        logits = self.logits + tf.zeros_like(tf.expand_dims(event, -1), dtype=self.logits.dtype)
        event = event + tf.zeros_like(logits[..., 0], dtype=int32)
        return -tf.nn.sparse_softmax_cross_entropy_with_logits(labels=event, logits=logits)

    def _entropy(self) -> Any:
        return -tf.reduce_sum(tf.nn.log_softmax(self.logits) * self.probs, axis=-1)

    def _mode(self) -> Any:
        return tf.cast(tf.argmax(self.logits, axis=-1), self.dtype)


@export("contrib.distributions.MultivariateNormalDiag")
class MultivariateNormalDiag(Distribution):
    """Independent normal numbers that make one event."""

    event_rank = 1

    def __init__(
        self,
        loc: Any = None,
        scale_diag: Any = None,
        scale_identity_multiplier: Any = None,
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "MultivariateNormalDiag",
    ) -> None:
        loc, diag, factor = _parts(name, loc, scale_diag, scale_identity_multiplier)
        if loc is None and diag is None:
            raise ValueError("MultivariateNormalDiag needs loc or scale_diag")
        loc = tf.zeros_like(diag) if loc is None else loc
        scale = tf.ones_like(loc) if diag is None and factor is None else diag
        if factor is not None:
            added = tf.expand_dims(factor, -1) + tf.zeros_like(loc)
            scale = added if scale is None else scale + added
        self._loc, self._diag = loc, scale
        self._start(name, loc.dtype.base_dtype, loc=loc, scale_diag=scale,
                    validate_args=validate_args, allow_nan_stats=allow_nan_stats)  # fmt: skip

    @property
    def loc(self) -> Any:
        return self._loc

    def _batch(self) -> Any:
        return self._loc + self._diag * 0

    def _draw(self, count: Any, seed: int | None) -> Any:
        noise = tf.random_normal(self._shape_of(count), dtype=self.dtype, seed=seed)
        return noise * self._diag + self._loc

    def _log_prob(self, x: Any) -> Any:
        z = (x - self._loc) / self._diag
        each = -0.5 * tf.square(z) - 0.5 * math.log(2.0 * math.pi) - tf.log(tf.abs(self._diag))
        return tf.reduce_sum(each, -1)

    def _entropy(self) -> Any:
        each = 0.5 * math.log(2.0 * math.pi) + 0.5 + tf.log(tf.abs(self._diag))
        return tf.reduce_sum(each + tf.zeros_like(self._loc), -1)

    def _mean(self) -> Any:
        return self._batch()

    _mode = _mean

    def _stddev(self) -> Any:
        return tf.abs(self._diag) + tf.zeros_like(self._loc)

    def _covariance(self) -> Any:
        return tf.matrix_diag(tf.square(self._stddev()))


# --- divergences ---------------------------------------------------------------------------------


def _normals(a: Any, b: Any) -> Any:
    ratio = tf.square(a.scale / b.scale)
    distance = tf.square(a.loc - b.loc) / (2.0 * tf.square(b.scale))
    return distance + 0.5 * (ratio - 1.0 - tf.log(ratio))


def _bernoullis(a: Any, b: Any) -> Any:
    zero, one = tf.nn.softplus(-a.logits), tf.nn.softplus(a.logits)
    other_zero, other_one = tf.nn.softplus(-b.logits), tf.nn.softplus(b.logits)
    return tf.sigmoid(a.logits) * (other_zero - zero) + tf.sigmoid(-a.logits) * (other_one - one)


def _categoricals(a: Any, b: Any) -> Any:
    difference = tf.nn.log_softmax(a.logits) - tf.nn.log_softmax(b.logits)
    return tf.reduce_sum(tf.nn.softmax(a.logits) * difference, axis=-1)


def _diagonals(a: Any, b: Any) -> Any:
    ratio = tf.square(a._diag / b._diag)
    distance = tf.square((a._loc - b._loc) / b._diag)
    return tf.reduce_sum(0.5 * (distance + ratio - 1.0 - tf.log(ratio)), -1)


def _betas(a: Any, b: Any) -> Any:
    a1, a0, b1, b0 = a._first, a._second, b._first, b._second
    difference = (a1 - b1) * tf.digamma(a1) + (a0 - b0) * tf.digamma(a0)
    total = (b1 + b0 - a1 - a0) * tf.digamma(a1 + a0)
    return b._log_norm() - a._log_norm() + difference + total


def _gammas(a: Any, b: Any) -> Any:
    ca, ra, cb, rb = a._first, a._second, b._first, b._second
    shape = (ca - cb) * tf.digamma(ca) - tf.lgamma(ca) + tf.lgamma(cb)
    return shape + cb * (tf.log(ra) - tf.log(rb)) + ca * (rb / ra - 1.0)


_KL: dict[tuple[type, type], Callable[[Any, Any], Any]] = {
    (Normal, Normal): _normals,
    (Bernoulli, Bernoulli): _bernoullis,
    (Categorical, Categorical): _categoricals,
    (MultivariateNormalDiag, MultivariateNormalDiag): _diagonals,
    (Beta, Beta): _betas,
    (Gamma, Gamma): _gammas,
}


@_export("RegisterKL")
class RegisterKL:
    """Declares the function that gives the divergence of two kinds of distributions."""

    def __init__(self, dist_cls_a: type, dist_cls_b: type) -> None:
        self._key = (dist_cls_a, dist_cls_b)

    def __call__(self, kl_fn: Callable[..., Any]) -> Callable[..., Any]:
        if self._key in _KL:
            raise ValueError(f"KL({self._key[0].__name__} || {self._key[1].__name__}) has already "
                             "been registered")  # fmt: skip
        _KL[self._key] = kl_fn
        return kl_fn


@_export("kl_divergence")
def kl_divergence(
    distribution_a: Any,
    distribution_b: Any,
    allow_nan_stats: bool = True,
    name: str | None = None,
) -> Any:
    """The Kullback-Leibler divergence KL(a ‖ b) of each pair of a batch."""
    for one in type(distribution_a).__mro__:
        for two in type(distribution_b).__mro__:
            if (one, two) in _KL:
                with tf.name_scope(name, "KullbackLeibler"):
                    return _KL[one, two](distribution_a, distribution_b)
    raise NotImplementedError(
        f"No KL(distribution_a || distribution_b) registered for distribution_a type "
        f"{type(distribution_a).__name__} and distribution_b type {type(distribution_b).__name__}"
    )

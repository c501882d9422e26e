"""Discrete distributions, the normal one of vectors, and divergences of all."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from anode.frontends.tensorflow.dtypes import as_dtype, int32
from anode.frontends.tensorflow.estimator.distribution import (
    NOT_REPARAMETERIZED,
    Distribution,
    exported,
    parts_of,
)
from anode.frontends.tensorflow.estimator.distributions import Beta, Gamma, Normal
from anode.frontends.tensorflow.modules import tensorflow as tf
from anode.frontends.tensorflow.opdef import export

# --- discrete ------------------------------------------------------------------------------------


def _either(name: str, logits: Any, probs: Any, several: bool) -> tuple[Any, Any]:
    """Both the log odds and the probabilities from one of them."""
    if (logits is None) == (probs is None):
        raise ValueError("Must pass probs or logits, but not both.")
    if logits is not None:
        (logits,) = parts_of(name, logits)
        return logits, tf.nn.softmax(logits) if several else tf.sigmoid(logits)
    (probs,) = parts_of(name, probs)
    return tf.log(probs) if several else tf.log(probs) - tf.log1p(-probs), probs


@exported("Bernoulli")
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


@exported("Categorical")
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
        loc, diag, factor = parts_of(name, loc, scale_diag, scale_identity_multiplier)
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


@exported("RegisterKL")
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


@exported("kl_divergence")
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

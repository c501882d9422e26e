"""Continuous distributions: normal, Laplace, uniform, gamma, exponential, beta."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from anode.frontends.tensorflow.estimator.distribution import (
    TwoParts,
    exported,
    new_seed,
    or_nan,
    parts_of,
    uniform,
)
from anode.frontends.tensorflow.modules import tensorflow as tf


@exported("Normal")
class Normal(TwoParts):
    """The normal distribution of mean `loc` and standard deviation `scale`."""

    def __init__(
        self,
        loc: Any,
        scale: Any,
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "Normal",
    ) -> None:
        self._first, self._second = parts_of(name, loc, scale)
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


@exported("Laplace")
class Laplace(TwoParts):
    """The Laplace distribution."""

    def __init__(
        self,
        loc: Any,
        scale: Any,
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "Laplace",
    ) -> None:
        self._first, self._second = parts_of(name, loc, scale)
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
        drawn = uniform(self, count, seed, least)
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


@exported("Uniform")
class Uniform(TwoParts):
    """The uniform distribution on [low, high)."""

    def __init__(
        self,
        low: Any = 0.0,
        high: Any = 1.0,
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "Uniform",
    ) -> None:
        self._first, self._second = parts_of(name, low, high)
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
        return self.low + self.range() * uniform(self, count, seed)

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


@exported("Gamma")
class Gamma(TwoParts):
    """The gamma distribution of a concentration and a rate."""

    def __init__(
        self,
        concentration: Any,
        rate: Any,
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "Gamma",
    ) -> None:
        self._first, self._second = parts_of(name, concentration, rate)
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
        return or_nan(self.concentration + self.rate * 0 > 1.0, found)


@exported("Exponential")
class Exponential(Gamma):
    """The exponential distribution of a rate."""

    def __init__(
        self,
        rate: Any,
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "Exponential",
    ) -> None:
        (self._second,) = parts_of(name, rate)
        self._first = tf.ones_like(self._second)
        self._start(name, self._second.dtype.base_dtype, rate=rate, validate_args=validate_args,
                    allow_nan_stats=allow_nan_stats)  # fmt: skip

    def _draw(self, count: Any, seed: int | None) -> Any:
        tiny = np.finfo(self.dtype.as_numpy_dtype).tiny
        return -tf.log(uniform(self, count, seed, tiny)) / self.rate

    def _cdf(self, x: Any) -> Any:
        return 1.0 - tf.exp(-self.rate * x)


@exported("Beta")
class Beta(TwoParts):
    """The beta distribution of two concentrations."""

    def __init__(
        self,
        concentration1: Any = None,
        concentration0: Any = None,
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "Beta",
    ) -> None:
        self._first, self._second = parts_of(name, concentration1, concentration0)
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
            for part, own in ((self._first, seed), (self._second, new_seed(seed, "beta")))
        ]
        return drawn[0] / (drawn[0] + drawn[1])

    def _mode(self) -> Any:
        a, b = self._first + self._second * 0, self._second + self._first * 0
        return or_nan(tf.logical_and(a > 1.0, b > 1.0), (a - 1.0) / (a + b - 2.0))

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

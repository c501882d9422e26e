"""tf.random: numbers, choices and orders drawn at random, with TensorFlow's seeds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from anode.frontends.tensorflow import dtypes
from anode.frontends.tensorflow.api.random_seed import get_seed
from anode.frontends.tensorflow.graph import (
    Tensor,
    apply,
    constant,
    convert_to_tensor,
    get_default_graph,
    name_scope,
)
from anode.frontends.tensorflow.opdef import export

export("random.get_seed", "get_seed")(get_seed)


@export("random.set_random_seed", "set_random_seed", "random.set_seed", "compat.v1.set_random_seed")
def set_random_seed(seed: int | None) -> None:
    """Set the seed of the default graph: what is drawn then is the same in every session."""
    get_default_graph().seed = seed


def seeds(seed: int | None) -> dict[str, Any]:
    """The attributes `seed` and `seed2` of a drawing op."""
    first, second = get_seed(seed)
    return {"seed": first or 0, "seed2": second or 0}


def shape_tensor(shape: Any) -> Tensor:
    """Sizes as a tensor: int32, or int64 where it is one."""
    if isinstance(shape, (list, tuple)) and not shape:
        return constant(np.zeros(0), dtypes.int32, name="shape")
    return convert_to_tensor(shape, preferred_dtype=dtypes.int32, name="shape")


def _scaled(
    type: str, scope: str, shape: Any, moments: tuple[Any, Any], dtype: Any, seed: int | None
) -> Any:
    """Draws of `type`, times a deviation, plus a mean."""
    sizes = shape_tensor(shape)
    mean = convert_to_tensor(moments[0], dtype=dtype, name="mean")
    deviation = convert_to_tensor(moments[1], dtype=dtype, name="stddev")
    drawn = apply(type, sizes, dtype=dtype, **seeds(seed))
    return apply("Add", drawn * deviation, mean, name=scope)


def _normal(type: str, name: str, paths: tuple[str, ...], does: str) -> Callable[..., Any]:
    def call(
        shape: Any,
        mean: Any = 0.0,
        stddev: Any = 1.0,
        dtype: Any = dtypes.float32,
        seed: int | None = None,
        name: str | None = None,
    ) -> Any:
        with name_scope(name, default, [shape, mean, stddev]) as scope:
            return _scaled(type, scope, shape, (mean, stddev), dtype, seed)

    default = name
    call.__name__ = call.__qualname__ = name
    call.__doc__ = does
    return export(*paths)(call)


random_normal = _normal(
    "RandomStandardNormal",
    "random_normal",
    ("random.normal", "random_normal"),
    "Normal numbers of this mean and standard deviation.",
)
truncated_normal = _normal(
    "TruncatedNormal",
    "truncated_normal",
    ("random.truncated_normal", "truncated_normal"),
    "Normal numbers, drawn again where they lie two deviations or more from the mean.",
)


@export("random.uniform", "random_uniform")
def random_uniform(
    shape: Any,
    minval: Any = 0,
    maxval: Any = None,
    dtype: Any = dtypes.float32,
    seed: int | None = None,
    name: str | None = None,
) -> Any:
    """Uniform numbers from `minval` on, below `maxval` (floats: 1 by default)."""
    dtype = dtypes.as_dtype(dtype)
    maxval = _upper(dtype, maxval)
    with name_scope(name, "random_uniform", [shape, minval, maxval]) as scope:
        sizes = shape_tensor(shape)
        low = convert_to_tensor(minval, dtype=dtype, name="min")
        high = convert_to_tensor(maxval, dtype=dtype, name="max")
        if dtype.is_integer:
            return apply("RandomUniformInt", sizes, low, high, name=scope, **seeds(seed))
        drawn = apply("RandomUniform", sizes, dtype=dtype, **seeds(seed))
        return apply("Add", drawn * (high - low), low, name=scope)


def _upper(dtype: dtypes.DType, maxval: Any) -> Any:
    if maxval is not None:
        return maxval
    if dtype.is_integer:
        raise ValueError(f"Must specify maxval for integer dtype {dtype!r}")
    return 1


@export("random.shuffle", "random_shuffle")
def random_shuffle(value: Any, seed: int | None = None, name: str | None = None) -> Any:
    """`value` with the order of its rows, along the first dim, drawn at random."""
    return apply("RandomShuffle", value, name=name, **seeds(seed))


@export("random.multinomial", "multinomial")
def multinomial(
    logits: Any,
    num_samples: Any,
    seed: int | None = None,
    name: str | None = None,
    output_dtype: Any = None,
) -> Any:
    """`num_samples` classes for each row of unnormalised log-probabilities."""
    with name_scope(name, "multinomial", [logits]):
        return _categorical(logits, num_samples, output_dtype, seed)


@export("random.categorical")
def categorical(
    logits: Any,
    num_samples: Any,
    dtype: Any = None,
    seed: int | None = None,
    name: str | None = None,
) -> Any:
    """`num_samples` classes for each row of unnormalised log-probabilities."""
    with name_scope(name, "categorical", [logits]):
        return _categorical(logits, num_samples, dtype, seed)


def _categorical(logits: Any, num_samples: Any, dtype: Any, seed: int | None) -> Any:
    logits = convert_to_tensor(logits, name="logits")
    dtype = dtypes.int64 if dtype is None else dtype
    return apply("Multinomial", logits, num_samples, output_dtype=dtype, **seeds(seed))


@export("random.gamma", "random_gamma")
def random_gamma(
    shape: Any,
    alpha: Any,
    beta: Any = None,
    dtype: Any = dtypes.float32,
    seed: int | None = None,
    name: str | None = None,
) -> Any:
    """`shape` draws for each pair of a shape `alpha` and a rate `beta` (1 by default)."""
    with name_scope(name, "random_gamma", [shape, alpha, beta]):
        sizes = convert_to_tensor(shape, name="shape", dtype=dtypes.int32)
        alpha = convert_to_tensor(alpha, name="alpha", dtype=dtype)
        beta = convert_to_tensor(1 if beta is None else beta, name="beta", dtype=dtype)
        alpha = alpha + apply("ZerosLike", beta)
        drawn = apply("RandomGamma", sizes, alpha, **seeds(seed)) / beta
        least = float(np.finfo(alpha.dtype.base_dtype.as_numpy_dtype).tiny)
        return apply("Maximum", least, drawn)


@export("random.poisson", "random_poisson")
def random_poisson(
    lam: Any,
    shape: Any,
    dtype: Any = dtypes.float32,
    seed: int | None = None,
    name: str | None = None,
) -> Any:
    """`shape` draws for each mean `lam`."""
    with name_scope(name, "random_poisson", [lam, shape]):
        sizes = convert_to_tensor(shape, name="shape", dtype=dtypes.int32)
        return apply("RandomPoissonV2", sizes, lam, dtype=dtype, **seeds(seed))


# draws that are a function of a seed tensor alone


def _stateless_normal(type: str, name: str, paths: tuple[str, ...]) -> Callable[..., Any]:
    def call(
        shape: Any,
        seed: Any,
        mean: Any = 0.0,
        stddev: Any = 1.0,
        dtype: Any = dtypes.float32,
        name: str | None = None,
    ) -> Any:
        with name_scope(name, default, [shape, seed, mean, stddev]) as scope:
            sizes = shape_tensor(shape)
            mean = convert_to_tensor(mean, dtype=dtype, name="mean")
            stddev = convert_to_tensor(stddev, dtype=dtype, name="stddev")
            drawn = apply(type, sizes, seed, dtype=dtype)
            return apply("Add", drawn * stddev, mean, name=scope)

    default = name
    call.__name__ = call.__qualname__ = name
    call.__doc__ = "Normal numbers that `seed`, two integers, settles."
    return export(*paths)(call)


stateless_random_normal = _stateless_normal(
    "StatelessRandomNormal",
    "stateless_random_normal",
    ("random.stateless_normal", "contrib.stateless.stateless_random_normal"),
)
stateless_truncated_normal = _stateless_normal(
    "StatelessTruncatedNormal",
    "stateless_truncated_normal",
    ("random.stateless_truncated_normal", "contrib.stateless.stateless_truncated_normal"),
)


@export("random.stateless_uniform", "contrib.stateless.stateless_random_uniform")
def stateless_random_uniform(
    shape: Any,
    seed: Any,
    minval: Any = 0,
    maxval: Any = None,
    dtype: Any = dtypes.float32,
    name: str | None = None,
) -> Any:
    """Uniform numbers that `seed`, two integers, settles."""
    dtype = dtypes.as_dtype(dtype)
    maxval = _upper(dtype, maxval)
    with name_scope(name, "stateless_random_uniform", [shape, seed, minval, maxval]) as scope:
        sizes = shape_tensor(shape)
        low = convert_to_tensor(minval, dtype=dtype, name="min")
        high = convert_to_tensor(maxval, dtype=dtype, name="max")
        if dtype.is_integer:
            return apply("StatelessRandomUniformInt", sizes, seed, low, high, name=scope)
        drawn = apply("StatelessRandomUniform", sizes, seed, dtype=dtype)
        return apply("Add", drawn * (high - low), low, name=scope)


@export("random.stateless_categorical")
def stateless_categorical(
    logits: Any,
    num_samples: Any,
    seed: Any,
    dtype: Any = dtypes.int64,
    name: str | None = None,
) -> Any:
    """Classes drawn by unnormalised log-probabilities, settled by `seed`, two integers."""
    with name_scope(name, "stateless_categorical", [logits, seed]):
        logits = convert_to_tensor(logits, name="logits")
        return apply("StatelessMultinomial", logits, num_samples, seed, output_dtype=dtype)


@export("random.stateless_multinomial", "contrib.stateless.stateless_multinomial")
def stateless_multinomial(
    logits: Any,
    num_samples: Any,
    seed: Any,
    output_dtype: Any = dtypes.int64,
    name: str | None = None,
) -> Any:
    """Classes drawn by unnormalised log-probabilities, settled by `seed`, two integers."""
    with name_scope(name, "stateless_multinomial", [logits, seed]):
        logits = convert_to_tensor(logits, name="logits")
        return apply("StatelessMultinomial", logits, num_samples, seed, output_dtype=output_dtype)

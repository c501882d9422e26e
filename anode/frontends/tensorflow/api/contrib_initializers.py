"""tf.contrib.layers' initialisers and regularizers."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Sequence
from typing import Any

from anode.frontends.tensorflow.api.layers_options import public
from anode.frontends.tensorflow.dtypes import as_dtype, float32
from anode.frontends.tensorflow.graph import (
    add_to_collection,
    apply,
    convert_to_tensor,
    get_collection,
    name_scope,
)
from anode.frontends.tensorflow.opdef import EXPORTS

Regularizer = Callable[[Any], Any]


def _export(*names: str) -> Callable[[Any], Any]:
    def note(thing: Any) -> Any:
        places = (
            "contrib.layers",
            "contrib.slim",
            "contrib.slim.initializers",
            "contrib.slim.regularizers",
            "contrib.layers.python.layers.initializers",
            "contrib.layers.python.layers.regularizers",
        )
        for name in names:
            for place in places:
                EXPORTS[f"{place}.{name}"] = f"{__name__}:{thing.__name__}"
        return thing

    return note


def _fan(shape: Sequence[int], mode: str) -> float:
    """How many values a weight is summed over, or goes to, or the mean of both."""
    into = float(shape[-2]) if len(shape) > 1 else float(shape[-1])
    out = float(shape[-1])
    for size in shape[:-2]:
        into, out = into * float(size), out * float(size)
    return {"FAN_IN": into, "FAN_OUT": out, "FAN_AVG": (into + out) / 2.0}[mode]


@_export("variance_scaling_initializer")
def variance_scaling_initializer(
    factor: float = 2.0,
    mode: str = "FAN_IN",
    uniform: bool = False,
    seed: int | None = None,
    dtype: Any = float32,
) -> Callable[..., Any]:
    """Random weights of variance factor / fan. Source: He et al. 2015; Glorot and Bengio 2010."""
    if not as_dtype(dtype).is_floating:
        raise TypeError("Cannot create initializer for non-floating point type.")
    if mode not in ("FAN_IN", "FAN_OUT", "FAN_AVG"):
        raise TypeError(f"Unknown mode {mode} [FAN_IN, FAN_OUT, FAN_AVG]")

    def _initializer(shape: Any, dtype: Any = dtype, partition_info: Any = None) -> Any:
        if not as_dtype(dtype).is_floating:
            raise TypeError("Cannot create initializer for non-floating point type.")
        sizes = [int(size) for size in shape]
        n = _fan(sizes, mode) if sizes else 1.0
        if uniform:
            limit = (3.0 * factor / n) ** 0.5
            return public("random_uniform")(sizes, -limit, limit, dtype, seed=seed)
        stddev = (
            1.3 * factor / n
        ) ** 0.5  # so that what is left within two of them has the variance
        return public("truncated_normal")(sizes, 0.0, stddev, dtype, seed=seed)

    return _initializer


@_export("xavier_initializer", "xavier_initializer_conv2d")
def xavier_initializer(
    uniform: bool = True, seed: int | None = None, dtype: Any = float32
) -> Callable[..., Any]:
    """Random weights of variance 2 / (fan in + fan out). Source: Glorot and Bengio 2010."""
    return variance_scaling_initializer(1.0, "FAN_AVG", uniform, seed, dtype)


def _scale(scale: Any, name: str) -> float:
    if isinstance(scale, numbers.Integral):
        raise ValueError(f"scale cannot be an integer: {scale}")
    if isinstance(scale, numbers.Real) and scale < 0.0:
        raise ValueError(f"Setting a scale less than 0 on a regularizer: {scale:g}.")
    return scale


def _none(_: Any) -> None:
    return None


@_export("l1_regularizer")
def l1_regularizer(scale: Any, scope: str | None = None) -> Regularizer:
    """scale * sum(|w|)."""
    if isinstance(_scale(scale, "l1"), numbers.Real) and scale == 0.0:
        return _none

    def l1(weights: Any, name: str | None = None) -> Any:
        with name_scope(scope, "l1_regularizer", [weights]) as inner:
            weights = convert_to_tensor(weights)
            total = public("reduce_sum")(apply("Abs", weights))
            factor = convert_to_tensor(scale, weights.dtype.base_dtype, name="scale")
            return apply("Mul", factor, total, name=inner)

    return l1


@_export("l2_regularizer")
def l2_regularizer(scale: Any, scope: str | None = None) -> Regularizer:
    """scale * sum(w * w) / 2."""
    if isinstance(_scale(scale, "l2"), numbers.Real) and scale == 0.0:
        return _none

    def l2(weights: Any) -> Any:
        with name_scope(scope, "l2_regularizer", [weights]) as inner:
            weights = convert_to_tensor(weights)
            factor = convert_to_tensor(scale, weights.dtype.base_dtype, name="scale")
            return apply("Mul", factor, apply("L2Loss", weights), name=inner)

    return l2


@_export("l1_l2_regularizer")
def l1_l2_regularizer(
    scale_l1: Any = 1.0, scale_l2: Any = 1.0, scope: str | None = None
) -> Regularizer:
    """The sum of an L1 and an L2 regularizer."""
    for scale in (scale_l1, scale_l2):
        if isinstance(scale, numbers.Integral):
            raise ValueError(f"scale cannot be an integer: {scale}")
    scope = scope or "l1_l2_regularizer"
    if scale_l1 == 0.0:
        return l2_regularizer(scale_l2, scope)
    if scale_l2 == 0.0:
        return l1_regularizer(scale_l1, scope)
    return sum_regularizer([l1_regularizer(scale_l1), l2_regularizer(scale_l2)], scope=scope)


@_export("sum_regularizer")
def sum_regularizer(
    regularizer_list: Sequence[Regularizer | None], scope: str | None = None
) -> Any:
    """The sum of regularizers; None if there is none."""
    wanted = [regularizer for regularizer in regularizer_list if regularizer is not None]
    if not wanted:
        return None

    def summed(weights: Any) -> Any:
        with name_scope(scope, "sum_regularizer", [weights]) as inner:
            found = [tensor for r in wanted if (tensor := r(weights)) is not None]
            if not found:
                return None
            return apply("AddN", found, name=inner) if len(found) > 1 else found[0]

    return summed


@_export("apply_regularization")
def apply_regularization(regularizer: Any, weights_list: Any = None) -> Any:
    """The sum of the losses of weights (those of the collection WEIGHTS), also put into
    REGULARIZATION_LOSSES."""
    weights = get_collection("weights") if weights_list is None else weights_list
    if not weights:
        raise ValueError("No weights to regularize.")
    with name_scope("get_regularization_penalty", values=weights) as scope:
        found = [regularizer(w) for w in weights]
        penalties = [p if p is not None else convert_to_tensor(0.0) for p in found]
        for p in penalties:
            if p.shape.rank not in (0, None):
                raise ValueError(
                    "regularizer must return a scalar Tensor instead of a Tensor with rank "
                    f"{p.shape.rank}."
                )
        total = apply("AddN", penalties, name=scope)
        add_to_collection("regularization_losses", total)
        return total

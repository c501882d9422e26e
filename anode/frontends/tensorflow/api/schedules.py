"""Learning rates that fall with the global step: tf.train.exponential_decay and its kin."""

from __future__ import annotations

import math
from typing import Any

from anode.frontends.tensorflow.dtypes import DType
from anode.frontends.tensorflow.graph import apply, constant, convert_to_tensor, name_scope
from anode.frontends.tensorflow.opdef import export


def _start(learning_rate: Any, global_step: Any) -> tuple[Any, DType]:
    if global_step is None:
        raise ValueError("global_step is required for a learning rate that decays.")
    rate = convert_to_tensor(learning_rate, name="initial_learning_rate")
    return rate, rate.dtype.base_dtype


def _cast(value: Any, dtype: DType) -> Any:
    """A number or tensor in the type of the learning rate."""
    tensor = convert_to_tensor(value)
    return tensor if tensor.dtype.base_dtype == dtype else apply("Cast", tensor, DstT=dtype)


def _portion(global_step: Any, decay_steps: Any, dtype: DType, staircase: bool) -> Any:
    """Steps done over `decay_steps`, whole ones only with `staircase`."""
    portion = apply("RealDiv", _cast(global_step, dtype), _cast(decay_steps, dtype), name="truediv")
    return apply("Floor", portion) if staircase else portion


@export("train.exponential_decay")
def exponential_decay(
    learning_rate: Any,
    global_step: Any,
    decay_steps: Any,
    decay_rate: Any,
    staircase: bool = False,
    name: str | None = None,
) -> Any:
    """`learning_rate * decay_rate ** (global_step / decay_steps)`."""
    with name_scope(name, "ExponentialDecay", [learning_rate, global_step]) as scope:
        rate, dtype = _start(learning_rate, global_step)
        portion = _portion(global_step, decay_steps, dtype, staircase)
        factor = apply("Pow", _cast(decay_rate, dtype), portion)
        return apply("Mul", rate, factor, name=scope)


@export("train.natural_exp_decay")
def natural_exp_decay(
    learning_rate: Any,
    global_step: Any,
    decay_steps: Any,
    decay_rate: Any,
    staircase: bool = False,
    name: str | None = None,
) -> Any:
    """`learning_rate * exp(-decay_rate * global_step / decay_steps)`."""
    with name_scope(name, "NaturalExpDecay", [learning_rate, global_step]) as scope:
        rate, dtype = _start(learning_rate, global_step)
        portion = _portion(global_step, decay_steps, dtype, staircase)
        exponent = apply("Mul", apply("Neg", _cast(decay_rate, dtype)), portion, name="mul")
        return apply("Mul", rate, apply("Exp", exponent), name=scope)


@export("train.inverse_time_decay")
def inverse_time_decay(
    learning_rate: Any,
    global_step: Any,
    decay_steps: Any,
    decay_rate: Any,
    staircase: bool = False,
    name: str | None = None,
) -> Any:
    """`learning_rate / (1 + decay_rate * global_step / decay_steps)`."""
    with name_scope(name, "InverseTimeDecay", [learning_rate, global_step]) as scope:
        rate, dtype = _start(learning_rate, global_step)
        portion = _portion(global_step, decay_steps, dtype, staircase)
        denominator = 1.0 + apply("Mul", _cast(decay_rate, dtype), portion, name="mul")
        return apply("RealDiv", rate, denominator, name=scope)


@export("train.piecewise_constant", "train.piecewise_constant_decay")
def piecewise_constant(x: Any, boundaries: Any, values: Any, name: str | None = None) -> Any:
    """`values[0]` up to the first of the boundaries, `values[i]` beyond boundary i - 1."""
    if len(boundaries) != len(values) - 1:
        raise ValueError("The length of boundaries should be 1 less than the length of values")
    with name_scope(name, "PiecewiseConstant", [x, *boundaries, *values]) as scope:
        x = convert_to_tensor(x)
        limits = [convert_to_tensor(b) for b in boundaries]
        for limit in limits:
            if limit.dtype.base_dtype != x.dtype.base_dtype and not _widens(limit, x):
                raise ValueError(
                    f"Boundaries ({limit.dtype.base_dtype}) must have the same dtype as x "
                    f"({x.dtype.base_dtype})."
                )
        pieces = [convert_to_tensor(v) for v in values]
        if len({piece.dtype.base_dtype for piece in pieces}) > 1:
            raise ValueError("Values must have elements all with the same dtype")
        chosen = pieces[-1]
        for limit, piece in zip(reversed(limits), reversed(pieces[:-1]), strict=True):
            below = apply("LessEqual", x, _cast(limit, x.dtype.base_dtype))
            chosen = apply("Select", below, piece, chosen)
        return apply("Identity", chosen, name=scope)


def _widens(limit: Any, x: Any) -> bool:
    """Whether a boundary is an int32 that stands for an int64."""
    return bool(limit.dtype.base_dtype.is_integer and x.dtype.base_dtype.name == "int64")


@export("train.polynomial_decay")
def polynomial_decay(
    learning_rate: Any,
    global_step: Any,
    decay_steps: Any,
    end_learning_rate: Any = 0.0001,
    power: Any = 1.0,
    cycle: bool = False,
    name: str | None = None,
) -> Any:
    """From one rate to the other in `decay_steps`, again and again with `cycle`."""
    with name_scope(name, "PolynomialDecay", [learning_rate, global_step]) as scope:
        rate, dtype = _start(learning_rate, global_step)
        step, total = _cast(global_step, dtype), _cast(decay_steps, dtype)
        end = _cast(end_learning_rate, dtype)
        if cycle:
            turns = apply("Ceil", step / total)
            first = apply("Equal", step, constant(0, dtype))
            total = total * apply("Select", first, constant(1.0, dtype), turns)
        else:
            step = apply("Minimum", step, total)
        rest = apply("Pow", 1.0 - step / total, _cast(power, dtype))
        return apply("AddV2", (rate - end) * rest, end, name=scope)


def _completed(global_step: Any, decay_steps: Any, dtype: DType) -> Any:
    steps = _cast(decay_steps, dtype)
    return apply("Minimum", _cast(global_step, dtype), steps) / steps


@export("train.cosine_decay")
def cosine_decay(
    learning_rate: Any,
    global_step: Any,
    decay_steps: Any,
    alpha: float = 0.0,
    name: str | None = None,
) -> Any:
    """Half a cosine from `learning_rate` to `alpha` times it. Source: Loshchilov, Hutter, 2016."""
    with name_scope(name, "CosineDecay", [learning_rate, global_step]):
        rate, dtype = _start(learning_rate, global_step)
        fraction = _completed(global_step, decay_steps, dtype)
        cosine = 0.5 * (1.0 + apply("Cos", fraction * math.pi))
        return rate * ((1 - alpha) * cosine + alpha)


@export("train.cosine_decay_restarts")
def cosine_decay_restarts(
    learning_rate: Any,
    global_step: Any,
    first_decay_steps: Any,
    t_mul: float = 2.0,
    m_mul: float = 1.0,
    alpha: float = 0.0,
    name: str | None = None,
) -> Any:
    """Cosine decays one after the other, each `t_mul` as long and `m_mul` as high as the last."""
    with name_scope(name, "SGDRDecay", [learning_rate, global_step]) as scope:
        rate, dtype = _start(learning_rate, global_step)
        fraction = _cast(global_step, dtype) / _cast(first_decay_steps, dtype)
        if t_mul == 1.0:
            turn = apply("Floor", fraction)
            fraction = fraction - turn
        else:
            ratio, base = constant(t_mul, dtype), math.log(t_mul)
            turn = apply("Floor", apply("Log", 1.0 - fraction * (1.0 - t_mul)) / base)
            powered = apply("Pow", ratio, turn)
            before = (1.0 - powered) / (1.0 - t_mul)
            fraction = (fraction - before) / powered
        height = apply("Pow", constant(m_mul, dtype), turn)
        cosine = 0.5 * height * (1.0 + apply("Cos", fraction * math.pi))
        return apply("Mul", rate, (1 - alpha) * cosine + alpha, name=scope)


@export("train.linear_cosine_decay")
def linear_cosine_decay(
    learning_rate: Any,
    global_step: Any,
    decay_steps: Any,
    num_periods: float = 0.5,
    alpha: float = 0.0,
    beta: float = 0.001,
    name: str | None = None,
) -> Any:
    """A line to zero times a cosine. Source: Bello et al., "Neural optimizer search", 2017."""
    with name_scope(name, "LinearCosineDecay", [learning_rate, global_step]) as scope:
        rate, dtype = _start(learning_rate, global_step)
        done = _completed(global_step, decay_steps, dtype)
        cosine = _waves(done, num_periods)
        return apply("Mul", rate, (alpha + (1.0 - done)) * cosine + beta, name=scope)


def _waves(done: Any, num_periods: float) -> Any:
    return 0.5 * (1.0 + apply("Cos", done * (2.0 * math.pi * num_periods)))


@export("train.noisy_linear_cosine_decay")
def noisy_linear_cosine_decay(
    learning_rate: Any,
    global_step: Any,
    decay_steps: Any,
    initial_variance: float = 1.0,
    variance_decay: float = 0.55,
    num_periods: float = 0.5,
    alpha: float = 0.0,
    beta: float = 0.001,
    name: str | None = None,
) -> Any:
    """`linear_cosine_decay` with normal noise on its line, of a variance that decays."""
    from anode.frontends.tensorflow.api.random_ops import random_normal

    with name_scope(name, "NoisyLinearCosineDecay", [learning_rate, global_step]) as scope:
        rate, dtype = _start(learning_rate, global_step)
        steps = apply("Minimum", _cast(global_step, dtype), _cast(decay_steps, dtype))
        done = steps / _cast(decay_steps, dtype)
        variance = initial_variance / apply("Pow", 1.0 + steps, constant(variance_decay, dtype))
        noise = random_normal([], dtype=dtype) * apply("Sqrt", variance)
        line = (1.0 - done) + noise
        return apply("Mul", rate, (alpha + line) * _waves(done, num_periods) + beta, name=scope)

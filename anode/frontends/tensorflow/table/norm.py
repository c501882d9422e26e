"""Normalisation: of channels by a batch's or given statistics, and by neighbouring channels."""

from __future__ import annotations

from typing import Any

from anode import ops
from anode.frontends.tensorflow.opdef import REQUIRED, op
from anode.frontends.tensorflow.table.nn import channel_axis
from anode.ir.dims import product
from anode.ir.node import Node

_BATCH_NORM: dict[str, Any] = {"epsilon": 1e-4, "data_format": "NHWC", "is_training": True}


def _fused(
    x: Node,
    scale: Node,
    offset: Node,
    mean: Node,
    variance: Node,
    *,
    epsilon: float,
    data_format: str,
    is_training: bool,
) -> tuple[Node, ...]:
    """The result, the statistics (of a batch Bessel's), and those that the gradient needs."""
    axis = channel_axis(data_format, len(x.shape))
    if not is_training:
        y = ops.batch_norm_inference(x, scale, offset, mean, variance, axis=axis, epsilon=epsilon)
        return y, mean, variance, mean, variance
    y, mean, variance = ops.batch_norm_training(x, scale, offset, axis=axis, epsilon=epsilon).items
    count = int(product(tuple([n for i, n in enumerate(x.shape) if i != axis])))
    unbiased = variance * (count / max(count - 1, 1))
    return y, mean, unbiased, mean, variance


@op("FusedBatchNorm", "x:T scale:T offset:T mean:T variance:T -> T T T T T", **_BATCH_NORM)
def _(*args: Node, **attrs: Any) -> tuple[Node, ...]:
    return _fused(*args, **attrs)


@op("FusedBatchNormV2", "x:T scale:U offset:U mean:U variance:U -> T U U U U", **_BATCH_NORM)
def _(*args: Node, **attrs: Any) -> tuple[Node, ...]:
    return _fused(*args, **attrs)


@op("FusedBatchNormV3", "x:T scale:U offset:U mean:U variance:U -> T U U U U U", **_BATCH_NORM)
def _(*args: Node, **attrs: Any) -> tuple[Node, ...]:
    return *_fused(*args, **attrs), ops.zeros((0,), args[1].dtype)


@op(
    "BatchNormWithGlobalNormalization",
    "t:T m:T v:T beta:T gamma:T -> T",
    shape="same",
    variance_epsilon=REQUIRED,
    scale_after_normalization=REQUIRED,
)
def _(
    t: Node,
    m: Node,
    v: Node,
    beta: Node,
    gamma: Node,
    *,
    variance_epsilon: float,
    scale_after_normalization: bool,
) -> Node:
    scale = gamma if scale_after_normalization else ops.ones_like(gamma)
    return ops.batch_norm_inference(
        t, scale, beta, m, v, axis=len(t.shape) - 1, epsilon=variance_epsilon
    )


LRN: dict[str, Any] = {"depth_radius": 5, "bias": 1.0, "alpha": 1.0, "beta": 0.5}


def neighbourhood(depth_radius: int, bias: float, alpha: float, beta: float) -> dict[str, Any]:
    """anode's attributes of a normalisation by neighbours; its alpha is for their mean."""
    size = 2 * depth_radius + 1
    return {"size": size, "alpha": alpha * size, "beta": beta, "k": bias}


@op("LRN", "input:T -> T", shape="same", **LRN)
def _(x: Node, **attrs: Any) -> Node:
    return ops.local_response_norm(x, **neighbourhood(**attrs))

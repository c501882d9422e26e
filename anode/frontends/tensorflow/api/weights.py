"""Weights of elements: which shapes they may have, and how they are spread over the elements."""

from __future__ import annotations

from typing import Any

from anode.frontends.tensorflow.api import array_ops, math_ops
from anode.frontends.tensorflow.graph import (
    Tensor,
    convert_to_tensor,
    name_scope,
)


def check_broadcastable(weights: Tensor, values: Tensor) -> None:
    """Weights are a scalar, or have the rank of `values` and in each dim its size or 1."""
    given, wanted = weights.shape, values.shape
    if given.ndims in (None, 0) or wanted.ndims is None:
        return
    problem = (
        f"weights can not be broadcast to values. values.shape={wanted}. weights.shape={given}."
    )
    if given.ndims != wanted.ndims:
        raise ValueError(f"{problem} values.rank={wanted.ndims}. weights.rank={given.ndims}.")
    pairs = zip(given.as_list(), wanted.as_list(), strict=True)
    for axis, (own, size) in enumerate(pairs):
        if own not in (1, None, size) and size is not None:
            raise ValueError(f"Mismatch at dim {axis}. {problem}")


def broadcast_weights(weights: Any, values: Any) -> Tensor:
    """Weights repeated to the shape of `values`."""
    with name_scope(None, "broadcast_weights", (weights, values)) as scope:
        values = convert_to_tensor(values, name="values")
        weights = convert_to_tensor(weights, dtype=values.dtype.base_dtype, name="weights")
        known = weights.shape.is_fully_defined() and values.shape.is_fully_defined()
        if known and weights.shape.is_compatible_with(values.shape):
            return weights
        check_broadcastable(weights, values)
        result: Tensor = math_ops.multiply(weights, array_ops.ones_like(values), name=scope)
        return result


def squeezed(labels: Any, predictions: Any, expected_rank_diff: int = 0) -> tuple[Tensor, Tensor]:
    """Labels and predictions without a last dim of 1 that one of them has too many.

    `expected_rank_diff` is how many dims more predictions have than labels.
    """
    predictions = convert_to_tensor(predictions)
    labels = convert_to_tensor(labels)
    if predictions.shape.ndims is None or labels.shape.ndims is None:
        return labels, predictions
    with name_scope(None, "remove_squeezable_dimensions", [labels, predictions]):
        excess = predictions.shape.ndims - labels.shape.ndims - expected_rank_diff
        if excess == 1 and predictions.shape.as_list()[-1] in (1, None):
            predictions = array_ops.squeeze(predictions, [-1])
        elif excess == -1 and labels.shape.as_list()[-1] in (1, None):
            labels = array_ops.squeeze(labels, [-1])
    return labels, predictions


def fitted(weights: Any, predictions: Tensor) -> Tensor:
    """Weights with the rank of predictions: a last dim of 1 too many is dropped, one added."""
    weights = convert_to_tensor(weights)
    rank, own = predictions.shape.ndims, weights.shape.ndims
    if own in (None, 0) or rank is None:
        return weights
    if own - rank == 1 and weights.shape.as_list()[-1] in (1, None):
        return array_ops.squeeze(weights, [-1])
    return array_ops.expand_dims(weights, [-1]) if rank - own == 1 else weights

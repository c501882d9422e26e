"""Costs: what training makes small, one number for each row, and its mean over the batch.

Targets have the output's shape or, for classes, are integer labels without its last dim. A cost
that knows the activation before it takes the activation's input, so that it stays finite.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from anode import ops
from anode.errors import ShapeError, UnsupportedOp
from anode.frontends.layers.activations import Logistic, Softmax
from anode.frontends.layers.structure import Nodes
from anode.ir.node import Node
from anode.ops.precision import as_dtype

LEAST = math.exp(-50)  # neon's safelog takes no smaller argument


@dataclass(frozen=True)
class Prediction:
    """A model's output and, where its last layer is an activation, that and its input.

    `heads` are the outputs of a tree's other branches, which only training has. `lengths` are
    those of sequences, where the data gave them.
    """

    value: Node
    activation: Callable[[Node], Node] | None = None
    logits: Node | None = None
    heads: tuple[Prediction, ...] = ()
    lengths: Node | None = None
    ragged: bool = False

    @property
    def outputs(self) -> list[Node]:
        """The value, and those of the heads."""
        return [self.value, *(node for head in self.heads for node in head.outputs)]

    @property
    def wide(self) -> Prediction:
        """The same with half types as f32, which costs and metrics are computed in."""
        logits = None if self.logits is None else as_dtype(self.logits, self.logits.dtype.compute)
        return replace(
            self,
            value=as_dtype(self.value, self.value.dtype.compute),
            logits=logits,
            heads=tuple(head.wide for head in self.heads),
        )


class Cost:
    """A cost. A subclass has `__call__`, from outputs and targets to one number for each row."""

    def __call__(self, y: Node, t: Node) -> Node:
        """The cost f32[batch] of the outputs `y`, where `t` has the type of `y`."""
        raise NotImplementedError

    def fused(self, prediction: Prediction, t: Node) -> Node | None:
        """The same from the last activation's input; None where it has no form for it."""
        return None

    def rows(self, prediction: Prediction, t: Nodes) -> Node:
        """The cost of each row for targets of any accepted form."""
        t = one(self, t)
        fused = self.fused(prediction, t)
        return self(prediction.value, dense(prediction.value, t)) if fused is None else fused


@dataclass(frozen=True)
class CrossEntropyBinary(Cost):
    """Σ −t · log y − (1 − t) · log(1 − y); after Logistic, computed from the logits."""

    def __call__(self, y: Node, t: Node) -> Node:
        return per_row(-t * safelog(y) - (1.0 - t) * safelog(1.0 - y))

    def fused(self, prediction: Prediction, t: Node) -> Node | None:
        if not isinstance(prediction.activation, Logistic) or prediction.logits is None:
            return None
        logits = prediction.logits
        return per_row(ops.sigmoid_cross_entropy(logits, dense(logits, t)))


@dataclass(frozen=True)
class CrossEntropyMulti(Cost):
    """−Σ t · log y, in bits with `usebits`; after Softmax, computed from the logits."""

    usebits: bool = False

    def __call__(self, y: Node, t: Node) -> Node:
        return self._scaled(per_row(-t * safelog(y)))

    def fused(self, prediction: Prediction, t: Node) -> Node | None:
        activation, logits = prediction.activation, prediction.logits
        if not isinstance(activation, Softmax) or logits is None:
            return None
        axis = activation.axis % len(logits.shape)
        if is_labels(logits, t) and axis == len(logits.shape) - 1:
            found = ops.sparse_softmax_cross_entropy(logits, labels(logits, t))
        else:
            found = ops.softmax_cross_entropy(logits, dense(logits, t), axis=axis)
        return self._scaled(per_row(found))

    def _scaled(self, rows: Node) -> Node:
        return rows * (1 / math.log(2)) if self.usebits else rows


@dataclass(frozen=True)
class SumSquared(Cost):
    """½ Σ (y − t)²."""

    def __call__(self, y: Node, t: Node) -> Node:
        return per_row(ops.square(y - t)) * 0.5


@dataclass(frozen=True)
class MeanSquared(Cost):
    """½ mean (y − t)²."""

    def __call__(self, y: Node, t: Node) -> Node:
        return row_mean(ops.square(y - t)) * 0.5


@dataclass(frozen=True)
class SmoothL1(Cost):
    """Σ ½ (σ·d)² where |d| < 1/σ², else |d| − ½/σ², with d = y − t. Source: Girshick 2015."""

    sigma: float = 1.0

    def __call__(self, y: Node, t: Node) -> Node:
        squared, distance = self.sigma**2, abs(y - t)
        inside = ops.less(distance, 1 / squared)
        quadratic = ops.square(y - t) * (0.5 * squared)
        return per_row(ops.select(inside, quadratic, distance - 0.5 / squared))


@dataclass(frozen=True)
class SquareHinge(Cost):
    """mean max(margin − t·y, 0)² for targets 0 and 1, which count as t = −1 and 1."""

    margin: float = 1.0

    def __call__(self, y: Node, t: Node) -> Node:
        signed = t * 2.0 - 1.0
        return row_mean(ops.square(ops.maximum(float(self.margin) - signed * y, 0.0)))


@dataclass(frozen=True)
class Multicost(Cost):
    """Σ weight · cost over the branches of a tree.

    They have the same targets, or a tuple has those of each. Without weights each is 1. Of a
    SingleOutputTree inference has the first branch only, and only its cost counts.
    """

    costs: Sequence[Cost]
    weights: Sequence[float] | None = None

    def __post_init__(self) -> None:
        for name, values in (("costs", self.costs), ("weights", self.weights)):
            object.__setattr__(self, name, values and tuple(values))  # lists have no hash
        if self.weights is not None and len(self.weights) != len(self.costs):
            raise ShapeError(f"Multicost: {len(self.costs)} costs, {len(self.weights)} weights")

    def rows(self, prediction: Prediction, t: Nodes) -> Node:
        branches = (prediction, *prediction.heads)
        if prediction.heads and len(branches) != len(self.costs):
            raise ShapeError(f"Multicost: {len(self.costs)} costs, {len(branches)} branches")
        weights = self.weights or (1.0,) * len(self.costs)
        each = t if isinstance(t, tuple) and len(t) == len(self.costs) else (t,) * len(self.costs)
        total, *others = (
            cost.rows(branch, targets) * float(weight)
            for cost, weight, branch, targets in zip(
                self.costs, weights, branches, each, strict=False
            )
        )
        for other in others:
            total = total + other
        return total


@dataclass(frozen=True)
class CostMask(Cost):
    """A cost times weights: targets are a pair of arrays (t, weights).

    Weights [batch] are of rows, [batch, steps] of steps, whose costs then add up. Of the output's
    own shape they are a mask, 0 or 1: where it is 0, output and target count as 0.
    """

    cost: Cost

    def rows(self, prediction: Prediction, t: Nodes) -> Node:
        if not isinstance(t, tuple) or len(t) != 2:
            raise ShapeError("CostMask takes targets (t, weights), a tuple of two arrays")
        y, (wanted, weights) = prediction.value, t
        weights = ops.convert(weights, dtype=y.dtype)
        if weights.shape == y.shape:
            return self.cost.rows(Prediction(y * weights), dense(y, wanted) * weights)
        kept = len(weights.shape)
        if not 0 < kept < len(y.shape) or weights.shape != y.shape[:kept]:
            raise ShapeError(f"CostMask: weights {weights.type} do not fit the output {y.type}")
        logits = prediction.logits
        flat = replace(
            prediction,
            value=_joined(y, kept),
            logits=None if logits is None else _joined(logits, kept),
            heads=(),
        )
        rows = self.cost.rows(flat, _joined(wanted, kept))
        return per_row(ops.reshape(rows, shape=weights.shape) * weights)


@dataclass(frozen=True)
class GANCost:
    """The costs of a generative adversarial network, from the discriminator's scores [batch, 1].

    Scores are logits, of being real; with `func` "wasserstein" they are what they are. The
    discriminator makes `judging` small, the generator `fooling`: "modified" raises log D(fake),
    "original" lowers log(1 − D(fake)), "wasserstein" raises the score. Each is a mean over the
    batch, f32[].
    """

    func: str = "modified"

    def __post_init__(self) -> None:
        if self.func not in ("modified", "original", "wasserstein"):
            choices = "modified, original, wasserstein"
            raise UnsupportedOp(f"GANCost: there is no func {self.func!r}, only {choices}")

    def judging(self, real: Node, fake: Node) -> Node:
        """The discriminator's cost of its scores for real and for generated rows."""
        if self.func == "wasserstein":
            return ops.mean(fake) - ops.mean(real)
        return ops.mean(ops.softplus(fake)) + ops.mean(ops.softplus(-real))

    def fooling(self, fake: Node) -> Node:
        """The generator's cost of the discriminator's scores for what it made."""
        if self.func == "wasserstein":
            return -ops.mean(fake)
        if self.func == "original":
            return -ops.mean(ops.softplus(fake))
        return ops.mean(ops.softplus(-fake))


def _joined(x: Node, count: int) -> Node:
    """The first `count` dims as one."""
    sizes = x.tensor.static
    return ops.reshape(x, shape=(math.prod(sizes[:count]), *sizes[count:]))


def one(measure: object, t: Nodes) -> Node:
    """The targets of a measure that takes one array of them."""
    if isinstance(t, tuple):
        raise ShapeError(f"{type(measure).__name__} takes one array of targets, not {len(t)}")
    return t


def safelog(x: Node) -> Node:
    """log(max(x, e^−50)): finite for probabilities that have become zero."""
    return ops.log(ops.maximum(x, LEAST))


def per_row(x: Node) -> Node:
    """The sum over all dims but the batch."""
    return ops.sum(x, axis=tuple(range(1, len(x.shape)))) if len(x.shape) > 1 else x


def row_mean(x: Node) -> Node:
    """The mean over all dims but the batch."""
    return ops.mean(x, axis=tuple(range(1, len(x.shape)))) if len(x.shape) > 1 else x


def is_labels(y: Node, t: Node) -> bool:
    """Whether `t` holds the index of a class for each row of `y`, not a value for each element."""
    return t.dtype.is_integer and t.shape in (y.shape[:-1], (*y.shape[:-1], 1)) and y.shape[-1] != 1


def labels(y: Node, t: Node) -> Node:
    """The targets as indices, of 32 bits or more, of classes, the last dim of `y`."""
    if not is_labels(y, t):
        return ops.argmax(dense(y, t), axis=len(y.shape) - 1)
    found = ops.reshape(t, shape=y.shape[:-1])
    return found if t.dtype.bits >= 32 else ops.convert(found, dtype="i32")


def dense(y: Node, t: Node) -> Node:
    """The targets as values of the type of `y`; labels become one-hot rows."""
    if is_labels(y, t):
        return ops.one_hot(labels(y, t), depth=y.shape[-1], dtype=y.dtype)
    if t.shape != y.shape:
        if t.shape != y.shape[:-1] or y.shape[-1] != 1:
            raise ShapeError(f"targets {t.type} do not fit the output {y.type}")
        t = ops.reshape(t, shape=y.shape)
    return ops.convert(t, dtype=y.dtype)

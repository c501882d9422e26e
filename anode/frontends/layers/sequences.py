"""Sequences: from tokens to vectors, from steps to one value, and measures that know padding.

A sequence is (batch, steps, features). Layers after a recurrent one, a LookupTable or a Masking
know it as such, and so they do where the data give lengths: `Linear` and `Affine` work at each
step, and what is masked stays masked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from anode import ops
from anode.errors import ShapeError
from anode.frontends.layers.costs import Cost, Prediction, labels, one
from anode.frontends.layers.initializers import Gaussian
from anode.frontends.layers.layers import Layer
from anode.frontends.layers.masks import masked, spread
from anode.frontends.layers.metrics import Metric
from anode.frontends.layers.structure import Nodes
from anode.ir.node import Node
from anode.ops.recurrent import length_mask


class LookupTable(Layer):
    """The row of a table for each token: integers (batch, steps) to (batch, steps, embedding_dim).

    Steps whose token is `pad_idx` give zeros, do not train their row, and are masked for the layers
    after this one. Without `update` the table stays as `init` made it. Tokens outside of the table
    count as the nearest one inside.
    """

    def __init__(
        self,
        vocab_size: int,
        embedding_dim: int,
        init: Any = None,
        *,
        update: bool = True,
        pad_idx: int | None = None,
        name: str | None = None,
    ) -> None:
        self.shape, self.update_table, self.pad_idx = (vocab_size, embedding_dim), update, pad_idx
        self.init = Gaussian(scale=0.1) if init is None else init
        self.name = name

    def build(self, x: Node) -> Node:
        if not x.dtype.is_integer or len(x.shape) != 2:
            raise ShapeError(f"LookupTable takes integers (batch, steps), not {x.type}")
        x = x if x.dtype.bits >= 32 else ops.convert(x, dtype="i32")
        table = self.variable("table", self.shape, self.init, trainable=self.update_table)
        y, mask = ops.embedding(table, x), self._scope.sequences.get(x)
        if self.pad_idx is not None:
            mask = ops.not_equal(x, self.pad_idx)
            y = masked(y, mask)
        self._scope.sequences[y] = mask
        return y


class OneHot(Layer):
    """Rows with a single 1 for tokens: integers (…) to (…, depth), 0 everywhere for those outside.

    Of tokens (batch, steps) the result is a sequence. A weight's product with such rows is compiled
    as a look-up, and its gradient as a sum by token.
    """

    def __init__(self, depth: int, name: str | None = None) -> None:
        self.depth, self.name = depth, name

    def build(self, x: Node) -> Node:
        if not x.dtype.is_integer:
            raise ShapeError(f"OneHot takes integers, not {x.type}")
        y = ops.one_hot(x, depth=self.depth)
        if len(x.shape) == 2:
            self._scope.sequences[y] = self._scope.sequences.get(x)
        return y


class Masking(Layer):
    """Its input as a sequence, in which steps whose features all equal `value` are masked.

    With None no step is.
    """

    def __init__(self, value: float | None = 0.0, name: str | None = None) -> None:
        self.value, self.name = value, name

    def build(self, x: Node) -> Node:
        if len(x.shape) < 3:
            raise ShapeError(f"Masking takes (batch, steps, features), not {x.type}")
        mask = self._scope.sequences.get(x)
        if self.value is not None:
            mask = ops.any(ops.not_equal(x, self.value), axis=tuple(range(2, len(x.shape))))
        self._scope.sequences[x] = mask
        return x


class RecurrentSum(Layer):
    """The sum over the steps that are not masked: (batch, steps, n) to (batch, n)."""

    def __init__(self, name: str | None = None) -> None:
        self.name = name

    def build(self, x: Node) -> Node:
        return ops.sum(masked(x, self._mask(x)), axis=1)

    def _mask(self, x: Node) -> Node | None:
        if len(x.shape) < 3:
            raise ShapeError(f"{type(self).__name__} takes (batch, steps, features), not {x.type}")
        return self._scope.sequences.get(x)


class RecurrentMean(RecurrentSum):
    """The mean over the steps that are not masked; 0 where all are."""

    def build(self, x: Node) -> Node:
        mask = self._mask(x)
        if mask is None:
            return ops.mean(x, axis=1)
        count = ops.maximum(ops.sum(ops.convert(mask, dtype=x.dtype), axis=1), 1.0)
        total = ops.sum(masked(x, mask), axis=1)
        return total / spread(count, total)


class RecurrentLast(RecurrentSum):
    """The last step that is not masked; 0 where all are."""

    def build(self, x: Node) -> Node:
        mask = self._mask(x)
        steps = x.tensor.static[1]
        if mask is None:
            return ops.getitem(x, (slice(None), steps - 1))
        step = ops.iota(shape=mask.shape, dtype="i32", axis=1)
        last = ops.max(ops.select(mask, step, ops.full(mask.shape, -1, "i32")), axis=1)
        return ops.sum(masked(x, ops.equal(step, spread(last, step))), axis=1)


@dataclass(frozen=True)
class PerStep(Cost):
    """A cost of each step, summed over the steps of a row, or with `mean` over all that count.

    Targets are tokens (batch, steps), or values with a dim of features. Steps whose token is
    `pad_idx` do not count, without it those beyond the sequence's length. With `mean` the cost of
    a row is scaled so that the mean over the batch is the mean over the steps that count.
    """

    cost: Cost
    pad_idx: int | None = None
    mean: bool = False

    def rows(self, prediction: Prediction, t: Nodes) -> Node:
        t = one(self, t)
        batch, steps = prediction.value.tensor.static[:2]
        flat = Prediction(
            _joined(prediction.value),
            prediction.activation,
            None if prediction.logits is None else _joined(prediction.logits),
        )
        cost = ops.reshape(self.cost.rows(flat, _joined(t)), shape=(batch, steps))
        counted = _counted(t, self.pad_idx, (batch, steps))
        if self.pad_idx is None and prediction.lengths is not None:
            counted = ops.transpose(length_mask(prediction.lengths, steps))
        counts = ops.convert(counted, dtype=cost.dtype)
        found = ops.sum(cost * counts, axis=1)
        if not self.mean:
            return found
        each = ops.maximum(ops.sum(counts), 1.0) / float(batch)
        return found / ops.broadcast_to(each, found.shape)


@dataclass(frozen=True)
class StepAccuracy(Metric):
    """The share of steps, but those whose target is `pad_idx`, where the likeliest is right."""

    pad_idx: int | None = None

    def sums(self, y: Node, t: Node) -> Node:
        right, counted = _right(y, t, self.pad_idx)
        totals = [ops.sum(ops.convert(x, dtype="f32")) for x in (ops.and_(right, counted), counted)]
        return ops.stack(totals)

    def combine(self, sums: np.ndarray, rows: int) -> np.ndarray:
        return np.array([sums[0] / max(sums[1], 1)])


@dataclass(frozen=True)
class ExactMatch(Metric):
    """The share of rows that are right at every step, but those whose target is `pad_idx`."""

    pad_idx: int | None = None

    def sums(self, y: Node, t: Node) -> Node:
        right, counted = _right(y, t, self.pad_idx)
        whole = ops.all(ops.or_(right, ops.not_(counted)), axis=1)
        return ops.reshape(ops.sum(ops.convert(whole, dtype="f32")), shape=(1,))


def _right(y: Node, t: Node, pad_idx: int | None) -> tuple[Node, Node]:
    """Whether each step's token is the target's, and whether it counts; `y` may be tokens."""
    if y.dtype.is_integer:
        wanted = ops.convert(t, dtype=y.dtype)
    else:
        wanted = labels(y, t)
        y = ops.argmax(y, axis=len(y.shape) - 1, dtype=wanted.dtype)
    if y.shape != wanted.shape:
        raise ShapeError(f"targets {t.type} do not fit the output {y.type}")
    return ops.equal(y, wanted), _counted(t, pad_idx, y.tensor.static)


def _counted(t: Node, pad_idx: int | None, shape: tuple[int, ...]) -> Node:
    if pad_idx is None:
        return ops.full(shape, True, "bool")
    if t.shape != shape or not t.dtype.is_integer:
        raise ShapeError(f"pad_idx={pad_idx}: targets are tokens {list(shape)}, not {t.type}")
    return ops.not_equal(t, pad_idx)


def _joined(x: Node) -> Node:
    """Batch and steps as one dim."""
    batch, steps, *rest = x.tensor.static
    return ops.reshape(x, shape=(batch * steps, *rest))

"""Sequences of labels without the times at which they occur: a cost and a metric."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from anode import ops
from anode.data.transcripts import edit_distance
from anode.errors import ShapeError
from anode.frontends.layers.activations import Softmax
from anode.frontends.layers.costs import Cost, Prediction
from anode.frontends.layers.metrics import Metric
from anode.frontends.layers.structure import Nodes
from anode.ir.dtypes import i32
from anode.ir.node import Node
from anode.ops.precision import as_dtype
from anode.ops.recurrent import length_mask

PADDING = -1


@dataclass(frozen=True)
class CTC(Cost):
    """−log of the probability of the labels, whenever they occur in a sequence of outputs.

    Outputs are scores (batch, steps, classes) before any softmax, of which class `blank` stands for
    no label; where the data gave lengths, only so many steps count. Targets are a pair: labels
    (batch, most), padded with anything, and their lengths (batch). A row with too few steps for its
    labels costs infinity, or with `zero_infinity` nothing; it does not train either way. Source:
    Graves et al. 2006.
    """

    blank: int = 0
    zero_infinity: bool = False

    def rows(self, prediction: Prediction, t: Nodes) -> Node:
        labels, lengths = _targets(t)
        scores, times = _scores(prediction)
        found = ops.ctc_loss(scores, labels, times, lengths, blank=self.blank)
        if self.zero_infinity:
            found = ops.select(ops.is_finite(found), found, ops.zeros_like(found))
        return found


@dataclass(frozen=True)
class LabelErrorRate(Metric):
    """Edit distances between the likeliest classes' labels and the targets, over all their labels.

    Outputs and targets are those of `CTC`; `name` may be "DigitErrorRate".
    """

    blank: int = 0
    name: str = "LabelErrorRate"

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name,)

    def measured(self, prediction: Prediction, t: Nodes) -> Node:
        """i32[2, batch, …]: the labels heard and those of the targets, padded with PADDING."""
        scores, times = _scores(prediction)
        steps, batch, classes = scores.tensor.static
        path = ops.argmax(scores, axis=2, dtype="i32")
        before = ops.concatenate(ops.full((1, batch), classes, "i32"), path[:-1], axis=0)
        said = ops.not_equal(path, before) & ops.not_equal(path, self.blank)
        heard = ops.transpose(ops.select(said & length_mask(times, steps), path, PADDING))
        labels, lengths = _targets(t)
        counts = ops.transpose(length_mask(lengths, labels.tensor.static[1]))
        wanted = ops.select(counts, labels, PADDING)
        return ops.stack(_same_width(heard, wanted))

    def count(self, value: np.ndarray) -> np.ndarray:
        """The edits that make the targets of what was heard, and the labels of the targets."""
        heard, wanted = (
            [self.units(row[row != PADDING].tolist()) for row in table] for table in value
        )
        edits = sum(map(edit_distance, wanted, heard))
        return np.array([edits, sum(map(len, wanted))])

    def combine(self, sums: np.ndarray, rows: int) -> np.ndarray:
        return sums[:1] / max(sums[1], 1)

    def units(self, labels: list[int]) -> list[Any]:
        """What is compared: the labels themselves."""
        return labels


@dataclass(frozen=True)
class WordErrorRate(LabelErrorRate):
    """LabelErrorRate of words, which are the labels between those that are `separator`."""

    name: str = "WordErrorRate"
    separator: int = 1

    def units(self, labels: list[int]) -> list[Any]:
        """The words, as tuples of labels."""
        groups = groupby(labels, key=lambda label: label == self.separator)
        return [tuple(word) for between, word in groups if not between]


def _targets(t: Nodes) -> tuple[Node, Node]:
    if not isinstance(t, tuple) or len(t) != 2:
        raise ShapeError("CTC takes a pair of targets: labels [batch, most], and their lengths")
    return as_dtype(t[0], i32), as_dtype(t[1], i32)


def _scores(prediction: Prediction) -> tuple[Node, Node]:
    """The outputs, time-major, and how many steps of each sequence count."""
    y = prediction.value
    if len(y.shape) != 3:
        raise ShapeError(f"CTC takes outputs (batch, steps, classes), not {y.type}")
    if isinstance(prediction.activation, Softmax):
        raise ShapeError("CTC takes scores, of which it takes the softmax: leave out Softmax")
    times = prediction.lengths
    if times is None and prediction.ragged:
        raise ShapeError(
            "CTC does not know the lengths of the outputs: a layer changed the number of steps "
            "without set_lengths"
        )
    batch, steps, _ = y.tensor.static
    return ops.moveaxis(y, 1, 0), ops.full((batch,), steps, "i32") if times is None else times


def _same_width(*tables: Node) -> list[Node]:
    width = max(table.tensor.static[1] for table in tables)
    return [
        ops.concatenate(t, ops.full((t.shape[0], width - int(t.shape[1])), PADDING, "i32"), axis=1)
        for t in tables
    ]

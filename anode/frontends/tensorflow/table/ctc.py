"""Connectionist temporal classification: the loss and decoders."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np

from anode import ops
from anode.data import ctc
from anode.errors import UnsupportedOp
from anode.frontends.tensorflow.opdef import REQUIRED, host, op
from anode.ir.dtypes import i32
from anode.ir.node import Node
from anode.ops.precision import as_dtype
from anode.transform.grad import gradients

Array = np.ndarray


def _loss_shapes(op: Any) -> list[Any]:
    shape = op.inputs[0].shape
    return [[None] if shape.ndims is None else shape[1:2], shape]


@op(
    "CTCLoss",
    "inputs:T labels_indices:int64 labels_values:int32 sequence_length:int32 -> T T",
    shape=_loss_shapes,
    preprocess_collapse_repeated=False,
    ctc_merge_repeated=True,
    ignore_longer_outputs_than_inputs=False,
)
def _(
    logits: Node,
    places: Node,
    values: Node,
    times: Node,
    *,
    preprocess_collapse_repeated: bool,
    ctc_merge_repeated: bool,
    ignore_longer_outputs_than_inputs: bool,
) -> tuple[Node, Node]:
    """The loss of each sequence, infinite where its time is too short, and its gradient.

    TensorFlow stops there; with `ignore_longer_outputs_than_inputs` the loss of more labels than
    times is 0.
    """
    if preprocess_collapse_repeated:
        raise UnsupportedOp("CTCLoss: preprocess_collapse_repeated is not supported; use False")
    labels, lengths = _dense(places, values, logits)
    blank = int(logits.shape[2]) - 1
    loss = ops.ctc_loss(
        logits, labels, times, lengths, blank=blank, merge_repeated=ctc_merge_repeated
    )
    if ignore_longer_outputs_than_inputs:
        loss = ops.select(ops.greater(lengths, as_dtype(times, i32)), 0, loss)
    (gradient,) = gradients([loss], [logits], [ops.ones_like(loss)])
    return loss, gradient


def _dense(places: Node, values: Node, logits: Node) -> tuple[Node, Node]:
    """The labels of a sparse matrix as rows, and how many there are in each.

    More labels than times have no alignment, so that the rows need not hold them.
    """
    time, n, _ = (int(size) for size in logits.shape)
    count = int(values.shape[0])
    dims: dict[str, Any] = {
        "update_window_dims": (),
        "inserted_window_dims": (0, 1),
        "scatter_dims_to_operand_dims": (0, 1),
        "index_vector_dim": 1,
    }
    rows = ops.zeros((n, max(min(time, count), 1)), i32)
    lengths = ops.zeros((n,), i32)
    if count == 0:
        return rows, lengths
    labels = ops.scatter(rows, places, as_dtype(values, i32), body=ops.second(i32), **dims)
    ones = ops.ones((count,), i32)
    return labels, ops.add_along_axis(lengths, places[:, 0], ones, 0)


# decoders


def _sparse(rows: list[ctc.Labels]) -> tuple[Array, Array, Array]:
    """The indices, values and shape of rows of labels."""
    places = [(i, j) for i, row in enumerate(rows) for j in range(len(row))]
    values = [label for row in rows for label in row]
    shape = [len(rows), max(map(len, rows), default=0)]
    found = (np.array(v, np.int64) for v in (values, shape))
    return np.array(places, np.int64).reshape(-1, 2), *found  # type: ignore[return-value]


def _sparse_shapes(op: Any) -> list[Any]:
    paths = op._attrs.get("top_paths", 1)
    rows = op.inputs[0].shape.as_list()[1] if op.inputs[0].shape.ndims else None
    return [[None, 2]] * paths + [[None]] * paths + [[2]] * paths + [[rows, paths]]


@host(
    "CTCGreedyDecoder",
    "inputs:T sequence_length:int32 -> int64 int64 int64 T",
    shape=_sparse_shapes,
    merge_repeated=False,
)
def _(logits: Array, lengths: Array, *, merge_repeated: bool) -> tuple[Array, ...]:
    """The likeliest class at each time, and minus the sum of their logits."""
    blank = logits.shape[2] - 1
    rows: list[ctc.Labels] = []
    scores = []
    for i, length in enumerate(lengths):
        rows.append(ctc.greedy(logits[:length, i], blank, merge_repeated=merge_repeated))
        scores.append([-logits[:length, i].max(-1).sum()])
    return *_sparse(rows), np.array(scores, logits.dtype)


@host(
    "CTCBeamSearchDecoder",
    "inputs:T sequence_length:int32 -> top_paths*int64 top_paths*int64 top_paths*int64 T",
    shape=_sparse_shapes,
    beam_width=REQUIRED,
    top_paths=REQUIRED,
    merge_repeated=True,
)
def _(
    logits: Array, lengths: Array, *, beam_width: int, top_paths: int, merge_repeated: bool
) -> list[Array]:
    """The likeliest labellings that a search of `beam_width` prefixes finds, best first."""
    if top_paths > beam_width:
        raise UnsupportedOp(f"CTCBeamSearchDecoder: top_paths {top_paths} exceeds the beam width")
    paths: list[list[ctc.Labels]] = [[] for _ in range(top_paths)]
    scores = np.full((len(lengths), top_paths), -np.inf, logits.dtype)
    for i, length in enumerate(lengths):
        found = ctc.beam_search(logits[:length, i], beam_width, logits.shape[2] - 1)
        for rank in range(top_paths):
            prefix, score = found[rank] if rank < len(found) else ((), -np.inf)
            labels = tuple(k for k, _ in groupby(prefix)) if merge_repeated else prefix
            paths[rank].append(labels)
            scores[i, rank] = score
    parts = [_sparse(rows) for rows in paths]
    return [*[part[k] for k in range(3) for part in parts], scores]

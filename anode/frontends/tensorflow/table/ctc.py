"""Connectionist temporal classification: the loss and decoders."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np

from anode import ops
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


def _log_softmax(x: Array) -> Array:
    shifted = x.astype(np.float64) - x.max(-1, keepdims=True)
    normal: Array = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return normal


def _sparse(rows: list[list[int]]) -> tuple[Array, Array, Array]:
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
    blank, rows, scores = logits.shape[2] - 1, [], []
    for i, length in enumerate(lengths):
        best = logits[:length, i].argmax(-1).tolist()
        best = [k for k, _ in groupby(best)] if merge_repeated else best
        rows.append([k for k in best if k != blank])
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
    paths: list[list[list[int]]] = [[] for _ in range(top_paths)]
    scores = np.full((len(lengths), top_paths), -np.inf, logits.dtype)
    for i, length in enumerate(lengths):
        found = _beam(_log_softmax(logits[:length, i]), beam_width)[:top_paths]
        for rank in range(top_paths):
            prefix, score = found[rank] if rank < len(found) else ((), -np.inf)
            labels = [k for k, _ in groupby(prefix)] if merge_repeated else list(prefix)
            paths[rank].append(labels)
            scores[i, rank] = score
    parts = [_sparse(rows) for rows in paths]
    return [*[part[k] for k in range(3) for part in parts], scores]


Prefix = tuple[int, ...]


def _beam(log_p: Array, width: int) -> list[tuple[Prefix, float]]:
    """Prefixes with their log probabilities, the blank being the last class.

    Of each prefix the paths that end in a blank and those that end in its label are summed apart.
    """
    blank = log_p.shape[-1] - 1
    beams: dict[Prefix, tuple[float, float]] = {(): (0.0, -np.inf)}
    for row in log_p:
        grown: dict[Prefix, list[float]] = {}
        for prefix, (by_blank, by_label) in beams.items():
            total = np.logaddexp(by_blank, by_label)
            own = grown.setdefault(prefix, [-np.inf, -np.inf])
            own[0] = np.logaddexp(own[0], total + row[blank])
            if prefix:
                own[1] = np.logaddexp(own[1], by_label + row[prefix[-1]])
            for label in range(blank):
                before = by_blank if prefix and label == prefix[-1] else total
                longer = grown.setdefault((*prefix, label), [-np.inf, -np.inf])
                longer[1] = np.logaddexp(longer[1], before + row[label])
        best = sorted(grown.items(), key=lambda item: -np.logaddexp(item[1][0], item[1][1]))[:width]
        beams = {prefix: (ends[0], ends[1]) for prefix, ends in best}
    ranked = [(prefix, float(np.logaddexp(*ends))) for prefix, ends in beams.items()]
    return sorted(ranked, key=lambda item: -item[1])

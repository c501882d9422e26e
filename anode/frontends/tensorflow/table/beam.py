"""Beam search: following beams back to where they came from."""

from __future__ import annotations

from anode import ops
from anode.frontends.tensorflow.opdef import op
from anode.ir.node import Node


@op(
    "GatherTree",
    "step_ids:T parent_ids:T max_sequence_lengths:int32 end_token:T -> T",
    shape="same",
)
def _(step_ids: Node, parent_ids: Node, max_sequence_lengths: Node, end_token: Node) -> Node:
    steps, batch, width = step_ids.tensor.static
    times = ops.iota(shape=(steps,), dtype="i32", axis=0)
    lengths = ops.expand_dims(max_sequence_lengths, 1)

    def back(beams: Node, xs: tuple[Node, ...]) -> tuple[Node, Node]:
        ids, parents, time = xs
        running = ops.broadcast_to(time < lengths, (batch, width))
        found = ops.take_along_axis(ids, beams, axis=1)
        before = ops.take_along_axis(parents, beams, axis=1)
        return ops.select(running, before, beams), ops.select(running, found, end_token)

    own = ops.iota(shape=(batch, width), dtype=step_ids.dtype, axis=1)
    _, found = ops.scan(back, own, (step_ids, parent_ids, times), reverse=True)
    ends = ops.convert(ops.equal(found, end_token), dtype="i32")
    return ops.select(ops.cumsum(ends, 0) - ends > 0, end_token, found)

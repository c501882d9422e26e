"""Every op that has a frame computes the same with its dims in another order."""

from itertools import islice, permutations

import numpy as np
import pytest

from anode import ops
from anode.ir.graph import Graph, fresh_inputs
from anode.ir.node import INPUT
from anode.ir.types import tensor
from anode.ops.declare import Elementwise, widen
from anode.ops.evaluate import evaluate
from anode.passes import frames
from anode.passes.frames import Frame, arranged, frame_of, reordered_op
from tests.ops.test_registry import CALLS


def valid_orders(frame: Frame):
    """Orders of the frame in which what is fixed stays."""
    for order in permutations(range(frame.rank)):
        if all(order[f] == f for f in frame.fixed):
            yield order


def seen(call):
    op, sample, _ = call
    (output, *_) = sample.graph(op).outputs
    node = output.args[0] if output.op.name == "item" else output
    plain = node.op is op and all(arg.op is INPUT for arg in node.args)
    return node if plain and (len(node.args) != 1 or not isinstance(op, Elementwise)) else None


FRAMED = [
    pytest.param(node, call[1].args, id=call[2])
    for call in CALLS
    if (node := seen(call)) is not None
    and (frame := frame_of(node)) is not None
    and 1 < frame.rank < 6
]


def test_every_rule_is_tested():
    tested = {param.values[0].op.name for param in FRAMED}
    assert set(frames._FRAMES) - {"read"} <= tested
    assert {"relu", "selu", "add", "select"} <= tested


@pytest.mark.parametrize(("node", "args"), FRAMED)
def test_ops_compute_the_same_in_every_order(node, args):
    frame = frame_of(node)
    wanted = evaluate(Graph.make([a.type for a in node.args], node.items), args)[0]
    for order in islice(valid_orders(frame), 24):
        operands = [arranged(dims, order) for dims in frame.operands]
        moved = [np.transpose(a, o) for a, o in zip(args, operands, strict=True)]
        pairs = zip(node.args, operands, strict=True)
        types = [tensor(x.dtype, *[x.shape[d] for d in o]) for x, o in pairs]
        inputs = Graph.make(types, []).inputs
        made = reordered_op(node, frame, order, inputs)
        found = evaluate(Graph.make(types, made.items), moved)[0]
        for dims, value, expected in zip(frame.results, found, wanted, strict=True):
            turned = np.transpose(expected, arranged(dims, order))
            assert value.shape == turned.shape
            rtol = 1e-2 if value.itemsize < 4 else 1e-5
            np.testing.assert_allclose(widen(value), widen(turned), rtol=rtol, atol=1e-6)


def test_an_order_is_lifted_to_the_frame():
    x, b = fresh_inputs(tensor("f32", 2, 3, 4, 5), tensor("f32"))
    reduction = ops.reduce(x, b, body=ops.monoid("add", x.dtype), axes=(0, 2))
    frame = frame_of(reduction)
    assert frame == Frame(4, ((0, 1, 2, 3), ()), ((1, 3),))
    assert frame.lift(frame.operands[0], (0, 2, 3, 1)) == (0, 2, 3, 1)
    assert frame.lift(frame.results[0], (1, 0)) == (0, 3, 2, 1)


def test_merged_dims_stay_together():
    (x,) = fresh_inputs(tensor("f32", 2, 6, 4, 5))
    frame = frame_of(ops.reshape(x, shape=(2, 3, 2, 4, 5)))
    assert frame == Frame(4, ((0, 1, 2, 3),), ((0, 1, 1, 2, 3),))
    assert frame.lift(frame.operands[0], (0, 2, 3, 1)) == (0, 2, 3, 1)
    assert arranged(frame.results[0], (0, 2, 3, 1)) == (0, 3, 4, 1, 2)
    flat = frame_of(ops.reshape(x, shape=(2, 120)))
    assert flat.lift(flat.operands[0], (0, 2, 3, 1)) is None
    assert flat.lift(flat.operands[0], (1, 2, 3, 0)) == (1, 0)


def test_dims_within_a_window_stay_in_place():
    (x,) = fresh_inputs(tensor("f32", 2, 6, 7, 3))
    frame = frame_of(ops.windows(x, axes=(1, 2), sizes=(2, 3)))
    assert frame.lift(frame.operands[0], (0, 3, 1, 2)) == (0, 5, 1, 3, 4, 2)
    assert frame.lift(frame.results[0], (0, 3, 1, 2, 4, 5)) is None


def test_some_ops_need_their_order():
    x, w = fresh_inputs(tensor("f32", 2, 6, 6, 3), tensor("f32", 3, 3, 3, 4))
    for node in (
        ops.convolution(x, w),
        ops.broadcast_in_dim(x, shape=(9, *x.shape), axes=(1, 2, 3, 4)),
        ops.sort(x, axis=1),
        x,
    ):
        assert frame_of(node) is None

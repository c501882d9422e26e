"""Offsets: sharing over time, in place, and the bounds of the peak."""

from anode import ops
from anode.ir.graph import close, fresh_inputs
from anode.ir.node import read
from anode.ir.types import tensor
from anode.ir.variable import Variable
from anode.program.memory import memory_report, timeline
from anode.program.plan import plan
from anode.program.schedule import schedule
from tests.program.check import check_plan
from tests.program.random_graphs import SQUARE, fused, random_graph


def planned(inputs, outputs, updates=()):
    program = plan(schedule(close(inputs, outputs, updates)))
    check_plan(program)
    return program


def test_a_chain_needs_one_buffer_in_place_and_two_otherwise():
    (x,) = fresh_inputs(SQUARE)
    for axes, expected in (((), 1), ((0,), 2)):
        y = x
        for i in range(10):
            y = fused(
                lambda y, i=i, axes=axes: (
                    ops.reverse(y, axes=axes) * (i + 1.0) if axes else y * (i + 1.0)
                ),
                y,
            )
        assert planned([x], [y]).arena == expected * 64


def test_an_operand_that_is_needed_later_is_not_overwritten():
    (x,) = fresh_inputs(SQUARE)
    y = fused(lambda x: x + 1.0, x)
    z = fused(lambda y: y * 2.0, y)
    assert planned([x], [fused(ops.subtract, z, y)]).arena == 128


def test_small_values_fill_the_gaps_of_large_ones():
    large, small = tensor("f32", 64, 64), tensor("f32", 64)
    x, r = fresh_inputs(large, small)
    y, s = x, r
    for _ in range(4):
        y = fused(lambda y, s: ops.reverse(y, axes=(0,)) + s, y, s)
        s = fused(lambda s: ops.reverse(s, axes=(0,)), s)
    report = memory_report(planned([x, r], [y, s]))
    assert report.lower_bound <= report.peak <= report.lower_bound * 17 // 16


def test_the_report_of_a_training_step():
    program = planned(*training_step(depth=20))
    report = memory_report(program)
    assert report.unshared > 1.5 * report.peak
    assert report.lower_bound <= report.peak <= report.lower_bound * 9 // 8
    assert len(report.by_step) == len(program.steps)
    assert max(report.by_step) == report.lower_bound
    assert str(report).startswith(f"peak {report.peak:,} bytes")


def training_step(depth):
    """A chain of layers, its gradients, and updates in place."""
    size = tensor("f32", 16, 16)
    (x,) = fresh_inputs(size)
    variables = [Variable(f"w{i}", size) for i in range(depth)]
    kept, h = [], x
    for variable in variables:
        kept.append(h)
        h = fused(lambda h, w: ops.tanh(h @ w), h, read(variable))
    ct, updates = h, []
    for variable, h in zip(reversed(variables), reversed(kept), strict=True):
        w = read(variable)
        updates.append(
            (variable, fused(lambda w, h, ct: w - 0.1 * (ops.transpose(h) @ ct), w, h, ct))
        )
        ct = fused(lambda ct, w, h: (ct @ ops.transpose(w)) * (1.0 - h * h), ct, w, h)
    return [x], [ct], updates[::-1]


def test_planning_twice_gives_the_same():
    for seed in range(5):
        graph = random_graph(seed)
        assert str(plan(schedule(graph))) == str(plan(schedule(graph)))


def test_values_without_elements_take_no_memory():
    (x,) = fresh_inputs(tensor("f32", 0, 4))
    assert planned([x], [fused(lambda y: y + 1.0, fused(lambda x: x * 2.0, x))]).arena == 0


def test_the_timeline_says_what_each_step_uses_and_what_waits():
    (x,) = fresh_inputs(SQUARE)
    y = fused(lambda x: x + 1.0, x)
    z = fused(lambda y: ops.reverse(y, axes=(0,)), y)
    w = fused(lambda z: z * 2.0, z)
    program = planned([x], [fused(ops.subtract, w, y)])
    first, _, third, last = timeline(program)
    assert [held.names for held in third.uses] == [("t3", "t4")]  # in place
    assert [held.names for held in third.waits] == [("t2",)]
    assert (third.used, third.waiting, third.live) == (64, 64, 128)
    assert (first.used, first.outside, last.outside) == (64, 64, 64)
    assert {held.names for held in last.uses} == {("t2",), ("t4",)}


def test_the_timeline_adds_up_to_the_report():
    program = planned(*training_step(depth=8))
    moments = timeline(program)
    assert tuple(moment.live for moment in moments) == memory_report(program).by_step
    assert [moment.step for moment in moments] == [step.name for step in program.steps]
    for i, moment in enumerate(moments):
        names = {program.buffers[b].name for b in program.steps[i].uses}
        assert all(names & set(held.names) for held in moment.uses)
        assert not any(names & set(held.names) for held in moment.waits)
        assert all(held.first <= i <= held.last for held in (*moment.uses, *moment.waits))

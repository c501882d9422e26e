"""Buffers, hazards and updates in place, one pattern at a time."""

import numpy as np
import pytest

from anode import ops
from anode.errors import GraphError
from anode.ir.graph import close, fresh_inputs, trace
from anode.ir.node import constant, make, read
from anode.ir.types import tensor
from anode.ir.variable import Variable
from anode.ops.control import COND
from anode.ops.reduce import sum as reduce_sum
from anode.program.plan import plan
from anode.program.schedule import schedule
from tests.program.random_graphs import SQUARE, fused
from tests.program.test_random_programs import check_graph

V, W, M = (Variable(name, SQUARE) for name in "vwm")


def scheduled(inputs, outputs, updates=()):
    """The program of a graph, after checking that it computes the graph's values."""
    graph = close(inputs, outputs, updates)
    check_graph(graph, 0)
    return schedule(graph)


def kinds(program):
    return [step.kind for step in program.steps]


def twice(x):
    return fused(lambda x: x + x, x)


def flipped(x):
    return fused(lambda x: ops.reverse(x, axes=(0,)), x)


def test_a_result_is_written_into_the_output():
    (x,) = fresh_inputs(SQUARE)
    program = scheduled([x], [twice(twice(x))])
    assert kinds(program) == ["loops", "loops"]
    assert program.steps[1].writes == program.outputs
    assert [b.kind for b in program.buffers] == ["input", "output", "temporary"]


def test_leaves_and_repeated_outputs_are_copied():
    (x,) = fresh_inputs(SQUARE)
    y, table = twice(x), constant(np.ones((4, 4), np.float32))
    program = scheduled([x], [y, y, x, table, read(V), constant(2.0)])
    assert sorted(kinds(program)) == ["copy"] * 5 + ["loops"]


def test_an_unused_input_has_a_buffer():
    x, y = fresh_inputs(SQUARE, SQUARE)
    assert len(scheduled([x, y], [twice(y)]).inputs) == 2


def test_an_update_is_written_in_place_after_the_other_readers():
    (x,) = fresh_inputs(SQUARE)
    v = read(V)
    new = fused(lambda v, x: v - 0.1 * x, v, x)
    program = scheduled([x], [flipped(v), fused(ops.multiply, flipped(x), v)], [(V, new)])
    update = program.steps[-1]
    assert "copy" not in kinds(program)
    assert update.writes == (program.updates[0][1],)
    assert len(update.after) == 2


def test_two_states_are_updated_in_place_by_one_kernel():
    (g,) = fresh_inputs(SQUARE)

    def momentum(v, m, g):
        m = 0.9 * m + g
        return v - 0.1 * m, m

    new_v, new_m = fused(momentum, read(V), read(M), g).items
    assert kinds(scheduled([g], [], [(V, new_v), (M, new_m)])) == ["loops"]


@pytest.mark.parametrize(
    "body",
    [
        lambda v, x: ops.transpose(v) - x,
        lambda v, x: v - ops.broadcast_in_dim(reduce_sum(v, 0), shape=(4, 4), axes=(1,)),
        lambda v, x: v @ x,
    ],
)
def test_an_update_that_reads_other_elements_is_copied_at_the_end(body):
    (x,) = fresh_inputs(SQUARE)
    program = scheduled([x], [], [(V, fused(body, read(V), x))])
    assert kinds(program) == ["loops", "copy"]


def test_an_update_whose_old_value_is_read_later_is_copied():
    (x,) = fresh_inputs(SQUARE)
    new = fused(ops.add, read(V), x)
    later = fused(ops.multiply, read(V), new)
    assert kinds(scheduled([x], [later], [(V, new)])) == ["loops", "loops", "copy"]


def test_variables_that_trade_values():
    assert kinds(scheduled([], [], [(V, read(W)), (W, read(V))])) == ["copy"] * 3
    crossed = [(V, flipped(read(W))), (W, flipped(read(V)))]
    assert sorted(kinds(scheduled([], [], crossed))) == ["copy", "loops", "loops"]


def test_chains_and_repeats_of_updates():
    (x,) = fresh_inputs(SQUARE)
    new = twice(x)
    assert kinds(scheduled([x], [], [(V, new), (W, new), (M, read(V))])).count("copy") == 2
    assert kinds(scheduled([x], [new], [(V, new)])) == ["loops", "copy"]
    assert kinds(scheduled([], [], [(V, read(V))])) == []


def test_gradients_die_at_once():
    (x,) = fresh_inputs(SQUARE)
    variables = [Variable(f"v{i}", SQUARE) for i in range(9)]
    gradients = [fused(lambda x, i=i: x * float(i), x) for i in range(9)]
    new = [
        fused(lambda g, v: v - ops.reverse(g, axes=(0,)), g, read(v))
        for g, v in zip(gradients, variables, strict=True)
    ]
    program = schedule(close([x], [], zip(variables, new, strict=True)))
    assert plan(program).arena <= 2 * 64


def test_sources_wait_for_their_users():
    """Values that depend on nothing, such as masks, are not made long before they are used."""
    (x,) = fresh_inputs(SQUARE)
    y = flipped(x)
    for tag in range(8):
        mask = fused(lambda x: ops.reverse(x, axes=(1,)), x, tag=tag)
        y = fused(lambda y, mask: ops.reverse(y * mask, axes=(0,)), y, mask)
    assert plan(schedule(close([x], [y]))).arena == 3 * 64


def test_scratch_is_planned():
    (x,) = fresh_inputs(SQUARE)
    graph = close([x], [flipped(flipped(x))])
    program = plan(schedule(graph, lambda node, programs: 100))
    assert program.arena == 64 + 128
    assert len({step.workspace for step in program.steps}) == 2


def test_control_flow_is_scheduled_inside():
    x, y = fresh_inputs(SQUARE, SQUARE)
    body = trace(lambda x: flipped(flipped(flipped(x))), SQUARE)
    other = trace(lambda x: x, SQUARE)
    flag = fused(lambda x: reduce_sum(x) > 0.0, x)
    node = COND(flag, y, branches=(other, body))
    program = scheduled([x, y], [twice(node)])
    step = next(step for step in program.steps if step.kind == "cond")
    assert [len(nested.steps) for nested in step.programs] == [1, 3]
    assert program.buffers[step.workspace].type == tensor("u8", 128)


def test_loops():
    def rows(carry, row):
        return fused(lambda c, r: c * 0.5 + r, carry, row), fused(lambda c, r: c - r, carry, row)

    x, n = fresh_inputs(SQUARE, tensor("i32"))
    carry, stacked = ops.scan(rows, ops.full((4,), 1.0), x)
    carry = fused(lambda c: c + 1.0, carry)
    total, _ = ops.while_loop(
        lambda c, i: fused(ops.less, i, constant(5)),
        lambda c, i: (fused(lambda c: ops.reverse(c, axes=(0,)) * 2.0, c), i + 1),
        (carry, n),
    )
    check_graph(close([x, n], [total, stacked]), 0)


def test_a_nested_graph_reads_no_variables():
    node = make(COND, (constant(True),), {"branches": (trace(lambda: read(V)),) * 2})
    with pytest.raises(GraphError, match="nested in cond has variables"):
        schedule(close([], [node]))


def test_the_text():
    (x,) = fresh_inputs(SQUARE)
    text = str(plan(scheduled([x], [flipped(flipped(x))])))
    assert text.startswith("program (2 steps, arena 64 bytes) {")
    assert "%2 t2 = temporary f32[4,4] at 0" in text
    assert "1: %1 = loops_1(%2) after 0" in text

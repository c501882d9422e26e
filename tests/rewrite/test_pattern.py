"""Patterns: variables, numbers, commuting ops, attributes, open operands; rules and their index."""

import pytest

from anode import ops
from anode.errors import GraphError, ShapeError, UnsupportedOp
from anode.ir.graph import fresh_inputs, trace
from anode.ir.node import constant
from anode.ir.types import tensor
from anode.rewrite.pattern import P, Rules, match, number, number_of, rule, var
from anode.rewrite.select import find

A, B = fresh_inputs(tensor("f32", 2, 3), tensor("f32", 2, 3))
x, y, c = var("x"), var("y"), number("c")


def test_a_repeated_variable_is_one_node():
    assert match(x * x, A * A) == {"x": A}
    assert match(x * x, A * B) is None
    assert match(P.select(P.less(x, y), x, y), ops.select(ops.less(A, B), A, B)) == {"x": A, "y": B}
    assert match(P.select(P.less(x, y), x, y), ops.select(ops.less(A, B), B, A)) is None


def test_commutative_ops_match_both_orders_at_every_level():
    pattern = (x + P.exp(y)) * P.exp(y)
    for sum_ in (A + ops.exp(B), ops.exp(B) + A):
        for node in (sum_ * ops.exp(B), ops.exp(B) * sum_):
            assert match(pattern, node) == {"x": A, "y": B}
    assert match(x - P.exp(y), ops.exp(B) - A) is None


@pytest.mark.parametrize("dtype", ["f64", "f32", "f16", "bf16", "i32", "u8"])
def test_numbers_are_constants_and_their_broadcasts(dtype):
    two = constant(2, dtype)
    (z,) = fresh_inputs(tensor(dtype, 4))
    for node in (z * 2, z * two, z * ops.full((4,), two)):
        assert match(x * 2, node) == {"x": z}
        assert match(x * 3, node) is None
        bound = match(x * c, node)
        assert bound is not None and number_of(bound["c"]) == 2
    assert match(x * 2, z * z) is None


def test_zero_of_either_sign_and_bools():
    assert match(x + 0, A + -0.0) == {"x": A}
    assert match(x * 1.5, A * 1) is None
    (p,) = fresh_inputs(tensor("bool"))
    assert match(x & True, p & constant(True)) == {"x": p}
    assert match(x * True, A * 1.0) is None
    assert match(x * 1, p * constant(True)) == {"x": p}


def test_predicates():
    big = number("c", lambda value: value > 10)
    assert match(x * big, A * 11.0) is not None
    assert match(x * big, A * 9.0) is None
    (m,) = fresh_inputs(tensor("f32"))
    assert match(P.exp(var("x", lambda node: not node.shape)), ops.exp(m)) == {"x": m}
    assert match(P.exp(var("x", lambda node: not node.shape)), ops.exp(A)) is None


def test_attributes_are_required_bound_or_left_alone():
    node = ops.transpose(A, permutation=(1, 0))
    assert match(P.transpose(x), node) == {"x": A}
    assert match(P.transpose(x, permutation=(1, 0)), node) == {"x": A}
    assert match(P.transpose(x, permutation=(0, 1)), node) is None
    assert match(P.transpose(x, permutation=var("order")), node) == {"x": A, "order": (1, 0)}


def test_open_operands_and_names():
    joined = ops.concatenate(A, B, A, B, axis=0)
    assert match(P.concatenate(x, y, ...), joined) == {"x": A, "y": B}
    assert match(P.concatenate(x, x, ...), joined) is None
    assert match(P.concatenate(x, y), joined) is None
    assert match(P.exp(P.concatenate(...).named("all")), ops.exp(joined)) == {"all": joined}


def test_a_pattern_that_cannot_match_is_refused():
    with pytest.raises(UnsupportedOp, match="multiply"):
        P.multipli(x, y)
    with pytest.raises(ShapeError, match="exp takes x"):
        P.exp(x, y)
    with pytest.raises(GraphError, match="no attribute order"):
        P.transpose(x, order=(1, 0))
    with pytest.raises(GraphError, match="neither a pattern nor a number"):
        P.exp("x")
    with pytest.raises(GraphError, match=r"the rule wrong: {'z'} not in a pattern"):

        @rule(P.exp(x))
        def wrong(z):
            return z


def test_number_of_needs_a_number():
    with pytest.raises(GraphError, match="no number"):
        number_of(A)


def test_only_rules_that_can_match_are_candidates():
    @rule(x * 1)
    def one(x):
        return x

    @rule(P.exp(P.log(x)), P.log(P.exp(x)))
    def inverse(x):
        return x

    rules = Rules(one, inverse)

    def candidates(node):
        return [found.name for _, found in rules.candidates(node)]

    assert candidates(A * B) == []
    assert candidates(ops.exp(A) * constant(1.0)) == ["one"]
    assert candidates(ops.exp(A)) == candidates(ops.exp(ops.exp(A))) == []
    assert candidates(ops.exp(ops.log(A))) == candidates(ops.log(ops.exp(A))) == ["inverse"]


def test_find():
    graph = trace(lambda a: (ops.exp(a) + ops.exp(-a)) * 2, tensor("f32"))
    assert [n.op.name for n in find(graph, P.exp(x))] == ["exp", "exp"]
    assert len(find(graph, P.exp(-x))) == 1
    assert find(graph, P.log(x)) == []

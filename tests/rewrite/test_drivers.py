"""The drivers: fixed points, coverings, what they record and what they refuse."""

import pytest

from anode import ops
from anode.errors import GraphError
from anode.ir.graph import trace
from anode.ir.node import Origin, at
from anode.ir.types import tensor
from anode.rewrite.drivers import cover, simplify
from anode.rewrite.pattern import P, Rules, number, rule, var
from anode.rewrite.trace import Trace, tracing

x, y, z, c = var("x"), var("y"), var("z"), number("c")
V = tensor("f32", 4)


@rule(P.exp(P.log(x)))
def inverse(x):
    """exp(log(x)) = x"""
    return x


@rule(P.sin(x))
def sine(x):
    """sin x written as a cosine"""
    return ops.cos(ops.exp(ops.log(x)) - 1.5)


@rule(x * y + z)
def fused(x, y, z):
    """x·y + z in one"""
    return ops.multiply_add(x, y, z)


@rule(x * y)
def product(node):
    """A product alone"""
    return "products stay"


def test_what_rules_make_is_rewritten_too():
    found = Trace("simplify")
    made = simplify(trace(ops.sin, V), Rules(inverse, sine), found)
    assert made is trace(lambda a: ops.cos(a - 1.5), V)
    assert [hit.rule for hit in found.hits] == ["sine", "inverse"]
    assert found.hits[0].note == "sin x written as a cosine"
    assert found.hits[1].after is made.inputs[0]


def test_updates_names_and_unchanged_graphs_stay():
    graph = trace(lambda a: (a + 1, a * 2), V)
    assert simplify(graph, Rules(inverse)) is graph
    assert cover(graph, Rules(inverse)) is graph


def test_deep_graphs_need_no_recursion():
    def deep(a):
        for _ in range(5000):
            a = ops.exp(ops.log(a) + 1)
        return ops.exp(ops.log(a))

    graph = trace(deep, tensor("f32"))
    assert len(simplify(graph, Rules(inverse)).nodes) == len(graph.nodes) - 2


def test_new_nodes_keep_the_line():
    with at(Origin(("train.py", 7))):
        graph = trace(lambda a: ops.sin(a * 0.125), V)
    (output,) = simplify(graph, Rules(sine)).outputs
    assert repr(output.origin) == repr(output.args[0].origin) == "train.py:7"


def test_a_rule_may_not_change_the_type():
    @rule(P.exp(x))
    def widened(x):
        return ops.convert(x, dtype="f64")

    for driver in (simplify, cover):
        with pytest.raises(GraphError, match="the rule widened makes"):
            driver(trace(ops.exp, V), Rules(widened))


def test_rules_that_undo_each_other_are_named():
    @rule(x - y)
    def there(x, y):
        return x + -y

    @rule(x + -y)
    def back(x, y):
        return x - y

    with pytest.raises(GraphError, match="undo each other: there, back"):
        simplify(trace(lambda a, b: ops.exp(a) - b, V, V), Rules(there, back))


def test_rules_that_grow_for_ever_are_named():
    @rule(P.abs(x))
    def grows(x):
        return ops.abs(ops.negate(x)) + 1

    with pytest.raises(GraphError, match=r"rewriting does not end.*grows"):
        simplify(trace(ops.abs, V), Rules(grows))


def test_a_rule_whose_result_holds_the_node_is_named():
    @rule(P.exp(x))
    def around(node):
        return node + 1

    for driver in (simplify, cover):
        with pytest.raises(GraphError, match="around"):
            driver(trace(ops.exp, V), Rules(around))


def test_cover_takes_the_largest_pattern_first():
    found = Trace("cover")
    graph = trace(lambda a, b: ops.exp(a * b + a), V, V)
    made = cover(graph, Rules(product, fused), found)
    assert made is trace(lambda a, b: ops.exp(ops.multiply_add(a, b, a)), V, V)
    assert [hit.rule for hit in found.hits] == ["fused"]
    assert not found.misses


def test_cover_leaves_what_others_use():
    found = Trace("cover")
    graph = trace(lambda a, b: (a * b + a, a * b), V, V)
    assert cover(graph, Rules(product, fused), found) is graph
    reasons = {(miss.rule, miss.reason) for miss in found.misses}
    assert ("fused", "<multiply f32[4]> is used elsewhere too") in reasons
    assert ("product", "products stay") in reasons


def test_cover_takes_each_node_once():
    graph = trace(lambda a, b: (a * b + a) * b + a, V, V)
    found = Trace("cover")
    made = cover(graph, Rules(fused), found)
    assert len(found.hits) == 2
    assert made is trace(lambda a, b: ops.multiply_add(ops.multiply_add(a, b, a), b, a), V, V)


def test_cover_does_not_look_at_what_a_rule_made():
    @rule(P.exp(x))
    def there(x):
        return ops.sin(x)

    @rule(P.sin(x))
    def back(x):
        return ops.exp(x)

    made = cover(trace(lambda a: (ops.exp(a), ops.sin(a)), V), Rules(there, back))
    assert made is trace(lambda a: (ops.sin(a), ops.exp(a)), V)


def test_traces_print_as_a_table():
    from anode.passes.pipeline import PIPELINE, optimize

    with tracing() as outer, tracing() as inner:
        optimize(trace(lambda a: ops.exp(a + 0), V))
    assert [t.name for t in inner] == [step.__name__ for step in PIPELINE]
    assert inner == outer
    assert "1 × plus_zero" in repr(inner)
    optimize(trace(lambda a: ops.exp(a - 0), V))
    assert inner == outer

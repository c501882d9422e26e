"""Graphs as elements: ops, families, types, dataflow, what is inside loops, and patterns."""

import pytest

from anode import ops
from anode.errors import GraphError
from anode.ir.graph import close, fresh_inputs, trace
from anode.ir.node import read
from anode.ir.op import registry
from anode.ir.types import tensor
from anode.ir.variable import Variable
from anode.ops.elements import FAMILIES, families, fits
from anode.rewrite.drivers import simplify
from anode.rewrite.pattern import P, Rules, rule, var

BIAS = Variable("conv/bias", tensor("f32"), None, trainable=False, collections=("weights",))


@pytest.fixture
def graph():
    x, w = fresh_inputs(
        tensor("f32", 2, 11, 13, 3), tensor("f32", 3, 3, 3, 4)
    )  # a shape of no other test
    y = ops.conv(x, w, data_format="NHWC", strides=(2, 2)) + read(BIAS)
    y = ops.fori_loop(0, 3, lambda i, c: ops.tanh(c), ops.relu(y))
    values, _ = ops.top_k(ops.sum(y, axis=(1, 2)), k=1).items
    return close((x, w), [ops.softmax(values)], names=("x", "w", "y"))


FOUND = {
    "convolution + add": ["add"],
    "convolution > add": ["add"],
    "convolution + relu": [],
    "convolution:followed-by(relu)": ["convolution"],
    "convolution:followed-by(op|relu)": ["convolution"],
    "relu:preceded-by(convolution)": ["relu"],
    "relu:followed-by(convolution)": [],
    "elementwise:not(:in(scan))[dtype=f32]": ["add", "relu"],
    "scan *": ["input", "input", "tanh"],
    "scan elementwise": ["tanh"],
    "op:has(tanh)": ["scan"],
    "convolution ~ reduction": ["reduce", "top_k", "softmax"],
    "[axes=(1,2)]": ["reduce"],
    "convolution[strides=2]": ["convolution"],
    "[rank=4]:input": ["input", "input"],
    "#x": ["input"],
    "#y:output": ["softmax"],
    "#bias.weights:frozen": ["read"],
    "variable:trainable": [],
    "constant[value=3]": [],
    "top-k + softmax": ["softmax"],
    "normalization, pooling": [],
    "[file*=test_elements]:first": ["input"],
}


@pytest.mark.parametrize(("selector", "found"), FOUND.items(), ids=FOUND)
def test_what_is_found_in_a_graph(graph, selector, found):
    assert [node.op.name for node in graph.select(selector)] == found


def test_a_pattern_selects_where_it_matches(graph):
    found = graph.select(P.relu(P.add(var("x"), var("y"))))
    assert [node.op.name for node in found] == ["relu"]


def test_a_selection_prints_as_a_table(graph):
    text = str(graph.select("convolution, variable"))
    assert text.splitlines()[0] == "2 found by convolution, variable"
    assert "conv/bias" in text
    assert "f32[2,5,6,4]" in text
    assert "test_elements.py:" in text


def test_a_long_table_is_cut():
    def many(x):
        for i in range(80):
            x = x + float(i + 1)
        return x

    text = str(trace(many, tensor("f32")).select("add"))
    assert text.splitlines()[-1] == "… and 20 more"


def test_the_nearest_known_name(graph):
    with pytest.raises(GraphError, match=r"no element 'convolutoin'; did you mean convolution"):
        graph.select("convolutoin")
    with pytest.raises(GraphError, match="no attribute 'dtpye'; did you mean dtype"):
        graph.select("[dtpye=f32]")


def test_every_family_has_members():
    members = {family for op in registry.values() for family in families(op)}
    assert FAMILIES - members <= {"recurrent"}


def test_activations_are_elementwise_but_softmax():
    assert families(registry["relu"]) == {"elementwise", "activation"}
    assert families(registry["softmax"]) == {"reduction", "activation"}


def test_a_pattern_takes_a_selector_as_a_condition(graph):
    fed = var("x", where=fits("add + relu"))
    assert [node.op.name for node in graph.select(fed)] == ["relu"]

    @rule(var("x", where=fits("elementwise[dtype=f32]:not(activation)")))
    def plain(x):
        "an elementwise op that is no activation is left out"
        return x.args[0]

    rewritten = simplify(trace(lambda x: ops.relu(ops.exp(x)), tensor("f32", 2)), Rules(plain))
    assert [node.op.name for node in rewritten.select("op")] == ["relu"]

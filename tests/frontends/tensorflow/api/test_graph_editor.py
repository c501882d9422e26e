"""tf.contrib.graph_editor against what TensorFlow 1.15 gives."""

from __future__ import annotations

from typing import Any

import pytest

from anode.frontends.tensorflow.modules import tensorflow as tf

ge: Any = tf.contrib.graph_editor


@pytest.fixture
def net() -> Any:
    """a, b -> s/c = a + b -> s/d = c² -> s/e; f = e · a."""
    graph = tf.Graph()
    with graph.as_default():
        a, b = tf.constant(1.0, name="a"), tf.constant(2.0, name="b")
        with tf.name_scope("s"):
            c = tf.add(a, b, name="c")
            tf.identity(tf.square(c, name="d"), name="e")
        tf.multiply(graph.get_tensor_by_name("s/e:0"), a, name="f")
        yield graph


def op(graph: Any, name: str) -> Any:
    return graph.get_operation_by_name(name)


def names(things: Any) -> list[str]:
    return [thing.name for thing in things]


def test_select(net: Any) -> None:
    assert names(ge.select_ops("s/.*", graph=net)) == ["s/c", "s/d", "s/e"]
    assert names(ge.select_ops("^s/d", [op(net, "a")], graph=net)) == ["s/d", "a"]
    assert names(ge.select_ts("s/", graph=net)) == ["s/c:0", "s/d:0", "s/e:0"]
    with pytest.raises(ValueError, match="Use the keyword argument 'graph' to use regex"):
        ge.select_ops("s/d")
    pair = [op(net, "s/d"), op(net, "f")]
    assert names(ge.filter_ts(pair, True)) == ["s/c:0", "s/e:0", "a:0", "s/d:0", "f:0"]
    assert names(ge.filter_ts_from_regex(pair, "s/")) == ["s/c:0", "s/e:0", "s/d:0"]


def test_walks(net: Any) -> None:
    c, e = op(net, "s/c"), op(net, "s/e")
    assert names(ge.get_forward_walk_ops(c)) == ["s/c", "s/d", "s/e", "f"]
    behind = ge.get_backward_walk_ops([e], inclusive=False, stop_at_ts=[c.outputs[0]])
    assert names(behind) == ["s/d"]
    assert names(ge.get_walks_intersection_ops([c], [e])) == ["s/c", "s/d", "s/e"]


def test_copies(net: Any) -> None:
    c, d = op(net, "s/c"), op(net, "s/d")
    view = ge.sgv([c, d])
    assert (names(view.inputs), names(view.outputs)) == (["a:0", "b:0"], ["s/d:0"])
    a, b = op(net, "a").outputs[0], op(net, "b").outputs[0]
    copied, info = ge.copy_with_input_replacements(view, {b: a})
    assert names(copied.ops) == ["s/c_1", "s/d_1"]
    assert info.transformed(d.outputs[0]).name == "s/d_1:0"
    assert info.transformed(op(net, "f")) is None
    moved, _ = ge.copy_with_input_replacements(view, {}, dst_scope="foo", src_scope="s")
    assert names(moved.ops) == ["foo/c", "foo/d"]
    again, _ = ge.copy_with_input_replacements(view, {}, dst_scope="foo")
    assert names(again.ops) == ["foo_1/s/c", "foo_1/s/d"]
    other = ge.graph_replace(op(net, "f").outputs[0], {op(net, "s/e").outputs[0]: b})
    with tf.Session(graph=net) as session:
        assert session.run([copied.outputs[0], other, "f:0"]) == [4.0, 2.0, 9.0]


def test_a_session_sees_what_is_rewired(net: Any) -> None:
    a, d, e = (op(net, name) for name in ("a", "s/d", "s/e"))
    with tf.Session(graph=net) as session:
        assert session.run("s/e:0") == 9.0
        assert ge.reroute_ts(a.outputs, d.outputs, can_modify=[e]) == 1
        assert session.run("s/e:0") == 1.0
    with pytest.raises(ValueError, match="ts0 and ts1 have different sizes: 1 != 2"):
        ge.reroute_ts(a.outputs, [*a.outputs, *d.outputs])


def test_control_inputs(net: Any) -> None:
    c, f = op(net, "s/c"), op(net, "f")
    ge.reroute.add_control_inputs(f, [c])
    assert names(f.control_inputs) == ["s/c"]
    with pytest.raises(ValueError, match="s/c is already a control_input of f"):
        ge.add_control_inputs(f, c)
    ge.reroute.remove_control_inputs(f, c)
    assert f.control_inputs == []
    with pytest.raises(ValueError, match="f is not a control_input of s/c"):
        ge.remove_control_inputs(f, c)

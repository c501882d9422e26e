"""The names of the package itself: every one is there, and nothing heavy comes with the package."""

import numpy as np
import pytest

import anode


@pytest.mark.parametrize("name", [name for name in dir(anode) if not name.startswith("_")])
def test_every_public_name_is_there(name):
    assert getattr(anode, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Sesion'"):
        anode.Sesion  # noqa: B018


def test_a_function_becomes_a_graph_becomes_an_executable():
    graph = anode.graph(lambda x: anode.ops.softmax(x, axis=-1) * 1.0, anode.tensor("f32", 4, 8))
    (y,) = anode.compile(graph)(np.ones((4, 8), np.float32))
    np.testing.assert_allclose(y, np.full((4, 8), 1 / 8), rtol=1e-6)


def test_trace_shows_what_each_pass_did(monkeypatch):
    monkeypatch.setenv("ANODE_CACHE", "off")
    graph = anode.graph(lambda x: anode.ops.softmax(x, axis=-1) * 1.0, anode.tensor("f32", 4, 8))
    with anode.trace() as traces:
        anode.compile(graph).compile()
    assert [t.name for t in traces][-1] == "join_small"
    assert "times_one" in repr(traces) and "nodes" in repr(traces)

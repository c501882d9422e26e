import pytest

from anode.errors import GraphError
from anode.frontends import ngraph as ng
from anode.frontends.ngraph.frontends.neon.graph import ComputationalGraph, SubGraph, scope_ops
from anode.frontends.ngraph.frontends.neon.initializer import ConstantInit
from anode.frontends.ngraph.frontends.neon.layer import Affine, Layer, Linear

F, N = ng.make_axis(3, name="F"), ng.make_axis(2, name="N")


@pytest.fixture
def x():
    return ng.placeholder([F, N])


class Keeping(Layer):
    """w·x, with a state that keeps w."""

    metadata = {"colour": "red"}  # noqa: RUF012

    @SubGraph.scope_op_creation
    def __call__(self, in_obj, **kwargs):
        if not self.initialized:
            self.w = ng.variable([F], initial_value=1.0, name="w")
            self.kept = ng.persistent_tensor([F], initial_value=0.0)
        return ng.sequential([ng.assign(self.kept, self.w), self.w * in_obj])


def test_what_a_layer_holds(x):
    layer = Keeping()
    out = layer(x)
    assert list(layer.variables.values()) == [layer.w] and "w" in layer.variables
    assert list(layer.inputs.values()) == list(layer.placeholders.values()) == [x]
    assert list(layer.outputs.values()) == [out.tensor]
    assert [type(op) for op in layer.side_effects.values()] == [ng.AssignOp]
    assert layer.w.metadata["colour"] == "red"


def test_weights_are_shared_by_calls_and_modes(x):
    layer = Affine(ConstantInit(1), 2)
    layer(x)
    weights = layer.linear.W
    with Layer.inference_mode_on():
        assert Layer.inference_mode
        layer(x)
    assert layer.linear.W is weights and not Layer.inference_mode
    assert set(layer.modes) == {"inference"} and weights in layer.modes["inference"].ops


def test_inference_mode_ends_with_an_error():
    with pytest.raises(ZeroDivisionError), Layer.inference_mode_on():
        1 / 0  # noqa: B018
    assert not Layer.inference_mode


def test_scopes(x):
    graph = ComputationalGraph()
    outer = Affine(ConstantInit(1), 2, name="outer")
    outer(x)
    ng.Op.get_all_ops().remove(graph.ops)
    inner = outer.linear.name
    assert f"outer/{inner}" in graph.scopes
    assert outer.linear.W in graph.scopes[f"outer/{inner}"].ops
    assert {inner, outer.bias.name} <= set(outer.scopes)


def test_modes_and_computations(x):
    with scope_ops("part", mode="test") as part:
        y = x + 1
        computation = ng.computation(y, x)
    assert list(part.computations.values()) == [computation]
    assert y in part.modes["test"].ops


class Selected:
    @pytest.fixture
    def model(self, x):
        graph = SubGraph(name="model")
        with scope_ops(graph.name, subgraph=graph):
            first, second = Affine(ConstantInit(1), 4, name="first"), Linear(ConstantInit(1), 2)
            second(first(x))
        graph.first, graph.second = first, second
        return graph


class TestSelect(Selected):
    def test_labels(self, model):
        assert model.select(".bias")[0] is model.first.bias.W
        assert model.first.linear.W in model.select(".weight")
        assert model.second.W in model.select(".weight")

    def test_scopes_nest(self, model):
        (bias,) = {op.tensor for op in model.select("first .bias")}
        assert bias is model.first.bias.W
        assert not model.select("Linear .bias")

    def test_types_and_names(self, model):
        dots = model.select("DotOp")
        assert len(dots) == 2 and all(isinstance(op, ng.DotOp) for op in dots)
        assert model.select("#W")[0] is model.first.linear.W

    def test_attributes(self, x):
        with ng.metadata(part="head", count=3), scope_ops("head") as graph:
            y = x + 1
        assert y in graph.select("[part=head][count=3]")
        assert not graph.select("[part=tail]")

    def test_a_bad_selector(self, model):
        with pytest.raises(GraphError, match="selector"):
            model.select("Affine >>")

import pytest

from anode.errors import UnsupportedOp
from anode.frontends import ngraph as ng
from anode.frontends.ngraph.util.names import name_scope

N = ng.make_axis(3, name="op_n")


def test_ops_know_their_line_and_names():
    x = ng.placeholder([N]).named("some_input")
    assert x.name == "some_input"
    assert __file__ in x.file_info
    with name_scope("a_scope"):
        assert (x + 1).name.startswith("a_scope/")


def test_metadata_goes_to_ops_made_inside():
    with ng.metadata(device="cpu", color="red"):
        x = ng.placeholder([N])
        y = x + 1
    assert y.metadata["color"] == "red" and (y + 1).metadata == {}
    assert ng.as_op(x).metadata == {"device": "cpu"}

    class Layer:
        metadata = {"layer": "convolution"}  # noqa: RUF012

        @ng.with_op_metadata
        def build(self, value):
            return ng.exp(value)

    assert Layer().build(x).metadata["layer"] == "convolution"


def test_ops_are_heard_of_as_they_are_made():
    with ng.Op.all_ops() as outer:
        x = ng.placeholder([N])
        with ng.Op.all_ops(isolate=True) as inner:
            y = ng.exp(x)
    assert x in outer and y in inner and y not in outer


def test_dependencies_come_first_and_cycles_are_found():
    x = ng.placeholder([N])
    y = ng.exp(x)
    z = y + ng.tanh(y)
    order = ng.Op.ordered_ops([z])
    assert order.index(y) < order.index(z) and order.count(y) == 1
    y.add_control_dep(z)
    with pytest.raises(ValueError, match="depends on itself"):
        ng.Op.ordered_ops([z])


def test_equality_stays_pythons():
    x = ng.placeholder([N])
    assert (x == x) is True and x in {x: 1}


def test_what_is_not_there_is_named():
    with pytest.raises(AttributeError, match=r"nearest: ng.softmax"):
        ng.soft_max  # noqa: B018
    with pytest.raises(UnsupportedOp, match="derivative"):
        ng.placeholder([N]).deriv_handler = ng.placeholder([N])
    from anode.frontends.ngraph.op_graph import comm_nodes

    with pytest.raises(UnsupportedOp, match="one process"):
        comm_nodes.ScatterSendOp  # noqa: B018

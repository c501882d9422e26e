import pytest

from anode.frontends import ngraph as ng
from anode.frontends.ngraph.frontends.neon import axis
from anode.frontends.ngraph.op_graph.axes import IncompatibleAxesError

C, D, H, W, N, A = (ng.make_axis(i, name=n) for i, n in enumerate("CDHWNA", 2))


def names(op):
    return "".join(op.axes.names)


@pytest.mark.parametrize("axes", [(N, C, H), (N, W, H, C), (W, N), (N, C, W, H, D)])
def test_images_get_five_axes(axes):
    image = axis.reorder_spatial_axes(ng.placeholder(axes), "C", ("D", "H", "W"))
    assert names(image) == "CDHWN"
    missing = [a for a in image.axes if a.name not in [given.name for given in axes]]
    assert all(a.length == 1 for a in missing)


@pytest.mark.parametrize(
    ("axes", "text"),
    [((C, H), "batch axis"), ((C, N), "one of the axes"), ((C, H, N, A), "no place in an image")],
)
def test_errors(axes, text):
    with pytest.raises(IncompatibleAxesError, match=text):
        axis.reorder_spatial_axes(ng.placeholder(axes), "C", ("D", "H", "W"))


def test_shadow_axes():
    shadow = axis.make_shadow_axis(A)
    assert axis.is_shadow_axis(shadow) and not axis.is_shadow_axis(A)
    assert shadow.length == A.length and shadow != A
    with pytest.raises(ValueError, match="not allowed in weights"):
        axis.assert_no_shadow_axes([A, shadow], "weights")

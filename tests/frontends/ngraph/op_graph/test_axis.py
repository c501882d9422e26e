import numpy as np
import pytest

from anode.frontends.ngraph.op_graph.axes import (
    Axes,
    AxesMap,
    Axis,
    DuplicateAxisNames,
    FlattenedAxis,
    default_dtype,
    default_int_dtype,
    make_axes,
    make_axis,
    slice_axis,
)

N, R, C, H = Axis(4, "N"), Axis(5, "REC"), Axis(3, "C"), Axis(2, "H")


def test_axes_with_equal_names_are_equal_whatever_their_length():
    assert Axis(2, "H") == Axis(3, "H")
    assert hash(Axis(2, "H")) == hash(Axis(3, "H"))
    assert Axis(2, "H") != Axis(2, "W")
    assert Axis(2) != Axis(2)


def test_a_name_says_what_an_axis_is():
    assert N.is_batch and R.is_recurrent and C.is_channel
    assert not (H.is_batch or H.is_recurrent or H.is_channel)


def test_a_length_may_come_late_but_not_be_negative():
    axis = make_axis(name="late")
    assert axis.length is None
    axis.length = 7
    assert axis.length == len(axis) == 7
    with pytest.raises(ValueError, match=r"late.*-1"):
        axis.length = -1


def test_axes_by_role():
    axes = make_axes([C, H, R, N])
    assert axes.batch_axis() is N and axes.recurrent_axis() is R and axes.channel_axis() is C
    assert axes.sample_axes() == Axes([C, H, R])
    assert axes.feature_axes() == Axes([C, H])
    assert axes.spatial_axes() == Axes([H])
    assert Axes([H]).batch_axes() is None


def test_algebra():
    assert Axes([C]) + H == Axes([C, H])
    assert Axes([C, H]) - H == Axes([C])
    assert Axes([C, H]) | [H, N] == Axes([C, H, N])
    assert Axes([C, H]) & [N, H] == Axes([H])
    with pytest.raises(ValueError, match="C: 3"):
        Axes([C]) + Axes([H, C])
    with pytest.raises(ValueError, match="only once"):
        Axes([C, H, Axis(9, "C")])


def test_nested_axes_are_flattened():
    axes = Axes([(C, H), N])
    assert axes.lengths == (6, 4) and axes.full_lengths == ((3, 2), 4)
    assert isinstance(axes[0], FlattenedAxis)
    assert Axes.as_flattened_list(axes) == [C, H, N]
    assert FlattenedAxis([C, H]) == FlattenedAxis([C, H]) != FlattenedAxis([C, H, N])


def test_axes_of_a_dict_and_by_name():
    axes = Axes({"a": 2, "b": 3})
    assert axes.shape_dict() == {"a": 2, "b": 3}
    assert axes.get_by_names("b").length == 3
    with pytest.raises(KeyError, match=r"c.*a, b"):
        axes.get_by_names("c")


def test_what_is_no_axis_is_named():
    with pytest.raises(ValueError, match="3, which is a int"):
        Axes([3])


def test_a_map_renames_axes_and_does_not_change():
    renamed = AxesMap({C: "channels"})
    assert renamed.map_axes([C, H]).names == ("channels", "H")
    assert renamed.invert() == {"channels": "C"}
    with pytest.raises(TypeError, match="cannot be changed"):
        renamed["x"] = "y"
    with pytest.raises(DuplicateAxisNames, match="a, b would all be z"):
        AxesMap({"a": "z", "b": "z"})


def test_slices_of_axes():
    assert slice_axis(N, slice(1, None)).length == 3
    assert slice_axis(N, slice(None, None, -1)).name == "N"
    with pytest.raises(ValueError, match="steps"):
        slice_axis(N, slice(None, None, 2))


def test_types():
    assert default_dtype() == np.float32 and default_int_dtype() == np.int32
    with pytest.raises(TypeError, match="no_such"):
        default_dtype("no_such")

import numpy as np
import pytest

from anode.frontends.ngraph.op_graph.axes import Axis, FlattenedAxis, TensorDescription

A, B, C = Axis(2, "A"), Axis(3, "B"), Axis(4, "C")


def view(description, array):
    return np.ndarray(
        description.shape,
        description.dtype,
        array,
        offset=description.offset,
        strides=description.strides,
    )


@pytest.fixture
def array():
    return np.arange(24, dtype=np.float32).reshape(2, 3, 4)


@pytest.fixture
def whole():
    return TensorDescription([A, B, C])


def test_views_look_at_the_right_elements(whole, array):
    assert whole.c_contiguous and whole.tensor_size == 96
    np.testing.assert_array_equal(view(whole.transpose(), array), array.T)
    np.testing.assert_array_equal(view(whole.reorder([B, A, C]), array), array.swapaxes(0, 1))
    flat = whole.flatten([A, FlattenedAxis([B, C])])
    np.testing.assert_array_equal(view(flat, array), array.reshape(2, 12))
    np.testing.assert_array_equal(view(flat.unflatten([A, B, C]), array), array)
    part = whole.slice([1, slice(1, None), slice(0, 4)], [B, C])
    np.testing.assert_array_equal(view(part, array), array[1, 1:])
    assert part.axes.names == ("B", "C")


def test_a_broadcast_repeats(array):
    small = TensorDescription([B])
    wide = small.broadcast([A, B])
    np.testing.assert_array_equal(view(wide, array[0, :, 0].copy()), [[0, 4, 8]] * 2)
    assert wide.broadcast_contiguous and not wide.c_contiguous
    assert wide.base is small and not wide.is_base()


def test_errors(whole):
    with pytest.raises(ValueError, match="need lengths"):
        TensorDescription([Axis(name="late")])
    with pytest.raises(ValueError, match="not the same set"):
        whole.reorder([A, B])
    with pytest.raises(ValueError, match="no C"):
        whole.broadcast([A, B])
    with pytest.raises(ValueError, match="1 of"):
        whole.slice([0, 0, slice(None)], [A, B])

import numpy as np
import pytest

pytest.importorskip("configargparse")
from anode.frontends.ngraph.frontends.neon import ArrayIterator, SequentialArrayIterator, ax


def test_minibatches_wrap_around():
    found = list(ArrayIterator({"x": {"data": np.arange(5), "axes": ("N",)}}, 2))
    assert [batch["x"].tolist() for batch in found] == [[0, 1], [2, 3], [4, 0]]
    assert [batch["iteration"] for batch in found] == [1, 2, 3]


def test_shuffles_are_numpys():
    np.random.seed(0)
    first = next(ArrayIterator([np.arange(6)], 6, shuffle=True))[0]
    np.random.seed(0)
    assert first.tolist() == np.random.permutation(6).tolist()


def test_reset_and_placeholders():
    data = {"x": {"data": np.zeros((4, 3, 2)), "axes": ("N", "REC", "F")}}
    iterator = ArrayIterator(data, 2, total_iterations=1)
    inputs = iterator.make_placeholders(include_iteration=True)
    assert inputs["x"].axes.names == ("N", "REC", "F") and len(inputs["iteration"].axes) == 0
    assert (ax.N.length, ax.REC.length) == (2, 3)
    assert len(list(iterator)) == 1 and not list(iterator)
    iterator.reset()
    assert len(list(iterator)) == 1


def test_too_few_rows():
    with pytest.raises(ValueError, match="smaller than the batch size: 2 < 3"):
        ArrayIterator(np.zeros(2), 3)


def windows(**arguments):
    text = np.arange(25)
    iterator = SequentialArrayIterator({"x": text, "tgt_txt": text + 1}, 3, 2, **arguments)
    return [{name: array.tolist() for name, array in sample.items()} for sample in iterator]


def test_rows_go_on_where_they_ended():
    found = windows()
    assert [sample["x"] for sample in found[:2]] == [
        [[0, 1, 2], [12, 13, 14]],
        [[3, 4, 5], [15, 16, 17]],
    ]
    assert len(found) == 4 and found[0]["tgt_txt"] == [[1, 2, 3], [13, 14, 15]]


def test_windows_in_order_with_a_stride():
    found = windows(shuffle=False, stride=1, total_iterations=2)
    assert [sample["x"] for sample in found] == [[[0, 1, 2], [1, 2, 3]], [[2, 3, 4], [3, 4, 5]]]


def test_targets_reversed_and_shifted():
    (found,) = windows(reverse_target=True, get_prev_target=True, total_iterations=1)
    assert found["tgt_txt"] == [[3, 2, 1], [15, 14, 13]]
    assert found["prev_tgt"] == [[1, 3, 2], [13, 15, 14]]


def test_a_dict_is_needed():
    with pytest.raises(ValueError, match="dict"):
        SequentialArrayIterator(np.arange(9), 3, 1)

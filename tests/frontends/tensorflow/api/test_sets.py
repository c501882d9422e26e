"""Sets along the last dim, against Python's own."""

from __future__ import annotations

from typing import Any

import pytest

A, B = [[3, 1, 1], [2, 2, 5]], [[1, 4], [5, 2]]


def rows(value: Any) -> list[list[int]]:
    found: list[list[int]] = [[] for _ in range(value.dense_shape[0])]
    for (row, _), item in zip(value.indices, value.values, strict=True):
        found[row].append(int(item))
    return found


@pytest.mark.parametrize("sparse", [(False, False), (False, True), (True, False), (True, True)])
def test_operations(tf: Any, sparse: tuple[bool, bool]) -> None:
    places = {2: [[0, 0], [0, 1], [1, 0], [1, 1]]}
    places[3] = [[i, j] for i in range(2) for j in range(3)]
    a, b = (
        tf.SparseTensor(places[len(x[0])], x[0] + x[1], [2, len(x[0])]) if s else tf.constant(x)
        for x, s in zip((A, B), sparse, strict=True)
    )
    found = [tf.sets.set_union(a, b), tf.sets.intersection(a, b), tf.sets.difference(a, b)]
    found.append(tf.sets.set_difference(a, b, aminusb=False))
    with tf.Session() as session:
        union, both, minus, other = map(rows, session.run(found))
    assert union == [[1, 3, 4], [2, 5]]
    assert both == [[1], [2, 5]]
    assert minus == [[3], []]
    assert other == [[4], []]


def test_size(tf: Any) -> None:
    a = tf.SparseTensor([[0, 0], [0, 1], [1, 0]], [7, 7, 8], [3, 2])
    with tf.Session() as session:
        assert session.run(tf.sets.set_size(a)).tolist() == [1, 1, 0]
    with pytest.raises(TypeError, match="SparseTensor"):
        tf.sets.set_size([1, 2])


def test_order(tf: Any) -> None:
    a = tf.SparseTensor([[1, 0], [0, 0]], [7, 8], [2, 1])
    with tf.Session() as session, pytest.raises(tf.errors.InvalidArgumentError):
        session.run(tf.sets.set_size(a))

"""Sizes and values that are known late, what is refused, and what has no gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest


def run(tf: Any, fetches: Any, feeds: Any = None) -> Any:
    with tf.Session() as session:
        return session.run(fetches, feeds)


def test_reductions_of_an_unknown_rank(tf: Any) -> None:
    x = tf.placeholder(tf.float32, None)
    found = [tf.reduce_mean(x), tf.reduce_sum(x, -1), tf.reduce_max(x, [0])]
    for shape in ((2, 3), (4,)):
        value = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
        mean, last, first = run(tf, found, {x: value})
        np.testing.assert_allclose(mean, value.mean())
        np.testing.assert_allclose(last, value.sum(-1))
        np.testing.assert_allclose(first, value.max(0))


def test_sizes_that_data_says(tf: Any) -> None:
    ids = tf.placeholder(tf.int32, [None])
    rows = tf.ones([tf.size(ids), 2])
    found = [
        tf.segment_sum(rows, ids),
        tf.unsorted_segment_max(rows, ids, tf.reduce_max(ids) + 1),
        tf.range(tf.reduce_sum(ids)),
        tf.random_normal(tf.stack([tf.size(ids), 3])),
    ]
    for value in ([0, 0, 1], [0, 2, 2, 3]):
        shapes = [np.shape(v) for v in run(tf, found, {ids: value})]
        segments = value[-1] + 1
        assert shapes == [(segments, 2), (segments, 2), (sum(value),), (len(value), 3)]


def test_tensordot_of_unknown_rank(tf: Any) -> None:
    cube, matrix = np.arange(24.0).reshape(2, 4, 3), np.arange(12.0).reshape(3, 4)
    x = tf.placeholder(tf.float64)
    product = tf.tensordot(x, tf.constant(matrix), [[-1], [0]])
    turned = tf.tensordot(tf.constant(matrix), x, [[1], [1]])
    assert product.shape.ndims is None
    for value in (cube, cube[0]):
        np.testing.assert_array_equal(run(tf, product, {x: value}), np.dot(value, matrix))
    expected = np.tensordot(matrix, cube, [[1], [1]])
    np.testing.assert_array_equal(run(tf, turned, {x: cube}), expected)
    assert run(tf, tf.image.rgb_to_grayscale(x), {x: cube}).shape == (2, 4, 1)


def test_tensordot_of_unknown_sizes(tf: Any) -> None:
    x = tf.placeholder(tf.float32, [None, None, 4])
    value, matrix = np.ones((2, 3, 4), np.float32), np.ones((4, 5), np.float32)
    product = tf.tensordot(x, tf.constant(matrix), [[2], [0]])
    assert product.get_shape().as_list() == [None, None, 5]
    np.testing.assert_allclose(run(tf, product, {x: value}), np.tensordot(value, matrix, 1))


def test_old_keywords(tf: Any) -> None:
    x = tf.constant([[1.0, 2.0]])
    summed = tf.reduce_sum(x, reduction_indices=1, keep_dims=True)
    assert run(tf, [summed, tf.argmax(x, dimension=1)])[0].tolist() == [[3.0]]
    with pytest.raises(ValueError, match="'keep_dims' and 'keepdims'"):
        tf.reduce_sum(x, keepdims=True, keep_dims=True)


def test_strings_are_compared_and_chosen(tf: Any) -> None:
    names = tf.constant(["a", "b"])
    assert run(tf, tf.equal(names, "a")).tolist() == [True, False]
    assert run(tf, tf.where([False, True], names, ["x", "y"])).tolist() == [b"x", b"b"]


def test_types_that_differ(tf: Any) -> None:
    with pytest.raises(TypeError, match="does not match type int32"):
        tf.constant([1, 2]) + tf.constant([1.0, 2.0])
    with pytest.raises(TypeError, match="must have the same dtype"):
        tf.truediv(tf.constant(1), tf.constant(1.0))


def test_sizes_that_do_not_fit(tf: Any) -> None:
    with pytest.raises(ValueError, match="Dimensions must be equal, but are 3 and 2"):
        tf.matmul(tf.ones([2, 3]), tf.ones([2, 3]))
    with pytest.raises(ValueError, match="Dimensions must be equal, but are 3 and 2"):
        tf.ones([3]) + tf.ones([2])


def test_singular_matrices(tf: Any) -> None:
    for result in (tf.matrix_inverse(tf.zeros([2, 2])), tf.cholesky(-tf.eye(2))):
        with pytest.raises(tf.errors.InvalidArgumentError):
            run(tf, result)


def test_gradients_that_are_none_or_zero(tf: Any) -> None:
    x = tf.constant([1.5, -2.0])
    assert tf.gradients(x // 2.0, [x]) == [None]
    assert tf.gradients(tf.round(x), [x]) == [None]
    assert run(tf, tf.gradients(tf.sign(x), [x])[0]).tolist() == [0, 0]


def test_seeds(tf: Any) -> None:
    tf.set_random_seed(3)
    first, second = tf.random_uniform([4]), tf.random_uniform([4])
    ops = [tensor.op.inputs[0].op.inputs[0].op for tensor in (first, second)]
    assert [op.get_attr("seed") for op in ops] == [3, 3]
    assert ops[0].get_attr("seed2") != ops[1].get_attr("seed2")
    draws = [run(tf, [first, second]) for _ in range(2)]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert not np.array_equal(*draws[0])


def test_draws_without_seeds_differ(tf: Any) -> None:
    x = tf.random_normal([8])
    with tf.Session() as session:
        draws = [session.run(x) for _ in range(2)]
    assert len({tuple(d) for d in [*draws, run(tf, x)]}) == 3


def test_moments_of_gamma_and_poisson(tf: Any) -> None:
    gamma = run(tf, tf.random_gamma([4000], [2.0, 5.0], beta=2.0, seed=1))
    assert gamma.shape == (4000, 2)
    np.testing.assert_allclose(gamma.mean(0), [1.0, 2.5], rtol=0.1)
    poisson = run(tf, tf.random_poisson(3.0, [4000], seed=1))
    np.testing.assert_allclose([poisson.mean(), poisson.var()], 3.0, rtol=0.1)


def test_static_shapes(tf: Any) -> None:
    x, axis = tf.placeholder(tf.float32, [None, 3, 4]), tf.placeholder(tf.int32, [])
    y = tf.placeholder(tf.float32)
    shapes = {
        tf.reduce_sum(x, 1): [None, 4],
        tf.reduce_max(x, [0, -1], keepdims=True): [1, 3, 1],
        tf.reduce_mean(x, axis, keepdims=True): [None, None, None],
        tf.argmax(x, -1): [None, 3],
        tf.argmax(x, axis): [None, None],
        tf.matmul(x, x, transpose_b=True): [None, 3, 3],
        tf.matmul(x, tf.ones([1, 4, 7])): [None, 3, 7],
        tf.matmul(tf.ones([3, 2]), tf.placeholder(tf.float32, [3, None]), True): [2, None],
        tf.where(x > 0, x, tf.ones([5, 3, 4])): [5, 3, 4],
        tf.truncated_normal(tf.stack([tf.shape(x)[0], 2])): [None, 2],
    }
    assert [t.get_shape().as_list() for t in shapes] == list(shapes.values())
    assert tf.reduce_sum(x, axis).get_shape().ndims is None
    assert tf.matmul(y, x).get_shape().ndims is None
    with pytest.raises(ValueError, match="Invalid reduction dimension 3"):
        tf.reduce_sum(x, 3)
    with pytest.raises(ValueError, match="rank 2 but is rank 1"):
        tf.matmul(tf.ones([3]), tf.ones([3, 2]))

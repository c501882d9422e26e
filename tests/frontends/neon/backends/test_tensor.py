"""Tensors: views, assignments and op-trees, computed at once and recorded."""

import numpy as np
import pytest

from anode.frontends.neon.backends import Autodiff, gen_backend
from anode.frontends.neon.backends.tensor import Tensor
from anode.frontends.neon.stepping import Step


@pytest.fixture
def be():
    return gen_backend("cpu", rng_seed=0, batch_size=4)


def both(be, function, *arrays):
    """What a function leaves in its tensors: computed at once, which equals recorded."""
    at_once = [be.array(a) for a in arrays]
    function(*at_once)
    recorded = [be.array(a) for a in arrays]
    Step(lambda *tensors: function(*tensors), be.programs)(*recorded)
    for one, other in zip(at_once, recorded, strict=True):
        np.testing.assert_allclose(one.get(), other.get(), rtol=1e-6)
    return [tensor.get() for tensor in at_once]


def test_parts_are_views(be):
    a = np.arange(12.0).reshape(3, 4)

    def change(x):
        x[1] = 7
        x[:, 1:3] = x[:, 2:4] + 1
        x[::2, ::3] = -1.0
        x.T[3, 1] = 5

    (found,) = both(be, change, a)
    a[1] = 7
    a[:, 1:3] = a[:, 2:4] + 1
    a[::2, ::3] = -1
    a.T[3, 1] = 5
    np.testing.assert_array_equal(found, a)


def test_shapes_are_views(be):
    def change(x):
        x.reshape(2, 6)[1, :2] = 0
        x.reshape((-1, 2)).T[0] = x.reshape(6, 2).T[1] * 2
        x.share((2, 2))[:] = 9

    (found,) = both(be, change, np.arange(12.0).reshape(3, 4))
    assert found[0, :4].tolist() == [9, 9, 9, 9]
    assert found[1, 2:].tolist() == [0, 0]
    assert found[2].tolist() == [18, 9, 22, 11]


def test_op_trees_are_numpy(be):
    rng = np.random.RandomState(1)
    a, b, c = rng.rand(3, 4) + 0.5, rng.rand(3, 1), np.zeros((3, 4))

    def change(x, y, z):
        z[:] = be.tanh(x - be.mean(x, axis=1)) ** 2 / (y + 1) + (x > y) * be.sig(-x)
        z[:] = z * be.safelog(be.maximum(x, y)) - be.rint(be.square(x) * 3) + be.sgn(y - 0.5)

    found = both(be, change, a, b, c)[2]
    a, b = a.astype(np.float32), b.astype(np.float32)
    want = np.tanh(a - a.mean(1, keepdims=True)) ** 2 / (b + 1) + (a > b) / (1 + np.exp(a))
    want = want * np.log(np.maximum(a, b)) - np.rint(np.square(a) * 3) + np.sign(b - 0.5)
    np.testing.assert_allclose(found, want, rtol=1e-5, atol=1e-5)


def test_whole_numbers_are_numpys(be):
    i, j = np.array([[7, -8, 9], [1, 2, 3]]), np.array([[2, 3, -4], [5, 7, 2]])
    bytes_ = np.array([[200, 100, 255], [1, 2, 3]], np.uint8)
    x, y = be.array(i, dtype=np.int32), be.array(j, dtype=np.int32)
    b = be.array(bytes_, dtype=np.uint8)

    def value(tree):
        return tree.astensor().get() if not isinstance(tree, Tensor) else tree.get()

    for found, want in [
        (x / y, i / j),
        (x / 2, i / 2),
        (be.sum(b, axis=1), bytes_.sum(1, keepdims=True)),
        (be.mean(b), bytes_.mean()),
        (be.std(b, axis=0), bytes_.std(0, keepdims=True)),
        (be.sum(x > y, axis=0), (i > j).sum(0, keepdims=True)),
        (be.sum(b) * x, bytes_.sum() * i),
        (be.sqrt(be.absolute(x)), np.sqrt(abs(i))),
        (be.log(y * y), np.log(j * j)),
        (be.sig(x), 1 / (1 + np.exp(-i))),
        (be.exp(be.argmax(y, axis=0)), np.exp(j.argmax(0))[None]),
    ]:
        np.testing.assert_allclose(value(found), np.broadcast_to(want, found.shape), rtol=2e-6)


def test_a_dim_of_one_goes_where_two_are_left(be):
    x = be.array(np.arange(24.0).reshape(2, 3, 4))
    assert [part.shape for part in (x[0], x[0, 1], x[:, 1], x[1, :, 2], x[:1])] == [
        (3, 4), (1, 4), (2, 4), (3, 1), (3, 4),
    ]  # fmt: skip
    assert x[1, 2].get().tolist() == [[20, 21, 22, 23]]


def test_products_and_reductions(be):
    a = np.random.RandomState(0).rand(3, 4)

    def change(x, y, z):
        y[:] = be.dot(x, x.T)
        be.compound_dot(x.T, x, z, alpha=2.0, beta=0.5)
        y[0] = be.max(x.T[:3], axis=0)

    _, y, z = both(be, change, a, np.zeros((3, 3)), np.ones((4, 4)))
    np.testing.assert_allclose(z, 2 * a.T @ a + 0.5, rtol=1e-5)
    np.testing.assert_allclose(y[0], a.T[:3].max(0), rtol=1e-6)


def test_one_hot_and_taking(be):
    places = be.array(np.array([[2, 0, 1, 2]]), dtype=np.int32)
    hot = be.empty((3, 4))
    hot[:] = be.onehot(places, axis=0)
    np.testing.assert_array_equal(hot.get(), np.eye(3)[[2, 0, 1, 2]].T)
    np.testing.assert_array_equal(hot.take(np.array([1, 0]), axis=1).get(), hot.get()[:, [1, 0]])
    np.testing.assert_array_equal(be.argmax(hot, axis=0).asnumpyarray(), [[2, 0, 1, 2]])


def test_powers_of_two_are_exact(be):
    x = be.array(np.array([[1.0, 1.0, 3.0, -2.5]]))
    by = be.array(np.array([[0.3, 5.0, -0.26, 1e-5]]))
    shifted = be.empty((1, 4))
    shifted[:] = be.shift(x, by)
    np.testing.assert_array_equal(shifted.get(), [[0.25, 4.0, -0.75, -2.5 * 2.0**-17]])


def test_gradients_of_op_trees(be):
    rng = np.random.RandomState(2)
    x, y = be.array(rng.rand(3, 4)), be.array(rng.rand(4, 2))
    tree = be.exp(be.dot(x, y)) * 2 - be.sum(be.square(y), axis=0)
    dx, dy = Autodiff(tree, be).get_grad_asnumpyarray([x, y])
    a, b = x.get(), y.get()
    outer = 2 * np.exp(a @ b)
    np.testing.assert_allclose(dx, outer @ b.T, rtol=1e-5)
    np.testing.assert_allclose(dy, a.T @ outer - 3 * 2 * b, rtol=1e-5)


def test_a_gradient_is_of_the_tree_alone(be):
    """Not of what its tensors were computed from, though that be in the same recording."""
    x, y, found = be.ones((2, 2)), be.zeros((2, 2)), be.zeros((2, 2))

    def step(x):
        y[:] = x * 3
        Autodiff(x * y, be).back_prop_grad([x], [found])
        return found

    Step(step, be.programs)(x)
    np.testing.assert_array_equal(found.get(), np.full((2, 2), 3.0))


def test_random_numbers_are_numpys(be):
    mask = be.empty((3, 4))
    be.make_binary_mask(mask, 0.5)
    want = np.random.RandomState(0).uniform(size=(3, 4)) < 0.5
    np.testing.assert_array_equal(mask.get(), want)
    assert isinstance(mask, Tensor)


def test_wrong_sizes_are_told(be):
    with pytest.raises(ValueError, match="no view of shape"):
        be.ones((3, 4)).reshape(5, 2)
    with pytest.raises(ValueError, match="is no product of"):
        be.compound_dot(be.ones((3, 4)), be.ones((3, 4)), be.ones((3, 4)))
    with pytest.raises(IndexError, match="out of bounds"):
        be.ones((3, 4))[3]

"""What libraries ask of a tensor; the answers are TensorFlow 1.15's."""

from typing import Any

import pytest

import anode.compat


@pytest.fixture
def tf():
    anode.compat.install("tensorflow")
    import tensorflow

    with tensorflow.Graph().as_default():
        yield tensorflow
    anode.compat.uninstall("tensorflow")


def test_what_is_like_a_tensor(tf: Any) -> None:
    from tensorflow.python.framework import ops

    variable = tf.Variable(1.0)
    value = variable.value()
    sparse = tf.SparseTensor([[0]], [1], [1])
    things = (variable, value, 3.0, sparse, tf.IndexedSlices(value, value))
    found = [(isinstance(x, ops._TensorLike), ops.is_dense_tensor_like(x)) for x in things]
    assert found == [(False, True), (True, True), (False, False), (True, False), (True, False)]
    assert ops._as_graph_element(variable).name == "Variable:0"
    assert ops._as_graph_element(value) is None


def test_a_constant_without_a_name(tf: Any) -> None:
    assert tf.constant(1, name=None).name == "Const:0"

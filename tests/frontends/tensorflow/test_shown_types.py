"""Types print with TensorFlow's modules, and pickle through them."""

from __future__ import annotations

import pickle

import anode.compat
from anode.frontends.tensorflow.modules import tensorflow as tf
from anode.frontends.tensorflow.modules import uninstall


def test_types_print_as_tensorflows() -> None:
    with tf.Graph().as_default():
        assert str(type(tf.constant(1))) == "<class 'tensorflow.python.framework.ops.Tensor'>"
    error = tf.errors.OutOfRangeError
    assert str(error) == "<class 'tensorflow.python.framework.errors_impl.OutOfRangeError'>"
    assert tf.Session.__module__ == "tensorflow.python.client.session"


def test_the_types_pickle() -> None:
    anode.compat.install("tensorflow")
    try:
        for kind in (tf.Tensor, tf.Variable, tf.Graph, tf.Session, tf.errors.NotFoundError):
            assert pickle.loads(pickle.dumps(kind)) is kind
    finally:
        uninstall()
    error = pickle.loads(pickle.dumps(tf.errors.NotFoundError(None, None, "gone")))
    assert error.message == "gone"

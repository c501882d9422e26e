"""tf.sort, tf.argsort and tf.DeviceSpec against what TensorFlow 1.15 gives."""

from __future__ import annotations

import pytest

from anode.frontends.tensorflow.modules import tensorflow as tf

X = [[3.0, 1.0, 2.0], [1.0, 5.0, 1.0]]


def test_sort() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        tensors = [
            tf.sort(X),
            tf.sort(X, direction="DESCENDING"),
            tf.sort(X, axis=0),
            tf.sort(tf.placeholder_with_default([3, 1, 2], None)),
        ]
        assert [value.tolist() for value in session.run(tensors)] == [
            [[1.0, 2.0, 3.0], [1.0, 1.0, 5.0]],
            [[3.0, 2.0, 1.0], [5.0, 1.0, 1.0]],
            [[1.0, 1.0, 1.0], [3.0, 5.0, 2.0]],
            [1, 2, 3],
        ]
        with pytest.raises(ValueError, match="up should be one of ASCENDING, DESCENDING"):
            tf.sort(X, direction="up")


def test_argsort() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        places = [tf.argsort(X), tf.argsort(X, axis=0, direction="DESCENDING")]
        found = session.run(places)
        assert [value.tolist() for value in found] == [
            [[1, 2, 0], [0, 2, 1]],
            [[0, 1, 0], [1, 0, 1]],
        ]
        assert found[0].dtype == "int32"


def test_device_spec() -> None:
    spec = tf.DeviceSpec(job="ps", replica=1, task=3, device_type="gpu", device_index=0)
    assert spec.to_string() == "/job:ps/replica:1/task:3/device:GPU:0"
    other = tf.DeviceSpec.from_string("/job:w/device:CPU:*")
    assert (other.to_string(), other.device_index) == ("/job:w/device:CPU:*", None)
    other.merge_from(spec)
    assert other == spec
    other.job = "z"
    assert other.to_string() == "/job:z/replica:1/task:3/device:GPU:0"
    assert tf.DeviceSpec.from_string("/cpu:0").to_string() == "/device:CPU:0"
    with pytest.raises(ValueError, match="Unknown attribute: 'foo' in '/foo:1'"):
        tf.DeviceSpec.from_string("/foo:1")
    with tf.Graph().as_default(), tf.device(tf.DeviceSpec(device_type="CPU", device_index=0)):
        assert tf.constant(1).device == "/device:CPU:0"

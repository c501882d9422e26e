"""Devices of operations, against what TensorFlow 1.15 gives."""

from contextlib import ExitStack

import pytest

from anode.frontends.tensorflow.devices import DeviceSpec


def first(op):
    return "/gpu:3" if op.type == "Const" else "/cpu:0"


@pytest.mark.parametrize(
    ("scopes", "constant", "variable"),
    [
        (["/cpu:0"], "/device:CPU:0", "/device:CPU:0"),
        (["/job:ps", "/cpu:0"], "/job:ps/device:CPU:0", "/job:ps/device:CPU:0"),
        (["/job:ps/task:1", "/job:w"], "/job:w/task:1", "/job:w/task:1"),
        (["/gpu:1", "/cpu:0"], "/device:CPU:0", "/device:CPU:0"),
        (["/cpu:0", None], "", ""),
        (["/job:a", None, "/gpu:0"], "/device:GPU:0", "/device:GPU:0"),
        ([first], "/gpu:3", "/cpu:0"),
        (["/job:w", first], "/job:w/device:GPU:3", "/job:w/device:CPU:0"),
        ([first, "/gpu:2"], "/gpu:3", "/cpu:0"),
        (["/gpu:2", lambda op: op.device], "/device:GPU:2", "/device:GPU:2"),
        ([DeviceSpec("x", device_type="gpu", device_index=1)], *["/job:x/device:GPU:1"] * 2),
        (["/replica:0/task:1/device:cpu:*"], *["/replica:0/task:1/device:CPU:*"] * 2),
    ],
)
def test_what_a_scope_leaves_open_those_about_it_give(tf, scopes, constant, variable):
    with ExitStack() as stack:
        for scope in scopes:
            stack.enter_context(tf.device(scope))
        assert tf.constant(1.0).op.device == constant
        assert tf.Variable(1.0).op.device == variable


@pytest.mark.parametrize(
    ("inner", "merge", "constant", "variable"),
    [
        ("", True, "/job:worker", "/job:ps/task:0"),
        ("/gpu:0", True, "/job:worker/device:GPU:0", "/job:ps/task:0/device:GPU:0"),
        ("/cpu:1", False, "/device:CPU:1", "/device:CPU:1"),
    ],
)
def test_variables_lie_on_parameter_servers(tf, inner, merge, constant, variable):
    with tf.device(tf.train.replica_device_setter(2, merge_devices=merge)), tf.device(inner):
        assert tf.constant(1.0).op.device == constant
        assert tf.Variable(1.0).op.device == variable


def test_specs_are_read_written_and_merged():
    spec = DeviceSpec.from_string("/job:a/replica:1/task:2/gpu:3")
    assert spec.to_string() == "/job:a/replica:1/task:2/device:GPU:3"
    assert spec == DeviceSpec("a", 1, 2, "GPU", 3)
    spec.merge_from(DeviceSpec.from_string("/task:5/cpu:0"))
    assert spec.to_string() == "/job:a/replica:1/task:5/device:CPU:0"


def test_a_part_that_is_unknown_is_an_error(tf):
    with (
        pytest.raises(ValueError, match="Unknown attribute: 'foo' in '/foo:1'"),
        tf.device("/foo:1"),
    ):
        pass

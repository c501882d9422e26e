"""Messages by TensorFlow's names, devices, what a run took, and its timeline."""

import json

import pytest

from anode.errors import UnsupportedOp
from anode.frontends.tensorflow.api import cluster, config
from anode.frontends.tensorflow.api.timeline import Timeline
from anode.frontends.tensorflow.formats import proto
from anode.frontends.tensorflow.modules import tensorflow as tf


def test_options_reject_unknown_fields():
    options = tf.ConfigProto(
        allow_soft_placement=True, gpu_options=tf.GPUOptions(per_process_gpu_memory_fraction=0.5)
    )
    options.gpu_options.allow_growth = True
    assert options.gpu_options.per_process_gpu_memory_fraction == 0.5
    with pytest.raises(ValueError, match='no "foo" field'):
        tf.ConfigProto(foo=1)
    with pytest.raises(AttributeError, match='no "foo" field'):
        options.foo = 1
    assert tf.OptimizerOptions(opt_level=tf.OptimizerOptions.L0).opt_level == -1
    assert tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE).trace_level == 3
    assert tf.core.framework.types_pb2.DT_INT32 == 3


def test_devices():
    (device,) = config.list_local_devices()
    assert (device.name, device.device_type) == ("/device:CPU:0", "CPU")
    with tf.Session() as session:
        assert [d.device_type for d in session.list_devices()] == ["CPU"]


def test_a_run_is_recorded_and_drawn():
    with tf.Graph().as_default(), tf.Session() as session:
        product = tf.matmul(tf.ones([2, 3]), tf.ones([3, 2]), name="product")
        text = tf.as_string(product)
        metadata = tf.RunMetadata()
        session.run(text, options=tf.RunOptions(trace_level=3), run_metadata=metadata)
    nodes = metadata.step_stats.dev_stats[0].node_stats
    assert nodes and all(node.all_end_rel_micros > 0 for node in nodes)
    events = json.loads(Timeline(metadata.step_stats).generate_chrome_trace_format())
    drawn = [e for e in events["traceEvents"] if e["ph"] == "X"]
    assert [e["args"]["name"] for e in drawn] == [node.node_name for node in nodes]


def test_clusters():
    spec = cluster.ClusterSpec({"worker": ["a:1", "b:2"], "ps": {1: "c:3"}})
    assert spec.jobs == ["ps", "worker"] and spec.num_tasks("worker") == 2
    assert spec.as_dict() == {"ps": {1: "c:3"}, "worker": ["a:1", "b:2"]}
    assert spec.job_tasks("ps") == [None, "c:3"] and spec.task_indices("ps") == [1]
    assert spec.task_address("worker", 1) == "b:2"
    assert cluster.ClusterSpec(spec.as_cluster_def()) == spec
    with pytest.raises(ValueError, match="No such job"):
        spec.num_tasks("chief")


def test_a_server_is_this_process():
    server = cluster.Server.create_local_server()
    assert server.target.startswith("grpc://")
    with tf.Session(server.target) as session:
        assert session.run(tf.constant(3)) == 3
    with pytest.raises(UnsupportedOp, match="2 tasks"):
        cluster.Server({"worker": ["a:1", "b:2"]}, "worker", 0)


def test_variables_go_to_parameter_servers_in_turn():
    setter = cluster.replica_device_setter(cluster={"ps": ["a:1", "b:2"], "worker": ["c:3"]})
    ops = [
        type("Op", (), {"type": kind, "device": ""})
        for kind in ("VariableV2", "MatMul", "VariableV2")
    ]
    assert list(map(setter, ops)) == ["/job:ps/task:0", "/job:worker", "/job:ps/task:1"]
    assert cluster.replica_device_setter(0) is None


def test_every_message_is_served():
    for name in ("Event", "Summary", "NodeDef", "MetaGraphDef", "train.Example", "train.SaverDef"):
        last = name.rpartition(".")[2]
        found = tf
        for part in name.split("."):
            found = getattr(found, part)
        assert found is getattr(proto, last)

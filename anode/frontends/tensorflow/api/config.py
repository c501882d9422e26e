"""TensorFlow's messages as `tf` names them, the devices of this machine, and what a run took."""

from __future__ import annotations

import os
import time
from typing import Any

from anode.frontends.tensorflow.formats import proto, schema
from anode.frontends.tensorflow.opdef import export, export_values

DEVICE = "/job:localhost/replica:0/task:0/device:CPU:0"

_TOP = (
    *("AttrValue", "ConfigProto", "Event", "GPUOptions", "GraphDef", "GraphOptions"),
    *("HistogramProto", "LogMessage", "MetaGraphDef", "NameAttrList", "NodeDef"),
    *("OptimizerOptions", "RunMetadata", "RunOptions", "SessionLog", "Summary"),
    *("SummaryMetadata", "TensorInfo"),
)
_TRAIN = (
    *("BytesList", "ClusterDef", "Example", "Feature", "FeatureList", "FeatureLists", "Features"),
    *("FloatList", "Int64List", "JobDef", "SaverDef", "SequenceExample", "ServerDef"),
)
_SUMMARY = ("Event", "SessionLog", "Summary", "SummaryDescription", "TaggedRunMetadata")

export_values(proto.__name__, _TOP)
export_values(proto.__name__, {f"train.{name}": name for name in _TRAIN})
export_values(proto.__name__, {f"summary.{name}": name for name in _SUMMARY})
# tensorflow.core.framework.graph_pb2.GraphDef and the like; paths.py drops what lies between.
_MESSAGES = [*schema.message_names(), *schema.enum_names()]
export_values(proto.__name__, {f"core.{name}": name for name in _MESSAGES if "." not in name})
export_values(
    proto.__name__, {f"core.{label}": f"DataType.{label}" for label in schema.enum("DataType")}
)


def local_devices() -> list[Any]:
    """The devices a session has: the processor."""
    return [DeviceAttributes(DEVICE, "CPU", _memory(), 1)]


class DeviceAttributes:
    """What `Session.list_devices` says about a device."""

    def __init__(self, name: str, device_type: str, memory_limit_bytes: int, tag: int) -> None:
        self.name, self.device_type = name, device_type
        self.memory_limit_bytes, self.incarnation = memory_limit_bytes, tag

    def __repr__(self) -> str:
        return (
            f"_DeviceAttributes({self.name}, {self.device_type}, {self.memory_limit_bytes}, "
            f"{self.incarnation})"
        )


@export("python.client.device_lib.list_local_devices")
def list_local_devices(session_config: Any = None) -> list[Any]:
    """The devices of this machine as DeviceAttributes messages."""
    message = proto.DeviceAttributes(
        name="/device:CPU:0", device_type="CPU", memory_limit=_memory(), incarnation=1
    )
    return [message]


def _memory() -> int:
    """Bytes of this machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def record_run(metadata: Any, plan: Any, start: float, end: float) -> None:
    """Write into a RunMetadata what each stage of a run took; a stage stands for its last op."""
    metadata.Clear()
    device = metadata.step_stats.dev_stats.add()
    device.device = DEVICE
    epoch = time.time() - time.perf_counter()
    for stage in plan.stages:
        started, ended = (epoch + seconds for seconds in stage.last)
        if start <= ended and started <= end:
            _add(device.node_stats, stage, started, ended)


def _add(stats: Any, stage: Any, start: float, end: float) -> None:
    op = stage.own[-1]
    node = stats.add()
    node.node_name = op.name
    node.all_start_micros = int(start * 1e6)
    node.op_end_rel_micros = node.all_end_rel_micros = max(1, int((end - start) * 1e6))
    inputs = ", ".join(tensor.op.name for tensor in stage.inputs)
    where = "" if stage.on_host else f"; compiled with {len(stage.own)} operations"
    node.timeline_label = f"{op.name} = {op.type}({inputs}){where}"
    for slot, tensor in enumerate(op.outputs):
        output = node.output.add()
        output.slot = slot
        output.tensor_description.dtype = tensor.dtype.base_dtype.as_datatype_enum

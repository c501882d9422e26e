"""The messages that scripts make and read: tf.train.Example, tf.GraphDef, tf.ConfigProto, ..."""

from __future__ import annotations

from typing import Any

from anode.frontends.tensorflow.formats import proto
from anode.frontends.tensorflow.opdef import export_values

_HERE = __name__
_ROOT = """AttrValue ConfigProto Event GPUOptions GraphDef GraphOptions HistogramProto LogMessage
    MetaGraphDef NameAttrList NodeDef OptimizerOptions RunMetadata RunOptions SessionLog Summary
    SummaryMetadata"""
_TRAIN = """BytesList ClusterDef Example Feature FeatureList FeatureLists Features FloatList
    Int64List JobDef NamedTensorProto SaverDef SequenceExample ServerDef"""
_SUMMARY = "Event SessionLog Summary SummaryDescription TaggedRunMetadata"
_CORE = {  # module of tensorflow.core -> messages and enumerations
    "example.example_pb2": "Example SequenceExample",
    "example.feature_pb2": """BytesList Feature FeatureList FeatureLists Features FloatList
        Int64List""",
    "framework.attr_value_pb2": "AttrValue NameAttrList",
    "framework.cost_graph_pb2": "CostGraphDef",
    "framework.device_attributes_pb2": "DeviceAttributes DeviceLocality",
    "framework.function_pb2": "FunctionDef FunctionDefLibrary GradientDef",
    "framework.graph_pb2": "GraphDef",
    "framework.node_def_pb2": "NodeDef",
    "framework.op_def_pb2": "OpDef OpDeprecation OpList",
    "framework.resource_handle_pb2": "ResourceHandleProto",
    "framework.step_stats_pb2": "DeviceStepStats NodeExecStats NodeOutput StepStats",
    "framework.summary_pb2": "HistogramProto Summary SummaryDescription SummaryMetadata",
    "framework.tensor_pb2": "TensorProto VariantTensorDataProto",
    "framework.tensor_shape_pb2": "TensorShapeProto",
    "framework.tensor_slice_pb2": "TensorSliceProto",
    "framework.types_pb2": "DataType",
    "framework.variable_pb2": "SaveSliceInfoDef VariableDef",
    "framework.versions_pb2": "VersionDef",
    "protobuf.cluster_pb2": "ClusterDef JobDef",
    "protobuf.config_pb2": "ConfigProto GPUOptions GraphOptions OptimizerOptions RPCOptions "
    "RunMetadata RunOptions ThreadPoolOptionProto",
    "protobuf.control_flow_pb2": "CondContextDef ControlFlowContextDef ValuesDef WhileContextDef",
    "protobuf.meta_graph_pb2": "AssetFileDef CollectionDef MetaGraphDef SignatureDef TensorInfo",
    "protobuf.named_tensor_pb2": "NamedTensorProto",
    "protobuf.queue_runner_pb2": "QueueRunnerDef",
    "protobuf.rewriter_config_pb2": "AutoParallelOptions RewriterConfig",
    "protobuf.saved_model_pb2": "SavedModel",
    "protobuf.saver_pb2": "SaverDef",
    "protobuf.tensor_bundle_pb2": "BundleEntryProto BundleHeaderProto",
    "protobuf.tensorflow_server_pb2": "ServerDef",
    "util.event_pb2": "Event LogMessage SessionLog TaggedRunMetadata",
    "util.saved_tensor_slice_pb2": "SavedSlice SavedSliceMeta SavedTensorSliceMeta "
    "SavedTensorSlices",
}


def __getattr__(name: str) -> Any:
    return proto.DataType.Value(name) if name.startswith("DT_") else getattr(proto, name)


def _export(prefix: str, names: str) -> None:
    export_values(_HERE, {f"{prefix}{name}": name for name in names.split()})


_export("", _ROOT)
_export("train.", _TRAIN)
_export("summary.", _SUMMARY)
_export("python.training.checkpoint_state_pb2.", "CheckpointState")
_export("contrib.tensorboard.plugins.projector.", "EmbeddingInfo ProjectorConfig SpriteMetadata")
for _module, _names in _CORE.items():
    _export(f"core.{_module}.", _names)
    if _module == "framework.types_pb2":
        _export(f"core.{_module}.", " ".join(proto.DataType.keys()))

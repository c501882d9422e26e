"""tf.saved_model: a graph, its variables and what serves it, in a folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from anode.errors import DataError
from anode.frontends.tensorflow.api.graph_keys import GraphKeys
from anode.frontends.tensorflow.core import Graph
from anode.frontends.tensorflow.dtypes import string
from anode.frontends.tensorflow.formats import proto, tensors, text
from anode.frontends.tensorflow.graph import convert_to_tensor, get_default_graph
from anode.frontends.tensorflow.opdef import export, export_values

_CONSTANTS: dict[str, dict[str, Any]] = {
    "tag_constants": {"SERVING": "serve", "TRAINING": "train", "EVAL": "eval", "GPU": "gpu",
                      "TPU": "tpu"},
    "constants": {
        "ASSETS_DIRECTORY": "assets",
        "ASSETS_KEY": "saved_model_assets",
        "LEGACY_INIT_OP_KEY": "legacy_init_op",
        "MAIN_OP_KEY": "saved_model_main_op",
        "SAVED_MODEL_FILENAME_PB": "saved_model.pb",
        "SAVED_MODEL_FILENAME_PBTXT": "saved_model.pbtxt",
        "SAVED_MODEL_SCHEMA_VERSION": 1,
        "VARIABLES_DIRECTORY": "variables",
        "VARIABLES_FILENAME": "variables",
    },
    "signature_constants": {
        "DEFAULT_SERVING_SIGNATURE_DEF_KEY": "serving_default",
        "CLASSIFY_INPUTS": "inputs",
        "CLASSIFY_METHOD_NAME": "tensorflow/serving/classify",
        "CLASSIFY_OUTPUT_CLASSES": "classes",
        "CLASSIFY_OUTPUT_SCORES": "scores",
        "PREDICT_INPUTS": "inputs",
        "PREDICT_METHOD_NAME": "tensorflow/serving/predict",
        "PREDICT_OUTPUTS": "outputs",
        "REGRESS_INPUTS": "inputs",
        "REGRESS_METHOD_NAME": "tensorflow/serving/regress",
        "REGRESS_OUTPUTS": "outputs",
    },
}  # fmt: skip
for _space, _values in _CONSTANTS.items():
    globals().update(_values)
    for _prefix in ("saved_model.", f"saved_model.{_space}.", f"python.saved_model.{_space}."):
        export_values(__name__, {f"{_prefix}{name}": name for name in _values})
_NAMES = _CONSTANTS["constants"]
_SIGNATURES = _CONSTANTS["signature_constants"]

# --- what a model takes and gives ----------------------------------------------------------------


@export("saved_model.utils.build_tensor_info", "python.saved_model.utils.build_tensor_info")
def build_tensor_info(tensor: Any) -> Any:
    """The TensorInfo of a tensor, or of a SparseTensor."""
    if hasattr(tensor, "indices") and hasattr(tensor, "dense_shape"):
        sparse = {
            "values_tensor_name": tensor.values.name,
            "indices_tensor_name": tensor.indices.name,
            "dense_shape_tensor_name": tensor.dense_shape.name,
        }
        info = proto.TensorInfo(coo_sparse=sparse)
    else:
        tensor = convert_to_tensor(tensor)
        info = proto.TensorInfo(name=tensor.name)
    info.dtype = tensor.dtype.base_dtype.as_datatype_enum
    shape = tensor.get_shape()
    info.tensor_shape.CopyFrom(
        tensors.shape_proto(None if shape.ndims is None else shape.as_list())
    )
    return info


@export("saved_model.utils.get_tensor_from_tensor_info")
def get_tensor_from_tensor_info(
    tensor_info: Any, graph: Graph | None = None, import_scope: str | None = None
) -> Any:
    """The tensor of a graph that a TensorInfo names."""
    graph = graph or get_default_graph()
    prefix = f"{import_scope}/" if import_scope else ""
    if tensor_info.WhichOneof("encoding") == "name":
        return graph.get_tensor_by_name(prefix + tensor_info.name)
    from anode.frontends.tensorflow.modules import tensorflow

    names = tensor_info.coo_sparse
    parts = (names.indices_tensor_name, names.values_tensor_name, names.dense_shape_tensor_name)
    return tensorflow.SparseTensor(*(graph.get_tensor_by_name(prefix + name) for name in parts))


@export(
    "saved_model.signature_def_utils.build_signature_def",
    "python.saved_model.signature_def_utils.build_signature_def",
)
def build_signature_def(
    inputs: Mapping[str, Any] | None = None,
    outputs: Mapping[str, Any] | None = None,
    method_name: str | None = None,
) -> Any:
    """A SignatureDef of TensorInfos by name."""
    return proto.SignatureDef(inputs=inputs, outputs=outputs, method_name=method_name)


@export("saved_model.signature_def_utils.predict_signature_def")
def predict_signature_def(inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> Any:
    """The signature of a model from tensors by name to tensors by name."""
    if not inputs or not outputs:
        raise ValueError("Prediction inputs and outputs cannot be None or empty.")
    taken = {key: build_tensor_info(tensor) for key, tensor in inputs.items()}
    given = {key: build_tensor_info(tensor) for key, tensor in outputs.items()}
    return build_signature_def(taken, given, _SIGNATURES["PREDICT_METHOD_NAME"])


@export("saved_model.signature_def_utils.classification_signature_def")
def classification_signature_def(examples: Any, classes: Any = None, scores: Any = None) -> Any:
    """The signature of a model from serialised Examples to classes, scores or both."""
    if examples is None:
        raise ValueError("Classification examples cannot be None.")
    if classes is None and scores is None:
        raise ValueError("Classification classes and scores cannot both be None.")
    inputs = {_SIGNATURES["CLASSIFY_INPUTS"]: _strings(examples, "input tensors")}
    outputs = {}
    if classes is not None:
        outputs[_SIGNATURES["CLASSIFY_OUTPUT_CLASSES"]] = _strings(classes, "classes tensor")
    if scores is not None:
        outputs[_SIGNATURES["CLASSIFY_OUTPUT_SCORES"]] = build_tensor_info(scores)
    return build_signature_def(inputs, outputs, _SIGNATURES["CLASSIFY_METHOD_NAME"])


@export("saved_model.signature_def_utils.regression_signature_def")
def regression_signature_def(examples: Any, predictions: Any) -> Any:
    """The signature of a model from serialised Examples to numbers."""
    if examples is None or predictions is None:
        raise ValueError("Regression inputs and predictions cannot be None.")
    inputs = {_SIGNATURES["REGRESS_INPUTS"]: _strings(examples, "input tensors")}
    outputs = {_SIGNATURES["REGRESS_OUTPUTS"]: build_tensor_info(predictions)}
    return build_signature_def(inputs, outputs, _SIGNATURES["REGRESS_METHOD_NAME"])


def _strings(tensor: Any, what: str) -> Any:
    info = build_tensor_info(tensor)
    if info.dtype != string.as_datatype_enum:
        raise ValueError(f"{what.capitalize()} must be of type string, not {tensor.dtype}")
    return info


@export("saved_model.signature_def_utils.is_valid_signature")
def is_valid_signature(signature_def: Any) -> bool:
    """Whether a serving system can use a signature by its method."""
    methods = {k: v for k, v in _SIGNATURES.items() if k.endswith("METHOD_NAME")}
    inputs, outputs = signature_def.inputs, signature_def.outputs
    if signature_def.method_name not in methods.values():
        return False
    if signature_def.method_name == methods["PREDICT_METHOD_NAME"]:
        return len(inputs) >= 1 and len(outputs) >= 1
    texts = [info.dtype == string.as_datatype_enum for info in inputs.values()]
    return len(texts) == 1 and texts[0] and 1 <= len(outputs) <= 2


# --- writing -------------------------------------------------------------------------------------


@export(
    "saved_model.builder.SavedModelBuilder",
    "saved_model.Builder",
    "python.saved_model.builder.SavedModelBuilder",
    "python.saved_model.builder_impl.SavedModelBuilder",
)
class SavedModelBuilder:
    """Collects MetaGraphs for a folder that must be new or empty; `save` writes them."""

    def __init__(self, export_dir: Any) -> None:
        self._export_dir = os.fspath(
            export_dir.decode() if isinstance(export_dir, bytes) else export_dir
        )
        if os.path.isdir(self._export_dir) and os.listdir(self._export_dir):
            raise AssertionError(
                f"Export directory already exists, and isn't empty: {self._export_dir}. Please "
                "choose a different export directory, or delete all the contents of the specified "
                f"directory: {self._export_dir}"
            )
        os.makedirs(self._export_dir, exist_ok=True)
        self._saved_model = proto.SavedModel(
            saved_model_schema_version=_NAMES["SAVED_MODEL_SCHEMA_VERSION"]
        )
        self._has_saved_variables = False

    def add_meta_graph_and_variables(
        self,
        sess: Any,
        tags: Sequence[str],
        signature_def_map: Mapping[str, Any] | None = None,
        assets_collection: Any = None,
        legacy_init_op: Any = None,
        clear_devices: bool = False,
        main_op: Any = None,
        strip_default_attrs: bool = False,
        saver: Any = None,
    ) -> None:
        """Add the default graph under `tags`, and write the session's variables."""
        if self._has_saved_variables:
            raise AssertionError(
                "Graph state including variables and assets has already been saved. Please invoke "
                "`add_meta_graph()` instead."
            )
        saver = self._prepared(signature_def_map, assets_collection, legacy_init_op, main_op, saver)
        folder = os.path.join(self._export_dir, _NAMES["VARIABLES_DIRECTORY"])
        os.makedirs(folder, exist_ok=True)
        saver.save(
            sess,
            os.path.join(folder, _NAMES["VARIABLES_FILENAME"]),
            write_meta_graph=False,
            write_state=False,
        )
        self._add(saver, tags, signature_def_map, clear_devices, strip_default_attrs)
        self._has_saved_variables = True

    def add_meta_graph(
        self,
        tags: Sequence[str],
        signature_def_map: Mapping[str, Any] | None = None,
        assets_collection: Any = None,
        legacy_init_op: Any = None,
        clear_devices: bool = False,
        main_op: Any = None,
        strip_default_attrs: bool = False,
        saver: Any = None,
    ) -> None:
        """Add the default graph under `tags`; its variables are those already saved."""
        if not self._has_saved_variables:
            raise AssertionError(
                "Graph state including variables and assets has not been saved yet. Please invoke "
                "`add_meta_graph_and_variables()` first."
            )
        saver = self._prepared(signature_def_map, assets_collection, legacy_init_op, main_op, saver)
        self._add(saver, tags, signature_def_map, clear_devices, strip_default_attrs)

    def _prepared(
        self, signatures: Any, assets: Any, legacy_init_op: Any, main_op: Any, saver: Any
    ) -> Any:
        """Check the signatures, note init ops and assets in the graph; gives a Saver."""
        from anode.frontends.tensorflow.api.saver import Saver

        for signature in (signatures or {}).values():
            for info in (*signature.inputs.values(), *signature.outputs.values()):
                if info.WhichOneof("encoding") is None or not info.dtype:
                    raise AssertionError(
                        "All TensorInfo protos used in the SignatureDefs must have the name and "
                        f"dtype fields set: {info}"
                    )
        graph = get_default_graph()
        self._note(graph, _NAMES["MAIN_OP_KEY"], main_op)
        self._note(graph, _NAMES["LEGACY_INIT_OP_KEY"], legacy_init_op)
        self._copy_assets(graph, assets)
        return saver or Saver(sharded=True, allow_empty=True)

    def _note(self, graph: Graph, key: Any, op: Any) -> None:
        graph.clear_collection(key)
        if op is not None:
            graph.add_to_collection(key, op)

    def _copy_assets(self, graph: Graph, assets: Any) -> None:
        """Copy the files that constants name, and list them by tensor."""
        graph.clear_collection(_NAMES["ASSETS_KEY"])
        self._assets = []
        for tensor in assets or ():
            source = _constant_text(tensor)
            folder = os.path.join(self._export_dir, _NAMES["ASSETS_DIRECTORY"])
            os.makedirs(folder, exist_ok=True)
            shutil.copyfile(source, os.path.join(folder, os.path.basename(source)))
            info = proto.TensorInfo(name=tensor.name)
            asset = proto.AssetFileDef(tensor_info=info, filename=os.path.basename(source))
            self._assets.append(asset)

    def _add(
        self, saver: Any, tags: Sequence[str], signatures: Any, clear_devices: bool, strip: bool
    ) -> None:
        meta = saver.export_meta_graph(clear_devices=clear_devices, strip_default_attrs=strip)
        meta.meta_info_def.tags.extend(tags)
        meta.asset_file_def.extend(self._assets)
        for key, signature in (signatures or {}).items():
            meta.signature_def[key].CopyFrom(signature)
        self._saved_model.meta_graphs.append(meta)

    def save(self, as_text: bool = False) -> bytes:
        """Write the file that lists the MetaGraphs; gives its path."""
        key = "SAVED_MODEL_FILENAME_PBTXT" if as_text else "SAVED_MODEL_FILENAME_PB"
        path = os.path.join(self._export_dir, _NAMES[key])
        data = self._saved_model.SerializeToString()
        if as_text:
            data = text.MessageToString(self._saved_model).encode()
        with open(path, "wb") as file:
            file.write(data)
        return path.encode()


def _constant_text(tensor: Any) -> str:
    from anode.frontends.tensorflow.graph import constant_value

    value = constant_value(tensor)
    if value is None:
        raise ValueError(f"Only constants may be assets, not {tensor!r}")
    return bytes(value.item()).decode()


@export("saved_model.simple_save")
def simple_save(
    session: Any,
    export_dir: Any,
    inputs: Mapping[str, Any],
    outputs: Mapping[str, Any],
    legacy_init_op: Any = None,
) -> None:
    """Save the default graph with the signature that serving looks for first."""
    signature = predict_signature_def(inputs, outputs)
    builder = SavedModelBuilder(export_dir)
    builder.add_meta_graph_and_variables(
        session,
        tags=["serve"],
        signature_def_map={"serving_default": signature},
        assets_collection=get_default_graph().get_collection(GraphKeys.ASSET_FILEPATHS),
        main_op=legacy_init_op,
        clear_devices=True,
    )
    builder.save()


# --- reading -------------------------------------------------------------------------------------


def read_saved_model(export_dir: Any) -> Any:
    """The SavedModel message of a folder; OSError where there is none."""
    folder = os.fspath(export_dir.decode() if isinstance(export_dir, bytes) else export_dir)
    binary, readable = (os.path.join(folder, f"saved_model.{end}") for end in ("pb", "pbtxt"))
    try:
        if os.path.exists(binary):
            with open(binary, "rb") as file:
                return proto.SavedModel.FromString(file.read())
        if os.path.exists(readable):
            with open(readable, "rb") as file:
                return text.Merge(file.read(), proto.SavedModel())
    except DataError as error:
        raise OSError(f"Cannot parse the SavedModel in {folder}: {error}") from None
    raise OSError(
        f"SavedModel file does not exist at: {folder}/{{saved_model.pbtxt|saved_model.pb}}"
    )


@export("saved_model.loader.maybe_saved_model_directory")
def maybe_saved_model_directory(export_dir: Any) -> bool:
    """Whether a folder holds a SavedModel."""
    return any(
        os.path.exists(os.path.join(export_dir, f"saved_model.{e}")) for e in ("pb", "pbtxt")
    )


@export("saved_model.loader.load", "saved_model.load", "python.saved_model.loader.load",
        "python.saved_model.loader_impl.load")  # fmt: skip
def load(
    sess: Any,
    tags: Sequence[str],
    export_dir: Any,
    import_scope: str | None = None,
    **saver_kwargs: Any,
) -> Any:
    """Build the graph under `tags` in the session's graph, restore and initialise it.

    Gives its MetaGraphDef; RuntimeError if no graph has exactly these tags.
    """
    from anode.frontends.tensorflow.api.meta_graph import import_meta_graph

    folder = os.fspath(export_dir.decode() if isinstance(export_dir, bytes) else export_dir)
    meta = _tagged(read_saved_model(folder), tags)
    with sess.graph.as_default():
        saver = import_meta_graph(meta, import_scope=import_scope, **saver_kwargs)
        variables = os.path.join(folder, "variables", "variables")
        if saver is not None and os.path.exists(f"{variables}.index"):
            saver.restore(sess, variables)
        _initialize(sess, meta, folder, import_scope)
    return meta


def _tagged(model: Any, tags: Sequence[str]) -> Any:
    for meta in model.meta_graphs:
        if set(meta.meta_info_def.tags) == set(tags):
            return meta
    raise RuntimeError(
        f"MetaGraphDef associated with tags {str(list(tags)).strip('[]')} could not be found in "
        f"SavedModel. It has: {[list(meta.meta_info_def.tags) for meta in model.meta_graphs]}"
    )


def _initialize(sess: Any, meta: Any, folder: str, scope: str | None) -> None:
    """Run the model's init op, its assets where they lie now."""
    prefix = f"{scope}/" if scope else ""
    feeds = {
        sess.graph.get_tensor_by_name(prefix + asset.tensor_info.name): os.path.join(
            folder, "assets", asset.filename
        )
        for asset in meta.asset_file_def
    }
    for key in ("saved_model_main_op", "legacy_init_op"):
        if key in meta.collection_def and meta.collection_def[key].node_list.value:
            name = meta.collection_def[key].node_list.value[0]
            sess.run(sess.graph.get_operation_by_name(prefix + name), feeds)
            return


@export("saved_model.main_op.main_op")
def main_op() -> Any:
    """The op that initialises all variables and tables of a model."""
    from anode.frontends.tensorflow.modules import tensorflow as tf

    return tf.group(
        tf.global_variables_initializer(), tf.local_variables_initializer(), tf.tables_initializer()
    )


@export("saved_model.main_op.main_op_with_restore")
def main_op_with_restore(restore_op_name: Any) -> Any:
    """The op that restores the variables, then initialises what is local."""
    from anode.frontends.tensorflow.modules import tensorflow as tf

    with tf.control_dependencies([main_op()]):
        return tf.group(restore_op_name)

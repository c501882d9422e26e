"""Graphs with their collections as MetaGraphDef messages: written, read, built again."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from anode.frontends.tensorflow.api.graph_keys import GraphKeys
from anode.frontends.tensorflow.api.variables import Variable
from anode.frontends.tensorflow.core import Graph
from anode.frontends.tensorflow.graph import get_default_graph
from anode.frontends.tensorflow.opdef import export

VERSION = "1.15.0"
UNBOUND = ("cond_context", "while_context")  # control flow that import raises to If and While
log = logging.getLogger("tensorflow")


@dataclass(frozen=True)
class Codec:
    """How the items of a collection become messages and come back."""

    message: str
    to_proto: Callable[..., Any]
    from_proto: Callable[..., Any] | None


def _variable_proto(variable: Any, export_scope: str | None = None) -> Any:
    return variable.to_proto(export_scope=export_scope)


def _saver(saver_def: Any, import_scope: str | None = None) -> Any:
    from anode.frontends.tensorflow.api.saver import Saver

    return Saver.from_proto(saver_def, import_scope)


def _queue_runner(proto: Any, import_scope: str | None = None) -> Any:
    from anode.frontends.tensorflow.api.coordinator import QueueRunner

    return QueueRunner.from_proto(proto, import_scope)


def _codecs() -> dict[str, Codec]:
    variable = Codec("VariableDef", _variable_proto, Variable.from_proto)
    found = dict.fromkeys(GraphKeys._VARIABLE_COLLECTIONS, variable)
    found[GraphKeys.GLOBAL_STEP] = variable
    found[GraphKeys.SAVERS] = Codec("SaverDef", _variable_proto, _saver)
    found[GraphKeys.QUEUE_RUNNERS] = Codec("QueueRunnerDef", _variable_proto, _queue_runner)
    return found


CODECS = _codecs()


def variable_def(variable: Any, export_scope: str | None = None) -> Any:
    """The VariableDef of a variable; None for one outside of `export_scope`."""
    from anode.frontends.tensorflow.api.variables import ResourceVariable
    from anode.frontends.tensorflow.formats import proto

    prefix = f"{export_scope.rstrip('/')}/" if export_scope else ""
    if not variable.name.startswith(prefix):
        return None
    start = variable.initial_value
    found = proto.VariableDef(
        variable_name=variable._ref().name[len(prefix) :],
        initializer_name=variable.initializer.name[len(prefix) :],
        snapshot_name=variable._snapshot.name[len(prefix) :],
        initial_value_name="" if start is None else start.name[len(prefix) :],
        is_resource=isinstance(variable, ResourceVariable),
        trainable=variable.trainable,
    )
    info = variable._save_slice_info
    if info is not None:
        slices = found.save_slice_info_def
        slices.full_name = info.full_name[len(prefix) :]
        slices.full_shape.extend(info.full_shape)
        slices.var_offset.extend(info.var_offset)
        slices.var_shape.extend(info.var_shape)
    return found


# export


@export("train.export_meta_graph")
def export_meta_graph(
    filename: Any = None,
    meta_info_def: Any = None,
    graph_def: Any = None,
    saver_def: Any = None,
    collection_list: Any = None,
    as_text: bool = False,
    graph: Graph | None = None,
    export_scope: str | None = None,
    clear_devices: bool = False,
    clear_extraneous_savers: bool = False,
    strip_default_attrs: bool = False,
    save_debug_info: bool = False,
    **kwargs: Any,
) -> Any:
    """The MetaGraphDef of a graph, written to a file if named.

    Attributes are written also where they have their default values: `strip_default_attrs` is for
    readers older than an attribute, and anode's ops have those of 1.15. NotImplementedError for
    `save_debug_info`.
    """
    if save_debug_info:
        raise NotImplementedError("export_meta_graph(save_debug_info=True) is not implemented")
    if kwargs:
        raise TypeError(f"export_meta_graph has no argument {', '.join(kwargs)}")
    graph = graph or get_default_graph()
    meta = _message(meta_info_def)
    meta.graph_def.CopyFrom(graph.as_graph_def() if graph_def is None else graph_def)
    if export_scope is not None:
        _keep_scope(meta.graph_def, export_scope.rstrip("/") + "/")
    if clear_devices:
        for node in meta.graph_def.node:
            node.device = ""
    if saver_def is not None:
        meta.saver_def.CopyFrom(saver_def)
    keys = graph.get_all_collection_keys() if collection_list is None else collection_list
    for key in keys:
        if key == GraphKeys.SAVERS and clear_extraneous_savers:
            continue
        if isinstance(key, str) and not key.startswith("__"):
            _add_collection(meta, graph, key, export_scope)
    if filename:
        _written(meta, os.fspath(filename), as_text)
    return meta


def _message(meta_info_def: Any) -> Any:
    from anode.frontends.tensorflow.formats import proto

    meta = proto.MetaGraphDef()
    if meta_info_def is not None:
        meta.meta_info_def.CopyFrom(meta_info_def)
    meta.meta_info_def.tensorflow_version = VERSION
    meta.meta_info_def.tensorflow_git_version = "anode"
    return meta


def _keep_scope(graph_def: Any, prefix: str) -> None:
    """Only the nodes below a scope, without its name."""
    nodes = [node for node in graph_def.node if node.name.startswith(prefix)]
    kept = [type(node).FromString(node.SerializeToString()) for node in nodes]
    for node in kept:
        node.name = node.name[len(prefix) :]
        names = [
            ("^" if name.startswith("^") else "") + name.lstrip("^").removeprefix(prefix)
            for name in node.input
        ]
        del node.input[:]
        node.input.extend(names)
    del graph_def.node[:]
    graph_def.node.extend(kept)


def _add_collection(meta: Any, graph: Graph, key: str, scope: str | None) -> None:
    items = graph.get_collection(key)
    if not items or key in UNBOUND:
        return
    try:
        _fill(meta.collection_def[key], key, items, scope)
    except (TypeError, ValueError, AttributeError) as error:
        log.warning(
            "Issue encountered when serializing %s.\nType is unsupported, or the types of the "
            "items don't match field type in CollectionDef. Note this is a warning and "
            "probably safe to ignore.\n%s",
            key,
            error,
        )
        del meta.collection_def[key]


def _fill(found: Any, key: str, items: list[Any], scope: str | None) -> None:
    codec = CODECS.get(key)
    if codec is not None and all(hasattr(item, "to_proto") for item in items):
        messages = [codec.to_proto(item, export_scope=scope) for item in items]
        found.bytes_list.value.extend(m.SerializeToString() for m in messages if m is not None)
    elif all(isinstance(item, (str, bytes)) for item in items):
        texts = [item.encode() if isinstance(item, str) else item for item in items]
        found.bytes_list.value.extend(texts)
    elif all(isinstance(item, int) for item in items):
        found.int64_list.value.extend(items)
    elif all(isinstance(item, float) for item in items):
        found.float_list.value.extend(items)
    else:
        prefix = f"{scope.rstrip('/')}/" if scope else ""
        names = [item.name for item in items]
        kept = [name[len(prefix) :] for name in names if name.startswith(prefix)]
        found.node_list.value.extend(kept)


def _written(meta: Any, path: str, as_text: bool) -> None:
    from anode.frontends.tensorflow.formats import text

    data = text.MessageToString(meta).encode() if as_text else meta.SerializeToString()
    with open(path, "wb") as file:
        file.write(data)


# import


def read_meta_graph_file(filename: Any) -> Any:
    """The MetaGraphDef of a file, binary or text; OSError where there is none."""
    from anode.frontends.tensorflow.formats import proto, text

    path = os.fspath(filename)
    if not os.path.exists(path):
        raise OSError(f"File {path} does not exist.")
    with open(path, "rb") as file:
        data = file.read()
    try:
        return proto.MetaGraphDef.FromString(data)
    except proto.DecodeError:
        pass
    try:
        return text.Merge(data, proto.MetaGraphDef())
    except ValueError as error:
        raise OSError(f"Cannot parse file {path}: {error}.") from None


@export("train.import_meta_graph", "python.training.saver.import_meta_graph")
def import_meta_graph(
    meta_graph_or_file: Any,
    clear_devices: bool = False,
    import_scope: str | None = None,
    **kwargs: Any,
) -> Any:
    """Build a saved graph and its collections again; gives its Saver, or None without variables.

    `input_map` and `return_elements` are as in tf.import_graph_def; elements are not returned.
    """
    from anode.frontends.tensorflow.api.saver import Saver

    meta = meta_graph_or_file
    if isinstance(meta, (str, os.PathLike)):
        meta = read_meta_graph_file(meta)
    name = build(meta, clear_devices, import_scope, **kwargs)
    if meta.HasField("saver_def"):
        saver_def = _scoped_saver(meta.saver_def, name)
        return Saver(saver_def=saver_def, name=name or None)
    if get_default_graph().get_collection(GraphKeys.GLOBAL_VARIABLES):
        return Saver()
    log.info("Saver not created because there are no variables in the graph to restore")
    return None


def _scoped_saver(saver_def: Any, scope: str) -> Any:
    if not scope:
        return saver_def
    found = type(saver_def).FromString(saver_def.SerializeToString())
    for key in ("filename_tensor_name", "save_tensor_name", "restore_op_name"):
        setattr(found, key, f"{scope}/{getattr(found, key)}")
    return found


def build(
    meta: Any,
    clear_devices: bool = False,
    import_scope: str | None = None,
    input_map: Mapping[str, Any] | None = None,
    return_elements: Any = None,
    unbound_inputs_col_name: str = "unbound_inputs",
) -> str:
    """Add the operations and collections of a MetaGraphDef to the default graph; the scope used."""
    from anode.frontends.tensorflow.graph_import import import_graph_def

    if return_elements is not None:
        raise NotImplementedError("import_meta_graph: return_elements is not supported by anode")
    graph = get_default_graph()
    if clear_devices:
        for node in meta.graph_def.node:
            node.device = ""
    scope = graph.unique_name(import_scope or "", mark_as_used=False) if import_scope else ""
    import_graph_def(
        meta.graph_def, name=import_scope or scope, input_map=dict(input_map) if input_map else None
    )
    for key, held in sorted(meta.collection_def.items()):
        if key not in (*UNBOUND, unbound_inputs_col_name):
            _restore_collection(graph, key, held, scope)
    return scope


def _restore_collection(graph: Graph, key: str, held: Any, scope: str) -> None:
    from anode.frontends.tensorflow.formats import proto

    kind = held.WhichOneof("kind")
    if kind is None:
        return
    codec = CODECS.get(key)
    values = getattr(held, kind).value
    if kind == "bytes_list" and codec is not None:
        if codec.from_proto is None:
            return
        message = getattr(proto, codec.message)
        for value in values:
            item = _shared(codec, message.FromString(value), scope)
            graph.add_to_collection(key, item)
    elif kind == "node_list":
        for name in values:
            element = graph.as_graph_element(f"{scope}/{name}" if scope else name)
            graph.add_to_collection(key, element)
    else:
        for value in values:
            graph.add_to_collection(key, int(value) if kind == "int64_list" else value)


def _shared(codec: Codec, message: Any, scope: str) -> Any:
    """A variable in several collections is one object."""
    assert codec.from_proto is not None
    if codec.message != "VariableDef":
        return codec.from_proto(message, import_scope=scope or None)
    name = f"{scope}/{message.variable_name}" if scope else message.variable_name
    graph = get_default_graph()
    for key in GraphKeys._VARIABLE_COLLECTIONS:
        for variable in graph.get_collection(key):
            if isinstance(variable, Variable) and variable.name == name:
                return variable
    return codec.from_proto(message, import_scope=scope or None)

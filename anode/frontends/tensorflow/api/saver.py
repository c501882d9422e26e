"""tf.train.Saver: variables written to checkpoints and read back, by operations of the graph."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Mapping
from typing import Any

from anode.frontends.tensorflow import errors
from anode.frontends.tensorflow.api import checkpoints, training_util, variable_lists
from anode.frontends.tensorflow.api.graph_keys import GraphKeys
from anode.frontends.tensorflow.api.variables import ResourceVariable, Variable
from anode.frontends.tensorflow.core import Tensor
from anode.frontends.tensorflow.graph import (
    apply,
    get_default_graph,
    group,
    name_scope,
    placeholder_with_default,
)
from anode.frontends.tensorflow.opdef import export

V1, V2 = 1, 2
log = logging.getLogger("tensorflow")
RESTORING = (
    "Restoring from checkpoint failed. This is most likely due to {} Please ensure that you have "
    "not altered the graph expected based on the checkpoint. Original error:\n\n{}"
)


def variables_by_name(var_list: Any) -> dict[str, list[Any]]:
    """Names in a checkpoint and the variables (or the partitions of one) that they stand for."""
    if isinstance(var_list, Mapping):
        return {name: _pieces(value) for name, value in var_list.items()}
    found: dict[str, list[Any]] = {}
    for variable in var_list:
        for piece in _pieces(variable):
            info = piece._save_slice_info
            name = piece.op.name if info is None else info.full_name
            if name in found and info is None:
                raise ValueError(f"At least two variables have the same name: {name}")
            found.setdefault(name, []).append(piece)
    return found


def _pieces(value: Any) -> list[Any]:
    if isinstance(value, (list, tuple)) or hasattr(value, "_variable_list"):
        return [piece for item in value for piece in _pieces(item)]
    if isinstance(value, Tensor) and value.op.type in ("VariableV2", "Variable"):
        return [_OfTensor(value)]
    if not isinstance(value, Variable):
        raise TypeError(f"Variable to save is not a Variable: {value}")
    return [value]


class _OfTensor:
    """A variable known by its reference only, of an imported graph."""

    _save_slice_info = None

    def __init__(self, tensor: Tensor) -> None:
        self._tensor, self.op, self.shape = tensor, tensor.op, tensor.shape
        self.dtype = tensor.dtype

    def _ref(self) -> Tensor:
        return self._tensor


@export("train.Saver", "python.training.saver.Saver")
class Saver:
    """Saves variables to checkpoints and restores them.

    `var_list` is a list of variables or a map from names in checkpoints to them; all that can be
    saved without it. The newest `max_to_keep` checkpoints stay, and one for every
    `keep_checkpoint_every_n_hours`. ValueError where there is nothing to save.
    """

    def __init__(
        self,
        var_list: Any = None,
        reshape: bool = False,
        sharded: bool = False,
        max_to_keep: int | None = 5,
        keep_checkpoint_every_n_hours: float = 10000.0,
        name: str | None = None,
        restore_sequentially: bool = False,
        saver_def: Any = None,
        builder: Any = None,
        defer_build: bool = False,
        allow_empty: bool = False,
        write_version: int = V2,
        pad_step_number: bool = False,
        save_relative_paths: bool = False,
        filename: str | None = None,
    ) -> None:
        if defer_build and var_list:
            raise ValueError(
                "If `var_list` is provided then build cannot be deferred. Either set defer_build="
                "False or var_list=None."
            )
        if builder is not None:
            raise NotImplementedError("tf.train.Saver(builder=...) is not supported by anode")
        if write_version == V1:
            log.warning("Checkpoints of version 1 are not written by anode: version 2 is used")
        self._var_list, self._reshape, self._sharded = var_list, reshape, sharded
        self._max_to_keep, self._hours = max_to_keep, keep_checkpoint_every_n_hours
        self._name, self.saver_def = name, saver_def
        self._allow_empty, self._is_empty, self._is_built = allow_empty, False, False
        self._pad_step_number, self._relative = pad_step_number, save_relative_paths
        self._filename = filename
        self._last_checkpoints: list[tuple[str, float]] = []
        self._checkpoints_to_be_deleted: list[tuple[str, float]] = []
        self._next_checkpoint_time = time.time() + keep_checkpoint_every_n_hours * 3600
        self._lock = threading.RLock()
        self._meta: tuple[Any, bytes] | None = None  # the graph as last written
        if not defer_build:
            self.build()
        if self.saver_def is not None:
            self._check_saver_def()

    def build(self) -> None:
        """Make the operations, where `defer_build` put that off."""
        if self._is_built:
            return
        self._is_built = True
        if self.saver_def is None:
            if self._var_list is None:
                self._var_list = _all_saveable()
            if not self._var_list:
                if not self._allow_empty:
                    raise ValueError("No variables to save")
                self._is_empty = True
                return
            self.saver_def = self._built(variables_by_name(self._var_list))
        self._max_to_keep = self.saver_def.max_to_keep
        self._hours = self.saver_def.keep_checkpoint_every_n_hours
        self._next_checkpoint_time = time.time() + self._hours * 3600
        self._check_saver_def()

    def _check_saver_def(self) -> None:
        if not self.saver_def.save_tensor_name:
            raise ValueError(f"saver_def must specify the save_tensor_name: {self.saver_def!s}")
        if not self.saver_def.restore_op_name:
            raise ValueError(f"saver_def must specify the restore_op_name: {self.saver_def!s}")

    def _built(self, named: Mapping[str, list[Any]]) -> Any:
        from anode.frontends.tensorflow.formats import proto

        rows = [(name, v) for name in sorted(named) for v in named[name]]
        with name_scope(self._name, "save", [v.op.outputs[0] for _, v in rows]):
            path = placeholder_with_default(self._filename or "model", shape=(), name="filename")
            path = placeholder_with_default(path, shape=(), name="Const")
            names = [name for name, _ in rows]
            specs = ["" if v._save_slice_info is None else v._save_slice_info.spec for _, v in rows]
            saved = apply("SaveV2", path, names, specs, [_value(v) for _, v in rows], name="SaveV2")
            with get_default_graph().control_dependencies([saved]):
                written = apply("Identity", path, name="control_dependency")
            types = [v.dtype.base_dtype for _, v in rows]
            tensors = apply("RestoreV2", path, names, specs, dtypes=types, name="RestoreV2")
            assigned = [self._assigned(v, t) for (_, v), t in zip(rows, tensors, strict=True)]
            restored = group(*assigned, name="restore_all")
        return proto.SaverDef(
            filename_tensor_name=path.name,
            save_tensor_name=written.name,
            restore_op_name=restored.name,
            max_to_keep=self._max_to_keep or 0,
            sharded=self._sharded,
            keep_checkpoint_every_n_hours=self._hours,
            version=V2,
        )

    def _assigned(self, variable: Any, tensor: Tensor) -> Any:
        shape = variable.shape
        if self._reshape and shape.is_fully_defined():
            tensor = apply("Reshape", tensor, shape.as_list())
        if isinstance(variable, ResourceVariable):
            tensor.set_shape(shape if self._reshape else None)
            return apply("AssignVariableOp", variable._ref(), tensor, validate_shape=False)
        return apply("Assign", variable._ref(), tensor, validate_shape=shape.is_fully_defined())

    # saving

    def save(
        self,
        sess: Any,
        save_path: Any,
        global_step: Any = None,
        latest_filename: str | None = None,
        meta_graph_suffix: str = "meta",
        write_meta_graph: bool = True,
        write_state: bool = True,
        strip_default_attrs: bool = False,
        save_debug_info: bool = False,
    ) -> str | None:
        """Write a checkpoint and give its path, `save_path` with the step behind it.

        For `strip_default_attrs` and `save_debug_info` see `export_meta_graph`.
        """
        if not self._is_built:
            raise ValueError("`build()` should be called before save if defer_build==True")
        latest_filename = "checkpoint" if latest_filename is None else latest_filename
        save_path = os.fspath(save_path)
        if os.path.split(latest_filename)[0]:
            raise ValueError("'latest_filename' must not contain path components")
        with self._lock:  # a thread may save too; the state must name the last one
            path = self._path(sess, save_path, global_step, latest_filename)
            if not self._is_empty:
                self._write(sess, path, save_path)
            if write_meta_graph:
                meta = checkpoints.meta_graph_filename(path, meta_graph_suffix)
                self._write_meta(sess, meta, save_debug_info)
            if write_state and not self._is_empty:  # last, so that what it names is whole
                self._note(path, save_path, latest_filename, meta_graph_suffix)
        return None if self._is_empty else path

    def _note(self, path: str, save_path: str, latest_filename: str, suffix: str) -> None:
        """Name a new checkpoint in the state file and delete what is too old."""
        self._record(path)
        checkpoints.write_state(
            os.path.dirname(save_path),
            path,
            self.last_checkpoints,
            latest_filename,
            relative=self._relative,
        )
        self._delete_old(suffix)

    def _path(self, sess: Any, save_path: str, global_step: Any, latest_filename: str) -> str:
        if global_step is None:
            if os.path.basename(save_path) == latest_filename and not self._sharded:
                raise ValueError(
                    f"'latest_filename' collides with 'save_path': '{latest_filename}' and "
                    f"'{save_path}'"
                )
            return save_path
        if hasattr(global_step, "graph"):
            global_step = training_util.global_step(sess, global_step)
        step = int(global_step)
        return f"{save_path}-{step:08d}" if self._pad_step_number else f"{save_path}-{step}"

    def _write(self, sess: Any, path: str, save_path: str) -> None:
        names = self.saver_def
        try:
            sess.run(names.save_tensor_name, {names.filename_tensor_name: path})
        except errors.NotFoundError:
            if os.path.isdir(os.path.dirname(save_path) or "."):
                raise
            raise ValueError(
                f"Parent directory of {save_path} doesn't exist, can't save."
            ) from None

    def _write_meta(self, sess: Any, path: str, debug: bool) -> None:
        graph = sess.graph
        key = (graph, graph.version, {k: len(graph.get_collection(k)) for k in graph.collections})
        if debug or self._meta is None or self._meta[0] != key:
            with graph.as_default():
                meta = self.export_meta_graph(save_debug_info=debug)
                self._meta = key, meta.SerializeToString()
        temporary = f"{path}.tmp{os.getpid()}"
        with open(temporary, "wb") as file:
            file.write(self._meta[1])
        os.replace(temporary, path)

    def _record(self, path: str) -> None:
        if not self._max_to_keep:
            return
        kept = [entry for entry in self._last_checkpoints if entry[0] != path]
        self._last_checkpoints = [*kept, (path, time.time())]
        if len(self._last_checkpoints) > self._max_to_keep:
            self._checkpoints_to_be_deleted.append(self._last_checkpoints.pop(0))

    def _delete_old(self, meta_graph_suffix: str) -> None:
        if not self._checkpoints_to_be_deleted:
            return
        path, when = self._checkpoints_to_be_deleted.pop(0)
        if when > self._next_checkpoint_time:
            self._next_checkpoint_time += self._hours * 3600
            return
        try:
            checkpoints.remove_checkpoint(path, V2, meta_graph_suffix)
        except OSError as error:
            log.warning("Ignoring: %s", error)

    # restoring

    def restore(self, sess: Any, save_path: Any) -> None:
        """Give the variables the values of a checkpoint; ValueError where there is none."""
        if self._is_empty:
            return
        if save_path is None:
            raise ValueError("Can't load save_path when it is None.")
        path = os.fspath(save_path)
        if not checkpoints.checkpoint_exists(path):
            raise ValueError(f"The passed save_path is not a valid checkpoint: {path}")
        log.info("Restoring parameters from %s", path)
        names = self.saver_def
        try:
            sess.run(names.restore_op_name, {names.filename_tensor_name: path})
        except errors.NotFoundError as error:
            reason = "a Variable name or other graph key that is missing from the checkpoint."
            message = RESTORING.format(reason, error.message)
            raise errors.NotFoundError(error.node_def, error.op, message) from None
        except errors.InvalidArgumentError as error:
            reason = "a mismatch between the current graph and the graph from the checkpoint."
            message = RESTORING.format(reason, error.message)
            raise errors.InvalidArgumentError(error.node_def, error.op, message) from None

    # what was saved

    @property
    def last_checkpoints(self) -> list[str]:
        """The paths of the checkpoints that are kept, the oldest first."""
        return [path for path, _ in self._last_checkpoints]

    def set_last_checkpoints(self, last_checkpoints: list[str]) -> None:
        self.set_last_checkpoints_with_time([(path, float("inf")) for path in last_checkpoints])

    def set_last_checkpoints_with_time(self, pairs: list[tuple[str, float]]) -> None:
        self._last_checkpoints = list(pairs)

    def recover_last_checkpoints(self, checkpoint_paths: Any) -> None:
        """Take checkpoints of an earlier program as this one's own."""
        found = [p for p in checkpoint_paths if checkpoints.checkpoint_exists(p)]
        times = checkpoints.get_checkpoint_mtimes(found)
        self.set_last_checkpoints_with_time(list(zip(found, times, strict=True)))

    # as messages

    def as_saver_def(self) -> Any:
        return self.saver_def

    def to_proto(self, export_scope: str | None = None) -> Any:
        """The SaverDef, with names below `export_scope`; None for names outside of it."""
        if export_scope is None:
            return self.saver_def
        from anode.frontends.tensorflow.formats import proto

        scope = export_scope.rstrip("/") + "/"
        if not self.saver_def.filename_tensor_name.startswith(scope):
            return None
        found = proto.SaverDef.FromString(self.saver_def.SerializeToString())
        for key in ("filename_tensor_name", "save_tensor_name", "restore_op_name"):
            setattr(found, key, getattr(found, key)[len(scope) :])
        return found

    @staticmethod
    def from_proto(saver_def: Any, import_scope: str | None = None) -> Saver:
        return Saver(saver_def=saver_def, name=import_scope)

    def export_meta_graph(
        self,
        filename: Any = None,
        collection_list: Any = None,
        as_text: bool = False,
        export_scope: str | None = None,
        clear_devices: bool = False,
        clear_extraneous_savers: bool = False,
        strip_default_attrs: bool = False,
        save_debug_info: bool = False,
    ) -> Any:
        """The MetaGraphDef of the default graph with this saver, written to a file if named."""
        from anode.frontends.tensorflow.api.meta_graph import export_meta_graph

        return export_meta_graph(
            filename=filename,
            graph_def=None,
            saver_def=self.saver_def,
            collection_list=collection_list,
            as_text=as_text,
            export_scope=export_scope,
            clear_devices=clear_devices,
            clear_extraneous_savers=clear_extraneous_savers,
            strip_default_attrs=strip_default_attrs,
            save_debug_info=save_debug_info,
        )


def _value(variable: Any) -> Any:
    if isinstance(variable, ResourceVariable):
        return apply("ReadVariableOp", variable._ref(), name=f"{variable.op.name}/Read")
    return variable._ref()


def _all_saveable() -> list[Any]:
    graph = get_default_graph()
    return variable_lists.global_variables() + graph.get_collection(GraphKeys.SAVEABLE_OBJECTS)

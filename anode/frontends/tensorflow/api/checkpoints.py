"""Checkpoint files: the state file of a folder, readers, and variables that begin with a tensor."""

from __future__ import annotations

import glob
import logging
import os
import time
from collections.abc import Iterator, Mapping
from typing import Any

from anode.errors import DataError
from anode.frontends.tensorflow import errors
from anode.frontends.tensorflow.api import state_ops
from anode.frontends.tensorflow.api import variable_scope as scopes
from anode.frontends.tensorflow.api.variables import Variable, init_scope
from anode.frontends.tensorflow.dtypes import DType
from anode.frontends.tensorflow.graph import apply
from anode.frontends.tensorflow.opdef import export

PATH = "python.training.checkpoint_management."
SAVER = "python.training.saver."
UTILS = "python.training.checkpoint_utils."
log = logging.getLogger("tensorflow")


def _state_path(checkpoint_dir: str, latest_filename: str | None) -> str:
    return os.path.join(checkpoint_dir, latest_filename or "checkpoint")


@export("train.generate_checkpoint_state_proto", PATH + "generate_checkpoint_state_proto")
def generate_checkpoint_state_proto(
    save_dir: str,
    model_checkpoint_path: str,
    all_model_checkpoint_paths: Any = None,
    all_model_checkpoint_timestamps: Any = None,
    last_preserved_timestamp: float | None = None,
) -> Any:
    """A CheckpointState; paths are relative to `save_dir` where that is relative itself."""
    from anode.frontends.tensorflow.formats import proto

    paths = list(all_model_checkpoint_paths or [])
    if not paths or paths[-1] != model_checkpoint_path:
        paths.append(model_checkpoint_path)
    stamps = list(all_model_checkpoint_timestamps or [])
    if stamps and len(stamps) != len(paths):
        raise ValueError(
            "Checkpoint timestamps, if provided, must match checkpoint paths (got paths "
            f"{paths} and timestamps {stamps})"
        )
    if not os.path.isabs(save_dir):
        absolute = [p for p in paths if os.path.isabs(p)]
        paths = [p if p in absolute else os.path.relpath(p, save_dir) for p in paths]
        if not os.path.isabs(model_checkpoint_path):
            model_checkpoint_path = os.path.relpath(model_checkpoint_path, save_dir)
    state = proto.CheckpointState(model_checkpoint_path=model_checkpoint_path)
    state.all_model_checkpoint_paths.extend(paths)
    state.all_model_checkpoint_timestamps.extend(stamps)
    if last_preserved_timestamp is not None:
        state.last_preserved_timestamp = last_preserved_timestamp
    return state


@export("train.update_checkpoint_state", PATH + "update_checkpoint_state")
def update_checkpoint_state(
    save_dir: str,
    model_checkpoint_path: str,
    all_model_checkpoint_paths: Any = None,
    latest_filename: str | None = None,
    all_model_checkpoint_timestamps: Any = None,
    last_preserved_timestamp: float | None = None,
) -> None:
    """Write the state file of a folder, in one move."""
    write_state(
        save_dir,
        model_checkpoint_path,
        all_model_checkpoint_paths,
        latest_filename,
        all_model_checkpoint_timestamps,
        last_preserved_timestamp,
    )


def write_state(
    save_dir: str,
    model_checkpoint_path: str,
    all_paths: Any = None,
    latest_filename: str | None = None,
    timestamps: Any = None,
    preserved: float | None = None,
    relative: bool = False,
) -> None:
    """Write the state file; with `relative` its paths are below its folder always."""
    from anode.frontends.tensorflow.formats import text

    paths = list(all_paths or [])
    if relative:
        names = [model_checkpoint_path, *paths]
        model_checkpoint_path, *paths = [
            os.path.relpath(p, save_dir) if os.path.isabs(p) else p for p in names
        ]
        folder = "" if os.path.isabs(save_dir) else save_dir
    else:
        folder = save_dir
    state = generate_checkpoint_state_proto(
        folder, model_checkpoint_path, paths, timestamps, preserved
    )
    path = _state_path(save_dir, latest_filename)
    if path == model_checkpoint_path:
        raise RuntimeError(
            f"Save path '{model_checkpoint_path}' conflicts with path used for checkpoint state. "
            "Please use a different save path."
        )
    temporary = f"{path}.tmp{os.getpid()}"
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text.MessageToString(state))
    os.replace(temporary, path)


@export("train.get_checkpoint_state", PATH + "get_checkpoint_state", SAVER + "get_checkpoint_state")
def get_checkpoint_state(checkpoint_dir: Any, latest_filename: str | None = None) -> Any:
    """The CheckpointState of a folder with its paths joined to it, or None."""
    from anode.frontends.tensorflow.formats import proto, text

    folder = os.fspath(checkpoint_dir)
    try:
        with open(_state_path(folder, latest_filename), encoding="utf-8") as file:
            state = text.Merge(file.read(), proto.CheckpointState())
    except OSError:
        return None
    except ValueError as error:
        log.warning("%s: Checkpoint ignored", error)
        return None
    if not state.model_checkpoint_path:
        raise ValueError(f"Invalid checkpoint state loaded from {folder}")
    state.model_checkpoint_path = os.path.join(folder, state.model_checkpoint_path)
    paths = [os.path.join(folder, p) for p in state.all_model_checkpoint_paths]
    del state.all_model_checkpoint_paths[:]
    state.all_model_checkpoint_paths.extend(paths)
    return state


@export("train.latest_checkpoint", PATH + "latest_checkpoint", SAVER + "latest_checkpoint")
def latest_checkpoint(checkpoint_dir: Any, latest_filename: str | None = None) -> str | None:
    """The path of the newest checkpoint of a folder, or None."""
    state = get_checkpoint_state(checkpoint_dir, latest_filename)
    if state is None:
        return None
    path: str = state.model_checkpoint_path
    if checkpoint_exists(path):
        return path
    log.error("Couldn't match files for checkpoint %s", path)
    return None


@export("train.checkpoint_exists", PATH + "checkpoint_exists", SAVER + "checkpoint_exists")
def checkpoint_exists(checkpoint_prefix: Any) -> bool:
    """Whether there is a checkpoint of this path, of either version; patterns match."""
    prefix = os.fspath(checkpoint_prefix)
    return bool(glob.glob(f"{prefix}.index") or os.path.exists(f"{prefix}.index")) or bool(
        glob.glob(prefix) or os.path.isfile(prefix)
    )


@export("train.get_checkpoint_mtimes", PATH + "get_checkpoint_mtimes")
def get_checkpoint_mtimes(checkpoint_prefixes: Any) -> list[float]:
    """When each of some checkpoints was written, in seconds since 1970."""
    found = []
    for prefix in checkpoint_prefixes:
        for path in (f"{prefix}.index", prefix):
            if os.path.exists(path):
                found.append(os.path.getmtime(path))
                break
    return found


@export("train.remove_checkpoint", PATH + "remove_checkpoint")
def remove_checkpoint(
    checkpoint_prefix: str, checkpoint_format_version: int = 2, meta_graph_suffix: str = "meta"
) -> None:
    """Delete the files of a checkpoint."""
    data = glob.glob(f"{glob.escape(checkpoint_prefix)}.data-?????-of-?????")
    meta = meta_graph_filename(checkpoint_prefix, meta_graph_suffix)
    for path in (meta, f"{checkpoint_prefix}.index", *data):
        if os.path.exists(path):
            os.remove(path)


def meta_graph_filename(checkpoint_filename: str, meta_graph_suffix: str = "meta") -> str:
    """Where the graph of a checkpoint lies."""
    basename = checkpoint_filename.replace("-?????-of-?????", "")
    return f"{basename}.{meta_graph_suffix}"


# readers


class CheckpointReader:
    """The tensors of a checkpoint; NotFoundError where there is none."""

    def __init__(self, filepattern: Any) -> None:
        from anode.frontends.tensorflow.table.saving import opened

        self._source = opened(os.fspath(filepattern))

    def get_variable_to_shape_map(self) -> dict[str, list[int]]:
        return {name: list(self._source.info(name).shape) for name in self._source.names}

    def get_variable_to_dtype_map(self) -> dict[str, DType]:
        return {name: DType(self._source.info(name).datatype) for name in self._source.names}

    def has_tensor(self, tensor_str: str) -> bool:
        return tensor_str in self._source.names

    def get_tensor(self, tensor_str: str) -> Any:
        name = tensor_str.decode() if isinstance(tensor_str, bytes) else tensor_str
        try:
            array = self._source.read(name)
        except KeyError:
            message = f"Key {name} not found in checkpoint"
            raise errors.NotFoundError(None, None, message) from None
        except DataError as error:
            raise errors.DataLossError(None, None, str(error)) from None
        return array if array.shape else array[()]

    def debug_string(self) -> bytes:
        from anode.frontends.tensorflow.formats import proto

        rows = []
        for name in self._source.names:
            info = self._source.info(name)
            kind = proto.DataType.Name(info.datatype)
            rows.append(f"{name} ({kind}) [{','.join(map(str, info.shape))}]\n")
        return "".join(rows).encode()


@export("train.NewCheckpointReader", "python.pywrap_tensorflow.NewCheckpointReader")
@export("python.training.training.NewCheckpointReader")
def NewCheckpointReader(filepattern: Any) -> CheckpointReader:
    """A reader of the tensors of a checkpoint."""
    return CheckpointReader(filepattern)


def _prefix(checkpoint: Any) -> str:
    """A checkpoint's path, from itself or from its folder."""
    path = os.fspath(checkpoint)
    if not os.path.isdir(path):
        return path
    found = latest_checkpoint(path)
    if found is None:
        raise ValueError(
            f"Couldn't find 'checkpoint' file or checkpoints in given directory {path}"
        )
    return found


@export("train.load_checkpoint", "contrib.framework.load_checkpoint", UTILS + "load_checkpoint")
def load_checkpoint(ckpt_dir_or_file: Any) -> CheckpointReader:
    """A reader of a checkpoint, or of the newest one of a folder."""
    return CheckpointReader(_prefix(ckpt_dir_or_file))


@export("train.load_variable", "contrib.framework.load_variable", UTILS + "load_variable")
def load_variable(ckpt_dir_or_file: Any, name: str) -> Any:
    """A tensor of a checkpoint as an array."""
    return load_checkpoint(ckpt_dir_or_file).get_tensor(name.removesuffix(":0"))


@export("train.list_variables", "contrib.framework.list_variables", UTILS + "list_variables")
def list_variables(ckpt_dir_or_file: Any) -> list[tuple[str, list[int]]]:
    """Pairs of name and shape of the tensors of a checkpoint, by name."""
    return sorted(load_checkpoint(ckpt_dir_or_file).get_variable_to_shape_map().items())


@export("train.checkpoints_iterator", "contrib.training.checkpoints_iterator")
def checkpoints_iterator(
    checkpoint_dir: Any,
    min_interval_secs: float = 0,
    timeout: float | None = None,
    timeout_fn: Any = None,
) -> Iterator[str]:
    """Each new checkpoint of a folder as it appears, until none does for `timeout` seconds."""
    last: str | None = None
    while True:
        found = wait_for_new_checkpoint(checkpoint_dir, last, timeout=timeout)
        if found is None:
            if timeout_fn is None or timeout_fn():
                return
            continue
        start = time.time()
        last = found
        yield found
        time.sleep(max(0.0, start + min_interval_secs - time.time()))


@export("contrib.training.wait_for_new_checkpoint")
def wait_for_new_checkpoint(
    checkpoint_dir: Any,
    last_checkpoint: str | None = None,
    seconds_to_sleep: float = 1,
    timeout: float | None = None,
) -> str | None:
    """The newest checkpoint of a folder once it is another than the last; None after `timeout`."""
    stop = None if timeout is None else time.time() + timeout
    while True:
        found = latest_checkpoint(checkpoint_dir)
        if found is not None and found != last_checkpoint:
            return found
        if stop is not None and time.time() + seconds_to_sleep > stop:
            return None
        time.sleep(seconds_to_sleep)


# variables that begin with a tensor of a checkpoint


@export("train.init_from_checkpoint", "contrib.framework.init_from_checkpoint")
@export(UTILS + "init_from_checkpoint")
def init_from_checkpoint(ckpt_dir_or_file: Any, assignment_map: Mapping[str, Any]) -> None:
    """Make variables begin with tensors of a checkpoint.

    The map goes from a tensor's name to a variable, its name or a list of partitions, or from
    "scope/" to "scope/". ValueError where a tensor is missing or has another shape.
    """
    path = _prefix(ckpt_dir_or_file)
    reader = CheckpointReader(path)
    shapes = reader.get_variable_to_shape_map()
    for source, target in sorted(dict(assignment_map).items(), key=lambda item: item[0]):
        if not isinstance(target, str):
            _begin(target, path, source.removesuffix(":0"), shapes)
        elif source.endswith("/"):
            _begin_scope(source, target, path, shapes)
        else:
            _begin(_by_name(target), path, source.removesuffix(":0"), shapes)


def _by_name(name: str) -> Any:
    store = scopes.variable_store()
    found = store._vars.get(name) or store._partitioned_vars.get(name)
    if found is None:
        parts, i = [], 0
        while f"{name}/part_{i}" in store._vars:
            parts.append(store._vars[f"{name}/part_{i}"])
            i += 1
        found = parts or None
    if found is None:
        raise ValueError(f"Variable {name} is not in the graph or was not made by tf.get_variable")
    return found


def _begin_scope(source: str, target: str, path: str, shapes: Mapping[str, Any]) -> None:
    if not target.endswith("/"):
        raise ValueError(
            f"Assignment map with scope only name {source} should map to scope only {target}. "
            "Should be 'scope/': 'other_scope/'."
        )
    inside = "" if target == "/" else target
    prefix = "" if source == "/" else source
    names = {
        name.split("/part_")[0] for name in scopes.variable_store()._vars if name.startswith(inside)
    }
    for name in sorted(names):
        tensor = prefix + name[len(inside) :]
        if tensor not in shapes:
            raise ValueError(
                f"Tensor {name[len(inside) :]} ({tensor} in {prefix or '/'}) is not found in "
                f"{path} checkpoint"
            )
        _begin(_by_name(name), path, tensor, shapes)


def _begin(target: Any, path: str, tensor: str, shapes: Mapping[str, Any]) -> None:
    if tensor not in shapes:
        known = sorted(shapes)
        raise ValueError(f"Tensor {tensor} is not found in {path} checkpoint {known}")
    variables = (
        list(target)
        if isinstance(target, (list, tuple)) or hasattr(target, "_variable_list")
        else [target]
    )
    for variable in variables:
        info = variable._save_slice_info
        whole = variable.shape.as_list() if info is None else list(info.full_shape)
        if whole != shapes[tensor]:
            raise ValueError(
                f"Shape of variable {variable.name} ({tuple(whole)}) doesn't match with shape of "
                f"tensor {tensor} ({shapes[tensor]}) from checkpoint reader."
            )
        with init_scope():
            _restored_first(variable, path, tensor, "" if info is None else info.spec)


def _restored_first(variable: Variable, path: str, tensor: str, spec: str) -> None:
    dtype = variable.dtype.base_dtype
    (value,) = apply(
        "RestoreV2", path, [tensor], [spec], dtypes=[dtype], name="checkpoint_initializer"
    )
    value.set_shape(variable.shape)
    done = state_ops.assign(variable, value)
    variable._initializer_op = done.op
    variable._initial_value = value
    log.info("Initialize variable %s from checkpoint %s with %s", variable.name, path, tensor)

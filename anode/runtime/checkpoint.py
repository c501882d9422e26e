"""Checkpoints: named arrays and a JSON value in one safetensors file, replaced whole or not at all.

The file is written and read by the safetensors library (github.com/huggingface/safetensors). The
JSON value travels in the file's metadata, with a CRC-32 of it and of the arrays; files of other
writers need neither. One thing is ours: the library gives the metadata of a path only, not of bytes
that were read once, and a second look at the path may find the next checkpoint; so `_metadata`
takes it from the bytes that the library has checked.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any
from zlib import crc32

import numpy as np

from anode.errors import CheckpointError
from anode.ir.dtypes import DTYPES, bf16, dtype_of
from anode.ir.variable import Variable
from anode.runtime.state import State

Arrays = dict[str, np.ndarray]

_DTYPES = {name.upper(): dtype for name, dtype in DTYPES.items()}


def save(
    path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray] | State, meta: Any = None
) -> None:
    """Write arrays (or a state's variables under their names) and the JSON value `meta` to `path`.

    The file appears under `path` complete, in one step: killed or out of space at any moment, what
    was there before is still there. Raises CheckpointError where it cannot be written.
    """
    if isinstance(arrays, State):
        arrays = {variable.name: array for variable, array in arrays.items()}
    write_whole(Path(path), serialized(arrays, meta))


def write_whole(target: Path, content: bytes) -> None:
    """Write a file that appears complete, in one step; raises CheckpointError where it cannot."""
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, target)
        _sync_folder(target.parent)
    except OSError as error:
        raise CheckpointError(f"{target}: cannot be written: {error.strerror}") from error
    finally:
        with suppress(OSError):
            partial.unlink()


def load(path: str | os.PathLike[str]) -> tuple[Arrays, Any]:
    """The arrays of a checkpoint and its JSON value, None if it has none.

    Raises CheckpointError for a file that is missing, cut short or damaged, or of foreign types.
    """
    _safetensors()  # before reading a file that could not be understood
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from error
    return parsed(content, path)


def parsed(content: bytes, path: str | os.PathLike[str]) -> tuple[Arrays, Any]:
    """What `load` gives, for the bytes of a checkpoint that come from `path`."""
    library = _safetensors()
    try:
        entries = dict(library.deserialize(content))
        foreign = {entry["dtype"] for entry in entries.values()} - set(_DTYPES)
        if foreign:
            raise CheckpointError(f"{path}: anode has no element type {', '.join(sorted(foreign))}")
        arrays = {name: _array(entry) for name, entry in entries.items()}
        metadata = _metadata(content)
        text = metadata.get("anode", "null")
        ours = metadata.keys() & {"anode", "crc32"}
        if ours and int(metadata["crc32"]) != _check_sum(text, arrays):
            raise ValueError("the check sum does not fit the content")
        return arrays, json.loads(text)
    except CheckpointError:
        raise
    except (library.SafetensorError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path}: not a whole safetensors file ({error}); it was cut short or damaged"
        ) from error


def restore(
    state: State,
    arrays: Mapping[str, np.ndarray],
    of: Iterable[Variable] | None = None,
    source: object = "the checkpoint",
) -> None:
    """Copy arrays into the variables `of` these names (by default all), or on any misfit none.

    Raises CheckpointError with the missing, the unexpected and the differing ones.
    """
    variables = {variable.name: variable for variable in (state if of is None else of)}
    problems = [f"{name} is missing" for name in variables if name not in arrays]
    problems += [f"{name} is unexpected" for name in arrays if name not in variables]
    for name, variable in variables.items():
        array = arrays.get(name)
        if array is not None and (
            array.shape != variable.type.static or array.dtype != variable.type.dtype.numpy
        ):
            held = f"{dtype_of(array.dtype)}{list(array.shape)}"
            problems.append(f"{name} is {held}, the model has {variable.type}")
    if problems:
        raise CheckpointError(f"{source} does not fit the model: {'; '.join(problems)}")
    for name, variable in variables.items():
        state[variable] = arrays[name]


def _safetensors() -> ModuleType:
    try:
        import safetensors
    except ImportError:
        raise CheckpointError(
            "checkpoints need the safetensors package: pip install 'anode[checkpoint]'"
        ) from None
    return safetensors


def serialized(arrays: Mapping[str, np.ndarray], meta: Any = None) -> bytes:
    """Arrays and a JSON value as the bytes of a safetensors file."""
    library, text = _safetensors(), json.dumps(meta)
    dense = {name: np.require(array, None, "C") for name, array in arrays.items()}
    metadata = {"crc32": str(_check_sum(text, dense))}
    if meta is not None:  # of several entries the library leaves the order to chance
        metadata["anode"] = text
    entries = {name: _entry(library, array) for name, array in dense.items()}
    return bytes(library.serialize(entries, metadata))


def _entry(library: ModuleType, array: np.ndarray) -> Any:
    """An array as the library takes it: an address, or its bytes before TensorSpec was there."""
    dtype = dtype_of(array.dtype)
    facts = {"dtype": "bfloat16" if dtype is bf16 else dtype.numpy.name, "shape": array.shape}
    if hasattr(library, "TensorSpec"):
        return library.TensorSpec(**facts, data_ptr=array.ctypes.data, data_len=array.nbytes)
    return {**facts, "data": array.tobytes()}


def _array(entry: Mapping[str, Any]) -> np.ndarray:
    raw = np.frombuffer(entry["data"], np.uint8)
    return raw.view(_DTYPES[entry["dtype"]].numpy).reshape(entry["shape"])


def _metadata(content: bytes) -> dict[str, str]:
    """The metadata in the header, which is JSON after its length in eight bytes."""
    size = int.from_bytes(content[:8], "little")
    found: dict[str, str] = json.loads(content[8 : 8 + size]).get("__metadata__", {})
    return found


def _check_sum(text: str, arrays: Mapping[str, np.ndarray]) -> int:
    """CRC-32 of the JSON text, then of the arrays, each with its name, type and shape, by name."""
    check = crc32(text.encode())
    for name, array in sorted(arrays.items()):
        check = crc32(repr((name, dtype_of(array.dtype), array.shape)).encode(), check)
        check = crc32(array.reshape(-1).view(np.uint8).data, check)
    return check


def _sync_folder(folder: Path) -> None:
    """Make the renaming itself last, where the system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

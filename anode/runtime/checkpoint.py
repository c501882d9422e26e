"""Checkpoints: named arrays and a JSON value in one safetensors file, replaced whole or not at all.

The format (github.com/huggingface/safetensors) is an eight-byte little-endian header length, a JSON
header of types, shapes and offsets, and the arrays' bytes. The JSON value travels in the header's
`__metadata__`, with a CRC-32 of itself and of the arrays; files of other writers need neither.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO
from zlib import crc32

import numpy as np

from anode.errors import CheckpointError
from anode.ir.dtypes import DTYPES, DType, dtype_of
from anode.ir.variable import Variable
from anode.runtime.state import State

Arrays = dict[str, np.ndarray]

_NAMES: dict[DType, str] = {
    dtype: name.upper() if name != "bool" else "BOOL" for name, dtype in DTYPES.items()
}
_DTYPES = {name: dtype for dtype, name in _NAMES.items()}


def save(
    path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray] | State, meta: Any = None
) -> None:
    """Write arrays (or a state's variables under their names) and the JSON value `meta` to `path`.

    The file appears under `path` complete, in one step: killed or out of space at any moment, what
    was there before is still there. Raises CheckpointError where it cannot be written.
    """
    target = Path(path)
    if isinstance(arrays, State):
        arrays = {variable.name: array for variable, array in arrays.items()}
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            _write(
                file, {k: np.ascontiguousarray(v).reshape(v.shape) for k, v in arrays.items()}, meta
            )
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
    """The arrays of a checkpoint, read-only, and its JSON value, None if it has none.

    Raises CheckpointError for a file that is missing, cut short or damaged.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        header, data = _split(content)
        extra = header.pop("__metadata__", {})
        text = extra.get("anode", "null")
        if "crc32" in extra and int(extra["crc32"]) != crc32(data, crc32(text.encode())):
            raise ValueError("the check sum does not fit the content")
        return {name: _array(data, entry) for name, entry in header.items()}, json.loads(text)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
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


def _write(file: BinaryIO, arrays: Mapping[str, np.ndarray], meta: Any) -> None:
    text, start = json.dumps(meta), 0
    check = crc32(text.encode())
    header: dict[str, Any] = {}
    for name, array in arrays.items():
        stop = start + array.nbytes
        dtype = _NAMES[dtype_of(array.dtype)]
        header[name] = {"dtype": dtype, "shape": array.shape, "data_offsets": [start, stop]}
        check, start = crc32(_bytes(array), check), stop
    header["__metadata__"] = {"anode": text, "crc32": str(check)}
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    file.write(len(encoded).to_bytes(8, "little") + encoded)
    for array in arrays.values():
        file.write(_bytes(array))


def _bytes(array: np.ndarray) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def _split(content: bytes) -> tuple[dict[str, Any], memoryview]:
    size = int.from_bytes(content[:8], "little")
    if len(content) < 8 + size or size < 2:
        raise ValueError(f"{len(content)} bytes do not hold the header")
    header = json.loads(content[8 : 8 + size])
    data = memoryview(content)[8 + size :]
    ends = [entry["data_offsets"][1] for name, entry in header.items() if name[:2] != "__"]
    if len(data) != max(ends, default=0):
        raise ValueError(f"{len(data)} bytes of arrays instead of {max(ends, default=0)}")
    return header, data


def _array(data: memoryview, entry: Mapping[str, Any]) -> np.ndarray:
    start, stop = entry["data_offsets"]
    dtype = _DTYPES[entry["dtype"]].numpy
    return np.frombuffer(data[start:stop], np.uint8).view(dtype).reshape(entry["shape"])


def _sync_folder(folder: Path) -> None:
    """Make the renaming itself last, where the system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

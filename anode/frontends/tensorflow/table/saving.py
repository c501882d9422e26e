"""Checkpoints as operations: tensors written to files and read from them, on the host."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from anode.errors import DataError
from anode.frontends.tensorflow import errors
from anode.frontends.tensorflow.formats import checkpoint
from anode.frontends.tensorflow.formats.checkpoint import Extents, Partitioned
from anode.frontends.tensorflow.opdef import REQUIRED, host


def _text(array: Any) -> str:
    return bytes(np.asarray(array).item()).decode()


def _texts(array: Any) -> list[str]:
    return [bytes(item).decode() for item in np.asarray(array).reshape(-1)]


def parsed_slice(spec: str) -> tuple[tuple[int, ...], Extents]:
    """The whole shape and the extents in it of "5 3 0,2:0,3"; "-" is all of a dim."""
    *sizes, extents = spec.split()
    parts = [
        (0, -1) if part == "-" else tuple(map(int, part.split(","))) for part in extents.split(":")
    ]
    return tuple(map(int, sizes)), tuple((begin, length) for begin, length in parts)


@host(
    "SaveV2",
    "prefix:string tensor_names:string shape_and_slices:string tensors:[dtypes] -> ",
    stateful=True,
)
def _(prefix: Any, tensor_names: Any, shape_and_slices: Any, tensors: Any, *, run: Any) -> None:
    values: dict[str, np.ndarray | Partitioned] = {}
    specs = zip(_texts(tensor_names), _texts(shape_and_slices), tensors, strict=True)
    for name, spec, tensor in specs:
        array = tensor.read() if hasattr(tensor, "read") else tensor  # a variable
        if not spec:
            values[name] = np.asarray(array)
            continue
        shape, extents = parsed_slice(spec)
        before = values.get(name, Partitioned(shape, ()))
        assert isinstance(before, Partitioned)
        values[name] = Partitioned(shape, (*before.slices, (extents, np.asarray(array))))
    path = _text(prefix)
    folder = os.path.dirname(path)
    try:
        if folder and not os.path.isdir(folder):
            os.mkdir(folder)  # one level, as TensorFlow does
        checkpoint.write(path, values)
    except FileNotFoundError as error:
        raise errors.NotFoundError(None, run.op, f"{path}: {error.strerror}") from None
    except OSError as error:
        raise errors.PermissionDeniedError(None, run.op, f"{path}: {error.strerror}") from None


@host(
    "RestoreV2",
    "prefix:string tensor_names:string shape_and_slices:string -> [dtypes]",
    dtypes=REQUIRED,
    stateful=True,
    shape="unknown",
)
def _(prefix: Any, tensor_names: Any, shape_and_slices: Any, *, run: Any, **_: Any) -> list[Any]:
    path = _text(prefix)
    source = opened(path, run.op)
    found = []
    for name, spec in zip(_texts(tensor_names), _texts(shape_and_slices), strict=True):
        try:
            array = source.read(name)
        except KeyError:
            message = f"Key {name} not found in checkpoint"
            raise errors.NotFoundError(None, run.op, message) from None
        except DataError as error:
            raise errors.DataLossError(None, run.op, str(error)) from None
        found.append(array[_window(spec)] if spec else array)
    return found


def _window(spec: str) -> tuple[slice, ...]:
    _, extents = parsed_slice(spec)
    return tuple(slice(begin, None if length < 0 else begin + length) for begin, length in extents)


def opened(path: str, op: Any = None) -> Any:
    """The checkpoint `path`; NotFoundError or DataLossError as TensorFlow has them."""
    try:
        return checkpoint.open_checkpoint(path)
    except (FileNotFoundError, IsADirectoryError):
        message = (
            "Unsuccessful TensorSliceReader constructor: Failed to find any matching files for "
            f"{path}"
        )
        raise errors.NotFoundError(None, op, message) from None
    except DataError as error:
        raise errors.DataLossError(None, op, str(error)) from None


@host("ShardedFilename", "basename:string shard:int32 num_shards:int32 -> string", shape="scalar")
def _(basename: Any, shard: Any, num_shards: Any) -> Any:
    text = f"{_text(basename)}-{int(shard):05d}-of-{int(num_shards):05d}"
    return np.array(text.encode(), object)

"""The file of an archive: a zip of a manifest, graphs as text, and one safetensors file.

    manifest.json       {"anode": "archive", "version": 1, "name": …, "functions": […], …}
    graphs/0.txt        the text of a graph, one for each function
    state.safetensors   the variables of all of them; stored, not compressed

What is read need not be trusted: members have the names above and nothing else, their sizes are
bounded before they are read, and what they unpack to is bounded too. Nothing is run.
"""

from __future__ import annotations

import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from anode import __version__
from anode import ops as _ops  # noqa: F401 (the reader calls ops by name)
from anode.errors import AnodeError, CheckpointError, UnsupportedOp
from anode.ir.graph import Graph
from anode.ir.text import graph_text, parse
from anode.ir.types import TensorType
from anode.runtime import checkpoint

VERSION = 1
MANIFEST, STATE = "manifest.json", "state.safetensors"
MOST_FUNCTIONS = 16
MOST_MANIFEST, MOST_TEXT = 1 << 20, 1 << 26  # bytes
MOST_ELEMENTS = 1 << 34  # of one value
DAMAGED = (  # what reading a zip raises besides OSError
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    KeyError,
    ValueError,
    NotImplementedError,
    RuntimeError,
)
NAME = re.compile(r"[^\W\d][\w.\-]{0,99}")


@dataclass(frozen=True)
class Stored:
    """A function of an archive: see `anode.export.archives.Function`."""

    name: str
    graph: Graph
    rows: int | None


@dataclass(frozen=True)
class Content:
    """What is in an archive: functions, and the values of their variables by name."""

    name: str
    functions: tuple[Stored, ...]
    arrays: Mapping[str, np.ndarray]


def write_archive(path: str | PathLike[str], content: Content) -> None:
    """Write an archive; the file appears complete, in one step."""
    buffer = io.BytesIO()
    manifest = {
        "anode": "archive",
        "version": VERSION,
        "producer": f"anode {__version__}",
        "name": content.name,
        "functions": [{"name": f.name, "rows": f.rows} for f in content.functions],
    }
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(_entry(MANIFEST), json.dumps(manifest, indent=1))
        for i, function in enumerate(content.functions):
            _check_name(function.name, str(path))
            archive.writestr(_entry(_graph_file(i)), graph_text(function.graph))
        state = checkpoint.serialized(content.arrays)
        archive.writestr(_entry(STATE), state, zipfile.ZIP_STORED)
    checkpoint.write_whole(Path(path), buffer.getvalue())


def read_archive(path: str | PathLike[str]) -> Content:
    """What is in the file; see `anode.export.load` for the errors."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _content(archive, str(path))
    except AnodeError:
        raise
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from error
    except DAMAGED as error:
        raise CheckpointError(f"{path}: no whole archive of anode ({error})") from error


def is_archive(path: str | PathLike[str]) -> bool:
    """Whether a file looks like an archive."""
    return zipfile.is_zipfile(path)


def _content(archive: zipfile.ZipFile, path: str) -> Content:
    sizes = _sizes(archive, path)
    manifest = _manifest(_read(archive, MANIFEST, sizes, MOST_MANIFEST, path), path)
    functions = manifest["functions"]
    wanted = {MANIFEST, STATE, *(_graph_file(i) for i in range(len(functions)))}
    if set(sizes) != wanted:
        odd = ", ".join(sorted(set(sizes) ^ wanted))
        raise CheckpointError(f"{path}: the members do not fit the manifest: {odd}")
    stored = []
    for i, function in enumerate(functions):
        text = _read(archive, _graph_file(i), sizes, MOST_TEXT, path).decode()
        stored.append(Stored(function["name"], _graph(text, path, function), function["rows"]))
    info = archive.getinfo(STATE)
    if info.compress_type != zipfile.ZIP_STORED:
        raise CheckpointError(f"{path}: {STATE} is compressed")
    arrays, _ = checkpoint.parsed(_read(archive, STATE, sizes, info.compress_size, path), path)
    _check_state(stored, arrays, path)
    return Content(manifest["name"], tuple(stored), arrays)


def _sizes(archive: zipfile.ZipFile, path: str) -> dict[str, int]:
    """The sizes of the members, each there once and readable without a password."""
    members = archive.infolist()
    if len(members) > MOST_FUNCTIONS + 2:
        raise CheckpointError(f"{path}: {len(members)} members are too many for an archive")
    sizes = {member.filename: member.file_size for member in members}
    if len(sizes) != len(members) or any(member.flag_bits & 1 for member in members):
        raise CheckpointError(f"{path}: a member is there twice, or encrypted")
    if MANIFEST not in sizes:
        raise CheckpointError(f"{path}: no archive of anode, it has no {MANIFEST}")
    return sizes


def _read(
    archive: zipfile.ZipFile, name: str, sizes: Mapping[str, int], most: int, path: str
) -> bytes:
    """The bytes of a member, which are as many as it says and at most `most`."""
    if sizes[name] > most:
        raise CheckpointError(
            f"{path}: {name} has {sizes[name]:,} bytes; at most {most:,} are read"
        )
    with archive.open(name) as member:
        data = member.read(most + 1)
    if len(data) != sizes[name]:
        raise CheckpointError(f"{path}: {name} has another size than it says")
    return data


def _manifest(data: bytes, path: str) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: {MANIFEST} is no JSON ({error})") from error
    if not isinstance(found, dict) or found.get("anode") != "archive":
        raise CheckpointError(f"{path}: no archive of anode, its {MANIFEST} is another program's")
    version = found.get("version")
    if version != VERSION:
        raise CheckpointError(
            f"{path}: an archive of version {version}, written by {found.get('producer')}; "
            f"this is anode {__version__}, which reads version {VERSION}"
        )
    functions = found.get("functions")
    if not isinstance(found.get("name"), str) or not isinstance(functions, list):
        raise CheckpointError(f"{path}: {MANIFEST} has no name or no functions")
    for function in functions:
        _check_function(function, path)
    if len({function["name"] for function in functions}) != len(functions):
        raise CheckpointError(f"{path}: two functions have one name")
    return found


def _check_function(function: Any, path: str) -> None:
    known = isinstance(function, dict) and set(function) >= {"name", "rows"}
    rows = function["rows"] if known else 0
    if not known or not (rows is None or (type(rows) is int and 0 < rows < 1 << 31)):
        raise CheckpointError(f"{path}: {MANIFEST} describes a function as {str(function)[:80]}")
    _check_name(function["name"], path)


def _check_name(name: Any, path: str) -> None:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise CheckpointError(f"{path}: {str(name)[:80]!r} is no name of a function")


def _graph(text: str, path: str, function: Mapping[str, Any]) -> Graph:
    where = f"{path}, {function['name']}"
    try:
        graph = parse(text, where)
    except AnodeError as error:  # which says where
        unknown = isinstance(error.__cause__, UnsupportedOp)
        raise (UnsupportedOp if unknown else CheckpointError)(str(error)) from error
    for node in graph.nodes:
        type = node.type
        if isinstance(type, TensorType) and type.is_static and int(type.size) > MOST_ELEMENTS:
            raise CheckpointError(f"{where}: a value of type {type} is too large")
    if (rows := function["rows"]) is not None:
        _check_rows(graph, rows, where)
    return graph


def _check_rows(graph: Graph, rows: int, where: str) -> None:
    """Whether the first dim of all inputs and outputs is `rows`, and nothing is updated."""
    values = (*graph.inputs, *graph.outputs)
    tensors = all(
        isinstance(node.type, TensorType) and node.shape[:1] == (rows,) for node in values
    )
    if not tensors or graph.updates:
        raise CheckpointError(f"{where}: not a function of {rows} rows, as {MANIFEST} says")


def _check_state(functions: list[Stored], arrays: Mapping[str, np.ndarray], path: str) -> None:
    variables = {v.name: v for function in functions for v in function.graph.variables}
    problems = [f"{name} is missing" for name in variables if name not in arrays]
    problems += [f"{name} is unexpected" for name in arrays if name not in variables]
    for name, variable in variables.items():
        array = arrays.get(name)
        if array is not None and not _fits(array, variable.type):
            problems.append(f"{name} is {array.dtype} {array.shape}, not {variable.type}")
    if problems:
        raise CheckpointError(f"{path}: {'; '.join(problems[:10])}")


def _fits(array: np.ndarray, type: TensorType) -> bool:
    return array.shape == type.static and array.dtype == type.dtype.numpy


def _graph_file(index: int) -> str:
    return f"graphs/{index}.txt"


def _entry(name: str) -> zipfile.ZipInfo:
    """A member of a fixed date, so that equal archives have equal bytes."""
    info = zipfile.ZipInfo(name)
    info.compress_type = zipfile.ZIP_DEFLATED
    return info

"""Compiled objects on disk: what was compiled once for this processor is loaded the next time.

An entry is one file, named by the hash of everything the code depends on: the graph's text, anode's
files, the versions of LLVM and of NumPy (which folds constants), the processor and the number of
threads. Entries are machine code that will run as the user, so folder and files are private to the
user, and others' are not trusted. A damaged entry, or one under another's name, is one that is not
there: it is compiled again and replaced. Files are written whole or not at
all; the oldest go when the folder grows past its limit.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import struct
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

LIMIT = 512 << 20  # bytes of entries that are kept
EVERY = 32  # the share of stores, by their names, that look whether there are more
_MAGIC = b"anode object 2\n"
_PACKAGE = Path(__file__).parents[2]
# What decides which code a graph becomes; frontends and the rest only make graphs.
_COMPILER = ("ir", "rewrite", "ops", "transform", "passes", "program", "backends", "runtime")


def folder() -> Path | None:
    """Where entries are kept: ANODE_CACHE ("off": nowhere), else a folder in the user's cache.

    None is nowhere, also for a user without a home.
    """
    named = os.environ.get("ANODE_CACHE")
    if named == "off":
        return None
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "anode"
    except RuntimeError:
        return None


def key(*parts: str) -> str:
    """The name of the entry for code that depends on `parts` and on the compiler itself."""
    digest = hashlib.sha256(_sources())
    for part in parts:
        digest.update(struct.pack("<Q", len(part)))
        digest.update(part.encode())
    return digest.hexdigest()


@cache
def _sources() -> bytes:
    """A name of this version of the compiler's code, and of NumPy."""
    digest = hashlib.sha256(np.__version__.encode())
    files = [file for folder in _COMPILER for file in (_PACKAGE / folder).rglob("*.py")]
    for file in sorted(files):
        digest.update(f"\n{file.relative_to(_PACKAGE)}\n".encode() + file.read_bytes())
    return digest.digest()


def load(name: str) -> tuple[dict[str, Any], bytes] | None:
    """The facts and the object code of an entry; None if there is none that can be trusted."""
    path = _path(name)
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            if not (_private(path.parent.stat()) and _private(os.fstat(file.fileno()))):
                return None
            content = file.read()
        return _parse(name, content)
    except (OSError, ValueError, KeyError):
        return None


def store(name: str, facts: dict[str, Any], code: bytes) -> None:
    """Keep an entry. A folder that cannot be written to is no error: the code just is not kept."""
    path = _path(name)
    if path is None:
        return
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _private(path.parent.stat()):
            return
        _write(path, _content(name, facts, code))
        if int(name[:8], 16) % EVERY == 0:  # listing thousands of entries takes its time
            _trim(path.parent)


def _path(name: str) -> Path | None:
    where = folder()
    return None if where is None else where / f"{name}.obj"


def _content(name: str, facts: dict[str, Any], code: bytes) -> bytes:
    header = json.dumps(facts).encode()
    body = struct.pack("<Q", len(header)) + header + code
    return _MAGIC + _digest(name, body) + body


def _digest(name: str, body: bytes) -> bytes:
    return hashlib.sha256(name.encode() + body).digest()


def _parse(name: str, content: bytes) -> tuple[dict[str, Any], bytes] | None:
    start = len(_MAGIC)
    digest, body = content[start : start + 32], content[start + 32 :]
    if content[:start] != _MAGIC or _digest(name, body) != digest:
        return None
    (size,) = struct.unpack("<Q", body[:8])
    return json.loads(body[8 : 8 + size]), body[8 + size :]


def _private(status: os.stat_result) -> bool:
    """Whether only the user can have written what `status` is of."""
    return not hasattr(os, "getuid") or (
        status.st_uid == os.getuid() and not status.st_mode & 0o022
    )


def _write(path: Path, content: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _trim(where: Path) -> None:
    entries = [(s.st_mtime_ns, s.st_size, f) for f in where.glob("*.obj") for s in [f.stat()]]
    excess = sum(size for _, size, _ in entries) - LIMIT
    for _, size, path in sorted(entries, key=lambda entry: entry[0]):
        if excess <= 0:
            return
        path.unlink(missing_ok=True)
        excess -= size

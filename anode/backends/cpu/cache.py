"""Compiled objects on disk: what was compiled once for this processor is loaded the next time.

An entry is one file, named by the hash of everything the code depends on: the graph's text, anode's
and LLVM's versions, the processor and the number of threads. Entries are machine code that will run
as the user, so folder and files are private to the user, and others' are not trusted. A damaged
entry is one that is not there: it is compiled again and replaced. Files are written whole or not at
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

LIMIT = 512 << 20  # bytes of entries that are kept
_MAGIC = b"anode object 1\n"
_PACKAGE = Path(__file__).parents[2]


def folder() -> Path | None:
    """Where entries are kept: ANODE_CACHE ("off": nowhere), else a folder in the user's cache."""
    named = os.environ.get("ANODE_CACHE")
    if named == "off":
        return None
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "anode"


def key(*parts: str) -> str:
    """The name of the entry for code that depends on `parts` and on anode itself."""
    digest = hashlib.sha256(_sources().encode())
    for part in parts:
        digest.update(struct.pack("<Q", len(part)))
        digest.update(part.encode())
    return digest.hexdigest()


@cache
def _sources() -> str:
    """A name of this version of anode's code: its files, their sizes and times."""
    files = sorted(_PACKAGE.rglob("*.py"))
    stats = [
        (str(f.relative_to(_PACKAGE)), s.st_size, s.st_mtime_ns) for f in files for s in [f.stat()]
    ]
    return repr(stats)


def load(name: str) -> tuple[dict[str, Any], bytes] | None:
    """The facts and the object code of an entry; None if there is none that can be trusted."""
    path = _path(name)
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            if not _private(os.fstat(file.fileno())):
                return None
            content = file.read()
        return _parse(content)
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
        _write(path, _content(facts, code))
        _trim(path.parent)


def _path(name: str) -> Path | None:
    where = folder()
    return None if where is None else where / f"{name}.obj"


def _content(facts: dict[str, Any], code: bytes) -> bytes:
    header = json.dumps(facts).encode()
    body = struct.pack("<Q", len(header)) + header + code
    return _MAGIC + hashlib.sha256(body).digest() + body


def _parse(content: bytes) -> tuple[dict[str, Any], bytes] | None:
    start = len(_MAGIC)
    digest, body = content[start : start + 32], content[start + 32 :]
    if content[:start] != _MAGIC or hashlib.sha256(body).digest() != digest:
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

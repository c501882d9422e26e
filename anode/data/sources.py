"""Where images to ingest are: folders with one for each class, tars, lists of files with labels."""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from anode.data.image_folders import class_folders
from anode.errors import DataError

PARTS = {"train", "training", "val", "valid", "validation", "test"}
MAX_TEXT = 1 << 30
MAX_CLASSES = 1 << 20


class Entry(NamedTuple):
    """Where the bytes of one image are: `size` of them from `offset` on in the file `path`."""

    name: str  # in reports
    label: int
    path: str
    offset: int
    size: int


@dataclass(frozen=True)
class Source:
    """All images of a source, in an order of their own, and the names of the classes."""

    entries: list[Entry]
    classes: tuple[str, ...]

    def digest(self) -> str:
        """Whether two listings are of the same images: SHA-256 of names, labels and sizes."""
        found = hashlib.sha256("\0".join(self.classes).encode(errors="surrogateescape"))
        for entry in self.entries:
            line = f"\n{entry.name}\0{entry.label}\0{entry.size}"
            found.update(line.encode(errors="surrogateescape"))
        return found.hexdigest()


Found = tuple[str, str, tuple[str, int, int]]  # class, name; path, offset and size


def list_source(
    path: str | os.PathLike[str], names: str | os.PathLike[str] | None = None
) -> Source:
    """The images of a source; no image is opened yet.

    A folder has a subfolder for each class, or a tar for each (`n01440764.tar`). A tar, not
    compressed, has the same inside, tars of tars as ImageNet comes in too. Any other file is a list
    of lines `path label`, with paths from the list's folder on and labels that are numbers or
    names. Classes are sorted by name. `names` is a file of lines `class words` that gives the
    classes their words, as ImageNet's `synset_words.txt` does. Raises DataError for a source that
    has none of these forms or cannot be read.
    """
    root = Path(path)
    try:
        if not root.is_dir() and not tarfile.is_tarfile(root):
            source = _listed(root)
        else:
            source = _classified(
                root, _in_folder(root) if root.is_dir() else _in_tar(root, root.stem)
            )
    except OSError as error:
        raise DataError(
            f"{error.filename or root}: cannot be read ({error.strerror}); check the path"
        ) from error
    if not source.entries:
        raise DataError(f"{root}: has no files in folders or tars for each class; check the path")
    return source if names is None else Source(source.entries, _worded(source.classes, Path(names)))


def _classified(root: Path, found: Iterable[Found]) -> Source:
    """A source of what was found, the classes in order of their names, files as they were found."""
    grouped = sorted(found, key=lambda item: item[0])
    classes, entries = [], []
    for label, (name, items) in enumerate(groupby(grouped, key=lambda item: item[0])):
        classes.append(name)
        entries += [Entry(f"{name}/{file}", label, *place) for _, file, place in items]
    parts = PARTS & set(classes)
    if len(parts) > 1:
        raise DataError(
            f"{root}: has the parts {', '.join(sorted(parts))}; ingest each by itself, such as "
            f"{root / min(parts)}"
        )
    return Source(entries, tuple(classes))


def _in_folder(root: Path) -> Iterator[Found]:
    folders = class_folders(root)
    for name in folders:
        for path in _files(root / name):
            relative = path.relative_to(root / name).as_posix()
            yield name, relative, (str(path), 0, path.stat().st_size)
    if not folders:
        for path in sorted(root.glob("*.tar")):
            yield from _in_tar(path, path.stem, one_class=True)


def _files(folder: Path) -> Iterator[Path]:
    """All files under a folder that are not hidden, sorted."""
    for at, folders, names in os.walk(folder, onerror=_fail):
        folders[:] = sorted(name for name in folders if name[0] != ".")
        for name in sorted(names):
            if name[0] != "." and (Path(at) / name).is_file():
                yield Path(at) / name


def _fail(error: OSError) -> None:
    raise error


def _in_tar(path: Path, stem: str, *, one_class: bool = False) -> Iterator[Found]:
    try:
        with tarfile.open(path, "r:") as tar:
            given = stem if one_class else None
            for name, file, offset, size in _members(tar, path.stat().st_size, given):
                yield name, file, (str(path), offset, size)
    except tarfile.CompressionError as error:
        raise DataError(f"{path}: {error}") from error
    except tarfile.TarError as error:
        how = "compressed" if _is_compressed(path) else f"damaged ({error})"
        way = "decompress it first" if how == "compressed" else "fetch it again"
        raise DataError(f"{path}: a tar that is {how}; {way}") from error


def _members(
    tar: tarfile.TarFile, end: int, given: str | None
) -> Iterator[tuple[str, str, int, int]]:
    """Class, name, offset and size of each file of a tar of `end` bytes, and of the tars in it."""
    for member in tar:
        if member.issparse():
            continue
        stored = member.isreg() or member.type not in tarfile.SUPPORTED_TYPES
        if stored and not 0 <= member.size <= end - member.offset_data:
            raise tarfile.ReadError(f"{member.name} of {member.size} bytes does not fit into it")
        if not member.isreg():
            continue
        path = PurePosixPath(member.name)
        if path.suffix == ".tar" and given is None:
            for name, file, offset, size in _inner(tar, member, path.stem):
                yield name, file, member.offset_data + offset, size
            continue
        name = given if given is not None else path.parent.name
        if not name:
            raise DataError(
                f"{tar.name!s}: {path} is in no folder of a class; unpack it and give a list of "
                "files with labels"
            )
        if not path.name.startswith("."):
            yield name, path.name, member.offset_data, member.size


def _inner(
    tar: tarfile.TarFile, member: tarfile.TarInfo, stem: str
) -> list[tuple[str, str, int, int]]:
    """The files of a tar in a tar."""
    try:
        with tarfile.open(fileobj=tar.extractfile(member), mode="r:") as inner:
            return list(_members(inner, member.size, stem))
    except tarfile.TarError as error:
        raise tarfile.ReadError(f"{member.name} in it: {error}") from error


def _is_compressed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(6).startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd"))


def _listed(path: Path) -> Source:
    """The files of a list; where all labels are numbers they count, else their names are sorted."""
    if path.stat().st_size > MAX_TEXT:
        raise DataError(f"{path}: larger than {MAX_TEXT} bytes; no list of files is")
    try:
        lines = [line.rsplit(maxsplit=1) for line in path.read_text().splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        how = (
            "compressed; decompress it first" if _is_compressed(path) else "no folder, tar or list"
        )
        raise DataError(f"{path}: {how}") from error
    for number, line in enumerate(lines, 1):
        if len(line) != 2:
            raise DataError(f"{path}: line {number} has no label; write a path and a label")
        if line[1][0] == "-" and line[1][1:].isdecimal():
            raise DataError(f"{path}: line {number} has the label {line[1]}; they count from 0")
    given = {line[1] for line in lines}
    if all(label.isdecimal() and len(label) < 8 for label in given):
        count = max(map(int, given), default=-1) + 1
        if count > MAX_CLASSES:
            raise DataError(f"{path}: label {count - 1} is beyond {MAX_CLASSES} classes")
        classes = tuple(map(str, range(count)))
        numbers = {label: int(label) for label in given}
    else:
        classes = tuple(sorted(given))
        numbers = {label: number for number, label in enumerate(classes)}
    return Source([_entry(path.parent, name, numbers[label]) for name, label in lines], classes)


def _entry(root: Path, name: str, label: int) -> Entry:
    """A file of a list; one that is missing has size 0 and is reported like a damaged one."""
    path, size = root / name, 0
    with suppress(OSError, ValueError):  # names that no file can have, folders that are not ours
        size = path.stat().st_size if path.is_file() else 0
    return Entry(name, label, str(path), 0, size)


def _worded(classes: tuple[str, ...], path: Path) -> tuple[str, ...]:
    """The classes with the words that a file has for them."""
    try:
        lines = [line.split(maxsplit=1) for line in path.read_text().splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise DataError(f"{path}: cannot be read ({reason})") from error
    words = {line[0]: line[-1].strip() for line in lines}
    missing = [name for name in classes if name not in words]
    if missing:
        raise DataError(
            f"{path}: has no words for {missing[0]} and {len(missing) - 1} other classes"
        )
    return tuple(words[name] for name in classes)

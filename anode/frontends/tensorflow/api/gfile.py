"""`tf.gfile`: files and folders of this machine, with TensorFlow's errors."""

from __future__ import annotations

import glob as _glob
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from anode.frontends.tensorflow import errors
from anode.frontends.tensorflow.api.compat import as_bytes, as_text
from anode.frontends.tensorflow.opdef import export, export_values, renamed

_MODES = ("r", "w", "a", "r+", "w+", "a+")


@dataclass(frozen=True)
class FileStatistics:
    """What `Stat` says: bytes, the time of the last change in nanoseconds, whether a folder."""

    length: int
    mtime_nsec: int
    is_directory: bool


@contextmanager
def _tensorflow_errors() -> Iterator[None]:
    """Raise errors of the operating system as TensorFlow's."""
    kinds = {
        FileNotFoundError: errors.NotFoundError,
        FileExistsError: errors.AlreadyExistsError,
        PermissionError: errors.PermissionDeniedError,
        IsADirectoryError: errors.FailedPreconditionError,
        NotADirectoryError: errors.FailedPreconditionError,
    }
    try:
        yield
    except OSError as error:
        kind = kinds.get(type(error), errors.UnknownError)
        raise kind(None, None, f"{error.filename}; {error.strerror}") from None


def _local(path: Any) -> str:
    """A path of this machine; UnimplementedError for gs:// and the like."""
    name = as_text(os.fspath(path))
    scheme, colon, rest = name.partition("://")
    if colon and scheme != "file":
        message = f"File system scheme '{scheme}' not implemented (file: '{name}')"
        raise errors.UnimplementedError(None, None, message)
    return rest if colon else name


@export("gfile.GFile", "gfile.Open", "gfile.FastGFile", "io.gfile.GFile")
class GFile:
    """A file, opened when it is first read or written.

    Reading gives text, or bytes with a "b" in `mode`; writing takes both.
    """

    def __init__(self, name: Any, mode: str = "r") -> None:
        if mode.replace("b", "") not in _MODES:
            raise errors.InvalidArgumentError(
                None, None, f"the mode {mode!r} is not one of {_MODES}"
            )
        self._name, self._mode = name, mode
        self._file: Any = None

    @property
    def name(self) -> Any:
        return self._name

    @property
    def mode(self) -> str:
        return self._mode

    def _opened(self, verb: str) -> Any:
        plain = self._mode.replace("b", "")
        if verb == "read" and plain not in ("r", "r+", "w+", "a+"):
            raise errors.PermissionDeniedError(None, None, "File isn't open for reading")
        if verb == "write" and plain == "r":
            raise errors.PermissionDeniedError(None, None, "File isn't open for writing")
        if self._file is None:
            with _tensorflow_errors():
                self._file = open(_local(self._name), plain + "b")  # noqa: SIM115
        return self._file

    def _presented(self, data: bytes) -> Any:
        return data if "b" in self._mode else data.decode("utf-8")

    def size(self) -> int:
        """Bytes of the file."""
        return stat(self._name).length

    def read(self, n: int = -1) -> Any:
        """The next n bytes, or all that is left."""
        return self._presented(self._opened("read").read(n))

    def readline(self) -> Any:
        return self._presented(self._opened("read").readline())

    def readlines(self) -> list[Any]:
        return [self._presented(line) for line in self._opened("read").readlines()]

    def write(self, file_content: Any) -> None:
        self._opened("write").write(as_bytes(file_content))

    @renamed(position="offset")
    def seek(self, offset: int, whence: int = 0) -> None:
        self._opened("").seek(offset, whence)

    def tell(self) -> int:
        return int(self._opened("").tell())

    def seekable(self) -> bool:
        return True

    def flush(self) -> None:
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Close the file; one opened for writing exists afterwards even if nothing was written."""
        if self._file is None and self._mode[0] in "wa":
            self._opened("write")
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> GFile:
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()

    def __iter__(self) -> GFile:
        return self

    def __next__(self) -> Any:
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    next = __next__


@export("gfile.Exists", "io.gfile.exists")
@renamed(path="filename")
def exists(filename: Any) -> bool:
    return os.path.exists(_local(filename))


@export("gfile.IsDirectory", "io.gfile.isdir")
@renamed(path="dirname")
def is_directory(dirname: Any) -> bool:
    return os.path.isdir(_local(dirname))


@export("gfile.ListDirectory", "io.gfile.listdir")
@renamed(path="dirname")
def list_directory(dirname: Any) -> list[str]:
    """The names in a folder; NotFoundError where there is none."""
    if not is_directory(dirname):
        raise errors.NotFoundError(None, None, f"Could not find directory {dirname}")
    return sorted(os.listdir(_local(dirname)))


@export("gfile.Glob", "io.gfile.glob")
@renamed(pattern="filename")
def glob(filename: Any) -> list[str]:
    """The files that match a pattern, or one of a list of patterns, in the order of names."""
    patterns = [filename] if isinstance(filename, (str, bytes, os.PathLike)) else filename
    return [path for pattern in patterns for path in sorted(_glob.glob(_local(pattern)))]


@export("gfile.MkDir", "io.gfile.mkdir")
@renamed(path="dirname")
def mkdir(dirname: Any) -> None:
    with _tensorflow_errors():
        os.mkdir(_local(dirname))


@export("gfile.MakeDirs", "io.gfile.makedirs")
@renamed(path="dirname")
def make_dirs(dirname: Any) -> None:
    """Make a folder and those above it; one that exists is left as it is."""
    with _tensorflow_errors():
        os.makedirs(_local(dirname), exist_ok=True)


@export("gfile.Remove", "io.gfile.remove")
@renamed(path="filename")
def remove(filename: Any) -> None:
    with _tensorflow_errors():
        os.remove(_local(filename))


@export("gfile.DeleteRecursively", "io.gfile.rmtree")
@renamed(path="dirname")
def delete_recursively(dirname: Any) -> None:
    with _tensorflow_errors():
        shutil.rmtree(_local(dirname))


@export("gfile.Rename", "io.gfile.rename")
@renamed(src="oldname", dst="newname")
def rename(oldname: Any, newname: Any, overwrite: bool = False) -> None:
    _refuse_existing(newname, overwrite)
    with _tensorflow_errors():
        os.replace(_local(oldname), _local(newname))


@export("gfile.Copy", "io.gfile.copy")
@renamed(src="oldpath", dst="newpath")
def copy(oldpath: Any, newpath: Any, overwrite: bool = False) -> None:
    _refuse_existing(newpath, overwrite)
    with _tensorflow_errors():
        shutil.copyfile(_local(oldpath), _local(newpath))


def _refuse_existing(path: Any, overwrite: bool) -> None:
    if not overwrite and exists(path):
        raise errors.AlreadyExistsError(None, None, f"file already exists: {path}")


@export("gfile.Stat", "io.gfile.stat")
@renamed(path="filename")
def stat(filename: Any) -> FileStatistics:
    with _tensorflow_errors():
        found = os.stat(_local(filename))
    return FileStatistics(found.st_size, found.st_mtime_ns, is_directory(filename))


@export("gfile.Walk")
def walk(top: Any, in_order: bool = True) -> Iterator[tuple[str, list[str], list[str]]]:
    """Each folder below `top` with its folders and files; a folder before what is in it."""
    for folder, folders, files in os.walk(_local(top), topdown=in_order):
        folders.sort()
        yield folder, folders, sorted(files)


@export("io.gfile.walk")
def walk_v2(
    top: Any, topdown: bool = True, onerror: Any = None
) -> Iterator[tuple[str, list[str], list[str]]]:
    """Each folder below `top`; `onerror` is called with the errors of listing one."""
    for folder, folders, files in os.walk(_local(top), topdown=topdown, onerror=onerror):
        folders.sort()
        yield folder, folders, sorted(files)


def read_file_to_string(filename: Any, binary_mode: bool = False) -> Any:
    with GFile(filename, "rb" if binary_mode else "r") as file:
        return file.read()


def write_string_to_file(filename: Any, file_content: Any) -> None:
    with GFile(filename, "w") as file:
        file.write(file_content)


@renamed(pattern="filename")
def get_matching_files(filename: Any) -> Sequence[str]:
    return glob(filename)


_FILE_IO = {
    "FileIO": "GFile",
    "copy": "copy",
    "create_dir": "mkdir",
    "delete_file": "remove",
    "delete_recursively": "delete_recursively",
    "file_exists": "exists",
    "get_matching_files": "get_matching_files",
    "is_directory": "is_directory",
    "list_directory": "list_directory",
    "read_file_to_string": "read_file_to_string",
    "recursive_create_dir": "make_dirs",
    "rename": "rename",
    "stat": "stat",
    "walk": "walk",
    "write_string_to_file": "write_string_to_file",
}
export_values(__name__, {f"python.lib.io.file_io.{path}": name for path, name in _FILE_IO.items()})

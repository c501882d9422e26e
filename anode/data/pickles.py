"""Reader of the kind of pickle that data sets come in: containers of plain values and arrays.

A pickle is a program that can call anything, so it is never run here. Its opcodes (Python's module
`pickletools` lists them) are read one by one; those that make numbers, text, containers and NumPy
arrays of numbers are followed, and whatever else occurs is an error.
"""

from __future__ import annotations

import gzip
import io
import math
import pickle
import pickletools
import zlib
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from anode.errors import DataError

MAX_BYTES = 1 << 30
GZIP_MAGIC = b"\x1f\x8b"
MAX_RANK = 8
DTYPES = ("b1", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8")
# The globals of an array's pickle by NumPy 1 and 2, in all protocols. None of them is imported.
GLOBALS = {
    "numpy.core.multiarray _reconstruct": "empty",
    "numpy._core.multiarray _reconstruct": "empty",
    "numpy.core.numeric _frombuffer": "whole",
    "numpy._core.numeric _frombuffer": "whole",
    "numpy ndarray": "ndarray",
    "numpy dtype": "dtype",
    "numpy.core.multiarray scalar": "scalar",
    "numpy._core.multiarray scalar": "scalar",
    "_codecs encode": "encode",  # Python 3 writes bytes so in protocol 2
}
LITERALS = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
    "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE",
    "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
}  # fmt: skip
CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}


def read_pickle(path: str | PathLike[str]) -> dict[str, Any]:
    """The dictionary in a pickle file; keys are text, values plain, containers or NumPy arrays.

    Raises `DataError` for a file that is missing, longer than 1 GiB, damaged, or holds anything
    else. No code of the file is run and no name of it is imported.
    """
    found = read_value(path)
    if not isinstance(found, dict):
        raise DataError(f"{path}: not a pickled data set (it holds no dictionary); fetch it again")
    return {_text(key): value for key, value in found.items()}


def read_value(path: str | PathLike[str], limit: int | None = None) -> Any:
    """Whatever a pickle file holds: plain values, text, containers and NumPy arrays of numbers.

    The file may be compressed with gzip. Raises `DataError` as `read_pickle` does, the `limit`, by
    default 1 GiB, being of the uncompressed bytes; text of Python 2 is read as Latin-1.
    """
    path = Path(path)
    try:
        content = _content(path, MAX_BYTES if limit is None else limit)
    except (OSError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: cannot be read ({reason}); check the path") from error
    return value_of(content, path)


def value_of(content: bytes, source: object) -> Any:
    """The value in the bytes of a pickle; `source` names them in a DataError."""
    reader = _Reader()
    try:
        return reader.plain(reader.read(content))
    except Exception as error:  # whatever a damaged program makes the stack do
        raise DataError(f"{source}: not a pickled data set ({error}); fetch it again") from error


def _content(path: Path, limit: int) -> bytes:
    """The bytes of a file, uncompressed if gzip made it smaller."""
    too_large = DataError(f"{path}: larger than {limit} bytes; no data set's pickle is")
    if path.stat().st_size > limit:
        raise too_large
    content = path.read_bytes()
    if not content.startswith(GZIP_MAGIC):
        return content
    inflate = zlib.decompressobj(wbits=31)
    content = inflate.decompress(content, limit)
    if inflate.unconsumed_tail:
        raise too_large
    return content


class _Global(str):
    """A known global, by its short name in GLOBALS."""


class _Array:
    """An array or a dtype that is still being put together; `value` is None until it is."""

    def __init__(self, value: Any = None) -> None:
        self.value = value


class _Reader:
    """A machine with the stack, the marks and the memo that a pickle's opcodes work on."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.arrays = False  # whether there are any

    def read(self, content: bytes) -> Any:
        for opcode, argument, _ in pickletools.genops(io.BytesIO(content)):
            self.step(opcode.name, argument)
        (found,) = self.stack
        return found

    def plain(self, value: Any) -> Any:
        """`value` with the arrays that it holds in place of what put them together."""
        if isinstance(value, _Array):
            return value.value
        if isinstance(value, dict):
            return {self.plain(key): self.plain(held) for key, held in value.items()}
        if isinstance(value, (list, tuple)) and self.arrays:
            return type(value)([self.plain(held) for held in value])
        return value

    def step(self, name: str, argument: Any) -> None:
        if name in LITERALS:
            self.stack.append(argument)
        elif name in CONSTANTS:
            self.stack.append(CONSTANTS[name])
        elif name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self.memo[len(self.memo) if name == "MEMOIZE" else argument] = self.stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            self.stack.append(self.memo[argument])
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            named = argument if name == "GLOBAL" else " ".join(self.pop(2))
            if named not in GLOBALS:
                raise ValueError(f"it asks for {named!r}, which no data set needs")
            self.arrays = True
            self.stack.append(_Global(GLOBALS[named]))
        elif name not in ("PROTO", "FRAME", "STOP"):
            step = STEPS.get(name)
            if step is None:
                raise ValueError(f"its opcode {name} is none that a data set needs")
            step(self)

    def pop(self, count: int) -> list[Any]:
        if count > len(self.stack):
            raise ValueError("its stack is empty")
        found = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return found

    def since_mark(self) -> list[Any]:
        return self.pop(len(self.stack) - self.marks.pop())

    def mark(self) -> None:
        self.marks.append(len(self.stack))

    def tuple_of(self, items: list[Any]) -> None:
        self.stack.append(tuple(items))

    def set_items(self, items: list[Any]) -> None:
        self.stack[-1].update(zip(items[::2], items[1::2], strict=True))

    def extend(self, items: list[Any]) -> None:
        self.stack[-1].extend(items)

    def dict_of(self, items: list[Any]) -> None:
        self.stack.append({})
        self.set_items(items)

    def call(self) -> None:
        """REDUCE: what a call of a known global gives."""
        function, arguments = self.pop(2)
        if not isinstance(function, _Global):
            raise ValueError("it calls what is no global")
        self.stack.append(CALLS[function](*arguments))

    def build(self) -> None:
        """BUILD: the state of an array, or of a dtype, which is its byte order."""
        made, state = self.pop(2)
        if isinstance(made.value, str):
            if made.value[1:] != "1" and state[1] in (">", "="):
                raise ValueError("its numbers are not little-endian")
        else:
            _, shape, dtype, fortran, content = state
            made.value = _array(content, dtype, shape, "F" if fortran else "C")
        self.stack.append(made)


def _array(content: Any, dtype: _Array, shape: tuple[int, ...], order: str) -> np.ndarray:
    """The array that raw bytes stand for, of exactly as many as its shape needs."""
    content = content.encode("latin-1") if isinstance(content, str) else content
    kind = np.dtype("<" + dtype.value)
    small = len(shape) <= MAX_RANK and all(0 <= size <= MAX_BYTES for size in shape)
    if not small or math.prod(shape) * kind.itemsize != len(content):
        raise ValueError(f"an array of shape {shape} has {len(content)} bytes")
    return np.frombuffer(content, kind).reshape(shape, order="F" if order == "F" else "C")


def _dtype(name: Any, *_: Any) -> _Array:
    if _text(name) not in DTYPES:
        raise ValueError(f"its arrays are {name!r}, not of bytes or integers")
    return _Array(_text(name))


CALLS: dict[str, Callable[..., Any]] = {
    "empty": lambda *_: _Array(),
    "whole": lambda content, dtype, shape, order: _Array(_array(content, dtype, shape, order)),
    "dtype": _dtype,
    "scalar": lambda dtype, content: _array(content, dtype, (1,), "C")[0],
    "encode": lambda text, *_: text.encode("latin-1"),
}
STEPS: dict[str, Callable[[_Reader], None]] = {
    "MARK": _Reader.mark,
    "DICT": lambda self: self.dict_of(self.since_mark()),
    "EMPTY_DICT": lambda self: self.dict_of([]),
    "SETITEM": lambda self: self.set_items(self.pop(2)),
    "SETITEMS": lambda self: self.set_items(self.since_mark()),
    "LIST": lambda self: self.stack.append(self.since_mark()),
    "EMPTY_LIST": lambda self: self.stack.append([]),
    "APPEND": lambda self: self.extend(self.pop(1)),
    "APPENDS": lambda self: self.extend(self.since_mark()),
    "TUPLE": lambda self: self.tuple_of(self.since_mark()),
    "TUPLE1": lambda self: self.tuple_of(self.pop(1)),
    "TUPLE2": lambda self: self.tuple_of(self.pop(2)),
    "TUPLE3": lambda self: self.tuple_of(self.pop(3)),
    "REDUCE": _Reader.call,
    "BUILD": _Reader.build,
}


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def write_value(path: str | PathLike[str], value: Any) -> None:
    """Write plain values and arrays as a pickle that Python 2.7 and NumPy 1 can read as well.

    A path that ends with .gz is compressed, without a time in it.
    """
    content = pickle.dumps(value, 2).replace(b"cnumpy._core.", b"cnumpy.core.")
    if str(path).endswith(".gz"):
        content = gzip.compress(content, 6, mtime=0)
    Path(path).write_bytes(content)

"""oneDNN by its C interface: the library, found and loaded when a convolution is met.

Primitives are made for one thread, and run by threads of our own team: oneDNN starts none. What is
declared here follows the public headers of oneDNN 3 (`dnnl.h`, `dnnl_types.h`), whose numbers and
structures are stable within version 3.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ctypes import byref, c_char_p, c_float, c_int, c_int64, c_size_t, c_uint, c_void_p
from functools import cache
from pathlib import Path

from anode.errors import BackendError

WHEEL = "onednn-cpu-gomp"
OLDEST = (3, 2)
MOST_DIMS = 12

DATA_TYPES = {"bf16": 2, "f32": 3}
FORWARD_TRAINING = 64
DIRECT = 1  # the algorithm: no Winograd transform, which loses digits
ANY_FORMAT = 1
BLOCKED = 2  # a format of strides and blocks
_CPU, _IN_ORDER, _USER_SCRATCHPAD, _OPENMP = 1, 1, 1, 2

# What `dnnl_primitive_desc_query` and `dnnl_memory_desc_query` are asked for.
IMPLEMENTATION, WEIGHTS, DIFF_WEIGHTS = 8, 131, 132
SCRATCHPAD, STRIDES, PADDED_DIMS, FORMAT_KIND = 136, 14, 260, 262
INNER_COUNT, INNER_SIZES, INNER_DIMS = 263, 264, 265

# Arguments of a primitive.
ARG_SOURCE, ARG_RESULT, ARG_WEIGHTS, ARG_BIAS, ARG_SCRATCHPAD = 1, 17, 33, 41, 80
ARG_DIFF_SOURCE, ARG_DIFF_RESULT, ARG_DIFF_WEIGHTS = 129, 145, 161

ELTWISE = {"relu": 0x20, "tanh": 0x21, "elu": 0x22, "logistic": 0x29, "hardswish": 0x34}
BINARY_ADD = 0x1FFF0

Dims = Sequence[int]
_STATUS = ("success", "out of memory", "invalid arguments", "unimplemented", "last implementation")
_CALLS = ("dnnl_primitive_execute", "dnnl_memory_set_data_handle")
_OPENMP_CALLS = ("omp_get_max_threads", "omp_set_num_threads")


class Refusal(Exception):
    """oneDNN cannot do what it was asked for; the message says what it answered."""


class ExecArgument(ctypes.Structure):
    """`dnnl_exec_arg_t`: which argument of a primitive a memory object is."""

    _fields_ = (("argument", c_int), ("memory", c_void_p))


class _Version(ctypes.Structure):
    _fields_ = (
        *[(name, c_int) for name in ("major", "minor", "patch")],
        ("hash", c_char_p),
        ("cpu_runtime", c_uint),
        ("gpu_runtime", c_uint),
    )


class Library:
    """The loaded library, one engine and one stream; every object made lives with the process.

    `symbols` are the addresses of the functions that compiled code calls.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.c = ctypes.CDLL(str(path))
        self._openmp = ctypes.CDLL("libgomp.so.1")
        self.version = self._checked_version()
        self.lock = threading.Lock()
        query = self.c.dnnl_primitive_desc_query_md
        query.restype, query.argtypes = c_void_p, [c_void_p, c_int, c_int]
        size = self.c.dnnl_memory_desc_get_size
        size.restype, size.argtypes = c_size_t, [c_void_p]
        self.c.dnnl_post_ops_append_eltwise.argtypes = [c_void_p, c_int, c_float, c_float]
        self.engine, self.stream = c_void_p(), c_void_p()
        self.call("engine_create", byref(self.engine), _CPU, c_size_t(0))
        self.call("stream_create", byref(self.stream), self.engine, _IN_ORDER)
        self.symbols = {
            name: address_of(getattr(source, name))
            for source, names in ((self.c, _CALLS), (self._openmp, _OPENMP_CALLS))
            for name in names
        }

    def _checked_version(self) -> str:
        self.c.dnnl_version.restype = ctypes.POINTER(_Version)
        version = self.c.dnnl_version().contents
        number = f"{version.major}.{version.minor}.{version.patch}"
        if version.major != OLDEST[0] or version.minor < OLDEST[1]:
            raise Refusal(f"oneDNN {number} at {self.path} is not 3.2 or a later 3.x")
        if version.cpu_runtime != _OPENMP:
            raise Refusal(f"oneDNN at {self.path} was not built for OpenMP")
        return number

    def call(self, name: str, *args: object) -> None:
        """Call `dnnl_<name>`; what it does not do raises Refusal."""
        status = getattr(self.c, f"dnnl_{name}")(*args)
        if status:
            known = _STATUS[status] if status < len(_STATUS) else f"status {status}"
            raise Refusal(f"oneDNN: {known} ({name})")

    @contextmanager
    def one_thread(self) -> Iterator[None]:
        """Primitives made inside are for one thread; the caller's OpenMP setting comes back."""
        usual = self._openmp.omp_get_max_threads()
        self._openmp.omp_set_num_threads(1)
        try:
            yield
        finally:
            self._openmp.omp_set_num_threads(usual)

    def tensor(self, shape: Dims, strides: Dims | None, dtype: str) -> c_void_p:
        """A memory descriptor; without strides the format is oneDNN's to choose."""
        made, kind = c_void_p(), DATA_TYPES[dtype]
        if strides is None:
            arguments = (len(shape), dims(shape), kind, ANY_FORMAT)
            self.call("memory_desc_create_with_tag", byref(made), *arguments)
        else:
            arguments = (len(shape), dims(shape), kind, dims(strides))  # type: ignore[assignment]
            self.call("memory_desc_create_with_strides", byref(made), *arguments)
        return made

    def attributes(self) -> c_void_p:
        """New attributes of a primitive whose scratchpad the caller gives."""
        made = c_void_p()
        self.call("primitive_attr_create", byref(made))
        self.call("primitive_attr_set_scratchpad_mode", made, _USER_SCRATCHPAD)
        return made

    def queried(self, description: c_void_p, what: int, index: int = 0) -> c_void_p:
        """The memory descriptor of one argument of a primitive."""
        return c_void_p(self.c.dnnl_primitive_desc_query_md(description, what, index))

    def implementation(self, description: c_void_p) -> str:
        name = c_char_p()
        self.call("primitive_desc_query", description, IMPLEMENTATION, 0, byref(name))
        return (name.value or b"").decode()

    def bytes(self, tensor: c_void_p) -> int:
        return int(self.c.dnnl_memory_desc_get_size(tensor)) if tensor else 0

    def numbers(self, tensor: c_void_p, what: int, count: int) -> tuple[int, ...]:
        """A list of `count` numbers that a memory descriptor has."""
        found = ctypes.POINTER(c_int64)()
        self.call("memory_desc_query", tensor, what, byref(found))
        return tuple(found[:count])

    def number(self, tensor: c_void_p, what: int) -> int:
        found = c_int()
        self.call("memory_desc_query", tensor, what, byref(found))
        return found.value

    def memory(self, tensor: c_void_p) -> int:
        """The address of a new memory object, without memory yet."""
        made = c_void_p()
        self.call("memory_create", byref(made), tensor, self.engine, c_void_p(0))
        return made.value or 0

    def free(self, memories: Sequence[int]) -> None:
        for memory in memories:
            self.c.dnnl_memory_destroy(c_void_p(memory))


def post_argument(index: int) -> int:
    """The argument that the tensor of a primitive's binary post-op `index` is."""
    return 32768 * (index + 1) | 2


def dims(numbers: Dims) -> ctypes.Array[c_int64]:
    return (c_int64 * MOST_DIMS)(*numbers)


def address_of(function: object) -> int:
    return ctypes.cast(function, c_void_p).value or 0  # type: ignore[arg-type]


@cache
def library_path() -> Path | None:
    """The shared library that oneDNN's wheel has put into this installation; None without it."""
    wheel = f"{WHEEL.replace('-', '_')}-*.dist-info/RECORD"  # importlib.metadata takes 20 ms
    for record in (found for folder in sys.path for found in Path(folder).glob(wheel)):
        for line in record.read_text().splitlines():
            path = (record.parents[1] / line.split(",")[0]).resolve()
            if "libdnnl.so" in line and path.is_file():
                return path
    return None


@cache
def load() -> Library | str:
    """oneDNN, loaded once a process; or, in words, why it is not there."""
    path = library_path()
    if path is None:
        return f"oneDNN is not installed (pip install {WHEEL})"
    try:
        return Library(path)
    except (OSError, AttributeError, Refusal) as failure:
        return f"oneDNN cannot be used: {failure}"


def loaded() -> Library:
    """The library, for code that was compiled with it; BackendError if it is gone."""
    found = load()
    if isinstance(found, str):
        raise BackendError(found)
    return found

"""The objects that compiled code's calls of oneDNN need in the process that runs it.

Addresses of primitives are the process's, and compiled code is kept on disk: so the code finds what
it calls through the variable `anode_library`, which is set once the code is loaded. It points to a
list of *records*, one for each step that calls:

    status, primitive, stream, number of arguments, then for each thread the address of arguments

Each thread has memory objects of its own, as tasks of one step run at once.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Mapping, Sequence
from ctypes import c_void_p
from typing import Any

import numpy as np

from anode.backends.cpu import onednn
from anode.backends.cpu.onednn_conv import Primitive, Problem, primitive
from anode.errors import BackendError

LIBRARY = "anode_library"
STATUS, PRIMITIVE, STREAM, COUNT, THREADS = range(5)  # words of a record
ARGUMENT = ctypes.sizeof(onednn.ExecArgument)


class Calls:
    """The records of one loaded program, with the memory objects of so many threads.

    `calls` are the attributes of the program's CONVOLUTION nodes, in the order of their numbers.
    """

    def __init__(self, calls: Sequence[Mapping[str, Any]], threads: int) -> None:
        library = onednn.loaded()
        self._threads = threads
        self._memories: list[int] = []
        self._arguments: list[Any] = []
        self._records = [self._record(library, attrs) for attrs in calls]
        self._list = np.array([record.ctypes.data for record in self._records], np.int64)
        weakref.finalize(self, library.free, self._memories)

    def attach(self, variable: int) -> None:
        """Let the variable `anode_library` of a program at an address point to the records."""
        c_void_p.from_address(variable).value = self._list.ctypes.data

    def check(self) -> None:
        """Raise BackendError if a call failed since the last check."""
        for record in self._records:
            if record[STATUS]:
                status, record[STATUS] = int(record[STATUS]), 0
                raise BackendError(f"oneDNN failed in a run, with status {status}")

    def _record(self, library: onednn.Library, attrs: Mapping[str, Any]) -> np.ndarray:
        made = primitive(Problem.of(attrs))
        each = [self._of_thread(library, made) for _ in range(self._threads)]
        count = len(each[0])
        self._arguments.append(each)
        addresses = [ctypes.addressof(arguments) for arguments in each]
        stream = library.stream.value or 0
        return np.array([0, made.handle, stream, count, *addresses], np.int64)

    def _of_thread(self, library: onednn.Library, made: Primitive) -> Any:
        """The arguments of a thread's calls, as oneDNN takes them."""
        tensors = list(made.arguments)
        if made.scratch[1]:
            tensors.append((onednn.ARG_SCRATCHPAD, made.scratch[0]))
        memories = [library.memory(c_void_p(tensor)) for _, tensor in tensors]
        self._memories += memories
        arguments = (onednn.ExecArgument * len(tensors))()
        for argument, (which, _), memory in zip(arguments, tensors, memories, strict=True):
            argument.argument, argument.memory = which, memory
        return arguments

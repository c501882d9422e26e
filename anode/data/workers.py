"""Processes that work for this one, at the ends of pipes and over memory without a name.

They are fresh interpreters. Forks would copy locks that the threads of a training run may hold, and
`multiprocessing`'s spawn would run the user's script again. Memory is passed as an open file that
has no name, so nothing is left behind however a process ends.
"""

from __future__ import annotations

import json
import mmap
import os
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any, NoReturn

import numpy as np

from anode.errors import DataError

MESSAGE, FAILURE = b"m", b"e"
START = "from anode.data.workers import serve; serve()"


class Workers:
    """`count` processes that each run `target`, a "module:function" that gets (Channel, setup).

    `setup` is a JSON value; files in `inherited` are open in the processes under the same numbers.
    A process ends when this one closes the pipe or is gone. Ctrl-C reaches this process only.
    """

    def __init__(self, target: str, count: int, setup: Any, inherited: Sequence[int] = ()) -> None:
        self.connections: list[Connection] = []
        self.processes: list[subprocess.Popen[bytes]] = []
        self.close = weakref.finalize(self, _close, self.connections, self.processes)
        path = os.pathsep.join(os.path.abspath(folder) for folder in sys.path)
        environment = {**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"}
        for _ in range(count):
            mine, theirs = Pipe()
            self.connections.append(mine)
            command = [sys.executable, "-P", "-c", START, str(theirs.fileno()), target]
            files = (theirs.fileno(), *inherited)
            self.processes.append(
                subprocess.Popen(
                    command,
                    pass_fds=files,
                    stdin=subprocess.DEVNULL,
                    env=environment,
                    process_group=0,
                )
            )
            theirs.close()
            mine.send_bytes(json.dumps(setup).encode())

    def send(self, worker: int, message: bytes) -> None:
        """Give a process a message; DataError where it has ended."""
        try:
            self.connections[worker].send_bytes(message)
        except OSError:
            self._raise_ended(worker)

    def receive(self, timeout: float | None = None) -> list[tuple[int, bytes]]:
        """What processes have sent, with their numbers; waits for at least one message.

        Raises DataError with what a process says went wrong, or where one has ended.
        """
        found = []
        for ready in wait(self.connections, timeout):
            worker = self.connections.index(ready)  # type: ignore[arg-type]
            try:
                message = self.connections[worker].recv_bytes()
            except (EOFError, OSError):
                self._raise_ended(worker)
            if message[:1] == FAILURE:
                raise DataError(message[1:].decode())
            found.append((worker, message[1:]))
        return found

    def _raise_ended(self, worker: int) -> NoReturn:
        with suppress(EOFError, OSError):
            while (message := self.connections[worker].recv_bytes())[:1] != FAILURE:
                pass
            raise DataError(message[1:].decode())
        code = self.processes[worker].wait()
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        raise DataError(f"a worker process ended {how}; if memory ran out, use fewer workers")


class Memory:
    """Bytes that processes share: an open file without a name, mapped into memory."""

    def __init__(self, size: int, file: int | None = None) -> None:
        """New memory, or that behind a file inherited from the process which made it."""
        self.file = _nameless() if file is None else file
        if file is None:
            os.ftruncate(self.file, size)
        self.map = mmap.mmap(self.file, size)
        self.bytes = np.frombuffer(self.map, np.uint8)
        if file is None:
            weakref.finalize(self, os.close, self.file)


class Channel:
    """A worker's end of its pipe."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def receive(self) -> bytes:
        """The next message; EOFError when there will be none."""
        return self.connection.recv_bytes()

    def send(self, message: bytes) -> None:
        """Answer; EOFError when nobody waits for it."""
        try:
            self.connection.send_bytes(MESSAGE + message)
        except (BrokenPipeError, ConnectionResetError):
            raise EOFError from None  # no OSError: those are of files


def serve() -> None:
    """What a worker process runs: the target, until the pipe closes or something goes wrong."""
    connection = Connection(int(sys.argv[1]))
    try:
        module, _, function = sys.argv[2].partition(":")
        target = getattr(import_module(module), function)
        target(Channel(connection), json.loads(connection.recv_bytes()))
    except (EOFError, ConnectionResetError):
        pass  # nobody waits for more
    except DataError as error:
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.send_bytes(FAILURE + str(error).encode())


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _nameless() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("anode")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _close(connections: list[Connection], processes: list[subprocess.Popen[bytes]]) -> None:
    """End the processes at once: they keep nothing that is not written or shared."""
    for connection in connections:
        connection.close()
    for process in processes:
        process.kill()
    for process in processes:
        process.wait()

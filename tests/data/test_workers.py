"""Worker processes: messages, failures, ends, and memory that is shared."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from anode.data.workers import Channel, Memory, Workers
from anode.errors import DataError

ROOT = Path(__file__).parent.parent.parent
HERE = "tests.data.test_workers"


def double(channel: Channel, setup: dict) -> None:
    """A worker: doubles the bytes of the shared memory that a message names."""
    memory = Memory(setup["size"], setup["file"])
    while True:
        at = json.loads(channel.receive())
        if at < 0:
            raise DataError(f"no place {at}")
        memory.bytes[at] *= 2
        channel.send(json.dumps([at, os.getpid()]).encode())


@pytest.fixture
def memory() -> Memory:
    found = Memory(8)
    found.bytes[:] = range(8)
    return found


@pytest.fixture
def workers(memory):
    found = Workers(f"{HERE}:double", 2, {"size": 8, "file": memory.file}, [memory.file])
    yield found
    found.close()


def test_messages_and_shared_memory(workers, memory):
    for at in range(8):
        workers.send(at % 2, json.dumps(at).encode())
    answers = []
    while len(answers) < 8:
        answers += [(worker, *json.loads(message)) for worker, message in workers.receive()]
    assert memory.bytes.tolist() == [2 * i for i in range(8)]
    pids = {(worker, pid) for worker, _, pid in answers}
    assert pids == {(worker, process.pid) for worker, process in enumerate(workers.processes)}
    assert workers.receive(timeout=0) == []


def test_a_failure_is_the_one_it_says(workers):
    workers.send(1, b"-3")
    with pytest.raises(DataError, match=r"^no place -3$"):
        workers.receive()
    workers.processes[1].wait()
    with pytest.raises(DataError, match="a worker process ended with exit code 0"):
        workers.send(1, b"1")


def test_a_killed_worker_is_an_error(workers):
    workers.processes[0].send_signal(signal.SIGKILL)
    with pytest.raises(DataError, match="a worker process ended by signal 9"):
        workers.receive()


def test_closing_ends_them_and_frees_all_files():
    before = len(os.listdir("/proc/self/fd"))
    memory = Memory(8)
    workers = Workers(f"{HERE}:double", 2, {"size": 8, "file": memory.file}, [memory.file])
    processes = workers.processes
    del workers, memory
    assert [process.poll() for process in processes] == [-signal.SIGKILL] * 2
    assert len(os.listdir("/proc/self/fd")) == before


def test_memory_has_no_name(memory):
    assert "(deleted)" in os.readlink(f"/proc/self/fd/{memory.file}")
    np.testing.assert_array_equal(memory.bytes, np.arange(8))


STARTER = """
import time
from anode.data.workers import Memory, Workers
memory = Memory(8)
setup = {"size": 8, "file": memory.file}
workers = Workers("tests.data.test_workers:double", 2, setup, [memory.file])
for worker in range(2):
    workers.send(worker, b"1")
    workers.receive()
print(*[process.pid for process in workers.processes], flush=True)
time.sleep(60)
"""


def test_workers_end_with_a_parent_that_is_killed():
    with subprocess.Popen(
        [sys.executable, "-c", STARTER], cwd=ROOT, stdout=subprocess.PIPE
    ) as parent:
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 2 and all(map(runs, pids))
        parent.kill()
    end = time.monotonic() + 30
    while any(map(runs, pids)) and time.monotonic() < end:
        time.sleep(0.01)
    assert not any(map(runs, pids))


def runs(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False

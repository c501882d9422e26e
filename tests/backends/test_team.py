"""The thread team: right and alive whatever the system does to its threads."""

from __future__ import annotations

import ctypes
import gc
import os
import subprocess
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from anode import ops
from anode.backends.cpu.backend import CpuBackend, CpuCompiled
from anode.ir.graph import trace
from anode.ir.types import tensor
from anode.runtime.executable import compile
from anode.runtime.state import State
from tests.backends.process import run_python
from tests.backends.programs import PROGRAMS, results, squares, train

THREADS = (1, 2, 3, 7)
EACH = pytest.mark.parametrize("name", PROGRAMS)


@pytest.fixture
def busy_cores():
    """As many busy loops as there are cores, while a test runs."""
    loops = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"])
        for _ in range(os.cpu_count() or 1)
    ]
    yield
    for loop in loops:
        loop.kill()
        loop.wait()


def test_many_runs():
    (x,) = squares(1)
    runs = results(PROGRAMS["chain"], 2, x, runs=500)
    assert len(set(runs)) == 1


@EACH
def test_the_same_bits_for_any_number_of_threads(name):
    (x,) = squares(1)
    assert len({results(PROGRAMS[name], threads, x)[0] for threads in THREADS}) == 1


def test_training_has_the_same_bits_for_any_number_of_threads():
    assert len({train(threads) for threads in THREADS}) == 1


def test_two_python_threads():
    inputs = squares(2)
    exes = [compile(PROGRAMS["chain"], "cpu", 2), compile(PROGRAMS["softmax"], "cpu", 2)]
    expected = [exe(x)[0] for exe, x in zip(exes, inputs, strict=True)]
    wrong: list[int] = []

    def work(which: int) -> None:
        for _ in range(300):
            if not np.array_equal(exes[which](inputs[which])[0], expected[which]):
                wrong.append(which)

    threads = [threading.Thread(target=work, args=(which,)) for which in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_two_python_threads_on_one_executable():
    inputs = squares(2)
    exe = compile(PROGRAMS["norm"], "cpu", 2)
    expected = [exe(x)[0] for x in inputs]
    wrong: list[int] = []

    def work(which: int) -> None:
        for _ in range(300):
            if not np.array_equal(exe(inputs[which])[0], expected[which]):
                wrong.append(which)

    threads = [threading.Thread(target=work, args=(which,)) for which in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_on_the_host_reaches_the_caller(monkeypatch, threads):
    graph = trace(lambda x: ops.sort(x) + 1.0, tensor("f32", 3))
    exe, x = compile(graph, "cpu", threads), np.float32([3, 1, 2])
    assert exe(x)[0].tolist() == [2, 3, 4]

    def broken(*args: object) -> None:
        raise MemoryError("no room to sort")

    with monkeypatch.context() as patch:
        patch.setattr(type(ops.sort), "evaluate_op", broken)
        with pytest.raises(MemoryError, match="no room to sort"):
            exe(x)
    assert exe(x)[0].tolist() == [2, 3, 4]


@EACH
def test_while_the_cores_are_busy(name, busy_cores):
    (x,) = squares(1)
    expected = results(PROGRAMS[name], 1, x)[0]
    assert set(results(PROGRAMS[name], 7, x, runs=20)) == {expected}


def test_counters_outlive_their_program():
    """A thread put aside in a run may look at them later; the next program can have them."""

    def compiled() -> CpuCompiled:
        return CpuBackend().compile(PROGRAMS["chain"], threads=3)

    def counters(made: CpuCompiled) -> np.ndarray:
        return made._memory[1]

    first, second = compiled(), compiled()
    kept = weakref.ref(counters(first))
    assert not np.shares_memory(counters(first), counters(second))
    del first
    assert kept() is not None
    third = compiled()
    assert counters(third) is kept()
    assert (
        third.run(squares(1), State())[0].tobytes() == results(PROGRAMS["chain"], 1, *squares(1))[0]
    )


def test_a_thread_that_comes_late_writes_nothing():
    """What a run before the last one was given may be freed, and be another's, by then."""
    made = CpuBackend().compile(PROGRAMS["chain"], threads=3)
    for _ in range(2):
        made.run(squares(1), State())
    program, table, control, scratch = made._arguments
    team = made._team._address
    version = ctypes.c_int64.from_address(team).value - 2
    arena, _, own = made._memory
    before = arena.tobytes(), made._table.tobytes()
    own[:] = 7
    kind = ctypes.CFUNCTYPE(
        None, *[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 2, *[ctypes.c_void_p] * 2
    )
    kind(program)(table, control, version, 1, scratch, team)
    assert (arena.tobytes(), made._table.tobytes()) == before
    assert (own == 7).all()


def test_executables_are_freed_without_collecting_cycles():
    gc.disable()
    try:
        made = CpuBackend().compile(PROGRAMS["sort"], threads=2)
        made.run(squares(1), State())
        finished: list[int] = []
        weakref.finalize(made, finished.append, 1)
        del made
        assert finished == [1]
    finally:
        gc.enable()


def test_all_threads_take_part_in_the_first_run():
    """Also those that the system starts only when the run has begun."""
    script = """
import ctypes, threading
from anode.backends.cpu.team import team
come = threading.Barrier(3)
kind = ctypes.CFUNCTYPE(
    None, *[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 2, *[ctypes.c_void_p] * 2
)
program = kind(lambda table, control, version, thread, scratch, team: come.wait(60) and None)
team(3).run(ctypes.cast(program, ctypes.c_void_p).value, 0, 0, 0)
print("broken" if come.broken else "done")
"""
    assert run_python(script) == "done\n"


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
FORK = """
import os, sys, threading
from anode.runtime.executable import compile
from tests.backends.programs import PROGRAMS, results, squares
(x,) = squares(1)
exe = compile(PROGRAMS["chain"], "cpu", 3)
expected = exe(x)[0].tobytes()
"""


@needs_fork
def test_after_a_fork_both_go_on():
    script = FORK + (
        """
for _ in range(5):
    child = os.fork()
    if not child:
        right = all(exe(x)[0].tobytes() == expected for _ in range(20))
        right &= results(PROGRAMS["chain"], 3, x) == [expected]
        threads = len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self") else 3
        os._exit(0 if right and threads == 3 else 1)
    assert all(exe(x)[0].tobytes() == expected for _ in range(20))
    assert os.waitpid(child, 0)[1] == 0
print("done")
"""
    )
    assert run_python(script, PYTHONWARNINGS="ignore") == "done\n"


@needs_fork
def test_a_fork_while_another_thread_runs():
    script = FORK + (
        """
stop = threading.Event()
def work():
    while not stop.is_set():
        exe(x)
thread = threading.Thread(target=work)
thread.start()
for _ in range(20):
    child = os.fork()
    if not child:
        os._exit(0 if all(exe(x)[0].tobytes() == expected for _ in range(5)) else 1)
    assert os.waitpid(child, 0)[1] == 0
stop.set()
thread.join()
print("done")
"""
    )
    assert run_python(script, PYTHONWARNINGS="ignore") == "done\n"


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing(tmp_path, method):
    if method == "fork" and not hasattr(os, "fork"):
        pytest.skip("the system cannot fork")
    script = tmp_path / "pool.py"
    script.write_text(
        f"""
import multiprocessing
from tests.backends.programs import PROGRAMS, results, squares

def work(number):
    return results(PROGRAMS["chain"], 2, squares(number + 1)[number])[0]

if __name__ == "__main__":
    expected = [work(i) for i in range(4)]
    with multiprocessing.get_context("{method}").Pool(2) as pool:
        assert pool.map(work, range(4)) == expected
    print("done")
"""
    )
    start = f"import runpy; runpy.run_path({str(script)!r}, run_name='__main__')"
    if method == "spawn":
        start = (
            f"import subprocess, sys; subprocess.run([sys.executable, {str(script)!r}], check=True)"
        )
    assert run_python(start, PYTHONWARNINGS="ignore") == "done\n"


def test_no_wake_up_is_lost():
    """20,000 short runs with pauses of every length about that after which threads sleep."""
    script = """
import random, time
import numpy as np
from anode.runtime.executable import compile
from anode.ir.graph import trace
from anode.ir.types import tensor
import anode.ops as ops
graph = trace(lambda x: ops.softmax(ops.matmul(x, x) * 0.01) + x, tensor("f32", 32, 32))
exe, wait = compile(graph, "cpu", 3), random.Random(0)
x = np.ones((32, 32), np.float32)
expected = exe(x)[0].tobytes()
for i in range(20000):
    assert exe(x)[0].tobytes() == expected
    pause = wait.choice((0, 0, 0, 1, 10, 30, 100))
    end = time.perf_counter_ns() + wait.randrange(1000 * pause + 1)
    if i % 50 == 0:
        time.sleep(wait.random() * 1e-3)
    while time.perf_counter_ns() < end:
        pass
print("done")
"""
    assert run_python(script, seconds=240) == "done\n"


EXITS = {
    "at once": "",
    "in a function": "def f():\n    raise SystemExit(0)\nf()",
    "compiling in a thread": """
sort = compile(PROGRAMS["sort"], "cpu", 3)
def work():
    threading.main_thread().join()
    assert sort(x)[0].shape == x.shape
threading.Thread(target=work).start()
""",
    "from a thread": "t = threading.Thread(target=exe, args=(x,)); t.start()",
    "with a daemon thread": """
def work():
    while True:
        exe(x)
threading.Thread(target=work, daemon=True).start()
exe(x)
""",
    "with a daemon thread on the host": """
sort = compile(PROGRAMS["sort"], "cpu", 3)
def work():
    while True:
        sort(x)
threading.Thread(target=work, daemon=True).start()
sort(x)
""",
}


@pytest.mark.parametrize("end", EXITS)
def test_the_interpreter_exits_cleanly(end):
    script = FORK + "for _ in range(10): exe(x)\n" + EXITS[end]
    with ThreadPoolExecutor(3) as pool:  # beside each other: no two end at the same moment
        ran = [pool.submit(run_python, script, ANODE_CACHE="off") for _ in range(3)]
    assert [each.result() for each in ran] == [""] * 3


def test_a_keyboard_interrupt_leaves_it_usable():
    script = FORK + (
        """
import _thread, signal, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where tests run in background
caught = 0
def interrupt(delay, stop):  # again after a second: Python drops one that hits a destructor
    time.sleep(delay)
    while not stop.is_set():
        _thread.interrupt_main()
        stop.wait(1)
for delay in range(40):
    stop = threading.Event()
    try:
        threading.Thread(target=interrupt, args=(delay * 1e-4, stop)).start()
        while True:
            exe(x)
    except KeyboardInterrupt:
        stop.set()
        caught += 1
    assert exe(x)[0].tobytes() == expected
print(caught)
"""
    )
    assert run_python(script) == "40\n"

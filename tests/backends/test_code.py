"""Object code: made by several threads at once, the same as by one; failures come out."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor

import pytest

from anode import ops
from anode.backends.cpu import build, code
from anode.backends.cpu.build import Build
from anode.backends.cpu.target import host_target, target_machine
from anode.errors import BackendError
from anode.ir.graph import trace
from anode.ir.types import tensor

GRAPH = trace(lambda x: ops.softmax(ops.relu(x @ x) @ x), tensor("f32", 40, 40))


def objects() -> list[bytes]:
    return Build(GRAPH, host_target(), 2).objects()


def test_threads_beside_each_other_make_the_same_code():
    native = Build(GRAPH, host_target(), 2).native
    *kernels, program = map(str, native.modules)
    machines = [target_machine(host_target(), optimized=flag) for flag in (True, False)]
    expected = [code.object_code(text, machines[0]) for text in kernels]
    expected.append(code.object_code(program, machines[1]))
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: objects(), range(8))) == [expected] * 8


def test_what_llvm_says_when_it_fails(monkeypatch):
    monkeypatch.setattr(code, "_generator", lambda: lambda *arguments: None)
    with pytest.raises(BackendError, match="LLVM cannot generate code"):
        objects()
    gc.collect()  # what the failure's frames held goes in any order


def test_a_failure_leaves_no_thread_waiting(monkeypatch):
    def refused(*arguments: object) -> None:
        raise BackendError("no module today")

    started = list[build._Generators]()
    enter = build._Generators.__enter__
    monkeypatch.setattr(build, "NativeModule", refused)
    monkeypatch.setattr(
        build._Generators, "__enter__", lambda self: (started.append(self), enter(self))[1]
    )
    with pytest.raises(BackendError, match="no module today"):
        objects()
    assert not any(thread.is_alive() for thread in started[0]._threads)

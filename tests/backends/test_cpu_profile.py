"""A timed program's log: every task once, on a thread of the team, in an allowed order."""

from __future__ import annotations

import numpy as np
import pytest

from anode import ops
from anode.backends.cpu.profile import Profile, TimedCompiled
from anode.backends.cpu.target import host_target
from anode.ir.graph import trace
from anode.ir.types import tensor
from anode.runtime.state import State

TYPES = tensor("f32", 300, 200), tensor("f32", 200, 100)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_every_task_is_logged_once(threads: int) -> None:
    graph = trace(lambda x, y: [ops.softmax(ops.relu(x @ y), axis=-1)], *TYPES)
    compiled = TimedCompiled(graph, host_target(), threads)
    x, y = (np.ones(type.static, np.float32) for type in TYPES)
    profile = compiled.profile([x, y], State(), runs=3)
    expected = {
        (i, task)
        for i, step in enumerate(compiled.program.steps)
        for task in range(compiled.build.native.kernels[step].tasks)
    }
    assert len(profile.runs) == 3
    for run in profile.runs:
        assert len(run) == len(expected)
        assert {(task.step, task.number) for task in run} == expected
        assert all(0 <= task.thread < threads and 0 <= task.start <= task.end for task in run)
        _follows_the_order(compiled, run)
    _agrees_with_itself(profile)


def _follows_the_order(compiled: TimedCompiled, run: tuple) -> None:
    for i, step in enumerate(compiled.program.steps):
        begin = min(task.start for task in run if task.step == i)
        assert all(task.end <= begin for task in run if task.step in step.after)


def _agrees_with_itself(profile: Profile) -> None:
    assert 0 < profile.seconds < 1
    assert profile.middle in profile.runs
    for span, work in zip(profile.spans(), profile.work(), strict=True):
        assert span > 0
        assert work <= span * profile.threads * 1.001


def test_timed_code_gives_the_same_values() -> None:
    graph = trace(lambda x, y: [x @ y], *TYPES)
    random = np.random.default_rng(0)
    x, y = (random.normal(size=type.static).astype(np.float32) for type in TYPES)
    (timed,) = TimedCompiled(graph, host_target(), 2).run([x, y], State())
    np.testing.assert_allclose(timed, x @ y, rtol=1e-5, atol=1e-4)

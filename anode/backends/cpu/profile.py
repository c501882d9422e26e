"""When each task of a program ran, and on which thread, as its own code wrote it down."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from anode.backends.base import Variables
from anode.backends.cpu.backend import CpuCompiled
from anode.backends.cpu.log import FIELDS

SHORTEST = 0.02  # seconds between two stamps, for the cycle counter's rate


@dataclass(frozen=True)
class Task:
    """One task of a step: its number, its thread, and seconds since the run began."""

    step: int
    number: int
    thread: int
    start: float
    end: float


@dataclass(frozen=True)
class Profile:
    """The tasks of some runs of a program whose steps have these names."""

    steps: tuple[str, ...]
    threads: int
    runs: tuple[tuple[Task, ...], ...]

    @property
    def middle(self) -> tuple[Task, ...]:
        """The run of median length."""
        return sorted(self.runs, key=_length)[len(self.runs) // 2]

    @property
    def seconds(self) -> float:
        """The median length of a run."""
        return median(map(_length, self.runs))

    def spans(self) -> tuple[float, ...]:
        """For each step the seconds from its first task's start to its last one's end: medians."""
        return tuple(median(_span(run, i) for run in self.runs) for i in range(len(self.steps)))

    def work(self) -> tuple[float, ...]:
        """For each step the seconds of all its tasks added up: medians."""
        return tuple(
            median(sum(t.end - t.start for t in run if t.step == i) for run in self.runs)
            for i in range(len(self.steps))
        )


def _length(run: Sequence[Task]) -> float:
    return max((task.end for task in run), default=0.0)


def _span(run: Sequence[Task], step: int) -> float:
    tasks = [task for task in run if task.step == step]
    if not tasks:
        return 0.0
    return max(task.end for task in tasks) - min(task.start for task in tasks)


class TimedCompiled(CpuCompiled):
    """The same program with code that writes a log; a little slower where tasks are short."""

    timed = True

    def _prepare(self) -> None:
        super()._prepare()
        tasks = sum(self.build.native.kernels[step].tasks for step in self.program.steps)
        self._log = np.zeros(1 + FIELDS * tasks, np.int64)
        self._table[self.layout.places - 1] = self._log.ctypes.data

    def profile(self, inputs: Sequence[np.ndarray], state: Variables, runs: int = 9) -> Profile:
        """Time `runs` runs, after two that are not counted; they change `state` as runs do."""
        logs, clock = [], list[float]()
        for _ in range(2 + runs):
            self._log[0] = 0
            clock.append(time.perf_counter())
            self.run(inputs, state)
            logs.append(self._log[1:].reshape(-1, FIELDS)[: self._log[0]].copy())
        while time.perf_counter() - clock[0] < SHORTEST:
            time.sleep(SHORTEST / 4)
        clock.append(time.perf_counter())
        self._log[0] = 0
        self.run(inputs, state)
        cycles = int(self._log[4] - logs[0][0, 3]) if len(logs[0]) else 1
        seconds = (clock[-1] - clock[0]) / cycles  # of one cycle
        names = tuple(step.name for step in self.program.steps)
        timed = tuple(self._tasks(log, seconds) for log in logs[2:])
        return Profile(names, self.threads, timed)

    def _tasks(self, log: np.ndarray, seconds: float) -> tuple[Task, ...]:
        scratch, stride = self._arguments[3], self.build.native.stride
        begin = log[:, 3].min() if len(log) else 0
        return tuple(
            Task(
                int(step),
                int(number),
                (int(place) - scratch) // stride if self.threads > 1 else 0,
                float(start - begin) * seconds,
                float(end - begin) * seconds,
            )
            for step, number, place, start, end in log
        )

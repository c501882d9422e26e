"""Orders of tasks: which may follow which, and the one that keeps the peak of memory low."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

CLOSE = 64  # peaks that differ by less than 1/CLOSE are as good as equal


@dataclass(frozen=True)
class Costs:
    """What a list order is judged by.

    `before[t]` are the tasks that task t waits for. Task t writes the values `writes[t]` and reads
    `reads[t]`, each of `sizes[v]` bytes (0 where it is no temporary); `own[t]` bytes are in use
    while it runs.
    """

    before: Sequence[frozenset[int]]
    reads: Sequence[tuple[int, ...]]
    writes: Sequence[tuple[int, ...]]
    sizes: Sequence[int]
    own: Sequence[int]

    def uses(self) -> list[int]:
        """How many tasks read each value."""
        counts = [0] * len(self.sizes)
        for reads in self.reads:
            for value in set(reads):
                counts[value] += 1
        return counts


def list_order(costs: Costs) -> list[int]:
    """An order of the tasks that respects `before` and keeps the peak of live bytes low.

    Three list schedules are made and the first taken whose peak is near the lowest. The first one
    always takes the ready task after which the fewest bytes are live. The others take a task that
    adds no live bytes if one is ready; else the second takes the first in the tasks' own order,
    which has producers near users, and the third the last, so that what was begun comes to its end.
    """
    orders = [
        _schedule(costs, lambda growth, task: (growth, task)),
        _schedule(costs, lambda growth, task: (growth > 0, task)),
        _schedule(costs, lambda growth, task: (growth > 0, -task)),
    ]
    peaks = [max(live_bytes(costs, order), default=0) for order in orders]
    near = min(peaks) + min(peaks) // CLOSE
    return next(order for order, peak in zip(orders, peaks, strict=True) if peak <= near)


def live_bytes(costs: Costs, order: Iterable[int]) -> list[int]:
    """The bytes in use while each task of `order` runs."""
    left, live, peaks = costs.uses(), 0, []
    for task in order:
        live += sum(costs.sizes[v] for v in costs.writes[task])
        peaks.append(live + costs.own[task])
        live -= sum(costs.sizes[v] for v in costs.writes[task] if not left[v])
        for value in set(costs.reads[task]):
            left[value] -= 1
            if not left[value]:
                live -= costs.sizes[value]
    return peaks


def _schedule(costs: Costs, rank: Callable[[int, int], tuple[int, int]]) -> list[int]:
    """List scheduling by the lowest `rank(growth of live bytes, task)` among the ready tasks."""
    ready = _Ready(costs, rank)
    left, readers = costs.uses(), _readers(costs)
    order: list[int] = []
    while (task := ready.pop()) is not None:
        order.append(task)
        for value in set(costs.reads[task]):
            left[value] -= 1
            readers[value].discard(task)
            if left[value] == 1:  # whoever reads it last will free it
                ready.lower(next(iter(readers[value])), costs.sizes[value])
        ready.finish(task)
    return order


def _readers(costs: Costs) -> list[set[int]]:
    readers: list[set[int]] = [set() for _ in costs.sizes]
    for task, reads in enumerate(costs.reads):
        for value in reads:
            readers[value].add(task)
    return readers


class _Ready:
    """The tasks that may run next, by rank.

    A task that reads no temporary frees nothing, so it is held back until one of its followers
    waits for nothing else: a dropout mask is not drawn before the layer that applies it.
    """

    def __init__(self, costs: Costs, rank: Callable[[int, int], tuple[int, int]]) -> None:
        self.rank, self.heap, self.done = rank, list[tuple[tuple[int, int], int]](), set[int]()
        uses = costs.uses()
        self.growth = [
            sum(costs.sizes[v] for v in writes if uses[v])
            - sum(costs.sizes[v] for v in set(reads) if uses[v] == 1)
            for reads, writes in zip(costs.reads, costs.writes, strict=True)
        ]
        self.waiting = [len(before) for before in costs.before]
        self.followers: list[list[int]] = [[] for _ in costs.before]
        for task, before in enumerate(costs.before):
            for earlier in sorted(before):
                self.followers[earlier].append(task)
        self.lazy = [
            not before and bool(self.followers[task]) and self.growth[task] > 0
            for task, before in enumerate(costs.before)
        ]
        self.before = costs.before
        self.busy = [sum(not self.lazy[e] for e in before) for before in costs.before]
        for task, before in enumerate(costs.before):
            if not before and not self.lazy[task]:
                self._push(task)
            elif before and not self.busy[task]:
                self._release(task)

    def pop(self) -> int | None:
        """The ready task of the lowest rank; None when every task has run."""
        while self.heap:
            rank, task = heapq.heappop(self.heap)
            if task not in self.done and rank == self.rank(self.growth[task], task):
                self.done.add(task)
                return task
        return None

    def lower(self, task: int, size: int) -> None:
        """Task will free `size` bytes more than was known."""
        self.growth[task] -= size
        if not self.waiting[task]:
            self._push(task)

    def finish(self, task: int) -> None:
        for follower in self.followers[task]:
            self.waiting[follower] -= 1
            if not self.waiting[follower]:
                self._push(follower)
            elif not self.lazy[task]:
                self.busy[follower] -= 1
                if not self.busy[follower]:
                    self._release(follower)

    def _release(self, task: int) -> None:
        """Allow the tasks held back that are all `task` waits for."""
        for earlier in sorted(self.before[task]):
            if self.lazy[earlier] and earlier not in self.done:
                self._push(earlier)

    def _push(self, task: int) -> None:
        heapq.heappush(self.heap, (self.rank(self.growth[task], task), task))


def reachable(before: Sequence[Iterable[int]]) -> list[int]:
    """For each task, as bits, the tasks that have finished before; each waits for earlier ones."""
    masks: list[int] = []
    for earlier in before:
        mask = 0
        for task in earlier:
            mask |= masks[task] | 1 << task
        masks.append(mask)
    return masks


def later(before: Sequence[Iterable[int]]) -> list[int]:
    """For each task, as bits, those that have to wait for it; each waits for earlier ones."""
    masks = [0] * len(before)
    for task in range(len(before) - 1, -1, -1):
        for earlier in before[task]:
            masks[earlier] |= masks[task] | 1 << task
    return masks


def reduced(before: Sequence[Iterable[int]]) -> list[tuple[int, ...]]:
    """`before` without what follows from the rest; every task waits for earlier ones only."""
    masks: list[int] = []
    result = []
    for earlier in before:
        mask, kept = 0, []
        for task in sorted(set(earlier), reverse=True):
            if not mask >> task & 1:
                kept.append(task)
                mask |= masks[task] | 1 << task
        masks.append(mask)
        result.append(tuple(reversed(kept)))
    return result

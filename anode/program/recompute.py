"""Recompute: trade time for memory by computing values again instead of keeping them.

A value that many steps lie between two uses of is *dropped*: after the gap its users read a copy,
which its step, run once more just before, writes from the same operands by the same code. So the
bits are those of the program without a limit, and a random mask comes out the same because random
numbers are a function of their key. A dropped value whose step needs others that are gone has those
computed again first.

What to drop is chosen greedily by a cost model: of all candidates the ones that take most bytes off
the steps that are above the limit, over all those steps, for each second that they cost. A
candidate counts what it adds as well: operands that must be kept for it, and copies that lie
waiting. So chains of layers end up with checkpoints between them instead of one long recomputation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise

import numpy as np

from anode.errors import BackendError
from anode.ir.types import TokenType
from anode.program.alias import may_alias
from anode.program.cost import seconds
from anode.program.live import MayAlias, live_bytes, slots_of, users_of
from anode.program.memory import memory_report
from anode.program.plan import plan
from anode.program.program import Buffer, Program, Step
from anode.rewrite.trace import Hit, Trace

SMALL = 8  # an operand this many times smaller than what it gives is kept rather than recomputed
MOST_KEPT = 32  # dropped buffers of which it is tried whether they can be kept after all
WEIGHTS = (1.0, 0.5, 0.0)  # of the cost in a candidate's value: the next if one leads nowhere
GOALS = (0.7, 0.5, 0.4, 0.3, 0.25, 0.2, 0.15, 0.1)  # shares of the bound, to find the least arena


def within(program: Program, limit: int, trace: Trace | None = None) -> Program:
    """The program planned in an arena of at most `limit` bytes, recomputing what that needs.

    `trace` gets a hit for each step that runs again. Raises BackendError, with the smallest arena
    that was found, where the limit cannot be kept.
    """
    planned = plan(program, limit)
    for weight in WEIGHTS:
        drops, goal = Drops(program, weight), limit
        while planned.arena > limit and drops.below(goal):
            drops.keep(goal)
            planned = plan(drops.current.program, limit)
            goal -= max(planned.arena - limit, limit // 200)
    if planned.arena > limit:
        planned = _smallest(program)
    if planned.arena > limit:
        raise BackendError(
            f"memory_limit: {limit:,} bytes are not enough for the temporaries: they take "
            f"{plan(program).arena:,} bytes, and {planned.arena:,} if all is computed again that "
            "helps; raise the limit or take smaller minibatches"
        )
    if trace is not None:
        trace.hits += _hits(program, planned)
    return planned


def _smallest(program: Program) -> Program:
    """The program planned in the smallest arena that is found, by several goals."""
    bound, found = memory_report(program).lower_bound, [plan(program, 0)]
    for weight in WEIGHTS:
        for share in GOALS:
            drops = Drops(program, weight)
            reached = drops.below(int(bound * share))
            found.append(plan(drops.smallest.program, 0))
            if not reached:
                break
    return min(found, key=lambda planned: planned.arena)


def _hits(program: Program, planned: Program) -> Iterator[Hit]:
    known = {step.name for step in program.steps}
    for step in planned.steps:
        if step.name not in known:
            size = sum(planned.buffers[b].size for b in step.writes)
            cost = seconds(planned, step) * 1e6
            note = f"computed again rather than kept: {size:,} bytes, about {cost:.0f} µs a run"
            yield Hit("recompute", step.node, note)


@dataclass(frozen=True)
class Drop:
    """A buffer that could be dropped after the original step `cut`.

    It then takes `excess` less, in bytes over the goal added up over the steps, for `cost` seconds.
    `with_it` are the buffers that have to be dropped with it.
    """

    buffer: int
    cut: int
    excess: float
    cost: float
    with_it: tuple[tuple[int, int], ...]  # buffers and their cuts


class Drops:
    """The values of a program that are dropped so far, and which to drop next.

    A candidate's value is its excess by the cost to the power of `weight`.
    """

    def __init__(self, program: Program, weight: float = 1.0) -> None:
        self.program, self.weight = program, weight
        self.cuts: dict[int, int] = {}  # of dropped buffers: the last step that reads the original
        self.refused: set[tuple[int, bool]] = set()  # buffers, and whether operands are kept
        self.cost = [seconds(program, step) for step in program.steps]
        self.writer = {b: i for i, step in enumerate(program.steps) for b in step.writes}
        self.sizes = [buffer.size for buffer in program.buffers]
        self.pure = [self._is_pure(buffer) for buffer in range(len(program.buffers))]
        self.alias = cache(may_alias)
        self.current = self.smallest = self._again(self.cuts)

    def below(self, goal: int) -> bool:
        """Drop values until `current` has at most `goal` bytes live at once; False if it cannot."""
        while self.current.peak > goal:
            drop = self._best(goal)
            if drop is not None:
                self._drop(drop)
            elif not self._take_back(goal):
                return False
            self.smallest = min(self.smallest, self.current, key=lambda again: again.peak)
        return True

    def _again(self, cuts: dict[int, int]) -> _Again:
        return _Again(self.program, cuts, self.alias)

    def keep(self, goal: int) -> None:
        """Take back what turned out not to be needed for the goal, the most expensive first."""
        dear = sorted(self.cuts, key=lambda b: (-self.cost[self.writer[b]], b))
        for buffer in dear[:MOST_KEPT]:
            cuts = _less(self.cuts, buffer)
            try:
                without = self._again(cuts)
            except _Overwritten:
                continue
            if without.peak <= goal:
                self.current, self.cuts = without, cuts

    def _drop(self, drop: Drop) -> None:
        cuts = self.cuts | dict(drop.with_it) | {drop.buffer: drop.cut}
        try:
            self.current, self.cuts = self._again(cuts), cuts
        except _Overwritten:
            self.refused.add((drop.buffer, not drop.with_it))

    def _take_back(self, goal: int) -> bool:
        """Keep a value after all, for good, whose copy is in the way at the peak: a checkpoint."""
        peak, found = int(np.argmax(self.current.live)), list[tuple[float, int, _Again]]()
        for buffer, copy in self.current.copies.items():
            users = self.current.users[copy]
            if users[0] <= peak <= users[-1]:
                try:
                    without = self._again(_less(self.cuts, buffer))
                except _Overwritten:
                    continue
                found.append((without.excess(goal), buffer, without))
        excess, buffer, without = min(found, key=lambda f: f[:2], default=(np.inf, 0, self.current))
        if excess >= self.current.excess(goal):
            return False
        self.current, self.cuts = without, _less(self.cuts, buffer)
        self.refused |= {(buffer, False), (buffer, True)}
        return True

    def _value(self, drop: Drop) -> float:
        return drop.excess / drop.cost**self.weight

    def _best(self, goal: int) -> Drop | None:
        """The candidate of most value, the first of several; None if none brings anything.

        A candidate's value is at most what its own bytes bring for the cost of its own step: those
        that cannot be best by this are not looked at.
        """
        over = np.array(self.current.live, np.float64) - goal
        excess, best, most = np.maximum(over, 0), None, (0.0, 0)
        bounds = sorted(self._bounds(excess), key=lambda found: -found[0])
        for bound, place, buffer in bounds:
            if bound < most[0]:
                break
            for drop in self._candidates(buffer, over):
                value = self._value(drop), -place
                if value > most or best is None:
                    best, most = drop, value
        return best

    def _bounds(self, excess: np.ndarray) -> Iterator[tuple[float, int, int]]:
        """For each buffer that can be dropped its greatest value, its place and its number."""
        for place, buffer in enumerate(self.current.users):
            if buffer in self.cuts or buffer >= len(self.pure) or not self.pure[buffer]:
                continue
            start, end = self._gap(buffer)
            saved = float(np.minimum(excess[start + 1 : end], self.sizes[buffer]).sum())
            if saved > 0:
                yield saved / self.cost[self.writer[buffer]] ** self.weight, place, buffer

    def _gap(self, buffer: int) -> tuple[int, int]:
        """The steps that the longest gap between two uses of a buffer lies between."""
        users = self.current.users[buffer]
        return max(pairwise(users), key=lambda gap: gap[1] - gap[0], default=(0, 0))

    def _candidates(self, buffer: int, over: np.ndarray) -> Iterator[Drop]:
        """The ways to drop a buffer: computing again what it is computed from, or keeping that."""
        drop = self._candidate(buffer, over, False)
        both = drop is not None and drop.with_it
        for each in (drop, self._candidate(buffer, over, True) if both else None):
            refused = each is None or (buffer, not each.with_it) in self.refused
            if each is not None and not refused and each.excess > 0:
                yield each

    def _is_pure(self, buffer: int) -> bool:
        """Whether running the step that writes a buffer has no effect but on temporaries."""
        if buffer not in self.writer:
            return False
        step = self.program.steps[self.writer[buffer]]
        token = any(isinstance(item.type, TokenType) for item in step.node.items)
        kinds = {self.program.buffers[b].kind for b in step.writes}
        return not token and kinds == {"temporary"} and not step.programs and step.kind != "copy"

    def _candidate(self, buffer: int, over: np.ndarray, keeping: bool) -> Drop | None:
        """What dropping a buffer over the longest gap between its uses would bring.

        What it is computed from is kept for it or, unless `keeping`, computed again too.
        """
        now, (start, end) = self.current, self._gap(buffer)
        if end - start < 2 or now.at[start] == now.at[end] or over[start + 1 : end].max() <= 0:
            return None
        change = np.zeros(len(over) + 1)
        self._add(change, start + 1, end, -self.sizes[buffer])
        with_it, cost = dict[int, int](), self.cost[self.writer[buffer]]
        waiting = [buffer]
        while waiting:
            for operand, last in self._missing(waiting.pop(), end):
                if operand in with_it:
                    continue
                size = self.sizes[operand]
                small = size * SMALL <= self.sizes[buffer]
                if keeping or small or operand in self.cuts or not self.pure[operand]:
                    self._add(change, min(last, end) + 1, max(last, end + 1), size)
                else:
                    with_it[operand] = now.at[last]
                    cost += self.cost[self.writer[operand]]
                    self._add(change, end, end + 1, size)
                    waiting.append(operand)
        after = over + np.cumsum(change[:-1])
        excess = float(np.maximum(over, 0).sum() - np.maximum(after, 0).sum())
        return Drop(buffer, now.at[start], excess, cost, tuple(with_it.items()))

    def _missing(self, buffer: int, end: int) -> Iterator[tuple[int, int]]:
        """What the step that writes `buffer` reads and is not there at step `end`.

        With the step nearest to `end` at which it is.
        """
        for operand in dict.fromkeys(self.program.steps[self.writer[buffer]].reads):
            if self.program.buffers[operand].kind == "temporary":
                last = self.current.nearest(operand, end)
                if last is not None:
                    yield operand, last

    @staticmethod
    def _add(change: np.ndarray, start: int, end: int, size: int) -> None:
        change[start] += size
        change[end] -= size


def _less(cuts: dict[int, int], buffer: int) -> dict[int, int]:
    return {b: cut for b, cut in cuts.items() if b != buffer}


class _Overwritten(Exception):
    """A step would run again after a variable that it reads has changed."""


class _Again:
    """A program in which dropped buffers are computed again where they are first missed.

    `at` says for each step in front of which original step it runs (itself, if it is one). `live`
    are the bytes live at each step, `users` the steps that touch each temporary.
    """

    def __init__(self, program: Program, cuts: dict[int, int], alias: MayAlias) -> None:
        self.source, self.cuts = program, cuts
        self.buffers = list(program.buffers)
        self.steps: list[Step] = []
        self.at: list[int] = []
        self.copies: dict[int, int] = {}
        self._writer = {b: i for i, step in enumerate(program.steps) for b in step.writes}
        self._place: dict[int, int] = {}  # of original steps
        self._made_by: dict[int, int] = {}  # of buffers: the new step
        self._readers: dict[int, list[int]] = {}  # of variables: the steps that run again
        for i in range(len(program.steps)):
            self._emit(i)
        self.program = replace(program, buffers=tuple(self.buffers), steps=tuple(self.steps))
        self.live = live_bytes(slots_of(self.program, None, alias), len(self.steps))
        self.peak = max(self.live, default=0)
        self.users = users_of(self.program)

    def excess(self, goal: int) -> float:
        """The bytes over the goal, added up over the steps."""
        return float(sum(max(live - goal, 0) for live in self.live))

    def nearest(self, operand: int, end: int) -> int | None:
        """The step nearest to step `end` at which an operand is there; None if it lives then."""
        held = self.copies.get(operand, operand) if operand in self.cuts else operand
        users = self.users[held]
        if held != operand and users[0] > end:
            return users[0]
        return None if users[-1] >= end else users[-1]

    def _emit(self, i: int) -> None:
        step = self.source.steps[i]
        self._run_again(step.reads, i)
        after = {self._place[e] for e in step.after}
        for b in step.writes:
            after.update(self._readers.get(b, ()))
        self._place[i] = len(self.steps)
        self._add(step, i, step.writes, after)

    def _run_again(self, reads: Sequence[int], i: int) -> None:
        """Add the steps that compute what original step `i` reads and is dropped by then.

        What takes most memory on the way comes first, while the others are not there yet.
        """
        stack = self._missing(reads, i)
        while stack:
            writer = self._writer[stack[-1]]
            step = self.source.steps[writer]
            waiting = self._missing(step.reads, i)
            if waiting:
                stack += waiting
            elif self._is_missing(stack.pop(), i):
                writes = tuple([self._copy(b) for b in step.writes])
                name = f"{step.name}_again"
                work = None if step.workspace is None else self._copy(step.workspace)
                self._keep_variables(writer, i)
                self._add(replace(step, name=name, workspace=work), i, writes, set())
                self.copies |= {
                    b: w for b, w in zip(step.writes, writes, strict=True) if b in self.cuts
                }

    def _missing(self, reads: Sequence[int], i: int) -> list[int]:
        missing = [b for b in dict.fromkeys(reads) if self._is_missing(b, i)]
        return sorted(missing, key=self._on_the_way)

    def _on_the_way(self, buffer: int) -> int:
        """The bytes that the step which writes a buffer uses."""
        uses = self.source.steps[self._writer[buffer]].uses
        return sum(self.buffers[b].size for b in uses if self.buffers[b].kind == "temporary")

    def _is_missing(self, buffer: int, i: int) -> bool:
        return buffer in self.cuts and i > self.cuts[buffer] and buffer not in self.copies

    def _copy(self, buffer: int) -> int:
        old = self.buffers[buffer]
        self.buffers.append(Buffer(f"{old.name}_again", old.type, old.kind))
        return len(self.buffers) - 1

    def _add(self, step: Step, i: int, writes: tuple[int, ...], after: set[int]) -> None:
        reads = tuple([self._version(b, i) for b in step.reads])
        after.update(self._made_by[b] for b in reads if b in self._made_by)
        self._made_by |= dict.fromkeys(writes, len(self.steps))
        self.steps.append(replace(step, reads=reads, writes=writes, after=tuple(sorted(after))))
        self.at.append(i)

    def _keep_variables(self, writer: int, i: int) -> None:
        """Let the updates of variables that step `writer` reads wait until it ran again."""
        for b in self.source.steps[writer].reads:
            if self.source.buffers[b].kind == "variable" and b in self._writer:
                if writer < self._writer[b] < i:
                    raise _Overwritten
                self._readers.setdefault(b, []).append(len(self.steps))

    def _version(self, buffer: int, i: int) -> int:
        dropped = buffer in self.cuts and i > self.cuts[buffer]
        return self.copies[buffer] if dropped else buffer

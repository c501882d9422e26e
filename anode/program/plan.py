"""Plan: every temporary gets an offset in one arena, so that the peak is known before the run.

Steps run on several threads as soon as `after` allows, so sharing memory is a question of order:
buffers may share if all users of one finish before the writer of the other starts. Two plans are
made. The *tight* one trusts the list order: buffers whose lifetimes in it are apart may share. The
*free* one shares where `after` orders the users already, and trusts the list order only where the
arena would grow beyond the tight one's by more than 1/SLACK. Edges that sharing needs are then
added to `after`. The free plan is taken if it keeps the bound and leaves more steps unordered: so
steps are not serialised to save bytes that the peak hardly depends on.

Both place buffers from the largest to the smallest, each into the smallest gap that fits.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from anode.program.live import Slot, slots_of, users_of
from anode.program.order import reachable, reduced
from anode.program.program import Program, Step

SLACK = 16


def plan(program: Program) -> Program:
    """The program with its temporaries at offsets in one arena and the edges sharing needs."""
    tight = _placed(slots_of(program, None))
    limit = tight.arena + tight.arena // SLACK
    free = _placed(slots_of(program, _before(program.steps)), program, limit)
    layouts = [tight] if free.arena > limit else [tight, free]
    planned = [_laid_out(program, layout) for layout in layouts]
    return min(planned, key=lambda p: sum(mask.bit_count() for mask in _before(p.steps)))


def _before(steps: Sequence[Step]) -> list[int]:
    """For each step, as bits, those that have finished before it starts."""
    return reachable([step.after for step in steps])


def _laid_out(program: Program, layout: _Layout) -> Program:
    buffers = tuple(
        replace(buffer, offset=layout.offsets.get(i, 0)) if buffer.kind == "temporary" else buffer
        for i, buffer in enumerate(program.buffers)
    )
    steps = _with_edges(program, layout)
    return replace(program, buffers=buffers, steps=steps, arena=layout.arena)


@dataclass(frozen=True)
class _Layout:
    offsets: dict[int, int]  # of buffers
    arena: int


def _placed(slots: list[Slot], program: Program | None = None, limit: int = 0) -> _Layout:
    """Best fit from the largest slot to the smallest.

    Slots whose lifetimes in the list order are apart share; with a `program`, only those whose
    users `after` puts in order, as long as the arena stays within `limit`.
    """
    slots = sorted(slots, key=lambda slot: (-slot.size, slot.first))
    first = np.array([slot.first for slot in slots], np.int64)
    last = np.array([slot.last for slot in slots], np.int64)
    start, end = np.zeros(len(slots), np.int64), np.zeros(len(slots), np.int64)
    ordered = _Ordered(program, slots, first) if program is not None else None
    for i, slot in enumerate(slots):
        overlap = (first[:i] <= slot.last) & (last[:i] >= slot.first)
        offset = None
        if ordered is not None:
            offset = _best_fit(start[:i], end[:i], ~ordered.apart(i), slot.size)
        if offset is None or offset + slot.size > limit:
            offset = _best_fit(start[:i], end[:i], overlap, slot.size)
        start[i], end[i] = offset, offset + slot.size
    offsets = {b: int(start[i]) for i, slot in enumerate(slots) for b in slot.buffers}
    return _Layout(offsets, int(end.max(initial=0)))


def _best_fit(start: np.ndarray, end: np.ndarray, taken: np.ndarray, size: int) -> int:
    """The offset of the smallest gap of at least `size` bytes between the slots `taken`."""
    start, end = start[taken], end[taken]
    if not len(start):
        return 0
    by_offset = np.argsort(start)
    start, top = start[by_offset], np.maximum.accumulate(end[by_offset])
    below = np.concatenate(([0], top[:-1]))
    gaps = start - below
    fits = np.flatnonzero(gaps >= size)
    return int(below[fits[np.argmin(gaps[fits])]] if len(fits) else top[-1])


class _Ordered:
    """Which slots `after` puts in order: all users of one before the writer of the other."""

    def __init__(self, program: Program, slots: list[Slot], first: np.ndarray) -> None:
        later = _later(program.steps)
        width = len(program.steps) // 8 + 1
        rows = [self._behind(slot, later).to_bytes(width, "little") for slot in slots]
        self.bits = np.frombuffer(b"".join(rows), np.uint8).reshape(len(slots), width)
        self.first = first

    @staticmethod
    def _behind(slot: Slot, later: list[int]) -> int:
        """As bits, the steps that wait for every user of the slot."""
        mask = later[slot.last]
        for user in slot.users[:-1]:
            mask &= later[user]
        return mask

    def apart(self, i: int) -> np.ndarray:
        """Which of the slots 0..i-1 are ordered against slot i."""
        first = self.first[:i]
        earlier = self.bits[:i, self.first[i] >> 3] >> (self.first[i] & 7)
        later = self.bits[i, first >> 3] >> (first & 7)
        return ((earlier | later) & 1).astype(bool)


def _later(steps: Sequence[Step]) -> list[int]:
    """For each step, as bits, the steps that have to wait for it."""
    masks = [0] * len(steps)
    for i in range(len(steps) - 1, -1, -1):
        for earlier in steps[i].after:
            masks[earlier] |= masks[i] | 1 << i
    return masks


def _with_edges(program: Program, layout: _Layout) -> tuple[Step, ...]:
    """The steps, each waiting for the users of what last lay where it writes."""
    users = users_of(program)
    before = [set(step.after) for step in program.steps]
    arena = _Arena()
    for buffer in sorted(users, key=lambda b: (users[b][0], b)):
        writer, offset = users[buffer][0], layout.offsets[buffer]
        for old in arena.occupy(offset, offset + program.buffers[buffer].size, buffer):
            before[writer].update(user for user in users[old] if user != writer)
    after = reduced(before)
    return tuple(replace(step, after=after[i]) for i, step in enumerate(program.steps))


class _Arena:
    """Who occupied each byte last: disjoint ranges in the order of their offsets."""

    def __init__(self) -> None:
        self.ranges: list[tuple[int, int, int]] = []  # start, end, buffer

    def occupy(self, start: int, end: int, buffer: int) -> list[int]:
        """Give a range to `buffer`; the buffers that held parts of it."""
        low = max(bisect_right(self.ranges, (start, 0, 0)) - 1, 0)
        while low < len(self.ranges) and self.ranges[low][1] <= start:
            low += 1
        high = low
        while high < len(self.ranges) and self.ranges[high][0] < end:
            high += 1
        held = self.ranges[low:high]
        kept = [(a, min(b, start), old) for a, b, old in held if a < start]
        kept.append((start, end, buffer))
        kept += [(max(a, end), b, old) for a, b, old in held if b > end]
        self.ranges[low:high] = kept
        return list(dict.fromkeys(old for _, _, old in held))

"""Plan: every temporary gets an offset in one arena, so that the peak is known before the run.

Steps run on several threads as soon as `after` allows, so sharing memory is a question of order:
buffers may share if all users of one finish before the writer of the other starts. Two plans are
made. The *tight* one trusts the list order: buffers whose lifetimes in it are apart may share. The
*free* one shares where `after` orders the users already, and trusts the list order only where the
arena would grow beyond the tight one's by more than 1/SLACK. Edges that sharing needs are then
added to `after`. The free plan is taken if it keeps the bound and leaves more steps unordered: so
steps are not serialised to save bytes that the peak hardly depends on.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace

from anode.program.live import slots_of, users_of
from anode.program.order import reachable, reduced
from anode.program.place import Layout, free, tight
from anode.program.program import Program, Step

SLACK = 16


def plan(program: Program, limit: int | None = None) -> Program:
    """The program with its temporaries at offsets in one arena and the edges sharing needs.

    The arena is the smallest that is found where that is above `limit` bytes.
    """
    layouts = [tight(slots_of(program, None))]
    most = layouts[0].arena + layouts[0].arena // SLACK
    if limit is not None:
        most = min(most, limit)
    unordered = free(slots_of(program, _before(program.steps)), program.steps, most)
    if unordered is not None:
        layouts.append(unordered)
    planned = [_laid_out(program, layout) for layout in layouts]
    return min(planned, key=lambda p: sum(mask.bit_count() for mask in _before(p.steps)))


def _before(steps: Sequence[Step]) -> list[int]:
    """For each step, as bits, those that have finished before it starts."""
    return reachable([step.after for step in steps])


def _laid_out(program: Program, layout: Layout) -> Program:
    buffers = tuple(
        replace(buffer, offset=layout.offsets.get(i, 0)) if buffer.kind == "temporary" else buffer
        for i, buffer in enumerate(program.buffers)
    )
    steps = _with_edges(program, layout)
    return replace(program, buffers=buffers, steps=steps, arena=layout.arena)


def _with_edges(program: Program, layout: Layout) -> tuple[Step, ...]:
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

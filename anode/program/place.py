"""Placement: offsets for slots that are live at the same time, by best fit in several orders.

Best fit depends on the order in which slots are placed. Three orders are tried: by size; by the
live bytes of the fullest step that a slot is live in, then by lifetime; and those live at the peak
first. Where the best is above the bound, the slots that reach beyond it are placed first in another
round: what is hard to place gets its choice. In convolution nets this ends within 1 % of the bound.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from anode.program.live import Slot
from anode.program.order import later
from anode.program.program import Step

ROUNDS = 16  # in which slots that reach too far are placed first
CLOSE = 256  # a plan that is within 1/CLOSE of the bound is good enough

Ints = np.ndarray


@dataclass(frozen=True)
class Layout:
    """Offsets of buffers, and the size of the arena that holds them."""

    offsets: dict[int, int]
    arena: int


def tight(slots: Sequence[Slot]) -> Layout:
    """A small arena: slots share memory where their lifetimes in the list order are apart."""
    lives = _Lives(slots)
    goal = lives.bound + lives.bound // CLOSE
    tried: list[tuple[int, Ints, Ints]] = []  # arena, order, offsets
    for order in _rounds(lives, goal, tried):
        start = lives.place(order)
        tried.append((lives.arena(start), order, start))
        if tried[-1][0] <= goal:
            break
    return lives.layout(min(tried, key=lambda t: t[0])[2])


def _rounds(lives: _Lives, goal: int, tried: list[tuple[int, Ints, Ints]]) -> Iterator[Ints]:
    """Orders to try; `tried` are those so far, with the arena and the offsets that came of them."""
    yield from lives.orders()
    _, order, start = min(tried, key=lambda t: t[0])
    for _ in range(ROUNDS):
        beyond = (start + lives.size > goal)[order]
        yield np.concatenate((order[beyond], order[~beyond]))
        _, order, start = tried[-1]


def free(slots: Sequence[Slot], steps: Sequence[Step], limit: int) -> Layout | None:
    """An arena of at most `limit` bytes that orders few steps; None if none is found.

    Slots share where `after` orders their users already, and by the list order only where that
    would take the arena beyond the limit.
    """
    lives = _Lives(slots)
    together = _together(slots, steps)
    for order in lives.orders():
        start = lives.place(order, together, limit)
        if lives.arena(start) <= limit:
            return lives.layout(start)
    return None


class _Lives:
    """Slots as arrays: their sizes, and the steps between which they are live."""

    def __init__(self, slots: Sequence[Slot]) -> None:
        self.slots = slots
        self.first, self.last, self.size = (
            np.array([getattr(slot, name) for slot in slots], np.int64)
            for name in ("first", "last", "size")
        )
        change = np.zeros(int(self.last.max(initial=-1)) + 2, np.int64)
        np.add.at(change, self.first, self.size)
        np.subtract.at(change, self.last + 1, self.size)
        self.live = np.cumsum(change)

    @property
    def bound(self) -> int:
        """The most bytes that are live at once."""
        return int(self.live.max(initial=0))

    def orders(self) -> Iterator[Ints]:
        """Orders to place the slots in, as their numbers."""
        span = self.last - self.first
        yield np.lexsort((self.first, -self.size))
        fullest = [self.live[a : b + 1].max() for a, b in zip(self.first, self.last, strict=True)]
        yield np.lexsort((-self.size, -span, -np.array(fullest, np.int64)))
        peak = int(self.live.argmax())
        off = (self.first > peak) | (self.last < peak)
        yield np.lexsort((-self.size, np.where(off, 0, -span), off))

    def place(self, order: Ints, together: Ints | None = None, limit: int = 0) -> Ints:
        """Offsets of the slots, each put where it fits best among those before it in `order`.

        `together[i]` are the slots that i may not share with, as long as the limit is kept.
        """
        start, done = np.zeros(len(self.slots), np.int64), np.zeros(len(self.slots), bool)
        for i in order:
            size, offset = int(self.size[i]), None
            if together is not None:
                offset = self._fit(start, done & together[i], size)
            if offset is None or offset + size > limit:
                overlap = (self.first <= self.last[i]) & (self.last >= self.first[i])
                offset = self._fit(start, done & overlap, size)
            start[i], done[i] = offset, True
        return start

    def _fit(self, start: Ints, taken: Ints, size: int) -> int:
        """The offset of the smallest gap of at least `size` bytes between the slots `taken`."""
        which = np.flatnonzero(taken)
        if not len(which):
            return 0
        which = which[np.argsort(start[which])]
        top = np.maximum.accumulate(start[which] + self.size[which])
        below = np.concatenate(([0], top[:-1]))
        gaps = start[which] - below
        fits = np.flatnonzero(gaps >= size)
        return int(below[fits[np.argmin(gaps[fits])]] if len(fits) else top[-1])

    def arena(self, start: Ints) -> int:
        return int((start + self.size).max(initial=0))

    def layout(self, start: Ints) -> Layout:
        offsets = {
            buffer: int(at)
            for slot, at in zip(self.slots, start, strict=True)
            for buffer in slot.buffers
        }
        return Layout(offsets, self.arena(start))


def _together(slots: Sequence[Slot], steps: Sequence[Step]) -> Ints:
    """For each pair of slots whether users of both may run at the same time, by `after`."""
    masks = later([step.after for step in steps])
    width = len(steps) // 8 + 1
    rows = [_behind(slot, masks).to_bytes(width, "little") for slot in slots]
    bits = np.frombuffer(b"".join(rows), np.uint8).reshape(len(slots), width)
    first = np.array([slot.first for slot in slots], np.int64)
    behind = bits[:, first >> 3] >> (first & 7) & 1  # [i, k]: k is written when i is done with
    return (behind | behind.T) == 0


def _behind(slot: Slot, masks: Sequence[int]) -> int:
    """As bits, the steps that wait for every user of the slot."""
    mask = masks[slot.last]
    for user in slot.users[:-1]:
        mask &= masks[user]
    return mask

"""Placement of slots: none that are live together overlap, and little is wasted."""

from random import Random

import pytest

from anode.program.live import Slot
from anode.program.place import free, tight


def random_slots(seed, count):
    random = Random(seed)
    slots = []
    for i in range(count):
        first = random.randrange(2 * count)
        last = first + random.choice((1, 2, 3, random.randrange(count)))
        size = 64 * random.choice((1, 2, 8, random.randrange(1, 200)))
        slots.append(Slot(size, [i], [first], [first, last]))
    return slots


def bound(slots):
    steps = range(max(slot.last for slot in slots) + 1)
    return max(sum(s.size for s in slots if s.first <= step <= s.last) for step in steps)


def check(slots, layout):
    assert layout.arena == max(layout.offsets[s.buffers[0]] + s.size for s in slots)
    for n, a in enumerate(slots):
        for b in slots[:n]:
            x, y = layout.offsets[a.buffers[0]], layout.offsets[b.buffers[0]]
            apart = a.last < b.first or b.last < a.first
            assert apart or x + a.size <= y or y + b.size <= x


@pytest.mark.parametrize("seed", range(20))
def test_little_is_wasted(seed):
    slots = random_slots(seed, 5 + 4 * seed)
    layout = tight(slots)
    check(slots, layout)
    assert bound(slots) <= layout.arena <= bound(slots) * 1.1


def test_what_reaches_too_far_is_placed_first():
    sizes_and_lives = ((3, 0, 3), (2, 1, 1), (2, 3, 5), (3, 5, 6), (1, 2, 6), (2, 4, 5))
    slots = [Slot(64 * s, [i], [a], [a, b]) for i, (s, a, b) in enumerate(sizes_and_lives)]
    layout = tight(slots)
    check(slots, layout)
    assert layout.arena <= bound(slots) * 9 // 8


def test_nothing_needs_no_arena():
    assert tight([]).arena == 0
    layout = free([], [], 0)
    assert layout is not None
    assert layout.arena == 0

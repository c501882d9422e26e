"""What is live when: temporaries as slots, which results written over operands share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from anode.ir.node import Node
from anode.program.alias import may_alias
from anode.program.program import Program, Step

MayAlias = Callable[[Node, int, int], bool]


@dataclass(frozen=True)
class Slot:
    """Memory for one buffer, or for several that take it over from each other in place.

    `begins` are the steps that write the buffers; `users` all that touch one, in order.
    """

    size: int
    buffers: list[int]
    begins: list[int]
    users: list[int]

    @property
    def first(self) -> int:
        return self.users[0]

    @property
    def last(self) -> int:
        return self.users[-1]


def live_bytes(slots: Sequence[Slot], steps: int) -> list[int]:
    """The bytes live at each of so many steps."""
    change = [0] * (steps + 1)
    for slot in slots:
        change[slot.first] += slot.size
        change[slot.last + 1] -= slot.size
    return list(accumulate(change[:-1]))


def users_of(program: Program) -> dict[int, list[int]]:
    """The steps that touch each temporary that has bytes, in list order."""
    users: dict[int, list[int]] = {}
    held = [b.kind == "temporary" and b.type.size != 0 for b in program.buffers]
    for i, step in enumerate(program.steps):
        for buffer in dict.fromkeys(step.uses):
            if held[buffer]:
                users.setdefault(buffer, []).append(i)
    return users


def slots_of(
    program: Program, before: Sequence[int] | None, alias: MayAlias = may_alias
) -> list[Slot]:
    """Temporaries, joined where a result is written over an operand that nobody needs any more.

    `before` are, as bits, the steps that have finished before each step starts; None trusts the
    list order.
    """
    users = users_of(program)
    slots: dict[int, Slot] = {}
    for i, step in enumerate(program.steps):
        for result, buffer in enumerate(step.writes):
            if buffer in users:
                old = _overwritten(program, i, result, users, slots, before, alias)
                size = program.buffers[buffer].size
                slot = Slot(size, [], [], []) if old is None else slots.pop(old)
                slot.buffers.append(buffer)
                slot.begins.append(i)
                slot.users[:] = sorted({*slot.users, *users[buffer]})
                slots[buffer] = slot
        if step.workspace in users:
            held = step.workspace
            slots[held] = Slot(program.buffers[held].size, [held], [i], [i])
    return list(slots.values())


def _overwritten(
    program: Program,
    index: int,
    result: int,
    users: dict[int, list[int]],
    slots: dict[int, Slot],
    before: Sequence[int] | None,
    alias: MayAlias,
) -> int | None:
    """The operand whose memory a step's result takes; `slots` have their last buffer as key."""
    step = program.steps[index]
    size = program.buffers[step.writes[result]].type.bytes
    for operand in dict.fromkeys(step.reads):
        if (
            operand in slots
            and users[operand][-1] == index
            and program.buffers[operand].type.bytes == size
            and (before is None or all(before[index] >> u & 1 for u in users[operand][:-1]))
            and _may_overwrite(step, result, operand, alias)
        ):
            return operand
    return None


def _may_overwrite(step: Step, result: int, buffer: int, alias: MayAlias) -> bool:
    operands = [i for i, read in enumerate(step.reads) if read == buffer]
    return step.kind != "copy" and all(alias(step.node, result, i) for i in operands)

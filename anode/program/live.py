"""What is live when: temporaries as slots, which results written over operands share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from anode.program.alias import may_alias
from anode.program.program import Program, Step


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


def users_of(program: Program) -> dict[int, list[int]]:
    """The steps that touch each temporary that has bytes, in list order."""
    users: dict[int, list[int]] = {}
    for i, step in enumerate(program.steps):
        for buffer in dict.fromkeys(step.uses):
            if program.buffers[buffer].kind == "temporary" and program.buffers[buffer].size:
                users.setdefault(buffer, []).append(i)
    return users


def slots_of(program: Program, before: Sequence[int] | None) -> list[Slot]:
    """Temporaries, joined where a result is written over an operand that nobody needs any more.

    `before` are, as bits, the steps that have finished before each step starts; None trusts the
    list order.
    """
    users = users_of(program)
    slots: dict[int, Slot] = {}
    for i, step in enumerate(program.steps):
        for result, buffer in enumerate(step.writes):
            if buffer in users:
                old = _overwritten(program, i, result, users, slots, before)
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
            and _may_overwrite(step, result, operand)
        ):
            return operand
    return None


def _may_overwrite(step: Step, result: int, buffer: int) -> bool:
    operands = [i for i, read in enumerate(step.reads) if read == buffer]
    return step.kind != "copy" and all(may_alias(step.node, result, i) for i in operands)

"""What must hold of every planned program, whatever order its steps run in."""

from anode.program.alias import may_alias
from anode.program.order import reachable
from anode.program.program import Program


def check_plan(program: Program) -> None:
    """Fail unless the program is well formed and no two buffers overlap in memory while both live.

    Every order that `after` allows is covered: two temporaries may overlap only if all users of one
    finish before the writer of the other starts, or that writer overwrites its operand element by
    element.
    """
    before = reachable([step.after for step in program.steps])
    check_form(program, before)
    users: dict[int, list[int]] = {}
    for i, step in enumerate(program.steps):
        for buffer in set(step.uses):
            users.setdefault(buffer, []).append(i)
    temporaries = [b for b in users if program.buffers[b].kind == "temporary"]
    for n, a in enumerate(temporaries):
        for b in temporaries[:n]:
            if overlap(program, a, b):
                first, second = sorted((a, b), key=lambda x: users[x][0])
                check_apart(program, before, users, first, second)


def check_form(program: Program, before: list[int]) -> None:
    writers: dict[int, int] = {}
    for i, step in enumerate(program.steps):
        assert all(earlier < i for earlier in step.after)
        for buffer in step.writes:
            assert buffer not in writers, f"{program.buffers[buffer].name} is written twice"
            assert program.buffers[buffer].kind not in ("input", "constant")
            writers[buffer] = i
        assert step.workspace not in (*step.reads, *step.writes)
        for nested in step.programs:
            check_plan(nested)
    for i, step in enumerate(program.steps):
        for buffer in step.reads:
            kind = program.buffers[buffer].kind
            if kind in ("temporary", "output"):
                assert before[i] >> writers[buffer] & 1, f"{step.name} reads what is not written"
            elif kind == "variable" and buffer in writers and writers[buffer] != i:
                writer = writers[buffer]
                assert (before[i] >> writer | before[writer] >> i) & 1, f"{step.name} races"
    assert all(buffer in writers for buffer in program.outputs)
    assert len(set(program.outputs)) == len(program.outputs)


def overlap(program: Program, a: int, b: int) -> bool:
    x, y = program.buffers[a], program.buffers[b]
    assert x.offset is not None and y.offset is not None
    assert x.offset % 64 == 0 and x.offset + x.type.bytes <= program.arena
    return x.offset < y.offset + y.type.bytes and y.offset < x.offset + x.type.bytes


def check_apart(
    program: Program, before: list[int], users: dict[int, list[int]], first: int, second: int
) -> None:
    """All users of `first` precede the writer of `second`, or that one writes in place."""
    writer = users[second][0]
    step = program.steps[writer]
    if writer in users[first]:
        result = step.writes.index(second)
        assert program.buffers[first].offset == program.buffers[second].offset
        assert program.buffers[first].type.bytes == program.buffers[second].type.bytes
        for operand, buffer in enumerate(step.reads):
            assert buffer != first or may_alias(step.node, result, operand)
        assert first in step.reads, f"{step.name} writes two results to one place"
    late = [u for u in users[first] if u != writer and not before[writer] >> u & 1]
    names = [program.steps[u].name for u in late]
    assert not late, f"{names} may still use {first} when {step.name} writes {second} over it"

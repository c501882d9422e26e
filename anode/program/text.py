"""The text of a program: its buffers with kind, type and offset, then its steps in list order."""

from __future__ import annotations

from collections.abc import Sequence

from anode.program.program import Buffer, Program, Step


def program_text(program: Program) -> str:
    """The program as lines; nested programs follow the step that runs them, indented."""
    lines = [f"program ({len(program.steps)} steps, arena {program.arena:,} bytes) {{"]
    lines += [f"  {_buffer(i, buffer)}" for i, buffer in enumerate(program.buffers)]
    for i, step in enumerate(program.steps):
        lines.append(f"  {i}: {_step(step, program)}")
        for nested in step.programs:
            lines += [f"    {line}" for line in program_text(nested).splitlines()]
    lines.append(f"  return {_names(program.outputs, program)}")
    lines += [f"  update %{buffer} {variable.name}" for variable, buffer in program.updates]
    return "\n".join([*lines, "}"])


def _buffer(index: int, buffer: Buffer) -> str:
    place = "" if buffer.offset is None else f" at {buffer.offset:,}"
    return f"%{index} {buffer.name} = {buffer.kind} {buffer.type}{place}"


def _step(step: Step, program: Program) -> str:
    text = f"{_names(step.writes, program)} = {step.name}({_names(step.reads, program)})"
    if step.workspace is not None:
        text += f" workspace %{step.workspace}"
    if step.after:
        text += f" after {', '.join(map(str, step.after))}"
    return text + (f"  # {step.node.origin}" if step.node.origin else "")


def _names(indices: Sequence[int], program: Program) -> str:
    return ", ".join(f"%{index}" for index in indices)

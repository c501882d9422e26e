"""Programs: an ordered list of steps over buffers; what runs when, and where its values are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from anode.ir.node import Node
from anode.ir.types import TensorType
from anode.ir.variable import Variable

Kind = Literal["input", "variable", "constant", "output", "temporary"]
ALIGNMENT = 64  # bytes: a cache line, and the widest vector


@dataclass(frozen=True)
class Buffer:
    """Memory for one tensor, dense and row-major.

    The caller gives inputs, variables and outputs; `data` are a constant's bytes; `offset` is where
    a temporary lies in the arena, in bytes, once planned. A token is a buffer of no bytes.
    """

    name: str
    type: TensorType
    kind: Kind
    offset: int | None = None
    data: bytes | None = None

    @property
    def size(self) -> int:
        """Bytes it takes in the arena: the tensor's, rounded up to the alignment."""
        return -(-self.type.bytes // ALIGNMENT) * ALIGNMENT


@dataclass(frozen=True, eq=False)
class Step:
    """One kernel, opaque op or copy. It may start when the steps `after` have finished.

    `kind` is a kernel's kind, "copy", or the op's name; `node` has the body and the attributes (of
    a copy: it is the value copied). `reads` and `writes` are buffers, by index, in the order of the
    operands and results. `programs` are control flow's nested graphs in the order of the
    attributes; their inputs, outputs and arenas are for the step to place. `workspace` is a
    temporary that is this step's alone.
    """

    name: str
    kind: str
    node: Node
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    after: tuple[int, ...] = ()
    programs: tuple[Program, ...] = ()
    workspace: int | None = None

    @property
    def uses(self) -> tuple[int, ...]:
        """Every buffer the step touches."""
        own = () if self.workspace is None else (self.workspace,)
        return (*self.reads, *self.writes, *own)


@dataclass(frozen=True, eq=False)
class Program:
    """Steps in one valid order over buffers; `after` of each step says which others are valid.

    `variables` gives the buffer of each variable read or updated, `updates` of those that change.
    `outputs` may not share a buffer with anything else. `arena` is the bytes all temporaries need
    together: the peak, known before the first run; 0 until planned.
    """

    buffers: tuple[Buffer, ...]
    steps: tuple[Step, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    variables: tuple[tuple[Variable, int], ...] = ()
    updates: tuple[tuple[Variable, int], ...] = ()
    arena: int = 0

    def __repr__(self) -> str:
        from anode.program.text import program_text

        return program_text(self)

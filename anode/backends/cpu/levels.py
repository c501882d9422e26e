"""Where code goes: the loops around the builder, each with a place before it for what stays.

Level 0 is a function's entry, and the body of each loop or branch is one level deeper. While a body
is being built, the block before it stays open: code of an outer level still goes to its end. So a
value is computed once, in the outermost loop in which all it depends on is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir

from anode.backends.cpu.llvm_ir import I64, Index, Values, add, i64


class Levels:
    """The nest of loops and branches under construction around `builder`."""

    def __init__(self, builder: ir.IRBuilder) -> None:
        self.b = builder
        self.depth = 0
        self.current = 0  # the level that code is being added to
        self._memo: list[dict[object, Any]] = [{}]
        self._floor = 0  # code must not leave a branch that protects it
        self._open: list[ir.Block] = []  # of every level above `depth`, where its code ends so far

    def level(self, *levels: int) -> int:
        """The level of code that depends on values of these levels."""
        return max(self._floor, *levels)

    def recall(self, key: object) -> Any:
        """What was remembered under `key` at this level or one around it; None if nothing was."""
        for known in reversed(self._memo):
            if key in known:
                return known[key]
        return None

    def remember(self, key: object, value: Any, level: int) -> None:
        """Keep a value until its level ends, for code that follows in it."""
        self._memo[level][key] = value

    @contextmanager
    def at(self, level: int) -> Iterator[None]:
        """Append code to `level`, one that `level()` gave."""
        if level == self.current:
            yield
            return
        here, current = self.b.block, self.current
        self.b.position_at_end(self._open[level])
        self.current = level
        yield
        self._open[level] = self.b.block
        self.current = current
        self.b.position_at_end(here)

    def loop(
        self,
        start: Index,
        stop: Index,
        step: int,
        body: Callable[[ir.Value, Values], Values],
        carried: Values = (),
    ) -> Values:
        """`body(i, carried)` for i = start, start + step, … below stop; at least once.

        The body returns the next values of `carried`; the loop returns the last ones.
        """
        b = self.b
        block = b.append_basic_block("loop")
        self._enter(block)
        index = b.phi(I64)
        phis = [b.phi(value.type) for value in carried]
        results = body(index, phis)
        following = add(b, index, i64(step))
        again = b.icmp_signed("<", following, i64(stop))
        after = b.append_basic_block("after")
        latch = b.block
        b.cbranch(again, block, after)
        before = self._leave()
        b.branch(block)
        firsts, laters = [i64(start), *carried], [following, *results]
        for phi, first, later in zip([index, *phis], firsts, laters, strict=True):
            phi.add_incoming(first, before)
            phi.add_incoming(later, latch)
        b.position_at_end(after)
        return results

    def counted(
        self, start: Index, stop: Index, step: int, body: Callable[[ir.Value], object]
    ) -> None:
        """`body(i)` for i = start, start + step, … below stop; perhaps never."""

        def once(index: ir.Value, _: Values) -> Values:
            body(index)
            return ()

        if not isinstance(start, int) or not isinstance(stop, int):
            some = self.b.icmp_signed("<", i64(start), i64(stop))
            self.when(some, lambda: self.loop(start, stop, step, once))
        elif start < stop:
            self.loop(start, stop, step, once)

    def when(self, condition: ir.Value, body: Callable[[], object], protects: bool = False) -> None:
        """`body()` if `condition` holds.

        Its code may move out of the branch unless the condition `protects` it: what it reads may
        not exist otherwise.
        """
        b, floor = self.b, self._floor
        block, after = b.append_basic_block("then"), b.append_basic_block("after")
        self._enter(block)
        self._floor = self.depth if protects else floor
        body()
        self._floor = floor
        b.branch(after)
        self._leave()
        b.cbranch(condition, block, after)
        b.position_at_end(after)

    def _enter(self, block: ir.Block) -> None:
        """Go one level deeper, into an empty block."""
        self._open.append(self.b.block)
        self._memo.append({})
        self.depth += 1
        self.current = self.depth
        self.b.position_at_end(block)

    def _leave(self) -> ir.Block:
        """Go back to the open block of the level above, and give it."""
        self._memo.pop()
        self.depth -= 1
        self.current = self.depth
        block = self._open.pop()
        self.b.position_at_end(block)
        return block

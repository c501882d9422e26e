"""Tensors in memory: vectors of their elements loaded and stored, wherever the lanes point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from llvmlite import ir

from anode.backends.cpu.element import Element
from anode.backends.cpu.lanes import Lane, Lanes, declare
from anode.backends.cpu.levels import Levels
from anode.backends.cpu.llvm_ir import (
    I1,
    I8,
    I32,
    POINTER,
    at,
    element_type,
    first_lanes,
    i64,
    shuffle,
    store_vector,
)
from anode.backends.cpu.position import Condition, Indexing, Indices, Position
from anode.errors import BackendError
from anode.ir.dtypes import DType, bool_
from anode.ir.types import TensorType


@dataclass(frozen=True)
class Memory:
    """A tensor in memory: a pointer to its first element, and its dense row-major type.

    Loads may move out of loops, up to `level`, that at which it has its values.
    """

    pointer: ir.Value
    type: TensorType
    level: int = 0


class Access:
    """Loads and stores of `index.width` lanes, of which the first `active` exist.

    `copies` is how often code is written for neighbouring elements of what lanes read strided.
    """

    def __init__(self, levels: Levels, index: Indexing) -> None:
        self.levels, self.b, self.index, self.width = levels, levels.b, index, index.width
        self.vector = Lanes(self.b, self.width)
        self.active = self.width
        self.copies = 1

    @property
    def mask(self) -> ir.Value | None:
        """The active lanes; None for all."""
        return first_lanes(self.active, self.width)

    def load(self, memory: Memory, indices: Indices, guards: Sequence[Condition] = ()) -> Element:
        """The elements at `indices`; where the mask or a guard is false they may not exist."""
        offset, dtype = self.offset(memory.type, indices), memory.type.dtype
        if memory.type.size == 1:
            guards = ()
        level = self.levels.level(memory.level, offset.level, *[guard.level for guard in guards])
        with self.levels.at(level):
            value = self._load(memory.pointer, offset, dtype, [guard.value for guard in guards])
            if dtype is bool_:
                value = self.b.icmp_unsigned("!=", value, ir.Constant(value.type, None))
        return Element(Lane(value, dtype), level)

    def store(self, memory: Memory, indices: Indices, lane: Lane) -> None:
        """Store to `indices`, which are contiguous lanes or one element, at the present depth."""
        offset, dtype = self.offset(memory.type, indices), memory.type.dtype
        offset = self.index.plain(offset)
        pointer = at(self.b, memory.pointer, offset.base, dtype)
        if offset.uniform:
            self.b.store(self._stored(lane), pointer, align=dtype.size)
        elif offset.vector is None and offset.step == 1:
            value = self._stored(self.full(lane))
            store_vector(self.b, value, pointer, dtype, self.mask)
        else:
            raise BackendError("results are stored to contiguous lanes only")

    def full(self, lane: Lane) -> Lane:
        """The value in every lane of a vector."""
        return self.vector.splat(lane.value, lane.dtype)

    def offset(self, type: TensorType, indices: Indices) -> Position:
        """The distance of an element from the first one, in elements."""
        terms, stride = [], 1
        for size, index in zip(reversed(type.static), reversed(indices), strict=True):
            if size != 1:
                terms.append((index, stride))
            stride *= size
        return self.index.strided(terms)

    def _load(
        self, pointer: ir.Value, offset: Position, dtype: DType, guards: Sequence[ir.Value]
    ) -> ir.Value:
        if offset.each == 1 and offset.step > 1 and self.copies > 1 and not guards:
            return self._tile(pointer, offset, dtype)[self.index.copy]
        offset = self.index.plain(offset)
        if offset.uniform:
            return self._load_uniform(pointer, i64(offset.base), dtype, guards)
        active = self._active(guards)
        if offset.vector is None and offset.step in (1, -1):
            return self._load_contiguous(pointer, offset, dtype, active)
        return self._load_gathered(pointer, self.index.vector(offset), dtype, active)

    def _active(self, guards: Sequence[ir.Value]) -> ir.Value | None:
        """Lanes that may be read: those of the mask for which every guard holds."""
        active = self.mask
        for guard in guards:
            lanes = self.vector.splat(guard, bool_).value
            active = lanes if active is None else self.b.and_(active, lanes)
        return active

    def _load_uniform(
        self, pointer: ir.Value, base: ir.Value, dtype: DType, guards: Sequence[ir.Value]
    ) -> ir.Value:
        for guard in guards:  # the element may not exist: read the first instead
            if isinstance(guard.type, ir.VectorType):
                guard = self.vector.any(Lane(guard, bool_))
            base = self.b.select(guard, base, i64(0))
        place = at(self.b, pointer, base, dtype)
        return self.b.load(place, align=dtype.size, typ=element_type(dtype))

    def _load_contiguous(
        self, pointer: ir.Value, offset: Position, dtype: DType, active: ir.Value | None
    ) -> ir.Value:
        backward = offset.step == -1
        if backward:
            offset = self.index.add(offset, Position(1 - self.width))
            active = None if active is None else self._reversed(active)
        place = at(self.b, pointer, offset.base, dtype)
        kind = ir.VectorType(element_type(dtype), self.width)
        if active is None:
            value = self.b.load(place, align=dtype.size, typ=kind)
        else:
            value = self._intrinsic("load", kind, place, dtype, active)
        return self._reversed(value) if backward else value

    def _reversed(self, vector: ir.Value) -> ir.Value:
        return shuffle(self.b, vector, vector, reversed(range(self.width)))

    def _tile(self, pointer: ir.Value, offset: Position, dtype: DType) -> list[ir.Value]:
        """The elements of every copy: a row of memory for each lane is loaded, and transposed."""
        key = ("tile", id(pointer), offset.key)
        found: list[ir.Value] | None = self.levels.recall(key)
        if found is None:
            rows = [self._tile_row(pointer, offset, lane, dtype) for lane in range(self.width)]
            found = transposed(self.b, rows)
            self.levels.remember(key, found, self.levels.current)
        return found

    def _tile_row(self, pointer: ir.Value, offset: Position, lane: int, dtype: DType) -> ir.Value:
        kind = ir.VectorType(element_type(dtype), self.width)
        if lane >= self.active:
            return ir.Constant(kind, None)
        base = self.index.add(replace(offset, step=0, each=0), Position(lane * offset.step)).base
        place, mask = at(self.b, pointer, base, dtype), first_lanes(self.copies, self.width)
        if mask is not None:
            return self._intrinsic("load", kind, place, dtype, mask)
        return self.b.load(place, align=dtype.size, typ=kind)

    def _load_gathered(
        self, pointer: ir.Value, offsets: ir.Value, dtype: DType, active: ir.Value | None
    ) -> ir.Value:
        places = self.b.gep(pointer, [offsets], source_etype=element_type(dtype))
        places.type = ir.VectorType(POINTER, self.width)  # llvmlite types a gep by its base alone
        if active is None:
            active = ir.Constant(ir.VectorType(I1, self.width), [1] * self.width)
        kind = ir.VectorType(element_type(dtype), self.width)
        return self._intrinsic("gather", kind, places, dtype, active)

    def _intrinsic(
        self, name: str, kind: ir.VectorType, place: ir.Value, dtype: DType, active: ir.Value
    ) -> ir.Value:
        """A masked load or gather; lanes that are not active are zero, and not touched."""
        pointers = "p0" if name == "load" else f"v{self.width}p0"
        full_name = f"llvm.masked.{name}.{_suffix(kind)}.{pointers}"
        operands = [place.type, I32, active.type, kind]
        function = declare(self.b.module, full_name, kind, operands)
        align, zeros = I32(dtype.size), ir.Constant(kind, None)
        return self.b.call(function, [place, align, active, zeros])

    def _stored(self, lane: Lane) -> ir.Value:
        """The lane as it lies in memory."""
        if lane.dtype is not bool_:
            return lane.value
        vector = isinstance(lane.value.type, ir.VectorType)
        return self.b.zext(lane.value, ir.VectorType(I8, self.width) if vector else I8)


def transposed(b: ir.IRBuilder, rows: Sequence[ir.Value]) -> list[ir.Value]:
    """Vector i holds lane i of every row; there are as many rows as lanes."""
    lanes, vectors = len(rows), list(rows)
    low = [k for i in range(lanes // 2) for k in (i, lanes + i)]
    orders = low, [k + lanes // 2 for k in low]
    for _ in range(lanes.bit_length() - 1):  # interleaving halves rotates the bits of an index
        halves = zip(vectors[: lanes // 2], vectors[lanes // 2 :], strict=True)
        vectors = [shuffle(b, x, y, order) for x, y in halves for order in orders]
    return vectors


def _suffix(kind: ir.VectorType) -> str:
    element = kind.element
    name = str(element) if isinstance(element, ir.IntType) else element.intrinsic_name
    return f"v{kind.count}{name}"

"""Computing one element (or one vector of them) of a kernel's body, by pulling on its operands.

`Puller.pull(node, positions)` emits the code for `node` at an index and gives the register. Movement
ops become arithmetic on the index, loads happen at stored operands only, and what was pulled before
at the same index in an enclosing scope is reused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from llvmlite import ir

from anode.backends.cpu.lanes import Lane, Lanes, declare, llvm_type
from anode.backends.cpu.llvm_ir import I1, I8, I32, POINTER, at, element_type, i64, store_vector
from anode.backends.cpu.philox import philox_word
from anode.backends.cpu.position import ZERO, Indexing, Position
from anode.errors import BackendError
from anode.ir.dims import product
from anode.ir.dtypes import DType, bool_
from anode.ir.dtypes import i64 as i64_dtype
from anode.ir.node import CONSTANT, Node, constant_value
from anode.ir.types import TensorType
from anode.ops.declare import Elementwise

Positions = tuple[Position, ...]


@dataclass(frozen=True)
class Memory:
    """A tensor in memory: a pointer to its first element, and its dense row-major type."""

    pointer: ir.Value
    type: TensorType


class Puller:
    """Emits a kernel body's elements. `width` lanes run along one axis of the loop nest.

    `memory` holds the operands. `known` holds values computed otherwise (sums of a product, finished
    reductions). `mask` is the active lanes, None for all.
    """

    def __init__(self, builder: ir.IRBuilder, width: int, memory: Mapping[Node, Memory]) -> None:
        self.b, self.width, self.memory = builder, width, memory
        self.known: dict[Node, Lane] = {}
        self.mask: ir.Value | None = None
        self.index = Indexing(builder, width)
        self.vector, self.scalar = Lanes(builder, width), Lanes(builder, 1)
        self._guards: list[ir.Value] = []
        self._scopes: list[dict[object, tuple[Lane, Positions]]] = [{}]

    @contextmanager
    def scope(self, mask: ir.Value | None = None) -> Iterator[None]:
        """Code that may not run whenever the code around it does: what it computes is forgotten."""
        self._scopes.append({})
        outer, self.mask = self.mask, mask if mask is not None else self.mask
        try:
            yield
        finally:
            self.mask = outer
            self._scopes.pop()

    def pull(self, node: Node, positions: Positions) -> Lane:
        """`node` at `positions`, one per dim: a scalar where it is the same in every lane."""
        if node in self.known:
            return self.known[node]
        key = (node, tuple([p.key for p in positions]), tuple(map(id, self._guards)))
        for scope in reversed(self._scopes):
            if key in scope:
                return scope[key][0]
        lane = self._emit(node, positions)
        self._scopes[-1][key] = lane, positions  # keeps alive what the key names by id
        return lane

    def full(self, lane: Lane) -> Lane:
        """The value in every lane of a vector."""
        return self.vector.splat(lane.value, lane.dtype)

    def is_uniform(self, lane: Lane) -> bool:
        return not isinstance(lane.value.type, ir.VectorType)

    def _emit(self, node: Node, positions: Positions) -> Lane:
        if node in self.memory:
            return self.load(self.memory[node], positions)
        if node.op is CONSTANT:
            return self._constant(node)
        if isinstance(node.op, Elementwise):
            return self._elementwise(node, node.op, positions)
        emit = getattr(self, f"_{node.op.name}", None)
        if emit is None:
            raise BackendError(
                f"{node.op.name} cannot be computed element by element ({node.origin})"
            )
        lane: Lane = emit(node, positions)
        return lane

    def _constant(self, node: Node) -> Lane:
        value = constant_value(node)
        assert value is not None
        if value.size != 1:
            raise BackendError("a constant of several elements must be an operand of the kernel")
        element, dtype = value.reshape(()), node.tensor.dtype
        if dtype.name == "bf16":
            return Lane(ir.Constant(ir.IntType(16), int(element.view(np.uint16))), dtype)
        if dtype.name == "f16":
            return Lane(ir.Constant(ir.HalfType(), float(element)), dtype)
        return self.scalar.const(element.item(), dtype)

    def _elementwise(self, node: Node, op: Elementwise, positions: Positions) -> Lane:
        values = [self.pull(arg, positions if arg.tensor.rank else ()) for arg in node.args]
        uniform = all(self.is_uniform(value) for value in values)
        lanes = self.scalar if uniform else self.vector
        wide = [lanes.widen(value if uniform else self.full(value)) for value in values]
        result: Lane = op.apply(lanes, tuple(wide), node.attrs)
        dtype = node.tensor.dtype
        return lanes.round(result, dtype) if dtype.is_float and dtype.bits < 32 else result

    # memory
    def load(self, memory: Memory, positions: Positions) -> Lane:
        """The elements of `memory` at `positions`; lanes that are masked or guarded are not touched."""
        offset, dtype = self._offset(memory.type, positions), memory.type.dtype
        if offset.uniform:
            return self._from_memory(self._load_uniform(memory.pointer, offset, dtype), dtype)
        active = self._active()
        if offset.vector is None and offset.step == 1:
            pointer = at(self.b, memory.pointer, offset.base, dtype)
            loaded = self._load_contiguous(pointer, dtype, active)
        else:
            loaded = self._load_gathered(memory.pointer, self.index.vector(offset), dtype, active)
        return self._from_memory(loaded, dtype)

    def store(self, memory: Memory, positions: Positions, lane: Lane) -> None:
        """Store lanes at `positions`, whose lanes must be contiguous or a single element."""
        offset, dtype = self._offset(memory.type, positions), memory.type.dtype
        pointer = at(self.b, memory.pointer, offset.base, dtype)
        if offset.uniform:
            value = self._to_memory(lane, 1)
            self.b.store(value, pointer, align=dtype.size)
        elif offset.vector is None and offset.step == 1:
            store_vector(
                self.b, self._to_memory(self.full(lane), self.width), pointer, dtype, self.mask
            )
        else:
            raise BackendError("results are stored to contiguous lanes only")

    def _offset(self, type: TensorType, positions: Positions) -> Position:
        total, stride = ZERO, 1
        for size, position in zip(reversed(type.static), reversed(positions), strict=True):
            if size != 1:
                total = self.index.add(total, self.index.scale(position, stride))
            stride *= size
        return total

    def _active(self) -> ir.Value | None:
        """Lanes that may be read: those of the mask for which every guard holds."""
        active = self.mask
        for guard in self._guards:
            if not isinstance(guard.type, ir.VectorType):
                guard = self.vector.splat(guard, bool_).value
            active = guard if active is None else self.b.and_(active, guard)
        return active

    def _load_uniform(self, pointer: ir.Value, offset: Position, dtype: DType) -> ir.Value:
        base = i64(offset.base)
        for guard in self._guards:  # a guarded element may not exist: read the first instead
            if isinstance(guard.type, ir.VectorType):
                guard = self.vector.any(Lane(guard, bool_))
            base = self.b.select(guard, base, i64(0))
        return self.b.load(
            at(self.b, pointer, base, dtype), align=dtype.size, typ=element_type(dtype)
        )

    def _load_contiguous(
        self, pointer: ir.Value, dtype: DType, active: ir.Value | None
    ) -> ir.Value:
        kind = ir.VectorType(element_type(dtype), self.width)
        if self.width == 1 or active is None:
            kind = kind if self.width > 1 else element_type(dtype)
            return self.b.load(pointer, align=dtype.size, typ=kind)
        name = f"llvm.masked.load.{_suffix(kind)}.p0"
        function = declare(self.b.module, name, kind, [POINTER, I32, active.type, kind])
        zeros = ir.Constant(kind, None)
        return self.b.call(function, [pointer, I32(dtype.size), active, zeros])

    def _load_gathered(
        self, pointer: ir.Value, offsets: ir.Value, dtype: DType, active: ir.Value | None
    ) -> ir.Value:
        pointers = self.b.gep(pointer, [offsets], source_etype=element_type(dtype))
        kind = ir.VectorType(element_type(dtype), self.width)
        addresses = ir.VectorType(POINTER, self.width)
        pointers.type = addresses  # llvmlite types a gep by its base alone
        if active is None:
            active = ir.Constant(ir.VectorType(I1, self.width), [1] * self.width)
        name = f"llvm.masked.gather.{_suffix(kind)}.v{self.width}p0"
        function = declare(self.b.module, name, kind, [addresses, I32, active.type, kind])
        zeros = ir.Constant(kind, None)
        return self.b.call(function, [pointers, I32(dtype.size), active, zeros])

    def _from_memory(self, value: ir.Value, dtype: DType) -> Lane:
        if dtype is bool_:
            value = self.b.icmp_unsigned("!=", value, ir.Constant(value.type, None))
        return Lane(value, dtype)

    def _to_memory(self, lane: Lane, width: int) -> ir.Value:
        if lane.dtype is bool_:
            return self.b.zext(lane.value, I8 if width == 1 else ir.VectorType(I8, width))
        return lane.value

    # movement
    def _broadcast_in_dim(self, node: Node, positions: Positions) -> Lane:
        (x,) = node.args
        axes = node.attrs["axes"]
        inner = tuple(
            ZERO if size == 1 else positions[axis]
            for size, axis in zip(x.tensor.static, axes, strict=True)
        )
        return self.pull(x, inner)

    def _transpose(self, node: Node, positions: Positions) -> Lane:
        placed = dict(zip(node.attrs["permutation"], positions, strict=True))
        return self.pull(node.args[0], tuple(placed[i] for i in range(len(positions))))

    def _reshape(self, node: Node, positions: Positions) -> Lane:
        (x,) = node.args
        return self.pull(x, self.reshaped(node.tensor.static, x.tensor.static, positions))

    def reshaped(
        self, shape: tuple[int, ...], inner: tuple[int, ...], positions: Positions
    ) -> Positions:
        """Positions in a tensor of shape `inner` of the element at `positions` of `shape`."""
        old = [(n, p) for n, p in zip(shape, positions, strict=True) if n != 1]
        new = [n for n in inner if n != 1]
        result: list[Position] = []
        while new:  # from the last dim: equal dims map to each other, runs by their flat index
            if old[-1][0] == new[-1]:
                result.append(old.pop()[1])
                new.pop()
                continue
            taken, sizes = [old.pop()], [new.pop()]
            while (a := product(tuple(n for n, _ in taken))) != (b := product(tuple(sizes))):
                if a < b:
                    taken.append(old.pop())
                else:
                    sizes.append(new.pop())
            result += self._split(self._flat(taken), sizes)
        found = iter(reversed(result))
        return tuple(ZERO if n == 1 else next(found) for n in inner)

    def _flat(self, dims: Sequence[tuple[int, Position]]) -> Position:
        total, stride = ZERO, 1
        for size, position in dims:
            total = self.index.add(total, self.index.scale(position, stride))
            stride *= size
        return total

    def _split(self, flat: Position, sizes: Sequence[int]) -> list[Position]:
        parts = []
        for size in sizes[:-1]:
            flat, rest = self.index.divide(flat, size)
            parts.append(rest)
        return [*parts, flat]

    def _slice(self, node: Node, positions: Positions) -> Lane:
        moved = tuple(
            self.index.shift(self.index.scale(p, stride), start)
            for p, start, stride in zip(
                positions, node.attrs["start"], node.attrs["strides"], strict=True
            )
        )
        return self.pull(node.args[0], moved)

    def _reverse(self, node: Node, positions: Positions) -> Lane:
        shape = node.tensor.static
        moved = tuple(
            self.index.shift(self.index.scale(p, -1), shape[i] - 1)
            if i in node.attrs["axes"]
            else p
            for i, p in enumerate(positions)
        )
        return self.pull(node.args[0], moved)

    def _pad(self, node: Node, positions: Positions) -> Lane:
        x, value = node.args
        attrs, inner, conditions = node.attrs, [], []
        for i, (p, size) in enumerate(zip(positions, x.tensor.static, strict=True)):
            low, high, gap = attrs["low"][i], attrs["high"][i], attrs["interior"][i] + 1
            moved = self.index.shift(p, -low)
            if low > 0 or high > 0 or gap > 1:
                conditions.append(self.index.below(moved, max(0, (size - 1) * gap + 1)))
            if gap > 1:
                moved, rest = self.index.divide(moved, gap)
                conditions.append(self.index.below(rest, 1))
            inner.append(moved)
        if not x.tensor.size:
            return self.pull(value, ())
        return self._choose(conditions, x, tuple(inner), lambda: self.pull(value, ()))

    def _choose(
        self, conditions: list[ir.Value], x: Node, positions: Positions, otherwise: object
    ) -> Lane:
        """`x` at `positions` where every condition holds, else what `otherwise` pulls."""
        if not conditions:
            return self.pull(x, positions)
        self._guards += conditions
        inside = self.pull(x, positions)
        del self._guards[-len(conditions) :]
        outside: Lane = otherwise()  # type: ignore[operator]
        total = conditions[0]
        for condition in conditions[1:]:
            total = self._both(total, condition)
        return self._select(total, inside, outside)

    def _both(self, a: ir.Value, b: ir.Value) -> ir.Value:
        if isinstance(a.type, ir.VectorType) != isinstance(b.type, ir.VectorType):
            a, b = (self.vector.splat(v, bool_).value for v in (a, b))
        return self.b.and_(a, b)

    def _select(self, condition: ir.Value, x: Lane, y: Lane) -> Lane:
        uniform = not isinstance(condition.type, ir.VectorType)
        if uniform and self.is_uniform(x) and self.is_uniform(y):
            return Lane(self.b.select(condition, x.value, y.value), x.dtype)
        x, y = self.full(x), self.full(y)
        return Lane(self.b.select(condition, x.value, y.value), x.dtype)

    def _concatenate(self, node: Node, positions: Positions) -> Lane:
        axis, offset, parts = node.attrs["axis"], 0, []
        for x in node.args:
            if x.tensor.static[axis]:
                parts.append((x, offset))
            offset += x.tensor.static[axis]
        return self._concatenated(parts, axis, positions)

    def _concatenated(
        self, parts: Sequence[tuple[Node, int]], axis: int, positions: Positions
    ) -> Lane:
        (x, offset), rest = parts[0], parts[1:]
        moved = self.index.shift(positions[axis], -offset)
        inner = (*positions[:axis], moved, *positions[axis + 1 :])
        if not rest:
            return self.pull(x, inner)
        conditions = [self.index.below(moved, x.tensor.static[axis])]
        return self._choose(
            conditions,
            x,
            inner,
            lambda: self._concatenated_guarded(rest, axis, positions, conditions[0]),
        )

    def _concatenated_guarded(
        self,
        parts: Sequence[tuple[Node, int]],
        axis: int,
        positions: Positions,
        before: ir.Value,
    ) -> Lane:
        ones = ir.Constant(before.type, -1 if before.type == I1 else [1] * self.width)
        self._guards.append(self.b.xor(before, ones))
        lane = self._concatenated(parts, axis, positions)
        self._guards.pop()
        return lane

    def _iota(self, node: Node, positions: Positions) -> Lane:
        dtype, position = node.tensor.dtype, positions[node.attrs["axis"]]
        lanes = self.scalar if position.uniform else self.vector
        value = i64(position.base) if position.uniform else self.index.vector(position)
        converted = lanes.convert(Lane(value, i64_dtype), dtype.compute)
        return lanes.round(converted, dtype) if dtype is not dtype.compute else converted

    def _bitcast(self, node: Node, positions: Positions) -> Lane:
        lane, dtype = self.pull(node.args[0], positions), node.tensor.dtype
        kind = llvm_type(dtype, 1 if self.is_uniform(lane) else self.width)
        return Lane(self.b.bitcast(lane.value, kind), dtype)

    # indexing by values
    def _start(self, node: Node, positions: Positions) -> Position:
        """An integer value as a position."""
        lane = self.pull(node, positions)
        lanes = self.scalar if self.is_uniform(lane) else self.vector
        return self.index.of(lanes.convert(lane, i64_dtype).value)

    def _dynamic_slice(self, node: Node, positions: Positions) -> Lane:
        x, *starts = node.args
        moved = tuple(
            self.index.add(p, self.index.clamp(self._start(start, ()), size - kept))
            for p, start, size, kept in zip(
                positions, starts, x.tensor.static, node.tensor.static, strict=True
            )
        )
        return self.pull(x, moved)

    def _dynamic_update_slice(self, node: Node, positions: Positions) -> Lane:
        x, update, *starts = node.args
        inner, conditions = [], []
        for p, start, size, kept in zip(
            positions, starts, x.tensor.static, update.tensor.static, strict=True
        ):
            first = self.index.clamp(self._start(start, ()), size - kept)
            moved = self.index.add(p, self.index.scale(first, -1))
            if kept != size:
                conditions.append(self.index.below(moved, kept))
            inner.append(moved)
        return self._choose(conditions, update, tuple(inner), lambda: self.pull(x, positions))

    def _gather(self, node: Node, positions: Positions) -> Lane:
        """StableHLO's gather: a window of the operand at a start index that another tensor holds."""
        x, attrs = node.args[0], node.attrs
        batch = [p for i, p in enumerate(positions) if i not in attrs["offset_dims"]]
        window = iter([positions[i] for i in attrs["offset_dims"]])
        inner = []
        for dim, size in enumerate(x.tensor.static):
            collapsed = dim in attrs["collapsed_slice_dims"]
            position = ZERO if collapsed else next(window)
            if dim in attrs["start_index_map"]:
                component = attrs["start_index_map"].index(dim)
                start = self._gather_start(node, batch, component)
                last = size - attrs["slice_sizes"][dim]
                position = self.index.add(position, self.index.clamp(start, last))
            inner.append(position)
        return self.pull(x, tuple(inner))

    def _gather_start(self, node: Node, batch: list[Position], component: int) -> Position:
        indices, dim = node.args[1], node.attrs["index_vector_dim"]
        positions = list(batch)
        if dim < indices.tensor.rank:
            positions.insert(dim, Position(component))
        return self._start(indices, tuple(positions))

    def _random_bits(self, node: Node, positions: Positions) -> Lane:
        shape = node.tensor.static
        flat = self._flat(list(zip(reversed(shape), reversed(positions), strict=True)))
        key = [self.pull(node.args[0], (Position(i),)) for i in range(4)]
        return philox_word(self, flat, key, node.attrs["stream"], node.tensor.dtype)


def _suffix(kind: ir.VectorType) -> str:
    element = kind.element
    name = str(element) if isinstance(element, ir.IntType) else element.intrinsic_name
    return f"v{kind.count}{name}"

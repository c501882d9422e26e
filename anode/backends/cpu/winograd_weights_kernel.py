"""The kernel of `winograd_weights`: transforms and products of tiles as LLVM code.

A task computes a block of a phase's channels by filters for one part of the tiles. It transforms
some tiles, so many that they stay in the second-level cache, and multiplies a pair of matrices for
each point, adding to sums in scratch, while it asks for what the next tiles will read. Places
beyond the borders are read from a line of zeros. Within a part tiles are added up in their order,
so that the bits depend on the number of parts alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from llvmlite import ir

from anode.backends.cpu.llvm_ir import (
    I64,
    LINE,
    POINTER,
    Index,
    Values,
    add,
    at,
    counted,
    divided,
    i64,
    lanes_below,
    load_vector,
    loop,
    mul,
    prefetch,
    smaller,
    store_vector,
)
from anode.backends.cpu.target import Target
from anode.backends.cpu.winograd_method import Part, Place, Square
from anode.backends.cpu.winograd_weights import Ints, Plan, plan_weights
from anode.ir.dtypes import f32
from anode.ir.node import Node


def emit_winograd_weights(
    node: Node, module: ir.Module, name: str, target: Target
) -> tuple[ir.Function, int, int]:
    """Add `void name(x, ct, result, scratch, i64 task)`; also the tasks and bytes of scratch."""
    plan = plan_weights(node, target)
    kind = ir.FunctionType(ir.VoidType(), [*[POINTER] * 4, I64])
    function = ir.Function(module, kind, name)
    function.attributes.add("nounwind")
    _Emitter(plan, ir.IRBuilder(function.append_basic_block("entry"))).emit()
    return function, plan.tasks, plan.scratch


class _Side(NamedTuple):
    """The channels of x, or the filters of its result's gradient, that a task transforms.

    `places` gives those of a tile's square; `first` is the first of all `channels`, `block` of
    which go to `target`, each point's `pitch` after the one before.
    """

    places: Callable[[ir.Value], Values]
    part: Part
    target: ir.Value
    pitch: int
    first: ir.Value
    block: int
    channels: int


class _Block(NamedTuple):
    """What a task computes: its phase in both dims, the first of its channels and filters."""

    phase: tuple[ir.Value, ir.Value]
    channel: ir.Value
    filter: ir.Value


@dataclass(frozen=True)
class _Emitter:
    plan: Plan
    b: ir.IRBuilder

    @property
    def points(self) -> int:
        return self.plan.filter.points

    def emit(self) -> None:
        plan, b = self.plan, self.b
        task: ir.Value = b.function.args[-1]
        phases, *blocks = plan.blocks
        task, filters = divided(b, task, blocks[1])
        task, channels = divided(b, task, blocks[0])
        part, phase = divided(b, task, phases)
        firsts = mul(b, channels, plan.channels), mul(b, filters, plan.filters)
        block = _Block(divided(b, phase, plan.filter.phases[1]), *firsts)
        bounds = (part, add(b, part, 1))
        first, last = (b.udiv(mul(b, x, plan.count), i64(plan.parts)) for x in bounds)
        self.clear(self.sums, self.points * plan.pitches[0])
        self.clear(self.zeros, max(plan.channels, plan.filters))

        def some(start: ir.Value) -> None:
            count = smaller(b, b.sub(last, start), plan.depth)
            words = self.words(count)
            self.transformed(self.x_of(block), (start, last), words)
            self.transformed(self.ct_of(block), (start, last), words)
            later = add(b, start, plan.depth)

            def point(i: ir.Value) -> None:
                self.ask(block, add(b, later, mul(b, i, -(-plan.depth // self.points))))
                self.product(i, words)

            counted(b, 0, self.points, 1, point)

        counted(b, first, last, plan.depth, some)
        self.finish(block, part)
        b.ret_void()

    # scratch: sums, transformed channels, transformed filters, zeros
    def scratch(self, offset: int) -> ir.Value:
        return at(self.b, self.b.function.args[3], offset, f32)

    @property
    def sums(self) -> ir.Value:
        return self.scratch(0)

    @property
    def channels(self) -> ir.Value:
        return self.scratch(self.points * self.plan.pitches[0])

    @property
    def filters(self) -> ir.Value:
        return self.scratch(self.points * sum(self.plan.pitches[:2]))

    @property
    def zeros(self) -> ir.Value:
        return self.scratch(self.points * sum(self.plan.pitches))

    @property
    def zero(self) -> ir.Constant:
        return ir.Constant(ir.VectorType(ir.FloatType(), self.plan.lanes), None)

    def clear(self, place: ir.Value, count: int) -> None:
        def one(i: ir.Value) -> None:
            store_vector(self.b, self.zero, at(self.b, place, i, f32), f32)

        counted(self.b, 0, count, self.plan.lanes, one)

    # transforms
    def words(self, tiles: ir.Value) -> ir.Value:
        """The words of so many tiles' terms."""
        b, pair = self.b, self.plan.terms.per_word
        return tiles if pair == 1 else b.udiv(add(b, tiles, pair - 1), i64(pair))

    def transformed(self, side: _Side, tiles: tuple[ir.Value, ir.Value], words: ir.Value) -> None:
        """The block's channels of tiles from the first one on, below the last, at all points."""
        b, plan, pair = self.b, self.plan, self.plan.terms.per_word

        def word(index: ir.Value) -> None:
            first = add(b, tiles[0], mul(b, index, pair))
            squares = [side.places(first)]
            for i in range(1, pair):
                tile = add(b, first, i)
                exists = b.icmp_signed("<", tile, tiles[1])
                squares.append([b.select(exists, p, self.zeros) for p in side.places(tile)])
            target = at(b, side.target, mul(b, index, side.block), f32)

            def vector(c: ir.Value) -> None:
                mask = self.mask(side.first, c, side.channels, side.block)
                found = [self.points_of(side.part, square, c, mask) for square in squares]
                for same in zip(*found, strict=True):
                    point = same[0][0] * plan.filter.sizes[1] + same[0][1]
                    place = at(b, target, add(b, c, point * side.pitch), f32)
                    plan.terms.store_words(b, [value for *_, value in same], place)

            counted(b, 0, side.block, plan.lanes, vector)

        counted(b, 0, words, 1, word)

    def points_of(
        self, part: Part, square: Values, offset: ir.Value, mask: ir.Value | None
    ) -> Square:
        """The vectors at `offset` from each place of a square at all points."""
        dtype = self.plan.terms.dtype
        loaded = (
            load_vector(self.b, at(self.b, p, offset, dtype), self.lanes, dtype, f32, mask)
            for p in square
        )
        return self.plan.filter.to_points(self.b, part, loaded)

    def corner(self, tile: ir.Value) -> tuple[ir.Value, ir.Value, ir.Value]:
        """The image of a tile, and where in the gradient it begins."""
        grid = self.plan.grid
        rest, column = divided(self.b, tile, grid[1])
        image, row = divided(self.b, rest, grid[0])
        tiles = self.plan.filter.tiles
        return image, mul(self.b, row, tiles[0]), mul(self.b, column, tiles[1])

    def x_of(self, block: _Block) -> _Side:
        plan, b = self.plan, self.b
        base = at(b, b.function.args[0], block.channel, plan.terms.dtype)

        def places(tile: ir.Value) -> Values:
            image, row, column = self.corner(tile)
            around = self.around_x(block, (row, column))
            return self.places(base, image, around, plan.sizes, plan.all_channels)

        return _Side(
            *(places, "image", self.channels, plan.pitches[1]),
            *(block.channel, plan.channels, plan.all_channels),
        )

    def ct_of(self, block: _Block) -> _Side:
        plan, b = self.plan, self.b
        base = at(b, b.function.args[1], block.filter, plan.terms.dtype)

        def places(tile: ir.Value) -> Values:
            image, row, column = self.corner(tile)
            around = self.around_ct((row, column))
            return self.places(base, image, around, plan.out, plan.all_filters)

        return _Side(
            *(places, "result", self.filters, plan.pitches[2]),
            *(block.filter, plan.filters, plan.all_filters),
        )

    def ask(self, block: _Block, first: ir.Value) -> None:
        """Ask for a share of what the next tiles will read, if there are any."""
        plan, b = self.plan, self.b

        def tile(index: ir.Value) -> None:
            image, row, column = self.corner(add(b, first, index))
            lines = self.around_x(block, (row, column))
            new = [line[-n:] for line, n in zip(lines, plan.filter.tiles, strict=True)]
            around = self.around_ct((row, column))
            dtype = plan.terms.dtype
            x, ct = (at(b, b.function.args[i], start, dtype) for i, start in enumerate(block[1:]))
            channels, filters = plan.all_channels, plan.all_filters
            for place in self.places(x, image, new, plan.sizes, channels):
                self.near(place, min(plan.channels, channels), channels)
            for place in self.places(ct, image, around, plan.out, filters):
                self.near(place, min(plan.filters, filters), filters)

        counted(b, 0, -(-plan.depth // self.points), 1, tile)

    def near(self, place: ir.Value, count: int, channels: int) -> None:
        dtype = self.plan.terms.dtype
        aligned = channels * dtype.size % LINE == 0
        prefetch(self.b, place, count, dtype, aligned=aligned, level=2)

    def around_x(self, block: _Block, corner: tuple[ir.Value, ir.Value]) -> list[list[Place]]:
        """For both dims the places of a phase of x that a tile takes."""
        b, plan, filter = self.b, self.plan, self.plan.filter
        found = []
        for dim, (start, phase) in enumerate(zip(corner, block.phase, strict=True)):
            first = add(b, mul(b, start, filter.stride), phase)
            last = (plan.grid[dim] - 1) * filter.tiles[dim] * filter.stride + filter.phases[dim] - 1
            offsets = [i * filter.stride - plan.low[dim] for i in range(filter.sizes[dim])]
            found.append([self.inside(first, last, i, plan.sizes[dim]) for i in offsets])
        return found

    def around_ct(self, corner: tuple[ir.Value, ir.Value]) -> list[list[Place]]:
        plan, found = self.plan, []
        for start, count, tile, size in zip(
            corner, plan.grid, plan.filter.tiles, plan.out, strict=True
        ):
            found.append([self.inside(start, (count - 1) * tile, i, size) for i in range(tile)])
        return found

    def inside(self, start: ir.Value, last: int, offset: int, size: int) -> Place:
        """`offset` from an index of at most `last` along a dim, and whether it is in the image."""
        b = self.b
        index = b.add(start, i64(offset))
        if offset >= 0 and last + offset < size:
            return index, None
        return index, b.icmp_unsigned("<", index, i64(size))

    def places(
        self,
        base: ir.Value,
        image: ir.Value,
        indices: Sequence[Sequence[Place]],
        sizes: Ints,
        channels: int,
    ) -> Values:
        """Where the elements of a tile begin, row by row; those beyond the borders are zeros."""
        b, found = self.b, []
        first = mul(b, image, sizes[0])
        for row, row_inside in indices[0]:
            line = mul(b, b.add(first, row), sizes[1])
            for column, column_inside in indices[1]:
                place = mul(b, b.add(line, column), channels)
                place = at(b, base, place, self.plan.terms.dtype)
                for inside in (row_inside, column_inside):
                    if inside is not None:
                        place = b.select(inside, place, self.zeros)
                found.append(place)
        return found

    def mask(self, start: ir.Value, vector: ir.Value, size: int, block: int) -> ir.Value | None:
        """The lanes of a vector of a block that are channels; None for all of them."""
        if size % block == 0:
            return None
        return lanes_below(self.b, self.b.sub(i64(size), add(self.b, start, vector)), self.lanes)

    @property
    def lanes(self) -> int:
        return self.plan.lanes

    def load(self, place: ir.Value, offset: Index, mask: ir.Value | None = None) -> ir.Value:
        return load_vector(self.b, at(self.b, place, offset, f32), self.lanes, f32, f32, mask)

    # products
    def product(self, point: ir.Value, words: ir.Value) -> None:
        """Add one point's product of transformed channels and filters to its sums."""
        plan, b = self.plan, self.b
        starts = (self.sums, self.channels, self.filters)
        sums, channels, filters = (
            at(b, start, mul(b, point, pitch), f32)
            for start, pitch in zip(starts, plan.pitches, strict=True)
        )

        def panel(k: Index, width: int) -> None:
            def tile(c: Index, rows: int) -> None:
                place = at(b, at(b, sums, mul(b, i64(c), plan.filters), f32), k, f32)
                pair = (at(b, channels, c, f32), at(b, filters, k, f32))
                self.micro_tile(place, pair, words, (rows, width // plan.lanes))

            self.cut(min(plan.channels, plan.all_channels), plan.rows, tile)

        self.cut(plan.filters, plan.vectors * plan.lanes, panel)

    def cut(self, size: int, step: int, body: Callable[[Index, int], None]) -> None:
        """`body(start, length)` for parts of `size`; the last may be shorter."""
        whole = size - size % step
        counted(self.b, 0, whole, step, lambda i: body(i, step))
        if whole < size:
            body(i64(whole), size - whole)

    def micro_tile(
        self, place: ir.Value, pair: tuple[ir.Value, ir.Value], words: ir.Value, shape: Ints
    ) -> None:
        plan, b, (rows, vectors) = self.plan, self.b, shape
        terms = plan.terms
        where = [
            at(b, place, r * plan.filters + v * self.lanes, f32)
            for r in range(rows)
            for v in range(vectors)
        ]

        def step(t: ir.Value, totals: Values) -> Values:
            channels = at(b, pair[0], mul(b, t, plan.channels), f32)
            filters = at(b, pair[1], mul(b, t, plan.filters), f32)
            steps = [at(b, filters, v * self.lanes, f32) for v in range(vectors)]
            row = [terms.load_words(b, step, self.lanes) for step in steps]
            found = []
            for r in range(rows):
                factor = terms.load_word(b, at(b, channels, r, f32), self.lanes)
                for v, vector in enumerate(row):
                    found.append(terms.multiply_add(b, factor, vector, totals[r * vectors + v]))
            return found

        totals = loop(b, 0, words, 1, step, [self.load(p, 0) for p in where])
        for p, total in zip(where, totals, strict=True):
            store_vector(b, total, p, f32)

    # the gradient
    def finish(self, block: _Block, part: ir.Value) -> None:
        """Transform the sums, and store the block of the gradient of this part."""
        plan, b, filter = self.plan, self.b, self.plan.filter
        area = plan.all_channels * plan.all_filters
        result = at(b, b.function.args[2], mul(b, part, filter.size**2 * area), f32)
        rows = smaller(b, b.sub(i64(plan.all_channels), block.channel), plan.channels)
        most = [n - 1 for n in filter.phases]
        found_at = filter.taps_from(b, block.phase, most, filter.stride)

        def row(c: ir.Value) -> None:
            line = mul(b, add(b, block.channel, c), plan.all_filters)
            target = at(b, result, add(b, line, block.filter), f32)
            source = at(b, self.sums, mul(b, c, plan.filters), f32)

            def vector(k: ir.Value) -> None:
                mask = self.mask(block.filter, k, plan.all_filters, plan.filters)
                place = at(b, source, k, f32)
                sums = (self.load(place, i * plan.pitches[0]) for i in range(self.points))
                for i, j, value in filter.from_points(b, "filter", sums):
                    tap, exists = found_at[i * filter.methods[1].taps + j]
                    place = at(b, target, add(b, mul(b, tap, area), k), f32)
                    if exists is not None:
                        place = b.select(exists, place, self.zeros)  # not read any more
                    store_vector(b, value, place, f32, mask)

            counted(b, 0, plan.filters, plan.lanes, vector)

        counted(b, 0, rows, 1, row)

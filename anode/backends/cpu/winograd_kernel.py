"""The kernels of Winograd's convolution as LLVM: of the filters, and of a part of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llvmlite import ir

from anode.backends.cpu.lanes import Lane, Lanes
from anode.backends.cpu.llvm_ir import (
    Index,
    Values,
    add,
    at,
    counted,
    element_type,
    first_lanes,
    for_each,
    function,
    i64,
    lanes_below,
    load_vector,
    loop,
    mul,
    smaller,
    store_vector,
)
from anode.backends.cpu.onednn_conv import Post
from anode.backends.cpu.target import Target
from anode.backends.cpu.winograd import CONVOLUTION, FILTERS, Blocking, Geometry, blocking
from anode.backends.cpu.winograd_filters import emit_filters, filter_tasks
from anode.backends.cpu.winograd_method import Filter
from anode.backends.cpu.winograd_terms import Terms
from anode.ir.dtypes import DType, f32
from anode.ir.node import Node
from anode.ops import special

WINOGRAD = (CONVOLUTION, FILTERS)


def emit_winograd(
    node: Node, module: ir.Module, name: str, target: Target
) -> tuple[ir.Function, int, int]:
    """Add the kernel of a node of WINOGRAD; in how many tasks, and with how much scratch, it runs.

    `void name(operand…, result, [scratch,] i64 task)`.
    """
    if node.op is FILTERS:
        return emit_filters(node, module, name, target), filter_tasks(node), 0
    emitted = emit_convolution(node, module, name, target)
    return emitted, node.attrs["tasks"], blocking(node.attrs, target).scratch


def emit_convolution(node: Node, module: ir.Module, name: str, target: Target) -> ir.Function:
    """Add `void name(x, u, [bias,] [added,] y, scratch, i64 task)`; see `Blocking.scratch`."""
    blocks = blocking(node.attrs, target)
    b, (*arrays, y, scratch, task) = function(module, name, len(node.args) + 2)
    x, u, *rest = arrays
    bias = rest.pop(0) if node.attrs["bias"] else None
    added = rest.pop(0) if rest else None
    starts = [at(b, scratch, offset, f32) for offset in blocks.offsets]
    _Tiles(b, blocks, node.attrs["post"], x, u, bias, added, y, *starts).emit(task)
    b.ret_void()
    return b.function


@dataclass(frozen=True)
class _Tiles:
    """One task's blocks of tiles: transformed, multiplied and transformed back, block by block.

    `image`, `products`, `lines`, `zeros` and `spare` are places in scratch.
    """

    b: ir.IRBuilder
    blocks: Blocking
    post: Sequence[Post]
    x: ir.Value
    u: ir.Value
    bias: ir.Value | None
    added: ir.Value | None
    y: ir.Value
    image: ir.Value
    products: ir.Value
    lines: ir.Value
    zeros: ir.Value
    spare: ir.Value

    @property
    def geometry(self) -> Geometry:
        return self.blocks.geometry

    @property
    def filter(self) -> Filter:
        return self.geometry.filter

    @property
    def terms(self) -> Terms:
        return self.geometry.terms

    @property
    def dtype(self) -> DType:
        """Of the images."""
        return self.terms.dtype

    def load(self, array: ir.Value, offset: Index, mask: ir.Value | None = None) -> ir.Value:
        """A vector of an image."""
        place = at(self.b, array, offset, self.dtype)
        return load_vector(self.b, place, self.blocks.lanes, self.dtype, f32, mask)

    def emit(self, task: ir.Value) -> None:
        blocks, lanes = self.blocks, self.blocks.lanes
        empty = blocks.offsets[-1] - blocks.offsets[2]  # the lines' borders stay so
        zero = ir.Constant(ir.VectorType(element_type(f32), lanes), None)
        counted(
            self.b,
            *(0, empty, lanes),
            lambda i: store_vector(self.b, zero, at(self.b, self.lines, i, f32), f32),
        )
        start = mul(self.b, task, blocks.rows_a_task)
        stop = add(self.b, start, blocks.rows_a_task)
        counted(self.b, start, stop, blocks.rows, self.block)

    def block(self, first: ir.Value) -> None:
        b, blocks = self.b, self.blocks

        def transform(row: ir.Value, phase: ir.Value) -> None:
            self.vertical(add(b, first, row), phase)
            self.horizontal(row, phase)

        def panel(number: ir.Value) -> None:
            for_each(b, [self.filter.points], lambda point: self.product(number, point))
            for_each(b, [blocks.rows], lambda row: self.results(number, first, row))

        for_each(b, [blocks.rows, self.geometry.source.counts[0]], transform)
        for_each(b, [blocks.panels], panel)

    # the image
    def vertical(self, row: ir.Value, phase: ir.Value) -> None:
        """The lines of the image that a row of tiles takes of a phase, transformed downwards."""
        b, source, lanes = self.b, self.geometry.source, self.blocks.lanes
        method = self.filter.methods[0]
        height, width = source.sizes[0], source.sizes[1] * source.channels
        number, tile = (f(row, i64(self.geometry.down)) for f in (b.udiv, b.urem))
        place = mul(b, tile, method.tile * source.stride)
        first = b.sub(add(b, place, phase), i64(source.low[0]))
        places = []
        for i in range(method.size):
            index = b.add(first, i64(i * source.stride))
            line = b.mul(b.add(mul(b, number, height), index), i64(width))
            inside = b.icmp_unsigned("<", index, i64(height))
            place = b.gep(self.x, [line], source_etype=element_type(self.dtype))
            places.append(b.select(inside, place, self.zeros))
        target = at(b, self.lines, source.low[1] * source.channels, f32)

        def step(e: Index, mask: ir.Value | None = None) -> None:
            found = [self.load(place, e, mask) for place in places]
            for i, value in enumerate(method.to_points(b, method.image, found)):
                place = at(b, target, add(b, i64(e), i * self.blocks.line), f32)
                store_vector(b, value, place, f32, mask)

        whole = width // lanes * lanes
        counted(b, 0, whole, lanes, step)
        if whole < width:
            step(whole, first_lanes(width - whole, lanes))

    def horizontal(self, row: ir.Value, phase: ir.Value) -> None:
        """The tiles of a row of a phase, transformed sideways too: a left operand's rows."""
        b, blocks, source = self.b, self.blocks, self.geometry.source
        pace, (lines, method) = source.stride * source.channels, self.filter.methods

        def points(tile: ir.Value, i: ir.Value) -> None:
            place = add(b, mul(b, i, blocks.line), mul(b, tile, method.tile * pace))
            line = at(b, self.lines, place, f32)
            place = add(b, mul(b, row, self.geometry.across), tile)
            place = add(b, mul(b, i, method.size * blocks.image_step), mul(b, place, blocks.pitch))
            target = at(b, at(b, self.image, place, f32), mul(b, phase, source.run), self.dtype)

            def step(c: ir.Value) -> None:
                offsets = [add(b, c, j * pace) for j in range(method.size)]
                found = [_load(b, at(b, line, offset, f32), blocks.lanes) for offset in offsets]
                for j, value in enumerate(method.to_points(b, method.image, found)):
                    place = at(b, target, j * blocks.image_step, f32)
                    self.terms.store(b, value, at(b, place, c, self.dtype))

            counted(b, 0, source.run, blocks.lanes, step)

        for_each(b, [self.geometry.across, lines.size], points)

    # products
    def product(self, panel: ir.Value, point: ir.Value) -> None:
        """The tiles at a point times a panel of the filters there."""
        b, blocks = self.b, self.blocks
        size = self.terms.words(self.geometry.depth) * blocks.panel
        place = add(b, mul(b, panel, self.filter.points), point)
        filters = at(b, self.u, mul(b, place, size), f32)
        image = at(b, self.image, mul(b, point, blocks.image_step), f32)
        products = at(b, self.products, mul(b, point, blocks.result_step), f32)
        first = 0
        for count, size in blocks.groups:

            def group(number: ir.Value, size: int = size, first: int = first) -> None:
                tile = add(b, mul(b, number, size), first)
                left = at(b, image, mul(b, tile, blocks.pitch), f32)
                self.multiply(left, filters, at(b, products, mul(b, tile, blocks.panel), f32), size)

            counted(b, 0, count, 1, group)
            first += count * size

    def multiply(self, left: ir.Value, right: ir.Value, target: ir.Value, rows: int) -> None:
        """`rows` tiles' channels times a panel, with the sums in registers."""
        b, blocks, terms = self.b, self.blocks, self.terms
        lanes, pitch, panel = blocks.lanes, blocks.pitch, blocks.panel
        zero = ir.Constant(ir.VectorType(element_type(f32), lanes), None)
        columns = range(0, panel, lanes)

        def step(c: ir.Value, totals: Values) -> Values:
            line = at(b, right, mul(b, c, panel), f32)
            vectors = [terms.load_words(b, at(b, line, v, f32), lanes) for v in columns]
            column, results = at(b, left, c, f32), []
            for row in range(rows):
                factor = terms.load_word(b, at(b, column, row * pitch, f32), lanes)
                for v, vector in enumerate(vectors):
                    total = totals[row * len(vectors) + v]
                    results.append(terms.multiply_add(b, factor, vector, total))
            return results

        totals = loop(b, 0, terms.words(self.geometry.depth), 1, step, [zero] * rows * len(columns))
        for i, total in enumerate(totals):
            offset = i // len(columns) * panel + columns[i % len(columns)]
            store_vector(b, total, at(b, target, offset, f32), f32)

    # results
    def results(self, panel: ir.Value, first: ir.Value, row: ir.Value) -> None:
        """The results of a row of tiles in a panel's columns, and what follows, stored."""
        b, blocks, geometry, result = self.b, self.blocks, self.geometry, self.geometry.result
        number, down = (f(add(b, first, row), i64(geometry.down)) for f in (b.udiv, b.urem))
        phase, panel = (f(panel, i64(blocks.phase_panels)) for f in (b.udiv, b.urem))
        phases = [f(phase, i64(result.stride)) for f in (b.udiv, b.urem)]
        column = mul(b, panel, blocks.panel)
        height, width = result.sizes
        paces = [tile * result.stride for tile in self.filter.tiles]
        y = b.sub(add(b, mul(b, down, paces[0]), phases[0]), i64(result.low[0]))

        def tile(across: ir.Value) -> None:
            x = b.sub(add(b, mul(b, across, paces[1]), phases[1]), i64(result.low[1]))
            start = b.add(b.mul(b.add(mul(b, number, height), y), i64(width)), x)
            start = b.add(b.mul(start, i64(result.channels)), column)
            source = mul(b, add(b, mul(b, row, geometry.across), across), blocks.panel)
            inside = self.inside(y, 0), self.inside(x, 1)

            def step(v: ir.Value) -> None:
                self.store(add(b, source, v), b.add(start, v), add(b, column, v), inside)

            counted(b, 0, columns, blocks.lanes, step)

        columns: Index = blocks.panel
        if result.channels % blocks.panel:
            columns = smaller(b, blocks.panel, b.sub(i64(result.channels), column))
        counted(b, 0, geometry.across, 1, tile)

    def inside(self, first: ir.Value, dim: int) -> list[ir.Value | None]:
        """Whether each of a tile's places along a dim is in the result; None if it always is."""
        b, geometry, result = self.b, self.geometry, self.geometry.result
        tile, size = self.filter.tiles[dim], result.sizes[dim]
        last = (geometry.down, geometry.across)[dim] * tile - tile
        tests = list[ir.Value | None]()
        for i in range(tile):
            least = i * result.stride - result.low[dim]
            most = (last + i + 1) * result.stride - 1 - result.low[dim]
            index = b.add(first, i64(i * result.stride))
            always = least >= 0 and most < size
            tests.append(None if always else b.icmp_unsigned("<", index, i64(size)))
        return tests

    def store(
        self,
        source: ir.Value,
        start: ir.Value,
        column: ir.Value,
        inside: tuple[Sequence[ir.Value | None], Sequence[ir.Value | None]],
    ) -> None:
        """A vector of filters' results of one tile; those outside of the result go to `spare`."""
        b, blocks, filter, result = self.b, self.blocks, self.filter, self.geometry.result
        lanes, filters = blocks.lanes, result.channels
        mask = lanes_below(b, b.sub(i64(filters), column), lanes) if filters % lanes else None
        offsets = [add(b, source, point * blocks.result_step) for point in range(filter.points)]
        found = (_load(b, at(b, self.products, offset, f32), lanes) for offset in offsets)

        s, values = Lanes(b, lanes), filter.from_points(b, "result", found)
        bias = None if self.bias is None else _load(b, at(b, self.bias, column, f32), lanes, mask)
        for i, j, value in values:
            place = (i * result.sizes[1] + j) * result.stride * filters
            offset = b.add(start, i64(place))
            valid = [test for test in (inside[0][i], inside[1][j]) if test is not None]
            added = None if self.added is None else self.place(self.added, offset, valid)
            value = self.following(s, value, bias, added, mask)
            value = s.round(Lane(value, f32), self.dtype).value
            store_vector(b, value, self.place(self.y, offset, valid), self.dtype, mask)

    def place(self, array: ir.Value, offset: ir.Value, valid: Sequence[ir.Value]) -> ir.Value:
        place = at(self.b, array, offset, self.dtype)
        for test in valid:
            place = self.b.select(test, place, self.spare)
        return place

    def following(
        self,
        s: Lanes,
        value: ir.Value,
        bias: ir.Value | None,
        added: ir.Value | None,
        mask: ir.Value | None,
    ) -> ir.Value:
        """The value with bias and another tensor, through the activation."""
        if bias is not None:
            value = s.builder.fadd(value, bias)
        for name, parameter in self.post:
            if name == "add":
                assert added is not None
                value = s.builder.fadd(value, self.load(added, 0, mask))
            else:
                value = activated(s, Lane(value, f32), name, parameter).value
        return value


def activated(s: Lanes, x: Lane, name: str, parameter: float) -> Lane:
    """An activation by its name in `passes.cover`."""
    zero = s.const(0, f32)
    if name == "relu":
        return s.max(x, zero)
    if name == "leaky_relu":
        return s.select(s.gt(x, zero), x, s.mul(x, s.const(parameter, f32)))
    if name == "elu":
        positive = s.gt(x, zero)
        below = s.expm1(s.select(positive, zero, x))
        return s.select(positive, x, s.mul(below, s.const(parameter, f32)))
    return s.tanh(x) if name == "tanh" else special.logistic(s, x)


def _load(b: ir.IRBuilder, place: ir.Value, lanes: int, mask: ir.Value | None = None) -> ir.Value:
    return load_vector(b, place, lanes, f32, f32, mask)

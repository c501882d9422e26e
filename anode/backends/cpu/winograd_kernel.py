"""The kernels of Winograd's convolution as LLVM: of the filters, and of a part of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llvmlite import ir

from anode.backends.cpu.lanes import Lane, Lanes
from anode.backends.cpu.llvm_ir import (
    I64,
    POINTER,
    Index,
    Values,
    add,
    at,
    counted,
    element_type,
    first_lanes,
    gather,
    i64,
    lanes_below,
    load_scalar,
    load_vector,
    loop,
    mul,
    multiply_add,
    smaller,
    splat,
    store_vector,
)
from anode.backends.cpu.target import Target
from anode.backends.cpu.winograd import (
    BUTTERFLY,
    CONVOLUTION,
    FILTER,
    FILTERS,
    IMAGE,
    IN,
    OUT,
    POINTS,
    RESULT,
    TAPS,
    Blocking,
    Matrix,
    blocking,
    sides,
)
from anode.ir.dtypes import f32
from anode.ir.node import Node
from anode.ops import special

WINOGRAD = (CONVOLUTION, FILTERS)
MOST_FILTER_TASKS = 16


def emit_winograd(
    node: Node, module: ir.Module, name: str, target: Target
) -> tuple[ir.Function, int, int]:
    """Add the kernel of a node of WINOGRAD; in how many tasks, and with how much scratch, it runs.

    `void name(operand…, result, [scratch,] i64 task)`.
    """
    if node.op is FILTERS:
        return emit_filters(node, module, name, target), filter_tasks(node), 0
    function = emit_convolution(node, module, name, target)
    return function, node.attrs["tasks"], blocking(node.attrs, target).scratch


def filter_tasks(node: Node) -> int:
    """In how many tasks filters are transformed."""
    return min(MOST_FILTER_TASKS, sides(node.args[0].tensor, node.attrs["flipped"])[0])


def emit_filters(node: Node, module: ir.Module, name: str, target: Target) -> ir.Function:
    """Add `void name(w, u, i64 task)`: an equal part of the channels at all points."""
    channels, filters = sides(node.args[0].tensor, node.attrs["flipped"])
    panel, lanes, tasks = node.attrs["panel"], target.lanes(4), filter_tasks(node)
    b, (w, u, task) = _function(module, name, 2)

    def vector(column: ir.Value, c: ir.Value) -> None:
        read = _across if node.attrs["flipped"] else _along
        taps = read(b, w, c, column, (channels, filters), lanes)
        columns = [_points(b, taps[j::TAPS], FILTER) for j in range(TAPS)]
        number, within = b.udiv(column, i64(panel)), b.urem(column, i64(panel))
        place = add(b, mul(b, number, POINTS * channels), c)
        place = add(b, mul(b, place, panel), within)
        for i in range(IN):
            for j, value in enumerate(_points(b, [column[i] for column in columns], FILTER)):
                offset = add(b, place, (i * IN + j) * channels * panel)
                store_vector(b, value, at(b, u, offset, f32), f32)

    def row(first: ir.Value, c: ir.Value) -> None:
        """Channel c of the panel that begins with column `first`."""
        counted(b, first, add(b, first, panel), lanes, lambda column: vector(column, c))

    start, stop = (b.udiv(mul(b, t, channels), i64(tasks)) for t in (task, add(b, task, 1)))
    counted(
        b,
        *(0, -(-filters // panel) * panel, panel),
        lambda first: counted(b, start, stop, 1, lambda c: row(first, c)),
    )
    b.ret_void()
    return b.function


def _along(
    b: ir.IRBuilder, w: ir.Value, c: ir.Value, column: ir.Value, shape: tuple[int, int], lanes: int
) -> list[ir.Value]:
    """The nine taps of channel c for the filters from `column` on; zeros beyond the last one."""
    channels, filters = shape
    mask = lanes_below(b, b.sub(i64(filters), column), lanes) if filters % lanes else None
    start = add(b, mul(b, c, filters), b.select(_below(b, column, filters), column, i64(0)))
    offsets = [add(b, start, tap * channels * filters) for tap in range(TAPS * TAPS)]
    return [_load(b, at(b, w, offset, f32), lanes, mask) for offset in offsets]


def _across(
    b: ir.IRBuilder, w: ir.Value, c: ir.Value, column: ir.Value, shape: tuple[int, int], lanes: int
) -> list[ir.Value]:
    """The same of flipped filters, which lie `channels` apart; beyond the last one it again."""
    channels, filters = shape
    ramp = ir.Constant(ir.VectorType(I64, lanes), list(range(lanes)))
    last = splat(b, i64(filters - 1), lanes)
    number = b.add(splat(b, column, lanes), ramp)
    number = b.select(b.icmp_signed("<", number, last), number, last)
    offsets = b.mul(number, splat(b, i64(channels), lanes))
    places = [at(b, w, add(b, c, t * channels * filters), f32) for t in range(TAPS * TAPS)]
    return [gather(b, place, offsets, f32, f32) for place in reversed(places)]


def _below(b: ir.IRBuilder, index: ir.Value, size: int) -> ir.Value:
    return b.icmp_signed("<", index, i64(size))


def emit_convolution(node: Node, module: ir.Module, name: str, target: Target) -> ir.Function:
    """Add `void name(x, u, [bias,] [added,] y, scratch, i64 task)`; see `Blocking.scratch`."""
    blocks = blocking(node.attrs, target)
    problem, operands = blocks.problem, len(node.args)
    b, (*arrays, y, scratch, task) = _function(module, name, operands + 2)
    x, u, *rest = arrays
    bias = rest.pop(0) if problem.bias else None
    added = rest.pop(0) if rest else None
    starts = [at(b, scratch, offset, f32) for offset in blocks.offsets]
    _Tiles(b, blocks, x, u, bias, added, y, *starts).emit(task)
    b.ret_void()
    return b.function


@dataclass(frozen=True)
class _Tiles:
    """One task's blocks of tiles: transformed, multiplied and transformed back, block by block.

    `image`, `products`, `lines`, `zeros` and `spare` are places in scratch.
    """

    b: ir.IRBuilder
    blocks: Blocking
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

        def transform(row: ir.Value) -> None:
            self.vertical(add(b, first, row))
            self.horizontal(row)

        def panel(number: ir.Value) -> None:
            counted(b, 0, POINTS, 1, lambda point: self.product(number, point))
            counted(b, 0, blocks.rows, 1, lambda row: self.results(number, first, row))

        counted(b, 0, blocks.rows, 1, transform)
        counted(b, 0, blocks.panels, 1, panel)

    # the image
    def vertical(self, row: ir.Value) -> None:
        """The six rows of the image that a row of tiles takes, transformed along its height."""
        b, problem, lanes = self.b, self.blocks.problem, self.blocks.lanes
        height, width = problem.sizes[0], problem.sizes[1] * problem.channels
        number, tile = (f(row, i64(self.blocks.down)) for f in (b.udiv, b.urem))
        first = b.sub(mul(b, tile, OUT), i64(problem.low[0]))
        sources = []
        for i in range(IN):
            line = add(b, mul(b, number, height), b.add(first, i64(i)))
            inside = b.icmp_unsigned("<", b.add(first, i64(i)), i64(height))
            place = b.gep(self.x, [b.mul(line, i64(width))], source_etype=element_type(f32))
            sources.append(b.select(inside, place, self.zeros))
        target = at(b, self.lines, problem.low[1] * problem.channels, f32)

        def step(e: Index, mask: ir.Value | None = None) -> None:
            found = [_load(b, at(b, source, e, f32), lanes, mask) for source in sources]
            for i, value in enumerate(_points(b, found, IMAGE)):
                place = at(b, target, add(b, i64(e), i * self.blocks.line), f32)
                store_vector(b, value, place, f32, mask)

        whole = width // lanes * lanes
        counted(b, 0, whole, lanes, step)
        if whole < width:
            step(whole, first_lanes(width - whole, lanes))

    def horizontal(self, row: ir.Value) -> None:
        """The tiles of a row, transformed along their width too: a left operand's rows."""
        b, blocks = self.b, self.blocks
        channels, lanes = blocks.problem.channels, blocks.lanes

        def points(tile: ir.Value, i: ir.Value) -> None:
            source = at(
                b, self.lines, add(b, mul(b, i, blocks.line), mul(b, tile, OUT * channels)), f32
            )
            place = add(b, mul(b, row, blocks.across), tile)
            place = add(b, mul(b, i, IN * blocks.image_step), mul(b, place, blocks.pitch))
            target = at(b, self.image, place, f32)

            def step(c: ir.Value) -> None:
                found = [
                    _load(b, at(b, source, add(b, c, j * channels), f32), lanes) for j in range(IN)
                ]
                for j, value in enumerate(_points(b, found, IMAGE)):
                    place = at(b, target, add(b, c, j * blocks.image_step), f32)
                    store_vector(b, value, place, f32)

            counted(b, 0, channels, lanes, step)

        counted(
            b,
            *(0, blocks.across, 1),
            lambda tile: counted(b, 0, IN, 1, lambda i: points(tile, i)),
        )

    # products
    def product(self, panel: ir.Value, point: ir.Value) -> None:
        """The tiles at a point times a panel of the filters there."""
        b, blocks = self.b, self.blocks
        size = blocks.problem.channels * blocks.panel
        place = add(b, mul(b, panel, POINTS), point)
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
        b, lanes, pitch, panel = self.b, self.blocks.lanes, self.blocks.pitch, self.blocks.panel
        zero = ir.Constant(ir.VectorType(element_type(f32), lanes), None)
        columns = range(0, panel, lanes)

        def step(c: ir.Value, totals: Values) -> Values:
            line = at(b, right, mul(b, c, panel), f32)
            vectors = [_load(b, at(b, line, v, f32), lanes) for v in columns]
            column, results = at(b, left, c, f32), []
            for row in range(rows):
                element = load_scalar(b, at(b, column, row * pitch, f32), f32, f32)
                factor = splat(b, element, lanes)
                for v, vector in enumerate(vectors):
                    total = totals[row * len(vectors) + v]
                    results.append(multiply_add(b, factor, vector, total))
            return results

        totals = loop(b, 0, self.blocks.problem.channels, 1, step, [zero] * rows * len(columns))
        for i, total in enumerate(totals):
            offset = i // len(columns) * panel + columns[i % len(columns)]
            store_vector(b, total, at(b, target, offset, f32), f32)

    # results
    def results(self, panel: ir.Value, first: ir.Value, row: ir.Value) -> None:
        """The results of a row of tiles in a panel's columns, and what follows, stored."""
        b, blocks, problem = self.b, self.blocks, self.blocks.problem
        number, down = (f(add(b, first, row), i64(blocks.down)) for f in (b.udiv, b.urem))
        column = mul(b, panel, blocks.panel)
        height, width = problem.out

        def tile(across: ir.Value) -> None:
            y, x = mul(b, down, OUT), mul(b, across, OUT)
            start = add(b, mul(b, add(b, mul(b, number, height), y), width), x)
            start = add(b, mul(b, start, problem.filters), column)
            source = mul(b, add(b, mul(b, row, blocks.across), across), blocks.panel)
            inside = _inside(b, y, height), _inside(b, x, width)

            def step(v: ir.Value) -> None:
                self.store(add(b, source, v), add(b, start, v), add(b, column, v), inside)

            counted(b, 0, columns, blocks.lanes, step)

        columns: Index = blocks.panel
        if problem.filters % blocks.panel:
            columns = smaller(b, blocks.panel, b.sub(i64(problem.filters), column))
        counted(b, 0, blocks.across, 1, tile)

    def store(
        self,
        source: ir.Value,
        start: ir.Value,
        column: ir.Value,
        inside: tuple[Sequence[ir.Value | None], Sequence[ir.Value | None]],
    ) -> None:
        """A vector of filters' results of one tile; those outside of the result go to `spare`."""
        b, blocks, problem = self.b, self.blocks, self.blocks.problem
        lanes, filters = blocks.lanes, problem.filters
        mask = lanes_below(b, b.sub(i64(filters), column), lanes) if filters % lanes else None
        lines = []
        for i in range(IN):
            offsets = [add(b, source, (i * IN + j) * blocks.result_step) for j in range(IN)]
            found = [_load(b, at(b, self.products, offset, f32), lanes) for offset in offsets]
            lines.append(_results(b, found))
        bias = None if self.bias is None else _load(b, at(b, self.bias, column, f32), lanes, mask)
        for j in range(OUT):
            for i, value in enumerate(_results(b, [line[j] for line in lines])):
                offset = add(b, start, (i * problem.out[1] + j) * filters)
                valid = [test for test in (inside[0][i], inside[1][j]) if test is not None]
                added = None if self.added is None else self.place(self.added, offset, valid)
                value = self.following(value, bias, added, mask)
                store_vector(b, value, self.place(self.y, offset, valid), f32, mask)

    def place(self, array: ir.Value, offset: ir.Value, valid: Sequence[ir.Value]) -> ir.Value:
        place = at(self.b, array, offset, f32)
        for test in valid:
            place = self.b.select(test, place, self.spare)
        return place

    def following(
        self,
        value: ir.Value,
        bias: ir.Value | None,
        added: ir.Value | None,
        mask: ir.Value | None,
    ) -> ir.Value:
        """The value with bias and another tensor, through the activation."""
        b, lanes = self.b, self.blocks.lanes
        if bias is not None:
            value = b.fadd(value, bias)
        for name, parameter in self.blocks.problem.post:
            if name == "add":
                assert added is not None
                value = b.fadd(value, _load(b, added, lanes, mask))
            else:
                value = activated(Lanes(b, lanes), Lane(value, f32), name, parameter).value
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


def _inside(b: ir.IRBuilder, first: ir.Value, size: int) -> list[ir.Value | None]:
    """Whether each of a tile's places along a dim is in the result; None if it always is."""
    if size % OUT == 0:
        return [None] * OUT
    tests: list[ir.Value | None] = [None] * (size % OUT)
    return tests + [b.icmp_signed("<", add(b, first, i), i64(size)) for i in range(size % OUT, OUT)]


def _points(b: ir.IRBuilder, values: Values, matrix: Matrix) -> Values:
    return _linear(b, BUTTERFLY, _linear(b, matrix, values))


def _results(b: ir.IRBuilder, values: Values) -> Values:
    return _linear(b, RESULT, _linear(b, BUTTERFLY, values))


def _linear(b: ir.IRBuilder, matrix: Matrix, values: Values) -> Values:
    """A sparse constant matrix times a column of vectors."""
    found = []
    for row in matrix:
        terms = [(factor, x) for factor, x in zip(row, values, strict=True) if factor]
        (factor, total), *rest = sorted(terms, key=lambda term: term[0] != 1)
        if factor != 1:
            total = b.fmul(total, ir.Constant(total.type, [factor] * total.type.count))
        for factor, x in rest:
            if abs(factor) == 1:
                total = (b.fadd if factor > 0 else b.fsub)(total, x)
            else:
                scale = ir.Constant(x.type, [factor] * x.type.count)
                total = multiply_add(b, x, scale, total)
        found.append(total)
    return found


def _load(b: ir.IRBuilder, place: ir.Value, lanes: int, mask: ir.Value | None = None) -> ir.Value:
    return load_vector(b, place, lanes, f32, f32, mask)


def _function(module: ir.Module, name: str, pointers: int) -> tuple[ir.IRBuilder, Values]:
    kind = ir.FunctionType(ir.VoidType(), [*[POINTER] * pointers, I64])
    function = ir.Function(module, kind, name)
    return ir.IRBuilder(function.append_basic_block("entry")), function.args

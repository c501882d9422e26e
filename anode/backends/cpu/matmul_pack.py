"""Copying blocks of A and panels of B into scratch: contiguous, and of the type of the sum."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod

from llvmlite import ir

from anode.backends.cpu.lanes import Lane, Lanes
from anode.backends.cpu.llvm_ir import (
    I32,
    I64,
    LINE,
    POINTER,
    Index,
    Values,
    add,
    at,
    counted,
    element_type,
    i64,
    lanes_below,
    load_scalar,
    load_vector,
    loop,
    mul,
    prefetch,
    round_pairs,
    shuffle,
    smaller,
    splat,
    store_vector,
)
from anode.backends.cpu.matmul_plan import MatmulPlan, Panel
from anode.backends.cpu.matmul_spec import Operand, ceil_div
from anode.backends.cpu.matmul_view import Part, Segment, each_run, offset, segments
from anode.ir.dtypes import DType, bf16, f32, u32
from anode.passes.strides import Axis

COLUMNS = 16  # of A that are packed at a time: so many rows of memory stay near
PLACES = 128  # of a view likewise, whose rows are near: at most, as it is packed run by run
# Vectors of a stream from the one that is copied to the one that is asked for, and for which level
# of cache. The first waits for few lines at a time: where a step copies two, the second is asked.
ASKED: Sequence[tuple[int, int]] = ((64, 1),)
ASKED_OF_TWO: Sequence[tuple[int, int]] = ((256, 2), (24, 1))


EachTile = Callable[[Callable[[ir.Value, Sequence[int], ir.Value], None]], None]
"""Emits a body of (first row, rows of each of some row tiles, where they are packed) for all."""


def pack_rows(
    b: ir.IRBuilder, plan: MatmulPlan, source: ir.Value, target: ir.Value, rows: Part, part: Part
) -> None:
    """Copy some rows of a part of A to `target` as [m][k], `a_pitch` elements from row to row."""
    a, dtype, lanes, pitch = plan.spec.a, plan.spec.packed, plan.lanes, plan.a_pitch
    if plan.spec.in_words and a.dtype is bf16:
        dtype, pitch, part = bf16, 2 * pitch, _terms(b, plan, part)

    def row(i: ir.Value) -> None:
        start = at(b, source, offset(b, a.rows, a.row, b.add(i64(rows[0]), i)), a.dtype)
        copy = at(b, target, mul(b, i, pitch), dtype)

        def run(place: Index, distance: ir.Value, length: ir.Value, _: Values) -> Values:
            copy_run(at(b, start, distance, a.dtype), at(b, copy, place, dtype), length)
            return ()

        each_run(b, a.columns, a.column, part, run)
        if dtype is bf16 and a.column != 1:
            zero = ir.Constant(element_type(bf16), 0)  # what makes a word of an odd last term
            store_vector(b, zero, at(b, copy, part[1], bf16), bf16)

    def copy_run(line: ir.Value, copy: ir.Value, length: ir.Value) -> None:

        def vector(k: ir.Value) -> None:
            mask = lanes_below(b, b.sub(length, k), lanes)
            value = load_vector(b, at(b, line, k, a.dtype), lanes, a.dtype, dtype, mask)
            store_vector(b, value, at(b, copy, k, dtype), dtype)

        def scalar(k: ir.Value) -> None:
            value = load_scalar(b, at(b, line, mul(b, k, a.column), a.dtype), a.dtype, dtype)
            store_vector(b, value, at(b, copy, k, dtype), dtype)

        if a.column == 1:
            counted(b, 0, length, lanes, vector)
        else:
            counted(b, 0, length, 1, scalar)

    counted(b, 0, rows[1], 1, row)


def pack_columns(
    b: ir.IRBuilder, plan: MatmulPlan, source: ir.Value, part: Part, each_tile: EachTile
) -> None:
    """Copy a part of A's columns, mr contiguous elements of each column for a tile, as [k][mr].

    A few columns, or a part of a run of a view, are copied for all tiles before those that follow.
    Whole vectors are stored: what is too much lies where the next column goes, or behind the last.
    """
    a = plan.spec.a
    in_halves = plan.spec.in_words and a.dtype is bf16
    start, count = _terms(b, plan, part) if in_halves else part

    def few(first: ir.Value) -> None:
        length = smaller(b, b.sub(count, first), PLACES if a.columns else COLUMNS)

        def run(place: Index, distance: ir.Value, length: ir.Value, _: Values) -> Values:
            number, after = add(b, first, place), None
            if a.columns:
                last = b.add(start, b.add(number, length))
                after = b.sub(offset(b, a.columns, 0, last), distance)
            lines = _Run(at(b, source, distance, a.dtype), number, length, after)
            each_tile(lambda *tile: copy(lines, *tile))
            return ()

        each_run(b, a.columns, a.column, (add(b, start, first), length), run)

    def copy(run: _Run, first: ir.Value, tiles: Sequence[int], target: ir.Value) -> None:
        vectors, places = _vectors_of_tiles(plan, tiles)
        parts = segments(b, a.rows, first, plan.mr * len(tiles), vectors)
        found = list(zip(places, parts, strict=True))
        _pack_run(b, plan, target, _Lines(a.dtype, a.columns, a.column, plan.mr, found), run)

    counted(b, 0, count, PLACES if a.columns else COLUMNS, few)


def tiles_at_once(plan: MatmulPlan) -> int:
    """Row tiles that columns of A are packed for at a time: they lie in one run of its rows."""
    rows = plan.spec.a.rows
    return next(n for n in (4, 3, 2, 1) if n == 1 or not rows or rows[-1][0] % (n * plan.mr) == 0)


def _vectors_of_tiles(
    plan: MatmulPlan, tiles: Sequence[int]
) -> tuple[list[tuple[int, int, int]], list[tuple[int, ...]]]:
    """The vectors (start, valid lanes, lanes) of some row tiles, and where parts of each go."""
    mr, lanes = plan.mr, plan.lanes
    shared = lanes // mr
    if lanes % mr == 0 and len(tiles) % shared == 0 and tiles[-1] == mr:
        firsts = range(0, len(tiles), shared)
        places = [tuple((i + t) * plan.tile_pitch for t in range(shared)) for i in firsts]
        return [(i * mr, lanes, lanes) for i in firsts], places
    cut = [(tile, i) for tile, rows in enumerate(tiles) for i in range(0, rows, lanes)]
    vectors = [(tile * mr + i, min(lanes, tiles[tile] - i), lanes) for tile, i in cut]
    return vectors, [(tile * plan.tile_pitch + i,) for tile, i in cut]


def pack_panel(
    b: ir.IRBuilder,
    plan: MatmulPlan,
    source: ir.Value,
    target: ir.Value,
    columns: tuple[ir.Value, Panel],
    part: Part,
) -> None:
    """Copy a part of the rows of a panel of B whose columns are contiguous, as [k][nr]."""
    operand, (first, panel) = plan.spec.b, columns
    vectors = [(panel.offset(v), panel.valid(v), lanes) for v, lanes in enumerate(panel.lanes)]
    parts = segments(b, operand.columns, first, plan.nr, vectors)
    places = [((start,), segment) for (start, *_), segment in zip(vectors, parts, strict=True)]
    lines = _Lines(operand.dtype, operand.rows, operand.row, plan.nr, places)
    _pack_lines(b, plan, source, target, lines, part)


@dataclass(frozen=True)
class _Lines:
    """What is packed at each step of k: vectors and where they go, `pitch` elements a step.

    A vector goes to one place, or equal parts of it to as many as there are.
    """

    dtype: DType
    axis: Axis
    stride: int
    pitch: int
    vectors: Sequence[tuple[tuple[int, ...], Segment]]

    def ask(self, b: ir.IRBuilder, elements: ir.Value, count: int) -> None:
        """Ask for what is packed of `count` steps of k, the first of which begins at `elements`."""
        places = [p for _, segment in self.vectors for p, _ in segment.parts]
        places = places[:: LINE // self.dtype.size // self.vectors[0][1].lanes]
        for k, place in product(range(count), places):
            _ask(b, at(b, elements, b.add(place, i64(k * self.stride)), self.dtype), self.dtype)

    def in_halves(self, plan: MatmulPlan) -> bool:
        """Whether they are single terms of a product that is computed in words of two."""
        return plan.spec.in_words and self.dtype is bf16


@dataclass(frozen=True)
class _Run:
    """Lines one stride apart: where the first is, its number and how many they are.

    `after` is how far from them those are that are packed next, if they are to be asked for.
    """

    begin: ir.Value
    number: ir.Value
    length: ir.Value
    after: ir.Value | None = None


def _pack_lines(
    b: ir.IRBuilder,
    plan: MatmulPlan,
    source: ir.Value,
    target: ir.Value,
    lines: _Lines,
    part: Part,
) -> None:
    """Copy a part of k, run by run."""

    def run(place: Index, distance: ir.Value, length: ir.Value, _: Values) -> Values:
        begin = at(b, source, distance, lines.dtype)
        _pack_run(b, plan, target, lines, _Run(begin, i64(place), length))
        return ()

    part = _terms(b, plan, part) if lines.in_halves(plan) else part
    each_run(b, lines.axis, lines.stride, part, run)


def _pack_run(
    b: ir.IRBuilder, plan: MatmulPlan, target: ir.Value, lines: _Lines, run: _Run
) -> None:
    """Copy a run of lines to where they go by their numbers."""
    if lines.in_halves(plan):
        _pack_words(b, target, lines, run)
        return
    dtype = plan.spec.packed
    copies = at(b, target, mul(b, run.number, lines.pitch), dtype)

    def line(k: ir.Value, _: Values) -> Values:
        elements = at(b, run.begin, mul(b, k, lines.stride), lines.dtype)
        copy = at(b, copies, mul(b, k, lines.pitch), dtype)
        for places, segment in lines.vectors:
            value = segment.load(b, elements, lines.dtype, dtype)
            for place, part in zip(places, _parts(b, value, len(places)), strict=True):
                store_vector(b, part, at(b, copy, place, dtype), dtype)
        return ()

    loop(b, 0, run.length, 1, line)


def _pack_words(b: ir.IRBuilder, target: ir.Value, lines: _Lines, run: _Run) -> None:
    """Copy a run of lines that are single terms: each is one half of words, the low ones first.

    Two lines of a run are words at once; one that its partner is not next to joins it later.
    """

    def pack(k: ir.Value, pair: bool) -> None:
        elements = at(b, run.begin, mul(b, k, lines.stride), bf16)
        term = b.add(run.number, k)
        copy = at(b, target, mul(b, b.lshr(term, i64(1)), lines.pitch), u32)
        if run.after is not None:
            lines.ask(b, at(b, elements, run.after, bf16), 1 + pair)
        for places, segment in lines.vectors:
            value = segment.load(b, elements, bf16, bf16)
            if pair:
                after = segment.load(b, at(b, elements, lines.stride, bf16), bf16, bf16)
                value = _words(b, value, after)
            for place, part in zip(places, _parts(b, value, len(places)), strict=True):
                to = at(b, copy, place, u32)
                store_vector(b, part if pair else _joined(b, part, to, term), to, u32)

    first = b.and_(run.number, i64(1))
    last = b.sub(run.length, b.and_(b.sub(run.length, first), i64(1)))
    counted(b, 0, first, 1, lambda k: pack(k, False))
    counted(b, first, last, 2, lambda k: pack(k, True))
    counted(b, last, run.length, 1, lambda k: pack(k, False))


def _parts(b: ir.IRBuilder, value: ir.Value, count: int) -> Values:
    """A vector in so many equal parts."""
    lanes = value.type.count // count
    if count == 1:
        return [value]
    return [shuffle(b, value, value, range(i * lanes, (i + 1) * lanes)) for i in range(count)]


def _words(b: ir.IRBuilder, low: ir.Value, high: ir.Value) -> ir.Value:
    kind = ir.VectorType(I32, low.type.count)
    sixteen = ir.Constant(kind, [16] * kind.count)
    return b.or_(b.zext(low, kind), b.shl(b.zext(high, kind), sixteen))


def _joined(b: ir.IRBuilder, half: ir.Value, place: ir.Value, number: ir.Value) -> ir.Value:
    """Words with `half` as their low half; for odd numbers as the high one, above what is there."""
    lanes = half.type.count
    odd = b.trunc(b.and_(number, i64(1)), I32)
    shift, keep = b.mul(odd, I32(16)), b.sub(I32(0), odd)
    words = b.zext(half, ir.VectorType(I32, lanes))
    present = b.and_(load_vector(b, place, lanes, u32, u32), splat(b, keep, lanes))
    return b.or_(b.shl(words, splat(b, shift, lanes)), present)


def _terms(b: ir.IRBuilder, plan: MatmulPlan, part: Part) -> Part:
    """A part of k in single terms, of which the last word may have one only."""
    start = mul(b, i64(part[0]), 2)
    count = smaller(b, mul(b, part[1], 2), b.sub(i64(plan.spec.terms), start))
    return start, count


def panel_ahead(
    b: ir.IRBuilder,
    plan: MatmulPlan,
    source: ir.Value,
    start: ir.Value,
    column: ir.Value,
    tile: ir.Value,
) -> Callable[[ir.Value], None]:
    """What asks at every step of k of one of the row tiles for its share of a far panel of B.

    The panel begins at `column`, the pass over k at `start`. The share is a line for each step.
    """
    operand, size = plan.spec.b, plan.spec.b.dtype.size
    width = LINE // size
    terms = 2 if plan.spec.in_words and operand.dtype is bf16 else 1
    begin = b.add(mul(b, start, terms * operand.row), mul(b, column, operand.column))
    if operand.column == 1:
        number = smaller(b, tile, terms * ceil_div(plan.nr, width) - 1)
        first = mul(b, b.and_(number, i64(terms - 1)), operand.row)
        line = mul(b, b.lshr(number, i64(terms - 1)), width)
        panel = at(b, source, b.add(begin, b.add(first, line)), operand.dtype)
        step = terms * operand.row
        return lambda k: _ask(b, at(b, panel, mul(b, k, step), operand.dtype), operand.dtype)
    lines = ceil_div(plan.kc, width)
    first = mul(b, tile, plan.kc)
    panel = at(b, source, begin, operand.dtype)

    def ask(k: ir.Value) -> None:
        number = b.add(first, k)
        column = smaller(b, b.udiv(number, i64(lines)), plan.nr - 1)
        down = mul(b, b.urem(number, i64(lines)), width * operand.row)
        place = at(b, panel, b.add(down, mul(b, column, operand.column)), operand.dtype)
        _ask(b, place, operand.dtype)

    return ask


@dataclass(frozen=True)
class Stream:
    """A block of a far B on its way to `target`, vector by vector in the order of memory.

    `first` is its first element; the plan says what its runs are.
    """

    builder: ir.IRBuilder
    plan: MatmulPlan
    source: ir.Value
    first: ir.Value
    target: ir.Value

    def copy(self, number: ir.Value) -> None:
        """Copy vector `number` of the block, or one that does not matter if it has fewer.

        Those that are copied some steps later are asked for.
        """
        b, plan, spec = self.builder, self.plan, self.plan.spec
        place = smaller(b, number, prod(plan.streamed))
        copy = at(b, self.target, mul(b, place, plan.lanes), spec.packed)
        store_vector(b, self.packed(number), copy, spec.packed)
        two_lines = spec.joins_b and spec.b.rounded is not None
        for ahead, level in ASKED_OF_TWO if two_lines else ASKED:
            for later in self.places(add(b, number, ahead)):
                prefetch(b, later, plan.lanes, spec.b.dtype, aligned=True, level=level)

    def packed(self, number: ir.Value) -> ir.Value:
        """Vector `number` as it is packed."""
        b, plan, spec = self.builder, self.plan, self.plan.spec
        source, rounded = spec.b.dtype, spec.b.rounded
        dtype = source if spec.joins_b else spec.packed
        values = [load_vector(b, p, plan.lanes, source, dtype) for p in self.places(number)]
        if not spec.joins_b:
            return _rounded(b, values[0], rounded) if rounded else values[0]
        if rounded is None:
            return _words(b, *values)
        halves = round_pairs(b, *values)
        if spec.b.column == 1:
            order = [term * plan.lanes + lane for lane in range(plan.lanes) for term in (0, 1)]
            halves = shuffle(b, halves, halves, order)
        return b.bitcast(halves, ir.VectorType(I32, plan.lanes))

    def places(self, number: ir.Value) -> list[ir.Value]:
        """Where in B vector `number` is, or its two parts; the last of B for those past its end.

        The parts are two terms of each word; of half the words each, where k is contiguous.
        """
        b, spec, lanes = self.builder, self.plan.spec, self.plan.lanes
        operand, terms = spec.b, 1 + spec.joins_b
        across, along, part = operand.column, terms, lanes
        if operand.column == 1:
            across, along, part = terms * operand.row, 1, operand.row
        vectors = i64(self.plan.streamed[1])
        line, within = b.udiv(number, vectors), b.urem(number, vectors)
        distance = b.add(mul(b, line, across), mul(b, within, along * lanes))
        last = (spec.k - 1) * terms * operand.row + (spec.n - 1) * operand.column
        last -= along * (lanes - 1)
        start = smaller(b, b.add(self.first, distance), last)
        first = at(b, self.source, start, operand.dtype)
        return [at(b, first, term * part, operand.dtype) for term in range(terms)]


def _rounded(b: ir.IRBuilder, value: ir.Value, dtype: DType) -> ir.Value:
    """f32 rounded to a half type, as f32."""
    lanes = Lanes(b, value.type.count)
    return lanes.widen(lanes.round(Lane(value, f32), dtype)).value


def _ask(b: ir.IRBuilder, place: ir.Value, dtype: DType) -> None:
    prefetch(b, place, 1, dtype, aligned=True)


def transposer(plan: MatmulPlan, module: ir.Module, name: str) -> ir.Function:
    """A function that packs a panel of B whose columns are not contiguous.

    Its type is void (source, target, first column, columns, first row, rows), `columns` being how
    many of the panel exist; one function serves every shape of panel. Lanes past `columns` repeat
    the last column, which keeps loads inside B; what is computed from them is never stored.
    """
    kind = ir.FunctionType(ir.VoidType(), [POINTER, POINTER, I64, I64, I64, I64])
    function = ir.Function(module, kind, name)
    function.linkage = "internal"
    function.attributes.add("nounwind")
    b = ir.IRBuilder(function.append_basic_block("entry"))
    source, target, first, columns, *part = function.args
    if plan.streams_b:
        pitch = plan.streamed[1] * plan.lanes
        plan = replace(plan, spec=replace(plan.spec, b=Operand(plan.spec.packed, (1, pitch))))
    operand, dtype, lanes = plan.spec.b, plan.spec.packed, plan.lanes
    copy_lines = _copy_elements
    if plan.spec.b.row == 1 and dtype.size >= 4:
        copy_lines = _transpose_blocks

    def block(start: ir.Value, _: Values) -> Values:
        lines = [
            _column(b, operand, source, first, columns, add(b, start, i)) for i in range(lanes)
        ]
        copy = at(b, target, start, dtype)

        def run(place: Index, distance: ir.Value, length: ir.Value, _: Values) -> Values:
            begins = [at(b, line, distance, operand.dtype) for line in lines]
            copy_lines(b, plan, begins, at(b, copy, mul(b, i64(place), plan.nr), dtype), length)
            return ()

        each_run(b, operand.rows, operand.row, (part[0], part[1]), run)
        return ()

    loop(b, 0, columns, lanes, block)
    b.ret_void()
    return function


def _column(
    b: ir.IRBuilder,
    operand: Operand,
    source: ir.Value,
    first: ir.Value,
    columns: ir.Value,
    index: ir.Value,
) -> ir.Value:
    """Where column `first + index` begins, or the last column there is."""
    column = b.add(first, smaller(b, index, b.sub(columns, i64(1))))
    return at(b, source, offset(b, operand.columns, operand.column, column), operand.dtype)


def _transpose_blocks(
    b: ir.IRBuilder, plan: MatmulPlan, lines: Values, copy: ir.Value, depth: ir.Value
) -> None:
    """Pack one vector's width of columns, contiguous along k, 16 bytes of k at a time.

    Vector i gathers, in 16-byte parts, the columns i, i + unit, i + 2 unit, …; then transposing
    inside each part is all it takes, and the gathering needs no shuffles but loads.
    """
    source, dtype = plan.spec.b.dtype, plan.spec.packed
    unit = 16 // dtype.size

    def block(k: ir.Value, _: Values) -> Values:
        mask = lanes_below(b, b.sub(depth, k), unit)
        parts = [
            load_vector(b, at(b, line, k, source), unit, source, dtype, mask) for line in lines
        ]
        columns = [_concatenate(b, parts[i::unit]) for i in range(unit)]
        row = at(b, copy, mul(b, k, plan.nr), dtype)
        for index, value in enumerate(_interleave(b, columns, unit)):
            store_vector(b, value, at(b, row, index * plan.nr, dtype), dtype)
        return ()

    loop(b, 0, depth, unit, block)


def _copy_elements(
    b: ir.IRBuilder, plan: MatmulPlan, lines: Values, copy: ir.Value, depth: ir.Value
) -> None:
    """Pack one vector's width of columns element by element; for strides that are rare."""
    operand, dtype = plan.spec.b, plan.spec.packed

    def row(k: ir.Value, _: Values) -> Values:
        place = at(b, copy, mul(b, k, plan.nr), dtype)
        along = mul(b, k, operand.row)
        for lane, line in enumerate(lines):
            value = load_scalar(b, at(b, line, along, operand.dtype), operand.dtype, dtype)
            store_vector(b, value, at(b, place, lane, dtype), dtype)
        return ()

    loop(b, 0, depth, 1, row)


def _concatenate(b: ir.IRBuilder, parts: Values) -> ir.Value:
    """One vector of all `parts`, a power of two of them, in order."""
    while len(parts) > 1:
        indices = list(range(2 * parts[0].type.count))
        parts = [shuffle(b, x, y, indices) for x, y in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]


def _interleave(b: ir.IRBuilder, rows: Values, unit: int) -> list[ir.Value]:
    """Transpose each 16-byte part (`unit` elements) of `unit` rows."""
    if unit == 2:
        return [_zip(b, rows[0], rows[1], 2, 1, high) for high in (0, 1)]
    pairs = [_zip(b, rows[i], rows[i + 1], 4, 1, high) for i in (0, 2) for high in (0, 1)]
    return [_zip(b, pairs[i], pairs[i + 2], 4, 2, high) for i in (0, 1) for high in (0, 1)]


def _zip(b: ir.IRBuilder, x: ir.Value, y: ir.Value, unit: int, run: int, high: int) -> ir.Value:
    """Runs of the low (or high) half of each part of `x`, alternating with those of `y`."""
    lanes = x.type.count
    indices: list[int] = []
    for part in range(0, lanes, unit):
        for start in range(part + high * unit // 2, part + (high + 1) * unit // 2, run):
            indices += range(start, start + run)
            indices += range(lanes + start, lanes + start + run)
    return shuffle(b, x, y, indices)

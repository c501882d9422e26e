"""How one matrix product is cut up: micro-tile, cache blocks, packing and the grid of tasks."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, prod
from typing import Literal

from anode.backends.cpu.matmul_spec import (
    FEW_COLUMNS,
    MatmulSpec,
    ceil_div,
    in_words,
    round_up,
)
from anode.backends.cpu.target import Target
from anode.ir.dtypes import bf16

_TASK_CYCLES = 24_000  # about 7 µs: long against the cost of handing out a task
_LEAST_CYCLES = 6_000  # of a task where some threads would have none
_FAR_CYCLES = 640  # the latency of the last-level cache, two or three times over
_COPYING = 1.1  # what packing A costs, relative to a tile that does without
_STREAM_ROWS = 48  # of B that are copied at a time: two such blocks fit the second-level cache
_STREAM_COLUMNS = 1024  # of B in such a block: rows are then read in runs of a page
_STREAM_DEPTH = 512  # of columns of B that are copied, if those are contiguous
_TASKS_PER_THREAD = 6  # lets work stealing even out threads that start late or run slower


Form = Literal["outer", "dots", "column"]
"""How a micro-tile is computed; see `matmul_tile`."""


@dataclass(frozen=True)
class Panel:
    """Columns of C that one micro-tile covers: the lanes of each vector, and how many exist.

    All vectors are full ones but the last, which is as narrow as the columns left allow.
    """

    lanes: tuple[int, ...]
    columns: int

    def offset(self, vector: int) -> int:
        return sum(self.lanes[:vector])

    def valid(self, vector: int) -> int:
        """How many lanes of `vector` are columns of C."""
        return min(self.lanes[vector], self.columns - self.offset(vector))


@dataclass(frozen=True)
class MatmulPlan:
    """The blocking of one product; everything the emitter needs to know.

    A micro-tile is `mr` rows by one panel of `nr` columns; `row_tiles` and `panels` count them.
    `kc` is the depth of one pass over k. The tasks are `groups` × `row_blocks` × `column_blocks`,
    the groups sharing out the batch. `scratch_bytes` is what one running task needs.
    """

    spec: MatmulSpec
    target: Target
    form: Form
    mr: int
    nr: int
    kc: int
    pack_a: bool
    pack_b: bool
    groups: int
    row_blocks: int
    column_blocks: int

    @property
    def tasks(self) -> int:
        return self.groups * self.row_blocks * self.column_blocks

    @property
    def lanes(self) -> int:
        return self.target.lanes(self.spec.dtype.size)

    @property
    def batches(self) -> int:
        return prod(self.spec.batch)

    @property
    def row_tiles(self) -> int:
        return ceil_div(self.spec.m, self.mr)

    @property
    def panels(self) -> int:
        return ceil_div(self.spec.n, self.nr)

    @property
    def k_blocks(self) -> int:
        return max(1, ceil_div(self.spec.k, self.kc))

    @property
    def panel(self) -> Panel:
        """The panel that most of C is made of."""
        return _panel(min(self.nr, self.spec.n), self.lanes, 4 if self.spec.in_words else 1)

    @property
    def last_panel(self) -> Panel | None:
        """The panel at the right edge, where it differs."""
        rest = self.spec.n % self.nr
        least = 4 if self.spec.in_words else 1
        return _panel(rest, self.lanes, least) if rest and self.spec.n > self.nr else None

    @property
    def block_panels(self) -> int:
        """Panels of the largest task."""
        return ceil_div(self.panels, self.column_blocks)

    @property
    def rows_first(self) -> bool:
        """Whether a task finishes rows of C before it goes down: short sums make C the traffic.

        It then writes C, and whatever the epilogue reads beside it, in order. Packing B forbids it.
        """
        b_bytes = self.spec.k * self.spec.n * self.spec.b.dtype.size
        return not self.pack_b and self.kc <= 256 and b_bytes <= self.target.l2

    @property
    def rows_ahead(self) -> int:
        """How many steps of k before its use a row of B is asked for; 0 if B is near or packed."""
        in_place = self.form == "outer" and not self.pack_b
        if not in_place or not _is_far(self.spec, self.spec.n, self.target.l2):
            return 0
        rows = ceil_div(_FAR_CYCLES, self.mr * len(self.panel.lanes))
        return rows if rows < self.kc else 0

    @property
    def streams_b(self) -> bool:
        """Whether blocks of rows of B are copied, each while the one before is multiplied."""
        return self.pack_b and _streams_b(self.spec, self.mr, self.nr, self.target)

    @property
    def streamed(self) -> tuple[int, int]:
        """Runs of a block of B that is copied, and vectors from one to the next.

        Runs are rows of a task's panels; columns of one panel, where columns are contiguous. The
        vectors are an odd number, so that no runs collide in the cache.
        """
        if self.spec.b.column == 1:
            return self.kc, ceil_div(self.block_panels * self.nr, self.lanes) | 1
        return self.nr, ceil_div(self.kc, self.lanes) | 1

    @property
    def panels_ahead(self) -> bool:
        """Whether the panel that is packed next is asked for while this one is multiplied."""
        return (
            self.pack_b
            and not self.streams_b
            and self.spec.b.is_plain
            and _is_far(self.spec, self.spec.n, self.target.l2)
        )

    @property
    def a_is_column_major(self) -> bool:
        """Whether A is packed as [tile][k][mr], from contiguous columns; else as [m][k]."""
        return self.spec.a.is_column_major

    @property
    def a_pitch(self) -> int:
        """Elements from one row of packed A to the next: whole vectors, and no power of two."""
        return round_up(self.kc, self.lanes) + 16

    @property
    def tile_pitch(self) -> int:
        """Elements from one tile of packed A to the next; columns may end in a part of a vector."""
        if self.a_is_column_major:
            return self.kc * self.mr + self.lanes
        return self.a_pitch * self.mr

    @property
    def a_bytes(self) -> int:
        if not self.pack_a:
            return 0
        tiles = ceil_div(self.row_tiles, self.row_blocks)
        return round_up(tiles * self.tile_pitch * self.spec.dtype.size + 64, 64)

    @property
    def b_bytes(self) -> int:
        rows = round_up(self.kc, self.lanes)
        rows += self.lanes if self.spec.b.rows else 0  # the last run may be copied beyond its end
        packed = round_up(rows * self.nr * self.spec.dtype.size, 64) if self.pack_b else 0
        if self.streams_b:
            packed = self.block_bytes if self.spec.b.column == 1 else packed
            return self.block_bytes + packed
        return packed

    @property
    def block_bytes(self) -> int:
        """A block of B, and a vector beside it that is overwritten when the block is complete."""
        return (prod(self.streamed) + 1) * self.lanes * self.spec.dtype.size

    @property
    def tile_elements(self) -> int:
        return self.mr * self.nr

    @property
    def c_bytes(self) -> int:
        """Sums kept between passes over k; one tile, on its way to the epilogue, for one pass."""
        tiles = ceil_div(self.row_tiles, self.row_blocks) * self.block_panels
        tiles = tiles if self.k_blocks > 1 else 1
        return round_up(tiles * self.tile_elements * self.spec.dtype.size, 64)

    @property
    def scratch_bytes(self) -> int:
        return self.a_bytes + self.b_bytes + self.c_bytes


def plan_matmul(spec: MatmulSpec, target: Target) -> MatmulPlan:
    """The blocking for `spec` on `target`; pure arithmetic, a fraction of a millisecond."""
    lanes = target.lanes(spec.dtype.size)
    form = _form(spec, lanes)
    if form == "outer" and "+avx512bf16" in target.features:
        spec = in_words(spec)
    mr, nr = _tile_of_form(spec, form, lanes, target)
    kc = _depth(spec, target) if form == "outer" else max(spec.k, 1)
    streams = form == "outer" and _streams_b(spec, mr, nr, target)
    pack_a = form == "outer" and (_packs_a(spec, mr, nr) or (streams and spec.a.column != 1))
    pack_b = streams or (form == "outer" and _packs_b(spec, ceil_div(spec.m, mr)))
    cost = _Cost(spec, lanes, mr, nr, pack_a, pack_b, target.l2)
    grid = _grid(cost, kc, target)
    if streams:
        kc = _STREAM_ROWS if spec.b.column == 1 else _STREAM_DEPTH
        grid = prod(spec.batch), 1, _stream_tasks(spec, ceil_div(spec.n, nr))
    return MatmulPlan(spec, target, form, mr, nr, kc, pack_a, pack_b, *grid)


def _panel(columns: int, lanes: int, least: int = 1) -> Panel:
    full, rest = divmod(columns, lanes)
    tail = (max(least, 1 << (rest - 1).bit_length()),) if rest else ()
    return Panel((lanes,) * full + tail, columns)


def _width(panel: Panel, lanes: int) -> float:
    """Cost of one row of FMAs: half vectors issue two a cycle where full ones issue one."""
    return sum(1.0 if size == lanes else 0.5 for size in panel.lanes)


def _is_far(spec: MatmulSpec, width: int, l2: int) -> bool:
    """Whether an operand of k by `width` elements is more than the second-level cache can keep."""
    return spec.k * width * spec.dtype.size > l2 // 2


def _streams_b(spec: MatmulSpec, mr: int, nr: int, target: Target) -> bool:
    """Whether B is copied in long runs: it is far and wide, and few rows of C share each element.

    Every step of k of a row tile copies a vector: more tiles than a panel has vectors copy it all.
    """
    b, lanes = spec.b, target.lanes(spec.dtype.size)
    length, across, unit = spec.n, b.row, lanes
    if b.column != 1:
        length, across, unit = spec.k, b.column, _STREAM_DEPTH  # every pass copies as much
    runs = b.is_plain and 1 in (b.row, b.column) and across >= length and length % unit == 0
    whole = not (spec.joins_b and spec.terms % 2)
    tiles = nr // lanes < ceil_div(spec.m, mr) <= 8
    large = min(spec.n, spec.k) >= _STREAM_COLUMNS and _is_far(spec, spec.n, 32 * target.l2)
    return runs and whole and tiles and large


def _stream_tasks(spec: MatmulSpec, panels: int) -> int:
    """Column blocks of a product that streams B: even shares of eight panels or more.

    Fewer panels in some tasks than in others then still copy what is next (see `_streams_b`).
    """
    each = max(1, round(spec.n / _STREAM_COLUMNS / spec.threads))
    return min(each * spec.threads, panels // 8)


def _form(spec: MatmulSpec, lanes: int) -> Form:
    """Vectors along k or m where C or B has no rows to load."""
    if not (spec.a.is_plain and spec.b.is_plain):
        return "outer"
    along_k = spec.a.column == 1 and spec.b.row == 1 and spec.k >= lanes
    if along_k and spec.dtype.size >= 4 and (spec.n == 1 or spec.m <= 4):
        return "dots"
    return "column" if spec.n == 1 and spec.a.row == 1 else "outer"


def _tile_of_form(spec: MatmulSpec, form: Form, lanes: int, target: Target) -> tuple[int, int]:
    """Rows and columns of the micro-tile."""
    if form == "dots":
        return (lanes, 1) if spec.n == 1 else (spec.m, lanes)
    if form == "column":
        return min(8, ceil_div(spec.m, lanes)) * lanes, 1
    best, *tile = _tile(spec, lanes, target.registers)
    if spec.a.rows or _packs_halves(spec):
        cycles, *simple = _tile(spec, lanes, target.registers, simple=True)
        tile = simple if cycles <= _COPYING * best else tile
    mr, vectors = tile
    return mr, vectors * lanes


def _packs_halves(spec: MatmulSpec) -> bool:
    """Whether columns of A are packed into words."""
    return spec.in_words and spec.a.dtype is bf16 and spec.a.is_column_major


def _tile(
    spec: MatmulSpec, lanes: int, registers: int, simple: bool = False
) -> tuple[float, int, int]:
    """Rows and vectors of the micro-tile that waste least, as (cycles, mr, vectors).

    The sums must fit the registers beside one row of B and one broadcast element of A. A tile of
    another shape at an edge costs compile time, so a size that divides evenly wins a close race.
    Tiles that are `simple` lie in one run of the rows of a view, and where their columns are
    packed into words, in parts of a vector or in whole ones.
    """
    m, n, best = spec.m, spec.n, (inf, 1, 1)
    for vectors in range(1, min(ceil_div(n, lanes), registers - 3) + 1):
        most = registers - 2 if vectors == 1 else (registers - 1) // vectors - 1
        least = 1 if simple else max(1, most // 2)
        for mr in range(min(m, least), min(m, max(1, most)) + 1):
            if not simple or _is_simple(spec, lanes, mr):
                best = min(best, (_tile_cycles(m, n, lanes, mr, vectors), mr, vectors))
    return best


def _is_simple(spec: MatmulSpec, lanes: int, mr: int) -> bool:
    even = lanes % mr == 0 or mr % lanes == 0
    return not (spec.a.rows and spec.a.rows[-1][0] % mr) and (even or not _packs_halves(spec))


def _tile_cycles(m: int, n: int, lanes: int, mr: int, vectors: int) -> float:
    """Cycles of one step of k over all of C, from the issue limits of FMAs and loads."""
    full, rest = divmod(n, vectors * lanes)
    kinds = [(full, _panel(vectors * lanes, lanes)), (min(rest, 1), _panel(rest, lanes))]
    rows = [(m // mr, mr), (min(m % mr, 1), m % mr)]
    steps = [
        panels * tiles * _step_cycles(height, panel, lanes)
        for panels, panel in kinds
        if panels
        for tiles, height in rows
        if tiles
    ]
    return sum(steps) + 10.0 * len(steps)


def _step_cycles(mr: int, panel: Panel, lanes: int) -> float:
    """Cycles of one step of k in one micro-tile; at least the latency of an FMA."""
    arithmetic = mr * _width(panel, lanes)
    loads = 1.5 * len(panel.lanes) + 0.5 * mr
    return max(arithmetic, loads, 4.0) + 0.25 * loads


def _depth(spec: MatmulSpec, target: Target) -> int:
    """The depth of a pass over k: 512 rows of A fill the second-level cache.

    Columns of a view that are read in place fill twice as many lines. One pass is cheaper still
    while all of A fits that cache.
    """
    size = spec.dtype.size
    rows = 1024 if spec.a.columns and spec.a.is_column_major else 512
    most = max(256, target.l2 // rows // size)
    if spec.k <= most or (spec.k <= 4 * most and spec.m * spec.k * size <= target.l2):
        return max(spec.k, 1)
    return round_up(ceil_div(spec.k, ceil_div(spec.k, most)), 16)


def _collides(stride: int, spec: MatmulSpec) -> bool:
    """Whether lines `stride` elements apart fall into one set of the first-level cache."""
    return (stride * spec.dtype.size) % 4096 == 0


def _packs_a(spec: MatmulSpec, mr: int, nr: int) -> bool:
    """Whether A is copied first: it needs widening, is strided, or its lines collide."""
    a = spec.a
    if spec.in_words and a.dtype is bf16:
        return True
    if a.rows and a.rows[-1][0] % mr:
        return True
    if not a.is_plain and a.dtype is spec.packed:
        return False
    if spec.n <= 2 * nr and spec.n <= FEW_COLUMNS:
        return False  # too little use of each element
    if a.dtype is not spec.packed or 1 not in (a.row, a.column):
        return True
    lines, stride = (mr, a.row) if a.column == 1 else (spec.k, a.column)
    return lines > 4 and _collides(stride, spec)


def _packs_b(spec: MatmulSpec, row_tiles: int) -> bool:
    """Whether panels of B are copied first: always when columns are not contiguous.

    Otherwise rows are streamed in place, which measured faster, unless they collide in the cache,
    or each lies in a page of its own and many rows of A make up for the copy.
    """
    if spec.in_words or not spec.b.is_plain or (spec.b.column != 1 and spec.n > 1):
        return True
    if row_tiles <= 2:
        return False
    if spec.a.columns and row_tiles > 8:
        return True  # A's lines are read in place: B's had better lie close
    paged = spec.b.row * spec.dtype.size >= 4096 and spec.k >= 128 and spec.m >= 256
    collides = spec.k > 64 and _collides(spec.b.row, spec)
    return spec.b.dtype is not spec.dtype or paged or collides


@dataclass(frozen=True)
class _Cost:
    """Estimated cycles of parts of one product; `l2` is bytes of second-level cache."""

    spec: MatmulSpec
    lanes: int
    mr: int
    nr: int
    pack_a: bool
    pack_b: bool
    l2: int

    @property
    def row_tiles(self) -> int:
        return ceil_div(self.spec.m, self.mr)

    @property
    def panels(self) -> int:
        return ceil_div(self.spec.n, self.nr)

    def block(self, tiles: int, panels: int) -> float:
        """Cycles of a task of `tiles` row tiles by `panels` panels, with its reads."""
        if self.spec.n == 1:
            return 8.0 + tiles * self.mr * self.spec.k * 2.0 / self.lanes
        rows = min(tiles * self.mr, self.spec.m)
        vectors = ceil_div(min(panels * self.nr, self.spec.n), self.lanes)
        read_b = self.first_read(self.pack_b, self.spec.n) * vectors
        read_b *= 2.0 if self.pack_b and self.spec.b.column != 1 else 1.0
        read_a = self.first_read(self.pack_a, self.spec.m) * rows / self.lanes
        if self.spec.a.columns and self.spec.a.is_column_major:
            # Sums over pixels: a line of A for each tile and step, used in part, and all of B, once
            # more for each task (as measured on convolutions by weights).
            read_a += 8.0 * tiles
            read_b += 20.0 * vectors * _is_far(self.spec, self.spec.n, self.l2)
        return (rows * vectors * 1.1 + read_a + read_b) * self.spec.k + 10.0 * rows * vectors

    def first_read(self, packed: bool, width: int) -> float:
        """Cycles per vector for a task to pack an operand, or to bring a large one near."""
        return 3.0 * packed + 5.0 * _is_far(self.spec, width, self.l2)


def _grid(cost: _Cost, kc: int, target: Target) -> tuple[int, int, int]:
    """The task grid (batch groups, row blocks, column blocks) that should finish first."""
    spec = cost.spec
    batches = prod(spec.batch)
    whole = cost.block(cost.row_tiles, cost.panels)
    if batches > 1 and (whole < _TASK_CYCLES or batches >= _TASKS_PER_THREAD * spec.threads):
        per_group = max(1, int(_TASK_CYCLES / whole))
        if batches // per_group < _TASKS_PER_THREAD * spec.threads:
            return ceil_div(batches, per_group), 1, 1
        return min(batches, max(8 * spec.threads, 1)), 1, 1
    least_rows = ceil_div(cost.row_tiles * cost.mr * kc * spec.dtype.size, target.l2)
    rows = max(1, min(least_rows, cost.row_tiles))
    return batches, *_blocks(cost, rows, batches)


def _blocks(cost: _Cost, least_rows: int, batches: int) -> tuple[int, int]:
    """Row and column blocks of one product, the cheapest by a simulated run of the team."""
    threads = cost.spec.threads
    if threads == 1:
        return least_rows, 1
    whole = cost.block(cost.row_tiles, cost.panels) * batches
    most = int(max(1, min(whole / _TASK_CYCLES, 2 * _TASKS_PER_THREAD * threads)))
    most = max(most, min(int(whole / _LEAST_CYCLES), threads))
    best = (float("inf"), least_rows, 1)
    for rows in range(least_rows, min(cost.row_tiles, max(most, least_rows)) + 1):
        limit = max(1, ceil_div(most, rows * batches))
        for columns in range(1, min(cost.panels, limit) + 1):
            best = min(best, (_makespan(cost, rows, columns, batches), rows, columns))
    return best[1], best[2]


def _makespan(cost: _Cost, rows: int, columns: int, batches: int) -> float:
    """When the last thread ends, plus a share of a task for threads that run unevenly."""
    tiles, panels = ceil_div(cost.row_tiles, rows), ceil_div(cost.panels, columns)
    task = cost.block(tiles, panels)
    each = ceil_div(rows * columns * batches, cost.spec.threads)
    full = _share(cost, rows, columns, batches) / (each * tiles * panels)
    return each * (task * full + 1000.0) + 0.5 * task


def _share(cost: _Cost, rows: int, columns: int, batches: int) -> int:
    """The most micro-tiles that one thread computes, as blocks of a grid are not all one size.

    Threads get runs of tasks of equal length; those that are whole rows of the grid, or lie in one
    row, are rectangles, whose sizes differ by less than the blocks they are made of.
    """
    tiles, panels = ceil_div(cost.row_tiles, rows), ceil_div(cost.panels, columns)
    each, rest = divmod(rows * columns * batches, cost.spec.threads)
    if rest or batches > 1:
        return (each + 1 if rest else each) * tiles * panels
    if each % columns == 0:
        return ceil_div(cost.row_tiles * (each // columns), rows) * cost.panels
    if columns % each == 0:
        return tiles * ceil_div(cost.panels * each, columns)
    return each * tiles * panels

"""Matrix products as LLVM code: one function per shape, one call per task, a fused epilogue.

C is cut into micro-tiles of mr rows by a panel of a few vectors. A tile keeps its sums in
registers while k runs: each step loads one row of the panel from B and multiplies it by mr elements
of A, each broadcast. mr and the panel's width are chosen per shape to waste the fewest lanes and
rows; columns left at the right edge get a narrower vector, masked only where it still overhangs.

A task owns whole tiles of C, never a part of a sum, and adds up k in order; so the bits depend on
neither the blocking nor the number of threads (a form with vectors along k, for matrix-vector
products, adds lanes at the end; it too is chosen by shape alone). Deep products run k in passes of
kc, so that a block of A and a panel of B stay in the second-level cache, and keep partial sums in
scratch. Operands are used in place where their rows can be streamed, which for training-sized
products beats copying; they are packed into scratch where columns of B are not contiguous, where
strides make lines collide in the cache or pages miss, or to widen half types once. A panel of B is
packed by the task that uses it just before its row tiles run, so the task grid, picked by estimated
finishing time, prefers to split C by columns when B is packed.

Operands may be views whose rows or columns are indices over several dims in memory, as the windows
of a convolution are. A is then read in place where the rows of a tile have one stride, run after
run of k; else packing copies it run by run (see `matmul_view`). Products of bf16 count k in words
of two where the processor multiplies pairs; an operand whose terms are not neighbours along k is
packed into such words.

A B far larger than the caches under few rows of A is as much memory traffic as arithmetic. Every
step of a micro-tile then copies one vector of the rows (or of the contiguous columns) needed next
into scratch, so that B comes in long runs while the sums run on, and asks for one of some steps
later. Copying in a loop of its own would cost as much as the caches' bandwidth does. Such a B may
be f32 that is rounded to a half type on the way: weights of mixed precision are then read as they
are kept, and no kernel before has to read and write them.

What is far is asked for ahead of use, as rows strides apart defeat the processor's own prefetching:
rows of a large B some steps of k before, and what the epilogue will read beside the sums while k
runs, spread over the steps so that it never holds up the loads of A and B.

Sums reach the epilogue through a tile in scratch, in a loop over rows: for one store and load per
vector the epilogue is emitted once per vector of a panel, not once per register, so that large
epilogues stay cheap to compile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

from llvmlite import ir

from anode.backends.cpu.llvm_ir import (
    I64,
    POINTER,
    Values,
    add,
    at,
    counted,
    element_type,
    first_lanes,
    i64,
    larger,
    load_vector,
    loop,
    mul,
    smaller,
    store_vector,
    when,
)
from anode.backends.cpu.matmul_pack import (
    Stream,
    pack_columns,
    pack_panel,
    pack_rows,
    panel_ahead,
    tiles_at_once,
    transposer,
)
from anode.backends.cpu.matmul_plan import MatmulPlan, Panel, plan_matmul
from anode.backends.cpu.matmul_spec import MatmulSpec, Operand, ceil_div
from anode.backends.cpu.matmul_tile import Tile
from anode.backends.cpu.matmul_view import offset

__all__ = [
    "EachStep",
    "Epilogue",
    "MatmulPlan",
    "MatmulSpec",
    "Operand",
    "Prefetch",
    "emit_matmul",
    "plan_matmul",
]

Epilogue = Callable[
    [ir.IRBuilder, Values, Values, ir.Value, ir.Value, int, ir.Value, ir.Value | None], None
]
"""Emits the use of sums: (builder, extra parameters, batch indices, m, n, lanes, sums, mask).

`sums` are C[m, n : n + lanes], `<lanes x dtype>`; `mask` is `<lanes x i1>`, None for all lanes.
"""

Prefetch = Callable[[ir.IRBuilder, Values, Values, ir.Value, ir.Value, int], None]
"""Asks for what the epilogue of C[m, n : n + columns] will read, before it does.

The arguments are those of an epilogue but for the last, the number of columns. It may be asked for
places below the last row of C.
"""


EachStep = Callable[[ir.IRBuilder, Values, ir.Value], None]
"""Emits what is done beside each step of k: (builder, extra parameters, number of the step).

Steps are counted over all tiles of C, if it takes one pass over k; else there are none.
"""


def emit_matmul(
    plan: MatmulPlan,
    module: ir.Module,
    name: str,
    extra_params: Sequence[ir.Type],
    epilogue: Epilogue,
    prefetch: Prefetch | None = None,
    each_step: EachStep | None = None,
) -> ir.Function:
    """Add `void name(a, b, scratch, extra…, i64 task)` to `module`: one task of the product.

    `a` and `b` point at element [0, …, 0] of the operands and `scratch` at `plan.scratch_bytes`
    bytes, 64-byte aligned, that no other running task uses. Running every task in
    range(plan.tasks), in any order, calls the code of `epilogue` once for each vector of C.
    """
    kind = ir.FunctionType(ir.VoidType(), [POINTER, POINTER, POINTER, *extra_params, I64])
    function = ir.Function(module, kind, name)
    function.attributes.add("nounwind")
    pack = None
    if plan.pack_b and plan.spec.b.column != 1:
        pack = transposer(plan, module, f"{name}.pack")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    _Emitter(plan, builder, epilogue, prefetch, each_step, pack).emit()
    return function


@dataclass(frozen=True)
class _Matrices:
    """One entry of the batch: its indices, and where its A and B begin."""

    indices: Values
    a: ir.Value
    b: ir.Value


@dataclass(frozen=True)
class _Block:
    """What a task covers: tiles [first_tile, last_tile) by panels [first_panel, last_panel)."""

    first_tile: ir.Value
    last_tile: ir.Value
    first_panel: ir.Value
    last_panel: ir.Value


@dataclass(frozen=True)
class _Pass:
    """One pass over k: where it starts, how deep it is, and whether the sums are then complete."""

    start: ir.Value
    depth: ir.Value
    is_last: ir.Value | None


@dataclass(frozen=True)
class _Emitter:
    """The code of one product under construction."""

    plan: MatmulPlan
    b: ir.IRBuilder
    epilogue: Epilogue
    prefetch: Prefetch | None
    each_step: EachStep | None
    transpose: ir.Function | None

    @property
    def scratch(self) -> ir.Value:
        return self.b.function.args[2]

    def scratch_at(self, offset: int) -> ir.Value:
        return self.b.gep(self.scratch, [i64(offset)], source_etype=ir.IntType(8))

    @property
    def packed_b(self) -> ir.Value:
        return self.scratch_at(self.plan.a_bytes)

    @property
    def sums(self) -> ir.Value:
        return self.scratch_at(self.plan.a_bytes + self.plan.b_bytes)

    def emit(self) -> None:
        """The whole task: decode its number, then run its share of the batch."""
        plan, b = self.plan, self.b
        task: ir.Value = b.function.args[-1]
        task, column = self.split(task, plan.column_blocks)
        group, row = self.split(task, plan.row_blocks)
        first_tile, last_tile = self.share(row, plan.row_blocks, plan.row_tiles)
        first_panel, last_panel = self.share(column, plan.column_blocks, plan.panels)
        block = _Block(first_tile, last_tile, first_panel, last_panel)
        first, last = self.share(group, plan.groups, plan.batches)
        counted(b, first, last, 1, lambda entry: self.product(self.matrices(entry), block))
        b.ret_void()

    def split(self, number: ir.Value, count: int) -> tuple[ir.Value, ir.Value]:
        """Quotient and remainder of `number` by a constant."""
        if count == 1:
            return number, i64(0)
        return self.b.udiv(number, i64(count)), self.b.urem(number, i64(count))

    def share(self, part: ir.Value, parts: int, items: int) -> tuple[ir.Value, ir.Value]:
        """The bounds of one of `parts` even shares of `items`."""
        if parts == 1:
            return i64(0), i64(items)
        if parts == items:
            return part, add(self.b, part, 1)
        b = self.b
        bounds = (part, add(b, part, 1))
        first, last = (b.udiv(mul(b, x, items), i64(parts)) for x in bounds)
        return first, last

    def matrices(self, entry: ir.Value) -> _Matrices:
        """The batch indices of `entry`, and its operands."""
        b, spec = self.b, self.plan.spec
        a_pointer, b_pointer = b.function.args[:2]
        indices: list[ir.Value] = []
        for axis in reversed(range(len(spec.batch))):
            entry, index = self.split(entry, spec.batch[axis]) if axis else (entry, entry)
            indices.insert(0, index)
            a_pointer = at(b, a_pointer, mul(b, index, spec.a.strides[axis]), spec.a.dtype)
            b_pointer = at(b, b_pointer, mul(b, index, spec.b.strides[axis]), spec.b.dtype)
        return _Matrices(indices, a_pointer, b_pointer)

    def product(self, matrices: _Matrices, block: _Block) -> None:
        """One block of one product: the passes over k."""
        plan, b = self.plan, self.b
        if plan.k_blocks == 1:
            self.one_pass(matrices, block, _Pass(i64(0), i64(plan.spec.k), None))
            return
        self.clear_sums()
        if plan.streams_b:
            stream = self.stream(matrices, i64(0), block.first_panel)
            counted(b, 0, prod(plan.streamed), 1, stream.copy)

        def run(start: ir.Value, _: Values) -> Values:
            rest = b.sub(i64(plan.spec.k), start)
            is_last = b.icmp_signed("<=", rest, i64(plan.kc))
            self.one_pass(matrices, block, _Pass(start, smaller(b, rest, plan.kc), is_last))
            return ()

        loop(b, 0, plan.spec.k, plan.kc, run)

    def clear_sums(self) -> None:
        """Zero the partial sums, so that every pass may add to them."""
        b, plan, dtype = self.b, self.plan, self.plan.spec.dtype
        sums = self.sums
        zero = ir.Constant(ir.VectorType(element_type(dtype), plan.lanes), None)
        count = plan.c_bytes // dtype.size
        counted(
            b, 0, count, plan.lanes, lambda i: store_vector(b, zero, at(b, sums, i, dtype), dtype)
        )

    def one_pass(self, matrices: _Matrices, block: _Block, depth: _Pass) -> None:
        """Add one range of k to every tile of the block."""
        plan = self.plan
        if plan.pack_a and plan.spec.k:
            self.pack_a(matrices, block, depth)
        if plan.rows_first:

            def row(i: ir.Value, rows: int) -> None:
                self.each_panel(block, lambda j, panel: tile(i, rows, j, panel))

            def tile(i: ir.Value, rows: int, j: ir.Value, panel: Panel) -> None:
                source = self.panel_of_b(matrices, depth, j)
                self.tile(matrices, block, depth, (i, j), (rows, panel), source)

            self.each_row_tile(block, row)
        else:
            self.each_panel(block, lambda j, panel: self.column(matrices, block, depth, j, panel))

    def each_panel(self, block: _Block, body: Callable[[ir.Value, Panel], None]) -> None:
        """`body(index, panel)` for every panel of the block; the last may be another kind."""
        plan = self.plan
        panel, rest = plan.panel, plan.last_panel
        if rest is None:
            self.each(block.first_panel, block.last_panel, lambda j: body(j, panel))
            return
        whole = plan.panels - 1
        last = smaller(self.b, block.last_panel, whole)
        self.each(block.first_panel, last, lambda j: body(j, panel))
        self.at_end(block.last_panel, plan.panels, lambda: body(i64(whole), rest))

    def each(self, first: ir.Value, last: ir.Value, body: Callable[[ir.Value], None]) -> None:
        """A loop over [first, last), which may be known to be one round or empty."""
        bounds = [x.constant if isinstance(x, ir.Constant) else x for x in (first, last)]
        if bounds == [0, 1]:
            body(i64(0))
        else:
            counted(self.b, bounds[0], bounds[1], 1, body)

    def at_end(self, last: ir.Value, count: int, body: Callable[[], None]) -> None:
        """`body()` if a range that ends at `last` holds the last of `count`."""
        if isinstance(last, ir.Constant):
            body()
        else:
            when(self.b, self.b.icmp_signed("==", last, i64(count)), body)

    def each_row_tile(self, block: _Block, body: Callable[[ir.Value, int], None]) -> None:
        """`body(tile, rows)` for every row tile of the block; the last may have fewer rows."""
        plan = self.plan
        rest = plan.spec.m % plan.mr
        if not rest:
            self.each(block.first_tile, block.last_tile, lambda i: body(i, plan.mr))
            return
        whole = plan.row_tiles - 1
        last = smaller(self.b, block.last_tile, whole)
        self.each(block.first_tile, last, lambda i: body(i, plan.mr))
        self.at_end(block.last_tile, plan.row_tiles, lambda: body(i64(whole), rest))

    def pack_a(self, matrices: _Matrices, block: _Block, depth: _Pass) -> None:
        """Pack this pass's columns of the block's rows of A."""
        plan, b = self.plan, self.b
        part = (depth.start, depth.depth)
        if plan.a_is_column_major:
            pack_columns(b, plan, matrices.a, part, lambda body: self.each_packed(block, body))
            return
        first = mul(b, block.first_tile, plan.mr)
        last = smaller(b, mul(b, block.last_tile, plan.mr), plan.spec.m)
        pack_rows(b, plan, matrices.a, self.scratch, (first, b.sub(last, first)), part)

    def each_packed(
        self, block: _Block, body: Callable[[ir.Value, Sequence[int], ir.Value], None]
    ) -> None:
        """`body(first row, rows of each, where they are packed)` for all row tiles of the block.

        They are taken several at a time, those of a run, or one by one where a block ends.
        """
        plan, b, count = self.plan, self.b, tiles_at_once(self.plan)

        def tiles(index: ir.Value, rows: Sequence[int]) -> None:
            body(mul(b, index, plan.mr), rows, self.packed_a(block, index))

        def group(number: ir.Value) -> None:
            first = larger(b, mul(b, number, count), block.first_tile)
            last = smaller(b, mul(b, add(b, number, 1), count), whole)
            complete = b.icmp_signed("==", b.sub(last, first), i64(count))
            with b.if_else(complete) as (then, other):
                with then:
                    tiles(first, [plan.mr] * count)
                with other:
                    counted(b, first, last, 1, lambda i: tiles(i, [plan.mr]))

        rest = plan.spec.m % plan.mr
        whole = smaller(b, block.last_tile, plan.row_tiles - (rest > 0))
        first = b.udiv(block.first_tile, i64(count))
        last = b.udiv(add(b, whole, count - 1), i64(count))
        counted(b, first, last, 1, group)
        if rest:
            end = plan.row_tiles - 1
            self.at_end(block.last_tile, end + 1, lambda: tiles(i64(end), [rest]))

    def packed_a(self, block: _Block, tile: ir.Value) -> ir.Value:
        """Where the packed rows of `tile` begin."""
        plan, b = self.plan, self.b
        local = b.sub(tile, block.first_tile)
        return at(b, self.scratch, mul(b, local, plan.tile_pitch), plan.spec.packed)

    def column(
        self, matrices: _Matrices, block: _Block, depth: _Pass, index: ir.Value, panel: Panel
    ) -> None:
        """Every row tile of one panel, packing the panel of B first if need be."""
        plan, b = self.plan, self.b
        if plan.streams_b and self.transpose is None:
            local = b.sub(index, block.first_panel)
            source = at(b, self.streamed_b(depth.start), mul(b, local, plan.nr), plan.spec.dtype)
        elif self.plan.pack_b and self.plan.spec.k:
            source = self.pack_b(matrices, depth, index, panel)
        else:
            source = self.panel_of_b(matrices, depth, index)
        self.each_row_tile(
            block,
            lambda i, rows: self.tile(matrices, block, depth, (i, index), (rows, panel), source),
        )

    def panel_of_b(self, matrices: _Matrices, depth: _Pass, index: ir.Value) -> ir.Value:
        """Where in B this pass's rows of a panel begin."""
        b, operand = self.b, self.plan.spec.b
        source = at(b, matrices.b, mul(b, depth.start, operand.row), operand.dtype)
        return at(b, source, mul(b, index, self.plan.nr * operand.column), operand.dtype)

    def tile(
        self,
        matrices: _Matrices,
        block: _Block,
        depth: _Pass,
        place: tuple[ir.Value, ir.Value],
        shape: tuple[int, Panel],
        source: ir.Value,
    ) -> None:
        """One micro-tile at row tile and panel `place`, of `shape`, its panel of B at `source`."""
        plan, b = self.plan, self.b
        (i, j), (rows, panel) = place, shape
        sums = self.sums
        if plan.k_blocks > 1:
            tiles = b.sub(block.last_tile, block.first_tile)
            number = b.mul(b.sub(j, block.first_panel), tiles)
            number = b.add(number, b.sub(i, block.first_tile))
            sums = at(b, sums, mul(b, number, plan.tile_elements), plan.spec.dtype)
        a = self.tile_of_a(matrices, block, i)

        asks: list[Callable[[ir.Value], None]] = []
        if self.prefetch and plan.k_blocks == 1:
            asks.append(lambda k: self.ask_for_operands(matrices, place, shape, k))
        if self.each_step and plan.k_blocks == 1:
            asks.append(self.beside(self.each_step, place))
        if plan.streams_b:
            asks.append(self.copy_ahead(matrices, block, depth.start, place))
        elif plan.panels_ahead:
            start, panel_after = self.next_panel(block, depth.start, j)
            column, share = mul(b, panel_after, plan.nr), b.sub(i, block.first_tile)
            asks.append(panel_ahead(b, plan, matrices.b, start, column, share))

        def ahead(k: ir.Value) -> None:
            for ask in asks:
                ask(k)

        part = (depth.start, depth.depth)
        Tile(b, plan, panel, rows, a, source, sums, ahead).emit(part)
        self.finish(matrices, depth, shape, i, mul(b, j, plan.nr), sums)

    def beside(
        self, each_step: EachStep, place: tuple[ir.Value, ir.Value]
    ) -> Callable[[ir.Value], None]:
        """What is done beside the steps of k of a tile, by their number among those of C."""
        plan, b = self.plan, self.b
        tile = b.add(mul(b, place[0], plan.panels), place[1])
        first, extra = mul(b, tile, plan.spec.k), b.function.args[3:-1]
        return lambda k: each_step(b, extra, add(b, k, first))

    def ask_for_operands(
        self,
        matrices: _Matrices,
        place: tuple[ir.Value, ir.Value],
        shape: tuple[int, Panel],
        k: ir.Value,
    ) -> None:
        """At step `k` of a tile, ask for that step's share of what the epilogue will read."""
        plan, b = self.plan, self.b
        (i, j), (rows, panel) = place, shape
        assert self.prefetch is not None
        first = b.add(mul(b, i, plan.mr), b.udiv(mul(b, k, rows), i64(plan.spec.k)))
        column = mul(b, j, plan.nr)
        for row in range(ceil_div(rows, plan.spec.k)):
            m = add(b, first, row)
            extra = b.function.args[3:-1]
            self.prefetch(b, extra, matrices.indices, m, column, panel.columns)

    def pack_b(self, matrices: _Matrices, depth: _Pass, index: ir.Value, panel: Panel) -> ir.Value:
        """Pack this pass's rows of a panel of B; where they are then."""
        plan, b = self.plan, self.b
        first, source, target = mul(b, index, plan.nr), matrices.b, self.packed_b
        start = depth.start
        if self.transpose is None:
            pack_panel(b, plan, source, target, (first, panel), (start, depth.depth))
            return target
        if plan.streams_b:
            source, first, start = target, i64(0), i64(0)
            target = at(b, target, plan.block_bytes // plan.spec.dtype.size, plan.spec.dtype)
        b.call(self.transpose, [source, target, first, i64(panel.columns), start, depth.depth])
        return target

    def streamed_b(self, start: ir.Value) -> ir.Value:
        """Where the block of B that begins with row `start` is copied; rows take turns."""
        plan, b = self.plan, self.b
        elements = plan.block_bytes // plan.spec.dtype.size
        if self.transpose is not None:
            return self.packed_b
        turn = b.and_(b.udiv(start, i64(plan.kc)), i64(1))
        return at(b, self.packed_b, mul(b, turn, elements), plan.spec.dtype)

    def stream(self, matrices: _Matrices, start: ir.Value, panel: ir.Value) -> Stream:
        """The copying of the block of B whose first row is `start`, from `panel` on."""
        plan, b, operand = self.plan, self.b, self.plan.spec.b
        column = mul(b, panel, plan.nr * operand.column)
        terms = 1 + plan.spec.joins_b
        first = b.add(mul(b, start, terms * operand.row), column)
        return Stream(b, plan, matrices.b, first, self.streamed_b(start))

    def copy_ahead(
        self, matrices: _Matrices, block: _Block, start: ir.Value, place: tuple[ir.Value, ir.Value]
    ) -> Callable[[ir.Value], None]:
        """What copies, at every step of k of a tile, a vector of the block of B that is next."""
        plan, b = self.plan, self.b
        number, panel = b.sub(place[0], block.first_tile), block.first_panel
        after = add(b, start, plan.kc)
        if self.transpose is None:
            tiles = b.sub(block.last_tile, block.first_tile)
            number = b.add(number, b.mul(b.sub(place[1], block.first_panel), tiles))
        else:
            after, panel = self.next_panel(block, start, place[1])
        stream, first = self.stream(matrices, after, panel), mul(b, number, plan.kc)
        return lambda k: stream.copy(b.add(first, k))

    def next_panel(
        self, block: _Block, start: ir.Value, panel: ir.Value
    ) -> tuple[ir.Value, ir.Value]:
        """What part of B is packed next: its first row, perhaps of the next pass, and panel."""
        b, after = self.b, add(self.b, panel, 1)
        if self.plan.k_blocks == 1:
            return start, after
        more = b.icmp_signed("<", after, block.last_panel)
        start = b.select(more, start, add(b, start, self.plan.kc))
        return start, b.select(more, after, block.first_panel)

    def tile_of_a(self, matrices: _Matrices, block: _Block, tile: ir.Value) -> ir.Value:
        """Where the rows of A that `tile` multiplies begin, packed or in place."""
        plan, b, a = self.plan, self.b, self.plan.spec.a
        if plan.pack_a:
            return self.packed_a(block, tile)
        return at(b, matrices.a, offset(b, a.rows, a.row, mul(b, tile, plan.mr)), a.dtype)

    def finish(
        self,
        matrices: _Matrices,
        depth: _Pass,
        shape: tuple[int, Panel],
        tile: ir.Value,
        column: ir.Value,
        sums: ir.Value,
    ) -> None:
        """Hand a finished tile to the epilogue, row by row."""
        plan, b, dtype = self.plan, self.b, self.plan.spec.dtype
        extra = b.function.args[3:-1]
        rows, panel = shape

        def row(r: ir.Value) -> None:
            m = b.add(mul(b, tile, plan.mr), r)
            line = at(b, sums, mul(b, r, plan.nr), dtype)
            for index, lanes in enumerate(panel.lanes):
                offset = panel.offset(index)
                value = load_vector(b, at(b, line, offset, dtype), lanes, dtype, dtype)
                mask = first_lanes(panel.valid(index), lanes)
                n = add(b, column, offset)
                self.epilogue(b, extra, matrices.indices, m, n, lanes, value, mask)

        if depth.is_last is None:
            counted(b, 0, rows, 1, row)
        else:
            when(b, depth.is_last, lambda: counted(b, 0, rows, 1, row))

"""One micro-tile of a product: its sums in registers while k runs, in one of three forms.

`outer` multiplies a row of a panel of B by elements of A, broadcast: the form of nearly all
products. A product with one column, or with a few rows and B given by columns, offers no such row
to load. `dots` then runs vectors along k and adds up their lanes at the end; `column` serves a
product with one column whose A is given by columns, with vectors along m.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from llvmlite import ir

from anode.backends.cpu.llvm_ir import (
    LINE,
    Index,
    Values,
    add,
    add_pairs,
    add_up,
    at,
    element_type,
    first_lanes,
    i64,
    load_scalar,
    load_vector,
    loop,
    mul,
    multiply_add,
    prefetch,
    splat,
    store_vector,
)
from anode.backends.cpu.matmul_plan import MatmulPlan, Panel
from anode.backends.cpu.matmul_view import Part, each_run
from anode.ir.dtypes import DType


@dataclass(frozen=True)
class Tile:
    """One micro-tile: `rows` of A from `a` on, times `panel` of B from `b` on, added to `sums`.

    `ahead` is emitted in every step of k of an outer product.
    """

    builder: ir.IRBuilder
    plan: MatmulPlan
    panel: Panel
    rows: int
    a: ir.Value
    b: ir.Value
    sums: ir.Value
    ahead: Callable[[ir.Value], None]

    def emit(self, part: Part) -> None:
        """Run a part of k through the tile, in the form the plan chose."""
        if not self.plan.spec.k:
            self.save(self.initial())
        elif self.plan.form == "outer":
            self.save(self.outer(part))
        elif self.plan.form == "dots":
            self.dots()
        else:
            self.column()

    def places(self) -> list[tuple[int, int]]:
        return [(r, v) for r in range(self.rows) for v in range(len(self.panel.lanes))]

    def place(self, row: int, vector: int) -> ir.Value:
        """Where in scratch the sums of a row and vector of the tile are kept."""
        plan = self.plan
        offset = row * plan.nr + self.panel.offset(vector)
        return at(self.builder, self.sums, offset, plan.spec.dtype)

    def save(self, totals: Values) -> None:
        for (row, vector), total in zip(self.places(), totals, strict=True):
            store_vector(self.builder, total, self.place(row, vector), self.plan.spec.dtype)

    def initial(self) -> Values:
        """Zeros, or the sums of earlier passes."""
        plan, b = self.plan, self.builder
        dtype, lanes = plan.spec.dtype, self.panel.lanes
        if plan.k_blocks == 1:
            kinds = [ir.VectorType(element_type(dtype), size) for size in lanes]
            return [ir.Constant(kinds[v], None) for _, v in self.places()]
        return [load_vector(b, self.place(r, v), lanes[v], dtype, dtype) for r, v in self.places()]

    def outer(self, part: Part) -> Values:
        """Row by row of the panel; A that is read in place is run after run of a view."""
        b, a = self.builder, self.plan.spec.a

        def run(place: Index, distance: ir.Value, length: ir.Value, totals: Values) -> Values:
            line = at(b, self.a, distance, a.dtype)

            def step(k: ir.Value, totals: Values) -> Values:
                return self.step(line, k, add(b, place, k), totals)

            return loop(b, 0, length, 1, step, totals)

        if self.plan.pack_a:
            return run(0, i64(0), part[1], self.initial())
        return each_run(b, a.columns, a.column, part, run, self.initial())

    def step(self, line: ir.Value, k: ir.Value, place: ir.Value, totals: Values) -> Values:
        """One step of k: a row of the panel, that at `place`, times column `k` from `line` on."""
        b = self.builder
        vectors = self.row_of_b(place)
        multiply = add_pairs if self.plan.spec.in_words else multiply_add
        self.ahead(place)
        results = []
        for row in range(self.rows):
            element = self.element_of_a(line, row, k)
            for index, vector in enumerate(vectors):
                factor = splat(b, element, self.panel.lanes[index])
                total = totals[row * len(vectors) + index]
                results.append(multiply(b, factor, vector, total))
        return results

    def row_of_b(self, k: ir.Value) -> Values:
        plan, b, panel = self.plan, self.builder, self.panel
        pitch, dtype, mask = plan.nr, plan.spec.packed, False
        if not plan.pack_b:
            pitch, dtype, mask = plan.spec.b.row, plan.spec.b.dtype, True
        elif plan.streams_b and plan.spec.b.column == 1:
            pitch = plan.streamed[1] * plan.lanes
        line = at(b, self.b, mul(b, k, pitch), dtype)
        if plan.rows_ahead:
            later = at(b, line, plan.rows_ahead * pitch, dtype)
            prefetch(b, later, panel.columns, dtype, aligned=pitch * dtype.size % LINE == 0)
        return [
            load_vector(
                b,
                at(b, line, panel.offset(v), dtype),
                lanes,
                dtype,
                plan.spec.packed,
                first_lanes(panel.valid(v), lanes) if mask else None,
            )
            for v, lanes in enumerate(panel.lanes)
        ]

    def element_of_a(self, line: ir.Value, row: int, k: ir.Value) -> ir.Value:
        plan, b, a = self.plan, self.builder, self.plan.spec.a
        along, across, dtype = a.column, a.row, a.dtype
        if plan.pack_a:
            dtype = plan.spec.packed
            along, across = (plan.mr, 1) if plan.a_is_column_major else (1, plan.a_pitch)
        column = at(b, line, mul(b, k, along), dtype)
        return load_scalar(b, at(b, column, row * across, dtype), dtype, plan.spec.packed)

    def dots(self) -> None:
        """Every row of the tile, a vector of sums of products at a time."""
        b, plan, spec = self.builder, self.plan, self.plan.spec
        if spec.n == 1:
            rows = [min(row, self.rows - 1) * spec.a.row for row in range(plan.lanes)]
            lines = [at(b, self.a, row, spec.a.dtype) for row in rows]
            sums = self.products(lines, spec.a.dtype, self.b, spec.b.dtype)
            store_vector(b, sums, self.sums, spec.dtype)
            return
        last = self.panel.columns - 1
        columns = [min(column, last) * spec.b.column for column in range(plan.lanes)]
        lines = [at(b, self.b, column, spec.b.dtype) for column in columns]

        def row(index: ir.Value, _: Values) -> Values:
            line = at(b, self.a, mul(b, index, spec.a.row), spec.a.dtype)
            sums = self.products(lines, spec.b.dtype, line, spec.a.dtype)
            place = at(b, self.sums, mul(b, index, plan.nr), spec.dtype)
            store_vector(b, sums, place, spec.dtype)
            return ()

        loop(b, 0, self.rows, 1, row)

    def products(self, lines: Values, source: DType, line: ir.Value, other: DType) -> ir.Value:
        """The products of each of `lines` with `line`, in one vector; all contiguous along k."""
        b, dtype, lanes = self.builder, self.plan.spec.dtype, self.plan.lanes
        whole, rest = divmod(self.plan.spec.k, lanes)

        def step(k: ir.Value, totals: Values, mask: ir.Value | None = None) -> Values:
            factor = load_vector(b, at(b, line, k, other), lanes, other, dtype, mask)
            factors = [
                load_vector(b, at(b, x, k, source), lanes, source, dtype, mask) for x in lines
            ]
            return [
                multiply_add(b, x, factor, total) for x, total in zip(factors, totals, strict=True)
            ]

        zero = ir.Constant(ir.VectorType(element_type(dtype), lanes), None)
        totals: Values = [zero] * len(lines)
        if whole:
            totals = loop(b, 0, whole * lanes, lanes, step, totals)
        if rest:
            totals = step(i64(whole * lanes), totals, first_lanes(rest, lanes))
        return add_up(b, totals)

    def column(self) -> None:
        """The rows of the only column of C, as vectors along m."""
        b, plan, spec = self.builder, self.plan, self.plan.spec
        lanes, dtype = plan.lanes, spec.dtype
        starts = range(0, self.rows, lanes)
        masks = [first_lanes(min(lanes, self.rows - start), lanes) for start in starts]

        def step(k: ir.Value, totals: Values) -> Values:
            place = at(b, self.b, mul(b, k, spec.b.row), spec.b.dtype)
            factor = splat(b, load_scalar(b, place, spec.b.dtype, dtype), lanes)
            line = at(b, self.a, mul(b, k, spec.a.column), spec.a.dtype)
            results = []
            for start, mask, total in zip(starts, masks, totals, strict=True):
                place = at(b, line, start, spec.a.dtype)
                vector = load_vector(b, place, lanes, spec.a.dtype, dtype, mask)
                results.append(multiply_add(b, vector, factor, total))
            return results

        zero = ir.Constant(ir.VectorType(element_type(dtype), lanes), None)
        totals = loop(b, 0, spec.k, 1, step, [zero] * len(starts))
        for start, total in zip(starts, totals, strict=True):
            store_vector(b, total, at(b, self.sums, start, dtype), dtype)

"""Copying blocks of A and panels of B into scratch: contiguous, and of the type of the sum."""

from __future__ import annotations

from llvmlite import ir

from anode.backends.cpu.llvm_ir import (
    I64,
    POINTER,
    Index,
    Values,
    add,
    at,
    counted,
    first_lanes,
    i64,
    lanes_below,
    load_scalar,
    load_vector,
    loop,
    mul,
    shuffle,
    smaller,
    store_vector,
)
from anode.backends.cpu.matmul_plan import MatmulPlan, Operand, Panel


def pack_rows(
    b: ir.IRBuilder,
    plan: MatmulPlan,
    source: ir.Value,
    target: ir.Value,
    rows: ir.Value,
    depth: ir.Value,
) -> None:
    """Copy `rows` × `depth` of A to `target` as [m][k], `a_pitch` elements from row to row."""
    a, dtype, lanes = plan.spec.a, plan.spec.dtype, plan.lanes

    def row(i: ir.Value) -> None:
        line = at(b, source, mul(b, i, a.row), a.dtype)
        copy = at(b, target, mul(b, i, plan.a_pitch), dtype)

        def vector(k: ir.Value) -> None:
            mask = lanes_below(b, b.sub(depth, k), lanes)
            value = load_vector(b, at(b, line, k, a.dtype), lanes, a.dtype, dtype, mask)
            store_vector(b, value, at(b, copy, k, dtype), dtype)

        def scalar(k: ir.Value) -> None:
            value = load_scalar(b, at(b, line, mul(b, k, a.column), a.dtype), a.dtype, dtype)
            store_vector(b, value, at(b, copy, k, dtype), dtype)

        if a.column == 1:
            counted(b, 0, depth, lanes, vector)
        else:
            counted(b, 0, depth, 1, scalar)

    counted(b, 0, rows, 1, row)


def pack_columns(
    b: ir.IRBuilder,
    plan: MatmulPlan,
    source: ir.Value,
    target: ir.Value,
    rows: int,
    depth: ir.Value,
) -> None:
    """Copy one tile of A, `rows` contiguous elements of each of `depth` columns, as [k][mr]."""
    a, dtype, lanes = plan.spec.a, plan.spec.dtype, plan.lanes

    def column(k: ir.Value, _: Values) -> Values:
        line = at(b, source, mul(b, k, a.column), a.dtype)
        copy = at(b, target, mul(b, k, plan.mr), dtype)
        for start in range(0, rows, lanes):
            mask = first_lanes(min(lanes, rows - start), lanes)
            value = load_vector(b, at(b, line, start, a.dtype), lanes, a.dtype, dtype, mask)
            store_vector(b, value, at(b, copy, start, dtype), dtype, mask)
        return ()

    loop(b, 0, depth, 1, column)


def pack_panel(
    b: ir.IRBuilder,
    plan: MatmulPlan,
    source: ir.Value,
    target: ir.Value,
    panel: Panel,
    depth: ir.Value,
) -> None:
    """Copy `depth` rows of a panel of B whose columns are contiguous, as [k][nr]."""
    operand, dtype = plan.spec.b, plan.spec.dtype

    def row(k: ir.Value, _: Values) -> Values:
        line = at(b, source, mul(b, k, operand.row), operand.dtype)
        copy = at(b, target, mul(b, k, plan.nr), dtype)
        for index, lanes in enumerate(panel.lanes):
            start = panel.offset(index)
            mask = first_lanes(panel.valid(index), lanes)
            place = at(b, line, start, operand.dtype)
            value = load_vector(b, place, lanes, operand.dtype, dtype, mask)
            store_vector(b, value, at(b, copy, start, dtype), dtype)
        return ()

    loop(b, 0, depth, 1, row)


def transposer(plan: MatmulPlan, module: ir.Module, name: str) -> ir.Function:
    """A function that packs a panel of B whose columns are not contiguous.

    Its type is void (source, target, columns, depth), `columns` being how many of the panel exist;
    one function serves every shape of panel. Lanes past `columns` repeat the last column, which
    keeps loads inside B; what is computed from them is never stored.
    """
    kind = ir.FunctionType(ir.VoidType(), [POINTER, POINTER, I64, I64])
    function = ir.Function(module, kind, name)
    function.linkage = "internal"
    function.attributes.add("nounwind")
    b = ir.IRBuilder(function.append_basic_block("entry"))
    source, target, columns, depth = function.args
    dtype, lanes = plan.spec.dtype, plan.lanes
    in_registers = plan.spec.b.row == 1 and dtype.size >= 4

    def block(start: ir.Value, _: Values) -> Values:
        copy = at(b, target, start, dtype)
        lines = [_column(b, plan.spec.b, source, columns, start, lane) for lane in range(lanes)]
        if in_registers:
            _transpose_blocks(b, plan, lines, copy, depth)
        else:
            _copy_elements(b, plan, lines, copy, depth)
        return ()

    loop(b, 0, columns, lanes, block)
    b.ret_void()
    return function


def _column(
    b: ir.IRBuilder, operand: Operand, source: ir.Value, columns: ir.Value, start: Index, lane: int
) -> ir.Value:
    """Where column `start + lane` begins, or the last column there is."""
    column = smaller(b, add(b, start, lane), b.sub(columns, i64(1)))
    return at(b, source, mul(b, column, operand.column), operand.dtype)


def _transpose_blocks(
    b: ir.IRBuilder, plan: MatmulPlan, lines: Values, copy: ir.Value, depth: ir.Value
) -> None:
    """Pack one vector's width of columns, contiguous along k, 16 bytes of k at a time.

    Vector i gathers, in 16-byte parts, the columns i, i + unit, i + 2 unit, …; then transposing
    inside each part is all it takes, and the gathering needs no shuffles but loads.
    """
    source, dtype = plan.spec.b.dtype, plan.spec.dtype
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
    operand, dtype = plan.spec.b, plan.spec.dtype

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

"""The few LLVM idioms that kernels are written in: counted loops, typed loads, multiply-add."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from llvmlite import ir

from anode.errors import BackendError
from anode.ir.dtypes import DType, bf16

I1, I8, I16, I32, I64 = (ir.IntType(bits) for bits in (1, 8, 16, 32, 64))
POINTER = ir.PointerType()
_FLOATS: dict[str, ir.Type] = {"f16": ir.HalfType(), "f32": ir.FloatType(), "f64": ir.DoubleType()}

LINE = 64  # bytes of a cache line on nearly every processor
PAGE = 4096  # bytes that lie together in memory, likewise

Values: TypeAlias = "Sequence[ir.Value]"
Index: TypeAlias = "ir.Value | int"


def i64(value: Index) -> ir.Value:
    """`value` as an i64; a Python int becomes a constant."""
    return ir.Constant(I64, value) if isinstance(value, int) else value


def element_type(dtype: DType) -> ir.Type:
    """How one element lies in memory; bf16 as its 16 bits, bool as a byte."""
    if dtype.name in _FLOATS:
        return _FLOATS[dtype.name]
    return I8 if dtype.kind == "bool" else ir.IntType(dtype.bits)


def add(b: ir.IRBuilder, x: Index, y: Index) -> ir.Value:
    """x + y of two indices; nothing is emitted for a constant zero or two constants."""
    if isinstance(x, int) and isinstance(y, int):
        return i64(x + y)
    if 0 in (x if isinstance(x, int) else None, y if isinstance(y, int) else None):
        return i64(y if isinstance(x, int) else x)
    return b.add(i64(x), i64(y), flags=("nuw", "nsw"))


def mul(b: ir.IRBuilder, x: ir.Value, factor: int) -> ir.Value:
    """x · factor of an index and a constant."""
    if factor in (0, 1):
        return x if factor else i64(0)
    return b.mul(x, i64(factor), flags=("nsw",))


def divided(b: ir.IRBuilder, x: ir.Value, count: int) -> tuple[ir.Value, ir.Value]:
    """Quotient and remainder of an index by a constant."""
    if count == 1:
        return x, i64(0)
    return b.udiv(x, i64(count)), b.urem(x, i64(count))


def smaller(b: ir.IRBuilder, x: Index, y: Index) -> ir.Value:
    """The smaller of two indices."""
    x, y = i64(x), i64(y)
    return b.select(b.icmp_signed("<", x, y), x, y)


def larger(b: ir.IRBuilder, x: Index, y: Index) -> ir.Value:
    """The larger of two indices."""
    x, y = i64(x), i64(y)
    return b.select(b.icmp_signed(">", x, y), x, y)


def at(b: ir.IRBuilder, pointer: ir.Value, offset: Index, dtype: DType) -> ir.Value:
    """The address `offset` elements after `pointer`."""
    if isinstance(offset, int) and offset == 0:
        return pointer
    return b.gep(pointer, [i64(offset)], source_etype=element_type(dtype))


def loop(
    b: ir.IRBuilder,
    start: Index,
    stop: Index,
    step: int,
    body: Callable[[ir.Value, Values], Values],
    carried: Values = (),
) -> Values:
    """`body(i, carried)` for i = start, start + step, … below stop; at least once.

    The body returns the next values of `carried`; the loop returns the last ones.
    """
    before, block = b.block, b.append_basic_block("loop")
    b.branch(block)
    b.position_at_end(block)
    index = b.phi(I64)
    phis = [b.phi(value.type) for value in carried]
    results = body(index, phis)
    following = b.add(index, i64(step), flags=("nuw", "nsw"))
    again = b.icmp_signed("<", following, i64(stop))
    after = b.append_basic_block("after")
    for phi, first, later in zip(
        [index, *phis], [i64(start), *carried], [following, *results], strict=True
    ):
        phi.add_incoming(first, before)
        phi.add_incoming(later, b.block)
    b.cbranch(again, block, after)
    b.position_at_end(after)
    return results


def counted(
    b: ir.IRBuilder, start: Index, stop: Index, step: int, body: Callable[[ir.Value], None]
) -> None:
    """`body(i)` for i = start, start + step, … below stop; perhaps never."""

    def once(index: ir.Value, _: Values) -> Values:
        body(index)
        return ()

    if isinstance(start, int) and isinstance(stop, int):
        if start + step < stop:
            loop(b, start, stop, step, once)
        elif start < stop:
            body(i64(start))
        return
    when(b, b.icmp_signed("<", i64(start), i64(stop)), lambda: loop(b, start, stop, step, once))


def for_each(
    b: ir.IRBuilder,
    ranges: Sequence[int | tuple[ir.Value, ir.Value]],
    body: Callable[..., None],
    *found: ir.Value,
) -> None:
    """`body(i, j, …)` for all indices in some ranges, the last the innermost."""
    if not ranges:
        body(*found)
        return
    first, last = ranges[0] if isinstance(ranges[0], tuple) else (0, ranges[0])
    counted(b, first, last, 1, lambda i: for_each(b, ranges[1:], body, *found, i))


def function(module: ir.Module, name: str, pointers: int) -> tuple[ir.IRBuilder, Values]:
    """A new kernel: a builder at its start; its parameters, `pointers` and the task's number."""
    kind = ir.FunctionType(ir.VoidType(), [*[POINTER] * pointers, I64])
    made = ir.Function(module, kind, name)
    return ir.IRBuilder(made.append_basic_block("entry")), made.args


def thread_number(b: ir.IRBuilder, scratch: ir.Value) -> ir.Value:
    """The number of the thread whose scratch this is; it lies in the line before."""
    return b.load(b.gep(scratch, [i64(-LINE)], source_etype=I8), typ=I64)


def when(b: ir.IRBuilder, condition: ir.Value, body: Callable[[], object]) -> None:
    """`body()` if `condition` holds."""
    block, after = b.append_basic_block("then"), b.append_basic_block("after")
    b.cbranch(condition, block, after)
    b.position_at_end(block)
    body()
    b.branch(after)
    b.position_at_end(after)


def first_lanes(valid: int, lanes: int) -> ir.Value | None:
    """The constant mask of the first `valid` of `lanes` lanes; None for all of them."""
    if valid == lanes:
        return None
    return ir.Constant(ir.VectorType(I1, lanes), [int(lane < valid) for lane in range(lanes)])


def lanes_below(b: ir.IRBuilder, count: ir.Value, lanes: int) -> ir.Value:
    """The mask of the lanes whose number is below the i64 `count`."""
    ramp = ir.Constant(ir.VectorType(I32, lanes), list(range(lanes)))
    return b.icmp_signed("<", ramp, splat(b, b.trunc(count, I32), lanes))


def splat(b: ir.IRBuilder, scalar: ir.Value, lanes: int) -> ir.Value:
    """`scalar` in every lane."""
    vector = ir.VectorType(scalar.type, lanes)
    single = b.insert_element(ir.Constant(vector, ir.Undefined), scalar, ir.Constant(I32, 0))
    zeros = ir.Constant(ir.VectorType(I32, lanes), None)
    return b.shuffle_vector(single, ir.Constant(vector, ir.Undefined), zeros)


def load_vector(
    b: ir.IRBuilder,
    pointer: ir.Value,
    lanes: int,
    source: DType,
    dtype: DType,
    mask: ir.Value | None = None,
) -> ir.Value:
    """`lanes` contiguous elements of type `source`, as `dtype`; masked lanes are not touched."""
    vector = ir.VectorType(element_type(source), lanes)
    if mask is None:
        loaded = b.load(pointer, align=source.size, typ=vector)
    else:
        name = f"llvm.masked.load.{_suffix(vector)}.p0"
        kind = ir.FunctionType(vector, [POINTER, I32, mask.type, vector])
        align, none = ir.Constant(I32, source.size), ir.Constant(vector, None)
        loaded = b.call(_intrinsic(b, name, kind), [pointer, align, mask, none])
    return _widen(b, loaded, source, dtype)


def load_scalar(b: ir.IRBuilder, pointer: ir.Value, source: DType, dtype: DType) -> ir.Value:
    """One element of type `source`, as `dtype`."""
    loaded = b.load(pointer, align=source.size, typ=element_type(source))
    return _widen(b, loaded, source, dtype)


def gather(
    b: ir.IRBuilder, pointer: ir.Value, offsets: ir.Value, source: DType, dtype: DType
) -> ir.Value:
    """The element of type `source` at each of `offsets` from `pointer`, as `dtype`."""
    lanes = offsets.type.count
    places = b.gep(pointer, [offsets], source_etype=element_type(source))
    places.type = ir.VectorType(POINTER, lanes)  # llvmlite types a gep by its base alone
    vector, mask = ir.VectorType(element_type(source), lanes), ir.VectorType(I1, lanes)
    name = f"llvm.masked.gather.{_suffix(vector)}.v{lanes}p0"
    kind = ir.FunctionType(vector, [places.type, I32, mask, vector])
    every, none = ir.Constant(mask, [1] * lanes), ir.Constant(vector, None)
    align = ir.Constant(I32, source.size)
    loaded = b.call(_intrinsic(b, name, kind), [places, align, every, none])
    return _widen(b, loaded, source, dtype)


def store_vector(
    b: ir.IRBuilder, value: ir.Value, pointer: ir.Value, dtype: DType, mask: ir.Value | None = None
) -> None:
    """Store `value` at elements of `dtype`, the lanes of `mask` only where there is one."""
    if mask is None:
        b.store(value, pointer, align=dtype.size)
        return
    only = _only_lane(mask)
    if only is not None:
        # LLVM 22 stores 64 bits of a lane that AVX-512 truncates to 32 where it is the only one.
        b.store(b.extract_element(value, I32(only)), at(b, pointer, only, dtype), align=dtype.size)
        return
    name = f"llvm.masked.store.{_suffix(value.type)}.p0"
    kind = ir.FunctionType(ir.VoidType(), [value.type, POINTER, I32, mask.type])
    b.call(_intrinsic(b, name, kind), [value, pointer, ir.Constant(I32, dtype.size), mask])


def _only_lane(mask: ir.Value) -> int | None:
    """The lane of a constant mask that has only one."""
    lanes = [i for i, lane in enumerate(mask.constant) if lane.constant] if _constant(mask) else []
    return lanes[0] if len(lanes) == 1 else None


def _constant(value: ir.Value) -> bool:
    return isinstance(value, ir.Constant) and isinstance(value.constant, (list, tuple))


def prefetch(
    b: ir.IRBuilder,
    pointer: ir.Value,
    count: int,
    dtype: DType,
    *,
    aligned: bool,
    level: int = 1,
) -> None:
    """Ask for `count` elements' cache lines; unless `aligned` to lines they may end in one more.

    They are to come into the cache of `level`, 1 to 3.
    """
    offsets = list(range(0, count, LINE // dtype.size))
    if not aligned and offsets[-1] < count - 1:
        offsets.append(count - 1)
    kind = ir.FunctionType(ir.VoidType(), [POINTER, I32, I32, I32])
    function = _intrinsic(b, "llvm.prefetch.p0", kind)
    read, locality, data = (ir.Constant(I32, x) for x in (0, 4 - level, 1))
    for offset in offsets:
        b.call(function, [at(b, pointer, offset, dtype), read, locality, data])


def multiply_add(b: ir.IRBuilder, x: ir.Value, y: ir.Value, z: ir.Value) -> ir.Value:
    """x·y + z; floats round once where the processor can, integers wrap."""
    element = x.type.element if isinstance(x.type, ir.VectorType) else x.type
    if isinstance(element, ir.IntType):
        return b.add(b.mul(x, y), z)
    kind = ir.FunctionType(x.type, [x.type] * 3)
    return b.call(_intrinsic(b, f"llvm.fmuladd.{_suffix(x.type)}", kind), [x, y, z])


class _BFloat(ir.Type):
    """LLVM's bfloat, which llvmlite does not know."""

    def _to_string(self) -> str:
        return "bfloat"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _BFloat)

    def __hash__(self) -> int:
        return hash(_BFloat)


def add_pairs(b: ir.IRBuilder, x: ir.Value, y: ir.Value, z: ir.Value) -> ir.Value:
    """z plus the products of both halves of words x and y, which are bf16 (needs AVX512_BF16).

    Denormal numbers count as zero.
    """
    lanes = x.type.count
    halves = ir.VectorType(_BFloat(), 2 * lanes)
    kind = ir.FunctionType(z.type, [z.type, halves, halves])
    function = _intrinsic(b, f"llvm.x86.avx512bf16.dpbf16ps.{32 * lanes}", kind)
    return b.call(function, [z, b.bitcast(x, halves), b.bitcast(y, halves)])


def nearest_bf16(b: ir.IRBuilder, x: ir.Value) -> ir.Value:
    """f32 rounded to bf16, as its bits: to nearest, ties to even (needs AVX512_BF16).

    Denormal numbers count as zero.
    """
    lanes = x.type.count
    rounded = b.fptrunc(x, ir.VectorType(_BFloat(), lanes))
    return b.bitcast(rounded, ir.VectorType(I16, lanes))


def round_pairs(b: ir.IRBuilder, x: ir.Value, y: ir.Value) -> ir.Value:
    """The lanes of x, then those of y, f32 rounded to bf16, as bits (needs AVX512_BF16).

    Denormal numbers become zero, as which `add_pairs` counts them.
    """
    lanes = x.type.count
    kind = ir.FunctionType(ir.VectorType(_BFloat(), 2 * lanes), [x.type, x.type])
    function = _intrinsic(b, f"llvm.x86.avx512bf16.cvtne2ps2bf16.{32 * lanes}", kind)
    return b.bitcast(b.call(function, [y, x]), ir.VectorType(I16, 2 * lanes))


def add_up(b: ir.IRBuilder, vectors: Values) -> ir.Value:
    """The vector whose lane i is the sum of the lanes of `vectors[i]`, added up in pairs."""
    while len(vectors) > 1:
        vectors = [_add_pairs(b, x, y) for x, y in zip(vectors[::2], vectors[1::2], strict=True)]
    return vectors[0]


def _add_pairs(b: ir.IRBuilder, x: ir.Value, y: ir.Value) -> ir.Value:
    """The sums of neighbouring lanes of `x`, then those of `y`."""
    even, odd = (shuffle(b, x, y, range(first, 2 * x.type.count, 2)) for first in (0, 1))
    return b.add(even, odd) if isinstance(x.type.element, ir.IntType) else b.fadd(even, odd)


def shuffle(b: ir.IRBuilder, x: ir.Value, y: ir.Value, indices: Iterable[int]) -> ir.Value:
    """The lanes of `x` followed by `y` that `indices` name."""
    order = list(indices)
    return b.shuffle_vector(x, y, ir.Constant(ir.VectorType(I32, len(order)), order))


def _widen(b: ir.IRBuilder, value: ir.Value, source: DType, dtype: DType) -> ir.Value:
    if source is dtype:
        return value
    shape = value.type
    lanes = shape.count if isinstance(shape, ir.VectorType) else 0

    def like(element: ir.Type) -> ir.Type:
        return ir.VectorType(element, lanes) if lanes else element

    if source is bf16 and dtype.name == "f32":
        bits = b.zext(value, like(I32))
        sixteen = ir.Constant(like(I32), [16] * lanes if lanes else 16)
        return b.bitcast(b.shl(bits, sixteen), like(_FLOATS["f32"]))
    wider = like(element_type(dtype))
    if source.name in ("f16", "f32") and dtype.is_float and dtype.bits > source.bits:
        return b.fpext(value, wider)
    if not source.is_float and dtype.is_integer and dtype.size > source.size:
        return b.sext(value, wider) if source.kind == "signed" else b.zext(value, wider)
    raise BackendError(f"matmul: no exact conversion from {source} to {dtype}")


def _suffix(kind: ir.Type) -> str:
    """How intrinsics spell a type in their names: v16f32, i32, …"""
    if isinstance(kind, ir.VectorType):
        return f"v{kind.count}{_suffix(kind.element)}"
    return str(kind) if isinstance(kind, ir.IntType) else str(kind.intrinsic_name)


def _intrinsic(b: ir.IRBuilder, name: str, kind: ir.FunctionType) -> ir.Function:
    known = b.module.globals.get(name)
    return known if known is not None else ir.Function(b.module, kind, name)

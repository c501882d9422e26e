"""`Lanes` against the NumPy oracle on edge values of every element type."""

from __future__ import annotations

import llvmlite.ir as ir
import numpy as np
import pytest

from anode.backends.cpu.lanes import Lane, Lanes, llvm_type
from anode.errors import BackendError
from anode.ir.dtypes import (
    DTYPES,
    DType,
    bf16,
    bf16_to_f32,
    bool_,
    f16,
    f32,
    f32_to_bf16,
    f64,
    i32,
    i64,
    u16,
    u32,
)
from anode.ops.numpy_scalars import NUMPY

NUMBERS = [d for d in DTYPES.values() if d not in (f16, bf16, bool_)]
INTEGERS = [d for d in NUMBERS if d.is_integer]
COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")
NUMERIC = ("add", "sub", "mul", "div", "rem", "max", "min")
BITWISE = ("and_", "or_", "xor")
SHIFTS = ("shift_left", "shift_right_logical", "shift_right_arithmetic")
FLOAT_UNARY = ("neg", "abs", "sqrt", "floor", "ceil", "trunc", "round_even")
INTEGER_UNARY = ("neg", "abs", "not_", "popcount", "clz")
WIDTHS = (16, 1)


def edges(dtype: DType) -> np.ndarray:
    if dtype is bool_:
        return np.array([False, True])
    if dtype.is_integer:
        info = np.iinfo(dtype.numpy)
        values = [0, 1, 2, 3, 7, dtype.bits - 1, dtype.bits, info.max, info.max - 1, info.min]
        values += [info.max // 2, info.max // 3, info.min + 1]
        return np.array(values + [-1, -2, -7] * (dtype.kind == "signed"), dtype.numpy)
    info = np.finfo(dtype.numpy)
    values = [0.0, 0.5, 0.75, 1.0, 1.5, 2.5, 3.0, 127.5, 255.5, 3e4, info.tiny, info.max]
    values += [info.smallest_subnormal, np.inf, *(2.0**k for k in (7, 8, 15, 31, 32, 52, 63, 64))]
    return np.array([*values, *(-v for v in values), np.nan], dtype.numpy)


def pairs(dtype: DType) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.meshgrid(edges(dtype), edges(dtype))
    return x.ravel(), y.ravel()


def assert_same(result: np.ndarray, expected: np.ndarray, name: str) -> None:
    """Equal values and signs; any NaN equals any NaN, and for max and min any zero any zero."""
    assert result.dtype == expected.dtype
    same = (result == expected) | ((result != result) & (expected != expected))
    if result.dtype.kind == "f" and name not in ("max", "min"):
        same &= (np.signbit(result) == np.signbit(expected)) | (result != result)
    assert same.all(), (name, np.flatnonzero(~same)[:5], result[~same][:5], expected[~same][:5])


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dtype", NUMBERS, ids=str)
def test_binary(compile_loop, dtype: DType, width: int):
    names = NUMERIC + COMPARISONS + (() if dtype.is_float else (*BITWISE, *SHIFTS, "pow"))
    results = tuple(bool_ if name in COMPARISONS else dtype for name in names)
    compiled = compile_loop(
        lambda k, x, y: [getattr(k, name)(x, y) for name in names], (dtype, dtype), results, width
    )
    x, y = pairs(dtype)
    for name, result in zip(names, compiled(x, y), strict=True):
        assert_same(result, getattr(NUMPY, name)(x, y), name)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dtype", NUMBERS, ids=str)
def test_unary(compile_loop, dtype: DType, width: int):
    names = FLOAT_UNARY if dtype.is_float else INTEGER_UNARY
    compiled = compile_loop(
        lambda k, x: [getattr(k, name)(x) for name in names], (dtype,), (dtype,) * len(names), width
    )
    x = edges(dtype)
    for name, result in zip(names, compiled(x), strict=True):
        assert_same(result, getattr(NUMPY, name)(x), name)


@pytest.mark.parametrize("width", WIDTHS)
def test_bool(compile_loop, width: int):
    names = ("add", "mul", "max", "min", *COMPARISONS, *BITWISE)
    compiled = compile_loop(
        lambda k, x, y: [*(getattr(k, name)(x, y) for name in names), k.not_(x)],
        (bool_, bool_),
        (bool_,) * (len(names) + 1),
        width,
    )
    x, y = pairs(bool_)
    *results, inverse = compiled(x, y)
    for name, result in zip(names, results, strict=True):
        assert_same(result, getattr(NUMPY, name)(x, y), name)
    assert_same(inverse, ~x, "not_")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("source", [*NUMBERS, bool_], ids=str)
def test_convert(compile_loop, source: DType, width: int):
    targets = (*NUMBERS, bool_)
    compiled = compile_loop(
        lambda k, x: [k.convert(x, target) for target in targets], (source,), targets, width
    )
    x = edges(source)
    for target, result in zip(targets, compiled(x), strict=True):
        assert_same(result, NUMPY.convert(x, target), f"{source} to {target}")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dtype", [f32, f64], ids=str)
def test_remainder_of_distant_operands(compile_loop, dtype: DType, width: int):
    bits = np.random.default_rng(1).integers(0, 2**dtype.bits, (2, 20000), dtype=f"u{dtype.size}")
    x, y = bits.view(dtype.numpy)
    compiled = compile_loop(lambda k, x, y: [k.rem(x, y)], (dtype, dtype), (dtype,), width)
    assert_same(compiled(x, y)[0], NUMPY.rem(x, y), "rem")


@pytest.mark.parametrize("width", WIDTHS)
def test_extremes_against_a_constant(compile_loop, width: int):
    def body(k: Lanes, x: Lane) -> list[Lane]:
        zero, nan = k.const(0.0, f32), k.const(float("nan"), f32)
        return [k.max(x, zero), k.max(zero, x), k.min(x, zero), k.max(x, nan), k.min(nan, x)]

    x = edges(f32)
    results = compile_loop(body, (f32,), (f32,) * 5, width)(x)
    expected = [NUMPY.max(x, np.float32(0))] * 2 + [NUMPY.min(x, np.float32(0))]
    for result, value in zip(results[:3], expected, strict=True):
        assert_same(result, value, "max")
    assert np.isnan(results[3]).all() and np.isnan(results[4]).all()


@pytest.mark.parametrize("width", WIDTHS)
def test_select_bitcast_splat_fma(compile_loop, width: int):
    def body(k: Lanes, x: Lane, y: Lane) -> list[Lane]:
        three = k.splat(ir.Constant(ir.FloatType(), 3.0), f32)
        return [k.select(k.lt(x, y), x, y), k.bitcast(x, u32), k.mul(x, three), k.fma(x, y, x)]

    x, y = pairs(f32)
    selected, bits, tripled, fused = compile_loop(body, (f32, f32), (f32, u32, f32, f32), width)(
        x, y
    )
    assert_same(selected, NUMPY.select(x < y, x, y), "select")
    assert_same(bits, x.view(np.uint32), "bitcast")
    assert_same(tripled, NUMPY.mul(x, np.float32(3)), "splat")
    assert_same(fused, NUMPY.fma(x, y, x), "fma")


@pytest.mark.parametrize("width", WIDTHS)
def test_half_types_round_and_widen_exactly(compile_loop, width: int):
    every = np.arange(2**16, dtype=np.uint16)
    widen = compile_loop(lambda k, x: [k.widen(x)], (f16,), (f32,), width)
    assert_same(widen(every.view(np.float16))[0], every.view(np.float16).astype(np.float32), "f16")
    widen = compile_loop(lambda k, x: [k.widen(x)], (bf16,), (f32,), width)
    assert_same(widen(every.view(bf16.numpy))[0], bf16_to_f32(every.view(bf16.numpy)), "bf16")
    bits = np.random.default_rng(1).integers(0, 2**32, 50000, dtype=np.uint32)
    ties = (every.astype(np.uint32)[::7] << 16) | 0x8000
    x = np.concatenate([bits, ties, ties - 1, ties + 1]).view(np.float32)
    narrow = compile_loop(
        lambda k, x: [k.round(x, f16), k.round(x, bf16)], (f32,), (f16, bf16), width
    )
    half, brain = narrow(x)
    with np.errstate(over="ignore"):
        assert_same(half, x.astype(np.float16), "f16")
    assert (brain.view(np.uint16) == f32_to_bf16(x).view(np.uint16)).all()


def test_library_calls_are_noticed(compile_loop):
    """The fixture's own check, which every other test here relies on."""
    with pytest.raises(AssertionError, match=r"calls .*fmodf"):
        compile_loop(lambda k, x: [Lane(k.builder.frem(x.value, x.value), f32)], (f32,), (f32,), 1)


def test_refusals():
    module = ir.Module()
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), []), "f")
    k = Lanes(ir.IRBuilder(function.append_basic_block()), 4)
    one = k.const(1, f32)
    with pytest.raises(BackendError, match="cannot bitcast f32 to i64"):
        k.bitcast(one, i64)
    with pytest.raises(BackendError, match="cannot convert f32 to f16"):
        k.convert(one, f16)
    with pytest.raises(BackendError, match="cannot round i32 to f16"):
        k.round(k.const(1, i32), f16)
    with pytest.raises(BackendError, match="sub takes no bool"):
        k.sub(k.const(True, bool_), k.const(True, bool_))


def test_register_types():
    assert str(llvm_type(f32, 8)) == "<8 x float>"
    assert str(llvm_type(bool_, 1)) == "i1"
    assert str(llvm_type(bf16, 4)) == str(llvm_type(u16, 4)) == "<4 x i16>"

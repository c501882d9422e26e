"""Matrix-product kernels against NumPy in float64, over shapes, strides, types and epilogues."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import replace

import llvmlite.binding as llvm
import numpy as np
import pytest
from llvmlite import ir

from anode.backends.cpu.llvm_ir import I64, POINTER, add, at, load_vector, mul, store_vector, when
from anode.backends.cpu.matmul import (
    Epilogue,
    MatmulPlan,
    MatmulSpec,
    Operand,
    Prefetch,
    emit_matmul,
    plan_matmul,
)
from anode.backends.cpu.target import host_target, target_machine
from anode.ir.dtypes import DTYPES, DType, bf16, bf16_to_f32, f32, f32_to_bf16, f64, i64

TARGET = host_target()
Kernel = Callable[..., None]


def store(spec: MatmulSpec) -> Epilogue:
    """C[b, m, n] = sum, row-major and dense; parameters (c,)."""

    def emit(b, extra, batch, m, n, lanes, value, mask):
        index = ir.Constant(ir.IntType(64), 0)
        for size, i in zip((*spec.batch, spec.m, spec.n), (*batch, m, n), strict=True):
            index = b.add(mul(b, index, size), i)
        store_vector(b, value, at(b, extra[0], index, spec.dtype), spec.dtype, mask)

    return emit


def bias_relu(spec: MatmulSpec) -> Epilogue:
    """C[m, n] = max(sum + bias[n], 0); parameters (c, bias)."""
    plain = store(spec)

    def emit(b, extra, batch, m, n, lanes, value, mask):
        bias = load_vector(b, at(b, extra[1], n, spec.dtype), lanes, spec.dtype, spec.dtype, mask)
        total = b.fadd(value, bias)
        zero = ir.Constant(total.type, None)
        positive = b.select(b.fcmp_ordered(">", total, zero), total, zero)
        plain(b, extra, batch, m, n, lanes, positive, mask)

    return emit


def mark(spec: MatmulSpec) -> Prefetch:
    """Counts what is asked for in each row of C up to the last; parameters (c, counts)."""

    def emit(b, extra, batch, m, n, columns):
        def row():
            for column in range(columns):
                place = at(b, extra[1], b.add(mul(b, m, spec.n), add(b, n, column)), i64)
                value = b.load(place, typ=I64)
                b.store(b.add(value, I64(1)), place)

        when(b, b.icmp_signed("<", m, I64(spec.m)), row)

    return emit


def compile_plan(
    plan: MatmulPlan, epilogue: Epilogue, extra: int, prefetch: Prefetch | None = None
) -> tuple[Kernel, object]:
    module = ir.Module()
    module.triple = TARGET.triple
    emit_matmul(plan, module, "product", [POINTER] * extra, epilogue, prefetch)
    parsed = llvm.parse_assembly(str(module))
    parsed.verify()
    engine = llvm.create_mcjit_compiler(parsed, target_machine(TARGET))
    engine.finalize_object()
    arguments = [ctypes.c_void_p] * (3 + extra) + [ctypes.c_int64]
    function = ctypes.CFUNCTYPE(None, *arguments)(engine.get_function_address("product"))
    return function, engine


def llvm_text(m: int, k: int, n: int, transposed: str) -> str:
    a, b = operands(m, k, n, transposed)
    spec = spec_of(a, b, f32, f32, 2)
    module = ir.Module()
    module.triple = TARGET.triple
    emit_matmul(plan_matmul(spec, TARGET), module, "product", [POINTER], store(spec))
    return str(module)


def assembly(m: int, k: int, n: int, transposed: str) -> str:
    module = llvm.parse_assembly(llvm_text(m, k, n, transposed))
    return target_machine(TARGET).emit_assembly(module)


def run(
    plan: MatmulPlan, a: np.ndarray, b: np.ndarray, *extra: np.ndarray, epilogue=store, ahead=None
):
    """C of every task, run in reverse order, in NaN-filled memory with guard elements behind it."""
    spec = plan.spec
    size = int(np.prod((*spec.batch, spec.m, spec.n)))
    guarded = np.full(size + 64, 77, spec.dtype.numpy)
    scratch = np.full(plan.scratch_bytes + 64 + 64, 0xFF, np.uint8)
    base = -(-scratch.ctypes.data // 64) * 64
    end = base - scratch.ctypes.data + plan.scratch_bytes
    prefetch = ahead(spec) if ahead else None
    kernel, engine = compile_plan(plan, epilogue(spec), 1 + len(extra), prefetch)
    pointers = [a.ctypes.data, b.ctypes.data, base, guarded.ctypes.data]
    for task in reversed(range(plan.tasks)):
        kernel(*pointers, *[x.ctypes.data for x in extra], task)
    assert (guarded[size:] == 77).all(), "stored past the end of C"
    assert (scratch[end:] == 0xFF).all(), "used more scratch than planned"
    del engine
    return guarded[:size].reshape((*spec.batch, spec.m, spec.n))


def strides(array: np.ndarray) -> tuple[int, ...]:
    return tuple(s // array.itemsize for s in array.strides)


def draw(shape: tuple[int, ...], dtype: DType, seed: int) -> np.ndarray:
    """Random elements of `dtype`, as the host stores them."""
    random = np.random.default_rng(seed)
    if dtype is bf16:
        return f32_to_bf16(random.standard_normal(shape).astype(np.float32))
    if dtype.is_float:
        return random.standard_normal(shape).astype(dtype.numpy)
    return random.integers(0, 100, shape).astype(dtype.numpy)


def wide(array: np.ndarray) -> np.ndarray:
    if array.dtype == bf16.numpy:
        return bf16_to_f32(np.ascontiguousarray(array)).astype(np.float64)
    return array.astype(np.float64 if array.dtype.kind == "f" else np.int64)


def halved(array: np.ndarray, dtype: DType) -> np.ndarray:
    """f32 rounded to a half type, as the host stores it."""
    return f32_to_bf16(array) if dtype is bf16 else array.astype(dtype.numpy)


def spec_of(a: np.ndarray, b: np.ndarray, source: DType, dtype: DType, threads: int) -> MatmulSpec:
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    left = np.broadcast_to(a, batch + a.shape[-2:])
    right = np.broadcast_to(b, batch + b.shape[-2:])
    return MatmulSpec(
        m=a.shape[-2],
        n=b.shape[-1],
        k=a.shape[-1],
        a=Operand(source, strides(left)),
        b=Operand(source, strides(right)),
        dtype=dtype,
        threads=threads,
        batch=batch,
    )


def check(a: np.ndarray, b: np.ndarray, source: DType = f32, dtype: DType = f32) -> None:
    """C is right, and the same to the bit however many threads its tasks are cut for."""
    spec = spec_of(a, b, source, dtype, 1)
    plans = [plan_matmul(replace(spec, threads=threads), TARGET) for threads in (1, 2, 7)]
    distinct = {replace(plan, spec=replace(plan.spec, threads=1)) for plan in plans}
    results = [run(plan, a, b) for plan in distinct]
    assert len({result.tobytes() for result in results}) == 1
    expected = wide(a) @ wide(b)
    if dtype.is_float:
        bound = (np.abs(wide(a)) @ np.abs(wide(b))) * (a.shape[-1] + 2)
        error = np.abs(results[0] - expected)
        assert (error <= bound * np.finfo(dtype.numpy).eps).all()
    else:
        assert (results[0] == expected.astype(dtype.numpy)).all()


def operands(m: int, k: int, n: int, transposed: str, dtype: DType = f32):
    a = draw((k, m), dtype, 1).T if "a" in transposed else draw((m, k), dtype, 1)
    b = draw((n, k), dtype, 2).T if "b" in transposed else draw((k, n), dtype, 2)
    return a, b


SHAPES = [
    (1, 1, 1),
    (2, 3, 4),
    (5, 17, 10),
    (128, 100, 10),
    (70, 10, 100),
    (33, 70, 129),
    (128, 784, 100),
    (1, 300, 100),
    (3, 40, 37),
    (100, 300, 1),
    (1, 1, 200),
    (3, 1100, 35),
    (16, 16, 16),
    (64, 1030, 64),
    (40, 2100, 80),
]


@pytest.mark.parametrize("transposed", ["", "a", "b", "ab"])
@pytest.mark.parametrize(("m", "k", "n"), SHAPES)
def test_every_shape_and_transposition(m, k, n, transposed):
    check(*operands(m, k, n, transposed))


@pytest.mark.parametrize("n", [*range(1, 20), 31, 47, 65])
def test_every_width(n):
    check(*operands(9, 21, n, ""))


@pytest.mark.parametrize("m", [*range(1, 34), 61])
def test_every_height(m):
    check(*operands(m, 5, 33, "a"))


@pytest.mark.parametrize("transposed", ["", "a", "b", "ab"])
@pytest.mark.parametrize("name", ["f64", "i64", "i32", "u32", "i16", "u8"])
def test_types(name, transposed):
    dtype = DTYPES[name]
    check(*operands(37, 50, 43, transposed, dtype), dtype, dtype)


@pytest.mark.parametrize("transposed", ["", "a", "b", "ab"])
@pytest.mark.parametrize("name", ["f16", "bf16"])
@pytest.mark.parametrize(("m", "k", "n"), [(37, 50, 43), (2, 9, 5), (70, 33, 130)])
def test_half_types_sum_in_f32(m, k, n, name, transposed):
    dtype = DTYPES[name]
    check(*operands(m, k, n, transposed, dtype), dtype, f32)


def test_f32_sums_in_f64():
    check(*operands(20, 30, 40, "b"), f32, f64)


def test_empty_sum_is_zero():
    check(np.zeros((5, 0), np.float32), np.zeros((0, 21), np.float32))


@pytest.mark.parametrize("size", [4, 30])
def test_batch_of_matrices(size):
    check(draw((3, 5, size, 7), f32, 1), draw((3, 5, 7, size), f32, 2))


def test_batch_shares_an_operand():
    check(draw((6, 10, 12), f32, 1), draw((1, 12, 50), f32, 2))
    check(draw((2, 1, 10, 12), f32, 1), draw((1, 3, 12, 50), f32, 2))


def test_large_batch_is_grouped():
    a, b = draw((500, 4, 4), f32, 1), draw((500, 4, 4), f32, 2)
    assert plan_matmul(spec_of(a, b, f32, f32, 2), TARGET).tasks < 100
    check(a, b)


def test_strides_that_skip_elements():
    a, b = draw((40, 60), f32, 1)[::2, ::3], draw((40, 120), f32, 2)[::2, ::2]
    check(a, b)
    check(a.T.copy().T, b)
    check(draw((40, 60), f32, 1)[:, ::3], draw((40, 50), f32, 2)[::2, :21])


@pytest.mark.parametrize("k", [40, 41])
def test_strided_elements_are_copied_into_words(k):
    check(draw((33, 3 * k), bf16, 1)[:, ::3], draw((k, 90), bf16, 2), bf16)


def test_broadcast_rows_and_columns():
    row = np.broadcast_to(draw((1, 30), f32, 1), (20, 30))
    column = np.broadcast_to(draw((30, 1), f32, 2), (30, 40))
    check(row, column)


@pytest.mark.parametrize("transposed", ["", "a", "b", "ab"])
def test_strides_that_collide_in_the_cache(transposed):
    a, b = operands(70, 1024, 70, transposed)
    check(a, b)
    a, b = operands(256, 70, 1024, transposed)
    check(a, b)


@pytest.mark.parametrize(("m", "k", "n"), [(128, 100, 10), (7, 33, 130), (30, 2100, 37)])
def test_bias_and_relu(m, k, n):
    a, b = operands(m, k, n, "")
    bias = draw((n,), f32, 3)
    plan = plan_matmul(spec_of(a, b, f32, f32, 2), TARGET)
    result = run(plan, a, b, bias, epilogue=bias_relu)
    np.testing.assert_allclose(result, np.maximum(wide(a) @ wide(b) + bias, 0), 1e-3, 1e-3)


@pytest.mark.skipif(TARGET.vector_bytes != 64, reason="reads the assembly of AVX-512")
@pytest.mark.parametrize(
    ("m", "k", "n", "transposed"),
    [
        (128, 784, 100, ""),
        (128, 100, 10, ""),
        (784, 70, 1568, "a"),
        (70, 1568, 500, ""),
        (70, 2100, 130, "b"),
        (1, 500, 1568, "b"),
    ],
)
def test_sums_stay_in_wide_registers(m, k, n, transposed):
    lines = assembly(m, k, n, transposed).splitlines()
    assert any("vfmadd" in line and "zmm" in line for line in lines)
    assert not [line for line in lines if "zmm" in line and "(%rsp)" in line]


@pytest.mark.parametrize(("vector_bytes", "registers"), [(32, 16), (16, 32)])
@pytest.mark.parametrize("transposed", ["", "ab"])
def test_narrower_vectors(vector_bytes, registers, transposed, monkeypatch):
    narrow = replace(TARGET, vector_bytes=vector_bytes, registers=registers)
    monkeypatch.setitem(globals(), "TARGET", narrow)
    for shape in [(37, 50, 43), (5, 17, 10), (20, 1100, 35)]:
        check(*operands(*shape, transposed))
    check(*operands(19, 20, 21, transposed, f64), f64, f64)


@pytest.mark.parametrize(("m", "k", "n"), [(128, 784, 100), (70, 784, 1568), (128, 9216, 4096)])
def test_tasks_cover_a_team_and_a_single_thread_needs_few(m, k, n):
    a, b = np.broadcast_to(np.float32(0), (m, k)), np.broadcast_to(np.float32(0), (k, n))
    spec = replace(
        spec_of(a, b, f32, f32, 2), a=Operand(f32, (k, 1)), b=Operand(f32, (n, 1)), threads=2
    )
    assert plan_matmul(spec, TARGET).tasks >= 4
    assert plan_matmul(replace(spec, threads=1), TARGET).tasks < 4


@pytest.mark.parametrize("name", ["f16", "bf16", "f64", "i32"])
@pytest.mark.parametrize(("m", "k", "n"), [(1, 100, 45), (3, 70, 20), (50, 77, 1)])
def test_vectors_along_k(m, k, n, name):
    dtype = DTYPES[name]
    a, b = operands(m, k, n, "b", dtype)
    spec = spec_of(a, b, dtype, dtype.compute, 2)
    assert plan_matmul(spec, TARGET).form == "dots"
    check(a, b, dtype, dtype.compute)


@pytest.mark.parametrize(
    ("m", "k", "n", "transposed"), [(29, 70, 100, "a"), (70, 100, 37, ""), (30, 5, 33, "b")]
)
def test_all_that_the_epilogue_reads_is_asked_for(m, k, n, transposed):
    a, b = operands(m, k, n, transposed)
    spec = spec_of(a, b, f32, f32, 2)
    counts = np.zeros((m, n), np.int64)
    result = run(plan_matmul(spec, TARGET), a, b, counts, ahead=mark)
    np.testing.assert_allclose(result, wide(a) @ wide(b), rtol=1e-4, atol=1e-4)
    assert (counts > 0).all()


@pytest.mark.parametrize("transposed", ["", "b"])
def test_a_large_b_is_asked_for_ahead(transposed):
    wide_enough = TARGET.l2 // 4000
    assert "llvm.prefetch" in llvm_text(70, 1000, wide_enough, transposed)
    assert "llvm.prefetch" not in llvm_text(70, 100, 64, transposed)


@pytest.mark.parametrize(
    ("k", "n", "transposed", "name"),
    [
        (1061, 1104, "", "f32"),
        (1536, 1101, "b", "f32"),
        (1024, 2048, "ab", "f32"),
        (1061, 1104, "", "f16"),
        (1536, 1101, "b", "f16"),
        (2122, 1104, "a", "bf16"),
        (3072, 1101, "b", "bf16"),
    ],
)
def test_a_far_b_under_few_rows_is_streamed(k, n, transposed, name):
    dtype = DTYPES[name]
    a, b = operands(29, k, n, transposed, dtype)
    results = []
    for threads in (1, 2, 5):
        target = replace(TARGET, l2=1 << 18)
        plan = plan_matmul(spec_of(a, b, dtype, f32, threads), target)
        assert plan.streams_b
        results.append(run(plan, a, b))
    np.testing.assert_allclose(results[0], wide(a) @ wide(b), rtol=1e-4, atol=1e-3)
    assert all((result == results[0]).all() for result in results)


@pytest.mark.parametrize("pairs", [True, False])
@pytest.mark.parametrize("name", ["f16", "bf16"])
@pytest.mark.parametrize(("k", "n", "transposed"), [(2122, 1104, ""), (3072, 1101, "b")])
def test_a_streamed_b_is_rounded(k, n, transposed, name, pairs):
    half, (a, b) = DTYPES[name], operands(29, k, n, transposed)
    b[3, 5], b[7, 9] = 1 + 2.0**-8 + 2.0**-20, -1 - 2.0**-9 * 3
    narrow = halved(a, half)
    spec = spec_of(narrow, b, half, f32, 2)
    spec = replace(spec, b=replace(spec.b, dtype=f32, rounded=half))
    features = TARGET.features if pairs else TARGET.features.replace("+avx512bf16", "")
    plan = plan_matmul(spec, replace(TARGET, l2=1 << 18, features=features))
    assert plan.streams_b
    expected = wide(narrow) @ wide(halved(b, half))
    np.testing.assert_allclose(run(plan, narrow, b), expected, rtol=1e-4, atol=1e-3)


def test_an_odd_number_of_bf16_is_right_where_b_is_far():
    a, b = operands(29, 2123, 1104, "", bf16)
    plan = plan_matmul(spec_of(a, b, bf16, f32, 2), replace(TARGET, l2=1 << 18))
    np.testing.assert_allclose(run(plan, a, b), wide(a) @ wide(b), rtol=1e-4, atol=1e-3)


def test_streamed_batch_starts_afresh():
    a, b = draw((2, 29, 1040), f32, 1), draw((2, 1040, 1104), f32, 2)
    plan = plan_matmul(spec_of(a, b, f32, f32, 2), replace(TARGET, l2=1 << 18))
    assert plan.streams_b
    plan = replace(plan, groups=1)
    np.testing.assert_allclose(run(plan, a, b), wide(a) @ wide(b), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("m", "k", "n", "transposed"),
    [(128, 784, 100, ""), (70, 100, 300, "b"), (784, 70, 1568, "a"), (70, 784, 1568, "")],
)
def test_two_threads_get_even_shares(m, k, n, transposed):
    plan = plan_matmul(spec_of(*operands(m, k, n, transposed), f32, f32, 2), TARGET)

    def sizes(items: int, parts: int) -> list[int]:
        return [items * (i + 1) // parts - items * i // parts for i in range(parts)]

    tasks = [
        tiles * panels
        for tiles in sizes(plan.row_tiles, plan.row_blocks)
        for panels in sizes(plan.panels, plan.column_blocks)
    ]
    own = sum(tasks[: len(tasks) // 2])
    assert abs(own - sum(tasks) / 2) <= 0.05 * sum(tasks)


@pytest.mark.parametrize("blocks", [1, 3, 5])
@pytest.mark.parametrize(
    ("name", "channels"), [("bf16", 64), ("bf16", 22), ("f16", 27), ("f32", 7)]
)
def test_windows_as_columns_are_packed_run_by_run(name, channels, blocks):
    """As gradients by weights read them: rows are taps and channels, columns are places."""
    dtype, (n, size, taps) = DTYPES[name], (3, 15, 3)
    out, strides = size - taps + 1, (size * size * channels, size * channels, channels)
    x = draw((n, size, size, channels), dtype, 1)
    y = draw((n * out * out, 40), dtype, 2)
    rows = ((taps, strides[1]), (taps * channels, 1))
    columns = ((n, strides[0]), (out, strides[1]), (out, strides[2]))
    a, m = Operand(dtype, (1, channels), rows, columns), taps * taps * channels
    b = Operand(dtype, (40, 1))
    plan = plan_matmul(MatmulSpec(m, 40, n * out * out, a, b, dtype.compute, 2), TARGET)
    plan = replace(plan, row_blocks=blocks, kc=128, pack_a=True)
    result = run(plan, x, y)
    views = np.lib.stride_tricks.sliding_window_view(wide(x), (taps, taps), axis=(1, 2))
    expected = views.transpose(4, 5, 3, 0, 1, 2).reshape(m, -1) @ wide(y)
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-3)

"""Samples of every op: small, deterministic, shared by the tests of every backend.

Samples of elementwise ops follow from what they accept and from DOMAIN; the others are listed by
name in `samples_nn` (nn, random), in `samples_tensor` (movement, reductions, products, indices,
control), `samples_matrix` (decompositions) and `samples_window` (windows, convolution, pooling).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np

from anode.ir.dtypes import DTYPES, DType, bf16, f32_to_bf16
from anode.ops.declare import DeclaredOp, Elementwise
from tests.ops.sample import Sample

Range = tuple[float, float]

FLOATS = ("f64", "f32", "f16", "bf16")
INTEGERS = ("i32", "i64", "u8", "i8", "u32")
ACCEPTED: dict[str, tuple[str, ...]] = {
    "float": FLOATS,
    "integer": INTEGERS,
    "number": FLOATS + INTEGERS,
    "bool": ("bool",),
    "bits": (*INTEGERS, "bool"),
    "any": (*FLOATS, *INTEGERS, "bool"),
}
SHAPES = ((7,), (), (0, 3), (3, 5), (2, 1, 4))

# where the floats of each operand lie; by default between -3 and 3, at least 0.05 from 0
DOMAIN: dict[str, tuple[Range, ...]] = {
    "acosh": ((1.1, 5),),
    "acos": ((-0.9, 0.9),),
    "asin": ((-0.9, 0.9),),
    "atanh": ((-0.9, 0.9),),
    "clamp": ((-1.5, -0.5), (-3, 3), (0.5, 1.5)),
    "digamma": ((0.2, 5),),
    "erf_inv": ((-0.9, 0.9),),
    "lgamma": ((0.2, 5),),
    "polygamma": ((0.2, 5),),
    "log": ((0.1, 5),),
    "log1p": ((-0.9, 4),),
    "log2": ((0.1, 5),),
    "power": ((0.2, 3), (-3, 3)),
    "rsqrt": ((0.1, 5),),
    "sqrt": ((0.1, 5),),
    "tan": ((-1.3, 1.3),),
}
INTEGER_DOMAIN: dict[str, tuple[Range, ...]] = {
    "clamp": ((0, 3), (-6, 9), (4, 7)),
    "power": ((-3, 4), (-1, 5)),
    **{f"shift_{way}": ((-100, 100), (0, 9)) for way in ("left", "right_logical")},
    "shift_right_arithmetic": ((-100, 100), (0, 9)),
}
SPECIAL = (0.0, -0.0, 1.0, -1.0, 0.5, 2.5, -3.5, 1e-30, 88.0, -100.0, 3e38, -3e38)
NOT_FINITE = (np.inf, -np.inf, np.nan)
SMALL_SPECIAL = (0.0, -0.0, 1e-30, 0.5, -1.5, 7.0, -100.0, 1e4)  # for periods, which need range
PERIODIC = ("sin", "cos", "tan")


def samples(op: DeclaredOp) -> list[Sample]:
    """The samples of one op; none if nobody wrote any."""
    if op.name == "convert":
        return list(_conversions())
    if isinstance(op, Elementwise):
        return list(_elementwise(op))
    from tests.ops.samples_matrix import SAMPLES as MATRIX
    from tests.ops.samples_nn import SAMPLES as NN
    from tests.ops.samples_tensor import SAMPLES as TENSOR
    from tests.ops.samples_window import SAMPLES as WINDOW

    return [sample for table in (MATRIX, NN, TENSOR, WINDOW) for sample in table.get(op.name, [])]


def rng(name: str) -> np.random.Generator:
    """The generator of an op's samples, the same in every run."""
    return np.random.default_rng(zlib.crc32(name.encode()))


def stored(array: np.ndarray, dtype: DType | str) -> np.ndarray:
    """`array` as the host stores `dtype`."""
    dtype = DTYPES[dtype] if isinstance(dtype, str) else dtype
    if dtype is bf16:
        return f32_to_bf16(np.asarray(array, np.float32))
    with np.errstate(all="ignore"):
        return np.asarray(array).astype(dtype.numpy)


def floats(random: np.random.Generator, shape: tuple[int, ...], span: Range) -> np.ndarray:
    """Numbers in `span`, none within 0.05 of 0 or within 0.001 of a half integer."""
    x = random.uniform(*span, shape)
    x = np.where(np.abs(x) < 0.05, 0.05 + np.abs(x), x)
    return np.where(np.abs(2 * x - np.rint(2 * x)) < 0.002, x + 0.01, x)


def _elementwise(op: Elementwise) -> Iterator[Sample]:
    random, arity = rng(op.name), len(op.operands) - op.predicate
    for name in ACCEPTED[op.accepts]:
        dtype = DTYPES[name]
        main = name in ("f64", "f32", "i32", "bool")
        for shape in SHAPES if main else SHAPES[:1]:
            yield _with_predicate(op, random, _operands(op.name, random, dtype, [shape] * arity))
        if main and arity > 1:
            shapes = [(3, 1), (4,), (2, 1, 1)][:arity]
            yield _with_predicate(op, random, _operands(op.name, random, dtype, shapes))
        if name in ("f64", "f32", "i32", "u8"):
            yield _with_predicate(op, random, _extremes(op.name, dtype, arity), smooth=False)


def _with_predicate(
    op: Elementwise, random: np.random.Generator, args: list[np.ndarray], smooth: bool = True
) -> Sample:
    predicate = [np.asarray(random.random(args[0].shape) < 0.5)] if op.predicate else []
    return Sample([*predicate, *args], smooth=smooth)


def _operands(
    name: str, random: np.random.Generator, dtype: DType, shapes: list[tuple[int, ...]]
) -> list[np.ndarray]:
    if dtype.kind == "bool":
        return [np.asarray(random.random(shape) < 0.5) for shape in shapes]
    if dtype.is_float:
        spans = DOMAIN.get(name, ((-3, 3),) * 3)
        drawn = [floats(random, s, span) for s, span in zip(shapes, spans, strict=False)]
    else:
        spans = INTEGER_DOMAIN.get(name, ((-9, 9),) * 3)
        drawn = [random.integers(*span, s) for s, span in zip(shapes, spans, strict=False)]  # type: ignore[call-overload]
    return [stored(x, dtype) for x in drawn]


def _extremes(name: str, dtype: DType, arity: int) -> list[np.ndarray]:
    """Every combination (for three operands: every pair and a fixed one) of awkward values."""
    if dtype.is_float:
        values = stored(np.array(SMALL_SPECIAL if name in PERIODIC else SPECIAL), dtype)
        values = np.concatenate([values, stored(np.array(NOT_FINITE), dtype)])
    else:
        info = np.iinfo(dtype.numpy)
        values = np.array([info.min, info.max, 0, 1, 2, info.max - 1], dtype.numpy)
        values = np.append(values, np.invert(np.zeros(1, dtype.numpy)))
    if arity == 1:
        return [values]
    pairs = [np.ascontiguousarray(v) for v in np.meshgrid(values, values)]
    return [*pairs, np.full_like(pairs[0], 1)][:arity]


def _conversions() -> Iterator[Sample]:
    random = rng("convert")
    for source in ("f64", "f32", "f16", "bf16", "i32", "i64", "u8", "i8", "bool"):
        for target in ("f64", "f32", "f16", "bf16", "i32", "i64", "u32", "u8", "bool"):
            (x,) = _operands("convert", random, DTYPES[source], [(3, 5)])
            yield Sample([x], {"dtype": DTYPES[target]}, smooth=(source == target == "f64"))
    for source in ("f64", "f32", "i32", "u8"):
        for target in ("f32", "f16", "bf16", "i32", "u8", "i64", "bool"):
            (x,) = _extremes("convert", DTYPES[source], 1)
            yield Sample([x], {"dtype": DTYPES[target]}, smooth=False)

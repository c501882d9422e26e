"""The composed scalar functions against mpmath, over the whole range of f32 and f64."""

from __future__ import annotations

import math
from typing import Any

import mpmath
import numpy as np
import pytest

from anode.ir.op import registry
from anode.ir.types import tensor

LIMITS = {np.float32: 3.5e38, np.float64: 1.7e308}


def run(name: str, *args: Any, **attrs: Any) -> np.ndarray:
    """The reference value of an op."""
    op = registry[name]
    arrays = [np.asarray(a) for a in args]
    types = tuple(tensor(a.dtype, *a.shape) for a in arrays)
    return op.evaluate_op(tuple(arrays), attrs, op.infer(types, attrs))  # type: ignore[attr-defined]


def ulps(got: np.ndarray, points: np.ndarray, oracle: Any) -> tuple[float, float]:
    """The largest error in units of the last place, and the point where it is."""
    worst, where = 0.0, math.nan
    with mpmath.workdps(60):
        for value, x in zip(got.tolist(), points, strict=True):
            exact = oracle(mpmath.mpf(float(x)))
            rounded = points.dtype.type(float(exact))
            if not np.isfinite(rounded):
                assert value == rounded, x
                continue
            assert math.isfinite(value), (x, value)
            error = float(
                abs(mpmath.mpf(value) - exact) / mpmath.mpf(float(np.spacing(abs(rounded))))
            )
            worst, where = max((worst, where), (error, float(x)))
    return worst, where


def spread(dtype: Any, low: float, high: float, count: int = 60) -> np.ndarray:
    """Points from low to high in equal ratios, irregular in their last digits."""
    steps = np.geomspace(low, high, count) * np.random.default_rng(0).uniform(0.9, 1.0, count)
    return np.append(steps, [low, high]).astype(dtype)


def both(points: np.ndarray) -> np.ndarray:
    return np.concatenate([-points[::-1], points])


# name: oracle, points of a dtype, ulps allowed
CASES: dict[str, tuple[Any, Any, float]] = {
    "exp2": (lambda x: mpmath.mpf(2) ** x, lambda d: both(spread(d, 1e-6, 120)), 1),
    "log2": (lambda x: mpmath.log(x, 2), lambda d: spread(d, 1e-30, 1e30), 2),
    "cbrt": (
        lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)),
        lambda d: both(spread(d, 1e-37, 1e37)),
        2,
    ),
    "rsqrt": (lambda x: 1 / mpmath.sqrt(x), lambda d: spread(d, 1e-37, 1e37), 1.1),
    "tan": (mpmath.tan, lambda d: both(spread(d, 1e-6, 1e3)), 2),
    "asin": (mpmath.asin, lambda d: both(spread(d, 1e-10, 1)), 3),
    "acos": (mpmath.acos, lambda d: both(spread(d, 1e-10, 1)), 3),
    "sinh": (mpmath.sinh, lambda d: both(spread(d, 1e-20, 89.3)), 6),
    "cosh": (mpmath.cosh, lambda d: both(spread(d, 1e-20, 89.3)), 6),
    "asinh": (mpmath.asinh, lambda d: both(spread(d, 1e-20, 1e37)), 4),
    "acosh": (mpmath.acosh, lambda d: 1 + spread(d, 1e-6, 1e37), 4),
    "atanh": (mpmath.atanh, lambda d: both(spread(d, 1e-20, 0.9999)), 4),
    "logistic": (
        lambda x: 1 / (1 + mpmath.exp(-x)),
        lambda d: both(spread(d, 1e-6, 80)),
        4,
    ),
    "erf": (mpmath.erf, lambda d: both(spread(d, 1e-20, 10)), 1),
    "erfc": (mpmath.erfc, lambda d: both(spread(d, 1e-6, 9)), 12),
    "erf_inv": (mpmath.erfinv, lambda d: both(spread(d, 1e-12, 0.999)), 8),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CASES)
def test_accuracy(name: str, dtype: Any) -> None:
    oracle, points, allowed = CASES[name]
    x = points(dtype)
    worst, where = ulps(run(name, x), x, oracle)
    assert worst <= allowed, f"{name}({where}) is {worst:.2f} ulp off"

"""Winograd's methods as matrices: a short convolution and its gradient by weights from them."""

from __future__ import annotations

import numpy as np
import pytest

from anode.backends.cpu.winograd_method import METHODS, Matrix, Method


def at_points(method: Method, halves: Matrix) -> np.ndarray:
    """A matrix of even and odd parts as that of all points."""
    rows = np.array(halves)
    for i in range(method.zero, len(rows) - 1, 2):
        rows[i], rows[i + 1] = rows[i] + rows[i + 1], rows[i] - rows[i + 1]
    return rows


@pytest.mark.parametrize(
    "method", [m for found in METHODS.values() for m in found.values()], ids=str
)
def test_results_and_gradients(method: Method) -> None:
    random = np.random.default_rng(0)
    x, w, ct = (random.normal(size=n) for n in (method.size, method.taps, method.tile))
    image, filter, result = (
        at_points(method, halves) for halves in (method.image, method.filter, method.result)
    )
    y = result.T @ ((image @ x) * (filter @ w))
    np.testing.assert_allclose(y, np.correlate(x, w), rtol=1e-12, atol=1e-12)
    dw = filter.T @ ((image @ x) * (result @ ct))
    np.testing.assert_allclose(dw, np.correlate(x, ct), rtol=1e-12, atol=1e-12)


def test_names() -> None:
    methods = METHODS["f32"]
    assert str(methods[2]) == "F(4x4, 2x2)" and methods[2].gradient == "F(2x2, 4x4)"
    assert methods[2].points == 25 and methods[3].points == 36

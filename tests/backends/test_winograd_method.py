"""Winograd's methods as matrices: a short convolution and its gradient by weights from them."""

from __future__ import annotations

import numpy as np
import pytest

from anode.backends.cpu.winograd_method import METHODS, Filter, Matrix, Method


def at_points(method: Method, halves: Matrix) -> np.ndarray:
    """A matrix of even and odd parts as that of all points."""
    rows = np.array(halves)
    for i in range(method.zero, len(rows) - 1, 2):
        rows[i], rows[i + 1] = rows[i] + rows[i + 1], rows[i] - rows[i + 1]
    return rows


USED = dict.fromkeys(m for found in METHODS.values() for both in found.values() for m in both)


@pytest.mark.parametrize("method", USED, ids=repr)
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
    filter = Filter.of(4, 2, "f32")
    assert str(filter) == "F(4x4, 2x2)" and filter.gradient == "F(2x2, 4x4)"
    assert filter.points == 25 and Filter.of(3, 1, "f32").points == 36
    assert str(Filter.of(5, 1, "bf16")) == "F(1x2, 1x5)" and Filter.of(5, 1, "bf16").points == 6


def test_phases() -> None:
    assert Filter.of(4, 2, "bf16").phases == (2, 2) and Filter.of(4, 2, "bf16").turns == (1, 1)
    assert Filter.of(9, 2, "bf16").phases == (9, 2) and Filter.of(9, 2, "bf16").turns == (5, 1)

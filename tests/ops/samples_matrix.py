"""Samples of decompositions and linear systems: small matrices far from singular ones."""

from __future__ import annotations

import numpy as np

from tests.ops.sample import Sample

RNG = np.random.default_rng(11)


def normal(*shape: int, dtype: str = "f8") -> np.ndarray:
    return RNG.normal(size=shape).astype(dtype)


def regular(*lead: int, size: int = 3, dtype: str = "f8") -> np.ndarray:
    return (normal(*lead, size, size) + 4 * np.eye(size)).astype(dtype)


def definite(*lead: int, size: int = 3, dtype: str = "f8") -> np.ndarray:
    """Positive definite matrices whose eigenvalues lie apart."""
    x = normal(*lead, size, size) * 0.3 + np.diag(np.arange(1.0, size + 1))
    return (x @ np.swapaxes(x, -1, -2)).astype(dtype)


SAMPLES: dict[str, list[Sample]] = {
    "cholesky": [
        Sample([definite()]),
        Sample([definite(2, size=2)]),
        Sample([definite(dtype="f4")]),
    ],
    "triangular_solve": [
        Sample([regular(), normal(3, 2)]),
        Sample([regular(2), normal(2, 3, 1)], {"lower": False}),
        Sample([regular(), normal(3, 2)], {"transpose": True}),
        Sample([regular(), normal(3, 2)], {"lower": False, "transpose": True}),
    ],
    "solve": [
        Sample([regular(), normal(3, 2)]),
        Sample([regular(2), normal(2, 3, 1)]),
        Sample([regular(dtype="f4"), normal(3, 2, dtype="f4")]),
    ],
    "inverse": [Sample([regular()]), Sample([regular(2, size=2)]), Sample([regular(size=0)])],
    "determinant": [Sample([regular()]), Sample([regular(2, size=2)]), Sample([regular(size=1)])],
    "slogdet": [Sample([regular()]), Sample([-regular(2)])],
    "eigh": [Sample([definite()]), Sample([definite(2, size=2)]), Sample([definite(dtype="f4")])],
    "svd": [
        Sample([definite()]),
        Sample([definite(2, size=4)[:, :3]]),
        Sample([definite(size=4)[:, :2]]),
        Sample([normal(4, 2)], {"full": True}, smooth=False),
    ],
    "qr": [
        Sample([regular()]),
        Sample([regular(2, size=4)[..., :3]]),
        Sample([normal(2, 4)], smooth=False),
        Sample([normal(4, 2)], {"full": True}, smooth=False),
    ],
}

"""Samples of windows and of what is made of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from anode.ir.dtypes import bf16
from tests.ops.sample import Sample
from tests.ops.samples_tensor import ints, normal

CONVOLUTIONS: list[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
    ((2, 7, 3), (3, 3, 4), {}),
    ((2, 9, 2), (3, 2, 3), {"strides": (2,), "low": (1,), "high": (2,)}),
    ((1, 8, 7, 3), (3, 2, 3, 4), {"strides": (2, 1), "low": (1, 0), "high": (0, 1)}),
    ((2, 6, 7, 2), (4, 4, 2, 3), {"strides": (2, 2), "low": (1, 1), "high": (1, 2)}),
    ((1, 9, 8, 2), (3, 3, 2, 2), {"strides": (2, 2), "low": (1, 1), "high": (1, 1)}),
    ((1, 9, 9, 2), (2, 3, 2, 2), {"dilations": (3, 2), "low": (2, -1), "high": (-1, 2)}),
    ((1, 11, 3), (3, 3, 2), {"strides": (2,), "dilations": (2,), "low": (2,), "high": (3,)}),
    ((1, 13, 2), (3, 2, 2), {"strides": (4,), "dilations": (6,), "low": (3,), "high": (2,)}),
    ((2, 7, 5, 3), (1, 1, 3, 4), {"strides": (2, 3)}),
    ((1, 11, 3), (2, 3, 2), {"strides": (5,), "low": (1,), "high": (-2,)}),
    ((1, 5, 6, 4), (3, 3, 2, 6), {"groups": 2, "low": (1, 1), "high": (1, 1)}),
    ((1, 7, 6, 4), (3, 2, 2, 2), {"groups": 2, "strides": (2, 2)}),
    ((2, 5, 6, 3), (3, 3, 1, 3), {"groups": 3, "low": (1, 1), "high": (1, 1)}),
    ((1, 7, 5, 2), (3, 2, 1, 6), {"groups": 2, "strides": (2, 1), "low": (1, 0), "high": (1, 0)}),
    ((1, 4, 5, 4, 2), (2, 3, 2, 2, 3), {"strides": (1, 2, 1), "low": (0, 1, 1), "high": (0, 0, 0)}),
    ((1, 3, 4, 3, 2), (2, 2, 2, 1, 2), {"groups": 2}),
    ((0, 5, 5, 2), (3, 3, 2, 2), {}),
    ((1, 1, 1, 3), (3, 3, 3, 2), {"low": (1, 1), "high": (1, 1), "strides": (2, 2)}),
]
TYPED: list[tuple[Any, int]] = [(np.float32, 1), (np.float32, 4), (bf16, 1), (bf16, 4)]


def convolutions(form: str) -> list[Sample]:
    """Samples of convolution ("xw") and of its gradients by x ("yw") and by w ("xy")."""
    return [convolution(form, *row) for row in CONVOLUTIONS] + [
        convolution(form, (2, 6, 7, 4), (3, 3, 4 // groups, 8), attrs, dtype)
        for dtype, groups in TYPED
        for attrs in [{"strides": (2, 2), "low": (1, 1), "high": (1, 1), "groups": groups}]
    ]


def convolution(
    form: str,
    x: tuple[int, ...],
    w: tuple[int, ...],
    attrs: dict[str, Any],
    dtype: Any = np.float64,
) -> Sample:
    d = len(x) - 2
    steps = [attrs.get(name, (0,) * d) for name in ("low", "high")]
    steps += [attrs.get(name, (1,) * d) for name in ("strides", "dilations")]
    out = [
        (n + a + b - (k - 1) * e - 1) // s + 1
        for n, k, a, b, s, e in zip(x[1:-1], w[:d], *steps, strict=True)
    ]
    shapes = {"x": x, "w": w, "y": (x[0], *out, w[-1])}
    extra: dict[str, dict[str, Any]] = {
        "xw": {},
        "yw": {"sizes": x[1:-1]},
        "xy": {"kernel": w[:d]},
    }
    return Sample([normal(*shapes[c], dtype=dtype) for c in form], {**extra[form], **attrs})


SAMPLES: dict[str, list[Sample]] = {
    "convolution": convolutions("xw"),
    "convolution_data": convolutions("yw"),
    "convolution_weights": convolutions("xy"),
    "windows": [
        Sample([normal(2, 7, 6, 3)], {"axes": (1, 2), "sizes": (3, 2), "strides": (2, 1)}),
        Sample([normal(9, 4)], {"axes": (0,), "sizes": (3,), "dilations": (2,)}),
        Sample([normal(2, 5)], {"axes": (1,), "sizes": (3,)}),
        Sample([normal(6)], {"axes": (-1,), "sizes": (2,), "strides": (3,)}),
        Sample([normal(1, 4, 4, 4, 2)], {"axes": (1, 2, 3), "sizes": (2, 2, 2)}),
        Sample([normal(0, 4, 3)], {"axes": (1,), "sizes": (2,)}),
        Sample([normal(3, 5, 2)], {"axes": (), "sizes": ()}),
        Sample([normal(5, 20, dtype=np.float32)], {"axes": (0,), "sizes": (2,)}),
        Sample([normal(2, 5, 3, dtype=bf16)], {"axes": (1,), "sizes": (3,), "strides": (2,)}),
        Sample([ints(4, 6, dtype=np.int8)], {"axes": (0, 1), "sizes": (2, 3)}),
    ],
    "overlap_add": [
        Sample(
            [normal(2, 3, 5, 3, 2, 3)],
            {"lengths": (8, 6), "axes": (1, 2), "sizes": (3, 2), "strides": (2, 1)},
        ),
        Sample(
            [normal(5, 3, 4)], {"lengths": (9,), "axes": (0,), "sizes": (3,), "dilations": (2,)}
        ),
        Sample([normal(2, 3, 3)], {"lengths": (5,), "axes": (1,), "sizes": (3,)}),
        Sample([normal(2, 2)], {"lengths": (6,), "axes": (0,), "sizes": (2,), "strides": (3,)}),
        Sample([normal(0, 3, 2, 3)], {"lengths": (4,), "axes": (1,), "sizes": (2,)}),
        Sample(
            [normal(4, 2, 20, dtype=np.float32)], {"lengths": (5,), "axes": (0,), "sizes": (2,)}
        ),
        Sample(
            [normal(2, 2, 3, 3, dtype=bf16)],
            {"lengths": (5,), "axes": (1,), "sizes": (3,), "strides": (2,)},
        ),
        Sample([ints(3, 4, 2, 3, 1)], {"lengths": (4, 6), "axes": (0, 1), "sizes": (2, 3)}),
    ],
}

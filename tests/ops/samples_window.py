"""Samples of windows and of what is made of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from anode.ir.dtypes import bf16
from anode.ops import max_pool_with_index, roi_pool_index
from tests.ops.sample import Sample
from tests.ops.samples import stored
from tests.ops.samples_tensor import distinct, ints, normal
from tests.ops.values import run

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


POOLS: list[tuple[tuple[int, ...], dict[str, Any]]] = [
    ((2, 7, 6, 3), {"sizes": (3, 2), "strides": (2, 2), "low": (1, 0), "high": (1, 1)}),
    ((2, 9, 4), {"sizes": (3,), "strides": (2,)}),
    ((1, 8, 2), {"sizes": (2,), "dilations": (3,), "low": (1,), "high": (1,)}),
    ((1, 4, 5, 4, 2), {"sizes": (2, 2, 2), "strides": (2, 1, 2)}),
    ((1, 5, 5, 2), {"sizes": (2, 2), "strides": (3, 3), "low": (-1, 0), "high": (1, -1)}),
    ((1, 17, 17, 1), {"sizes": (17, 17)}),
    ((0, 4, 4, 2), {"sizes": (2, 2)}),
]


def pools(**attrs: Any) -> list[Sample]:
    """Samples of pooling: no two elements are so near that a step makes the other the larger."""
    typed: dict[str, Any] = {**POOLS[0][1], **attrs}
    return [Sample([distinct(*shape)], {**each, **attrs}) for shape, each in POOLS] + [
        Sample([distinct(2, 7, 6, 18, dtype=np.float32)], typed),
        Sample([stored(distinct(1, 7, 6, 3), bf16)], typed),
    ]


def pool_gradients() -> list[Sample]:
    found = []
    for shape, attrs in POOLS:
        values = distinct(*shape)
        _, index = run(lambda x, attrs=attrs: max_pool_with_index(x, **attrs).items, values)
        found.append(Sample([normal(*index.shape), index], {"lengths": shape[1:-1], **attrs}))
    one = {"lengths": (4,), "sizes": (2,)}
    index = np.array([0, 1, 0], np.uint8).reshape(1, 3, 1)
    found += [Sample([normal(1, 3, 1, dtype=t), index], one) for t in (np.float32, bf16)]
    return found


def overhanging() -> list[Sample]:
    """Averages of which the last window reaches beyond the padding."""
    common = {"sizes": (3,), "strides": (2,), "overhang": (1,)}
    others: list[dict[str, Any]] = [{}, {"low": (1,), "high": (1,)}, {"include_padding": False}]
    return [Sample([normal(1, 6, 2)], {**common, **attrs}) for attrs in others]


NANS = np.array([[1, np.nan, 3, 3, -np.inf, -np.inf, 2, 2, np.nan]], np.float32)[..., None]


def resized() -> list[Sample]:
    """Samples of every way to interpolate, to larger and smaller sizes and to the same."""
    ways: list[dict[str, Any]] = [
        {"mode": mode, "coordinates": coordinates}
        for mode in ("nearest", "linear", "cubic", "area")
        for coordinates in ("half_pixel", "align_corners", "asymmetric")
    ]
    ways += [{"mode": mode, "antialias": True, "cubic": -0.5} for mode in ("linear", "cubic")]
    return [
        *[Sample([normal(2, 5, 6, 3)], {"sizes": (7, 3), **way}) for way in ways],
        *[Sample([normal(1, 4, 2)], {"sizes": (8,), **way}) for way in ways],
        Sample([normal(1, 3, 4, 2, 2)], {"sizes": (6, 1, 2)}),
        Sample([normal(1, 4, 4, 2)], {"sizes": (2, 2), "mode": "nearest"}),
        Sample([normal(0, 4, 2)], {"sizes": (6,)}),
        Sample([normal(1, 6, 5, 9, dtype=np.float32)], {"sizes": (9, 8), "mode": "cubic"}),
        Sample([normal(1, 5, 3, dtype=bf16)], {"sizes": (8,)}),
    ]


# a fraction of the image does not count: so finite differences may move it
REGIONS = np.array([[1.3, 0.2, 1.1, 5.3, 4.2], [0.3, 2.1, 0, 2.3, 6.2], [1.3, -3.1, 4.3, 2.2, 9.4]])


def regions() -> list[Sample]:
    """Samples of pooling the cells of regions, some of them outside."""
    boxes = REGIONS
    return [
        Sample([distinct(2, 6, 5, 3), boxes], {"sizes": (2, 3)}),
        Sample([distinct(2, 6, 5, 2), boxes * [1, 2, 2, 2, 2]], {"sizes": (3, 2), "scale": 0.5}),
        Sample([distinct(2, 4, 3, 1), boxes[:1]], {"sizes": (7, 7)}),
        Sample([normal(2, 6, 5, 4, dtype=np.float32), boxes.astype(np.float32)], {"sizes": (3, 3)}),
        Sample([normal(2, 6, 5, 4, dtype=bf16), boxes.astype(np.float32)], {"sizes": (2, 2)}),
    ]


def region_gradients() -> list[Sample]:
    found = []
    for sample in regions():
        index = run(lambda x, r, a=sample.attrs: roi_pool_index(x, r, **a), *sample.args)
        x, boxes = sample.args
        ct = normal(*index.shape, dtype=bf16 if x.dtype == np.uint16 else x.dtype)
        found.append(Sample([ct, index, boxes], {"lengths": x.shape[:-1]}))
    return found


SAMPLES: dict[str, list[Sample]] = {
    "resize": resized(),
    "roi_pool": regions(),
    "roi_pool_index": regions(),
    "roi_pool_grad": region_gradients(),
    "roi_align": [
        *regions(),
        Sample([normal(2, 6, 5, 3), REGIONS], {"sizes": (2, 3), "samples": 3, "aligned": True}),
    ],
    "max_pool": [
        *pools(),
        Sample([NANS], {"sizes": (2,)}, smooth=False),
        Sample([ints(1, 6, 2)], {"sizes": (2,), "low": (1,), "high": (1,)}),
    ],
    "max_pool_with_index": [*pools(), Sample([NANS], {"sizes": (2,)}, smooth=False)],
    "max_pool_grad": pool_gradients(),
    "average_pool": [*pools(), *pools(include_padding=False), *overhanging()],
    "lp_pool": [
        *pools(),
        *pools(p=3.0),
        Sample([normal(1, 4, 2)], {"sizes": (2,), "p": 1.0}),
        Sample([np.zeros((1, 4, 2), np.float32)], {"sizes": (2,)}, smooth=False),
    ],
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

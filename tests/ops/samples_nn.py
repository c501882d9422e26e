"""Samples of the ops of neural networks and of random numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.ops.sample import Sample
from tests.ops.samples import floats, rng, stored

KEY = np.array([1, 2, 3, 4], np.uint32)
LONG_KEY = np.array([1, 2, 3, 4, 0xFFFFFFFE, 6], np.uint32)  # its third block carries

Shape = tuple[int, ...]


def real(name: str, *shapes: Shape, dtype: str = "f64", low: float = -3, high: float = 3) -> Any:
    """Floats of these shapes, away from the kinks at 0, ±1/2, ±1, ..."""
    random = rng(name)
    return [stored(floats(random, shape, (low, high)), dtype) for shape in shapes]


def unary(name: str, **attrs: Any) -> list[Sample]:
    shapes: list[Shape] = [(3, 5), (), (0, 2)]
    typed = [Sample(real(name, (9,), dtype=d), attrs) for d in ("f32", "f16", "bf16")]
    special = np.array([0, -0.0, 1e-30, 100, -100, 1e30, np.inf, -np.inf, np.nan], np.float32)
    plain = [Sample(real(name, shape), attrs) for shape in shapes]
    return [*plain, *typed, Sample([special], attrs, smooth=False)]


def rows(name: str) -> list[Sample]:
    """Samples of a function along an axis of one operand."""
    big = np.array([[1e4, 0, -1e4], [-np.inf, 0, 1], [7, 7, 7]], np.float32)
    return [
        Sample(real(name, (3, 5)), {"axis": 1}),
        Sample(real(name, (3, 5)), {"axis": 0}),
        Sample(real(name, (2, 3, 4)), {"axis": -2}),
        Sample(real(name, (4,)), {}),
        Sample(real(name, (0, 3)), {}),
        Sample(real(name, (2, 33), dtype="f32")),
        Sample(real(name, (2, 9), dtype="f16")),
        Sample(real(name, (2, 9), dtype="bf16")),
        Sample([big], {"axis": 1}, smooth=False),
    ]


def losses(name: str, low: float, high: float) -> list[Sample]:
    """Samples of a loss of two operands of one shape along an axis."""

    def one(shape: Shape, dtype: str = "f64") -> list[np.ndarray]:
        targets = real(name + "t", shape, dtype=dtype, low=0.05, high=1)
        return [*real(name, shape, dtype=dtype, low=low, high=high), *targets]

    return [
        Sample(one((3, 5)), {"axis": 1}),
        Sample(one((2, 3, 4)), {"axis": 1}),
        Sample(one((4,)), {"axis": 0}),
        Sample(one((0, 4)), {"axis": -1}),
        Sample(one((2, 17), "f32"), {"axis": -1}),
        Sample(one((2, 9), "bf16"), {"axis": -1}),
    ]


def sparse(name: str) -> list[Sample]:
    random = rng(name)

    def one(shape: Shape, dtype: str, labels: str) -> Sample:
        found = stored(random.integers(0, shape[-1], shape[:-1]), labels)
        return Sample([*real(name, shape, dtype=dtype), found])

    outside = [*real(name, (3, 4), dtype="f32"), np.array([0, 4, -1], np.int32)]
    return [
        one((3, 5), "f64", "i32"),
        one((2, 3, 4), "f64", "i64"),
        one((6,), "f64", "i32"),
        one((3, 4), "f32", "u8"),
        one((3, 4), "f16", "i32"),
        one((0, 4), "f32", "i32"),
        Sample(outside, smooth=False),
    ]


def batch_norm(name: str) -> list[Sample]:
    return [
        Sample(real(name, (4, 3, 2), (3,), (3,)), {"axis": 1}),
        Sample(real(name, (5, 2), (2,), (2,)), {"axis": -1, "epsilon": 0.1}),
        Sample(real(name, (2, 3, 5, 7), (3,), (3,), dtype="f32"), {"axis": 1}),
        Sample(
            [*real(name, (6, 3), dtype="bf16"), *real(name, (3,), (3,), dtype="f32")], {"axis": 1}
        ),
    ]


def batch_norm_inference(name: str) -> list[Sample]:
    def one(shape: Shape, axis: int, dtype: str = "f64") -> Sample:
        vector = (shape[axis],)
        x, scale, offset, mean = real(name, shape, vector, vector, vector, dtype=dtype)
        (variance,) = real(name, vector, dtype=dtype, low=0.2, high=2)
        return Sample([x, scale, offset, mean, variance], {"axis": axis})

    return [one((4, 3, 2), 1), one((0, 2), 1), one((5, 2), -1, "f32"), one((2, 3, 4), 1, "f16")]


def batch_norm_grad(name: str) -> list[Sample]:
    def one(shape: Shape, axis: int, dtype: str = "f64") -> Sample:
        vector = (shape[axis],)
        ct, x, scale, mean = real(name, shape, shape, vector, vector, dtype=dtype)
        (variance,) = real(name, vector, dtype=dtype, low=0.2, high=2)
        return Sample([ct, x, scale, mean, variance], {"axis": axis, "epsilon": 1e-3})

    return [one((4, 3, 2), 1), one((5, 2), -1), one((2, 3, 4, 4), 1, "f32")]


def layer_norm(name: str) -> list[Sample]:
    return [
        Sample(real(name, (3, 5), (5,), (5,))),
        Sample(real(name, (2, 3, 4), (3, 4), (3, 4)), {"axes": (1, 2), "epsilon": 0.1}),
        Sample(real(name, (2, 3, 4), (3,), (3,)), {"axes": (1,)}),
        Sample(real(name, (4, 33), (33,), (33,), dtype="f32")),
        Sample([*real(name, (4, 8), dtype="f16"), *real(name, (8,), (8,), dtype="f32")]),
    ]


def group_norm(name: str) -> list[Sample]:
    return [
        Sample(real(name, (2, 3, 5, 4), (4,), (4,)), {"groups": 2}),
        Sample(real(name, (2, 6, 3), (6,), (6,)), {"groups": 3, "axis": 1, "epsilon": 0.1}),
        Sample(real(name, (2, 3, 3, 2), (2,), (2,)), {"groups": 2}),
        Sample(real(name, (2, 5, 5, 8), (8,), (8,), dtype="f32"), {"groups": 4}),
        Sample(
            [*real(name, (2, 4, 6), dtype="bf16"), *real(name, (6,), (6,), dtype="f32")],
            {"groups": 2},
        ),
    ]


def response_norm(name: str) -> list[Sample]:
    def one(shape: Shape, dtype: str = "f64", **attrs: float) -> Sample:
        operands = real(name, *[shape] * (1 + name.endswith("grad")), dtype=dtype)
        return Sample(operands, {"alpha": 0.3, "beta": 0.75, "k": 1.0, **attrs})

    return [
        one((2, 3, 4, 7), size=5),
        one((2, 4, 6), size=4, beta=0.5, k=2.0),
        one((1, 5, 3), size=3, beta=1.0),
        one((1, 3, 3, 2), size=3, beta=0.6),
        one((0, 4, 6), size=3),
        one((2, 3, 4, 19), "f32", size=5),
        one((2, 3, 8), "bf16", size=5),
    ]


def dropout(name: str) -> list[Sample]:
    shapes: list[Shape] = [(3, 5), (), (0, 2)]
    return [
        *[Sample([*real(name, s), KEY], {"keep": 0.7, "stream": 2}) for s in shapes],
        Sample([*real(name, (3, 5)), KEY], {"keep": 1.0, "stream": 2}),
        Sample([*real(name, (41,), dtype="f32"), KEY], {"keep": 0.3, "stream": 2}),
        Sample([*real(name, (41,), dtype="bf16"), KEY], {"keep": 0.3, "stream": 2}),
    ]


def draws(*dtypes: str) -> list[Sample]:
    shapes: list[Shape] = [(), (0,), (3,), (3, 5)]
    typed = [Sample([KEY], {"stream": 7, "shape": (2, 9), "dtype": d}) for d in dtypes]
    return [*[Sample([KEY], {"stream": i, "shape": s}) for i, s in enumerate(shapes)], *typed]


def alignments(emissions: bool) -> list[Sample]:
    """Samples of temporal classification: logits, or the emissions of states, and lengths."""
    times, lengths = np.array([4, 3], np.int32), np.array([1, 2], np.int32)
    if emissions:
        skips = np.array([[0, 1, 0, 1, 0], [0, 1, 0, 0, 0]], np.bool_)
        return [Sample([*real("ctc", (4, 2, 5), high=0), skips, times, lengths])]
    labels, found = np.array([[1, 0], [2, 2]], np.int32), []
    for dtype in ("f64", "f32", "bf16"):
        logits = real("ctc", (4, 2, 3), dtype=dtype)
        found.append(Sample([*logits, labels, times, lengths], {"blank": 0}))
    return [*found, Sample([*found[0].args], {"merge_repeated": False})]


SAMPLES: dict[str, list[Sample]] = {
    "ctc_loss": alignments(False),
    "ctc_log_likelihood": alignments(True),
    "ctc_occupancy": alignments(True),
    **{n: unary(n) for n in ("relu", "selu", "softplus", "softsign", "silu", "mish")},
    "leaky_relu": [*unary("leaky_relu"), *unary("leaky_relu", slope=0.0)],
    "clipped_relu": [*unary("clipped_relu", cutoff=1.75), *unary("clipped_relu", slope=0.1)],
    "elu": [*unary("elu"), *unary("elu", alpha=0.5)],
    "gelu": [*unary("gelu"), *unary("gelu", approximate=True)],
    "hard_sigmoid": [*unary("hard_sigmoid"), *unary("hard_sigmoid", alpha=0.25, beta=0.4)],
    "hard_tanh": [*unary("hard_tanh"), *unary("hard_tanh", low=-2.0, high=0.5)],
    "softmax": rows("softmax"),
    "log_softmax": rows("log_softmax"),
    "cross_entropy": losses("cross_entropy", 0.05, 1),
    "softmax_cross_entropy": losses("softmax_cross_entropy", -3, 3),
    "sparse_softmax_cross_entropy": sparse("sparse_softmax_cross_entropy"),
    "sigmoid_cross_entropy": [
        Sample(s.args) for s in losses("sigmoid_cross_entropy", -3, 3)
    ],
    "dropout": dropout("dropout"),
    "batch_norm_training": batch_norm("batch_norm_training"),
    "batch_norm_inference": batch_norm_inference("batch_norm_inference"),
    "batch_norm_grad": batch_norm_grad("batch_norm_grad"),
    "layer_norm": layer_norm("layer_norm"),
    "group_norm": group_norm("group_norm"),
    **{
        f"local_response_norm{form}": response_norm(f"local_response_norm{form}")
        for form in ("", "_grad", "_within")
    },
    "random_bits": [
        *draws("u32", "u64", "u16", "u8"),
        Sample([LONG_KEY], {"stream": 3, "shape": (70,)}),
        Sample([LONG_KEY], {"stream": 3, "shape": (5, 9), "dtype": "u64"}),
    ],
    "uniform": draws("f64", "f16", "bf16"),
    "normal": draws("f64", "f16", "bf16"),
    "truncated_normal": draws("f64", "f16", "bf16"),
    "truncated_normal_by_rejection": [
        *[Sample([KEY], {"shape": shape}) for shape in ((), (0,), (3, 5))],
        Sample([KEY], {"shape": (7,), "dtype": "f64"}),
        Sample([LONG_KEY], {"shape": (41,), "dtype": "bf16"}),
    ],
    "stochastic_round": [
        Sample([real("stochastic_round", (7, 5), dtype="f32")[0], KEY], {"stream": 1, "bits": bits})
        for bits in (0, 7, 22)
    ],
    "random_bernoulli": [
        Sample([KEY, np.float32(0.3)], {"stream": 1, "shape": (3, 5)}),
        Sample([KEY, np.array([0, 0.5, 1])], {"stream": 1, "shape": (4, 3)}),
        Sample([KEY, stored(np.array(0.5), "bf16")], {"stream": 1, "shape": (0,)}),
    ],
    "random_fold": [Sample([KEY, np.int32(-5)]), Sample([KEY, np.uint64(1 << 40)])],
}  # fmt: skip

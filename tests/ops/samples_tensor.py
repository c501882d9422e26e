"""Samples of the tensor ops: movement, reduction, products, indexing, control flow."""

from __future__ import annotations

from typing import Any

import numpy as np

from anode.ir.dtypes import bf16, dtype_of, f32_to_bf16
from anode.ir.graph import Graph, trace
from anode.ir.node import constant
from anode.ops import (
    add,
    exp,
    greater,
    less,
    monoid,
    multiply,
    negate,
    scalar_graph,
    second,
    select,
    subtract,
    tanh,
)
from anode.ops.reduce import logaddexp_graph
from tests.ops.sample import Sample

RNG = np.random.default_rng(7)


def normal(*shape: int, dtype: Any = np.float64) -> np.ndarray:
    values = RNG.normal(size=shape)
    if dtype is bf16:
        return f32_to_bf16(np.asarray(values, np.float32))
    return np.asarray(values).astype(dtype)


def distinct(*shape: int, dtype: Any = np.float64) -> np.ndarray:
    """Values in random order, each at least 0.1 from the others."""
    count = int(np.prod(shape))
    return (RNG.permutation(count) * 0.1 - 0.04 * count).reshape(shape).astype(dtype)


def ints(*shape: int, low: int = -9, high: int = 9, dtype: Any = np.int32) -> np.ndarray:
    return RNG.integers(low, high, shape).astype(dtype)


def scalar(value: Any, dtype: Any = np.float64) -> np.ndarray:
    return np.array(value, dtype)


def by(name: str, dtype: Any = "f64") -> Graph:
    return monoid(name, dtype_of(dtype))


def values_of(args: list[np.ndarray], attrs: dict[str, Any]) -> Sample:
    """A sample that is not differentiated: its body is of one type, or it has NaN and ties."""
    return Sample(args, attrs, smooth=False)


NAN = np.array([[0.5, np.nan, -1, 0.5], [np.inf, -np.inf, np.nan, 3]], np.float32)


MOVEMENT: dict[str, list[Sample]] = {
    "broadcast_in_dim": [
        Sample([normal(3, 1)], {"shape": (2, 3, 4), "axes": (1, 2)}),
        Sample([normal()], {"shape": (2, 2), "axes": ()}),
        Sample([normal(3)], {"shape": (3, 0), "axes": (0,)}),
        Sample([normal(1, 2, dtype=bf16)], {"shape": (3, 2), "axes": (0, 1)}),
    ],
    "reshape": [
        Sample([normal(2, 6)], {"shape": (3, -1)}),
        Sample([normal(1, 1)], {"shape": ()}),
        Sample([normal(0, 3)], {"shape": (5, 0)}),
        Sample([normal(4, dtype=bf16)], {"shape": (2, 2)}),
    ],
    "transpose": [
        Sample([normal(2, 3, 4)], {"permutation": (2, 0, 1)}),
        Sample([normal(2, 3)], {}),
        Sample([normal()], {"permutation": ()}),
        Sample([normal(2, 0, dtype=bf16)], {"permutation": (-1, 0)}),
    ],
    "slice": [
        Sample([normal(5, 6)], {"start": (1, 0), "limit": (4, 6), "strides": (1, 4)}),
        Sample([normal(7)], {"start": (1,), "limit": (7,), "strides": (3,)}),
        Sample([normal(3)], {"start": (2,), "limit": (2,)}),
        Sample([normal(4, dtype=bf16)], {"start": (0,), "limit": (4,), "strides": (2,)}),
    ],
    "pad": [
        Sample([normal(2, 3), normal()], {"low": (1, 0), "high": (2, 1), "interior": (2, 0)}),
        Sample([normal(5), normal()], {"low": (-1,), "high": (-2,)}),
        Sample([normal(4), normal()], {"low": (-2,), "high": (3,), "interior": (1,)}),
        Sample([normal(3), normal()], {"low": (-5,), "high": (4,)}),
        Sample([normal(0), normal()], {"low": (1,), "high": (1,), "interior": (3,)}),
        Sample([normal(2, dtype=bf16), normal(dtype=bf16)], {"low": (1,), "high": (0,)}),
    ],
    "concatenate": [
        Sample([normal(2, 3), normal(2, 1), normal(2, 0)], {"axis": -1}),
        Sample([normal(2)], {"axis": 0}),
        Sample([normal(1, 2, dtype=bf16), normal(2, 2, dtype=bf16)], {"axis": 0}),
    ],
    "iota": [
        Sample([], {"shape": (2, 3), "dtype": "f32", "axis": 1}),
        Sample([], {"shape": (300,), "dtype": "u8", "axis": 0}),
        Sample([], {"shape": (3, 0), "dtype": "bf16", "axis": 0}),
        Sample([], {"shape": (4,), "dtype": "i64", "axis": -1}),
    ],
    "reverse": [
        Sample([normal(2, 3, 2)], {"axes": (0, -1)}),
        Sample([normal(0, dtype=bf16)], {"axes": (0,)}),
    ],
    "dynamic_slice": [
        Sample([normal(4, 5), scalar(1, "i4"), scalar(4, "i4")], {"sizes": (2, 3)}),
        Sample([normal(4), scalar(-3, "i8")], {"sizes": (2,)}),
        Sample([normal()], {"sizes": ()}),
        Sample([normal(3, dtype=bf16), scalar(9, "u1")], {"sizes": (1,)}),
    ],
    "dynamic_update_slice": [
        Sample([normal(4, 5), normal(2, 3), scalar(1, "i4"), scalar(4, "i4")]),
        Sample([normal(4), normal(0), scalar(2, "i4")]),
        Sample([normal(3, dtype=bf16), normal(1, dtype=bf16), scalar(-1, "i4")]),
    ],
    "bitcast": [
        Sample([normal(2, 3, dtype=np.float32)], {"dtype": "i32"}),
        Sample([normal(dtype=bf16)], {"dtype": "u16"}),
        Sample([ints(3, low=0, dtype=np.uint16)], {"dtype": "bf16"}),
    ],
}


def _argmax(a: Any, i: Any, b: Any, j: Any) -> tuple[Any, Any]:
    wins = greater(b, a)
    return select(wins, b, a), select(wins, j, i)


PAIR = scalar_graph(_argmax, *(dtype_of("f32"), dtype_of("i32")) * 2)
REDUCTION: dict[str, list[Sample]] = {
    "reduce": [
        Sample([normal(2, 3, 4), normal()], {"body": by("add"), "axes": (0, 2)}),
        Sample([normal(2, 3, 4), normal()], {"body": by("multiply"), "axes": (1, 2)}),
        Sample(
            [np.array([[0, 2.0, 3], [0, 0, 4], [1, 5, 6]]), scalar(2.0)],
            {"body": by("multiply"), "axes": (1,)},
        ),
        Sample([distinct(3, 4), scalar(0.03)], {"body": by("maximum"), "axes": (0,)}),
        Sample([distinct(3, 4), scalar(0.03)], {"body": by("minimum"), "axes": (0, 1)}),
        Sample([normal(2), normal()], {"body": by("add"), "axes": ()}),
        Sample([normal(0, 3), normal()], {"body": by("add"), "axes": (0,)}),
        Sample([normal(3, 0), normal()], {"body": by("multiply"), "axes": (0,)}),
        Sample([normal(), normal()], {"body": by("maximum"), "axes": ()}),
        values_of(
            [normal(50, 3, dtype=bf16), normal(dtype=bf16)], {"body": by("add", "bf16"), "axes": 0}
        ),
        values_of(
            [normal(9, dtype="f2"), scalar(1, "f2")], {"body": by("multiply", "f16"), "axes": (0,)}
        ),
        values_of([ints(40, dtype="i1"), scalar(3, "i1")], {"body": by("add", "i8"), "axes": (0,)}),
        values_of([ints(3, 2) > 0, scalar(False, "?")], {"body": by("or", "bool"), "axes": (1,)}),
        values_of([ints(3, 2), scalar(-1, "i4")], {"body": by("and", "i32"), "axes": (1,)}),
        values_of([NAN, scalar(0, "f4")], {"body": by("maximum", "f32"), "axes": (0,)}),
        values_of(
            [normal(3, 4, dtype="f4"), ints(3, 4), scalar(-9, "f4"), scalar(0, "i4")],
            {"body": PAIR, "axes": (1,)},
        ),
    ],
    "cumulate": [
        Sample([normal(3, 4)], {"body": by("add"), "axis": 1}),
        Sample([normal(3, 4)], {"body": by("add"), "axis": 0, "reverse": True}),
        Sample([np.array([2.0, 0, 3, 0, 1.5])], {"body": by("multiply"), "axis": 0}),
        Sample([normal(2, 3, 2)], {"body": by("multiply"), "axis": 1, "reverse": True}),
        Sample([distinct(2, 5)], {"body": by("maximum"), "axis": 1}),
        Sample([distinct(5, 2)], {"body": by("minimum"), "axis": 0, "reverse": True}),
        Sample([normal(2, 4)], {"body": logaddexp_graph(dtype_of("f64")), "axis": 1}),
        Sample([normal(0, 2)], {"body": by("multiply"), "axis": 0}),
        values_of([normal(99, dtype=bf16)], {"body": by("add", "bf16"), "axis": 0}),
        values_of([NAN], {"body": by("minimum", "f32"), "axis": 1}),
        values_of([ints(2, 9, dtype="u1", low=0)], {"body": by("multiply", "u8"), "axis": 1}),
        values_of([ints(9) > 0], {"body": by("and", "bool"), "axis": 0}),
    ],
    "sort": [
        Sample([distinct(3, 5)], {"axis": 1}),
        Sample([distinct(3, 5), normal(3, 5)], {"axis": 0, "descending": True}),
        values_of([NAN], {"descending": True}),
        values_of([NAN, ints(2, 4)], {"axis": -1}),
        Sample([ints(30, low=0, high=3), np.arange(30)], {"axis": 0, "descending": True}),
        Sample([ints(9, dtype="i1", low=-128), normal(9, dtype=bf16)], {"descending": True}),
        Sample([normal(2, 0)], {"axis": 1}),
        Sample([normal(7, dtype=bf16)], {"axis": 0}),
    ],
    "top_k": [
        Sample([distinct(2, 5)], {"k": 3}),
        values_of([NAN], {"k": 3}),
        Sample([np.array([1, 3, 3, 2, 3], "i4")], {"k": 2}),
        Sample([normal(2, 3, dtype=bf16)], {"k": 0}),
    ],
    "argmax": [
        Sample([normal(3, 4, dtype="f4")], {"axis": 1}),
        values_of([NAN], {"axis": -1, "dtype": "i64"}),
        values_of([NAN], {}),
        Sample([np.full((2, 3), -np.inf, "f4")], {"axis": 1}),
        Sample([np.array([0, 0, 0], "u1")], {"axis": 0}),
    ],
    "argmin": [
        Sample([np.array([[2, 1, 1], [5, 5, 4]], "i4")], {"axis": 1}),
        values_of([NAN], {"axis": 0}),
        Sample([normal(5, dtype=bf16)], {"axis": 0}),
        Sample([normal()], {}),
    ],
}

PRODUCTS: dict[str, list[Sample]] = {
    "dot_general": [
        Sample([normal(3, 4), normal(4, 5)], {"contract": ((1,), (0,))}),
        Sample(
            [normal(2, 3, 4, 5), normal(5, 6, 2, 3)],
            {"contract": ((1, 3), (3, 0)), "batch": ((0,), (2,))},
        ),
        Sample(
            [normal(4, 2, 3), normal(3, 4, 2)],
            {"contract": ((0,), (1,)), "batch": ((2, 1), (0, 2))},
        ),
        Sample([normal(2), normal(3)], {"contract": ((), ())}),
        Sample([normal(), normal(2)], {"contract": ((), ())}),
        Sample([normal(2, 0), normal(0, 3)], {"contract": ((-1,), (0,))}),
        Sample([normal(2, 40, dtype=bf16), normal(40, 3, dtype=bf16)], {"contract": ((1,), (0,))}),
        Sample(
            [normal(2, 9, dtype="f2"), normal(9, dtype="f2")],
            {"contract": ((1,), (0,)), "dtype": "f32"},
        ),
        Sample(
            [ints(3, 9, dtype="i1"), ints(9, 2, dtype="i1")],
            {"contract": ((1,), (0,)), "dtype": "i32"},
        ),
    ],
    "matmul": [
        Sample([normal(3, 4), normal(4, 2)]),
        Sample([normal(4), normal(4)]),
        Sample([normal(4), normal(2, 4, 3)]),
        Sample([normal(2, 3, 4), normal(4)]),
        Sample([normal(3, 4), normal(2, 1, 4, 5)]),
        Sample([normal(2, 1, 3, 4), normal(5, 4, 2)]),
    ],
}

ROWS = {
    "offset_dims": (1,),
    "collapsed_slice_dims": (0,),
    "start_index_map": (0,),
    "index_vector_dim": 1,
    "slice_sizes": (1, 3),
}
BOXES = {
    "offset_dims": (0, 2),
    "collapsed_slice_dims": (1,),
    "start_index_map": (2, 0),
    "index_vector_dim": 0,
    "slice_sizes": (2, 1, 3),
}
ROW_UPDATES = {
    "update_window_dims": (1,),
    "inserted_window_dims": (0,),
    "scatter_dims_to_operand_dims": (0,),
    "index_vector_dim": 1,
}
BOX_UPDATES = {
    "update_window_dims": (0, 2),
    "inserted_window_dims": (1,),
    "scatter_dims_to_operand_dims": (2, 0),
    "index_vector_dim": 0,
}
ROW_IDS = np.array([[2], [0], [2], [-7], [99]], np.int32)
CORNERS = np.array([[0, 1, 3, -1], [1, 2, 0, 1]], np.int64)  # 4 corners, some boxes stick out

INDEXING: dict[str, list[Sample]] = {
    "gather": [
        Sample([normal(4, 3), ROW_IDS], ROWS),
        Sample([normal(3, 1, 5), CORNERS], BOXES),
        Sample([normal(4, 3, dtype=bf16), ROW_IDS.astype("i1")], ROWS),
        Sample([normal(4, 3), np.zeros((0, 1), np.uint32)], ROWS),
        Sample([normal(200, 3), np.array([[250], [7]], np.uint8)], ROWS),
    ],
    "scatter": [
        Sample([normal(4, 3), ROW_IDS, normal(5, 3)], {"body": by("add"), **ROW_UPDATES}),
        Sample([normal(3, 1, 5), CORNERS, normal(2, 4, 3)], {"body": by("add"), **BOX_UPDATES}),
        Sample(
            [normal(3, 1, 5), CORNERS, normal(2, 4, 3)],
            {"body": second(dtype_of("f64")), **BOX_UPDATES},
        ),
        Sample(
            [distinct(4, 3), ROW_IDS, distinct(5, 3) + 0.05], {"body": by("maximum"), **ROW_UPDATES}
        ),
        values_of(
            [normal(4, 3, dtype=bf16), ROW_IDS, normal(5, 3, dtype=bf16)],
            {"body": by("add", "bf16"), **ROW_UPDATES},
        ),
        values_of(
            [normal(4, 3, dtype=bf16), ROW_IDS, normal(5, 3, dtype=bf16)],
            {"body": second(bf16), **ROW_UPDATES},
        ),
        values_of(
            [ints(4, 3), ROW_IDS, ints(5, 3)], {"body": by("multiply", "i32"), **ROW_UPDATES}
        ),
        values_of(
            [normal(4, 3, dtype="f4"), ROW_IDS, normal(5, 3, dtype="f4")],
            {"body": scalar_graph(subtract, *(dtype_of("f32"),) * 2), **ROW_UPDATES},
        ),
    ],
    "one_hot": [
        Sample([np.array([[0, 3], [-1, 9]], np.int32)], {"depth": 4}),
        Sample([np.array([2, 0], np.uint8)], {"depth": 300, "dtype": "bf16", "axis": 0}),
        Sample([scalar(1, "i8")], {"depth": 2, "dtype": "bool"}),
    ],
    "take": [
        Sample([normal(2, 5, 3), np.array([[4, 0], [0, 9]], np.int32)], {"axis": 1}),
        Sample([normal(4), scalar(-2, "i4")], {"axis": 0}),
        Sample([normal(3, 2, dtype=bf16), ints(0)], {"axis": -1}),
    ],
    "take_along_axis": [
        Sample([normal(2, 4), np.array([[3, 3, 0], [1, 9, 2]], np.int32)], {"axis": 1}),
        Sample([normal(2, 0, 3), np.zeros((5, 0, 3), np.int64)], {"axis": 0}),
        Sample([normal(3, dtype=bf16), np.array([2, 0], np.uint8)], {"axis": -1}),
    ],
    "embedding": [
        Sample([normal(4, 3), np.array([[1, 1], [0, 3]], np.int32)]),
        Sample([normal(4, 3, dtype=bf16), np.array([2], np.int64)]),
    ],
}


def _step(carry: Any, x: Any, w: Any) -> tuple[Any, Any]:
    new = tanh(add(multiply(carry, w), x))
    return new, multiply(new, x)


def _types(*arrays: np.ndarray) -> list[Any]:
    return [Sample([a]).graph(lambda x: x).types[0] for a in arrays]


VECTOR, NUMBER, INDEX = _types(normal(3), normal(), scalar(0, "i4"))
TWICE = trace(lambda x: add(x, x), VECTOR)
SQUARED = trace(lambda x: multiply(x, x), VECTOR)
OPPOSITE = trace(negate, VECTOR)
RECURRENT = trace(_step, VECTOR, VECTOR, VECTOR)
HALVES = trace(
    lambda h, x, w, v: (tanh(add(multiply(h, w), x)), multiply(multiply(h, v), x)), *[VECTOR] * 4
)
PART = trace(lambda x, w: (tanh(multiply(x, w)), add(x, w)), VECTOR, VECTOR)
BELOW = trace(lambda i, x, w: less(i, constant(3)), INDEX, NUMBER, NUMBER)
GROW = trace(lambda i, x, w: (add(i, 1), multiply(exp(x), w)), INDEX, NUMBER, NUMBER)

CONTROL: dict[str, list[Sample]] = {
    "cond": [
        Sample([scalar(flag, "?"), normal(3)], {"branches": (TWICE, SQUARED)})
        for flag in (True, False)
    ]
    + [
        Sample([scalar(i, "i4"), normal(3)], {"branches": (TWICE, SQUARED, OPPOSITE)})
        for i in (1, 7, -1)
    ],
    "while": [
        Sample(
            [scalar(start, "i4"), normal(), scalar(0.3)],
            {"cond": BELOW, "body": GROW, "carries": 2, "max_trips": trips},
        )
        for start, trips in ((0, 5), (1, 1), (3, 4))
    ],
    "scan": [
        Sample(
            [normal(3), normal(length, 3), normal(3)],
            {"body": RECURRENT, "carries": 1, "sequences": 1, "length": length, "reverse": back},
        )
        for length, back in ((4, False), (4, True), (1, False), (0, False))
    ],
    "scan_parts": [
        Sample(
            [normal(6), normal(4, 6), normal(6), normal(3)],
            {
                "body": HALVES,
                "carries": 1,
                "sequences": 1,
                "length": 4,
                "reverse": back,
                "parts": 2,
                "split": (True, True, False),
            },
        )
        for back in (False, True)
    ],
    "row_parts": [
        Sample(
            [normal(3 * parts), normal(3)],
            {"body": PART, "parts": parts, "split": (True, False)},
        )
        for parts in (1, 2, 5)
    ],
}

SAMPLES: dict[str, list[Sample]] = {
    **MOVEMENT,
    **REDUCTION,
    **PRODUCTS,
    **INDEXING,
    **CONTROL,
}

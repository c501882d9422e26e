"""Cases of the rules in simplify_index, as in test_simplify; a third of the indices lie outside."""

from __future__ import annotations

from anode import ops
from anode.ir.types import tensor

IDS, BYTES = tensor("i32", 5, 7), tensor("u8", 4)
TABLE, WIDE, DEEP = tensor("f32", 60, 3), tensor("f32", 2, 60, 3), tensor("f16", 300, 2)
ROWS, TURNED, WHOLE = tensor("f32", 5, 7, 3), tensor("f32", 2, 7, 5), tensor("i64", 60, 2)


def hot(i, axis=-1, **options):
    return ops.one_hot(i - 20 if i.dtype.bits > 8 else i, depth=60, axis=axis, **options)


def product(x, y, here, there):
    return ops.dot_general(x, y, contract=(here, there))


FIRES = {
    "transpose_of_one_hot": [
        (lambda i: ops.transpose(hot(i), permutation=(1, 2, 0)), IDS),
        (lambda i: ops.transpose(hot(i, 0), permutation=(2, 1, 0)), IDS),
    ],
    "reshape_of_one_hot": [
        (lambda i: ops.reshape(hot(i), shape=(35, 60)), IDS),
        (lambda i: ops.reshape(hot(i, 1), shape=(5, 1, 60, 7)), IDS),
        (lambda i: ops.reshape(hot(i, 0), shape=(60, 7, 5)), IDS),
    ],
    "product_with_one_hot": [
        (lambda i, x: product(hot(i), x, (2,), (0,)), IDS, TABLE),
        (lambda i, x: product(hot(i, 1), x, (1,), (1,)), IDS, WIDE),
        (lambda i, x: product(x, hot(i, 0), (1,), (0,)), IDS, WIDE),
        (lambda i, x: product(x, hot(i), (0,), (2,)), IDS, TABLE),
        (lambda i, x: product(hot(i), x, (0, 1), (0, 1)), IDS, ROWS),
        (lambda i, x: product(hot(i, 1), x, (2, 0), (1, 0)), IDS, ROWS),
        (lambda i, x: product(x, hot(i), (2, 1), (0, 1)), IDS, TURNED),
        (lambda i, x: product(hot(i, dtype="i64"), x, (2,), (0,)), IDS, WHOLE),
        (lambda i, x: product(ops.one_hot(i, depth=300, dtype="f16"), x, (1,), (0,)), BYTES, DEEP),
        (lambda i, x: ops.dot_general(hot(i), x, contract=((2,), (0,)), dtype="f64"), IDS, TABLE),
        (
            lambda i, x: ops.dot_general(
                ops.one_hot(i, depth=9, dtype="f16"), x, contract=((0,), (0,)), dtype="f32"
            ),
            tensor("u8", 3000),
            tensor("f16", 3000),
        ),
    ],
}

KEPT = [
    ("reshape_of_one_hot", lambda i: ops.reshape(hot(i), shape=(5, 420)), IDS),
    ("reshape_of_one_hot", lambda i: ops.reshape(hot(i), shape=(35, 6, 10)), IDS),
    ("product_with_one_hot", lambda i, x: product(hot(i), x, (0,), (0,)), IDS, ROWS),
    ("product_with_one_hot", lambda i: product(hot(i), hot(i), (2,), (2,)), IDS),
    ("product_with_one_hot", lambda i, x: ops.dot_general(
        hot(i), x, contract=((2,), (2,)), batch=((0,), (0,))), IDS, tensor("f32", 5, 3, 60)),
]  # fmt: skip

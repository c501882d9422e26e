"""tf.bitwise: operations on the bits of integers."""

from __future__ import annotations

from anode.frontends.tensorflow.api.generated import define

FUNCTIONS = {
    "BitwiseAnd": "x y | bitwise.bitwise_and",
    "BitwiseOr": "x y | bitwise.bitwise_or",
    "BitwiseXor": "x y | bitwise.bitwise_xor",
    "Invert": "x | bitwise.invert",
    "LeftShift": "x y | bitwise.left_shift",
    "RightShift": "x y | bitwise.right_shift",
}
globals().update(define(__name__, FUNCTIONS))

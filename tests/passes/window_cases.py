"""Functions in which the rules of pads, windows and convolutions fire, and where they must not."""

from __future__ import annotations

from anode import ops
from anode.ir.node import constant
from anode.ir.types import tensor

X, W, Y = tensor("f32", 2, 6, 7, 3), tensor("f32", 3, 3, 3, 4), tensor("f32", 2, 4, 5, 4)
ONE, POINT = tensor("f32", 1, 1, 3, 4), tensor("f32", 2, 6, 7, 4)
M, S, C = tensor("f32", 4, 5), tensor("f32"), tensor("f32", 3)
H, POOLED = tensor("bf16", 2, 6, 7, 3), tensor("f32", 2, 3, 3, 3)


def padded(x, value, low, high, interior=None):
    value = constant(value, x.dtype) if isinstance(value, float) else value
    return ops.pad(x, value, low=low, high=high, interior=interior)


def around(x, low, high, value=0.0):
    """Zeros around the spatial dims."""
    return padded(x, value, (0, low, low, 0), (0, high, high, 0))


def cut(x, start, limit, strides=None):
    return ops.slice(x, start=start, limit=limit, strides=strides)


def reduced(x, *axes):
    return ops.reduce(x, constant(0, x.dtype), body=ops.monoid("add", x.dtype), axes=axes)


def turn(x, *order):
    return ops.transpose(x, permutation=order)


def data(ct, w, sizes=(6, 7), **attrs):
    return ops.convolution_data(ct, w, sizes=sizes, **attrs)


def weights(x, ct, kernel=(3, 3), **attrs):
    return ops.convolution_weights(x, ct, kernel=kernel, **attrs)


def added(y, lengths, axes, sizes, strides):
    return ops.overlap_add(y, lengths=lengths, axes=axes, sizes=sizes, strides=strides)


def normalised(x, axis, *vectors):
    return ops.batch_norm_inference(x, *vectors[:3], ops.square(vectors[3]), axis=axis)


def wide(v, x, *axes):
    return ops.broadcast_in_dim(v, shape=x.shape, axes=axes)


def pooled_back(x, ct, of=None, **attrs):
    """The gradient of a max pool, of `x` or of `of`, where x is positive."""
    index = ops.max_pool_with_index(x if of is None else of, sizes=(2, 2), strides=(2, 2)).item(1)
    attrs = {"strides": (2, 2), **attrs}
    back = ops.max_pool_grad(ct, index, lengths=(6, 7), sizes=(2, 2), **attrs)
    return ops.select(ops.greater(x, 0), back, 0)


FIRES = {
    "pad_twice": [
        (lambda x, v: padded(padded(x, v, (1, 0), (2, -1)), v, (3, 1), (0, -2)), M, S),
        (lambda x, v: padded(padded(x, v, (1, 2), (2, 1), (1, 0)), v, (-2, 1), (0, 2)), M, S),
    ],
    "slice_of_pad": [
        (lambda x, v: cut(padded(x, v, (1, 0), (2, 1)), (2, 1), (6, 6)), M, S),
        (lambda x, v: cut(padded(x, v, (4, 0), (2, 1), (0, 2)), (1, 3), (3, 11)), M, S),
    ],
    "pad_as_slice": [(lambda x, v: padded(x, v, (-1, 0), (-2, -1)), M, S)],
    "pad_into_convolution": [
        (lambda x, w: ops.convolution(around(x, 1, 2), w, low=(0, 1), strides=(2, 1)), X, W),
        (lambda x, w: ops.convolution(around(x, -1, 2), w, low=(-1, 0)), X, W),
        (lambda x, y: weights(around(x, 1, 1), y, (5, 5)), X, Y),
    ],
    "slice_into_convolution_data": [
        (lambda y, w: cut(data(y, w), (0, 1, 2, 0), (2, 6, 6, 3)), Y, W),
    ],
    "convolution_of_one": [
        (lambda x, w: ops.convolution(x, w), X, ONE),
        (lambda x, w: ops.convolution(x, ops.convert(w, dtype="bf16")), H, ONE),
    ],
    "convolution_data_of_one": [(lambda y, w: data(y, w), POINT, ONE)],
    "convolution_weights_of_one": [(lambda x, y: weights(x, y, (1, 1)), X, POINT)],
    "bias_into_mean": [
        (lambda x, *v: normalised(x + wide(v[0], x, 3), 3, *v[1:]), X, C, C, C, C, C),
        (lambda x, *v: normalised(wide(v[0], x, 3) + x, 3, *v[1:]), X, C, C, C, C, C),
    ],
    "rectified_max_pool": [
        (pooled_back, X, POOLED),
        (lambda x, ct: pooled_back(ops.relu(x), ct), X, POOLED),
    ],
    "windows_of_one": [
        (lambda x: ops.windows(x, axes=(1, 2), sizes=(1, 1)), X),
        (lambda x: ops.windows(x, axes=(2, 1), sizes=(3, 1), strides=(2, 3)), X),
        (lambda x: ops.windows(x, axes=(3, 1), sizes=(1, 2), strides=(2, 1)), X),
    ],
    "overlap_add_of_one": [
        (lambda y: added(y, (8, 5), (1, 2), (1, 1), (2, 1)), tensor("f32", 2, 4, 5, 1, 1, 3)),
        (lambda y: added(y, (6, 8), (2, 1), (2, 1), (1, 2)), tensor("f32", 2, 4, 5, 2, 1, 3)),
        (lambda y: added(y, (6,), (3,), (1,), (2,)), tensor("f32", 2, 4, 5, 1, 3)),
    ],
    "reduce_of_transpose": [
        (lambda x: reduced(turn(x, 0, 3, 1, 2), 2, 3), X),
        (lambda x: reduced(turn(x, 3, 2, 1, 0), 0, 1, 3), X),
    ],
}

# rules and functions in which they must not fire
KEPT = [
    ("pad_twice", lambda x, v, u: padded(padded(x, v, (1, 0), (0, 0)), u, (1, 0), (0, 0)), M, S, S),
    ("pad_twice", lambda x, v: padded(padded(x, v, (-1, 0), (0, 0)), v, (1, 0), (0, 0)), M, S),
    ("pad_twice", lambda x, v: padded(
        padded(x, v, (1, 0), (0, 0)), v, (1, 0), (0, 0), (1, 0)), M, S),
    ("slice_of_pad", lambda x, v: cut(padded(x, v, (1, 0), (2, 1)), (0, 1), (6, 6), (2, 1)), M, S),
    ("pad_as_slice", lambda x, v: padded(x, v, (-1, 0), (1, -1)), M, S),
    ("pad_into_convolution", lambda x, w: ops.convolution(around(x, 1, 2, 1.0), w), X, W),
    ("pad_into_convolution", lambda x, w: ops.convolution(around(x, -1, 2), w, low=(1, 0)), X, W),
    ("pad_into_convolution", lambda x, w: ops.convolution(
        padded(x, 0.0, (1, 0, 0, 0), (0, 1, 0, 0)), w), X, W),
    ("slice_into_convolution_data", lambda y, w: cut(
        data(y, w), (0, 1, 2, 1), (2, 6, 6, 3)), Y, W),
    ("slice_into_convolution_data", lambda y, w: cut(
        data(y, w), (0, 0, 0, 0), (2, 6, 7, 3), (1, 2, 2, 1)), Y, W),
    ("convolution_of_one", lambda x, w: ops.convolution(x, w, strides=(2, 1)), X, ONE),
    ("convolution_of_one", lambda x, w: ops.convolution(x, w, high=(1, 0)), X, ONE),
    ("bias_into_mean", lambda x, *v: normalised(x + wide(v[0], x, 1), 3, *v[1:]),
     X, tensor("f32", 6), C, C, C, C),
    ("rectified_max_pool", lambda x, z, ct: pooled_back(x, ct, z), X, X, POOLED),
    ("rectified_max_pool", lambda x, ct: pooled_back(x, ct, low=(0, -1)), X, POOLED),
    ("windows_of_one", lambda x: ops.windows(x, axes=(1,), sizes=(2,), strides=(2,)), X),
    ("reduce_of_transpose", lambda x: reduced(turn(x, 0, 3, 1, 2), 3), X),
]  # fmt: skip

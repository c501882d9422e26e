"""Graphs of mathematical functions; what TensorFlow makes of them is in recorded_math.json.

Run this file with TensorFlow's Python to record again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

Build = Callable[[Any], list[Any]]
RECORD = Path(__file__).parent / "recorded_math.json"
RANDOM = np.random.RandomState(0)


def real(*shape: int) -> np.ndarray:
    return RANDOM.randn(*shape).astype(np.float32)


X, CUBE = real(3, 4), real(2, 3, 4)
POSITIVE, FRACTION = np.abs(X) + np.float32(0.1), RANDOM.uniform(0.1, 0.9, (3, 4)).astype("f4")
INTS, DIVISORS = RANDOM.randint(-9, 9, (3, 4)), RANDOM.randint(1, 9, (3, 4))
TRUTH = X > 0
DEFINITE = (lambda a: (a @ a.T + np.eye(3)).astype(np.float32))(RANDOM.randn(3, 3))
ODD = np.array([[1, np.nan, np.inf], [-np.inf, 0, -0.0]], np.float32)
TIES = np.array([1, 2, 2, 0], np.float32), np.array([1, 1, 2, 3], np.float32)

REAL = "abs atan asinh ceil cos erf erfc exp expm1 floor negative rint round sigmoid sign sin sinh"
REAL += " square tan tanh cosh"
DOMAINS = {
    "acosh": POSITIVE + 1,
    **dict.fromkeys(("acos", "asin", "atanh"), FRACTION),
    **dict.fromkeys(("log", "log1p", "rsqrt", "sqrt", "reciprocal", "lgamma"), POSITIVE),
    "digamma": POSITIVE,
}
BINARY = "add subtract multiply divide div truediv floordiv mod maximum minimum pow"
BINARY += " squared_difference atan2 div_no_nan"
OF_INTS = "add subtract multiply div floordiv mod maximum minimum truediv truncatediv truncatemod"
REDUCTIONS = "reduce_sum reduce_mean reduce_max reduce_min reduce_prod reduce_logsumexp"
AXES: tuple[Any, ...] = (None, 0, [1], -1, [0, 1])


def with_gradients(tf: Any, f: Callable[..., Any], *arrays: np.ndarray) -> list[Any]:
    """A result and its gradients by the float operands, 0 where there is none."""
    xs = [tf.constant(a, tf.int32 if a.dtype.kind == "i" else None) for a in arrays]
    y = f(*xs)
    floats = [x for x in xs if x.dtype == tf.float32]
    return [y, *[tf.constant(0.0) if g is None else g for g in tf.gradients(y, floats)]]


def differentiated(path: str, *arrays: np.ndarray, **keywords: Any) -> Build:
    def build(tf: Any) -> list[Any]:
        function = tf
        for name in path.split("."):
            function = getattr(function, name)
        return with_gradients(tf, partial(function, **keywords), *arrays)

    return build


CASES: dict[str, Build] = {
    **{name: differentiated(name, X) for name in REAL.split()},
    **{name: differentiated(name, x) for name, x in DOMAINS.items()},
    **{name: differentiated(name, POSITIVE, FRACTION + np.float32(0.3)) for name in BINARY.split()},
    **{
        f"{name}_{axis}_{keep}": differentiated(name, X, axis=axis, keep_dims=keep)
        for name in REDUCTIONS.split()
        for axis in AXES
        for keep in (False, True)
    },
    **{
        f"cumsum_{axis}_{e}_{r}": differentiated("cumsum", X, axis=axis, exclusive=e, reverse=r)
        for axis in (0, -1)
        for e in (False, True)
        for r in (False, True)
    },
    "reduce_std": differentiated("math.reduce_std", X, axis=1),
    "reduce_variance": differentiated("math.reduce_variance", X),
    "reduce_euclidean_norm": differentiated("math.reduce_euclidean_norm", X, axis=[0]),
    "cumprod": differentiated("cumprod", X, axis=1, reverse=True),
    "xlogy": differentiated("math.xlogy", np.where(TRUTH, X, 0).astype("f4"), POSITIVE),
    "ties_of_max": differentiated("reduce_max", TIES[0]),
    "ties_of_maximum": differentiated("maximum", *TIES),
    "ties_of_minimum": differentiated("minimum", *TIES),
    "matmul": differentiated("matmul", X, POSITIVE, transpose_b=True),
    "matmul_of_stacks": differentiated("matmul", CUBE, CUBE, transpose_a=True),
    "matmul_with_zeros": differentiated("matmul", X, X, transpose_a=True, a_is_sparse=True),
    "matvec": differentiated("linalg.matvec", CUBE, X[:2]),
    "tensordot": differentiated("tensordot", CUBE, X, axes=[[2, 1], [1, 0]]),
    "tensordot_of_one_axis": differentiated("tensordot", CUBE, X.T.copy(), axes=1),
    "trace": differentiated("trace", DEFINITE),
    "cross": differentiated("cross", X[:, :3].copy(), POSITIVE[:, :3].copy()),
    "norm": differentiated("norm", X),
    "norm_of_order_1": differentiated("norm", X, ord=1, axis=0),
    "norm_of_order_3": differentiated("norm", X, ord=3, axis=1, keep_dims=True),
    "largest_norm": differentiated("norm", X, ord=np.inf, axis=1),
    "norm_of_matrices": differentiated("norm", CUBE, ord=1, axis=(0, 1)),
    "where": differentiated("where", TRUTH, X, POSITIVE),
    "where_of_rows": differentiated("where", TRUTH[:, 0].copy(), X, POSITIVE),
    "clip_by_value": differentiated("clip_by_value", X, clip_value_min=-0.5, clip_value_max=0.5),
    "clip_by_norm": differentiated("clip_by_norm", X, clip_norm=1.0, axes=[1]),
    "clip_by_average_norm": differentiated("clip_by_average_norm", X, clip_norm=0.1),
    "matrix_inverse": differentiated("matrix_inverse", DEFINITE),
    "matrix_determinant": differentiated("matrix_determinant", DEFINITE),
    "cholesky": differentiated("cholesky", DEFINITE),
    "cholesky_solve": differentiated("cholesky_solve", DEFINITE, X),
    "matrix_solve": differentiated("matrix_solve", DEFINITE, X, adjoint=True),
    "matrix_triangular_solve": differentiated("matrix_triangular_solve", DEFINITE, X, lower=False),
    "logdet": differentiated("linalg.logdet", DEFINITE),
    "singular_values": differentiated("svd", X, compute_uv=False),
    "eigenvalues": differentiated("self_adjoint_eigvals", DEFINITE),
}


def case(function: Build) -> Build:
    CASES[function.__name__] = function
    return function


@case
def integers(tf: Any) -> list[Any]:
    x, y = tf.constant(INTS, tf.int32), tf.constant(DIVISORS, tf.int32)
    sums = [tf.reduce_sum(x, 1), tf.reduce_mean(x, 1), tf.reduce_max(x), tf.reduce_prod(x, 0)]
    return [*[getattr(tf, name)(x, y) for name in OF_INTS.split()], *sums]


@case
def bits(tf: Any) -> list[Any]:
    x, y = tf.constant(INTS, tf.int32), tf.constant(DIVISORS, tf.int32)
    names = ["bitwise_and", "bitwise_or", "bitwise_xor", "left_shift", "right_shift"]
    return [tf.bitwise.invert(x), *[getattr(tf.bitwise, name)(x, y) for name in names]]


@case
def tests(tf: Any) -> list[Any]:
    x, odd, t = tf.constant(X), tf.constant(ODD), tf.constant(TRUTH)
    names = ["equal", "not_equal", "less", "less_equal", "greater", "greater_equal"]
    found = [getattr(tf, name)(x, 0.0) for name in names]
    found += [tf.is_nan(odd), tf.is_inf(odd), tf.is_finite(odd), tf.sign(odd), tf.round(odd)]
    found += [tf.logical_xor(t, x > 0.5), tf.logical_and(t, t), tf.logical_not(t)]
    return [*found, tf.reduce_any(t, 0), tf.reduce_all(t, reduction_indices=1), tf.where(t)]


@case
def operators(tf: Any) -> list[Any]:
    x, i, t = tf.constant(X), tf.constant(INTS, tf.int32), tf.constant(TRUTH)
    found = [x + 1, 1 + x, x - 1, 1 - x, x * 2, 2 * x, x / 2, 2 / x, i / 2, i // 2, i % 3, x**2]
    found += [7 % (i * i + 1), 2**x, -x, abs(x), x < 1, x <= 1, x > 1, x >= 1, ~t, t & t, t ^ t]
    return [*found, t | t, x @ tf.transpose(x), np.float32(2) * x, np.ones((3, 4), "f4") * x]


@case
def conversions(tf: Any) -> list[Any]:
    x, i = tf.constant(X), tf.constant(INTS, tf.int32)
    found = [tf.cast(x * 5, tf.int32), tf.cast(x > 0, tf.float32), tf.cast(i, tf.bool)]
    found += [tf.to_float(i), tf.to_double(x), tf.to_int32(x * 9), tf.to_int64(x * 9)]
    return [*found, tf.saturate_cast(x * 300, tf.uint8), tf.saturate_cast(i, tf.uint8)]


@case
def ranges(tf: Any) -> list[Any]:
    found = [tf.range(5), tf.range(1, 9, 3), tf.range(9, 0, -2), tf.range(0.0, 1.0, 0.25)]
    found += [tf.range(3, dtype=tf.float32), tf.range(tf.constant(4)), tf.range(0, 1.5, 0.5)]
    return [*found, tf.linspace(0.0, 1.0, 5), tf.linspace(2.0, -2.0, 4), tf.lin_space(3.0, 4.0, 1)]


@case
def places(tf: Any) -> list[Any]:
    x = tf.constant(X)
    found = [tf.argmax(x, 1), tf.argmin(x), tf.argmax(x, dimension=1, output_type=tf.int32)]
    return [*found, tf.argmax([1, 3, 3, 2]), tf.arg_max(x, 0)]


@case
def einsum(tf: Any) -> list[Any]:
    found: list[Any] = []
    for text, xs in {
        "ij,kj->ik": (X, POSITIVE),
        "bij,bkj->bik": (CUBE, CUBE),
        "...ij,kj->...ik": (CUBE, X),
        "ij->": (X,),
    }.items():
        found += with_gradients(tf, partial(tf.einsum, text), *xs)
    return found


@case
def global_norms(tf: Any) -> list[Any]:
    xs = [tf.constant(X), None, tf.constant(POSITIVE)]
    clipped, norm = tf.clip_by_global_norm(xs, 1.0)
    assert clipped[1] is None
    return [tf.global_norm(xs), norm, clipped[0], clipped[2]]


@case
def sums(tf: Any) -> list[Any]:
    found = with_gradients(tf, lambda x, y: tf.add_n([x, y, x]), X, POSITIVE)
    found += with_gradients(tf, lambda x, y: tf.accumulate_n([x, y]), X, POSITIVE)
    counts = [tf.count_nonzero(INTS), tf.count_nonzero(X, axis=0, keep_dims=True, dtype=tf.int32)]
    return [*found, *counts, tf.count_nonzero(["a", "", "b"])]


@case
def segments(tf: Any) -> list[Any]:
    found: list[Any] = []
    for name in ["sum", "mean", "max", "min"]:
        f = getattr(tf, f"segment_{name}")
        found += with_gradients(tf, lambda x, f=f: f(x, [0, 0, 2]), X)
    for name in ["sum", "mean", "max", "min", "sqrt_n"]:
        f = getattr(tf, f"unsorted_segment_{name}")
        found += with_gradients(tf, lambda x, f=f: f(x, [2, 0, 2], 4), X)
    for name in ["sum", "mean", "sqrt_n"]:
        f = getattr(tf, f"sparse_segment_{name}")
        found += with_gradients(tf, lambda x, f=f: f(x, [0, 2, 1, 0], [0, 0, 1, 2]), X)
    spread = tf.unsorted_segment_sum(tf.constant(CUBE), [[0, 1, -1], [1, 1, 0]], 3)
    products = [tf.segment_prod(X, [0, 0, 2]), tf.unsorted_segment_prod(X, [2, 0, 2], 4)]
    return [*found, *products, spread, tf.sparse_segment_sum(X, [0, 2], [0, 2], num_segments=4)]


@case
def counts(tf: Any) -> list[Any]:
    found = [tf.bincount([1, 2, 2, 5]), tf.bincount([1, 2, 2, 5], minlength=8)]
    found += [tf.bincount([1, 2, 2, 5], maxlength=4), tf.bincount([1, 2, 2], [0.5, 1.0, 2.0])]
    found += [tf.histogram_fixed_width(X, [-1.0, 1.0], nbins=5)]
    found += [tf.histogram_fixed_width_bins(X, [-1.0, 1.0], nbins=5)]
    matrix = tf.confusion_matrix([1, 2, 2], [1, 0, 2], num_classes=4, weights=[1, 2, 3])
    return [*found, tf.confusion_matrix([1, 2, 2], [1, 0, 2]), matrix]


@case
def decompositions(tf: Any) -> list[Any]:
    s, u, v = tf.svd(X)
    q, r = tf.qr(X.T.copy())
    values, vectors = tf.self_adjoint_eig(DEFINITE)
    found = [s, tf.matmul(u * s, v, transpose_b=True), tf.matmul(q, r), tf.abs(r)]
    found += [values, tf.abs(vectors), tf.linalg.slogdet(DEFINITE)[1], tf.linalg.pinv(X)]
    least = tf.matrix_solve_ls(X, X[:, :1].copy(), l2_regularizer=0.1)
    return [*found, least, tf.matrix_solve_ls(X.T.copy(), X.T.copy()[:, :1]), tf.norm(X, 2, [0, 1])]


@case
def special(tf: Any) -> list[Any]:
    a, x = tf.constant(POSITIVE), tf.constant(FRACTION)
    found = [tf.igamma(a, 2 * a), tf.igammac(a, 2 * a), tf.betainc(a, a + 1, x), tf.lbeta(a)]
    return [*found, tf.zeta(a + 1.5, a), tf.polygamma(tf.fill([3, 4], 2.0), a)]


@case
def others(tf: Any) -> list[Any]:
    x = tf.constant(X)
    found = [tf.math.polyval([1.0, 2.0, 3.0], x), tf.log_sigmoid(x), tf.scalar_mul(2.0, x)]
    return [*found, tf.math.cumulative_logsumexp(x, 1), tf.real(x)]


@case
def drawn(tf: Any) -> list[Any]:
    found = [tf.random_normal([5], seed=1), tf.random_normal([3], dtype=tf.float64, seed=1)]
    found += [tf.random_uniform([4], -1, 1, seed=1), tf.random_uniform([4], 0, 10, tf.int32, 2)]
    found += [tf.truncated_normal([33], stddev=0.1, seed=2), tf.random_shuffle(tf.range(9), 4)]
    found += [tf.random_shuffle(X, seed=9), tf.multinomial(X, 3, seed=3)]
    stateless = tf.random.stateless_uniform([3], [1, -2])
    return [*found, stateless, tf.random.stateless_truncated_normal([5], [3, 4])]


def results(tf: Any, name: str) -> tuple[list[str], list[Any]]:
    """The names of a case's tensors and their values in two runs after each other, as lists."""
    with tf.Graph().as_default():
        tensors = CASES[name](tf)
        with tf.Session() as session:
            runs = [session.run(tensors) for _ in range(2 if name == "drawn" else 1)]
        return [t.name for t in tensors], [np.asarray(v).tolist() for run in runs for v in run]


if __name__ == "__main__":
    import tensorflow

    module = tensorflow.compat.v1
    module.disable_v2_behavior()
    RECORD.write_text(json.dumps({name: results(module, name) for name in CASES}))

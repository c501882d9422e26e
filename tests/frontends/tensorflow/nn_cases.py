"""Graphs of neural-network functions; what TensorFlow makes of them is in recorded_nn.json.

Run this file with TensorFlow's Python to record again.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

CASES: dict[str, Callable[[Any], Any]] = {}
RECORD = Path(__file__).parent / "recorded_nn.json"


def case(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    CASES[function.__name__] = function
    return function


def real(*shape: int, seed: int = 0, low: float = -2, high: float = 2) -> np.ndarray:
    random = np.random.RandomState(seed + sum(shape))
    return random.uniform(low, high, shape).astype(np.float32)


def with_gradients(tf: Any, y: Any, *xs: Any) -> list[Any]:
    return [y, *tf.gradients(y * y, list(xs))]


def unary(name: str, label: str = "", **kwargs: Any) -> None:
    def build(tf: Any) -> Any:
        x = tf.constant(real(3, 4))
        return with_gradients(tf, getattr(tf.nn, name)(x, **kwargs), x)

    CASES[name + label] = build


for _name in [
    "relu",
    "relu6",
    "elu",
    "selu",
    "softplus",
    "softsign",
    "sigmoid",
    "tanh",
    "leaky_relu",
    "crelu",
    "softmax",
    "log_softmax",
    "l2_loss",
]:
    unary(_name)
unary("leaky_relu", "_alpha", alpha=0.3)
unary("softmax", "_axis", axis=0)
unary("log_softmax", "_dim", dim=0)
unary("l2_normalize", dim=1)


@case
def bias_add(tf: Any) -> Any:
    x, b, c = tf.constant(real(2, 3, 4, 5)), tf.constant(real(5)), tf.constant(real(3))
    y = tf.nn.bias_add(x, b)
    return [*with_gradients(tf, y, x, b), tf.nn.bias_add(x, c, data_format="NCHW")]


@case
def top_k(tf: Any) -> Any:
    x = tf.constant(real(3, 7))
    values, indices = tf.nn.top_k(x, 3)
    return [indices, *with_gradients(tf, values, x)]


@case
def in_top_k(tf: Any) -> Any:
    rows = [[1.0, 2, 3], [3, 2, 1], [5, 5, 5], [1, np.inf, 2], [np.nan, 1, 2], [1, 2, 3]]
    return [tf.nn.in_top_k(tf.constant(rows), [0, 0, 1, 0, 1, 7], k) for k in (1, 3)]


@case
def moments(tf: Any) -> Any:
    x, w = tf.constant(real(4, 5)), tf.constant(real(4, 1, low=0))
    mean, variance = tf.nn.moments(x, [0, 1], keep_dims=True)
    weighted = tf.nn.weighted_moments(x, [0], w)
    count, total, square, shift = tf.nn.sufficient_statistics(x, [0], shift=1.0)
    back = tf.nn.normalize_moments(count, total, square, shift)
    gradients = tf.gradients([tf.nn.moments(x, [0])[1], weighted[1]], [x, w])
    return [mean, variance, *weighted, count, total, square, *back, *gradients]


@case
def batch_normalization(tf: Any) -> Any:
    x, s, o = tf.constant(real(4, 5)), tf.constant(real(5)), tf.constant(real(5, seed=1))
    mean, variance = tf.nn.moments(x, [0])
    y = tf.nn.batch_normalization(x, mean, variance, o, s, 1e-3)
    return [
        *with_gradients(tf, y, x, s, o),
        tf.nn.batch_normalization(x, mean, variance, None, None, 1e-3),
    ]


def _fused(training: bool) -> None:
    def build(tf: Any) -> Any:
        x, s, o = real(2, 3, 4, 5), real(5), real(5, seed=1)
        x, s, o = (tf.constant(v) for v in (x, s, o))
        given = {"mean": real(5, seed=2), "variance": real(5, seed=3, low=0.5)}
        kwargs = {} if training else {name: tf.constant(v) for name, v in given.items()}
        y, mean, variance = tf.nn.fused_batch_norm(x, s, o, is_training=training, **kwargs)
        return [mean, variance, *with_gradients(tf, y, x, s, o)]

    CASES["fused_batch_norm" + ("" if training else "_inference")] = build


_fused(True)
_fused(False)


@case
def lrn(tf: Any) -> Any:
    x = tf.constant(real(2, 3, 4, 7))
    return with_gradients(tf, tf.nn.lrn(x, 2, bias=1.5, alpha=0.3, beta=0.75), x)


# cross entropies


@case
def softmax_cross_entropy_with_logits(tf: Any) -> Any:
    """The gradient is that of labels which sum to 1, though these do not."""
    x, labels = tf.constant(real(4, 5)), tf.constant(real(4, 5, seed=3, low=0))
    y = tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=x)
    return with_gradients(tf, y, x)


@case
def softmax_cross_entropy_with_logits_v2(tf: Any) -> Any:
    x, labels = tf.constant(real(2, 5, 3)), tf.constant(real(2, 5, 3, seed=3, low=0))
    y = tf.nn.softmax_cross_entropy_with_logits_v2(labels=labels, logits=x, axis=1)
    return with_gradients(tf, y, x, labels)


@case
def sparse_softmax_cross_entropy_with_logits(tf: Any) -> Any:
    x = tf.constant(real(2, 3, 5))
    y = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=[[0, 1, 2], [4, 3, 2]], logits=x)
    return with_gradients(tf, y, x)


@case
def logistic_losses(tf: Any) -> Any:
    x, labels = tf.constant(real(3, 4) * 3), tf.constant(real(3, 4, low=0))
    y = tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=x)
    z = tf.nn.weighted_cross_entropy_with_logits(targets=labels, logits=x, pos_weight=2.5)
    poisson = [tf.nn.log_poisson_loss(labels, x, full) for full in (False, True)]
    return [*with_gradients(tf, y, x, labels), *with_gradients(tf, z, x, labels), *poisson]


# convolution and pooling


def conv(name: str, x_shape: Any, w_shape: Any, label: str = "", **kwargs: Any) -> None:
    def build(tf: Any) -> Any:
        x, w = tf.constant(real(*x_shape)), tf.constant(real(*w_shape))
        return with_gradients(tf, getattr(tf.nn, name)(x, w, **kwargs), x, w)

    CASES[name + label] = build


_IMAGES, _FILTERS, _ONES = (2, 7, 8, 3), (3, 2, 3, 4), [1, 1, 1, 1]
_PADS = [[0, 0], [1, 2], [0, 1], [0, 0]]
conv("conv2d", _IMAGES, _FILTERS, strides=[1, 2, 1, 1], padding="SAME")
conv("conv2d", _IMAGES, _FILTERS, "_dilated", strides=1, padding="VALID", dilations=[1, 2, 2, 1])
conv("conv2d", _IMAGES, _FILTERS, "_explicit", strides=2, padding=_PADS)
conv("conv1d", (2, 9, 3), (4, 3, 5), stride=2, padding="SAME")
conv("conv3d", (2, 4, 5, 4, 3), (3, 2, 2, 3, 4), strides=[1, 2, 1, 2, 1], padding="SAME")
conv("depthwise_conv2d", _IMAGES, (3, 2, 3, 2), strides=_ONES, padding="SAME")
conv("depthwise_conv2d", _IMAGES, (3, 2, 3, 2), "_rate", strides=_ONES, padding="SAME", rate=[2, 2])
conv("atrous_conv2d", _IMAGES, _FILTERS, rate=2, padding="SAME")
conv("convolution", (2, 9, 3), (3, 3, 4), padding="VALID", strides=[2])
_TWICE = {"strides": [1, 2, 2, 1]}
conv("conv2d_transpose", (2, 4, 5, 3), (3, 3, 4, 3), output_shape=[2, 8, 10, 4], **_TWICE)
conv(
    "conv2d_transpose",
    (2, 4, 5, 3),
    (3, 3, 4, 3),
    "_valid",
    output_shape=[2, 9, 11, 4],
    padding="VALID",
    **_TWICE,
)
conv("conv1d_transpose", (2, 4, 3), (3, 4, 3), output_shape=[2, 8, 4], strides=2)
conv(
    "conv3d_transpose",
    (2, 3, 2, 2, 3),
    (3, 3, 3, 4, 3),
    output_shape=[2, 6, 4, 4, 4],
    strides=[1, 2, 2, 2, 1],
)
conv("dilation2d", _IMAGES, (3, 2, 3), strides=[1, 1, 2, 1], rates=[1, 2, 1, 1], padding="SAME")
conv("erosion2d", _IMAGES, (3, 2, 3), strides=_ONES, rates=_ONES, padding="VALID")


@case
def separable_conv2d(tf: Any) -> Any:
    x, a, b = (tf.constant(real(*s)) for s in (_IMAGES, (3, 3, 3, 2), (1, 1, 6, 4)))
    return with_gradients(tf, tf.nn.separable_conv2d(x, a, b, _ONES, "SAME"), x, a, b)


def pool(name: str, shape: Any, *args: Any, label: str = "", **kwargs: Any) -> None:
    def build(tf: Any) -> Any:
        x = tf.constant(real(*shape))
        return with_gradients(tf, getattr(tf.nn, name)(x, *args, **kwargs), x)

    CASES[name + label] = build


for _name in ("max_pool", "avg_pool"):
    pool(_name, _IMAGES, [1, 2, 3, 1], [1, 2, 2, 1], "SAME")
    pool(_name, _IMAGES, [1, 3, 2, 1], [1, 2, 1, 1], "VALID", label="_valid")
    pool(_name + "1d", (2, 9, 3), 3, 2, "SAME")
    pool(_name + "3d", (2, 5, 4, 3, 3), [1, 2, 2, 2, 1], [1, 2, 2, 2, 1], "SAME")
pool("pool", _IMAGES, [2, 2], "AVG", "SAME", strides=[2, 1])


@case
def max_pool_with_argmax(tf: Any) -> Any:
    x = tf.constant(real(2, 5, 6, 3))
    y, place = tf.nn.max_pool_with_argmax(x, [1, 2, 3, 1], [1, 2, 1, 1], "SAME")
    return [place, *with_gradients(tf, y, x)]


# losses


def loss(name: str, label: str = "", columns: int = 1, **kwargs: Any) -> None:
    def build(tf: Any) -> Any:
        labels = np.round(real(4, 3, low=0, high=1))
        predictions = tf.constant(real(4, 3, low=0.1, high=0.9))
        weights = kwargs.get("weights", 1.0)
        given = {**kwargs, "weights": tf.constant(weights) if label else weights}
        y = getattr(tf.losses, name)(tf.constant(labels), predictions, **given)
        return [*with_gradients(tf, y, predictions), *tf.losses.get_losses()]

    CASES[f"losses.{name}{label}"] = build


_COLUMN = np.array([[1], [0], [2.5], [1]], np.float32)
for _name in [
    "absolute_difference",
    "hinge_loss",
    "huber_loss",
    "log_loss",
    "mean_pairwise_squared_error",
    "mean_squared_error",
    "sigmoid_cross_entropy",
    "softmax_cross_entropy",
]:
    loss(_name)
    loss(_name, "_weights", weights=_COLUMN[:, 0] if _name.startswith("softmax") else _COLUMN)
for _kind in ("none", "weighted_sum", "weighted_mean", "weighted_sum_over_batch_size"):
    loss("mean_squared_error", f"_{_kind}", weights=_COLUMN, reduction=_kind)
loss("softmax_cross_entropy", "_smooth", label_smoothing=0.1)
loss("sigmoid_cross_entropy", "_smooth", label_smoothing=0.1)
loss("cosine_distance", axis=1)


@case
def sparse_softmax_cross_entropy_loss(tf: Any) -> Any:
    labels, weights = tf.constant([[0], [1], [2], [1]]), tf.constant(_COLUMN)
    return [tf.losses.sparse_softmax_cross_entropy(labels, real(4, 3), weights=weights)]


@case
def total_loss(tf: Any) -> Any:
    a, p = tf.constant(real(4, 3)), tf.constant(real(4, 3, seed=3))
    tf.losses.mean_squared_error(a, p, scope="first")
    tf.losses.add_loss(tf.constant(3.0))
    tf.add_to_collection("regularization_losses", tf.constant(2.0))
    total = tf.losses.get_total_loss()
    return [total, tf.losses.get_regularization_loss(), *tf.losses.get_losses("first")]


# embeddings and sampled losses


@case
def embedding_lookup(tf: Any) -> Any:
    a, b, c = (tf.constant(real(n, 4, seed=n)) for n in (3, 3, 2))
    ids = tf.constant([[0, 1, 2], [7, 6, 5]])
    return [
        tf.nn.embedding_lookup(a, [[1, 2], [0, 0]], max_norm=1.0),
        tf.nn.embedding_lookup([a, b, c], ids),
        tf.nn.embedding_lookup([a, b, c], ids, partition_strategy="div"),
    ]


@case
def embedding_lookup_sparse(tf: Any) -> Any:
    table, places = tf.constant(real(6, 3)), [[0, 0], [0, 1], [1, 0], [3, 2]]
    ids = tf.SparseTensor(places, tf.constant([1, 2, 0, 5], tf.int64), [5, 3])
    some = tf.SparseTensor(places, tf.constant([1, 2, -1, 5], tf.int64), [5, 3])
    weights = tf.SparseTensor(places, [1.0, 2, 0.5, 3], [5, 3])
    found = []
    for combiner in ("sum", "mean", "sqrtn"):
        found += [
            tf.nn.embedding_lookup_sparse(table, ids, None, combiner=combiner),
            tf.nn.embedding_lookup_sparse(table, ids, weights, combiner=combiner),
            tf.nn.safe_embedding_lookup_sparse(table, some, combiner=combiner),
            tf.nn.safe_embedding_lookup_sparse(table, some, weights, combiner, default_id=3),
        ]
    return found


@case
def sampled_losses(tf: Any) -> Any:
    w, b, x = (tf.constant(real(*s)) for s in ((7, 4), (7,), (3, 4)))
    labels = tf.constant([[1], [6], [0]], tf.int64)
    expected = (tf.constant(real(*s, low=0.1, high=1)) for s in ((3, 1), (5,)))
    sampled = (tf.constant([0, 1, 2, 3, 4], tf.int64), *expected)
    rest = (w, b, labels, x, 5, 7)
    nce = tf.nn.nce_loss(*rest, sampled_values=sampled)
    alike = tf.nn.nce_loss(*rest, sampled_values=sampled, remove_accidental_hits=True)
    soft = tf.nn.sampled_softmax_loss(*rest, sampled_values=sampled)
    hits = tf.nn.compute_accidental_hits(labels, sampled[0], 1)
    return [alike, *hits, *with_gradients(tf, nce, x), *with_gradients(tf, soft, x)]


# temporal classification


def labels_of(tf: Any, *rows: list[int]) -> Any:
    places = [[i, j] for i, row in enumerate(rows) for j in range(len(row))]
    values = [label for row in rows for label in row]
    return tf.SparseTensor(places, tf.constant(values, tf.int32), [len(rows), 5])


@case
def ctc_loss(tf: Any) -> Any:
    x, short = tf.constant(real(8, 3, 5)), tf.constant(real(4, 3, 5))
    times = [8, 5, 7]
    labels = labels_of(tf, [0, 1, 1], [2], [3, 0, 3, 0])
    long = labels_of(tf, [0, 1, 1], [2], [3, 1, 2, 3, 1])
    ignored = {"ignore_longer_outputs_than_inputs": True}
    dense = tf.constant([[1, 2, 2, 0], [3, 0, 0, 0], [4, 1, 4, 1]])
    return [
        *with_gradients(tf, tf.nn.ctc_loss(labels, x, times), x),
        *with_gradients(tf, tf.nn.ctc_loss(labels, x, times, ctc_merge_repeated=False), x),
        *with_gradients(tf, tf.nn.ctc_loss(long, short, [4, 4, 4], **ignored), short),
        *with_gradients(tf, tf.nn.ctc_loss_v2(dense, x, [3, 1, 4], times), x),
    ]


@case
def ctc_decoders(tf: Any) -> Any:
    x, times = tf.constant(real(8, 3, 5) * 2), [8, 5, 7]
    (best,), score = tf.nn.ctc_greedy_decoder(x, times)
    paths, scores = tf.nn.ctc_beam_search_decoder(x, times, beam_width=20, top_paths=2)
    apart, _ = tf.nn.ctc_beam_search_decoder(x, times, merge_repeated=False)
    found = [score, scores]
    for path in (best, *paths, *apart):
        found += [path.indices, path.values, path.dense_shape]
    return found


# metrics: the value, then the update and the value of two batches


def metric(name: str, *args: Any, label: str = "", **kwargs: Any) -> None:
    def build(tf: Any) -> Any:
        arrays = [tf.constant(a) if isinstance(a, np.ndarray) else a for a in args]
        given = {k: tf.constant(v) if isinstance(v, np.ndarray) else v for k, v in kwargs.items()}
        value, update = getattr(tf.metrics, name)(*arrays, **given)
        return [value, update, *tf.get_collection("metric_variables")], 2

    CASES[f"metrics.{name}{label}"] = build


def ids(*shape: int, below: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.RandomState(seed).randint(0, below, shape)


_TRUTH, _SCORES = ids(20, below=2).astype(bool), real(20, low=0, high=1)
_ROWS = real(4, 3)
metric("mean", _ROWS)
metric("mean", _ROWS, label="_weights", weights=_COLUMN)
metric("mean_tensor", _ROWS, weights=_COLUMN)
metric("accuracy", ids(6), np.array([[0], [1], [2], [0], [1], [2.0]]), weights=real(6, low=0))
for _name in ("mean_squared_error", "mean_absolute_error", "root_mean_squared_error"):
    metric(_name, _ROWS, real(4, 3, seed=2), weights=_COLUMN)
metric("mean_relative_error", _ROWS, real(4, 3, seed=2), real(4, 3, seed=3))
metric("mean_cosine_distance", _ROWS, real(4, 3, seed=2), 1)
metric("percentage_below", _ROWS, 0.5)
for _name in [
    "true_positives",
    "false_positives",
    "true_negatives",
    "false_negatives",
    "precision",
    "recall",
]:
    metric(_name, ids(8, below=2), ids(8, below=2, seed=5), weights=real(8, low=0))
metric("mean_iou", ids(9), ids(9, seed=1), 4, weights=real(9, low=0))
metric("mean_per_class_accuracy", ids(9), ids(9, seed=1), 3, weights=real(9, low=0))
metric("auc", _TRUTH, _SCORES)
metric("auc", _TRUTH, _SCORES, label="_pr", curve="PR", weights=real(20, low=0))
metric(
    "auc", _TRUTH, _SCORES, label="_careful", curve="PR", summation_method="careful_interpolation"
)
for _name in ("precision", "recall", "false_positives"):
    metric(f"{_name}_at_thresholds", _TRUTH, _SCORES, [0.2, 0.5, 0.9])
metric("sensitivity_at_specificity", _TRUTH, _SCORES, 0.7)
metric("specificity_at_sensitivity", _TRUTH, _SCORES, 0.7)
_LABELS, _LOGITS = ids(5, 2, below=6), real(5, 6)
for _name in ("precision_at_k", "recall_at_k"):
    metric(_name, _LABELS, _LOGITS, 3, weights=real(5, low=0))
    metric(_name, _LABELS, _LOGITS, 3, label="_class", class_id=2)
metric("average_precision_at_k", _LABELS, _LOGITS, 4)


# running and recording


def results(tf: Any, name: str) -> list[list[float]]:
    """What a case gives, each result as its shape and two projections of its elements."""
    with tf.Graph().as_default() as graph:
        fetches = CASES[name](tf)
        with tf.Session(graph=graph) as session:
            session.run(tf.local_variables_initializer())
            found = (
                _rounds(session, *fetches) if isinstance(fetches, tuple) else session.run(fetches)
            )
    return [summary(np.asarray(value, np.float64)) for value in found]


def _rounds(session: Any, fetches: Iterable[Any], count: int) -> list[Any]:
    """The fetches one by one, so that the order of updates is certain, `count` times."""
    return [session.run(fetch) for _ in range(count) for fetch in fetches]


def summary(value: np.ndarray) -> list[float]:
    flat = value.reshape(-1)
    weights = np.cos(np.arange(flat.size))
    return [*value.shape, round(float(flat @ weights), 5), round(float(np.abs(flat).sum()), 5)]


if __name__ == "__main__":
    v1 = import_module("tensorflow").compat.v1

    v1.disable_eager_execution()
    v1.disable_resource_variables()
    found = {name: results(v1, name) for name in CASES}
    lines = [f"{json.dumps(name)}: {json.dumps(values)}" for name, values in found.items()]
    RECORD.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(len(found), "cases", file=sys.stderr)

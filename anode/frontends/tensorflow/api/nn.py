"""`tf.nn`: activations, softmax, biases, dropout, moments and batch normalisation."""

from __future__ import annotations

import numbers
from typing import Any, NamedTuple

from anode.frontends.tensorflow.api import array_ops, index_ops, math_ops, random_ops
from anode.frontends.tensorflow.dtypes import float16, float32
from anode.frontends.tensorflow.errors import InvalidArgumentError
from anode.frontends.tensorflow.graph import (
    Tensor,
    apply,
    constant,
    constant_value,
    convert_to_tensor,
    name_scope,
)
from anode.frontends.tensorflow.opdef import export, renamed


def either(new: str, value: Any, old: str, before: Any, default: Any = None) -> Any:
    """The value of an argument that has an old name too; ValueError where both are given."""
    if before is None:
        return default if value is None else value
    if value is not None:
        raise ValueError(f"Cannot specify both '{new}' and '{old}'")
    return before


# activations


@export("nn.relu")
def relu(features: Any, name: str | None = None) -> Tensor:
    """max(features, 0)."""
    return apply("Relu", features, name=name)


@export("nn.relu6")
def relu6(features: Any, name: str | None = None) -> Tensor:
    """min(max(features, 0), 6)."""
    with name_scope(name, "Relu6", [features]) as scope:
        return apply("Relu6", convert_to_tensor(features, name="features"), name=scope)


@export("nn.elu")
def elu(features: Any, name: str | None = None) -> Tensor:
    """features, or eˣ − 1 where they are negative."""
    return apply("Elu", features, name=name)


@export("nn.selu")
def selu(features: Any, name: str | None = None) -> Tensor:
    """`elu`, scaled to keep mean 0 and variance 1."""
    return apply("Selu", features, name=name)


@export("nn.softplus", "math.softplus")
def softplus(features: Any, name: str | None = None) -> Tensor:
    """log(1 + eˣ)."""
    return apply("Softplus", features, name=name)


@export("nn.softsign", "math.softsign")
def softsign(features: Any, name: str | None = None) -> Tensor:
    """x / (1 + |x|)."""
    return apply("Softsign", features, name=name)


@export("nn.leaky_relu")
def leaky_relu(features: Any, alpha: Any = 0.2, name: str | None = None) -> Tensor:
    """features, times `alpha` where they are negative."""
    with name_scope(name, "LeakyRelu", [features, alpha]) as scope:
        features = convert_to_tensor(features, name="features")
        if features.dtype.is_integer:
            features = math_ops.cast(features, float32)
        if isinstance(alpha, Tensor):
            return math_ops.maximum(alpha * features, features, name=scope)
        return apply("LeakyRelu", features, alpha=float(alpha), name=scope)


@export("nn.crelu")
def crelu(features: Any, name: str | None = None, axis: int = -1) -> Tensor:
    """relu of features and of their negatives, concatenated."""
    with name_scope(name, "CRelu", [features]) as scope:
        features = convert_to_tensor(features, name="features")
        both = array_ops.concat([features, -features], axis, name=scope)
        return relu(both)


@export("nn.swish")
def swish(features: Any) -> Tensor:
    """x·sigmoid(x)."""
    features = convert_to_tensor(features, name="features")
    return features * math_ops.sigmoid(features)


@export("nn.relu_layer")
def relu_layer(x: Any, weights: Any, biases: Any, name: str | None = None) -> Tensor:
    """relu(x·weights + biases)."""
    with name_scope(name, "relu_layer", [x, weights, biases]) as scope:
        return relu(bias_add(math_ops.matmul(x, weights), biases), name=scope)


@export("nn.xw_plus_b")
def xw_plus_b(x: Any, weights: Any, biases: Any, name: str | None = None) -> Tensor:
    """x·weights + biases."""
    with name_scope(name, "xw_plus_b", [x, weights, biases]) as scope:
        return bias_add(math_ops.matmul(x, weights), biases, name=scope)


@export("nn.bias_add")
def bias_add(
    value: Any, bias: Any, data_format: str | None = None, name: str | None = None
) -> Tensor:
    """A vector added to the channels: the last dim, or in "NCHW" the second."""
    with name_scope(name, "BiasAdd", [value, bias]) as scope:
        if data_format is not None:
            if not data_format.startswith("NC") and not data_format.endswith("C"):
                raise ValueError(
                    f"data_format must be of the form `N...C` or `NC...`: {data_format}"
                )
            data_format = "NCHW" if data_format.startswith("NC") else "NHWC"
        value = convert_to_tensor(value, name="input")
        bias = convert_to_tensor(bias, dtype=value.dtype, name="bias")
        return apply("BiasAdd", value, bias, data_format=data_format or "NHWC", name=scope)


@export("nn.l2_loss")
def l2_loss(t: Any, name: str | None = None) -> Tensor:
    """Half the sum of the squares."""
    return apply("L2Loss", t, name=name)


@export("nn.l2_normalize", "math.l2_normalize", "linalg.l2_normalize")
def l2_normalize(
    x: Any, axis: Any = None, epsilon: float = 1e-12, name: str | None = None, dim: Any = None
) -> Tensor:
    """x over its norm along `axis`, which is at least √epsilon."""
    axis = either("axis", axis, "dim", dim)
    with name_scope(name, "l2_normalize", [x]) as scope:
        x = convert_to_tensor(x, name="x")
        total = math_ops.reduce_sum(math_ops.square(x), axis, keepdims=True)
        inverse = math_ops.rsqrt(math_ops.maximum(total, epsilon))
        return math_ops.multiply(x, inverse, name=scope)


@export("nn.zero_fraction", "math.zero_fraction")
def zero_fraction(value: Any, name: str | None = None) -> Tensor:
    """The share of elements that are zero."""
    with name_scope(name, "zero_fraction", [value]):
        value = convert_to_tensor(value, name="value")
        zeros = math_ops.cast(math_ops.equal(value, array_ops.zeros([], value.dtype)), float32)
        return array_ops.identity(math_ops.reduce_mean(zeros), name="fraction")


# softmax


def _softmax(type: str, logits: Any, axis: Any, name: str | None) -> Tensor:
    logits = convert_to_tensor(logits)
    rank = logits.shape.ndims
    if isinstance(axis, Tensor):
        axis = constant_value(axis)
        if axis is None:
            raise ValueError(f"{type}: the axis must be known when the graph is built")
    axis = int(axis)
    if axis == -1 or axis + 1 == rank:
        return apply(type, logits, name=name)
    if rank is None:
        raise ValueError(f"{type}: axis {axis} of logits of unknown rank; set their shape")
    if not -rank <= axis < rank:
        raise InvalidArgumentError(
            None,
            None,
            f"Dimension ({axis}) must be in the range [{-rank}, {rank}) where {rank} is the number "
            "of dimensions in the input.",
        )
    order = list(range(rank))
    order[axis], order[-1] = order[-1], order[axis]
    swapped = apply(type, array_ops.transpose(logits, order))
    return array_ops.transpose(swapped, order, name=name or "transpose")


@export("nn.softmax", "math.softmax")
def softmax(logits: Any, axis: Any = None, name: str | None = None, dim: Any = None) -> Tensor:
    """eˣ / Σ eˣ along `axis`, by default the last."""
    return _softmax("Softmax", logits, either("axis", axis, "dim", dim, -1), name)


@export("nn.log_softmax", "math.log_softmax")
def log_softmax(logits: Any, axis: Any = None, name: str | None = None, dim: Any = None) -> Tensor:
    """log(softmax(logits)), to full precision."""
    return _softmax("LogSoftmax", logits, either("axis", axis, "dim", dim, -1), name)


# the largest


class TopKV2(NamedTuple):
    """The largest elements of each row, and their places."""

    values: Tensor
    indices: Tensor


@export("nn.top_k", "math.top_k")
def top_k(input: Any, k: Any = 1, sorted: bool = True, name: str | None = None) -> TopKV2:
    """The `k` largest elements of each row, and their places."""
    return TopKV2(*apply("TopKV2", input, k, sorted=sorted, name=name))


@export("nn.in_top_k", "math.in_top_k")
def in_top_k(predictions: Any, targets: Any, k: Any, name: str | None = None) -> Tensor:
    """Whether the target of each row is among its `k` largest predictions."""
    with name_scope(name, "in_top_k"):
        return apply("InTopKV2", predictions, targets, k, name=name)


# dropout


@export("nn.dropout")
def dropout(
    x: Any,
    keep_prob: Any = None,
    noise_shape: Any = None,
    seed: int | None = None,
    name: str | None = None,
    rate: Any = None,
) -> Tensor:
    """x with a share `rate` of elements 0 and the others scaled up to keep the mean."""
    try:
        drop = None if keep_prob is None else 1.0 - keep_prob
    except TypeError:
        raise ValueError(
            f"keep_prob must be a floating point number or Tensor (got {keep_prob!r})"
        ) from None
    rate = either("rate", rate, "keep_prob", drop)
    if rate is None:
        raise ValueError("You must provide a rate to dropout.")
    return dropout_v2(x, rate, noise_shape, seed, name)


def dropout_v2(
    x: Any, rate: Any, noise_shape: Any = None, seed: int | None = None, name: str | None = None
) -> Tensor:
    """`dropout` by the share of elements that become 0."""
    with name_scope(name, "dropout", [x]):
        x = convert_to_tensor(x, name="x")
        if not x.dtype.is_floating:
            raise ValueError(
                "x has to be a floating point tensor since it's going to be scaled. Got a "
                f"{x.dtype} tensor instead."
            )
        if isinstance(rate, numbers.Real) and not 0 <= float(rate) < 1:
            raise ValueError(
                f"rate must be a scalar tensor or a float in the range [0, 1), got {rate:g}"
            )
        if isinstance(rate, numbers.Real) and rate == 0:
            return x
        rate = convert_to_tensor(rate, dtype=x.dtype, name="rate")
        rate.get_shape().assert_has_rank(0)
        if constant_value(rate) == 0:
            return x
        draws = random_ops.random_uniform(_noise_shape(x, noise_shape), seed=seed, dtype=x.dtype)
        scale = 1 / (1 - rate)
        kept = draws >= rate
        result = x * scale * math_ops.cast(kept, x.dtype)
        result.set_shape(x.get_shape())
        return result


def _noise_shape(x: Tensor, noise_shape: Any) -> Any:
    """The shape of the draws; None in it stands for the size of x."""
    if noise_shape is None:
        return array_ops.shape(x)
    sizes = noise_shape.as_list() if hasattr(noise_shape, "as_list") else noise_shape
    if isinstance(sizes, (list, tuple)) and None in sizes and x.shape.ndims == len(sizes):
        pairs = zip(sizes, x.shape.as_list(), strict=True)
        return [own if size is None else size for size, own in pairs]
    return noise_shape


# moments and normalisation


@export("nn.moments")
@renamed(keep_dims="keepdims")
def moments(
    x: Any,
    axes: Any,
    shift: Any = None,
    name: str | None = None,
    keep_dims: Any = None,
    keepdims: Any = None,
) -> tuple[Tensor, Tensor]:
    """The mean and the biased variance over `axes`; `shift` is not used, as in TensorFlow."""
    with name_scope(name, "moments", [x, axes]):
        x = convert_to_tensor(x, name="x")
        y = math_ops.cast(x, float32) if x.dtype.base_dtype == float16 else x
        mean = math_ops.reduce_mean(y, axes, keepdims=True, name="mean")
        square = math_ops.squared_difference(y, array_ops.stop_gradient(mean))
        variance = math_ops.reduce_mean(square, axes, keepdims=True, name="variance")
        if not keepdims:
            mean, variance = (array_ops.squeeze(v, axes) for v in (mean, variance))
        if x.dtype.base_dtype == float16:
            return math_ops.cast(mean, float16), math_ops.cast(variance, float16)
        return mean, variance


@export("nn.weighted_moments")
@renamed(keep_dims="keepdims")
def weighted_moments(
    x: Any,
    axes: Any,
    frequency_weights: Any,
    name: str | None = None,
    keep_dims: Any = None,
    keepdims: Any = None,
) -> tuple[Tensor, Tensor]:
    """The mean and variance over `axes` of elements that count `frequency_weights` times."""
    with name_scope(name, "weighted_moments", [x, frequency_weights, axes]):
        x = convert_to_tensor(x, name="x")
        weights = convert_to_tensor(frequency_weights, name="frequency_weights")
        narrow = x.dtype.base_dtype == float16
        x = math_ops.cast(x, float32) if narrow else x
        weights = math_ops.cast(weights, x.dtype)
        total = _sum(weights * x, axes, "weighted_input_sum")
        count = _sum(weights + array_ops.zeros_like(x), axes, "sum_of_weights")
        mean = math_ops.div_no_nan(total, count)
        spread = weights * math_ops.squared_difference(x, mean)
        variance = math_ops.div_no_nan(_sum(spread, axes, "weighted_distsq"), count)
        if not keepdims:
            mean, variance = (array_ops.squeeze(v, axes) for v in (mean, variance))
        if narrow:
            return math_ops.cast(mean, float16), math_ops.cast(variance, float16)
        return mean, variance


def _sum(x: Tensor, axes: Any, name: str, keepdims: bool = True) -> Tensor:
    total: Tensor = math_ops.reduce_sum(x, axes, keepdims=keepdims, name=name)
    return total


@export("nn.sufficient_statistics")
@renamed(keep_dims="keepdims")
def sufficient_statistics(
    x: Any,
    axes: Any,
    shift: Any = None,
    keep_dims: Any = None,
    name: str | None = None,
    keepdims: Any = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """The count, the sum and the sum of squares over `axes` of x − shift, and the shift."""
    axes = list(dict.fromkeys(axes))
    keepdims = bool(keepdims)
    with name_scope(name, "sufficient_statistics", [x, shift]):
        x = convert_to_tensor(x, name="x")
        sizes = None if x.shape.ndims is None else [x.shape[axis].value for axis in axes]
        if sizes is not None and None not in sizes:
            product = 1
            for size in sizes:
                product *= size
            count = constant(product, dtype=x.dtype)
        else:
            sizes = index_ops.gather(math_ops.cast(array_ops.shape(x), x.dtype), axes)
            count = math_ops.reduce_prod(sizes, name="count")
        if shift is None:
            return (
                count,
                _sum(x, axes, "mean_ss", keepdims),
                _sum(math_ops.square(x), axes, "var_ss", keepdims),
                None,
            )
        shift = convert_to_tensor(shift, name="shift")
        centred = math_ops.subtract(x, shift)
        square = math_ops.squared_difference(x, shift)
        return (
            count,
            _sum(centred, axes, "mean_ss", keepdims),
            _sum(square, axes, "var_ss", keepdims),
            shift,
        )


@export("nn.normalize_moments")
def normalize_moments(
    counts: Any, mean_ss: Any, variance_ss: Any, shift: Any, name: str | None = None
) -> tuple[Tensor, Tensor]:
    """The mean and variance of `sufficient_statistics`."""
    with name_scope(name, "normalize", [counts, mean_ss, variance_ss, shift]):
        divisor = math_ops.reciprocal(counts, name="divisor")
        if shift is None:
            mean = centred = math_ops.multiply(mean_ss, divisor, name="mean")
        else:
            centred = math_ops.multiply(mean_ss, divisor, name="shifted_mean")
            mean = math_ops.add(centred, shift, name="mean")
        spread = math_ops.multiply(variance_ss, divisor)
        variance = math_ops.subtract(spread, math_ops.square(centred), name="variance")
        return mean, variance


@export("nn.batch_normalization")
def batch_normalization(
    x: Any,
    mean: Any,
    variance: Any,
    offset: Any,
    scale: Any,
    variance_epsilon: Any,
    name: str | None = None,
) -> Tensor:
    """(x − mean) / √(variance + epsilon)·scale + offset; offset and scale may be None."""
    with name_scope(name, "batchnorm", [x, mean, variance, scale, offset]):
        inverse = math_ops.rsqrt(variance + variance_epsilon)
        if scale is not None:
            inverse *= scale
        rest = -mean * inverse if offset is None else offset - mean * inverse
        x = convert_to_tensor(x)
        return x * math_ops.cast(inverse, x.dtype) + math_ops.cast(rest, x.dtype)


@export("nn.batch_norm_with_global_normalization")
def batch_norm_with_global_normalization(
    t: Any = None,
    m: Any = None,
    v: Any = None,
    beta: Any = None,
    gamma: Any = None,
    variance_epsilon: Any = None,
    scale_after_normalization: Any = None,
    name: str | None = None,
    input: Any = None,
    mean: Any = None,
    variance: Any = None,
) -> Tensor:
    """`batch_normalization` whose scale is `gamma` only if `scale_after_normalization`."""
    t, m, v = (
        either("input", input, "t", t),
        either("mean", mean, "m", m),
        either("variance", variance, "v", v),
    )
    scale = gamma if scale_after_normalization else None
    return batch_normalization(t, m, v, beta, scale, variance_epsilon, name)


@export("nn.fused_batch_norm")
def fused_batch_norm(
    x: Any,
    scale: Any,
    offset: Any,
    mean: Any = None,
    variance: Any = None,
    epsilon: float = 0.001,
    data_format: str = "NHWC",
    is_training: bool = True,
    name: str | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Batch normalisation of images, and the statistics: a batch's, with Bessel's correction."""
    if is_training and (mean is not None or variance is not None):
        raise ValueError("Both 'mean' and 'variance' must be None if is_training is True.")
    x = convert_to_tensor(x, name="input")
    scale = convert_to_tensor(scale, name="scale")
    offset = convert_to_tensor(offset, name="offset")
    mean = constant([], dtype=float32) if mean is None else mean
    variance = constant([], dtype=float32) if variance is None else variance
    results = apply(
        "FusedBatchNormV3",
        x,
        scale,
        offset,
        mean,
        variance,
        epsilon=max(epsilon, 1.001e-5),
        data_format=data_format,
        is_training=is_training,
        name=name,
    )
    return tuple(results[:3])


@export("nn.local_response_normalization", "nn.lrn")
def local_response_normalization(
    input: Any,
    depth_radius: int = 5,
    bias: float = 1,
    alpha: float = 1,
    beta: float = 0.5,
    name: str | None = None,
) -> Tensor:
    """input·(bias + alpha·Σ input²)^−beta, the sum over `depth_radius` channels to either side."""
    attrs = {"depth_radius": depth_radius, "bias": float(bias), "alpha": float(alpha)}
    return apply("LRN", input, beta=float(beta), name=name, **attrs)

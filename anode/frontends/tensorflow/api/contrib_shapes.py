"""tf.contrib.layers and slim: pooling, dropout, shapes, and layers repeated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from anode.frontends.tensorflow.api import layers, nn
from anode.frontends.tensorflow.api import variable_scope as vs
from anode.frontends.tensorflow.api.arg_scope import add_arg_scope
from anode.frontends.tensorflow.api.contrib_framework import model_variable
from anode.frontends.tensorflow.api.contrib_layers import ZEROS, fully_connected
from anode.frontends.tensorflow.api.contrib_scope import (
    collect_named_outputs,
    finished,
    get_variable_collections,
    layer_export,
    layer_format,
    layer_getter,
)
from anode.frontends.tensorflow.api.layers_options import public
from anode.frontends.tensorflow.graph import apply, convert_to_tensor, name_scope
from anode.frontends.tensorflow.opdef import EXPORTS, export


def _pooling(layer: Any, default_scope: str, name: str, default_format: str) -> Callable[..., Any]:
    def pool(
        inputs: Any,
        kernel_size: Any,
        stride: Any = 2,
        padding: str = "VALID",
        data_format: str = default_format,
        outputs_collections: Any = None,
        scope: Any = None,
    ) -> Any:
        """The maximum or mean of windows."""
        with name_scope(scope, default_scope, [inputs]) as sc:
            inputs = convert_to_tensor(inputs)
            made = layer(kernel_size, stride, padding, layer_format(data_format), _scope=sc[:-1])
            outputs = made._pooled(inputs, made.pool_size, made.strides, made.rank)
            return collect_named_outputs(outputs_collections, sc, outputs)

    pool.__name__ = pool.__qualname__ = name
    return add_arg_scope(pool)


max_pool2d = _pooling(layers.MaxPooling2D, "MaxPool2D", "max_pool2d", "NHWC")
avg_pool2d = _pooling(layers.AveragePooling2D, "AvgPool2D", "avg_pool2d", "NHWC")
max_pool3d = _pooling(layers.MaxPooling3D, "MaxPool3D", "max_pool3d", "NDHWC")
avg_pool3d = _pooling(layers.AveragePooling3D, "AvgPool3D", "avg_pool3d", "NDHWC")
for _pool in (max_pool2d, avg_pool2d, max_pool3d, avg_pool3d):
    layer_export(_pool.__name__)(_pool)


@layer_export("dropout")
@add_arg_scope
def dropout(
    inputs: Any,
    keep_prob: Any = 0.5,
    noise_shape: Any = None,
    is_training: Any = True,
    outputs_collections: Any = None,
    scope: Any = None,
    seed: int | None = None,
) -> Any:
    """Zeros at random, but with probability `keep_prob`, while training; the rest scaled up."""
    with vs.variable_scope(scope, "Dropout", [inputs], custom_getter=layer_getter()) as sc:
        inputs = convert_to_tensor(inputs)
        layer = layers.Dropout(
            rate=1 - keep_prob, noise_shape=noise_shape, seed=seed, name=sc.name, _scope=sc
        )
        outputs = layer(inputs, training=is_training)
        return collect_named_outputs(outputs_collections, sc.name, outputs)


@layer_export("flatten")
@add_arg_scope
def flatten(inputs: Any, outputs_collections: Any = None, scope: Any = None) -> Any:
    """[batch, ...] as [batch, product of the rest]."""
    with name_scope(scope, "Flatten", [inputs]) as sc:
        inputs = convert_to_tensor(inputs)
        outputs = layers.Flatten(_scope=sc[:-1]).call(inputs)
        return collect_named_outputs(outputs_collections, sc, outputs)


@layer_export("bias_add")
@add_arg_scope
def bias_add(
    inputs: Any,
    activation_fn: Any = None,
    initializer: Any = ZEROS,
    regularizer: Any = None,
    reuse: Any = None,
    variables_collections: Any = None,
    outputs_collections: Any = None,
    trainable: bool = True,
    data_format: str = "NHWC",
    scope: Any = None,
) -> Any:
    """The inputs plus the variable `biases`, one for each channel."""
    with vs.variable_scope(scope, "BiasAdd", [inputs], reuse=reuse) as sc:
        inputs = convert_to_tensor(inputs)
        axis = 1 if data_format == "NCHW" else -1
        biases = model_variable(
            "biases",
            shape=[inputs.shape.as_list()[axis]],
            dtype=inputs.dtype.base_dtype,
            initializer=initializer,
            regularizer=regularizer,
            collections=get_variable_collections(variables_collections, "biases"),
            trainable=trainable,
        )
        outputs = apply("BiasAdd", inputs, biases, data_format=data_format)
        return finished(outputs, sc.name, outputs_collections, activation_fn)


@layer_export("one_hot_encoding")
@add_arg_scope
def one_hot_encoding(
    labels: Any,
    num_classes: int,
    on_value: float = 1.0,
    off_value: float = 0.0,
    outputs_collections: Any = None,
    scope: Any = None,
) -> Any:
    """Labels [batch] as rows [batch, num_classes] with one `on_value` each."""
    with name_scope(scope, "OneHotEncoding", [labels, num_classes]) as sc:
        labels = convert_to_tensor(labels)
        if labels.dtype.base_dtype.name == "int32":
            labels = apply("Cast", labels, DstT="int64", name="ToInt64")
        outputs = apply("OneHot", labels, num_classes, on_value, off_value)
        return collect_named_outputs(outputs_collections, sc, outputs)


@layer_export("softmax")
@add_arg_scope
def softmax(logits: Any, scope: Any = None) -> Any:
    """Softmax over the last axis, whatever the rank."""
    with name_scope(scope, "softmax", [logits]):
        logits = convert_to_tensor(logits)
        classes = logits.shape.as_list()[-1]
        predictions = apply("Softmax", apply("Reshape", logits, [-1, classes]))
        predictions = apply("Reshape", predictions, apply("Shape", logits))
        predictions.set_shape(logits.shape)
        return predictions


@layer_export("unit_norm")
@add_arg_scope
def unit_norm(inputs: Any, dim: int, epsilon: float = 1e-7, scope: Any = None) -> Any:
    """Vectors along `dim` divided by their lengths."""
    with vs.variable_scope(scope, "UnitNorm", [inputs]):
        inputs = convert_to_tensor(inputs)
        if inputs.shape.rank is None:
            raise ValueError("The input rank must be known.")
        if dim < 0 or dim >= inputs.shape.rank:
            raise ValueError("dim must be positive but smaller than the input rank.")
        squares = apply("Sum", apply("Square", inputs), [dim], keep_dims=True)
        return inputs / apply("Sqrt", epsilon + squares)


@layer_export("maxout")
@add_arg_scope
def maxout(inputs: Any, num_units: int, axis: int = -1, scope: Any = None) -> Any:
    """The maximum over groups of channels, so that `num_units` are left."""
    with vs.variable_scope(scope, "MaxOut", [inputs]):
        inputs = convert_to_tensor(inputs)
        dims = inputs.shape.as_list()
        axis = axis % len(dims)
        if dims[axis] % num_units:
            raise ValueError(
                f"number of features({dims[axis]}) is not a multiple of num_units({num_units})"
            )
        sizes = [-1 if d is None else d for d in dims]
        shape = [*sizes[:axis], num_units, dims[axis] // num_units, *sizes[axis + 1 :]]
        return apply("Max", apply("Reshape", inputs, shape), [axis + 1], keep_dims=False)


@layer_export("repeat")
@add_arg_scope
def repeat(
    inputs: Any, repetitions: int, layer: Callable[..., Any], *args: Any, **kwargs: Any
) -> Any:
    """A layer applied again and again with the same arguments, in scopes numbered from 1."""
    scope = kwargs.pop("scope", None)
    with vs.variable_scope(scope, "Repeat", [inputs]):
        outputs = convert_to_tensor(inputs)
        name = scope if isinstance(scope, str) and scope else _layer_name(layer, "repeat")
        for i in range(repetitions):
            outputs = layer(outputs, *args, scope=f"{name}_{i + 1}", **kwargs)
        return outputs


def _layer_name(layer: Any, default: str) -> str:
    if hasattr(layer, "__name__"):
        return str(layer.__name__)
    func = getattr(layer, "func", None)
    return str(getattr(func, "__name__", default))


@layer_export("stack")
@add_arg_scope
def stack(inputs: Any, layer: Callable[..., Any], stack_args: Sequence[Any], **kwargs: Any) -> Any:
    """A layer applied once for each of `stack_args`, in scopes numbered from 1."""
    scope = kwargs.pop("scope", None)
    if not isinstance(stack_args, (list, tuple)):
        raise ValueError("stack_args need to be a list or tuple")
    with vs.variable_scope(scope, "Stack", [inputs]):
        outputs = convert_to_tensor(inputs)
        name = scope if isinstance(scope, str) and scope else _layer_name(layer, "stack")
        for i, given in enumerate(stack_args):
            args = given if isinstance(given, (list, tuple)) else [given]
            outputs = layer(outputs, *args, scope=f"{name}_{i + 1}", **kwargs)
        return outputs


relu = partial(fully_connected, activation_fn=nn.relu)
relu6 = partial(fully_connected, activation_fn=nn.relu6)
elu = partial(fully_connected, activation_fn=nn.elu)
linear = partial(fully_connected, activation_fn=None)
for _name in ("relu", "relu6", "elu", "linear"):
    for _place in ("contrib.layers", "contrib.slim"):
        EXPORTS[f"{_place}.{_name}"] = f"{__name__}:{_name}"


@layer_export("embed_sequence")
@add_arg_scope
def embed_sequence(
    ids: Any,
    vocab_size: int | None = None,
    embed_dim: int | None = None,
    unique: bool = False,
    initializer: Any = None,
    regularizer: Any = None,
    trainable: bool = True,
    scope: Any = None,
    reuse: Any = None,
) -> Any:
    """Ids [batch, length] as rows [batch, length, embed_dim] of the variable `embeddings`.

    `unique` is about how TensorFlow gathers; the values are the same.
    """
    if not (reuse or (vocab_size and embed_dim)):
        raise ValueError(
            "Must specify vocab size and embedding dimension when not reusing. Got "
            f"vocab_size={vocab_size} and embed_dim={embed_dim}"
        )
    with vs.variable_scope(scope, "EmbedSequence", [ids], reuse=reuse):
        shape = None if vocab_size is None else [vocab_size, embed_dim]
        embeddings = model_variable(
            "embeddings",
            shape=shape,
            initializer=initializer,
            regularizer=regularizer,
            trainable=trainable,
        )
        return public("nn.embedding_lookup")(embeddings, ids)


@export("contrib.layers.bow_encoder", "contrib.layers.python.layers.encoders.bow_encoder")
def bow_encoder(
    ids: Any,
    vocab_size: int,
    embed_dim: int,
    sparse_lookup: bool = True,
    initializer: Any = None,
    regularizer: Any = None,
    trainable: bool = True,
    scope: Any = None,
    reuse: Any = None,
) -> Any:
    """The mean of the embeddings of ids [batch, length] or sparse: [batch, embed_dim]."""
    with vs.variable_scope(scope, "bow_encoder", [ids], reuse=reuse):
        embeddings = model_variable(
            "embeddings",
            shape=[vocab_size, embed_dim],
            initializer=initializer,
            regularizer=regularizer,
            trainable=trainable,
        )
        if hasattr(ids, "dense_shape") or sparse_lookup:
            sparse = (
                ids
                if hasattr(ids, "dense_shape")
                else public("contrib.layers.dense_to_sparse")(ids)
            )
            return public("nn.embedding_lookup_sparse")(embeddings, sparse, None, combiner="mean")
        rows = public("nn.embedding_lookup")(embeddings, ids)
        return apply("Mean", rows, [1], keep_dims=False)

"""The functions of tf.feature_column: makers of columns, and layers that read features by them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from anode.frontends.tensorflow.dtypes import as_dtype, float32, int64, string
from anode.frontends.tensorflow.estimator.columns import (
    BucketizedColumn,
    CategoricalColumn,
    CrossedColumn,
    DenseColumn,
    EmbeddingColumn,
    FeatureColumn,
    Features,
    HashedColumn,
    IdentityColumn,
    IndicatorColumn,
    NumericColumn,
    VocabularyColumn,
    WeightedColumn,
    checked_shape,
    key_dtype,
)
from anode.frontends.tensorflow.modules import tensorflow as tf
from anode.frontends.tensorflow.opdef import export


@export("feature_column.numeric_column")
def numeric_column(
    key: str,
    shape: Any = (1,),
    default_value: Any = None,
    dtype: Any = float32,
    normalizer_fn: Callable[[Any], Any] | None = None,
) -> NumericColumn:
    """A column of numbers."""
    _check_key(key)
    shape, dtype = checked_shape(shape), as_dtype(dtype)
    if not (dtype.is_integer or dtype.is_floating):
        raise ValueError(f"dtype must be convertible to float. dtype: {dtype}, key: {key}")
    if normalizer_fn is not None and not callable(normalizer_fn):
        raise TypeError(f"normalizer_fn must be a callable. Given: {normalizer_fn}")
    if default_value is not None:
        full = np.broadcast_to(np.asarray(default_value), shape)
        default_value = tuple(full.reshape(-1).tolist())
    return NumericColumn(key, shape, default_value, dtype, normalizer_fn)


def _check_key(key: Any) -> None:
    if not isinstance(key, str):
        raise ValueError(f"key must be a string; got {key!r}")


@export("feature_column.bucketized_column")
def bucketized_column(source_column: Any, boundaries: Any) -> BucketizedColumn:
    """A numeric column of one axis cut at sorted boundaries."""
    if not isinstance(source_column, NumericColumn):
        raise ValueError(
            "source_column must be a column generated with numeric_column(). Given: "
            f"{source_column}"
        )
    if len(source_column.shape) > 1:
        raise ValueError(f"source_column must be one-dimensional column. Given: {source_column}")
    if not boundaries or not isinstance(boundaries, (list, tuple)):
        raise ValueError("boundaries must be a sorted list.")
    if any(a >= b for a, b in itertools.pairwise(boundaries)):
        raise ValueError("boundaries must be a sorted list.")
    return BucketizedColumn(source_column, tuple(boundaries))


@export("feature_column.categorical_column_with_hash_bucket")
def categorical_column_with_hash_bucket(
    key: str, hash_bucket_size: int, dtype: Any = string
) -> HashedColumn:
    """Categories by a hash of their text."""
    if hash_bucket_size is None:
        raise ValueError(f"hash_bucket_size must be set. key: {key}")
    if hash_bucket_size < 1:
        raise ValueError(
            f"hash_bucket_size must be at least 1. hash_bucket_size: {hash_bucket_size}, key: {key}"
        )
    _check_key(key)
    return HashedColumn(key, hash_bucket_size, key_dtype(dtype, key))


def _check_oov(key: str, num_oov_buckets: int, default_value: int, none: Any) -> None:
    if num_oov_buckets < 0:
        raise ValueError(f"Invalid num_oov_buckets {num_oov_buckets} in {key}.")
    if num_oov_buckets and default_value != none:
        raise ValueError(f"Can't specify both num_oov_buckets and default_value in {key}.")


@export("feature_column.categorical_column_with_vocabulary_list")
def categorical_column_with_vocabulary_list(
    key: str,
    vocabulary_list: Any,
    dtype: Any = None,
    default_value: int = -1,
    num_oov_buckets: int = 0,
) -> VocabularyColumn:
    """Categories by their place in a list."""
    words = tuple(np.asarray(vocabulary_list).tolist()) if vocabulary_list is not None else ()
    if not words:
        raise ValueError(f"vocabulary_list {vocabulary_list} must be non-empty, column_name: {key}")
    if len(set(words)) != len(words):
        raise ValueError(f"Duplicate keys in vocabulary_list {vocabulary_list}, column_name: {key}")
    kind = string if isinstance(words[0], (str, bytes)) else as_dtype(np.asarray(words).dtype)
    _check_oov(key, num_oov_buckets, default_value, -1)
    _check_key(key)
    dtype = key_dtype(kind if dtype is None else dtype, key)
    if (dtype == string) != (kind == string):
        raise ValueError(f"dtype {dtype} and vocabulary dtype {kind} do not match")
    return VocabularyColumn(key, words, len(words), dtype, default_value, num_oov_buckets)


@export("feature_column.categorical_column_with_vocabulary_file")
def categorical_column_with_vocabulary_file(
    key: str,
    vocabulary_file: str,
    vocabulary_size: int | None = None,
    num_oov_buckets: int = 0,
    default_value: int | None = None,
    dtype: Any = string,
) -> VocabularyColumn:
    """Categories by their line in a file."""
    if not vocabulary_file:
        raise ValueError(f"Missing vocabulary_file in {key}.")
    if vocabulary_size is None:
        with open(vocabulary_file, "rb") as file:
            vocabulary_size = sum(1 for _ in file)
    if vocabulary_size < 1:
        raise ValueError(f"Invalid vocabulary_size in {key}.")
    _check_oov(key, num_oov_buckets, -1 if default_value is None else default_value, -1)
    _check_key(key)
    default = -1 if default_value is None else default_value
    dtype = key_dtype(dtype, key)
    return VocabularyColumn(
        key, str(vocabulary_file), vocabulary_size, dtype, default, num_oov_buckets
    )


@export("feature_column.categorical_column_with_identity")
def categorical_column_with_identity(
    key: str, num_buckets: int, default_value: int | None = None
) -> IdentityColumn:
    """Categories that are numbers from 0 to `num_buckets` - 1."""
    if num_buckets < 1:
        raise ValueError(f"num_buckets {num_buckets} < 1, column_name {key}")
    if default_value is not None and not 0 <= default_value < num_buckets:
        raise ValueError(
            f"default_value {default_value} not in range [0, {num_buckets}), column_name {key}"
        )
    _check_key(key)
    return IdentityColumn(key, num_buckets, default_value)


@export("feature_column.crossed_column")
def crossed_column(keys: Any, hash_bucket_size: int, hash_key: int | None = None) -> CrossedColumn:
    """Combinations of categories, by a hash."""
    if not hash_bucket_size or hash_bucket_size < 1:
        raise ValueError(f"hash_bucket_size must be > 1. hash_bucket_size: {hash_bucket_size}")
    if not keys or len(keys) < 2:
        raise ValueError(f"keys must be a list with length > 1. keys: {keys}")
    for key in keys:
        if not isinstance(key, (str, CategoricalColumn)):
            raise ValueError(
                "Unsupported key type. All keys must be either string, or categorical column "
                f"except HashedCategoricalColumn. Given: {key}"
            )
        if isinstance(key, HashedColumn):
            raise ValueError(
                "categorical_column_with_hash_bucket is not supported for crossing. Hashing before "
                "crossing will increase probability of collision. Instead, use the feature name "
                f"as a string. Given: {key}"
            )
    return CrossedColumn(tuple(keys), hash_bucket_size, hash_key)


@export("feature_column.weighted_categorical_column")
def weighted_categorical_column(
    categorical_column: Any, weight_feature_key: str, dtype: Any = float32
) -> WeightedColumn:
    """Categories, each with a weight from another feature."""
    dtype = as_dtype(dtype)
    if not (dtype.is_integer or dtype.is_floating):
        raise ValueError(f"dtype {dtype} is not convertible to float.")
    return WeightedColumn(categorical_column, weight_feature_key, dtype)


@export("feature_column.indicator_column")
def indicator_column(categorical_column: Any) -> IndicatorColumn:
    """Counts of categories, as dense numbers."""
    return IndicatorColumn(categorical_column)


def _check_embedding(dimension: Any, initializer: Any, path: Any, name: Any) -> None:
    if dimension is None or dimension < 1:
        raise ValueError(f"Invalid dimension {dimension}.")
    if (path is None) != (name is None):
        raise ValueError("Must specify both `ckpt_to_load_from` and `tensor_name_in_ckpt` or none.")
    if initializer is not None and not callable(initializer):
        raise ValueError(f"initializer must be callable if specified. Got {initializer}.")


@export("feature_column.embedding_column")
def embedding_column(
    categorical_column: Any,
    dimension: int,
    combiner: str = "mean",
    initializer: Any = None,
    ckpt_to_load_from: str | None = None,
    tensor_name_in_ckpt: str | None = None,
    max_norm: float | None = None,
    trainable: bool = True,
) -> EmbeddingColumn:
    """A trained vector for each category."""
    _check_embedding(dimension, initializer, ckpt_to_load_from, tensor_name_in_ckpt)
    return EmbeddingColumn(
        categorical_column,
        dimension,
        combiner,
        initializer,
        ckpt_to_load_from,
        tensor_name_in_ckpt,
        max_norm,
        trainable,
    )


@export("feature_column.shared_embedding_columns")
def shared_embedding_columns(
    categorical_columns: Any,
    dimension: int,
    combiner: str = "mean",
    initializer: Any = None,
    shared_embedding_collection_name: str | None = None,
    ckpt_to_load_from: str | None = None,
    tensor_name_in_ckpt: str | None = None,
    max_norm: float | None = None,
    trainable: bool = True,
) -> list[EmbeddingColumn]:
    """Columns of one set of trained vectors."""
    _check_embedding(dimension, initializer, ckpt_to_load_from, tensor_name_in_ckpt)
    buckets = {column.num_buckets for column in categorical_columns}
    if len(buckets) != 1:
        raise ValueError(
            "To use shared_embedding_column, all categorical_columns must have the same number of "
            f"buckets. Given: {sorted(buckets)}"
        )
    names = sorted(column.name for column in categorical_columns)
    shared = shared_embedding_collection_name or "_".join(names) + "_shared_embedding"
    return [
        EmbeddingColumn(
            column,
            dimension,
            combiner,
            initializer,
            ckpt_to_load_from,
            tensor_name_in_ckpt,
            max_norm,
            trainable,
            shared,
        )
        for column in categorical_columns
    ]


# --- layers --------------------------------------------------------------------------------------


def _columns(feature_columns: Any) -> list[FeatureColumn]:
    if isinstance(feature_columns, FeatureColumn):
        feature_columns = [feature_columns]
    if isinstance(feature_columns, Mapping):
        raise ValueError("Expected feature_columns to be iterable, found dict.")
    found = list(feature_columns)
    if not found:
        raise ValueError("feature_columns must not be empty.")
    names: dict[str, FeatureColumn] = {}
    for column in found:
        if not isinstance(column, FeatureColumn):
            raise ValueError(
                "Items of feature_columns must be a _FeatureColumn. Given (type "
                f"{type(column)}): {column}."
            )
        if column.name in names:
            raise ValueError(
                f"Duplicate feature column name found for columns: {column} and "
                f"{names[column.name]}. This usually means that these columns refer to same base "
                "feature. Either one must be discarded or a duplicated but renamed item must be "
                "inserted in features dict."
            )
        names[column.name] = column
    return [names[name] for name in sorted(names)]


def _collections(weight_collections: Any) -> list[Any]:
    found = list(weight_collections or [])
    for key in (tf.GraphKeys.GLOBAL_VARIABLES, tf.GraphKeys.MODEL_VARIABLES):
        if key not in found:
            found.append(key)
    return found


@export("feature_column.input_layer")
def input_layer(
    features: Mapping[str, Any],
    feature_columns: Any,
    weight_collections: Any = None,
    trainable: bool = True,
    cols_to_vars: dict[Any, Any] | None = None,
    cols_to_output_tensors: dict[Any, Any] | None = None,
) -> Any:
    """The columns side by side in the order of their names, [batch, Σ widths]."""
    columns = _columns(feature_columns)
    for column in columns:
        if not isinstance(column, DenseColumn):
            raise ValueError(
                "Items of feature_columns must be a _DenseColumn. You can wrap a categorical "
                f"column with an embedding_column or indicator_column. Given: {column}"
            )
    kept, read, outputs = _collections(weight_collections), Features(features), []
    with tf.variable_scope(None, default_name="input_layer", values=features.values()):
        for column in columns:
            assert isinstance(column, DenseColumn)
            before = len(tf.global_variables())
            with tf.variable_scope(None, default_name=column.scope_name):
                tensor = column.dense(read, trainable, kept)
                size = tf.shape(tensor)[0]
                output = tf.reshape(tensor, shape=(size, column.width))
            outputs.append(output)
            if cols_to_vars is not None:
                cols_to_vars[column] = tf.global_variables()[before:]
            if cols_to_output_tensors is not None:
                cols_to_output_tensors[column] = output
        return _side_by_side(outputs)


def _side_by_side(outputs: Sequence[Any]) -> Any:
    return tf.concat(list(outputs), 1)


def _weighted_sum(
    column: Any, read: Features, units: int, combiner: str, kept: Any, trainable: bool
) -> tuple[Any, Any]:
    """A column's part of a linear model and its weights."""

    def weights_of(rows: int) -> Any:
        return tf.get_variable(
            "weights",
            shape=[rows, units],
            initializer=tf.zeros_initializer(),
            trainable=trainable,
            collections=kept,
        )

    if isinstance(column, CategoricalColumn):
        ids, id_weights = column.ids(read)
        flat = tf.sparse_reshape(ids, [ids.dense_shape[0], -1])
        if id_weights is not None:
            id_weights = tf.sparse_reshape(id_weights, [id_weights.dense_shape[0], -1])
        weights = weights_of(column.num_buckets)
        found = tf.nn.safe_embedding_lookup_sparse(
            weights, flat, id_weights, combiner=combiner, name="weighted_sum"
        )
        return found, weights
    if not isinstance(column, DenseColumn):
        raise ValueError(
            "Items of feature_columns must be either a _DenseColumn or _CategoricalColumn. "
            f"Given: {column}"
        )
    tensor = column.dense(read, trainable, kept)
    tensor = tf.reshape(tensor, shape=(tf.shape(tensor)[0], column.width))
    weights = weights_of(column.width)
    return tf.matmul(tensor, weights, name="weighted_sum"), weights


@export("feature_column.linear_model")
def linear_model(
    features: Mapping[str, Any],
    feature_columns: Any,
    units: int = 1,
    sparse_combiner: str = "sum",
    weight_collections: Any = None,
    trainable: bool = True,
    cols_to_vars: dict[Any, Any] | None = None,
) -> Any:
    """Weighted sums of the columns and a bias, [batch, units]."""
    columns, read = _columns(feature_columns), Features(features)
    kept = _collections(weight_collections)
    sums = []
    with tf.variable_scope(None, default_name="linear_model", values=features.values()):
        for column in columns:
            with tf.variable_scope(None, default_name=column.scope_name):
                found, weights = _weighted_sum(
                    column, read, units, sparse_combiner, kept, trainable
                )
            sums.append(found)
            if cols_to_vars is not None:
                cols_to_vars[column] = [weights]
        total = tf.add_n(sums, name="weighted_sum_no_bias")
        bias = tf.get_variable(
            "bias_weights",
            shape=[units],
            initializer=tf.zeros_initializer(),
            trainable=trainable,
            collections=kept,
        )
        if cols_to_vars is not None:
            cols_to_vars["bias"] = [bias]
        return tf.nn.bias_add(total, bias, name="weighted_sum")


@export("feature_column.make_parse_example_spec")
def make_parse_example_spec(feature_columns: Any) -> dict[str, Any]:
    """What parse_example needs to know to give the features of all columns."""
    found: dict[str, Any] = {}
    for column in feature_columns:
        if not isinstance(column, FeatureColumn):
            raise ValueError(
                f"All feature_columns must be _FeatureColumn instances. Given: {column}"
            )
        for key, value in column.parse_spec.items():
            if key in found and found[key] != value:
                raise ValueError(
                    "feature_columns contain different parse_spec for key "
                    f"{key}. Given {value} and {found[key]}"
                )
            found[key] = value
    return found


def _parse_spec(
    feature_columns: Any, label_key: str, label: Any, weight_column: Any
) -> dict[str, Any]:
    found = make_parse_example_spec(feature_columns)
    if label_key in found:
        raise ValueError(f"label should not be used as feature. label_key: {label_key}")
    found[label_key] = label
    if weight_column is None:
        return found
    column = numeric_column(weight_column) if isinstance(weight_column, str) else weight_column
    if column.key in found:
        raise ValueError(f"weight_column should not be used as feature. weight: {column.key}")
    return {**found, **column.parse_spec}


@export("estimator.classifier_parse_example_spec")
def classifier_parse_example_spec(
    feature_columns: Any,
    label_key: str,
    label_dtype: Any = int64,
    label_default: Any = None,
    weight_column: Any = None,
) -> dict[str, Any]:
    """The parse spec of a classifier's features, label and weight."""
    label = tf.FixedLenFeature((1,), as_dtype(label_dtype), label_default)
    return _parse_spec(feature_columns, label_key, label, weight_column)


@export("estimator.regressor_parse_example_spec")
def regressor_parse_example_spec(
    feature_columns: Any,
    label_key: str,
    label_dtype: Any = float32,
    label_default: Any = None,
    label_dimension: int = 1,
    weight_column: Any = None,
) -> dict[str, Any]:
    """The parse spec of a regressor's features, label and weight."""
    label = tf.FixedLenFeature((label_dimension,), as_dtype(label_dtype), label_default)
    return _parse_spec(feature_columns, label_key, label, weight_column)


def linear_rate(feature_columns: Sequence[Any], most: float) -> float:
    """The rate of a linear model's Ftrl: 1/√columns, at most `most`."""
    return min(most, 1.0 / math.sqrt(len(list(feature_columns))))

"""tf.contrib.layers' feature columns: the older makers and layers over the same columns."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from anode.frontends.tensorflow.dtypes import as_dtype, float32, int64, string
from anode.frontends.tensorflow.estimator.columns import (
    BucketizedColumn,
    CategoricalColumn,
    CrossedColumn,
    DenseColumn,
    EmbeddingColumn,
    Features,
    HashedColumn,
    IdentityColumn,
    IndicatorColumn,
    NumericColumn,
    VocabularyColumn,
    WeightedColumn,
    _with_values,
    sparse_of,
)
from anode.frontends.tensorflow.modules import tensorflow as tf
from anode.frontends.tensorflow.opdef import export

PATHS = (
    "contrib.layers.",
    "contrib.layers.feature_column.",
    "contrib.layers.python.layers.feature_column.",
)


def _export(name: str) -> Any:
    return export(*(path + name for path in PATHS))


@_export("real_valued_column")
def real_valued_column(
    column_name: str,
    dimension: int = 1,
    default_value: Any = None,
    dtype: Any = float32,
    normalizer: Callable[[Any], Any] | None = None,
) -> NumericColumn:
    """A column of `dimension` numbers."""
    if dimension is None:
        raise NotImplementedError("real_valued_column(dimension=None) is not supported by anode")
    if dimension < 1:
        raise ValueError(f"dimension must be greater than 0. dimension: {dimension}")
    if default_value is not None:
        several = isinstance(default_value, (list, tuple))
        default_value = tuple(default_value) if several else (default_value,) * dimension
    return NumericColumn(column_name, (dimension,), default_value, as_dtype(dtype), normalizer)


@_export("bucketized_column")
def bucketized_column(source_column: Any, boundaries: Any) -> BucketizedColumn:
    """A real-valued column cut at sorted boundaries."""
    return BucketizedColumn(source_column, tuple(sorted(boundaries)))


@dataclass(frozen=True)
class IntegerizedColumn(IdentityColumn):
    """Whole numbers modulo the number of buckets."""

    def _ids(self, value: Any) -> Any:
        sparse = sparse_of(value)
        ids = tf.cast(sparse.values, tf.int64)
        return _with_values(sparse, tf.mod(ids, tf.constant(self.number_buckets, tf.int64)))


@_export("sparse_column_with_integerized_feature")
def sparse_column_with_integerized_feature(
    column_name: str, bucket_size: int, combiner: str = "sum", dtype: Any = int64
) -> IntegerizedColumn:
    """Categories that are numbers already."""
    _check_combiner(combiner)
    return IntegerizedColumn(column_name, bucket_size, None)


def _check_combiner(combiner: str) -> None:
    if combiner != "sum":
        raise NotImplementedError(f"a sparse column with combiner={combiner!r}")


@_export("sparse_column_with_hash_bucket")
def sparse_column_with_hash_bucket(
    column_name: str,
    hash_bucket_size: int,
    combiner: str = "sum",
    dtype: Any = string,
    hash_keys: Any = None,
) -> HashedColumn:
    """Categories by a hash of their text."""
    _check_combiner(combiner)
    if hash_keys is not None:
        raise NotImplementedError("sparse_column_with_hash_bucket(hash_keys=...)")
    return HashedColumn(column_name, hash_bucket_size, as_dtype(dtype))


@_export("sparse_column_with_keys")
def sparse_column_with_keys(
    column_name: str,
    keys: Any,
    default_value: int = -1,
    combiner: str = "sum",
    dtype: Any = string,
) -> VocabularyColumn:
    """Categories by their place in a list."""
    _check_combiner(combiner)
    words = tuple(keys)
    return VocabularyColumn(column_name, words, len(words), as_dtype(dtype), default_value, 0)


@_export("sparse_column_with_vocabulary_file")
def sparse_column_with_vocabulary_file(
    column_name: str,
    vocabulary_file: str,
    num_oov_buckets: int = 0,
    vocab_size: int | None = None,
    default_value: int = -1,
    combiner: str = "sum",
    dtype: Any = string,
) -> VocabularyColumn:
    """Categories by their line in a file."""
    _check_combiner(combiner)
    if vocab_size is None:
        raise ValueError("vocab_size is None and must be specified")
    return VocabularyColumn(
        column_name, vocabulary_file, vocab_size, as_dtype(dtype), default_value, num_oov_buckets
    )


@_export("weighted_sparse_column")
def weighted_sparse_column(
    sparse_id_column: Any, weight_column_name: str, dtype: Any = float32
) -> WeightedColumn:
    """Categories, each with a weight from another feature."""
    return WeightedColumn(sparse_id_column, weight_column_name, as_dtype(dtype))


@_export("crossed_column")
def crossed_column(
    columns: Any,
    hash_bucket_size: int,
    combiner: str = "sum",
    ckpt_to_load_from: str | None = None,
    tensor_name_in_ckpt: str | None = None,
    hash_key: int | None = None,
) -> CrossedColumn:
    """Combinations of categories, by a hash."""
    _check_combiner(combiner)
    if ckpt_to_load_from is not None:
        raise NotImplementedError("crossed_column(ckpt_to_load_from=...)")
    if hash_key is None:
        raise NotImplementedError(
            "crossed_column without hash_key hashes as TensorFlow's oldest crossing did, which "
            "anode has not: give tf.contrib.layers.SPARSE_FEATURE_CROSS_DEFAULT_HASH_KEY"
        )
    return CrossedColumn(tuple(columns), hash_bucket_size, hash_key)


@_export("one_hot_column")
def one_hot_column(sparse_id_column: Any) -> IndicatorColumn:
    """Counts of categories, as dense numbers."""
    return IndicatorColumn(sparse_id_column)


@_export("embedding_column")
def embedding_column(
    sparse_id_column: Any,
    dimension: int,
    combiner: str = "mean",
    initializer: Any = None,
    ckpt_to_load_from: str | None = None,
    tensor_name_in_ckpt: str | None = None,
    max_norm: float | None = None,
    trainable: bool = True,
) -> EmbeddingColumn:
    """A trained vector for each category."""
    if initializer is None:
        stddev = 1 / math.sqrt(sparse_id_column.num_buckets)
        initializer = tf.truncated_normal_initializer(mean=0.0, stddev=stddev)
    return EmbeddingColumn(
        sparse_id_column,
        dimension,
        combiner,
        initializer,
        ckpt_to_load_from,
        tensor_name_in_ckpt,
        max_norm,
        trainable,
        None,
        "weights",
    )


# --- layers --------------------------------------------------------------------------------------


def _ordered(feature_columns: Any) -> list[Any]:
    return sorted(set(feature_columns), key=lambda column: column.name)


@export("contrib.layers.input_from_feature_columns")
def input_from_feature_columns(
    columns_to_tensors: Mapping[str, Any],
    feature_columns: Any,
    weight_collections: Any = None,
    trainable: bool = True,
    scope: Any = None,
    cols_to_outs: dict[Any, Any] | None = None,
) -> Any:
    """The dense columns side by side, [batch, Σ widths]."""
    read, outputs = Features(columns_to_tensors), []
    with tf.variable_scope(
        scope,
        default_name="input_from_feature_columns",
        values=list(columns_to_tensors.values()),
    ):
        for column in _ordered(feature_columns):
            if not isinstance(column, DenseColumn):
                raise ValueError(
                    f"Error creating input layer for column: {column.name}. It is sparse: wrap it "
                    "by one_hot_column or embedding_column"
                )
            with tf.variable_scope(None, default_name=column.scope_name or "real_valued"):
                value = column.dense(read, trainable, weight_collections)
                output = tf.reshape(value, [-1, column.width])
            outputs.append(output)
            if cols_to_outs is not None:
                cols_to_outs[column] = output
    return tf.concat(outputs, 1)


@export("contrib.layers.sequence_input_from_feature_columns")
def sequence_input_from_feature_columns(
    columns_to_tensors: Mapping[str, Any],
    feature_columns: Any,
    weight_collections: Any = None,
    trainable: bool = True,
    scope: Any = None,
) -> Any:
    """The real-valued columns of sequences side by side, [batch, time, Σ widths]."""
    outputs = []
    with tf.variable_scope(
        scope,
        default_name="sequence_input_from_feature_columns",
        values=list(columns_to_tensors.values()),
    ):
        for column in _ordered(feature_columns):
            if not isinstance(column, NumericColumn):
                raise NotImplementedError(f"a sequence of the column {column.name}")
            value = tf.cast(columns_to_tensors[column.key], tf.float32)
            if column.normalizer_fn is not None:
                value = column.normalizer_fn(value)
            if value.shape.rank == 2:
                value = tf.expand_dims(value, -1)
            outputs.append(value)
    return tf.concat(outputs, 2)


@export("contrib.layers.weighted_sum_from_feature_columns")
def weighted_sum_from_feature_columns(
    columns_to_tensors: Mapping[str, Any],
    feature_columns: Any,
    num_outputs: int,
    weight_collections: Any = None,
    trainable: bool = True,
    scope: Any = None,
) -> tuple[Any, dict[Any, Any], Any]:
    """Weighted sums of the columns and a bias; with the variables of each column."""
    read, sums, variables = Features(columns_to_tensors), [], {}
    with tf.variable_scope(
        scope,
        default_name="weighted_sum_from_feature_columns",
        values=list(columns_to_tensors.values()),
    ):
        for column in _ordered(feature_columns):
            name = "weights" if isinstance(column, CategoricalColumn) else "weight"
            rows = column.num_buckets if isinstance(column, CategoricalColumn) else column.width
            weights = tf.get_variable(
                f"{column.scope_name}/{name}",
                [rows, num_outputs],
                initializer=tf.zeros_initializer(),
                trainable=trainable,
                collections=weight_collections,
            )
            variables[column] = [weights]
            sums.append(_weighted(column, read, weights))
        bias = tf.get_variable(
            "bias_weight",
            [num_outputs],
            initializer=tf.zeros_initializer(),
            trainable=trainable,
            collections=weight_collections,
        )
        return tf.nn.bias_add(tf.add_n(sums), tf.convert_to_tensor(bias)), variables, bias


def _weighted(column: Any, read: Features, weights: Any) -> Any:
    if isinstance(column, CategoricalColumn):
        ids, id_weights = column.ids(read)
        return tf.nn.safe_embedding_lookup_sparse(weights, ids, id_weights, combiner="sum")
    value = tf.reshape(column.dense(read, True, None), [-1, column.width])
    return tf.matmul(value, tf.convert_to_tensor(weights))


@export("contrib.layers.create_feature_spec_for_parsing")
@export("contrib.layers.feature_column.create_feature_spec_for_parsing")
def create_feature_spec_for_parsing(feature_columns: Any) -> dict[str, Any]:
    """What parse_example needs to know to give the features of all columns."""
    found: dict[str, Any] = {}
    for column in feature_columns:
        found.update(column.parse_spec)
    return found


@export("contrib.layers.parse_feature_columns_from_examples")
def parse_feature_columns_from_examples(
    serialized: Any, feature_columns: Any, name: str | None = None, example_names: Any = None
) -> dict[Any, Any]:
    """The features of serialised Examples, by column."""
    spec = create_feature_spec_for_parsing(feature_columns)
    parsed = tf.parse_example(serialized, spec, name=name, example_names=example_names)
    return {column: parsed[next(iter(column.parse_spec))] for column in feature_columns}


@export("contrib.layers.infer_real_valued_columns")
def infer_real_valued_columns(features: Any) -> list[NumericColumn]:
    """A real-valued column of each dense feature."""
    named = features if isinstance(features, Mapping) else {"": features}
    return [
        real_valued_column(key, value.shape[1].value, dtype=value.dtype)
        for key, value in sorted(named.items())
    ]

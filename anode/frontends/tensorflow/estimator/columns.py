"""tf.feature_column: how a model's features become dense numbers or ids of categories.

A column has a `name`, the parse spec of its features, and gives from a dictionary of features
either dense numbers (`dense`) or ids with weights (`ids`), or both.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from anode.frontends.tensorflow.dtypes import DType, as_dtype
from anode.frontends.tensorflow.modules import tensorflow as tf
from anode.frontends.tensorflow.tensor_shape import TensorShape

_INVALID = re.compile(r"[^A-Za-z0-9_.\-]")


class FeatureColumn:
    """The base of all columns."""

    name: str

    @property
    def scope_name(self) -> str:
        """The name of the variable scope, without characters that scopes cannot have."""
        return _INVALID.sub("_", self.name)

    @property
    def parse_spec(self) -> dict[str, Any]:
        """What parse_example needs to know to give this column's features."""
        raise NotImplementedError


class DenseColumn(FeatureColumn):
    """A column of a fixed number of values."""

    @property
    def width(self) -> int:
        """Values of an example."""
        raise NotImplementedError

    def dense(self, features: Features, trainable: bool, collections: Any) -> Any:
        """The values, [batch, ...]."""
        raise NotImplementedError


class CategoricalColumn(FeatureColumn):
    """A column of ids below `num_buckets`, any number of them in an example."""

    num_buckets: int

    def ids(self, features: Features) -> tuple[Any, Any]:
        """A SparseTensor of ids, [batch, n], and one of weights or None."""
        raise NotImplementedError


class Features:
    """The features of a batch, each made into what columns ask for once."""

    def __init__(self, features: Mapping[Any, Any]) -> None:
        self._features = dict(features)
        self._made: dict[Any, Any] = {}

    def raw(self, key: str) -> Any:
        """A feature as it is; of rank 2 or more where it is dense."""
        if key not in self._features:
            raise ValueError(f"Feature {key} is not in features dictionary.")
        return self.once(("raw", key), lambda: _with_rank(key, self._features[key]))

    def once(self, key: Any, make: Callable[[], Any]) -> Any:
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]


def _with_rank(key: str, value: Any) -> Any:
    value = tf.convert_to_tensor_or_sparse_tensor(value)
    if hasattr(value, "dense_shape"):
        return value
    rank = value.get_shape().rank
    if rank == 0:
        raise ValueError(f"Feature (key: {key}) cannot have rank 0. Given: {value}")
    if rank is None:
        raise ValueError(f"Feature (key: {key}) must have a known rank. Given: {value}")
    return value if rank > 1 else tf.expand_dims(value, -1)


def sparse_of(value: Any, ignore: Any = None) -> Any:
    """A SparseTensor of a feature, without the values that stand for nothing: "" and -1."""
    if hasattr(value, "dense_shape"):
        return value
    if ignore is None:
        ignore = "" if value.dtype.base_dtype == tf.string else -1
    ignored = tf.constant(ignore, dtype=value.dtype.base_dtype)
    places = tf.where(tf.not_equal(value, ignored), name="indices")
    values = tf.gather_nd(value, places, name="values")
    shape = tf.shape(value, out_type=tf.int64, name="dense_shape")
    return tf.SparseTensor(places, values, shape)


def _with_values(sparse: Any, values: Any) -> Any:
    return tf.SparseTensor(sparse.indices, values, sparse.dense_shape)


@dataclass(frozen=True)
class NumericColumn(DenseColumn):
    """Numbers as they are."""

    key: str
    shape: tuple[int, ...]
    default_value: Any
    dtype: DType
    normalizer_fn: Callable[[Any], Any] | None

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.key

    @property
    def parse_spec(self) -> dict[str, Any]:
        return {self.key: tf.FixedLenFeature(list(self.shape), self.dtype, self.default_value)}

    @property
    def width(self) -> int:
        return math.prod(self.shape)

    def values(self, features: Features) -> Any:
        return features.once(self, lambda: self._values(features.raw(self.key)))

    def _values(self, value: Any) -> Any:
        if hasattr(value, "dense_shape"):
            raise ValueError(
                "The corresponding Tensor of numerical column must be a Tensor. SparseTensor is "
                f"not supported. key: {self.key}"
            )
        if self.normalizer_fn is not None:
            value = self.normalizer_fn(value)
        return tf.cast(value, tf.float32)

    def dense(self, features: Features, trainable: bool, collections: Any) -> Any:
        return self.values(features)


@dataclass(frozen=True)
class BucketizedColumn(DenseColumn, CategoricalColumn):
    """Which of the buckets between boundaries a number is in; dense, one-hot."""

    source_column: NumericColumn
    boundaries: tuple[float, ...]

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"{self.source_column.name}_bucketized"

    @property
    def parse_spec(self) -> dict[str, Any]:
        return self.source_column.parse_spec

    @property
    def _buckets(self) -> int:
        return len(self.boundaries) + 1

    @property
    def num_buckets(self) -> int:  # type: ignore[override]
        return self._buckets * self.source_column.width

    @property
    def width(self) -> int:
        return self.num_buckets

    def places(self, features: Features) -> Any:
        """The bucket of each number."""

        def make() -> Any:
            values = self.source_column.values(features)
            return tf.raw_ops.Bucketize(input=values, boundaries=list(self.boundaries))

        return features.once(self, make)

    def dense(self, features: Features, trainable: bool, collections: Any) -> Any:
        found = self.places(features)
        return tf.one_hot(
            tf.cast(found, tf.int64), depth=self._buckets, on_value=1.0, off_value=0.0
        )

    def ids(self, features: Features) -> tuple[Any, Any]:
        places = tf.reshape(self.places(features), [-1, self.source_column.width])
        firsts = [i * self._buckets for i in range(self.source_column.width)]
        ids = tf.cast(places + tf.constant(firsts, dtype=places.dtype), tf.int64)
        return sparse_of(ids), None


@dataclass(frozen=True)
class HashedColumn(CategoricalColumn):
    """Categories by a hash of their text."""

    key: str
    hash_bucket_size: int
    dtype: DType

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.key

    @property
    def num_buckets(self) -> int:  # type: ignore[override]
        return self.hash_bucket_size

    @property
    def parse_spec(self) -> dict[str, Any]:
        return {self.key: tf.VarLenFeature(self.dtype)}

    def ids(self, features: Features) -> tuple[Any, Any]:
        return features.once(self, lambda: (self._ids(features.raw(self.key)), None))

    def _ids(self, value: Any) -> Any:
        sparse = sparse_of(value)
        _check_kind(self.key, self.dtype, sparse)
        texts = sparse.values
        if self.dtype != tf.string:
            texts = tf.as_string(texts)
        hashed = tf.string_to_hash_bucket_fast(texts, self.hash_bucket_size, name="lookup")
        return _with_values(sparse, hashed)


def _check_kind(key: str, dtype: DType, sparse: Any) -> None:
    if (dtype == tf.string) != (sparse.dtype.base_dtype == tf.string):
        raise ValueError(
            f"Column dtype and SparseTensors dtype must be compatible. key: {key}, column dtype: "
            f"{dtype}, tensor dtype: {sparse.dtype}"
        )


@dataclass(frozen=True)
class VocabularyColumn(CategoricalColumn):
    """Categories by their place in a list, or in a file of one word a line."""

    key: str
    words: tuple[Any, ...] | str
    size: int
    dtype: DType
    default_value: int
    num_oov_buckets: int

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.key

    @property
    def num_buckets(self) -> int:  # type: ignore[override]
        return self.size + self.num_oov_buckets

    @property
    def parse_spec(self) -> dict[str, Any]:
        return {self.key: tf.VarLenFeature(self.dtype)}

    def ids(self, features: Features) -> tuple[Any, Any]:
        return features.once(self, lambda: (self._ids(features.raw(self.key)), None))

    def _table(self, dtype: Any) -> Any:
        options = {
            "num_oov_buckets": self.num_oov_buckets,
            "default_value": self.default_value,
            "name": f"{self.key}_lookup",
        }
        if isinstance(self.words, str):
            return tf.contrib.lookup.index_table_from_file(
                self.words, vocab_size=self.size, key_dtype=dtype, **options
            )
        words = tf.constant(list(self.words), dtype=dtype)
        return tf.contrib.lookup.index_table_from_tensor(words, dtype=dtype, **options)

    def _ids(self, value: Any) -> Any:
        sparse = sparse_of(value)
        _check_kind(self.key, self.dtype, sparse)
        values, dtype = sparse.values, self.dtype
        if self.dtype.is_integer:
            values, dtype = tf.cast(values, tf.int64), tf.int64
        return _with_values(sparse, self._table(dtype).lookup(values))


@dataclass(frozen=True)
class IdentityColumn(CategoricalColumn):
    """Categories that are numbers already."""

    key: str
    number_buckets: int
    default_value: int | None

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.key

    @property
    def num_buckets(self) -> int:  # type: ignore[override]
        return self.number_buckets

    @property
    def parse_spec(self) -> dict[str, Any]:
        return {self.key: tf.VarLenFeature(tf.int64)}

    def ids(self, features: Features) -> tuple[Any, Any]:
        return features.once(self, lambda: (self._ids(features.raw(self.key)), None))

    def _ids(self, value: Any) -> Any:
        sparse = sparse_of(value)
        if not sparse.dtype.is_integer:
            raise ValueError(f"Invalid input, not integer. key: {self.key} dtype: {sparse.dtype}")
        ids = tf.cast(sparse.values, tf.int64, name="values")
        most = tf.constant(self.number_buckets, dtype=tf.int64, name="num_buckets")
        least = tf.constant(0, dtype=tf.int64, name="zero")
        if self.default_value is None:
            message = f"not an id of column {self.key}"
            checks = [
                tf.assert_less(ids, most, data=(ids, most), message=message),
                tf.assert_greater_equal(ids, least, data=(ids,), message=message),
            ]
            with tf.control_dependencies(checks):
                ids = tf.identity(ids)
        else:
            outside = tf.logical_or(tf.less(ids, least), tf.greater_equal(ids, most))
            default = tf.fill(tf.shape(ids), tf.constant(self.default_value, dtype=tf.int64))
            ids = tf.where(outside, default, ids)
        return _with_values(sparse, ids)


@dataclass(frozen=True)
class CrossedColumn(CategoricalColumn):
    """Categories by a hash of the combinations of others."""

    keys: tuple[Any, ...]
    hash_bucket_size: int
    hash_key: int | None

    @property
    def name(self) -> str:  # type: ignore[override]
        return "_X_".join(sorted(self._leaves()))

    def _leaves(self) -> list[str]:
        names: list[str] = []
        for key in self.keys:
            if isinstance(key, CrossedColumn):
                names += key._leaves()
            else:
                names.append(key if isinstance(key, str) else key.name)
        return names

    @property
    def num_buckets(self) -> int:  # type: ignore[override]
        return self.hash_bucket_size

    @property
    def parse_spec(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key in self.keys:
            found.update({key: tf.VarLenFeature(tf.string)} if isinstance(key, str)
                         else key.parse_spec)  # fmt: skip
        return found

    def _flat(self) -> list[Any]:
        found: list[Any] = []
        for key in self.keys:
            found += key._flat() if isinstance(key, CrossedColumn) else [key]
        return found

    def ids(self, features: Features) -> tuple[Any, Any]:
        return features.once(self, lambda: (self._ids(features), None))

    def _ids(self, features: Features) -> Any:
        parts, dense = [], []  # TensorFlow hashes sparse features before dense ones
        for key in self._flat():
            if isinstance(key, str):
                raw = features.raw(key)
                if hasattr(raw, "dense_shape"):
                    parts.append(raw)
                else:
                    dense.append(_all_of(raw))
                continue
            ids, weights = key.ids(features)
            if weights is not None:
                raise ValueError(
                    f"crossed_column does not support weight_tensor, but the column {key.name} "
                    "has one"
                )
            parts.append(ids)
        return crossed([*parts, *dense], self.hash_bucket_size, self.hash_key)


def _all_of(value: Any) -> Any:
    """A SparseTensor of all values of a dense feature."""
    places = tf.where(tf.ones_like(value, dtype=tf.bool))
    return tf.SparseTensor(places, tf.reshape(value, [-1]), tf.shape(value, out_type=tf.int64))


def crossed(parts: list[Any], num_buckets: int, hash_key: int | None) -> Any:
    """The SparseTensor of hashed combinations of sparse features."""
    from anode.frontends.tensorflow.graph import apply

    values = [
        part.values if part.dtype.base_dtype == tf.string else tf.cast(part.values, tf.int64)
        for part in parts
    ]
    found = apply(
        "SparseCross",
        [part.indices for part in parts],
        values,
        [part.dense_shape for part in parts],
        [],
        hashed_output=True,
        num_buckets=num_buckets,
        hash_key=0xDECAFCAFFE if hash_key is None else hash_key,
        out_type=tf.int64,
        internal_type=tf.string,
    )
    return tf.SparseTensor(*found)


@dataclass(frozen=True)
class WeightedColumn(CategoricalColumn):
    """Categories with a weight each."""

    categorical_column: CategoricalColumn
    weight_feature_key: str
    dtype: DType

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"{self.categorical_column.name}_weighted_by_{self.weight_feature_key}"

    @property
    def num_buckets(self) -> int:  # type: ignore[override]
        return self.categorical_column.num_buckets

    @property
    def parse_spec(self) -> dict[str, Any]:
        found = dict(self.categorical_column.parse_spec)
        if self.weight_feature_key in found:
            raise ValueError(f"Parse config {self.weight_feature_key} already exists.")
        return {**found, self.weight_feature_key: tf.VarLenFeature(self.dtype)}

    def ids(self, features: Features) -> tuple[Any, Any]:
        return features.once(self, lambda: self._ids(features))

    def _ids(self, features: Features) -> tuple[Any, Any]:
        ids, _ = self.categorical_column.ids(features)
        weights = features.raw(self.weight_feature_key)
        if self.dtype != weights.dtype.base_dtype:
            raise ValueError(f"Bad dtype, expected {self.dtype}, but got {weights.dtype}.")
        weights = sparse_of(weights, ignore=0)
        if not weights.dtype.is_floating:
            weights = _with_values(weights, tf.cast(weights.values, tf.float32))
        return ids, weights


@dataclass(frozen=True)
class IndicatorColumn(DenseColumn):
    """How often each category is in an example."""

    categorical_column: CategoricalColumn

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"{self.categorical_column.name}_indicator"

    @property
    def parse_spec(self) -> dict[str, Any]:
        return self.categorical_column.parse_spec

    @property
    def width(self) -> int:
        return self.categorical_column.num_buckets

    def dense(self, features: Features, trainable: bool, collections: Any) -> Any:
        return features.once(self, lambda: self._dense(features))

    def _dense(self, features: Features) -> Any:
        ids, weights = self.categorical_column.ids(features)
        places = tf.sparse_tensor_to_dense(ids, default_value=-1)
        hot = tf.one_hot(places, depth=self.width, on_value=1.0, off_value=0.0)
        if weights is not None:
            hot = hot * tf.expand_dims(tf.sparse_tensor_to_dense(weights), -1)
        return tf.reduce_sum(hot, axis=[-2])


@dataclass(frozen=True)
class EmbeddingColumn(DenseColumn):
    """A trained vector for each category, combined over those of an example.

    Columns of one `shared_name` share their vectors.
    """

    categorical_column: CategoricalColumn
    dimension: int
    combiner: str
    initializer: Any
    ckpt_to_load_from: str | None
    tensor_name_in_ckpt: str | None
    max_norm: float | None
    trainable: bool
    shared_name: str | None = None
    variable: str = "embedding_weights"

    @property
    def name(self) -> str:  # type: ignore[override]
        kind = "shared_embedding" if self.shared_name else "embedding"
        return f"{self.categorical_column.name}_{kind}"

    @property
    def scope_name(self) -> str:
        return _INVALID.sub("_", self.shared_name or self.name)

    @property
    def parse_spec(self) -> dict[str, Any]:
        return self.categorical_column.parse_spec

    @property
    def width(self) -> int:
        return self.dimension

    def _weights(self, trainable: bool, collections: Any) -> Any:
        if self.shared_name is not None:
            held = tf.get_collection(self.shared_name)
            if held:
                return held[0]
        initializer = self.initializer
        if initializer is None:
            stddev = 1 / math.sqrt(self.dimension)
            initializer = tf.truncated_normal_initializer(mean=0.0, stddev=stddev)
        weights = tf.get_variable(
            self.variable,
            shape=(self.categorical_column.num_buckets, self.dimension),
            dtype=tf.float32,
            initializer=initializer,
            trainable=self.trainable and trainable,
            collections=collections,
        )
        if self.shared_name is not None:
            tf.add_to_collection(self.shared_name, weights)
        if self.ckpt_to_load_from is not None:
            tf.train.init_from_checkpoint(
                self.ckpt_to_load_from, {self.tensor_name_in_ckpt: weights}
            )
        return weights

    def dense(self, features: Features, trainable: bool, collections: Any) -> Any:
        table = self._weights(trainable, collections)
        ids, weights = self.categorical_column.ids(features)
        return tf.nn.safe_embedding_lookup_sparse(
            table,
            ids,
            weights,
            combiner=self.combiner,
            name=f"{self.name}_weights",
            max_norm=self.max_norm,
        )


def checked_shape(shape: Any) -> tuple[int, ...]:
    """A shape as a tuple of sizes above 0."""
    sizes = tuple(shape) if isinstance(shape, (list, tuple, TensorShape)) else (shape,)
    for size in sizes:
        if not isinstance(size, int) and not hasattr(size, "__index__"):
            raise TypeError(f"shape dimensions must be integer. shape: {shape}")
        if size < 1:
            raise ValueError(f"shape dimensions must be greater than 0. shape: {shape}")
    return tuple(int(size) for size in sizes)


def key_dtype(dtype: Any, name: str) -> DType:
    """The type of a categorical feature: string or whole numbers."""
    found = as_dtype(dtype)
    if found != tf.string and not found.is_integer:
        raise ValueError(f"dtype must be string or integer. dtype: {found}, column_name: {name}")
    return found

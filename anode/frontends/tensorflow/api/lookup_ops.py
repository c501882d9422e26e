"""tf.lookup and tf.contrib.lookup: tables from keys to values."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

from anode.frontends.tensorflow.api.sparse_ops import SparseTensor
from anode.frontends.tensorflow.dtypes import DType, as_dtype, int32, int64, string
from anode.frontends.tensorflow.graph import (
    Operation,
    Tensor,
    add_to_collection,
    apply,
    convert_to_tensor,
    get_default_graph,
    group,
    name_scope,
    no_op,
)
from anode.frontends.tensorflow.opdef import export, export_values

TABLES = "table_initializer"
OPS = "python.ops.lookup_ops."


@export("initializers.tables_initializer", "tables_initializer", "initialize_all_tables")
def tables_initializer(name: str = "init_all_tables") -> Operation:
    """An operation that fills all tables of the graph."""
    ops = get_default_graph().get_collection(TABLES)
    return group(*ops, name=name) if ops else no_op(name=name)


# what fills a table


class TableInitializer:
    """What fills a table that is filled once."""

    def __init__(self, key_dtype: Any, value_dtype: Any) -> None:
        self.key_dtype, self.value_dtype = as_dtype(key_dtype), as_dtype(value_dtype)

    @property
    def _shared_name(self) -> str:
        return ""

    def initialize(self, table: Any) -> Operation:
        raise NotImplementedError


@export("lookup.KeyValueTensorInitializer", "contrib.lookup.KeyValueTensorInitializer")
class KeyValueTensorInitializer(TableInitializer):
    """Fills a table from two tensors."""

    def __init__(
        self,
        keys: Any,
        values: Any,
        key_dtype: Any = None,
        value_dtype: Any = None,
        name: str | None = None,
    ) -> None:
        self._name = name or "key_value_init"
        with name_scope(self._name, values=[keys, values]):
            self._keys = convert_to_tensor(keys, key_dtype, name="keys")
            self._values = convert_to_tensor(values, value_dtype, name="values")
        super().__init__(self._keys.dtype.base_dtype, self._values.dtype.base_dtype)

    def initialize(self, table: Any) -> Operation:
        with name_scope(self._name, values=[self._keys]) as scope:
            handle = table.resource_handle
            op: Operation = apply("InitializeTableV2", handle, self._keys, self._values, name=scope)
            add_to_collection(TABLES, op)
            return op


@export("lookup.TextFileIndex", "contrib.lookup.TextFileIndex")
class TextFileIndex:
    """What stands for a column of a text file: the whole line, or its number."""

    WHOLE_LINE = -2
    LINE_NUMBER = -1


@export("lookup.TextFileInitializer", "contrib.lookup.TextFileInitializer")
class TextFileInitializer(TableInitializer):
    """Fills a table from the columns of a text file."""

    def __init__(
        self,
        filename: Any,
        key_dtype: Any,
        key_index: int,
        value_dtype: Any,
        value_index: int,
        vocab_size: int | None = None,
        delimiter: str = "\t",
        name: str | None = None,
    ) -> None:
        super().__init__(key_dtype, value_dtype)
        for what, index, dtype in (
            ("Key", key_index, self.key_dtype),
            ("Value", value_index, self.value_dtype),
        ):
            if index == TextFileIndex.LINE_NUMBER and dtype != int64:
                raise ValueError(f"{what} data type must be int64 for line numbers, not {dtype}.")
            if index == TextFileIndex.WHOLE_LINE and dtype not in (int64, string):
                raise ValueError(f"{what} data type must be string or int64, not {dtype}.")
        self._filename, self._name = filename, name or "text_file_init"
        self._attrs = {
            "key_index": key_index,
            "value_index": value_index,
            "vocab_size": -1 if vocab_size is None else vocab_size,
            "delimiter": delimiter,
        }

    def initialize(self, table: Any) -> Operation:
        with name_scope(self._name, values=[self._filename]) as scope:
            filename = convert_to_tensor(self._filename, string, name="asset_filepath")
            op: Operation = apply(
                "InitializeTableFromTextFileV2",
                table.resource_handle,
                filename,
                name=scope,
                **self._attrs,
            )
            add_to_collection(TABLES, op)
            if not isinstance(self._filename, Tensor):
                add_to_collection("asset_filepaths", filename)
            return op


@export("contrib.lookup.TextFileIdTableInitializer", OPS + "TextFileIdTableInitializer")
class TextFileIdTableInitializer(TextFileInitializer):
    """Lines to their numbers."""

    def __init__(
        self,
        filename: Any,
        key_column_index: int = TextFileIndex.WHOLE_LINE,
        value_column_index: int = TextFileIndex.LINE_NUMBER,
        vocab_size: int | None = None,
        delimiter: str = "\t",
        name: str | None = "text_file_id_table_init",
        key_dtype: Any = string,
    ) -> None:
        columns = (key_dtype, key_column_index, int64, value_column_index)
        super().__init__(filename, *columns, vocab_size, delimiter, name)


@export("contrib.lookup.TextFileStringTableInitializer", OPS + "TextFileStringTableInitializer")
class TextFileStringTableInitializer(TextFileInitializer):
    """Numbers to the lines with them."""

    def __init__(
        self,
        filename: Any,
        key_column_index: int = TextFileIndex.LINE_NUMBER,
        value_column_index: int = TextFileIndex.WHOLE_LINE,
        vocab_size: int | None = None,
        delimiter: str = "\t",
        name: str | None = "text_file_string_table_init",
    ) -> None:
        columns = (int64, key_column_index, string, value_column_index)
        super().__init__(filename, *columns, vocab_size, delimiter, name)


# tables


@export("lookup.LookupInterface", "contrib.lookup.LookupInterface")
class LookupInterface:
    """A table from keys to values."""

    def __init__(self, key_dtype: Any, value_dtype: Any) -> None:
        self._key_dtype, self._value_dtype = as_dtype(key_dtype), as_dtype(value_dtype)

    @property
    def key_dtype(self) -> DType:
        return self._key_dtype

    @property
    def value_dtype(self) -> DType:
        return self._value_dtype


class _Table(LookupInterface):
    """A table that is one op."""

    type = "HashTableV2"

    def __init__(
        self, key_dtype: Any, value_dtype: Any, default_value: Any, name: str, shared_name: str
    ) -> None:
        super().__init__(key_dtype, value_dtype)
        kinds: dict[str, Any] = {"key_dtype": self._key_dtype, "value_dtype": self._value_dtype}
        with name_scope(name) as scope:
            self.resource_handle = apply(self.type, name=scope, shared_name=shared_name, **kinds)
            self._default_value = convert_to_tensor(default_value, self._value_dtype)
        self._name = self.resource_handle.op.name.rpartition("/")[2]

    @property
    def name(self) -> str:
        return self._name

    @property
    def default_value(self) -> Tensor:
        return self._default_value

    @property
    def table_ref(self) -> Tensor:
        handle: Tensor = self.resource_handle
        return handle

    def size(self, name: str | None = None) -> Any:
        """The number of entries."""
        with name_scope(name, f"{self.name}_Size"):
            return apply("LookupTableSizeV2", self.resource_handle)

    def lookup(self, keys: Any, name: str | None = None) -> Any:
        """The values of the keys, the default for those that are not there."""
        asked = keys.values if isinstance(keys, SparseTensor) else keys
        with name_scope(name, f"{self.name}_Lookup", [asked]):
            tensor = convert_to_tensor(asked, self._key_dtype, name="keys")
            found = apply("LookupTableFindV2", self.resource_handle, tensor, self._default_value)
        if isinstance(keys, SparseTensor):
            return SparseTensor(keys.indices, found, keys.dense_shape)
        return found

    def export(self, name: str | None = None) -> Any:
        """All keys, and all values."""
        with name_scope(name, f"{self.name}_Export"):
            kinds: dict[str, Any] = {"Tkeys": self._key_dtype, "Tvalues": self._value_dtype}
            return apply("LookupTableExportV2", self.resource_handle, **kinds)


@export("lookup.StaticHashTable")
class StaticHashTable(_Table):
    """A table that an initializer fills once."""

    def __init__(
        self, initializer: Any, default_value: Any, name: str | None = None, shared_name: str = ""
    ) -> None:
        self._initializer = initializer
        kinds = (initializer.key_dtype, initializer.value_dtype)
        super().__init__(*kinds, default_value, name or "hash_table", shared_name)
        self._init_op = initializer.initialize(self)

    @property
    def initializer(self) -> Operation:
        return self._init_op

    init = initializer


@export("contrib.lookup.HashTable", OPS + "HashTable")
class HashTable(StaticHashTable):
    """`StaticHashTable` with the arguments of tf.contrib.lookup."""

    def __init__(
        self,
        initializer: Any,
        default_value: Any,
        shared_name: str | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(initializer, default_value, name, shared_name or "")


@export("contrib.lookup.MutableHashTable", OPS + "MutableHashTable")
class MutableHashTable(_Table):
    """A table that the graph may change."""

    type = "MutableHashTableV2"

    def __init__(
        self,
        key_dtype: Any,
        value_dtype: Any,
        default_value: Any,
        shared_name: str | None = None,
        name: str = "MutableHashTable",
        checkpoint: bool = True,
    ) -> None:
        del checkpoint  # what a table holds is not saved
        super().__init__(key_dtype, value_dtype, default_value, name, shared_name or "")

    def insert(self, keys: Any, values: Any, name: str | None = None) -> Operation:
        with name_scope(name, f"{self.name}_lookup_table_insert", [keys, values]):
            keys = convert_to_tensor(keys, self._key_dtype, name="keys")
            values = convert_to_tensor(values, self._value_dtype, name="values")
            op: Operation = apply("LookupTableInsertV2", self.resource_handle, keys, values)
            return op

    def remove(self, keys: Any, name: str | None = None) -> Operation:
        with name_scope(name, f"{self.name}_lookup_table_remove", [keys]):
            keys = convert_to_tensor(keys, self._key_dtype, name="keys")
            op: Operation = apply("LookupTableRemoveV2", self.resource_handle, keys)
            return op


# keys that are not in the vocabulary


@export("contrib.lookup.HasherSpec")
class HasherSpec(namedtuple("HasherSpec", ["hasher", "key"])):
    """How keys outside the vocabulary are put into buckets."""


FastHashSpec = HasherSpec("fasthash", None)
export_values(__name__, {"contrib.lookup.FastHashSpec": "FastHashSpec"})


@export("contrib.lookup.StrongHashSpec")
class StrongHashSpec(HasherSpec):
    """Buckets by a hash that nobody without the key can aim at."""

    __slots__ = ()

    def __new__(cls, key: Any) -> StrongHashSpec:
        if len(key) != 2:
            raise ValueError(f"key must have size 2, got {len(key)}.")
        return super().__new__(cls, "stronghash", key)


def _bucket(values: Any, count: int, spec: HasherSpec) -> Any:
    if values.dtype.base_dtype != string:
        values = apply("AsString", values)
    if spec.hasher == "fasthash":
        return apply("StringToHashBucketFast", values, num_buckets=count)
    if spec.hasher == "stronghash":
        return apply("StringToHashBucketStrong", values, num_buckets=count, key=list(spec.key))
    raise ValueError(f"Unknown hasher {spec.hasher}")


@export("contrib.lookup.IdTableWithHashBuckets", OPS + "IdTableWithHashBuckets")
class IdTableWithHashBuckets(LookupInterface):
    """The ids of a vocabulary; other keys get ids after them, by their hash."""

    def __init__(
        self,
        table: Any,
        num_oov_buckets: int,
        hasher_spec: HasherSpec = FastHashSpec,
        name: str | None = None,
        key_dtype: Any = None,
    ) -> None:
        kind = key_dtype or (string if table is None else table.key_dtype)
        super().__init__(kind, int64)
        if table is None and num_oov_buckets <= 0:
            raise ValueError("oov_buckets must be > 0 if no table is supplied.")
        self._table, self._count, self._spec = table, num_oov_buckets, hasher_spec
        self._name = name or "string_to_index_hash_bucket"

    @property
    def name(self) -> str:
        return self._name

    @property
    def initializer(self) -> Operation:
        return no_op() if self._table is None else self._table.initializer

    init = initializer

    def size(self, name: str | None = None) -> Any:
        count = convert_to_tensor(self._count, int64)
        return count if self._table is None else self._table.size() + count

    def lookup(self, keys: Any, name: str | None = None) -> Any:
        asked = convert_to_tensor(keys.values if isinstance(keys, SparseTensor) else keys)
        with name_scope(name, f"{self.name}_Lookup"):
            found = self._ids(asked)
        if isinstance(keys, SparseTensor):
            return SparseTensor(keys.indices, found, keys.dense_shape)
        return found

    def _ids(self, values: Tensor) -> Any:
        if self._key_dtype.is_integer and values.dtype == int32:
            values = apply("Cast", values, DstT=int64)
        if self._count == 0:
            return self._table.lookup(values)
        buckets = _bucket(values, self._count, self._spec)
        if self._table is None:
            return buckets
        ids = self._table.lookup(values)
        known = apply("NotEqual", ids, self._table.default_value)
        return apply("Select", known, ids, buckets + self._table.size())


@export("lookup.StaticVocabularyTable")
class StaticVocabularyTable(IdTableWithHashBuckets):
    """The ids of a vocabulary, and ids after them for other keys."""

    def __init__(
        self,
        initializer: Any,
        num_oov_buckets: int,
        lookup_key_dtype: Any = None,
        name: str | None = None,
    ) -> None:
        if num_oov_buckets <= 0:
            raise ValueError("oov_buckets must be > 0.")
        table = None if initializer is None else StaticHashTable(initializer, -1, name)
        super().__init__(table, num_oov_buckets, FastHashSpec, name, lookup_key_dtype)


# in one call


def _with_buckets(table: Any, count: int, spec: HasherSpec, dtype: Any) -> Any:
    if not count:
        return table
    return IdTableWithHashBuckets(table, count, spec, key_dtype=dtype)


@export("contrib.lookup.index_table_from_tensor")
def index_table_from_tensor(
    mapping: Any,
    num_oov_buckets: int = 0,
    default_value: int = -1,
    hasher_spec: HasherSpec = FastHashSpec,
    dtype: Any = string,
    name: str | None = None,
) -> Any:
    """The table from the elements of a vector to their places."""
    if mapping is None:
        raise ValueError("mapping must be specified.")
    if num_oov_buckets < 0:
        raise ValueError(f"num_oov_buckets must be greater or equal than 0, got {num_oov_buckets}.")
    with name_scope(name, "string_to_index"):
        keys = convert_to_tensor(mapping)
        if as_dtype(dtype).is_integer != keys.dtype.is_integer:
            raise ValueError(f"Invalid dtype: the keys are {keys.dtype.name}, not {dtype}")
        if keys.dtype == int32:
            keys = apply("Cast", keys, DstT=int64)
        count = apply("Size", keys, out_type=int64)
        values = apply("Range", convert_to_tensor(0, int64), count, 1)
        filled = KeyValueTensorInitializer(keys, values, name="table_init")
        table = HashTable(filled, default_value, name="hash_table")
        return _with_buckets(table, num_oov_buckets, hasher_spec, keys.dtype)


@export(OPS + "index_table_from_tensor")
def index_table_from_vocabulary_list(
    vocabulary_list: Any,
    num_oov_buckets: int = 0,
    default_value: int = -1,
    hasher_spec: HasherSpec = FastHashSpec,
    dtype: Any = string,
    name: str | None = None,
) -> Any:
    """`index_table_from_tensor` by the name its argument has inside TensorFlow."""
    options = (num_oov_buckets, default_value, hasher_spec, dtype, name)
    return index_table_from_tensor(vocabulary_list, *options)


@export("contrib.lookup.index_table_from_file", OPS + "index_table_from_file")
def index_table_from_file(
    vocabulary_file: Any = None,
    num_oov_buckets: int = 0,
    vocab_size: int | None = None,
    default_value: int = -1,
    hasher_spec: HasherSpec = FastHashSpec,
    key_dtype: Any = string,
    name: str | None = None,
    key_column_index: int = TextFileIndex.WHOLE_LINE,
    value_column_index: int = TextFileIndex.LINE_NUMBER,
    delimiter: str = "\t",
) -> Any:
    """The table from the lines of a file to their numbers."""
    if vocabulary_file is None or (isinstance(vocabulary_file, str) and not vocabulary_file):
        raise ValueError("vocabulary_file must be specified and must not be empty.")
    if num_oov_buckets < 0:
        raise ValueError(f"num_oov_buckets must be greater or equal than 0, got {num_oov_buckets}.")
    if vocab_size is not None and vocab_size < 1:
        raise ValueError(f"vocab_size must be greater than 0, got {vocab_size}.")
    with name_scope(name, "string_to_index"):
        columns = (key_column_index, value_column_index, vocab_size, delimiter, "table_init")
        filled = TextFileIdTableInitializer(vocabulary_file, *columns, key_dtype=key_dtype)
        table = HashTable(filled, default_value, name="hash_table")
        return _with_buckets(table, num_oov_buckets, hasher_spec, key_dtype)


@export(
    "contrib.lookup.index_to_string_table_from_tensor", OPS + "index_to_string_table_from_tensor"
)
def index_to_string_table_from_tensor(
    mapping: Any, default_value: Any = "UNK", name: str | None = None
) -> Any:
    """The table from places to the strings of a vector."""
    if mapping is None:
        raise ValueError("mapping must be specified.")
    with name_scope(name, "index_to_string"):
        values = convert_to_tensor(mapping, string)
        count = apply("Size", values, out_type=int64)
        keys = apply("Range", convert_to_tensor(0, int64), count, 1)
        filled = KeyValueTensorInitializer(keys, values, name="table_init")
        return HashTable(filled, default_value, name="hash_table")


@export("contrib.lookup.index_to_string_table_from_file", OPS + "index_to_string_table_from_file")
def index_to_string_table_from_file(
    vocabulary_file: Any,
    vocab_size: int | None = None,
    default_value: Any = "UNK",
    name: str | None = None,
    key_column_index: int = TextFileIndex.LINE_NUMBER,
    value_column_index: int = TextFileIndex.WHOLE_LINE,
    delimiter: str = "\t",
) -> Any:
    """The table from numbers to the lines of a file."""
    if not isinstance(vocabulary_file, Tensor) and not vocabulary_file:
        raise ValueError("vocabulary_file must be specified and must not be empty.")
    with name_scope(name, "index_to_string"):
        columns = (key_column_index, value_column_index, vocab_size, delimiter, "table_init")
        filled = TextFileStringTableInitializer(vocabulary_file, *columns)
        return HashTable(filled, default_value, name="hash_table")

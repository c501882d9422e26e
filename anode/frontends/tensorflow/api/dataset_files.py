"""`tf.data.TextLineDataset` and its relatives: the records of files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from anode.frontends.tensorflow.api.array_ops import reshape
from anode.frontends.tensorflow.api.dataset import Dataset, count_of
from anode.frontends.tensorflow.api.dataset_structure import Component, attributes
from anode.frontends.tensorflow.dtypes import as_dtype, string
from anode.frontends.tensorflow.graph import apply, convert_to_tensor
from anode.frontends.tensorflow.opdef import export
from anode.frontends.tensorflow.tensor_shape import TensorShape


def _strings(value: Any) -> Any:
    if isinstance(value, Dataset):
        raise TypeError("filenames is a data set: use dataset.flat_map with one file at a time")
    return convert_to_tensor(value, string)


STRING = Component(string, TensorShape([]))


def _records(filenames: Any, num_parallel_reads: Any, read: Callable[[Any], Any]) -> Any:
    """The variant of one file after the other, or of `num_parallel_reads` files in turn.

    `read` makes the variant of a tensor of file names; `filenames` may be a data set of them.
    """
    if num_parallel_reads is None and not isinstance(filenames, Dataset):
        return read(_strings(filenames))
    if not isinstance(filenames, Dataset):
        filenames = Dataset.from_tensor_slices(reshape(_strings(filenames), [-1]))

    def one(name: Any) -> Dataset:
        return Dataset(read(name), STRING)

    if num_parallel_reads is None:
        return filenames.flat_map(one)._variant_tensor
    return filenames.interleave(one, num_parallel_reads)._variant_tensor


@export("data.TextLineDataset", "contrib.data.TextLineDataset")
class TextLineDataset(Dataset):
    """The lines of text files."""

    def __init__(
        self,
        filenames: Any,
        compression_type: Any = None,
        buffer_size: Any = None,
        num_parallel_reads: Any = None,
    ) -> None:
        how = (compression_type or "", count_of(buffer_size))

        def read(names: Any) -> Any:
            return apply("TextLineDataset", names, *how, **attributes(STRING))

        super().__init__(_records(filenames, num_parallel_reads, read), STRING)


@export("data.TFRecordDataset", "contrib.data.TFRecordDataset")
class TFRecordDataset(Dataset):
    """The records of TFRecord files, one after the other or `num_parallel_reads` files in turn."""

    def __init__(
        self,
        filenames: Any,
        compression_type: Any = None,
        buffer_size: Any = None,
        num_parallel_reads: Any = None,
    ) -> None:
        how = (compression_type or "", count_of(buffer_size))

        def read(names: Any) -> Any:
            return apply("TFRecordDataset", names, *how, **attributes(STRING))

        super().__init__(_records(filenames, num_parallel_reads, read), STRING)


@export("data.FixedLengthRecordDataset", "contrib.data.FixedLengthRecordDataset")
class FixedLengthRecordDataset(Dataset):
    """Records of `record_bytes` between the header and the footer of each file."""

    def __init__(
        self,
        filenames: Any,
        record_bytes: Any,
        header_bytes: Any = None,
        footer_bytes: Any = None,
        buffer_size: Any = None,
        compression_type: Any = None,
        num_parallel_reads: Any = None,
    ) -> None:
        sizes = (count_of(header_bytes, 0), count_of(record_bytes), count_of(footer_bytes, 0))
        how = (*sizes, count_of(buffer_size), compression_type or "")

        def read(names: Any) -> Any:
            return apply("FixedLengthRecordDatasetV2", names, *how, **attributes(STRING))

        super().__init__(_records(filenames, num_parallel_reads, read), STRING)


@export("data.experimental.CsvDataset", "contrib.data.CsvDataset")
class CsvDataset(Dataset):
    """The rows of CSV files as tuples; `record_defaults` are types (required) or default values."""

    def __init__(
        self,
        filenames: Any,
        record_defaults: Any,
        compression_type: Any = None,
        buffer_size: Any = None,
        header: bool = False,
        field_delim: str = ",",
        use_quote_delim: bool = True,
        na_value: str = "",
        select_cols: Any = None,
    ) -> None:
        defaults = [_default(value) for value in record_defaults]
        element = tuple(Component(value.dtype.base_dtype, TensorShape([])) for value in defaults)
        tensor = apply(
            "CSVDataset",
            _strings(filenames),
            defaults,
            compression_type=compression_type or "",
            header=bool(header),
            field_delim=field_delim,
            use_quote_delim=bool(use_quote_delim),
            na_value=na_value,
            select_cols=list(select_cols or ()),
            **attributes(element),
        )
        super().__init__(tensor, element)


def _default(value: Any) -> Any:
    """A default as a tensor; a type stands for none, an empty tensor."""
    if isinstance(value, (list, tuple)) or hasattr(value, "op"):
        return convert_to_tensor(value)
    try:
        return convert_to_tensor(np.empty(0, as_dtype(value).as_numpy_dtype), as_dtype(value))
    except TypeError:
        return convert_to_tensor(value)

"""`tf.data.TextLineDataset` and its relatives: the records of files."""

from __future__ import annotations

from typing import Any

import numpy as np

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
        files = (_strings(filenames), compression_type or "", count_of(buffer_size))
        super().__init__(apply("TextLineDataset", *files, **attributes(STRING)), STRING)


@export("data.TFRecordDataset", "contrib.data.TFRecordDataset")
class TFRecordDataset(Dataset):
    """The records of TFRecord files, one after the other."""

    def __init__(
        self,
        filenames: Any,
        compression_type: Any = None,
        buffer_size: Any = None,
        num_parallel_reads: Any = None,
    ) -> None:
        if isinstance(filenames, Dataset):
            names = filenames.flat_map(lambda name: TFRecordDataset(name, compression_type))
            super().__init__(names._variant_tensor, STRING)
            return
        files = (_strings(filenames), compression_type or "", count_of(buffer_size))
        super().__init__(apply("TFRecordDataset", *files, **attributes(STRING)), STRING)


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
        tensor = apply(
            "FixedLengthRecordDatasetV2",
            _strings(filenames),
            count_of(header_bytes, 0),
            count_of(record_bytes),
            count_of(footer_bytes, 0),
            count_of(buffer_size),
            compression_type or "",
            **attributes(STRING),
        )
        super().__init__(tensor, STRING)


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

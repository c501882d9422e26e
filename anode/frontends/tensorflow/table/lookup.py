"""Lookup tables: dictionaries that belong to the session."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from anode.frontends.tensorflow.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
)
from anode.frontends.tensorflow.opdef import REQUIRED, host
from anode.frontends.tensorflow.table.resources import resource

Array = np.ndarray
WHOLE_LINE, LINE_NUMBER = -2, -1  # in place of a column of a text file


class Table:
    """Keys and values; one that is filled once must be filled before it is asked."""

    def __init__(self, key_dtype: Any, value_dtype: Any, mutable: bool) -> None:
        self.key_dtype, self.value_dtype = key_dtype, value_dtype
        self.entries: dict[Any, Any] | None = {} if mutable else None

    def filled(self) -> dict[Any, Any]:
        if self.entries is None:
            raise FailedPreconditionError(None, None, "Table not initialized.")
        return self.entries

    def fill(self, keys: list[Any], values: list[Any]) -> None:
        """The entries of a table that is filled once; a key may come twice with one value."""
        entries: dict[Any, Any] = {}
        for key, value in zip(keys, values, strict=True):
            if entries.setdefault(key, value) != value:
                raise FailedPreconditionError(
                    None, None, f"HashTable has different value for same key. Key {key!r}"
                )
        if self.entries is not None and self.entries != entries:
            raise FailedPreconditionError(None, None, "Table already initialized.")
        self.entries = entries

    def find(self, keys: Array, default: Array) -> Array:
        entries, missing = self.filled(), default.reshape(-1)[0]
        found = np.empty(keys.shape, self.value_dtype.as_numpy_dtype)
        flat = found.reshape(-1)
        for i, key in enumerate(keys.reshape(-1).tolist()):
            flat[i] = entries.get(key, missing)
        return found


_OPTIONS: dict[str, Any] = {
    "shape": "scalar",
    "stateful": True,
    "container": "",
    "shared_name": "",
    "use_node_name_sharing": False,
    "key_dtype": REQUIRED,
    "value_dtype": REQUIRED,
}


def _declare(type: str, mutable: bool) -> None:
    @host(type, " -> resource", **_OPTIONS)
    def _(*, run: Any, shared_name: str, key_dtype: Any, value_dtype: Any, **_: Any) -> Any:
        return resource(run, shared_name, lambda: Table(key_dtype, value_dtype, mutable))


_declare("HashTableV2", False)
_declare("MutableHashTableV2", True)


def _found_shape(op: Any) -> list[Any]:
    return [op.inputs[1].shape]


@host(
    "LookupTableFindV2",
    "table_handle:resource keys:Tin default_value:Tout -> Tout",
    shape=_found_shape,
    stateful=True,
)
def _(table_handle: Any, keys: Array, default_value: Array) -> Array:
    found: Array = table_handle.find(keys, default_value)
    return found


@host("LookupTableSizeV2", "table_handle:resource -> int64", shape="scalar", stateful=True)
def _(table_handle: Any) -> Array:
    return np.array(len(table_handle.filled()), np.int64)


@host("InitializeTableV2", "table_handle:resource keys:Tkey values:Tval -> ", stateful=True)
def _(table_handle: Any, keys: Array, values: Array) -> tuple[()]:
    table_handle.fill(keys.reshape(-1).tolist(), values.reshape(-1).tolist())
    return ()


@host("LookupTableInsertV2", "table_handle:resource keys:Tin values:Tout -> ", stateful=True)
def _(table_handle: Any, keys: Array, values: Array) -> tuple[()]:
    new = zip(keys.reshape(-1).tolist(), values.reshape(-1).tolist(), strict=True)
    table_handle.filled().update(new)
    return ()


@host("LookupTableRemoveV2", "table_handle:resource keys:Tin -> ", stateful=True)
def _(table_handle: Any, keys: Array) -> tuple[()]:
    for key in keys.reshape(-1).tolist():
        table_handle.filled().pop(key, None)
    return ()


@host("LookupTableImportV2", "table_handle:resource keys:Tin values:Tout -> ", stateful=True)
def _(table_handle: Any, keys: Array, values: Array) -> tuple[()]:
    pairs = zip(keys.reshape(-1).tolist(), values.reshape(-1).tolist(), strict=True)
    table_handle.entries = dict(pairs)
    return ()


@host(
    "LookupTableExportV2",
    "table_handle:resource -> Tkeys Tvalues",
    shape=lambda op: [[None], [None]],
    stateful=True,
)
def _(table_handle: Any) -> tuple[Array, Array]:
    entries = table_handle.filled()
    kinds = (table_handle.key_dtype, table_handle.value_dtype)
    columns = []
    for dtype, items in zip(kinds, (entries.keys(), entries.values()), strict=True):
        column = np.empty(len(entries), dtype.as_numpy_dtype)
        column[:] = list(items)
        columns.append(column)
    return columns[0], columns[1]


@host(
    "InitializeTableFromTextFileV2",
    "table_handle:resource filename:string -> ",
    stateful=True,
    key_index=REQUIRED,
    value_index=REQUIRED,
    vocab_size=-1,
    delimiter="\t",
)
def _(
    table_handle: Any,
    filename: Array,
    *,
    key_index: int,
    value_index: int,
    vocab_size: int,
    delimiter: Any,
) -> tuple[()]:
    between = delimiter if isinstance(delimiter, bytes) else delimiter.encode()
    keys, values = [], []
    for number, line in enumerate(_lines(filename.item())):
        if number == vocab_size:
            break
        keys.append(_entry(line, number, key_index, between, table_handle.key_dtype))
        values.append(_entry(line, number, value_index, between, table_handle.value_dtype))
    if vocab_size > len(keys):
        raise InvalidArgumentError(
            None,
            None,
            f"Invalid vocab_size in {filename.item()!r}: expected {vocab_size} but got {len(keys)}",
        )
    table_handle.fill(keys, values)
    return ()


def _lines(name: bytes) -> Iterator[bytes]:
    try:
        file = open(name, "rb")  # noqa: SIM115
    except FileNotFoundError:
        raise NotFoundError(None, None, f"{name.decode()}; No such file or directory") from None
    with file:
        for line in file:
            yield line.rstrip(b"\r\n")


def _entry(line: bytes, number: int, index: int, delimiter: bytes, dtype: Any) -> Any:
    """What one line gives: its number, all of it, or one of its columns."""
    if index == LINE_NUMBER:
        return number
    text = line
    if index != WHOLE_LINE:
        columns = line.split(delimiter)
        if index >= len(columns):
            raise InvalidArgumentError(
                None,
                None,
                f"Invalid number of columns in line {number}: expected {index + 1}, "
                f"got {len(columns)}",
            )
        text = columns[index]
    return text if dtype.name == "string" else (float if dtype.is_floating else int)(text)

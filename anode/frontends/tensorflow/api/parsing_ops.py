"""Functions that make tensors of records: Example, SequenceExample, CSV, raw bytes."""

from __future__ import annotations

import re
from collections import namedtuple
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from anode.frontends.tensorflow.api.sparse_ops import SparseTensor
from anode.frontends.tensorflow.dtypes import DType, as_dtype, string
from anode.frontends.tensorflow.graph import apply, constant, convert_to_tensor, name_scope
from anode.frontends.tensorflow.opdef import export, renamed
from anode.frontends.tensorflow.tensor_shape import TensorShape


@export("io.VarLenFeature", "VarLenFeature")
class VarLenFeature(namedtuple("VarLenFeature", ["dtype"])):
    """A feature of any length, parsed as a SparseTensor."""


@export("io.FixedLenFeature", "FixedLenFeature")
class FixedLenFeature(namedtuple("FixedLenFeature", ["shape", "dtype", "default_value"])):
    """A feature of a fixed shape; a record without it takes the default."""

    def __new__(cls, shape: Any, dtype: Any, default_value: Any = None) -> FixedLenFeature:
        return super().__new__(cls, shape, dtype, default_value)


@export("io.FixedLenSequenceFeature", "FixedLenSequenceFeature")
class FixedLenSequenceFeature(
    namedtuple("FixedLenSequenceFeature", ["shape", "dtype", "allow_missing", "default_value"])
):
    """A list of features of one shape, padded to the longest of a batch."""

    def __new__(
        cls, shape: Any, dtype: Any, allow_missing: bool = False, default_value: Any = None
    ) -> FixedLenSequenceFeature:
        return super().__new__(cls, shape, dtype, allow_missing, default_value)


class _Wanted:
    """The features to parse, sorted by name: the sparse ones, then the dense ones."""

    def __init__(self, features: Any, sequences: bool = False) -> None:
        self.sparse: dict[str, DType] = {}
        self.dense: dict[str, tuple[DType, list[int | None]]] = {}
        self.given: dict[str, Any] = {}
        self.may_miss: list[str] = []
        for key in sorted(features or {}):
            self._add(key, features[key], sequences)

    def _add(self, key: str, feature: Any, sequences: bool) -> None:
        kinds = (VarLenFeature, FixedLenSequenceFeature if sequences else FixedLenFeature)
        if not isinstance(feature, (*kinds, FixedLenSequenceFeature)):
            raise ValueError(f"Unsupported {type(feature).__name__} {feature}.")
        if not feature.dtype:
            raise ValueError(f"Missing type for feature {key}.")
        dtype = as_dtype(feature.dtype)
        if isinstance(feature, VarLenFeature):
            self.sparse[key] = dtype
            return
        if feature.shape is None:
            raise ValueError(f"Missing shape for feature {key}.")
        shape = list(TensorShape(feature.shape).as_list())
        if isinstance(feature, FixedLenSequenceFeature):
            if sequences and feature.allow_missing:
                self.may_miss.append(key)
            elif not sequences:
                shape = [None, *shape]
            if not sequences and not feature.allow_missing:
                raise ValueError(
                    "Unsupported: FixedLenSequenceFeature requires allow_missing to be True."
                )
        self.dense[key] = (dtype, shape)
        if feature.default_value is not None:
            self.given[key] = feature.default_value

    def defaults(self) -> list[Any]:
        return [self._default(key, *spec) for key, spec in self.dense.items()]

    def _default(self, key: str, dtype: DType, shape: list[int | None]) -> Any:
        if key not in self.given:
            open = bool(shape) and shape[0] is None
            return constant(["" if dtype == string else 0] if open else [], dtype)
        name = "key_" + re.sub(r"[^A-Za-z0-9_.\-/]", "_", key)
        value = convert_to_tensor(self.given[key], dtype, name=name)
        return value if None in shape else apply("Reshape", value, shape)

    @property
    def types(self) -> list[DType]:
        return [dtype for dtype, _ in self.dense.values()]

    @property
    def shapes(self) -> list[TensorShape]:
        return [TensorShape(shape) for _, shape in self.dense.values()]

    def named(self, outputs: Sequence[Any]) -> dict[str, Any]:
        """The outputs of a parsing op by name."""
        n = len(self.sparse)
        parts = zip(outputs[:n], outputs[n : 2 * n], outputs[2 * n : 3 * n], strict=True)
        found: dict[str, Any] = {
            key: SparseTensor(*part) for key, part in zip(self.sparse, parts, strict=True)
        }
        found.update(zip(self.dense, outputs[3 * n :], strict=True))
        return found


def _some(features: Any) -> _Wanted:
    if not features:
        raise ValueError(f"Missing: features was {features}.")
    return _Wanted(features)


@export("io.parse_example", "parse_example")
def parse_example(
    serialized: Any, features: Any, name: str | None = None, example_names: Any = None
) -> dict[str, Any]:
    """Tensors by name of a vector of serialized Examples."""
    wanted = _some(features)
    with name_scope(name, "ParseExample", [serialized]):
        names = constant([], string) if example_names is None else example_names
        outputs = apply(
            "ParseExample",
            serialized,
            names,
            list(wanted.sparse),
            list(wanted.dense),
            wanted.defaults(),
            sparse_types=list(wanted.sparse.values()),
            Tdense=wanted.types,
            dense_shapes=wanted.shapes,
        )
        return wanted.named(outputs)


@export("io.parse_single_example", "parse_single_example")
def parse_single_example(
    serialized: Any, features: Any, name: str | None = None, example_names: Any = None
) -> dict[str, Any]:
    """Tensors by name of one serialized Example."""
    del example_names  # they only name the record in errors
    wanted = _some(features)
    with name_scope(name, "ParseSingleExample", [serialized]):
        outputs = apply(
            "ParseSingleExample",
            serialized,
            wanted.defaults(),
            num_sparse=len(wanted.sparse),
            sparse_keys=list(wanted.sparse),
            dense_keys=list(wanted.dense),
            sparse_types=list(wanted.sparse.values()),
            Tdense=wanted.types,
            dense_shapes=wanted.shapes,
        )
        return wanted.named(outputs)


@export("io.parse_single_sequence_example", "parse_single_sequence_example")
def parse_single_sequence_example(
    serialized: Any,
    context_features: Any = None,
    sequence_features: Any = None,
    example_name: Any = None,
    name: str | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The context and the sequences of one serialized SequenceExample, by name."""
    if not (context_features or sequence_features):
        raise ValueError("Missing features.")
    context, lists = _Wanted(context_features), _Wanted(sequence_features, sequences=True)
    with name_scope(name, "ParseSingleSequenceExample", [serialized]):
        outputs = apply(
            "ParseSingleSequenceExample",
            serialized,
            constant(lists.may_miss, string),
            list(context.sparse),
            list(context.dense),
            list(lists.sparse),
            list(lists.dense),
            context.defaults(),
            "" if example_name is None else example_name,
            context_sparse_types=list(context.sparse.values()),
            Tcontext_dense=context.types,
            context_dense_shapes=context.shapes,
            feature_list_sparse_types=list(lists.sparse.values()),
            feature_list_dense_types=lists.types,
            feature_list_dense_shapes=lists.shapes,
        )
    count = 3 * len(context.sparse) + len(context.dense)
    return context.named(outputs[:count]), lists.named(outputs[count:])


@export("decode_raw", "io.decode_raw")
@renamed(bytes="input_bytes")
def decode_raw(
    input_bytes: Any = None,
    out_type: Any = None,
    little_endian: bool = True,
    name: str | None = None,
) -> Any:
    """The bytes of strings as numbers, along a new last dim."""
    attrs = {"out_type": out_type, "little_endian": little_endian}
    return apply("DecodeRaw", input_bytes, name=name, **attrs)


@export("io.decode_csv", "decode_csv")
def decode_csv(
    records: Any,
    record_defaults: Any,
    field_delim: str = ",",
    use_quote_delim: bool = True,
    name: str | None = None,
    na_value: str = "",
    select_cols: Any = None,
) -> list[Any]:
    """The columns of lines of CSV, of the types of their defaults."""
    columns = [] if select_cols is None else list(select_cols)
    if columns and len(columns) != len(record_defaults):
        raise ValueError("Length of select_cols and record_defaults do not match.")
    if any(b <= a for a, b in pairwise(columns)):
        raise ValueError("select_cols is not strictly increasing.")
    defaults = [_csv_default(value) for value in record_defaults]
    attrs = {"field_delim": field_delim, "use_quote_delim": use_quote_delim}
    attrs |= {"na_value": na_value, "select_cols": columns}
    return list(apply("DecodeCSV", records, defaults, name=name, **attrs))


def _csv_default(value: Any) -> Any:
    """A column without a default is given by its type alone."""
    if isinstance(value, (DType, type, np.dtype)):
        return constant([], as_dtype(value))
    return value

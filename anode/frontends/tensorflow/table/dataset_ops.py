"""The ops of `tf.data`: each gives a source of elements."""

from __future__ import annotations

import csv
import glob
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from anode.frontends.tensorflow import errors
from anode.frontends.tensorflow.opdef import host
from anode.frontends.tensorflow.table import dataset as sources
from anode.frontends.tensorflow.table import records
from anode.frontends.tensorflow.table.dataset import Call, Element, Source, SparseValue
from anode.frontends.tensorflow.table.host import as_result, called

ELEMENT: dict[str, Any] = {"output_types": (), "output_shapes": ()}
INPUT = "input_dataset:variant "


def _dataset(type: str, signature: str, **attrs: Any) -> Any:
    return host(type, f"{signature} -> variant", shape="scalar", **attrs)


def packed(arrays: Sequence[Any], sparse: Sequence[bool]) -> Element:
    """Components of values: three arrays make a sparse one."""
    found: list[Any] = []
    rest = iter(arrays)
    for is_sparse in sparse:
        first = next(rest)
        found.append(SparseValue(first, next(rest), next(rest)) if is_sparse else first)
    return tuple(found)


def unpacked(element: Iterable[Any]) -> list[Any]:
    """The values of components: a sparse one is three arrays."""
    found: list[Any] = []
    for part in element:
        if isinstance(part, SparseValue):
            found += part
        else:
            found.append(part)
    return found


def held(run: Any, value: Any, attribute: str) -> Any:
    """What the Python object of an op holds; UnimplementedError for one that was imported."""
    if not hasattr(value, attribute):
        raise errors.UnimplementedError(
            None,
            run.op,
            f"{run.op.name} ({run.op.type}) was imported: anode does not import the functions of "
            "data sets; make the data set anew and feed its elements",
        )
    return getattr(value, attribute)


def bound(run: Any, traced: Any, captured: Sequence[Any]) -> Call:
    """A traced function as a function of elements, in this session and with these captures."""
    function, sparse = held(run, traced, "function"), traced.sparse

    def call(element: Element) -> Element:
        result = function.call(run.session, unpacked(element), captured)
        return packed(result, sparse) if any(sparse) else tuple(result)

    return call


# sources


@_dataset("TensorSliceDataset", "components:[Toutput_types]", output_shapes=(), sparse=())
def _(components: list[Any], *, sparse: Any, **_: Any) -> Source:
    return sources.Rows(packed(components, sparse))


@_dataset("ArraysDataset", "", arrays=None, **ELEMENT)
def _(*, run: Any, arrays: Any, **_: Any) -> Source:
    return sources.Rows(held(run, arrays, "arrays"))


@_dataset("TensorDataset", "components:[Toutput_types]", output_shapes=(), sparse=())
def _(components: list[Any], *, sparse: Any, **_: Any) -> Source:
    return sources.Listed([packed(components, sparse)])


@_dataset("RangeDataset", "start:int64 stop:int64 step:int64", **ELEMENT)
def _(start: Any, stop: Any, step: Any, **_: Any) -> Source:
    return sources.Rows([np.arange(int(start), int(stop), int(step), dtype=np.int64)])


@_dataset("CounterDataset", "start:int64 step:int64", **ELEMENT)
def _(start: Any, step: Any, **_: Any) -> Source:
    def numbers() -> Iterator[Element]:
        number = int(start)
        while True:
            yield (np.array(number, np.int64),)
            number += int(step)

    return sources.Streamed(numbers)


@_dataset("GeneratorDataset", "arguments:[Targuments]", generator=None, **ELEMENT)
def _(arguments: list[np.ndarray], *, run: Any, generator: Any, **_: Any) -> Source:
    start = held(run, generator, "start")

    def elements() -> Iterator[Element]:
        yielded = called(run.op, start, [a[()] if not a.ndim else a for a in arguments])
        while True:
            value = called(run.op, lambda: next(yielded, elements), [])
            if value is elements:
                return
            yield called(run.op, generator.convert, [value])

    return sources.Streamed(elements)


def _names(filenames: np.ndarray) -> list[bytes]:
    return list(np.asarray(filenames).reshape(-1))


def _text(array: Any) -> str:
    return bytes(np.asarray(array).item()).decode()


FILES = "filenames:string compression_type:string buffer_size:int64"


@_dataset("TextLineDataset", FILES, **ELEMENT)
def _(filenames: Any, compression_type: Any, buffer_size: Any, **_: Any) -> Source:
    def lines() -> Iterator[Element]:
        for name in _names(filenames):
            for line in records.text_lines(name, _text(compression_type)):
                yield (as_result(line),)

    return sources.Streamed(lines)


@_dataset("TFRecordDataset", FILES, **ELEMENT)
def _(filenames: Any, compression_type: Any, buffer_size: Any, **_: Any) -> Source:
    def found() -> Iterator[Element]:
        for name in _names(filenames):
            for record in records.tf_records(name, _text(compression_type)):
                yield (scalar_bytes(record),)

    return sources.Streamed(found)


def scalar_bytes(value: bytes) -> np.ndarray:
    """A scalar string."""
    array = np.empty((), object)
    array[()] = value
    return array


@_dataset(
    "FixedLengthRecordDatasetV2",
    "filenames:string header_bytes:int64 record_bytes:int64 footer_bytes:int64 "
    "buffer_size:int64 compression_type:string",
    **ELEMENT,
)
def _(
    filenames: Any,
    header_bytes: Any,
    record_bytes: Any,
    footer_bytes: Any,
    buffer_size: Any,
    compression_type: Any,
    **_: Any,
) -> Source:
    sizes = (int(header_bytes), int(record_bytes), int(footer_bytes), 0)

    def found() -> Iterator[Element]:
        for name in _names(filenames):
            for record in records.fixed_records(name, *sizes, _text(compression_type)):
                yield (scalar_bytes(record),)

    return sources.Streamed(found)


@_dataset("MatchingFilesDataset", "patterns:string", **ELEMENT)
def _(patterns: Any, *, run: Any, **_: Any) -> Source:
    names = [_text(pattern) for pattern in np.asarray(patterns).reshape(-1)]
    found = sorted({path for name in names for path in glob.glob(name)})
    if not found:
        raise errors.InvalidArgumentError(
            None, run.op, f"No files matched pattern: {', '.join(names)}"
        )
    return sources.Rows([np.array([path.encode() for path in found], object)])


@_dataset(
    "CSVDataset",
    "filenames:string record_defaults:[Tdefaults]",
    compression_type="",
    header=False,
    field_delim=",",
    use_quote_delim=True,
    na_value="",
    select_cols=(),
    **ELEMENT,
)
def _(
    filenames: Any,
    record_defaults: list[np.ndarray],
    *,
    run: Any,
    compression_type: str,
    header: bool,
    field_delim: str,
    use_quote_delim: bool,
    na_value: str,
    select_cols: Any,
    **_: Any,
) -> Source:
    quoting: Any = csv.QUOTE_MINIMAL if use_quote_delim else csv.QUOTE_NONE

    def rows() -> Iterator[Element]:
        for name in _names(filenames):
            with records.opened(name, compression_type) as file:
                text = io.TextIOWrapper(file, newline="")
                table = csv.reader(text, delimiter=field_delim, quoting=quoting)
                if header:
                    next(table, None)
                for row in table:
                    fields = [row[i] for i in select_cols] if select_cols else row
                    yield _record(run.op, fields, record_defaults, na_value)

    return sources.Streamed(rows)


def _record(op: Any, fields: list[str], defaults: list[np.ndarray], missing: str) -> Element:
    if len(fields) != len(defaults):
        raise errors.InvalidArgumentError(
            None, op, f"Expect {len(defaults)} fields but have {len(fields)} in record"
        )
    values = []
    for index, (field, default) in enumerate(zip(fields, defaults, strict=True)):
        if field in ("", missing):
            if not default.size:
                raise errors.InvalidArgumentError(
                    None, op, f"Field {index} is required but missing in record!"
                )
            values.append(default.reshape(-1)[0:1].reshape(()))
        elif default.dtype == object:
            values.append(scalar_bytes(field.encode()))
        else:
            values.append(np.array(field).astype(default.dtype))
    return tuple(values)


# order


@_dataset("RepeatDataset", INPUT + "count:int64", **ELEMENT)
def _(source: Source, count: Any, **_: Any) -> Source:
    return sources.Repeated(source, int(count))


@_dataset("TakeDataset", INPUT + "count:int64", **ELEMENT)
def _(source: Source, count: Any, **_: Any) -> Source:
    return sources.Sliced(source, 0, None if count < 0 else int(count))


@_dataset("SkipDataset", INPUT + "count:int64", **ELEMENT)
def _(source: Source, count: Any, **_: Any) -> Source:
    return sources.Sliced(source, 0, 0) if count < 0 else sources.Sliced(source, int(count), None)


@_dataset("ShardDataset", INPUT + "num_shards:int64 index:int64", **ELEMENT)
def _(source: Source, num_shards: Any, index: Any, *, run: Any, **_: Any) -> Source:
    if num_shards <= 0 or not 0 <= index < num_shards:
        text = f"Index must be between 0 and {int(num_shards) - 1} (currently index = {int(index)})"
        raise errors.InvalidArgumentError(None, run.op, f"{text}.")
    return sources.Sliced(source, int(index), None, int(num_shards))


@_dataset(
    "ShuffleDataset",
    INPUT + "buffer_size:int64 seed:int64 seed2:int64",
    reshuffle_each_iteration=True,
    **ELEMENT,
)
def _(
    source: Source,
    buffer_size: Any,
    seed: Any,
    seed2: Any,
    *,
    run: Any,
    reshuffle_each_iteration: bool,
    **_: Any,
) -> Source:
    if buffer_size < 1:
        text = "buffer_size must be greater than zero."
        raise errors.InvalidArgumentError(None, run.op, text)
    seeds = (int(seed), int(seed2))
    return sources.Shuffled(source, int(buffer_size), seeds, reshuffle_each_iteration)


@_dataset("PrefetchDataset", INPUT + "buffer_size:int64", **ELEMENT)
def _(source: Source, buffer_size: Any, **_: Any) -> Source:
    return source  # elements are computed when they are asked for: the same at any time


@_dataset("CacheDataset", INPUT + "filename:string", **ELEMENT)
def _(source: Source, filename: Any, **_: Any) -> Source:
    return sources.Cached(source, _text(filename))


@_dataset("ConcatenateDataset", INPUT + "another_dataset:variant", **ELEMENT)
def _(source: Source, another: Source, **_: Any) -> Source:
    return sources.Concatenated([source, another])


@_dataset("ZipDataset", "input_datasets:N*variant", **ELEMENT)
def _(found: list[Source], **_: Any) -> Source:
    return sources.Zipped(found)


@_dataset("EnumerateDataset", INPUT + "start:int64", **ELEMENT)
def _(source: Source, start: Any, **_: Any) -> Source:
    return sources.Numbered(source, int(start))


@_dataset("UniqueDataset", INPUT, **ELEMENT)
def _(source: Source, **_: Any) -> Source:
    return sources.Distinct(source)


@_dataset("IgnoreErrorsDataset", INPUT, **ELEMENT)
def _(source: Source, **_: Any) -> Source:
    return sources.Lenient(source)


@_dataset("DirectedInterleaveDataset", "selector:variant input_datasets:N*variant", **ELEMENT)
def _(selector: Source, found: list[Source], **_: Any) -> Source:
    return sources.Chosen(selector, found)


# groups


@_dataset("BatchDatasetV2", INPUT + "batch_size:int64 drop_remainder:bool", **ELEMENT)
def _(source: Source, batch_size: Any, drop_remainder: Any, **_: Any) -> Source:
    return sources.Batched(source, int(batch_size), bool(drop_remainder))


@_dataset(
    "PaddedBatchDatasetV2",
    INPUT + "batch_size:int64 padded_shapes:N*int64 padding_values:[Toutput_types] "
    "drop_remainder:bool",
    output_shapes=(),
)
def _(
    source: Source,
    batch_size: Any,
    padded_shapes: list[np.ndarray],
    padding_values: list[np.ndarray],
    drop_remainder: Any,
    **_: Any,
) -> Source:
    drop = bool(drop_remainder)
    return sources.PaddedBatched(source, int(batch_size), drop, padded_shapes, padding_values)


@_dataset("UnbatchDataset", INPUT, **ELEMENT)
def _(source: Source, **_: Any) -> Source:
    return sources.Unbatched(source)


@_dataset(
    "WindowDataset",
    INPUT + "size:int64 shift:int64 stride:int64 drop_remainder:bool",
    **ELEMENT,
)
def _(source: Source, size: Any, shift: Any, stride: Any, drop_remainder: Any, **_: Any) -> Source:
    return sources.Windowed(source, int(size), int(shift), int(stride), bool(drop_remainder))


# functions

FUNCTION = INPUT + "other_arguments:[Targuments]"


@_dataset("MapDataset", FUNCTION, f=None, **ELEMENT)
def _(source: Source, captured: list[Any], *, run: Any, f: Any, **_: Any) -> Source:
    return sources.Mapped(source, bound(run, f, captured))


@_dataset("FilterDataset", FUNCTION, predicate=None, **ELEMENT)
def _(source: Source, captured: list[Any], *, run: Any, predicate: Any, **_: Any) -> Source:
    return sources.Filtered(source, bound(run, predicate, captured))


@_dataset("TakeWhileDataset", FUNCTION, predicate=None, **ELEMENT)
def _(source: Source, captured: list[Any], *, run: Any, predicate: Any, **_: Any) -> Source:
    return sources.TakenWhile(source, bound(run, predicate, captured))


@_dataset("FlatMapDataset", FUNCTION, f=None, **ELEMENT)
def _(source: Source, captured: list[Any], *, run: Any, f: Any, **_: Any) -> Source:
    call = bound(run, f, captured)

    def elements() -> Iterator[Element]:
        for element in source.elements():
            yield from call(element)[0].elements()

    return sources.Streamed(elements)


@_dataset(
    "InterleaveDataset",
    INPUT + "cycle_length:int64 block_length:int64 other_arguments:[Targuments]",
    f=None,
    **ELEMENT,
)
def _(
    source: Source,
    cycle_length: Any,
    block_length: Any,
    captured: list[Any],
    *,
    run: Any,
    f: Any,
    **_: Any,
) -> Source:
    call = bound(run, f, captured)
    return sources.Interleaved(source, call, int(cycle_length), int(block_length))


@_dataset(
    "ScanDataset",
    INPUT + "initial_state:[Tstate] other_arguments:[Targuments]",
    f=None,
    **ELEMENT,
)
def _(
    source: Source, state: list[Any], captured: list[Any], *, run: Any, f: Any, **_: Any
) -> Source:
    return sources.Scanned(source, tuple(state), bound(run, f, captured))


@_dataset(
    "GroupByWindowDataset",
    INPUT + "key:[Tkey] reduce:[Treduce] window_size:[Twindow]",
    key_func=None,
    reduce_func=None,
    window_size_func=None,
    **ELEMENT,
)
def _(
    source: Source,
    key: list[Any],
    reduce: list[Any],
    window: list[Any],
    *,
    run: Any,
    key_func: Any,
    reduce_func: Any,
    window_size_func: Any,
    **_: Any,
) -> Source:
    return sources.Grouped(
        source,
        bound(run, key_func, key),
        bound(run, reduce_func, reduce),
        bound(run, window_size_func, window),
    )


# ends of a pipeline


@host(
    "ReduceDataset",
    INPUT + "initial_state:[Tstate] other_arguments:[Targuments] -> [output_types]",
    f=None,
    shape="unknown",
)
def _(source: Source, state: list[Any], captured: list[Any], *, run: Any, f: Any) -> list[Any]:
    call = bound(run, f, captured)
    values: Element = tuple(state)
    for element in source.elements():
        values = call((*values, *element))
    return list(values)


@host("DatasetToSingleElement", "dataset:variant -> [output_types]", shape="unknown")
def _(dataset: Source, *, run: Any) -> list[Any]:
    items = dataset.elements()
    found = next(items, None)
    if found is None:
        raise errors.InvalidArgumentError(None, run.op, "Dataset was empty.")
    if next(items, None) is not None:
        raise errors.InvalidArgumentError(None, run.op, "Dataset had more than one element.")
    return unpacked(found)

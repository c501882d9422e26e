"""`tf.data.experimental` and `tf.contrib.data`: transformations for `Dataset.apply`, sources."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from anode.frontends.tensorflow.api.dataset import Dataset, inner_element, int64_scalar, shaped
from anode.frontends.tensorflow.api.dataset_files import CsvDataset
from anode.frontends.tensorflow.api.dataset_structure import (
    Component,
    attributes,
    component,
    flatten,
    map_structure,
    normalized,
    tensors_of,
    traced,
)
from anode.frontends.tensorflow.dtypes import int64
from anode.frontends.tensorflow.graph import apply, convert_to_tensor
from anode.frontends.tensorflow.opdef import export
from anode.frontends.tensorflow.tensor_shape import TensorShape

Transformation = Callable[[Dataset], Dataset]
SCALAR = Component(int64, TensorShape([]))


def _data(*names: str, file: str | None = None) -> Callable[[Any], Any]:
    paths = [f"{root}.{name}" for name in names for root in ("data.experimental", "contrib.data")]
    if file is not None:
        paths += [f"contrib.data.python.ops.{file}.{name}" for name in names]
    return export(*paths)


@_data("map_and_batch", file="batching")
def map_and_batch(
    map_func: Callable[..., Any],
    batch_size: Any,
    num_parallel_batches: Any = None,
    drop_remainder: Any = False,
    num_parallel_calls: Any = None,
) -> Transformation:
    """`map`, then `batch`."""
    return lambda dataset: dataset.map(map_func).batch(batch_size, drop_remainder)


@_data("shuffle_and_repeat", file="shuffle_ops")
def shuffle_and_repeat(buffer_size: Any, count: Any = None, seed: Any = None) -> Transformation:
    """`shuffle`, then `repeat`."""
    return lambda dataset: dataset.shuffle(buffer_size, seed).repeat(count)


@export("contrib.data.batch_and_drop_remainder")
def batch_and_drop_remainder(batch_size: Any) -> Transformation:
    """`batch`, without the last one if it is smaller."""
    return lambda dataset: dataset.batch(batch_size, drop_remainder=True)


@export("contrib.data.padded_batch_and_drop_remainder")
def padded_batch_and_drop_remainder(
    batch_size: Any, padded_shapes: Any, padding_values: Any = None
) -> Transformation:
    """`padded_batch`, without the last one if it is smaller."""
    return lambda dataset: dataset.padded_batch(batch_size, padded_shapes, padding_values, True)


@_data("unbatch", file="batching")
def unbatch() -> Transformation:
    """The rows of each element."""
    return lambda dataset: dataset.unbatch()


@_data("ignore_errors", file="error_ops")
def ignore_errors() -> Transformation:
    """Leaves out the elements that raise an error."""
    return lambda dataset: dataset._then("IgnoreErrorsDataset")


@_data("enumerate_dataset", file="enumerate_ops")
def enumerate_dataset(start: Any = 0) -> Transformation:
    """Pairs of a number and an element."""
    return lambda dataset: dataset.enumerate(start)


@_data("unique", file="unique")
def unique() -> Transformation:
    """Each value once."""
    return lambda dataset: dataset._then("UniqueDataset")


@_data("take_while")
def take_while(predicate: Callable[..., Any]) -> Transformation:
    """The elements before the first for which the predicate is false."""

    def transformed(dataset: Dataset) -> Dataset:
        function = traced(predicate, dataset._element)
        return dataset._then("TakeWhileDataset", function.captures, predicate=function)

    return transformed


@_data("prefetch_to_device")
def prefetch_to_device(device: Any, buffer_size: Any = None) -> Transformation:
    """The same elements: there is one memory."""
    return lambda dataset: dataset


@_data("copy_to_device")
def copy_to_device(target_device: Any, source_device: Any = "/cpu:0") -> Transformation:
    """The same elements: there is one memory."""
    return lambda dataset: dataset


@_data("parallel_interleave", "sloppy_interleave", file="interleave_ops")
def parallel_interleave(
    map_func: Callable[..., Any],
    cycle_length: Any,
    block_length: Any = 1,
    sloppy: Any = False,
    buffer_output_elements: Any = None,
    prefetch_input_elements: Any = None,
) -> Transformation:
    """`interleave`; the order is always the same, also with `sloppy`."""
    return lambda dataset: dataset.interleave(map_func, cycle_length, block_length)


@_data("scan", file="scan_ops")
def scan(initial_state: Any, scan_func: Callable[..., Any]) -> Transformation:
    """Elements of `state, element = scan_func(state, element)`."""

    def transformed(dataset: Dataset) -> Dataset:
        state = normalized(initial_state)
        described = map_structure(component, state)
        function = traced(scan_func, described, dataset._element)
        tensors = [tensor for leaf in flatten(state) for tensor in tensors_of(leaf)]
        return dataset._then(
            "ScanDataset", tensors, function.captures, f=function, element=function.result[1]
        )

    return transformed


@_data("group_by_window", file="grouping")
def group_by_window(
    key_func: Callable[..., Any],
    reduce_func: Callable[..., Any],
    window_size: Any = None,
    window_size_func: Callable[..., Any] | None = None,
) -> Transformation:
    """What `reduce_func(key, data set)` makes of `window_size` elements with the same key."""
    if (window_size is None) == (window_size_func is None):
        raise ValueError("Must pass either window_size or window_size_func.")
    size_of = window_size_func or (lambda key: int64_scalar(window_size))

    def transformed(dataset: Dataset) -> Dataset:
        window = Component(
            dataset._variant_tensor.dtype, TensorShape([]), "dataset", dataset._element
        )
        keys = traced(lambda *element: int64_scalar(key_func(*element)), dataset._element)
        reduce = traced(reduce_func, SCALAR, window)
        sizes = traced(lambda key: int64_scalar(size_of(key)), SCALAR)
        return dataset._then(
            "GroupByWindowDataset",
            keys.captures,
            reduce.captures,
            sizes.captures,
            key_func=keys,
            reduce_func=reduce,
            window_size_func=sizes,
            element=inner_element(reduce.result, "group_by_window"),
        )

    return transformed


@_data("bucket_by_sequence_length", file="grouping")
def bucket_by_sequence_length(
    element_length_func: Callable[..., Any],
    bucket_boundaries: Sequence[int],
    bucket_batch_sizes: Sequence[int],
    padded_shapes: Any = None,
    padding_values: Any = None,
    pad_to_bucket_boundary: bool = False,
    no_padding: bool = False,
    drop_remainder: bool = False,
) -> Transformation:
    """Padded batches of elements of like lengths; a bucket holds those below its boundary."""
    if len(bucket_batch_sizes) != len(bucket_boundaries) + 1:
        raise ValueError("len(bucket_batch_sizes) must equal len(bucket_boundaries) + 1")
    sizes = convert_to_tensor(np.array(bucket_batch_sizes, np.int64))
    limits = np.array(bucket_boundaries, np.int64)

    def key_of(*element: Any) -> Any:
        length = int64_scalar(element_length_func(*element))
        beyond = apply("Cast", apply("LessEqual", limits, length), DstT=int64)
        return apply("Sum", beyond, [0], keep_dims=False)

    def size_of(key: Any) -> Any:
        return apply("GatherV2", sizes, key, 0)

    def batched(key: Any, window: Dataset) -> Dataset:
        size = size_of(key)
        if no_padding:
            return window.batch(size, drop_remainder)
        shapes = padded_shapes
        if shapes is None:
            shapes = window.output_shapes
        if pad_to_bucket_boundary:
            shapes = map_structure(lambda shape: _at_boundary(shape, limits, key), shapes)
        return window.padded_batch(size, shapes, padding_values, drop_remainder)

    return group_by_window(key_of, batched, window_size_func=size_of)


def _at_boundary(shape: Any, limits: np.ndarray, key: Any) -> Any:
    """The shape whose unknown sizes are the greatest length of the bucket."""
    boundary = apply("GatherV2", np.append(limits - 1, -1), key, 0)
    sizes = [boundary if size is None else np.int64(size) for size in TensorShape(shape).as_list()]
    if not sizes:
        return np.empty(0, np.int64).tolist()
    return apply("Pack", [int64_scalar(size) for size in sizes], axis=0)


@_data("get_single_element")
def get_single_element(dataset: Dataset) -> Any:
    """The element of a data set that has just one."""
    if not isinstance(dataset, Dataset):
        raise TypeError("`dataset` must be a `tf.data.Dataset` object.")
    types = attributes(dataset._element)["output_types"]
    found = apply("DatasetToSingleElement", dataset._variant_tensor, output_types=types)
    return shaped(dataset._element, found)


@_data("Counter", file="counter")
def Counter(start: Any = 0, step: Any = 1, dtype: Any = int64) -> Dataset:
    """The numbers start, start + step, and so on without end."""
    numbers = apply("CounterDataset", int64_scalar(start), int64_scalar(step), **attributes(SCALAR))
    counter = Dataset(numbers, SCALAR)
    return counter if dtype == int64 else counter.map(lambda n: apply("Cast", n, DstT=dtype))


@_data("choose_from_datasets", file="interleave_ops")
def choose_from_datasets(datasets: Sequence[Dataset], choice_dataset: Dataset) -> Dataset:
    """The next element of the data set whose number `choice_dataset` says."""
    if choice_dataset.output_types != int64:
        raise TypeError("`choice_dataset` must be a dataset of scalar `tf.int64` tensors.")
    element = datasets[0]._element
    found = apply(
        "DirectedInterleaveDataset",
        choice_dataset._variant_tensor,
        [dataset._variant_tensor for dataset in datasets],
        **attributes(element),
    )
    return Dataset(found, element)


@_data("RandomDataset", file="random_ops")
def random_dataset(seed: Any = None) -> Dataset:
    """Numbers drawn from all of int64's non-negative half below 2**32, without end."""
    draws = np.random.default_rng(seed)

    def numbers() -> Any:
        while True:
            yield int(draws.integers(1 << 32))

    return Dataset.from_generator(numbers, int64, [])


@_data("sample_from_datasets", file="interleave_ops")
def sample_from_datasets(
    datasets: Sequence[Dataset], weights: Any = None, seed: Any = None
) -> Dataset:
    """An element of a data set drawn at random, by `weights`, again and again."""
    chances = np.full(len(datasets), 1.0) if weights is None else np.asarray(weights, float)
    chances = chances / chances.sum()

    def choices() -> Any:
        draws = np.random.default_rng(seed)
        while True:
            yield int(draws.choice(len(datasets), p=chances))

    return choose_from_datasets(datasets, Dataset.from_generator(choices, int64, []))


@_data("make_csv_dataset", file="readers")
def make_csv_dataset(
    file_pattern: Any,
    batch_size: Any,
    column_names: Sequence[str] | None = None,
    column_defaults: Any = None,
    label_name: str | None = None,
    select_columns: Any = None,
    field_delim: str = ",",
    use_quote_delim: bool = True,
    na_value: str = "",
    header: bool = True,
    num_epochs: Any = None,
    shuffle: bool = True,
    shuffle_buffer_size: int = 10000,
    shuffle_seed: Any = None,
    prefetch_buffer_size: Any = None,
    num_parallel_reads: Any = None,
    sloppy: bool = False,
    num_rows_for_inference: int = 100,
    compression_type: Any = None,
    ignore_errors: bool = False,
) -> Dataset:
    """Batches of the columns of CSV files, a dict of them, with the label beside if it is named."""
    from anode.frontends.tensorflow.api import csv_columns

    names = csv_columns.files(file_pattern)
    columns = list(column_names or csv_columns.header(names[0], field_delim))
    chosen = csv_columns.selected(columns, select_columns)
    if column_defaults is None:
        rows = csv_columns.rows(names[0], field_delim, header, num_rows_for_inference)
        column_defaults = [csv_columns.default(rows, index, na_value) for index in chosen]
    rows_of = CsvDataset(
        names,
        column_defaults,
        compression_type,
        None,
        header,
        field_delim,
        use_quote_delim,
        na_value,
        chosen,
    )
    kept = [columns[index] for index in chosen]
    if label_name is not None and label_name not in kept:
        raise ValueError("`label_name` provided must be one of the columns.")
    ordered: Dataset = rows_of._then("IgnoreErrorsDataset") if ignore_errors else rows_of
    if shuffle:
        ordered = ordered.shuffle(shuffle_buffer_size, shuffle_seed)
    ordered = ordered.repeat(num_epochs).batch(batch_size, drop_remainder=num_epochs is None)

    def named(*values: Any) -> Any:
        features = dict(zip(kept, values, strict=True))
        return (features, features.pop(label_name)) if label_name is not None else features

    return ordered.map(named)

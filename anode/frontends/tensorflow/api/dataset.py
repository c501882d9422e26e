"""`tf.data.Dataset`: pipelines of elements, described in the graph, gone through by iterators."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator as AbstractIterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from anode.frontends.tensorflow.api.dataset_structure import (
    Component,
    attributes,
    component,
    declared,
    flatten,
    from_tensors,
    map_structure,
    new_name,
    normalized,
    tensors_of,
    traced,
)
from anode.frontends.tensorflow.api.random_seed import get_seed
from anode.frontends.tensorflow.core import get_default_graph
from anode.frontends.tensorflow.dtypes import int64, string, variant
from anode.frontends.tensorflow.graph import (
    apply,
    constant_value,
    convert_to_tensor,
    name_scope,
)
from anode.frontends.tensorflow.opdef import export, export_values
from anode.frontends.tensorflow.tensor_shape import TensorShape

AUTOTUNE = -1
DATA = "python.data.ops"
export_values(__name__, {"data.experimental.AUTOTUNE": "AUTOTUNE"})


def count_of(value: Any, default: int = -1) -> Any:
    return convert_to_tensor(default if value is None else value, int64)


def int64_scalar(value: Any) -> Any:
    """An int64 scalar of a number or of a tensor of integers."""
    if hasattr(value, "dtype") and hasattr(value, "op") and value.dtype.base_dtype != int64:
        return apply("Cast", value, DstT=int64)
    return convert_to_tensor(value, int64)


@export(
    "data.Dataset",
    "contrib.data.Dataset",
    f"{DATA}.dataset_ops.Dataset",
    f"{DATA}.dataset_ops.DatasetV1",
)
class Dataset:
    """Elements of one structure: a tensor of the kind variant, and what its elements are."""

    def __init__(self, variant_tensor: Any, element: Any) -> None:
        self._variant_tensor = variant_tensor
        self._element = element

    # what the elements are

    @property
    def output_types(self) -> Any:
        """The type of each component, in the structure of an element."""
        return map_structure(lambda part: part.dtype, self._element)

    @property
    def output_shapes(self) -> Any:
        """The shape of each component, in the structure of an element."""
        return map_structure(lambda part: part.shape, self._element)

    @property
    def output_classes(self) -> Any:
        """The class of each component, in the structure of an element."""
        return map_structure(lambda part: part.output_class, self._element)

    @property
    def graph(self) -> Any:
        """The graph in which it is described."""
        return self._variant_tensor.graph

    @property
    def _components(self) -> list[Component]:
        return flatten(self._element)

    def __repr__(self) -> str:
        shapes = str(map_structure(lambda part: str(part.shape), self._element)).replace("'", "")
        types = str(map_structure(lambda part: repr(part.dtype), self._element)).replace("'", "")
        name = "DatasetV1Adapter" if type(self) is Dataset else type(self).__name__
        return f"<{name} shapes: {shapes}, types: {types}>"

    def __iter__(self) -> Any:
        raise RuntimeError(
            "__iter__() is only supported inside of tf.function or when eager execution is enabled."
        )

    def _then(self, op: str, *inputs: Any, element: Any = None, **attrs: Any) -> Dataset:
        element = self._element if element is None else element
        attrs = {**attributes(element), **attrs}
        return Dataset(apply(op, self._variant_tensor, *inputs, **attrs), element)

    # iterators

    def make_one_shot_iterator(self) -> Any:
        """An iterator without initialiser; the data set may use no placeholder, no variable."""
        from anode.frontends.tensorflow.api.dataset_iterators import one_shot_iterator

        return one_shot_iterator(self)

    def make_initializable_iterator(self, shared_name: str | None = None) -> Any:
        """An iterator whose `initializer` goes to the start; it reads placeholders, variables."""
        from anode.frontends.tensorflow.api.dataset_iterators import initializable_iterator

        return initializable_iterator(self, shared_name)

    # sources

    @staticmethod
    def from_tensors(tensors: Any) -> Dataset:
        """One element."""
        return _of_tensors("TensorDataset", tensors, lambda shape: shape)

    @staticmethod
    def from_tensor_slices(tensors: Any) -> Dataset:
        """The rows of the tensors, element by element."""
        return _of_tensors("TensorSliceDataset", tensors, lambda shape: shape[1:])

    @staticmethod
    def from_sparse_tensor_slices(sparse_tensor: Any) -> Dataset:
        """The rows of a sparse tensor as triples (indices, values, shape)."""
        rows = Dataset.from_tensor_slices(sparse_tensor)
        return rows.map(lambda row: (row.indices, row.values, row.dense_shape))

    @staticmethod
    def from_generator(
        generator: Callable[..., Any],
        output_types: Any,
        output_shapes: Any = None,
        args: Any = None,
    ) -> Dataset:
        """What the iterator yields that `generator`, called with the values of `args`, returns."""
        if not callable(generator):
            raise TypeError("`generator` must be callable.")
        element = declared(output_types, output_shapes)
        arguments = () if args is None else tuple(convert_to_tensor(value) for value in args)
        found = _Generator(generator, element, new_name("Generator"))
        tensor = apply("GeneratorDataset", arguments, generator=found, **attributes(element))
        return Dataset(tensor, element)

    @staticmethod
    def range(*args: Any) -> Dataset:
        """The numbers of Python's `range`, int64."""
        if not 1 <= len(args) <= 3:
            raise ValueError(f"Invalid `args`. Expected 1 to 3 arguments: {args}")
        start, stop, step = {
            1: lambda: (0, args[0], 1),
            2: lambda: (*args, 1),
            3: lambda: args,
        }[len(args)]()
        element = Component(int64, TensorShape([]))
        numbers = [int64_scalar(value) for value in (start, stop, step)]
        return Dataset(apply("RangeDataset", *numbers, **attributes(element)), element)

    @staticmethod
    def zip(datasets: Any) -> Dataset:
        """Elements of the data sets, a nested structure of them, side by side."""
        for dataset in flatten(datasets):
            if not isinstance(dataset, Dataset):
                raise TypeError(
                    "The argument to `Dataset.zip()` must be a nested structure of `Dataset` "
                    f"objects, not {dataset!r}."
                )
        element = map_structure(lambda dataset: dataset._element, datasets)
        tensors = [dataset._variant_tensor for dataset in flatten(datasets)]
        return Dataset(apply("ZipDataset", tensors, **attributes(element)), element)

    @staticmethod
    def list_files(file_pattern: Any, shuffle: bool | None = None, seed: Any = None) -> Dataset:
        """The names of the files that match a pattern, or one of several, in random order."""
        element = Component(string, TensorShape([]))
        patterns = convert_to_tensor(file_pattern, string)
        dataset = Dataset(apply("MatchingFilesDataset", patterns, **attributes(element)), element)
        return dataset.shuffle(1 << 20, seed) if shuffle is None or shuffle else dataset

    # order

    def concatenate(self, dataset: Dataset) -> Dataset:
        """These elements, then those of the other data set."""
        if self.output_types != dataset.output_types:
            raise TypeError(
                f"Two datasets to concatenate have different types {self.output_types} and "
                f"{dataset.output_types}"
            )
        element = map_structure(_common, self._element, dataset._element)
        return self._then("ConcatenateDataset", dataset._variant_tensor, element=element)

    def repeat(self, count: Any = None) -> Dataset:
        """All elements `count` times, for ever without it."""
        return self._then("RepeatDataset", count_of(count))

    def shuffle(
        self, buffer_size: Any, seed: Any = None, reshuffle_each_iteration: bool | None = None
    ) -> Dataset:
        """Elements drawn from a buffer of `buffer_size`; in another order each time by default."""
        seed1, seed2 = get_seed(seed)
        again = True if reshuffle_each_iteration is None else reshuffle_each_iteration
        graph = get_default_graph()
        if seed1 is not None:  # TensorFlow checks that not both seeds are 0
            graph._number_from(graph._last_id, 7)
        return self._then(
            "ShuffleDataset",
            int64_scalar(buffer_size),
            seed1 or 0,
            seed2 or 0,
            reshuffle_each_iteration=again,
        )

    def cache(self, filename: Any = "") -> Dataset:
        """The elements kept in memory, or in a file, once they were all seen."""
        return self._then("CacheDataset", convert_to_tensor(filename, string))

    def take(self, count: Any) -> Dataset:
        """The first `count` elements; all for -1."""
        return self._then("TakeDataset", int64_scalar(count))

    def skip(self, count: Any) -> Dataset:
        """The elements after the first `count`; none for -1."""
        return self._then("SkipDataset", int64_scalar(count))

    def shard(self, num_shards: Any, index: Any) -> Dataset:
        """Every `num_shards`-th element, from number `index` on."""
        shards, place = (
            constant_value(int64_scalar(num_shards)),
            constant_value(int64_scalar(index)),
        )
        if shards is not None and shards < 1:
            raise ValueError(f"num_shards must be >= 1; got {num_shards}")
        if place is not None and place < 0:
            raise ValueError(f"index must be >= 0; got {index}")
        if shards is not None and place is not None and place >= shards:
            raise ValueError(f"index must be < num_shards; {index} is not < {num_shards}")
        return self._then("ShardDataset", int64_scalar(num_shards), int64_scalar(index))

    def prefetch(self, buffer_size: Any) -> Dataset:
        """The same elements: anode computes them when they are asked for."""
        return self._then("PrefetchDataset", count_of(buffer_size))

    def enumerate(self, start: Any = 0) -> Dataset:
        """Pairs of a number and an element."""
        element = (Component(int64, TensorShape([])), self._element)
        return self._then("EnumerateDataset", int64_scalar(start), element=element)

    # groups

    def batch(self, batch_size: Any, drop_remainder: Any = False) -> Dataset:
        """Elements stacked, `batch_size` at a time; the last ones may be fewer."""
        batch_size, drop_remainder = int64_scalar(batch_size), convert_to_tensor(drop_remainder)
        size = _batch_size(batch_size, drop_remainder)
        element = map_structure(
            lambda part: part.resized(lambda s: size.concatenate(s)), self._element
        )
        return self._then("BatchDatasetV2", batch_size, drop_remainder, element=element)

    def padded_batch(
        self,
        batch_size: Any,
        padded_shapes: Any,
        padding_values: Any = None,
        drop_remainder: Any = False,
    ) -> Dataset:
        """Batches whose components are filled up: to `padded_shapes`, or to the largest (None)."""
        shapes = _shapes_like(self._element, padded_shapes)
        values = _padding(self._element, padding_values)
        batch_size, drop_remainder = int64_scalar(batch_size), convert_to_tensor(drop_remainder)
        size = _batch_size(batch_size, drop_remainder)
        known = iter([_static_shape(shape) for shape in shapes])
        element = map_structure(
            lambda part: part.resized(lambda _: size.concatenate(next(known))), self._element
        )
        tensor = apply(
            "PaddedBatchDatasetV2",
            self._variant_tensor,
            batch_size,
            shapes,
            values,
            drop_remainder,
            output_shapes=attributes(element)["output_shapes"],
        )
        return Dataset(tensor, element)

    def window(
        self, size: Any, shift: Any = None, stride: Any = 1, drop_remainder: Any = False
    ) -> Dataset:
        """Data sets of `size` elements that are `stride` apart, each `shift` after the last."""
        element = map_structure(
            lambda part: Component(variant, TensorShape([]), "dataset", part), self._element
        )
        shift = size if shift is None else shift
        return self._then(
            "WindowDataset",
            int64_scalar(size),
            int64_scalar(shift),
            int64_scalar(stride),
            drop_remainder,
            element=element,
        )

    def unbatch(self) -> Dataset:
        """The rows of each element."""
        element = map_structure(lambda part: part.resized(lambda s: s[1:]), self._element)
        return self._then("UnbatchDataset", element=element)

    # functions

    def map(self, map_func: Callable[..., Any], num_parallel_calls: Any = None) -> Dataset:
        """What a function makes of each element; a tuple gives it several arguments."""
        function = traced(map_func, self._element)
        return self._then("MapDataset", function.captures, f=function, element=function.result)

    map_with_legacy_function = map

    def flat_map(self, map_func: Callable[..., Any]) -> Dataset:
        """The elements of the data sets that a function makes."""
        function = traced(map_func, self._element)
        element = inner_element(function.result, "flat_map")
        return self._then("FlatMapDataset", function.captures, f=function, element=element)

    def interleave(
        self,
        map_func: Callable[..., Any],
        cycle_length: Any,
        block_length: Any = 1,
        num_parallel_calls: Any = None,
    ) -> Dataset:
        """`block_length` elements of each of `cycle_length` data sets that a function makes."""
        function = traced(map_func, self._element)
        element = inner_element(function.result, "interleave")
        return self._then(
            "InterleaveDataset",
            int64_scalar(cycle_length),
            int64_scalar(block_length),
            function.captures,
            f=function,
            element=element,
        )

    def filter(self, predicate: Callable[..., Any]) -> Dataset:
        """The elements for which a function gives true, a bool scalar."""
        function = traced(predicate, self._element)
        result = function.result
        if not isinstance(result, Component) or result.dtype.name != "bool":
            raise ValueError("`predicate` must return a scalar boolean tensor.")
        return self._then("FilterDataset", function.captures, predicate=function)

    filter_with_legacy_function = filter

    def reduce(self, initial_state: Any, reduce_func: Callable[..., Any]) -> Any:
        """The state after `reduce_func(state, element)` for all elements."""
        state = normalized(initial_state)
        described = map_structure(component, state)
        function = traced(reduce_func, described, self._element)
        tensors = [tensor for leaf in flatten(state) for tensor in tensors_of(leaf)]
        found = apply(
            "ReduceDataset",
            self._variant_tensor,
            tensors,
            function.captures,
            f=function,
            output_types=attributes(function.result)["output_types"],
        )
        return shaped(function.result, found)

    def apply(self, transformation_func: Callable[[Any], Any]) -> Dataset:
        """What a function of data sets makes of this one."""
        dataset = transformation_func(self)
        if not isinstance(dataset, Dataset):
            raise TypeError("`transformation_func` must return a Dataset.")
        return dataset

    # options

    def options(self) -> Any:
        """What `with_options` was given; anode needs none."""
        return getattr(self, "_options", None) or Options()

    def with_options(self, options: Any) -> Dataset:
        """The same elements: options are hints for speed."""
        found = Dataset(self._variant_tensor, self._element)
        found.__dict__["_options"] = options
        return found


@export("data.Options")
class Options:
    """Hints of how a pipeline may be made faster: any attributes; they change no element."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        value = Options() if name.startswith("experimental") else None
        self.__dict__[name] = value
        return value

    def merge(self, options: Options) -> Options:
        """These and the other ones."""
        found = Options()
        found.__dict__.update({**self.__dict__, **options.__dict__})
        return found


def shaped(element: Any, tensors: Any) -> Any:
    """The structure that scripts see, with the shapes of its tensors set."""
    shapes = attributes(element)["output_shapes"]
    for tensor, shape in zip(tensors, shapes, strict=True):
        tensor.set_shape(shape)
    return from_tensors(element, tensors)


def _of_tensors(op: str, tensors: Any, change: Callable[[TensorShape], Any]) -> Dataset:
    with name_scope("tensors"):
        value = normalized(tensors)
    described = map_structure(component, value)
    parts = flatten(described)
    for part in parts:
        if op == "TensorSliceDataset" and part.shape.ndims == 0:
            raise ValueError("Unbatching a tensor is only supported for rank >= 1")
    _same_length(parts if op == "TensorSliceDataset" else ())
    element = map_structure(lambda part: part.resized(change), described)
    inputs = [tensor for leaf in flatten(value) for tensor in tensors_of(leaf)]
    tensor = apply(
        op,
        inputs,
        output_shapes=attributes(element)["output_shapes"],
        sparse=[part.sparse for part in parts],
    )
    return Dataset(tensor, element)


def _same_length(parts: Any) -> None:
    lengths = [part.shape[0] for part in parts if part.shape.ndims]
    for other in lengths[1:]:
        lengths[0] = lengths[0].merge_with(other)


def _common(x: Component, y: Component) -> Component:
    return x.resized(lambda _: _agreed(x.shape, y.shape))


def _agreed(x: TensorShape, y: TensorShape) -> TensorShape:
    if x.ndims is None or x.ndims != y.ndims:
        return TensorShape(None)
    pairs = zip(x.as_list(), y.as_list(), strict=True)
    return TensorShape([a if a == b else None for a, b in pairs])


def _batch_size(batch_size: Any, drop_remainder: Any) -> TensorShape:
    size, drop = constant_value(batch_size), constant_value(drop_remainder)
    return TensorShape([int(size) if size is not None and drop is not None and drop else None])


def inner_element(result: Any, name: str) -> Any:
    if not isinstance(result, Component) or result.kind != "dataset":
        raise TypeError(f"`map_func` must return a `Dataset` object ({name}).")
    return result.inner


def _up_to(element: Any, other: Any) -> list[Any]:
    """The parts of `other` where `element` has its leaves."""
    found: list[Any] = []
    map_structure(lambda _, part: found.append(part), element, other)
    return found


def _shapes_like(element: Any, padded_shapes: Any) -> list[Any]:
    found = []
    for shape in _up_to(element, padded_shapes):
        if hasattr(shape, "op"):
            found.append(apply("Cast", shape, DstT=int64))
            continue
        sizes = TensorShape(None if shape is None else _plain(shape)).as_list()
        found.append(convert_to_tensor(np.array([-1 if s is None else s for s in sizes], np.int64)))
    return found


def _plain(shape: Any) -> Any:
    if isinstance(shape, TensorShape):
        return shape
    return [None if size is None or getattr(size, "value", size) == -1 else size for size in shape]


def _static_shape(shape: Any) -> TensorShape:
    sizes = constant_value(shape)
    if sizes is None:
        return (
            TensorShape([None] * (shape.shape[0].value or 0))
            if shape.shape.ndims
            else TensorShape(None)
        )
    return TensorShape([None if size < 0 else int(size) for size in sizes])


def _padding(element: Any, padding_values: Any) -> list[Any]:
    def value(part: Component, given: Any) -> Any:
        if given is None:
            given = b"" if part.dtype == string else 0
        if part.dtype == string or hasattr(given, "op"):
            return convert_to_tensor(given, part.dtype)
        return convert_to_tensor(np.asarray(given).astype(part.dtype.as_numpy_dtype))

    if padding_values is None:
        return [value(part, None) for part in flatten(element)]
    return [
        value(part, given)
        for part, given in zip(flatten(element), _up_to(element, padding_values), strict=True)
    ]


@dataclass(frozen=True, eq=False)
class _Generator:
    """A Python generator function, and what the elements it yields must be."""

    function: Callable[..., Any]
    element: Any
    name: str  # what a GraphDef calls it

    def start(self, *arguments: Any) -> AbstractIterator[Any]:
        """A new iterator."""
        return iter(self.function(*arguments))

    def convert(self, value: Any) -> tuple[np.ndarray, ...]:
        """What was yielded as arrays; ValueError and TypeError where it does not fit."""
        parts = _up_to(self.element, value)
        return tuple(
            _converted(value, part)
            for part, value in zip(flatten(self.element), parts, strict=True)
        )


def _converted(value: Any, part: Component) -> np.ndarray:
    from anode.frontends.tensorflow.graph import as_array

    dtype = part.dtype.as_numpy_dtype
    try:
        array = as_array(value, part.dtype) if part.dtype == string else np.asarray(value, dtype)
    except (TypeError, ValueError) as error:
        raise TypeError(
            "`generator` yielded an element that could not be converted to the expected type. The "
            f"expected type was {part.dtype.name}, but the yielded element was {value}."
        ) from error
    if not part.shape.is_compatible_with(array.shape):
        raise ValueError(
            f"`generator` yielded an element of shape {array.shape} where an element of shape "
            f"{part.shape} was expected."
        )
    return array

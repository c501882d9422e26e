"""`slim`'s data sets: files, a reader, a decoder of examples, and tensors that queues provide."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from anode.frontends.tensorflow.api import sparse_ops
from anode.frontends.tensorflow.api.coordinator import (
    Coordinator,
    QueueRunner,
    add_queue_runner,
    start_queue_runners,
)
from anode.frontends.tensorflow.api.input_pipeline import string_input_producer
from anode.frontends.tensorflow.api.queues import FIFOQueue, PaddingFIFOQueue, RandomShuffleQueue
from anode.frontends.tensorflow.api.readers import ReaderBase, ReaderRead
from anode.frontends.tensorflow.api.summary import scalar
from anode.frontends.tensorflow.dtypes import float32, string, uint8
from anode.frontends.tensorflow.graph import apply, convert_to_tensor, name_scope
from anode.frontends.tensorflow.opdef import export
from anode.frontends.tensorflow.tensor_shape import TensorShape

RAW_FORMATS = ("raw", "RAW")


def _slim(module: str, name: str, data: bool = True) -> Callable[[Any], Any]:
    inner = f"contrib.slim.python.slim.{'data.' if data else ''}{module}.{name}"
    return export(f"contrib.slim.{module}.{name}", inner)


@_slim("dataset", "Dataset")
class Dataset:
    """Where the examples are and how they are read; whatever else is given is an attribute too."""

    def __init__(
        self,
        data_sources: Any,
        reader: Any,
        decoder: Any,
        num_samples: int,
        items_to_descriptions: Any,
        **kwargs: Any,
    ) -> None:
        kwargs |= {"data_sources": data_sources, "reader": reader, "decoder": decoder}
        kwargs |= {"num_samples": num_samples, "items_to_descriptions": items_to_descriptions}
        self.__dict__.update(kwargs)


# decoders


@_slim("data_decoder", "DataDecoder")
class DataDecoder:
    """Turns a record into tensors."""

    def decode(self, data: Any, items: Any) -> list[Any]:
        """The tensors of the items."""
        raise NotImplementedError

    def list_items(self) -> list[str]:
        """The names of the items."""
        raise NotImplementedError


@_slim("tfexample_decoder", "ItemHandler")
class ItemHandler:
    """Makes an item of the tensors of some keys of an example."""

    def __init__(self, keys: Any) -> None:
        self._keys = list(keys) if isinstance(keys, (tuple, list)) else [keys]

    @property
    def keys(self) -> list[str]:
        """The keys it needs."""
        return self._keys

    def tensors_to_item(self, keys_to_tensors: dict[str, Any]) -> Any:
        """The item."""
        raise NotImplementedError


@_slim("tfexample_decoder", "ItemHandlerCallback")
class ItemHandlerCallback(ItemHandler):
    """An item that a function makes."""

    def __init__(self, keys: Any, func: Callable[[dict[str, Any]], Any]) -> None:
        super().__init__(keys)
        self._function = func

    def tensors_to_item(self, keys_to_tensors: dict[str, Any]) -> Any:
        return self._function(keys_to_tensors)


def _dense(tensor: Any, default: Any = 0) -> Any:
    if isinstance(tensor, sparse_ops.SparseTensor):
        return sparse_ops.sparse_tensor_to_dense(tensor, default)
    return tensor


@_slim("tfexample_decoder", "BoundingBox")
class BoundingBox(ItemHandler):
    """Boxes f32[n, 4] of the keys ymin, xmin, ymax, xmax."""

    def __init__(self, keys: Any = None, prefix: str = "") -> None:
        keys = ["ymin", "xmin", "ymax", "xmax"] if keys is None else keys
        if len(keys) != 4:
            raise ValueError("`keys` should contain 4 keys.")
        super().__init__([prefix + key for key in keys])

    def tensors_to_item(self, keys_to_tensors: dict[str, Any]) -> Any:
        sides = [_dense(keys_to_tensors[key]) for key in self._keys]
        return apply("Pack", sides, axis=1)


@_slim("tfexample_decoder", "Tensor")
class Tensor(ItemHandler):
    """The tensor of a key, dense, in a shape that is given or that other keys say."""

    def __init__(
        self, tensor_key: str, shape_keys: Any = None, shape: Any = None, default_value: Any = 0
    ) -> None:
        if shape_keys and shape is not None:
            raise ValueError("Cannot specify both shape_keys and shape parameters.")
        shape_keys = [shape_keys] if isinstance(shape_keys, str) else shape_keys
        super().__init__([tensor_key, *(shape_keys or ())])
        self._tensor_key, self._shape_keys = tensor_key, shape_keys
        self._shape, self._default_value = shape, default_value

    def tensors_to_item(self, keys_to_tensors: dict[str, Any]) -> Any:
        tensor = _dense(keys_to_tensors[self._tensor_key], self._default_value)
        if self._shape_keys:
            sizes = [_dense(keys_to_tensors[key]) for key in self._shape_keys]
            return apply("Reshape", tensor, apply("ConcatV2", [_vector(s) for s in sizes], 0))
        return tensor if self._shape is None else apply("Reshape", tensor, self._shape)


def _vector(tensor: Any) -> Any:
    return apply("Reshape", tensor, [-1])


@_slim("tfexample_decoder", "LookupTensor")
class LookupTensor(Tensor):
    """The tensor of a key, looked up in a table."""

    def __init__(
        self,
        tensor_key: str,
        table: Any,
        shape_keys: Any = None,
        shape: Any = None,
        default_value: Any = "",
    ) -> None:
        self._table = table
        super().__init__(tensor_key, shape_keys, shape, default_value)

    def tensors_to_item(self, keys_to_tensors: dict[str, Any]) -> Any:
        return self._table.lookup(super().tensors_to_item(keys_to_tensors))


@_slim("tfexample_decoder", "SparseTensor")
class SparseTensor(ItemHandler):
    """A sparse tensor of the keys of its indices and values."""

    def __init__(
        self,
        indices_key: str | None = None,
        values_key: str | None = None,
        shape_key: str | None = None,
        shape: Any = None,
        densify: bool = False,
        default_value: Any = 0,
    ) -> None:
        self._indices_key, self._values_key = indices_key or "indices", values_key or "values"
        self._shape_key, self._shape = shape_key, shape
        self._densify, self._default_value = densify, default_value
        keys = [self._indices_key, self._values_key, *([shape_key] if shape_key else [])]
        super().__init__(keys)

    def tensors_to_item(self, keys_to_tensors: dict[str, Any]) -> Any:
        shape = self._shape
        if self._shape_key:
            shape = _dense(keys_to_tensors[self._shape_key])
        indices = _dense(keys_to_tensors[self._indices_key])
        values = _dense(keys_to_tensors[self._values_key])
        columns = len(shape) if isinstance(shape, (list, tuple)) else shape.shape[0].value
        indices = apply("Reshape", indices, [-1, columns])
        found = sparse_ops.SparseTensor(indices, _vector(values), shape)
        return _dense(found, self._default_value) if self._densify else found


@_slim("tfexample_decoder", "BackupHandler")
class BackupHandler(ItemHandler):
    """The item of a handler, or of another one where the first has no elements."""

    def __init__(self, handler: ItemHandler, backup: ItemHandler) -> None:
        for part in (handler, backup):
            if not isinstance(part, ItemHandler):
                raise ValueError(f"Backup handler is of type {type(part)} instead of ItemHandler")
        self._handler, self._backup = handler, backup
        super().__init__(handler.keys + backup.keys)

    def tensors_to_item(self, keys_to_tensors: dict[str, Any]) -> Any:
        from anode.frontends.tensorflow.api.control_flow import cond

        item = self._handler.tensors_to_item(keys_to_tensors)
        some = apply("Greater", apply("Prod", apply("Shape", item), [0], keep_dims=False), 0)
        backup = self._backup
        return cond(some, lambda: item, lambda: backup.tensors_to_item(keys_to_tensors))


@_slim("tfexample_decoder", "Image")
class Image(ItemHandler):
    """An image decoded by what its bytes are; the format `raw` takes the bytes as pixels."""

    def __init__(
        self,
        image_key: str | None = None,
        format_key: str | None = None,
        shape: Any = None,
        channels: int = 3,
        dtype: Any = uint8,
        repeated: bool = False,
        dct_method: str = "",
    ) -> None:
        self._image_key = image_key or "image/encoded"
        self._format_key = format_key or "image/format"
        super().__init__([self._image_key, self._format_key])
        self._shape, self._channels, self._dtype = shape, channels, dtype
        self._repeated, self._dct_method = repeated, dct_method

    def tensors_to_item(self, keys_to_tensors: dict[str, Any]) -> Any:
        buffers = keys_to_tensors[self._image_key]
        kind = keys_to_tensors[self._format_key]
        if not self._repeated:
            return self._decode(buffers, kind)
        from anode.frontends.tensorflow.api.functional import map_fn

        return map_fn(lambda buffer: self._decode(buffer, kind), buffers, dtype=self._dtype)

    def _decode(self, buffer: Any, kind: Any) -> Any:
        from anode.frontends.tensorflow.api.control_flow import cond
        from anode.frontends.tensorflow.api.image_ops import decode_image

        def raw() -> Any:
            return apply("DecodeRaw", buffer, out_type=self._dtype)

        def known() -> Any:
            return decode_image(buffer, channels=self._channels, dtype=self._dtype)

        first, second = (apply("Equal", kind, text) for text in RAW_FORMATS)
        image = cond(apply("LogicalOr", first, second), raw, known)
        image.set_shape(TensorShape(None))
        if self._shape is not None:
            return apply("Reshape", image, np.array(self._shape, np.int32))
        image.set_shape([None, None, self._channels])
        return image


@_slim("tfexample_decoder", "TFExampleDecoder")
class TFExampleDecoder(DataDecoder):
    """Parses an Example by `keys_to_features`, and makes items of its tensors."""

    def __init__(self, keys_to_features: Any, items_to_handlers: dict[str, ItemHandler]) -> None:
        self._keys_to_features, self._items_to_handlers = keys_to_features, items_to_handlers

    def list_items(self) -> list[str]:
        return list(self._items_to_handlers)

    def decode(self, data: Any, items: Any = None) -> list[Any]:
        from anode.frontends.tensorflow.api.parsing_ops import parse_single_example

        example = parse_single_example(data, self._keys_to_features)
        found = []
        for item in items or self.list_items():
            handler = self._items_to_handlers[item]
            found.append(handler.tensors_to_item({key: example[key] for key in handler.keys}))
        return found


# providers


@_slim("data_provider", "DataProvider")
class DataProvider:
    """Named tensors, and how many samples there are."""

    def __init__(self, items_to_tensors: dict[str, Any], num_samples: int) -> None:
        self._items_to_tensors, self._num_samples = items_to_tensors, num_samples

    def get(self, items: Sequence[str]) -> list[Any]:
        """The tensors of the items; ValueError for an unknown one."""
        for item in items:
            if item not in self._items_to_tensors:
                known = self._items_to_tensors.keys()
                raise ValueError(f"Item [{item}] is invalid. Valid entries include: {known}")
        return [self._items_to_tensors[item] for item in items]

    def list_items(self) -> Any:
        """The names of the items."""
        return self._items_to_tensors.keys()

    def num_samples(self) -> int:
        """How many samples there are."""
        return self._num_samples


@_slim("dataset_data_provider", "DatasetDataProvider")
class DatasetDataProvider(DataProvider):
    """The items of a data set, read by `num_readers` threads."""

    def __init__(
        self,
        dataset: Any,
        num_readers: int = 1,
        reader_kwargs: Any = None,
        shuffle: bool = True,
        num_epochs: int | None = None,
        common_queue_capacity: int = 256,
        common_queue_min: int = 128,
        record_key: str = "record_key",
        seed: int | None = None,
        scope: str | None = None,
    ) -> None:
        key, data = parallel_read(
            dataset.data_sources,
            reader_class=dataset.reader,
            num_epochs=num_epochs,
            num_readers=num_readers,
            reader_kwargs=reader_kwargs,
            shuffle=shuffle,
            capacity=common_queue_capacity,
            min_after_dequeue=common_queue_min,
            seed=seed,
            scope=scope,
        )
        items = dataset.decoder.list_items()
        tensors = dict(zip(items, dataset.decoder.decode(data, items), strict=True))
        if record_key in tensors:
            raise ValueError(
                "The item name used for `record_key` cannot also be used for a dataset item: "
                f"{record_key}"
            )
        super().__init__({**tensors, record_key: key}, dataset.num_samples)


# queues


@_slim("parallel_reader", "get_data_files")
def get_data_files(data_sources: Any) -> list[str]:
    """The files of names and patterns; ValueError if there are none."""
    if isinstance(data_sources, (list, tuple)):
        found = [name for source in data_sources for name in get_data_files(source)]
    elif any(mark in data_sources for mark in "*?["):
        found = sorted(glob.glob(data_sources))
    else:
        found = [data_sources]
    if not found:
        raise ValueError(f"No data files found in {data_sources}")
    return found


def _fullness(queue: Any, capacity: int) -> None:
    ratio = apply("Mul", apply("Cast", queue.size(), DstT=float32), 1.0 / capacity, name="mul")
    scalar(f"fraction_of_{capacity}_full", ratio)


@_slim("parallel_reader", "ParallelReader")
class ParallelReader(ReaderBase):
    """Several readers of the same files, whose records meet in a queue."""

    def __init__(
        self, reader_class: Any, common_queue: Any, num_readers: int = 4, reader_kwargs: Any = None
    ) -> None:
        self._readers = [reader_class(**(reader_kwargs or {})) for _ in range(num_readers)]
        self._common_queue = common_queue
        super().__init__(self._readers[0].reader_ref)

    @property
    def num_readers(self) -> int:
        """How many readers there are."""
        return len(self._readers)

    @property
    def common_queue(self) -> Any:
        """Where the records meet."""
        return self._common_queue

    def read(self, queue: Any, name: str | None = None) -> Any:
        """The next key and record of any reader."""
        ops = [self._common_queue.enqueue(reader.read(queue)) for reader in self._readers]
        add_queue_runner(QueueRunner(self._common_queue, ops))
        return self._common_queue.dequeue(name=name)


@_slim("parallel_reader", "parallel_read")
def parallel_read(
    data_sources: Any,
    reader_class: Any,
    num_epochs: int | None = None,
    num_readers: int = 4,
    reader_kwargs: Any = None,
    shuffle: bool = True,
    dtypes: Any = None,
    capacity: int = 256,
    min_after_dequeue: int = 128,
    seed: int | None = None,
    scope: str | None = None,
) -> Any:
    """The next key and record of the files, read by several readers."""
    files = get_data_files(data_sources)
    with name_scope(scope, "parallel_read"):
        names = string_input_producer(
            files, num_epochs=num_epochs, shuffle=shuffle, seed=seed, name="filenames"
        )
        types, name = dtypes or [string, string], "common_queue"
        common: Any
        if shuffle:
            common = RandomShuffleQueue(capacity, min_after_dequeue, types, seed=seed, name=name)
        else:
            common = FIFOQueue(capacity, types, name=name)
        _fullness(common, capacity)
        return ParallelReader(reader_class, common, num_readers, reader_kwargs).read(names)


@_slim("parallel_reader", "single_pass_read")
def single_pass_read(
    data_sources: Any, reader_class: Any, reader_kwargs: Any = None, scope: str | None = None
) -> ReaderRead:
    """The next key and record, each file once and in order."""
    files = get_data_files(data_sources)
    with name_scope(scope, "single_pass_read"):
        names = string_input_producer(files, num_epochs=1, shuffle=False, capacity=1, name="names")
        found: ReaderRead = reader_class(**(reader_kwargs or {})).read(names)
        return found


@_slim("prefetch_queue", "prefetch_queue")
def prefetch_queue(
    tensors: Any,
    capacity: int = 8,
    num_threads: int = 1,
    dynamic_pad: bool = False,
    shared_name: str | None = None,
    name: str | None = None,
) -> Any:
    """A queue of what the tensors, a list or a dict of them, will be."""
    names = sorted(tensors) if isinstance(tensors, dict) else None
    values = [convert_to_tensor(tensors[n]) for n in names] if names else list(tensors)
    with name_scope(name, "prefetch_queue", values):
        kind = PaddingFIFOQueue if dynamic_pad else FIFOQueue
        queue = kind(
            capacity=capacity,
            dtypes=[tensor.dtype.base_dtype for tensor in values],
            shapes=[tensor.shape for tensor in values],
            names=names,
            shared_name=shared_name,
        )
        add_queue_runner(QueueRunner(queue, [queue.enqueue(tensors)] * num_threads))
        _fullness(queue, capacity)
        return queue


@_slim("queues", "QueueRunners", data=False)
@contextmanager
def queue_runners(session: Any) -> Iterator[None]:
    """Queue runners that run as long as the block."""
    coordinator = Coordinator()
    threads = start_queue_runners(session, coord=coordinator)
    try:
        yield
    finally:
        coordinator.request_stop()
        try:
            coordinator.join(threads, stop_grace_period_secs=120)
        except RuntimeError:
            session.close()

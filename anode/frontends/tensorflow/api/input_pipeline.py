"""Pipelines of queues: producers of names, numbers and slices; batches of what threads put in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from anode.frontends.tensorflow.api.array_ops import shape, size
from anode.frontends.tensorflow.api.coordinator import QueueRunner, add_queue_runner
from anode.frontends.tensorflow.api.queues import (
    FIFOQueue,
    PaddingFIFOQueue,
    QueueBase,
    RandomShuffleQueue,
)
from anode.frontends.tensorflow.api.random_ops import random_shuffle
from anode.frontends.tensorflow.api.sparse_ops import SparseTensor
from anode.frontends.tensorflow.api.summary import scalar
from anode.frontends.tensorflow.dtypes import float32, int32, int64, string, variant
from anode.frontends.tensorflow.graph import (
    apply,
    constant,
    constant_value,
    control_dependencies,
    convert_to_tensor,
    name_scope,
    no_op,
)
from anode.frontends.tensorflow.opdef import export
from anode.frontends.tensorflow.tensor_shape import TensorShape

INPUT = "train.input"


def _public(name: str) -> Callable[[Any], Any]:
    return export(f"train.{name}", f"{INPUT}.{name}")


# producers


@_public("limit_epochs")
def limit_epochs(tensor: Any, num_epochs: int | None = None, name: str | None = None) -> Any:
    """The tensor, which can be read `num_epochs` times; then an OutOfRangeError.

    It counts in a local variable, so `tf.local_variables_initializer` must run first.
    """
    if num_epochs is None:
        return tensor
    if num_epochs <= 0:
        raise ValueError(f"num_epochs must be > 0 not {num_epochs}.")
    from anode.frontends.tensorflow.api.variables import Variable

    with name_scope(name, "limit_epochs", [tensor]) as scope:
        zero = constant(0, dtype=int64)
        epochs = Variable(zero, name="epochs", trainable=False, collections=["local_variables"])
        counter = epochs.count_up_to(num_epochs)
        with control_dependencies([counter]):
            return apply("Identity", tensor, name=scope)


@_public("input_producer")
def input_producer(
    input_tensor: Any,
    element_shape: Any = None,
    num_epochs: int | None = None,
    shuffle: bool = True,
    seed: int | None = None,
    capacity: int = 32,
    shared_name: str | None = None,
    summary_name: str | None = None,
    name: str | None = None,
    cancel_op: Any = None,
) -> QueueBase:
    """A queue of the rows of a tensor, epoch after epoch, with its runner."""
    with name_scope(name, "input_producer", [input_tensor]) as scope:
        tensor = convert_to_tensor(input_tensor, name="input_tensor")
        element_shape = tensor.shape[1:].merge_with(TensorShape(element_shape))
        if not element_shape.is_fully_defined():
            raise ValueError(
                "Either `input_tensor` must have a fully defined shape or `element_shape` must be "
                "specified"
            )
        if shuffle:
            tensor = random_shuffle(tensor, seed=seed)
        tensor = limit_epochs(tensor, num_epochs)
        queue = FIFOQueue(
            capacity,
            [tensor.dtype.base_dtype],
            shapes=[element_shape],
            shared_name=shared_name,
            name=scope,
        )
        add_queue_runner(QueueRunner(queue, [queue.enqueue_many([tensor])], cancel_op=cancel_op))
        if summary_name is not None:
            fullness = apply(
                "Mul", apply("Cast", queue.size(), DstT=float32), 1.0 / capacity, name="mul"
            )
            scalar(summary_name, fullness)
        return queue


@_public("string_input_producer")
def string_input_producer(
    string_tensor: Any,
    num_epochs: int | None = None,
    shuffle: bool = True,
    seed: int | None = None,
    capacity: int = 32,
    shared_name: str | None = None,
    name: str | None = None,
    cancel_op: Any = None,
) -> QueueBase:
    """A queue of strings, of file names mostly; ValueError for an empty list."""
    empty = "string_input_producer requires a non-null input tensor"
    if not hasattr(string_tensor, "op") and not len(string_tensor):
        raise ValueError(empty)
    with name_scope(name, "input_producer", [string_tensor]) as scope:
        tensor = convert_to_tensor(string_tensor, dtype=string)
        some = apply("Greater", size(tensor), 0)
        with control_dependencies([apply("Assert", some, [empty], name="Assert/Assert")]):
            tensor = apply("Identity", tensor)
        return input_producer(
            tensor,
            element_shape=[],
            num_epochs=num_epochs,
            shuffle=shuffle,
            seed=seed,
            capacity=capacity,
            shared_name=shared_name,
            name=scope,
            summary_name=f"fraction_of_{capacity}_full",
            cancel_op=cancel_op,
        )


@_public("range_input_producer")
def range_input_producer(
    limit: Any,
    num_epochs: int | None = None,
    shuffle: bool = True,
    seed: int | None = None,
    capacity: int = 32,
    shared_name: str | None = None,
    name: str | None = None,
) -> QueueBase:
    """A queue of the numbers from 0 up to, not including, `limit`."""
    with name_scope(name, "input_producer", [limit]) as scope:
        numbers = apply("Range", 0, limit, 1, name="range")
        return input_producer(
            numbers,
            [],
            num_epochs,
            shuffle,
            seed,
            capacity,
            shared_name,
            f"fraction_of_{capacity}_full",
            scope,
        )


@_public("slice_input_producer")
def slice_input_producer(
    tensor_list: Any,
    num_epochs: int | None = None,
    shuffle: bool = True,
    seed: int | None = None,
    capacity: int = 32,
    shared_name: str | None = None,
    name: str | None = None,
) -> list[Any]:
    """One row of each of the tensors, the same row, another one at each run."""
    with name_scope(name, "input_producer", tensor_list):
        tensors = [convert_to_tensor(tensor) for tensor in tensor_list]
        if not tensors:
            raise ValueError("Expected at least one tensor in slice_input_producer().")
        length = shape(tensors[0])[0]
        queue = range_input_producer(
            length, num_epochs, shuffle, seed, capacity, shared_name=shared_name
        )
        index = queue.dequeue()
        return [apply("GatherV2", tensor, index, 0) for tensor in tensors]


# batches


def _tensor_list(tensors: Any) -> list[Any]:
    if isinstance(tensors, dict):
        return [tensors[key] for key in sorted(tensors, key=str)]
    return list(tensors)


def _like(original: Any, dequeued: Any) -> Any:
    """What was dequeued in the form of what was put in."""
    if not isinstance(original, dict):
        return dequeued
    tensors = [dequeued] if len(original) == 1 else dequeued
    return dict(zip(sorted(original, key=str), tensors, strict=True))


def _validated(tensors: Sequence[Any]) -> list[Any]:
    found = [_boxed(tensor) for tensor in tensors]
    if not found:
        raise ValueError("Expected at least one tensor in batch().")
    return found


def _boxed(tensor: Any) -> Any:
    """A tensor; one that stands for a sparse one."""
    if isinstance(tensor, SparseTensor):
        return apply("BoxSparse", *tensor._components)
    return convert_to_tensor(tensor)


def _unboxed(original: Sequence[Any], dequeued: Any) -> Any:
    """What was dequeued, with the sparse tensors as such."""
    found = list(dequeued) if isinstance(dequeued, list) else [dequeued]
    for index, tensor in enumerate(original):
        if isinstance(tensor, SparseTensor):
            parts = apply("UnboxSparse", found[index], T=tensor.dtype)
            rank = tensor.shape.ndims
            shapes: list[list[Any]] = [[None, None if rank is None else rank + 1], [None]]
            for part, shape in zip(parts, [*shapes, shapes[0][1:]], strict=True):
                part.set_shape(shape)
            found[index] = SparseTensor(*parts)
    return found if isinstance(dequeued, list) else found[0]


def _validated_lists(lists: Any) -> list[list[Any]]:
    found = [_validated(tensors) for tensors in lists]
    if not found:
        raise ValueError("Expected at least one input in batch_join().")
    types = [[tensor.dtype.base_dtype for tensor in tensors] for tensors in found]
    for other in types[1:]:
        if other != types[0]:
            raise TypeError(f"Expected types: {types[0]}, got types: {other}")
    return found


def _keep(keep_input: Any, enqueue_many: bool) -> Any:
    keep = convert_to_tensor(keep_input)
    rank = keep.shape.ndims
    if rank is None:
        raise ValueError("`keep_input` dimensions must be known at graph construction.")
    if enqueue_many is False and rank == 1:
        raise ValueError("`keep_input` cannot be a vector when `enqueue_many=False`.")
    if rank > 1:
        raise ValueError("`keep_input` must be 0 or 1 dimensions.")
    return keep


def _element_shapes(lists: list[list[Any]], shapes: Any, enqueue_many: bool) -> Any:
    if shapes is not None:
        return shapes
    found = []
    for same in zip(*lists, strict=True):
        rows = enqueue_many and same[0].dtype != variant
        sizes = [tensor.shape.as_list()[1 if rows else 0 :] for tensor in same]
        found.append(_common(sizes))
    return found


def _common(shapes: list[list[int | None]]) -> TensorShape:
    """What all the shapes have in common."""
    if any(len(shape) != len(shapes[0]) for shape in shapes):
        return TensorShape(None)
    return TensorShape(
        [sizes[0] if len(set(sizes)) == 1 else None for sizes in zip(*shapes, strict=True)]
    )


def _enqueue(queue: QueueBase, tensors: list[Any], enqueue_many: bool, keep: Any) -> Any:
    put = queue.enqueue_many if enqueue_many else queue.enqueue
    if constant_value(keep) is not None and constant_value(keep).all():  # type: ignore[union-attr]
        return put(tensors)
    if keep.shape.ndims == 1:
        chosen = apply("Cast", keep, DstT=int32)
        kept = [apply("DynamicPartition", t, chosen, num_partitions=2)[1] for t in tensors]
        return put(kept)
    from anode.frontends.tensorflow.control import cond_op

    return cond_op(keep, lambda: [put(tensors)], lambda: [no_op()])[0].op


def _batches(
    kind: str,
    queue_class: Callable[..., QueueBase],
    lists: Any,
    keep_input: Any,
    batch_size: Any,
    enqueue_many: bool,
    shapes: Any,
    smaller: bool,
    fullness: Callable[[QueueBase], tuple[str, Any]],
    name: str | None,
    threads: int = 1,
    **options: Any,
) -> Any:
    """What a batch of any kind is: a queue, its runner, a summary and the dequeue operation."""
    values = [tensor for tensors in lists for tensor in tensors if hasattr(tensor, "graph")]
    original = lists[0] if lists else []
    with name_scope(name, kind, values) as scope:
        lists = _validated_lists(lists)
        keep = _keep(keep_input, enqueue_many)
        queue = queue_class(
            dtypes=[tensor.dtype.base_dtype for tensor in lists[0]],
            shapes=_element_shapes(lists, shapes, enqueue_many),
            **options,
        )
        ops = [_enqueue(queue, tensors, enqueue_many, keep) for tensors in lists]
        add_queue_runner(QueueRunner(queue, ops * threads))
        scalar(*fullness(queue))
        take = queue.dequeue_up_to if smaller else queue.dequeue_many
        return _unboxed(original, take(batch_size, name=scope))


def _filled(capacity: int) -> Callable[[QueueBase], tuple[str, Any]]:
    def fullness(queue: QueueBase) -> tuple[str, Any]:
        size = apply("Cast", queue.size(), DstT=float32)
        return f"fraction_of_{capacity}_full", apply("Mul", size, 1.0 / capacity, name="mul")

    return fullness


def _filled_over(keep: int, capacity: int) -> Callable[[QueueBase], tuple[str, Any]]:
    def fullness(queue: QueueBase) -> tuple[str, Any]:
        above = apply("Maximum", 0, apply("Sub", queue.size(), keep, name="sub"))
        ratio = apply(
            "Mul", apply("Cast", above, DstT=float32), 1.0 / (capacity - keep), name="mul"
        )
        return f"fraction_over_{keep}_of_{capacity - keep}_full", ratio

    return fullness


def _threads(num_threads: int) -> int:
    if num_threads <= 0:
        raise ValueError(f"num_threads must be > 0 not {num_threads}.")
    return num_threads


@_public("maybe_batch")
def maybe_batch(
    tensors: Any,
    keep_input: Any,
    batch_size: Any,
    num_threads: int = 1,
    capacity: int = 32,
    enqueue_many: bool = False,
    shapes: Any = None,
    dynamic_pad: bool = False,
    allow_smaller_final_batch: bool = False,
    shared_name: str | None = None,
    name: str | None = None,
) -> Any:
    """Batches of the tensors for which `keep_input` is true."""
    batch = _batches(
        "batch",
        PaddingFIFOQueue if dynamic_pad else FIFOQueue,
        [_tensor_list(tensors)],
        keep_input,
        batch_size,
        enqueue_many,
        shapes,
        allow_smaller_final_batch,
        _filled(capacity),
        name,
        threads=_threads(num_threads),
        capacity=capacity,
        shared_name=shared_name,
    )
    return _like(tensors, batch)


@_public("batch")
def batch(
    tensors: Any,
    batch_size: Any,
    num_threads: int = 1,
    capacity: int = 32,
    enqueue_many: bool = False,
    shapes: Any = None,
    dynamic_pad: bool = False,
    allow_smaller_final_batch: bool = False,
    shared_name: str | None = None,
    name: str | None = None,
) -> Any:
    """Batches of the tensors, computed by `num_threads` threads; a list or a dict as given."""
    return maybe_batch(
        tensors,
        True,
        batch_size,
        num_threads,
        capacity,
        enqueue_many,
        shapes,
        dynamic_pad,
        allow_smaller_final_batch,
        shared_name,
        name,
    )


@_public("maybe_batch_join")
def maybe_batch_join(
    tensors_list: Any,
    keep_input: Any,
    batch_size: Any,
    capacity: int = 32,
    enqueue_many: bool = False,
    shapes: Any = None,
    dynamic_pad: bool = False,
    allow_smaller_final_batch: bool = False,
    shared_name: str | None = None,
    name: str | None = None,
) -> Any:
    """Batches of what several lists of tensors give where `keep_input` is true."""
    batch = _batches(
        "batch_join",
        PaddingFIFOQueue if dynamic_pad else FIFOQueue,
        [_tensor_list(tensors) for tensors in tensors_list],
        keep_input,
        batch_size,
        enqueue_many,
        shapes,
        allow_smaller_final_batch,
        _filled(capacity),
        name,
        capacity=capacity,
        shared_name=shared_name,
    )
    return _like(tensors_list[0], batch)


@_public("batch_join")
def batch_join(
    tensors_list: Any,
    batch_size: Any,
    capacity: int = 32,
    enqueue_many: bool = False,
    shapes: Any = None,
    dynamic_pad: bool = False,
    allow_smaller_final_batch: bool = False,
    shared_name: str | None = None,
    name: str | None = None,
) -> Any:
    """Batches of what several lists of tensors give, a thread for each list."""
    return maybe_batch_join(
        tensors_list,
        True,
        batch_size,
        capacity,
        enqueue_many,
        shapes,
        dynamic_pad,
        allow_smaller_final_batch,
        shared_name,
        name,
    )


@_public("maybe_shuffle_batch")
def maybe_shuffle_batch(
    tensors: Any,
    batch_size: Any,
    capacity: int,
    min_after_dequeue: int,
    keep_input: Any,
    num_threads: int = 1,
    seed: int | None = None,
    enqueue_many: bool = False,
    shapes: Any = None,
    allow_smaller_final_batch: bool = False,
    shared_name: str | None = None,
    name: str | None = None,
) -> Any:
    """Batches in random order of the tensors for which `keep_input` is true."""
    batch = _batches(
        "shuffle_batch",
        RandomShuffleQueue,
        [_tensor_list(tensors)],
        keep_input,
        batch_size,
        enqueue_many,
        shapes,
        allow_smaller_final_batch,
        _filled_over(min_after_dequeue, capacity),
        name,
        threads=_threads(num_threads),
        capacity=capacity,
        min_after_dequeue=min_after_dequeue,
        seed=seed,
        shared_name=shared_name,
    )
    return _like(tensors, batch)


@_public("shuffle_batch")
def shuffle_batch(
    tensors: Any,
    batch_size: Any,
    capacity: int,
    min_after_dequeue: int,
    num_threads: int = 1,
    seed: int | None = None,
    enqueue_many: bool = False,
    shapes: Any = None,
    allow_smaller_final_batch: bool = False,
    shared_name: str | None = None,
    name: str | None = None,
) -> Any:
    """Batches in random order, drawn from more than `min_after_dequeue` elements."""
    return maybe_shuffle_batch(
        tensors,
        batch_size,
        capacity,
        min_after_dequeue,
        True,
        num_threads,
        seed,
        enqueue_many,
        shapes,
        allow_smaller_final_batch,
        shared_name,
        name,
    )


@_public("maybe_shuffle_batch_join")
def maybe_shuffle_batch_join(
    tensors_list: Any,
    batch_size: Any,
    capacity: int,
    min_after_dequeue: int,
    keep_input: Any,
    seed: int | None = None,
    enqueue_many: bool = False,
    shapes: Any = None,
    allow_smaller_final_batch: bool = False,
    shared_name: str | None = None,
    name: str | None = None,
) -> Any:
    """Batches in random order of what several lists give where `keep_input` is true."""
    batch = _batches(
        "shuffle_batch_join",
        RandomShuffleQueue,
        [_tensor_list(tensors) for tensors in tensors_list],
        keep_input,
        batch_size,
        enqueue_many,
        shapes,
        allow_smaller_final_batch,
        _filled_over(min_after_dequeue, capacity),
        name,
        capacity=capacity,
        min_after_dequeue=min_after_dequeue,
        seed=seed,
        shared_name=shared_name,
    )
    return _like(tensors_list[0], batch)


@_public("shuffle_batch_join")
def shuffle_batch_join(
    tensors_list: Any,
    batch_size: Any,
    capacity: int,
    min_after_dequeue: int,
    seed: int | None = None,
    enqueue_many: bool = False,
    shapes: Any = None,
    allow_smaller_final_batch: bool = False,
    shared_name: str | None = None,
    name: str | None = None,
) -> Any:
    """Batches in random order of what several lists of tensors give."""
    return maybe_shuffle_batch_join(
        tensors_list,
        batch_size,
        capacity,
        min_after_dequeue,
        True,
        seed,
        enqueue_many,
        shapes,
        allow_smaller_final_batch,
        shared_name,
        name,
    )

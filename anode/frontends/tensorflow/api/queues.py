"""`tf.FIFOQueue` and its relatives: queues of tuples of tensors that a session holds."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from anode.frontends.tensorflow.api.random_seed import get_seed
from anode.frontends.tensorflow.dtypes import as_dtype, int64
from anode.frontends.tensorflow.graph import apply, convert_to_tensor, name_scope
from anode.frontends.tensorflow.opdef import export
from anode.frontends.tensorflow.tensor_shape import TensorShape

OPS = "python.ops.data_flow_ops"


def _type_list(dtypes: Any) -> list[Any]:
    if not isinstance(dtypes, (list, tuple)):
        dtypes = [dtypes]
    return [as_dtype(dtype) for dtype in dtypes]


def _shape_list(shapes: Any, partial: bool = False) -> list[TensorShape] | None:
    """The shapes of the components; one shape, a list of ints, stands for a list of it."""
    if shapes is None:
        return None
    if isinstance(shapes, TensorShape):
        shapes = [shapes]
    if not isinstance(shapes, (tuple, list)):
        raise TypeError("shapes must be a TensorShape or a list or tuple of TensorShapes.")
    if all(shape is None or isinstance(shape, int) for shape in shapes):
        shapes = [shapes]
    found = [TensorShape(shape) for shape in shapes]
    if partial and any(shape.ndims is None for shape in found):
        raise ValueError(f"All shapes must have a defined rank: {found}")
    if not partial and any(not shape.is_fully_defined() for shape in found):
        raise ValueError(f"All shapes must be fully defined: {found}")
    return found


def _name_list(names: Any, dtypes: Sequence[Any]) -> list[str] | None:
    if names is None:
        return None
    if not isinstance(names, (list, tuple)):
        names = [names]
    if len(names) != len(dtypes):
        raise ValueError("List of names must have the same length as the list of dtypes")
    return list(names)


@export("QueueBase", "queue.QueueBase", f"{OPS}.QueueBase")
class QueueBase:
    """The operations that put tuples of tensors into a queue and take them out."""

    def __init__(self, dtypes: Any, shapes: Any, names: Any, queue_ref: Any) -> None:
        self._dtypes = dtypes
        if shapes is not None and len(shapes) != len(dtypes):
            raise ValueError("Queue shapes must have the same length as dtypes")
        self._shapes = [TensorShape(s) for s in shapes or [None] * len(dtypes)]
        self._names = names
        self._queue_ref = queue_ref
        self._name = queue_ref.op.name.split("/")[-1]

    @property
    def queue_ref(self) -> Any:
        """The tensor of the handle."""
        return self._queue_ref

    @property
    def name(self) -> str:
        """The name of the op that makes the queue."""
        name: str = self._queue_ref.op.name
        return name

    @property
    def dtypes(self) -> list[Any]:
        """The types of the components."""
        return list(self._dtypes)

    @property
    def shapes(self) -> list[TensorShape]:
        """The shapes of the components."""
        return self._shapes

    @property
    def names(self) -> list[str] | None:
        """The names of the components, if they have any."""
        return self._names

    def _components(self, vals: Any) -> list[Any]:
        """The values as tensors of the queue's types, in its order."""
        if isinstance(vals, dict):
            vals = self._named(vals)
        elif self._names:
            raise ValueError("You must enqueue a dictionary in a Queue with names")
        elif not isinstance(vals, (list, tuple)):
            vals = [vals]
        if len(vals) != len(self._dtypes):
            raise ValueError(f"{len(vals)} components for the {len(self._dtypes)} of {self.name}")
        return [
            convert_to_tensor(value, dtype, name=f"component_{index}")
            for index, (value, dtype) in enumerate(zip(vals, self._dtypes, strict=True))
        ]

    def _named(self, vals: dict[str, Any]) -> list[Any]:
        if not self._names:
            raise ValueError("Queue must have names to enqueue a dictionary")
        if sorted(self._names, key=str) != sorted(vals, key=str):
            raise ValueError(
                "Keys in dictionary to enqueue do not match names of Queue.  "
                f"Dictionary: ({sorted(vals)}), Queue: ({sorted(self._names)})"
            )
        return [vals[name] for name in self._names]

    def enqueue(self, vals: Any, name: str | None = None) -> Any:
        """The operation that puts one element in; it waits for room."""
        with name_scope(name, f"{self._name}_enqueue", _values(vals)) as scope:
            components = self._components(vals)
            for tensor, shape in zip(components, self._shapes, strict=True):
                tensor.get_shape().assert_is_compatible_with(shape)
            return apply("QueueEnqueueV2", self._queue_ref, components, name=scope)

    def enqueue_many(self, vals: Any, name: str | None = None) -> Any:
        """The operation that puts in the rows of the components, one after the other."""
        with name_scope(name, f"{self._name}_EnqueueMany", _values(vals)) as scope:
            components = self._components(vals)
            batch = components[0].get_shape().with_rank_at_least(1)[0]
            for tensor, shape in zip(components, self._shapes, strict=True):
                rows = tensor.get_shape().with_rank_at_least(1)
                batch = batch.merge_with(rows[0])
                rows[1:].assert_is_compatible_with(shape)
            return apply("QueueEnqueueManyV2", self._queue_ref, components, name=scope)

    def _dequeued(self, op: str, name: str, rows: Any, *inputs: Any) -> Any:
        tensors = apply(op, self._queue_ref, *inputs, component_types=self._dtypes, name=name)
        for tensor, shape in zip(tensors, self._shapes, strict=True):
            tensor.set_shape(shape if rows is ... else TensorShape([rows]).concatenate(shape))
        if self._names:
            return dict(zip(self._names, tensors, strict=True))
        return tensors[0] if len(tensors) == 1 else list(tensors)

    def dequeue(self, name: str | None = None) -> Any:
        """The next element; it waits for one, and raises OutOfRangeError at the end."""
        return self._dequeued("QueueDequeueV2", name or f"{self._name}_Dequeue", ...)

    def dequeue_many(self, n: Any, name: str | None = None) -> Any:
        """The next `n` elements, each component stacked."""
        rows = int(n) if not hasattr(n, "op") else None
        name = name or f"{self._name}_DequeueMany"
        return self._dequeued("QueueDequeueManyV2", name, rows, n)

    def dequeue_up_to(self, n: Any, name: str | None = None) -> Any:
        """The next `n` elements, stacked, or as many as a closed queue still has."""
        name = name or f"{self._name}_DequeueUpTo"
        return self._dequeued("QueueDequeueUpToV2", name, None, n)

    def close(self, cancel_pending_enqueues: bool = False, name: str | None = None) -> Any:
        """The operation after which nothing more can be put in."""
        return apply(
            "QueueCloseV2",
            self._queue_ref,
            cancel_pending_enqueues=cancel_pending_enqueues,
            name=name or f"{self._name}_Close",
        )

    def is_closed(self, name: str | None = None) -> Any:
        """Whether the queue is closed, a bool scalar."""
        return apply("QueueIsClosedV2", self._queue_ref, name=name or f"{self._name}_Is_Closed")

    def size(self, name: str | None = None) -> Any:
        """How many elements are in, an int32 scalar."""
        return apply("QueueSizeV2", self._queue_ref, name=name or f"{self._name}_Size")


def _values(vals: Any) -> list[Any]:
    if isinstance(vals, dict):
        return list(vals.values())
    return list(vals) if isinstance(vals, (list, tuple)) else [vals]


def _queue_ref(op: str, name: str, dtypes: Any, shapes: Any, **attrs: Any) -> Any:
    attrs["shared_name"] = attrs["shared_name"] or ""
    return apply(op, component_types=dtypes, shapes=shapes or [], name=name, **attrs)


@export("FIFOQueue", "queue.FIFOQueue", f"{OPS}.FIFOQueue")
class FIFOQueue(QueueBase):
    """A queue that gives its elements in the order they came."""

    def __init__(
        self,
        capacity: int,
        dtypes: Any,
        shapes: Any = None,
        names: Any = None,
        shared_name: str | None = None,
        name: str = "fifo_queue",
    ) -> None:
        dtypes = _type_list(dtypes)
        shapes = _shape_list(shapes)
        names = _name_list(names, dtypes)
        ref = _queue_ref(
            "FIFOQueueV2", name, dtypes, shapes, capacity=int(capacity), shared_name=shared_name
        )
        super().__init__(dtypes, shapes, names, ref)


@export("RandomShuffleQueue", "queue.RandomShuffleQueue", f"{OPS}.RandomShuffleQueue")
class RandomShuffleQueue(QueueBase):
    """A queue that gives its elements in a random order, and keeps `min_after_dequeue` of them."""

    def __init__(
        self,
        capacity: int,
        min_after_dequeue: int,
        dtypes: Any,
        shapes: Any = None,
        names: Any = None,
        seed: int | None = None,
        shared_name: str | None = None,
        name: str = "random_shuffle_queue",
    ) -> None:
        dtypes = _type_list(dtypes)
        shapes = _shape_list(shapes)
        names = _name_list(names, dtypes)
        seed1, seed2 = get_seed(seed)
        if seed is None and seed1 is not None and shared_name is not None:
            digest = hashlib.md5(f"{seed1}{shared_name}".encode(), usedforsecurity=False)
            seed2 = int(digest.hexdigest()[:8], 16) & 0x7FFFFFFF
        ref = _queue_ref(
            "RandomShuffleQueueV2",
            name,
            dtypes,
            shapes,
            capacity=int(capacity),
            min_after_dequeue=int(min_after_dequeue),
            seed=seed1 or 0,
            seed2=seed2 or 0,
            shared_name=shared_name,
        )
        super().__init__(dtypes, shapes, names, ref)


@export("PaddingFIFOQueue", "queue.PaddingFIFOQueue", f"{OPS}.PaddingFIFOQueue")
class PaddingFIFOQueue(QueueBase):
    """A queue in order whose components may differ in size: what is dequeued is padded."""

    def __init__(
        self,
        capacity: int,
        dtypes: Any,
        shapes: Any,
        names: Any = None,
        shared_name: str | None = None,
        name: str = "padding_fifo_queue",
    ) -> None:
        dtypes = _type_list(dtypes)
        shapes = _shape_list(shapes, partial=True)
        names = _name_list(names, dtypes)
        if shapes is None or len(dtypes) != len(shapes):
            raise ValueError(f"Shapes must be provided for all components, but received {shapes}")
        ref = _queue_ref(
            "PaddingFIFOQueueV2",
            name,
            dtypes,
            shapes,
            capacity=int(capacity),
            shared_name=shared_name,
        )
        super().__init__(dtypes, shapes, names, ref)


@export("PriorityQueue", "queue.PriorityQueue", f"{OPS}.PriorityQueue")
class PriorityQueue(QueueBase):
    """A queue whose first component, an int64, says which element comes first: the least."""

    def __init__(
        self,
        capacity: int,
        types: Any,
        shapes: Any = None,
        names: Any = None,
        shared_name: str | None = None,
        name: str = "priority_queue",
    ) -> None:
        dtypes = _type_list(types)
        shapes = _shape_list(shapes)
        ref = _queue_ref(
            "PriorityQueueV2", name, dtypes, shapes, capacity=int(capacity), shared_name=shared_name
        )
        dtypes = [int64, *dtypes]
        shapes = [TensorShape([]), *shapes] if shapes is not None else shapes
        super().__init__(dtypes, shapes, names, ref)

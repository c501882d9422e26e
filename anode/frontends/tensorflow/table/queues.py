"""Queues: what they hold belongs to the session, and their ops wait as TensorFlow's do."""

from __future__ import annotations

import heapq
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from anode.frontends.tensorflow.errors import (
    CancelledError,
    InvalidArgumentError,
    OutOfRangeError,
)
from anode.frontends.tensorflow.opdef import REQUIRED, host
from anode.frontends.tensorflow.table.dataset import SparseValue, rows_of_sparse, stacked
from anode.frontends.tensorflow.table.resources import resource
from anode.frontends.tensorflow.tensor_shape import TensorShape

Element = tuple[np.ndarray, ...]
Wait = Callable[[Callable[[], Any]], None]  # until a condition holds


@dataclass(eq=False)
class Ticket:
    """A place in the line of those that wait to put in, or to take out."""

    cancelled: bool = False


class Queue:
    """A bounded queue of tuples of arrays; first in, first out.

    Those that put in are served in the order they came, so are those that take out. `close` takes
    its place in the first line, so that whoever came before it still puts in.
    """

    kind = "FIFOQueue"
    padded = False

    def __init__(self, op: Any, shapes: Sequence[Any], capacity: int) -> None:
        self._name = op.name
        self._shapes = [TensorShape(shape) for shape in shapes]
        self._capacity = capacity if capacity >= 0 else 2**31 - 1
        self._changed = threading.Condition()
        self._putting: deque[Ticket] = deque()
        self._taking: deque[Ticket] = deque()
        self._closed = False
        self._elements: Any = deque()

    # how elements are kept; other kinds of queues keep them otherwise

    def _push(self, element: Element) -> None:
        self._elements.append(element)

    def _pop(self) -> Element:
        element: Element = self._elements.popleft()
        return element

    def _give_back(self, elements: Sequence[Element]) -> None:
        self._elements.extendleft(reversed(elements))

    def _ready(self) -> bool:
        return bool(self._elements)

    # waiting

    @contextmanager
    def _turn(self, line: deque[Ticket], what: str, op: Any) -> Iterator[Wait]:
        """The head of the line; gives a function that waits until a condition holds."""
        ticket = Ticket()

        def wait(condition: Callable[[], Any]) -> None:
            self._changed.wait_for(lambda: ticket.cancelled or condition())
            if ticket.cancelled:
                raise CancelledError(None, op, f"{what} operation was cancelled")

        with self._changed:
            line.append(ticket)
            try:
                wait(lambda: line[0] is ticket)
                yield wait
            finally:
                line.remove(ticket)
                self._changed.notify_all()

    def _title(self) -> str:
        return f"{self.kind} '_0_{self._name}'"

    def put(self, elements: Sequence[Element], op: Any) -> None:
        """Put the elements in, one after the other, as there is room; CancelledError if closed."""
        with self._turn(self._putting, "Enqueue", op) as wait:
            if self._closed:
                raise CancelledError(None, op, f"{self._title()} is closed.")
            for element in elements:
                wait(lambda: len(self._elements) < self._capacity)
                self._push(element)
                self._changed.notify_all()

    def take(self, number: int, op: Any, fewer: bool = False) -> list[Element]:
        """The next elements; OutOfRangeError if a closed queue lacks them (with `fewer`: all)."""
        taken: list[Element] = []
        with self._turn(self._taking, "Dequeue", op) as wait:
            try:
                while len(taken) < number:
                    wait(lambda: self._ready() or self._closed)
                    if not self._ready():
                        break
                    taken.append(self._pop())
                    self._changed.notify_all()
            except CancelledError:
                self._give_back(taken)
                raise
            if len(taken) == number or (fewer and taken):
                return taken
            self._give_back(taken)
            raise OutOfRangeError(
                None,
                op,
                f"{self._title()} is closed and has insufficient elements "
                f"(requested {number}, current size {len(self._elements)})",
            )

    def close(self, cancel_pending: bool, op: Any) -> None:
        """Let nothing more in; with `cancel_pending` neither what waits already."""
        with self._changed:
            if cancel_pending:
                self._closed = True
                for ticket in self._putting:
                    ticket.cancelled = True
                self._changed.notify_all()
                return
        with self._turn(self._putting, "Enqueue", op):
            self._closed = True

    def cancel(self) -> None:
        """Wake everybody who waits, with a CancelledError: the session is being closed."""
        with self._changed:
            for ticket in (*self._putting, *self._taking):
                ticket.cancelled = True
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        return self._closed

    def __len__(self) -> int:
        return len(self._elements)

    # what goes in and comes out

    def check(self, element: Element, op: Any) -> None:
        """InvalidArgumentError where the sizes of a component are not those declared."""
        for index, (shape, part) in enumerate(zip(self._shapes, element, strict=False)):
            if not isinstance(part, SparseValue) and not shape.is_compatible_with(part.shape):
                got = list(part.shape)
                raise InvalidArgumentError(
                    None,
                    op,
                    f"Shape mismatch in tuple component {index}. Expected {shape}, got {got}",
                )

    def rows(self, columns: Sequence[Any], op: Any) -> list[Element]:
        """The elements that the rows of the components are."""
        split = [_rows(column) for column in columns]
        for index, rows in enumerate(split):
            if rows is None or len(rows) != len(split[0] or ()):
                raise InvalidArgumentError(
                    None,
                    op,
                    "All input tensors must have the same size in the 0th dimension. Component "
                    f"{index} has {len(rows or ())}, and should have {len(split[0] or ())}",
                )
        return list(zip(*split, strict=True))

    def batch(
        self, elements: Sequence[Element], types: Sequence[Any], op: Any
    ) -> tuple[np.ndarray, ...]:
        """The components of several elements, each stacked."""
        if not self._shapes:
            raise InvalidArgumentError(
                None,
                op,
                f"{self.kind}'s DequeueMany and DequeueUpTo require the components to have "
                "specified shapes.",
            )
        if not elements:
            return tuple(
                np.empty((0, *(size or 0 for size in shape.as_list())), dtype.as_numpy_dtype)
                for shape, dtype in zip(self._shapes, types, strict=True)
            )
        columns = zip(*elements, strict=True)
        return tuple(self._stacked(parts) for parts in columns)

    def _stacked(self, parts: Sequence[Any]) -> Any:
        if isinstance(parts[0], SparseValue):
            return stacked(parts, 0)
        return padded(parts) if self.padded else np.stack(parts)


def _rows(column: Any) -> list[Any] | None:
    """The rows of a component; None for a scalar."""
    if isinstance(column, SparseValue):
        return list(rows_of_sparse(column))
    return [column[row, ...] for row in range(len(column))] if column.ndim else None


def _copied(part: Any) -> Any:
    """A copy, as a fed array may change later."""
    return part if isinstance(part, SparseValue) else np.array(part)


def padded(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Arrays of one rank stacked; the shorter ones are filled with zeros, or empty strings."""
    sizes = [max(sizes) for sizes in zip(*(part.shape for part in parts), strict=True)]
    filler: Any = b"" if parts[0].dtype == object else 0
    result = np.full((len(parts), *sizes), filler, parts[0].dtype)
    for row, part in zip(result, parts, strict=True) if sizes else ():
        row[tuple(slice(size) for size in part.shape)] = part
    if not sizes:
        result[...] = np.stack(parts)
    return result


class PaddingQueue(Queue):
    """A first-in first-out queue whose components may differ in size: batches are padded."""

    kind = "PaddingFIFOQueue"
    padded = True


class ShuffleQueue(Queue):
    """A queue that gives any of its elements, and keeps a number of them until it is closed."""

    kind = "RandomShuffleQueue"

    def __init__(
        self, op: Any, shapes: Sequence[Any], capacity: int, keep: int, seeds: tuple[int, int]
    ) -> None:
        super().__init__(op, shapes, capacity)
        self._elements: list[Element] = []
        self._keep = keep
        self._random = np.random.default_rng(seeds if any(seeds) else None)

    def _pop(self) -> Element:
        index = int(self._random.integers(len(self._elements)))
        last = self._elements.pop()
        if index == len(self._elements):
            return last
        chosen, self._elements[index] = self._elements[index], last
        return chosen

    def _give_back(self, elements: Sequence[Element]) -> None:
        self._elements.extend(elements)

    def _ready(self) -> bool:
        return len(self._elements) > (0 if self._closed else self._keep)


class PriorityQueue(Queue):
    """A queue that gives the element whose first component is least."""

    kind = "PriorityQueue"

    def __init__(self, op: Any, shapes: Sequence[Any], capacity: int) -> None:
        super().__init__(op, [[], *shapes], capacity)
        self._elements: list[tuple[int, int, Element]] = []
        self._numbers = count()

    def _push(self, element: Element) -> None:
        heapq.heappush(self._elements, (int(element[0]), next(self._numbers), element))

    def _pop(self) -> Element:
        return heapq.heappop(self._elements)[2]

    def _give_back(self, elements: Sequence[Element]) -> None:
        for element in elements:
            self._push(element)


QUEUE: dict[str, Any] = {"component_types": REQUIRED, "shapes": (), "capacity": -1}
NAMED: dict[str, Any] = {"container": "", "shared_name": ""}


@host("FIFOQueueV2", " -> resource", shape="scalar", stateful=True, **QUEUE, **NAMED)
def _(*, run: Any, shapes: Any, capacity: int, shared_name: str, **_: Any) -> Any:
    return resource(run, shared_name, lambda: Queue(run.op, shapes, capacity))


@host("PaddingFIFOQueueV2", " -> resource", shape="scalar", stateful=True, **QUEUE, **NAMED)
def _(*, run: Any, shapes: Any, capacity: int, shared_name: str, **_: Any) -> Any:
    return resource(run, shared_name, lambda: PaddingQueue(run.op, shapes, capacity))


@host("PriorityQueueV2", " -> resource", shape="scalar", stateful=True, **QUEUE, **NAMED)
def _(*, run: Any, shapes: Any, capacity: int, shared_name: str, **_: Any) -> Any:
    return resource(run, shared_name, lambda: PriorityQueue(run.op, shapes, capacity))


@host(
    "RandomShuffleQueueV2",
    " -> resource",
    shape="scalar",
    stateful=True,
    **QUEUE,
    min_after_dequeue=0,
    seed=0,
    seed2=0,
    **NAMED,
)
def _(
    *,
    run: Any,
    shapes: Any,
    capacity: int,
    min_after_dequeue: int,
    seed: int,
    seed2: int,
    shared_name: str,
    **_: Any,
) -> Any:
    def make() -> Queue:
        return ShuffleQueue(run.op, shapes, capacity, min_after_dequeue, (seed, seed2))

    return resource(run, shared_name, make)


def _forever(timeout_ms: int) -> None:
    if timeout_ms != -1:
        raise InvalidArgumentError(None, None, "Timeout not supported yet.")


@host(
    "QueueEnqueueV2", "handle:resource components:[Tcomponents] -> ", timeout_ms=-1, stateful=True
)
def _(handle: Queue, components: list[np.ndarray], *, run: Any, timeout_ms: int) -> tuple[()]:
    _forever(timeout_ms)
    copies = tuple(_copied(part) for part in components)
    handle.check(copies, run.op)
    handle.put([copies], run.op)
    return ()


@host(
    "QueueEnqueueManyV2",
    "handle:resource components:[Tcomponents] -> ",
    timeout_ms=-1,
    stateful=True,
)
def _(handle: Queue, components: list[np.ndarray], *, run: Any, timeout_ms: int) -> tuple[()]:
    _forever(timeout_ms)
    elements = handle.rows([_copied(part) for part in components], run.op)
    for element in elements[:1]:
        handle.check(element, run.op)
    handle.put(elements, run.op)
    return ()


@host(
    "QueueDequeueV2",
    "handle:resource -> [component_types]",
    shape="unknown",
    timeout_ms=-1,
    stateful=True,
)
def _(handle: Queue, *, run: Any, timeout_ms: int) -> Element:
    _forever(timeout_ms)
    [element] = handle.take(1, run.op)
    return element


@host(
    "QueueDequeueManyV2",
    "handle:resource n:int32 -> [component_types]",
    shape="unknown",
    timeout_ms=-1,
    stateful=True,
)
def _(
    handle: Queue, n: np.ndarray, *, component_types: Any, run: Any, timeout_ms: int
) -> tuple[np.ndarray, ...]:
    _forever(timeout_ms)
    return handle.batch(handle.take(int(n), run.op), component_types, run.op)


@host(
    "QueueDequeueUpToV2",
    "handle:resource n:int32 -> [component_types]",
    shape="unknown",
    timeout_ms=-1,
    stateful=True,
)
def _(
    handle: Queue, n: np.ndarray, *, component_types: Any, run: Any, timeout_ms: int
) -> tuple[np.ndarray, ...]:
    _forever(timeout_ms)
    return handle.batch(handle.take(int(n), run.op, fewer=True), component_types, run.op)


@host("QueueCloseV2", "handle:resource -> ", cancel_pending_enqueues=False, stateful=True)
def _(handle: Queue, *, run: Any, cancel_pending_enqueues: bool) -> tuple[()]:
    handle.close(cancel_pending_enqueues, run.op)
    return ()


@host("QueueIsClosedV2", "handle:resource -> bool", shape="scalar", stateful=True)
def _(handle: Queue) -> np.ndarray:
    return np.array(handle.closed)


@host("QueueSizeV2", "handle:resource -> int32", shape="scalar", stateful=True)
def _(handle: Queue) -> np.ndarray:
    return np.array(len(handle), np.int32)


@host("BoxSparse", "indices:int64 values:T dense_shape:int64 -> variant", shape="scalar")
def _(indices: np.ndarray, values: np.ndarray, dense_shape: np.ndarray) -> list[SparseValue]:
    return [SparseValue(indices, values, dense_shape)]


@host("UnboxSparse", "handle:variant -> int64 T int64", shape="unknown")
def _(handle: SparseValue) -> SparseValue:
    return handle

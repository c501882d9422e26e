"""The iterators of `tf.data`: a session's places in sources of elements."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from anode.frontends.tensorflow import errors
from anode.frontends.tensorflow.opdef import host
from anode.frontends.tensorflow.table.dataset import Element, Source
from anode.frontends.tensorflow.table.dataset_ops import ELEMENT, held, scalar_bytes, unpacked
from anode.frontends.tensorflow.table.resources import resource


class Position:
    """An iterator of a session: a place in the elements of a source, once it is initialised."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._items: Iterator[Element] | None = None

    @property
    def ready(self) -> bool:
        return self._items is not None

    def start(self, source: Source) -> None:
        """Go to the first element."""
        with self._lock:
            self._items = source.elements()

    def next(self, op: Any) -> list[Any]:
        """The next element's values; OutOfRangeError at the end."""
        with self._lock:
            if self._items is None:
                raise errors.FailedPreconditionError(
                    None,
                    op,
                    "GetNext() failed because the iterator has not been initialized. Ensure that "
                    "you have run the initializer operation for this iterator before getting the "
                    "next element.",
                )
            found = next(self._items, None)
        if found is None:
            raise errors.OutOfRangeError(None, op, "End of sequence")
        return unpacked(found)


NAMED: dict[str, Any] = {"shared_name": "", "container": ""}


@host("IteratorV2", " -> resource", shape="scalar", stateful=True, **NAMED, **ELEMENT)
def _(*, run: Any, shared_name: str, **_: Any) -> Position:
    found: Position = resource(run, shared_name, Position)
    return found


@host(
    "OneShotIterator",
    " -> resource",
    shape="scalar",
    stateful=True,
    dataset_factory=None,
    **NAMED,
    **ELEMENT,
)
def _(*, run: Any, dataset_factory: Any, shared_name: str, **_: Any) -> Position:
    from anode.frontends.tensorflow.plan import Plan

    position: Position = resource(run, shared_name, Position)
    if not position.ready:
        tensor = held(run, dataset_factory, "tensor")
        [source] = Plan(tensor.graph, [tensor], [], []).run(run.session, [])
        position.start(source)
    return position


@host("MakeIterator", "dataset:variant iterator:resource -> ", stateful=True)
def _(dataset: Source, iterator: Position) -> tuple[()]:
    iterator.start(dataset)
    return ()


@host(
    "IteratorGetNext",
    "iterator:resource -> [output_types]",
    output_shapes=(),
    shape="unknown",
    stateful=True,
)
def _(iterator: Position, *, run: Any, **_: Any) -> list[Any]:
    return iterator.next(run.op)


@host("IteratorToStringHandle", "resource_handle:resource -> string", shape="scalar", stateful=True)
def _(iterator: Position, *, run: Any) -> np.ndarray:
    handles = run.session.resource("iterators by handle", dict)
    handle = b"iterator-%d" % id(iterator)
    handles[handle] = iterator
    return scalar_bytes(handle)


@host(
    "IteratorFromStringHandleV2",
    "string_handle:string -> resource",
    shape="scalar",
    stateful=True,
    **ELEMENT,
)
def _(string_handle: Any, *, run: Any, **_: Any) -> Position:
    handles = run.session.resource("iterators by handle", dict)
    handle = bytes(np.asarray(string_handle).item())
    if handle not in handles:
        raise errors.InvalidArgumentError(
            None, run.op, f"no iterator of this session has the handle {handle!r}"
        )
    found: Position = handles[handle]
    return found

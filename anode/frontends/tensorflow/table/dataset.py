"""Data sets as values of a run: where elements come from, in which order, and how they are grouped.

A source gives elements, tuples of arrays. Elements that are rows of arrays in memory have a table,
and then only row numbers are shuffled, repeated and skipped: a batch gathers its rows at once.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice, repeat
from typing import Any, NamedTuple

import numpy as np

from anode.frontends.tensorflow.errors import DataLossError, InvalidArgumentError, OpError
from anode.frontends.tensorflow.table.resources import object_array

Element = tuple[Any, ...]
Call = Callable[[Element], Element]
DRAWS = 1024  # random numbers drawn at once


class SparseValue(NamedTuple):
    """A sparse component of an element."""

    indices: np.ndarray
    values: np.ndarray
    dense_shape: np.ndarray


class Source:
    """Elements that can be gone through again and again."""

    table: Rows | None = None

    def elements(self) -> Iterator[Element]:
        """The elements, from the first one."""
        table = self.table
        if table is None:
            raise NotImplementedError
        return map(table.row, self.rows())

    def rows(self) -> Iterator[int]:
        """The row numbers of the elements, if there is a table."""
        raise NotImplementedError


class Rows(Source):
    """The rows of arrays in memory."""

    def __init__(self, arrays: Sequence[Any]) -> None:
        self._arrays = [rows_of_sparse(a) if isinstance(a, SparseValue) else a for a in arrays]
        self._length = len(self._arrays[0])
        self.table = self
        for array in self._arrays:
            if len(array) != self._length:
                raise InvalidArgumentError(
                    None, None, f"Dimensions {self._length} and {len(array)} are not compatible"
                )

    def __len__(self) -> int:
        return self._length

    @property
    def arrays(self) -> list[Any]:
        """What the rows are of."""
        return self._arrays

    def row(self, index: int) -> Element:
        """One element."""
        return tuple([_item(array, index) for array in self._arrays])

    def gather(self, rows: list[int]) -> Element:
        """The rows stacked."""
        indices = np.array(rows, np.intp)
        return tuple([_gathered(array, indices) for array in self._arrays])

    def rows(self) -> Iterator[int]:
        return iter(range(self._length))


def _item(array: Any, index: int) -> Any:
    return array[index] if isinstance(array, list) else array[index, ...]


def _gathered(array: Any, indices: np.ndarray) -> Any:
    if isinstance(array, list):
        return stacked([array[index] for index in indices], 0)
    return array.take(indices, axis=0)


def rows_of_sparse(value: SparseValue) -> list[SparseValue]:
    found = []
    for row in range(int(value.dense_shape[0])):
        here = value.indices[:, 0] == row
        found.append(
            SparseValue(value.indices[here, 1:], value.values[here], value.dense_shape[1:])
        )
    return found


class Listed(Source):
    """Elements that are known."""

    def __init__(self, elements: Sequence[Element]) -> None:
        self._elements = elements

    def elements(self) -> Iterator[Element]:
        return iter(self._elements)


class Streamed(Source):
    """Elements that a function goes through: files, a generator."""

    def __init__(self, start: Callable[[], Iterable[Element]]) -> None:
        self._start = start

    def elements(self) -> Iterator[Element]:
        return iter(self._start())


class Ordered(Source):
    """The elements of another source in an order of its own; subclasses say which, by `order`."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.table = source.table

    def order(self, start: Callable[[], Iterator[Any]]) -> Iterator[Any]:
        """The items, rows or elements; `start` gives those of the other source."""
        raise NotImplementedError

    def elements(self) -> Iterator[Element]:
        if self.table is not None:
            return super().elements()
        return self.order(self._source.elements)

    def rows(self) -> Iterator[int]:
        return self.order(self._source.rows)


class Repeated(Ordered):
    """All elements `count` times, or for ever if it is negative."""

    def __init__(self, source: Source, count: int) -> None:
        super().__init__(source)
        self._count = count

    def order(self, start: Callable[[], Iterator[Any]]) -> Iterator[Any]:
        if self._count >= 0:
            return chain.from_iterable(start() for _ in range(self._count))
        return _forever(start)


def _forever(start: Callable[[], Iterator[Any]]) -> Iterator[Any]:
    while True:
        items = start()
        first = next(items, _forever)
        if first is _forever:  # nothing at all: TensorFlow ends, too
            return
        yield first
        yield from items


class Sliced(Ordered):
    """Every `step`-th element from `first` up to `last` (None: all)."""

    def __init__(self, source: Source, first: int, last: int | None, step: int = 1) -> None:
        super().__init__(source)
        self._slice = (first, last, step)

    def order(self, start: Callable[[], Iterator[Any]]) -> Iterator[Any]:
        return islice(start(), *self._slice)


class Shuffled(Ordered):
    """Elements drawn at random from a buffer that is filled up from the source.

    Without seeds the order differs at each run; with `again` it differs in each epoch.
    """

    def __init__(self, source: Source, size: int, seeds: tuple[int, int], again: bool) -> None:
        super().__init__(source)
        self._size, self._again = size, again
        self._seeds = list(seeds) if any(seeds) else [np.random.SeedSequence().entropy]
        self._epoch = 0

    def order(self, start: Callable[[], Iterator[Any]]) -> Iterator[Any]:
        random = np.random.default_rng([*self._seeds, self._epoch])
        self._epoch += self._again
        return _drawn(start(), self._size, random)


def _drawn(items: Iterator[Any], size: int, random: np.random.Generator) -> Iterator[Any]:
    buffer = list(islice(items, size))
    draws = chain.from_iterable(
        random.integers(len(buffer), size=DRAWS).tolist() for _ in repeat(None)
    )
    if len(buffer) == size:
        for item, index in zip(items, draws, strict=False):
            chosen, buffer[index] = buffer[index], item
            yield chosen
    for index in random.permutation(len(buffer)).tolist():
        yield buffer[index]


class Cached(Ordered):
    """The elements as they came the first time, kept in memory or in a file."""

    def __init__(self, source: Source, path: str) -> None:
        super().__init__(source)
        self._path = path
        self._kept: list[Any] | None = None
        if path:
            self.table = None
            self._kept = self._loaded()

    def _loaded(self) -> list[Any] | None:
        if not os.path.exists(self._path + ".pickle"):
            return None
        with open(self._path + ".pickle", "rb") as file:
            found: list[Any] = pickle.load(file)
        return found

    def order(self, start: Callable[[], Iterator[Any]]) -> Iterator[Any]:
        return iter(self._kept) if self._kept is not None else self._keeping(start())

    def _keeping(self, items: Iterator[Any]) -> Iterator[Any]:
        kept = []
        for item in items:
            kept.append(item)
            yield item
        self._kept = kept
        if self._path:
            with open(self._path + ".pickle", "wb") as file:
                pickle.dump(kept, file)


class Concatenated(Source):
    """The elements of one source, then those of another."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources

    def elements(self) -> Iterator[Element]:
        return chain.from_iterable(source.elements() for source in self._sources)


class Zipped(Source):
    """Elements of several sources side by side, up to the end of the shortest."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources
        plain = [source for source in sources if isinstance(source, Rows)]
        if len(plain) == len(sources) and len({len(source) for source in plain}) == 1:
            self.table = Rows([array for source in plain for array in source.arrays])

    def rows(self) -> Iterator[int]:
        assert self.table is not None
        return self.table.rows()

    def elements(self) -> Iterator[Element]:
        columns = zip(*(source.elements() for source in self._sources), strict=False)
        return (tuple(chain.from_iterable(parts)) for parts in columns)


class Batched(Source):
    """Elements stacked, `size` at a time; the last batch may be smaller unless it is dropped."""

    def __init__(self, source: Source, size: int, drop: bool) -> None:
        if size <= 0:
            raise InvalidArgumentError(None, None, "Batch size must be greater than zero.")
        self._source, self._size, self._drop = source, size, drop

    def elements(self) -> Iterator[Element]:
        table = self._source.table
        items: Iterator[Any] = self._source.elements() if table is None else self._source.rows()
        collate = self.collate if table is None else table.gather

        def next_batch() -> Element | None:
            found = list(islice(items, self._size))
            if not found or (self._drop and len(found) < self._size):
                return None
            return collate(found)

        return iter(next_batch, None)

    def collate(self, elements: list[Element]) -> Element:
        """The components of several elements, each stacked."""
        columns = zip(*elements, strict=True)
        return tuple([stacked(parts, index) for index, parts in enumerate(columns)])


def stacked(parts: Sequence[Any], component: int) -> Any:
    """Arrays of one shape along a new first axis; sparse ones too."""
    if isinstance(parts[0], SparseValue):
        return _stacked_sparse(parts)
    if isinstance(parts[0], Source):
        return object_array(parts)
    try:
        return np.stack(parts)
    except ValueError:
        odd = next(i for i, part in enumerate(parts) if part.shape != parts[0].shape)
        raise InvalidArgumentError(
            None,
            None,
            f"Cannot batch tensors with different shapes in component {component}. First element "
            f"had shape {list(parts[0].shape)} and element {odd} had shape "
            f"{list(parts[odd].shape)}.",
        ) from None


def _stacked_sparse(parts: Sequence[SparseValue]) -> SparseValue:
    rows = [np.full((len(part.values), 1), i, np.int64) for i, part in enumerate(parts)]
    indices = [np.hstack([row, part.indices]) for row, part in zip(rows, parts, strict=True)]
    sizes = np.max([part.dense_shape for part in parts], axis=0)
    return SparseValue(
        np.concatenate(indices).astype(np.int64),
        np.concatenate([part.values for part in parts]),
        np.array([len(parts), *sizes], np.int64),
    )


class PaddedBatched(Batched):
    """Batches of elements of unlike sizes, filled up to the largest or to what is asked."""

    def __init__(
        self, source: Source, size: int, drop: bool, shapes: Sequence[Any], values: Sequence[Any]
    ) -> None:
        super().__init__(source, size, drop)
        self._shapes, self._values = shapes, values

    def elements(self) -> Iterator[Element]:
        items = self._source.elements()

        def next_batch() -> Element | None:
            found = list(islice(items, self._size))
            if not found or (self._drop and len(found) < self._size):
                return None
            return self.collate(found)

        return iter(next_batch, None)

    def collate(self, elements: list[Element]) -> Element:
        columns = zip(zip(*elements, strict=True), self._shapes, self._values, strict=True)
        return tuple([padded(parts, shape, value) for parts, shape, value in columns])


def padded(parts: Sequence[np.ndarray], shape: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Arrays stacked in one of `shape`, where a negative size is the largest that occurs."""
    found = np.max([part.shape for part in parts], axis=0).astype(int)
    sizes = [int(most) if size < 0 else int(size) for most, size in zip(found, shape, strict=True)]
    if (found > sizes).any():
        raise DataLossError(
            None,
            None,
            "Attempted to pad to a smaller size than the input element: "
            f"{found.tolist()} to {sizes}",
        )
    result = np.full((len(parts), *sizes), np.asarray(value)[()], parts[0].dtype)
    for index, part in enumerate(parts):
        place: Any = (index, *map(slice, part.shape))
        result[place] = part if part.ndim else part[()]
    return result


class Mapped(Source):
    """What a function makes of each element."""

    def __init__(self, source: Source, call: Call) -> None:
        self._source, self._call = source, call

    def elements(self) -> Iterator[Element]:
        return map(self._call, self._source.elements())


class Filtered(Source):
    """The elements for which a function gives true."""

    def __init__(self, source: Source, call: Call) -> None:
        self._source, self._call = source, call

    def elements(self) -> Iterator[Element]:
        return filter(lambda element: bool(self._call(element)[0]), self._source.elements())


class TakenWhile(Source):
    """The elements before the first for which a function gives false."""

    def __init__(self, source: Source, call: Call) -> None:
        self._source, self._call = source, call

    def elements(self) -> Iterator[Element]:
        for element in self._source.elements():
            if not self._call(element)[0]:
                return
            yield element


class Interleaved(Source):
    """Elements of the sources that a function makes, `block` of each of `cycle` in turn."""

    def __init__(self, source: Source, call: Call, cycle: int, block: int) -> None:
        self._source, self._call = source, call
        self._cycle, self._block = cycle, block

    def elements(self) -> Iterator[Element]:
        inputs = map(self._call, self._source.elements())
        slots: list[Iterator[Element] | None] = [None] * self._cycle
        index, ended = 0, False
        while not ended or any(slots):
            if slots[index] is None and not ended:
                made = next(inputs, None)
                ended = made is None
                slots[index] = None if made is None else made[0].elements()
                continue
            items = slots[index]
            block = [] if items is None else islice(items, self._block)
            given = 0
            for element in block:
                given += 1
                yield element
            if given < self._block:
                slots[index] = None
            index = (index + 1) % self._cycle


class Windowed(Source):
    """Sources of `size` neighbouring elements, one for each component; see `Dataset.window`."""

    def __init__(self, source: Source, size: int, shift: int, stride: int, drop: bool) -> None:
        self._source, self._drop = source, drop
        self._size, self._shift, self._stride = size, shift, stride

    def elements(self) -> Iterator[Element]:
        items = self._source.elements()
        reach = (self._size - 1) * self._stride + 1
        buffer: list[Element] = []
        while True:
            buffer += islice(items, max(0, reach - len(buffer)))
            window = buffer[: reach : self._stride]
            if not window or (self._drop and len(window) < self._size):
                return
            yield tuple(
                Listed([(part,) for part in column]) for column in zip(*window, strict=True)
            )
            skipped = self._shift - len(buffer)
            buffer = buffer[self._shift :]
            for _ in islice(items, max(0, skipped)):
                pass


class Grouped(Source):
    """What a function makes of windows of elements with the same key."""

    def __init__(self, source: Source, key: Call, reduce: Call, size: Call) -> None:
        self._source, self._key, self._reduce, self._window_size = source, key, reduce, size

    def elements(self) -> Iterator[Element]:
        groups: dict[int, list[Element]] = {}
        sizes: dict[int, int] = {}
        for element in self._source.elements():
            key = int(self._key(element)[0])
            group = groups.setdefault(key, [])
            group.append(element)
            if key not in sizes:
                sizes[key] = int(self._window_size((np.array(key, np.int64),))[0])
            if len(group) == sizes[key]:
                yield from self._reduced(key, groups.pop(key))
        for key in sorted(groups):
            yield from self._reduced(key, groups[key])

    def _reduced(self, key: int, group: list[Element]) -> Iterator[Element]:
        made = self._reduce((np.array(key, np.int64), Listed(group)))[0]
        found: Iterator[Element] = made.elements()
        return found


class Scanned(Source):
    """What a function makes of a state and each element: a new state and an element."""

    def __init__(self, source: Source, state: Element, call: Call) -> None:
        self._source, self._state, self._call = source, state, call

    def elements(self) -> Iterator[Element]:
        state = self._state
        for element in self._source.elements():
            result = self._call((*state, *element))
            state = result[: len(state)]
            yield result[len(state) :]


class Unbatched(Source):
    """The rows of each element."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def elements(self) -> Iterator[Element]:
        return chain.from_iterable(Rows(element).elements() for element in self._source.elements())


class Numbered(Source):
    """Elements with their number in front."""

    def __init__(self, source: Source, start: int) -> None:
        self._source, self._start = source, start

    def elements(self) -> Iterator[Element]:
        numbered = enumerate(self._source.elements(), self._start)
        return ((np.array(number, np.int64), *element) for number, element in numbered)


class Distinct(Source):
    """Elements of one component, each value once."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def elements(self) -> Iterator[Element]:
        seen = set()
        for element in self._source.elements():
            value = np.asarray(element[0]).tobytes()
            value = element[0].item() if element[0].dtype == object else value
            if value not in seen:
                seen.add(value)
                yield element


class Lenient(Source):
    """The elements that can be had; those that raise an error are left out."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def elements(self) -> Iterator[Element]:
        items = self._source.elements()
        while True:
            try:
                yield next(items)
            except StopIteration:
                return
            except OpError:
                continue


class Chosen(Source):
    """The next element of the source whose number another source says."""

    def __init__(self, numbers: Source, sources: Sequence[Source]) -> None:
        self._numbers, self._sources = numbers, sources

    def elements(self) -> Iterator[Element]:
        open_sources = [source.elements() for source in self._sources]
        left = set(range(len(open_sources)))
        for (number,) in self._numbers.elements():
            found = next(open_sources[int(number)], None)
            if found is not None:
                yield found
            else:
                left.discard(int(number))
            if not left:
                return

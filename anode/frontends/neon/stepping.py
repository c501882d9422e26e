"""Step: a function of Tensors, recorded, compiled and replayed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from operator import is_
from typing import Any

import numpy as np

from anode.frontends.neon import PACKAGE, NervanaObject, logger
from anode.frontends.neon.backends.tensor import Tensor
from anode.frontends.neon.tracing import Cell, Programs, Recording, from_host, recorded
from anode.ir.graph import Graph
from anode.runtime.executable import Executable

# Of a model, and of optimisers: their steps' inputs.
_COUNTS = frozenset(["epoch_index", "t", "current_batch", "gen_iter", "last_gen_batch", "finished"])
_ASIDE = ("prev_layer", "next_layer", "init", "bias")  # no parts of a layer's step
_PLAIN = frozenset([int, float, bool, str, type(None)])


class Plan:
    """One recording of a step, compiled.

    Cells that the step reads before it writes them, and those that were asked for, get their new
    values with each run. The others are promised: computed from the last run's inputs when somebody
    reads them, and with each run from then on.
    """

    def __init__(
        self,
        record: Recording,
        args: Iterable[Tensor],
        results: Any,
        state: Any,
        programs: Programs,
        what: str,
    ) -> None:
        self.leaves, self.hosts = list(record.leaves), record.hosts
        self.values, self.results, self.state = dict(record.written), results, state
        self.graph = record.graph(list(self.values.values()))
        self.frozen = False
        self._record, self._programs, self._what = record, programs, what
        self._args = [tensor.cell for tensor in args]
        self._born = {cell: cell.array for cell in self.leaves if cell in record.born}
        wanted = [*(t.cell for t in tensors_of(results)), *self._args]
        self.kept = {cell for cell in wanted if cell in self.values}
        self._arrays: list[np.ndarray] = []
        self._written: list[Cell] = []
        self._executable: Executable | None = None

    def freeze(self) -> None:
        """Stand for all later runs: what the recording made for itself is made anew each time."""
        self.frozen, self._executable = True, None

    def run(self, args: Iterable[Tensor]) -> Any:
        """Run for arguments in place of those recorded; gives the results."""
        now = dict(zip(self._args, (t.cell for t in args), strict=True))
        arrays = [self._value(now.get(cell, cell)) for cell in self.leaves]
        for cell, bound in self._record.bounds:
            bound.check(self._value(now.get(cell, cell)))
        self._record.now = now
        arrays += [from_host(f, node) for f, node in self.hosts]
        if self._executable is None:
            self._written = [c for c in self.values if c in self.kept or self._is_carried(c)]
            self._executable = self._programs.compiled(self._closed(self._written), self._what)
        outputs = self._executable(*arrays)
        self._arrays = arrays
        for cell in self.leaves:
            now.get(cell, cell).lent = True
        for cell in self.values:
            cell.promise = self
        for cell, value in zip(self._written, outputs, strict=True):
            cell.promise = None
            now.get(cell, cell).array = value
        return self.results

    def keep(self, cell: Cell) -> None:
        """Compute a promised cell for the last run, and with every run from now on."""
        self.kept.add(cell)
        self._executable = None
        (cell.array,) = self._programs.run(self._closed([cell]), self._arrays, self._what)

    def _value(self, cell: Cell) -> np.ndarray:
        return self._born[cell] if self.frozen and cell in self._born else cell.array

    def _is_carried(self, cell: Cell) -> bool:
        if self.frozen and cell in self._born:
            return False
        return cell in self._record.leaves

    def _closed(self, cells: Iterable[Cell]) -> Graph:
        return self._record.graph([self.values[cell] for cell in cells])


class Step:
    """`step(*tensors)` is the function's value; it is recorded anew only where it has to be.

    `parts` gives the objects whose Python the function runs: what plain values these hold decides
    whether a recording still stands. With classes of the user's among them it is recorded each
    time, and its graph looked up: Python may count. So is a function that asks for a value in its
    midst; it runs in parts.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        programs: Programs,
        parts: Callable[[], list[Any]] = list,
    ) -> None:
        self._function, self._programs, self._parts = function, programs, parts
        self._plans: dict[Any, Plan] = {}
        self._lifts = self._told = False

    def __call__(self, *args: Any) -> Any:
        tensors, key = list(tensors_of(args)), _key(args)
        plan = self._plans.get(key)
        if plan is not None and plan.frozen and plan.state.stands():
            return plan.run(tensors)
        return self._recorded(key, args, tensors)

    def _recorded(self, key: Any, args: Any, tensors: list[Tensor]) -> Any:
        parts = self._parts()
        state, record = State(parts), Recording(self._lifts)
        with recorded(record):
            results = self._function(*args)
        state.settle()
        if record.breaks:
            record.commit(self._programs)
            self._tell(f"{self._function.__qualname__} reads values in its midst: it runs in parts")
            return results
        what = self._function.__qualname__
        plan = Plan(record, tensors, results, state, self._programs, what)
        before = self._plans.get(key)
        if before is not None:
            plan.kept |= {cell for cell in before.kept if cell in plan.values}
            self._compare(before, plan, parts)
        self._plans[key] = plan
        return plan.run(tensors)

    def _compare(self, before: Plan, plan: Plan, parts: list[Any]) -> None:
        if plan.graph is not before.graph:
            self._lifts = True  # numbers changed; they become inputs
        elif all(map(is_own, parts)):
            plan.freeze()
        else:
            self._tell("a step with layers or functions of your own is recorded for each minibatch")

    def _tell(self, why: str) -> None:
        if not self._told:
            logger.warning(why)
            self._told = True


def tensors_of(value: Any) -> Iterator[Tensor]:
    """The tensors in nested lists and tuples."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from tensors_of(part)


def _key(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.cell.type, value.views
    if isinstance(value, (list, tuple)):
        return tuple(map(_key, value))
    return value


class State:
    """What Python's part of a step depends on: numbers, flags, texts and parts that objects hold.

    The weights of layers, and what optimisers remember of them, count too, as they are when the
    step has been recorded (`settle`): it is these that it will change.
    """

    def __init__(self, objects: Iterable[Any]) -> None:
        self._objects = list(objects)
        self._held = [
            (vars(thing), name, value)
            for thing in self._objects
            for name, value in vars(thing).items()
            if name not in _COUNTS and (type(value) in _PLAIN or isinstance(value, NervanaObject))
        ]
        self._weights: list[Tensor] = []

    def settle(self) -> None:
        """Take the layers' weights to be those there are."""
        self._weights = self._found()

    def stands(self) -> bool:
        """Whether the objects still hold the same."""
        for held, name, old in self._held:
            value = held.get(name)
            if value is not old and (isinstance(old, NervanaObject) or value != old):
                return False
        found = self._found()
        return len(found) == len(self._weights) and all(map(is_, found, self._weights))

    def _found(self) -> list[Tensor]:
        layers = [thing for thing in self._objects if getattr(thing, "has_params", False)]
        return [tensor for layer in layers for tensor in tensors_of(layer.get_params())]


def parts_of(thing: Any, seen: set[int] | None = None) -> Iterator[NervanaObject]:
    """An object of neon and those that it holds, in lists and dicts too."""
    seen = set() if seen is None else seen
    if id(thing) in seen:
        return
    seen.add(id(thing))
    if isinstance(thing, NervanaObject):
        yield thing
        thing = {k: v for k, v in vars(thing).items() if not k.startswith(_ASIDE)}
    if isinstance(thing, dict):
        thing = list(thing.values())
    if isinstance(thing, (list, tuple)):
        for part in thing:
            if isinstance(part, (NervanaObject, list, tuple, dict)):
                yield from parts_of(part, seen)


def is_own(thing: Any) -> bool:
    """Whether an object's class is of this package."""
    return type(thing).__module__.startswith(PACKAGE)

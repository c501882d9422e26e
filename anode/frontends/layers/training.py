"""Training: the step of a model as one graph, and the loop that runs it over data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from anode import ops
from anode.errors import DataError
from anode.frontends.layers import structure
from anode.frontends.layers.callbacks import Callback
from anode.frontends.layers.costs import Cost
from anode.frontends.layers.optimizers import Optimizer
from anode.frontends.layers.structure import Types, Values
from anode.ir.graph import Graph, close
from anode.ir.node import Node, read
from anode.ops.taps import Watch
from anode.runtime.executable import Executable
from anode.transform.grad import gradients

if TYPE_CHECKING:
    from anode.frontends.layers.model import Model
    from anode.frontends.layers.precision import Precision
    from anode.ir.variable import Variable


@dataclass
class Progress:
    """How far a model has been trained: whole epochs, and minibatches of the next one.

    `position` is where the data stood when a checkpoint was written, until training takes it up.
    """

    epoch: int = 0
    batch: int = 0
    position: tuple[int, int] | None = None
    callbacks: dict[str, Any] = field(default_factory=dict)


class TrainingStep:
    """`step(x, y)` trains a model on one minibatch and gives the mean cost before the step, f32[].

    Cost, gradients and updates are one graph, compiled once for each shape of minibatch. Both may
    be tuples of arrays, such as padded sequences with their lengths.
    """

    def __init__(
        self, model: Model, cost: Cost, optimizer: Optimizer, precision: Precision | None = None
    ) -> None:
        self.model, self.cost, self.optimizer = model, cost, optimizer
        self.precision = precision
        self.executables: dict[Any, Executable] = {}
        self._rates = optimizer.rates(0)
        self._state: object = None
        self._version = model.version

    def __call__(self, x: Values, y: Values) -> np.ndarray:
        given: tuple[Any, ...] = x, y
        if self._version is not self.model.version:
            self._renew()
        try:
            executable = self.executables[x.shape, x.dtype, y.shape, y.dtype]  # type: ignore[union-attr]
        except (KeyError, AttributeError):
            x, y = structure.arrays(x), structure.arrays(y)
            executable, given = self.compile(x, y), structure.items(x) + structure.items(y)
        if self._state is not self.model.state or self.model.stepping is not self:
            self.attach(executable.graph)
        loss: np.ndarray = executable(*given, state=self.model.state)[0]
        return loss

    def compile(self, x: Values, y: Values) -> Executable:
        """The executable for minibatches like these."""
        if self._version is not self.model.version:
            self._renew()
        if isinstance(x, tuple) or isinstance(y, tuple):
            key: Any = structure.key(x), structure.key(y)
        else:
            key = x.shape, x.dtype, y.shape, y.dtype
        if key not in self.executables:
            self.model.build(x)
            types = [structure.types(value) for value in (x, y)]
            self.executables[key] = self.model.compile(*self._traced(*types))
        return self.executables[key]

    def _renew(self) -> None:
        """Take up the settings and taps that the model has now."""
        self.executables.clear()
        self._state, self._version = None, self.model.version

    def set_epoch(self, epoch: int) -> None:
        """Give the variables of learning rates their values for an epoch."""
        self._rates = self.optimizer.rates(epoch)
        self.model.stepping = None

    def graph(self, x: Types, y: Types) -> Graph:
        """The step for a minibatch of these types."""
        return self._traced(x, y, tapped=False)[0]

    def _traced(self, x: Types, y: Types, *, tapped: bool = True) -> tuple[Graph, Watch]:
        """The step, whose last outputs are what the model's taps need."""
        inputs, (given, targets) = structure.inputs(x, y)
        prediction, scope = self.model.forward(given, training=True, target=targets)
        loss = ops.mean(self.cost.rows(prediction.wide, targets))
        seen = self.model.watch(scope, prediction.outputs) if tapped else Watch.of(())
        outputs = [loss, *seen.nodes]
        parameters = [v for v in scope.variables.values() if self.model.trains(v)]
        if self.precision is None:
            found: Sequence[Node] = gradients([loss], [read(v) for v in parameters])
            updates = scope.updates | self.model.updates(self.optimizer, parameters, found)
        else:
            outputs, updates, found = self._mixed(outputs, scope.updates, parameters)
        if tapped:
            changes = dict(zip(parameters, found, strict=True))
            slopes = self.model.watch(scope, prediction.outputs, changes)
            seen, outputs = seen + slopes, [*outputs, *slopes.nodes]
        names = [*structure.names("xy", (x, y)), "cost", *seen.names]
        return close(inputs, outputs, updates.items(), names=names), seen

    def _mixed(
        self,
        outputs: Sequence[Node],
        updates: Mapping[Variable, Node],
        parameters: Sequence[Variable],
    ) -> tuple[list[Node], dict[Variable, Node], Sequence[Node]]:
        """Outputs, the loss first, all updates, and gradients, with products in a half type."""
        precision = self.precision
        assert precision is not None
        values = precision.lowered([*outputs, *updates.values()])
        outputs, values = values[: len(outputs)], values[len(outputs) :]
        found = precision.gradients(outputs[0], parameters)
        statistics = dict(zip(updates, values, strict=True))
        updated = statistics | self.model.updates(self.optimizer, parameters, found)
        return list(outputs), precision.guarded(updated, found), found

    def attach(self, graph: Graph) -> None:
        """Put the optimiser's variables, and its rates, into the model's state."""
        self.model.add_slots([v for v in graph.variables if "optimizer" in v.collections])
        self._state, self.model.stepping = self.model.state, self
        for variable, rate in self._rates.items():
            self.model.state[variable] = rate


class Training:
    """A run of `Model.fit`, which callbacks get.

    `epoch` is the current one, from 0, of `epochs`; `batch` counts minibatches done in it, of
    `batches` (None if the data do not tell); `cost` is the last minibatch's, `rows` the rows seen
    in this run. A callback that sets `stopped` ends training after the current minibatch.
    """

    def __init__(
        self,
        model: Model,
        data: Iterable[Any],
        step: TrainingStep,
        epochs: int,
        callbacks: Sequence[Callback],
    ) -> None:
        self.model, self.data, self.step, self.epochs = model, data, step, epochs
        self.callbacks = sorted(callbacks, key=lambda callback: callback.order)
        self.epoch, self.rows, self.cost, self.stopped = (
            model.progress.epoch,
            0,
            float("nan"),
            False,
        )
        self._left_over = False  # only the end of the epoch: its minibatches came before
        self.batches = len(data) if hasattr(data, "__len__") else None  # type: ignore[arg-type]

    @property
    def batch(self) -> int:
        return self.model.progress.batch

    def run(self) -> None:
        """Train to the end of the last epoch, or until a callback stops."""
        self._resume()
        self._call("on_train_begin")
        try:
            while self.model.progress.epoch < self.epochs and not self.stopped:
                self._run_epoch()
        finally:
            self._call("on_train_end")

    def saved_callbacks(self) -> dict[str, Any]:
        """What each callback wants to keep, by class and number."""
        return {name: callback.saved() for name, callback in _numbered(self.callbacks)}

    def _run_epoch(self) -> None:
        progress = self.model.progress
        self.epoch = progress.epoch
        self.step.set_epoch(self.epoch)
        self._call("on_epoch_begin")
        begins, ends = self._hooks("on_minibatch_begin"), self._hooks("on_minibatch_end")
        step, before = self.step, self.rows
        for x, y in self._minibatches():
            for hook in begins:
                hook(self)
            self.cost = float(step(x, y))
            self.rows += structure.rows(x)
            progress.batch += 1
            for hook in ends:
                hook(self)
            if self.stopped and not self._was_last():
                return
        if self.rows == before and not progress.batch:
            raise DataError(
                "the data gave no minibatch; an iterator can be used for one epoch only"
            )
        progress.epoch, progress.batch = self.epoch + 1, 0
        self._call("on_epoch_end")

    def _minibatches(self) -> Iterator[Any]:
        if self._left_over:  # the data are in the next epoch already
            self._left_over = False
            return iter(())
        if hasattr(self.data, "position"):
            return iter(self.data)
        return islice(self.data, self.model.progress.batch, None)

    def _was_last(self) -> bool:
        """Whether the minibatch that was trained on is the epoch's last, as far as can be known."""
        if hasattr(self.data, "position"):
            return bool(self.data.position[1] == 0)
        return self.batch == self.batches

    def _resume(self) -> None:
        """Take up data and callbacks where the checkpoint, if one was loaded, left them."""
        progress = self.model.progress
        if progress.position is not None and hasattr(self.data, "position"):
            self.data.position = progress.position
            self._left_over = progress.batch > 0 and progress.position[1] == 0
        for name, callback in _numbered(self.callbacks):
            if name in progress.callbacks:
                callback.restore(progress.callbacks[name])
        progress.position, progress.callbacks = None, {}

    def _hooks(self, name: str) -> list[Callable[[Training], None]]:
        unused = getattr(Callback, name)
        return [getattr(c, name) for c in self.callbacks if getattr(type(c), name) is not unused]

    def _call(self, name: str) -> None:
        for hook in self._hooks(name):
            hook(self)


def _numbered(callbacks: Iterable[Callback]) -> Iterator[tuple[str, Callback]]:
    counts: dict[str, int] = {}
    for callback in callbacks:
        kind = type(callback).__name__
        yield f"{kind}_{counts.setdefault(kind, 0)}", callback
        counts[kind] += 1

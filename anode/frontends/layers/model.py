"""Model: layers in a row, their variables, and what one does with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple
from os import PathLike
from typing import Any, NamedTuple

import numpy as np

from anode import ops
from anode.backends.base import Backend
from anode.errors import CheckpointError, DataError, GraphError, ShapeError
from anode.frontends.layers import metrics, structure
from anode.frontends.layers.callbacks import Callback, History
from anode.frontends.layers.containers import MergeMultistream
from anode.frontends.layers.costs import Cost, Prediction
from anode.frontends.layers.layers import apply, flatten, named
from anode.frontends.layers.metrics import Metric
from anode.frontends.layers.optimizers import PREFIX, Optimizer, Setting
from anode.frontends.layers.precision import Precision
from anode.frontends.layers.regions import RoiPooling, are_regions
from anode.frontends.layers.scope import RANDOM, Scope
from anode.frontends.layers.selection import Selectable
from anode.frontends.layers.structure import Nodes, Types, Values
from anode.frontends.layers.training import Progress, Training, TrainingStep
from anode.ir.dtypes import dtype_of, f32, i32
from anode.ir.graph import Graph, close
from anode.ir.node import Node
from anode.ir.types import TensorType, tensor
from anode.ir.variable import Variable
from anode.ops.precision import as_dtype
from anode.ops.recurrent import length_mask
from anode.ops.taps import Watch
from anode.runtime import checkpoint
from anode.runtime.executable import Executable, chosen_backend, compile
from anode.runtime.state import State

Measures = Metric | Cost | Sequence[Metric | Cost]
FORMAT = 1  # of checkpoints
FORMATS = ("channels_last", "channels_first")


class Row(NamedTuple):
    """The types of one row of a model's inputs: lengths or other streams are after the first."""

    type: TensorType
    others: tuple[TensorType, ...] = ()

    @classmethod
    def of(cls, x: Values | Types) -> Row:
        """The row of a minibatch."""
        first, *others = (tensor(item.dtype, *item.shape[1:]) for item in structure.items(x))
        return cls(first, tuple(others))

    def __str__(self) -> str:
        shapes = [str(list(type.static)) for type in (self.type, *self.others)]
        return f"shape {' and '.join(shapes)}"

    @property
    def example(self) -> Types:
        """The type of a minibatch of one row."""
        types = tuple(tensor(type.dtype, 1, *type.shape) for type in (self.type, *self.others))
        return types if self.others else types[0]

    def like(self, other: Row) -> bool:
        """Whether both have the same shapes."""
        mine, theirs = ((row.type, *row.others) for row in (self, other))
        return [type.shape for type in mine] == [type.shape for type in theirs]


class Model(Selectable):
    """Layers in a row, such as `Model([Affine(100, bias=0.0, activation=Rectlin()), …])`.

    Layers may be lists of layers, and functions of a node. The first dim of all data is the batch;
    float inputs are converted to `dtype`. Images are channels last inside; with the `data_format`
    "channels_first" inputs of three dims or more have their channels after the batch, as PyTorch
    and Caffe have, but outputs and targets do not. `preprocess` is a function of the input node,
    run inside the graph: `preprocess=unit_range` for images as bytes. `seed` fixes initial values
    and dropout. `backend`, `threads` and `memory_limit` are those of `anode.compile`.

    Variables get their shapes from the first data the model sees (see `build`); after that `state`
    holds them: `model.state.named("Linear_0.weight")`.
    """

    def __init__(
        self,
        layers: Iterable[Any],
        name: str = "model",
        *,
        preprocess: Callable[[Node], Node] | None = None,
        data_format: str = "channels_last",
        dtype: str = "f32",
        seed: int = 0,
        backend: str | Backend | None = None,
        threads: int | None = None,
        memory_limit: int | str | None = None,
    ) -> None:
        super().__init__()
        self.layers = flatten(layers)
        if not self.layers:
            raise ShapeError(f"{name} has no layers")
        self.names = named(self.layers)
        if data_format not in FORMATS:
            raise ShapeError(f"{name}: data_format {data_format!r} is none of {', '.join(FORMATS)}")
        self.name, self.preprocess, self.seed = name, preprocess, seed
        self.data_format, self.dtype = data_format, dtype_of(dtype)
        self.backend, self.threads, self.memory_limit = backend, threads, memory_limit
        self.state = State()
        self.history = History()
        self.progress = Progress()
        self._input: Row | None = None
        self._waiting: dict[str, np.ndarray] = {}  # slots of a checkpoint, until an optimiser comes
        self._executables: dict[Any, Executable] = {}
        self._training: Training | None = None
        self.stepping: TrainingStep | None = None  # whose learning rate the state holds
        self._thawed: set[str] = set()  # since a checkpoint was loaded

    def forward(
        self, x: Nodes, *, training: bool = False, target: Nodes | None = None
    ) -> tuple[Prediction, Scope]:
        """The model's output for the node `x`, and the variables and updates that belong to it.

        A pair is of sequences and their lengths, integers [batch]: see `Layer.lengths`; or of
        images and their regions [batch, count, 4]: see RoiPooling. Where the first layer is a
        MergeMultistream, a tuple has its streams. `target` is what training wants,
        which a decoder learns from.
        """
        scope = Scope(training)
        scope.target = target if isinstance(target, Node) else None
        return scope.prediction(self.through(x, scope)), scope

    def through(self, x: Nodes, scope: Scope) -> Node:
        """The output for the node `x`; what it needs and makes besides is in `scope`."""
        lengths = None
        if isinstance(x, tuple) and isinstance(self.layers[0], MergeMultistream):
            scope.streams = tuple(self._prepared(item) for item in x)
            x = scope.streams[0]
        elif isinstance(x, tuple) and are_regions(x):
            x, scope.regions = self._prepared(x[0]), x[1]
        else:
            x, lengths = _sequences(x)
            x = self._prepared(x)
        if lengths is not None:
            scope.sequences[x] = ops.transpose(length_mask(lengths, int(x.shape[1])))
        for layer in self.layers:
            x = apply(layer, x, scope, self.names[layer])
        pooled = any(isinstance(built.layer, RoiPooling) for built in scope.built)
        if scope.regions is not None and not pooled:
            raise ShapeError(f"{self.name} has no RoiPooling that takes the regions it was given")
        return x

    def _prepared(self, x: Node) -> Node:
        """An input as layers take it."""
        if self.preprocess is not None:
            x = self.preprocess(x)
        if self.data_format == "channels_first" and len(x.shape) > 2:
            x = ops.moveaxis(x, 1, -1)
        if x.dtype.is_float and x.dtype is not self.dtype:
            x = ops.convert(x, dtype=self.dtype)
        return x

    def build(self, x: Values | Types) -> None:
        """Make the variables for rows like those of `x` and give them their initial values.

        Whatever takes data does this first. Rows of another shape than the first time raise
        ShapeError, unless the variables are the same, as with sequences of any length.
        """
        row = Row.of(x)
        if self._input is None:
            self._traced(x).fill(self.state, self.seed)
            self._input = row
        elif not (row.like(self._input) or self._fits(x)):
            raise ShapeError(f"{self.name} was built for rows of {self._input}, got {row}")

    def fit(
        self,
        data: Iterable[Any],
        cost: Cost,
        optimizer: Optimizer,
        epochs: int,
        callbacks: Sequence[Callback] = (),
        *,
        precision: Precision | str | None = None,
    ) -> History:
        """Train until the model has had `epochs` epochs of `data` in all; gives the history.

        `data` yields minibatches (x, y), an epoch at each iteration, such as `anode.data.Batches`.
        After `load`, training continues where the checkpoint was written: the same bits as if it
        had never stopped, if data (with `position`), cost, optimiser and callbacks are the same.
        `precision` "bf16" or "f16", or a Precision, computes products in that type.
        """
        step = self.training_step(cost, optimizer, precision)
        history = next((c for c in callbacks if isinstance(c, History)), None)
        if history is None:
            history, callbacks = self.history, [*callbacks, self.history]
        self.history = history
        self._training = Training(self, data, step, epochs, callbacks)
        self._training.run()
        return history

    def training_step(
        self, cost: Cost, optimizer: Optimizer, precision: Precision | str | None = None
    ) -> TrainingStep:
        """The step that `fit` repeats: `step(x, y)` trains on one minibatch and gives its cost."""
        for value, kind in ((cost, Cost), (optimizer, Optimizer)):
            if not isinstance(value, kind):
                raise ShapeError(f"{value!r} is no {kind.__name__}")
        return TrainingStep(self, cost, optimizer, Precision.of(precision))

    def eval(self, data: Iterable[Any], metric: Measures) -> dict[str, float]:
        """Metrics and costs, by name, over one epoch of `data` from its start; `data` stays put.

        Every row counts once, also those of a smaller last minibatch.
        """
        measures = [metric] if isinstance(metric, (Metric, Cost)) else list(metric)
        totals: list[Any] = [0.0] * len(measures)
        rows = 0
        for x, y in _one_epoch(data):
            values = self._measured(structure.arrays(x), structure.arrays(y), measures)
            totals = [
                total + metrics.count(measure, value).astype(np.float64)
                for total, measure, value in zip(totals, measures, values, strict=True)
            ]
            rows += structure.rows(x)
        if not rows:
            raise DataError("the data gave no minibatch to evaluate")
        found: dict[str, float] = {}
        for measure, total in zip(measures, totals, strict=True):
            found.update(metrics.combine(measure, total, rows))
        return found

    def get_outputs(self, data: Iterable[Any]) -> Any:
        """The outputs for an epoch of `data` from its start, minibatches (x, …) or plain arrays."""
        found = [
            self.predict(batch[0] if isinstance(batch, (tuple, list)) else batch)
            for batch in _one_epoch(data)
        ]
        if not found:
            raise DataError("the data gave no minibatch")
        if isinstance(found[0], tuple):
            return tuple(np.concatenate(parts) for parts in zip(*found, strict=True))
        return np.concatenate(found)

    def predict(self, x: Any) -> Any:
        """The outputs for the rows of the array `x`, as one minibatch; of a Tree a tuple of arrays.

        `x` may be a tuple of sequences and their lengths; outputs beyond these mean nothing.
        """
        x = structure.arrays(x)
        key = structure.key(x)
        if key not in self._executables:
            self.build(x)
            self._executables[key] = self.compile(*self._inference(structure.types(x)))
        found = self._executables[key](*structure.items(x), state=self.state)
        return found[0] if len(found) == 1 else found

    def graph(self, x: Types) -> Graph:
        """Inference for a minibatch of this type."""
        return self._inference(x, tapped=False)[0]

    def _inference(self, x: Types, *, tapped: bool = True) -> tuple[Graph, Watch]:
        """The graph of inference, whose last outputs are what the taps need."""
        inputs, (given,) = structure.inputs(x)
        prediction, scope = self.forward(given)
        scope.fill(self.state, self.seed)
        seen = self.watch(scope, prediction.outputs) if tapped else Watch.of(())
        values = prediction.outputs
        labels = ["y", *(f"y_{i}" for i in range(1, len(values)))]
        names = [*structure.names("x", (x,)), *labels, *seen.names]
        return close(inputs, [*values, *seen.nodes], names=names), seen

    def minibatch(self, rows: int) -> Types:
        """The type of a minibatch of so many rows; GraphError for a model that is not built."""
        if self._input is None:
            raise GraphError(f"{self.name} has no variables yet; call build, fit or predict first")
        types = [
            tensor(type.dtype, rows, *type.shape[1:])
            for type in structure.items(self._input.example)
        ]
        return tuple(types) if isinstance(self._input.example, tuple) else types[0]

    def example(
        self, x: Types | None = None, inits: Mapping[str, Any] | None = None
    ) -> tuple[Scope, list[Node]]:
        given = structure.inputs(self.minibatch(1) if x is None else x)[1][0]
        scope = Scope(training=True)
        scope.inits = inits or {}
        return scope, scope.prediction(self.through(given, scope)).outputs

    def set(self, settings: Mapping[str, Setting]) -> None:
        self._thawed |= {
            name for name, old in self.settings.items() if old.frozen > settings[name].frozen
        }
        super().set(settings)

    def changed(self) -> None:
        self._executables.clear()
        super().changed()

    def compile(self, graph: Graph, watch: Watch | None = None) -> Executable:
        """An executable of a graph on the model's backend; `watch` has its last outputs."""
        self.backend = chosen_backend(self.backend)
        taps = () if watch is None or not watch.nodes else watch
        limit = self.memory_limit
        return compile(graph, self.backend, self.threads, memory_limit=limit, taps=taps)

    def save(self, path: str | PathLike[str]) -> None:
        """Write variables, optimiser slots, random state, progress and history to one file.

        See `anode.runtime.checkpoint`: the file is complete or not there. A model that has not seen
        data has nothing to save and raises GraphError.
        """
        if self._input is None:
            raise GraphError(f"{self.name} has no variables yet; call build, fit or predict first")
        arrays = {variable.name: array for variable, array in self.state.items()} | self._waiting
        checkpoint.save(path, arrays, self._meta(self._input))

    def load(self, path: str | PathLike[str], *, weights_only: bool = False) -> None:
        """Take up what `save` wrote: everything, or only the values of the layers' variables.

        Missing, unexpected and differing variables raise CheckpointError with their names, and the
        model stays as it was.
        """
        arrays, meta = checkpoint.load(path)
        if not isinstance(meta, dict) or meta.get("format") != FORMAT:
            raise CheckpointError(f"{path} is no checkpoint of a model; Model.save writes them")
        self.build(_saved_row(meta).example)
        slots = {name: array for name, array in arrays.items() if name.startswith(PREFIX)}
        values = {name: array for name, array in arrays.items() if name not in slots}
        mine = [v for v in self.state if "optimizer" not in v.collections]
        if weights_only:
            values.pop(RANDOM.name, None)
            mine = [v for v in mine if v is not RANDOM]
        checkpoint.restore(self.state, values, mine, path)
        if not weights_only:
            self.state = State({variable: self.state[variable] for variable in mine})
            self._waiting = slots
            self._take_up(meta)

    def add_slots(self, variables: Iterable[Variable]) -> None:
        """Put an optimiser's variables into the state, with a loaded checkpoint's values."""
        new = [variable for variable in variables if variable not in self.state]
        thawed = tuple(f"{PREFIX}{name}." for name in self._thawed)
        there = [v for v in new if v.name in self._waiting]
        missing = [v.name for v in new if v not in there and not v.name.startswith(thawed)]
        if self._waiting and missing:
            raise CheckpointError(
                f"the loaded checkpoint has no {', '.join(missing)}, "
                f"only {', '.join(self._waiting)}; "
                "train with the same optimiser, or load(path, weights_only=True)"
            )
        if self._waiting:
            slots = State.initial(there)
            checkpoint.restore(slots, {v.name: self._waiting.pop(v.name) for v in there}, there)
            self.state.add(there, self.seed, slots)
        self.state.add(new, self.seed)

    def _take_up(self, meta: dict[str, Any]) -> None:
        position = meta["position"] and tuple(meta["position"])
        self.progress = Progress(meta["epoch"], meta["batch"], position, meta["callbacks"])
        self.history, self._training = History(), None
        saved = meta.get("settings", {})
        self.settings = {name: Setting(*setting) for name, setting in saved.items()}
        self._thawed = set()
        self.changed()
        if "History_0" in meta["callbacks"]:
            self.history.restore(meta["callbacks"]["History_0"])

    def _meta(self, row: Row) -> dict[str, Any]:
        progress, run = self.progress, self._training
        position = progress.position or getattr(run and run.data, "position", None)
        callbacks = run.saved_callbacks() if run else {}
        return {
            "format": FORMAT,
            "model": self.name,
            "dtype": row.type.dtype.name,
            "row": row.type.static,
            "others": [[type.dtype.name, *type.static] for type in row.others],
            "epoch": progress.epoch,
            "batch": progress.batch,
            "position": position and list(position),
            "callbacks": callbacks | progress.callbacks,
            "settings": {name: astuple(setting) for name, setting in self.settings.items()},
        }

    def _traced(self, x: Values | Types) -> Scope:
        """What training on rows like those of `x` has for variables."""
        return self.forward(structure.inputs(structure.types(x))[1][0], training=True)[1]

    def _fits(self, x: Values | Types) -> bool:
        """Whether the model's variables are those for rows like these too."""
        return all(variable in self.state for variable in self._traced(x).variables.values())

    def _measured(
        self, x: Values, y: Values, measures: Sequence[Metric | Cost]
    ) -> tuple[np.ndarray, ...]:
        key = structure.key(x), structure.key(y), tuple(measures)
        if key not in self._executables:
            self.build(x)
            types = structure.types(x), structure.types(y)
            inputs, (given, targets) = structure.inputs(*types)
            prediction, scope = self.forward(given)
            scope.fill(self.state, self.seed)
            sums = [metrics.sums(measure, prediction.wide, targets) for measure in measures]
            seen = self.watch(scope, prediction.outputs)
            labels = [*structure.names("xy", types), *(type(m).__name__ for m in measures)]
            graph = close(inputs, [*sums, *seen.nodes], names=[*labels, *seen.names])
            self._executables[key] = self.compile(graph, seen)
        values = structure.items(x) + structure.items(y)
        return self._executables[key](*values, state=self.state)


def unit_range(x: Node) -> Node:
    """Bytes 0 … 255 as f32 from 0 to 1; the usual `preprocess` of images."""
    return ops.convert(x, dtype=f32) / 255.0


def _saved_row(meta: Mapping[str, Any]) -> Row:
    """The row that a checkpoint's model was built for."""
    others = meta.get("others", [["i32"]] if meta.get("ragged") else [])
    return Row(tensor(meta["dtype"], *meta["row"]), tuple(tensor(*type) for type in others))


def _sequences(x: Nodes) -> tuple[Node, Node | None]:
    """A model's input, and the lengths of its sequences if it has any."""
    if not isinstance(x, tuple):
        return x, None
    if len(x) != 2 or x[1].shape != x[0].shape[:1] or not x[1].dtype.is_integer:
        raise ShapeError(
            "a tuple of inputs is of sequences [batch, steps, …] and their lengths, integers "
            "[batch], or of images and their regions [batch, count, 4], not of "
            f"{', '.join(str(item.type) for item in x)}"
        )
    return x[0], as_dtype(x[1], i32)


def _one_epoch(data: Iterable[Any]) -> Iterator[Any]:
    """The minibatches of one epoch from its start; a `position` is put back afterwards."""
    if not hasattr(data, "position"):
        yield from data
        return
    position = data.position
    data.position = (position[0], 0)
    try:
        yield from data
    finally:
        data.position = position

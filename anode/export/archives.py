"""Archive: named graphs over one state, to be called, trained on, saved and loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any

import numpy as np

from anode.backends.base import Backend
from anode.errors import GraphError, ShapeError, UnsupportedOp
from anode.export.file import Content, Stored, read_archive, write_archive
from anode.frontends.layers.model import Model
from anode.frontends.layers.structure import Types, Values, items, types
from anode.frontends.layers.training import TrainingStep
from anode.ir.graph import Graph
from anode.ir.node import READ, Node, read, remake
from anode.ir.types import TensorType, Type
from anode.ir.variable import Variable
from anode.runtime.executable import Executable, compile
from anode.runtime.state import State

ROWS = 32  # of a minibatch of inference
PREDICT, TRAIN, MAIN = "predict", "train", "main"


@dataclass(frozen=True)
class Function:
    """A graph by its name.

    With `rows`, the first dim of every input and output is of so many rows that do not depend on
    each other: calls may have any number of them.
    """

    name: str
    graph: Graph
    rows: int | None = None

    @property
    def inputs(self) -> dict[str, Type]:
        """The types of the inputs by name; without a name it is their number."""
        return _named(self.graph.input_names, self.graph.types)

    @property
    def outputs(self) -> dict[str, Type]:
        """The types of the outputs by name."""
        return _named(self.graph.output_names, [node.type for node in self.graph.outputs])


class Archive:
    """Functions over one state, such as `predict` and `train` of a model.

    `predict` and `step` call those; `call` calls any. `state` has the variables, which training
    changes: `archive.state.named("Linear_0.weight")`. `backend` and `threads` are those of
    `anode.compile`.
    """

    def __init__(
        self,
        functions: Sequence[Function],
        state: State,
        name: str = "model",
        *,
        backend: str | Backend | None = None,
        threads: int | None = None,
    ) -> None:
        self.functions: Mapping[str, Function] = {each.name: each for each in functions}
        self.state, self.name = state, name
        self.backend, self.threads = backend, threads
        self._executables: dict[str, Executable] = {}

    @property
    def variables(self) -> dict[str, TensorType]:
        """The types of the variables by name."""
        return {variable.name: variable.type for variable in self.state}

    def predict(self, *inputs: Any, **named: Any) -> Any:
        """The output of `predict`, or of the only function: an array, or a tuple of several."""
        only = next(iter(self.functions)) if len(self.functions) == 1 else PREDICT
        return self.call(only, *inputs, **named)

    def step(self, *inputs: Any, **named: Any) -> Any:
        """Train on one minibatch, by `train`; gives the cost before the step."""
        return self.call(TRAIN, *inputs, **named)

    def call(self, name: str, *inputs: Any, **named: Any) -> Any:
        """The output, or a tuple of several, of a function for inputs in order or by name."""
        function = self.function(name)
        arrays = _arranged(function, inputs, named)
        run = self._executable(function)
        if function.rows is None:
            found = run(*arrays, state=self.state)
        else:
            found = _by_rows(run, arrays, function.rows, self.state)
        return found[0] if len(found) == 1 else found

    def save(self, path: str | PathLike[str]) -> None:
        """Write the archive with its state as it is now; the file is complete or not there."""
        stored = [Stored(f.name, f.graph, f.rows) for f in self.functions.values()]
        arrays = {variable.name: array for variable, array in self.state.items()}
        write_archive(path, Content(self.name, tuple(stored), arrays))

    def function(self, name: str) -> Function:
        """The function called `name`; an unknown name raises UnsupportedOp."""
        if name not in self.functions:
            raise UnsupportedOp(
                f"{self.name} has no function {name!r}, only {', '.join(self.functions)}"
            )
        return self.functions[name]

    def _executable(self, function: Function) -> Executable:
        if function.name not in self._executables:
            made = compile(function.graph, self.backend, self.threads)
            self._executables[function.name] = made
        return self._executables[function.name]

    def __repr__(self) -> str:
        lines = [self.name]
        for function in self.functions.values():
            many = "any number of rows" if function.rows else ""
            takes, gives = _signature(function.inputs), _signature(function.outputs)
            lines.append(f"  {function.name}({takes}) -> {gives}  {many}".rstrip())
        return "\n".join([*lines, *(f"  {name}: {type}" for name, type in self.variables.items())])


def archive(
    what: Model | TrainingStep | Graph | Archive,
    *,
    x: Values | Types | None = None,
    y: Values | Types | None = None,
    rows: int = ROWS,
    state: State | None = None,
) -> Archive:
    """What can be saved of a model, a training step, or a graph with its state.

    A model must have seen data. Of a training step `x` and `y` are a minibatch, or its type, whose
    size it keeps. Inference runs in minibatches of `rows`, whatever it is given.
    """
    if isinstance(what, Archive):
        return what
    if isinstance(what, Graph):
        return _of_graphs([Function(MAIN, what)], state or State(), "graph")
    if isinstance(what, Model):
        graph = what.graph(what.minibatch(rows))
        return _of_graphs([Function(PREDICT, graph, rows)], what.state, what.name)
    if isinstance(what, TrainingStep):
        return _of_step(what, x, y, rows)
    raise UnsupportedOp(f"an archive is of a model, a training step or a graph, not {what!r}")


def save(what: Any, path: str | PathLike[str], **options: Any) -> None:
    """Write the `archive` of a model, a training step or a graph to a file."""
    archive(what, **options).save(path)


def load(
    path: str | PathLike[str],
    *,
    backend: str | Backend | None = None,
    threads: int | None = None,
) -> Archive:
    """The archive in a file, which need not be trusted.

    Raises CheckpointError for a file that is missing, damaged, too large or of a newer version, and
    UnsupportedOp for an op that this anode does not have.
    """
    content = read_archive(path)
    functions = [Function(each.name, each.graph, each.rows) for each in content.functions]
    variables = {v: None for function in functions for v in function.graph.variables}
    values = {variable: content.arrays[variable.name] for variable in variables}
    state = State.initial(variables, values=values)
    return Archive(functions, state, content.name, backend=backend, threads=threads)


def _of_step(
    step: TrainingStep, x: Values | Types | None, y: Values | Types | None, rows: int
) -> Archive:
    if x is None or y is None:
        raise ShapeError("give x and y, a minibatch or its types: a training step keeps its size")
    given: list[Types] = [_type(value) for value in (x, y)]
    model = step.model
    model.build(given[0])
    trained = step.graph(*given)
    step.attach(trained)
    inference = Function(PREDICT, model.graph(model.minibatch(rows)), rows)
    return _of_graphs([inference, Function(TRAIN, trained)], model.state, model.name)


def _type(value: Any) -> Types:
    """The type of a minibatch: itself, or that of arrays."""
    is_type = all(isinstance(item, TensorType) for item in items(value))
    return value if is_type else types(value)


def _of_graphs(functions: Sequence[Function], state: State, name: str) -> Archive:
    """The archive of functions, with a copy of the variables that they have."""
    used = dict.fromkeys(v for function in functions for v in function.graph.variables)
    missing = [variable.name for variable in used if variable not in state]
    if missing:
        raise GraphError(f"the state holds no value for {', '.join(missing)}")
    values = {_bare(variable): state[variable].copy() for variable in used}
    bare = [replace(function, graph=_without_inits(function.graph)) for function in functions]
    return Archive(bare, State.initial(values, values=values), name)


def _bare(variable: Variable) -> Variable:
    return replace(variable, init=None)


def _without_inits(graph: Graph) -> Graph:
    """The graph with variables that have values but no initialisers."""
    new: dict[Node, Node] = {}
    for node in graph.nodes:
        args = tuple([new[arg] for arg in node.args])
        is_read = node.op is READ
        new[node] = read(_bare(node.attrs["variable"])) if is_read else remake(node, args)
    return Graph.make(
        graph.types,
        [new[node] for node in graph.outputs],
        [(_bare(variable), new[value]) for variable, value in graph.updates],
        [new[node] for node in graph.effects],
        graph.names,
    )


def _arranged(function: Function, inputs: Sequence[Any], named: Mapping[str, Any]) -> list[Any]:
    """The inputs of a call in the function's order."""
    names = list(function.inputs)
    given = dict(zip(names, inputs, strict=False))
    if len(inputs) > len(names) or set(named) - set(names) or set(named) & set(given):
        raise ShapeError(f"{function.name} takes {', '.join(names)}, each once")
    given |= named
    if missing := [name for name in names if name not in given]:
        raise ShapeError(f"{function.name} needs {', '.join(missing)} too")
    return [given[name] for name in names]


def _by_rows(
    run: Executable, inputs: Sequence[Any], rows: int, state: State
) -> tuple[np.ndarray, ...]:
    """The outputs for any number of rows, in minibatches; the last one repeats its last row."""
    arrays = [np.asarray(x) for x in inputs]
    count = len(arrays[0]) if arrays and arrays[0].ndim else 0
    if not count or any(len(array) != count for array in arrays):
        raise ShapeError(
            f"the inputs have {[a.shape for a in arrays]}: as many rows in each, not 0"
        )
    found = []
    for start in range(0, count, rows):
        parts = [array[start : start + rows] for array in arrays]
        short = rows - len(parts[0])
        full = [np.concatenate([p, np.repeat(p[-1:], short, 0)]) if short else p for p in parts]
        outputs = run(*map(np.ascontiguousarray, full), state=state)
        found.append([output[: rows - short] for output in outputs])
    return tuple(np.concatenate(parts) for parts in zip(*found, strict=True))


def _named(names: Sequence[str], given: Sequence[Type]) -> dict[str, Type]:
    labels = names or [str(i) for i in range(len(given))]
    return dict(zip(labels, given, strict=True))


def _signature(given: Mapping[str, Type]) -> str:
    return ", ".join(f"{name}: {type}" for name, type in given.items())

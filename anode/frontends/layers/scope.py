"""Scope: what building the graph of a model collects besides nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np

from anode import ops
from anode.errors import GraphError, ShapeError
from anode.frontends.layers.axes import NamedValues
from anode.frontends.layers.costs import Prediction
from anode.frontends.layers.initializers import Fans, Initializer, initializer
from anode.ir.dtypes import dtype_of
from anode.ir.node import Node, constant, read
from anode.ir.types import TensorType, tensor
from anode.ir.variable import Variable
from anode.runtime.state import State as Values

# The random key u32[4]: the seed's two words, then the two words of the number of steps so far.
RANDOM = Variable("random", tensor("u32", 4), None, trainable=False, collections=("random",))

Transform = Callable[[Node], Node]
State = tuple[Node, ...]  # of a recurrent layer
Start = Callable[[int], np.ndarray]  # from the seed to a value set by the host


@dataclass(eq=False)
class Built:
    """A layer of a model that has been built: what it made of what, and the layer it is in.

    `start` and `end` count the beginnings and ends of layers.
    """

    path: str
    layer: Any
    x: Any
    inside: Built | None
    start: int
    y: Any = None
    end: int = 0


class Scope:
    """The variables of a model, the updates that training makes, and the random streams drawn.

    `starts` has the host's part of initialisation: functions from the seed to a variable's value.
    """

    def __init__(self, training: bool) -> None:
        self.training = training
        self.variables: dict[str, Variable] = {}
        self.updates: dict[Variable, Node] = {}
        self.starts: dict[Variable, Start] = {}
        self.branches: dict[object, Node] = {}  # the value at each branch node
        self.streams: tuple[Node, ...] = ()  # the model's inputs, where it has several
        self.heads: list[Prediction] = []  # of a tree's branches but the first
        self.regions: Node | None = None  # of the model's images, [batch, count, 4]
        # Values (batch, steps, …), and their masks bool[batch, steps] where lengths differ.
        self.sequences: dict[Node, Node | None] = {}
        self.first_states: list[State] | None = None  # for the recurrent layers to come, in order
        self.last_states: list[State] = []  # of the recurrent layers so far
        self.memory: Node | None = None  # what attention looks at, a sequence
        self.target: Node | None = None  # what training wants of the model, where it is known
        self._activations: dict[Node, tuple[Transform, Node]] = {}
        self._streams = 0
        self.axes = NamedValues()
        self.built: list[Built] = []  # in the order they were begun
        self.inits: Mapping[str, Any] = {}  # of variables, instead of their layers'
        self._within: list[Built] = []
        self._events = 0

    def begin(self, layer: Any, path: str, x: Any) -> None:
        """Note that a layer is being built; layers until its `end` are inside it."""
        self._events += 1
        made = Built(path, layer, x, self._within[-1] if self._within else None, self._events)
        self.built.append(made)
        self._within.append(made)

    def end(self, y: Any) -> None:
        """Note what the layer that was begun last is."""
        self._events += 1
        made = self._within.pop()
        made.y, made.end = y, self._events

    def variable(
        self,
        name: str,
        shape: tuple[int, ...],
        init: Any,
        dtype: object,
        trainable: bool,
        fans: Fans | None,
        kind: str,
    ) -> Node:
        """The value of the variable called `name` of a layer of class `kind`, made on first use."""
        type = TensorType(dtype_of(dtype), tuple(shape))
        if name in self.variables:
            if self.variables[name].type != type:
                raise ShapeError(f"{name} is {self.variables[name].type}, asked for {type}")
            return read(self.variables[name])
        source = initializer(self.inits.get(name, init))
        on_host = _on_host(source)
        graph = None if on_host else source.graph(type, fans or Fans.of(shape))
        role = "weights" if trainable else "statistics"
        made = Variable(name, type, graph, trainable, (role, kind))
        if on_host:
            self.starts[made] = lambda seed: host_value(source, made, seed)
        self.variables[name] = made
        return read(made)

    def fill(self, values: Values, seed: int) -> None:
        """Give the variables that `values` lacks their initial ones."""
        for variable in self.variables.values():
            on_host = variable in self.starts and variable not in values
            given = {variable: self.starts[variable](seed)} if on_host else {}
            values.add([variable], seed, given)

    def update(self, node: Node, value: Node) -> None:
        """Let the variable that `node` reads become `value` after a training step."""
        variable = node.attrs.get("variable")
        if variable is None:
            raise GraphError(f"{node} is no variable; only a layer's own variable can be updated")
        if self.training:
            self.updates[variable] = value

    def followed(self, x: Node, y: Node) -> None:
        """Note that a layer made `y` of `x`: a sequence stays one while batch and steps stay."""
        if x in self.sequences and len(y.shape) > 2 and y.shape[:2] == x.shape[:2]:
            self.sequences.setdefault(y, self.sequences[x])

    def activated(self, y: Node, transform: Transform, x: Node) -> None:
        """Note that `y` is the activation `transform` of `x`, which costs take where they can."""
        if y is not x:
            self._activations[y] = transform, x

    def prediction(self, y: Node) -> Prediction:
        """`y` as a model's output, with what is known of it."""
        transform, x = self._activations.get(y, (None, None))
        ragged = any(mask is not None for mask in self.sequences.values())
        return Prediction(y, transform, x, tuple(self.heads), self.lengths(y), ragged)

    def lengths(self, x: Node) -> Node | None:
        """How many steps count of each sequence in `x`, i32[batch]; None without a mask."""
        mask = self.sequences.get(x)
        return None if mask is None else ops.sum(ops.convert(mask, dtype="i32"), axis=1)

    def draw(self) -> tuple[Node, int]:
        """The random key of the step, and a stream number nothing else in the model has."""
        self._streams += 1  # stream 0 belongs to the initialisers
        self.variables[RANDOM.name] = RANDOM
        self.starts[RANDOM] = random_key
        self.update(read(RANDOM), next_step(read(RANDOM)))
        return read(RANDOM), self._streams


def random_key(seed: int) -> np.ndarray:
    """The value of RANDOM before the first step."""
    return np.array([seed & 0xFFFFFFFF, seed >> 32, 0, 0], np.uint32)


def next_step(key: Node) -> Node:
    """The key with its 64-bit step number, the last two words, increased by one."""
    low = ops.slice(key, start=(2,), limit=(3,), strides=(1,))
    wraps = ops.convert(ops.equal(low, constant(0xFFFFFFFF, "u32")), dtype="u32")
    return key + ops.concatenate(constant(np.array([0, 0, 1], np.uint32)), wraps, axis=0)


def host_value(source: Initializer, variable: Variable, seed: int) -> np.ndarray:
    """What a host initialiser gives; random ones depend on the seed and the variable's name."""
    key = np.array([seed, crc32(variable.name.encode())], np.uint64)
    try:
        value = source.value(variable.type.static, np.random.Generator(np.random.Philox(key=key)))
    except ShapeError as error:
        raise ShapeError(f"{variable.name}: {error}") from None
    assert value is not None
    return value.astype(variable.type.dtype.numpy, copy=False)


def _on_host(source: Initializer) -> bool:
    return type(source).value is not Initializer.value

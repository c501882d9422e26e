"""Deep Q-learning: a network that learns what each action is worth.

Sources: Mnih et al. 2015 (replay memory and target network); van Hasselt et al. 2016 (double).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple
from os import PathLike
from typing import Any

import numpy as np

from anode import ops
from anode.backends.base import Backend
from anode.data.replay import Transitions
from anode.errors import CheckpointError, GraphError, ShapeError
from anode.frontends.layers.containers import Sequential
from anode.frontends.layers.costs import SmoothL1
from anode.frontends.layers.layers import apply
from anode.frontends.layers.optimizers import PREFIX, Optimizer, Setting, rate_variable
from anode.frontends.layers.scope import Scope
from anode.frontends.layers.selection import Selectable
from anode.frontends.layers.structure import Types
from anode.ir.graph import Graph, close, fresh_inputs
from anode.ir.node import Node, read
from anode.ir.types import TensorType, tensor
from anode.ir.variable import Variable
from anode.ops.taps import Watch
from anode.runtime import checkpoint
from anode.runtime.executable import Executable, chosen_backend, compile
from anode.runtime.state import State
from anode.transform.grad import gradients

ONLINE, TARGET = "online", "target"
HUBER = SmoothL1()


class QLearning(Selectable):
    """A network of the values of actions, which `layers` compute from observations.

    `step(transitions)` moves the value of each action taken towards
    rewards + discounts · max of the target network's values of what followed; `double` lets the
    learning network choose that action. `synchronise` copies the learning network into the target
    network. `preprocess` is of observations, as for `Model`.

    The learning network can be selected from: `select("#online convolution")`; taps report after
    each step.
    """

    def __init__(
        self,
        layers: Iterable[Any],
        optimizer: Optimizer,
        *,
        double: bool = True,
        preprocess: Callable[[Node], Node] | None = None,
        seed: int = 0,
        backend: str | Backend | None = None,
        threads: int | None = None,
    ) -> None:
        super().__init__()
        self.network = Sequential(layers)
        self.optimizer, self.double, self.preprocess = optimizer, double, preprocess
        self.seed, self.backend, self.threads = seed, chosen_backend(backend), threads
        self.state = State()
        self._executables: dict[Any, Executable] = {}
        self._row: TensorType | None = None  # one observation, once there was any

    def values(self, observations: np.ndarray) -> np.ndarray:
        """The value f32[rows, actions] of each action in each of the observations."""
        key = observations.shape, observations.dtype
        if key not in self._executables:
            (x,) = fresh_inputs(tensor(observations.dtype, *observations.shape))
            scope = Scope(training=False)
            values = self._values(x, scope, ONLINE)
            self._add(scope)
            self._row = tensor(observations.dtype, 1, *observations.shape[1:])
            self._executables[key] = self._compile(close((x,), [values], names=("x", "values")))
        return self._executables[key](observations, state=self.state)[0]

    def act(
        self, observations: np.ndarray, random: np.random.Generator, exploration: float = 0.0
    ) -> np.ndarray:
        """An action for each observation: the best one, or by chance `exploration` any."""
        values = self.values(observations)
        best = values.argmax(axis=1).astype(np.int32)
        any_ = random.integers(0, values.shape[1], len(best), dtype=np.int32)
        return np.where(random.random(len(best)) < exploration, any_, best)

    def step(self, transitions: Transitions) -> float:
        """Train on transitions, in one native call; gives the mean Huber cost before the step."""
        key = tuple((x.shape, x.dtype) for x in transitions)
        if key not in self._executables:
            types = [tensor(x.dtype, *x.shape) for x in transitions]
            graph, taps = self._traced(types)
            self._add_slots(graph.variables)
            self._executables[key] = self._compile(graph, taps)
        return float(self._executables[key](*transitions, state=self.state)[0])

    def synchronise(self) -> None:
        """Make the target network equal to the learning one."""
        for variable in list(self.state):
            if variable.name.startswith(f"{TARGET}."):
                name = ONLINE + variable.name.removeprefix(TARGET)
                self.state[variable] = self.state.named(name)

    def graph(self, *types: TensorType) -> Graph:
        """The training step for transitions of these types, cost, gradients and updates."""
        return self._traced(types, tapped=False)[0]

    def _traced(self, types: Sequence[TensorType], *, tapped: bool = True) -> tuple[Graph, Watch]:
        """The training step, whose last outputs are what the taps need."""
        inputs = fresh_inputs(*types)
        seen, actions, rewards, discounts, following = inputs
        scope, ahead = Scope(training=True), Scope(training=False)
        values = self._values(seen, scope, ONLINE)
        goal = rewards + discounts * self._worth(following, ahead)
        taken = ops.sum(values * ops.one_hot(actions, depth=int(values.shape[1])), axis=1)
        cost = ops.mean(HUBER(*(ops.expand_dims(x, axis=1) for x in (taken, goal))))
        self._add(scope)
        self._add(ahead)
        self._row = tensor(seen.dtype, 1, *seen.shape[1:])
        learned = [v for v in scope.variables.values() if self.trains(v)]
        found = gradients([cost], [read(v) for v in learned])
        updates = scope.updates | self.updates(self.optimizer, learned, found)
        taps = Watch.of(())
        if tapped:
            slopes = dict(zip(learned, found, strict=True))
            taps = self.watch(scope, [values]) + self.watch(scope, [values], slopes)
        names = (*Transitions._fields, "cost", *taps.names)
        return close(inputs, [cost, *taps.nodes], updates.items(), names=names), taps

    def save(self, path: str | PathLike[str], meta: Any = None) -> None:
        """Write both networks, the optimiser's slots and `meta`, a JSON value, to one file.

        Settings of parameters are in it too, but no slots of what is frozen.
        """
        arrays = {variable.name: self.state[variable] for variable in self._kept()}
        settings = {name: astuple(setting) for name, setting in self.settings.items()}
        checkpoint.save(path, arrays, {"q_learning": meta, "settings": settings})

    def load(self, path: str | PathLike[str], like: Transitions) -> Any:
        """Take up what `save` wrote; `like` has transitions as they will be. Gives `meta`."""
        arrays, meta = checkpoint.load(path)
        if not isinstance(meta, dict) or "q_learning" not in meta:
            raise CheckpointError(f"{path} is no checkpoint of QLearning; its save writes them")
        saved, before = meta.get("settings", {}), self.settings
        self.set({name: Setting(*setting) for name, setting in saved.items()})
        self._add_slots(self.graph(*(tensor(x.dtype, *x.shape) for x in like)).variables)
        try:
            checkpoint.restore(self.state, arrays, self._kept(), path)
        except CheckpointError:
            self.set(before)
            raise
        self.state = State({variable: self.state[variable] for variable in self._kept()})
        return meta["q_learning"]

    def _kept(self) -> list[Variable]:
        """What a checkpoint has."""
        frozen = [f"{PREFIX}{name}." for name, each in self.settings.items() if each.frozen]
        return [v for v in self.state if not v.name.startswith(tuple(frozen))]

    def example(
        self, x: Types | None = None, inits: Mapping[str, Any] | None = None
    ) -> tuple[Scope, list[Node]]:
        given = self._row if x is None else x
        if not isinstance(given, TensorType):
            raise GraphError(
                "the network has no variables yet; call values or step first, or give select "
                "the type of observations"
            )
        scope = Scope(training=True)
        scope.inits = inits or {}
        (observation,) = fresh_inputs(given)
        return scope, [self._values(observation, scope, ONLINE)]

    def changed(self) -> None:
        self._executables.clear()
        super().changed()

    def _worth(self, following: Node, scope: Scope) -> Node:
        """What the target network says the best action is worth."""
        values = self._values(following, scope, TARGET)
        if not self.double:
            return ops.max(values, axis=1)
        best = ops.argmax(self._values(following, scope, ONLINE), axis=1)
        return ops.sum(values * ops.one_hot(best, depth=int(values.shape[1])), axis=1)

    def _values(self, x: Node, scope: Scope, name: str) -> Node:
        values = apply(self.network, self.preprocess(x) if self.preprocess else x, scope, name)
        if len(values.shape) != 2:
            raise ShapeError(f"the layers give {values.type}; values are f32[rows, actions]")
        return values

    def _add(self, scope: Scope) -> None:
        """Give new variables their initial values, those of the target network as it learns."""
        new = [v for v in scope.variables.values() if v not in self.state]
        scope.fill(self.state, self.seed)
        if any(v.name.startswith(f"{TARGET}.") for v in new):
            self.synchronise()

    def _add_slots(self, variables: Iterable[Variable]) -> None:
        self.state.add([v for v in variables if v not in self.state], self.seed)
        self.state[rate_variable()] = self.optimizer.rate(0)

    def _compile(self, graph: Graph, taps: Watch | None = None) -> Executable:
        watched = taps if taps is not None and taps.nodes else ()
        return compile(graph, self.backend, self.threads, taps=watched)

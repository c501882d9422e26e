"""What `model.select` finds: layers, parameters and ops, to be listed, changed and tapped."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from anode.errors import GraphError
from anode.frontends.layers.elements import tree
from anode.frontends.layers.layers import Layer
from anode.frontends.layers.optimizers import DEFAULT, Optimizer, Setting
from anode.frontends.layers.scope import Scope
from anode.frontends.layers.structure import Types
from anode.ir.node import INPUT, Node, read, topological
from anode.ir.variable import Variable
from anode.ops.taps import (
    CheckFinite,
    Counts,
    Histogram,
    Print,
    Probe,
    Tap,
    Tapped,
    Watch,
    Write,
    own_values,
)
from anode.rewrite.select import Element, Tree
from anode.rewrite.selection import Selection
from anode.runtime.state import State


class Selectable:
    """What layers, parameters and ops can be selected from: a model, or networks that train.

    A new one has `example`. Its graphs have what `watch` says of its taps as further outputs, its
    optimisers take its `settings`, and what it compiled before `version` changed is stale.
    """

    state: State
    seed: int

    def __init__(self) -> None:
        self.settings: Mapping[str, Setting] = {}  # of parameters, by name
        self.taps: list[ModelTap] = []
        self.version = object()  # another one when settings or taps have changed

    def example(
        self, x: Types | None = None, inits: Mapping[str, Any] | None = None
    ) -> tuple[Scope, list[Node]]:
        """What building the training of one row, or of an `x`, collects, and its outputs.

        `inits` are initialisers of variables, by name, in place of their layers'.
        """
        raise NotImplementedError

    def select(self, selector: str, x: Types | None = None) -> ModelSelection:
        """The layers, parameters and ops that a selector finds, to be listed, set or tapped.

        The language is in `docs/selectors.md`. What has not seen data may need a minibatch's type
        `x`, and nothing can be set then.
        """
        return ModelSelection(self, selector, x)

    def set(self, settings: Mapping[str, Setting]) -> None:
        """Let parameters have these settings; `select(…).set(…)` is the way to make them."""
        self.settings = settings
        self.changed()

    def restart(self, inits: Mapping[str, Any]) -> None:
        """Give variables new initial values, by initialisers under their names."""
        scope = self.example(inits=inits)[0]
        for name in inits:
            source, variable = scope.variables[name], self.state.variable(name)
            start = scope.starts.get(source)
            value = None if start is None else start(self.seed)
            self.state.restart(variable, source, self.seed, value)

    def changed(self) -> None:
        """Let graphs be built anew, as settings or taps are others."""
        self.version = object()

    def trains(self, variable: Variable) -> bool:
        """Whether a parameter is trained: it may be frozen."""
        return variable.trainable and not self.settings.get(variable.name, DEFAULT).frozen

    def updates(
        self,
        optimizer: Optimizer,
        parameters: Sequence[Variable],
        gradients: Sequence[Node],
        group: str = "",
    ) -> dict[Variable, Node]:
        """The optimiser's, which need not know of settings where there are none."""
        if self.settings:
            return optimizer.updates(parameters, gradients, group, settings=self.settings)
        return optimizer.updates(parameters, gradients, group)

    def watch(
        self,
        scope: Scope,
        outputs: Sequence[Node],
        gradients: Mapping[Variable, Node] | None = None,
    ) -> Watch:
        """What the taps need of a graph that is being built, of its values or of gradients."""
        mine = [tap for tap in self.taps if tap.gradient is (gradients is not None)]
        if not mine:
            return Watch.of(())
        elements = tree(scope, outputs, self.settings)
        found = [(each.tap, elements.select(each.selector)) for each in mine]
        if gradients is None:
            return Watch.of([Tapped.on(tap, each, values) for tap, each in found])
        return Watch.of([_on_gradients(tap, elements, each, gradients) for tap, each in found])


@dataclass(frozen=True, eq=False)
class ModelTap:
    """A tap that stays on a model: on what its selector finds, for minibatches of any size."""

    model: Selectable
    selector: str
    tap: Tap
    gradient: bool = False  # on the gradients of parameters, rather than on values

    @property
    def latest(self) -> dict[str, Counts]:
        """The last histograms, by the names of their values."""
        return self.tap.latest if isinstance(self.tap, Histogram) else {}

    def remove(self) -> None:
        """Take the tap off its model."""
        if self in self.model.taps:
            self.model.taps.remove(self)
            self.model.changed()


class ModelSelection(Selection):
    """Layers, Variables and Nodes of a model, in the order of its layers.

    What is set, or tapped, holds for every training step from then on; a layer stands for its
    parameters when set, and for its output when tapped.
    """

    def __init__(self, model: Selectable, selector: str, x: Types | None = None) -> None:
        scope, outputs = model.example(x)
        elements = tree(scope, outputs, model.settings)
        super().__init__(selector, elements, elements.select(selector))
        self.model, self.outputs = model, outputs

    @property
    def parameters(self) -> tuple[Variable, ...]:
        """The variables that were found, and those inside layers that were."""
        return parameters(self.tree, self.elements)

    def set(
        self,
        *,
        rate: float | None = None,
        frozen: bool | None = None,
        wdecay: float | None = None,
        init: Any = None,
    ) -> ModelSelection:
        """Give the parameters a factor of the learning rate, freeze them, or let them start anew.

        `rate` multiplies the optimiser's rate; `wdecay` takes the place of its weight decay. What
        is `frozen` is no longer trained. `init` is an initialiser, number or array, from which the
        parameter gets its value now. `init` is for all parameters, the others for those that train;
        a selection without any raises GraphError. Gives the selection as it is then.
        """
        given = {"rate": rate, "frozen": frozen, "wdecay": wdecay}
        changes: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
        _check(rate=rate, wdecay=wdecay)
        mine = self.parameters
        trained = [variable for variable in mine if variable.trainable]
        if not mine or (changes and not trained):
            kind = "parameter that trains" if mine else "parameter"
            raise GraphError(f"{self.selector} finds no {kind}, so that there is nothing to set")
        if init is not None:
            self.model.restart({variable.name: init for variable in mine})
        if changes:
            settings = dict(self.model.settings)
            for variable in trained:
                settings[variable.name] = replace(settings.get(variable.name, DEFAULT), **changes)
            self.model.set(settings)
        return ModelSelection(self.model, self.selector)

    def print(self, every: int = 1, write: Write = print, *, gradient: bool = False) -> ModelTap:
        """Print the values, or the parameters' gradients, after every `every`-th step."""
        return self.tap(Print(every, write), gradient=gradient)

    def histogram(
        self,
        bins: int = 20,
        every: int = 1,
        write: Write | None = None,
        *,
        gradient: bool = False,
    ) -> ModelTap:
        """Count the values, or the parameters' gradients; see `ModelTap.latest`."""
        return self.tap(Histogram(bins, every, write), gradient=gradient)

    def check_finite(self, every: int = 1, *, gradient: bool = False) -> ModelTap:
        """Raise BackendError, naming layer, op and line, when a value is not finite.

        With `gradient` the gradients of the parameters are checked. The step has been made then.
        """
        return self.tap(CheckFinite(every), gradient=gradient)

    def tap(self, tap: Tap, *, gradient: bool = False) -> ModelTap:
        """Set any tap on the model, on values or on the gradients of parameters."""
        if gradient and not any(variable.trainable for variable in self.parameters):
            raise GraphError(f"{self.selector} finds no parameter that has a gradient")
        if not gradient:
            _check_outermost(Tapped.on(tap, self.elements, values), self.outputs)
        made = ModelTap(self.model, self.selector, tap, gradient)
        self.model.taps.append(made)
        self.model.changed()
        return made


def parameters(elements: Tree, found: Sequence[Element]) -> tuple[Variable, ...]:
    """The variables among elements, and those inside layers among them."""
    holders = {e for e in found if isinstance(e.subject, (Variable, Layer))}
    return tuple(
        e.subject
        for e in elements.elements
        if isinstance(e.subject, Variable) and not holders.isdisjoint((e, *e.ancestors))
    )


def _on_gradients(
    tap: Tap, elements: Tree, found: Sequence[Element], gradients: Mapping[Variable, Node]
) -> Tapped:
    probes = [
        Probe(gradients[variable], f"{variable.name} (gradient)")
        for variable in parameters(elements, found)
        if variable in gradients
    ]
    return Tapped(tap, tuple(probes))


def _check_outermost(tapped: Tapped, outputs: Sequence[Node]) -> None:
    """Raise GraphError for values inside a loop, which depend on the inputs of its body."""
    known = {node for node in topological(outputs) if node.op is INPUT}
    for probe in tapped.probes:
        if any(node.op is INPUT and node not in known for node in topological([probe.node])):
            raise GraphError(f"a tap cannot look into the loop that {probe} is in")


def values(element: Element) -> Sequence[Node]:
    """What a tap on an element looks at."""
    subject = element.subject
    if isinstance(subject, Variable):
        return [read(subject)]
    if isinstance(subject, Layer):
        return [node for node in (element.attributes["output"],) if isinstance(node, Node)]
    return own_values(element)


def _check(**numbers: float | None) -> None:
    for name, number in numbers.items():
        if number is not None and not (math.isfinite(number) and number >= 0):
            raise GraphError(f"{name}={number}: a number that is at least 0 is needed")

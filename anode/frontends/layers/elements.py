"""A model as elements to select from: its layers, their parameters, and the ops they are made of.

A layer is inside the layer that holds it, or that it was made with: the Bias of `Conv(…, bias=0)`
is inside the Convolution. Parameters and ops are inside their layers. The types of a layer are its
classes, and those of an Activation also its function's (`rectlin`). Where an op or a family is
called like a layer, the plain name is the layer's, and `op|pooling` the op's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from anode.frontends.layers.containers import Merge
from anode.frontends.layers.convolution import LRN
from anode.frontends.layers.layers import (
    Activation,
    Axes,
    BatchNorm,
    Bias,
    Dropout,
    Flatten,
    Layer,
    Reshape,
)
from anode.frontends.layers.optimizers import DEFAULT, Setting
from anode.frontends.layers.scope import Built, Scope
from anode.ir.node import ITEM, READ, Node, read, topological
from anode.ir.variable import Variable
from anode.ops.elements import element, facts, source, vocabulary
from anode.rewrite.select import Element, Tree, Vocabulary, plain

# What a layer is said to be followed by may come after these.
TRANSPARENT = (Activation, Axes, BatchNorm, Bias, Dropout, Flatten, LRN, Reshape)
PARAMETER = ("parameter", "variable", "tensor")
OWN = ("path", "transform", "rate", "wdecay", "collections")
Settings = Mapping[str, Setting]


def tree(scope: Scope, outputs: Iterable[Node], settings: Settings) -> Tree:
    """The elements of what a scope saw built: each layer, then what is inside it."""
    return _Model(scope, tuple(outputs), settings).tree()


class _Model:
    def __init__(self, scope: Scope, outputs: Sequence[Node], settings: Settings) -> None:
        self.scope, self.outputs, self.settings = scope, outputs, settings
        self.nodes = [node for node in topological(outputs) if node.op is not ITEM]
        self.home = self._homes()
        self.taken = {node for built in scope.built for node in _nodes(built.x)}
        self.classes = frozenset(cls.__name__ for cls in _classes(Layer))
        self.plain_classes = frozenset(map(plain, self.classes))
        self.layers: dict[Built, Element] = {}
        self.values: dict[Node, Element] = {}

    def tree(self) -> Tree:
        for built in self.scope.built:
            self.layers[built] = self._layer(built)
        for variable in self.scope.variables.values():
            self.values[read(variable)] = self._parameter(variable)
        for node in self.nodes:
            if node not in self.values:
                self.values[node] = self._value(node)
        members: dict[Element | None, list[Element]] = {}
        for part in (*self.values.values(), *self.layers.values()):
            members.setdefault(part.inside, []).append(part)
        for inside in members.values():
            inside.sort(key=_age)
        return Tree(list(_in_order(members)), self._vocabulary())

    def _vocabulary(self) -> Vocabulary:
        own = {key for part in self.layers.values() for key in part.attributes}
        types = {kind for part in self.layers.values() for kind in part.types}
        return vocabulary({*types, *self.classes, *PARAMETER, "layer"}, own | set(OWN))

    def _homes(self) -> dict[Node, Built]:
        """The layer that each node was made by; a layer inside another comes first."""
        home: dict[Node, Built] = {}
        for built in sorted(self.scope.built, key=lambda built: built.end):
            border = {source(x) for x in _nodes(built.x)}
            waiting = [source(y) for y in _nodes(built.y)]
            while waiting:
                node = waiting.pop()
                if node in home or node in border or node.op is READ:
                    continue
                home[node] = built
                waiting += map(source, node.args)
        return home

    def _layer(self, built: Built) -> Element:
        layer = built.layer
        transform = _label(layer.transform) if isinstance(layer, Activation) else None
        kinds = [cls.__name__ for cls in type(layer).__mro__ if issubclass(cls, Layer)]
        return Element(
            layer,
            types=(*kinds, *([transform] if transform else [])),
            name=built.path,
            attributes=_facts(built, transform, self._axes(built)),
            inside=self._holder(built),
            before=self._sources(built),
            transparent=isinstance(layer, TRANSPARENT) or built.y is built.x,
            label=kinds[0],
        )

    def _axes(self, built: Built) -> tuple[str, ...]:
        """The names of the axes of a layer's output."""
        names = [self.scope.axes.names.get(node, ()) for node in _nodes(built.y)[:1]]
        return tuple(axis.name for each in names for axis in each if axis is not None)

    def _holder(self, built: Built) -> Element | None:
        """The element that a layer is inside of."""
        if built.layer.part_of is not None:
            for other, found in self.layers.items():
                if other.layer is built.layer.part_of and other.inside is built.inside:
                    return found
        return None if built.inside is None else self.layers[built.inside]

    def _sources(self, built: Built) -> list[Element]:
        """The layers whose output a layer takes; of one made of branches also their last layers."""
        given = set(_nodes(built.x))
        earlier = [other for other in self.layers if 0 < other.end < built.start]
        holder = built.inside
        if holder is not None and isinstance(holder.layer, Merge) and built.x is holder.x:
            earlier = [other for other in earlier if other.inside is not holder]  # a branch begins
        found = [other for other in earlier if not given.isdisjoint(_nodes(other.y))]
        for other in found:  # grows
            ends = [end for end in earlier if end.inside is other]
            found += [end for end in ends if self.taken.isdisjoint(_nodes(end.y))]
        return [self.layers[other] for other in dict.fromkeys(found)]

    def _value(self, node: Node) -> Element:
        if node.op is READ:  # of a state that training carries
            return self._parameter(node.attrs["variable"])
        before = tuple(dict.fromkeys(self.values[source(arg)] for arg in node.args))
        built = self.home.get(node)
        holder = None if built is None else self.layers[built]
        above = (*before, *([holder] if holder else []))
        states = ("output",) * (node in map(source, self.outputs))
        return element(node, "", before, above, holder, states, self.plain_classes)

    def _parameter(self, variable: Variable) -> Element:
        setting = self.settings.get(variable.name, DEFAULT)
        trains = variable.trainable and not setting.frozen
        known: dict[str, Any] = {"rate": setting.rate, "collections": variable.collections}
        if setting.wdecay is not None:
            known["wdecay"] = setting.wdecay
        if setting != DEFAULT:
            known["note"] = _note(setting)
        node = read(variable)
        return Element(
            variable,
            types=PARAMETER,
            name=variable.name,
            classes=variable.collections,
            attributes={**facts(node), **known},
            label="parameter",
            states=("trainable" if trains else "frozen",),
            inside=self._owner(variable),
        )

    def _owner(self, variable: Variable) -> Element | None:
        """The layer with the longest path that the variable's name begins with."""
        fitting = [b for b in self.layers if variable.name.startswith(f"{b.path}.")]
        best = max(fitting, key=lambda built: len(built.path), default=None)
        return None if best is None else self.layers[best]


def _age(part: Element) -> int:
    """When an element's value was made; parameters come first."""
    subject = part.subject
    if isinstance(subject, Layer):
        return max((node.serial for node in _nodes(part.attributes["output"])), default=0)
    return subject.serial if isinstance(subject, Node) else -1


def _in_order(members: Mapping[Element | None, Sequence[Element]]) -> Iterator[Element]:
    """Each element before those inside it."""
    waiting = list(reversed(members.get(None, ())))
    while waiting:
        part = waiting.pop()
        yield part
        waiting += reversed(members.get(part, ()))


def _classes(cls: type[Layer]) -> Iterator[type[Layer]]:
    """A class and all that derive from it."""
    yield cls
    for derived in cls.__subclasses__():
        yield from _classes(derived)


def _nodes(value: Any) -> list[Node]:
    """The nodes of what a layer takes or gives."""
    if isinstance(value, Node):
        return [value]
    return [node for item in value for node in _nodes(item)] if isinstance(value, tuple) else []


def _note(setting: Setting) -> str:
    """A parameter's settings, for tables."""
    rate = f"rate × {setting.rate:g}" if setting.rate != 1 else ""
    decay = f"decay {setting.wdecay:g}" if setting.wdecay is not None else ""
    return ", ".join(filter(None, ("frozen" * setting.frozen, rate, decay)))


def _label(transform: Any) -> str:
    return str(getattr(transform, "__name__", type(transform).__name__))


def _facts(built: Built, transform: str | None, axes: tuple[str, ...]) -> dict[str, Any]:
    """What selectors can ask of a layer: its own settings, its output's type, its line."""
    kinds = (bool, int, float, str, tuple)
    own = {
        key: value
        for key, value in vars(built.layer).items()
        if not key.startswith("_") and key not in ("name", "origin") and isinstance(value, kinds)
    }
    found = {**own, "path": built.path, "output": built.y, "axes": axes}
    for output in _nodes(built.y)[:1]:
        kept = ("type", "dtype", "shape", "rank", "size")
        found |= {key: value for key, value in facts(output).items() if key in kept}
    if built.layer.origin is not None:
        found |= {"file": built.layer.origin[0], "line": built.layer.origin[1]}
    return found if transform is None else {**found, "transform": transform}

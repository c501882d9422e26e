"""Selecting elements of a graph, a model or any other tree: the matcher of selectors and patterns.

A tree that is to be selected from gives its parts as `Element`s and its names as a `Vocabulary`:

    convolution = Element(op, types=("Convolution", "Op"), name="conv1", inside=scope)
    relu = Element(other, types=("Relu", "Op"), classes=("activation",), before=(convolution,))
    Tree([scope, convolution, relu], Vocabulary(types=None)).select("convolution + .activation")

gives a list of elements in the order given; `[e.subject for e in …]` are the things themselves.
Nothing is registered and nothing subclassed: elements are made for one question and thrown away.
`anode.ops.elements` is such a tree over a Graph, `anode.frontends.layers.elements` over a model.
How a selector is written is in `docs/selectors.md`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from anode.ir.graph import Graph
from anode.ir.node import Node
from anode.rewrite.pattern import Pattern, match
from anode.rewrite.selector import (
    AttributeTest,
    ClassTest,
    Compound,
    NameTest,
    PositionTest,
    RelationTest,
    Selector,
    StateTest,
    Test,
    TypeTest,
    check,
    parse,
)


@dataclass(frozen=True, eq=False)
class Element:
    """One thing that can be selected; `subject` is the thing itself.

    `types` are what a bare name may be (`convolution`; upper case, `-` and `_` do not count),
    `name` is for `#name` (as a whole, or its part after the last dot or slash), `classes` for
    `.class`, `attributes` for `[key=value]`, `states` for `:state`. `inside` is what holds it,
    `before` whose results it takes. `above` is what `>` may stand after: by default `inside`.
    `transparent` elements, such as biases, do not count between a thing and what follows it.
    `label` is what tables call it, by default its first type.
    """

    subject: Any
    types: Collection[str] = ()
    name: str = ""
    classes: Collection[str] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)
    states: Collection[str] = ()
    inside: Element | None = None
    before: Sequence[Element] = ()
    above: Sequence[Element] | None = None
    transparent: bool = False
    label: str = ""

    @property
    def ancestors(self) -> Iterator[Element]:
        """What it is inside of, innermost first."""
        holder = self.inside
        while holder is not None:
            yield holder
            holder = holder.inside


@dataclass(frozen=True)
class Vocabulary:
    """The names a tree knows, so that others are errors; None admits any name."""

    types: Collection[str] | None = None
    attributes: Collection[str] | None = None
    states: Collection[str] | None = ("trainable", "frozen", "input", "output")


Found = set[Element]


@dataclass(eq=False)
class Tree:
    """Elements that relate to each other, and what selectors find among them."""

    elements: Sequence[Element]
    vocabulary: Vocabulary = field(default_factory=Vocabulary)

    def __post_init__(self) -> None:
        self._types = {e: frozenset(map(plain, e.types)) for e in self.elements}
        self._after: dict[Element, list[Element]] = {e: [] for e in self.elements}
        for element in self.elements:
            for source in element.before:
                self._after.setdefault(source, []).append(element)
        known = self.vocabulary.types
        self._known = None if known is None else {plain(name): name for name in known}
        self._found: dict[Selector, Found] = {}
        self._text = ""

    def select(self, selector: str | Selector) -> list[Element]:
        """The elements that the selector finds, in their order; raises GraphError at bad names."""
        parsed = parse(selector) if isinstance(selector, str) else selector
        self._text = parsed.text if isinstance(selector, Selector) else selector
        found = self._all(parsed)
        return [element for element in self.elements if element in found]

    def _all(self, selector: Selector) -> Found:
        if selector not in self._found:
            rows = [self._row(row) for row in selector.alternatives]
            self._found[selector] = set[Element]().union(*rows)
        return self._found[selector]

    def _row(self, row: Sequence[Compound]) -> Found:
        found: Found = set()
        for compound in row:
            related = self._related(compound.combinator, found)
            left = [e for e in self.elements if related is None or e in related]
            for test in compound.tests:
                left = self._passing(test, left)
            found = set(left)
        return found

    def _related(self, combinator: str, found: Found) -> Found | None:
        """What has the relation to some element of `found`; None for everything."""
        if combinator == "":
            return None
        if combinator == " ":
            return {e for e in self.elements if not found.isdisjoint(e.ancestors)}
        if combinator == ">":
            return {e for e in self.elements if not found.isdisjoint(_above(e))}
        if combinator == "+":
            return {user for e in found for user in self._after[e]}
        return self._reached(found)

    def _reached(self, found: Found) -> Found:
        """What takes a result of `found` directly or through others."""
        reached: Found = set()
        waiting = list(found)
        while waiting:
            new = [e for e in self._after[waiting.pop()] if e not in reached]
            reached.update(new)
            waiting += new
        return reached

    def _passing(self, test: Test, elements: list[Element]) -> list[Element]:
        if isinstance(test, PositionTest):
            chosen = slice(test.index, test.index + 1 or None)
            return elements[chosen]
        passes = self._predicate(test)
        return [element for element in elements if passes(element)]

    def _predicate(self, test: Test) -> Callable[[Element], bool]:
        vocabulary = self.vocabulary
        if isinstance(test, TypeTest):
            self._check_type(test)
            wanted = plain(test.name)
            return lambda e: wanted in self._types[e]
        if isinstance(test, NameTest):
            return lambda e: _named(e.name, test.pattern)
        if isinstance(test, ClassTest):
            return lambda e: test.name in e.classes
        if isinstance(test, AttributeTest):
            check(test.name, vocabulary.attributes, "attribute", self._text, test.place)
            return lambda e: test.name in e.attributes and _holds(test, e.attributes[test.name])
        if isinstance(test, StateTest):
            check(test.name, vocabulary.states, "state", self._text, test.place)
            return lambda e: test.name in e.states
        assert isinstance(test, RelationTest)
        return self._relation(test.relation, self._all(test.selector))

    def _check_type(self, test: TypeTest) -> None:
        if self._known is not None and plain(test.name) not in self._known:
            check(test.name, self._known.values(), "element", self._text, test.place)

    def _relation(self, relation: str, found: Found) -> Callable[[Element], bool]:
        if relation == "not":
            return lambda e: e not in found
        if relation == "is":
            return lambda e: e in found
        if relation == "in":
            return lambda e: not found.isdisjoint(e.ancestors)
        if relation == "has":
            holders = {holder for e in found for holder in e.ancestors}
            return lambda e: e in holders
        if relation == "followed-by":
            return lambda e: self._meets(e, found, lambda other: self._after[other])
        return lambda e: self._meets(e, found, lambda other: other.before)

    def _meets(
        self, start: Element, found: Found, step: Callable[[Element], Iterable[Element]]
    ) -> bool:
        """Whether steps lead from `start` to one of `found`, past transparent elements only."""
        seen, waiting = {start}, [start]
        while waiting:
            for other in step(waiting.pop()):
                if other in found:
                    return True
                if other.transparent and other not in seen:
                    seen.add(other)
                    waiting.append(other)
        return False


def plain(name: str) -> str:
    """A type's name without what does not count in it: MaxPool, max_pool and max-pool are one."""
    return name.lower().replace("_", "").replace("-", "")


def _above(element: Element) -> Sequence[Element]:
    if element.above is not None:
        return element.above
    return () if element.inside is None else (element.inside,)


def _named(name: str, pattern: str) -> bool:
    last = name.replace("/", ".").rpartition(".")[2]
    return fnmatchcase(name, pattern) or fnmatchcase(last, pattern)


_ORDERS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _holds(test: AttributeTest, value: Any) -> bool:
    comparison, wanted = test.comparison, test.value
    if comparison == "":
        return True
    if comparison in ("=", "!="):
        return _equal(value, wanted) is (comparison == "=")
    if comparison in _ORDERS:
        numbers = _is_number(value) and _is_number(wanted)
        return numbers and _ORDERS[comparison](value, wanted)
    if comparison == "~=":
        parts = value if isinstance(value, (tuple, list, set, frozenset)) else str(value).split()
        return any(_equal(part, wanted) for part in parts)
    text, part = str(value), str(wanted)
    if comparison == "*=":
        return part in text
    return text.startswith(part) if comparison == "^=" else text.endswith(part)


def _equal(value: Any, wanted: Any) -> bool:
    """Whether they are equal; a tuple equals a number that all its elements are."""
    if isinstance(value, (tuple, list)):
        if isinstance(wanted, tuple):
            return len(value) == len(wanted) and all(map(_equal, value, wanted))
        if _is_number(wanted):
            return bool(value) and all(_equal(part, wanted) for part in value)
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    if _is_number(value) and _is_number(wanted):
        return bool(value == wanted)
    return fnmatchcase(str(value), str(wanted))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def find(graph: Graph, pattern: Pattern) -> list[Node]:
    """The nodes of `graph` that `pattern` matches at, operands before users."""
    return [node for node in graph.nodes if match(pattern, node) is not None]

"""Selectors as text: CSS's grammar, with dataflow for what CSS calls siblings.

    convolution:followed-by(pooling) parameter:trainable, #fc* > [dtype=f32][rank>=2]

`parse` makes a `Selector` of the text. What matches is in `anode.rewrite.select`; the language is
explained in `docs/selectors.md`. A text that cannot be read raises GraphError: a sentence, the
text, and a caret under the place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TypeVar, Union

from anode.errors import GraphError

DEEPEST = 20  # selectors within each other
LONGEST = 10_000  # characters
RELATIONS = ("not", "is", "in", "has", "followed-by", "preceded-by")
POSITIONS = ("first", "last", "nth")
T = TypeVar("T")
Literal = Union[bool, int, float, str, tuple["Literal", ...]]  # noqa: UP007 (recursive)


@dataclass(frozen=True)
class TypeTest:
    """`convolution`: an element of this type; `place` is where the text says so."""

    name: str
    place: int = 0


@dataclass(frozen=True)
class NameTest:
    """`#conv*`: an element whose name, or the last part of it, fits."""

    pattern: str


@dataclass(frozen=True)
class ClassTest:
    """`.weights`: an element of this class."""

    name: str


@dataclass(frozen=True)
class AttributeTest:
    """`[groups=2]`: an element with such an attribute; without `comparison`, with any value."""

    name: str
    comparison: str = ""
    value: Literal = ""
    place: int = 0


@dataclass(frozen=True)
class StateTest:
    """`:trainable`: an element in this state."""

    name: str
    place: int = 0


@dataclass(frozen=True)
class RelationTest:
    """`:followed-by(…)`: an element that has this relation to one that the selector finds."""

    relation: str
    selector: Selector


@dataclass(frozen=True)
class PositionTest:
    """`:first`, `:nth(2)`: the element at an index of all that were found so far, from 0."""

    index: int


Test = TypeTest | NameTest | ClassTest | AttributeTest | StateTest | RelationTest | PositionTest


@dataclass(frozen=True)
class Compound:
    """What one element must fulfil, and how it relates to the compound before ("" for none)."""

    combinator: str
    tests: tuple[Test, ...]


@dataclass(frozen=True)
class Selector:
    """Alternatives, each a row of compounds; `text` is what was written."""

    text: str
    alternatives: tuple[tuple[Compound, ...], ...]

    def __str__(self) -> str:
        return self.text


def parse(text: str) -> Selector:
    """The selector that `text` writes."""
    if len(text) > LONGEST:
        raise GraphError(f"a selector of {len(text)} characters; at most {LONGEST} are read")
    reader = _Reader(text)
    found = reader.selector(0)
    if reader.place < len(text):
        raise reader.error(f"there is a stray {text[reader.place]!r}")
    return found


def selector_error(text: str, place: int, sentence: str) -> GraphError:
    """`sentence` as an error, with the line of the selector and a caret under `place`."""
    start = text.rfind("\n", 0, place) + 1
    line = text[start:].split("\n")[0]
    return GraphError(f"selector: {sentence}\n  {line}\n  {' ' * (place - start)}^")


def nearest(name: str, known: Iterable[str], what: str) -> str:
    """A sentence that says that `name` is no `what`, with the known names that are like it."""
    names = {other.lower(): other for other in sorted(known) if ("|" in other) == ("|" in name)}
    near = get_close_matches(name.lower(), names) or list(names)[:12]
    hint = f"; did you mean {', '.join(names[each] for each in near)}?" if near else ""
    return f"there is no {what} {name!r}{hint}"


_NAME = re.compile(r"[^\W\d][\w-]*(?:\|[^\W\d][\w-]*)?")
_GLOB = re.compile(r"(?:[\w*?/-]|\\.)+")
_WORD = re.compile(r"""[^\s\[\]()"',]+""")
_STRING = re.compile(r"""(["'])((?:[^\\]|\\.)*?)\1""")
_INTEGER = re.compile(r"-?[0-9]+")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$")
_SPACE = re.compile(r"\s*")
_COMPARISON = re.compile(r"[!<>~^$*]?=|[<>]")


class _Reader:
    """The text, and how far it has been read."""

    def __init__(self, text: str) -> None:
        self.text, self.place = text, 0

    def error(self, sentence: str, place: int | None = None) -> GraphError:
        return selector_error(self.text, self.place if place is None else place, sentence)

    def skip(self, mark: str) -> bool:
        """Go past `mark` if it is next, and say whether it was."""
        found = self.text.startswith(mark, self.place)
        self.place += len(mark) * found
        return found

    def space(self) -> bool:
        """Go past white space, and say whether there was any."""
        before, self.place = self.place, _SPACE.match(self.text, self.place).end()  # type: ignore[union-attr]
        return self.place > before

    def take(self, pattern: re.Pattern[str], what: str) -> re.Match[str]:
        match = pattern.match(self.text, self.place)
        if match is None:
            raise self.error(f"{what} is expected here")
        self.place = match.end()
        return match

    def selector(self, depth: int) -> Selector:
        if depth > DEEPEST:
            raise self.error(f"more than {DEEPEST} selectors are within each other")
        start = self.place
        alternatives = [self._row(depth)]
        while self.skip(","):
            alternatives.append(self._row(depth))
        text = self.text[start : self.place].strip() if depth else self.text
        return Selector(text, tuple(alternatives))

    def _row(self, depth: int) -> tuple[Compound, ...]:
        self.space()
        row = [Compound("", self._tests(depth))]
        while True:
            spaced = self.space()
            if mark := next((c for c in (">", "+", "~") if self.skip(c)), ""):
                self.space()
            elif not spaced or self.place == len(self.text) or self.text[self.place] in ",)":
                return tuple(row)
            row.append(Compound(mark or " ", self._tests(depth)))

    def _tests(self, depth: int) -> tuple[Test, ...]:
        start, tests = self.place, list[Test]()
        if not self.skip("*") and _NAME.match(self.text, self.place):
            tests.append(TypeTest(self.take(_NAME, "a name").group(), start))
        while test := self._test(depth):
            tests.append(test)
        if self.place == start:
            raise self.error("an element such as convolution, #name or [dtype=f32] is expected")
        return tuple(tests)

    def _test(self, depth: int) -> Test | None:
        if self.skip("#"):
            return NameTest(self._glob())
        if self.skip("."):
            return ClassTest(self.take(_NAME, "the name of a class").group())
        if self.skip("["):
            return self._attribute()
        return self._pseudo(depth) if self.skip(":") else None

    def _glob(self) -> str:
        if string := _STRING.match(self.text, self.place):
            self.place = string.end()
            return _unescaped(string.group(2))
        return _unescaped(self.take(_GLOB, "a name").group())

    def _attribute(self) -> AttributeTest:
        self.space()
        place = self.place
        name = self.take(_NAME, "the name of an attribute").group()
        self.space()
        comparison = _COMPARISON.match(self.text, self.place)
        value: Literal = ""
        if comparison:
            self.place = comparison.end()
            value = self._literal()
        self._close("]")
        return AttributeTest(name, comparison.group() if comparison else "", value, place)

    def _literal(self) -> Literal:
        """A number, a word, a string in quotes, or several of them in parentheses."""
        self.space()
        if self.skip("("):
            return self._items(")")
        if string := _STRING.match(self.text, self.place):
            self.place = string.end()
            return _unescaped(string.group(2))
        return _value(self.take(_WORD, "a value").group())

    def _items(self, close: str) -> tuple[Literal, ...]:
        items: list[Literal] = []
        self.space()
        while not self.skip(close):
            items.append(self._literal())
            self.space()
            if not self.skip(","):
                self._close(close)
                break
            self.space()
        return tuple(items)

    def _pseudo(self, depth: int) -> Test:
        self.skip(":")
        start = self.place
        name = self.take(_NAME, "a name after the colon").group().lower()
        if name == "nth":
            return PositionTest(self._argument(self._integer, start, name))
        if name in POSITIONS:
            return PositionTest(0 if name == "first" else -1)
        if name in RELATIONS:
            return RelationTest(name, self._argument(lambda: self.selector(depth + 1), start, name))
        if self.text.startswith("(", self.place):
            raise self.error(nearest(name, (*RELATIONS, "nth"), "relation"), start)
        return StateTest(name, start)

    def _argument(self, read: Callable[[], T], start: int, name: str) -> T:
        if not self.skip("("):
            raise self.error(f":{name} needs something in parentheses", start)
        found = read()
        self._close(")")
        return found

    def _integer(self) -> int:
        self.space()
        return int(self.take(_INTEGER, "a whole number").group())

    def _close(self, mark: str) -> None:
        self.space()
        if not self.skip(mark):
            raise self.error(f"{mark} is missing")


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _value(word: str) -> Literal:
    if word.lower() in ("true", "false"):
        return word.lower() == "true"
    if _NUMBER.match(word):
        return int(word) if _INTEGER.fullmatch(word) else float(word)
    return word


def check(name: str, known: Collection[str] | None, what: str, text: str, place: int) -> None:
    """Raise GraphError unless `name` is one of `known`; None admits every name."""
    if known is not None and name not in known:
        raise selector_error(text, place, nearest(name, known, what))

"""Reads the text form of graphs, which `anode.ir.text` shows; the text need not be trusted."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from anode.errors import AnodeError, GraphError
from anode.ir.dims import Dim, Size, parse_size
from anode.ir.dtypes import DTYPES, bool_
from anode.ir.graph import Graph, Update
from anode.ir.node import (
    CONSTANT,
    INPUT,
    LARGEST_CONSTANT,
    READ,
    Node,
    Origin,
    at,
    constant,
    input_node,
    make,
    read,
)
from anode.ir.op import op_named
from anode.ir.types import TensorType, TokenType, TupleType, Type, well_formed
from anode.ir.variable import Variable

VERSION = 1
DEEPEST = 50  # parentheses within parentheses: bounds the recursion
T = TypeVar("T")
_CONSTANTS: Mapping[str, Any] = {"True": True, "False": False, "None": None, **DTYPES}


def parse(text: str, file: str = "<text>") -> Graph:
    """The graph that `text` describes: the last one in it, and the very object if it exists.

    Type annotations may be left out (but not a constant's) and attributes with a default too; what
    is there must agree with the type rules. Anything malformed raises GraphError, which names
    `file` and the line. The nodes' origins are the lines of the text.
    """
    return _Reader(text, file).run()


_TOKEN = re.compile(
    r"""(?P<space>\s+|\#.*)
      | (?P<bytes>x"[0-9a-f]*")
      | (?P<string>"(?:[^"\\]|\\.)*")
      | (?P<label>[%$@][\w./]+)
      | (?P<number>-?(?:[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?|(?:inf|nan)\b))
      | (?P<name>[^\W\d]\w*)
      | (?P<mark>[()\[\]{},:=*+-])""",
    re.VERBOSE,
)


class _Line:
    """The tokens of one line and how far they have been read."""

    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, str]] = []
        self.place = start = 0
        while start < len(text):
            match = _TOKEN.match(text, start)
            if match is None:
                raise GraphError(f"cannot read {text[start : start + 20]!r}")
            if match.lastgroup != "space":
                self.tokens.append((str(match.lastgroup), match.group()))
            start = match.end()
        self.tokens.append(("end", "the end of the line"))

    @property
    def kind(self) -> str:
        return self.tokens[self.place][0]

    @property
    def text(self) -> str:
        return self.tokens[self.place][1]

    def take(self, kind: str) -> str:
        """The next token, which must be of `kind`."""
        if self.kind != kind:
            raise GraphError(f"expected a {kind}, not {self.text}")
        self.place += 1
        return self.tokens[self.place - 1][1]

    def skip(self, word: str) -> bool:
        """Go past the next token if it is `word`, and say whether it was."""
        found = self.kind in ("mark", "name") and self.text == word
        self.place += found
        return found

    def expect(self, word: str) -> None:
        if not self.skip(word):
            raise GraphError(f"expected {word}, not {self.text}")

    def end(self) -> None:
        if self.kind != "end":
            raise GraphError(f"expected the end of the line, not {self.text}")

    @property
    def following(self) -> str:
        """The token after the next one."""
        return self.tokens[min(self.place + 1, len(self.tokens) - 1)][1]

    def label(self, sigil: str) -> str:
        if self.text[0] != sigil:
            raise GraphError(f"expected a name starting with {sigil}, not {self.text}")
        return self.take("label")

    def string(self) -> str:
        text: str = json.loads(self.take("string"))
        return text

    def names(self) -> list[str]:
        """The user's name of an input or output, if one is here."""
        return [self.string()] if self.kind == "string" else []

    def separated(self, close: str, element: Callable[[], T]) -> list[T]:
        """Elements between commas up to `close`; a comma may stand before it."""
        found = []
        while not self.skip(close):
            found.append(element())
            if not self.skip(","):
                self.expect(close)
                break
        return found

    def size(self) -> Size:
        """A sum of products of integers and dims."""
        words = [self._factor()]
        while self.text in ("*", "+", "-") or self.text.startswith("-"):
            operator = "" if self.kind == "number" else self.take("mark")
            words.append(operator + self._factor())
        return parse_size("".join(words))

    def _factor(self) -> str:
        sign = "-" if self.skip("-") else ""
        return sign + self.take("number" if self.kind == "number" else "name")

    def scalar(self) -> Any:
        """True, False, None, an element type, a dim or a number."""
        if self.kind == "number":
            return _number(self.take("number"))
        name = self.take("name")
        return _CONSTANTS[name] if name in _CONSTANTS else Dim(name)


@dataclass
class _Call:
    """`name(args, key=value) : type` as read."""

    name: str
    args: list[Any] = field(default_factory=list)
    attrs: dict[str, Any] = field(default_factory=dict)
    type: Type | None = None


@dataclass
class _Body:
    """What has been read of one graph."""

    values: dict[str, Node] = field(default_factory=dict)
    types: list[Type] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    outputs: list[Node] = field(default_factory=list)
    updates: list[Update] = field(default_factory=list)
    effects: list[Node] = field(default_factory=list)


class _Reader:
    """Reads line by line; `graphs` and `variables` are those defined so far."""

    def __init__(self, text: str, file: str) -> None:
        self.lines, self.file, self.number = text.split("\n"), file, 0
        self.line = _Line("")
        self.depth = 0
        self.graphs: dict[str, Graph] = {}
        self.variables: dict[str, Variable] = {}
        self.body = _Body()

    def run(self) -> Graph:
        last: Graph | None = None
        with self._located():
            self._version()
            while self._next():
                if self.line.skip("graph"):
                    last = self._graph()
                else:
                    self._variable()
            if last is None:
                raise GraphError("the text has no graph")
        return last

    @contextmanager
    def _located(self) -> Iterator[None]:
        """Errors inside become GraphErrors that name the line."""
        try:
            yield
        except Exception as e:  # a type rule may trip over attributes that no caller would give it
            detail = str(e) if isinstance(e, AnodeError) else f"{type(e).__name__}: {e}"
            raise GraphError(f"{self.file}:{self.number}: {detail}") from e

    def _next(self) -> bool:
        """Go to the next line that is not empty."""
        while self.number < len(self.lines):
            self.number += 1
            self.line = _Line(self.lines[self.number - 1])
            if self.line.kind != "end":
                return True
        return False

    def _version(self) -> None:
        if not self._next() or not self.line.skip("anode"):
            raise GraphError(f"the text must start with 'anode {VERSION}'")
        if (version := self.line.take("number")) != str(VERSION):
            raise GraphError(f"the text is of version {version}; this anode reads {VERSION}")
        self.line.end()

    # Definitions

    def _variable(self) -> None:
        label = _unused(self.line.label("$"), self.variables)
        self.line.expect("=")
        call = self._call()
        if call.name != "variable" or not isinstance(call.type, TensorType):
            raise GraphError("expected variable(name, …) : type")
        (name,), settings = call.args, call.attrs
        init, trainable = settings.pop("init", None), settings.pop("trainable", True)
        collections, order = settings.pop("collections", ()), settings.pop("order", None)
        if settings or not (
            isinstance(name, str)
            and isinstance(init, Graph | None)
            and isinstance(trainable, bool)
            and isinstance(collections, tuple)
            and all(isinstance(each, str) for each in collections)
            and (order is None or _is_order(order, call.type.rank))
        ):
            raise GraphError("a variable has a name, init, trainable, collections and order")
        self.variables[label] = Variable(name, call.type, init, trainable, collections, order)

    def _graph(self) -> Graph:
        label = _unused(self.line.label("@"), self.graphs)
        self.body = body = _Body()
        self.line.expect("(")
        self.line.separated(")", self._input)
        self.line.expect("{")
        self.line.end()
        while self._next() and not self.line.skip("}"):
            self._statement()
        if self.line.tokens[0][1] != "}":
            raise GraphError(f"the graph {label} is not closed by }}")
        self.line.end()
        graph = Graph.make(body.types, body.outputs, body.updates, body.effects, body.names)
        self.graphs[label] = graph
        return graph

    def _input(self) -> None:
        body = self.body
        label = _unused(self.line.label("%"), body.values)
        self.line.expect(":")
        type = self._type()
        body.values[label] = self._at_line(lambda: input_node(len(body.types), type))
        body.types.append(type)
        body.names += self.line.names()

    # Statements

    def _statement(self) -> None:
        line, body = self.line, self.body
        if line.kind == "label":
            label = _unused(line.label("%"), body.values)
            line.expect("=")
            body.values[label] = self._node(self._call())
        elif line.skip("return"):
            body.outputs.append(self._output())
            while line.skip(","):
                body.outputs.append(self._output())
        elif line.skip("update"):
            variable = _defined(line.label("$"), self.variables)
            line.expect("=")
            body.updates.append((variable, self._value()))
        else:
            line.expect("effect")
            body.effects.append(self._value())
        line.end()

    def _output(self) -> Node:
        value = self._value()
        self.body.names += self.line.names()
        return value

    def _value(self) -> Node:
        return _defined(self.line.label("%"), self.body.values)

    def _node(self, call: _Call) -> Node:
        node = self._at_line(lambda: _made(call))
        if call.type is not None and node.type != call.type:
            raise GraphError(f"{call.name} gives {node.type}, not {call.type}")
        if not well_formed(node.type):
            raise GraphError(f"{call.name} gives {node.type}, which has a negative size")
        return node

    def _at_line(self, build: Callable[[], Node]) -> Node:
        with at(Origin((self.file, self.number))):
            return build()

    def _call(self) -> _Call:
        call = _Call(self.line.take("name"))
        self.line.expect("(")
        self.line.separated(")", lambda: self._argument(call))
        if self.line.skip(":"):
            call.type = self._type()
        self.line.end()
        return call

    def _argument(self, call: _Call) -> None:
        line = self.line
        if line.kind == "name" and line.following == "=":
            key = _unused(line.take("name"), call.attrs)
            line.expect("=")
            call.attrs[key] = self._literal()
        else:
            call.args.append(self._value() if line.text[0] == "%" else self._literal())

    # Literals and types

    def _literal(self) -> Any:
        line = self.line
        if line.kind == "label":
            known: Mapping[str, Any] = self.graphs if line.text[0] == "@" else self.variables
            return _defined(line.take("label"), known)
        if line.skip("("):
            return self._nested(lambda: tuple(line.separated(")", self._literal)))
        if line.kind == "string":
            return line.string()
        if line.kind == "bytes":
            return bytes.fromhex(line.take("bytes")[2:-1])
        if line.skip("type"):
            return self._type()
        return self._word()

    def _word(self) -> Any:
        """A literal that starts with a name or a number: True, f32, f32[3], 0.5, 2*n+1."""
        line = self.line
        if line.text == "token" or line.following == "[":
            return self._type()
        return line.scalar() if line.following in (",", ")") else line.size()

    def _type(self) -> Type:
        line = self.line
        if line.skip("("):
            return self._nested(lambda: TupleType(tuple(line.separated(")", self._type))))
        if line.skip("token"):
            return TokenType()
        dtype = _defined(line.take("name"), DTYPES)
        line.expect("[")
        shape = tuple(line.separated("]", line.size))
        layout = line.take("label")[1:] if line.text[0] == "@" else None
        type = TensorType(dtype, shape, layout)
        if not well_formed(type):
            raise GraphError(f"the type {type} has a negative size")
        return type

    def _nested(self, element: Callable[[], T]) -> T:
        self.depth += 1
        if self.depth > DEEPEST:
            raise GraphError(f"more than {DEEPEST} parentheses within each other")
        found = element()
        self.depth -= 1
        return found


def _made(call: _Call) -> Node:
    """The node of a call; only constants and reads take anything but values."""
    if call.name == CONSTANT.name:
        return _constant(call)
    if call.name == READ.name and len(call.args) == 1 and isinstance(call.args[0], Variable):
        return read(call.args[0])
    if call.name in (INPUT.name, READ.name) or not all(isinstance(a, Node) for a in call.args):
        raise GraphError(f"{call.name} cannot be called with these operands")
    op = op_named(call.name)
    op.check_count(len(call.args))
    return make(op, tuple(call.args), op.complete(tuple([a.type for a in call.args]), call.attrs))


def _constant(call: _Call) -> Node:
    (value,), type = call.args, call.type
    if not isinstance(type, TensorType) or call.attrs:
        raise GraphError("a constant is written constant(value) : type")
    if not isinstance(value, bytes):
        if not isinstance(value, (bool, int, float)) or type.shape:
            raise GraphError(f"a constant of type {type} is written as its bytes")
        return constant(value, type.dtype)
    if len(value) != type.bytes or len(value) > LARGEST_CONSTANT:
        raise GraphError(f"{len(value)} bytes for a constant of type {type}")
    if type.dtype is bool_ and not set(value) <= {0, 1}:
        raise GraphError("a byte of a bool constant is 00 or 01")
    return make(CONSTANT, (), {"type": type, "data": value})


def _number(text: str) -> int | float:
    if text.removeprefix("-").isdigit():
        return int(text)
    if math.isinf(value := float(text)) and not text.endswith("inf"):
        raise GraphError(f"the number {text} is too large for a float")
    return value


def _unused(label: str, known: Container[str]) -> str:
    if label in known:
        raise GraphError(f"{label} is defined twice")
    return label


def _defined(label: str, known: Mapping[str, T]) -> T:
    if label not in known:
        raise GraphError(f"{label} is not defined")
    return known[label]


def _is_order(value: Any, rank: int) -> bool:
    return isinstance(value, tuple) and len(value) == rank and set(value) == set(range(rank))

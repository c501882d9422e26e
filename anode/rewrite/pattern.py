"""Patterns and rules: a pattern is written by calling ops on variables, a rule is a function.

    x = var("x")

    @rule(x * 1, x / 1)
    def times_one(x: Node) -> Node:
        "x·1 = x/1 = x"
        return x

`P` has every op by its registry name (`P.reshape(P.reshape(x))`, `P.and_`), and patterns take
Python's operators. A repeated variable stands for one and the same node. A number matches a scalar
constant and the broadcast of one; `0` matches -0.0 too, and only `True` and `False` ask for a bool.
Operands after `...` are not looked at, nor are attributes that are not mentioned. Of an op that
commutes both orders match.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from types import EllipsisType
from typing import Any

from anode.errors import GraphError, ShapeError
from anode.ir.dtypes import DType, bf16, bf16_to_f32, bool_
from anode.ir.node import CONSTANT, Node, constant, constant_value
from anode.ir.op import Op, op_named

COMMUTATIVE = frozenset(
    ["add", "multiply", "maximum", "minimum", "and", "or", "xor", "equal", "not_equal"]
)
CONSTANTS = frozenset(["constant", "broadcast_in_dim"])  # the ops that a number may be
LOOKED_AT = 3  # the operands whose ops decide which rules are tried

Names = frozenset[str]
Bound = dict[str, Any]


def scalar_of(node: Node) -> Node | None:
    """The scalar constant that every element of `node` is: itself, or what it is a broadcast of."""
    if node.op.name == "broadcast_in_dim":
        node = node.args[0]
    return node if node.op is CONSTANT and not node.shape else None


def number_of(node: Node) -> bool | int | float:
    """The Python number that every element of a constant, or a broadcast of one, is."""
    scalar = scalar_of(node)
    value = None if scalar is None else constant_value(scalar)
    if value is None:
        raise GraphError(f"{node} is no number")
    number: bool | int | float = (bf16_to_f32(value) if node.dtype is bf16 else value).item()
    return number


@dataclass(frozen=True, eq=False)
class Pattern:
    """What a node may look like. `roots` names the ops it can have, None if any."""

    @property
    def roots(self) -> Names | None:
        return None

    @property
    def size(self) -> int:
        """The number of ops in the pattern."""
        return 0

    @property
    def names(self) -> frozenset[str]:
        """The variables that a match binds."""
        return frozenset()

    def match(self, node: Node, bound: Bound) -> bool:
        """Whether `node` fits what is bound already; binds the variables that are not."""
        raise NotImplementedError

    def admits(self, op: Op, operands: tuple[Op, ...]) -> bool:
        """Whether a node of `op` can match whose first operands have the ops `operands`."""
        return self.roots is None or op.name in self.roots

    def orders(self) -> Iterator[Pattern]:
        """The pattern with the operands of commutative ops in every order."""
        yield self

    def __add__(self, other: Any) -> Call:
        return P.add(self, other)

    def __radd__(self, other: Any) -> Call:
        return P.add(other, self)

    def __sub__(self, other: Any) -> Call:
        return P.subtract(self, other)

    def __rsub__(self, other: Any) -> Call:
        return P.subtract(other, self)

    def __mul__(self, other: Any) -> Call:
        return P.multiply(self, other)

    def __rmul__(self, other: Any) -> Call:
        return P.multiply(other, self)

    def __truediv__(self, other: Any) -> Call:
        return P.divide(self, other)

    def __rtruediv__(self, other: Any) -> Call:
        return P.divide(other, self)

    def __pow__(self, other: Any) -> Call:
        return P.power(self, other)

    def __neg__(self) -> Call:
        return P.negate(self)

    def __and__(self, other: Any) -> Call:
        return P.and_(self, other)

    def __or__(self, other: Any) -> Call:
        return P.or_(self, other)

    def __xor__(self, other: Any) -> Call:
        return P.xor(self, other)

    def __invert__(self) -> Call:
        return P.not_(self)


@dataclass(frozen=True, eq=False)
class Var(Pattern):
    """Any node, or any value of an attribute, that `where` holds of."""

    name: str
    where: Callable[[Any], bool] | None = None

    @property
    def names(self) -> frozenset[str]:
        return frozenset([self.name])

    def match(self, node: Any, bound: Bound) -> bool:
        known = bound.get(self.name)
        if known is not None:
            return bool(known == node)
        if self.where is not None and not self.where(node):
            return False
        bound[self.name] = node
        return True


@dataclass(frozen=True, eq=False)
class Number(Var):
    """A scalar constant, or the broadcast of one; `where` is asked about the Python number."""

    @property
    def roots(self) -> Names:
        return CONSTANTS

    def match(self, node: Node, bound: Bound) -> bool:
        if scalar_of(node) is None or (self.where is not None and not self.where(number_of(node))):
            return False
        known = bound.setdefault(self.name, node)
        return known is node


@dataclass(frozen=True, eq=False)
class Literal(Pattern):
    """A scalar constant of one value, or the broadcast of one."""

    value: bool | int | float
    encoded: dict[DType, frozenset[bytes]] = field(default_factory=dict)

    @property
    def roots(self) -> Names:
        return CONSTANTS

    def match(self, node: Node, bound: Bound) -> bool:
        scalar = scalar_of(node)
        if scalar is None:
            return False
        dtype = scalar.dtype
        if dtype not in self.encoded:
            self.encoded[dtype] = frozenset(self._encodings(dtype))
        return scalar.attrs["data"] in self.encoded[dtype]

    def _encodings(self, dtype: DType) -> Iterator[bytes]:
        if isinstance(self.value, bool) and dtype is not bool_:
            return
        values = (0.0, -0.0) if dtype.is_float and self.value == 0 else (self.value,)
        for value in values:
            try:
                yield constant(value, dtype).attrs["data"]
            except ShapeError:  # the type cannot hold the value
                return


@dataclass(frozen=True, eq=False)
class Call(Pattern):
    """A node of one op; with `open`, it may have more operands than `args`."""

    op: Op
    args: tuple[Pattern, ...]
    attrs: Mapping[str, Any]
    open: bool = False
    label: str | None = None

    def named(self, label: str) -> Call:
        """The same pattern, whose node the rule gets as `label`."""
        return replace(self, label=label)

    @property
    def roots(self) -> Names:
        return frozenset([self.op.name])

    @property
    def size(self) -> int:
        return 1 + sum(arg.size for arg in self.args)

    @property
    def names(self) -> frozenset[str]:
        own = [self.label] if self.label else []
        own += [value.name for value in self.attrs.values() if isinstance(value, Var)]
        return frozenset(own).union(*(arg.names for arg in self.args))

    def match(self, node: Node, bound: Bound) -> bool:
        if node.op is not self.op:
            return False
        args = node.args
        if len(args) != len(self.args) and not (self.open and len(args) > len(self.args)):
            return False
        if self.attrs and not self._match_attrs(node, bound):
            return False
        for pattern, arg in zip(self.args, args, strict=False):
            if not pattern.match(arg, bound):
                return False
        return self.label is None or bound.setdefault(self.label, node) is node

    def _match_attrs(self, node: Node, bound: Bound) -> bool:
        for name, wanted in self.attrs.items():
            value = node.attrs[name]
            same = wanted.match(value, bound) if isinstance(wanted, Var) else wanted == value
            if not same:
                return False
        return True

    def admits(self, op: Op, operands: tuple[Op, ...]) -> bool:
        if op is not self.op:
            return False
        roots = [arg.roots for arg in self.args]
        return all(r is None or o.name in r for r, o in zip(roots, operands, strict=False))

    def orders(self) -> Iterator[Pattern]:
        for args in product(*[list(arg.orders()) for arg in self.args]):
            yield replace(self, args=args)
            if self.op.name in COMMUTATIVE and args[0] is not args[1]:
                yield replace(self, args=args[::-1])


@dataclass(frozen=True, eq=False)
class Family(Pattern):
    """Any node with operands whose op `where` holds of, with limits on the operands' ops.

    Each operand's op is in `every`, and at least one's in `some`.
    """

    where: Callable[[Op], bool]
    every: Names
    some: Names

    def match(self, node: Node, bound: Bound) -> bool:
        return all(arg.op.name in self.every for arg in node.args[LOOKED_AT:])

    def admits(self, op: Op, operands: tuple[Op, ...]) -> bool:
        names = {operand.name for operand in operands}
        return bool(names & self.some) and names <= self.every and self.where(op)


def var(name: str, where: Callable[[Any], bool] | None = None) -> Var:
    """A variable: any node, or any value of an attribute, that `where` holds of."""
    return Var(name, where)


def number(name: str, where: Callable[[Any], bool] | None = None) -> Number:
    """A variable for a scalar constant or the broadcast of one; `where` gets its Python number."""
    return Number(name, where)


class _Ops:
    """Every op as a function from patterns to a pattern."""

    def __getattr__(self, name: str) -> Callable[..., Call]:
        op = op_named(name.rstrip("_"))

        def call(*args: Pattern | float | EllipsisType, **attrs: Any) -> Call:
            is_open = bool(args) and args[-1] is ...
            if unknown := attrs.keys() - op.attributes.keys():
                raise GraphError(f"a pattern: {op.name} has no attribute {', '.join(unknown)}")
            patterns = [_pattern(arg) for arg in (args[:-1] if is_open else args)]
            if not is_open:
                op.check_count(len(patterns))
            return Call(op, tuple(patterns), attrs, is_open)

        return call


P = _Ops()


def _pattern(value: Any) -> Pattern:
    if isinstance(value, Pattern):
        return value
    if isinstance(value, (bool, int, float)):
        return Literal(value)
    raise GraphError(f"a pattern: {value!r} is neither a pattern nor a number")


def match(pattern: Pattern, node: Node) -> Bound | None:
    """What the pattern's variables stand for if it matches at `node`, else None."""
    for order in pattern.orders():
        bound: Bound = {}
        operands = tuple([arg.op for arg in node.args[:LOOKED_AT]])
        if order.admits(node.op, operands) and order.match(node, bound):
            return bound
    return None


@dataclass(frozen=True, eq=False)
class Rule:
    """A rewrite. `function` takes the variables it names (`node` is the matched node).

    It gives what takes the node's place, None where the rule does not hold after all, or why it
    refuses, in words. Its name and docstring appear in reports.
    """

    name: str
    doc: str
    patterns: tuple[Pattern, ...]
    function: Callable[..., Node | str | None]
    parameters: tuple[str, ...]

    def apply(self, node: Node, bound: Bound) -> Node | str | None:
        bound["node"] = node
        return self.function(*[bound[name] for name in self.parameters])

    def __repr__(self) -> str:
        return f"<rule {self.name}: {self.doc}>"


def rule(*patterns: Pattern) -> Callable[[Callable[..., Node | str | None]], Rule]:
    """Declare a rule for all these patterns; its parameters are variables that each binds."""

    def declare(function: Callable[..., Node | str | None]) -> Rule:
        parameters = tuple(inspect.signature(function).parameters)
        for pattern in patterns:
            if missing := set(parameters) - pattern.names - {"node"}:
                raise GraphError(f"the rule {function.__name__}: {missing} not in a pattern")
        doc = inspect.getdoc(function) or ""
        return Rule(function.__name__, doc, patterns, function, parameters)

    return declare


class Rules:
    """Rules in the order they are tried, indexed by the ops of a node and of its first operands.

    The index is filled as ops are met, so that a node costs one look-up and only the rules that
    can match are tried.
    """

    def __init__(self, *rules: Rule) -> None:
        self.rules = rules
        self._orders = [
            (order, rule) for rule in rules for p in rule.patterns for order in p.orders()
        ]
        self._index: dict[tuple[Op, ...], tuple[tuple[Pattern, Rule], ...]] = {}

    def __iter__(self) -> Iterator[Rule]:
        return iter(self.rules)

    def __len__(self) -> int:
        return len(self.rules)

    def candidates(self, node: Node) -> tuple[tuple[Pattern, Rule], ...]:
        """The patterns that may match at `node`, with their rules."""
        key = (node.op, *[arg.op for arg in node.args[:LOOKED_AT]])
        found = self._index.get(key)
        if found is None:
            found = tuple([entry for entry in self._orders if entry[0].admits(key[0], key[1:])])
            self._index[key] = found
        return found

    def largest_first(self) -> Rules:
        """The same rules, those with the larger pattern first."""
        size = {rule: max(p.size for p in rule.patterns) for rule in self.rules}
        return Rules(*sorted(self.rules, key=lambda rule: -size[rule]))

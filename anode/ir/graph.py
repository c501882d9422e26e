"""Closed graphs: pure functions from inputs and variables to outputs, updates and effects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from anode.errors import GraphError
from anode.ir.dims import Dim, Size
from anode.ir.node import (
    INPUT,
    ITEM,
    READ,
    Node,
    Origin,
    at,
    input_node,
    read,
    remake,
    substitute,
    topological,
)
from anode.ir.types import TensorType, TokenType, TupleType, Type
from anode.ir.variable import Variable

if TYPE_CHECKING:
    from anode.ops.taps import NodeSelection

Update = tuple[Variable, Node]


@dataclass(frozen=True, eq=False)
class Graph:
    """A closed function. Equal graphs are one object, so a Graph can be an attribute of a Node.

    `types` are the inputs' types; input i is the node `graph.inputs[i]`. `updates` give variables
    their new values after the run; `effects` are tokens that must be computed though nobody reads
    them. `names` label the inputs, then the outputs, where the user gave names (else empty).
    """

    types: tuple[Type, ...]
    outputs: tuple[Node, ...]
    updates: tuple[Update, ...] = ()
    effects: tuple[Node, ...] = ()
    names: tuple[str, ...] = ()

    @staticmethod
    def make(
        types: Iterable[Type],
        outputs: Iterable[Node],
        updates: Iterable[Update] = (),
        effects: Iterable[Node] = (),
        names: Iterable[str] = (),
    ) -> Graph:
        """The graph with these parts: the one that exists already, or a new one."""
        key = (tuple(types), tuple(outputs), tuple(updates), tuple(effects), tuple(names))
        found = _graphs.get(key)
        if found is None:
            found = Graph(*key)
            found._check()
            _graphs[key] = found
        return found

    def _check(self) -> None:
        if len(self.names) not in (0, len(self.types) + len(self.outputs)):
            raise GraphError(
                f"{len(self.names)} names for {len(self.types)} inputs and "
                f"{len(self.outputs)} outputs; name all or none"
            )
        if any(not isinstance(token.type, TokenType) for token in self.effects):
            raise GraphError(f"effects are tokens, not {[node.type for node in self.effects]}")
        written = [variable for variable, _ in self.updates]
        if len(set(written)) != len(written):
            raise GraphError("a variable is updated twice in one graph")
        for variable, value in self.updates:
            if value.type != variable.type:
                raise GraphError(
                    f"the update of {variable.name} has type {value.type}, not {variable.type}"
                )
        own = set(self.inputs)
        _reject([node for node in self.nodes if node.op is INPUT and node not in own])

    @cached_property
    def inputs(self) -> tuple[Node, ...]:
        return tuple(input_node(i, type) for i, type in enumerate(self.types))

    @property
    def input_names(self) -> tuple[str, ...]:
        return self.names[: len(self.types)]

    @property
    def output_names(self) -> tuple[str, ...]:
        return self.names[len(self.types) :]

    @property
    def roots(self) -> tuple[Node, ...]:
        """Everything a run computes: outputs, new values of variables, effects."""
        return (*self.outputs, *(value for _, value in self.updates), *self.effects)

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes that the roots depend on, operands before users."""
        return tuple(topological(self.roots))

    @cached_property
    def variables(self) -> tuple[Variable, ...]:
        """Variables read or updated, in order of first use."""
        used = [node.attrs["variable"] for node in self.nodes if node.op is READ]
        return tuple(dict.fromkeys([*used, *(variable for variable, _ in self.updates)]))

    @cached_property
    def dims(self) -> frozenset[str]:
        """Names of the symbolic dims that are still to be bound, those of nested graphs too."""
        types = [*self.types, *(node.type for node in self.nodes)]
        attrs = [value for node in self.nodes for value in node.attrs.values()]
        return frozenset().union(*map(_dims, types), *map(_dims, attrs))

    def with_roots(self, roots: Sequence[Node]) -> Graph:
        """The same function with its roots, in the order of `roots`, replaced."""
        a, b = len(self.outputs), len(self.outputs) + len(self.updates)
        updates = [(v, new) for (v, _), new in zip(self.updates, roots[a:b], strict=True)]
        return Graph.make(self.types, roots[:a], updates, roots[b:], self.names)

    def map(self, rewrite: Callable[[Node, tuple[Node, ...]], Node]) -> Graph:
        """Rebuild every node bottom-up with `rewrite(old, new_args)`; new ones keep its line."""
        new: dict[Node, Node] = {}
        for node in self.nodes:
            with at(node.origin):
                new[node] = rewrite(node, tuple([new[arg] for arg in node.args]))
        return self.with_roots([new[root] for root in self.roots])

    def bind(self, **sizes: Size) -> Graph:
        """The graph with symbolic dims replaced by sizes, every node's type inferred anew."""
        unknown = set(sizes) - self.dims
        if unknown:
            raise GraphError(f"the graph has no dim {', '.join(sorted(unknown))}")
        return self._bind(sizes) if sizes else self

    def _bind(self, sizes: Mapping[str, Size]) -> Graph:
        new: dict[Node, Node] = {}
        for node in self.nodes:
            attrs = {key: _bind_attr(value, sizes) for key, value in node.attrs.items()}
            new[node] = remake(node, tuple([new[arg] for arg in node.args]), attrs)
        types = tuple(type.bind(sizes) for type in self.types)
        roots = [new[root] for root in self.roots]
        a, b = len(self.outputs), len(self.outputs) + len(self.updates)
        updates = [(v, value) for (v, _), value in zip(self.updates, roots[a:b], strict=True)]
        return Graph.make(types, roots[:a], updates, roots[b:], self.names)

    def inline(self, *args: Node, origin: Origin | None = None) -> tuple[Node, ...]:
        """The outputs as nodes over `args`: the function's body put in place of a call.

        New nodes keep the lines of the body's, or take `origin`, the line of the call.
        """
        if self.updates or self.effects:
            raise GraphError("only a function without updates and effects can be inlined")
        if tuple(arg.type for arg in args) != self.types:
            raise GraphError(f"called with {[a.type for a in args]}, takes {list(self.types)}")
        new = substitute(self.outputs, dict(zip(self.inputs, args, strict=True)), origin)
        return tuple(new[output] for output in self.outputs)

    def __repr__(self) -> str:
        from anode.ir.text import graph_text

        return graph_text(self)

    if TYPE_CHECKING:  # attached by anode.ops, which knows the families of ops

        def select(self, selector: Any) -> NodeSelection: ...


_graphs: WeakValueDictionary[Any, Graph] = WeakValueDictionary()


def close(
    inputs: Sequence[Node],
    outputs: Iterable[Node],
    updates: Iterable[Update] = (),
    effects: Iterable[Node] = (),
    names: Iterable[str] = (),
) -> Graph:
    """The closed graph of a traced function: its unique `inputs` become nominal ones."""
    types = tuple(node.type for node in inputs)
    outputs, updates, effects = tuple(outputs), tuple(updates), tuple(effects)
    roots = (*outputs, *(value for _, value in updates), *effects)
    nominal = {node: input_node(i, node.type) for i, node in enumerate(inputs)}
    new = substitute(roots, nominal)
    _reject([node for node in new if node.op is INPUT and node not in nominal])
    return Graph.make(
        types,
        [new[node] for node in outputs],
        [(variable, new[value]) for variable, value in updates],
        [new[node] for node in effects],
        names,
    )


def _reject(stray: Sequence[Node]) -> None:
    for node in stray:
        raise GraphError(
            f"a graph uses an input of another function, {node.type} ({node.origin}); "
            "pass it in as an operand"
        )


def fresh_inputs(*types: Type) -> tuple[Node, ...]:
    """Unique input nodes for tracing one function."""
    trace = object()
    return tuple(input_node(i, type, trace) for i, type in enumerate(types))


def trace(function: Callable[..., Any], *types: Type) -> Graph:
    """The closed graph of a Python function of nodes that returns a node or a tuple of nodes."""
    inputs = fresh_inputs(*types)
    return close(inputs, results(function(*inputs)))


def trace_lifting(
    function: Callable[..., Any], types: Sequence[Type], *, hoist: bool = True
) -> tuple[Graph, tuple[Node, ...]]:
    """Trace a nested function and lift the values it captures into trailing inputs.

    With `hoist`, whatever does not depend on the function's own inputs is computed outside and
    captured (right for loop bodies); without, only nodes that existed before tracing began and
    variables are captured (right for branches, which must not run when not taken). What depends on
    constants only stays inside, so that it can be part of a kernel there. Gives the closed graph
    and the captured nodes, in the order of the added inputs.
    """
    inputs = fresh_inputs(*types)
    (marker,) = fresh_inputs(TokenType())  # newer than all that exists now
    outputs = results(function(*inputs))
    captured = _captured(set(inputs), outputs, hoist, marker.serial)
    lifted = fresh_inputs(*(node.type for node in captured))
    new = substitute(outputs, dict(zip(captured, lifted, strict=True)))
    graph = close((*inputs, *lifted), [new[node] for node in outputs])
    return graph, tuple(captured)


def _captured(inputs: set[Node], outputs: Sequence[Node], hoist: bool, marker: int) -> list[Node]:
    inside: dict[Node, bool] = {}
    literal: set[Node] = set()  # depends on constants only
    order = topological(outputs)
    for node in order:
        if node.op in (READ, INPUT):
            inside[node] = node in inputs
        elif literal.issuperset(node.args):
            literal.add(node)
            inside[node] = True
        elif node.op is ITEM:  # captures are single results, never a whole tuple
            inside[node] = inside[node.args[0]]
        else:
            depends = any(inside[arg] and arg not in literal for arg in node.args)
            inside[node] = depends or (not hoist and node.serial > marker)
    wanted: dict[Node, None] = {}
    for node in order:
        if inside[node]:
            wanted.update((arg, None) for arg in node.args if not inside[arg])
    wanted.update((node, None) for node in outputs if not inside[node])
    return list(wanted)


def results(value: Any) -> tuple[Node, ...]:
    """What a traced function returned, as a tuple of nodes."""
    nodes = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    for node in nodes:
        if not isinstance(node, Node):
            raise GraphError(f"a traced function must return nodes, not {type(node).__name__}")
    return nodes


def _bind_attr(value: Any, sizes: Mapping[str, Size]) -> Any:
    if isinstance(value, (Dim, Graph)):
        return value.bind(sizes) if isinstance(value, Dim) else value._bind(sizes)
    if isinstance(value, (TensorType, TupleType)):
        return value.bind(sizes)
    if isinstance(value, tuple):
        return tuple([_bind_attr(item, sizes) for item in value])
    return value


def _dims(value: Any) -> frozenset[str]:
    """Names of the dims in an attribute or a type."""
    if isinstance(value, (Dim, Graph)):
        return value.names if isinstance(value, Dim) else value.dims
    if isinstance(value, TensorType):
        value = value.shape
    if isinstance(value, (tuple, TupleType)):
        return frozenset().union(*map(_dims, value))
    return frozenset()


__all__ = ["Graph", "close", "fresh_inputs", "read", "trace", "trace_lifting"]

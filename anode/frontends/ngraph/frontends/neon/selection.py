"""Ops and their scopes as a tree for selectors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from anode.frontends.ngraph.util.names import NameScope
from anode.rewrite.select import Element, Tree, Vocabulary


def select(ops: Iterable[Any], css: str) -> list[Any]:
    """The ops, and the scopes, that a selector finds; GraphError where it cannot be read."""
    elements = _Elements()
    for op in ops:
        elements.add(op)
    tree = Tree(elements.ordered(), Vocabulary(states=()))
    return [element.subject for element in tree.select(css)]


class _Elements:
    """Elements made so far, scopes before what lies in them."""

    def __init__(self) -> None:
        self.scopes: dict[str, Element] = {}
        self.children: dict[str, list[Element]] = {"": []}
        self.of_ops: dict[Any, Element] = {}

    def add(self, op: Any) -> None:
        scope = "" if op.scope is None else op.scope.name
        element = Element(
            op,
            types=(type(op).__name__,),
            name=op.name,
            classes=str(op.metadata.get("label", "")).split(),
            attributes={"name": op.unscoped_name, "scope": scope, **op.metadata},
            inside=self.scope(scope) if scope else None,
            before=[self.of_ops[arg] for arg in op.args if arg in self.of_ops],
        )
        self.of_ops[op] = element
        self.children[scope].append(element)

    def scope(self, path: str) -> Element:
        """The element of a scope; its type is the name without the number that made it unique."""
        if path not in self.scopes:
            above, _, name = path.rpartition("/")
            element = Element(
                NameScope.get_or_create_scope(name),
                types=(name.split("_")[0],),
                name=name,
                classes=("scope",),
                inside=self.scope(above) if above else None,
            )
            self.scopes[path] = element
            self.children[path] = []
            self.children[above].append(element)
        return self.scopes[path]

    def ordered(self) -> list[Element]:
        """Every op and scope, the ops of a scope together, as they lie in a document."""
        paths = {element: path for path, element in self.scopes.items()}
        waiting, order = list(reversed(self.children[""])), []
        while waiting:
            element = waiting.pop()
            order.append(element)
            waiting += reversed(self.children[paths[element]] if element in paths else [])
        return order

"""Names of ops: unique in the process, within scopes that nest."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar
from weakref import WeakValueDictionary

_state = threading.local()


class NameableValue:
    """Something with a unique name: a taken one gets a number, counted for each class."""

    _named: ClassVar[WeakValueDictionary[str, NameableValue]] = WeakValueDictionary()
    _count: ClassVar[int] = 0

    def __init__(
        self,
        name: str | None = None,
        graph_label_type: str | None = None,
        docstring: str | None = None,
    ) -> None:
        if isinstance(name, NameableValue):
            raise ValueError(f"a name is a string, not {name!r}")
        self.name = type(self).__name__ if name is None else name
        self._label = graph_label_type
        if docstring is not None:
            self.__doc__ = docstring

    @staticmethod
    def get_object_by_name(name: str) -> NameableValue:
        """The object with this name; KeyError where there is none any more."""
        return NameableValue._named[name]

    @property
    def name(self) -> str:
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        self._name = self._register(name)

    def _register(self, name: str) -> str:
        cls, names = type(self), NameableValue._named
        unique = name
        while unique in names:
            unique = f"{name}_{cls._count}"
            if unique in names:
                cls._count += 1
        names[unique] = self
        return unique

    def named(self, name: str) -> Any:
        """The object itself, called `name` from now on."""
        self.name = name
        return self

    @property
    def graph_label_type(self) -> str:
        return self._label or self.name

    @property
    def graph_label(self) -> str:
        """How drawings of the graph call it."""
        return f"{self.graph_label_type}[{self.name}]"

    @property
    def short_name(self) -> str:
        first = self.name.split("_")[0]
        return first.split(".")[1] if "." in first else first

    @property
    def safe_name(self) -> str:
        """The name with everything but letters, digits and underscores replaced."""
        return re.sub(r"\W", "_", self.name)


class NameScope(NameableValue):
    """A name that those of the things made inside begin with."""

    @classmethod
    def get_or_create_scope(cls, name: str | NameScope | None) -> NameScope | None:
        """The scope of that name, made if there is none; None for None."""
        if name is None or isinstance(name, NameScope):
            return name
        found = NameableValue._named.get(name)
        return found if isinstance(found, NameScope) else NameScope(name)


class ScopedNameableValue(NameableValue):
    """A nameable value whose name begins with the names of the scopes it is made in."""

    def __init__(
        self,
        name: str | None = None,
        graph_label_type: str | None = None,
        docstring: str | None = None,
        scope: str | NameScope | None = None,
    ) -> None:
        self._scope = NameScope.get_or_create_scope(scope) if scope else _current_scope()
        super().__init__(name, graph_label_type, docstring)

    @property
    def scope(self) -> NameScope | None:
        return self._scope

    def _register(self, name: str) -> str:
        return super()._register(name if self._scope is None else f"{self._scope.name}/{name}")

    @property
    def unscoped_name(self) -> str:
        return self.name if self._scope is None else self.name.rsplit("/", 1)[1]


def _scopes() -> list[NameScope]:
    if not hasattr(_state, "scopes"):
        _state.scopes = []
    scopes: list[NameScope] = _state.scopes
    return scopes


def _current_scope() -> NameScope | None:
    scopes = _scopes()
    if len(scopes) < 2:
        return scopes[0] if scopes else None
    return NameScope.get_or_create_scope(get_full_scope_name())


def get_current_name_scope() -> NameScope | None:
    """The innermost scope, or None."""
    scopes = _scopes()
    return scopes[-1] if scopes else None


def get_full_scope_name() -> str | None:
    """The names of all open scopes, joined by slashes; None outside any."""
    return "/".join(scope.name for scope in _scopes()) or None


@contextmanager
def name_scope(name: str | None = None, reuse_scope: bool = False) -> Iterator[NameScope | None]:
    """Ops made inside are called "`name`/…".

    A taken `name` gets a number, unless `reuse_scope` asks for the scope that has it.
    """
    scope = NameScope.get_or_create_scope(name) if reuse_scope else NameScope(name)
    scopes = _scopes()
    if scope is not None:
        scopes.append(scope)
    try:
        yield scope
    finally:
        if scope is not None:
            scopes.pop()

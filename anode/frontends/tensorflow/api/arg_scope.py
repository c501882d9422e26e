"""arg_scope: default arguments of functions, for a block of code."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from anode.frontends.tensorflow.core import get_default_graph
from anode.frontends.tensorflow.opdef import export

F = TypeVar("F", bound=Callable[..., Any])
Scope = dict[str, dict[str, Any]]

PLACES = (
    "contrib.framework",
    "contrib.framework.python.ops",
    "contrib.framework.python.ops.arg_scope",
    "contrib.slim",
)


def _paths(name: str) -> list[str]:
    return [f"{place}.{name}" for place in PLACES]


def _stack() -> list[Scope]:
    """The scopes that are open, of the default graph as its collections are."""
    found: list[Scope] = get_default_graph().__dict__.setdefault("_arg_scopes", [{}])
    return found


@export(*_paths("current_arg_scope"))
def current_arg_scope() -> Scope:
    """The arguments in force: function key -> keyword arguments."""
    return _stack()[-1]


def arg_scope_func_key(op: Any) -> str:
    """What names a function in a scope."""
    return str(getattr(op, "_key_op", op))


@export(*_paths("has_arg_scope"))
def has_arg_scope(func: Any) -> bool:
    """Whether a function was decorated with `add_arg_scope`."""
    return hasattr(func, "_key_op")


@export(*_paths("arg_scoped_arguments"))
def arg_scoped_arguments(func: Any) -> tuple[str, ...]:
    """The names of the arguments of a function that a scope may set."""
    if not has_arg_scope(func):
        raise ValueError(f"{func} is not decorated with @add_arg_scope")
    names: tuple[str, ...] = func._scoped
    return names


@export(*_paths("add_arg_scope"))
def add_arg_scope(func: F) -> F:
    """Let `arg_scope` set the keyword arguments of a function."""

    @functools.wraps(func)
    def call(*args: Any, **kwargs: Any) -> Any:
        found = current_arg_scope().get(key)
        return func(*args, **({**found, **kwargs} if found else kwargs))

    key = f"{func.__module__}.{func.__qualname__}:{id(call)}"
    code = getattr(func, "__code__", None)
    defaults = len(getattr(func, "__defaults__", None) or ())
    names = code.co_varnames[: code.co_argcount] if code is not None else ()
    call._key_op = key  # type: ignore[attr-defined]
    call._scoped = tuple(names[len(names) - defaults :])  # type: ignore[attr-defined]
    return call  # type: ignore[return-value]


@export(*_paths("arg_scope"))
@contextmanager
def arg_scope(list_ops_or_scope: Any, **kwargs: Any) -> Iterator[Scope]:
    """Set arguments of functions inside; gives the scope, which can be opened again."""
    if isinstance(list_ops_or_scope, Mapping):
        if kwargs:
            raise ValueError(
                "When attempting to re-use a scope by suppling a dictionary, kwargs must be empty."
            )
        scope = dict(list_ops_or_scope)
    elif isinstance(list_ops_or_scope, (list, tuple)):
        scope = {key: dict(values) for key, values in current_arg_scope().items()}
        for function in list_ops_or_scope:
            if not has_arg_scope(function):
                raise ValueError(f"{function} is not decorated with @add_arg_scope")
            scope.setdefault(arg_scope_func_key(function), {}).update(kwargs)
    else:
        raise TypeError("list_ops_or_scope must either be a list/tuple or reused scope (i.e. dict)")
    stack = _stack()
    stack.append(scope)
    try:
        yield scope
    finally:
        stack.pop()

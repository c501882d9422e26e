"""Functions of `tensorflow.python.util` that scripts import: Python's own, or nearly."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from anode.frontends.tensorflow.opdef import export, export_values

_INSPECT = (
    *("currentframe", "getdoc", "getfile", "getfullargspec", "getmembers", "getmodule", "getmro"),
    *("getsource", "getsourcefile", "isabstract", "isbuiltin", "isclass", "isframe", "isfunction"),
    *("isgenerator", "isgeneratorfunction", "ismethod", "ismodule", "isroutine", "signature"),
    *("stack", "unwrap"),
)
export_values("inspect", {f"python.util.tf_inspect.{name}": name for name in _INSPECT})
export_values("contextlib", {"python.util.tf_contextlib.contextmanager": "contextmanager"})


@export("python.util.tf_inspect.ArgSpec")
class ArgSpec(NamedTuple):
    """What `getargspec` of Python 2 gave."""

    args: list[str]
    varargs: str | None
    keywords: str | None
    defaults: tuple[Any, ...] | None


@export("python.util.tf_inspect.getargspec")
def getargspec(obj: Callable[..., Any]) -> ArgSpec:
    """The arguments of a function; ValueError where some may be given by keyword only."""
    spec = inspect.getfullargspec(obj)
    if spec.kwonlyargs:
        raise ValueError(f"{obj!r} has keyword-only arguments: use getfullargspec")
    return ArgSpec(spec.args, spec.varargs, spec.varkw, spec.defaults)


@export("python.util.tf_decorator.make_decorator")
def make_decorator(
    target: Callable[..., Any],
    decorator_func: Callable[..., Any],
    decorator_name: str | None = None,
    decorator_doc: str = "",
    decorator_argspec: Any = None,
) -> Callable[..., Any]:
    """`decorator_func` with the name and documentation of what it wraps."""
    return functools.wraps(target)(decorator_func)


@export("python.util.deprecation.deprecated", "contrib.framework.deprecated")
def deprecated(
    date: str | None, instructions: str, warn_once: bool = True
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Mark a function that will go; its first call is logged."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        told = False

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal told
            if not (told and warn_once):
                from anode.frontends.tensorflow.api.logging import warning

                told = True
                when = "in a future version" if date is None else f"after {date}"
                warning(
                    "%s is deprecated and will be removed %s.\nInstructions for updating:\n%s",
                    function.__name__,
                    when,
                    instructions,
                )
            return function(*args, **kwargs)

        return call

    return decorate


@export("python.util.all_util.remove_undocumented")
def remove_undocumented(
    module_name: str, allowed_exception_list: Any = None, doc_string_modules: Any = None
) -> None:
    """Hide what a module does not document; names are left as they are."""


@export("python.util.tf_export.tf_export", "python.util.tf_export.keras_export")
def tf_export(*names: str, **options: Any) -> Callable[[Any], Any]:
    """A decorator that puts a name into TensorFlow's own modules; here it changes nothing."""
    return lambda thing: thing

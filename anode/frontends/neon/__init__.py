"""neon 2.6, served by anode: the same modules, names and formats.

neon programs overwrite Tensors; see `tracing` for how that becomes a graph.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from anode.frontends.neon.logger import DISPLAY_LEVEL_NUM, NeonLogger, logger

if TYPE_CHECKING:
    from anode.frontends.neon.backends.backend import Backend

__version__ = "2.6.0"
__all__ = ["DISPLAY_LEVEL_NUM", "NeonLogger", "NervanaObject", "get_args", "logger"]
PACKAGE = "anode.frontends.neon"


def get_args(func: Any) -> dict[str, Any]:
    """The names of a function's positional arguments with their defaults, None where none is."""
    spec = inspect.getfullargspec(func)
    missing = [None] * (len(spec.args) - len(spec.defaults or ()))
    return dict(zip(spec.args, [*missing, *(spec.defaults or ())], strict=True))


class NervanaObject:
    """What everything of neon inherits: the backend `be`, a name, and its description."""

    be: Backend = None  # type: ignore[assignment]
    _counter = 0

    def __init__(self, name: str | None = None) -> None:
        kind = type(self)
        self.name = f"{self.classnm}_{kind._counter}" if name is None else name
        self._desc: dict[str, Any] | None = None
        kind._counter += 1

    def __del__(self) -> None:
        type(self)._counter -= 1

    @staticmethod
    def recursive_gen(pdict: Any, key: Any) -> None:
        """Replace the description at `key`, if it is one, by the object it describes."""
        from anode.frontends.neon.util.persist import load_class

        found = pdict[key]
        if type(found) is dict and "type" in found:
            pdict[key] = load_class(found["type"]).gen_class(found.setdefault("config", {}))

    @classmethod
    def gen_class(cls, pdict: dict[str, Any]) -> Any:
        """The object whose constructor's arguments are described by `pdict`."""
        for key, value in pdict.items():
            if type(value) in (tuple, list):
                for index in range(len(value)):
                    cls.recursive_gen(value, index)
            else:
                cls.recursive_gen(pdict, key)
        return cls(**pdict)

    @property
    def classnm(self) -> str:
        """The name of the class."""
        return type(self).__name__

    @property
    def modulenm(self) -> str:
        """The dotted name of the class, as neon has it: "neon.layers.layer.Linear"."""
        return f"{original(type(self).__module__)}.{type(self).__name__}"

    def get_description(self, *, skip: Iterable[str] = (), **kwargs: Any) -> dict[str, Any]:
        """{"type": dotted name of the class, "config": arguments other than their defaults}."""
        config: dict[str, Any] = {}
        for name, default in get_args(self.__init__).items():  # type: ignore[misc]
            if name == "self" or name in skip:
                continue
            if name not in self.__dict__:
                logger.warning("can't describe argument '%s' to %s", name, self)
            elif _differs(self.__dict__[name], default):
                value = self.__dict__[name]
                config[name] = value.get_description() if _described(value) else value
        self._desc = {"type": self.modulenm, "config": config}
        return self._desc


def _described(value: Any) -> bool:
    return isinstance(value, NervanaObject)


def _differs(value: Any, default: Any) -> bool:
    if value is default:
        return False
    different = value != default
    return different if isinstance(different, bool) else True  # arrays and tensors


def original(module: str) -> str:
    """The path at which a module of this package is served: "neon.layers.layer"."""
    return "neon" + module.removeprefix(PACKAGE) if module.startswith(PACKAGE) else module


def __getattr__(name: str) -> Any:
    """A module of this package, or else a name of ngraph, which neon 3 is."""
    if name.startswith("__"):
        raise AttributeError(f"module 'neon' has no attribute {name!r}")
    from importlib import import_module
    from importlib.machinery import PathFinder

    from anode.frontends.serve import other

    if PathFinder.find_spec(f"{PACKAGE}.{name}", __path__) is not None:
        return import_module(f"{PACKAGE}.{name}")

    return other("neon", name)

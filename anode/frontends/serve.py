"""Serving other libraries' names: `neon.layers` is the module `anode.frontends.neon.layers`.

The file layout is the table. neon 2.6 and neon 3, which is ngraph, share the name `neon`: what the
former lacks is looked for in the latter.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from pkgutil import walk_packages
from types import ModuleType
from typing import Any

FRONTENDS = "anode.frontends"
NEON_3 = {  # where neon 3 departed from ngraph, then ngraph
    "neon.frontend.common": (f"{FRONTENDS}.ngraph.frontends.common",),
    "neon.frontend": (
        f"{FRONTENDS}.ngraph.frontends.neon3",
        f"{FRONTENDS}.ngraph.frontends.neon",
    ),
}
ROOTS = {
    "neon": (f"{FRONTENDS}.neon", f"{FRONTENDS}.ngraph"),
    "ngraph": (f"{FRONTENDS}.ngraph",),
}


def located(name: str) -> str | None:
    """The module of anode that serves the module `name`, or None."""
    root, _, below = name.partition(".")
    for start, targets in NEON_3.items():
        if name == start or name.startswith(start + "."):
            rest = name.removeprefix(start)
            return next((t + rest for t in targets if _existing(t + rest)), None)
    places = [f"{package}.{below}" if below else package for package in ROOTS[root]]
    return next((place for place in places if _existing(place)), None)


def _existing(module: str) -> str | None:
    """`module`, if there is one of that name."""
    if module in sys.modules:
        return module
    parent = module.rpartition(".")[0]
    if parent == FRONTENDS:
        return module
    if _existing(parent) is None:
        return None
    path = getattr(import_module(parent), "__path__", [])
    return module if PathFinder.find_spec(module, path) is not None else None


def missing(name: str) -> str:
    """The sentence about a module or name that is not served, with the nearest that is."""
    root = name.partition(".")[0]
    near = _nearest(name, served(root))
    return f"{name} is not implemented by anode" + (f"; nearest: {near}" if near else "")


def _nearest(name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    last = {path.rpartition(".")[2]: path for path in known}
    found = get_close_matches(name.rpartition(".")[2], last, 1, 0.75)
    return last[found[0]] if found else ""


def served(root: str) -> Iterator[str]:
    """Every module path of a library, and every public name of the modules loaded."""
    package = ROOTS[root][0]
    start = f"{package}."
    for module in walk_packages(import_module(package).__path__, start):
        path = root + module.name.removeprefix(package)
        yield path
        names = vars(sys.modules.get(module.name, ModuleType("")))
        yield from (f"{path}.{name}" for name in names if not name.startswith("_"))


def other(root: str, name: str) -> Any:
    """The attribute `name` of the library that stands in for `root` where it lacks it."""
    for package in ROOTS[root][1:]:
        module = import_module(package)
        if hasattr(module, name):
            return getattr(module, name)
    raise AttributeError(missing(f"{root}.{name}"))


class Loader:
    """Puts a module of anode in place of the one asked for."""

    def __init__(self, target: str) -> None:
        self.target = target

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        found = import_module(self.target)
        if not hasattr(found, "__path__"):
            found.__path__ = []  # so that a name that it lacks is asked of Finder
        sys.modules[module.__name__] = found


class Finder:
    """Finds the libraries of ROOTS; what is not there fails with its name and the nearest."""

    def __init__(self, root: str) -> None:
        self.root = root

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] == self.root:
            found = located(fullname)
            if found is None:  # another `name` than `fullname`: it is no missing dependency
                raise ModuleNotFoundError(missing(fullname), name=f"{fullname} in anode")
            return ModuleSpec(fullname, Loader(found), is_package=True)  # type: ignore[arg-type]
        package = ROOTS[self.root][0]
        if fullname.startswith(f"{package}.") and _existing(fullname) is None:
            asked = self.root + fullname.removeprefix(package)
            raise ModuleNotFoundError(missing(asked), name=f"{asked} in anode")
        return None


def install(root: str) -> None:
    """Serve `root` from here; ImportError where the real one is imported already."""
    present = sys.modules.get(root)
    if present is not None and not present.__name__.startswith(FRONTENDS):
        where = getattr(present, "__file__", None) or "unknown place"
        raise ImportError(
            f"{root} is already imported, from {where}: call "
            f'anode.compat.install("{root}") before anything that imports it'
        )
    if not any(isinstance(f, Finder) and f.root == root for f in sys.meta_path):
        sys.meta_path.insert(0, Finder(root))


def uninstall(root: str) -> None:
    """Take back what `install` did, and forget the names served."""
    sys.meta_path[:] = [f for f in sys.meta_path if not (isinstance(f, Finder) and f.root == root)]
    for name in [n for n in sys.modules if n == root or n.startswith(f"{root}.")]:
        del sys.modules[name]

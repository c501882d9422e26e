"""The module `tensorflow` as scripts import it: every name is read when it is first used.

`names.txt` says where each name lies; `python -m anode.frontends.tensorflow.modules` writes it from
what the files of this package export.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib import import_module
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from anode.frontends.tensorflow.paths import (
    OLD,
    candidates,
    imported_module,
    is_internal,
    parents,
    public_names,
    public_namespaces,
)

PACKAGE = "anode.frontends.tensorflow"
ROOT = "tensorflow"


@cache
def names() -> dict[str, str]:
    """Public path -> "module:attribute", the module below this package."""
    from anode.frontends.tensorflow.names import NAMES

    return NAMES


@cache
def namespaces() -> frozenset[str]:
    return frozenset(parents(list(names())))


def target(path: str) -> str | None:
    """Where the thing at a public or internal path lies, or None."""
    exported = names()
    found = next((exported[p] for p in candidates(path) if p in exported), None)
    return found or _raw_op(path)


def _raw_op(path: str) -> str | None:
    """The function of one op: raw_ops.ReluGrad, python.ops.gen_nn_ops.relu_grad."""
    space, _, name = path.rpartition(".")
    if space != "raw_ops" and not space.startswith("python.ops.gen_"):
        return None
    from anode.frontends.tensorflow.names import TABLE

    plain = name.replace("_", "").lower()
    type = next((type for type in TABLE if type.lower() == plain), None)
    return None if type is None else f"api.raw_ops:{type}"


def is_namespace(path: str) -> bool:
    """Whether a path is a module: it has names here, or TensorFlow 1.15 has it."""
    return path in namespaces() or path in public_namespaces()


def missing(path: str) -> str:
    """The sentence about a name that anode does not have, with the nearest that it has."""
    space, _, name = path.rpartition(".")
    own = {p.rpartition(".")[2]: p for p in names() if p.rpartition(".")[0] == space}
    near = own.get(_nearest(name, own)) or _last_names().get(_nearest(name, _last_names()))
    if is_internal(path) or path in OLD or any(path in alike for alike in public_names()):
        why = "is not implemented by anode"
    else:
        why = "is not a name of TensorFlow 1.15"
    return f"tf.{path} {why}" + (f"; nearest: tf.{near}" if near else "")


def _nearest(name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    return next(iter(get_close_matches(name, known, 1, 0.75)), "")


@cache
def _last_names() -> dict[str, str]:
    paths = sorted(names(), key=lambda path: -path.count("."))
    return {path.rpartition(".")[2]: path for path in paths}


class Namespace(ModuleType):
    """`tensorflow` or one of its modules; attributes are looked up when they are first used."""

    def __init__(self, name: str) -> None:
        super().__init__(name, f"{name} of TensorFlow 1.15, served by anode.")
        self.__file__ = str(Path(__file__).with_name("__init__.py"))

    @property
    def _path(self) -> str:
        return self.__name__.partition(".")[2]

    def __getattr__(self, name: str) -> Any:
        if name == "__all__":
            return [name for name in dir(self) if not name.startswith("_")]
        path = f"{self._path}.{name}" if self._path else name
        if name.startswith("__") and path.removeprefix("compat.v1.") not in names():
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        value = _found(path)
        setattr(self, name, value)
        return value

    def __dir__(self) -> list[str]:
        start = self._path + "." if self._path and self._path != "compat.v1" else ""
        below = {path[len(start) :] for path in names() if path.startswith(start)}
        return sorted({path.partition(".")[0] for path in below} | set(self.__dict__))


@cache
def namespace(path: str) -> Namespace:
    """The one module object of a namespace; "" is `tensorflow`."""
    return Namespace(f"{ROOT}.{path}" if path else ROOT)


tensorflow = namespace("")  # for anode's own files; scripts import it through Finder


def _found(path: str) -> Any:
    if path in names():
        return load(names()[path])
    if is_namespace(path):  # before names by rule: python.ops.variable_scope is a module
        return namespace(path)
    where = target(path)
    if where is not None:
        return load(where)
    space = next((p for p in candidates(path) if p in namespaces()), None) or imported_module(path)
    if space is None:
        raise AttributeError(missing(path))
    return namespace(space)


def load(where: str) -> Any:
    """The thing that "module:attribute" names; without attribute the module itself."""
    module, _, attribute = where.partition(":")
    value = import_module(f"{PACKAGE}.{module}" if module[0] != "=" else module[1:])
    for part in filter(None, attribute.split(".")):
        value = getattr(value, part)
    return value


class NamespaceLoader:
    """Gives the modules of `tensorflow`; there is nothing to execute."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return namespace(spec.name.partition(".")[2])

    def exec_module(self, module: ModuleType) -> None:
        pass


class Finder:
    """Finds `tensorflow` and what lies below it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        root, _, below = fullname.partition(".")
        if root != ROOT:
            return None
        if below and not (is_namespace(below) or _is_alias_of_namespace(below)):
            # Another `name` than `fullname`, so that `from a import b` shows this sentence.
            raise ModuleNotFoundError(missing(below), name=f"tf.{below}")
        return ModuleSpec(
            fullname,
            NamespaceLoader(),  # type: ignore[arg-type]
            origin="anode",
            is_package=True,
        )


def _is_alias_of_namespace(path: str) -> bool:
    return any(p in namespaces() for p in candidates(path)) and target(path) is None


def install() -> None:
    """Serve `tensorflow` from here; ImportError where the real one is imported already."""
    present = sys.modules.get(ROOT)
    if present is not None and not isinstance(present, Namespace):
        where = getattr(present, "__file__", None) or "unknown place"
        raise ImportError(
            f"tensorflow is already imported, from {where}: call "
            'anode.compat.install("tensorflow") before anything that imports it'
        )
    if not any(isinstance(finder, Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, Finder())


def uninstall() -> None:
    """Take back what `install` did, and forget the modules served."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, Finder)]
    for name in [n for n, module in sys.modules.items() if isinstance(module, Namespace)]:
        del sys.modules[name]


def exported() -> Iterator[tuple[str, str]]:
    """Every public path with its target: those exported, and TensorFlow's other names of them."""
    from anode.frontends.tensorflow.opdef import EXPORTS

    own = {path: _relative(where) for path, where in EXPORTS.items()}
    yield from own.items()
    for alike in public_names():
        found = next((own[path] for path in alike if path in own), None)
        if found is not None:
            yield from ((path, found) for path in alike if path not in own)


def _relative(where: str) -> str:
    return where.removeprefix(PACKAGE + ".") if where.startswith(PACKAGE) else "=" + where


def write() -> list[str]:
    """Write names.txt from what the package's files export; gives a line for each that fails."""
    failed = list(_import_all())
    from anode.frontends.tensorflow.opdef import OPS

    table = {
        type: (definition.lower or definition.host).__module__ for type, definition in OPS.items()
    }
    rows = dict(exported()) | {f"@{type}": module for type, module in table.items()}
    text = "".join(f"{key} {rows[key]}\n" for key in sorted(rows))
    Path(__file__).with_name("names.txt").write_text(text, encoding="utf-8")
    return failed


def _import_all() -> Iterator[str]:
    from pkgutil import walk_packages

    package = import_module(PACKAGE)
    for module in walk_packages(package.__path__, PACKAGE + "."):
        try:
            if module.name not in (f"{PACKAGE}.names", f"{PACKAGE}.modules"):
                import_module(module.name)
        except Exception as error:  # one broken file shall not hide the names of the others
            yield f"{module.name}: {type(error).__name__}: {error}"


if __name__ == "__main__":
    sys.exit("\n".join(write()) or 0)

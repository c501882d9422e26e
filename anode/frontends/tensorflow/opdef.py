"""The table of TensorFlow's ops: a signature, attributes, and what the op means.

    @op("MatMul", "a:T b:T -> T", transpose_a=False, transpose_b=False)
    def _(a, b, *, transpose_a, transpose_b): ...

The words of a signature are types: a lower-case name is a fixed dtype, another one a type
attribute; `N*T` is a list of N, `[T]` a list of unlike types, `&T` a reference to a variable.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from anode.errors import UnsupportedOp
from anode.frontends.tensorflow.dtypes import DType, as_dtype
from anode.ir.node import Node, constant_value

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")
Shape = Any  # a TensorShape, a list of int or None, or None for an unknown rank

EXPORTS: dict[str, str] = {}  # public path -> "module:attribute"
OPS: dict[str, OpDef] = {}
_WORD = re.compile(r"(?:(\w+):)?(&)?(?:(\w+)\*)?(\[)?(\w+)\]?")


class _Required:
    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED: Any = _Required()


class NotStatic(Exception):
    """A value that must be known while the graph is traced depends on data of the run."""

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self.node = node


@dataclass(frozen=True, slots=True)
class Arg:
    """One input or output of a signature.

    `type` is a fixed DType or the name of a type attribute, `count` the attribute with the length
    of a list of one type; `several` marks a list of unlike types, `ref` a variable.
    """

    name: str
    type: DType | str
    count: str | None
    several: bool
    ref: bool


@dataclass(slots=True)
class OpDef:
    """One op type: `lower` works on nodes, `host` on NumPy arrays; at least one of them is there.

    `passthrough` says that output 0 is input 0, whatever the host kernel does besides.
    """

    type: str
    inputs: tuple[Arg, ...]
    outputs: tuple[Arg, ...]
    attrs: Mapping[str, Any]
    lower: Callable[..., Any] | None = None
    host: Callable[..., Any] | None = None
    shape: Any = None
    stateful: bool = False
    passthrough: bool = False
    _takes: dict[Callable[..., Any], frozenset[str]] = field(default_factory=dict)

    @property
    def type_attrs(self) -> frozenset[str]:
        args = (*self.inputs, *self.outputs)
        return frozenset(arg.type for arg in args if isinstance(arg.type, str))

    @property
    def counts(self) -> frozenset[str]:
        args = (*self.inputs, *self.outputs)
        return frozenset(arg.count for arg in args if arg.count is not None)

    def takes(self, function: Callable[..., Any], name: str) -> bool:
        """Whether a kernel of this op has a parameter of this name."""
        names = self._takes.get(function)
        if names is None:
            names = self._takes[function] = frozenset(inspect.signature(function).parameters)
        return name in names

    def keywords(self, function: Callable[..., Any], attrs: Mapping[str, Any]) -> dict[str, Any]:
        """The attributes that a kernel receives: all that are declared, and the types it asks for.

        Type attributes arrive as anode's dtypes in a lowering, as TensorFlow's in a host kernel.
        """
        own = self.type_attrs | self.counts
        found = {name: attrs[name] for name in self.attrs if name not in own}
        for name in own:
            if self.takes(function, name):
                found[name] = self._typed(function, attrs[name])
        return found

    def _typed(self, function: Callable[..., Any], value: Any) -> Any:
        if not isinstance(value, DType) or function is not self.lower:
            return value
        return value.anode


def parsed(signature: str) -> tuple[tuple[Arg, ...], tuple[Arg, ...]]:
    """The inputs and outputs that a signature declares."""
    left, arrow, right = signature.partition("->")
    if not arrow:
        raise ValueError(f"a signature needs '->': {signature!r}")
    return _args(left), _args(right)


def _args(text: str) -> tuple[Arg, ...]:
    found = []
    for word in text.split():
        match = _WORD.fullmatch(word)
        if match is None:
            raise ValueError(f"not a type in a signature: {word!r}")
        name, ref, count, several, type = match.groups()
        found.append(Arg(name or "", _type(type), count, bool(several), bool(ref)))
    return tuple(found)


@functools.cache
def _type(name: str) -> DType | str:
    if name[0].islower():
        try:
            return as_dtype(name)
        except TypeError:
            pass
    return name


def op(
    type: str,
    signature: str,
    /,
    *,
    shape: Any = None,
    stateful: bool = False,
    **attrs: Any,
) -> Callable[[F], F]:
    """Declare an op by its lowering: a function of nodes."""
    return _declared(type, signature, "lower", shape, stateful, False, attrs)


def host(
    type: str,
    signature: str,
    /,
    *,
    shape: Any = None,
    stateful: bool = False,
    passthrough: bool = False,
    **attrs: Any,
) -> Callable[[F], F]:
    """Declare an op by its host kernel: a function of NumPy arrays."""
    return _declared(type, signature, "host", shape, stateful, passthrough, attrs)


def _declared(
    type: str,
    signature: str,
    kind: str,
    shape: Any,
    stateful: bool,
    passthrough: bool,
    attrs: Mapping[str, Any],
) -> Callable[[F], F]:
    def declare(function: F) -> F:
        if type in OPS:
            raise ValueError(f"the op {type} is declared twice")
        inputs, outputs = parsed(signature)
        definition = OpDef(type, inputs, outputs, dict(attrs))
        definition.shape, definition.stateful = shape, stateful
        definition.passthrough = passthrough
        setattr(definition, kind, function)
        OPS[type] = definition
        return function

    return declare


def host_kernel(type: str) -> Callable[[F], F]:
    """Give an op that has a lowering a host kernel too, for strings."""

    def declare(function: F) -> F:
        OPS[type].host = function
        return function

    return declare


def find(type: str) -> OpDef:
    """The declaration of an op type; an unknown one raises UnsupportedOp with its name."""
    found = OPS.get(type)
    if found is None:
        _load(type)
        found = OPS.get(type)
    if found is None:
        raise UnsupportedOp(f"TensorFlow's op {type} is not implemented by anode")
    return found


def _load(type: str) -> None:
    """Import the files of the table that mention `type`, until one declares it."""
    word = re.compile(rf"\b{re.escape(type)}\b")
    for module, text in _sources().items():
        if type not in OPS and word.search(text):
            import_module(module)
    if type not in OPS:  # a loop of the table declares it
        for module in _sources():
            import_module(module)


@functools.cache
def _sources() -> dict[str, str]:
    """The files that declare ops, and their texts."""
    folder = Path(__file__).parent
    names = [f"table.{path.stem}" for path in sorted((folder / "table").glob("*.py"))]
    package = __name__.rpartition(".")[0]
    paths = [folder / (name.replace(".", "/") + ".py") for name in names]
    return {f"{package}.{name}": path.read_text() for name, path in zip(names, paths, strict=True)}


def static(node: Any) -> np.ndarray:
    """The value of a node that is known while the graph is traced: a shape, an axis.

    Raises NotStatic otherwise: the session then computes the value first and traces again.
    """
    if isinstance(node, (np.ndarray, np.generic)):
        return np.asarray(node)
    value = constant_value(node)
    if value is None:
        raise NotStatic(node)
    return value


def export(*paths: str) -> Callable[[F], F]:
    """Serve a function or a class under these names of the module `tensorflow`."""

    def note(thing: F) -> F:
        for path in paths:
            EXPORTS[path] = f"{thing.__module__}:{thing.__qualname__}"
        return thing

    return note


def shown_in(module: str) -> Callable[[type[T]], type[T]]:
    """Let a class print as TensorFlow's of this module: scripts show types, tracebacks errors."""

    def name(cls: type[T]) -> type[T]:
        cls.__module__ = f"tensorflow.{module}"
        return cls

    return name


def export_values(module: str, names: Mapping[str, str] | Sequence[str]) -> None:
    """Serve attributes of a module: a mapping from public paths to them, or equal names."""
    pairs = names.items() if isinstance(names, Mapping) else zip(names, names, strict=True)
    for path, attribute in pairs:
        EXPORTS[path] = f"{module}:{attribute}"


def renamed(**old: str) -> Callable[[F], F]:
    """Accept old names of keyword arguments: `@renamed(keep_dims="keepdims")`."""

    def wrap(function: F) -> F:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            for before, now in old.items():
                if before in kwargs:
                    value = kwargs.pop(before)
                    if value is None:
                        continue
                    if kwargs.get(now) is not None:
                        raise ValueError(
                            f"Cannot specify both '{before}' and '{now}' of {function.__name__}"
                        )
                    kwargs[now] = value
            return function(*args, **kwargs)

        call.__renamed__ = tuple(old)  # type: ignore[attr-defined]
        return call  # type: ignore[return-value]

    return wrap

"""Executable: a graph that is compiled for the sizes it meets, and called like a function."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

from anode.backends.base import Backend, Compiled, Variables, backend_named
from anode.errors import BackendError, GraphError, ShapeError
from anode.ir.dims import Dim, bind_size
from anode.ir.graph import Graph
from anode.ir.types import TensorType
from anode.ops.taps import Tapped, Watch
from anode.runtime.state import State, from_numbers, stores

Shapes = tuple[tuple[int, ...], ...]

_BYTES = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(?:([kMGT])(i)?)?B?\s*", re.IGNORECASE)


@dataclass(slots=True)
class Binding:
    """One compilation of an executable: the sizes it is for, and how often it ran."""

    sizes: Mapping[str, int]
    compiled: Compiled
    runs: int = 0

    @property
    def seconds(self) -> float:
        """What compiling took."""
        return self.compiled.seconds

    @property
    def peak_bytes(self) -> int | None:
        """The planned arena."""
        return self.compiled.peak_bytes

    def __repr__(self) -> str:
        sizes = ", ".join(f"{k}={v}" for k, v in self.sizes.items()) or "static"
        peak = "" if self.peak_bytes is None else f", peak {self.peak_bytes} bytes"
        return f"<{sizes}: compiled in {self.seconds:.3f} s, {self.runs} runs{peak}>"


class Executable:
    """`exe(*inputs, state=state)` runs the graph: new arrays out, variables updated in `state`.

    Inputs are NumPy arrays, DLPack objects, or Python numbers for scalars; arrays of the right type
    that are C-contiguous are used without a copy. Symbolic sizes take their values from the inputs'
    shapes; the graph is compiled once for each set of sizes, see `bindings`.
    """

    def __init__(
        self,
        graph: Graph,
        backend: Backend,
        threads: int | None = None,
        memory_limit: int | None = None,
    ) -> None:
        self.graph, self.backend, self.threads = graph, backend, threads
        self.memory_limit = memory_limit
        self._types = _input_types(graph)
        self._dtypes = tuple([type.dtype.numpy for type in self._types])
        self._by_shapes: dict[Shapes, Binding] = {}
        self._by_sizes: dict[tuple[tuple[str, int], ...], Binding] = {}
        self._accepted = 0  # the version of the last state found to hold every variable

    @property
    def bindings(self) -> tuple[Binding, ...]:
        """The compilations so far."""
        return tuple(self._by_sizes.values())

    def __call__(self, *inputs: Any, state: Variables | None = None) -> tuple[np.ndarray, ...]:
        try:
            shapes = tuple([x.shape for x in inputs])
            binding = self._by_shapes[shapes]
            for x, dtype in zip(inputs, self._dtypes, strict=True):
                flags = x.flags
                if x.dtype is not dtype or not flags.c_contiguous or not flags.aligned:
                    raise KeyError
                if type(x) is not np.ndarray:  # a NumPy scalar has all of that too
                    raise KeyError
        except (KeyError, AttributeError):  # a first call, or inputs to be converted
            inputs = self._arrays(inputs)
            binding = self._binding(inputs)
        if state is None:
            state = State()
        if state.version != self._accepted:
            self._accept(state)
        binding.runs += 1
        return tuple(binding.compiled.run(inputs, state))

    def compile(self, **sizes: int) -> Compiled:
        """The compilation for these sizes, made now if it is not there yet."""
        missing = self.graph.dims - set(sizes)
        if missing:
            raise ShapeError(f"sizes of {', '.join(sorted(missing))} are not given by any input")
        key = tuple(sorted(sizes.items()))
        if key not in self._by_sizes:
            graph = self.graph.bind(**sizes)
            compiled = self.backend.compile(
                graph, threads=self.threads, memory_limit=self.memory_limit
            )
            self._by_sizes[key] = Binding(sizes, compiled)
        return self._by_sizes[key].compiled

    @property
    def stages(self) -> Mapping[str, str]:
        """The printable stages of the only compilation; with several, ask each of `bindings`."""
        if not self._by_sizes and not self.graph.dims:
            self.compile()
        if len(self._by_sizes) != 1:
            raise BackendError(f"{len(self._by_sizes)} compilations; take one of exe.bindings")
        return self.bindings[0].compiled.stages

    def _arrays(self, inputs: Sequence[Any]) -> tuple[np.ndarray, ...]:
        if len(inputs) != len(self._types):
            raise ShapeError(f"the graph takes {len(self._types)} inputs, got {len(inputs)}")
        names = [self._name(i) for i in range(len(inputs))]
        return tuple(map(_array, inputs, self._types, names))

    def _binding(self, arrays: Sequence[np.ndarray]) -> Binding:
        shapes = tuple([x.shape for x in arrays])
        if shapes not in self._by_shapes:
            sizes = self._sizes(shapes)
            self.compile(**sizes)
            self._by_shapes[shapes] = self._by_sizes[tuple(sorted(sizes.items()))]
        return self._by_shapes[shapes]

    def _sizes(self, shapes: Shapes) -> dict[str, int]:
        sizes: dict[str, int] = {}
        source: dict[str, str] = {}
        for index, (shape, type) in enumerate(zip(shapes, self._types, strict=True)):
            if len(shape) != type.rank:
                raise ShapeError(f"{self._name(index)} has shape {shape}; the graph takes {type}")
            for size, dim in zip(shape, type.shape, strict=True):
                for name in dim.names if isinstance(dim, Dim) else ():
                    if dim == Dim(name) and sizes.setdefault(name, size) != size:
                        raise ShapeError(
                            f"{name} is {sizes[name]} in {source[name]} but {size} in "
                            f"{self._name(index)}; the sizes must agree"
                        )
                    source.setdefault(name, self._name(index))
        self._check_shapes(shapes, sizes)
        return sizes

    def _check_shapes(self, shapes: Shapes, sizes: Mapping[str, int]) -> None:
        for index, (shape, type) in enumerate(zip(shapes, self._types, strict=True)):
            wanted = tuple([bind_size(dim, sizes) for dim in type.shape])
            if wanted != shape:
                bound = f" with {dict(sizes)}" if sizes and not type.is_static else ""
                raise ShapeError(
                    f"{self._name(index)} has shape {shape}; the graph takes {type}{bound}"
                )

    def _accept(self, state: Variables) -> None:
        missing = [v.name for v in self.graph.variables if v not in state]
        if missing:
            raise GraphError(
                f"the state holds no value for {', '.join(missing)}; "
                "pass state=State.initial(graph.variables)"
            )
        self._accepted = state.version

    def _name(self, index: int) -> str:
        names = self.graph.input_names
        return f"input {names[index]!r}" if index < len(names) else f"input {index}"

    def __repr__(self) -> str:
        return f"<Executable on {self.backend.name}: {list(self.bindings)}>"


class TappedExecutable(Executable):
    """An executable with taps, which report after each call.

    The last outputs of the graph are those that `watch` needs; a call does not give them.
    """

    def __init__(
        self,
        graph: Graph,
        backend: Backend,
        threads: int | None,
        memory_limit: int | None,
        watch: Watch,
    ) -> None:
        super().__init__(graph, backend, threads, memory_limit)
        self.watch, self.results = watch, len(graph.outputs) - len(watch.nodes)

    def __call__(self, *inputs: Any, state: Variables | None = None) -> tuple[np.ndarray, ...]:
        found = super().__call__(*inputs, state=state)
        self.watch.report(found[self.results :])
        return found[: self.results]


def compile(
    graph: Graph,
    backend: str | Backend | None = None,
    threads: int | None = None,
    *,
    memory_limit: int | str | None = None,
    taps: Sequence[Tapped] | Watch = (),
) -> Executable:
    """An executable of `graph`, which is compiled when it is first called.

    `backend` is a name or a Backend, by default the environment's ANODE_BACKEND, else "cpu";
    `threads` defaults to ANODE_THREADS, else the backend chooses. `memory_limit` bounds the bytes
    of temporaries (4 * 2**20, "400MB", "1.5 GiB"): what does not fit is computed again instead of
    kept, in the order of least time; the results have the same bits. A limit that cannot be kept
    raises BackendError when the graph is compiled, with the least that can. `taps` look at values
    of the graph after each call, see `anode.ops.taps`.
    """
    if not isinstance(graph, Graph):
        raise GraphError(f"compile takes a Graph, not {graph!r}; anode.graph(f, *types) makes one")
    backend = chosen_backend(backend)
    threads = chosen_threads() if threads is None else threads
    limit = None if memory_limit is None else bytes_of(memory_limit)
    if isinstance(taps, Watch):
        return TappedExecutable(graph, backend, threads, limit, taps)
    if taps:
        watch = Watch.of(taps)
        return TappedExecutable(watch.graph(graph), backend, threads, limit, watch)
    return Executable(graph, backend, threads, limit)


def bytes_of(limit: int | str) -> int:
    """A number of bytes: itself, or text such as "400MB" (10^6) or "1.5 GiB" (2^30)."""
    match = _BYTES.fullmatch(limit) if isinstance(limit, str) else None
    if match is not None:
        number, prefix, binary = match.groups()
        power = " kmgt".index((prefix or " ").lower())
        return int(float(number) * (1024 if binary else 1000) ** power)
    if isinstance(limit, Integral) and not isinstance(limit, bool) and limit >= 0:
        return int(limit)
    raise BackendError(f"memory_limit={limit!r}: give a number of bytes, or text such as '400MB'")


def chosen_backend(backend: str | Backend | None) -> Backend:
    """The backend itself, the one of that name, or for None the environment's or "cpu"."""
    if backend is None:
        backend = os.environ.get("ANODE_BACKEND") or "cpu"
    return backend_named(backend) if isinstance(backend, str) else backend


def chosen_threads() -> int | None:
    """The number of threads that ANODE_THREADS asks for; None lets the backend choose."""
    text = os.environ.get("ANODE_THREADS")
    if not text:
        return None
    if not text.isdigit() or text == "0":
        raise BackendError(f"ANODE_THREADS={text!r}: set it to a number of threads, at least 1")
    return int(text)


def _input_types(graph: Graph) -> tuple[TensorType, ...]:
    for index, type in enumerate(graph.types):
        if not isinstance(type, TensorType):
            raise GraphError(f"input {index} is {type}; an executable takes tensors only")
    return graph.types  # type: ignore[return-value]


def _array(value: Any, type: TensorType, name: str) -> np.ndarray:
    """`value` as a C-contiguous aligned array of the type's elements, copied only if it must be."""
    if isinstance(value, (bool, int, float)):
        return from_numbers(value, type.dtype, name)
    array = _imported(value, name)
    if not stores(array, type.dtype):
        raise ShapeError(f"{name} is {array.dtype}; the graph takes {type}, convert it first")
    array = np.require(array, requirements=("C", "A")).reshape(array.shape)
    return array if array.dtype is type.dtype.numpy else array.view(type.dtype.numpy)


def _imported(value: Any, name: str) -> np.ndarray:
    if isinstance(value, np.ndarray):
        return value
    try:
        if hasattr(value, "__dlpack__"):
            return np.from_dlpack(value)
        return np.asarray(value)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        raise ShapeError(f"{name} cannot be used as an array: {error}") from error

"""Session: variables' values, and runs of a graph's operations by cached plans."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any
from weakref import WeakSet

import numpy as np

from anode.errors import ShapeError
from anode.frontends.tensorflow import errors
from anode.frontends.tensorflow.core import (
    SESSIONS,
    Graph,
    Operation,
    Tensor,
    get_default_graph,
)
from anode.frontends.tensorflow.graph import as_array
from anode.frontends.tensorflow.opdef import export, shown_in
from anode.frontends.tensorflow.plan import Plan
from anode.frontends.tensorflow.stage import Traced
from anode.frontends.tensorflow.trace import Uninitialized
from anode.ir.types import TensorType
from anode.ir.variable import Variable
from anode.runtime.state import State

Fetcher = Callable[[Sequence[Any]], Any]
_sessions: WeakSet[BaseSession] = WeakSet()  # of this process, for `report`
_versions = count(1)


class BaseSession:
    """Runs operations of one graph and holds the values of its variables."""

    def __init__(self, target: str = "", graph: Graph | None = None, config: Any = None) -> None:
        if graph is not None and not isinstance(graph, Graph):
            raise TypeError(f"graph must be a tf.Graph, but got {type(graph)}")
        self._graph = get_default_graph() if graph is None else graph
        self._target, self._config = target, config
        self.state = State()
        self.variables: dict[Operation, Variable] = {}  # those that have a value
        self.strings: dict[Operation, np.ndarray] = {}  # variables that only the host computes with
        self.version = next(_versions)  # a new one whenever `variables` changes
        self.lock = self._graph._lock  # sessions of one graph share its plans
        self._resources: dict[Any, Any] = {}
        self._draws: dict[Operation, int] = {}
        self._runs: dict[Traced, int] = {}  # a session's numbers do not depend on other sessions
        self._entropy = int.from_bytes(os.urandom(8), "little")
        self._cache: dict[Any, Any] = {}
        self._closed = False
        self._entered: list[Any] = []
        _sessions.add(self)

    @property
    def graph(self) -> Graph:
        return self._graph

    @property
    def graph_def(self) -> Any:
        return self._graph.as_graph_def()

    @property
    def sess_str(self) -> str:
        return self._target

    def close(self) -> None:
        self._closed = True
        for resource in list(self._resources.values()):
            close = getattr(resource, "cancel", None)
            if callable(close):
                close()

    def list_devices(self) -> list[Any]:
        from anode.frontends.tensorflow.api.config import local_devices

        return list(local_devices())

    def as_default(self) -> Any:
        return SESSIONS.entered(self)

    def __enter__(self) -> Any:
        scopes = [self._graph.as_default(), self.as_default()]
        for scope in scopes:
            scope.__enter__()
        self._entered.append(scopes)
        return self

    def __exit__(self, *error: Any) -> None:
        for scope in reversed(self._entered.pop()):
            scope.__exit__(*error)
        self.close()

    # runs

    def run(
        self, fetches: Any, feed_dict: Any = None, options: Any = None, run_metadata: Any = None
    ) -> Any:
        """The values of `fetches`: tensors, operations, names, or nested structures of them."""
        if self._closed:
            raise RuntimeError("Attempted to use a closed Session.")
        key = _key(fetches, feed_dict)
        found = self._cache.get(key) if key is not None else None
        if found is None or found[3] != self._graph._edits:
            found = self._prepared(fetches, feed_dict)
            if key is not None:
                self._cache[key] = found
        plan, restore, feeders, _ = found
        values = list(feed_dict.values()) if feed_dict else []
        arrays = [feed(value) for feed, value in zip(feeders, values, strict=True)]
        start = time.time()
        flat = [item for array in arrays for item in array]
        result = restore(self._run(plan, flat))
        if run_metadata is not None:
            from anode.frontends.tensorflow.api.config import record_run

            record_run(run_metadata, plan, start, time.time())
        return result

    def _run(self, plan: Plan, arrays: Sequence[Any]) -> list[Any]:
        try:
            return plan.run(self, arrays)
        except Uninitialized as error:
            op = error.op
            raise errors.FailedPreconditionError(
                op.node_def,
                op,
                f"Attempting to use uninitialized value {op.name}\n\t [[node {op.name} (defined at "
                f"{op.origin}) ]]",
            ) from None
        except (np.linalg.LinAlgError, ShapeError) as error:
            raise errors.InvalidArgumentError(None, None, f"{error}.") from None

    def _prepared(self, fetches: Any, feed_dict: Any) -> tuple[Plan, Fetcher, list[Any], int]:
        tensors: list[Tensor] = []
        targets: list[Operation] = []
        restore = _fetcher(self._graph, fetches, tensors, targets)
        feeds: list[Tensor] = []
        feeders = [_feeder(self._graph, key, feeds) for key in feed_dict or ()]
        plans = self._graph.__dict__.setdefault("_plans", {})
        key = (self._graph._edits, tuple(tensors), tuple(targets), tuple(feeds))
        if key not in plans:
            plans[key] = Plan(self._graph, tensors, targets, feeds)
        return plans[key], restore, feeders, self._graph._edits

    def make_callable(
        self, fetches: Any, feed_list: Sequence[Any] | None = None, accept_options: bool = False
    ) -> Callable[..., Any]:
        """A function of the feeds' values, in the order of `feed_list`.

        With `accept_options` it takes `options` and `run_metadata` as `run` does.
        """
        keys = list(feed_list or ())

        def call(*values: Any, **how: Any) -> Any:
            known = {"options", "run_metadata"} if accept_options else set()
            if how.keys() - known:
                raise TypeError(f"unexpected arguments {sorted(how.keys() - known)}")
            if len(values) != len(keys):
                raise ValueError(f"takes {len(keys)} values, got {len(values)}")
            return self.run(fetches, dict(zip(keys, values, strict=True)), **how)

        return call

    def partial_run(self, *_: Any, **__: Any) -> Any:
        raise errors.UnimplementedError(None, None, "anode has no Session.partial_run")

    partial_run_setup = partial_run

    # what plans use

    def execute(self, traced: Traced, inputs: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        """Run a traced stage: the first times by the reference, later compiled."""
        runs = self._runs[traced] = self._runs.get(traced, 0) + 1
        settled = traced.accepted == self.version
        if not settled:
            for op, variable in traced.updates:
                self._prepare(op, variable)
        if runs <= traced.patience:
            results: Sequence[np.ndarray] = self._by_reference(traced, inputs)
        else:
            results = self._compiled(traced, inputs)
        if not settled:
            for op, variable in traced.updates:
                self._hold(op, variable)
            traced.accepted = self.version
        return results

    def _hold(self, op: Operation, variable: Variable) -> None:
        if self.variables.get(op) != variable:
            self.variables[op] = variable
            self.version = next(_versions)

    def _by_reference(self, traced: Traced, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        from anode.ops.evaluate import evaluate

        outputs, state = evaluate(traced.graph, inputs, self.state)
        results = [np.array(output) for output in outputs]
        for variable, _ in traced.graph.updates:
            self.state[variable] = state[variable]
        return results

    def _compiled(self, traced: Traced, inputs: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        if traced.executable is None:
            from anode.runtime.executable import compile

            start = time.perf_counter()
            traced.executable = compile(traced.graph)
            traced.executable.compile()
            traced.compile_seconds = time.perf_counter() - start
        return traced.executable(*inputs, state=self.state)

    def _prepare(self, op: Operation, variable: Variable) -> None:
        """Make room for a variable's value; one of another shape is dropped."""
        before = self.variables.get(op)
        if before is not None and before != variable:
            self.state.discard(before)
            del self.variables[op]
            self.version = next(_versions)
        if variable not in self.state:
            self.state.reserve(variable)

    def variable_value(self, op: Operation) -> np.ndarray:
        """A copy of a variable's value; raises where it has none."""
        if op in self.strings:
            return self.strings[op].copy()
        variable = self.variables.get(op)
        if variable is None:
            raise Uninitialized(op)
        with self.lock:
            return np.array(self.state[variable])

    def set_variable(self, op: Operation, value: Any) -> None:
        """Assign a variable from the host, of any shape."""
        kind = op._attrs["dtype"].base_dtype
        array = np.asarray(value, kind.as_numpy_dtype)
        if kind.name == "string":
            self.strings[op] = array.copy()
            return
        dtype = kind.anode
        variable = Variable(op.name, TensorType(dtype, array.shape))
        with self.lock:
            self._prepare(op, variable)
            self.state[variable] = array
            self._hold(op, variable)

    def random_key(self, op: Operation) -> np.ndarray:
        """The key of the next draw of an operation: (seed, seed2, the draw's number times 2^32).

        Each number is two words, the low one first. The words of a draw are those of the Philox
        generator with the first two numbers as key and counter, as TensorFlow has it, from the
        block on that the last number says.
        """
        count = self._draws.get(op, 0)
        self._draws[op] = count + 1
        seed, seed2 = int(op._attrs.get("seed", 0)), int(op._attrs.get("seed2", 0))
        if not seed and not seed2:
            seed = (self._entropy + 0x9E3779B97F4A7C15 * (op._id + 1)) & (1 << 64) - 1
        words = [n >> shift & 0xFFFFFFFF for n in (seed, seed2) for shift in (0, 32)]
        return np.array([*words, 0, count & 0xFFFFFFFF], np.uint32)

    def random_generator(self, op: Operation) -> np.random.Generator:
        """NumPy's generator for the next draw of an operation, for kernels on the host."""
        seed, seed2, draw = self.random_key(op).view(np.uint64)
        return np.random.Generator(np.random.Philox(key=[seed, seed2], counter=[0, 0, 0, draw]))

    def resource(self, key: Any, factory: Callable[[], Any]) -> Any:
        """What an operation keeps between runs of this session: a queue, an iterator, a table."""
        with self.lock:
            if key not in self._resources:
                self._resources[key] = factory()
            return self._resources[key]


@shown_in("python.client.session")
@export("Session")
class Session(BaseSession):
    """A session to be used with `with`, or closed by hand."""

    @staticmethod
    def reset(target: str, containers: Any = None, config: Any = None) -> None:
        """There are no containers that outlive a session."""


@shown_in("python.client.session")
@export("InteractiveSession")
class InteractiveSession(BaseSession):
    """A session that is the default one from its creation on."""

    def __init__(self, target: str = "", graph: Graph | None = None, config: Any = None) -> None:
        super().__init__(target, graph, config)
        self._scopes = [self.as_default()]
        if graph is not None:
            self._scopes.append(graph.as_default())
        for scope in self._scopes:
            scope.__enter__()

    def close(self) -> None:
        super().close()
        for scope in self._scopes:
            scope.__exit__(None, None, None)
        self._scopes = []


# feeds and fetches


def _key(fetches: Any, feed_dict: Any) -> Any:
    """What identifies a call; None where fetches are of a kind that is looked at each time."""
    feeds = tuple(feed_dict) if feed_dict else ()
    kind = type(fetches)
    try:
        if kind is list or kind is tuple:
            key = (kind, *fetches, None, *feeds)
        elif kind is dict:
            return None
        else:
            key = (fetches, None, *feeds)
        hash(key)
    except TypeError:
        return None
    return key


def _fetcher(graph: Graph, fetch: Any, tensors: list[Tensor], targets: list[Operation]) -> Fetcher:
    """Collect what `fetch` asks for; gives what builds its structure of the tensors' values."""
    if fetch is None:
        raise TypeError("Fetch argument None has invalid type <class 'NoneType'>")
    if isinstance(fetch, (list, tuple)) and not hasattr(fetch, "_components"):
        return _structure(graph, fetch, tensors, targets)
    if isinstance(fetch, Mapping):
        kind = type(fetch)
        inner = {k: _fetcher(graph, v, tensors, targets) for k, v in fetch.items()}
        return lambda values: kind((k, f(values)) for k, f in inner.items())  # type: ignore[call-arg]
    if hasattr(fetch, "_components"):
        parts = [_fetcher(graph, c, tensors, targets) for c in fetch._components]
        return lambda values: fetch._from_components([p(values) for p in parts])
    element = _element(graph, fetch)
    if isinstance(element, Operation):
        targets.append(element)
        return lambda values: None
    index = len(tensors)
    tensors.append(element)
    return lambda values: _presented(values[index])


def _structure(
    graph: Graph, fetch: Any, tensors: list[Tensor], targets: list[Operation]
) -> Fetcher:
    inner = [_fetcher(graph, item, tensors, targets) for item in fetch]
    if isinstance(fetch, tuple) and hasattr(fetch, "_fields"):
        kind = type(fetch)
        return lambda values: kind(*[f(values) for f in inner])
    if isinstance(fetch, tuple):
        return lambda values: tuple([f(values) for f in inner])
    return lambda values: [f(values) for f in inner]


def _presented(value: Any) -> Any:
    """A value as a script receives it: scalars are NumPy scalars, strings bytes."""
    if isinstance(value, np.ndarray) and not value.ndim:
        return value[()]
    return value


def _element(graph: Graph, fetch: Any) -> Any:
    try:
        element = graph.as_graph_element(fetch)
    except TypeError as error:
        raise TypeError(
            f"Fetch argument {fetch!r} has invalid type {type(fetch)}, must be a string or Tensor. "
            f"({error})"
        ) from None
    except ValueError as error:
        raise ValueError(
            f"Fetch argument {fetch!r} cannot be interpreted as a Tensor. ({error})"
        ) from None
    except KeyError as error:
        raise ValueError(
            f"Fetch argument {fetch!r} cannot be interpreted as a Tensor. ({error})"
        ) from None
    if not graph.is_fetchable(element):
        raise ValueError(f"Operation {element.name!r} has been marked as not fetchable.")
    return element


def _feeder(graph: Graph, key: Any, feeds: list[Tensor]) -> Callable[[Any], list[Any]]:
    """What turns the value fed for `key` into arrays, one for each tensor it adds to `feeds`."""
    if hasattr(key, "_components"):
        inner = [_feeder(graph, c, feeds) for c in key._components if c is not None]
        return lambda value: [a for f, v in zip(inner, value, strict=False) for a in f(v)]
    if isinstance(key, tuple):
        inner = [_feeder(graph, item, feeds) for item in key]
        return lambda value: [a for f, v in zip(inner, value, strict=True) for a in f(v)]
    try:
        tensor = graph.as_graph_element(key, allow_operation=False)
    except (TypeError, ValueError, KeyError) as error:
        raise TypeError(f"Cannot interpret feed_dict key as Tensor: {error.args[0]}") from None
    assert isinstance(tensor, Tensor)
    if not graph.is_feedable(tensor):
        raise ValueError(f"Tensor {tensor} may not be fed.")
    feeds.append(tensor)
    dtype = tensor.dtype.base_dtype
    numpy_dtype = np.dtype(dtype.as_numpy_dtype)
    dims = None if tensor.shape.ndims is None else tensor.shape.as_list()
    accepted: set[tuple[int, ...]] = set()

    def feed(value: Any) -> list[Any]:
        array = value
        if type(value) is not np.ndarray or value.dtype != numpy_dtype:
            array = _converted(value, dtype, numpy_dtype, tensor)
        if array.shape not in accepted:
            if dims is not None and not _fits(array.shape, dims):
                raise ValueError(
                    f"Cannot feed value of shape {array.shape!r} for Tensor {tensor.name!r}, which "
                    f"has shape '{tensor.shape}'"
                )
            accepted.add(array.shape)
        return [array]

    return feed


def _fits(shape: tuple[int, ...], dims: Sequence[int | None]) -> bool:
    if len(shape) != len(dims):
        return False
    return all(dim is None or size == dim for size, dim in zip(shape, dims, strict=True))


def _converted(value: Any, dtype: Any, numpy_dtype: np.dtype, tensor: Tensor) -> np.ndarray:
    if isinstance(value, Tensor):
        raise TypeError(
            "The value of a feed cannot be a tf.Tensor object. Acceptable feed values include "
            "Python scalars, strings, lists, numpy ndarrays, or TensorHandles. For reference, the "
            f"tensor object was {value} which was passed to the feed with key {tensor}."
        )
    if dtype.name == "string":
        return as_array(value, dtype)
    if isinstance(value, (int, float)) and dtype.is_integer and int(value) != value:
        raise TypeError(
            f"Type of feed value {value} with type {type(value)} is not compatible with Tensor "
            f"type {dtype.name}. Try explicitly setting the type of the feed tensor to a larger "
            "type (e.g. int64)."
        )
    try:
        return np.asarray(value, numpy_dtype)
    except ValueError:
        raise ValueError(
            f"setting an array element with a sequence: the value fed for {tensor.name} is no "
            f"array of {dtype.name}"
        ) from None


def sessions() -> list[BaseSession]:
    """Every session of this process, for reports."""
    return list(_sessions)

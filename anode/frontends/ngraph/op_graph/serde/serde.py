"""Ops as JSON, with a version, and back.

The form is anode's own: it says of each op its class, its attributes and, as numbers, the ops that
these mention.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import UUID

import numpy as np

from anode.errors import DataError
from anode.frontends.ngraph.op_graph import (
    convolution,
    ctc,
    debug,
    lookuptable,
    loop,
    normalization,
    op_graph,
    pooling,
)
from anode.frontends.ngraph.op_graph.axis import Axes, AxesMap, Axis, FlattenedAxis
from anode.frontends.ngraph.op_graph.op import Op
from anode.frontends.ngraph.util.names import NameScope
from anode.frontends.ngraph.util.ordered import OrderedSet
from anode.ir.node import Origin

FORMAT, VERSION = "anode ngraph ops", 1
_FRESH = (
    "_name",
    "serial",
    "number",
    "_uuid",
    "_place",
    "reads",
    "writes",
)  # given anew, or stored apart
_MODULES = (op_graph, convolution, ctc, debug, lookuptable, loop, normalization, pooling)


def serialize_graph(ops: Iterable[Any], only_return_handle_ops: bool = False) -> bytes:
    """The ops and all that they depend on.

    Reading gives all of them back, or with `only_return_handle_ops` those that were given.
    """
    ops = list(ops)
    writer = _Writer(ops)
    document = {
        "format": FORMAT,
        "version": VERSION,
        "handles": [writer.number(op) for op in ops],
        "only_handles": only_return_handle_ops,
        "ops": writer.written(),
        "axes": writer.axes,
    }
    return json.dumps(document).encode()


def deserialize_graph(graph_msg: bytes) -> list[Any]:
    """The ops that `serialize_graph` wrote, dependencies first; DataError for anything else."""
    try:
        document = json.loads(graph_msg)
    except ValueError as error:
        raise DataError(f"these bytes are no serialized graph: {error}") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise DataError("these bytes are no graph that anode's serialize_graph wrote")
    if document["version"] != VERSION:
        raise DataError(f"the graph has version {document['version']}; anode reads {VERSION}")
    reader = _Reader(document)
    chosen = document["handles"] if document["only_handles"] else range(len(document["ops"]))
    return [reader.op(i) for i in chosen]


def _bytes_of(array: np.ndarray) -> str:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return base64.b64encode(file.getvalue()).decode()


def _array_of(text: str) -> np.ndarray:
    found: np.ndarray = np.load(io.BytesIO(base64.b64decode(text)), allow_pickle=False)
    return found


class _Writer:
    """Numbers ops and axes as they are met; an axis stays one object for all ops."""

    def __init__(self, roots: list[Any]) -> None:
        self.order: list[Any] = []
        self.numbers: dict[Any, int] = {}
        self.axes: list[Any] = []
        self._axis_numbers: dict[int, int] = {}
        for op in Op.ordered_ops(roots):
            self.number(op)

    def number(self, op: Any) -> int:
        if op not in self.numbers:
            self.numbers[op] = len(self.order)
            self.order.append(op)
        return self.numbers[op]

    def written(self) -> list[Any]:
        """Every op; writing one may find others that only its attributes mention."""
        found: list[Any] = []
        while len(found) < len(self.order):
            found.append(self._op(self.order[len(found)]))
        return found

    def _op(self, op: Any) -> dict[str, Any]:
        attributes = {name: v for name, v in vars(op).items() if name not in _FRESH}
        return {
            "class": type(op).__name__,
            "name": op.name,
            "uuid": op.uuid.hex,
            "attributes": {name: self.value(v, op) for name, v in attributes.items()},
        }

    def axis(self, axis: Axis) -> int:
        key = id(axis)
        if key not in self._axis_numbers:
            inner = [self.axis(a) for a in axis.axes] if axis.is_flattened else None
            self._axis_numbers[key] = len(self.axes)
            length = None if inner is not None else axis.length
            self.axes.append({"name": axis.name, "length": length, "flattened": inner})
        return self._axis_numbers[key]

    def value(self, value: Any, op: Any) -> Any:
        """A value as JSON: plain ones as they are, others as [kind, parts]."""
        if value is None or isinstance(value, (bool, int, float, str)):
            return value.item() if isinstance(value, np.generic) else value
        for kind, (type_, parts) in self._kinds().items():
            if isinstance(value, type_):
                return [kind, parts(value, op)]
        raise DataError(f"{op.name}: a {type(value).__name__} cannot be written to a file")

    def _kinds(self) -> Mapping[str, tuple[Any, Callable[[Any, Any], Any]]]:
        def each(values: Iterable[Any], op: Any) -> list[Any]:
            return [self.value(value, op) for value in values]

        return {
            "op": (Op, lambda value, _: self.number(value)),
            "axis": (Axis, lambda value, _: self.axis(value)),
            "axes": (Axes, lambda value, _: [self.axis(axis) for axis in value]),
            "map": (AxesMap, lambda value, _: dict(value)),
            "dict": (dict, lambda value, op: each([p for kv in value.items() for p in kv], op)),
            "origin": (Origin, lambda value, _: list(value)),
            "tuple": (tuple, each),
            "list": (list, each),
            "ordered": (OrderedSet, each),
            "slice": (slice, lambda v, op: each((v.start, v.stop, v.step), op)),
            "dtype": (np.dtype, lambda value, _: value.str),
            "number": (np.generic, lambda value, _: _bytes_of(np.asarray(value))),
            "array": (np.ndarray, lambda value, _: _bytes_of(value)),
            "scope": (NameScope, lambda value, _: value.name),
            "uuid": (UUID, lambda value, _: value.hex),
        }


class _Reader:
    """Makes ops from their text, each once."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.written = document["ops"]
        self.axes: list[Axis] = []
        for axis in document["axes"]:
            self.axes.append(self._axis(axis))
        self.ops = [self._empty(text["class"]) for text in self.written]
        for op, text in zip(self.ops, self.written, strict=True):
            attributes = {name: self.value(v) for name, v in text["attributes"].items()}
            vars(op).update(attributes, _uuid=UUID(text["uuid"]))
        for op, text in zip(self.ops, self.written, strict=True):
            op.restored(text["name"])
        for op in Op.ordered_ops(self.ops):
            op.find_states()

    def op(self, number: int) -> Any:
        return self.ops[number]

    def _axis(self, text: Any) -> Axis:
        if text["flattened"] is not None:
            return FlattenedAxis([self.axes[i] for i in text["flattened"]])
        return Axis(text["length"], text["name"])

    def _empty(self, name: str) -> Any:
        for module in _MODULES:
            cls = getattr(module, name, None)
            if isinstance(cls, type) and issubclass(cls, Op):
                return cls.__new__(cls)
        raise DataError(f"the graph has an op {name}, which anode's ngraph does not have")

    def value(self, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        kind, parts = value
        if kind in ("tuple", "list", "dict", "ordered", "slice"):
            return self._collection(kind, [self.value(part) for part in parts])
        made: dict[str, Callable[[Any], Any]] = {
            "op": lambda i: self.ops[i],
            "axis": lambda i: self.axes[i],
            "axes": lambda each: Axes([self.axes[i] for i in each]),
            "map": AxesMap,
            "origin": Origin,
            "dtype": np.dtype,
            "number": lambda text: _array_of(text)[()],
            "array": _array_of,
            "scope": NameScope.get_or_create_scope,
            "uuid": UUID,
        }
        return made[kind](parts)

    @staticmethod
    def _collection(kind: str, parts: list[Any]) -> Any:
        if kind == "dict":
            return dict(zip(parts[::2], parts[1::2], strict=True))
        if kind == "slice":
            return slice(*parts)
        return {"tuple": tuple, "list": list, "ordered": OrderedSet}[kind](parts)

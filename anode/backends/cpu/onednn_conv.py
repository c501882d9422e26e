"""Convolutions that oneDNN computes: the op in the graph, and the primitive behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from ctypes import byref, c_float, c_void_p
from dataclasses import asdict, dataclass, fields
from functools import cache
from math import prod
from typing import Any

from anode.backends.cpu import onednn
from anode.backends.cpu.blocked import Blocked, dense
from anode.backends.cpu.onednn import Library, Refusal
from anode.ir.dtypes import DTYPES
from anode.ir.node import Node
from anode.ir.op import Op
from anode.ir.types import TensorType, Type

Ints = tuple[int, ...]
Post = tuple[str, float]  # an activation and its parameter, or ("add", 0.0): a tensor is added

FORWARD, DATA, WEIGHTS = "forward", "data", "weights"
FILTERS = 1  # the operand that has the filters


@dataclass(frozen=True)
class Problem:
    """One convolution of `batch` images in one thread, channels last.

    `sizes` are the spatial sizes of x. `kind` is "forward" (x, w → y), "data" (ct, w → dx) or
    "weights" (x, ct → dw in f32). Forward may add a bias (o,) and go through `post`.
    """

    kind: str
    batch: int
    sizes: Ints
    channels: int
    kernel: Ints
    filters: int
    strides: Ints
    low: Ints
    high: Ints
    dilations: Ints
    groups: int
    dtype: str
    bias: bool = False
    post: tuple[Post, ...] = ()

    @property
    def out(self) -> Ints:
        """The spatial sizes of y."""
        axes = zip(
            self.sizes, self.low, self.high, self.kernel, self.strides, self.dilations, strict=True
        )
        return tuple((n + a + b - (k - 1) * d - 1) // s + 1 for n, a, b, k, s, d in axes)

    @property
    def x_shape(self) -> Ints:
        return (self.batch, *self.sizes, self.channels)

    @property
    def y_shape(self) -> Ints:
        return (self.batch, *self.out, self.filters)

    @property
    def flops(self) -> int:
        """Multiplications and additions, those with padding too."""
        taps = prod(self.kernel) * self.channels // self.groups
        return 2 * self.batch * prod(self.out) * taps * self.filters

    @staticmethod
    def of(attrs: Mapping[str, Any]) -> Problem:
        """The problem with these fields; lists, as JSON gives them back, are tuples."""
        found = {field.name: _tuples(attrs[field.name]) for field in fields(Problem)}
        return Problem(**found)


@dataclass(frozen=True)
class Primitive:
    """A primitive for one problem: what it is, and its arguments.

    `arguments` are those of the step's operands and result, in their order: which of oneDNN's
    arguments it is, and its memory descriptor. `layout` is that of the filters.
    """

    handle: int
    implementation: str
    arguments: tuple[tuple[int, int], ...]
    layout: Blocked
    scratch: tuple[int, int]  # descriptor, bytes


class _Convolution(Op):
    """`tasks` equal parts of a batch, each computed by oneDNN; see Problem.

    The filters are a tensor of the shape `stored`. By weights, the result is (tasks, *stored): what
    each part of the batch adds, in f32.
    """

    def infer(self, types: tuple[Type, ...], attrs: Mapping[str, Any]) -> Type:
        problem, tasks = Problem.of(attrs), attrs["tasks"]
        if problem.kind == WEIGHTS:
            return TensorType(DTYPES["f32"], (tasks, *attrs["stored"]))
        shape = problem.y_shape if problem.kind == FORWARD else problem.x_shape
        return TensorType(DTYPES[problem.dtype], (tasks * problem.batch, *shape[1:]))

    def flops(self, node: Node) -> int:
        """Multiplications and additions, those with padding too."""
        return int(Problem.of(node.attrs).flops * node.attrs["tasks"])

    def of_part(self, node: Node, rows: Sequence[bool], parts: int) -> Mapping[str, Any] | None:
        """The attributes for one of `parts` parts of the operands that have `rows`: some tasks."""
        attrs = node.attrs
        shared = range(FILTERS, FILTERS + 1 + attrs["bias"])
        alone = all(has == (i not in shared) for i, has in enumerate(rows))
        if attrs["kind"] == WEIGHTS or not alone or attrs["tasks"] % parts:
            return None
        return {**attrs, "tasks": attrs["tasks"] // parts}


CONVOLUTION = _Convolution("onednn_convolution")


def attributes(problem: Problem, tasks: int, layout: Blocked) -> dict[str, Any]:
    """The attributes of a CONVOLUTION node."""
    return {**asdict(problem), "tasks": tasks, "stored": layout.stored}


@cache
def primitive(problem: Problem) -> Primitive:
    """The process's primitive for a problem; Refusal if oneDNN has none that is worth calling."""
    library = onednn.loaded()
    with library.lock, library.one_thread():
        return _Maker(library, problem).make()


class _Maker:
    def __init__(self, library: Library, problem: Problem) -> None:
        self.library, self.problem = library, problem
        self.x = self._channels_last(problem.x_shape)
        self.y = self._channels_last(problem.y_shape)
        self.steps = [
            onednn.dims(numbers)
            for numbers in (
                problem.strides,
                [d - 1 for d in problem.dilations],
                problem.low,
                problem.high,
            )
        ]

    def make(self) -> Primitive:
        library, problem = self.library, self.problem
        if min((*problem.low, *problem.high)) < 0:
            raise Refusal("oneDNN has no negative padding")
        made: Mapping[str, Callable[[], tuple[c_void_p, list[tuple[int, c_void_p]]]]]
        made = {FORWARD: self._forward, DATA: self._data, WEIGHTS: self._weights}
        description, arguments = made[problem.kind]()
        name = library.implementation(description)
        if name.startswith("ref"):
            raise Refusal("oneDNN has only its reference for it")
        handle = c_void_p()
        library.call("primitive_create", byref(handle), description)
        scratch = library.queried(description, onednn.SCRATCHPAD)
        filters = onednn.DIFF_WEIGHTS if problem.kind == WEIGHTS else onednn.WEIGHTS
        return Primitive(
            handle.value or 0,
            name,
            tuple((argument, tensor.value or 0) for argument, tensor in arguments),
            self._layout(library.queried(description, filters)),
            (scratch.value or 0, library.bytes(scratch)),
        )

    def _channels_last(self, shape: Ints) -> c_void_p:
        """A tensor (n, *spatial, c) as oneDNN has it: dims (n, c, *spatial), with our strides."""
        n, *spatial, c = shape
        strides, step = [], c
        for size in reversed(spatial):
            strides.append(step)
            step *= size
        return self.library.tensor(
            (n, c, *spatial), (step, 1, *reversed(strides)), self.problem.dtype
        )

    def _filters(self, dtype: str) -> c_void_p:
        return self.library.tensor(filter_shape(self.problem), None, dtype)

    def _forward(
        self, attributes: c_void_p | None = None
    ) -> tuple[c_void_p, list[tuple[int, c_void_p]]]:
        library, problem, made = self.library, self.problem, c_void_p()
        w = self._filters(problem.dtype)
        bias = library.tensor((problem.filters,), (1,), "f32") if problem.bias else None
        with self._post() as attributes:
            library.call(
                "convolution_forward_primitive_desc_create",
                *(byref(made), library.engine, onednn.FORWARD_TRAINING, onednn.DIRECT),
                *(self.x, w, bias, self.y, *self.steps, attributes),
            )
        arguments = [(onednn.ARG_SOURCE, self.x)]
        arguments.append((onednn.ARG_WEIGHTS, library.queried(made, onednn.WEIGHTS)))
        if bias is not None:
            arguments.append((onednn.ARG_BIAS, bias))
        for i, (name, _) in enumerate(problem.post):
            if name == "add":
                arguments.append((onednn.post_argument(i), self.y))
        return made, [*arguments, (onednn.ARG_RESULT, self.y)]

    @contextmanager
    def _post(self) -> Iterator[c_void_p]:
        """Attributes with what follows the convolution."""
        library = self.library
        attributes = library.attributes()
        if self.problem.post:
            chain = c_void_p()
            library.call("post_ops_create", byref(chain))
            for name, parameter in self.problem.post:
                if name == "add":
                    library.call("post_ops_append_binary", chain, onednn.BINARY_ADD, self.y)
                else:
                    kind, alpha = _activation(name, parameter)
                    library.call("post_ops_append_eltwise", chain, kind, alpha, c_float(0))
            library.call("primitive_attr_set_post_ops", attributes, chain)
        yield attributes

    def _data(self) -> tuple[c_void_p, list[tuple[int, c_void_p]]]:
        library, made, hint = self.library, c_void_p(), self._hint()
        library.call(
            "convolution_backward_data_primitive_desc_create",
            *(byref(made), library.engine, onednn.DIRECT, self.x),
            *(self._filters(self.problem.dtype), self.y, *self.steps, hint, library.attributes()),
        )
        return made, [
            (onednn.ARG_DIFF_RESULT, self.y),
            (onednn.ARG_WEIGHTS, library.queried(made, onednn.WEIGHTS)),
            (onednn.ARG_DIFF_SOURCE, self.x),
        ]

    def _weights(self) -> tuple[c_void_p, list[tuple[int, c_void_p]]]:
        library, made, hint = self.library, c_void_p(), self._hint()
        library.call(
            "convolution_backward_weights_primitive_desc_create",
            *(byref(made), library.engine, onednn.DIRECT, self.x, self._filters("f32"), None),
            *(self.y, *self.steps, hint, library.attributes()),
        )
        return made, [
            (onednn.ARG_SOURCE, self.x),
            (onednn.ARG_DIFF_RESULT, self.y),
            (onednn.ARG_DIFF_WEIGHTS, library.queried(made, onednn.DIFF_WEIGHTS)),
        ]

    def _hint(self) -> c_void_p:
        """The forward primitive's description, which those of gradients are made from."""
        return self._forward()[0]

    def _layout(self, tensor: c_void_p) -> Blocked:
        library, shape = self.library, filter_shape(self.problem)
        if library.number(tensor, onednn.FORMAT_KIND) != onednn.BLOCKED:
            raise Refusal("oneDNN keeps the filters in a format that it does not tell")
        rank, count = len(shape), library.number(tensor, onednn.INNER_COUNT)
        sizes = library.numbers(tensor, onednn.INNER_SIZES, count)
        where = library.numbers(tensor, onednn.INNER_DIMS, count)
        padded = library.numbers(tensor, onednn.PADDED_DIMS, rank)
        strides = library.numbers(tensor, onednn.STRIDES, rank)
        layout = dense(shape, padded, strides, tuple(zip(where, sizes, strict=True)))
        size = 4 if self.problem.kind == WEIGHTS else DTYPES[self.problem.dtype].size
        if layout is None or prod(layout.stored) * size != library.bytes(tensor):
            raise Refusal("oneDNN keeps the filters with gaps")
        return layout


def filter_shape(problem: Problem) -> Ints:
    """The filters' dims as oneDNN has them: ([groups,] o / groups, c / groups, *kernel)."""
    g = problem.groups
    lead = (g,) if g > 1 else ()
    return (*lead, problem.filters // g, problem.channels // g, *problem.kernel)


def _activation(name: str, parameter: float) -> tuple[int, c_float]:
    """oneDNN's function and its first parameter.

    oneDNN's relu of NaN is 0, which would hide that a training has diverged. Its hardswish,
    x·clamp(αx, 0, 1), with the largest α is x where x > 0, 0 elsewhere and NaN of NaN.
    """
    if name == "relu":
        return onednn.ELTWISE["hardswish"], c_float(3.4028234663852886e38)
    kinds = {"leaky_relu": "relu", "elu": "elu", "tanh": "tanh", "logistic": "logistic"}
    return onednn.ELTWISE[kinds[name]], c_float(parameter)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, (list, tuple)) else value

"""Which convolutions oneDNN computes and which generated code: the choice, and its costs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

from anode.backends.cpu import onednn
from anode.backends.cpu.costs import Costs
from anode.backends.cpu.onednn_conv import (
    CONVOLUTION,
    DATA,
    FORWARD,
    WEIGHTS,
    Post,
    Problem,
    attributes,
    primitive,
)
from anode.ir.dtypes import f32
from anode.ir.node import Node, make
from anode.ops.elementwise import convert
from anode.ops.reduce import sum
from anode.ops.shape import reshape, transpose
from anode.passes.cover import CONVOLUTIONS, Convolution, Made

KINDS = dict(zip(CONVOLUTIONS, (FORWARD, DATA, WEIGHTS), strict=True))

# Parts of a batch: enough for any number of threads, not so many that a part is done at once. They
# are the same for any number of threads, and so are the results.
MOST_TASKS, LEAST_FLOPS = 32, 2_500_000
# By weights each part of a batch writes a gradient that is then added up: fewer, of at least so
# many places of the result each, so that adding up takes a few percent.
MOST_PARTS, LEAST_PLACES = 8, 1200


class Absent:
    """No library, and why."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.key = ""

    def convolution(self, wanted: Convolution) -> Made | str:
        return self.reason


@dataclass(frozen=True)
class OneDnn:
    """oneDNN, where the costs say that it is faster than generated code on so many threads.

    `key` names what choices depend on.
    """

    threads: int
    costs: Costs
    key: str

    def convolution(self, wanted: Convolution) -> Made | str:
        node = wanted.node
        if node.dtype.name not in onednn.DATA_TYPES:
            return f"oneDNN has no convolution of {node.dtype}"
        problem, tasks = problem_of(wanted)
        choice = self.costs.compare(problem, tasks, self.threads)
        if not choice.library:
            return f"generated code is faster: {choice.reason}"
        try:
            made = _built(wanted, problem, tasks)
            return Made(made, f"{primitive(problem).implementation}, {choice.reason}")
        except onednn.Refusal as refusal:
            return str(refusal)


Choosing = OneDnn | Absent


def library_for(threads: int, wanted: bool = True) -> Choosing:
    """The library that convolutions may be given to; if `wanted`, it is loaded now."""
    if not wanted:
        return Absent("oneDNN is switched off")
    found = onednn.load()
    if isinstance(found, str):
        return Absent(found)
    costs = Costs.load()
    return OneDnn(threads, costs, f"oneDNN {found.version} {costs.key}")


def problem_of(wanted: Convolution) -> tuple[Problem, int]:
    """A convolution as equal tasks, each a problem for one thread."""
    node = wanted.node
    kind, attrs = KINDS[node.op], node.attrs  # type: ignore[index]
    x, y = (node, node.args[0]) if kind == DATA else (node.args[0], node)
    kernel = attrs["kernel"] if kind == WEIGHTS else node.args[1].tensor.static[:-2]
    if kind == WEIGHTS:
        y = node.args[1]
    n, *sizes, channels = x.tensor.static
    whole = Problem(
        kind=kind,
        batch=n,
        sizes=tuple(sizes),
        channels=channels,
        kernel=tuple(kernel),
        filters=y.tensor.static[-1],
        **{name: attrs[name] for name in ("strides", "low", "high", "dilations", "groups")},
        dtype=x.dtype.name,
        bias=wanted.bias is not None,
        post=_post(wanted),
    )
    return split(whole)


def split(whole: Problem) -> tuple[Problem, int]:
    """The problem of one task, and how many tasks there are."""
    if whole.kind == WEIGHTS:
        most = min(MOST_PARTS, max(2, whole.batch * prod(whole.out) // LEAST_PLACES))
    else:
        most = min(MOST_TASKS, max(1, whole.flops // LEAST_FLOPS))
    tasks = max((t for t in range(1, most + 1) if whole.batch % t == 0), default=1)
    return replace(whole, batch=whole.batch // tasks), tasks


def _post(wanted: Convolution) -> tuple[Post, ...]:
    added: list[Post] = [("add", 0.0)] if wanted.added is not None else []
    return (*added, *([wanted.activation] if wanted.activation else []))


def _built(wanted: Convolution, problem: Problem, tasks: int) -> Node:
    """The convolution as a call, with the movement of the filters to and from oneDNN's order."""
    node = wanted.node
    layout = primitive(problem).layout
    attrs = attributes(problem, tasks, layout)
    if problem.kind == WEIGHTS:
        parts = make(CONVOLUTION, node.args, attrs)
        total = layout.unpack(sum(parts, 0))
        return _as(_from_library(total, problem), node)
    x, w = node.args
    operands = [x, layout.pack(_to_library(w, problem))]
    if wanted.bias is not None:
        bias = wanted.bias
        operands.append(bias if bias.dtype is f32 else convert(bias, dtype=f32))
    if wanted.added is not None:
        operands.append(wanted.added)
    return make(CONVOLUTION, tuple(operands), attrs)


def _to_library(w: Node, problem: Problem) -> Node:
    """Filters (*kernel, c/groups, o) with the dims in oneDNN's order."""
    d, g = len(problem.kernel), problem.groups
    if g == 1:
        return transpose(w, permutation=(d + 1, d, *range(d)))
    w = reshape(w, shape=(*w.shape[:-1], g, problem.filters // g))
    return transpose(w, permutation=(d + 1, d + 2, d, *range(d)))


def _from_library(w: Node, problem: Problem) -> Node:
    d, g = len(problem.kernel), problem.groups
    if g == 1:
        return transpose(w, permutation=(*range(2, d + 2), 1, 0))
    w = transpose(w, permutation=(*range(3, d + 3), 2, 0, 1))
    return reshape(w, shape=(*w.shape[:-2], problem.filters))


def _as(x: Node, like: Node) -> Node:
    return x if x.dtype is like.dtype else convert(x, dtype=like.dtype)

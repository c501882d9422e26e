"""Which convolutions oneDNN computes, which Winograd's method and which generated code."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

from anode.backends.cpu import onednn, phases, winograd, winograd_weights
from anode.backends.cpu.costs import GENERATED, ONEDNN, WAYS, WINOGRAD, Costs
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
from anode.backends.cpu.target import host_target
from anode.ir.dtypes import DType, f32
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


@dataclass(frozen=True)
class Choosing:
    """The kernel of each convolution: the one that the costs say is fastest on so many cores.

    They are the machine's, not those of the threads of a run, whose bits must not depend on them.
    `key` names what choices depend on; `absent` says why there is no oneDNN, where there is none.
    """

    cores: int
    costs: Costs
    key: str
    absent: str = ""
    winograd: bool = True

    def convolution(self, wanted: Convolution) -> Made | str:
        """A call of oneDNN or Winograd's method; or why the code for it is generated."""
        problem, tasks = problem_of(wanted)
        refused = self._refused(replace(problem, batch=problem.batch * tasks))
        while ways := [way for way in WAYS if way not in refused]:
            if ways == [GENERATED]:
                break
            choice = self.costs.compare(problem, tasks, self.cores, ways)
            if choice.way == GENERATED:
                return "; ".join([f"generated code is faster: {choice.reason}", *refused.values()])
            try:
                made, kernel = self._made(wanted, problem, tasks, choice.way)
                return Made(made, "; ".join([f"{kernel}, {choice.reason}", *refused.values()]))
            except onednn.Refusal as refusal:
                refused[ONEDNN] = str(refusal)
        return "; ".join(refused.values())

    def _refused(self, whole: Problem) -> dict[str, str]:
        """The ways there are not for a convolution, and why."""
        library = self.absent
        if not library and whole.dtype not in onednn.DATA_TYPES:
            library = f"oneDNN has no convolution of {whole.dtype}"
        other = (
            winograd.refusal(phases.coarse(whole))
            if self.winograd
            else "Winograd's method is switched off"
        )
        return {way: text for way, text in ((ONEDNN, library), (WINOGRAD, other)) if text}

    def _made(
        self, wanted: Convolution, problem: Problem, tasks: int, way: str
    ) -> tuple[Node, str]:
        if way == ONEDNN:
            return _built(wanted, problem, tasks), primitive(problem).implementation
        whole = replace(problem, batch=problem.batch * tasks)
        if problem.kind == WEIGHTS:
            small = phases.coarse(whole)
            name = f"Winograd's {winograd.filter_of(small).gradient}"
            if small is whole:
                return winograd_weights.gradient(wanted.node), name
            return phases.gradient(wanted.node, whole), f"{name} over phases of the image"
        made = winograd.convolved(wanted.node, whole, _added(wanted), host_target())
        return made, f"Winograd's {winograd.filter_of(problem)}"


def library_for(cores: int, onednn_wanted: bool = True, winograd_wanted: bool = True) -> Choosing:
    """What convolutions are computed by. oneDNN, if wanted, is loaded now."""
    found = onednn.load() if onednn_wanted else "oneDNN is switched off"
    absent, costs = found if isinstance(found, str) else "", Costs.load()
    version = "" if isinstance(found, str) else f"oneDNN {found.version} "
    key = f"{version}{'Winograd ' * winograd_wanted}{costs.key}"
    return Choosing(cores, costs, key, absent, winograd_wanted)


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
        return _as(_from_library(total, problem), node.dtype)
    x, w = node.args
    operands = (x, layout.pack(_to_library(w, problem)), *_added(wanted))
    return make(CONVOLUTION, operands, attrs)


def _added(wanted: Convolution) -> list[Node]:
    """The operands of what follows: the bias in f32, a tensor."""
    found = [] if wanted.bias is None else [_as(wanted.bias, f32)]
    return found if wanted.added is None else [*found, wanted.added]


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


def _as(x: Node, dtype: DType) -> Node:
    return x if x.dtype is dtype else convert(x, dtype=dtype)

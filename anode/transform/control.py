"""Gradients of control flow: cond, scan and bounded while; importing this attaches them to the ops.

The backward pass of a body is a closed graph too: it takes the operands of one run, recomputes what
it needs of the body and gives their cotangents. A scan runs backward over the carries of each step;
a twin of the forward scan stacks them, those only that the backward pass reads. The pass
`merge_scans` makes the two one loop.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from anode.errors import UnsupportedOp
from anode.ir.graph import Graph, close, fresh_inputs
from anode.ir.node import Node, substitute, topological
from anode.ops.control import COND, SCAN, WHILE
from anode.transform.grad import cotangents, filled, influence, selective

Cotangents = Node | tuple[Node | None, ...]
Found = tuple[Node | None, ...]


@selective
def cond_gradient(
    ct: Cotangents, y: Any, *operands: Node, wanted: Sequence[bool], branches: tuple[Graph, ...]
) -> Found:
    """One cond over the branches' backward passes, so that only the branch taken runs backward."""
    index, *values = operands
    given = _present(ct)
    inputs, seeds = fresh_inputs(*[value.type for value in values]), _inputs_like(given)
    targets = [i for i in range(len(values)) if wanted[i + 1]]
    found = [_pulled(branch.inline(*inputs), seeds, inputs, targets) for branch in branches]
    reached = [i for i in targets if any(i in cts for cts in found)]
    if not reached:
        return (None,) * len(operands)
    results = [[_or_zeros(cts.get(i), values[i]) for i in reached] for cts in found]
    outer = dict(zip((*inputs, *seeds.values()), (*values, *given.values()), strict=True))
    used = _used(outer, [result for each in results for result in each])
    backward = tuple([close(tuple(used), each) for each in results])
    items = COND(index, *used.values(), branches=backward).items
    by_operand = dict(zip(reached, items, strict=True))
    return (None, *[by_operand.get(i) for i in range(len(values))])


@selective
def scan_gradient(
    ct: Cotangents, y: Any, *operands: Node, wanted: Sequence[bool], **attrs: Any
) -> Found:
    """A scan the other way round, which carries the cotangents of the carries and constants."""
    loop, given = _Loop(operands, **attrs), _present(ct)
    targets, seeded = loop.flow(wanted, given)
    step, seeds = fresh_inputs(*loop.body.types), _inputs_like(loop.outputs(seeded))
    outputs = loop.body.inline(*step)
    found, rows = loop.reusing(y, outputs, _pulled(outputs, seeds, step, targets))
    rows |= {seeds[k]: given[k] for k in seeded if k >= loop.carries}
    carried, stacked = [], {}
    for i in targets:
        if i < loop.carries:
            first, after = given.get(i), found.get(i)
            carried.append(_Carried(i, seeds[i], first, _or_zeros(after, operands[i])))
        elif i in found and i < loop.constants:
            stacked[i] = found[i]
        elif i in found:
            (total,) = fresh_inputs(operands[i].type)
            carried.append(_Carried(i, total, None, total + found[i]))
    results = loop.run_back(step, rows, carried, stacked)
    return tuple([results.get(i) for i in range(len(operands))])


@selective
def while_gradient(
    ct: Cotangents,
    y: Any,
    *operands: Node,
    wanted: Sequence[bool],
    cond: Graph,
    body: Graph,
    carries: int,
    max_trips: int | None,
) -> Found:
    """The gradient of a scan of `max_trips` steps, which do nothing once the loop has ended."""
    if max_trips is None:
        origin = _present(y)[0].origin
        raise UnsupportedOp(f"an unbounded while has no gradient; give it max_trips ({origin})")
    inputs = body.inputs
    (going,) = cond.inline(*inputs)
    stay = Graph.make(body.types, inputs[:carries])
    step = COND(going, *inputs, branches=(stay, body))
    scan = {"body": Graph.make(body.types, step.items), "carries": carries, "sequences": 0}
    scan |= {"length": max_trips, "reverse": False}
    return scan_gradient(ct, y, *operands, wanted=wanted, **scan)


@dataclass(frozen=True)
class _Carried:
    """A carry of the backward scan: the cotangent of one operand."""

    operand: int
    inside: Node
    first: Node | None  # zeros where there is none
    after: Node


@dataclass(frozen=True)
class _Loop:
    """The forward scan."""

    operands: tuple[Node, ...]
    body: Graph
    carries: int
    sequences: int
    length: int
    reverse: bool

    @property
    def constants(self) -> int:
        """The index of the first constant."""
        return self.carries + self.sequences

    def outputs(self, indices: Iterable[int]) -> dict[int, Node]:
        return {k: self.body.outputs[k] for k in indices}

    def flow(
        self, wanted: Sequence[bool], given: Mapping[int, Node]
    ) -> tuple[list[int], list[int]]:
        """The body's inputs whose cotangents are needed, and the outputs they come from.

        A carry takes part if it depends on a wanted operand and a given result depends on it.
        """
        depends = influence(self.body)
        varied, live = {i for i, flag in enumerate(wanted) if flag}, set(given)
        carries = range(self.carries)
        while more := {k for k in carries if k not in varied and depends[k] & varied}:
            varied |= more
        while more := {i for i in carries if i not in live and any(i in depends[k] for k in live)}:
            live |= more
        targets = [i for i in sorted(varied) if i >= self.carries or i in live]
        return targets, [
            k for k in sorted(live) if (k in varied if k in carries else depends[k] & varied)
        ]

    def reusing(
        self, y: Any, outputs: Sequence[Node], found: Mapping[int, Node]
    ) -> tuple[dict[int, Node], dict[Node, Node]]:
        """`found` over rows of the stacked results instead of recomputing them, and those rows."""
        stacked = {k: stack for k, stack in _present(y).items() if k >= self.carries}
        rows = _inputs_like({k: self.body.outputs[k] for k in stacked})
        new = substitute(
            found.values(), {outputs[k]: row for k, row in rows.items() if outputs[k].args}
        )
        return {i: new[ct] for i, ct in found.items()}, {rows[k]: stacked[k] for k in stacked}

    def stacks(self, indices: Sequence[int]) -> tuple[Node, ...]:
        """The values these carries had before each step, from the twin of this scan."""
        if not indices:
            return ()
        saved = [self.body.inputs[i] for i in indices]
        return self._scan(
            self.operands,
            Graph.make(self.body.types, (*self.body.outputs, *saved)),
            self.carries,
            self.sequences,
            self.reverse,
        )[-len(saved) :]

    def run_back(
        self,
        step: Sequence[Node],
        rows: Mapping[Node, Node],
        carried: Sequence[_Carried],
        stacked: Mapping[int, Node],
    ) -> dict[int, Node]:
        """The scan backward with the carries `carried` and the results `stacked`, by operand."""
        if not carried and not stacked:
            return {}
        results = [*[c.after for c in carried], *stacked.values()]
        n, m = self.carries, self.constants
        used = set(topological(results))
        saved = [i for i in range(n) if step[i] in used]
        sequences = {step[i]: stack for i, stack in zip(saved, self.stacks(saved), strict=True)}
        slices = dict(zip(step[n:m], self.operands[n:m], strict=True))
        sequences |= _used({**slices, **rows}, results)
        constants = _used(dict(zip(step[m:], self.operands[m:], strict=True)), results)
        body = close((*[c.inside for c in carried], *sequences, *constants), results)
        firsts = [_or_zeros(c.first, self.operands[c.operand]) for c in carried]
        items = self._scan(
            (*firsts, *sequences.values(), *constants.values()),
            body,
            len(carried),
            len(sequences),
            not self.reverse,
        )
        return dict(zip((*[c.operand for c in carried], *stacked), items, strict=True))

    def _scan(
        self, operands: Sequence[Node], body: Graph, carries: int, sequences: int, reverse: bool
    ) -> tuple[Node, ...]:
        return SCAN(
            *operands,
            body=body,
            carries=carries,
            sequences=sequences,
            length=self.length,
            reverse=reverse,
        ).items


def _present(results: Cotangents) -> dict[int, Node]:
    """The results that there are, by index."""
    each = (results,) if isinstance(results, Node) else results
    return {k: node for k, node in enumerate(each) if node is not None}


def _inputs_like(nodes: Mapping[int, Node]) -> dict[int, Node]:
    """A new input for each of the nodes."""
    return dict(zip(nodes, fresh_inputs(*[node.type for node in nodes.values()]), strict=True))


def _pulled(
    outputs: Sequence[Node],
    seeds: Mapping[int, Node],
    inputs: Sequence[Node],
    targets: Sequence[int],
) -> dict[int, Node]:
    """The cotangents of those inputs of `targets` that are reached from the outputs in `seeds`."""
    ys, xs = [outputs[k] for k in seeds], [inputs[i] for i in targets]
    found = cotangents(ys, xs, list(seeds.values()))
    return {i: ct for i, ct in zip(targets, found, strict=True) if ct is not None}


def _used(outer: Mapping[Node, Node], results: Iterable[Node]) -> dict[Node, Node]:
    """The entries whose keys `results` depend on."""
    needed = set(topological(results))
    return {inside: value for inside, value in outer.items() if inside in needed}


def _or_zeros(ct: Node | None, like: Node) -> Node:
    return filled(like.type, 0) if ct is None else ct


COND.gradient = cond_gradient
SCAN.gradient = scan_gradient
WHILE.gradient = while_gradient

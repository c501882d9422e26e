"""Take out of scans what needs no step before: one large product instead of many small ones.

A product of a slice of a sequence is computed for all steps before the loop; one whose result only
leaves the loop, or is only added up, after it. What remains in the loop are the products that the
next step waits for. Source: Appleyard et al., Optimizing Performance of Recurrent Neural Networks
on GPUs, 2016.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from anode.ir.graph import Graph, close, fresh_inputs
from anode.ir.node import INPUT, ITEM, READ, Node, remake, substitute
from anode.ir.types import TensorType, TupleType
from anode.ops import shape
from anode.ops.control import SCAN
from anode.ops.declare import Elementwise
from anode.ops.elementwise import add
from anode.ops.linalg import dot_general, matmul
from anode.ops.reduce import sum as total
from anode.passes.simplify import simplify
from anode.rewrite.trace import Hit, Trace

LITERAL, INVARIANT, SEQUENCE, CARRIED = range(4)
MOST_STACKED = 8  # times the size of a sum: more is not kept to add it up later

Rule = Callable[[Node, "list[Node]", int], Node]


def split_scans(graph: Graph, trace: Trace | None = None) -> Graph:
    """The graph with the products that need no carry taken out of its scans, and simplified then.

    Of one-hot rows, say, a product is one of a loop's rows no more, and becomes a look-up.
    """
    hits = trace.hits if trace is not None else []
    split: dict[Node, list[Node]] = {}

    def rewrite(old: Node, args: tuple[Node, ...]) -> Node:
        if old.op is ITEM and old.args[0] in split:
            return split[old.args[0]][old.attrs["index"]]
        if old.op is not SCAN:
            return remake(old, args)
        results = _Loop.of(old, args).results()
        if results is None:
            return remake(old, args)
        split[old] = results
        hits.append(Hit("split_scans", old, after=results[0]))
        return results[0]

    found = graph.map(rewrite)
    return simplify(found, trace) if split else found


# all steps of a node at once


def _broadcast(node: Node, length: int) -> Node:
    """A value that is the same in every step, for all of them."""
    sizes = node.tensor.static
    axes = tuple(range(1, len(sizes) + 1))
    return shape.broadcast_in_dim(node, shape=(length, *sizes), axes=axes)


def _all_steps(node: Node, args: list[Node], many: Sequence[bool], length: int) -> Node | None:
    """`node` over operands of which some have a dim of steps first; None where there is no rule."""
    if node.op is dot_general:
        return _product(node, args, many)
    rule = RULES.get(node.op.name) or (_elementwise if isinstance(node.op, Elementwise) else None)
    if rule is None:
        return None
    whole = [a if m else _broadcast(a, length) for a, m in zip(args, many, strict=True)]
    return rule(node, whole, length)


def _elementwise(node: Node, args: list[Node], length: int) -> Node:
    return remake(node, tuple(args))


def _transpose(node: Node, args: list[Node], length: int) -> Node:
    order = (0, *[axis + 1 for axis in node.attrs["permutation"]])
    return shape.transpose(args[0], permutation=order)


def _concatenate(node: Node, args: list[Node], length: int) -> Node:
    return shape.concatenate(*args, axis=node.attrs["axis"] + 1)


def _reshape(node: Node, args: list[Node], length: int) -> Node:
    return shape.reshape(args[0], shape=(length, *node.tensor.static))


def _slice(node: Node, args: list[Node], length: int) -> Node:
    start, limit, strides = (node.attrs[name] for name in ("start", "limit", "strides"))
    return shape.slice(args[0], start=(0, *start), limit=(length, *limit), strides=(1, *strides))


def _broadcast_in_dim(node: Node, args: list[Node], length: int) -> Node:
    axes = (0, *[axis + 1 for axis in node.attrs["axes"]])
    return shape.broadcast_in_dim(args[0], shape=(length, *node.tensor.static), axes=axes)


RULES: dict[str, Rule] = {
    "transpose": _transpose,
    "concatenate": _concatenate,
    "reshape": _reshape,
    "slice": _slice,
    "broadcast_in_dim": _broadcast_in_dim,
}


def _product(node: Node, args: list[Node], many: Sequence[bool]) -> Node | None:
    """A product for all steps, of one operand per step and one that is the same in all of them."""
    x, y = args
    (cx, cy), batch = node.attrs["contract"], node.attrs["batch"]
    if many[0] == many[1] or batch[0]:
        return None
    if many[0]:
        contract = (tuple(a + 1 for a in cx), cy)
        return dot_general(x, y, contract=contract, batch=batch, dtype=node.attrs["dtype"])
    contract = (cx, tuple(a + 1 for a in cy))
    found = dot_general(x, y, contract=contract, batch=batch, dtype=node.attrs["dtype"])
    steps = x.tensor.rank - len(cx)  # where the dim of steps ended up
    rank = found.tensor.rank
    order = (steps, *[axis for axis in range(rank) if axis != steps])
    return shape.transpose(found, permutation=order)


def _summed(node: Node, x: Node, y: Node) -> Node:
    """The sum over all steps of a product of which both operands have a leading dim of steps."""
    cx, cy = node.attrs["contract"]
    if cx[:1] == cy[:1] == (0,):  # the steps are more rows of what is summed over
        contract = cx, cy
        x, y = _joined(x), _joined(y)
    else:
        contract = ((0, *[a + 1 for a in cx]), (0, *[a + 1 for a in cy]))
    return dot_general(x, y, contract=contract, batch=((), ()), dtype=node.attrs["dtype"])


def _joined(x: Node) -> Node:
    """The first two dims as one."""
    first, second, *rest = x.tensor.static
    return shape.reshape(x, shape=(first * second, *rest))


@dataclass
class _Loop:
    """One scan on its way out of the loop: what is computed before, inside and after."""

    carry: list[Node]
    sequences: list[Node]
    constants: list[Node]
    body: Graph
    length: int
    reverse: bool
    before: dict[Node, Node] = field(default_factory=dict)  # of the body: its value for all steps
    stacked: dict[Node, None] = field(default_factory=dict)  # of the body: kept for after the loop

    @staticmethod
    def of(node: Node, args: Sequence[Node]) -> _Loop:
        a, b = node.attrs["carries"], node.attrs["sequences"]
        body = _turned(_distributed(_products(node.attrs["body"]), a, b), a, b)
        groups = list(args[:a]), list(args[a : a + b]), list(args[a + b :])
        return _Loop(*groups, body, int(node.attrs["length"]), node.attrs["reverse"])

    @cached_property
    def kinds(self) -> dict[Node, int]:
        return kinds(self.body, len(self.carry), len(self.sequences))

    @cached_property
    def uses(self) -> Counter[Node]:
        found = Counter(arg for node in self.body.nodes for arg in node.args)
        found.update(self.body.outputs)
        return found

    def results(self) -> list[Node] | None:
        """The scan's results, or None where nothing can leave the loop."""
        if any(isinstance(node.type, TupleType) or node.op is READ for node in self.body.nodes):
            return None
        n = len(self.carry)
        for node in self.body.nodes:
            if node.op is dot_general and self.kinds[node] == SEQUENCE:
                self.outside(node)
        sums = {i: g for i in range(n) if (g := self._added(i)) is not None}
        late = [i for i in range(n, len(self.body.outputs)) if self._leaves(self.body.outputs[i])]
        if not self.before and not sums and not late:
            return None
        return self._rebuilt(sums, late)

    def outside(self, node: Node) -> Node | None:
        """The value of a body's node for all steps, computed before the loop; None if it cannot."""
        found = self.before.get(node)
        if found is not None:
            return found
        inputs = self.body.inputs
        if node.op is INPUT:
            place = inputs.index(node)
            n = len(self.carry)
            return None if place < n else (self.sequences + self.constants)[place - n]
        args = [self.outside(arg) for arg in node.args]
        if any(arg is None for arg in args):
            return None
        known = [arg for arg in args if arg is not None]
        many = [self.kinds[arg] == SEQUENCE for arg in node.args]
        if not any(many):
            made: Node | None = remake(node, tuple(known))
        else:
            made = _all_steps(node, known, many, self.length)
        if made is not None and node.op is dot_general:
            self.before[node] = made
        return made

    def _added(self, i: int) -> Node | None:
        """What carry i is a running sum of, where the sum can be taken after the loop."""
        carry, new = self.body.inputs[i], self.body.outputs[i]
        if new.op is not add or self.uses[carry] != 1 or self.uses[new] != 1:
            return None
        if carry not in new.args or not new.dtype.is_float:
            return None
        term = new.args[1] if new.args[0] is carry else new.args[0]
        product = _untransposed(term)
        if product.op is dot_general and not product.attrs["batch"][0]:
            if self._kept(product.args, carry.tensor):
                return term
            return None
        return (
            term if term in self.stacked or term in self.body.outputs[len(self.carry) :] else None
        )

    def _kept(self, nodes: Sequence[Node], sum_: TensorType) -> bool:
        """Whether values of every step are there after the loop; from now on, if they are small."""
        missing = []
        for node in nodes:
            if self.kinds[node] in (LITERAL, INVARIANT):
                return False
            if self.kinds[node] == CARRIED or self.outside(node) is None:
                missing.append(node)
        size = sum(node.tensor.size.__index__() for node in missing)
        if size > MOST_STACKED * sum_.size.__index__():
            return False
        self.stacked.update(dict.fromkeys(missing))
        return True

    def _leaves(self, row: Node) -> bool:
        """Whether a result of each step is a product that nothing in the loop waits for."""
        if row.op is not dot_general or self.uses[row] != 1 or row in self.before:
            return False
        per_step = [arg for arg in row.args if self.kinds[arg] == CARRIED]
        fixed = [arg for arg in row.args if self.kinds[arg] in (LITERAL, INVARIANT)]
        if len(per_step) != 1 or len(fixed) != 1 or row.attrs["batch"][0]:
            return False
        self.stacked[per_step[0]] = None
        return True

    def _rebuilt(self, sums: dict[int, Node], late: Sequence[int]) -> list[Node]:
        n, outputs = len(self.carry), self.body.outputs
        kept = [i for i in range(n) if i not in sums]
        rows = [
            i for i in range(n, len(outputs)) if i not in late and outputs[i] not in self.before
        ]
        returned = {outputs[i]: i for i in rows}
        extra = [node for node in self.stacked if node not in returned]
        values = self._run(kept, [outputs[i] for i in (*kept, *rows)] + extra)
        found: dict[int, Node] = dict(zip((*kept, *rows), values, strict=False))
        stacked = dict(zip(extra, values[len(kept) + len(rows) :], strict=True))
        stacked |= {node: found[i] for node, i in returned.items()}
        for i, term in sums.items():
            found[i] = self.carry[i] + self._sum(term, stacked)
        for i in range(n, len(outputs)):
            if i in late:
                found[i] = self._after(outputs[i], stacked)
            elif i not in found:
                found[i] = self.before[outputs[i]]
        return [found[i] for i in range(len(outputs))]

    def _run(self, kept: Sequence[int], inner: Sequence[Node]) -> list[Node]:
        """What is left of the loop: its last carries, then rows."""
        if not inner:
            return []
        n, inputs = len(self.carry), self.body.inputs
        ready = [node for node in self.before if self.uses[node]]
        fixed = [node for node in _frontier(inner, self.kinds, self.before) if node not in inputs]
        carried = [inputs[i] for i in kept]
        per_step = [*inputs[n : n + len(self.sequences)], *ready]
        same = [*inputs[n + len(self.sequences) :], *fixed]
        taken = [*carried, *per_step, *same]
        fresh = fresh_inputs(*(node.type for node in taken))
        new = substitute(inner, dict(zip(taken, fresh, strict=True)))
        body = close(fresh, [new[node] for node in inner])
        outside = [self.outside(node) for node in fixed]
        node = SCAN(
            *[self.carry[i] for i in kept],
            *self.sequences,
            *[self.before[node] for node in ready],
            *self.constants,
            *outside,
            body=body,
            carries=len(kept),
            sequences=len(per_step),
            length=self.length,
            reverse=self.reverse,
        )
        return list(node.items)

    def _steps(self, node: Node, stacked: dict[Node, Node]) -> Node:
        found = stacked[node] if node in stacked else self.outside(node)
        assert found is not None
        return found

    def _sum(self, term: Node, stacked: dict[Node, Node]) -> Node:
        if term in stacked and _untransposed(term).op is not dot_general:
            return total(stacked[term], axis=0)
        if term.op is shape.transpose:
            permutation = term.attrs["permutation"]
            return shape.transpose(self._sum(term.args[0], stacked), permutation=permutation)
        x, y = (self._steps(arg, stacked) for arg in term.args)
        return _summed(term, x, y)

    def _after(self, row: Node, stacked: dict[Node, Node]) -> Node:
        args = [self._steps(arg, stacked) for arg in row.args]
        many = [self.kinds[arg] == CARRIED for arg in row.args]
        made = _product(row, args, many)
        assert made is not None
        return made


def kinds(body: Graph, carries: int, sequences: int) -> dict[Node, int]:
    """What each node of a scan's body depends on at most."""
    found: dict[Node, int] = {}
    for node in body.nodes:
        if node.op is INPUT:
            place = node.attrs["index"]
            late = INVARIANT if place >= carries + sequences else SEQUENCE
            found[node] = CARRIED if place < carries else late
        elif node.op is READ:
            found[node] = INVARIANT
        else:
            found[node] = max([LITERAL, *[found[arg] for arg in node.args]])
    for node in body.inputs:
        found.setdefault(node, INVARIANT)
    return found


def _frontier(
    roots: Sequence[Node], found: dict[Node, int], before: dict[Node, Node]
) -> list[Node]:
    """The largest values under `roots` that are the same in every step."""
    result: dict[Node, None] = {}
    seen: set[Node] = set()
    stack = list(roots)
    while stack:
        node = stack.pop()
        if node in seen or node in before:
            continue
        seen.add(node)
        if found[node] == INVARIANT:
            result[node] = None
        else:
            stack += node.args
    return list(result)


def _untransposed(node: Node) -> Node:
    while node.op is shape.transpose:
        node = node.args[0]
    return node


def _products(body: Graph) -> Graph:
    """The body with matrix products written as what they are made of."""

    def rewrite(node: Node, args: tuple[Node, ...]) -> Node:
        if node.op is matmul:
            return matmul.body(tuple([arg.type for arg in args]), node.attrs).inline(*args)[0]
        return remake(node, args)

    return body.map(rewrite)


def _distributed(body: Graph, carries: int, sequences: int) -> Graph:
    """Products of a concatenation of which a part needs no carry, as sums of products."""
    found = kinds(body, carries, sequences)

    def rewrite(node: Node, args: tuple[Node, ...]) -> Node:
        made = remake(node, args)
        side = _divisible(node, found)
        if side is not None:
            made = _sum_of_products(made, side)
        return made

    return body.map(rewrite)


def _turned(body: Graph, carries: int, sequences: int) -> Graph:
    """Weights that products take by rows are transposed, which is done once, before the loop."""
    found = kinds(body, carries, sequences)

    def rewrite(node: Node, args: tuple[Node, ...]) -> Node:
        if node.op is not dot_general or node.attrs["contract"][1] != (1,):
            return remake(node, args)
        x, weight = node.args
        if node.attrs["batch"][0] or weight.tensor.rank != 2 or found[weight] != INVARIANT:
            return remake(node, args)
        if found[x] != CARRIED:
            return remake(node, args)
        turned = shape.transpose(args[1], permutation=(1, 0))
        contract = (node.attrs["contract"][0], (0,))
        return dot_general(args[0], turned, contract=contract, dtype=node.attrs["dtype"])

    return body.map(rewrite)


def _divisible(node: Node, found: dict[Node, int]) -> int | None:
    """Which operand of a product is a concatenation that is worth being taken apart."""
    if node.op is not dot_general or node.attrs["batch"][0]:
        return None
    for side in (0, 1):
        joined, other = node.args[side], node.args[1 - side]
        if joined.op is not shape.concatenate or found[other] not in (LITERAL, INVARIANT):
            continue
        if joined.attrs["axis"] in node.attrs["contract"][side]:
            parts = {found[part] == CARRIED for part in joined.args}
            if len(parts) == 2:
                return side
    return None


def _sum_of_products(node: Node, side: int) -> Node:
    contract = node.attrs["contract"]
    joined, other = node.args[side], node.args[1 - side]
    axis = joined.attrs["axis"]
    across = contract[1 - side][contract[side].index(axis)]
    found: Any = None
    start = 0
    for part in joined.args:
        size = part.tensor.static[axis]
        sizes = other.tensor.static
        begin = [0] * len(sizes)
        end = list(sizes)
        begin[across], end[across] = start, start + size
        piece = shape.slice(other, start=tuple(begin), limit=tuple(end), strides=(1,) * len(sizes))
        operands = (part, piece) if side == 0 else (piece, part)
        product = remake(node, operands)
        found = product if found is None else found + product
        start += size
    return found

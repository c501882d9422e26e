"""Fusion: grow loop groups over elementwise, broadcast and reduction neighbours and products.

Nodes are taken from the outputs backward, and each joins the group of its users where the two can
share one loop nest: the node is computed at the very element its user is at. A value used at other
elements, or by an op that is no loop, is stored. Every refusal is recorded with its reason.

A group runs over `space`. A *wide* member spans the whole space; where `axes` of the space are
reduced, a *narrow* member spans the axes that are kept: a reduction's result, or what is computed
from it. A product is a group's member too: its users become the epilogue of its tiles.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field

from anode.ir.graph import Graph, close, fresh_inputs
from anode.ir.node import CONSTANT, ITEM, Node, remake, substitute
from anode.ir.types import TensorType
from anode.ops.declare import Elementwise
from anode.passes.kernel import kernel
from anode.passes.movement import (
    Coordinates,
    identity,
    is_inline,
    is_leaf,
    is_movement,
    stored_operands,
    through,
)
from anode.passes.strides import view_of
from anode.rewrite.trace import Hit, Miss, Trace

LARGEST_GROUP = 160  # members; beyond it registers spill and compile time grows, for no gain


@dataclass(eq=False)
class Group:
    """A kernel under construction, or one opaque node; its members' positions are low … high."""

    space: tuple[int, ...]
    axes: tuple[int, ...] = ()
    kind: str = "loops"
    members: dict[Node, Coordinates] = field(default_factory=dict)
    users: set[Group] = field(default_factory=set)
    low: int = 0
    high: int = 0
    merged: Group | None = None

    @property
    def kept(self) -> Coordinates:
        """The space's axes (of more than one element) that are not reduced."""
        return tuple(i for i, size in enumerate(self.space) if size != 1 and i not in self.axes)

    @property
    def current(self) -> Group:
        group = self
        while group.merged is not None:
            group = group.merged
        return group


@dataclass(frozen=True)
class Use:
    """Where a value is read: by `user`, at `coordinates` of the user's own loops."""

    user: Node
    coordinates: Coordinates | None


def fuse(graph: Graph, trace: Trace | None = None) -> Graph:
    """The graph as kernels: nodes are leaves, kernels, items of them, or ops that are no loops."""
    return _Fusion(graph, trace or Trace("fuse")).run()


class _Fusion:
    def __init__(self, graph: Graph, trace: Trace) -> None:
        self.graph, self.trace = graph, trace
        self.position = {node: i for i, node in enumerate(graph.nodes)}
        self.stored = frozenset(self._stored_movement())
        self.uses: dict[Node, list[Use]] = {node: [] for node in graph.nodes}
        self.group_of: dict[Node, Group] = {}
        self.escapes: set[Node] = set()

    def run(self) -> Graph:
        for node in self.graph.nodes:
            self._record_uses(node)
        for root in self.graph.roots:
            self.escapes.add(root)
        for node in reversed(self.graph.nodes):
            if self._is_member(node):
                self._place(node)
            elif not (is_leaf(node) or self._is_inline(node) or node.op is ITEM):
                self._opaque(node)
        return self._rebuild()

    # what is what
    def _is_inline(self, node: Node) -> bool:
        return is_inline(node) and node not in self.stored

    def _is_member(self, node: Node) -> bool:
        if is_leaf(node) or self._is_inline(node):
            return False
        loops = ("reduce", "dot_general", "random_bits")
        return node in self.stored or isinstance(node.op, Elementwise) or node.op.name in loops

    def _stored_movement(self) -> Iterable[Node]:
        """Inline nodes that must be stored: roots, other ops' operands, views no product takes."""
        roots = [root for root in self.graph.roots if not is_leaf(root)]
        wanted = [root for root in roots if is_inline(root)]
        for node in self.graph.nodes:
            if is_inline(node) or isinstance(node.op, Elementwise) or node.op.name == "random_bits":
                continue
            if node.op.name == "reduce":
                continue
            for arg in node.args:
                if node.op.name == "dot_general":
                    arg = _unviewable(arg)
                if is_inline(arg) and not is_leaf(arg):
                    wanted.append(arg)
        return wanted

    # uses
    def _record_uses(self, node: Node) -> None:
        """Tell every value that `node` reads, through inline nodes, where it is read."""
        if is_leaf(node) or self._is_inline(node) or node.op is ITEM:
            return
        for arg, coordinates in self._own_reads(node):
            for target, at in stored_operands(arg, coordinates, self.stored):
                self.uses[target].append(Use(node, at))
                if target.op is ITEM:
                    self.uses[target.args[0]].append(Use(node, None))

    def _own_reads(self, node: Node) -> list[tuple[Node, Coordinates | None]]:
        """A member's operands at the coordinates of its own loops; None for ops without."""
        if node in self.stored and is_movement(node):
            return list(through(node, identity(node.tensor.static)))
        if isinstance(node.op, Elementwise):
            return [(arg, identity(arg.tensor.static)) for arg in node.args]
        if node.op.name == "reduce":
            operands = len(node.args) // 2
            wide = [(arg, identity(arg.tensor.static)) for arg in node.args[:operands]]
            return [*wide, *((init, ()) for init in node.args[operands:])]
        return [(arg, None) for arg in node.args]

    # groups
    def _opaque(self, node: Node) -> None:
        group = Group((), kind=node.op.name)
        self._add(group, node, ())
        for user in self._user_groups(node):
            group.users.add(user)

    def _user_groups(self, node: Node) -> list[Group]:
        found = {self.group_of[use.user].current: None for use in self.uses[node]}
        return list(found)

    def _place(self, node: Node) -> None:
        """Put a member into its users' group, or into one of its own."""
        wanted = self._wanted(node)
        if len(wanted) > 1:
            self._merge(list(wanted))
            wanted = self._wanted(node)
        for group, coordinates in wanted.items():
            reason = self._refusal(node, group, coordinates)
            if reason is None:
                self._join(node, group, coordinates)
                return
            self.trace.misses.append(Miss("fuse", node, reason))
        self._start(node)

    def _wanted(self, node: Node) -> dict[Group, Coordinates]:
        """The loop groups that read `node` at the same element, with its coordinates there."""
        found: dict[Group, Coordinates | None] = {}
        for use in self.uses[node]:
            group = self.group_of[use.user].current
            at = self._in_group(use, group)
            if group in found and found[group] != at:
                at = None
            found[group] = at
        return {
            group: at
            for group, at in found.items()
            if at is not None and group.kind in ("loops", "matmul")
        }

    def _in_group(self, use: Use, group: Group) -> Coordinates | None:
        """A use's coordinates, given over its user's own dims, as axes of the group's space."""
        if use.coordinates is None:
            return None
        own = group.members[use.user]
        if use.user.op.name == "reduce":
            own = identity(group.space)
        return tuple(None if c is None else own[c] for c in use.coordinates)

    def _refusal(self, node: Node, group: Group, at: Coordinates) -> str | None:
        """Why `node` cannot join the group that reads it at `at`; None if it can."""
        others = [g for g in self._user_groups(node) if g is not group]
        if len(group.members) >= LARGEST_GROUP:
            return "the kernel is large enough"
        if any(self._reaches(other, group) for other in others):
            return "another user must run before this kernel"
        axes = tuple(c for c in at if c is not None)
        if list(axes) != sorted(axes):
            return "it is read transposed"
        if node.op.name == "dot_general":
            return self._refuse_product(node, group, axes)
        if node.op.name == "reduce":
            return self._refuse_reduction(node, group, axes)
        wide = tuple(i for i, size in enumerate(group.space) if size != 1)
        if axes == wide or (group.axes and axes == group.kept):
            return None
        return "it would be computed again for every element that shares it"

    def _refuse_product(self, node: Node, group: Group, axes: Coordinates) -> str | None:
        if group.kind == "matmul":
            return "one product a kernel"
        if group.axes or any(n.op.name == "reduce" for n in group.members):
            return "the users reduce over its result"
        if any(n.op.name == "random_bits" for n in group.members):
            return "random numbers are drawn in a kernel of their own"
        if tuple(s for s in group.space if s != 1) != tuple(
            s for s in node.tensor.static if s != 1
        ):
            return "the users' loops are not the product's"
        return None

    def _refuse_reduction(self, node: Node, group: Group, axes: Coordinates) -> str | None:
        space, reduced = node.args[0].tensor.static, node.attrs["axes"]
        if group.kind == "matmul":
            return "the users are a product's epilogue"
        if not isinstance(node.type, TensorType):
            return "it has several results"
        if group.axes or group.space == space:
            same = group.space == space and group.axes == reduced and axes == group.kept
            return None if same else "the users' loops reduce over other axes"
        if any(n.op.name == "reduce" for n in group.members):
            return "the users reduce over its result"
        kept = tuple(s for i, s in enumerate(space) if i not in reduced and s != 1)
        if kept != tuple(s for s in group.space if s != 1):
            return "the users' loops are not over its kept axes"
        return None

    def _join(self, node: Node, group: Group, at: Coordinates) -> None:
        name = node.op.name
        if name == "dot_general":
            self._widen(group, node.tensor.static, ())
            group.kind = "matmul"
            at = identity(node.tensor.static)
        elif name == "reduce" and not group.axes:
            self._widen(group, node.args[0].tensor.static, node.attrs["axes"])
            at = self._kept_coordinates(node, group)
        self.trace.hits.append(
            Hit("fuse", node, f"into the kernel of its users over {group.space}")
        )
        self._add(group, node, at)
        group.users |= {g for g in self._user_groups(node) if g is not group}
        if any(self.group_of[use.user].current is not group for use in self.uses[node]):
            self.escapes.add(node)

    def _widen(self, group: Group, space: tuple[int, ...], axes: tuple[int, ...]) -> None:
        """Give the group a larger space, of which its present members span the kept axes."""
        old = [i for i, size in enumerate(group.space) if size != 1]
        new = [i for i, size in enumerate(space) if size != 1 and i not in axes]
        rename = dict(zip(old, new, strict=True))
        group.space, group.axes = space, axes
        for member, at in group.members.items():
            group.members[member] = tuple(None if c is None else rename[c] for c in at)

    def _kept_coordinates(self, node: Node, group: Group) -> Coordinates:
        kept = [i for i in range(len(group.space)) if i not in group.axes]
        return tuple(None if group.space[i] == 1 else i for i in kept)

    def _start(self, node: Node) -> None:
        if node.op.name == "reduce":
            group = Group(node.args[0].tensor.static, node.attrs["axes"])
            at = self._kept_coordinates(node, group)
        else:
            group = Group(node.tensor.static)
            at = identity(node.tensor.static)
            if node.op.name == "dot_general":
                group.kind = "matmul"
        self._add(group, node, at)
        group.users |= set(self._user_groups(node))
        self.escapes.add(node)

    def _add(self, group: Group, node: Node, at: Coordinates) -> None:
        here = self.position[node]
        group.low = min(group.low, here) if group.members else here
        group.high = max(group.high, here)
        group.members[node] = at
        self.group_of[node] = group

    def _merge(self, groups: list[Group]) -> None:
        """Join groups that read one value and loop alike, so that it is computed once."""
        first = groups[0]
        for other in groups[1:]:
            if self._mergeable(first, other):
                for member, at in other.members.items():
                    first.members[member] = at
                first.users |= other.users
                first.low, first.high = min(first.low, other.low), max(first.high, other.high)
                other.merged = first

    def _mergeable(self, a: Group, b: Group) -> bool:
        if a.kind != "loops" or b.kind != "loops" or a.space != b.space or a.axes != b.axes:
            return False
        if len(a.members) + len(b.members) > LARGEST_GROUP:
            return False
        return not self._reaches(a, b) and not self._reaches(b, a)

    def _reaches(self, start: Group, goal: Group) -> bool:
        """Whether `goal` needs something that `start` computes, directly or through others."""
        stack, seen = [start], {start}
        while stack:
            group = stack.pop()
            if group is goal:
                return True
            for user in {g.current for g in group.users}:
                if user not in seen and user.low <= goal.high:
                    seen.add(user)
                    stack.append(user)
        return False

    # the new graph
    def _rebuild(self) -> Graph:
        new: dict[Node, Node] = {n: n for n in self.graph.nodes if is_leaf(n)}
        for group in self._in_order():
            if group.kind in ("loops", "matmul"):
                self._build(group, new)
            else:
                (node,) = group.members
                made = remake(node, tuple(new[arg] for arg in node.args))
                new.update(zip(node.items, made.items, strict=True))
        roots = [new[root] for root in self.graph.roots]
        return self.graph.with_roots(roots)

    def _in_order(self) -> list[Group]:
        """Groups, producers first; among the ready ones the order of the graph."""
        groups = dict.fromkeys(g.current for g in self.group_of.values())
        needs = dict.fromkeys(groups, 0)
        users = {g: {u.current for u in g.users if u.current is not g} for g in groups}
        for group in groups:
            for user in users[group]:
                needs[user] += 1
        ready = [(g.low, id(g), g) for g in groups if not needs[g]]
        heapq.heapify(ready)
        order: list[Group] = []
        while ready:
            group = heapq.heappop(ready)[2]
            order.append(group)
            for user in users[group]:
                needs[user] -= 1
                if not needs[user]:
                    heapq.heappush(ready, (user.low, id(user), user))
        assert len(order) == len(groups), "fusion made a cycle"
        return order

    def _build(self, group: Group, new: dict[Node, Node]) -> None:
        members = sorted(group.members, key=self.position.__getitem__)
        outputs = self._outputs(members)
        operands = self._operands(group, outputs)
        inputs = fresh_inputs(*(node.type for node in operands))
        body_nodes = substitute(outputs, dict(zip(operands, inputs, strict=True)))
        body = close(inputs, [body_nodes[node] for node in outputs])
        args = [new[node] for node in operands]
        made = kernel(args, body, group.kind, group.space, group.axes)
        self.trace.became.update(dict.fromkeys(members, made))
        for node, item in zip(outputs, made.items, strict=True):
            new[node] = item

    def _outputs(self, members: list[Node]) -> list[Node]:
        """The members' results that are read elsewhere; of several results each that is used."""
        outputs: list[Node] = []
        for node in members:
            if isinstance(node.type, TensorType):
                outputs += [node] if node in self.escapes else []
            else:
                outputs += [item for item in node.items if item in self.position]
        return outputs

    def _operands(self, group: Group, outputs: list[Node]) -> list[Node]:
        """What the group's members read that is stored: leaves and other groups' results."""
        found: dict[Node, None] = {}
        seen: set[Node] = set()
        stack = list(reversed(outputs))
        while stack:
            node = stack.pop()
            if node in seen:
                continue
            seen.add(node)
            item = node.op is ITEM and node.args[0] in group.members
            inline = self._is_inline(node) and node.op is not CONSTANT
            if item or inline or node in group.members:
                stack.extend(reversed(node.args))
            elif not (node.op is CONSTANT and node.tensor.size == 1):
                found[node] = None
        return list(found)


def _unviewable(node: Node) -> Node:
    """What of a product's operand must be stored first, for strides to express the rest."""
    view = view_of(node)
    if view is None or view.base.op is CONSTANT:
        return node
    return view.base

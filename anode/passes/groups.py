"""Groups of nodes under fusion: kernels in the making, and which of them needs which."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field

from anode.ir.node import Node
from anode.passes.movement import Coordinates, windows_sum


@dataclass(eq=False)
class Group:
    """A kernel in the making, or one opaque node.

    `kind` is "loops", "matmul", or the opaque node's op. Members have the axes of `space` that
    their dims are. `users` are groups that read what this one computes. Positions in the graph of
    its members begin at `low`; `latest` is the last of theirs and of the groups that it needs.
    """

    kind: str
    space: tuple[int, ...] = ()
    axes: tuple[int, ...] = ()
    members: dict[Node, Coordinates] = field(default_factory=dict)
    users: set[Group] = field(default_factory=set)
    low: int = 0
    latest: int = 0
    merged: Group | None = None

    @property
    def current(self) -> Group:
        """The group that this one has become part of; itself, if of none."""
        group = self
        while group.merged is not None:
            group = group.merged
        return group

    @property
    def wide(self) -> tuple[int, ...]:
        """The axes that have more than one element."""
        return tuple(i for i, size in enumerate(self.space) if size != 1)

    @property
    def kept(self) -> tuple[int, ...]:
        """Those of them that are not reduced."""
        return tuple(i for i in self.wide if i not in self.axes)

    def has(self, op: str) -> bool:
        return any(node.op.name == op for node in self.members)

    @property
    def adds_windows(self) -> bool:
        return any(windows_sum(node) is not None for node in self.members)

    def add(self, node: Node, at: Coordinates, position: int) -> None:
        self.low = min(self.low, position) if self.members else position
        self.latest = max(self.latest, position)
        self.members[node] = at

    def feed(self, users: Iterable[Group]) -> None:
        """Note groups that read what this one computes, and what they need by that."""
        self.users.update(users)
        stack = [self]
        while stack:
            group = stack.pop()
            for user in group.users:
                user = user.current
                if user.latest < group.latest:
                    user.latest = group.latest
                    stack.append(user)

    def widen(self, space: tuple[int, ...], axes: tuple[int, ...]) -> None:
        """Run over a larger space, of which the present members span the kept axes."""
        old, self.space, self.axes = self.wide, space, axes
        rename = dict(zip(old, self.kept, strict=True))
        for member, at in self.members.items():
            self.members[member] = tuple(None if c is None else rename[c] for c in at)

    def absorb(self, other: Group) -> None:
        """Take over the members of a group over the same space."""
        self.members |= other.members
        self.axes = self.axes or other.axes
        self.low, self.latest = min(self.low, other.low), max(self.latest, other.latest)
        other.merged = self
        self.feed(other.users)

    def reaches(self, goal: Group) -> bool:
        """Whether `goal` needs something that this group computes, directly or through others."""
        stack, seen = [self], {self}
        while stack:
            group = stack.pop()
            if group is goal:
                return True
            for user in group.users:
                user = user if user.merged is None else user.current  # asked most often of all
                if user.low <= goal.latest and user not in seen:
                    seen.add(user)
                    stack.append(user)
        return False


def in_order(groups: Iterable[Group]) -> list[Group]:
    """Groups, producers first; among those that are ready the order of the graph."""
    groups = list(dict.fromkeys(groups))
    users = {g: {u.current for u in g.users if u.current is not g} for g in groups}
    needs = dict.fromkeys(groups, 0)
    for group in groups:
        for user in users[group]:
            needs[user] += 1
    numbers = {group: i for i, group in enumerate(groups)}
    ready = [(g.low, numbers[g], g) for g in groups if not needs[g]]
    heapq.heapify(ready)
    order: list[Group] = []
    while ready:
        order.append(heapq.heappop(ready)[2])
        for user in users[order[-1]]:
            needs[user] -= 1
            if not needs[user]:
                heapq.heappush(ready, (user.low, numbers[user], user))
    assert len(order) == len(groups), "fusion made a cycle"
    return order

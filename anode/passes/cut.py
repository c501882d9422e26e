"""Minimum cuts: the cheapest way to put every one of many things on one of two sides."""

from __future__ import annotations

from collections import deque
from itertools import pairwise

NEAR, FAR = 0, 1  # the vertices that are on one side and on the other whatever it costs
NEVER = 1 << 62  # the capacity of an arc that must not be cut


class Network:
    """Vertices and arcs with capacities; `near_side` is one side of a minimum cut.

    An arc a → b is cut where a is on the near side and b on the far side; the cut's cost is the sum
    of the capacities of the arcs that are cut. Source: Dinitz, "Algorithm for solution of a problem
    of maximum flow", 1970.
    """

    def __init__(self) -> None:
        self._arcs: list[dict[int, int]] = [{}, {}]  # what each arc can still carry

    def vertex(self) -> int:
        self._arcs.append({})
        return len(self._arcs) - 1

    def arc(self, a: int, b: int, capacity: int) -> None:
        """Let an arc carry this much (more) from `a` to `b`."""
        if a != b:
            self._arcs[a][b] = self._arcs[a].get(b, 0) + capacity
            self._arcs[b].setdefault(a, 0)

    def near_side(self) -> set[int]:
        """The vertices that a largest flow leaves within reach of `NEAR`."""
        while FAR in (levels := self._levels()):
            self._fill(levels)
        return set(levels)

    def _levels(self) -> dict[int, int]:
        """How many arcs that can carry more lead from `NEAR` to each vertex."""
        levels, queue = {NEAR: 0}, deque([NEAR])
        while queue:
            a = queue.popleft()
            for b, rest in self._arcs[a].items():
                if rest and b not in levels:
                    levels[b] = levels[a] + 1
                    queue.append(b)
        return levels

    def _fill(self, levels: dict[int, int]) -> None:
        """Send flow along shortest paths until every one of them has a full arc."""
        untried = {a: iter(list(self._arcs[a])) for a in levels}
        path = [NEAR]
        while path:
            a = path[-1]
            if a == FAR:
                del path[self._send(path) :]
                continue
            for b in untried[a]:
                if self._arcs[a][b] and levels.get(b) == levels[a] + 1:
                    path.append(b)
                    break
            else:
                path.pop()

    def _send(self, path: list[int]) -> int:
        """Fill the path; gives the place in it where its first full arc ends."""
        pairs = list(pairwise(path))
        flow = min(self._arcs[a][b] for a, b in pairs)
        for a, b in pairs:
            self._arcs[a][b] -= flow
            self._arcs[b][a] += flow
        return next(i for i, (a, b) in enumerate(pairs, 1) if not self._arcs[a][b])

"""What the Switch, Merge, Enter and Exit nodes of a GraphDef mean: in which branch or loop each
node lies, and an order in which nodes follow their inputs."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

# The branches and loops about a node, outermost first: ("frame", name) or ("cond", pred, index).
Context = tuple[tuple[Any, ...], ...]

SWITCH, MERGE = ("Switch", "RefSwitch"), ("Merge", "RefMerge")
ENTER, EXIT = ("Enter", "RefEnter"), ("Exit", "RefExit")
NEXT = ("NextIteration", "RefNextIteration")


class Unraised(ValueError):
    """Control flow or arrays of a form that cannot be raised; what needs them fails when run."""


def parsed(text: str) -> tuple[str, int]:
    """The node and output that an input names; output -1 is control."""
    if text.startswith("^"):
        return text[1:], -1
    name, _, index = text.partition(":")
    return name, int(index or 0)


def reference(text: str) -> str:
    """A data input in full, `name:index`."""
    name, index = parsed(text)
    return f"{name}:{index}"


@dataclass(frozen=True)
class Structure:
    """The nodes of a GraphDef by name, with what follows from how they are connected."""

    nodes: Mapping[str, Any]

    @cached_property
    def loop_merges(self) -> frozenset[str]:
        """The Merge nodes that a NextIteration feeds."""
        return frozenset(
            node.name
            for node in self.nodes.values()
            if node.op in MERGE and any(self.type_of(text) in NEXT for text in node.input)
        )

    @cached_property
    def loop_switches(self) -> frozenset[str]:
        """The Switch nodes that a LoopCond rules."""
        return frozenset(
            node.name
            for node in self.nodes.values()
            if node.op in SWITCH and self.type_of(node.input[1]) == "LoopCond"
        )

    def type_of(self, text: str) -> str:
        node = self.nodes.get(parsed(text)[0])
        return "" if node is None else node.op

    def inputs(self, node: Any) -> list[str]:
        """The inputs a node must follow: not those from the iteration before."""
        if node.name in self.loop_merges:
            return [text for text in node.input if self.type_of(text) not in NEXT]
        return list(node.input)

    @cached_property
    def order(self) -> list[Any]:
        """All nodes, each after its inputs, else in the order of the file.

        What leaves a loop comes after all that enters it, a Merge after the Switches of its
        condition: so each can be made at once. Cycles raise ValueError.
        """
        whole: dict[Context, list[str]] = {}
        for node in self.nodes.values():
            if node.op in ENTER:
                whole.setdefault(self.context[node.name], []).append(node.name)
            elif node.op in SWITCH and node.name not in self.loop_switches:
                pred = self.pred(node)
                key = (*self.context[node.name], ("cond", pred))
                whole.setdefault(key, []).append(node.name)

        def entered(node: Any) -> list[str]:
            found = self.edge_context(node.input[0]) if node.op in EXIT else None
            return [] if found is None else whole.get(found, [])

        def switched(node: Any) -> list[str]:
            if node.op in MERGE and node.name not in self.loop_merges:
                return whole.get((*self.context[node.name], ("cond", self.predicate(node))), [])
            return entered(node)

        try:
            return self._sorted(switched)
        except ValueError:  # two conditions on one value, one after the other
            return self._sorted(entered)

    @cached_property
    def _plain_order(self) -> list[Any]:
        return self._sorted(lambda node: [])

    def _sorted(self, before: Callable[[Any], Iterable[str]]) -> list[Any]:
        place = {name: i for i, name in enumerate(self.nodes)}
        names = list(self.nodes)
        followers: dict[str, list[str]] = {name: [] for name in names}
        missing: dict[str, int] = {}
        for node in self.nodes.values():
            needed = {parsed(text)[0] for text in self.inputs(node)} | set(before(node))
            needed = {name for name in needed if name in self.nodes}
            missing[node.name] = len(needed)
            for name in needed:
                followers[name].append(node.name)
        ready = [place[name] for name in names if not missing[name]]
        heapq.heapify(ready)
        out = []
        while ready:
            name = names[heapq.heappop(ready)]
            out.append(self.nodes[name])
            for follower in followers[name]:
                missing[follower] -= 1
                if not missing[follower]:
                    heapq.heappush(ready, place[follower])
        if len(out) < len(names):
            stuck = next(name for name in names if missing[name] > 0)
            raise ValueError(f"the graph has a cycle through the node {stuck!r}")
        return out

    @cached_property
    def context(self) -> dict[str, Context]:
        """Of each node, the branches and loops that it lies in."""
        found: dict[str, Context] = {}
        for node in self._plain_order:
            edges = [self._edge(found, text) for text in self.inputs(node)]
            deepest: Context = max(edges, key=len, default=())
            if node.op in ENTER:
                deepest = (*deepest, ("frame", node.attr["frame_name"].s.decode()))
            elif node.op in EXIT:
                while deepest and deepest[-1][0] != "frame":
                    deepest = deepest[:-1]
                deepest = deepest[:-1]
            elif node.op in MERGE and node.name not in self.loop_merges and deepest:
                deepest = deepest[:-1] if deepest[-1][0] == "cond" else deepest
            found[node.name] = deepest
        return found

    def edge_context(self, text: str) -> Context:
        """The context of what an input brings: of a Switch's output, one of its branches."""
        return self._edge(self.context, text)

    def _edge(self, found: Mapping[str, Context], text: str) -> Context:
        name, index = parsed(text)
        context, node = found.get(name, ()), self.nodes.get(name)
        if node is None or index < 0 or node.op not in SWITCH or name in self.loop_switches:
            return context
        return (*context, ("cond", self.pred(node), index))

    def pred(self, switch: Any) -> str:
        """The tensor that rules a Switch; TensorFlow gives it other names by Identity nodes."""
        text = switch.input[1]
        while self.type_of(text) == "Identity" and self.nodes[parsed(text)[0]].input:
            text = self.nodes[parsed(text)[0]].input[0]
        return reference(text)

    def predicate(self, merge: Any) -> str | None:
        """The tensor that chose the branch of a Merge that is no loop's."""
        edges = [self.edge_context(text) for text in merge.input]
        deepest = max(edges, key=len, default=())
        return deepest[-1][1] if deepest and deepest[-1][0] == "cond" else None

    @cached_property
    def members(self) -> dict[Context, list[Any]]:
        """The nodes that lie directly in each context, in order."""
        found: dict[Context, list[Any]] = {}
        for node in self.order:
            found.setdefault(self.context[node.name], []).append(node)
        return found

    @cached_property
    def cond_merges(self) -> dict[tuple[Context, str | None], list[Any]]:
        """The Merge nodes that are no loop's, by context and predicate."""
        found: dict[tuple[Context, str | None], list[Any]] = {}
        for node in self.order:
            if node.op in MERGE and node.name not in self.loop_merges:
                key = self.context[node.name], self.predicate(node)
                found.setdefault(key, []).append(node)
        return found

    def ancestors(self, texts: Iterable[str], within: Context) -> set[str]:
        """The nodes inside a context, inner ones too, that the inputs follow from.

        The context's own loop variables end the search; old synchronisation nodes do not count.
        """
        found: set[str] = set()
        stack = [parsed(text)[0] for text in texts]
        while stack:
            node = self.nodes.get(stack.pop())
            if node is None or node.name in found or node.op == "ControlTrigger":
                continue
            context = self.context[node.name]
            if context[: len(within)] != within:
                continue
            found.add(node.name)
            own = context == within and (node.name in self.loop_merges or node.op in ENTER)
            if not own:
                stack += [parsed(text)[0] for text in node.input]
        return found

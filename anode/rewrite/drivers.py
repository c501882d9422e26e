"""Drivers apply rules to a graph: `simplify` to a fixed point, `cover` once, largest pattern first.

A graph holds what its roots depend on and nothing else, and equal nodes are one object: what a
rewrite leaves unused is gone, and what it makes equal is shared, without a pass for either.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import islice

from anode.errors import GraphError
from anode.ir.graph import Graph
from anode.ir.node import Node, at, remake
from anode.rewrite.pattern import Bound, Call, Pattern, Rule, Rules
from anode.rewrite.trace import Hit, Miss, Trace

LONGEST = 1000  # rewrites that wait for each other; more means that the rules do not end

Rewrite = Callable[[Node], "Hit | None"]


def simplify(graph: Graph, rules: Rules, trace: Trace | None = None) -> Graph:
    """The graph rewritten bottom-up until no rule matches; every hit is recorded in `trace`.

    Rules see one node and what it depends on, never its users. A rule that changes the type, or
    rules that undo each other, raise GraphError with their names.
    """

    def first(node: Node) -> Hit | None:
        candidates = rules.candidates(node)
        if not candidates:
            return None
        with at(node.origin):
            for pattern, rule in candidates:
                bound: Bound = {}
                if pattern.match(node, bound):
                    made = replacement(rule, node, bound)
                    if isinstance(made, Node):
                        return Hit(rule.name, node, rule.doc, made)
        return None

    return rewrite(graph, first, trace)


def rewrite(graph: Graph, step: Rewrite, trace: Trace | None = None) -> Graph:
    """The graph with `step` applied bottom-up to every node until it gives None.

    Nodes that a step makes are visited too, and so are those whose operands changed.
    """
    hits = [] if trace is None else trace.hits
    new: dict[Node, Node] = {}
    pending: dict[Node, Hit] = {}
    stack = list(reversed(graph.roots))
    while stack:
        node = stack[-1]
        if node in new:
            stack.pop()
            continue
        hit = pending.get(node)
        if hit is not None:
            if hit.after not in new:
                raise _endless(pending.values())
            new[node] = new[pending.pop(node).after]  # type: ignore[index]
            continue
        waiting = [arg for arg in node.args if arg not in new]
        if waiting:
            stack.extend(waiting)
            continue
        args = tuple([new[arg] for arg in node.args])
        made = node if args == node.args else remake(node, args)
        if made is not node and made in new:
            new[node] = new[made]
            continue
        hit = step(made)
        if hit is None or hit.after is None:
            new[made] = new[node] = made
            continue
        hits.append(hit)
        pending[node] = hit
        stack.append(hit.after)
        if len(pending) > LONGEST:
            raise _endless(islice(reversed(pending.values()), 10))
    if trace is not None:
        trace.became.update((old, made) for old, made in new.items() if old is not made)
    return graph.with_roots([new[root] for root in graph.roots])


def replacement(rule: Rule, node: Node, bound: Bound) -> Node | str | None:
    """What the rule makes of a matched node, which must have the node's type."""
    made = rule.apply(node, bound)
    if isinstance(made, Node) and made.type != node.type:
        raise GraphError(f"the rule {rule.name} makes {made.type} of {node}")
    return None if made is node else made


def _endless(hits: Iterable[Hit]) -> GraphError:
    names = ", ".join(dict.fromkeys(hit.rule for hit in hits))
    return GraphError(f"rewriting does not end, these rules undo each other: {names}")


def cover(graph: Graph, rules: Rules, trace: Trace | None = None) -> Graph:
    """Instruction selection: each node is matched at most once, from the outputs, largest first.

    The nodes inside a match must have no users outside it. What a rule makes is not looked at
    again. Hits, and misses with the reason, are recorded in `trace`.
    """
    covering = _Cover(graph, rules.largest_first(), trace or Trace("cover"))
    for node in reversed(graph.nodes):
        covering.visit(node)
    return covering.rebuild()


class _Cover:
    def __init__(self, graph: Graph, rules: Rules, trace: Trace) -> None:
        self.graph, self.rules, self.trace = graph, rules, trace
        self.uses = Counter(arg for node in graph.nodes for arg in node.args)
        self.uses.update(graph.roots)
        self.inside: set[Node] = set()
        self.chosen: dict[Node, Hit] = {}

    def visit(self, node: Node) -> None:
        """Let the first rule that matches at `node`, and does not refuse, cover it."""
        if node in self.inside:
            return
        for pattern, rule in self.rules.candidates(node):
            bound: Bound = {}
            if not pattern.match(node, bound):
                continue
            interior = _interior(pattern, node)
            with at(node.origin):
                made = self._refusal(node, interior) or replacement(rule, node, bound)
            if isinstance(made, Node):
                self.inside |= interior
                self.chosen[node] = hit = Hit(rule.name, node, rule.doc, made)
                self.trace.hits.append(hit)
                return
            if made is not None:
                self.trace.misses.append(Miss(rule.name, node, made))

    def _refusal(self, node: Node, interior: set[Node]) -> str | None:
        within = Counter(arg for member in {node, *interior} for arg in member.args)
        for member in interior:
            if within[member] != self.uses[member]:
                return f"{member} is used elsewhere too"
        return None

    def rebuild(self) -> Graph:
        new: dict[Node, Node] = {}
        stack = list(reversed(self.graph.roots))
        opened: set[Node] = set()
        while stack:
            node = stack[-1]
            hit = self.chosen.get(node)
            target = node if hit is None or hit.after is None else hit.after
            waiting = [arg for arg in target.args if arg not in new]
            if node in new or not waiting:
                stack.pop()
                new.setdefault(node, remake(target, tuple([new.get(a, a) for a in target.args])))
                if new[node] is not node:
                    self.trace.became[node] = new[node]
            elif node in opened:
                raise GraphError(f"the rule {hit and hit.rule} puts {node} inside its own result")
            else:
                opened.add(node)
                stack.extend(waiting)
        return self.graph.with_roots([new[root] for root in self.graph.roots])


def _interior(pattern: Pattern, node: Node) -> set[Node]:
    """The nodes below the root that the pattern's own ops matched."""
    found: set[Node] = set()
    stack = [(pattern, node)]
    while stack:
        part, at_node = stack.pop()
        if isinstance(part, Call):
            pairs = list(zip(part.args, at_node.args, strict=False))
            found.update(arg for p, arg in pairs if isinstance(p, Call))
            stack.extend(pairs)
    return found

"""Taps: debug ops on selected nodes, as extra outputs that are looked at after each run.

`graph.select("divide").check_finite()` is a tap on nodes; `anode.compile(graph, taps=[…])` computes
what it needs in the same native function and lets it report after each call. A tap does not change
what the graph computes, but what it looks at is stored where it might have been fused away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from anode.errors import BackendError, GraphError
from anode.ir.graph import Graph
from anode.ir.node import Node
from anode.ir.types import TensorType
from anode.ops import elementwise as ew
from anode.ops.elements import source, tree
from anode.ops.reduce import sum as total
from anode.rewrite.pattern import Pattern
from anode.rewrite.select import Element, find
from anode.rewrite.selection import Selection

Write = Callable[[str], None]
Values = Callable[[Element], Sequence[Node]]


@dataclass(frozen=True)
class Probe:
    """A value that a tap looks at: the node, and what it is called."""

    node: Node
    label: str

    def __str__(self) -> str:
        where = f" ({self.node.origin})" if self.node.origin else ""
        return f"{self.label}: {self.node.type}{where}"


class Tap:
    """A debug op. A subclass says what it needs of a value, and what it does with that.

    It acts after every `every`-th run, the first one included.
    """

    def __init__(self, every: int = 1) -> None:
        self.every = every
        self.runs = count()

    def needs(self, node: Node) -> tuple[Node, ...]:
        """What is computed of a value in each run; none if the tap does not concern its type."""
        if not isinstance(node.type, TensorType):
            return ()
        half = node.dtype.is_float and node.dtype.size < 4
        return (ew.convert(node, dtype="f32") if half else node,)

    def act(self, probe: Probe, values: Sequence[np.ndarray]) -> None:
        """Report on what was computed of one value."""
        raise NotImplementedError

    def after(self, probes: Sequence[tuple[Probe, Sequence[np.ndarray]]]) -> None:
        """Report on a run; called with every value, operands before users."""
        if next(self.runs) % self.every == 0:
            for probe, values in probes:
                self.act(probe, values)


class Print(Tap):
    """Prints values, the middle of large ones left out."""

    def __init__(self, every: int = 1, write: Write = print) -> None:
        super().__init__(every)
        self.write = write

    def act(self, probe: Probe, values: Sequence[np.ndarray]) -> None:
        text = np.array2string(values[0], threshold=100, edgeitems=2, precision=4)
        self.write(f"{probe}\n{text}")


@dataclass(frozen=True)
class Counts:
    """How many elements lie between each two of `edges`; those not finite are counted apart."""

    counts: np.ndarray
    edges: np.ndarray
    infinite: int = 0

    def __str__(self) -> str:
        most = max(int(self.counts.max()), 1)
        bars = "".join(" ▁▂▃▄▅▆▇█"[-(-8 * int(c) // most)] for c in self.counts)
        lost = f", {self.infinite} not finite" if self.infinite else ""
        return f"{self.edges[0]:.4g} |{bars}| {self.edges[-1]:.4g}{lost}"


class Histogram(Tap):
    """Counts values in `bins` of equal width; `latest` has the `Counts` of each, by its label."""

    def __init__(self, bins: int = 20, every: int = 1, write: Write | None = None) -> None:
        super().__init__(every)
        self.bins, self.write = bins, write
        self.latest: dict[str, Counts] = {}

    def act(self, probe: Probe, values: Sequence[np.ndarray]) -> None:
        self.latest[probe.label] = found = histogram(values[0], self.bins)
        if self.write is not None:
            self.write(f"{probe}\n{found}")


class CheckFinite(Tap):
    """Raises BackendError when a value has a NaN or an infinity, with its op and the user's line.

    Only two numbers of each value leave the native function.
    """

    def needs(self, node: Node) -> tuple[Node, ...]:
        if not isinstance(node.type, TensorType) or not node.dtype.is_float:
            return ()
        wrong = [ew.convert(test(node), dtype="i32") for test in (ew.is_nan, ew.is_inf)]
        return tuple([total(each) for each in wrong])

    def act(self, probe: Probe, values: Sequence[np.ndarray]) -> None:
        nans, infinities = map(int, values)
        if nans or infinities:
            raise BackendError(
                f"{probe} is not finite: {nans} NaN and {infinities} infinite of "
                f"{probe.node.tensor.size} elements; what was checked before it is"
            )


@dataclass(frozen=True)
class Tapped:
    """A tap and the values it is on."""

    tap: Tap
    probes: tuple[Probe, ...]

    @staticmethod
    def on(tap: Tap, elements: Iterable[Element], values: Values | None = None) -> Tapped:
        """The tap on the values of elements, by default all results of nodes, in their order."""
        found = []
        for element in elements:
            _check_outermost(element)
            nodes = (values or own_values)(element)
            found += [Probe(node, _label(element)) for node in nodes]
        return Tapped(tap, tuple(sorted(found, key=lambda probe: source(probe.node).serial)))

    @property
    def latest(self) -> dict[str, Counts]:
        """The last histograms, by the labels of their values."""
        return self.tap.latest if isinstance(self.tap, Histogram) else {}


def own_values(element: Element) -> Sequence[Node]:
    """The results of a node; nothing for other things."""
    return element.subject.items if isinstance(element.subject, Node) else ()


def _label(element: Element) -> str:
    if element.name:
        return f"{element.name} ({element.label})"
    where = next((holder.name for holder in element.ancestors), "")
    return f"{where}: {element.label}" if where else element.label


def _check_outermost(element: Element) -> None:
    for holder in element.ancestors:
        if isinstance(holder.subject, Node):
            raise GraphError(
                f"a tap cannot look into the {holder.subject.op.name} that {element.subject} "
                "is in; add :not(:in(control)) to the selector"
            )


@dataclass(frozen=True)
class Watch:
    """What taps look at after each run: the values behind a graph's own outputs."""

    tapped: tuple[Tapped, ...]
    nodes: tuple[Node, ...]
    sizes: tuple[tuple[int, ...], ...]

    @staticmethod
    def of(taps: Iterable[Tapped]) -> Watch:
        """The watch of these taps, of the values that concern them."""
        kept: list[Tapped] = []
        sizes: list[tuple[int, ...]] = []
        outputs: list[Node] = []
        for each in taps:
            needs = [(probe, each.tap.needs(probe.node)) for probe in each.probes]
            needs = [(probe, nodes) for probe, nodes in needs if nodes]
            kept.append(Tapped(each.tap, tuple([probe for probe, _ in needs])))
            sizes.append(tuple([len(nodes) for _, nodes in needs]))
            outputs += [node for _, nodes in needs for node in nodes]
        return Watch(tuple(kept), tuple(outputs), tuple(sizes))

    def __add__(self, other: Watch) -> Watch:
        """Both, the other's values behind this one's."""
        tapped, nodes = self.tapped + other.tapped, self.nodes + other.nodes
        return Watch(tapped, nodes, self.sizes + other.sizes)

    @property
    def names(self) -> list[str]:
        """What the further outputs are called."""
        return [f"tap {i}" for i in range(len(self.nodes))]

    def graph(self, graph: Graph) -> Graph:
        """`graph` with what the taps need as further outputs."""
        known = {*graph.inputs, *graph.nodes}
        for tapped in self.tapped:
            for probe in tapped.probes:
                if probe.node not in known and not known.issuperset(probe.node.args):
                    raise GraphError(f"the tap on {probe} is of another graph")
        names = graph.names and (*graph.names, *self.names)
        outputs = (*graph.outputs, *self.nodes)
        return Graph.make(graph.types, outputs, graph.updates, graph.effects, names)

    def report(self, values: Sequence[np.ndarray]) -> None:
        """Let the taps report on what their outputs were."""
        rest = iter(values)
        for each, sizes in zip(self.tapped, self.sizes, strict=True):
            taken = [[next(rest) for _ in range(size)] for size in sizes]
            each.tap.after(list(zip(each.probes, taken, strict=True)))


class NodeSelection(Selection):
    """Selected nodes of a graph, on which taps can be set."""

    def print(self, every: int = 1, write: Write = print) -> Tapped:
        """A tap that prints the values after every `every`-th run."""
        return self.tap(Print(every, write))

    def histogram(self, bins: int = 20, every: int = 1, write: Write | None = None) -> Tapped:
        """A tap that counts the values; see `Tapped.latest`."""
        return self.tap(Histogram(bins, every, write))

    def check_finite(self, every: int = 1) -> Tapped:
        """A tap that raises BackendError, naming op and line, when a value is not finite."""
        return self.tap(CheckFinite(every))

    def tap(self, tap: Tap) -> Tapped:
        """Any tap, on these nodes."""
        return Tapped.on(tap, self.elements)


def select(graph: Graph, selector: Any) -> NodeSelection:
    """The nodes that a selector finds, or that a pattern matches at; see `docs/selectors.md`."""
    elements = tree(graph)
    if not isinstance(selector, Pattern):
        return NodeSelection(str(selector), elements, elements.select(selector))
    matched = set(find(graph, selector))
    found = [element for element in elements.elements if element.subject in matched]
    return NodeSelection("a pattern", elements, found)


Graph.select = select  # type: ignore[assignment, method-assign]


def histogram(values: np.ndarray, bins: int = 20) -> Counts:
    """The counts of the finite elements in `bins` of equal width, from the least to the largest."""
    flat = np.asarray(values, np.float64).reshape(-1)
    finite = flat[np.isfinite(flat)]
    counts, edges = np.histogram(finite, bins)
    return Counts(counts, edges, flat.size - finite.size)

"""The layout pass: the order in which dims are stored, chosen so that few bytes are transposed.

Convolution and pooling read channels last; a program with channels first puts a transpose before
and after each. Around every transpose the pass gathers the region of ops that compute the same in
either of its two orders (see `frames`): a transpose between them then moves nothing. Outside lie
the ops that need one order. Which op of the region takes which is a minimum cut: an edge of the
graph costs the bytes of its value, read and written, where its ends differ. A variable is free to
be stored in either order. All regions are rewritten at once, again until no byte is saved.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from anode.ir.graph import Graph
from anode.ir.node import CONSTANT, ITEM, READ, Node, constant, constant_value, make, remake
from anode.ir.types import TensorType
from anode.ops.declare import Composite
from anode.ops.shape import broadcast_in_dim, iota, reshape, transpose
from anode.passes.cut import FAR, NEAR, NEVER, Network
from anode.passes.frames import Frame, Order, arranged, frame_of, identity, reordered_op
from anode.passes.simplify import simplify
from anode.rewrite.trace import Hit, Trace

RATE = 10_000  # bytes per microsecond that a transpose reads and writes, about

# Composites that are elementwise but for a value drawn in the order of the graph.
DRAWING = frozenset(["dropout"])
PRODUCTS = frozenset(["dot_general", "matmul"])  # they take and make matrices in either order

Pair = tuple[Order, Order]


def layout(graph: Graph, trace: Trace | None = None) -> Graph:
    """The graph with transposes moved to where they cancel, or to where fewest bytes pass."""
    trace = trace if trace is not None else Trace("layout")
    if not any(map(moved_bytes, graph.nodes)):
        return graph
    made = _drawn_apart(graph, trace)
    while orders := _orders(made):
        attempt = Trace("layout")
        better = simplify(_Rewriting(made, orders, attempt).graph(), attempt)
        if _total(better) >= _total(made):  # never seen: simplify would have moved transposes
            break
        made = better
        trace.hits += attempt.hits
        trace.became |= attempt.became
    trace.hits += [Hit("transpose_kept", node, _price(size)) for node, size in kept(made)]
    return made


def kept(graph: Graph) -> list[tuple[Node, int]]:
    """The transposes that are left, with the bytes each reads and writes."""
    around = _Surroundings(graph)
    found = [(node, around.moved(node)) for node in graph.nodes if node.op is transpose]
    return [(node, size) for node, size in found if size]


def _total(graph: Graph) -> int:
    return sum(size for _, size in kept(graph))


def moved_bytes(node: Node) -> int:
    """The bytes that a transpose reads and writes; 0 where it is a view, or a product reads it."""
    if node.op is not transpose:
        return 0
    order = node.attrs["permutation"]
    return _cost(node.args[0], identity(len(order)), order)


def _price(size: int) -> str:
    return f"{size} bytes read and written, about {max(size // RATE, 1)} µs"


def _cost(value: Node, have: Order, want: Order) -> int:
    """The bytes read and written to bring a value from one order of its dims to another.

    Of a broadcast only the operand is transposed.
    """
    if _wide(value, have) == _wide(value, want) or value.op in (CONSTANT, iota):
        return 0
    if value.op is broadcast_in_dim:
        return _cost(value.args[0], _below(value, have), _below(value, want))
    if value.op.name in PRODUCTS and len(want) == 2:
        return 0  # the product with its operands exchanged
    return 2 * value.tensor.bytes


def _wide(value: Node, order: Order) -> list[int]:
    """The dims in their order, without those of size 1."""
    return [d for d in order if value.shape[d] != 1]


def _below(wide: Node, order: Order) -> Order:
    """The order of a broadcast's operand that gives the broadcast `order`."""
    return arranged(wide.attrs["axes"], order)


def _drawn_apart(graph: Graph, trace: Trace) -> Graph:
    """Dropout of tensors that may be transposed becomes a mask, drawn in order, and a choice."""

    def rewrite(node: Node, args: tuple[Node, ...]) -> Node:
        made = node if args == node.args else remake(node, args)
        if node.op.name in DRAWING and len(node.shape) > 2 and isinstance(node.op, Composite):
            (made,) = node.op.expand(made)
            trace.hits.append(Hit("mask_apart", node, after=made))
        if made is not node:
            trace.became[node] = made
        return made

    return graph.map(rewrite)


# What the graph looks like around a value


class _Use(NamedTuple):
    """A use of a value: that operand of `owner`, or, with None, the new value of a variable."""

    owner: Node
    operand: int | None


class _Surroundings:
    """Who uses which value of a graph. An owner is an op with all its results."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.uses: dict[Node, list[_Use]] = {}
        self.kept = set(graph.outputs) | set(graph.effects)  # needed in the order of the graph
        self.frames: dict[Node, Frame | None] = {}
        for node in graph.nodes:
            if node.op is not ITEM:
                for index, arg in enumerate(node.args):
                    self.uses.setdefault(arg, []).append(_Use(node, index))
        reads = {node.attrs["variable"]: node for node in graph.nodes if node.op is READ}
        self.updates: dict[Node, Node] = {}  # the new value of what a node reads
        for variable, value in graph.updates:
            if variable in reads:
                self.updates[reads[variable]] = value
                self.uses.setdefault(value, []).append(_Use(reads[variable], None))
            else:
                self.kept.add(value)

    def moved(self, node: Node) -> int:
        """The bytes that a transpose reads and writes here; products take matrices both ways."""
        uses = self.uses.get(node, ())
        needed = node in self.kept or any(not _takes_any(use.owner, node) for use in uses)
        return moved_bytes(node) if needed else 0

    def frame(self, owner: Node) -> Frame | None:
        """The owner's frame; None where it needs its dims in order."""
        if owner not in self.frames:
            whole = isinstance(owner.type, TensorType) or not (
                owner in self.kept or self.uses.get(owner)
            )
            self.frames[owner] = frame_of(owner) if whole else None
        return self.frames[owner]

    def results(self, owner: Node) -> list[tuple[Node, Order]]:
        """The values of an owner with a frame, and which dims of it theirs are."""
        frame = self.frame(owner)
        assert frame is not None
        return list(zip(owner.items, frame.results, strict=True))

    def used_dims(self, use: _Use) -> Order | None:
        """Which dims of the user's frame are those of the value it uses."""
        frame = self.frame(use.owner)
        if frame is None:
            return None
        return frame.results[0] if use.operand is None else frame.operands[use.operand]


def _owner(value: Node) -> Node:
    return value.args[0] if value.op is ITEM else value


def _made_dims(frame: Frame, value: Node) -> Order:
    return frame.results[value.attrs["index"] if value.op is ITEM else 0]


# Regions: ops that can take either of two orders


class _Region:
    """The ops around a transpose that can take either of its two orders, `pairs` of their frames.

    One of the two is always the order of the graph: to change nothing is a choice as well.
    """

    def __init__(self, around: _Surroundings, seed: Node, taken: set[Node]) -> None:
        self.around = around
        order = seed.attrs["permutation"]
        self.pairs: dict[Node, Pair] = {seed: (identity(len(order)), order)}
        queue = [seed]
        for owner in queue:
            for other, dims, pair in self._neighbours(owner):
                if other not in self.pairs and other not in taken:
                    found = self._lifted(other, dims, pair)
                    if found is not None:
                        self.pairs[other] = found
                        queue.append(other)

    def values(self, owner: Node) -> list[Node]:
        """What the owner makes and takes; a variable takes its new value."""
        new = self.around.updates.get(owner)
        return [*owner.items, *owner.args, *([] if new is None else [new])]

    def _neighbours(self, owner: Node) -> Iterator[tuple[Node, Order, Pair]]:
        """The other owners of each value here, their dims of it, and its two orders."""
        around, frame = self.around, self.around.frame(owner)
        assert frame is not None
        values = [(value, dims) for value, dims in around.results(owner)]
        values += zip(owner.args, frame.operands, strict=True)
        if owner in around.updates:
            values.append((around.updates[owner], frame.results[0]))
        for value, dims in values:
            pair = self._at(owner, dims)
            if pair[0] == pair[1]:
                continue
            maker = _owner(value)
            made = around.frame(maker)
            if made is not None and maker is not owner:
                yield maker, _made_dims(made, value), pair
            for use in around.uses.get(value, ()):
                used = around.used_dims(use)
                if used is not None:
                    yield use.owner, used, pair

    def _lifted(self, owner: Node, dims: Order, pair: Pair) -> Pair | None:
        frame = self.around.frame(owner)
        assert frame is not None
        near, far = (frame.lift(dims, order) for order in pair)
        if near is None or far is None:
            return None
        return (near, far) if frame.as_written & {near, far} else None

    def _at(self, owner: Node, dims: Order) -> Pair:
        near, far = self.pairs[owner]
        return arranged(dims, near), arranged(dims, far)

    def orders(self) -> dict[Node, Order]:
        """The order of every op at the least cost; nothing if that is no less than as written."""
        cut = _Choice(self)
        near = cut.network.near_side()
        if cut.cost(near) >= sum(map(self.around.moved, self.pairs)):
            return {}
        return {
            owner: pair[0] if cut.vertices[owner] in near else pair[1]
            for owner, pair in self.pairs.items()
        }


@dataclass(frozen=True)
class _Edge:
    """A value that costs `size` bytes where its maker and a user are on different sides."""

    maker: int
    users: tuple[int, ...]
    size: int


class _Choice:
    """The cut that chooses: ops on the near side take the first order of their pair."""

    def __init__(self, region: _Region) -> None:
        self.region, self.network = region, Network()
        self.vertices = {owner: self.network.vertex() for owner in region.pairs}
        values = dict.fromkeys(value for owner in region.pairs for value in region.values(owner))
        found = [edge for value in values for edge in self._edges(value)]
        self.edges = [edge for edge in found if edge.users and edge.size]
        for edge in self.edges:
            self._add(edge)

    def _add(self, edge: _Edge) -> None:
        """Arcs that are cut once, however many users need the value in the other order."""
        network = self.network
        if len(edge.users) == 1:
            network.arc(edge.maker, edge.users[0], edge.size)
            network.arc(edge.users[0], edge.maker, edge.size)
            return
        ahead, back = network.vertex(), network.vertex()
        network.arc(edge.maker, ahead, edge.size)
        network.arc(back, edge.maker, edge.size)
        for user in edge.users:
            network.arc(ahead, user, NEVER)
            network.arc(user, back, NEVER)

    def _edges(self, value: Node) -> Iterator[_Edge]:
        """The edges of a value: one to the users that know its two orders, others apart."""
        region, around = self.region, self.region.around
        maker = _owner(value)
        known = self._pair(maker, None, value) if maker in region.pairs else None
        groups: dict[Pair, list[int]] = {}
        outside = value in around.kept
        for use in around.uses.get(value, ()):
            if use.owner not in region.pairs:
                outside |= not _takes_any(use.owner, value)
            else:
                pair = self._pair(use.owner, use, value)
                groups.setdefault(pair, []).append(self.vertices[use.owner])
        if known is not None:
            users = groups.pop(known, [])
            sides = _side(known) if outside or groups else []
            yield _Edge(self.vertices[maker], (*users, *sides), _cost(value, *known))
            if (outside or groups) and not sides:
                groups[known] = [self.vertices[maker]]
        for pair, users in groups.items():
            yield from _as_written(value, pair, tuple(users))

    def _pair(self, owner: Node, use: _Use | None, value: Node) -> Pair:
        frame = self.region.around.frame(owner)
        assert frame is not None
        dims = self.region.around.used_dims(use) if use else _made_dims(frame, value)
        assert dims is not None
        return self.region._at(owner, dims)

    def cost(self, near: set[int]) -> int:
        """The bytes read and written with these vertices on the near side."""
        total = 0
        for edge in self.edges:
            side = edge.maker in near
            total += edge.size * any((user in near) != side for user in edge.users)
        return total


def _side(pair: Pair) -> list[int]:
    """The side on which a value is as the graph has it, if it is on one and not on both."""
    whole = identity(len(pair[0]))
    return [] if (pair[0] == whole) == (pair[1] == whole) else [NEAR if pair[0] == whole else FAR]


def _as_written(value: Node, pair: Pair, ends: tuple[int, ...]) -> Iterator[_Edge]:
    """The edges from those that have a value in one of two orders to it in the graph's order."""
    for side in _side(pair):
        yield _Edge(side, ends, _cost(value, *pair))
    if not _side(pair):  # it costs something on either side, unless both are the graph's order
        whole = identity(len(pair[0]))
        yield _Edge(FAR, ends, _cost(value, whole, pair[0]))
        yield _Edge(NEAR, ends, _cost(value, whole, pair[1]))


def _relative(have: Order, want: Order) -> Order:
    """The permutation that brings a value stored in one order into another."""
    return tuple([have.index(d) for d in want])


def _takes_any(user: Node, value: Node) -> bool:
    """Whether a product reads the value, a matrix, in either order as well."""
    return user.op.name in PRODUCTS and len(value.shape) == 2


def _orders(graph: Graph) -> dict[Node, Order]:
    """The order of each op that is to have another than the graph gives it."""
    around, taken = _Surroundings(graph), set[Node]()
    found: dict[Node, Order] = {}
    for node in graph.nodes:
        if around.moved(node) and node not in taken:
            region = _Region(around, node, taken)
            taken.update(region.pairs)
            found |= region.orders()
    return found


# The graph with the orders chosen


@dataclass
class _Rewriting:
    """A graph being rebuilt: what each value is now, and in which order of its dims."""

    old: Graph
    orders: dict[Node, Order]
    trace: Trace
    made: dict[Node, Node] = field(default_factory=dict)
    order: dict[Node, Order] = field(default_factory=dict)

    def graph(self) -> Graph:
        for node in self.old.nodes:
            self._visit(node)
        orders = {
            node.attrs["variable"]: self.orders.get(node)
            for node in self.old.nodes
            if node.op is READ
        }
        updates = []
        for variable, value in self.old.updates:
            order = orders.get(variable) or identity(variable.type.rank)
            updates.append((variable.stored(order), self._in(value, order)))
        outputs, effects = self._as_written(self.old.outputs), self._as_written(self.old.effects)
        return Graph.make(self.old.types, outputs, updates, effects, self.old.names)

    def _visit(self, node: Node) -> None:
        owner = _owner(node)
        order = self.orders.get(owner)
        if node.op is ITEM:
            made = make(ITEM, (self.made[owner],), node.attrs, node.origin)
        elif order is not None:
            made = self._reordered(node, order)
        else:
            args = self._as_written(node.args)
            made = node if args == node.args else remake(node, args)
        self.made[node] = made
        if order is not None and isinstance(node.type, TensorType):
            frame = frame_of(owner)
            assert frame is not None
            self.order[node] = arranged(_made_dims(frame, node), order)
        if made is not node:
            self.trace.became[node] = made

    def _reordered(self, node: Node, order: Order) -> Node:
        frame = frame_of(node)
        assert frame is not None
        wanted = [arranged(dims, order) for dims in frame.operands]
        args = tuple([self._in(arg, o) for arg, o in zip(node.args, wanted, strict=True)])
        made = reordered_op(node, frame, order, args)
        if node.op is transpose:
            note = f"{moved_bytes(node)} bytes stay where they are"
            self.trace.hits.append(Hit("transpose_cancelled", node, note, made))
        elif order != frame.written:
            rule = "variable_stored" if node.op is READ else "order_changed"
            self.trace.hits.append(Hit(rule, node, f"dims in the order {order}", made))
        return made

    def _as_written(self, values: Sequence[Node]) -> tuple[Node, ...]:
        return tuple([
            self._in(value, identity(len(value.shape)))
            if isinstance(value.type, TensorType)
            else self.made[value]
            for value in values
        ])  # fmt: skip

    def _in(self, value: Node, order: Order) -> Node:
        """The value with its dims in `order`."""
        have = self.order.get(value, identity(len(order)))
        return transposed(self.made[value], _relative(have, order))


def transposed(value: Node, order: Order) -> Node:
    """`value` with its dims in `order`, at the least cost."""
    if order == identity(len(order)):
        return value
    shape = tuple([value.shape[d] for d in order])
    wide = _wide(value, order)
    if value.op is broadcast_in_dim:
        axes = value.attrs["axes"]
        inner = _below(value, order)
        places = tuple([order.index(axes[i]) for i in inner])
        return broadcast_in_dim(transposed(value.args[0], inner), shape=shape, axes=places)
    if value.op is iota:
        axis = order.index(value.attrs["axis"])
        return iota(shape=shape, dtype=value.dtype, axis=axis)
    if value.op is CONSTANT:
        found = constant_value(value)
        assert found is not None
        return constant(found.transpose(order))
    if wide == sorted(wide):
        return reshape(value, shape=shape)
    return transpose(value, permutation=order)

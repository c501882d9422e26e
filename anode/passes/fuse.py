"""Fusion: grow loop groups over elementwise, broadcast and reduction neighbours and products.

Nodes are taken from the outputs backward, and each joins the group of its users where the two can
share one loop nest: the node is computed at the very element its user is at. A value used at other
elements, or by an op that is no loop, is stored. Every refusal is recorded with its reason.

A group runs over a space. A *wide* member spans the whole space; where axes of the space are
reduced, a *narrow* member spans the axes that are kept: a reduction's result, or what is computed
from it. A product is a group's member too: its users become the epilogue of its tiles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

from anode.ir.graph import Graph, close, fresh_inputs
from anode.ir.node import CONSTANT, ITEM, Node, remake, substitute
from anode.ir.types import TensorType
from anode.ops.declare import Elementwise
from anode.passes.groups import Group, in_order
from anode.passes.kernel import KINDS, kernel
from anode.passes.movement import (
    Coordinates,
    identity,
    is_inline,
    is_leaf,
    is_movement,
    stored_operands,
    through,
    unreshaped,
    windows_sum,
)
from anode.passes.strides import factors
from anode.rewrite.trace import Hit, Miss, Trace

Axes = tuple[int, ...]

Rounding: TypeAlias = "Callable[[Node], bool]"
"""Whether a product can round its operand 1 to a half type as it reads it."""

LARGEST_GROUP = 160  # members; beyond it registers spill and compile time grows, for no gain
MOST_INLINE = 16  # movements that a reader does at every element; beyond it the value is stored
LONGEST_REPEATED = 3  # operations, one after another, that are as cheap as what they read
MOST_ROUNDING = 2  # products, at most, that read f32 for less than storing its half type takes
LITTLE = 2  # operations that are repeated for each window an element is in
MUCH_SMALLER = 16  # times: the cache holds what is so much smaller than the values of a loop
FEW_ROWS, SMALL = 16, 1 << 15  # a kernel of fewer rows keeps threads idle, unless it is small


ARITHMETIC = ("abs", "add", "maximum", "minimum", "multiply", "negate", "square", "subtract")
CHEAP = frozenset([*ARITHMETIC, "convert", "equal", "greater", "greater_equal", "less", "select"])


@dataclass(frozen=True)
class Use:
    """Where a value is read: by `user`, at `coordinates` of the user's own loops."""

    user: Node
    coordinates: Coordinates | None


def fuse(graph: Graph, trace: Trace | None = None) -> Graph:
    """The graph as kernels: nodes are leaves, kernels, items of them, or ops that are no loops."""
    return fusing()(graph, trace or Trace("fuse"))


def fusing(rounding: Rounding | None = None) -> Callable[[Graph, Trace], Graph]:
    """The pass that fuses for a backend whose products round their operand 1 where it says so."""

    def fuse(graph: Graph, trace: Trace) -> Graph:
        return _Fusion(graph, trace, rounding or (lambda _: False)).run()

    return fuse


class _Fusion:
    def __init__(self, graph: Graph, trace: Trace, rounding: Rounding) -> None:
        self.graph, self.trace, self.rounding = graph, trace, rounding
        self.position = {node: i for i, node in enumerate(graph.nodes)}
        self.stored = frozenset(_stored_movement(graph))
        self.summed = frozenset(_summed(graph, self.stored))
        self.windowed: set[Node] = set()
        self.repeated: set[Node] = set()
        self.uses: dict[Node, list[Use]] = {node: [] for node in graph.nodes}
        self.group_of: dict[Node, Group] = {}
        self.escapes: set[Node] = set(graph.roots)

    def run(self) -> Graph:
        for node in self.graph.nodes:
            self._record_uses(node)
        for node in reversed(self.graph.nodes):
            if self._is_member(node):
                self._place(node)
            elif not (is_leaf(node) or self._is_inline(node) or node.op is ITEM):
                self._opaque(node)
        for node in self.graph.nodes:
            self._join_readers(node)
        return self._rebuild()

    # what is what
    def _is_inline(self, node: Node) -> bool:
        if node in self.summed or node in self.repeated:
            return True
        return is_inline(node) and node not in self.stored

    def _is_view(self, node: Node) -> bool:
        """Whether a node is windows that are read where they lie."""
        return node.op.name == "windows" and self._is_inline(node)

    def _is_member(self, node: Node) -> bool:
        if is_leaf(node) or self._is_inline(node):
            return False
        loops = ("reduce", "dot_general", "random_bits", "overlap_add")
        return node in self.stored or isinstance(node.op, Elementwise) or node.op.name in loops

    # uses
    def _record_uses(self, node: Node) -> None:
        """Tell every value that `node` reads, through inline nodes, where it is read."""
        if is_leaf(node) or self._is_inline(node) or node.op is ITEM:
            return
        for arg, coordinates in self._own_reads(node):
            self._record_use(node, arg, coordinates)

    def _record_use(self, user: Node, arg: Node, coordinates: Coordinates | None) -> None:
        if self._is_view(arg):
            self.uses[arg].append(Use(user, coordinates))
            self.windowed.update(x for x, _ in stored_operands(arg, None, self._is_inline))
        for target, at in stored_operands(arg, coordinates, self._is_inline):
            self.uses[target].append(Use(user, at))
            if target.op is ITEM:
                self.uses[target.args[0]].append(Use(user, None))

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

    def _user_groups(self, node: Node) -> set[Group]:
        return {self.group_of[use.user].current for use in self.uses[node]}

    # placement
    def _opaque(self, node: Node) -> None:
        if any(group.kind == "loops" for group in self._user_groups(node)):
            reason = "a kernel of its own, which takes in no loops over its results"
            self.trace.misses.append(Miss("fuse", node, reason))
        self._start(node, Group(node.op.name), ())

    def _place(self, node: Node) -> None:
        """Put a member into its users' group, or into one of its own."""
        wanted = self._wanted(node)
        if self._is_rounded_by_products(node):
            self._repeat(node)
            return
        if node in self.windowed:
            if self._is_cheap_in_windows(node):
                self._repeat(node)
                return
            self.trace.misses.append(Miss("fuse", node, "windows that overlap would repeat it"))
        if len(wanted) > 1:
            self._merge(wanted)
            wanted = self._wanted(node)
        if len(wanted) > 1 and self._is_repeatable(node, wanted):
            self._repeat(node)
            return
        for group, coordinates in wanted.items():
            reason = self._refusal(node, group, coordinates)
            if reason is None:
                self._join(node, group, coordinates)
                return
            self.trace.misses.append(Miss("fuse", node, reason))
        self._start_loops(node)

    # what is computed again
    def _is_repeatable(self, node: Node, wanted: Mapping[Group, Coordinates]) -> bool:
        """Whether all users can compute a node for less than it takes to store and read it."""
        if node in self.escapes or self._user_groups(node) != set(wanted):
            return False
        if any(_dims(at) not in (group.wide, group.kept) for group, at in wanted.items()):
            return False
        found = self._sources(node, LONGEST_REPEATED)
        return found is not None and sum(x.tensor.bytes for x in found) <= node.tensor.bytes

    def _is_cheap_in_windows(self, node: Node) -> bool:
        """Whether sums of windows, say, repeat one operation rather than read what it stored."""
        if node in self.escapes or any(use.user.op.name != "reduce" for use in self.uses[node]):
            return False
        found = self._sources(node, 1, any_value=True)
        return found is not None and len(found) == 1

    def _is_rounded_by_products(self, node: Node) -> bool:
        """Whether products round what is stored to a half type for less than another kernel does.

        Each reads twice the bytes of the half type, which need not be stored.
        """
        users = {use.user for use in self.uses[node]}
        if node.op.name != "convert" or node in self.escapes or not 0 < len(users) <= MOST_ROUNDING:
            return False
        (source,), dtype = node.args, node.tensor.dtype
        if source.tensor.dtype is not dtype.compute or source.tensor.dtype is dtype:
            return False
        if self._is_inline(source) or not self._is_stored(source):
            return False
        return all(self._rounds(user, node) for user in users)

    def _rounds(self, user: Node, node: Node) -> bool:
        if user.op.name != "dot_general":
            return False
        left, right = _factors(user)
        return right is node is not left and self.rounding(user)

    def _sources(self, node: Node, most: int, any_value: bool = False) -> set[Node] | None:
        """The large stored values that a few cheap operations make a node of, else None.

        With `any_value`, they count as stored.
        """
        if not isinstance(node.op, Elementwise) or node.op.name not in CHEAP or not most:
            return None
        found: set[Node] = set()
        for arg in node.args:
            for x, _ in stored_operands(arg, None, self._is_inline):
                if x.tensor.size * MUCH_SMALLER <= node.tensor.size:
                    continue
                stored = any_value or self._is_stored(x)
                behind = {x} if stored else self._sources(x, most - 1)
                if behind is None or x.tensor.size != node.tensor.size:
                    return None
                found |= behind
        return found

    def _is_stored(self, node: Node) -> bool:
        """Whether a value is in memory in any case."""
        if is_leaf(node) or not self._is_member(node) or node in self.escapes:
            return True
        reduced = any(use.user.op.name == "reduce" for use in self.uses[node])
        return node.op.name == "dot_general" and reduced

    def _repeat(self, node: Node) -> None:
        """Let every user compute a node for itself."""
        self.repeated.add(node)
        self.trace.hits.append(Hit("repeat", node, "each of its users computes it"))
        for arg in node.args:
            read = {arg} if self._is_view(arg) else set()
            for target, _ in stored_operands(arg, None, self._is_inline):
                read |= {target, target.args[0]} if target.op is ITEM else {target}
            for value in read:
                self.uses[value] = [use for use in self.uses[value] if use.user is not node]
            for use in self.uses[node]:
                self._record_use(use.user, arg, use.coordinates)

    def _wanted(self, node: Node) -> dict[Group, Coordinates]:
        """The loop groups that read `node` at the same element, with its coordinates there."""
        found: dict[Group, Coordinates | None] = {}
        for use in self.uses[node]:
            group = self.group_of[use.user].current
            at = _in_group(use, group)
            found[group] = at if found.get(group, at) == at else None
        kinds = ("loops", "matmul")
        return {g: at for g, at in found.items() if at is not None and g.kind in kinds}

    def _refusal(self, node: Node, group: Group, at: Coordinates) -> str | None:
        """Why `node` cannot join the group that reads it at `at`; None if it can."""
        others = self._user_groups(node) - {group}
        if len(group.members) >= LARGEST_GROUP:
            return "the kernel is large enough"
        if any(other.reaches(group) for other in others):
            return "another user must run before this kernel"
        axes = _dims(at)
        if list(axes) != sorted(axes):
            return "it is read transposed"
        if node.op.name == "dot_general":
            return _refuse_product(node, group)
        if node.op.name == "reduce":
            return _refuse_reduction(node, group, axes)
        if windows_sum(node) is not None:
            return _refuse_overlap(group, axes)
        if axes == group.wide:
            return None
        narrow = self._narrow_axes(node, group, axes)
        if narrow and axes == _kept(group.space, narrow):
            return None
        return "it would be computed again for every element that shares it"

    def _narrow_axes(self, node: Node, group: Group, at: Axes) -> Axes:
        """The axes that are reduced in a kernel of which `node` would be a narrow member."""
        if group.adds_windows:
            return ()
        return group.axes or self._reduced_before(node, group.space, at)

    def _reduced_before(self, node: Node, space: Axes, at: Axes) -> Axes:
        """The axes of a reduction of `space` to the axes `at` that `node` follows from; () if none.

        Users that span the space can then share its kernel: the node is narrow there.
        """
        stack, seen = [node], {node}
        while stack and len(seen) < LARGEST_GROUP:
            reader = stack.pop()
            for source in self._read_alike(reader):
                if _reduces(source, space, at):
                    axes: Axes = source.attrs["axes"]
                    return axes if _has_rows(space, axes) else ()
                if isinstance(source.op, Elementwise) and source not in seen:
                    seen.add(source)
                    stack.append(source)
        return ()

    def _read_alike(self, node: Node) -> Iterator[Node]:
        """The values that a node reads at the very element it is at."""
        own = _dims(identity(node.tensor.static))
        for arg, at in self._own_reads(node):
            for source, coordinates in stored_operands(arg, at, self._is_inline):
                if coordinates is not None and _dims(coordinates) == own:
                    yield source

    def _join(self, node: Node, group: Group, at: Coordinates) -> None:
        if node.op.name == "dot_general":
            group.widen(node.tensor.static, ())
            group.kind, at = "matmul", identity(node.tensor.static)
        elif node.op.name == "reduce" and not group.axes:
            space, axes = node.args[0].tensor.static, node.attrs["axes"]
            if group.space == space:
                group.axes = axes
            else:
                group.widen(space, axes)
            at = _kept_dims(group)
        elif not group.axes and group.kind == "loops":
            axes = _dims(at)
            if axes != group.wide:
                group.axes = self._reduced_before(node, group.space, axes)
        note = f"into the kernel of its users over {group.space}"
        self.trace.hits.append(Hit("fuse", node, note))
        self._add(node, group, at)
        if self._user_groups(node) != {group}:
            self.escapes.add(node)

    def _start_loops(self, node: Node) -> None:
        if node.op.name == "reduce":
            group = Group("loops", node.args[0].tensor.static, node.attrs["axes"])
            self._start(node, group, _kept_dims(group))
        else:
            kind = "matmul" if node.op.name == "dot_general" else "loops"
            shape = node.tensor.static
            self._start(node, Group(kind, shape), identity(shape))

    def _start(self, node: Node, group: Group, at: Coordinates) -> None:
        self._add(node, group, at)
        self.escapes.add(node)

    def _add(self, node: Node, group: Group, at: Coordinates) -> None:
        group.add(node, at, self.position[node])
        group.feed(self._user_groups(node) - {group})
        self.group_of[node] = group

    # groups that read one value
    def _join_readers(self, node: Node) -> None:
        """Make one kernel of those that loop alike over a whole value, so that it is read once."""
        if is_leaf(node) or self._is_view(node) or node in self.escapes:
            spanning = [g for g, at in self._wanted(node).items() if at == identity(g.space)]
            self._merge(g for g in spanning if node.tensor.size > 1)

    def _merge(self, groups: Iterable[Group]) -> None:
        first: Group | None = None
        for group in groups:
            if first is None:
                first = group
            elif _mergeable(first, group):
                first.absorb(group)

    # the new graph
    def _rebuild(self) -> Graph:
        new: dict[Node, Node] = {n: n for n in self.graph.nodes if is_leaf(n)}
        for group in in_order(group.current for group in self.group_of.values()):
            if group.kind in KINDS:
                self._build(group, new)
            else:
                (node,) = group.members
                made = remake(node, tuple(new[arg] for arg in node.args))
                new.update(zip(node.items, made.items, strict=True))
        roots = [new[root] for root in self.graph.roots]
        return self.graph.with_roots(roots)

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
        for node in body_nodes:
            if node in self.repeated or node in self.summed:
                self.trace.became.setdefault(node, made)
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
        products = [node for node in group.members if node.op.name == "dot_general"]
        stored_factors = {factor for product in products for factor in _factors(product)}
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
            elif node.op is not CONSTANT or node.tensor.size != 1 or node in stored_factors:
                found[node] = None
        return list(found)


def _stored_movement(graph: Graph) -> set[Node]:
    """Inline nodes that must be stored: roots, other ops' operands, and what is long to move."""
    wanted = set(graph.roots)
    wanted.update(n for n in graph.nodes if windows_sum(n) not in (None, n))
    for node in graph.nodes:
        if is_inline(node) or isinstance(node.op, Elementwise):
            continue
        if node.op.name == "dot_general":
            wanted.update(_factors(node))
        elif node.op.name == "concatenate":
            wanted.update(unreshaped(arg) for arg in node.args)
        elif node.op.name not in ("reduce", "random_bits", "overlap_add"):
            wanted.update(node.args)
    moves: dict[Node, int] = {}
    for node in graph.nodes:
        if is_inline(node) and node not in wanted and not is_leaf(node):
            moves[node] = 1 + sum(moves.get(arg, 0) for arg in node.args)
            if moves[node] > MOST_INLINE:
                wanted.add(node)
                del moves[node]
    return {node for node in wanted if is_inline(node) and not is_leaf(node)}


def _summed(graph: Graph, stored: AbstractSet[Node]) -> set[Node]:
    """What is computed where windows are added up and not stored.

    It is the arithmetic on the windows' elements, and the sums themselves where only a part of them
    is read, with borders.
    """
    users: dict[Node, set[Node]] = {node: set() for node in graph.nodes}
    for node in graph.nodes:
        for arg in node.args:
            users[arg].add(node)
    once = {node for node in graph.nodes if len(users[node]) == 1}.difference(graph.roots)
    found: set[Node] = set()
    for node in graph.nodes:
        if node.op.name == "overlap_add":
            found |= _terms(node, once)
            if node in once and users[node] <= stored and windows_sum(*users[node]) is node:
                found.add(node)
    return found


def _terms(node: Node, once: AbstractSet[Node]) -> set[Node]:
    """The arithmetic on what windows add up, and a little on what they repeat, if cheap."""
    found: set[Node] = set()
    stack, size, little = [node.args[0]], node.args[0].tensor.size, LITTLE
    while stack:
        arg = stack.pop()
        computed = isinstance(arg.op, Elementwise) and not is_inline(arg)
        if arg not in once or is_leaf(arg) or not (computed or is_inline(arg)):
            continue
        if computed and arg.tensor.size < size:
            little -= 1
            if little < 0 or arg.op.name not in CHEAP:
                continue
        if computed:
            found.add(arg)
        stack += arg.args
    return found


def _factors(product: Node) -> list[Node]:
    """What of a product's operands is stored, for strides to express the rest."""
    pairs = zip(product.args, factors(product), strict=True)
    return [arg if view is None else view.base for arg, view in pairs]


def _in_group(use: Use, group: Group) -> Coordinates | None:
    """A use's coordinates, given over its user's own dims, as axes of the group's space."""
    if use.coordinates is None:
        return None
    own = identity(group.space) if use.user.op.name == "reduce" else group.members[use.user]
    return tuple(None if c is None else own[c] for c in use.coordinates)


def _kept_dims(group: Group) -> Coordinates:
    """The coordinates of what is left of the group's space when its axes are reduced."""
    kept = [i for i in range(len(group.space)) if i not in group.axes]
    return tuple(None if group.space[i] == 1 else i for i in kept)


def _refuse_product(node: Node, group: Group) -> str | None:
    if group.kind == "matmul":
        return "one product a kernel"
    if group.axes or group.has("reduce"):
        return "the users reduce over its result"
    if group.adds_windows:
        return "the users add up windows"
    if group.has("random_bits"):
        return "random numbers are drawn in a kernel of their own"
    if _beyond_one(group.space) != _beyond_one(node.tensor.static):
        return "the users' loops are not the product's"
    return None


def _refuse_overlap(group: Group, at: Axes) -> str | None:
    if group.kind == "matmul":
        return "the users are a product's epilogue"
    if group.axes or group.has("reduce"):
        return "the users reduce"
    return None if at == group.wide else "the users' loops are not over its elements"


def _refuse_reduction(node: Node, group: Group, at: Axes) -> str | None:
    space, reduced = node.args[0].tensor.static, node.attrs["axes"]
    if group.adds_windows:
        return "the users add up windows"
    if group.kind == "matmul":
        return "the users are a product's epilogue"
    if not isinstance(node.type, TensorType):
        return "it has several results"
    if group.axes or group.has("reduce"):
        same = group.space == space and group.axes == reduced and at == group.kept
        return None if same else "the users' loops reduce over other axes"
    kept = _kept(space, reduced)
    if group.space == space and at == kept:
        return None if _has_rows(space, reduced) else "threads would have too few rows to share"
    if _beyond_one(group.space) != [space[i] for i in kept] or at != group.wide:
        return "the users' loops are not over its kept axes"
    return None


def _mergeable(a: Group, b: Group) -> bool:
    """Whether two groups can be one: equal loops, and neither needs the other."""
    if a.kind != "loops" or b.kind != "loops" or a.space != b.space:
        return False
    axes = a.axes or b.axes
    if axes and (a.adds_windows or b.adds_windows):
        return False
    if a.axes != b.axes and not (() in (a.axes, b.axes) and _has_rows(a.space, axes)):
        return False
    if len(a.members) + len(b.members) > LARGEST_GROUP:
        return False
    return not a.reaches(b) and not b.reaches(a)


def _has_rows(space: Axes, axes: Axes) -> bool:
    """Whether threads can share what is not reduced, or need not."""
    rows = prod(size for i, size in enumerate(space) if i not in axes)
    return rows >= FEW_ROWS or prod(space) <= SMALL


def _kept(space: Axes, axes: Axes) -> Axes:
    return tuple(i for i, size in enumerate(space) if size != 1 and i not in axes)


def _dims(at: Coordinates) -> Axes:
    """The axes in coordinates, without the dims of one element."""
    return tuple([axis for axis in at if axis is not None])


def _reduces(node: Node, space: Axes, at: Axes) -> bool:
    """Whether `node` is a reduction of `space` that keeps the axes `at`."""
    if node.op.name != "reduce" or not isinstance(node.type, TensorType):
        return False
    return node.args[0].tensor.static == space and _kept(space, node.attrs["axes"]) == at


def _beyond_one(sizes: Axes) -> list[int]:
    return [size for size in sizes if size != 1]

"""How a loop kernel runs: which axes are lanes, loops and rows, and what is a task.

The last axis runs in vector lanes, together with those before it that everything in the kernel
indexes alike. The other kept axes are rows, which are cut into tasks; the other reduced axes are
loops inside of a row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from math import prod

from anode.backends.cpu.stages import MOST_TAPS, Stage, cost, in_any_order, stages_of
from anode.backends.cpu.target import Target
from anode.ir.graph import Graph
from anode.ir.node import ITEM, Node
from anode.ir.types import TensorType
from anode.ops.declare import Elementwise
from anode.passes.movement import Coordinates, identity, is_movement, unmoved, windows_sum
from anode.program.program import ALIGNMENT

TASK_COST = 40_000  # in simple vector operations: about 10 µs, long against handing out a task
LEAST_COST = 5_000  # of a task where some threads would have none
TASKS_PER_THREAD = 8  # lets threads that run at different speeds end together
LARGEST_UNROLLED = 300  # operations in a body that is written several times over
LARGEST_WRITTEN_OUT = 800  # operations of all iterations of short loops, of all phases of strides
LARGEST_TILED = 24  # operations in a body that is written once for every lane
MOST_SAVED = 1 << 15  # elements of a row of which the cache holds several


@dataclass(frozen=True)
class LoopPlan:
    """A loop kernel over `space`, of which `axes` are reduced, axes of one element left out.

    `lanes` are the axes that run in lanes, `rows` the other kept ones, and `loops` the other
    reduced ones, each entry one loop. A row is a block of `strides` elements of the row axes, each
    with code of its own. `unroll` vectors are computed side by side. Some operand is
    contiguous along the `tile` axes, if there are any, and strided along the lanes. Tasks are
    `row_tasks` × `column_tasks`; a column task takes `columns` of the lanes (where they are kept).
    """

    body: Graph
    space: tuple[int, ...]
    axes: tuple[int, ...]
    lanes: tuple[int, ...]
    rows: tuple[int, ...]
    loops: tuple[tuple[int, ...], ...]
    width: int
    unroll: int
    tile: tuple[int, ...] = ()
    strides: tuple[int, ...] = ()
    row_tasks: int = 1
    column_tasks: int = 1
    columns: int = 0

    @property
    def tasks(self) -> int:
        return self.row_tasks * self.column_tasks

    @property
    def lanes_reduced(self) -> bool:
        return bool(self.lanes) and self.lanes[0] in self.axes

    def count(self, axes: tuple[int, ...]) -> int:
        """The number of elements along axes."""
        return prod(self.space[axis] for axis in axes)

    @property
    def row_sizes(self) -> tuple[int, ...]:
        """The number of blocks along each row axis."""
        return tuple([-(-self.space[a] // s) for a, s in zip(self.rows, self.strides, strict=True)])

    @property
    def written_out(self) -> bool:
        """Whether the loops over windows are so short that each iteration has code of its own."""
        if all(node.op.name != "windows" for node in self.body.nodes):
            return False
        count = prod(map(self.count, self.loops))
        operations = self.unroll * sum(map(cost, self.body.nodes))
        return count <= MOST_TAPS and count * operations <= LARGEST_WRITTEN_OUT

    @property
    def straight(self) -> bool:
        """Whether a reduced lane axis is so short that it is no loop, and stays in registers."""
        return self.lanes_reduced and self.count(self.lanes) < 2 * self.width * self.unroll

    def coordinates(self, shape: tuple[int, ...]) -> Coordinates:
        return coordinates(shape, self.space, self.axes)

    def is_wide(self, node: Node) -> bool:
        """Whether a member spans the reduced axes as well."""
        reduced = {axis for axis in self.axes if self.space[axis] != 1}
        return not self.axes or bool(reduced & set(self.coordinates(node.tensor.static)))

    @cached_property
    def stages(self) -> list[Stage]:
        elements = self.count(self.axes)
        saving = self.lanes_reduced and not self.straight and elements <= MOST_SAVED
        return stages_of(self.body, self.is_wide, saving)

    @cached_property
    def saved(self) -> dict[Node, tuple[int, TensorType]]:
        """Where in the scratch memory each saved node is, and the part of it that one row has."""
        offset, found = 0, {}
        for node in [node for stage in self.stages for node in stage.saved]:
            at = self.coordinates(node.tensor.static)
            shape = [
                n if axis in self.axes else 1
                for n, axis in zip(node.tensor.static, at, strict=True)
            ]
            type = TensorType(node.tensor.dtype, tuple(shape))
            found[node] = offset, type
            offset += -(-type.bytes // ALIGNMENT) * ALIGNMENT
        return found

    @property
    def scratch(self) -> int:
        """Bytes of scratch memory that one running task needs."""
        return sum(-(-type.bytes // ALIGNMENT) * ALIGNMENT for _, type in self.saved.values())


def coordinates(
    shape: tuple[int, ...], space: tuple[int, ...], axes: tuple[int, ...]
) -> Coordinates:
    """The axes that a member's dims are: all of the space's, or those that are kept, in order."""
    wide = [i for i, n in enumerate(space) if n != 1]
    kept = [i for i in wide if i not in axes]
    found = iter(wide if sum(n != 1 for n in shape) == len(wide) else kept)
    return tuple(None if n == 1 else next(found) for n in shape)


def plan_loops(
    body: Graph, space: tuple[int, ...], axes: tuple[int, ...], target: Target, threads: int
) -> LoopPlan:
    """Choose lanes, loops and tasks. Which task computes an element never changes its bits."""
    wide = [i for i, n in enumerate(space) if n != 1]
    groups = _groups(wide, axes, _apart(body, space, axes))
    lanes = groups.pop() if groups else ()
    loops = tuple(group for group in groups if group[0] in axes)
    tile = _tile(body, space, axes, groups, lanes)
    rows = [axis for group in groups if group[0] not in axes and group != tile for axis in group]
    count = prod(space[axis] for axis in lanes)
    reduced = bool(lanes) and lanes[0] in axes
    width = _width(body, count, reduced, target)
    unroll = 1 if tile else _unroll(body, count, width)
    phases = {} if tile or axes else _phases(body, space)
    strides = tuple([phases.get(axis, 1) for axis in rows])
    plan = LoopPlan(body, space, axes, lanes, tuple(rows), loops, width, unroll, tile, strides)
    return _with_tasks(plan, threads)


def _phases(body: Graph, space: tuple[int, ...]) -> dict[int, int]:
    """Axes along which the windows that cover an element repeat, with the period."""
    found: dict[int, int] = {}
    for node in body.nodes:
        summed = windows_sum(node)
        if summed is None or not _fills(node.tensor.static, space):
            continue
        if prod(summed.attrs["sizes"]) <= MOST_TAPS:
            at = coordinates(node.tensor.static, space, ())
            for dim, stride in zip(summed.attrs["axes"], summed.attrs["strides"], strict=True):
                axis = at[dim]
                if axis is not None:
                    found[axis] = stride
    operations = prod(found.values()) * sum(map(cost, body.nodes))
    return found if operations <= LARGEST_WRITTEN_OUT else {}


def _fills(shape: tuple[int, ...], space: tuple[int, ...]) -> bool:
    """Whether a member has the kernel's shape: of others, what follows takes a part or a view."""
    return [n for n in shape if n != 1] == [n for n in space if n != 1]


def _tile(
    body: Graph,
    space: tuple[int, ...],
    axes: tuple[int, ...],
    groups: list[tuple[int, ...]],
    lanes: tuple[int, ...],
) -> tuple[int, ...]:
    """The group of kept axes along which an operand is contiguous that lanes read strided."""
    if axes or not lanes or sum(map(cost, body.nodes)) > LARGEST_TILED:
        return ()
    for node, at, _ in _indexed(body, space, axes):
        wide = [axis for axis in at if axis is not None]
        if node in body.inputs and wide and lanes[-1] in wide[:-1]:
            for group in groups:
                if group[-1] == wide[-1]:
                    return group
    return ()


def _groups(wide: list[int], axes: tuple[int, ...], apart: set[int]) -> list[tuple[int, ...]]:
    """Neighbouring axes merged where they are alike and nothing tells them apart."""
    groups: list[tuple[int, ...]] = []
    for axis in wide:
        last = groups[-1][-1] if groups else None
        if last is not None and axis not in apart and (last in axes) == (axis in axes):
            groups[-1] = (*groups[-1], axis)
        else:
            groups.append((axis,))
    return groups


def _apart(body: Graph, space: tuple[int, ...], axes: tuple[int, ...]) -> set[int]:
    """The axes that something indexes otherwise than together with the axis before."""
    wide = [i for i, n in enumerate(space) if n != 1]
    pairs = set(pairwise(wide))
    found: set[int] = set()
    for _, at, changed in _indexed(body, space, axes):
        used = [axis for axis in at if axis is not None]
        adjacent = set(pairwise(used))
        for previous, axis in pairs - adjacent:
            if previous in used or axis in used:
                found.add(axis)
        found.update(axis for pair in pairs for axis in pair[1:] if changed.intersection(pair))
    return found


def _indexed(
    body: Graph, space: tuple[int, ...], axes: tuple[int, ...]
) -> Iterator[tuple[Node, Coordinates, set[int]]]:
    """How every node in the body is indexed, and the axes that its movement does arithmetic on."""
    stack = [(node, coordinates(node.tensor.static, space, axes)) for node in body.outputs]
    seen = set(stack)
    while stack:
        node, at = stack.pop()
        operands, changed = _operands(node, at)
        yield node, at, changed
        new = [operand for operand in operands if operand not in seen]
        seen.update(new)
        stack += new


def _operands(node: Node, at: Coordinates) -> tuple[list[tuple[Node, Coordinates]], set[int]]:
    """A node's operands with their coordinates, and the axes that are computed on in between."""
    if isinstance(node.op, Elementwise):
        return [(arg, at) for arg in node.args], set()
    if node.op is ITEM:
        return _operands(node.args[0], at)
    if node.op.name == "reduce":
        count = len(node.args) // 2
        return [(x, identity(x.tensor.static)) for x in node.args[:count]], set()
    if not is_movement(node) and node.op.name != "overlap_add":
        return [], set()
    operands = [(arg, unmoved(node, i, at)) for i, arg in enumerate(node.args)]
    kept = {axis for _, inner in operands for axis in inner}
    changed = {axis for axis in at if axis is not None and axis not in kept}
    return operands, changed if node.op.name not in ("broadcast_in_dim", "iota") else set()


def _width(body: Graph, count: int, reduced: bool, target: Target) -> int:
    """Lanes: a vector register of the widest result, no wider than the axis asks for."""
    if reduced and not in_any_order(body):
        return 1  # an arbitrary combination is only right in order
    sizes = [n.tensor.dtype.compute.size for n in body.nodes if isinstance(n.type, TensorType)]
    lanes = target.lanes(max(4, min(8, max(sizes, default=4))))
    while lanes > 1 and lanes // 2 >= count:
        lanes //= 2
    return lanes


def _unroll(body: Graph, count: int, width: int) -> int:
    """Vectors side by side, which hides that sums wait for each other, and fills random blocks."""
    names = {node.op.name for node in body.nodes}
    if not names & {"reduce", "random_bits"} or not in_any_order(body):
        return 1
    operations, unroll = sum(map(cost, body.nodes)), 4
    while unroll * operations > LARGEST_UNROLLED or unroll * width >= 2 * count:
        if unroll == 1:
            break
        unroll //= 2
    return unroll


def _with_tasks(plan: LoopPlan, threads: int) -> LoopPlan:
    """Cut rows, and then lanes, into enough tasks for the threads, but not too small ones."""
    total = prod(plan.space) * sum(map(cost, plan.body.nodes)) / plan.width
    wanted = 1
    if threads > 1:
        least, usual = int(total / LEAST_COST), int(total / TASK_COST)
        wanted = max(1, min(least, threads), min(usual, TASKS_PER_THREAD * threads))
    columns = 1 if plan.lanes_reduced else plan.count(plan.lanes)
    rows = max(1, min(prod(plan.row_sizes), wanted))
    block = plan.width * plan.unroll
    parts = min(-(-wanted // rows), -(-columns // (2 * block)))
    each = columns if parts <= 1 else -(-columns // (parts * block)) * block
    return replace(
        plan, row_tasks=rows, column_tasks=-(-columns // each) if each else 1, columns=each
    )

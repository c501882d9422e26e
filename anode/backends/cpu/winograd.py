"""Convolutions by Winograd's method F(4x4, 3x3): the ops in the graph, and how they are cut up.

A tile of 4x4 results of a 3x3 convolution takes 6x6 elements of the image. Both are polynomials'
coefficients along each dim, and their product is had from its values at six points: 36 products a
tile where the sum over windows takes 144. Source: Lavin and Gray, "Fast Algorithms for
Convolutional Neural Networks", 2016.

    U = G w Gᵀ      filters, 3x3 to 6x6, once: FILTERS
    V = Bᵀ x B      a tile of the image, 6x6
    y = Aᵀ (U·V) A  a tile of the result, 4x4: CONVOLUTION; U·V is 36 matrix products over channels

The usual points 0, ±1, ±2, ∞ lose most of two digits. At 0, ±3/4, ±3/2, ∞ results differ from those
in f64 by 4e-7 to 2e-6 (root of the mean square, relative), four times what a direct sum does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from math import prod
from typing import Any

from anode.backends.cpu.onednn_conv import DATA, FORWARD, WEIGHTS, Problem
from anode.backends.cpu.target import Target
from anode.ir.dtypes import f32
from anode.ir.node import Node, make
from anode.ir.op import Op
from anode.ir.types import TensorType, Type

OUT, IN, TAPS = 4, 6, 3  # sides of a tile of results, of the image's tile, of a filter
POINTS = IN * IN
Matrix = tuple[tuple[float, ...], ...]

# Each transform of one dim is two sparse matrices. Values at p and −p are sums and differences of
# the even and the odd part, which one matrix has: at 0, p even, p odd, q even, q odd, ∞.
P, Q = 3 / 2, 3 / 4  # the points are 0, ±P, ±Q and infinity
_PP, _QQ = P * P, Q * Q
BUTTERFLY: Matrix = (
    (1, 0, 0, 0, 0, 0),
    (0, 1, 1, 0, 0, 0),
    (0, 1, -1, 0, 0, 0),
    (0, 0, 0, 1, 1, 0),
    (0, 0, 0, 1, -1, 0),
    (0, 0, 0, 0, 0, 1),
)
IMAGE: Matrix = (
    (_PP * _QQ, 0, -_PP - _QQ, 0, 1, 0),
    (0, 0, -_QQ, 0, 1, 0),
    (0, -P * _QQ, 0, P, 0, 0),
    (0, 0, -_PP, 0, 1, 0),
    (0, -Q * _PP, 0, Q, 0, 0),
    (0, _PP * _QQ, 0, -_PP - _QQ, 0, 1),
)
_FP, _FQ = 2 * _PP * (_PP - _QQ), 2 * _QQ * (_QQ - _PP)
FILTER: Matrix = (
    (1 / (_PP * _QQ), 0, 0),
    (1 / _FP, 0, _PP / _FP),
    (0, P / _FP, 0),
    (1 / _FQ, 0, _QQ / _FQ),
    (0, Q / _FQ, 0),
    (0, 0, 1),
)
RESULT: Matrix = (
    (1, 1, 0, 1, 0, 0),
    (0, 0, P, 0, Q, 0),
    (0, _PP, 0, _QQ, 0, 0),
    (0, 0, P * _PP, 0, Q * _QQ, 1),
)

MOST_PADDING = TAPS - 1
LEAST_CHANNELS: Mapping[str, int] = {FORWARD: 8, DATA: 8, WEIGHTS: 16}  # and filters
MOST_TASKS, LEAST_TILES = 32, 16  # of a convolution, and of a task or a block
BLOCK = 384 << 10  # bytes that a block's tiles may take up; measured, it matters little
MOST_VECTORS = 4  # of a panel's row


@dataclass(frozen=True)
class Blocking:
    """How `problem` (a forward one) is cut into `tasks`, and these into blocks of tiles.

    The filters lie in panels of `panel` columns. All rows of tiles of all images are shared out; a
    block is `rows` of them, `across` tiles each. Offsets and steps are in floats of scratch.
    """

    problem: Problem
    tasks: int
    panel: int
    lanes: int
    registers: int

    @property
    def across(self) -> int:
        return -(-self.problem.out[1] // OUT)

    @property
    def down(self) -> int:
        return -(-self.problem.out[0] // OUT)

    @property
    def panels(self) -> int:
        return -(-self.problem.filters // self.panel)

    @property
    def vectors(self) -> int:
        """Vectors of a panel's row."""
        return self.panel // self.lanes

    @property
    def rows_a_task(self) -> int:
        return self.problem.batch * self.down // self.tasks

    @cached_property
    def rows(self) -> int:
        """Rows of tiles of a block: an equal part of a task's, in BLOCK bytes if they can be."""
        whole, row = self.rows_a_task, 4 * POINTS * self.across * (self.pitch + self.panel)
        most = max(BLOCK // row, -(-LEAST_TILES // self.across))
        return max((r for r in range(1, min(whole, most) + 1) if whole % r == 0), default=1)

    @property
    def blocks(self) -> int:
        """Blocks of a task."""
        return self.rows_a_task // self.rows

    @property
    def tiles(self) -> int:
        return self.rows * self.across

    @property
    def pitch(self) -> int:
        """From a tile's channels at a point to the next tile's."""
        whole = _up(self.problem.channels, self.lanes)
        return whole + self.lanes if whole % 256 == 0 else whole  # not all in one set of a cache

    @property
    def image_step(self) -> int:
        """From a point's products' left operand to the next one's."""
        return _apart(self.tiles * self.pitch)

    @property
    def result_step(self) -> int:
        """From a point's products to the next one's."""
        return _apart(self.tiles * self.panel)

    @property
    def line(self) -> int:
        """From a row of the transformed lines of the image to the next one."""
        width = (OUT * self.across + IN - OUT) * self.problem.channels
        return _apart(width + self.lanes)

    @property
    def offsets(self) -> tuple[int, ...]:
        """Where V, its products, the lines, zeros and a spare row of a panel begin."""
        found = [0]
        width = self.problem.sizes[1] * self.problem.channels
        zeros = _up(width, self.lanes)
        for size in (POINTS * self.image_step, POINTS * self.result_step, IN * self.line, zeros):
            found.append(found[-1] + size)
        return tuple(found)

    @property
    def scratch(self) -> int:
        """Bytes of scratch."""
        return 4 * (self.offsets[-1] + self.panel)

    @property
    def groups(self) -> tuple[tuple[int, int], ...]:
        """How the tiles are multiplied: so many times, so many at once in registers."""
        most = max(1, (self.registers - 2 - self.vectors) // self.vectors)
        count = -(-self.tiles // most)
        least, more = divmod(self.tiles, count)
        return tuple([(n, size) for n, size in ((more, least + 1), (count - more, least)) if n])


class _Convolution(Op):
    """A convolution of kind "forward", and what follows it, from x, U, [bias,] [added].

    U is (panels, 36, channels, panel). See Problem; `tasks` are equal parts of the rows of tiles.
    """

    def infer(self, types: tuple[Type, ...], attrs: Mapping[str, Any]) -> Type:
        return TensorType(f32, Problem.of(attrs).y_shape)

    def flops(self, node: Node) -> int:
        """Those of the sum over windows."""
        return Problem.of(node.attrs).flops

    def of_part(self, node: Node, rows: Sequence[bool], parts: int) -> Mapping[str, Any] | None:
        """The attributes for one of `parts` parts of the operands that have `rows`: some tasks."""
        attrs = node.attrs
        shared = range(1, 2 + attrs["bias"])
        alone = all(has == (i not in shared) for i, has in enumerate(rows))
        if not alone or attrs["tasks"] % parts or attrs["batch"] % parts:
            return None
        return {**attrs, "tasks": attrs["tasks"] // parts, "batch": attrs["batch"] // parts}


class _Filters(Op):
    """Filters (3, 3, c, o) at Winograd's points, in panels: (panels, 36, channels, panel).

    With `flipped` they are turned around, and are those from o channels to c.
    """

    def infer(self, types: tuple[Type, ...], attrs: Mapping[str, Any]) -> Type:
        (w,) = types
        assert isinstance(w, TensorType)
        channels, filters = sides(w, attrs["flipped"])
        return TensorType(f32, (-(-filters // attrs["panel"]), POINTS, channels, attrs["panel"]))


def sides(w: TensorType, flipped: bool) -> tuple[int, int]:
    """The channels that filters (3, 3, c, o) take and give."""
    *_, c, o = w.static
    return (o, c) if flipped else (c, o)


CONVOLUTION = _Convolution("winograd_convolution")
FILTERS = _Filters("winograd_filters")


def refusal(problem: Problem) -> str:
    """Why a convolution, or its gradient, cannot be computed so; nothing if it can."""
    if problem.dtype != "f32":
        return f"Winograd's method is for f32, not {problem.dtype}"
    if problem.kernel != (TAPS, TAPS) or problem.groups != 1:
        return "Winograd's method is for 3x3 filters, all in one group"
    if max(*problem.strides, *problem.dilations) > 1:
        return "Winograd's method is for strides and dilations of 1"
    if not all(0 <= p <= MOST_PADDING for p in (*problem.low, *problem.high)):
        return f"Winograd's method is for paddings of 0 to {MOST_PADDING}"
    if min(problem.channels, problem.filters) < (least := LEAST_CHANNELS[problem.kind]):
        return f"Winograd's method takes at least {least} channels and filters"
    places = problem if problem.kind == WEIGHTS else as_forward(problem)
    return "" if prod((places.batch, *places.out)) else "there is nothing to compute"


def as_forward(problem: Problem) -> Problem:
    """A convolution by data as the convolution of its operand with turned filters."""
    if problem.kind == FORWARD:
        return problem
    low, high = (tuple([TAPS - 1 - p for p in side]) for side in (problem.low, problem.high))
    return replace(
        problem,
        kind=FORWARD,
        sizes=problem.out,
        channels=problem.filters,
        filters=problem.channels,
        low=low,
        high=high,
    )


def tasks_of(problem: Problem) -> int:
    """In how many equal tasks the rows of tiles are computed: the same for any threads."""
    down, across = (-(-size // OUT) for size in problem.out)
    rows = problem.batch * down
    most = min(MOST_TASKS, max(1, rows * across // LEAST_TILES))
    return max(t for t in range(1, most + 1) if rows % t == 0)


def panel_of(filters: int, target: Target) -> int:
    """The columns of a panel: what fills registers best without too many that are padded."""
    lanes = target.lanes(4)
    vectors = -(-filters // lanes)
    most = MOST_VECTORS if target.registers >= 32 else 2
    best = min(range(1, most + 1), key=lambda n: (-(-vectors // n) * n, -n))
    return best * lanes


def blocking(attrs: Mapping[str, Any], target: Target) -> Blocking:
    """The blocking of a CONVOLUTION node."""
    problem, tasks, panel = Problem.of(attrs), attrs["tasks"], attrs["panel"]
    return Blocking(problem, tasks, panel, target.lanes(4), target.registers)


def convolved(node: Node, whole: Problem, added: Sequence[Node], target: Target) -> Node:
    """The convolution `node`, which is `whole`, in Winograd's way; `added` follows it."""
    x, w = node.args
    flipped = whole.kind == DATA
    problem = as_forward(whole)
    tasks, panel = tasks_of(problem), panel_of(problem.filters, target)
    u = make(FILTERS, (w,), {"panel": panel, "flipped": flipped})
    return make(CONVOLUTION, (x, u, *added), {**asdict(problem), "tasks": tasks, "panel": panel})


def _up(count: int, unit: int) -> int:
    return -(-count // unit) * unit


def _apart(floats: int) -> int:
    """At least so many floats: an odd number of cache lines, so that steps meet in no set."""
    return (-(-floats // 16) | 1) * 16

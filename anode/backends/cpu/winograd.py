"""Convolutions by Winograd's method: the ops in the graph, and how they are cut up.

A tile of results takes fewer products than the sum over windows (see `winograd_method`):

    U = G w Gᵀ      filters, once: FILTERS
    V = Bᵀ x B      a tile of the image
    y = Aᵀ (U·V) A  a tile of results: CONVOLUTION; U·V is a matrix product a point over channels

With a stride s, the s² phases of the image are channels of a grid s times as coarse: a filter of
4x4 that moves by 2 is one of 2x2 over four times the channels. A gradient by data is the
convolution of its operand with turned filters, whose results are the phases of the image. Channels
of the phases across lie side by side in memory: a first layer's few fill vectors.

The usual points 0, ±1, ±2, ∞ lose most of two digits. At those of METHODS results differ from those
in f64 by 4e-7 to 2e-6 (root of the mean square, relative), for 3x3 taps four times what a direct
sum does, for 2x2 twice. In bf16, where what is transformed is rounded as well, it is 4e-3, for four
or five taps 6e-3, two to four times what rounding a direct sum costs. Tiles of 4x4 results would
make it 1e-2, as would five taps in both dims: those are direct in one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from math import prod
from typing import Any

from anode.backends.cpu.onednn_conv import DATA, FORWARD, WEIGHTS, Ints, Problem
from anode.backends.cpu.target import Target, host_target
from anode.backends.cpu.winograd_method import METHODS, Filter
from anode.backends.cpu.winograd_terms import Terms
from anode.ir.dtypes import DTYPES
from anode.ir.node import Node, make
from anode.ir.op import Op
from anode.ir.types import TensorType, Type

# Channels, forward times the stride as those of the phases lie side by side, and filters.
LEAST_CHANNELS: Mapping[str, int] = {FORWARD: 6, DATA: 8, WEIGHTS: 16}
MOST_TASKS, LEAST_TILES = 32, 16  # of a convolution, and of a task or a block
BLOCK = 384 << 10  # bytes that a block's tiles may take up; measured, it matters little
MOST_VECTORS = 2  # of a panel's row: more of them leave fewer tiles to multiply each by


@dataclass(frozen=True)
class Side:
    """Images as phases of a coarser grid: phase p of place i is at stride·i + p − low in a dim.

    There are `counts` of them along both dims.
    """

    sizes: Ints
    channels: int
    stride: int
    counts: Ints
    low: Ints

    @property
    def phases(self) -> int:
        return prod(self.counts)

    @property
    def run(self) -> int:
        """Elements that lie side by side: the channels of all phases across."""
        return self.counts[1] * self.channels


@dataclass(frozen=True)
class Geometry:
    """A convolution, or a gradient by data, of stride 1 from phases of images to others.

    `grid` has the places of the results, each the sum of taps² places of the source from it on.
    """

    batch: int
    source: Side
    result: Side
    grid: Ints
    filter: Filter
    terms: Terms

    @staticmethod
    def of(problem: Problem) -> Geometry:
        filter, terms = filter_of(problem), Terms(DTYPES[problem.dtype])
        stride = filter.stride
        if problem.kind != DATA:
            source = Side(problem.sizes, problem.channels, stride, filter.phases, problem.low)
            result = Side(problem.out, problem.filters, 1, (1, 1), (0, 0))
            return Geometry(problem.batch, source, result, problem.out, filter, terms)
        first = [low // stride for low in problem.low]  # place that has elements of the image
        before = tuple([filter.taps - 1 - i for i in first])
        source = Side(problem.out, problem.filters, 1, filter.turns, before)
        low = tuple([low % stride for low in problem.low])
        result = Side(problem.sizes, problem.channels, stride, (stride, stride), low)
        grid = tuple([-(-(n + a) // stride) for n, a in zip(problem.sizes, low, strict=True)])
        return Geometry(problem.batch, source, result, grid, filter, terms)

    @property
    def down(self) -> int:
        """Rows of tiles of an image."""
        return -(-self.grid[0] // self.filter.tiles[0])

    @property
    def across(self) -> int:
        return -(-self.grid[1] // self.filter.tiles[1])

    @property
    def depth(self) -> int:
        """Channels of the source in all phases: the terms of a product."""
        return self.source.phases * self.source.channels

    @property
    def tasks(self) -> int:
        """In how many equal tasks the rows of tiles are computed: the same for any threads."""
        rows = self.batch * self.down
        most = min(MOST_TASKS, max(1, rows * self.across // LEAST_TILES))
        return max(t for t in range(1, most + 1) if rows % t == 0)

    @property
    def products(self) -> int:
        """Multiplications of transformed channels by filters."""
        return self.batch * self.down * self.across * self.filters

    @property
    def filters(self) -> int:
        """Elements of the transformed filters."""
        return self.filter.points * self.depth * self.result.phases * self.result.channels


@dataclass(frozen=True)
class Blocking:
    """How a convolution is cut into `tasks`, and these into blocks of tiles.

    The filters lie in panels of `panel` columns of a phase. All rows of tiles of all images are
    shared out; a block is `rows` of them. Offsets and steps are in floats, or words, of scratch.
    """

    geometry: Geometry
    tasks: int
    panel: int
    lanes: int
    registers: int

    @property
    def panels(self) -> int:
        """Panels of all phases."""
        return self.geometry.result.phases * self.phase_panels

    @property
    def phase_panels(self) -> int:
        return -(-self.geometry.result.channels // self.panel)

    @property
    def vectors(self) -> int:
        """Vectors of a panel's row."""
        return self.panel // self.lanes

    @property
    def rows_a_task(self) -> int:
        return self.geometry.batch * self.geometry.down // self.tasks

    @cached_property
    def rows(self) -> int:
        """Rows of tiles of a block: an equal part of a task's, in BLOCK bytes if they can be."""
        whole, across = self.rows_a_task, self.geometry.across
        row = 4 * self.geometry.filter.points * across * (self.pitch + self.panel)
        most = max(BLOCK // row, -(-LEAST_TILES // across))
        return max((r for r in range(1, min(whole, most) + 1) if whole % r == 0), default=1)

    @property
    def blocks(self) -> int:
        """Blocks of a task."""
        return self.rows_a_task // self.rows

    @property
    def tiles(self) -> int:
        return self.rows * self.geometry.across

    @property
    def pitch(self) -> int:
        """From a tile's channels at a point to the next tile's."""
        run = self.geometry.source.run
        whole = _up(self.geometry.depth - run + _up(run, self.lanes), self.lanes)
        words = self.geometry.terms.words(whole)
        return words + self.lanes if words % 256 == 0 else words  # not all in one set of a cache

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
        geometry, source = self.geometry, self.geometry.source
        across = geometry.filter.methods[1]
        places = across.tile * geometry.across + across.taps - 1
        width = source.stride * (places - 1) + source.counts[1]
        width = max(width, source.low[1] + source.sizes[1])
        return _apart(width * source.channels + self.lanes)

    @property
    def offsets(self) -> tuple[int, ...]:
        """Where V, its products, the lines, zeros and a spare row of a panel begin."""
        found = [0]
        filter, source = self.geometry.filter, self.geometry.source
        points = filter.points * self.image_step, filter.points * self.result_step
        zeros = _up(source.sizes[1] * source.channels, self.lanes)
        for size in (*points, filter.sizes[0] * self.line, zeros):
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
    """A convolution or its gradient by data, and what follows it, from x, U, [bias,] [added].

    U is as of `_Filters`. See Problem; `tasks` are equal parts of rows of tiles.
    """

    def infer(self, types: tuple[Type, ...], attrs: Mapping[str, Any]) -> Type:
        problem = Problem.of(attrs)
        shape = problem.x_shape if problem.kind == DATA else problem.y_shape
        return TensorType(DTYPES[problem.dtype], shape)

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
    """Filters (k, k, c, o) at Winograd's points, in panels: (panels, points, channels, panel).

    They move by `stride`: the channels are those of each phase. With `flipped` they are turned
    around and are those from o channels to c, the panels those of each phase. In bf16 two channels
    lie together: (panels, points, channels / 2, panel, 2).
    """

    def infer(self, types: tuple[Type, ...], attrs: Mapping[str, Any]) -> Type:
        w, panel = types[0], attrs["panel"]
        assert isinstance(w, TensorType)
        (size, _, c, o), stride = w.static, attrs["stride"]
        filter, pair = Filter.of(size, stride, w.dtype.name), Terms(w.dtype).per_word
        panels, depth = -(-o // panel), prod(filter.phases) * c
        if attrs["flipped"]:
            panels, depth = stride**2 * -(-c // panel), prod(filter.turns) * o
        shape = panels, filter.points, depth // pair, panel
        return TensorType(w.dtype, shape if pair == 1 else (*shape, pair))


CONVOLUTION = _Convolution("winograd_convolution")
FILTERS = _Filters("winograd_filters")


def filter_of(problem: Problem) -> Filter:
    return Filter.of(problem.kernel[0], problem.strides[0], problem.dtype)


def refusal(problem: Problem) -> str:
    """Why a convolution, or its gradient, cannot be computed so; nothing if it can."""
    if problem.dtype not in METHODS:
        return f"Winograd's method is for f32 and bf16, not {problem.dtype}"
    if problem.dtype == "bf16" and "+avx512bf16" not in host_target().features:
        return "Winograd's method in bf16 takes a processor that has AVX512_BF16"
    if len(problem.kernel) != 2 or problem.groups != 1:
        return "Winograd's method is for two dims, all channels in one group"
    if len({*problem.kernel}) > 1 or len({*problem.strides}) > 1 or max(problem.dilations) > 1:
        return "Winograd's method is for square filters and strides, without dilations"
    (size, _), (stride, _) = problem.kernel, problem.strides
    if -(-size // stride) not in METHODS[problem.dtype]:
        return f"Winograd's method is for filters of 2 to 5 strides, not {size}x{size}/{stride}"
    if not all(0 <= p < size for p in (*problem.low, *problem.high)):
        return f"Winograd's method is for paddings of 0 to {size - 1}"
    geometry = Geometry.of(problem)
    channels = geometry.source.run if problem.kind == FORWARD else problem.channels
    if min(channels, problem.filters) < (least := LEAST_CHANNELS[problem.kind]):
        return f"Winograd's method takes at least {least} channels and filters"
    if problem.kind != WEIGHTS and geometry.source.run % geometry.terms.per_word:
        return "Winograd's method takes channels, or strides, of an even number in bf16"
    return "" if prod((geometry.batch, *geometry.grid)) else "there is nothing to compute"


def panel_of(filters: int, target: Target) -> int:
    """The columns of a panel: what fills registers best without too many that are padded."""
    lanes = target.lanes(4)
    vectors = -(-filters // lanes)
    best = min(range(1, MOST_VECTORS + 1), key=lambda n: (-(-vectors // n) * n, -n))
    return best * lanes


def blocking(attrs: Mapping[str, Any], target: Target) -> Blocking:
    """The blocking of a CONVOLUTION node."""
    geometry = Geometry.of(Problem.of(attrs))
    return Blocking(geometry, attrs["tasks"], attrs["panel"], target.lanes(4), target.registers)


def convolved(node: Node, problem: Problem, added: Sequence[Node], target: Target) -> Node:
    """The convolution `node`, which is `problem`, in Winograd's way; `added` follows it."""
    x, w = node.args
    geometry = Geometry.of(problem)
    panel = panel_of(geometry.result.channels, target)
    attrs = {"panel": panel, "stride": problem.strides[0], "flipped": problem.kind == DATA}
    u = make(FILTERS, (w,), attrs)
    attrs = {**asdict(problem), "tasks": geometry.tasks, "panel": panel}
    return make(CONVOLUTION, (x, u, *added), attrs)


def _up(count: int, unit: int) -> int:
    return -(-count // unit) * unit


def _apart(floats: int) -> int:
    """At least so many floats: an odd number of cache lines, so that steps meet in no set."""
    return (-(-floats // 16) | 1) * 16

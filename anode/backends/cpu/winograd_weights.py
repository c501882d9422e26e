"""The gradient of a 3×3 convolution by its weights, with 4 times fewer multiplications.

Winograd's F(3×3, 4×4): of a tile of 4×4 of the result's gradient and the 6×6 of x that its windows
cover, a filter's nine sums take 36 multiplications instead of 144 (Lavin and Gray, "Fast Algorithms
for Convolutional Neural Networks", 2016, with the filter and the result exchanged). Along one dim,
with d of x, g of the gradient and the points a = 0, ±p, ±q, ∞,

    dw = Aᵀ [(Bᵀ d) · (G g)]      Bᵀ d  at a: Σ dᵢ bᵢ, the bᵢ of Π (t − a'), a' ≠ a finite
                                  G g   at a: Σ gᵢ aⁱ, at ∞: g₃
                                  Aᵀ m  Σ mₐ aⁱ / Π (a − a') and at i = 2 also m∞

and in two dims each is applied along both. As Aᵀ is linear, the products are summed up over all
tiles first, as 36 matrix products of channels by filters whose depth is the tiles, and the sums are
transformed once. The points p = 3/2 and q = 3/4 lose fewer digits than the usual 1 and 2, and a sum
has a sixteenth of a direct one's terms: results differ from those in f64 by 4e-7 to 8e-7 (root of
the mean square, relative), three to six times what oneDNN's do, and about as generated code's do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from anode.backends.cpu.onednn_conv import Problem
from anode.backends.cpu.target import Target
from anode.ir.dtypes import f32
from anode.ir.node import Node, make
from anode.ir.op import Op
from anode.ir.types import TensorType, Type
from anode.ops.reduce import sum as reduce_sum
from anode.ops.shape import reshape

Ints = tuple[int, ...]

KERNEL, TILE, STEP = 3, 6, 4  # sizes of the filter, of a tile of x, and from one tile to the next
POINTS = TILE * TILE  # products of transformed channels
BLOCK = (64, 64)  # channels, and filters, that a task computes at most: their sums take 576 KB
MOST_TILES, LEAST_TILES = 24, 8  # that are transformed at a time
MOST_TASKS, LEAST_DEPTH = 16, 64  # tasks if that many tiles are left to each
LANES = 16  # filters come in so many
OVERHEAD = 10  # tiles that take as long as clearing and transforming the sums of a part
CACHE = 0.85  # share of the second-level cache that a task fills


class _WinogradWeights(Op):
    """x (n, h, w, c) and ct (n, oh, ow, o) → (parts, 3, 3, c, o): what each part of the tiles adds.

    `low` and `high` zeros are around the two spatial dims of x; all in f32.
    """

    def infer(self, types: tuple[Type, ...], attrs: Mapping[str, Any]) -> Type:
        x, ct = types
        assert isinstance(x, TensorType) and isinstance(ct, TensorType)
        return TensorType(f32, (attrs["parts"], KERNEL, KERNEL, x.shape[-1], ct.shape[-1]))

    def flops(self, node: Node) -> int:
        """Multiplications and additions of the products of transformed channels."""
        x, ct = (arg.tensor.static for arg in node.args)
        return 2 * POINTS * x[-1] * ct[-1] * tiles(ct[0], ct[1:-1])


WINOGRAD_WEIGHTS = _WinogradWeights("winograd_weights")


def tiles(batch: int, out: Ints) -> int:
    """The tiles of so many gradients of images."""
    return batch * prod(-(-size // STEP) for size in out)


def filled(problem: Problem, threads: int) -> float:
    """The share of the kernel's time on some threads that goes into places and filters there are.

    The rest is for what is beyond the borders or the last filter, for each part's sums, and idle.
    """
    channels, filters, count = problem.channels, problem.filters, tiles(problem.batch, problem.out)
    shares = parts(channels, filters, count)
    places = problem.batch * prod(problem.out) / (STEP**2 * (count + shares * OVERHEAD))
    tasks = shares * _blocks(channels, filters)
    busy = tasks / _whole(tasks, threads)
    return busy * places * filters / _whole(filters, LANES)


def gradient(node: Node) -> Node:
    """The gradient by weights that `node` is, as the op and the sum over its parts."""
    x, ct = (arg.tensor.static for arg in node.args)
    shares = parts(x[-1], ct[-1], tiles(ct[0], ct[1:-1]))
    made = make(WINOGRAD_WEIGHTS, node.args, {"low": node.attrs["low"], "parts": shares})
    return reshape(made, shape=node.shape) if shares == 1 else reduce_sum(made, 0)


def parts(channels: int, filters: int, count: int) -> int:
    """The parts that `count` tiles are added up in, so that there are enough tasks."""
    return max(1, min(MOST_TASKS // _blocks(channels, filters), count // LEAST_DEPTH))


def _blocks(channels: int, filters: int) -> int:
    return -(-channels // BLOCK[0]) * -(-filters // BLOCK[1])


@dataclass(frozen=True)
class Plan:
    """The sizes of one kernel.

    `sizes` and `out` are the spatial sizes of x and of the gradient. `channels` and `filters` are
    those of a block in whole vectors, `depth` tiles are transformed at a time. A micro-tile of the
    products has `rows` of channels by `vectors` of filters.
    """

    sizes: Ints
    out: Ints
    low: Ints
    all_channels: int
    all_filters: int
    count: int
    parts: int
    lanes: int
    channels: int
    filters: int
    depth: int
    rows: int
    vectors: int

    @property
    def grid(self) -> Ints:
        """Tiles along both dims of an image."""
        return tuple(-(-size // STEP) for size in self.out)

    @property
    def blocks(self) -> Ints:
        """Blocks of channels, and of filters."""
        return -(-self.all_channels // self.channels), -(-self.all_filters // self.filters)

    @property
    def tasks(self) -> int:
        return self.parts * prod(self.blocks)

    @property
    def pitches(self) -> Ints:
        """Elements from one point's sums, channels and filters to those of the next point.

        Powers of two would bring all of the points to the same lines of the cache.
        """
        sizes = (self.channels * self.filters, self.depth * self.channels)
        return tuple(size + self.lanes for size in (*sizes, self.depth * self.filters))

    @property
    def scratch(self) -> int:
        """Bytes that a task needs."""
        return (POINTS * sum(self.pitches) + max(self.channels, self.filters)) * f32.size


def plan_weights(node: Node, target: Target) -> Plan:
    x, ct = (arg.tensor.static for arg in node.args)
    lanes, count, parts = target.lanes(f32.size), tiles(ct[0], ct[1:-1]), node.attrs["parts"]
    channels, filters = (
        _whole(_shares(size, most), lanes)
        for size, most in zip((x[-1], ct[-1]), BLOCK, strict=True)
    )
    room = int(target.l2 * CACHE) // (f32.size * POINTS) - channels * filters
    most = max(LEAST_TILES, min(MOST_TILES, room // (channels + filters)))
    vectors = min(2, filters // lanes)
    return Plan(
        sizes=x[1:-1],
        out=ct[1:-1],
        low=node.attrs["low"],
        all_channels=x[-1],
        all_filters=ct[-1],
        count=count,
        parts=parts,
        lanes=lanes,
        channels=channels,
        filters=filters,
        depth=_shares(-(-count // parts), most),
        rows=_shares(min(channels, x[-1]), (target.registers - 1) // vectors - 1),
        vectors=vectors,
    )


def _shares(size: int, most: int) -> int:
    """The largest of the fewest even shares of `size` that have at most `most`."""
    return -(-size // -(-size // most))


def _whole(size: int, step: int) -> int:
    return -(-size // step) * step

"""The gradient of a convolution by its weights by Winograd's method, with fewer multiplications.

Of a tile of 4x4 of the result's gradient and the elements of x that its windows cover, a filter's
nine sums take 36 multiplications instead of 144, in bf16 of one of 2x2 they take 16 instead of 36
(see `winograd_method`). As the last transform is linear, the products are summed up over all tiles
first, as matrix products of channels by filters, one a point, whose depth is the tiles; the sums
are transformed once. With a stride, the phases of x are channels of a coarser grid, as in
`winograd`.

A sum has a sixteenth of a direct one's terms: results differ from those in f64 by 4e-7 to 8e-7
(root of the mean square, relative), three to six times what oneDNN's do, and about as generated
code's do. In bf16 it is 4e-3 to 6e-3: so much is lost by rounding what is transformed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from anode.backends.cpu.onednn_conv import Problem
from anode.backends.cpu.target import Target
from anode.backends.cpu.winograd import filter_of
from anode.backends.cpu.winograd_method import Filter
from anode.backends.cpu.winograd_terms import Terms
from anode.ir.dtypes import f32
from anode.ir.node import Node, make
from anode.ir.op import Op
from anode.ir.types import TensorType, Type
from anode.ops.elementwise import convert
from anode.ops.reduce import sum as reduce_sum
from anode.ops.shape import reshape

Ints = tuple[int, ...]

BLOCK = (64, 64)  # channels, and filters, that a task computes at most: their sums take 576 KB
MOST_TILES, LEAST_TILES = 32, 8  # that are transformed at a time
MOST_TASKS, LEAST_DEPTH = 16, 64  # tasks if that many tiles are left to each
LANES = 16  # filters come in so many
OVERHEAD = 10  # tiles that take as long as clearing and transforming the sums of a part
CACHE = 0.85  # share of the second-level cache that a task fills


class _WinogradWeights(Op):
    """x (n, h, w, c) and ct (n, oh, ow, o) → (parts, k, k, c, o): what each part of the tiles adds.

    The filters have `size` k and move by `stride`; `low` zeros are before the two dims of x. The
    result is f32.
    """

    def infer(self, types: tuple[Type, ...], attrs: Mapping[str, Any]) -> Type:
        x, ct = types
        assert isinstance(x, TensorType) and isinstance(ct, TensorType)
        return TensorType(f32, (attrs["parts"], *[attrs["size"]] * 2, x.shape[-1], ct.shape[-1]))

    def flops(self, node: Node) -> int:
        """Multiplications and additions of the products of transformed channels."""
        x, ct = (arg.tensor.static for arg in node.args)
        filter = _filter(node)
        channels = prod(filter.phases) * x[-1]
        return 2 * filter.points * channels * ct[-1] * tiles(filter, ct[0], ct[1:-1])


WINOGRAD_WEIGHTS = _WinogradWeights("winograd_weights")


def _filter(node: Node) -> Filter:
    return Filter.of(node.attrs["size"], node.attrs["stride"], node.args[0].dtype.name)


def tiles(filter: Filter, batch: int, out: Ints) -> int:
    """The tiles of so many gradients of images."""
    return batch * prod(-(-size // tile) for size, tile in zip(out, filter.tiles, strict=True))


def filled(problem: Problem, threads: int) -> float:
    """The share of the kernel's time on some threads that goes into filters there are.

    The rest is for what is beyond the last filter, for each part's sums, and idle.
    """
    filter = filter_of(problem)
    phases, count = prod(filter.phases), tiles(filter, problem.batch, problem.out)
    shares = parts(problem.channels, problem.filters, count, phases)
    tasks = shares * phases * _blocks(problem.channels, problem.filters)
    busy = tasks / _whole(tasks, threads) * count / (count + shares * OVERHEAD)
    return busy * problem.filters / _whole(problem.filters, LANES)


def gradient(node: Node) -> Node:
    """The gradient by weights that `node` is, as the op and the sum over its parts."""
    x, ct = (arg.tensor.static for arg in node.args)
    (size, _), (stride, _) = (node.attrs[name] for name in ("kernel", "strides"))
    filter = Filter.of(size, stride, node.args[0].dtype.name)
    shares = parts(x[-1], ct[-1], tiles(filter, ct[0], ct[1:-1]), prod(filter.phases))
    attrs = {"size": size, "stride": stride, "low": node.attrs["low"], "parts": shares}
    made = make(WINOGRAD_WEIGHTS, node.args, attrs)
    total = reshape(made, shape=node.shape) if shares == 1 else reduce_sum(made, 0)
    return convert(total, dtype=node.dtype) if total.dtype is not node.dtype else total


def parts(channels: int, filters: int, count: int, phases: int) -> int:
    """The parts that `count` tiles are added up in, so that there are enough tasks."""
    blocks = phases * _blocks(channels, filters)
    return max(1, min(MOST_TASKS // blocks, count // LEAST_DEPTH))


def _blocks(channels: int, filters: int) -> int:
    return -(-channels // BLOCK[0]) * -(-filters // BLOCK[1])


@dataclass(frozen=True)
class Plan:
    """The sizes of one kernel.

    `sizes` and `out` are the spatial sizes of x and of the
    gradient. `channels` and `filters` are those of a block in whole vectors, `depth` tiles are
    transformed at a time. A micro-tile of the products has `rows` of channels by `vectors` of
    filters.
    """

    filter: Filter
    terms: Terms
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
        return tuple(-(-n // tile) for n, tile in zip(self.out, self.filter.tiles, strict=True))

    @property
    def blocks(self) -> Ints:
        """Phases, blocks of channels, and of filters."""
        sides = (self.all_channels, self.channels), (self.all_filters, self.filters)
        return (prod(self.filter.phases), *[-(-size // block) for size, block in sides])

    @property
    def tasks(self) -> int:
        return self.parts * prod(self.blocks)

    @property
    def pitches(self) -> Ints:
        """Floats, or words, from one point's sums, channels and filters to those of the next point.

        Powers of two would bring all of the points to the same lines of the cache.
        """
        words = self.terms.words(self.depth)
        sizes = (self.channels * self.filters, words * self.channels, words * self.filters)
        return tuple(size + self.lanes for size in sizes)

    @property
    def scratch(self) -> int:
        """Bytes that a task needs."""
        sums = self.filter.points * sum(self.pitches)
        return (sums + max(self.channels, self.filters)) * f32.size


def plan_weights(node: Node, target: Target) -> Plan:
    x, ct = (arg.tensor.static for arg in node.args)
    lanes, parts, filter = target.lanes(f32.size), node.attrs["parts"], _filter(node)
    terms = Terms(node.args[0].dtype)
    count = tiles(filter, ct[0], ct[1:-1])
    channels, filters = (
        _whole(_shares(size, most), lanes)
        for size, most in zip((x[-1], ct[-1]), BLOCK, strict=True)
    )
    room = int(target.l2 * CACHE) // (f32.size * filter.points) - channels * filters
    most = terms.per_word * max(LEAST_TILES, min(MOST_TILES, room // (channels + filters)))
    vectors = min(2, filters // lanes)
    return Plan(
        filter=filter,
        terms=terms,
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
        depth=_whole(_shares(-(-count // parts), most), terms.per_word),
        rows=_shares(min(channels, x[-1]), (target.registers - 1) // vectors - 1),
        vectors=vectors,
    )


def _shares(size: int, most: int) -> int:
    """The largest of the fewest even shares of `size` that have at most `most`."""
    return -(-size // -(-size // most))


def _whole(size: int, step: int) -> int:
    return -(-size // step) * step

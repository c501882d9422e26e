"""Random graphs of tensor ops on small odd shapes, for comparing backends.

`exact` graphs work on small whole numbers with ops that are exact on them, so that every backend
gives the same bits, comparisons and indices included; others use functions that round.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np

from anode import ops
from anode.ir.dtypes import bool_, f32, i32
from anode.ir.graph import Graph, close, fresh_inputs
from anode.ir.node import Node, constant
from anode.ir.types import tensor

SIZES = (1, 1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 33, 40)
MOST = 3000  # elements of a value

Values = list[Node]
Make = Callable[[Random, Values], Node]


def random_shape(random: Random, rank: int | None = None) -> tuple[int, ...]:
    rank = random.choice((0, 1, 2, 2, 3, 3, 4)) if rank is None else rank
    shape = tuple(random.choice(SIZES) for _ in range(rank))
    if random.random() < 0.03 and rank:
        shape = (*shape[:-1], 0)
    return shape if np.prod(shape) <= MOST else random_shape(random, rank)


def random_graph(seed: int, size: int = 12, exact: bool = True) -> Graph:
    """A graph of three inputs and about `size` ops, some of whose values are outputs."""
    random = Random(seed)
    shapes = [random_shape(random) for _ in range(3)]
    inputs = fresh_inputs(*[tensor("f32", *shape) for shape in shapes])
    values: Values = list(inputs)
    makers = [*MOVING, *COMBINING, *(EXACT if exact else SMOOTH)]
    while len(values) < size + 3:
        made = random.choice(makers)(random, values)
        if made.tensor.size <= MOST:
            values.append(_bounded(made) if exact else made)
    count = random.randint(1, 4)
    return close(inputs, [values[-1], *random.sample(values[3:], count)])


def random_inputs(graph: Graph, seed: int, exact: bool = True) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)

    def draw(shape: tuple[int, ...]) -> np.ndarray:
        drawn = generator.integers(-4, 5, shape) if exact else generator.normal(size=shape)
        return np.asarray(drawn, np.float32)

    return [draw(type.static) for type in graph.types]


def _bounded(x: Node) -> Node:
    """Whole numbers that stay small, so that sums of them stay exact."""
    return ops.convert(ops.remainder(ops.convert(x, dtype="i32"), 7), dtype="f32")


def _pick(random: Random, values: Values) -> Node:
    return random.choice(values[-5:] if random.random() < 0.6 else values)


def _axis(random: Random, x: Node) -> int:
    return random.randrange(x.tensor.rank)


def _some_axes(random: Random, x: Node) -> tuple[int, ...]:
    axes = range(x.tensor.rank)
    return tuple(sorted(random.sample(axes, random.randint(0, len(axes)))))


def _ranked(random: Random, values: Values) -> Node:
    """A value with at least one dim."""
    x = _pick(random, values)
    return x if x.tensor.rank else ops.broadcast_to(x, random_shape(random, 2))


def _alike(random: Random, x: Node, values: Values) -> Node:
    """A value that can be combined with `x`: of its shape, a part of it that broadcasts, or new."""
    found = [v for v in values if v.shape == x.shape and v is not x]
    if found and random.random() < 0.7:
        return random.choice(found)
    if x.tensor.rank and random.random() < 0.5:
        axis = _axis(random, x)
        return ops.max(x, axis, keepdims=True) if x.shape[axis] else x
    return ops.full(x.shape, random.randint(-3, 3), "f32")


def transposed(random: Random, values: Values) -> Node:
    x = _ranked(random, values)
    return ops.transpose(x, permutation=random.sample(range(x.tensor.rank), x.tensor.rank))


def sliced(random: Random, values: Values) -> Node:
    x = _ranked(random, values)
    start = [random.randint(0, n) // 2 for n in x.tensor.static]
    limit = [random.randint(s, n) for s, n in zip(start, x.tensor.static, strict=True)]
    strides = [random.choice((1, 1, 2, 3)) for _ in start]
    return ops.slice(x, start=start, limit=limit, strides=strides)


def reversed_(random: Random, values: Values) -> Node:
    x = _ranked(random, values)
    return ops.reverse(x, axes=_some_axes(random, x))


def padded(random: Random, values: Values) -> Node:
    x = _ranked(random, values)
    interior = [random.choice((0, 0, 1, 2)) for _ in x.shape]
    full = [n + max(0, n - 1) * gap for n, gap in zip(x.tensor.static, interior, strict=True)]
    low = [random.randint(-(n // 3), 3) for n in full]
    high = [random.randint(-(n // 3), 3) for n in full]
    return ops.pad(x, constant(2.0), low=low, high=high, interior=interior)


def joined(random: Random, values: Values) -> Node:
    x = _ranked(random, values)
    parts = [x, *[_alike(random, x, values) for _ in range(random.randint(1, 5))]]
    parts = [part for part in parts if part.shape == x.shape]
    random.shuffle(parts)
    return ops.concatenate(*parts, axis=_axis(random, x))


def reshaped(random: Random, values: Values) -> Node:
    x = _pick(random, values)
    sizes = list(x.tensor.static)
    random.shuffle(sizes)
    if len(sizes) > 1 and random.random() < 0.7:
        place = random.randrange(len(sizes) - 1)
        sizes[place : place + 2] = [sizes[place] * sizes[place + 1]]
    if random.random() < 0.5:
        sizes.insert(random.randint(0, len(sizes)), 1)
    return ops.reshape(x, shape=tuple(sizes))


def spread(random: Random, values: Values) -> Node:
    x = _pick(random, values)
    shape, axes = [], []
    for size in x.tensor.static:
        if random.random() < 0.3:
            shape.append(random.choice(SIZES))
        axes.append(len(shape))
        shape.append(random.choice(SIZES) if size == 1 else size)
    return ops.broadcast_in_dim(x, shape=tuple(shape), axes=tuple(axes))


def rows_taken(random: Random, values: Values) -> Node:
    x = _ranked(random, values)
    axis = _axis(random, x)
    if not x.shape[axis]:
        return x
    indices = np.asarray(
        [random.randint(-2, x.tensor.static[axis] + 1) for _ in range(random.choice(SIZES))]
    )
    shape = (len(indices),) if random.random() < 0.6 else (1, len(indices))
    return ops.take(x, constant(indices.reshape(shape).astype(np.int32)), axis=axis)


def _starts(random: Random, x: Node) -> list[Node]:
    return [constant(random.randint(-1, n + 1)) for n in x.tensor.static]


def box_taken(random: Random, values: Values) -> Node:
    x = _ranked(random, values)
    sizes = [random.randint(0, n) if random.random() < 0.2 else -(-n // 2) for n in x.tensor.static]
    return ops.dynamic_slice(x, *_starts(random, x), sizes=sizes)


def box_put(random: Random, values: Values) -> Node:
    x = _ranked(random, values)
    update = ops.negate(box_taken(random, [x]))
    return ops.dynamic_update_slice(x, update, *_starts(random, x))


def numbered(random: Random, values: Values) -> Node:
    x = _ranked(random, values)
    return ops.iota(shape=x.shape, dtype="f32", axis=_axis(random, x)) - x


def summed(random: Random, values: Values) -> Node:
    x = _ranked(random, values)
    function = random.choice((ops.sum, ops.sum, ops.max, ops.min))
    return _reduced(random, x, function)


def _reduced(random: Random, x: Node, function: Callable[..., Node]) -> Node:
    axes = _some_axes(random, x)
    if function is not ops.sum and 0 in [x.shape[axis] for axis in axes]:
        return x
    made = function(x, axes, keepdims=random.random() < 0.4)
    if random.random() < 0.4:  # what reads it at the elements it was made from shares its kernel
        kept = [a for a in range(x.tensor.rank) if a not in axes]
        if made.tensor.rank == len(kept):
            made = ops.broadcast_in_dim(made, shape=x.shape, axes=tuple(kept))
        made = x - made * 2
    return made


def product(random: Random, values: Values) -> Node:
    x = _ranked(random, values)
    axis = _axis(random, x)
    size = x.shape[axis]
    found = [x, *[v for v in values if size in v.shape]]
    y = random.choice(found)
    made = ops.dot_general(x, y, contract=((axis,), (y.shape.index(size),)))
    return made if made.tensor.size <= MOST else x


def batched(random: Random, values: Values) -> Node:
    x = _ranked(random, values)
    if x.tensor.rank < 2:
        return x
    y = _alike(random, x, values)
    if y.shape != x.shape:
        return x
    made = ops.dot_general(x, y, contract=((1,), (1,)), batch=((0,), (0,)))
    return made if made.tensor.size <= MOST else x


def arithmetic(random: Random, values: Values) -> Node:
    x = _pick(random, values)
    y = _alike(random, x, values)
    op = random.choice((ops.add, ops.subtract, ops.multiply, ops.maximum, ops.minimum))
    return op(x, y)


def chosen(random: Random, values: Values) -> Node:
    x = _pick(random, values)
    y, z = (_alike(random, x, values) for _ in range(2))
    return ops.where(ops.less(x, y), z, x)


def counted(random: Random, values: Values) -> Node:
    x = _ranked(random, values)
    return ops.cumsum(x, _axis(random, x), reverse=random.random() < 0.5)


def winner(random: Random, values: Values) -> Node:
    x = _ranked(random, values)
    axis = _axis(random, x)
    if not x.shape[axis]:
        return x
    return ops.convert(ops.argmax(x, axis=axis), dtype="f32")


def negated(random: Random, values: Values) -> Node:
    op = random.choice((ops.negate, ops.abs, ops.square, ops.floor))
    return op(_pick(random, values))


def flags(random: Random, values: Values) -> Node:
    x = _ranked(random, values)
    found = _reduced(random, ops.convert(ops.greater(x, 0), dtype=i32), ops.sum)
    return ops.convert(ops.convert(found, dtype=bool_), dtype=f32)


def curved(random: Random, values: Values) -> Node:
    op = random.choice((ops.tanh, ops.logistic, ops.sin, ops.exp, ops.gelu, ops.softplus))
    return op(ops.tanh(_pick(random, values)))


def normalized(random: Random, values: Values) -> Node:
    x = ops.tanh(_ranked(random, values))
    axis = _axis(random, x)
    if not x.shape[axis]:
        return x
    return random.choice((ops.softmax, ops.log_softmax))(x, axis=axis)


def averaged(random: Random, values: Values) -> Node:
    return ops.tanh(_reduced(random, ops.tanh(_ranked(random, values)), ops.sum) * 0.1)


def mixed(random: Random, values: Values) -> Node:
    return ops.tanh(product(random, values) * 0.1)


MOVING: tuple[Make, ...] = (
    *(transposed, sliced, reversed_, padded, joined, reshaped, spread),
    *(rows_taken, box_taken, box_put, numbered),
)
COMBINING: tuple[Make, ...] = (arithmetic, arithmetic, arithmetic, chosen, negated)
EXACT: tuple[Make, ...] = (summed, summed, summed, product, batched, counted, winner, flags)
SMOOTH: tuple[Make, ...] = (curved, curved, normalized, normalized, averaged, averaged, mixed)

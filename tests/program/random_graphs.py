"""Random fused graphs of hand-made kernels: every hazard a program can have, in small."""

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np

from anode import ops
from anode.ir.graph import Graph, close, fresh_inputs, trace
from anode.ir.node import Node, constant, read
from anode.ir.types import TensorType, tensor
from anode.ir.variable import Variable
from anode.ops.reduce import sum as reduce_sum
from anode.passes.kernel import kernel

SIDE = 4
SQUARE = tensor("f32", SIDE, SIDE)


def fused(function: Callable[..., Any], *args: Node, kind: str = "loops", tag: int = 0) -> Node:
    """A kernel node over `args` whose body is `function`."""
    body = trace(function, *[arg.type for arg in args])
    return kernel(args, body, kind, args[0].tensor.static, tag=tag)


def _transposed(x: Node) -> Node:
    return ops.transpose(x, permutation=(1, 0))


def _centred(x: Node, y: Node) -> Node:
    return x - ops.broadcast_in_dim(reduce_sum(x * y, 0), shape=(SIDE, SIDE), axes=(1,)) * 0.1


def _product(x: Node, y: Node) -> Node:
    return ops.dot_general(x, y, contract=((1,), (0,)), batch=((), ())) * 0.2


# name -> number of operands, function: of one to two square matrices, or two results
KERNELS: dict[str, tuple[int, Callable[..., Any]]] = {
    "scale": (1, lambda x: x * 0.5),
    "sum": (2, lambda x, y: x + y * 0.3),
    "transpose": (2, lambda x, y: _transposed(x) - y),
    "centred": (2, _centred),
    "both": (2, lambda x, y: (x + y * 0.5, x - y)),
    "mixed": (2, lambda x, y: (x + y, _centred(x, y))),
    "product": (2, _product),
    "update": (3, lambda x, y, z: _product(x, y) + z),
}


def random_graph(seed: int, size: int = 12, variables: int = 3) -> Graph:
    """A graph of about `size` kernels and opaque nodes; some variables change, in any pattern."""
    random = Random(seed)
    inputs = fresh_inputs(SQUARE, SQUARE)
    held = [Variable(f"v{i}", SQUARE) for i in range(variables)]
    table = constant(np.arange(SIDE * SIDE, dtype=np.float32).reshape(SIDE, SIDE))
    values: list[Node] = [*inputs, *map(read, held), table]
    for tag in range(size):
        values += _node(random, values, tag)
    outputs = [_pick(random, values) for _ in range(random.randint(1, 4))]
    updates = [(v, _pick(random, values)) for v in held if random.random() < 0.8]
    return close(inputs, outputs, updates)


def _pick(random: Random, values: list[Node]) -> Node:
    recent = values[-4:] if random.random() < 0.6 else values
    return random.choice(recent)


def _node(random: Random, values: list[Node], tag: int) -> tuple[Node, ...]:
    if random.random() < 0.15:
        return (_opaque(random, values),)
    count, function = KERNELS[random.choice(list(KERNELS))]
    args = [_pick(random, values) for _ in range(count)]
    return fused(function, *args, tag=tag).items


def _opaque(random: Random, values: list[Node]) -> Node:
    x, y = _pick(random, values), _pick(random, values)
    if random.random() < 0.5:
        return ops.reverse(x, axes=(0,))
    row = fused(lambda y: ops.slice(y, start=(1, 0), limit=(2, SIDE)), y)
    start = constant(random.randrange(SIDE))
    return ops.dynamic_update_slice(x, row, start, constant(0))


def arrays(types: list[TensorType], seed: int) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [generator.normal(size=t.static).astype(t.dtype.numpy) for t in types]

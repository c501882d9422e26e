"""Random fused graphs of hand-made kernels: every hazard a program can have, in small."""

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np

from anode import ops
from anode.ir.graph import Graph, close, fresh_inputs, trace
from anode.ir.node import Node, constant, read
from anode.ir.types import TensorType, Type, tensor
from anode.ir.variable import Variable
from anode.ops.reduce import sum as reduce_sum
from anode.passes.kernel import kernel

SIDE = 4
Build = Callable[..., tuple[Node, ...]]
SQUARE = tensor("f32", SIDE, SIDE)


def fused(function: Callable[..., Any], *args: Node, kind: str = "loops", tag: int = 0) -> Node:
    """A kernel node over `args` whose body is `function`."""
    body = trace(function, *[arg.type for arg in args])
    return kernel(args, body, kind, args[0].tensor.static, tag=tag)


def as_kernel(function: Callable[..., Any], *args: Node, tag: int = 0) -> tuple[Node, ...]:
    """The results of `function`, computed by a kernel of their own."""
    return fused(function, *args, tag=tag).items


def as_nodes(function: Callable[..., Any], *args: Node, tag: int = 0) -> tuple[Node, ...]:
    """The results of `function`, left for the passes to fuse."""
    return trace(function, *[arg.type for arg in args]).inline(*args)


def _flipped(x: Node) -> Node:
    return ops.reverse(x, axes=(0,))


def _centred(x: Node, y: Node) -> Node:
    return x - ops.broadcast_in_dim(reduce_sum(x * y, 0), shape=x.shape, axes=(1,)) * 0.1


def _product(x: Node, y: Node) -> Node:
    return ops.dot_general(x, y, contract=((1,), (0,)), batch=((), ())) * 0.2


def _joined(x: Node, y: Node) -> Node:
    return ops.concatenate(x, y, axis=0)


def _first(x: Node) -> Node:
    return ops.slice(x, start=(0, 0), limit=(SIDE, SIDE))


# name -> operands (s: a square, m: matrices of one type), function giving one or two results
KERNELS: dict[str, tuple[str, Callable[..., Any]]] = {
    "scale": ("m", lambda x: x * 0.5),
    "sum": ("mm", lambda x, y: x + y * 0.3),
    "transpose": ("ss", lambda x, y: ops.transpose(x, permutation=(1, 0)) - y),
    "flip": ("mm", lambda x, y: _flipped(x) - y),
    "centred": ("mm", _centred),
    "both": ("mm", lambda x, y: (x + y * 0.5, x - y)),
    "mixed": ("mm", lambda x, y: (x + y, _centred(x, y))),
    "product": ("ms", _product),
    "update": ("sss", lambda x, y, z: _product(x, y) + z),
    "join": ("ms", _joined),
    "first": ("m", _first),
    "both sizes": ("ss", lambda x, y: (_joined(x, y), x + y)),
}


def random_graph(seed: int, size: int = 12, variables: int = 3, build: Build = as_kernel) -> Graph:
    """A graph of about `size` kernels and opaque nodes; some variables change, in any pattern."""
    random = Random(seed)
    inputs = fresh_inputs(SQUARE, SQUARE)
    held = [Variable(f"v{i}", SQUARE) for i in range(variables)]
    table = constant(np.arange(SIDE * SIDE, dtype=np.float32).reshape(SIDE, SIDE))
    values: list[Node] = [*inputs, *map(read, held), table]
    for tag in range(size):
        values += _node(random, values, tag, build)
    outputs = [_pick(random, values) for _ in range(random.randint(1, 4))]
    squares = _of_type(values, SQUARE)
    updates = [(v, _pick(random, squares)) for v in held if random.random() < 0.8]
    return close(inputs, outputs, updates)


def _pick(random: Random, values: list[Node]) -> Node:
    recent = values[-4:] if random.random() < 0.6 else values
    return random.choice(recent)


def _of_type(values: list[Node], type: Type) -> list[Node]:
    return [value for value in values if value.type == type]


def _node(random: Random, values: list[Node], tag: int, build: Build) -> tuple[Node, ...]:
    if random.random() < 0.15:
        return (_opaque(random, values, build),)
    operands, function = KERNELS[random.choice(list(KERNELS))]
    any_type = _pick(random, values).type
    types = [SQUARE if kind == "s" else any_type for kind in operands]
    args = [_pick(random, _of_type(values, type)) for type in types]
    return build(function, *args, tag=tag)


def _opaque(random: Random, values: list[Node], build: Build) -> Node:
    x, y = _pick(random, values), _pick(random, values)
    if random.random() < 0.5:
        return ops.cumsum(x, 0)
    (row,) = build(lambda y: ops.slice(y, start=(1, 0), limit=(2, SIDE)), y)
    start = constant(random.randrange(SIDE))
    return ops.dynamic_update_slice(x, row, start, constant(0))


def arrays(types: list[TensorType], seed: int) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [generator.normal(size=t.static).astype(t.dtype.numpy) for t in types]

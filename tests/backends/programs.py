"""Graphs with every kind of kernel, and what they give, for tests of how programs are run."""

from __future__ import annotations

import numpy as np

from anode import layers as nn
from anode import ops
from anode.ir.graph import Graph, trace
from anode.ir.node import Node
from anode.ir.types import tensor
from anode.runtime.executable import compile

ROWS, FEATURES, CLASSES = 24, 20, 5
SQUARE = tensor("f32", 32, 32)


def mlp(seed: int = 3) -> nn.Model:
    """A perceptron with batch norm and dropout."""
    return nn.Model(
        [
            nn.Affine(16, bias=0.0, activation=nn.Rectlin()),
            nn.BatchNorm(),
            nn.Dropout(0.7),
            nn.Affine(CLASSES, bias=0.0, activation=nn.Softmax()),
        ],
        seed=seed,
    )


def minibatch() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.RandomState(0)
    x = random.randn(ROWS, FEATURES).astype(np.float32)
    return x, random.randint(CLASSES, size=ROWS)


def squares(count: int) -> list[np.ndarray]:
    random = np.random.RandomState(1)
    return [random.randn(32, 32).astype(np.float32) for _ in range(count)]


def _scan(x: Node) -> tuple[Node, ...]:
    def body(carry: Node, row: Node) -> tuple[Node, Node]:
        following = ops.tanh(carry * 0.5 + row)
        return following, following * row

    first = ops.broadcast_to(ops.sum(x) * 0.0, (32,))
    return tuple(ops.scan(body, first, x))


def _chain(x: Node) -> Node:
    for _ in range(12):
        x = ops.tanh(ops.matmul(x, x) * 0.1)
    return x


def _norm(x: Node) -> Node:
    centred = x - ops.mean(x, 0, keepdims=True)
    return centred * ops.rsqrt(ops.mean(centred * centred, 0, keepdims=True) + 1e-5)


PROGRAMS = {
    "softmax": trace(ops.softmax, SQUARE),
    "norm": trace(_norm, SQUARE),
    "scan": trace(_scan, SQUARE),
    "sort": trace(lambda x: ops.sort(ops.tanh(x), axis=1) + x, SQUARE),
    "chain": trace(_chain, SQUARE),
}


def results(graph: Graph, threads: int, *inputs: np.ndarray, runs: int = 1) -> list[bytes]:
    exe = compile(graph, "cpu", threads)
    return [b"".join(out.tobytes() for out in exe(*inputs)) for _ in range(runs)]


def train(threads: int, steps: int = 5) -> bytes:
    """Costs, parameters and optimiser slots after some steps of the perceptron."""
    model = mlp()
    model.backend, model.threads = "cpu", threads
    step = model.training_step(nn.CrossEntropyMulti(), nn.Adam(0.01))
    costs = [step(*minibatch()).tobytes() for _ in range(steps)]
    return b"".join([*costs, *(array.tobytes() for array in model.state.values())])

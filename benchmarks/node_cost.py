"""Microseconds to build a node, type inference included: `python -m benchmarks.node_cost`.

Every figure is the best of several rounds of new nodes, so that it tells the code and not the
machine's other work; "again" builds nodes that exist already.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from time import perf_counter

from anode import ops
from anode.ir.graph import fresh_inputs
from anode.ir.node import Node
from anode.ir.types import tensor
from anode.transform import gradients

COUNT = 2000
BUDGET = 10.0  # microseconds a node


def chain(step: Callable[[Node], Node], x: Node) -> Node:
    for _ in range(COUNT):
        x = step(x)
    return x


def microseconds(step: Callable[[Node], Node], nodes: int, again: bool = False) -> float:
    """The time of one node where a step makes `nodes` of them; the best of seven rounds."""
    times = []
    for _ in range(7):
        (x,) = fresh_inputs(tensor("f32", 64, 64))
        kept = chain(step, x) if again else x
        start = perf_counter()
        result = chain(step, x)
        times.append((perf_counter() - start) / COUNT / nodes * 1e6)
        del kept, result
    return min(times)


def backward_microseconds() -> float:
    """The time of a gradient, for each node of the forward chain (two are made for it)."""
    times = []
    for _ in range(5):
        (x,) = fresh_inputs(tensor("f32"))
        y = chain(ops.tanh, x)
        start = perf_counter()
        gradients([y], [x])
        times.append((perf_counter() - start) / COUNT * 1e6)
    return min(times)


(BIAS,) = fresh_inputs(tensor("f32", 64))
CASES: dict[str, tuple[Callable[[Node], Node], int]] = {
    "tanh(x)": (ops.tanh, 1),
    "x + x": (lambda x: x + x, 1),
    "x + 1.0": (lambda x: x + 1.0, 1),
    "x + bias": (lambda x: x + BIAS, 1),
    "transpose": (lambda x: ops.transpose(x, permutation=(1, 0)), 1),
    "reshape": (lambda x: ops.reshape(x, shape=(64, 64) if x.shape[0] > 64 else (4096, 1)), 1),
    "dot_general": (lambda x: ops.dot_general(x, x, contract=((1,), (0,)), batch=((), ())), 1),
    "relu": (ops.relu, 1),
    "softmax": (lambda x: ops.softmax(x, axis=-1), 1),
}


def main() -> None:
    gc.freeze()
    print(f"{'':12} {'new':>8} {'again':>8}   µs a node, budget {BUDGET:.0f}")
    for name, (step, nodes) in CASES.items():
        times = [microseconds(step, nodes, again) for again in (False, True)]
        print(f"{name:12} {times[0]:8.1f} {times[1]:8.1f}")
    print(f"{'gradient':12} {backward_microseconds():8.1f}            a node of the forward chain")


if __name__ == "__main__":
    main()

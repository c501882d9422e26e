"""Gradients checked against central differences, in f64."""

from collections.abc import Callable
from typing import Any

import numpy as np

from anode import ops
from anode.ir.graph import Graph, trace
from anode.ir.node import Node
from anode.ir.types import tensor
from anode.ops.evaluate import evaluate
from anode.transform import grad


def check(function: Callable[..., Any], *inputs: Any, order: int = 1) -> None:
    """Compare the gradients of `function` by its float inputs with central differences.

    With `order` 2 it is the gradients' sum of squares that is differentiated.
    """
    arrays = [np.asarray(x) for x in inputs]
    types = [tensor(x.dtype, *x.shape) for x in arrays]
    graph = trace(lambda *xs: _weighted(function(*xs)), *types)
    wrt = [i for i, x in enumerate(arrays) if x.dtype.kind == "f"]
    for _ in range(order - 1):
        gradients = grad(graph, wrt).outputs[1:]
        graph = Graph.make(graph.types, [_weighted([g * g for g in gradients])])
    found = evaluate(grad(graph, wrt), arrays)[0][1:]
    for i, gradient in zip(wrt, found, strict=True):
        np.testing.assert_allclose(gradient, _differences(graph, arrays, i), rtol=1e-5, atol=1e-7)


def _weighted(results: Any) -> Node:
    """One scalar to which every element of the float results contributes differently."""
    nodes = list(results) if isinstance(results, (tuple, list)) else [results]
    floats = [ops.reshape(y, shape=(-1,)) for y in nodes if y.dtype.is_float]
    whole = ops.concatenate(*floats, axis=0)
    return ops.sum(whole * ops.cos(ops.iota(shape=whole.shape, dtype="f64", axis=0)))


def _differences(graph: Graph, arrays: list[np.ndarray], i: int, step: float = 1e-6) -> np.ndarray:
    found = np.empty(arrays[i].shape)
    for index in np.ndindex(arrays[i].shape):
        ends = []
        for move in (step, -step):
            moved = list(arrays)
            moved[i] = arrays[i].copy()
            moved[i][index] += move
            ends.append(float(evaluate(graph, moved)[0][0]))
        found[index] = (ends[0] - ends[1]) / (2 * step)
    return found

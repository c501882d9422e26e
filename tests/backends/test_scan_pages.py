"""A loop's product asks for the pages that its next step reads and writes; results stay."""

import re

import numpy as np
import pytest

import anode
from anode import ops
from anode.backends.cpu.backend import CpuBackend
from anode.ir.graph import trace
from anode.ir.types import tensor
from anode.ops.evaluate import evaluate


def recurrent(rows, units, reverse=False, product=True):
    def f(xs, h, w):
        def step(h, x):
            h = ops.tanh(x + (h @ w if product else h))
            return h, h * x

        return ops.scan(step, h, xs, reverse=reverse)

    shapes = [(5, rows, units), (rows, units), (units, units)]
    return trace(f, *[tensor("f32", *shape) for shape in shapes])


def values(graph):
    random = np.random.default_rng(0)
    return [random.normal(0, 0.02, type.static).astype(np.float32) for type in graph.types]


def asks(graph, threads=1):
    code = str(CpuBackend().compile(graph, threads=threads).build.llvm)
    return len(re.findall(r"call void [^\n]*prefetch[^\n]*i32 0, i32 2,", code))  # level 2


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("rows, units", [(64, 128), (3, 500), (1, 1024)])
@pytest.mark.parametrize("threads", [1, 2])
def test_results_are_those_of_the_reference(rows, units, reverse, threads):
    graph = recurrent(rows, units, reverse)
    inputs = values(graph)
    found = anode.compile(graph, threads=threads)(*inputs)
    for a, b in zip(evaluate(graph, inputs)[0], found, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-5)


def test_pages_are_asked_for_beside_products():
    assert asks(recurrent(64, 128)) > 0
    assert asks(recurrent(64, 128, product=False)) == 0
    assert asks(recurrent(4, 16)) == 0  # slices of less than a page

"""Every declared op on every sample, and its gradient, as native code against the reference."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from anode.backends.cpu.native import HOST
from anode.ir.dtypes import dtype_of
from anode.ops.declare import DeclaredOp, Elementwise
from tests.backends.agreement import ELEMENTWISE, Case, check, compiled
from tests.ops.sample import Sample
from tests.ops.samples import samples
from tests.ops.test_registry import OPS, with_gradients

ON_THE_HOST = set(HOST)
CANCELLING = ("digamma", "lgamma")  # sums of large terms, inexact near where they are 0
each_op = pytest.mark.parametrize("name", OPS)


def values_of(op: DeclaredOp) -> list[Case]:
    elementwise = isinstance(op, Elementwise) and op.name not in CANCELLING
    strictness = (ELEMENTWISE, True) if elementwise else ()
    return [
        Case(f"{op.name} {i} {_shown(sample)}", sample.graph(op), sample.args, *strictness)
        for i, sample in enumerate(samples(op))
    ]


def gradients_of(op: DeclaredOp) -> Iterator[Case]:
    for i, sample in enumerate(samples(op)):
        graph = sample.graph(op)
        floats = any(dtype_of(arg.dtype).is_float for arg in sample.args)
        if op.differentiable and sample.smooth and floats and graph.outputs[0].dtype.is_float:
            gradient, args = with_gradients(graph, sample.args, np.random.default_rng(0))
            yield Case(f"gradient of {op.name} {i} {_shown(sample)}", gradient, args)


def _shown(sample: Sample) -> str:
    return ", ".join(f"{dtype_of(arg.dtype)}{list(arg.shape)}" for arg in sample.args)


@each_op
def test_values(name: str) -> None:
    check(values_of(OPS[name]))


@each_op
def test_gradients(name: str) -> None:
    check(list(gradients_of(OPS[name])))


@pytest.mark.parametrize("name", ["softmax", "reduce", "matmul", "scan", "random_bits", "sort"])
def test_two_threads(name: str) -> None:
    check([*values_of(OPS[name]), *gradients_of(OPS[name])], threads=2)


@each_op
def test_only_sorting_runs_on_the_host(name: str) -> None:
    for case in values_of(OPS[name])[:1]:
        steps = compiled(case.graph).build.native.host_steps
        assert {step.kind for _, step in steps} <= ON_THE_HOST

"""Every declared op on every sample: value against type, gradients against finite differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import anode.ops  # noqa: F401 (declares the ops)
from anode.ir.dtypes import DType, dtype_of, f64
from anode.ir.graph import Graph, close, fresh_inputs
from anode.ir.op import registry
from anode.ir.types import TensorType
from anode.ops.declare import Composite, DeclaredOp, widen
from anode.ops.evaluate import evaluate
from anode.transform.grad import gradients
from tests.ops.sample import Sample
from tests.ops.samples import samples, stored


def float_types(sample: Sample) -> set[DType]:
    """The element types of the float operands."""
    return {d for d in (dtype_of(arg.dtype) for arg in sample.args) if d.is_float}


OPS = {
    name: op
    for name, op in registry.items()
    if isinstance(op, DeclaredOp) and op.function.__module__.startswith("anode.ops.")
}
CALLS = [(op, s, f"{name}-{i}") for name, op in OPS.items() for i, s in enumerate(samples(op))]
SMOOTH = [(op, s, i) for op, s, i in CALLS if op.differentiable and s.smooth and float_types(s)]
STEP = 1e-5


def is_typed(sample: Sample) -> bool:
    """Whether an attribute is a body, which fixes the operands' types."""
    return any(isinstance(value, Graph) for value in sample.attrs.values())


def each(calls: list[tuple[DeclaredOp, Sample, str]]) -> Any:
    return pytest.mark.parametrize(
        ("op", "sample"), [pytest.param(op, sample, id=name) for op, sample, name in calls]
    )


@pytest.mark.parametrize("name", OPS)
def test_has_samples(name: str) -> None:
    assert samples(OPS[name]), f"add samples of {name} to tests/ops/samples*.py"


@pytest.mark.parametrize("name", OPS)
def test_has_documentation(name: str) -> None:
    assert (OPS[name].__doc__ or "").strip(), name


@pytest.mark.parametrize("name", OPS)
def test_gradient_is_declared(name: str) -> None:
    op = OPS[name]
    assert not op.differentiable or op.gradient or isinstance(op, Composite), (
        f"{name}: declare a gradient, or differentiable=False"
    )


@each(CALLS)
def test_value_has_the_inferred_type(op: DeclaredOp, sample: Sample) -> None:
    graph = sample.graph(op)
    values, _ = evaluate(graph, sample.args)
    for value, output in zip(values, graph.outputs, strict=True):
        assert isinstance(output.type, TensorType)
        assert dtype_of(value.dtype) is output.dtype
        assert value.shape == output.shape


@each([call for call in SMOOTH if float_types(call[1]) == {f64}])
def test_gradient(op: DeclaredOp, sample: Sample) -> None:
    """The gradient, and the gradient of the gradient, along random directions."""
    graph, random = sample.graph(op), np.random.default_rng(0)
    if not any(output.dtype.is_float for output in graph.outputs):
        pytest.skip("no float results")
    first, args = with_gradients(graph, sample.args, random)
    check(graph, first, args, random)
    second, more = with_gradients(first, args, random)
    check(first, second, more, random)


@each([c for c in SMOOTH if float_types(c[1]) - {f64} and not is_typed(c[1])])
def test_narrow_types_agree_with_f64(op: DeclaredOp, sample: Sample) -> None:
    """The value and the gradient of f32 and half types, against those of the operands in f64."""
    wide = [_widened(arg) for arg in sample.args]
    epsilon = max(_epsilon(dtype) for dtype in float_types(sample))
    found, exact = [
        _value_and_gradient(op, Sample(args, sample.attrs)) for args in (sample.args, wide)
    ]
    for narrow, expected in zip(found, exact, strict=True):
        got, want = _widened(narrow), _widened(expected)
        scale = np.abs(want[np.isfinite(want)]).max(initial=1)
        np.testing.assert_allclose(got, want, rtol=16 * epsilon, atol=4 * epsilon * scale)


def _value_and_gradient(op: DeclaredOp, sample: Sample) -> list[np.ndarray]:
    graph = sample.graph(op)
    random = np.random.default_rng(0)
    values = list(evaluate(graph, sample.args)[0])
    if not any(o.dtype.is_float for o in graph.outputs):
        return values
    gradient, args = with_gradients(graph, sample.args, random)
    return [*values, *evaluate(gradient, args)[0]]


def _widened(array: np.ndarray) -> np.ndarray:
    """Floats of any type as f64; other arrays as they are."""
    return widen(array).astype(np.float64) if dtype_of(array.dtype).is_float else array


def _epsilon(dtype: DType) -> float:
    return {"f16": 2.0**-10, "bf16": 2.0**-7, "f32": 2.0**-23}.get(dtype.name, 0.0)


def with_gradients(
    graph: Graph, args: Sequence[np.ndarray], random: np.random.Generator
) -> tuple[Graph, list[np.ndarray]]:
    """The gradients of `graph` by its float inputs; its extra inputs are random cotangents."""
    floats = [o for o in graph.outputs if o.dtype.is_float]
    inputs = fresh_inputs(*graph.types, *(o.type for o in floats))
    xs, cts = inputs[: len(args)], inputs[len(args) :]
    ys = [y for y in graph.inline(*xs) if y.dtype.is_float]
    found = gradients(ys, [x for x in xs if x.dtype.is_float], cts)
    drawn = [stored(random.integers(-4, 5, o.shape) / 4, o.dtype) for o in floats]  # exact in any
    return close(inputs, found), [*args, *drawn]


def check(
    graph: Graph, gradient: Graph, args: Sequence[np.ndarray], random: np.random.Generator
) -> None:
    """Compare, for each float input, the derivative along a random direction."""
    own, cts = list(args[: len(graph.types)]), args[len(graph.types) :]
    slopes, _ = evaluate(gradient, args)
    wrt = [i for i, arg in enumerate(own) if arg.dtype == np.float64]
    for i, slope in zip(wrt, slopes, strict=True):
        direction = random.uniform(0.5, 1, own[i].shape) * random.choice([-1, 1], own[i].shape)
        ends = []
        for sign in (1, -1):
            moved = [*own[:i], own[i] + sign * STEP * direction, *own[i + 1 :]]
            values = [v for v in evaluate(graph, moved)[0] if v.dtype.kind == "f"]
            ends.append([(v * ct) for v, ct in zip(values, cts, strict=True)])
        terms = [(up - down) / (2 * STEP) for up, down in zip(*ends, strict=True)]
        measured, exact = sum(t.sum() for t in terms), (slope * direction).sum()
        scale = 1 + sum(np.abs(t).sum() for t in terms)
        assert abs(measured - exact) < 1e-6 * scale, f"input {i}: {exact}, measured {measured}"

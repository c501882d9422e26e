"""Convolutions that oneDNN computes, called from compiled code, against the reference."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from anode import ops
from anode.backends.cpu import backend as backends
from anode.backends.cpu import choice, costs, onednn
from anode.backends.cpu.backend import CpuBackend, CpuCompiled
from anode.backends.cpu.choice import Choosing
from anode.backends.cpu.costs import GENERATED, ONEDNN, Costs
from anode.backends.cpu.target import host_target
from anode.ir.dtypes import bf16
from anode.ir.graph import Graph, trace
from anode.ir.node import Node
from anode.ir.types import tensor
from anode.ops.evaluate import evaluate
from anode.runtime.state import State

pytestmark = pytest.mark.skipif(
    isinstance(onednn.load(), str), reason="oneDNN is not installed here"
)
TARGET = host_target()
ROOT = Path(__file__).parents[2]


def always(graph: Graph, threads: int = 1) -> CpuCompiled:
    """Compiled with every convolution that oneDNN has given to it."""
    return CpuCompiled(graph, TARGET, threads, Choosing(threads, Costs(only=ONEDNN), "always"))


def arrays(graph: Graph, seed: int = 0) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.standard_normal(t.static).astype(np.float32) for t in graph.types]


def calls(made: CpuCompiled) -> list[str]:
    return [attrs["kind"] for attrs in made.layout.calls]


def agree(graph: Graph, kinds: list[str]) -> CpuCompiled:
    """oneDNN is called for these, gives the reference's values, and the same bits on 1 to 3."""
    args = arrays(graph)
    wanted, _ = evaluate(graph, args)
    most, _ = evaluate(graph, [abs(x) for x in args])
    found = []
    for threads in (1, 2, 3):
        made = always(graph, threads)
        assert sorted(calls(made)) == sorted(kinds)
        found.append([np.array(x) for x in made.run(args, State({}))])
    for results in zip(*found, strict=True):
        assert len({result.tobytes() for result in results}) == 1
    for got, want, limit in zip(found[0], wanted, most, strict=True):
        np.testing.assert_array_less(abs(got - want), 1e-5 * abs(limit) + 1e-5)
    return made


def sampled(seed: int) -> dict[str, Any]:
    """A random convolution: 1 to 3 spatial dims, any stride, dilation, padding and groups."""
    random = Random(seed)
    d = random.choice((1, 2, 2, 2, 3))
    groups = random.choice((1, 1, 1, 2, 4))
    pick = lambda *options: tuple(random.choice(options) for _ in range(d))  # noqa: E731
    return {
        "n": random.choice((1, 2, 3, 5, 8)),
        "sizes": pick(7, 9, 12),
        "c": groups * random.choice((1, 3, 5, 16)),
        "o": groups * random.choice((1, 4, 16, 24)),
        "kernel": pick(1, 2, 3),
        "attrs": {
            "strides": pick(1, 1, 2, 3),
            "low": pick(0, 1, 2),
            "high": pick(0, 1, 2),
            "dilations": pick(1, 1, 2),
            "groups": groups,
        },
    }


def operands(case: dict[str, Any]) -> tuple[Any, Any, Any]:
    """The types of x, w and y."""
    x = tensor("f32", case["n"], *case["sizes"], case["c"])
    w = tensor("f32", *case["kernel"], case["c"] // case["attrs"]["groups"], case["o"])
    y = trace(lambda x, w: ops.convolution(x, w, **case["attrs"]), x, w).outputs[0].type
    return x, w, y


@pytest.mark.parametrize("seed", range(24))
def test_all_three_kinds_agree_with_the_reference(seed: int) -> None:
    case = sampled(seed)
    x, w, y = operands(case)
    attrs = case["attrs"]

    def three(x: Node, w: Node, ct: Node) -> tuple[Node, ...]:
        return (
            ops.convolution(x, w, **attrs),
            ops.convolution_data(ct, w, sizes=case["sizes"], **attrs),
            ops.convolution_weights(x, ct, kernel=case["kernel"], **attrs),
        )

    graph, args = trace(three, x, w, y), arrays(trace(three, x, w, y))
    wanted, _ = evaluate(graph, args)
    most, _ = evaluate(graph, [abs(a) for a in args])
    found = [always(graph, threads).run(args, State({})) for threads in (1, 2)]
    for one, two, want, limit in zip(*found, wanted, most, strict=True):
        np.testing.assert_array_less(abs(one - want), 1e-5 * abs(limit) + 1e-5)
        assert one.tobytes() == two.tobytes()


SAME = {"strides": (1, 1), "low": (1, 1), "high": (1, 1), "dilations": (1, 1)}
IMAGES, FILTERS = tensor("f32", 4, 9, 10, 5), tensor("f32", 3, 3, 5, 24)
BIAS, RESULT = tensor("f32", 24), tensor("f32", 4, 9, 10, 24)
FEW = "Winograd's method takes at least 6 channels and filters"


@pytest.mark.parametrize(
    "activation",
    [ops.relu, ops.leaky_relu, ops.elu, ops.tanh, ops.logistic, lambda y: ops.maximum(y, 0)],
)
def test_bias_sum_and_activation_are_part_of_the_call(activation: Any) -> None:
    def whole(x: Node, w: Node, bias: Node, other: Node) -> Node:
        return activation(ops.convolution(x, w, **SAME) + bias + other)

    made = agree(trace(whole, IMAGES, FILTERS, BIAS, RESULT), ["forward"])
    kinds = [step.kind for step in made.program.steps]
    assert kinds == ["loops", "onednn_convolution"]  # the filters, then everything


def test_orders_of_sums_and_shapes_of_biases() -> None:
    def other_first(x: Node, w: Node, bias: Node, other: Node) -> Node:
        return ops.reshape(bias, shape=(1, 1, 1, 24)) + (other + ops.convolution(x, w, **SAME))

    made = agree(trace(other_first, IMAGES, FILTERS, BIAS, RESULT), ["forward"])
    assert made.layout.calls[0]["bias"] and len(made.program.steps) == 2


def test_a_value_that_is_used_elsewhere_is_not_swallowed() -> None:
    def both(x: Node, w: Node, bias: Node) -> tuple[Node, Node]:
        y = ops.convolution(x, w, **SAME) + bias
        return y, ops.elu(y)

    made = agree(trace(both, IMAGES, FILTERS, BIAS), ["forward"])
    misses = [m for t in made.traces if t.name == "cover" for m in t.misses]
    assert any("used elsewhere too" in miss.reason for miss in misses)


def test_the_gradient_of_a_layer() -> None:
    from anode.transform.grad import gradients

    def layer(x: Node, w: Node, bias: Node) -> tuple[Node, ...]:
        y = ops.relu(ops.convolution(x, w, **SAME) + bias)
        return tuple(gradients([ops.sum(y * y)], [x, w, bias]))

    agree(trace(layer, IMAGES, FILTERS, BIAS), ["forward", "data", "weights"])


def test_relu_hands_on_nan_and_infinity() -> None:
    graph = trace(lambda x, w: ops.relu(ops.convolution(x, w)), IMAGES, tensor("f32", 1, 1, 5, 16))
    x, w = arrays(graph)
    x[0, 0, 0, 0], x[0, 0, 1], w[...] = np.nan, np.inf, abs(w)
    (y,) = always(graph).run([x, w], State({}))
    assert np.isnan(y[0, 0, 0]).all() and (y[0, 0, 1] == np.inf).all()
    assert np.isfinite(y[0, 1]).all() and (y[0, 1:] >= 0).all()


def test_bf16_images_and_filters() -> None:
    def three(x: Node, w: Node, ct: Node) -> tuple[Node, ...]:
        x, w, ct = (ops.convert(a, dtype=bf16) for a in (x, w, ct))
        found = (
            ops.convolution(x, w, **SAME),
            ops.convolution_data(ct, w, sizes=(9, 10), **SAME),
            ops.convolution_weights(x, ct, kernel=(3, 3), **SAME),
        )
        return tuple(ops.convert(y, dtype="f32") for y in found)

    graph = trace(three, IMAGES, FILTERS, RESULT)
    args = arrays(graph)
    made = always(graph, 2)
    if len(calls(made)) < 3:
        pytest.skip("oneDNN has no bf16 convolution on this processor")
    wanted, _ = evaluate(graph, args)
    for got, want in zip(made.run(args, State({})), wanted, strict=True):
        np.testing.assert_allclose(got, want, rtol=2e-2, atol=2e-2 * abs(want).max())


def test_a_convolution_within_a_loop() -> None:
    def body(carry: Node, w: Node) -> tuple[Node, Node]:
        y = ops.tanh(ops.convolution(carry, w, **SAME))
        return y, ops.sum(y)

    def loop(x: Node, ws: Node) -> tuple[Node, Node]:
        final, sums = ops.scan(body, x, ws)
        return final, sums

    graph = trace(loop, tensor("f32", 4, 6, 6, 8), tensor("f32", 3, 3, 3, 8, 8))
    agree(graph, ["forward"])


def test_what_onednn_has_not_is_generated() -> None:
    negative = {**SAME, "low": (-1, 0)}
    graph = trace(lambda x, w: ops.convolution(x, w, **negative), IMAGES, FILTERS)
    made = always(graph)
    assert not calls(made)
    (cover,) = [t for t in made.traces if t.name == "cover"]
    assert "oneDNN has no negative padding" in cover.misses[-1].reason


def test_switched_off_absent_and_slower(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = trace(lambda x, w: ops.convolution(x, w, **SAME), IMAGES, FILTERS)

    def reasons(made: CpuCompiled) -> set[str]:
        assert not calls(made)
        return {miss.reason for t in made.traces if t.name == "cover" for miss in t.misses}

    assert reasons(CpuBackend(onednn=False).compile(graph)) == {f"oneDNN is switched off; {FEW}"}
    slower = CpuCompiled(graph, TARGET, 2, Choosing(2, Costs(only=GENERATED), "never"))
    assert reasons(slower) == {f"generated code is faster: as it was asked for; {FEW}"}
    onednn.load.cache_clear()
    monkeypatch.setattr(onednn, "library_path", lambda: None)
    try:
        (reason,) = reasons(CpuBackend().compile(graph))
        assert "pip install onednn-cpu-gomp" in reason
        monkeypatch.setattr(onednn, "library_path", lambda: ROOT / "README.md")
        onednn.load.cache_clear()
        (reason,) = reasons(CpuBackend().compile(graph))
        assert reason.startswith("oneDNN cannot be used")
    finally:
        onednn.load.cache_clear()


def test_measured_costs_decide_and_damaged_ones_do_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ANODE_CACHE", str(tmp_path))
    graph = trace(lambda x, w: ops.convolution(x, w, **SAME), IMAGES, FILTERS)
    (node,) = graph.outputs
    problem, tasks = choice.problem_of(choice.Convolution(node))
    name = costs.name_of(problem, tasks, TARGET.cores)
    for seconds, kinds in (([1, 2, 3], ["forward"]), ([2, 1, 3], [])):
        (tmp_path / costs.FILE).write_text(json.dumps({name: seconds}))
        made = CpuBackend().compile(graph, threads=2)
        assert calls(made) == kinds
        (cover,) = [t for t in made.traces if t.name == "cover"]
        texts = [*[hit.note for hit in cover.hits], *[miss.reason for miss in cover.misses]]
        assert "ms by oneDNN" in texts[-1] and "ms generated" in texts[-1]
    for text in ("", "[1]", '{"a": 1}', '{"a": ["x", 1]}'):
        (tmp_path / costs.FILE).write_text(text)
        assert Costs.load() == Costs()


def test_a_failing_call_is_an_error() -> None:
    graph = trace(lambda x, w: ops.convolution(x, w, **SAME), IMAGES, FILTERS)
    made = always(graph, 2)
    made._calls._records[0][3] = 0  # no arguments
    with pytest.raises(backends.BackendError, match="oneDNN failed in a run"):
        made.run(arrays(graph), State({}))


WARM = """
import os, sys, threading
import numpy as np
sys.path.insert(0, ".")
from tests.backends.test_onednn import SAME, IMAGES, FILTERS, BIAS, always, arrays
from tests.backends.test_onednn import State, ops, trace
graph = trace(lambda x, w, b: ops.relu(ops.convolution(x, w, **SAME) + b), IMAGES, FILTERS, BIAS)
made = always(graph, 2)
for _ in range(3):
    (y,) = made.run(arrays(graph), State({}))
import ctypes
openmp = ctypes.CDLL("libgomp.so.1")
built = "build" in made.__dict__
print(y.sum(), len(os.listdir("/proc/self/task")), openmp.omp_get_max_threads(), built)
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts threads of Linux")
def test_a_warm_start_in_a_new_process_with_one_team(tmp_path: Path) -> None:
    def start() -> tuple[str, int, int, str]:
        environment = {
            "ANODE_CACHE": str(tmp_path),
            "PATH": "",
            "OMP_NUM_THREADS": "5",
            "OPENBLAS_NUM_THREADS": "1",
        }
        command = [sys.executable, "-c", WARM]
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
        total, threads, openmp, built = done.stdout.split()
        return total, int(threads), int(openmp), built

    cold, warm = start(), start()
    assert cold[0] == warm[0]
    assert (cold[3], warm[3]) == ("True", "False")
    assert cold[1] == warm[1] == 2  # this thread and one worker: oneDNN started none
    assert cold[2] == warm[2] == 5  # and the setting of others' OpenMP is what it was


def test_parts_do_not_depend_on_the_number_of_threads() -> None:
    (node,) = trace(lambda x, w: ops.convolution(x, w, **SAME), IMAGES, FILTERS).outputs
    whole, tasks = choice.problem_of(choice.Convolution(node))
    assert whole.batch * tasks == 4
    for batch in (1, 7, 32, 96, 128):
        for kind in ("forward", "data", "weights"):
            big = replace(whole, batch=batch, kind=kind, sizes=(56, 56), channels=64)
            part, tasks = choice.split(big)
            assert part.batch * tasks == batch and tasks <= choice.MOST_TASKS

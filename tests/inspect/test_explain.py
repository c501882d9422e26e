"""Reports agree with the program they are about, and name what they are asked for."""

import dataclasses
from pathlib import Path

import pytest

from anode import ops
from anode.backends.base import backend_named
from anode.errors import BackendError, UnsupportedOp
from anode.frontends import layers as nn
from anode.inspect.doctor import Extra, diagnose
from anode.inspect.explain import Report, explain, flops
from anode.inspect.report_text import count, size
from anode.ir.graph import Graph, close, fresh_inputs, trace
from anode.ir.node import constant
from anode.ir.types import tensor

BATCH = 32


def training_graph() -> Graph:
    hidden = nn.Affine(20, bias=0.0, activation=nn.Rectlin())  # LINE
    model = nn.Model([hidden, nn.Affine(10, bias=0.0, activation=nn.Softmax())])
    x, y = tensor("f32", BATCH, 30), tensor("i32", BATCH)
    model.build(x)
    optimizer = nn.GradientDescentMomentum(0.1, 0.9)
    return model.training_step(nn.CrossEntropyMulti(), optimizer).graph(x, y)


def compiled(graph: Graph, threads: int = 2):
    return backend_named("cpu").compile(graph, threads=threads)


@pytest.fixture(scope="module")
def built():
    return compiled(training_graph())


@pytest.fixture(scope="module")
def report(built) -> Report:
    return explain(built)


def test_kernels_are_the_steps_of_the_program(built, report):
    program = built.build.program
    assert [kernel.name for kernel in report.kernels] == [step.name for step in program.steps]
    for kernel, step in zip(report.kernels, program.steps, strict=True):
        buffers = [program.buffers[i] for i in set(step.reads)]
        assert kernel.bytes_read == sum(buffer.type.bytes for buffer in buffers)
        assert kernel.after == tuple(program.steps[i].name for i in step.after)
        assert kernel.tasks >= 1 and not kernel.on_host


def test_the_products_are_most_of_the_flops(report):
    """A product of [m, k] and [k, n] is 2·m·n·k; training has two for each layer but the first."""
    products = 2 * BATCH * 30 * 20 * 2 + 2 * BATCH * 20 * 10 * 3
    assert products < sum(kernel.flops for kernel in report.kernels) < 1.2 * products


@pytest.mark.parametrize(
    ("function", "types", "expected"),
    [
        (lambda x: ops.exp(x), [(4, 3)], 12),
        (lambda x: ops.sum(x, axis=1), [(4, 3)], 12),
        (lambda x: ops.transpose(x, permutation=(1, 0)), [(4, 3)], 0),
        (lambda x: ops.greater(x, x), [(4, 3)], 0),
        (lambda x: ops.convert(x, dtype="i32"), [(4, 3)], 0),
        (lambda x, y: ops.dot_general(x, y, contract=((1,), (0,))), [(4, 3), (3, 5)], 120),
    ],
)
def test_flops(function, types, expected):
    graph = trace(function, *(tensor("f32", *shape) for shape in types))
    assert flops(graph.outputs[0]) == expected


def test_flops_of_what_runs_again_and_again():
    def loop(h, w, xs):
        return ops.scan(lambda h, x: (ops.tanh(h @ w + x), None), h, xs)[0]

    graph = trace(loop, tensor("f32", 4, 3), tensor("f32", 3, 3), tensor("f32", 7, 4, 3))
    (scan,) = [node for node in graph.nodes if node.op.name == "scan"]
    once = sum(map(flops, scan.attrs["body"].nodes))
    assert once == 2 * 4 * 3 * 3 + 2 * 4 * 3 and flops(scan) == 7 * once


def test_composites_lead_to_their_kernels(report):
    expanded = {d.value.op: d for d in report.decisions if d.rule == "expand"}
    kernels = {kernel.name: kernel for kernel in report.kernels}
    for op, becomes in (("relu", "maximum"), ("softmax", "divide"), ("log_softmax", "subtract")):
        assert becomes in [value.op for value in kernels[expanded[op].kernel].values]


def test_fused_values_are_in_the_kernels_that_the_report_names(report):
    kernels = {kernel.name: kernel for kernel in report.kernels}
    fused = [d for d in report.decisions if d.rule == "fuse" and not d.refused]
    assert fused
    for decision in fused:
        assert decision.value.op in [value.op for value in kernels[decision.kernel].values]


def test_refusals_have_reasons_and_kernels(report):
    refused = [d for d in report.decisions if d.refused]
    assert refused
    assert all(d.text and d.kernel for d in refused)


def test_lines_are_the_users(report):
    lines = Path(__file__).read_text().splitlines()
    here = next(number for number, text in enumerate(lines, 1) if "# LINE" in text)
    relu = next(d for d in report.decisions if d.value.op == "relu")
    assert relu.value.origin == f"{__file__}:{here}"
    assert relu in report.explain(f"test_explain.py:{here}").decisions


def test_lines_are_kept_by_all_passes():
    """Those that make new nodes, such as parts of a variance, take the line of what was there."""

    def normalised(x, scale, offset):
        norm = ops.batch_norm_training  # equal numbers keep the line that made them first
        return norm(x, scale, offset, axis=3, epsilon=0.0123).item(0)  # NORM

    lines = Path(__file__).read_text().splitlines()
    here = next(number for number, text in enumerate(lines, 1) if "# NORM" in text)
    report = explain(
        compiled(trace(normalised, tensor("f32", 64, 32, 32, 4), *[tensor("f32", 4)] * 2))
    )
    assert "split_reductions" in {decision.rule for decision in report.decisions}
    expected = {f"{__file__}:{here}"}
    assert {line for kernel in report.kernels for line in kernel.origins} == expected
    assert {moment.origin for moment in report.moments} == expected
    made = (node for _, graph in report.graphs for node in graph.nodes if node.args)
    assert {str(node.origin) for node in made} == expected


def test_what_lies_beside_the_arena(report):
    """Weights and biases with their velocities, the rate; a minibatch; the cost."""
    weights = 30 * 20 + 20 + 20 * 10 + 10
    minibatch = BATCH * 30 + BATCH
    found = report.outside
    assert found == {"variable": 4 * (2 * weights + 1), "input": 4 * minibatch, "output": 4}
    assert "beside it: " in str(report)


def test_lifetimes_fit_the_memory_report(built, report):
    assert report.memory is not None
    for step, live in enumerate(report.memory.by_step):
        places = {
            place  # a result may lie over an operand of the same step: bytes count once
            for life in report.lifetimes
            if life.first <= step <= life.last
            for place in range(life.offset, life.offset + life.bytes, 4)
        }
        assert 4 * len(places) == live
    assert report.memory.peak == built.peak_bytes >= max(report.memory.by_step)
    assert max(life.offset + life.bytes for life in report.lifetimes) <= report.memory.peak
    assert report.memory.unshared == sum(life.bytes for life in report.lifetimes)


def test_explaining_a_layer(report):
    found = report.explain("Linear_0")
    assert {"Linear_0.weight"} <= {o.name for k in found.kernels for o in k.reads}
    assert len(found.kernels) == 2  # forward, and the gradient with its update
    assert found.memory is None


def test_explaining_a_kernel_has_what_was_refused_there(report):
    refused = next(d for d in report.decisions if d.refused)
    assert refused in report.explain(refused.kernel).decisions


def test_an_unknown_name(report):
    with pytest.raises(UnsupportedOp, match=r"'Lineer_0'.*Linear_0"):
        report.explain("Lineer_0")


def test_the_text_has_every_kernel_and_buffer(report):
    text = str(report)
    for kernel in report.kernels:
        assert f"  {kernel.name}: " in text
    for life in report.lifetimes:
        assert f"  {life.name}" in text
    assert "On the host: nothing" in text
    assert "On the host" not in str(report.explain("relu"))


def test_the_chart_shows_the_steps_of_a_life(report):
    bars = {line.split()[0]: line for line in str(report).splitlines() if "█" in line}
    assert len(bars) == len(report.lifetimes)
    for life in report.lifetimes:
        bar = "".join(c for c in bars[life.name] if c in "█·")
        expected = ["█" if life.first <= i <= life.last else "·" for i in range(report.steps)]
        assert bar == "".join(expected)


def test_what_runs_on_the_host():
    (x,) = fresh_inputs(tensor("f32", 40))
    report = explain(compiled(close([x], [ops.sort(x * 2.0, axis=0)])))
    assert [kernel.kind for kernel in report.on_host] == ["sort"]
    assert "On the host, as NumPy\n  sort" in str(report)


def test_the_kernels_of_a_loop_are_inside_it():
    def body(i, x):
        return i + 1, ops.exp(x) * 0.5

    def turns(x):
        return ops.while_loop(lambda i, x: ops.less(i, 3), body, (constant(0), x))[1]

    report = explain(compiled(trace(turns, tensor("f32", 8))))
    inner = [kernel for kernel in report.kernels if kernel.depth == 1]
    assert any(value.op == "exp" for kernel in inner for value in kernel.values)
    assert report.steps == sum(kernel.depth == 0 for kernel in report.kernels)
    assert str(report)


def test_only_what_was_compiled_can_be_explained():
    with pytest.raises(BackendError, match="cpu backend"):
        explain(backend_named("reference").compile(training_graph()))


def test_reports_are_the_same_from_the_disk_cache(report):
    again = explain(compiled(training_graph()))
    assert dataclasses.replace(again, seconds=0.0) == dataclasses.replace(report, seconds=0.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (size(0), "0 B"),
        (size(9_999), "9,999 B"),
        (size(20 << 10), "20.0 KiB"),
        (size(3 << 20), "3.0 MiB"),
        (size(5 << 30), "5.0 GiB"),
        (count(999), "999 "),
        (count(20_070_400), "20.1 M"),
        (count(3 * 10**9), "3.0 G"),
    ],
)
def test_numbers_with_units(text, expected):
    assert text == expected


def test_a_missing_extra_has_its_pip_line():
    text = str(Extra("cli", ("typer", "rich"), ("rich",)))
    assert text == "without rich: pip install 'anode[cli]'"


def test_a_diagnosis():
    found = diagnose()
    assert found.vector_bits % 128 == 0 and found.cores >= 1 and found.threads >= 1
    assert {extra.name for extra in found.extras} >= {"cli", "dev"}
    assert all(set(extra.missing) <= set(extra.packages) for extra in found.extras)
    assert found.onednn.startswith(("3.", "oneDNN "))


def test_the_diagnosis_without_a_cache(monkeypatch):
    monkeypatch.setenv("ANODE_CACHE", "off")
    assert diagnose().cache is None
    assert "off (ANODE_CACHE)" in str(diagnose())

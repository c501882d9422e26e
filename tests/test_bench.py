"""`anode bench`: what it counts, and that a table comes out. Nothing here depends on a time."""

import itertools

import pytest

from anode import models
from anode.cli import main
from anode.commands.bench import measure, parts_of, product_flops
from anode.commands.explain import report as explained


def test_flops_are_those_of_the_formula():
    """LeNet's products, and twice that backward but for the gradient by the images."""
    conv1, conv2 = 24 * 24 * 20 * 25, 8 * 8 * 50 * 25 * 20
    full = 800 * 500 + 500 * 10
    found = models.architecture("lenet")
    assert product_flops(found.inference_graph(4)) == 2 * 4 * (conv1 + conv2 + full)
    whole = 2 * 4 * (3 * (conv1 + conv2 + full) - conv1)
    assert product_flops(found.training_graph(4)) == whole


def test_the_backward_pass_is_the_rest():
    lenet = models.architecture("lenet")
    graphs = lenet.inference_graph(1), lenet.training_graph(1)
    fprop, bprop, update, iteration = parts_of([1.0, 2.0], [0.5, 0.5], [4.0, 6.0], graphs)
    assert (fprop.mean, bprop.mean, update.mean, iteration.mean) == (1.5, 3.0, 0.5, 5.0)
    assert bprop.least == 2.5
    assert fprop.flops + bprop.flops == iteration.flops


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_every_part_is_run(backend):
    ticks = itertools.count(1)

    def clock(run):
        run()
        return [float(next(ticks))]

    found = measure("lenet", models.architecture("lenet"), 2, clock, backend)
    assert [part.name for part in found.parts] == ["fprop", "bprop", "update", "iteration"]
    text = str(found)
    assert "lenet: 2 images of 28×28×1" in text
    assert ("none planned peak" in text) == (backend == "reference")
    assert ("f32, reference backend" in text) == (backend == "reference")


def test_the_environment_decides_the_threads(monkeypatch):
    monkeypatch.setenv("ANODE_THREADS", "1")
    found = measure("lenet", models.architecture("lenet"), 1, lambda run: [float(bool(run()))])
    assert found.title.endswith("f32, 1 thread")
    assert explained("lenet", {"batch": 1}).threads == 1


def test_the_command(capsys):
    assert main(["bench", "lenet", "--batch", "1", "--runs", "1", "--skip", "0"]) == 0
    assert "iteration" in capsys.readouterr().out

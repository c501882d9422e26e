"""Diagrams: layers and nodes as boxes, arrows, what is selected marked, and files that parse."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

import anode
from anode import layers as nn
from anode import ops
from anode.cli import main
from anode.errors import UnsupportedOp
from anode.ir.graph import trace
from anode.ir.types import tensor
from anode.models import ARCHITECTURES

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def model():
    made = nn.Model(
        [
            nn.Conv((3, 3, 4), bias=0.0, activation=nn.Rectlin(), name="conv1"),
            nn.MergeSum([nn.SkipNode(), [nn.Conv((3, 3, 4), padding="SAME"), nn.Dropout()]]),
            nn.Sequential([nn.Pooling("all", op="avg"), nn.Affine(10)]),
        ]
    )
    made.build(np.zeros((1, 8, 8, 1), np.float32))
    return made


def arrows(diagram):
    names = [re.sub(r" .*", "", part.type) for part in diagram.parts]
    return {f"{names[a]} {names[b]}" for a, b in diagram.edges}


def test_layers_are_boxes_with_what_was_made_with_them(model):
    diagram = anode.draw(model)
    assert diagram.parts[0].heading == "Convolution, Bias, Rectlin"
    assert diagram.parts[0].type == "conv1 f32[1,6,6,4]"
    assert not any(part.marked for part in diagram.parts)
    assert arrows(diagram) == {
        "conv1 SkipNode_0",
        "conv1 Convolution_0",
        "Convolution_0 Dropout_0",
        "SkipNode_0 MergeSum_0",
        "Dropout_0 MergeSum_0",
        "MergeSum_0 Pooling_0",
        "Pooling_0 Linear_0",
    }


@pytest.mark.parametrize(
    ("selector", "marked"),
    [
        ("convolution", ["conv1", "Convolution_0"]),
        ("#'conv1_bias.bias'", ["conv1"]),
        ("sequential", ["Pooling_0", "Linear_0"]),
        ("linear", ["Linear_0"]),
    ],
)
def test_what_is_selected_is_marked(model, selector, marked):
    diagram = anode.draw(model.select(selector))
    assert [part.type.split()[0] for part in diagram.parts if part.marked] == marked
    assert anode.draw(model, selector) == diagram
    assert diagram.dot.count("fillcolor") == len(marked)


def test_ops_of_a_model(model):
    diagram = anode.draw(model.select("elementwise:in(mergesum)"))
    assert "add" in [part.heading for part in diagram.parts if part.marked]


def test_a_graph_has_its_nodes_but_numbers():
    graph = trace(lambda x: ops.relu(x * 2.0), tensor("f32", 3))
    diagram = anode.draw(graph, "relu")
    shown = {part.heading: part.marked for part in diagram.parts}
    assert shown == {"input": False, "broadcast_in_dim": False, "multiply": False, "relu": True}
    assert all(a < b for a, b in diagram.edges)


def test_the_files_parse(model, tmp_path):
    diagram = anode.draw(model, "convolution")
    for name in ("m.svg", "m.dot", "m.gv"):
        diagram.save(tmp_path / name)
    root = ElementTree.parse(tmp_path / "m.svg").getroot()
    assert len(root.findall(f"{SVG}g")) == len(diagram.parts)
    assert len(root.findall(f"{SVG}path")) == len(diagram.edges)
    assert (tmp_path / "m.dot").read_text() == (tmp_path / "m.gv").read_text() == diagram.dot
    with pytest.raises(UnsupportedOp, match=r"written as \.svg, \.dot or \.gv"):
        diagram.save(tmp_path / "m.png")


def test_names_are_escaped():
    model = nn.Model([nn.Affine(2, name='a"<b>\\&')])
    model.build(np.zeros((1, 3), np.float32))
    diagram = anode.draw(model)
    assert "<b>" not in diagram.svg
    assert ElementTree.fromstring(diagram.svg) is not None
    assert 'a\\"<b>\\\\&' in diagram.dot


def test_what_cannot_be_drawn():
    with pytest.raises(UnsupportedOp, match="a graph, a model or a selection, not 3"):
        anode.draw(3)


@pytest.mark.parametrize("name", ["googlenet", "resnet-20", "lenet"])
def test_architectures_are_connected(name):
    network = ARCHITECTURES[name]
    diagram = anode.draw(network.model().select("layer", network.types(1)[0]), marked=False)
    reached = {0}
    for a, b in diagram.edges:
        reached |= {b} if a in reached else set()
    starts = {part.heading for i, part in enumerate(diagram.parts) if i not in reached}
    assert starts <= {"BranchNode"}


def test_the_command(tmp_path, capsys):
    svg, dot = tmp_path / "a.svg", tmp_path / "a.dot"
    selector = "convolution:followed-by(pooling) parameter:trainable"
    assert main(["explain", "lenet", "--select", selector, "--svg", str(svg)]) == 0
    assert "4 found by" in capsys.readouterr().out
    assert 'class="marked"' in svg.read_text()
    assert main(["explain", "mnist", "--dot", str(dot)]) == 0
    assert "Linear, Bias" in dot.read_text()
    assert main(["explain", "mnist", "--dot", str(dot), "--html", "x"]) != 0

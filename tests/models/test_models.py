"""The architectures: their sizes and shapes, and that each is a training step."""

import math

import numpy as np
import pytest

from anode import layers as nn
from anode import models
from anode.errors import ShapeError, UnsupportedOp

# Parameters as their authors count them, with the biases and scales of what is here.
PARAMETERS = {
    "lenet": 431_080,
    "cifar10-quick": 145_578,
    "alexnet": 61_100_840,
    "vgg-a": 132_863_336,
    "googlenet": 13_378_280,  # 6,998,552 without the auxiliary heads
    "resnet-20": 272_474,
    "resnet-56": 855_770,
}


@pytest.mark.parametrize("name", models.ARCHITECTURES)
def test_the_training_step_is_a_graph(name):
    found = models.architecture(name)
    graph = found.training_graph(2)
    assert graph.outputs[0].shape == ()
    updated = [variable for variable, _ in graph.updates]
    trained = [v for v in graph.variables if v.trainable]
    assert set(trained) <= set(updated)
    if name in PARAMETERS:
        assert sum(math.prod(v.type.static) for v in trained) == PARAMETERS[name]
    inference = found.inference_graph(2)
    assert inference.outputs[0].shape == (2, found.classes)


def test_nodes_are_from_the_lines_of_the_layers():
    graph = models.architecture("alexnet").inference_graph(1)
    lines = {
        str(node.origin).split(":")[0] for node in graph.nodes if node.op.name == "convolution"
    }
    assert {line.rpartition("/")[2] for line in lines} == {"classifiers.py"}


def test_unknown_names_are_met_with_near_ones():
    with pytest.raises(UnsupportedOp, match="no model 'alexnett'; did you mean alexnet"):
        models.architecture("alexnett")
    with pytest.raises(ShapeError, match="depth 21 is not 6n"):
        models.resnet(21)


def test_the_heads_of_googlenet_only_train():
    found = models.architecture("googlenet")
    trained, used = (
        {v.name for v in graph.variables if v.name.startswith(("tree.loss1", "tree.loss2"))}
        for graph in (found.training_graph(1), found.inference_graph(1))
    )
    assert len(trained) == 12
    assert not used


@pytest.mark.parametrize("judge", [models.discriminator, models.critic])
def test_generated_images_can_be_judged(judge):
    noise = np.random.default_rng(0).standard_normal((3, 8)).astype(np.float32)
    images = nn.Model(models.generator(4), backend="reference").predict(noise)
    assert images.shape == (3, 28, 28, 1)
    assert abs(images).max() <= 1
    assert nn.Model(judge(4), backend="reference").predict(images).shape == (3, 1)

"""Images are moved where they come in and where they become features, not between layers."""

import re

import numpy as np
import pytest

from anode.frontends.neon.backends import gen_backend
from anode.frontends.neon.initializers import Gaussian
from anode.frontends.neon.layers import (
    LRN,
    Affine,
    Conv,
    GeneralizedCost,
    MergeBroadcast,
    MergeSum,
    Pooling,
    SkipNode,
)
from anode.frontends.neon.layers.layer import Linear
from anode.frontends.neon.models import Model
from anode.frontends.neon.optimizers import GradientDescentMomentum
from anode.frontends.neon.transforms import CrossEntropyMulti, Rectlin, Softmax

BATCH = 5


def networks():
    common = {"init": Gaussian(scale=0.1), "activation": Rectlin()}
    conv = Conv((3, 3, 8), batch_norm=True, **common)
    last = Conv((3, 3, 7), **common)
    branches = [
        [Conv((1, 1, 8), **common)],
        [Pooling(3, padding=1, strides=1), Conv((1, 1, 8), **common)],
    ]
    skip = [[Conv((3, 3, 8), padding=1, **common)], SkipNode()]
    return {
        "a row": [conv, Pooling(2), last],
        "merged maps": [conv, MergeBroadcast(branches, merge="depth"), last],
        "a sum": [conv, MergeSum(skip), last],
        "normalised across maps": [conv, LRN(3), last],
    }


@pytest.mark.parametrize("name", ["a row", "merged maps", "a sum", "normalised across maps"])
def test_layers_after_each_other_keep_their_layout(name):
    be = gen_backend("cpu", rng_seed=0, batch_size=BATCH)
    model = Model([*networks()[name], Affine(4, init=Gaussian(), activation=Softmax())])
    model.initialize((3, 14, 14), GeneralizedCost(CrossEntropyMulti()))
    model.optimizer = GradientDescentMomentum(0.1, 0.9)
    rng = np.random.RandomState(0)
    x = be.array(rng.rand(3 * 14 * 14, BATCH))
    t = be.array(np.eye(4)[rng.randint(0, 4, BATCH)].T)
    for _ in range(2):
        model._train(x, t, 0)
    (plan,) = model._steps["train"]._plans.values()
    moved = moves(plan._executable.stages["optimized"])
    assert moved <= {(3, 14, 14), out_of(model)}


def out_of(model):
    """The shape of the images that become features."""
    return next(layer for layer in model.layers.layers if isinstance(layer, Linear)).in_shape


def moves(text):
    """The images (maps, height, width) that kernels transpose, from the program's text."""
    found = set()
    for sizes in re.findall(r"transpose\(.*f32\[(\d+,\d+,\d+,\d+)\]", text):
        first, *inner, last = map(int, sizes.split(","))
        if last == BATCH:
            found.add((first, *inner))
        elif first == BATCH:
            found.add((last, *inner))
    return found

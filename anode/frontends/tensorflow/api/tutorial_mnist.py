"""The network of the MNIST tutorial: two hidden layers, its loss, training and evaluation."""

from __future__ import annotations

import math
from typing import Any

from anode.frontends.tensorflow import dtypes
from anode.frontends.tensorflow.api import (
    arithmetic,
    array_ops,
    linalg,
    losses,
    nn,
    optimizers,
    random_ops,
    reductions,
    summary,
)
from anode.frontends.tensorflow.api.variables import Variable
from anode.frontends.tensorflow.graph import name_scope
from anode.frontends.tensorflow.opdef import export, export_values

NUM_CLASSES = 10
IMAGE_SIZE = 28
IMAGE_PIXELS = IMAGE_SIZE * IMAGE_SIZE
TUTORIAL = "examples.tutorials.mnist.mnist"
export_values(
    __name__,
    {f"{TUTORIAL}.{name}": name for name in ("NUM_CLASSES", "IMAGE_SIZE", "IMAGE_PIXELS")},
)


def _layer(scope: str, inputs: Any, fan_in: int, units: int) -> Any:
    with name_scope(scope):
        start = random_ops.truncated_normal([fan_in, units], stddev=1.0 / math.sqrt(float(fan_in)))
        weights = Variable(start, name="weights")
        biases = Variable(array_ops.zeros([units]), name="biases")
        outputs = linalg.matmul(inputs, weights) + biases
        return outputs if scope == "softmax_linear" else nn.relu(outputs)


@export(f"{TUTORIAL}.inference")
def inference(images: Any, hidden1_units: int, hidden2_units: int) -> Any:
    """The logits [n, 10] of images [n, 784]."""
    hidden1 = _layer("hidden1", images, IMAGE_PIXELS, hidden1_units)
    hidden2 = _layer("hidden2", hidden1, hidden1_units, hidden2_units)
    return _layer("softmax_linear", hidden2, hidden2_units, NUM_CLASSES)


@export(f"{TUTORIAL}.loss")
def loss(logits: Any, labels: Any) -> Any:
    """The mean cross entropy of logits [n, 10] and labels [n]."""
    return losses.sparse_softmax_cross_entropy(
        labels=arithmetic.cast(labels, dtypes.int64), logits=logits
    )


@export(f"{TUTORIAL}.training")
def training(loss: Any, learning_rate: float) -> Any:
    """The op of a step of gradient descent, with a scalar summary of the loss."""
    summary.scalar("loss", loss)
    optimizer = optimizers.GradientDescentOptimizer(learning_rate)
    global_step = Variable(0, name="global_step", trainable=False)
    return optimizer.minimize(loss, global_step=global_step)


@export(f"{TUTORIAL}.evaluation")
def evaluation(logits: Any, labels: Any) -> Any:
    """How many of the labels have the greatest logit, an int32 scalar."""
    return reductions.reduce_sum(arithmetic.cast(nn.in_top_k(logits, labels, 1), dtypes.int32))

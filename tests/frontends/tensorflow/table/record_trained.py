"""Writes data/trained.pb.gz and data/trained.json: run it with TensorFlow's Python.

A convolution net with its loss, TensorFlow's own gradient of it and the update of the weights.
"""

from __future__ import annotations

import gzip
import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

DATA = Path(__file__).parent / "data"


def build(tf: Any, random: np.random.RandomState) -> Any:
    x = tf.placeholder(tf.float32, [None, 8, 8, 3], "x")
    y = tf.placeholder(tf.int32, [None], "y")

    def weights(name: str, *shape: int) -> Any:
        values = np.round(random.normal(size=shape) * 0.2, 2).astype(np.float32)
        return tf.get_variable(name, initializer=values)

    h = tf.nn.conv2d(x, weights("conv", 3, 3, 3, 4), [1, 1, 1, 1], "SAME")
    h = tf.nn.bias_add(h, weights("bias", 4))
    h = tf.nn.elu(tf.nn.fused_batch_norm(h, weights("scale", 4), weights("offset", 4))[0])
    h = tf.nn.lrn(tf.nn.max_pool(h, [1, 2, 2, 1], [1, 2, 2, 1], "SAME"), 2)
    h = tf.nn.relu6(tf.nn.depthwise_conv2d(h, weights("depth", 3, 3, 4, 2), [1, 1, 1, 1], "SAME"))
    h = tf.nn.avg_pool(h, [1, 2, 2, 1], [1, 2, 2, 1], "VALID")
    h = tf.pad(h, [[0, 0], [1, 1], [1, 1], [0, 0]], "REFLECT")
    h = tf.reshape(tf.image.resize_bilinear(h, [3, 3]), [-1, 72])
    h = tf.nn.softplus(tf.matmul(h, weights("dense", 72, 5)) + weights("last", 5))
    h = tf.tanh(h) + tf.sigmoid(h) + tf.sqrt(h) + tf.nn.leaky_relu(h) + tf.nn.selu(h)
    h += tf.nn.softsign(h) + tf.rsqrt(h + 1)
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=h)
    return tf.reduce_mean(loss, name="loss")


def main() -> None:
    tf = import_module("tensorflow").compat.v1
    tf.disable_eager_execution()
    tf.disable_resource_variables()
    random = np.random.RandomState(0)
    loss = build(tf, random)
    step = tf.train.GradientDescentOptimizer(0.1).minimize(loss, name="train")
    tf.global_variables_initializer()
    x = np.round(random.rand(4, 8, 8, 3), 2)
    y = random.randint(0, 5, 4)
    with tf.Session() as session:
        session.run("init")
        losses = [float(session.run([loss, step], {"x:0": x, "y:0": y})[0]) for _ in range(4)]
    graph = tf.get_default_graph().as_graph_def().SerializeToString()
    (DATA / "trained.pb.gz").write_bytes(gzip.compress(graph, 9, mtime=0))
    record = {"x": x.tolist(), "y": y.tolist(), "losses": losses}
    text = json.dumps(record).replace("]], [[", "]],\n[[")
    (DATA / "trained.json").write_text(text + "\n")


if __name__ == "__main__":
    main()

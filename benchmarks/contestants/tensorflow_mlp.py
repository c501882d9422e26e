"""TensorFlow 1 style: a graph, a `MomentumOptimizer`, and a session fed with feed_dict."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from benchmarks.protocol import Build, Step, serve

if TYPE_CHECKING:
    from benchmarks.models import MLP, Layers


def load() -> tuple[str, Build]:
    import tensorflow

    tf = tensorflow.compat.v1
    tf.disable_v2_behavior()
    threads = int(os.environ["OMP_NUM_THREADS"])

    def build(mlp: MLP, initial: Layers) -> Step:
        feed = tf.placeholder(tf.float32, [mlp.batch, mlp.widths[0]])
        target = tf.placeholder(tf.int64, [mlp.batch])
        hidden = feed
        for weight, bias in initial[:-1]:
            hidden = tf.nn.relu(tf.matmul(hidden, tf.Variable(weight)) + tf.Variable(bias))
        logits = tf.matmul(hidden, tf.Variable(initial[-1][0])) + tf.Variable(initial[-1][1])
        loss = tf.losses.sparse_softmax_cross_entropy(target, logits)
        train = tf.train.MomentumOptimizer(mlp.rate, mlp.momentum).minimize(loss)
        session = tf.Session(config=tf.ConfigProto(intra_op_parallelism_threads=threads))
        session.run(tf.global_variables_initializer())

        def step(images: Any, labels: Any) -> Any:
            return session.run([loss, train], feed_dict={feed: images, target: labels})[0]

        return step

    return tensorflow.__version__, build


if __name__ == "__main__":
    serve(load)

"""One script and one seed give one output: in two processes, for any number of threads."""

import os
import subprocess
import sys
from textwrap import dedent

import pytest

BEGIN = """
import numpy as np
import tensorflow as tf
tf.set_random_seed(7)
random = np.random.RandomState(0)
labels = tf.constant(random.randint(0, 3, 32))
"""
END = """
logits = tf.layers.dense(h, 3)
loss = tf.losses.sparse_softmax_cross_entropy(labels, logits)
train = tf.train.AdamOptimizer(0.01).minimize(loss)
with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    for step in range(6):
        print(session.run([loss, train])[0].tobytes().hex())
    for variable in tf.global_variables():
        print(variable.name, session.run(variable).tobytes().hex())
    print(session.run(tf.random_normal([3], seed=1)).tolist())
"""
SCRIPTS = {
    "dense": """
        x = tf.constant(random.randn(32, 40).astype("f4"))
        h = tf.nn.dropout(tf.layers.dense(x, 64, tf.nn.relu), 0.7)
        h = tf.layers.dropout(tf.layers.dense(h, 16, tf.tanh), 0.3, training=True)
    """,
    "convolution": """
        x = tf.constant(random.randn(32, 12, 12, 3).astype("f4"))
        h = tf.nn.relu(tf.layers.conv2d(x, 8, 3, padding="same"))
        h = tf.layers.batch_normalization(tf.layers.max_pooling2d(h, 2, 2), training=True)
        h = tf.layers.flatten(tf.nn.relu(tf.layers.conv2d(h, 8, 3)))
    """,
    "lstm": """
        x = tf.random_shuffle(tf.constant(random.randn(32, 9, 5).astype("f4")), seed=3)
        cell = tf.nn.rnn_cell.DropoutWrapper(tf.nn.rnn_cell.LSTMCell(16), 0.8)
        lengths = tf.constant(random.randint(1, 10, 32))
        h = tf.nn.dynamic_rnn(cell, x, lengths, dtype=tf.float32)[1].h
    """,
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_same_seed_same_output(tmp_path, name):
    (tmp_path / "script.py").write_text(BEGIN + dedent(SCRIPTS[name]) + END)
    found = [output(tmp_path, threads) for threads in ("1", "2")]
    assert len(found[0].splitlines()) > 10
    assert found[1] == found[0]


def output(folder, threads):
    env = {**os.environ, "ANODE_THREADS": threads, "PYTHONHASHSEED": "random"}
    command = [sys.executable, "-P", "-m", "anode.cli", "run", "script.py"]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout

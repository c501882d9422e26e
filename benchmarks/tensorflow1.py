"""`python -m benchmarks.tensorflow1`: TensorFlow-1 scripts' steps, in anode and in TensorFlow.

The graphs are those of `examples/tensorflow1` and a classifier with an LSTM, each written once for
any module `tf`. A step is what the script's loop does: `session.run(train, feed_dict=…)` on a
minibatch in NumPy arrays of the types that `input_data` gives. Both start from the same weights;
losses after each of the first five steps are compared.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.environments import CONTESTANTS, Contestant, prepare
from benchmarks.measure import NET_TOLERANCE, Effort, Pythons, Row, race
from benchmarks.report import table

_ANODE, _TENSORFLOW = CONTESTANTS[0], next(c for c in CONTESTANTS if c.name == "tensorflow")
TENSORFLOW1 = (
    replace(_ANODE, module="tensorflow1_scripts", arguments=("--anode",)),
    replace(
        _TENSORFLOW,
        module="tensorflow1_scripts",
        variables=(("TF_USE_LEGACY_KERAS", "1"), ("TF_CPP_MIN_LOG_LEVEL", "2")),
    ),
)
THREE_LINES = "import tensorflow as tf\nx = tf.constant(2.0) * 21.0\nprint(tf.Session().run(x))\n"
THREE_LINES_V2 = THREE_LINES.replace(
    "import tensorflow as tf", "import tensorflow.compat.v1 as tf; tf.disable_v2_behavior()"
)


@dataclass(frozen=True)
class Graph:
    """What a script builds: where its minibatches go, and what it runs."""

    images: Any
    labels: Any
    loss: Any
    train: Any


def mlp(tf: Any) -> Graph:
    """`mnist_mlp.py`: 784-100-10, momentum."""
    images = tf.placeholder(tf.float32, [None, 784])
    labels = tf.placeholder(tf.float32, [None, 10])
    x = images
    for i, (before, units) in enumerate([(784, 100), (100, 10)]):
        x = tf.nn.relu(x) if i else x
        weights = tf.Variable(tf.random_normal([before, units], stddev=0.01))
        x = tf.matmul(x, weights) + tf.Variable(tf.zeros([units]))
    loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=x))
    return Graph(images, labels, loss, tf.train.MomentumOptimizer(0.1, 0.9).minimize(loss))


def two_layers(tf: Any) -> Graph:
    """`two_layers.py`: 784-300-100-10, ELU, batch normalisation, gradient descent."""
    images = tf.placeholder(tf.float32, (None, 784))
    labels = tf.placeholder(tf.int32, None)
    x = images
    for units in (300, 100):
        x = tf.layers.dense(x, units)
        x = tf.nn.elu(tf.layers.batch_normalization(x, training=True, momentum=0.9))
    x = tf.layers.dense(x, 10)
    loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=x))
    return Graph(images, labels, loss, tf.train.GradientDescentOptimizer(0.01).minimize(loss))


def digits(tf: Any) -> Graph:
    """`digits.py`: 784-200-10, Adam."""
    images = tf.placeholder(tf.float32, [None, 784])
    labels = tf.placeholder(tf.float32, [None, 10])
    normal = tf.truncated_normal_initializer(stddev=0.01)
    x = images
    for name, before, units in (("hidden", 784, 200), ("output", 200, 10)):
        x = tf.nn.relu(x) if name == "output" else x
        weights = tf.get_variable(f"W_{name}", [before, units], initializer=normal)
        x = tf.matmul(x, weights) + tf.get_variable(
            f"b_{name}", initializer=tf.constant(0.0, shape=[units])
        )
    loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=x))
    return Graph(images, labels, loss, tf.train.AdamOptimizer(0.001).minimize(loss))


def lstm(tf: Any) -> Graph:
    """The rows of an image as 28 steps of an LSTM with 128 units, Adam."""
    images = tf.placeholder(tf.float32, [None, 28, 28])
    labels = tf.placeholder(tf.int32, [None])
    cell = tf.nn.rnn_cell.LSTMCell(128)
    outputs, _ = tf.nn.dynamic_rnn(cell, images, dtype=tf.float32)
    weights = tf.Variable(tf.random_normal([128, 10], stddev=0.1))
    logits = tf.matmul(outputs[:, -1, :], weights) + tf.Variable(tf.zeros([10]))
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    loss = tf.reduce_mean(losses)
    return Graph(images, labels, loss, tf.train.AdamOptimizer(0.001).minimize(loss))


@dataclass(frozen=True)
class Script:
    """A script's graph, and the shape and type of its minibatches."""

    build: Callable[[Any], Graph]
    images: tuple[int, ...]
    one_hot: bool
    steps: int  # timed in a round


SCRIPTS = {
    "mnist_mlp": Script(mlp, (128, 784), True, 300),
    "two_layers": Script(two_layers, (70, 784), False, 200),
    "digits": Script(digits, (100, 784), True, 200),
    "lstm": Script(lstm, (128, 28, 28), False, 20),
}


def batch(name: str) -> tuple[npt.NDArray[np.float32], npt.NDArray[Any]]:
    """A minibatch of noise, as `input_data` gives images and labels: one-hot ones are f64."""
    script, random = SCRIPTS[name], np.random.RandomState(0)
    images = random.uniform(0, 1, script.images).astype(np.float32)
    labels = random.randint(0, 10, len(images)).astype(np.uint8)
    return images, np.eye(10)[labels] if script.one_hot else labels


def initial_values(tf: Any) -> list[Any]:
    """Assignments that give matrices the same values everywhere."""
    random = np.random.RandomState(1)
    matrices = [v for v in tf.trainable_variables() if len(v.get_shape()) == 2]
    return [
        tf.assign(v, random.normal(0, 0.05, v.get_shape().as_list()).astype(np.float32))
        for v in matrices
    ]


def seconds(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Wall and CPU seconds of a command. Raises CalledProcessError where it fails."""
    before, start = os.times(), time.perf_counter()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    wall, after = time.perf_counter() - start, os.times()
    user, system = "children_user", "children_system"
    return wall, sum(getattr(after, kind) - getattr(before, kind) for kind in (user, system))


def start_rows(pythons: Pythons, runs: int) -> list[list[str]]:
    """What three lines take, import included: medians of runs in turn."""
    anode, tensorflow = pythons.values()
    with TemporaryDirectory() as folder:
        script = Path(folder) / "three_lines.py"
        script.write_text(THREE_LINES)
        environment = {"PATH": os.environ["PATH"], "HOME": folder, "ANODE_CACHE": folder}
        commands = {
            "anode run": [str(anode.parent / "anode"), "run", str(script)],
            "tensorflow": [str(tensorflow), "-c", THREE_LINES_V2],
        }
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for _ in range(runs + 1):
            for name, command in commands.items():
                times[name].append(seconds(command, environment))
    medians = {
        name: [median(t[1:]) for t in zip(*all_, strict=True)] for name, all_ in times.items()
    }
    return [[name, *(f"{value:.2f}" for value in pair)] for name, pair in medians.items()]


def measured(name: str, pythons: Pythons, effort: Effort) -> list[Row]:
    """Both contestants' rows for one script; the losses that TensorFlow gave are expected."""
    entrants = race({"script": name}, pythons, replace(effort, steps=SCRIPTS[name].steps))
    expected = [e.cold["losses"] for e in entrants if not e.skipped][-1:]
    return [entrant.row(expected[0] if expected else [], NET_TOLERANCE) for entrant in entrants]


def cells(name: str, rows: list[Row]) -> list[str]:
    """A script's line of the table."""
    skipped = " ".join(row.skipped for row in rows if row.skipped)
    if skipped:
        return [name, skipped, *[""] * 6]
    anode, tensorflow = rows
    return [
        name,
        f"{anode.step_s * 1e3:.3f}",
        f"{tensorflow.step_s * 1e3:.3f}",
        f"{tensorflow.ratio(anode):.2f}",
        f"{anode.spread:.0%}, {tensorflow.spread:.0%}",
        f"{anode.first_cold_s:.2f}, {anode.first_warm_s:.2f}",
        f"{tensorflow.first_cold_s:.2f}",
        "WRONG" if anode.wrong else "agree",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tensorflow1", description=__doc__)
    parser.add_argument("scripts", nargs="*", default=list(SCRIPTS), help=", ".join(SCRIPTS))
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    pythons: dict[Contestant, Path] = {c: prepare(c) for c in TENSORFLOW1}
    effort = Effort(rounds=options.rounds)
    head = ["script", "anode ms", "TensorFlow ms", "×", "spread", "first cold, warm s"]
    rows = []
    for name in options.scripts:
        rows.append(cells(name, measured(name, pythons, effort)))
        print(f"{name}: {' '.join(rows[-1][1:4])}  load {os.getloadavg()[0]:.1f}", flush=True)
    print(table([*head, "TensorFlow's first s", "losses"], rows))
    print(table(["three lines", "wall s", "CPU s"], start_rows(pythons, 7)))


if __name__ == "__main__":
    main()

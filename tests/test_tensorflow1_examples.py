"""The TensorFlow-1 examples run by `anode run`; what they learn is in docs/tensorflow1.md."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.tensorflow1 import SCRIPTS, batch

EXAMPLES = Path(__file__).parent.parent / "examples" / "tensorflow1"
SMALL = ("--topologies=8-6", "--components=12", "--quick", "--epochs=1", "--folder=out")


@pytest.fixture
def run(tmp_path):
    """Run an example by `anode run` in an empty folder; gives what it printed."""

    def output(name, *arguments):
        command = [sys.executable, "-m", "anode.cli", "run", str(EXAMPLES / f"{name}.py")]
        done = subprocess.run(
            [*command, f"--data_dir={tmp_path}/mnist", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(EXAMPLES.parent.parent), "ANODE_THREADS": "1"},
            capture_output=True,
            text=True,
        )
        assert not done.returncode, done.stderr
        return done.stdout

    return output


def accuracy(output):
    return float(re.search(r"test accuracy ([\d.]+) %", output.splitlines()[-1])[1])


def test_mnist_mlp(run):
    assert accuracy(run("mnist_mlp", "--epochs=1")) > 93


def test_digits(run, tmp_path):
    pytest.importorskip("matplotlib")
    output = run("digits", "--epochs=1", "--folder=out")
    assert float(re.search(r"test accuracy ([\d.]+) %", output)[1]) > 92
    for name in ("right", "wrong"):
        assert (tmp_path / "out" / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_two_layers_restores_what_it_saved(run, tmp_path):
    arguments = "--hidden1=16", "--hidden2=8", "--activation=elu", "--batch_norm", "--folder=out"
    trained = accuracy(run("two_layers", *arguments, "--epochs=1"))
    assert trained > 80
    assert accuracy(run("two_layers", *arguments, "--restore")) == trained
    folder = tmp_path / "out" / "784-16-8-10-elu-bn"
    (events,) = folder.glob("events.out.tfevents.*")
    assert b"accuracy-784-16-8-10-elu-bn" in events.read_bytes()


def test_study_goes_on_where_it_stopped(run, tmp_path):
    pytest.importorskip("matplotlib")
    pytest.importorskip("sklearn")
    done = [f"{n}-8-6-10-{kind}" for n in (784, 12) for kind in ("relu", "elu", "elu-bn")]
    last = done.pop()
    (tmp_path / "out").mkdir()
    with (tmp_path / "out" / "results.csv").open("w") as file:
        csv.writer(file).writerows(
            [["network", "epoch", "seconds", "accuracy"], *([name, 1, 2.0, 0.5] for name in done)]
        )
    output = run("study", *SMALL)
    trained = [line.split(":")[0] for line in output.splitlines() if "s, test accuracy" in line]
    assert trained == [last]
    with (tmp_path / "out" / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["network"] for row in rows] == [*done, last]
    assert [float(row["accuracy"]) for row in rows[:5]] == [0.5] * 5
    assert {path.name for path in (tmp_path / "out").glob("*.png")} == {
        "8-6-epochs.png",
        "8-6-time.png",
    }


@pytest.mark.parametrize("name", SCRIPTS)
def test_benchmarked_graphs_train(name):
    """The graphs that are timed learn their one minibatch."""
    from anode.frontends.tensorflow.modules import tensorflow as tf

    images, labels = batch(name)
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(0)
        graph = SCRIPTS[name].build(tf)
        session.run(tf.global_variables_initializer())
        feeds = {graph.images: images[:16], graph.labels: labels[:16]}
        before = session.run(graph.loss, feeds)
        for _ in range(3):
            session.run(graph.train, feeds)
        assert session.run(graph.loss, feeds) < before

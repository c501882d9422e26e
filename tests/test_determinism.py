"""Training gives the same bits: for any number of threads, in any process, killed or not."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from anode import layers as nn
from anode.data.batches import Batches
from tests.backends.process import ROOT, environment, run_python

EPOCHS, ROWS, BATCH = 3, 90, 8
TRAIN = "from tests.test_determinism import train; print(train({arguments}))"


class Announce(nn.Callback):
    """Prints a line after every minibatch, for the process that will kill this one."""

    def on_minibatch_end(self, run: object) -> None:
        print("minibatch", flush=True)


def data() -> Batches:
    random = np.random.RandomState(0)
    x = random.randn(ROWS, 12).astype(np.float32)
    y = (x[:, :4] @ random.randn(4, 3)).argmax(1)
    return Batches((x, y), BATCH, seed=5)


def network(threads: int) -> nn.Model:
    return nn.Model(
        [
            nn.Affine(24, bias=0.0, activation=nn.Rectlin()),
            nn.BatchNorm(),
            nn.Dropout(0.8),
            nn.Affine(3, bias=0.0, activation=nn.Softmax()),
        ],
        seed=11,
        backend="cpu",
        threads=threads,
    )


def train(threads: int, path: str | None = None, announce: bool = False) -> str:
    """The hash of everything that training leaves; goes on where the checkpoint at `path` is."""
    model = network(threads)
    callbacks: list[nn.Callback] = [Announce()] if announce else []
    if path is not None:
        if Path(path).exists():
            model.load(path)
        callbacks.append(nn.Checkpoint(path, minibatches=3))
    history = model.fit(data(), nn.CrossEntropyMulti(), nn.Adam(0.01), EPOCHS, callbacks)
    digest = hashlib.sha256(repr((history.costs, history.epochs)).encode())
    for variable, array in sorted(model.state.items(), key=lambda item: item[0].name):
        digest.update(variable.name.encode() + array.tobytes())
    digest.update(model.get_outputs(data()).tobytes())
    return digest.hexdigest()


@pytest.fixture(scope="module")
def expected() -> str:
    return train(1)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_any_number_of_threads_any_number_of_times(expected, threads):
    assert train(threads) == expected


def step(layers: list[object], threads: int) -> list[bytes]:
    """All that a training step on images leaves."""
    random = np.random.RandomState(1)
    images, labels = random.randn(16, 15, 14, 16).astype(np.float32), random.randint(0, 9, 16)
    model = nn.Model(layers, seed=3, backend="cpu", threads=threads)
    cost = model.training_step(nn.CrossEntropyMulti(), nn.GradientDescentMomentum(0.1, 0.9))
    costs = [cost(images, labels.astype(np.int32)).tobytes() for _ in range(2)]
    return [*costs, *[np.asarray(array).tobytes() for array in model.state.values()]]


@pytest.mark.parametrize(
    ("size", "filters", "groups"), [(3, 16, 16), (3, 48, 1), (3, 32, 1), (7, 48, 1), (1, 24, 1)]
)
def test_convolutions_by_any_number_of_threads(size, filters, groups):
    def layers() -> list[object]:
        first = nn.Conv((size, size, filters), groups=groups, batch_norm=True, activation=nn.Tanh())
        second = nn.Conv((3, 3, filters), padding=1, strides=2, batch_norm=True)
        third = nn.Conv((3, 3, filters), padding=1, bias=0.1)
        return [first, second, third, nn.Affine(9, bias=0.0, activation=nn.Softmax())]

    one = step(layers(), 1)
    assert one == step(layers(), 2) == step(layers(), 3)


def test_a_checkpoint_changes_nothing(expected, tmp_path):
    assert train(2, str(tmp_path / "c")) == expected
    assert (tmp_path / "c").exists()


def test_fresh_processes_with_and_without_cached_code(expected, tmp_path):
    script = TRAIN.format(arguments="2")
    caches = (str(tmp_path / "c"), str(tmp_path / "c"), "off")
    seeds = ("1", "2", "3")
    found = [
        run_python(script, ANODE_CACHE=where, PYTHONHASHSEED=seed)
        for where, seed in zip(caches, seeds, strict=True)
    ]
    assert found == [f"{expected}\n"] * 3


@pytest.mark.parametrize("after", [1, 7, 13, 25], ids="after {} minibatches".format)
def test_killed_and_resumed(expected, tmp_path, after):
    """Killed before the first checkpoint, within an epoch, and in later ones."""
    path = str(tmp_path / "c")
    assert after < EPOCHS * (ROWS // BATCH)
    train_and_kill(path, after)
    assert train(2, path) == expected


def test_killed_again_and_again(expected, tmp_path):
    """At any moment, while a checkpoint is being written too."""
    path, random = str(tmp_path / "c"), np.random.RandomState(0)
    for _ in range(4):
        train_and_kill(path, random.randint(2, 7), random.rand() * 0.003)
    assert train(1, path) == expected


def train_and_kill(path: str, minibatches: int, seconds: float = 0.0) -> None:
    """Train in another process; kill it so long after so many minibatches, if it still runs."""
    script = TRAIN.format(arguments=f"2, {path!r}, True")
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, env=environment(), stdout=subprocess.PIPE
    )
    with process, process.stdout as lines:
        for _ in range(minibatches):
            assert lines.readline() == b"minibatch\n"
        time.sleep(seconds)
        process.kill()

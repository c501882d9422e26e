"""A process killed while it saves loses nothing of what was saved before."""

import os
import subprocess
import sys
import time
from textwrap import dedent

import pytest

from tests.backends.process import ROOT, environment


class Killed(BaseException):
    """The process ended: from here on no file changes."""


@pytest.fixture
def killed_before(monkeypatch):
    """Let the calls that move and delete files go through a number of times, and no more."""
    left = [10**9]

    def counted(real):
        def call(*args, **kwargs):
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return real(*args, **kwargs)

        return call

    for name in ("replace", "link", "unlink", "remove"):
        monkeypatch.setattr(os, name, counted(getattr(os, name)))
    return lambda count: left.__setitem__(0, count)


@pytest.mark.parametrize("steps", [False, True], ids=["over the last one", "a name for each"])
def test_killed_between_any_two_changes_of_files(tf, tmp_path, killed_before, steps):
    a, b = tf.Variable([0.0] * 50, name="a"), tf.Variable(0, name="b")
    advance = tf.group(tf.assign_add(a, [1.0] * 50), tf.assign_add(b, 1))
    ended = kills = 0
    while not ended:
        folder = tmp_path / str(kills)
        folder.mkdir()
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            saver = tf.train.Saver(max_to_keep=1)
            for step in (1, 2):
                session.run(advance)
                killed_before(kills if step == 2 else 10**9)
                try:
                    saver.save(session, str(folder / "m"), step if steps else None)
                    ended = step == 2
                except Killed:
                    kills += 1
        killed_before(10**9)
        check(tf, folder, {2} if ended else {1, 2})
    assert kills >= 5


def check(tf, folder, allowed):
    """What is found in the folder is one whole checkpoint with its graph."""
    latest = tf.train.latest_checkpoint(str(folder))
    with tf.Graph().as_default(), tf.Session() as session:
        tf.train.import_meta_graph(f"{latest}.meta").restore(session, latest)
        a, b = session.run(["a:0", "b:0"])
    assert int(b) in allowed and set(a.tolist()) == {float(b)}


SCRIPT = """
    import sys
    import anode.compat
    anode.compat.install("tensorflow")
    import tensorflow as tf
    a, b = tf.Variable(tf.zeros([400000]), name="a"), tf.Variable(0, name="b")
    advance = tf.group(tf.assign_add(a, tf.ones([400000])), tf.assign_add(b, 1))
    saver = tf.train.Saver(max_to_keep=2)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        while True:
            session.run(advance)
            step = session.run(b)
            saver.save(session, sys.argv[1] + "/m", None if sys.argv[2] == "0" else step)
            print(step, flush=True)
"""


@pytest.mark.parametrize("steps", ["0", "1"], ids=["over the last one", "a name for each"])
def test_killed_at_some_moment(tf, tmp_path, steps):
    command = [sys.executable, "-c", dedent(SCRIPT), str(tmp_path), steps]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True
    ) as process:
        saved = [int(process.stdout.readline()) for _ in range(8)][-1]
        time.sleep(0.004)
        process.kill()
        saved = max([saved, *map(int, process.stdout.read().split())])
    check(tf, tmp_path, {saved, saved + 1})

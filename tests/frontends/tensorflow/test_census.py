"""The census of what TensorFlow-1 code uses: the command runs; what is served does not shrink."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from anode.frontends.tensorflow.opdef import renamed
from benchmarks import script_symbols, served, tensorflow1_census

SCRIPT = """
import tensorflow as tf
from tensorflow.contrib import rnn
slim = tf.contrib.slim
with tf.Session() as session:
    session.run(slim.flatten(tf.placeholder(tf.float32, shape=[1, 2], nmae="x")))
    session.rnu(rnn.NoSuchCell(3))
tf.app.flags.FLAGS.anything.at_all
"""


def test_a_script_names_what_is_missing() -> None:
    reader = script_symbols.read(script_symbols.Source("script.py", SCRIPT))
    assert reader is not None
    assert reader.gaps == {
        "tf.placeholder(nmae=): no such keyword",
        "Session.rnu: no such member",
        "tf.contrib.rnn.NoSuchCell: not in TensorFlow 1.15",
    }


def test_a_notebook_with_magics() -> None:
    cell = '{"cell_type": "code", "source": ["%matplotlib inline\\n", "import tensorflow as tf"]}'
    text = script_symbols._cells(f'{{"cells": [{cell}]}}')
    assert text == "pass\nimport tensorflow as tf"


def _refuses(given: int, option: bool = False, unread: int = 0) -> int:
    if option:
        raise NotImplementedError("option")
    return given


@renamed(before="now")
def _renamed(now: int) -> int:
    return now


def _stub(x: int) -> int:
    """Not supported."""
    raise NotImplementedError


def test_what_counts_as_served(monkeypatch: pytest.MonkeyPatch) -> None:
    assert served.only_raises(_stub)
    assert not served.only_raises(_refuses)
    things = {"tf.a": _refuses, "tf.b": _renamed}
    monkeypatch.setattr(served, "resolved", things.__getitem__)
    gaps = [served.keyword_gap("tf.a", k) for k in ("given", "option", "unread", "other")]
    assert gaps == [None, "raises by name", "taken and not read", "no such keyword"]
    assert served.keyword_gap("tf.b", "before") is None


def test_bounds() -> None:
    use = tensorflow1_census.Use
    uses = [
        use(10, 257, "symbol", "tf.keras.layers.A", "not there"),
        use(10, 128, "symbol", "tf.keras.B", "not there"),
        use(10, 128, "symbol", "tf.contrib.learn.C", "only raises"),
        use(10, 900, "symbol", "tf.D"),
    ]
    low, middle, high = tensorflow1_census.complete(uses)
    assert (round(low, 2), round(middle, 2), round(high, 2)) == (0.6, 0.7, 0.8)


@pytest.mark.skipif(not tensorflow1_census.TABLES.is_dir(), reason="the tables are not here")
def test_the_command_and_a_floor() -> None:
    root = Path(__file__).resolve().parents[3]
    command = [sys.executable, "-m", "benchmarks.tensorflow1_census", "--shown", "3"]
    ran = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert "runnable files complete, of 1285" in ran.stdout
    estimates = re.search(r"by symbols +([\d.]+)% +([\d.]+)%", ran.stdout)
    assert estimates is not None
    assert float(estimates[2]) >= 85

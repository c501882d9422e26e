"""The report of a script's sessions: rows per stage, totals, what ran on the host."""

import pytest

from anode.frontends.tensorflow import report
from anode.frontends.tensorflow.modules import tensorflow as tf
from anode.frontends.tensorflow.plan import Plan


@pytest.fixture
def recording():
    report.start()
    yield
    Plan.kept = None


def test_nothing_ran(recording):
    assert report.report() == ""


def test_rows(recording):
    with tf.Graph().as_default(), tf.Session() as session:
        x = tf.placeholder(tf.float32, [None, 3], name="x")
        total = tf.reduce_sum(tf.exp(x), name="total")
        text = tf.as_string(total, name="text")
        for size in (2, 4, 4):
            session.run(text, {x: [[1.0, 2.0, 3.0]] * size})
    lines = report.report().splitlines()  # the first is blank
    rows = {line.split()[-1]: line.split() for line in lines[1:]}
    assert rows["total"][1:3] == ["reference", "3"] and rows["text"][1:3] == ["host", "3"]
    assert lines[-1] == "on the host: AsString 3x"
    assert "host" in lines[1] and "reference" in lines[1]

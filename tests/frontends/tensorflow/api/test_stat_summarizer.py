"""tf.contrib.stat_summarizer on the times of runs."""

from __future__ import annotations

from anode.frontends.tensorflow.modules import tensorflow as tf


def test_runs_are_added_up() -> None:
    stats = tf.contrib.stat_summarizer.NewStatSummarizer(b"")
    run = tf.RunMetadata()
    device = run.step_stats.dev_stats.add(device="/cpu:0")
    device.node_stats.add(node_name="MatMul", all_end_rel_micros=3000)
    device.node_stats.add(node_name="Add", all_end_rel_micros=1000)
    for _ in range(2):
        stats.ProcessStepStatsStr(run.step_stats.SerializeToString())
    _, first, second, total, _ = stats.GetOutputString().split("\n")
    assert first.split() == ["3.000", "75.00", "2", "MatMul"]
    assert second.split() == ["1.000", "25.00", "2", "Add"]
    assert total.split() == ["4.000", "ms", "in", "2", "runs", "on", "average"]


def test_a_real_run() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        metadata = tf.RunMetadata()
        with tf.contrib.compiler.jit.experimental_jit_scope():
            y = tf.matmul(tf.ones([2, 2]), tf.random_normal([2, 2]))
        options = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE)
        session.run(y, options=options, run_metadata=metadata)
    stats = tf.contrib.stat_summarizer.NewStatSummarizer(None)
    stats.ProcessStepStats(metadata.step_stats)
    assert "1 runs on average" in stats.GetOutputString()

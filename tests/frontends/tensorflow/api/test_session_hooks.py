"""The less common hooks, the session manager, and waiting for checkpoints."""

import json
import os

import numpy as np
import pytest


@pytest.fixture
def counted(tf):
    step = tf.train.get_or_create_global_step()
    fed = tf.placeholder_with_default(1.0, [])
    return step, tf.assign_add(step, 1), fed


def test_feeds_of_a_hook(tf, counted):
    _, _, fed = counted
    with tf.train.MonitoredSession(hooks=[tf.train.FeedFnHook(lambda: {fed: 7.0})]) as sess:
        assert sess.run(fed) == 7
        with pytest.raises(RuntimeError, match="fed by two hooks"):
            sess.run(fed, {fed: 1.0})


def test_waiting_for_a_step(tf, counted):
    step, count, _ = counted
    scaffold = tf.train.Scaffold(init_fn=lambda _, sess: sess.run(count))
    creator = tf.train.ChiefSessionCreator(scaffold)
    with tf.train.MonitoredSession(creator, [tf.train.GlobalStepWaiterHook(1)]) as sess:
        assert sess.run(step) == 1


def test_timelines(tf, counted, tmp_path):
    _, count, _ = counted
    hook = tf.train.ProfilerHook(save_steps=2, output_dir=str(tmp_path))
    with tf.train.MonitoredSession(hooks=[hook]) as sess:
        for _ in range(4):
            sess.run(count)
    (name, *_) = sorted(os.listdir(tmp_path))
    assert "traceEvents" in json.loads((tmp_path / name).read_text())


def test_steps_in_a_second(tf, counted, tmp_path):
    _, count, _ = counted
    hook = tf.train.StepCounterHook(every_n_steps=2, output_dir=str(tmp_path))
    with tf.train.MonitoredSession(hooks=[hook]) as sess:
        for _ in range(5):
            sess.run(count)
    tf.summary.FileWriterCache.get(str(tmp_path)).flush()
    (path,) = (os.path.join(tmp_path, name) for name in os.listdir(tmp_path))
    tags = [v.tag for e in tf.train.summary_iterator(path) for v in e.summary.value]
    assert tags == ["global_step/sec"] * len(tags) and tags


def test_summaries_of_a_hook(tf, counted, tmp_path):
    _, count, fed = counted
    summary = tf.summary.scalar("fed", fed)
    hook = tf.train.SummarySaverHook(2, output_dir=str(tmp_path), summary_op=summary)
    with tf.train.MonitoredSession(hooks=[hook]) as sess:
        for _ in range(5):
            sess.run(count)
    (path,) = (os.path.join(tmp_path, name) for name in os.listdir(tmp_path))
    events = [e for e in tf.train.summary_iterator(path) if e.summary.value]
    assert [e.step for e in events] == [1, 3, 5]
    with pytest.raises(ValueError, match="Exactly one of"):
        tf.train.SummarySaverHook(2)


def test_a_session_manager(tf, tmp_path):
    w = tf.Variable([1.0], name="w")
    manager = tf.train.SessionManager(ready_op=tf.report_uninitialized_variables())
    saver, folder = tf.train.Saver(), str(tmp_path)
    with pytest.raises(RuntimeError, match="no init_op or init_fn or local_init_op"):
        manager.prepare_session("")
    with manager.prepare_session("", init_op=w.initializer) as sess:
        sess.run(w.assign([5.0]))
        path = saver.save(sess, os.path.join(folder, "m"))
    _, restored = manager.recover_session("", saver, checkpoint_dir=str(tmp_path / "none"))
    assert not restored
    sess, restored = manager.recover_session("", saver, checkpoint_dir=folder)
    assert restored and sess.run(w) == [5]
    with manager.prepare_session("", saver=saver, checkpoint_filename_with_path=path) as sess:
        assert sess.run(w) == [5]
    with pytest.raises(tf.errors.DeadlineExceededError, match="not ready after waiting"):
        manager.wait_for_session("", max_wait_secs=0)


def test_waiting_for_checkpoints(tf, tmp_path):
    wait = tf.contrib.training.wait_for_new_checkpoint
    assert wait(str(tmp_path), seconds_to_sleep=0.01, timeout=0.02) is None
    w = tf.Variable([1.0])
    with tf.Session() as sess:
        sess.run(w.initializer)
        path = tf.train.Saver().save(sess, str(tmp_path / "m"))
    assert wait(str(tmp_path), timeout=0) == path
    assert wait(str(tmp_path), path, seconds_to_sleep=0.01, timeout=0.02) is None
    assert list(tf.train.checkpoints_iterator(str(tmp_path), timeout=0)) == [path]


def test_a_method_of_scipy(tf):
    pytest.importorskip("scipy")
    w = tf.Variable([7.0, 7.0])
    loss = tf.reduce_sum(tf.square(w - [1.0, 2.0]))
    sum_is_four = tf.reduce_sum(w) - 4.0
    interface = tf.contrib.opt.ScipyOptimizerInterface
    with tf.Session() as sess:
        sess.run(w.initializer)
        interface(loss).minimize(sess)
        np.testing.assert_allclose(sess.run(w), [1, 2], atol=1e-4)
        interface(loss, equalities=[sum_is_four], method="SLSQP").minimize(sess)
        np.testing.assert_allclose(sess.run(w), [1.5, 2.5], atol=1e-3)
        interface(loss, var_to_bounds={w: (3.0, np.inf)}).minimize(sess)
        np.testing.assert_allclose(sess.run(w), [3, 3], atol=1e-4)

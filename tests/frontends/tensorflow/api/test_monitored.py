"""Monitored sessions, hooks and the Supervisor: what they do and leave behind."""

import logging
import os

import pytest


@pytest.fixture
def model(tf):
    w = tf.Variable(5.0, name="W")
    loss = tf.square(w, name="loss")
    step = tf.train.get_or_create_global_step()
    train = tf.train.GradientDescentOptimizer(0.1).minimize(loss, global_step=step)
    tf.summary.scalar("l", loss)
    return loss, train, step


def files(folder):
    return {name for name in os.listdir(folder) if not name.startswith("events")}


def test_a_training_session_saves_and_goes_on(tf, model, tmp_path):
    _, train, step = model
    folder = str(tmp_path / "d")
    for last in (3, 5):
        with tf.train.MonitoredTrainingSession(
            checkpoint_dir=folder,
            hooks=[tf.train.StopAtStepHook(last_step=last)],
            save_summaries_steps=2,
            log_step_count_steps=2,
        ) as sess:
            while not sess.should_stop():
                sess.run(train)
    assert tf.train.latest_checkpoint(folder) == os.path.join(folder, "model.ckpt-5")
    assert {"graph.pbtxt", "model.ckpt-0.index", "model.ckpt-3.meta"} <= files(folder)
    assert any(name.startswith("events") for name in os.listdir(folder))
    with tf.train.SingularMonitoredSession(checkpoint_dir=folder) as sess:
        assert sess.raw_session().run(step) == 5


def test_hooks_are_called_in_order(tf, model):
    loss, train, step = model
    calls = []

    class Recorder(tf.train.SessionRunHook):
        def begin(self):
            calls.append("begin")

        def after_create_session(self, session, coord):
            calls.append("created")

        def before_run(self, run_context):
            return tf.train.SessionRunArgs({"l": loss})

        def after_run(self, run_context, run_values):
            calls.append(float(run_values.results["l"]))
            run_context.request_stop()

        def end(self, session):
            calls.append(int(session.run(step)))

    with tf.train.MonitoredSession(hooks=[Recorder()]) as sess:
        sess.run(train)
        assert sess.should_stop()
        with pytest.raises(RuntimeError, match="after should_stop"):
            sess.run(train)
    assert calls == ["begin", "created", 25.0, 1]


def test_the_end_of_input_is_a_clean_end(tf, model):
    with tf.train.SingularMonitoredSession() as sess:
        assert sess.graph is tf.get_default_graph()
        raise tf.errors.OutOfRangeError(None, None, "no more")
    assert sess.should_stop()


def test_other_errors_are_raised(tf, model):
    final = tf.train.FinalOpsHook(model[0])
    with (
        pytest.raises(ZeroDivisionError),
        tf.train.SingularMonitoredSession(hooks=[final]),
    ):
        raise ZeroDivisionError
    assert final.final_ops_values is None


def test_logged_tensors(tf, model, caplog):
    hook = tf.train.LoggingTensorHook(["loss"], every_n_iter=2, at_end=True)
    formatted = tf.train.LoggingTensorHook(
        {"a": model[0]}, at_end=True, formatter=lambda values: f"<{values['a']}>"
    )
    with caplog.at_level(logging.INFO, "tensorflow"):
        logging.getLogger("tensorflow").addHandler(caplog.handler)
        with tf.train.MonitoredSession(hooks=[hook, formatted]) as sess:
            for _ in range(3):
                sess.run(model[1])
        logging.getLogger("tensorflow").removeHandler(caplog.handler)
    messages = list(dict.fromkeys(record.getMessage() for record in caplog.records))
    assert "loss = 25.0" in messages
    assert any(text.startswith("loss = 10.2400") for text in messages)
    assert any(text.startswith("<6.55") for text in messages)


def test_not_a_number_stops(tf, model):
    bad = tf.constant(float("nan"))
    with (
        pytest.raises(tf.train.NanLossDuringTrainingError),
        tf.train.MonitoredSession(hooks=[tf.train.NanTensorHook(bad)]) as sess,
    ):
        sess.run(model[1])


def test_a_step_function(tf, model):
    _, train, step = model
    with tf.train.MonitoredSession() as sess:
        found = sess.run_step_fn(lambda step_context: step_context.session.run(step))
        assert found == 0
        sess.run_step_fn(lambda step_context: step_context.run_with_hooks(train))
        assert sess.run(step) == 1


def test_a_scaffold_that_does_not_initialise(tf, model):
    creator = tf.train.ChiefSessionCreator(scaffold=tf.train.Scaffold(init_op=tf.no_op()))
    with pytest.raises(RuntimeError, match="Variables not initialized: W, global_step"):
        tf.train.MonitoredSession(creator)


def test_a_scaffold_with_an_init_function(tf, model):
    ran = []
    scaffold = tf.train.Scaffold(init_fn=lambda scaffold, sess: ran.append(sess))
    with tf.train.SingularMonitoredSession(scaffold=scaffold) as sess:
        assert ran == [sess.raw_session()]


def test_listeners_and_timers(tf, model, tmp_path):
    calls = []

    class Listener(tf.train.CheckpointSaverListener):
        def before_save(self, session, global_step_value):
            calls.append(global_step_value)

        def after_save(self, session, global_step_value):
            return global_step_value >= 2

    hook = tf.train.CheckpointSaverHook(
        str(tmp_path), save_steps=2, saver=tf.train.Saver(), listeners=[Listener()]
    )
    with tf.train.MonitoredSession(hooks=[hook]) as sess:
        while not sess.should_stop():
            sess.run(model[1])
    assert calls == [0, 2]
    timer = tf.train.SecondOrStepTimer(every_steps=2)
    assert timer.should_trigger_for_step(0)
    timer.update_last_triggered_step(0)
    assert not timer.should_trigger_for_step(1) and timer.should_trigger_for_step(2)


def test_a_supervisor(tf, model, tmp_path):
    _, train, step = model
    folder = str(tmp_path / "sv")
    supervisor = tf.train.Supervisor(logdir=folder, save_model_secs=600)
    with supervisor.managed_session() as sess:
        for _ in range(3):
            sess.run(train)
        supervisor.saver.save(sess, supervisor.save_path, global_step=supervisor.global_step)
        assert not supervisor.should_stop()
    assert supervisor.should_stop()
    assert {"graph.pbtxt", "model.ckpt-3.index"} <= files(folder)
    with supervisor.managed_session(start_standard_services=False) as sess:
        assert sess.run(step) == 3


def test_a_supervisor_raises_what_went_wrong(tf, model):
    supervisor = tf.train.Supervisor()
    with pytest.raises(ZeroDivisionError), supervisor.managed_session():
        raise ZeroDivisionError


def test_clusters_are_refused(tf, model):
    with pytest.raises(NotImplementedError, match="one process"):
        tf.train.MonitoredTrainingSession(is_chief=False)
    with pytest.raises(NotImplementedError, match="one process"):
        tf.train.Supervisor(is_chief=False)
    with pytest.raises(NotImplementedError, match="WorkerSessionCreator"):
        tf.train.WorkerSessionCreator()

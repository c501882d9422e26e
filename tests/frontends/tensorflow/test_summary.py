"""tf.summary: names and tags as TensorFlow gives them, and files that read back."""

import warnings

import numpy as np
import pytest

from anode.frontends.tensorflow.formats import proto, text
from anode.frontends.tensorflow.formats.events import read_run


def summary_of(tf, tensor, feeds=None):
    with tf.Session() as session:
        return proto.Summary.FromString(session.run(tensor, feeds))


def test_names_and_tags(tf):
    x = tf.placeholder(tf.float32, [None], name="x")
    with tf.name_scope("layer"):
        loss = tf.summary.scalar("loss", tf.reduce_mean(x))
        again = tf.summary.histogram("x", x)
        family = tf.summary.histogram("x", x, family="fam")
        odd = tf.summary.histogram("bad name!", x)
    merged = tf.summary.merge_all()
    names = [t.name for t in (loss, again, family, odd, merged)]
    assert names == [
        "layer/loss:0",
        "layer/x:0",
        "layer/fam/x:0",
        "layer/bad_name_:0",
        "Merge/MergeSummary:0",
    ]
    found = summary_of(tf, merged, {x: [1.0, 2.0]})
    tags = ["layer/loss", "layer/x", "fam/layer/fam/x", "layer/bad_name_"]
    assert [value.tag for value in found.value] == tags
    assert found.value[0].simple_value == 1.5 and found.value[1].histo.num == 2
    assert loss.op.inputs[0].name == "layer/loss/tags:0"


def test_every_kind(tf):
    image = tf.summary.image("im", tf.ones([2, 4, 5, 3]), max_outputs=2)
    audio = tf.summary.audio("snd", tf.zeros([1, 10, 2]), 8000, max_outputs=1)
    note = tf.summary.text("note", tf.constant("**hi**"))
    whole = tf.summary.tensor_summary("whole", tf.constant([1.0, 2.0]), display_name="Whole")
    found = summary_of(tf, tf.summary.merge([image, audio, note, whole])).value
    assert [v.tag for v in found] == ["im/image/0", "im/image/1", "snd/audio", "note", "whole"]
    assert (found[0].image.height, found[0].image.width, found[0].image.colorspace) == (4, 5, 3)
    assert found[2].audio.sample_rate == 8000 and found[2].audio.content_type == "audio/wav"
    assert found[3].metadata.plugin_data.plugin_name == "text"
    assert found[3].tensor.string_val == [b"**hi**"]
    assert found[4].metadata.display_name == "Whole"
    with pytest.raises(ValueError, match="dtype string"):
        tf.summary.text("t", tf.constant(1.0))


def test_collections(tf):
    assert tf.summary.merge_all() is None
    mine = tf.summary.scalar("a", 1.0, collections=["mine"])
    assert tf.summary.merge_all() is None and tf.get_collection("mine") == [mine]
    assert tf.summary.merge_all("mine").op.inputs[0] is mine


def test_mistakes(tf):
    twice = tf.scalar_summary("same", 1.0), tf.scalar_summary("same", 2.0)
    nan = tf.summary.histogram("h", [float("nan")])
    with tf.Session() as session:
        with pytest.raises(tf.errors.InvalidArgumentError, match="Duplicate tag same"):
            session.run(tf.summary.merge(twice))
        with pytest.raises(tf.errors.InvalidArgumentError, match="Nan in summary histogram"):
            session.run(nan)


def test_names_before_version_1(tf):
    tags = tf.scalar_summary(["a", "b"], [1.0, 2.0])
    values = summary_of(tf, tags).value
    assert [(v.tag, v.simple_value) for v in values] == [("a", 1.0), ("b", 2.0)]
    tf.histogram_summary("h", [1.0])
    tf.image_summary("i", tf.ones([1, 2, 2, 1]), max_images=1)
    assert len(summary_of(tf, tf.merge_all_summaries()).value) == 4


def test_file_writer(tf, tmp_path):
    x = tf.placeholder(tf.float32, [], name="x")
    loss = tf.summary.scalar("loss", x)
    folder = str(tmp_path / "logs" / "run")
    writer = tf.summary.FileWriter(folder, tf.get_default_graph())
    with tf.Session() as session:
        for step in range(3):
            writer.add_summary(session.run(loss, {x: step / 2}), np.int64(step))
    metadata = tf.RunMetadata()
    metadata.step_stats.dev_stats.add(device="/cpu:0")
    writer.add_run_metadata(metadata, "step2", 2)
    with pytest.raises(ValueError, match="already used"):
        writer.add_run_metadata(metadata, "step2", 3)
    writer.add_session_log(tf.SessionLog(status=tf.SessionLog.START), 1)
    writer.add_summary(tf.Summary(value=[tf.Summary.Value(tag="mine", simple_value=3)]), 7)
    writer.flush()
    assert writer.get_logdir() == folder
    events = list(read_run(folder))
    kinds = [event.WhichOneof("what") for event in events]
    assert kinds == [
        "file_version",
        "graph_def",
        "meta_graph_def",
        *["summary"] * 3,
        "tagged_run_metadata",
        "session_log",
        "summary",
    ]
    assert [e.summary.value[0].simple_value for e in events[3:6]] == [0.0, 0.5, 1.0]
    assert [e.step for e in events[3:]] == [0, 1, 2, 2, 1, 7]
    graph = proto.GraphDef.FromString(events[1].graph_def)
    assert [node.name for node in graph.node] == ["x", "loss/tags", "loss"]
    writer.close()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        writer.add_summary(tf.Summary(), 8)
    assert "closed FileWriter" in str(caught[0].message)
    assert len(list(read_run(folder))) == len(events)
    with pytest.raises(TypeError, match="Graph"):
        writer.add_graph("graph")


def test_metadata_is_written_once(tf, tmp_path):
    note = tf.summary.text("note", tf.constant("a"))
    with tf.Session() as session, tf.summary.FileWriter(str(tmp_path)) as writer:
        for step in range(2):
            writer.add_summary(session.run(note), step)
    first, second = [e.summary.value[0] for e in read_run(tmp_path) if e.HasField("summary")]
    assert first.HasField("metadata") and not second.HasField("metadata")


def test_writer_cache(tf, tmp_path):
    writer = tf.summary.FileWriterCache.get(str(tmp_path))
    assert tf.summary.FileWriterCache.get(str(tmp_path)) is writer
    tf.summary.FileWriterCache.clear()
    assert tf.summary.FileWriterCache.get(str(tmp_path)) is not writer
    tf.summary.FileWriterCache.clear()


def test_summary_iterator(tf, tmp_path):
    with tf.summary.FileWriter(str(tmp_path)) as writer:
        writer.add_summary(tf.Summary(value=[{"tag": "a", "simple_value": 2}]), 1)
    (path,) = tmp_path.iterdir()
    assert [event.step for event in tf.train.summary_iterator(str(path))] == [0, 1]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(tf.errors.DataLossError, match="truncated record"):
        list(tf.train.summary_iterator(str(path)))


def test_projector(tf, tmp_path):
    from tensorflow.contrib.tensorboard.plugins import projector

    config = projector.ProjectorConfig()
    embedding = config.embeddings.add()
    embedding.tensor_name = "W:0"
    embedding.metadata_path = "labels.tsv"
    embedding.sprite.single_image_dim.extend([28, 28])
    with tf.summary.FileWriter(str(tmp_path)) as writer:
        projector.visualize_embeddings(writer, config)
    written = (tmp_path / "projector_config.pbtxt").read_text()
    assert text.Merge(written, proto.ProjectorConfig()) == config
    assert written.startswith('embeddings {\n  tensor_name: "W:0"\n')


def test_contrib_summary(tf, tmp_path):
    summary = tf.contrib.summary
    step = tf.train.get_or_create_global_step()
    advance = tf.assign_add(step, 1)
    assert summary.scalar("no_writer", 1.0).type == "NoOp"
    writer = summary.create_file_writer(str(tmp_path), flush_millis=10000)
    with writer.as_default(), summary.always_record_summaries():
        summary.scalar("loss", tf.cast(step, tf.float32) / 2.0)
        summary.histogram("h", [1.0, 2.0], step=7)
    with writer.as_default(), summary.record_summaries_every_n_global_steps(2):
        summary.scalar("seldom", 3.0)
        with summary.never_record_summaries():
            assert summary.scalar("never", 1.0).type == "NoOp"
    assert len(summary.all_summary_ops()) == 3
    with tf.Session() as session, writer.as_default():
        session.run(tf.global_variables_initializer())
        summary.initialize(graph=tf.get_default_graph(), session=session)
        for _ in range(3):
            session.run(summary.all_summary_ops())
            session.run(advance)
    events = list(read_run(tmp_path))
    assert [e.WhichOneof("what") for e in events[:2]] == ["file_version", "graph_def"]
    found = sorted((v.tag, e.step, v.simple_value) for e in events[2:] for v in e.summary.value)
    assert found == [
        *[("h", 7, 0.0)] * 3,
        *[("loss", i, i / 2) for i in range(3)],
        ("seldom", 0, 3.0),
        ("seldom", 2, 3.0),
    ]


def test_event_file_writer(tf, tmp_path):
    from tensorflow.python.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(tmp_path))
    writer.add_event(tf.Event(step=3))
    writer.close()
    writer.add_event(tf.Event(step=4))
    assert [event.step for event in read_run(tmp_path)] == [0, 3]

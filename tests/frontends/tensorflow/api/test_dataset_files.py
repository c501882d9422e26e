"""Records of files against what TensorFlow 1.15 gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from anode.frontends.tensorflow.modules import tensorflow as tf

IN_TURN = {
    None: "a0 a1 a2 b0 c0 c1 c2 c3",
    1: "a0 a1 a2 b0 c0 c1 c2 c3",
    2: "a0 b0 a1 a2 c0 c1 c2 c3",
    3: "a0 b0 c0 a1 c1 a2 c2 c3",
    5: "a0 b0 c0 a1 c1 a2 c2 c3",
}


def drained(dataset: Any) -> str:
    following = dataset.make_one_shot_iterator().get_next()
    found = []
    with tf.Session() as session:
        try:
            while True:
                found.append(session.run(following).decode())
        except tf.errors.OutOfRangeError:
            return " ".join(found)


@pytest.mark.parametrize("reads", IN_TURN)
def test_files_in_turn(tmp_path: Path, reads: int | None) -> None:
    files = [str(tmp_path / name) for name in "abc"]
    for file, count in zip(files, (3, 1, 4), strict=True):
        with tf.python_io.TFRecordWriter(file) as records:
            for i in range(count):
                records.write(f"{file[-1]}{i}".encode())
    with tf.Graph().as_default():
        dataset = tf.data.TFRecordDataset(files, num_parallel_reads=reads)
        assert drained(dataset) == IN_TURN[reads]
        names = tf.data.Dataset.from_tensor_slices(files)
        assert drained(tf.data.TFRecordDataset(names, num_parallel_reads=reads)) == IN_TURN[reads]


def test_text_lines_of_a_data_set_of_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1\n2\n")
    (tmp_path / "b").write_text("3\n")
    with tf.Graph().as_default():
        names = tf.data.Dataset.from_tensor_slices([str(tmp_path / "a"), str(tmp_path / "b")])
        assert drained(tf.data.TextLineDataset(names)) == "1 2 3"
        fixed = tf.data.FixedLengthRecordDataset(names, 1, footer_bytes=1, num_parallel_reads=2)
        assert drained(fixed) == "1 3 \n 2"


def test_events_writer(tmp_path: Path) -> None:
    writer = tf.python.pywrap_tensorflow.EventsWriter(str(tmp_path / "ev").encode())
    name = writer.FileName().decode()
    assert Path(name).name.startswith("ev.out.tfevents.")
    writer.WriteEvent(tf.Event(step=3, wall_time=1.0))
    writer.Flush()
    assert [event.step for event in tf.train.summary_iterator(name)] == [0, 3]
    writer.Close()


def test_op_def_library() -> None:
    ops = tf.python.framework.op_def_library.OpDefLibrary()
    with tf.Graph().as_default(), tf.Session() as session:
        sum = ops.apply_op("Sum", input=[[1.0, 2.0]], reduction_indices=[1], name="s")
        assert sum.name == "s:0"
        assert session.run(sum) == [3.0]
        tf.python.framework.ops.set_shapes_for_outputs(sum.op)
        assert sum.shape.as_list() == [1]

"""tf.python_io and tf.train.Example: what scripts do to keep data in files."""

import pytest


@pytest.mark.parametrize("kind", ["NONE", "ZLIB", "GZIP"])
def test_examples_in_a_file(tf, tmp_path, kind):
    path = str(tmp_path / "x.tfrecords")
    options = tf.python_io.TFRecordOptions(getattr(tf.python_io.TFRecordCompressionType, kind))
    with tf.python_io.TFRecordWriter(path, options=options) as writer:
        for i in range(3):
            feature = {
                "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[i])),
                "raw": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"x" * i])),
            }
            example = tf.train.Example(features=tf.train.Features(feature=feature))
            writer.write(example.SerializeToString())
    found = []
    for record in tf.python_io.tf_record_iterator(path, options):
        example = tf.train.Example()
        example.ParseFromString(record)
        feature = example.features.feature
        found.append((feature["label"].int64_list.value[0], feature["raw"].bytes_list.value[0]))
    assert found == [(0, b""), (1, b"x"), (2, b"xx")]


def test_mistakes(tf, tmp_path):
    with pytest.raises(tf.errors.NotFoundError):
        list(tf.python_io.tf_record_iterator(str(tmp_path / "none")))
    with pytest.raises(tf.errors.NotFoundError):
        tf.python_io.TFRecordWriter(str(tmp_path / "no" / "folder"))
    with pytest.raises(ValueError, match="Not a valid compression_type"):
        tf.python_io.TFRecordOptions("LZ4")
    writer = tf.python_io.TFRecordWriter(str(tmp_path / "x"))
    with pytest.raises(TypeError, match="bytes"):
        writer.write("text")
    writer.write(b"whole")
    writer.close()
    with pytest.raises(tf.errors.FailedPreconditionError):
        writer.write(b"late")
    (tmp_path / "x").write_bytes((tmp_path / "x").read_bytes()[:-2])
    with pytest.raises(tf.errors.DataLossError, match="truncated record at 0"):
        list(tf.python_io.tf_record_iterator(str(tmp_path / "x")))


def test_messages_by_their_old_modules(tf):
    from tensorflow.core.framework import graph_pb2, types_pb2
    from tensorflow.core.util.event_pb2 import Event

    assert graph_pb2.GraphDef is tf.GraphDef and Event is tf.Event
    assert types_pb2.DT_FLOAT == 1 and types_pb2.DataType.Name(3) == "DT_INT32"
    config = tf.ConfigProto(allow_soft_placement=True)
    config.gpu_options.allow_growth = True
    assert config.gpu_options.allow_growth and not config.log_device_placement

"""slim's data sets: examples in TFRecord files, decoded, provided by queues."""

import numpy as np
import pytest

PIXELS = (np.arange(12) * 20).astype(np.uint8).reshape(2, 2, 3)


@pytest.fixture
def records(tf, tmp_path):
    """A file of three examples with an image, a label and two boxes."""
    path = str(tmp_path / "data.tfrecord")
    with tf.Session() as session:
        image = session.run(tf.image.encode_png(PIXELS))
    with tf.python_io.TFRecordWriter(path) as writer:
        for label in range(3):
            example = tf.train.Example()
            feature = example.features.feature
            feature["image/encoded"].bytes_list.value.append(image)
            feature["image/format"].bytes_list.value.append(b"png")
            feature["label"].int64_list.value.append(label)
            for key in ("ymin", "xmin", "ymax", "xmax"):
                feature[key].float_list.value.extend([0.25, 0.5])
            writer.write(example.SerializeToString())
    return path


def decoder(tf):
    slim = tf.contrib.slim.tfexample_decoder
    features = {
        "image/encoded": tf.FixedLenFeature((), tf.string, default_value=""),
        "image/format": tf.FixedLenFeature((), tf.string, default_value="png"),
        "label": tf.FixedLenFeature([], tf.int64),
        **{key: tf.VarLenFeature(tf.float32) for key in ("ymin", "xmin", "ymax", "xmax")},
    }
    handlers = {
        "image": slim.Image(shape=[2, 2, 3]),
        "label": slim.Tensor("label", shape=[]),
        "box": slim.BoundingBox(),
        "twice": slim.ItemHandlerCallback("label", lambda tensors: tensors["label"] * 2),
        "side": slim.Tensor("xmin", shape=[2, 1]),
    }
    return slim.TFExampleDecoder(features, handlers)


def test_items_come_through_queues(tf, records):
    slim = tf.contrib.slim
    dataset = slim.dataset.Dataset(
        data_sources=[records],
        reader=tf.TFRecordReader,
        decoder=decoder(tf),
        num_samples=3,
        items_to_descriptions={},
        num_classes=10,
    )
    assert dataset.num_classes == 10
    provider = slim.dataset_data_provider.DatasetDataProvider(
        dataset, shuffle=False, num_epochs=1, common_queue_capacity=9, common_queue_min=1
    )
    assert provider.num_samples() == 3
    items = provider.get(["image", "label", "box", "twice", "side", "record_key"])
    assert items[0].shape.as_list() == [2, 2, 3]
    found = []
    with tf.Session() as session:
        session.run(tf.local_variables_initializer())
        with slim.queues.QueueRunners(session), pytest.raises(tf.errors.OutOfRangeError):
            while True:
                found.append(session.run(items))
    assert [int(label) for _, label, *_ in found] == [0, 1, 2]
    image, label, box, twice, side, key = found[1]
    assert (image == PIXELS).all()
    assert twice == 2 * label
    assert box.tolist() == [[0.25] * 4, [0.5] * 4]
    assert side.tolist() == [[0.25], [0.5]]
    assert key.startswith(records.encode() + b":")
    with pytest.raises(ValueError, match=r"Item \[nothing\] is invalid"):
        provider.get(["nothing"])


def test_prefetching_and_files(tf, records):
    slim = tf.contrib.slim
    queue = slim.prefetch_queue.prefetch_queue({"a": tf.constant([1.0, 2.0])}, capacity=2)
    assert queue.name == "prefetch_queue/fifo_queue"
    with tf.Session() as session, slim.queues.QueueRunners(session):
        assert session.run(queue.dequeue())["a"].tolist() == [1, 2]
    assert slim.parallel_reader.get_data_files([records[:-3] + "*"]) == [records]
    with pytest.raises(ValueError, match="No data files"):
        slim.parallel_reader.get_data_files(records + "*x")

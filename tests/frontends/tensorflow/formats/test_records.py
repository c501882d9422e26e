"""Records, event files and what summaries hold, against files of TensorFlow."""

import io
import json
import socket
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anode.errors import DataError
from anode.frontends.tensorflow.formats import media, proto, summaries, tensors
from anode.frontends.tensorflow.formats.events import EventWriter, read_events, read_run
from anode.frontends.tensorflow.formats.records import (
    Compression,
    RecordWriter,
    TruncatedRecord,
    read_records,
)

DATA = Path(__file__).parent / "data"
KINDS = ("", "ZLIB", "GZIP")


@pytest.mark.parametrize("kind", KINDS)
def test_records_of_tensorflow(kind, tmp_path):
    records = [b"x" * i * i for i in range(12)]
    assert list(read_records(DATA / f"records{kind}", Compression(kind))) == records
    with RecordWriter(tmp_path / "ours", Compression(kind)) as writer:
        for record in records:
            writer.write(record)
    assert list(read_records(tmp_path / "ours", Compression(kind))) == records
    if not kind:
        assert (tmp_path / "ours").read_bytes() == (DATA / "records").read_bytes()


def test_damaged_records(tmp_path):
    data, path = (DATA / "records").read_bytes(), tmp_path / "x"
    path.write_bytes(data[:-1])
    found = read_records(path)
    assert [len(next(found)) for _ in range(11)] == [i * i for i in range(11)]
    with pytest.raises(TruncatedRecord, match="truncated record at"):
        next(found)
    for place in (0, 9, 30):  # a length, its checksum, a record
        path.write_bytes(data[:place] + b"\xee" + data[place + 1 :])
        with pytest.raises(DataError, match="corrupted record at"):
            list(read_records(path))
    path.write_bytes(data)
    with pytest.raises(DataError, match="damaged"):
        list(read_records(path, Compression("ZLIB")))
    with pytest.raises(DataError, match="known"):
        Compression("LZ4")


def test_events_of_tensorflow():
    events = list(read_events(DATA / "events"))
    assert [e.WhichOneof("what") for e in events] == [
        "file_version",
        "graph_def",
        "meta_graph_def",
        "summary",
        "summary",
        "summary",
    ]
    assert [e.step for e in events[3:]] == [0, 1, 2]
    assert [round(e.summary.value[0].simple_value, 4) for e in events[3:]] == [1.0, 0.5, 0.3333]
    graph = proto.GraphDef.FromString(events[1].graph_def)
    assert [node.op for node in graph.node] == ["Placeholder", "Const", "ScalarSummary"]


def test_event_writer(tmp_path):
    writer = EventWriter(tmp_path / "run", max_queue=2, filename_suffix=".x")
    assert list((tmp_path / "run").iterdir()) == []

    def write(first):
        for step in range(first, first + 50):
            writer.write(proto.Event(step=step))

    threads = [threading.Thread(target=write, args=(i * 50,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.flush()
    path = Path(writer.path)
    assert path.name.startswith("events.out.tfevents.1") or path.name[20:30].isdigit()
    assert path.name.endswith(f".{socket.gethostname()}.x")
    head, *events = read_events(path)
    assert head.file_version == "brain.Event:2" and head.wall_time > 1e9
    assert sorted(e.step for e in events) == list(range(200))
    writer.close()
    path.write_bytes(path.read_bytes()[:-3])  # as a killed writer leaves it
    assert len(list(read_run(tmp_path / "run"))) == 200
    with pytest.raises(TruncatedRecord):
        list(read_events(path, tolerant=False))


def recorded():
    found = json.loads((DATA / "summaries.json").read_text())
    return {k: bytes.fromhex(v) for k, v in found["summaries"].items()}, found["pixels"]


def test_histograms_are_those_of_tensorflow():
    values = {
        "normal": np.random.default_rng(0).standard_normal(1000).astype(np.float32),
        "wide": np.array([0.0, -1e30, 1e30, 1e-13, 5]),
        "none": np.zeros(0, np.float32),
        "counted": np.arange(70000, dtype=np.int32),
    }
    for name, value in values.items():
        assert summaries.histogram(name, value).SerializeToString() == recorded()[0][name]
    with pytest.raises(DataError, match="Nan in summary histogram for: x"):
        summaries.histogram("x", np.array([np.nan]))


def test_pictures_and_sounds_are_those_of_tensorflow():
    random = np.random.default_rng(0)
    random.standard_normal(1000)
    pictures = random.standard_normal((2, 3, 4, 3)).astype(np.float32)
    pictures[0, 1, 1, 0] = np.nan
    made = summaries.image("pictures", pictures, 3)
    assert [value.tag for value in made.value] == ["pictures/image/0", "pictures/image/1"]
    for value, pixels in zip(made.value, recorded()[1], strict=True):
        shown = np.asarray(Image.open(io.BytesIO(value.image.encoded_image_string)))
        assert np.array_equal(shown, pixels)
        assert (value.image.height, value.image.width, value.image.colorspace) == (3, 4, 3)
    sounds = random.standard_normal((2, 20, 2)).astype(np.float32)
    assert summaries.audio("sounds", sounds, 8000, 3).SerializeToString() == recorded()[0]["sounds"]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png(channels):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, channels), np.uint8)
    shown = np.asarray(Image.open(io.BytesIO(media.png(pixels))))
    assert np.array_equal(shown.reshape(pixels.shape), pixels)


def test_tensors():
    for array in (
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.float64(1.5),
        np.array([], np.int32),
        np.array([1 + 2j], np.complex128),
        np.array([b"a", b""], object),
        np.array(True),
        np.array([7], np.float16),
        np.array(3, np.uint64),
    ):
        read = tensors.to_array(tensors.from_array(array))
        assert read.dtype == np.asarray(array).dtype and np.array_equal(read, array)
    huge = proto.TensorProto(dtype=1, tensor_shape=tensors.shape_proto([1 << 30, 1 << 30]))
    huge.float_val.append(2.5)
    assert tensors.to_array(huge)[5, 7] == 2.5  # the last value repeats, without memory for it
    short = proto.TensorProto(dtype=3, tensor_shape=tensors.shape_proto([4]), int_val=[1, 2])
    assert tensors.to_array(short).tolist() == [1, 2, 2, 2]
    for bad in (
        {"dtype": 1, "tensor_content": b"abc"},
        {"dtype": 3, "int_val": [1, 2]},
        {"dtype": 20},
        {"dtype": 1, "float_val": [1, 2], "tensor_shape": tensors.shape_proto([1 << 40])},
        {"dtype": 1, "tensor_shape": tensors.shape_proto(None)},
    ):
        with pytest.raises(DataError):
            tensors.to_array(proto.TensorProto(**bad))

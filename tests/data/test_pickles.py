"""Pickles of data sets are read in every protocol, and nothing in one is ever run."""

import os
import pickle
import tracemalloc
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from anode.data import pickles
from anode.data.pickles import read_pickle, read_value, write_value
from anode.errors import DataError

PIXELS = np.arange(2 * 3072, dtype=np.uint8).reshape(2, 3072)
# What Python 2 and the NumPy of its time wrote, opcode by opcode, as in the official archive.
OFFICIAL = (
    b"\x80\x02}q\x01(U\x0bbatch_labelq\x02U\x06one ofq\x03U\x06labelsq\x04]q\x05(K\x06K\x09e"
    b"U\x04dataq\x06cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85q\x09U\x01bq\x0a"
    b"\x87q\x0bRq\x0c(K\x01K\x02M\x00\x0c\x86q\x0dcnumpy\ndtype\nq\x0eU\x02u1q\x0fK\x00K\x01\x87q\x10R"
    b"q\x11(K\x03U\x01|q\x12NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x13b\x89T\x00\x18\x00\x00"
    + PIXELS.tobytes()
    + b"q\x14tq\x15bU\x09filenamesq\x16]q\x17(U\x05a.pngU\x05b.pngeu."
)


def write(folder: Path, content: bytes) -> Path:
    path = folder / "batch"
    path.write_bytes(content)
    return path


def test_the_official_form(tmp_path):
    found = read_pickle(write(tmp_path, OFFICIAL))
    assert found.keys() == {"batch_label", "labels", "data", "filenames"}
    np.testing.assert_array_equal(found["data"], PIXELS)
    assert found["labels"] == [6, 9] and found["filenames"] == ["a.png", "b.png"]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("array", [PIXELS, PIXELS.T, np.arange(5), np.arange(4, dtype=np.int32)])
def test_every_protocol(tmp_path, protocol, array):
    value = {b"data": array, "labels": [1, 2**40, -3], "more": (None, True, 1.5, "é"), "one": [7]}
    found = read_pickle(write(tmp_path, pickle.dumps(value, protocol)))
    np.testing.assert_array_equal(found.pop("data"), array)
    assert found == {key: value[key] for key in ("labels", "more", "one")}


class Call:
    """Whose pickle calls something."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("function", [os.system, eval, np.zeros, np.load])
def test_nothing_is_called(tmp_path, protocol, function):
    ran = tmp_path / "ran"
    call = Call(function, f"touch {ran}" if function is os.system else f"open({str(ran)!r}, 'w')")
    path = write(tmp_path, pickle.dumps({"data": call}, protocol))
    with pytest.raises(DataError, match="which no data set needs"):
        read_pickle(path)
    assert not ran.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"\x89PNG\r\n\x1a\n",
        OFFICIAL[:-1],
        OFFICIAL[:3000],
        OFFICIAL.replace(b"u1", b"O8"),
        OFFICIAL.replace(b"M\x00\x0c", b"M\x00\x0d"),
        pickle.dumps([1]),
        pickle.dumps({"a": {1, 2}}),
        b"}(K\x01u.",
        b"K\x01K\x02R.",
        b"a.",
        b"h\x07.",
        b"e.",
        b"b.",
        b"}Ia\n.",
    ],
)
def test_damage(tmp_path, content):
    with pytest.raises(DataError, match="not a pickled data set"):
        read_pickle(write(tmp_path, content))


def test_every_cut_of_a_small_pickle_is_an_error(tmp_path):
    content = pickle.dumps({"data": PIXELS[:1, :8], "labels": [1]}, 2)
    for length in range(len(content)):
        with pytest.raises(DataError):
            read_pickle(write(tmp_path, content[:length]))


@pytest.mark.parametrize(
    "content",
    [
        b"}r\xff\xff\xff\x7f.",  # a place in the memo
        b"T\xff\xff\xff\x7f.",  # a length of text
        b"\x8e\xff\xff\xff\xff\xff\xff\x00\x00.",
        b"\x95\xff\xff\xff\xff\xff\xff\x00\x00}.",
    ],
)
def test_what_is_only_claimed_takes_no_memory(tmp_path, content):
    path = write(tmp_path, content)
    tracemalloc.start()
    with suppress(DataError):
        read_pickle(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_a_missing_file(tmp_path):
    with pytest.raises(DataError, match="nowhere: cannot be read"):
        read_pickle(tmp_path / "nowhere")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_any_value(tmp_path, protocol):
    value = ([[1, 2], []], {"a": (np.float32(1.5), "é"), 3: [np.arange(4.0), np.eye(2) > 0]})
    (lists, found) = read_value(write(tmp_path, pickle.dumps(value, protocol)))
    assert lists == [[1, 2], []] and found["a"] == (1.5, "é")
    np.testing.assert_array_equal(found[3][0], np.arange(4.0))
    np.testing.assert_array_equal(found[3][1], np.eye(2) > 0)


def test_compressed(tmp_path, monkeypatch):
    path = tmp_path / "value.pkl.gz"
    value = [np.arange(5, dtype=np.uint8), "text"]
    write_value(path, value)
    assert path.read_bytes()[:2] == b"\x1f\x8b"
    found = read_value(path)
    assert found[0].tolist() == [0, 1, 2, 3, 4] and found[1] == "text"
    monkeypatch.setattr(pickles, "MAX_BYTES", 70)
    with pytest.raises(DataError, match="larger than 70 bytes"):
        read_value(path)
    monkeypatch.undo()
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError):
        read_value(path)

import os
import subprocess
import sys

import numpy as np
import pytest

from anode.errors import CheckpointError
from anode.ir.dtypes import DTYPES, f32_to_bf16
from anode.ir.types import tensor
from anode.ir.variable import Variable
from anode.runtime import checkpoint
from anode.runtime.state import State

ARRAYS = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "n": np.array(7, np.int64)}


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=str)
def test_round_trip_of_every_type(tmp_path, dtype):
    raw = np.random.default_rng(0).integers(0, 2, 24, np.uint8).view(np.bool_)
    bits = raw if dtype.kind == "bool" else raw.view(np.uint8).repeat(dtype.size).view(dtype.numpy)
    arrays = {"a": bits.reshape(2, 3, 4), "empty": bits[:0], "scalar": bits[0:1].reshape(())}
    checkpoint.save(tmp_path / "c", arrays, {"epoch": 3})
    found, meta = checkpoint.load(tmp_path / "c")
    assert meta == {"epoch": 3}
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype and found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes()


def test_without_the_library(tmp_path, monkeypatch):
    checkpoint.save(tmp_path / "c", ARRAYS)
    monkeypatch.setitem(sys.modules, "safetensors", None)
    for call in (
        lambda: checkpoint.load(tmp_path / "c"),
        lambda: checkpoint.save(tmp_path / "d", {}),
    ):
        with pytest.raises(CheckpointError, match=r"pip install 'anode\[checkpoint\]'"):
            call()
    assert os.listdir(tmp_path) == ["c"]


def test_the_library_is_imported_when_it_is_needed():
    script = (
        "import sys, anode.layers, anode.runtime.checkpoint; print('safetensors' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


def test_bytes_after_the_end(tmp_path):
    checkpoint.save(tmp_path / "c", ARRAYS)
    with (tmp_path / "c").open("ab") as file:
        file.write(b"more")
    with pytest.raises(CheckpointError, match="c: not a whole safetensors file"):
        checkpoint.load(tmp_path / "c")


def test_bf16_keeps_its_name_for_other_readers(tmp_path):
    safetensors = pytest.importorskip("safetensors")
    values = f32_to_bf16(np.float32([1, -2.5]))
    checkpoint.save(tmp_path / "c", {"w": values})
    ((name, entry),) = safetensors.deserialize((tmp_path / "c").read_bytes())
    assert (name, entry["dtype"], bytes(entry["data"])) == ("w", "BF16", values.tobytes())


def test_an_element_type_that_anode_has_not(tmp_path):
    header = b'{"w":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,2]}}'
    (tmp_path / "c").write_bytes(len(header).to_bytes(8, "little") + header + b"xx")
    with pytest.raises(CheckpointError, match="c: anode has no element type F8_E4M3"):
        checkpoint.load(tmp_path / "c")


def test_floats_of_the_meta_value_are_exact(tmp_path):
    value = [0.1, 1 / 3, 1e-300, None, {"a": [2**60]}]
    checkpoint.save(tmp_path / "c", {}, value)
    assert checkpoint.load(tmp_path / "c") == ({}, value)


def test_arrays_need_not_be_contiguous(tmp_path):
    checkpoint.save(tmp_path / "c", {"w": ARRAYS["w"].T})
    assert np.array_equal(checkpoint.load(tmp_path / "c")[0]["w"], ARRAYS["w"].T)


def test_the_official_reader_reads_it(tmp_path):
    official = pytest.importorskip("safetensors.numpy")
    checkpoint.save(tmp_path / "c", ARRAYS, {"x": 1})
    found = official.load_file(tmp_path / "c")
    assert {k: v.tolist() for k, v in found.items()} == {k: v.tolist() for k, v in ARRAYS.items()}
    official.save_file(ARRAYS, tmp_path / "theirs")
    ours, meta = checkpoint.load(tmp_path / "theirs")
    assert meta is None and np.array_equal(ours["w"], ARRAYS["w"])


@pytest.mark.parametrize("size", [0, 5, 60, -1, -9])
def test_a_file_cut_short(tmp_path, size):
    checkpoint.save(tmp_path / "c", ARRAYS)
    content = (tmp_path / "c").read_bytes()
    (tmp_path / "c").write_bytes(content[:size])
    with pytest.raises(CheckpointError, match="c: not a whole safetensors file"):
        checkpoint.load(tmp_path / "c")


def test_every_single_damaged_byte_is_noticed(tmp_path):
    checkpoint.save(tmp_path / "c", ARRAYS, {"epoch": 3})
    content = (tmp_path / "c").read_bytes()
    for index in range(len(content)):
        (tmp_path / "c").write_bytes(
            content[:index] + bytes([content[index] ^ 1]) + content[index + 1 :]
        )
        with pytest.raises(CheckpointError, match="c: not a whole safetensors file"):
            checkpoint.load(tmp_path / "c")


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(CheckpointError, match="cannot be read: No such file"):
        checkpoint.load(tmp_path / "none")
    with pytest.raises(CheckpointError, match="cannot be written: No such file"):
        checkpoint.save(tmp_path / "none" / "c", ARRAYS)


def test_no_space_left_keeps_the_old_file(tmp_path):
    resource = pytest.importorskip("resource")
    assert resource
    checkpoint.save(tmp_path / "c", ARRAYS, "old")
    script = f"""
import resource, signal, numpy
from anode.errors import CheckpointError
from anode.runtime import checkpoint
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10000, 10000))
try:
    checkpoint.save({str(tmp_path / "c")!r}, {{"w": numpy.zeros(100000)}}, "new")
except CheckpointError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "cannot be written: File too large" in done.stdout, done.stderr
    assert checkpoint.load(tmp_path / "c")[1] == "old"
    assert os.listdir(tmp_path) == ["c"]


def test_killed_while_writing(tmp_path, monkeypatch):
    checkpoint.save(tmp_path / "c", ARRAYS, "old")

    def die(handle):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", die)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(tmp_path / "c", ARRAYS, "new")
    assert checkpoint.load(tmp_path / "c")[1] == "old"
    assert os.listdir(tmp_path) == ["c"]


def test_restore_all_or_nothing(tmp_path):
    w, b, n = (Variable(k, tensor("f32", 2)) for k in "wbn")
    state = State({w: [1, 2], b: [3, 4]})
    arrays = {"w": np.zeros(2), "x": np.zeros(2, np.float32)}
    with pytest.raises(CheckpointError) as raised:
        checkpoint.restore(state, arrays, source="file")
    assert str(raised.value) == (
        "file does not fit the model: b is missing; x is unexpected; "
        "w is f64[2], the model has f32[2]"
    )
    assert state[w].tolist() == [1, 2]
    checkpoint.save(tmp_path / "c", state)
    other = State({w: [0, 0], b: [0, 0], n: [9, 9]})
    checkpoint.restore(other, checkpoint.load(tmp_path / "c")[0], [w, b])
    assert [other[v].tolist() for v in (w, b, n)] == [[1, 2], [3, 4], [9, 9]]

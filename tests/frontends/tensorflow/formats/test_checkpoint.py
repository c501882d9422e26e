"""Checkpoints of TensorFlow are read, ours are its bytes, and damage is found."""

from pathlib import Path

import numpy as np
import pytest

from anode.errors import DataError
from anode.frontends.tensorflow.formats import checkpoint, crc32c, leveldb, proto
from anode.frontends.tensorflow.formats.checkpoint import Partitioned, open_checkpoint
from anode.ir.dtypes import bf16, f32_to_bf16

DATA = Path(__file__).parent / "data"


def expected():
    random = np.random.default_rng(0)
    return {
        "a/kernel": random.standard_normal((3, 4)).astype(np.float32),
        "a/bias": np.zeros(4, np.float32),
        "scalar": np.float64(3.5),
        "i64": np.arange(5),
        "flags": np.array([True, False]),
        "half": np.arange(3).astype(np.float16),
        "complex": np.array([1 + 2j], np.complex64),
        "text": np.array([[b"ab", b""], [b"x" * 300, b"\xff\x00"]], object),
        "bytes": np.arange(6, dtype=np.uint8).reshape(2, 3),
        "empty": np.zeros((0, 3), np.float32),
        **{f"layer_{i}/kernel": np.full((2, 2), i, np.float32) for i in range(20)},
        "part": np.arange(600, dtype=np.float32).reshape(200, 3),
        "narrow": f32_to_bf16(np.arange(4, dtype=np.float32) / 3),
    }


def test_version_2_is_read():
    values, found = expected(), open_checkpoint(DATA / "v2")
    assert found.names == sorted(values)
    for name, value in values.items():
        read = found.read(name)
        assert read.dtype == np.asarray(value).dtype and np.array_equal(read, value), name
        assert found.info(name).shape == np.shape(value)
    assert found.info("narrow").dtype == bf16.numpy


def test_version_1_is_read():
    values, found = expected(), open_checkpoint(DATA / "v1")
    assert found.names == ["a/bias", "a/kernel", "i64", "part"]
    for name in found.names:
        assert np.array_equal(found.read(name), values[name])


def test_what_is_written_has_the_bytes_of_tensorflow(tmp_path):
    source = open_checkpoint(DATA / "v2")
    values = {name: source.read(name) for name in source.names}
    whole, cuts = values["part"], ((0, 67), (67, 67), (134, 66))
    values["part"] = Partitioned(
        (200, 3), tuple((((b, n), (0, 3)), whole[b : b + n]) for b, n in cuts)
    )
    checkpoint.write(tmp_path / "ours", values)
    for suffix in (".index", ".data-00000-of-00001"):
        assert (tmp_path / f"ours{suffix}").read_bytes() == (DATA / f"v2{suffix}").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "ours.data-00000-of-00001",
        "ours.index",
    ]


def test_values_of_any_layout(tmp_path):
    matrix = np.arange(12, dtype=">f4").reshape(3, 4).T
    checkpoint.write(tmp_path / "x", {"m": matrix, "s": np.array(["é", "b"]), "n": np.int16(-3)})
    found = open_checkpoint(tmp_path / "x")
    assert np.array_equal(found.read("m"), matrix) and found.read("m").dtype == np.float32
    assert found.read("s").tolist() == ["é".encode(), b"b"] and found.read("n") == -3


def test_every_flipped_byte_is_found_or_harmless(tmp_path):
    values = {"w": np.arange(6, dtype=np.float32), "s": np.array([b"one", b"three"], object)}
    checkpoint.write(tmp_path / "x", values)
    for suffix in (".index", ".data-00000-of-00001"):
        path = Path(f"{tmp_path / 'x'}{suffix}")
        original = path.read_bytes()
        for i in range(len(original)):
            damaged = bytearray(original)
            damaged[i] ^= 0x41
            path.write_bytes(damaged)
            try:
                found = open_checkpoint(tmp_path / "x")
                read = {name: found.read(name) for name in found.names}
            except (DataError, OSError):
                continue
            assert suffix == ".index", i  # bytes between the footer's handles say nothing
            assert all(np.array_equal(read[name], values[name]) for name in values)
        path.write_bytes(original)


def test_claims_are_checked_before_memory_is_taken(tmp_path):
    checkpoint.write(tmp_path / "x", {"w": np.zeros(3, np.float32)})
    index = leveldb.read_table((tmp_path / "x.index").read_bytes())
    for changes in ({"size": 1 << 50}, {"offset": 1 << 50}, {"shard_id": 7}, {"size": -4}):
        entry = proto.BundleEntryProto.FromString(index[b"w"])
        for name, value in changes.items():
            setattr(entry, name, value)
        if changes.get("size", 0) > 0:
            entry.shape.dim[0].size = 1 << 48
        (tmp_path / "x.index").write_bytes(
            leveldb.table_bytes({**index, b"w": entry.SerializeToString()})
        )
        with pytest.raises(DataError):
            open_checkpoint(tmp_path / "x").read("w")


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 5000])
def test_tables(count):
    entries = {f"key/{i:05d}".encode() * (i % 3 + 1): bytes(i % 200) for i in range(count)}
    table = leveldb.table_bytes(entries)
    assert list(leveldb.read_table(table).items()) == sorted(entries.items())
    with pytest.raises(DataError):
        leveldb.read_table(table[:-1])


def test_snappy():
    packed = b"\x0c\x08abc" + bytes((0b00010101, 3))  # "abc", then 9 bytes from 3 before
    assert leveldb.snappy(packed) == b"abc" * 4
    for bad in (b"\x0c\x08abc", b"\xff\xff\xff\x7f\x08abc", b"\x04\x01\x05", b"\x0c\x08ab"):
        with pytest.raises(DataError):
            leveldb.snappy(bad)


@pytest.mark.parametrize("size", [0, 1, 9, 64, 1023, 1024, 1027, 3136, 16383, 16384, 16388, 50001])
def test_crc(size):
    data = np.random.default_rng(size).bytes(size)
    table, register = crc32c._byte_table(), 0xFFFFFFFF
    for byte in data:
        register = register >> 8 ^ table[(register ^ byte) & 0xFF]
    whole = register ^ 0xFFFFFFFF
    assert crc32c.folded_crc32c(data) == whole == crc32c.crc32c(data)
    begun = crc32c.folded_crc32c(data[: size // 3])
    assert crc32c.folded_crc32c(data[size // 3 :], begun) == whole
    assert crc32c.folded_crc32c(b"123456789") == 0xE3069283  # the catalogue's check value

"""Files that are no archives, damaged ones, and hostile ones: a clear error each, nothing run."""

import io
import json
import zipfile

import numpy as np
import pytest

import anode
from anode import export, ops
from anode.errors import CheckpointError, UnsupportedOp
from anode.export import file
from anode.ir.graph import close, fresh_inputs
from anode.ir.node import read
from anode.ir.types import tensor
from anode.ir.variable import Variable
from anode.runtime import checkpoint
from anode.runtime.state import State

W = Variable("w", tensor("f32", 3))


@pytest.fixture
def path(tmp_path):
    (x,) = fresh_inputs(tensor("f32", 2, 3))
    graph = close((x,), [ops.relu(x) * read(W)], names=("x", "y"))
    target = tmp_path / "g.anode"
    export.save(graph, target, state=State({W: np.ones(3, np.float32)}))
    return target


def changed(path, **members):
    """The archive with other members; None takes one out. Keys have _ for what names cannot."""
    names = {"manifest": "manifest.json", "graph": "graphs/0.txt", "state": "state.safetensors"}
    with zipfile.ZipFile(path) as old:
        content = {name: old.read(name) for name in old.namelist()}
    content |= {names.get(key, key): value for key, value in members.items()}
    with zipfile.ZipFile(path, "w") as new:
        for name, value in content.items():
            if value is not None:
                new.writestr(name, value)
    return path


def manifest(path, **values):
    with zipfile.ZipFile(path) as archive:
        return json.dumps(json.loads(archive.read("manifest.json")) | values)


def graph_text(path):
    with zipfile.ZipFile(path) as archive:
        return archive.read("graphs/0.txt").decode()


def test_an_archive_that_is_left_alone(path):
    assert anode.load(path).predict(np.ones((2, 3), np.float32)).tolist() == [[1.0] * 3] * 2


def test_no_archive(tmp_path, path):
    with pytest.raises(CheckpointError, match="cannot be read"):
        anode.load(tmp_path / "none")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(CheckpointError, match="no whole archive of anode"):
        anode.load(tmp_path / "text")
    with zipfile.ZipFile(tmp_path / "zip", "w") as other:
        other.writestr("a.txt", "b")
    with pytest.raises(CheckpointError, match=r"no archive of anode, it has no manifest\.json"):
        anode.load(tmp_path / "zip")


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
def test_one_cut_short(path, part):
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(CheckpointError):
        anode.load(path)


def test_any_damaged_byte_is_noticed_or_harmless(path):
    whole = path.read_bytes()
    expected = anode.load(path).predict(np.ones((2, 3), np.float32))
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            loaded = anode.load(path, backend="reference")
        except (CheckpointError, UnsupportedOp):
            continue
        np.testing.assert_array_equal(loaded.predict(np.ones((2, 3), np.float32)), expected)


MANIFESTS = {
    "a newer version": ({"version": 2}, "an archive of version 2, written by anode"),
    "another program's": ({"anode": "x"}, "is another program's"),
    "no name": ({"name": None}, "no name or no functions"),
    "no functions": ({"functions": {}}, "no name or no functions"),
    "a function that is none": ({"functions": [3]}, "describes a function as 3"),
    "bad rows": ({"functions": [{"name": "f", "rows": -1}]}, "describes a function as"),
    "true rows": ({"functions": [{"name": "f", "rows": True}]}, "describes a function as"),
    "other rows": ({"functions": [{"name": "f", "rows": 3}]}, "not a function of 3 rows"),
    "a path": ({"functions": [{"name": "../f", "rows": None}]}, "is no name of a function"),
    "one too many": (
        {"functions": [{"name": "f", "rows": None}, {"name": "g", "rows": None}]},
        r"do not fit the manifest: graphs/1\.txt",
    ),
    "one name twice": ({"functions": [{"name": "f", "rows": None}] * 2}, "two functions have one"),
}


@pytest.mark.parametrize(("values", "message"), MANIFESTS.values(), ids=MANIFESTS)
def test_manifests(path, values, message):
    changed(path, manifest=manifest(path, **values))
    with pytest.raises(CheckpointError, match=message):
        anode.load(path)


def test_a_manifest_that_is_no_json(path):
    for text in ("{", "[" * 100_000, "[]"):
        changed(path, manifest=text)
        with pytest.raises(CheckpointError, match=r"manifest\.json"):
            anode.load(path)


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "graphs/../x", "more.txt"])
def test_members_that_do_not_belong(path, name):
    changed(path, **{name: b"x"})
    with pytest.raises(CheckpointError, match="do not fit the manifest"):
        anode.load(path)


def test_members_there_twice(path):
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("manifest.json", "{}")
    with pytest.raises(CheckpointError, match="there twice"):
        anode.load(path)


def test_too_many_members(path):
    changed(path, **{f"x{i}": b"" for i in range(40)})
    with pytest.raises(CheckpointError, match="too many for an archive"):
        anode.load(path)


def test_a_bomb_is_not_unpacked(path, monkeypatch):
    monkeypatch.setattr(file, "MOST_TEXT", 1000)
    with zipfile.ZipFile(path) as old:
        content = {name: old.read(name) for name in old.namelist()}
    content["graphs/0.txt"] = b"#" * 10_000_000
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name, value in content.items():
            new.writestr(name, value)
    with pytest.raises(CheckpointError, match=r"10,000,000 bytes; at most 1,000 are read"):
        anode.load(path)
    raw = path.read_bytes()
    path.write_bytes(raw.replace((10_000_000).to_bytes(4, "little"), (900).to_bytes(4, "little")))
    with pytest.raises(CheckpointError):  # it lies about its size
        anode.load(path)


def test_a_compressed_state(path):
    with zipfile.ZipFile(path) as old:
        content = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name, value in content.items():
            new.writestr(name, value)
    with pytest.raises(CheckpointError, match="is compressed"):
        anode.load(path)


def test_an_unknown_op_is_named(path):
    changed(path, graph=graph_text(path).replace("relu", "relux"))
    with pytest.raises(
        UnsupportedOp, match=r"g\.anode, main:4: there is no op 'relux'; did you mean relu"
    ):
        anode.load(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("relu(%0)", "relu(%7)", "%7 is not defined"),
        ("relu(%0)", "relu(%0", "main"),
        ("f32[2,3]", "f32[2,99999999999999]", "main"),
        ("anode 1", "anode 9", "main"),
    ],
)
def test_graphs_that_do_not_parse(path, old, new, message):
    changed(path, graph=graph_text(path).replace(old, new))
    with pytest.raises(CheckpointError, match=message):
        anode.load(path)


def test_a_value_that_is_too_large(path):
    text = 'anode 1\ngraph @main(%0: f32[2] "x") {\n  %1 = broadcast_in_dim(%0, '
    text += 'shape=(999999999999,2), axes=(1,))\n  return %1 "y"\n}\n'
    changed(path, graph=text, state=checkpoint.serialized({}))
    with pytest.raises(CheckpointError, match="is too large"):
        anode.load(path)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "w is missing"),
        ({"w": np.zeros(3, np.float32), "v": np.zeros(1)}, "v is unexpected"),
        ({"w": np.zeros(4, np.float32)}, r"w is float32 \(4,\), not f32\[3\]"),
        ({"w": np.zeros(3, np.float64)}, r"w is float64 \(3,\), not f32\[3\]"),
    ],
    ids=["missing", "unexpected", "another shape", "another type"],
)
def test_states_that_do_not_fit(path, arrays, message):
    changed(path, state=checkpoint.serialized(arrays))
    with pytest.raises(CheckpointError, match=message):
        anode.load(path)


def test_what_was_there_stays_when_writing_fails(path, monkeypatch):
    before = path.read_bytes()

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(CheckpointError, match="cannot be written: No space"):
        anode.load(path).save(path)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_password(path):
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = bytes(data).find(signature)
        data[place + offset] |= 1
    with pytest.raises(CheckpointError, match="encrypted"):
        anode.load(io_path(path, data))


def io_path(path, data):
    path.write_bytes(io.BytesIO(bytes(data)).getvalue())
    return path

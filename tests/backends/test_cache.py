"""Compiled objects on disk: found again, never trusted blindly, never in the way."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from anode.backends.cpu import cache, team
from anode.ir.graph import trace
from anode.ir.types import tensor
from anode.runtime.executable import compile
from tests.backends.process import ROOT, environment, run_python

NAME, FACTS, CODE = "0" * 64, {"places": 3, "inputs": [1, 2]}, bytes(range(256))
GRAPH = trace(lambda x, y: x * y + 1.0, tensor("f32", 5), tensor("f32", 5))
ROOT_USER = not hasattr(os, "getuid") or os.getuid() == 0
RUN = """
import sys
import numpy as np
from anode.ir.graph import trace
from anode.ir.types import tensor
from anode.runtime.executable import compile
import anode.ops
graph = trace(lambda x: anode.ops.sort(x * 2.0 + 1.0), tensor("f32", 5))
print(compile(graph, "cpu")(np.arange(5, dtype=np.float32))[0].tolist())
"""
RESULT = "[1.0, 3.0, 5.0, 7.0, 9.0]\n"


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    team.symbols()  # the team's own code is looked for once in a process, and not in this folder
    where = tmp_path / "deep" / "cache"
    monkeypatch.setenv("ANODE_CACHE", str(where))
    return where


def entry(folder: Path) -> Path:
    return folder / f"{NAME}.obj"


def results() -> list[float]:
    x = np.arange(5, dtype=np.float32)
    return compile(GRAPH, "cpu", threads=1)(x, x)[0].tolist()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_round_trip(folder):
    assert cache.load(NAME) is None
    cache.store(NAME, FACTS, CODE)
    assert cache.load(NAME) == (FACTS, CODE)
    cache.store(NAME, FACTS, b"")
    assert cache.load(NAME) == (FACTS, b"")
    assert os.listdir(folder) == [f"{NAME}.obj"]


def test_only_the_user_can_read_it(folder):
    old = os.umask(0)
    try:
        cache.store(NAME, FACTS, CODE)
    finally:
        os.umask(old)
    assert (mode(folder), mode(entry(folder))) == (0o700, 0o600)


def test_every_damage_is_noticed(folder):
    cache.store(NAME, FACTS, CODE)
    content = entry(folder).read_bytes()
    for index in range(len(content)):
        damaged = bytearray(content)
        damaged[index] ^= 1 << index % 8
        entry(folder).write_bytes(damaged)
        assert cache.load(NAME) is None, index
        entry(folder).write_bytes(content[:index])
        assert cache.load(NAME) is None, index
    entry(folder).write_bytes(content + b"\0")
    assert cache.load(NAME) is None


def test_an_entry_under_the_name_of_another(folder):
    cache.store(NAME, FACTS, CODE)
    other = "1" * 64
    (folder / f"{other}.obj").write_bytes(entry(folder).read_bytes())
    (folder / f"{other}.obj").chmod(0o600)
    assert cache.load(other) is None


@pytest.mark.parametrize("damage", ["cut", "flip", "foreign", "empty"])
def test_what_is_damaged_is_made_again(folder, damage):
    expected = results()
    (path,) = folder.iterdir()
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(
        {
            "cut": content[:middle],
            "flip": content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :],
            "foreign": b"\x7fELF" + content,
            "empty": b"",
        }[damage]
    )
    assert results() == expected == [i * i + 1 for i in range(5)]
    assert path.read_bytes() == content
    assert list(folder.iterdir()) == [path]


def test_a_folder_in_the_place_of_an_entry(folder):
    expected = results()
    (path,) = folder.iterdir()
    path.unlink()
    path.mkdir()
    assert results() == expected


@pytest.mark.parametrize("bits", [0o602, 0o620, 0o666])
def test_a_file_that_others_can_write(folder, bits):
    cache.store(NAME, FACTS, CODE)
    entry(folder).chmod(bits)
    assert cache.load(NAME) is None


@pytest.mark.parametrize("bits", [0o702, 0o720, 0o777])
def test_a_folder_that_others_can_write(folder, bits):
    cache.store(NAME, FACTS, CODE)
    folder.chmod(bits)
    assert cache.load(NAME) is None
    cache.store("2" * 64, FACTS, CODE)
    assert os.listdir(folder) == [f"{NAME}.obj"]
    folder.chmod(0o700)
    assert cache.load(NAME) == (FACTS, CODE)


def test_what_belongs_to_another_user(folder, monkeypatch):
    cache.store(NAME, FACTS, CODE)
    owner = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    assert cache.load(NAME) is None
    cache.store("2" * 64, FACTS, CODE)
    assert os.listdir(folder) == [f"{NAME}.obj"]


@pytest.mark.parametrize("which", ["file", "folder"])
def test_one_of_the_two_belongs_to_another_user(folder, which):
    if not ROOT_USER:
        pytest.skip("only root can give files away")
    cache.store(NAME, FACTS, CODE)
    os.chown(folder if which == "folder" else entry(folder), 12345, -1)
    assert cache.load(NAME) is None


def test_off(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ANODE_CACHE", "off")
    monkeypatch.chdir(tmp_path)
    assert cache.folder() is None
    cache.store(NAME, FACTS, CODE)
    assert cache.load(NAME) is None
    assert results() == [i * i + 1 for i in range(5)]
    assert not os.listdir(tmp_path)


def test_where_it_is(monkeypatch, tmp_path):
    for name in ("ANODE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.folder() == tmp_path / ".cache" / "anode"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert cache.folder() == tmp_path / "x" / "anode"
    monkeypatch.setenv("ANODE_CACHE", str(tmp_path / "y"))
    assert cache.folder() == tmp_path / "y"


def test_no_home(monkeypatch):
    for name in ("ANODE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    assert cache.folder() is None
    assert results() == [i * i + 1 for i in range(5)]


def test_a_home_that_cannot_be_written(monkeypatch):
    monkeypatch.setenv("ANODE_CACHE", "/proc/anode")  # no one can make folders there
    cache.store(NAME, FACTS, CODE)
    assert cache.load(NAME) is None
    assert results() == [i * i + 1 for i in range(5)]


def test_a_full_disk_leaves_nothing_behind(folder, monkeypatch):
    cache.store(NAME, FACTS, CODE)

    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    cache.store("2" * 64, FACTS, CODE)
    assert os.listdir(folder) == [f"{NAME}.obj"]


def test_the_oldest_go_first(folder, monkeypatch):
    names = [str(i) * 64 for i in range(5)]
    for age, name in enumerate(names[:4]):
        cache.store(name, FACTS, CODE)
        os.utime(folder / f"{name}.obj", (1000 + age, 1000 + age))
    size = (folder / f"{names[0]}.obj").stat().st_size
    monkeypatch.setattr(cache, "LIMIT", 3 * size)
    monkeypatch.setattr(cache, "EVERY", 1)
    cache.store(names[4], FACTS, CODE)
    assert sorted(os.listdir(folder)) == [f"{name}.obj" for name in names[2:]]


def test_parts_of_keys_do_not_run_together():
    assert (
        len({cache.key(*parts) for parts in [("ab", "c"), ("a", "bc"), ("abc",), ("abc", "")]}) == 4
    )


def test_every_bit_of_a_constant_is_in_the_key():
    from anode.ir.node import constant

    values = np.zeros(3000, np.float32), np.zeros(3000, np.float32)
    values[1][1500] = -0.0
    graphs = [trace(lambda x, v=v: x * constant(v), tensor("f32", 3000)) for v in values]
    assert repr(graphs[0]) != repr(graphs[1])


def test_a_second_process_generates_no_code(tmp_path):
    script = RUN + (
        "names = [m.removeprefix('anode.') for m in sys.modules if m.startswith('anode.')]\n"
        "print(*sorted(n for n in names if n.split('.')[0] in ('backends', 'passes', 'program')))"
    )
    script = script.replace("anode.ops.sort(x * 2.0 + 1.0)", "x * 2.0 + 1.0")
    first, second = (
        run_python(script, ANODE_CACHE=str(tmp_path / "c")).splitlines() for _ in range(2)
    )
    assert first[0] == second[0] == RESULT.strip()
    assert "backends.cpu.native" in first[1].split()
    assert second[1].split() == [
        "backends", "backends.base", "backends.cpu", "backends.cpu.backend", "backends.cpu.cache",
        "backends.cpu.code", "backends.cpu.layout", "backends.cpu.target", "backends.cpu.team",
    ]  # fmt: skip


def test_steps_on_the_host_are_found_again(tmp_path):
    assert [run_python(RUN, ANODE_CACHE=str(tmp_path / "c")) for _ in range(2)] == [RESULT] * 2


def test_the_same_code_whatever_the_hash_seed():
    script = """
import hashlib
from anode.backends.cpu.build import Build
from anode.backends.cpu.target import host_target
from anode import layers as nn
from anode.ir.types import tensor
from tests.backends.programs import PROGRAMS, mlp
model, x = mlp(), tensor("f32", 8, 6)
model.build(x)
step = model.training_step(nn.CrossEntropyMulti(), nn.Adam())
for graph in [step.graph(x, tensor("i64", 8)), *PROGRAMS.values()]:
    build = Build(graph, host_target(), 2)
    text = build.llvm + repr(build.program) + repr(build.layout())
    print(hashlib.sha256(text.encode()).hexdigest())
"""
    assert run_python(script, PYTHONHASHSEED="1") == run_python(script, PYTHONHASHSEED="2")


def test_two_processes_write_at_once(tmp_path):
    env = environment(ANODE_CACHE=str(tmp_path / "c"))
    both = [
        subprocess.Popen([sys.executable, "-c", RUN], cwd=ROOT, env=env, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    assert [process.communicate(timeout=120)[0].decode() for process in both] == [RESULT] * 2
    assert {path.suffix for path in (tmp_path / "c").iterdir()} == {".obj"}
    assert run_python(RUN, ANODE_CACHE=str(tmp_path / "c")) == RESULT

"""Ingest: what is kept, converted and left out; kills, full disks and damage."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from anode.cli import main
from anode.data import ingest, open_records
from anode.data.batches import permutation
from anode.data.decode import decode
from anode.data.ingestion import Ingested, Options, check
from anode.data.records import ShardWriter, read_shard
from anode.errors import DataError
from tests.data.pictures import DAMAGED, converted, jpeg, write_tree

ROOT = Path(__file__).parent.parent.parent
CLASSES, IMAGES = 3, 7
COUNT = CLASSES * IMAGES
FACTS = {"plan": "x", "names": [], "rejected": [], "converted": 0, "squares": [0, 0, 0]}
INGEST = "import sys; from anode.cli import main; sys.exit(main(['data', 'ingest', *sys.argv[1:]]))"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    return write_tree(tmp_path_factory.mktemp("source") / "tree", CLASSES, IMAGES)


@pytest.fixture(scope="module")
def done(tree, tmp_path_factory) -> Path:
    """Record files of the tree, four images a shard."""
    folder = tmp_path_factory.mktemp("records") / "out"
    seen: list[Ingested] = []
    end = ingest(tree, folder, Options(shard_images=4), workers=2, report=seen.append)
    total = COUNT + len(DAMAGED)
    assert end == Ingested(COUNT, len(DAMAGED), total, total)
    assert seen[0] == Ingested(0, 0, total, 0) and seen[-1].done == total
    assert [now.done for now in seen] == sorted(now.done for now in seen)
    return folder


@pytest.fixture
def copied(done, tmp_path) -> Path:
    return Path(shutil.copytree(done, tmp_path / "copy"))


def test_files_are_kept_byte_for_byte(tree, done):
    records = open_records(done)
    assert len(records) == COUNT and records.classes == ("class0", "class1", "class2")
    assert records.labels.tolist() == [c for c in range(CLASSES) for _ in range(IMAGES)]
    paths = [tree / f"class{c}" / f"{i}.jpg" for c in range(CLASSES) for i in range(IMAGES)]
    assert [records.read(row) for row in range(COUNT)] == [path.read_bytes() for path in paths]
    sizes = [decode(path.read_bytes()).shape[1::-1] for path in paths]
    assert records.index[["width", "height"]].tolist() == sizes
    assert check(done) == []


def test_what_is_left_out_is_listed(done):
    lines = dict(line.split("\t") for line in (done / "rejected.txt").read_text().splitlines())
    assert lines.keys() == {f"class1/{name}" for name in DAMAGED}
    assert all(word in lines[f"class1/{name}"] for name, (_, word) in DAMAGED.items())


def test_means_are_those_of_the_middle_squares(tree, done):
    records = open_records(done)
    side = records.mean_image.shape[0]
    assert records.mean_image.shape == (30, 30, 3) and records.mean_image.dtype == np.float32
    squares = []
    for row in range(COUNT):
        found = read_shard(done / records.files[records.index["shard"][row]])
        assert found.sums.shape == (side, side, 3)
        image = decode(records.read(row))
        if min(image.shape[:2]) == side and (image.shape[1] - side) % 2 == 0:
            left = (image.shape[1] - side) // 2
            squares.append(image[:, left : left + side])
    sums = sum(read_shard(done / name).sums.astype(np.int64) for name in records.files)
    np.testing.assert_allclose(records.mean_image, sums / COUNT, rtol=1e-6)
    np.testing.assert_allclose(records.mean, records.mean_image.mean((0, 1)), rtol=1e-5)
    assert abs(np.mean(squares) - np.mean(records.mean)) < 5


def test_mean_and_deviation_are_exact_where_nothing_is_scaled(tmp_path):
    for i in range(3):
        (tmp_path / "tree" / "a").mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / "a" / f"{i}.jpg").write_bytes(jpeg(i, 24, 24))
    ingest(tmp_path / "tree", tmp_path / "out", Options(shard_images=2), workers=1)
    images = np.stack([decode(jpeg(i, 24, 24)) for i in range(3)]).astype(float)
    records = open_records(tmp_path / "out")
    np.testing.assert_allclose(records.mean_image, images.mean(0), rtol=1e-6)
    np.testing.assert_allclose(records.mean, images.mean((0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(records.std, images.std((0, 1, 2)), rtol=1e-9)


def test_the_number_of_workers_changes_nothing(tree, done, tmp_path):
    ingest(tree, tmp_path / "one", Options(shard_images=4), workers=1)
    assert contents(tmp_path / "one") == contents(done)


def test_conversion_shuffling_and_smaller_images(tmp_path):
    folder = tmp_path / "tree" / "a"
    folder.mkdir(parents=True)
    wanted = converted()
    for name, (content, _) in wanted.items():
        (folder / name).write_bytes(content)
    (folder / "large.jpg").write_bytes(jpeg(1, 200, 100))
    options = Options(short_side=30, shuffle=True, seed=5, quality=95)
    ingest(tmp_path / "tree", tmp_path / "out", options)
    records = open_records(tmp_path / "out")
    names = sorted([*wanted, "large.jpg"])
    order = permutation(len(names), 5, 0)
    facts = read_shard(tmp_path / "out" / records.files[0]).facts
    assert facts["names"] == [f"a/{names[row]}" for row in order]
    assert facts["converted"] == len(names)
    for row, place in enumerate(order):
        content = records.read(row)
        assert content.startswith(b"\xff\xd8")
        if names[place] == "large.jpg":
            assert decode(content).shape == (30, 60, 3)
        else:
            error = np.abs(decode(content) - wanted[names[place]][1].astype(float))
            dithered = names[place] in ("two.png", "palette.gif")  # which JPEG dislikes
            assert error.mean() < (40 if dithered else 8), names[place]


def test_a_second_run_has_nothing_to_do(tree, copied, done):
    seen: list[Ingested] = []
    ingest(tree, copied, Options(shard_images=4), report=seen.append)
    assert [now.before for now in seen] == [COUNT + len(DAMAGED)]
    assert contents(copied) == contents(done)


@pytest.mark.parametrize("options", [Options(), Options(shard_images=4, short_side=20)])
def test_other_options_need_another_folder(tree, copied, options):
    with pytest.raises(DataError, match="was begun with"):
        ingest(tree, copied, options)


def test_another_source_needs_another_folder(copied, tmp_path):
    other = write_tree(tmp_path / "other", CLASSES, IMAGES - 1)
    with pytest.raises(DataError, match="begun with other images"):
        ingest(other, copied, Options(shard_images=4))


def test_a_folder_with_other_things(tree, tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(DataError, match=r"has thesis\.tex in it; give a new folder"):
        ingest(tree, tmp_path)


def test_two_at_once(tree, copied):
    import fcntl

    handle = os.open(copied, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        with pytest.raises(DataError, match="another process is ingesting"):
            ingest(tree, copied, Options(shard_images=4))
    finally:
        os.close(handle)


def test_only_damage(tmp_path):
    (tmp_path / "tree" / "a").mkdir(parents=True)
    (tmp_path / "tree" / "a" / "x.jpg").write_text("x")
    with pytest.raises(DataError, match=r"a/x\.jpg: it and the next 0 are no images"):
        ingest(tmp_path / "tree", tmp_path / "out")


@pytest.mark.parametrize(
    "option",
    [
        {"short_side": 0},
        {"seed": -1},
        {"seed": 5},
        {"shard_images": 0},
        {"quality": 101},
        {"max_pixels": 1 << 40},
    ],
)
def test_bad_options(option):
    with pytest.raises(DataError, match=next(iter(option))):
        Options(**option)


# kills and full disks


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> tuple[Path, Path]:
    """A source that takes a while, its later images larger than the first, and its record files."""
    root = tmp_path_factory.mktemp("large")
    for i in range(96):
        folder = root / "tree" / f"class{i // 24}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{i}.jpg").write_bytes(jpeg(i, 200 + i, 170 + i))
    ingest(root / "tree", root / "out", Options(shard_images=4, short_side=150), workers=1)
    return root / "tree", root / "out"


def started(source: Path, out: Path, **options) -> subprocess.Popen[str]:
    arguments = [str(source), str(out), "--shard-images", "4", "--short-side", "150"]
    command = [sys.executable, "-c", INGEST, *arguments, "--workers", "2"]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, **options)


def wait_for_shards(process: subprocess.Popen[str], folder: Path, count: int) -> None:
    while len(list(folder.glob("shard-*"))) < count:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.002)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_kill_in_the_middle_loses_no_shard_and_changes_no_byte(large, tmp_path, how):
    source, whole = large
    process = started(source, tmp_path / "out")
    wait_for_shards(process, tmp_path / "out", 3)
    process.send_signal(how)
    _, error = process.communicate(timeout=60)
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert error.startswith("anode: stopped; ") and error.count("\n") == 1
        assert not list((tmp_path / "out").glob(".*"))
    else:
        assert process.returncode == -how
        assert error == ""  # workers whom nobody waits for end without a word
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["result"] is None
    kept = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("shard-*")}
    with pytest.raises(DataError, match="not complete; run the same anode data ingest again"):
        open_records(tmp_path / "out")
    (tmp_path / "out" / ".shard-00020.anodeimg.1.partial").write_bytes(b"begun")
    ingest(source, tmp_path / "out", Options(shard_images=4, short_side=150))
    assert contents(tmp_path / "out") == contents(whole)
    assert all((tmp_path / "out" / n).stat().st_mtime_ns == time for n, time in kept.items())


def test_a_full_disk_is_one_sentence_and_loses_nothing(large, tmp_path):
    source, whole = large
    sizes = sorted(path.stat().st_size for path in whole.glob("shard-*"))
    limit = sizes[len(sizes) // 2]  # no file may be larger, as if there were no more room
    process = started(
        source,
        tmp_path / "out",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    _, error = process.communicate(timeout=60)
    assert process.returncode == 1
    assert error.startswith("anode: ") and error.count("\n") == 1
    assert "cannot be written" in error and "run the same command again" in error
    kept = list((tmp_path / "out").glob("shard-*"))
    assert 0 < len(kept) < len(sizes) and not list((tmp_path / "out").glob(".*"))
    ingest(source, tmp_path / "out", Options(shard_images=4, short_side=150))
    assert contents(tmp_path / "out") == contents(whole)


# damage afterwards


def flip(path: Path, offset: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)


def test_a_damaged_image_is_named_with_its_offset(tree, copied, done):
    records = open_records(copied)
    row = 9
    offset = int(records.index["offset"][row])
    path = copied / records.files[records.index["shard"][row]]
    flip(path, offset + 50)
    message = f"{path}: damaged: the image of {records.index['size'][row]} bytes at offset {offset}"
    with pytest.raises(DataError) as caught:
        records.read(row)
    assert str(caught.value).startswith(message)
    assert [problem[: len(message)] for problem in check(copied)] == [message]
    path.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        records.read(row)
    ingest(tree, copied, Options(shard_images=4))
    assert contents(copied) == contents(done)


@pytest.mark.parametrize("where", [0, 9, 13, 17, 25, 33, 41, 45, 49, -1, -40, "index"])
def test_damage_to_what_is_not_an_image(copied, where):
    path = copied / "shard-00001.anodeimg"
    shard = read_shard(path)
    ends = int((shard.index["offset"] + shard.index["size"]).max())
    flip(path, ends + 3 if where == "index" else where)
    with pytest.raises(DataError, match=r"shard-00001\.anodeimg: "):
        open_records(copied)
    assert len(check(copied)) == 1


def test_a_shard_cut_short_at_any_byte(copied):
    path = copied / "shard-00000.anodeimg"
    content = path.read_bytes()
    for length in [*range(70), *range(70, len(content), 997), len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(DataError, match=r"shard-00000\.anodeimg: "):
            read_shard(path)


@pytest.mark.parametrize(
    "facts", [None, [], {}, {"plan": 1}, {**FACTS, "squares": [-1]}, {**FACTS, "rejected": 3}]
)
def test_a_shard_whose_check_sums_are_right_and_whose_facts_are_not(tmp_path, facts):
    writer = ShardWriter(tmp_path / "x", 2)
    writer.finish(facts)
    with pytest.raises(DataError, match="its facts are not what ingest writes"):
        read_shard(tmp_path / "x")


@pytest.mark.parametrize("row", [(0, 4), (60, 10), (64, 5), (2**64 - 1, 4), (2**63, 0)])
def test_an_index_that_points_outside(tmp_path, row):
    writer = ShardWriter(tmp_path / "x", 2)
    writer.add(b"abcd", 0, (1, 1), np.zeros((2, 2, 3), np.uint8))
    writer.rows[0] = (*row, *writer.rows[0][2:])
    writer.finish(FACTS)
    with pytest.raises(DataError, match="its index points outside of the images"):
        read_shard(tmp_path / "x")


def test_a_shard_of_another_set_and_a_damaged_mean(copied, large):
    flip(copied / "mean.idx", 100)
    assert ["mean.idx: damaged" in problem for problem in check(copied)] == [True]
    shutil.copy(large[1] / "shard-00002.anodeimg", copied)
    assert "of another data set" in check(copied)[0]


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"format": "x"}', '{"format": "anode images 1"}']
)
def test_what_is_no_manifest(copied, text):
    (copied / "manifest.json").write_text(text)
    with pytest.raises(DataError, match="no manifest of anode's record files"):
        open_records(copied)


def test_the_commands(tree, tmp_path, capsys):
    out = str(tmp_path / "out")
    assert main(["data", "ingest", str(tree), out, "--shuffle", "--seed", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{COUNT} images of 3 classes, ")
    assert lines[2] == f"{len(DAMAGED)} rejected, see {out}/rejected.txt"
    assert main(["data", "check", out]) == 0
    assert capsys.readouterr().out.splitlines() == lines
    flip(tmp_path / "out" / "shard-00000.anodeimg", 70)
    assert main(["data", "check", out]) == 1
    found = capsys.readouterr()
    assert "at offset 64" in found.out and found.err == f"anode: {out}: 1 problem, listed above\n"
    assert main(["data"]) == 0
    assert "ingest" in capsys.readouterr().out
    assert main(["data", "check", str(tmp_path)]) == 1
    assert "anode data ingest makes it" in capsys.readouterr().err

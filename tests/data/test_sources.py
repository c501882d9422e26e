"""Folders, tars, tars of tars and lists give the same images with the same labels."""

import io
import tarfile
from pathlib import Path

import pytest

from anode.data.sources import Entry, list_source
from anode.errors import DataError
from tests.data.pictures import jpeg, write_tree


@pytest.fixture
def tree(tmp_path) -> Path:
    return write_tree(tmp_path / "tree", damaged=False)


def read(entry: Entry) -> bytes:
    content = Path(entry.path).read_bytes()
    return content[entry.offset : entry.offset + entry.size]


def assert_is_tree(source, tree: Path) -> None:
    assert source.classes == ("class0", "class1", "class2")
    names = [f"class{c}/{i}.jpg" for c in range(3) for i in range(7)]
    assert [entry.name for entry in source.entries] == names
    assert [entry.label for entry in source.entries] == [c for c in range(3) for _ in range(7)]
    assert [read(entry) for entry in source.entries] == [(tree / n).read_bytes() for n in names]


def tar_of(folder: Path, path: Path, mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:
        tar.add(folder, arcname=".")
    return path


def test_a_folder(tree):
    (tree / "class1" / ".hidden").write_text("x")
    (tree / ".git").mkdir()
    (tree / "note.txt").write_text("x")
    assert_is_tree(list_source(tree), tree)


def test_a_folder_in_a_class(tree):
    (tree / "class1" / "images").mkdir()
    (tree / "class1" / "images" / "x.jpg").write_bytes(jpeg(1))
    entry = list_source(tree).entries[14]
    assert entry.name == "class1/images/x.jpg" and entry.label == 1


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_tar(tree, tmp_path, format):
    with tarfile.open(tmp_path / "x.tar", "w", format=format) as tar:
        for path in sorted(tree.rglob("*.jpg"), reverse=True):
            tar.add(path, arcname=f"{'deep/' * 30}{path.relative_to(tree)}")
    source = list_source(tmp_path / "x.tar")
    source.entries.sort()
    assert_is_tree(source, tree)


@pytest.mark.parametrize("outer", [False, True])
def test_a_tar_for_each_class(tree, tmp_path, outer):
    tars = tmp_path / "tars"
    tars.mkdir()
    for folder in sorted(tree.iterdir()):
        with tarfile.open(tars / f"{folder.name}.tar", "w") as tar:
            for path in sorted(folder.iterdir()):
                tar.add(path, arcname=path.name)
    source = list_source(tar_of(tars, tmp_path / "all.tar") if outer else tars)
    assert_is_tree(source, tree)


def test_a_list(tree, tmp_path):
    paths = sorted(tree.rglob("*.jpg"))
    lines = [f"{path.relative_to(tree)} {path.parent.name}" for path in paths]
    (tree / "list.txt").write_text("\n".join(lines) + "\n\n")
    assert_is_tree(list_source(tree / "list.txt"), tree)
    numbered = [f"{path}\t{int(path.parent.name[-1]) * 2}" for path in paths]
    (tmp_path / "numbered.txt").write_text("\n".join(numbered))
    source = list_source(tmp_path / "numbered.txt")
    assert source.classes == ("0", "1", "2", "3", "4")
    assert [entry.label for entry in source.entries] == [2 * c for c in range(3) for _ in range(7)]
    assert read(source.entries[8]) == paths[8].read_bytes()


def test_a_list_with_blanks_in_paths_and_files_that_are_missing(tmp_path):
    (tmp_path / "a b.jpg").write_bytes(jpeg(1))
    long = f"{'n' * 5000}.jpg"  # longer than a file's name can be
    (tmp_path / "list.txt").write_text(f"a b.jpg 0\nmissing.jpg 0\n{long} 0\n")
    found = list_source(tmp_path / "list.txt").entries
    assert [(entry.name, entry.size) for entry in found] == [
        ("a b.jpg", len(jpeg(1))),
        ("missing.jpg", 0),
        (long, 0),
    ]


def test_names_of_classes(tree, tmp_path):
    words = tmp_path / "words.txt"
    words.write_text("class1 tench, Tinca tinca\nclass0 goldfish\nclass2 shark\nclass9 x\n")
    assert list_source(tree, words).classes == ("goldfish", "tench, Tinca tinca", "shark")
    words.write_text("class1 tench\n")
    with pytest.raises(DataError, match="no words for class0 and 1 other"):
        list_source(tree, words)


def test_the_digest_tells_sources_apart(tree):
    before = list_source(tree).digest()
    assert list_source(tree).digest() == before
    (tree / "class1" / "3.jpg").write_bytes(jpeg(3) + b"x")
    changed = list_source(tree).digest()
    (tree / "class1" / "3.jpg").rename(tree / "class1" / "30.jpg")
    assert len({before, changed, list_source(tree).digest()}) == 3


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_a_compressed_tar(tree, tmp_path, mode):
    path = tar_of(tree, tmp_path / "x.tar", mode)
    with pytest.raises(DataError, match=r"x\.tar: a tar that is compressed; decompress it first"):
        list_source(path)


def test_a_tar_that_is_cut_short(tree, tmp_path):
    path = tar_of(tree, tmp_path / "x.tar")
    whole = list_source(path).entries
    middle = whole[5].offset + 3
    path.write_bytes(path.read_bytes()[:middle])
    try:
        assert len(list_source(path).entries) <= len(whole)
    except DataError as error:
        assert "damaged" in str(error)


@pytest.mark.parametrize("size", [-1, -16, 10_000, 1 << 60, (1 << 80) + 1])
def test_a_size_that_a_tar_cannot_have(tmp_path, size):
    info = tarfile.TarInfo("a/x.jpg")
    info.size = size
    content = info.tobuf(tarfile.GNU_FORMAT) + bytes(1024)
    (tmp_path / "x.tar").write_bytes(content)
    with pytest.raises(
        DataError, match=rf"damaged \(a/x\.jpg of {size} bytes does not fit into it"
    ):
        list_source(tmp_path / "x.tar")


def test_a_damaged_tar_in_a_tar_is_named(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        info = tarfile.TarInfo("n01.tar")
        info.size = 1024
        tar.addfile(info, io.BytesIO(b"x" * 1024))
    with pytest.raises(DataError, match=r"x\.tar: .* damaged \(n01\.tar in it: "):
        list_source(tmp_path / "x.tar")


def test_files_without_a_name(tmp_path):
    with tarfile.open(tmp_path / "n01.tar", "w") as tar:
        for name in ("", ".", "x.jpg"):
            tar.addfile(tarfile.TarInfo(name))
    assert [entry.name for entry in list_source(tmp_path).entries][-1] == "n01/x.jpg"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a.jpg\n", "line 1 has no label"),
        (b"a.jpg 2\nb.jpg 10\nc.jpg -1\n", "line 3 has the label -1"),
        (b"", "has no files"),
        (b"a.jpg 1048576", "beyond"),
        (b"\x28\xb5\x2f\xfd\xff\xff", "compressed; decompress it first"),
        (b"\x80\xff\xfe", "no folder, tar or list"),
    ],
)
def test_what_is_no_source(tmp_path, content, message):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(DataError, match=message):
        list_source(tmp_path / "x")


def test_sources_without_classes(tmp_path):
    with pytest.raises(DataError, match="has no files in folders"):
        list_source(tmp_path)
    with pytest.raises(DataError, match="nowhere: cannot be read"):
        list_source(tmp_path / "nowhere")
    info = tarfile.TarInfo("x.jpg")
    info.size = 3
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        tar.addfile(info, io.BytesIO(b"abc"))
    with pytest.raises(DataError, match=r"x\.jpg is in no folder of a class"):
        list_source(tmp_path / "x.tar")


def test_the_parts_of_a_set_are_no_classes(tmp_path):
    for part in ("train", "test"):
        write_tree(tmp_path / part, damaged=False)
    with pytest.raises(DataError, match="has the parts test, train; ingest each by itself"):
        list_source(tmp_path)

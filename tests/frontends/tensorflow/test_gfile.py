"""Files: TensorFlow's names, modes and errors."""

import pytest

from anode.frontends.tensorflow import errors
from anode.frontends.tensorflow.api import gfile


def test_write_then_read(tmp_path):
    path = str(tmp_path / "a.txt")
    with gfile.GFile(path, "w") as file:
        file.write("één\n")
        file.write(b"two\n")
    with gfile.GFile(path) as file:
        assert file.size() == 10 and file.readline() == "één\n" and file.tell() == 6
        assert list(file) == ["two\n"]
    assert gfile.GFile(path, "rb").read() == "één\ntwo\n".encode()
    gfile.write_string_to_file(path, "x")
    assert gfile.read_file_to_string(path) == "x" and gfile.stat(path).length == 1


def test_folders(tmp_path):
    root = str(tmp_path / "r")
    gfile.make_dirs(f"{root}/a/b")
    gfile.make_dirs(f"{root}/a/b")
    for name in ("2.txt", "1.txt"):
        gfile.write_string_to_file(f"{root}/{name}", name)
    assert gfile.list_directory(root) == ["1.txt", "2.txt", "a"]
    assert gfile.glob(f"{root}/*.txt") == [f"{root}/1.txt", f"{root}/2.txt"]
    assert gfile.glob([f"{root}/2*", f"{root}/1*"]) == [f"{root}/2.txt", f"{root}/1.txt"]
    assert [folder for folder, _, _ in gfile.walk(root)] == [root, f"{root}/a", f"{root}/a/b"]
    gfile.copy(f"{root}/1.txt", f"{root}/3.txt")
    gfile.rename(f"{root}/3.txt", f"{root}/2.txt", overwrite=True)
    assert gfile.read_file_to_string(f"{root}/2.txt") == "1.txt"
    gfile.delete_recursively(root)
    assert not gfile.exists(root) and not gfile.is_directory(root)


@pytest.mark.parametrize(
    ("act", "kind"),
    [
        (lambda root: gfile.GFile(root / "no").read(), errors.NotFoundError),
        (lambda root: gfile.remove(root / "no"), errors.NotFoundError),
        (lambda root: gfile.list_directory(root / "no"), errors.NotFoundError),
        (lambda root: gfile.mkdir(root), errors.AlreadyExistsError),
        (lambda root: gfile.copy(root / "f", root / "f"), errors.AlreadyExistsError),
        (lambda root: gfile.GFile(root / "f", "w").read(), errors.PermissionDeniedError),
        (lambda root: gfile.GFile(root / "f").write("x"), errors.PermissionDeniedError),
        (lambda root: gfile.GFile(root / "f", "q"), errors.InvalidArgumentError),
        (lambda root: gfile.exists("gs://bucket/f"), errors.UnimplementedError),
    ],
)
def test_errors(tmp_path, act, kind):
    (tmp_path / "f").write_text("x")
    with pytest.raises(kind):
        act(tmp_path)


def test_closing_makes_an_empty_file(tmp_path):
    with gfile.GFile(tmp_path / "empty", "w"):
        pass
    assert (tmp_path / "empty").read_bytes() == b""


def test_both_names_of_arguments(tmp_path):
    assert gfile.exists(path=tmp_path) and gfile.exists(filename=tmp_path)

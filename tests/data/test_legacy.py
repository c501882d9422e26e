"""The files that old scripts look for, made of data in other forms."""

import gzip
import pickle
import zipfile

import numpy as np
import pytest
from PIL import Image

from anode.data import load_cifar10
from anode.data.legacy import write_legacy
from anode.data.pickles import read_value
from anode.errors import DataError
from tests.data.pictures import encoded


def test_mnist(tmp_path):
    for part, n in (("train", 3), ("t10k", 2)):
        header = np.array([0x803, n, 28, 28], ">u4").tobytes()
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(header + bytes(range(n)) * 784)
        labels = np.array([0x801, n], ">u4").tobytes() + bytes(range(n))
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(labels)
    (path,) = write_legacy("mnist", tmp_path, tmp_path / "out")
    first = path.read_bytes()
    (x, y), (x_test, _) = read_value(path)
    assert x.shape == (3, 28, 28) and x.dtype == np.uint8 and x_test.shape == (2, 28, 28)
    assert y.tolist() == [0, 1, 2]
    with gzip.open(path) as file:
        content = file.read()
    assert b"numpy._core" not in content and pickle.loads(content)[0][1].tolist() == [0, 1, 2]
    write_legacy("mnist", tmp_path, tmp_path / "out")
    assert path.read_bytes() == first  # the same for the same source


def test_cifar10(tmp_path):
    for part in ("train", "test"):
        for label in range(10):
            folder = tmp_path / part / f"class{label}"
            folder.mkdir(parents=True)
            for i in range(2):
                pixels = np.full((32, 32, 3), 20 * label + i, np.uint8)
                (folder / f"{i}.png").write_bytes(encoded(Image.fromarray(pixels), "PNG"))
    root, archive = write_legacy("cifar10", tmp_path, tmp_path / "out")
    assert archive.is_file()
    found = load_cifar10(root)
    assert len(found.train) == 20 and len(found.test) == 20
    np.testing.assert_array_equal(found.train.images[:, 0, 0, 0] // 20, found.train.labels)
    assert found.train.labels.tolist() != sorted(found.train.labels)


def test_texts(tmp_path):
    source = tmp_path / "text"
    source.write_text("to be, or not to be. " * 20 + "Éa")
    paths = write_legacy("ptb", source, tmp_path)
    assert [path.name for path in paths] == ["ptb.train.txt", "ptb.valid.txt", "ptb.test.txt"]
    train, valid, test = (path.read_text() for path in paths)
    assert len(train) == 338 and set(valid + test) <= set(train) and "É" not in test
    (path,) = write_legacy("shakespeare", source, tmp_path)
    assert path.read_text() == source.read_text()


def test_imdb(tmp_path):
    source = tmp_path / "reviews.zip"
    with zipfile.ZipFile(source, "w") as archive:
        archive.writestr("reviews/neg/1.txt", "Not good.")
        archive.writestr("reviews/pos/1.txt", "Good, good!")
        archive.writestr("reviews/README.txt", "no review")
    (path,) = write_legacy("imdb", source, tmp_path)
    assert read_value(path) == ([[5, 1, 4], [1, 3, 1, 2]], [0, 1])
    with zipfile.ZipFile(source) as archive:
        archive.extractall(tmp_path / "folder")
    write_legacy("imdb", tmp_path / "folder", tmp_path / "again")
    assert (tmp_path / "again" / "imdb.pkl").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    "kind, content, said",
    [
        ("svhn", b"", "choose from mnist, cifar10"),
        ("ptb", b"", "is empty"),
        ("shakespeare", b"\xff\xfe", "no text in UTF-8"),
        ("imdb", b"no zip", "not a zip file"),
        ("mnist", b"", "give the folder"),
    ],
)
def test_sources_of_another_form(tmp_path, kind, content, said):
    source = tmp_path / "source"
    source.write_bytes(content)
    with pytest.raises(DataError, match=said):
        write_legacy(kind, source, tmp_path / "out")
    with pytest.raises(DataError, match=r"choose|cannot be read|has no"):
        write_legacy(kind, tmp_path / "absent", tmp_path / "out")


def test_the_command(tmp_path, capsys):
    from anode.cli import main

    (tmp_path / "text").write_text("some words " * 20)
    assert main(["data", "legacy", "ptb", str(tmp_path / "text"), str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.split() == [
        str(tmp_path / "out" / f"ptb.{part}.txt") for part in ("train", "valid", "test")
    ]
    assert main(["data", "legacy", "svhn", "-", str(tmp_path)]) == 1
    assert "choose from mnist" in capsys.readouterr().err

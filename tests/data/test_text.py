import gzip
import zipfile

import numpy as np
import pytest

from anode.data import text
from anode.data.text import Vocabulary, load_lines, load_pairs, load_reviews, padded, streams
from anode.errors import DataError


def test_vocabulary():
    known = Vocabulary.of([["b", "a", "b"], ["c", "b", "a"]], least=2)
    assert known.tokens == ("<pad>", "<unknown>", "<start>", "<end>", "b", "a")
    assert known.encode(["a", "c", "b"]) == [5, 1, 4]
    assert known.decode([5, 4, 3, 4]) == known.decode([5, 4, 0]) == ["a", "b"]
    assert len(Vocabulary.of(["hello"], size=6)) == 6
    assert Vocabulary.of(["hello"], size=6).tokens[4:] == ("l", "e")


def test_padded():
    rows = [[1, 2, 3, 4, 5], [6]]
    np.testing.assert_array_equal(padded(rows), [[1, 2, 3, 4, 5], [6, 0, 0, 0, 0]])
    for keep, first in {"first": [1, 2, 3], "last": [3, 4, 5], "both": [1, 4, 5]}.items():
        np.testing.assert_array_equal(padded(rows, 3, keep=keep), [first, [6, 0, 0]])
    assert padded([]).shape == (0, 0)
    with pytest.raises(DataError, match="none of 'first'"):
        padded(rows, keep="all")


def test_streams_go_on_from_minibatch_to_minibatch():
    found = streams(range(14), rows=2, steps=3)
    assert len(found) == 2
    np.testing.assert_array_equal(found[0][0], [[0, 1, 2], [6, 7, 8]])
    np.testing.assert_array_equal(found[1][0], [[3, 4, 5], [9, 10, 11]])
    np.testing.assert_array_equal(found[1][1], [[4, 5, 6], [10, 11, 12]])
    with pytest.raises(DataError, match="6 tokens do not fill 2 rows of 3 steps"):
        streams(range(6), rows=2, steps=3)


def write(folder, names):
    for name, content in names.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content.encode())


def test_reviews_of_a_folder_or_a_zip(tmp_path):
    names = {"m/pos/b.txt": "good", "m/neg/z.txt": "bad", "m/pos/a.txt": "fine", "m/README": "x"}
    write(tmp_path, names)
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as packed:
        for name, content in names.items():
            packed.writestr(name, content)
    for path in (tmp_path / "m", tmp_path / "m.zip"):
        found = load_reviews(path)
        assert found.texts == ("bad", "fine", "good")
        assert found.labels.tolist() == [0, 1, 1]
        assert found[np.array([2])].texts == ("good",)


def test_parts_of_imdb(tmp_path):
    write(tmp_path, {f"{p}/{c}/0_1.txt": p + c for p in ("train", "test") for c in ("pos", "neg")})
    assert load_reviews(tmp_path, "test").texts == ("testneg", "testpos")
    assert len(load_reviews(tmp_path)) == 4
    with pytest.raises(DataError, match=r"has no dev/neg/\*.txt and dev/pos/\*.txt"):
        load_reviews(tmp_path, "dev")


def test_lines_and_pairs(tmp_path):
    (tmp_path / "a.en").write_text("one\ntwo\n")
    (tmp_path / "a.de.gz").write_bytes(gzip.compress(b"eins\nzwei\n"))
    assert load_pairs(tmp_path / "a.en", tmp_path / "a.de.gz") == [("one", "eins"), ("two", "zwei")]
    (tmp_path / "b.de").write_text("eins")
    with pytest.raises(DataError, match="no translation"):
        load_pairs(tmp_path / "a.en", tmp_path / "b.de")


def test_files_that_are_damaged_or_too_large(tmp_path, monkeypatch):
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"hello" * 100)[:-10])
    with pytest.raises(DataError, match=r"a\.gz"):
        load_lines(tmp_path / "a.gz")
    (tmp_path / "b").write_bytes(b"ab\xff")
    with pytest.raises(DataError, match="not UTF-8 at byte 2"):
        load_lines(tmp_path / "b")
    with pytest.raises(DataError, match="give a folder or a zip"):
        load_reviews(tmp_path / "b")
    monkeypatch.setattr(text, "MAX_LINES", 3)
    (tmp_path / "c").write_text("abcd")
    with pytest.raises(DataError, match="more than 3 bytes"):
        load_lines(tmp_path / "c")
    monkeypatch.setattr(text, "MAX_TEXT", 3)
    write(tmp_path, {"r/pos/a.txt": "good", "r/neg/a.txt": "bad"})
    with pytest.raises(DataError, match="too large"):
        load_reviews(tmp_path / "r")

"""Data sets of speech, and their features."""

import io
import tarfile

import numpy as np
import pytest

from anode.data.audio import Sound, write_wav
from anode.data.speech import (
    DIGITS,
    Utterance,
    digit_strings,
    held_back,
    list_librispeech,
    load_spoken_digits,
)
from anode.data.speech_features import MFCC, LogMel, slopes
from anode.errors import DataError

NAMES = ["1_anna_2.wav", "1_anna_10.wav", "0_bert_0.wav", "1_bert_0.wav"]


def tone(seconds=0.3, frequency=440.0, rate=8000):
    times = np.arange(int(seconds * rate)) / rate
    return Sound((0.5 * np.sin(2 * np.pi * frequency * times)).astype(np.float32), rate)


@pytest.fixture
def recordings(tmp_path):
    folder = tmp_path / "recordings"
    folder.mkdir()
    for i, name in enumerate(NAMES):
        write_wav(folder / name, tone(0.1 + i / 100))
    (folder / "notes.txt").write_text("no recording")
    return folder


def archive(folder, path, mode):
    with tarfile.open(path, mode) as tar:
        tar.add(folder, "recordings")
        member = tarfile.TarInfo("recordings/5_link_0.wav")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(member)
    return path


@pytest.mark.parametrize("kind", ["folder", "above", "xz", "gz", "plain"])
def test_spoken_digits(kind, recordings, tmp_path):
    path = {"folder": recordings, "above": tmp_path}.get(kind)
    if path is None:
        mode = {"plain": "w", "xz": "w:xz", "gz": "w:gz"}[kind]
        path = archive(recordings, tmp_path / f"a.{kind}", mode)
    found = load_spoken_digits(path)
    assert [(u.text, u.speaker) for u in found] == [
        ("0", "bert"),
        ("1", "anna"),
        ("1", "anna"),
        ("1", "bert"),
    ]
    assert [len(u.sound.samples) for u in found] == [960, 800, 880, 1040]  # 2 is before 10


def test_archives_are_not_believed(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        load_spoken_digits(tmp_path / "nowhere.tar")
    (tmp_path / "no.tar").write_bytes(b"none" * 400)
    with pytest.raises(DataError, match="cannot be read"):
        load_spoken_digits(tmp_path / "no.tar")
    with pytest.raises(DataError, match="has no files"):
        load_spoken_digits(tmp_path)
    member = tarfile.TarInfo("../../1_anna_0.wav")
    member.size = 10
    with tarfile.open(tmp_path / "bad.tar", "w") as tar:
        tar.addfile(member, io.BytesIO(b"0123456789"))
    with pytest.raises(DataError, match=r"1_anna_0\.wav: damaged"):
        load_spoken_digits(tmp_path / "bad.tar")
    member.size = 1 << 40
    (tmp_path / "huge.tar").write_bytes(member.tobuf(tarfile.GNU_FORMAT))
    with pytest.raises(DataError, match="larger than"):
        load_spoken_digits(tmp_path / "huge.tar")


def test_strings_of_digits(recordings):
    found = load_spoken_digits(recordings)
    strings = list(digit_strings(found, 50, seed=3))
    assert {len(u.text) for u in strings} == {3, 4, 5, 6}
    assert {c for u in strings for c in u.text} == {"0", "1"}
    for utterance in strings:
        parts = 0.1 * len(utterance.text)
        assert parts <= utterance.sound.seconds < 0.35 * len(utterance.text) + 0.1
    again = list(digit_strings(found, 50, seed=3))
    for a, b in zip(strings, again, strict=True):
        np.testing.assert_array_equal(a.sound.samples, b.sound.samples)
    assert [u.text for u in digit_strings(found, 50, seed=4)] != [u.text for u in strings]
    with pytest.raises(DataError, match="one rate"):
        next(digit_strings([*found, Utterance(tone(rate=16000), "1")], 1))


def test_holding_back():
    all_of_them = [Utterance(tone(), str(i)) for i in range(20)]
    train, test = held_back(all_of_them, 0.1, seed=1)
    assert len(train) == 18 and len(test) == 2
    assert sorted(int(u.text) for u in train + test) == list(range(20))
    assert held_back(all_of_them, 0.1, seed=1)[1] == test
    with pytest.raises(DataError, match="nothing on one side"):
        held_back(all_of_them, 0.01)


def test_librispeech(tmp_path):
    chapter = tmp_path / "train-clean-100" / "19" / "198"
    chapter.mkdir(parents=True)
    (chapter / "19-198.trans.txt").write_text("19-198-0000 NORTHANGER ABBEY\n19-198-0001 IT'S SO\n")
    for i in range(2):
        (chapter / f"19-198-000{i}.flac").write_bytes(b"")
    found = list_librispeech(tmp_path)
    assert [(t.path.name, t.text, t.speaker) for t in found] == [
        ("19-198-0000.flac", "NORTHANGER ABBEY", "19"),
        ("19-198-0001.flac", "IT'S SO", "19"),
    ]
    (chapter / "19-198-0001.flac").unlink()
    with pytest.raises(DataError, match=r"line 2: there is no 19-198-0001\.flac"):
        list_librispeech(tmp_path)
    (chapter / "19-198.trans.txt").write_text("../19 AWAY\n")
    with pytest.raises(DataError, match="line 1 is not of a name"):
        list_librispeech(tmp_path)
    with pytest.raises(DataError, match="has no files"):
        list_librispeech(tmp_path / "empty")


def test_alphabets():
    assert DIGITS.classes == 11
    assert DIGITS.encode("0190") == (1, 2, 10, 1)
    assert DIGITS.decode(DIGITS.encode("0190")) == "0190"
    with pytest.raises(DataError, match="'x' of '1x' is none of"):
        DIGITS.encode("1x")


def test_log_mel():
    pytest.importorskip("kaldi_native_fbank")
    features = LogMel(8000, dither=0.0, normalise=False)
    low, high = features(tone(0.5, 300)), features(tone(0.5, 2000))
    assert low.shape == (50, 40) and low.dtype == np.float32 and features.size == 40
    assert low[25].argmax() < high[25].argmax()
    louder = features(Sound(2 * tone(0.5, 300).samples, 8000))
    np.testing.assert_allclose((louder - low)[25], np.log(4), atol=1e-3)  # of the energy
    flat = LogMel(8000)(tone(0.5, 300))
    np.testing.assert_allclose(flat.mean(0), 0, atol=1e-4)
    assert (flat.std(0) < 1.001).all()
    silence = LogMel(8000, normalise=False)(Sound(np.zeros(4000, np.float32), 8000))
    assert silence.std() < 3 and silence.shape == (50, 40)
    assert features(Sound(np.zeros(10, np.float32), 8000)).shape == (0, 40)
    assert LogMel(8000)(tone(0.5, 300, rate=16000)).shape == (50, 40)


def test_mfcc():
    pytest.importorskip("kaldi_native_fbank")
    plain, wide = MFCC(8000), MFCC(8000, deltas=True)
    assert (plain.size, wide.size) == (13, 39)
    found = wide(tone())
    assert found.shape == (30, 39)
    np.testing.assert_allclose(found[:, :13], plain(tone()))
    np.testing.assert_allclose(found[:, 13:26], slopes(plain(tone())))


def test_slopes():
    line = np.arange(10.0)[:, None] * [2.0, -1.0]
    np.testing.assert_allclose(slopes(line)[2:-2], np.broadcast_to([2.0, -1.0], (6, 2)))
    assert slopes(np.zeros((0, 3))).shape == (0, 3)

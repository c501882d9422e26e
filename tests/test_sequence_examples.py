"""The examples of sequences run, on little data."""

import gzip
import runpy
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def main_of(name):
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"]


def test_sentiment(tmp_path, capsys):
    random = np.random.default_rng(0)
    for label, words in (("pos", "good fine"), ("neg", "bad dull")):
        folder = tmp_path / "reviews" / label
        folder.mkdir(parents=True)
        for i in range(60):
            said = random.choice([*words.split(), "film", "a", "the"], 30)
            (folder / f"{i}.txt").write_text(" ".join(said))
    right = main_of("sentiment_lstm")(
        str(tmp_path / "reviews"), epochs=6, steps=40, units=4, networks=2
    )
    assert right > 0.8
    assert "2 of 2 networks" in capsys.readouterr().out


def test_reversal(capsys):
    right = main_of("seq2seq_reverse")(epochs=1, batches=3, longest=4, units=8)
    assert 0 <= right <= 1
    assert capsys.readouterr().out.count(" -> ") == 5


def test_character_model(tmp_path, capsys):
    path = tmp_path / "text"
    path.write_text("to be or not to be. " * 400)
    nats = main_of("char_lm")(
        str(path), epochs=6, units=16, rows=8, steps=20, prompt="to", length=12
    )
    assert nats < 2.0
    assert "Epoch 6/6" in capsys.readouterr().out


@pytest.mark.slow
def test_translation(tmp_path, capsys):
    for part, count in (("train", 128), ("val", 6)):
        for language, line in (("en", "a dog\n"), ("de", "ein hund\n")):
            packed = gzip.compress((line * count).encode())
            (tmp_path / f"{part}.{language}.gz").write_bytes(packed)
    rate = main_of("seq2seq_multi30k")(str(tmp_path), longest=10, epochs=20, units=16, beams=2)
    assert rate < 0.5
    assert "128 pairs of at most 10 letters" in capsys.readouterr().out

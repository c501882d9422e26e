"""The code of docs/speech.md runs, and what needs a package says which."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from anode.data.audio import Sound, read_sound
from anode.data.speech_features import MFCC, LogMel
from anode.errors import DataError

PAGE = Path(__file__).parents[2] / "docs" / "speech.md"


def test_the_code_of_the_page_runs(tmp_path, monkeypatch):
    pytest.importorskip("kaldi_native_fbank")
    monkeypatch.chdir(tmp_path)
    names: dict = {"__name__": "docs"}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(compile(block, str(PAGE), "exec"), names)
    assert names["found"]["DigitErrorRate"] < 0.2
    assert len(names["heard"]) and names["best"].score <= 0
    assert names["again"][0].score <= names["best"].score


def test_packages_are_asked_for(tmp_path, monkeypatch):
    for name in ("soundfile", "kaldi_native_fbank"):
        monkeypatch.setitem(sys.modules, name, None)
    (tmp_path / "a.flac").write_bytes(b"fLaC")
    silence = Sound(np.zeros(800, np.float32), 8000)
    for call in (
        lambda: read_sound(tmp_path / "a.flac"),
        lambda: LogMel(8000)(silence),
        lambda: MFCC(8000)(silence),
    ):
        with pytest.raises(DataError, match=r"pip install 'anode\[speech\]'"):
            call()

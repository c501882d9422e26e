"""Data sets of speech: recordings with what is said in them."""

from __future__ import annotations

import os
import re
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from anode.data.audio import Sound, decode_wav
from anode.errors import DataError

DIGIT_FILE = re.compile(r"(\d)_(\w+)_(\d+)\.wav")
MAX_RECORDING = 1 << 24  # bytes
MAX_RECORDINGS = 1 << 32  # bytes of all of them
MAX_TRANSCRIPTS = 1 << 28  # bytes of a file of them
MAX_TRANSCRIPT = 1 << 16


@dataclass(frozen=True)
class Alphabet:
    """Characters as the labels 1, 2, …; 0 is the blank of connectionist temporal classification."""

    characters: str

    @property
    def classes(self) -> int:
        """How many classes there are, with the blank."""
        return len(self.characters) + 1

    def encode(self, text: str) -> tuple[int, ...]:
        """The labels of a text; a character that is not in the alphabet raises DataError."""
        unknown = sorted(set(text) - set(self.characters))
        if unknown:
            raise DataError(f"{unknown[0]!r} of {text!r} is none of {self.characters!r}")
        return tuple(self.characters.index(character) + 1 for character in text)

    def decode(self, labels: Iterable[int]) -> str:
        """The text of labels."""
        return "".join(self.characters[label - 1] for label in labels)


DIGITS = Alphabet("0123456789")
LETTERS = Alphabet(" 'ABCDEFGHIJKLMNOPQRSTUVWXYZ")  # of LibriSpeech


@dataclass(frozen=True)
class Utterance:
    """A sound and what is said in it; `speaker` may be empty."""

    sound: Sound
    text: str
    speaker: str = ""


@dataclass(frozen=True)
class Transcript:
    """A sound file and what is said in it."""

    path: Path
    text: str
    speaker: str


def load_spoken_digits(path: str | os.PathLike[str]) -> list[Utterance]:
    """The recordings of the Free Spoken Digit Dataset, in the order of their names.

    `path` is its archive, a tar of any compression, which is read in memory and never unpacked, or
    the folder of the files `<digit>_<speaker>_<number>.wav`, or the one above it. Raises DataError
    where there are none, for one that is damaged or larger than 16 MiB, and for 4 GiB of them.
    """
    root = Path(path)
    try:
        files = dict(_in_folder(root) if root.is_dir() else _in_tar(root))
    except (OSError, tarfile.TarError, EOFError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{root}: cannot be read ({reason}); check the path") from error
    if not files:
        raise DataError(f"{root}: has no files <digit>_<speaker>_<number>.wav; check the path")
    return [_digit(root, name, files[name]) for name in sorted(files, key=_order)]


def held_back(
    utterances: Sequence[Utterance], share: float, seed: int = 0
) -> tuple[list[Utterance], list[Utterance]]:
    """The utterances in two: those to train on, and a random `share` of them for testing."""
    from anode.data.batches import permutation

    order = permutation(len(utterances), seed, 0).tolist()
    count = round(share * len(utterances))
    if not 0 < count < len(utterances):
        raise DataError(f"a share of {share} of {len(utterances)} leaves nothing on one side")
    kept, back = sorted(order[count:]), sorted(order[:count])
    return [utterances[i] for i in kept], [utterances[i] for i in back]


def digit_strings(
    recordings: Sequence[Utterance],
    count: int,
    digits: tuple[int, int] = (3, 6),
    *,
    gap: float = 0.1,
    noise: float = 1e-4,
    seed: int = 0,
) -> Iterator[Utterance]:
    """`count` strings of recordings drawn at random, each of the same number of `digits` as often.

    Up to `gap` seconds of silence lie before, between and after the recordings, and white noise of
    deviation `noise` over all of it.
    """
    random = np.random.default_rng(seed)
    rates = {utterance.sound.rate for utterance in recordings}
    if len(rates) != 1:
        raise DataError(f"recordings of one rate can be joined, not of {sorted(rates)}")
    (rate,) = rates
    for _ in range(count):
        chosen = random.integers(len(recordings), size=random.integers(digits[0], digits[1] + 1))
        parts = [_silence(random, gap, rate)]
        for i in chosen:
            parts += [recordings[i].sound.samples, _silence(random, gap, rate)]
        samples = np.concatenate(parts)
        samples += random.normal(0, noise, len(samples)).astype(np.float32)
        yield Utterance(Sound(samples, rate), "".join(recordings[i].text for i in chosen))


def list_librispeech(folder: str | os.PathLike[str]) -> list[Transcript]:
    """The sound files and transcripts under a folder of LibriSpeech, in the order of their names.

    A chapter's folder has a file `<speaker>-<chapter>.trans.txt`, of lines `<name> <text>`, beside
    `<name>.flac`. Raises DataError where there are none, and for a line whose file is missing.
    """
    root = Path(folder)
    found = [item for path in sorted(root.rglob("*.trans.txt")) for item in _chapter(path)]
    if not found:
        raise DataError(f"{root}: has no files <speaker>-<chapter>.trans.txt; check the path")
    return found


def _digit(root: Path, name: str, content: bytes) -> Utterance:
    match = DIGIT_FILE.fullmatch(name)
    assert match is not None
    try:
        return Utterance(decode_wav(content), match[1], match[2])
    except DataError as error:
        raise DataError(f"{root}: {name}: {error}") from error


def _order(name: str) -> tuple[str, str, int]:
    match = DIGIT_FILE.fullmatch(name)
    assert match is not None
    return match[1], match[2], int(match[3])


def _in_folder(root: Path) -> Iterator[tuple[str, bytes]]:
    inner = root / "recordings"
    for path in (inner if inner.is_dir() else root).iterdir():
        if DIGIT_FILE.fullmatch(path.name) and path.is_file():
            _check_size(root, path.name, path.stat().st_size)
            yield path.name, path.read_bytes()


def _in_tar(root: Path) -> Iterator[tuple[str, bytes]]:
    total = 0
    with tarfile.open(root, "r|*") as tar:  # a stream: nothing is sought, nothing unpacked
        for member in tar:
            name = PurePosixPath(member.name).name
            if not member.isreg() or not DIGIT_FILE.fullmatch(name):
                continue
            _check_size(root, name, member.size)
            total += member.size
            if total > MAX_RECORDINGS:
                raise DataError(f"{root}: more than {MAX_RECORDINGS} bytes of recordings")
            file = tar.extractfile(member)
            assert file is not None
            yield name, file.read()


def _check_size(root: Path, name: str, size: int) -> None:
    if size > MAX_RECORDING:
        raise DataError(f"{root}: {name} is larger than {MAX_RECORDING} bytes")


def _silence(random: np.random.Generator, gap: float, rate: int) -> np.ndarray:
    return np.zeros(int(random.uniform(0, gap) * rate), np.float32)


def _chapter(path: Path) -> Iterator[Transcript]:
    try:
        if path.stat().st_size > MAX_TRANSCRIPTS:
            raise DataError(f"{path}: larger than {MAX_TRANSCRIPTS} bytes")
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise DataError(f"{path}: cannot be read ({reason})") from error
    for number, line in enumerate(filter(str.strip, lines), 1):
        name, _, text = line.strip().partition(" ")
        if not re.fullmatch(r"[\w-]+", name) or len(text) > MAX_TRANSCRIPT:
            raise DataError(f"{path}: line {number} is not of a name and a text")
        file = path.parent / f"{name}.flac"
        if not file.is_file():
            raise DataError(f"{path}: line {number}: there is no {file.name} beside it")
        yield Transcript(file, text.strip(), name.partition("-")[0])

"""Texts as arrays: vocabularies, padded rows, and files of reviews and of translations."""

from __future__ import annotations

import gzip
import os
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath

import numpy as np

from anode.errors import DataError

PAD, UNKNOWN, START, END = "<pad>", "<unknown>", "<start>", "<end>"
CLASSES = ("neg", "pos")
MAX_TEXT = 1 << 24  # bytes of one review
MAX_LINES = 1 << 28  # bytes of a file of lines
MAX_TEXTS = 1 << 20


@dataclass(frozen=True)
class Vocabulary:
    """The tokens that a model knows, by number; the first four are PAD, UNKNOWN, START and END."""

    tokens: tuple[str, ...]

    @staticmethod
    def of(texts: Iterable[Iterable[str]], size: int | None = None, least: int = 1) -> Vocabulary:
        """The `size` most frequent tokens that occur at least `least` times, by frequency.

        Tokens that are as frequent are in alphabetical order. A text is its tokens; of a string
        these are its characters.
        """
        counts = Counter(token for text in texts for token in text)
        special = (PAD, UNKNOWN, START, END)
        found = [t for t, n in counts.items() if n >= least and t not in special]
        found.sort(key=lambda token: (-counts[token], token))
        return Vocabulary((*special, *found[: size and max(size - len(special), 0)]))

    def __len__(self) -> int:
        return len(self.tokens)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_numbers", {token: i for i, token in enumerate(self.tokens)})

    def encode(self, text: Iterable[str]) -> list[int]:
        """The numbers of tokens; those not known are UNKNOWN."""
        numbers: dict[str, int] = self._numbers  # type: ignore[attr-defined]
        return [numbers.get(token, 1) for token in text]

    def decode(self, numbers: Iterable[int]) -> list[str]:
        """The tokens of numbers up to the first END or PAD."""
        found = []
        for number in numbers:
            if self.tokens[number] in (END, PAD):
                break
            found.append(self.tokens[number])
        return found


def padded(
    rows: Sequence[Sequence[int]], steps: int | None = None, *, keep: str = "first"
) -> np.ndarray:
    """Rows of numbers as i32[rows, steps], with 0 after those that are shorter.

    `steps` is by default the longest row's length. Of longer rows `keep` says what is left: the
    "first" steps, the "last", or "both", half of them from either end.
    """
    if keep not in ("first", "last", "both"):
        raise DataError(f"keep={keep!r} is none of 'first', 'last', 'both'")
    steps = max(map(len, rows), default=0) if steps is None else steps
    found = np.zeros((len(rows), steps), np.int32)
    head = {"first": steps, "last": 0, "both": steps // 2}[keep]
    for row, numbers in zip(found, rows, strict=True):
        if len(numbers) > steps:
            numbers = [*numbers[:head], *numbers[len(numbers) - (steps - head) :]]
        row[: len(numbers)] = numbers
    return found


def streams(numbers: Sequence[int], rows: int, steps: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """One long text as minibatches: numbers i32[rows, steps], and those that come next.

    The text is cut into `rows` streams, and each minibatch goes on where the last one ended, as a
    network with a state that is carried wants. What does not fill a minibatch is left out.
    """
    batches = (len(numbers) - 1) // (rows * steps)
    if batches < 1:
        raise DataError(f"{len(numbers)} tokens do not fill {rows} rows of {steps} steps")
    used = rows * batches * steps
    whole = np.asarray(numbers[: used + 1], np.int32)
    given, following = whole[:-1].reshape(rows, -1), whole[1:].reshape(rows, -1)
    cuts = [slice(start, start + steps) for start in range(0, batches * steps, steps)]
    return [(given[:, cut], following[:, cut]) for cut in cuts]


@dataclass(frozen=True)
class Texts:
    """Texts with the number of each one's class."""

    texts: tuple[str, ...]
    labels: np.ndarray
    classes: tuple[str, ...] = CLASSES

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, rows: np.ndarray) -> Texts:
        return Texts(tuple(self.texts[i] for i in rows), self.labels[rows], self.classes)


def load_reviews(path: str | os.PathLike[str], part: str = "") -> Texts:
    """Reviews, each a text file in a folder `neg` or `pos`, by class and then by name.

    `path` is a folder or a zip, such as NLTK's movie_reviews.zip, or IMDB's aclImdb, of which
    `part` is "train" or "test". Raises `DataError` where a class has no text.
    """

    def wanted(name: PurePath) -> bool:
        return name.parent.name in CLASSES and part in ("", name.parent.parent.name)

    found = sorted(
        (CLASSES.index(name.parent.name), str(name), text)
        for name, text in _files(Path(path), wanted)
    )
    labels = np.array([label for label, _, _ in found], np.int32)
    if len(set(labels.tolist())) < len(CLASSES):
        names = " and ".join(f"{part + '/' if part else ''}{name}/*.txt" for name in CLASSES)
        raise DataError(f"{path}: has no {names}; check the path")
    return Texts(tuple(text for _, _, text in found), labels)


def load_lines(path: str | os.PathLike[str]) -> list[str]:
    """The lines of a text in UTF-8, packed by gzip if its name ends in .gz, without line ends."""
    name = Path(path)
    try:
        with (gzip.open if name.suffix == ".gz" else open)(name, "rb") as file:
            data = file.read(MAX_LINES + 1)
    except (OSError, EOFError) as error:
        raise DataError(f"{name}: {error}") from error
    if len(data) > MAX_LINES:
        raise DataError(f"{name}: more than {MAX_LINES} bytes")
    return _decoded(name, data).splitlines()


def load_pairs(
    source: str | os.PathLike[str], target: str | os.PathLike[str]
) -> list[tuple[str, str]]:
    """Sentences and their translations, from two files of as many lines, such as Multi30k's."""
    pairs = load_lines(source), load_lines(target)
    if len(pairs[0]) != len(pairs[1]):
        raise DataError(
            f"{source} has {len(pairs[0])} lines, {target} {len(pairs[1])}: no translation"
        )
    return list(zip(*pairs, strict=True))


def _files(path: Path, wanted: Callable[[PurePath], bool]) -> Iterator[tuple[PurePath, str]]:
    """The names and contents of the text files wanted of a folder or a zip."""
    if path.is_dir():
        files = [file for file in path.rglob("*.txt") if wanted(file)]
        for count, file in enumerate(files):
            _check(path, count, file.stat().st_size, file)
            yield file.relative_to(path), _decoded(file, file.read_bytes())
        return
    try:
        with zipfile.ZipFile(path) as packed:
            entries = [e for e in packed.infolist() if e.filename.endswith(".txt")]
            entries = [e for e in entries if wanted(PurePosixPath(e.filename))]
            for count, entry in enumerate(entries):
                _check(path, count, entry.file_size, entry.filename)
                yield PurePosixPath(entry.filename), _decoded(path, packed.read(entry))
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: {error}; give a folder or a zip") from error


def _check(path: Path, count: int, size: int, name: object) -> None:
    if count >= MAX_TEXTS or size > MAX_TEXT:
        raise DataError(
            f"{path}: {name} is too large, or one of more than {MAX_TEXTS} files, for memory"
        )


def _decoded(name: object, data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{name}: is not UTF-8 at byte {error.start}") from error

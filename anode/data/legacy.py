"""The files that scripts for neon and ngraph look for, made of data in other forms.

These scripts download nothing that is in their folder (`-w`, `--data_dir`) already. What is written
can be read by Python 2.7 and NumPy 1 as well, and is the same for the same source.
"""

from __future__ import annotations

import re
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from os import PathLike
from pathlib import Path, PurePosixPath

import numpy as np

from anode.data.batches import permutation
from anode.data.cifar import CIFAR10, load_cifar10
from anode.data.image_sets import load_mnist
from anode.data.pickles import write_value
from anode.errors import DataError

MAX_TEXT = 1 << 30  # bytes, of a text or of all reviews
BATCHES = 5  # of CIFAR-10's training images
SHARES = {"train": 0.8, "valid": 0.1, "test": 0.1}  # of a text
WORDS = re.compile(r"[a-z0-9']+|[^\sa-z0-9']")
REVIEW = re.compile(r"(?:^|/)(pos|neg)/[^/]+\.txt$")


def write_legacy(kind: str, source: str | PathLike[str], folder: str | PathLike[str]) -> list[Path]:
    """Write the files of the data set `kind`, one of KINDS, to `folder`; gives their paths.

    Raises DataError for a source that is missing, damaged or of another form.
    """
    if kind not in KINDS:
        raise DataError(f"there is no legacy data set {kind!r}; choose from {', '.join(KINDS)}")
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return KINDS[kind](Path(source), folder)
    except (OSError, zipfile.BadZipFile) as error:
        reason = getattr(error, "strerror", None) or error
        where = getattr(error, "filename", None) or source
        raise DataError(f"{where}: cannot be read or written ({reason}); check the path") from error


def mnist(source: Path, folder: Path) -> list[Path]:
    """mnist.pkl.gz, a pickle ((X u8[n, 28, 28], y), (X, y)), of a folder of four IDX files.

    The source - is the set that comes with anode.
    """
    found = load_mnist(None if str(source) == "-" else source)
    parts = tuple(
        (np.ascontiguousarray(part.images), part.labels.astype(np.int64))
        for part in (found.train, found.test)
    )
    path = folder / "mnist.pkl.gz"
    write_value(path, parts)
    return [path]


def cifar10(source: Path, folder: Path) -> list[Path]:
    """cifar-10-batches-py and its archive, of whatever `load_cifar10` reads, shuffled."""
    found = load_cifar10(source)
    root = folder / "cifar-10-batches-py"
    root.mkdir(exist_ok=True)
    order = permutation(len(found.train), 0, 0)
    rows = dict(
        zip(
            (f"data_batch_{i + 1}" for i in range(BATCHES)),
            np.array_split(order, BATCHES),
            strict=True,
        )
    )
    for name, part in [*((n, found.train) for n in rows), ("test_batch", found.test)]:
        chosen = rows.get(name, np.arange(len(part)))
        planes = part.images[chosen].transpose(0, 3, 1, 2).reshape(len(chosen), -1)
        labels = part.labels[chosen].tolist()
        write_value(root / name, {"data": np.ascontiguousarray(planes), "labels": labels})
    write_value(root / "batches.meta", {"label_names": list(CIFAR10)})
    archive = folder / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        for path in sorted(root.iterdir()):
            tar.add(path, f"{root.name}/{path.name}")
    return [root, archive]


def ptb(source: Path, folder: Path) -> list[Path]:
    """ptb.train.txt, ptb.valid.txt and ptb.test.txt, of a text: its first 80 %, the next two 10 %.

    Characters that the first part lacks are left out of the others, as models know its own only.
    """
    text, paths, start = _text(source), [], 0
    known: set[str] = set()
    for part, share in SHARES.items():
        stop = start + round(share * len(text))
        cut = text[start:stop]
        known = known or set(cut)
        paths.append(folder / f"ptb.{part}.txt")
        _write(paths[-1], "".join(c for c in cut if c in known))
        start = stop
    return paths


def shakespeare(source: Path, folder: Path) -> list[Path]:
    """shakespeare_input.txt, of a text."""
    path = folder / "shakespeare_input.txt"
    _write(path, _text(source))
    return [path]


def imdb(source: Path, folder: Path) -> list[Path]:
    """imdb.pkl, a pickle (lists of word numbers, labels), of reviews in folders pos and neg.

    The source is a folder or a zip; labels are 1 for pos. Words are numbered from 1 by how often
    they occur, then by name.
    """
    reviews = [(WORDS.findall(text.lower()), label) for text, label in _reviews(source)]
    if {label for _, label in reviews} != {0, 1}:
        raise DataError(f"{source}: has no texts in folders pos and neg; check the path")
    counts = Counter(word for words, _ in reviews for word in words)
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    numbers = {word: i for i, word in enumerate(ranked, 1)}
    path = folder / "imdb.pkl"
    sentences = [[numbers[word] for word in words] for words, _ in reviews]
    write_value(path, (sentences, [label for _, label in reviews]))
    return [path]


def _reviews(source: Path) -> Iterator[tuple[str, int]]:
    """The texts of a folder or zip with 1 for those in a folder pos, 0 for those in neg."""
    total = 0
    for name, size, read in _zipped(source) if source.is_file() else _files(source):
        found = REVIEW.search(name)
        if found:
            total += size
            if total > MAX_TEXT:
                raise DataError(f"{source}: has more than {MAX_TEXT} bytes of text")
            yield read().decode("utf-8", "replace"), int(found[1] == "pos")


Listed = tuple[str, int, Callable[[], bytes]]  # a name with its size and a way to its content


def _files(root: Path) -> Iterator[Listed]:
    for path in sorted(root.rglob("*.txt")):
        yield path.as_posix(), path.stat().st_size, path.read_bytes


def _zipped(path: Path) -> Iterator[Listed]:
    with zipfile.ZipFile(path) as archive:
        for info in sorted(archive.infolist(), key=lambda info: info.filename):
            name = str(PurePosixPath(info.filename))
            yield name, info.file_size, lambda info=info: archive.read(info)  # type: ignore[misc]


def _text(path: Path) -> str:
    if path.stat().st_size > MAX_TEXT:
        raise DataError(f"{path}: larger than {MAX_TEXT} bytes")
    try:
        found = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is no text in UTF-8 ({error})") from error
    if not found:
        raise DataError(f"{path}: is empty")
    return found


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


KINDS: dict[str, Callable[[Path, Path], list[Path]]] = {
    "mnist": mnist,
    "cifar10": cifar10,
    "ptb": ptb,
    "shakespeare": shakespeare,
    "imdb": imdb,
}

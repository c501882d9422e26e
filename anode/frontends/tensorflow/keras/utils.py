"""tf.keras.utils, and preprocessing of sequences."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from anode.frontends.tensorflow.opdef import export

KERAS_VERSION = "2.2.4-tf"
for _path in ("keras.__version__", "contrib.keras.__version__"):
    from anode.frontends.tensorflow.opdef import EXPORTS

    EXPORTS[_path] = f"{__name__}:KERAS_VERSION"


@export("keras.utils.to_categorical")
def to_categorical(y: Any, num_classes: int | None = None, dtype: Any = "float32") -> Any:
    """Class numbers as rows with a one at the class."""
    y = np.array(y, dtype="int")
    shape = y.shape[:-1] if y.shape and y.shape[-1] == 1 and y.ndim > 1 else y.shape
    flat = y.ravel()
    count = num_classes or int(np.max(flat)) + 1
    found = np.zeros((len(flat), count), dtype=dtype)
    found[np.arange(len(flat)), flat] = 1
    return found.reshape((*shape, count))


@export("keras.utils.normalize")
def normalize(x: Any, axis: int = -1, order: int = 2) -> Any:
    """x divided by norms along an axis; where a norm is 0, by 1."""
    norms = np.atleast_1d(np.linalg.norm(x, order, axis))
    norms[norms == 0] = 1
    return x / np.expand_dims(norms, axis)


@export("keras.utils.Sequence")
class Sequence_:
    """The base of batches by number: `__len__` and `__getitem__`."""

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError

    def on_epoch_end(self) -> None:
        pass

    def __iter__(self) -> Iterator[Any]:
        for index in range(len(self)):
            yield self[index]


@export("keras.utils.get_file")
def get_file(
    fname: Any,
    origin: str | None = None,
    untar: bool = False,
    md5_hash: str | None = None,
    file_hash: str | None = None,
    cache_subdir: str = "datasets",
    hash_algorithm: str = "auto",
    extract: bool = False,
    archive_format: str = "auto",
    cache_dir: Any = None,
) -> str:
    """The path of a file under Keras's folder; FileNotFoundError where it is not there."""
    home = Path(cache_dir or os.environ.get("KERAS_HOME", Path.home() / ".keras"))
    folder = home / cache_subdir
    path = folder / (str(fname) + ".tar.gz" if untar else str(fname))
    if untar and (folder / str(fname)).exists():
        return str(folder / str(fname))
    if not path.exists():
        raise FileNotFoundError(f"{path}: not there, and nothing is downloaded; put {origin} there")
    wanted = file_hash or md5_hash
    if wanted and not _has_hash(path, wanted, hash_algorithm):
        raise ValueError(f"{path}: incomplete or outdated, its hash is not {wanted}")
    if untar or extract:
        import shutil

        shutil.unpack_archive(path, folder)
    return str(folder / str(fname))


def _has_hash(path: Path, wanted: str, algorithm: str) -> bool:
    kind = "sha256" if algorithm == "sha256" or len(wanted) == 64 else "md5"
    return hashlib.new(kind, path.read_bytes()).hexdigest() == wanted


@export("keras.utils.plot_model")
def plot_model(*args: Any, **kwargs: Any) -> None:
    """A picture of a model, which anode does not draw."""
    raise ImportError(
        "Failed to import pydot. You must install pydot and graphviz for `pydotprint` to work: "
        "plot_model is not implemented by anode; use model.summary()"
    )


@export("keras.preprocessing.sequence.pad_sequences")
def pad_sequences(
    sequences: Any,
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> Any:
    """Sequences as rows of one length: cut or filled at the begin or the end."""
    if not hasattr(sequences, "__len__"):
        raise ValueError("`sequences` must be iterable.")
    for option, given in (("Padding", padding), ("Truncating", truncating)):
        if given not in ("pre", "post"):
            raise ValueError(f'{option} type "{given}" not understood')
    lengths = [len(s) for s in sequences]
    width = max(lengths, default=0) if maxlen is None else maxlen
    inner: tuple[int, ...] = next((np.asarray(s).shape[1:] for s in sequences if len(s)), ())
    found = np.full((len(lengths), width, *inner), value, dtype=dtype)
    for i, sequence in enumerate(sequences):
        if not len(sequence):
            continue
        kept = sequence[-width:] if truncating == "pre" else sequence[:width]
        kept = np.asarray(kept, dtype=dtype)
        if padding == "post":
            found[i, : len(kept)] = kept
        else:
            found[i, width - len(kept) :] = kept
    return found


@export("keras.preprocessing.sequence.make_sampling_table")
def make_sampling_table(size: int, sampling_factor: float = 1e-5) -> Any:
    """The probabilities to keep words by rank, of Zipf's law."""
    rank = np.arange(size)
    rank[0] = 1
    inverse = rank * (np.log(rank) + 0.577) + 0.5 - 1.0 / (12.0 * rank)
    f = sampling_factor * inverse
    return np.minimum(1.0, f / np.sqrt(f))


@export("keras.preprocessing.sequence.skipgrams")
def skipgrams(
    sequence: Sequence[int],
    vocabulary_size: int,
    window_size: int = 4,
    negative_samples: float = 1.0,
    shuffle: bool = True,
    categorical: bool = False,
    sampling_table: Any = None,
    seed: int | None = None,
) -> tuple[list[Any], list[Any]]:
    """Pairs of words that are near each other, and of words that are not, with labels."""
    couples: list[Any] = []
    labels: list[Any] = []
    for i, word in enumerate(sequence):
        if not word or (sampling_table is not None and sampling_table[word] < random.random()):
            continue
        for j in range(max(0, i - window_size), min(len(sequence), i + window_size + 1)):
            if j != i and sequence[j]:
                couples.append([word, sequence[j]])
                labels.append([0, 1] if categorical else 1)
    if negative_samples > 0:
        count = int(len(labels) * negative_samples)
        words = [c[0] for c in couples]
        random.shuffle(words)
        couples += [
            [words[i % len(words)], random.randint(1, vocabulary_size - 1)] for i in range(count)
        ]
        labels += [[1, 0] if categorical else 0] * count
    if shuffle:
        number = random.randint(0, 10_000_000) if seed is None else seed
        random.seed(number)
        random.shuffle(couples)
        random.seed(number)
        random.shuffle(labels)
    return couples, labels

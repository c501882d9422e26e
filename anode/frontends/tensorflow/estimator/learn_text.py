"""tf.contrib.learn.preprocessing: documents as rows of numbers of words, or of bytes."""

from __future__ import annotations

import pickle
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from anode.frontends.tensorflow.estimator.learn import LEARN
from anode.frontends.tensorflow.opdef import export

_WORD = re.compile(r"[A-Z]{2,}(?![a-z])|[A-Z][a-z]+(?=[A-Z])|[\'\w\-]+", re.UNICODE)
ROOTS = (
    "contrib.learn.preprocessing.",
    LEARN + "preprocessing.",
    LEARN + "preprocessing.text.",
    LEARN + "preprocessing.categorical_vocabulary.",
)


def _export(name: str) -> Any:
    return export(*(root + name for root in ROOTS))


@_export("tokenizer")
def tokenizer(iterator: Iterable[str]) -> Iterator[list[str]]:
    """The words of each text."""
    for value in iterator:
        yield _WORD.findall(value)


@_export("CategoricalVocabulary")
class CategoricalVocabulary:
    """Numbers of words by the order of their first use; 0 is the unknown word."""

    def __init__(self, unknown_token: str = "<UNK>", support_reverse: bool = True) -> None:
        self._unknown_token, self._support_reverse = unknown_token, support_reverse
        self._mapping: dict[Any, int] = {unknown_token: 0}
        self._reverse_mapping: list[Any] = [unknown_token]
        self._freq: Counter[Any] = Counter()
        self._freeze = False

    def __len__(self) -> int:
        return len(self._mapping)

    def freeze(self, freeze: bool = True) -> None:
        """Take no new words from now on."""
        self._freeze = freeze

    def get(self, category: Any) -> int:
        """The number of a word, a new one if it was not seen; 0 once frozen."""
        if category not in self._mapping:
            if self._freeze:
                return 0
            self._mapping[category] = len(self._mapping)
            if self._support_reverse:
                self._reverse_mapping.append(category)
        return self._mapping[category]

    def add(self, category: Any, count: int = 1) -> None:
        """Count a word."""
        if self.get(category) > 0:
            self._freq[category] += count

    def trim(self, min_frequency: int, max_frequency: int = -1) -> None:
        """Keep the words counted more than `min_frequency` times, the most frequent first."""
        ordered = sorted(
            sorted(self._freq.items(), key=lambda x: (isinstance(x[0], str), x[0])),
            key=lambda x: x[1],
            reverse=True,
        )
        kept = [
            (category, count)
            for category, count in ordered
            if count > min_frequency and (max_frequency <= 0 or count < max_frequency)
        ]
        self._mapping = {self._unknown_token: 0}
        self._mapping.update({category: i + 1 for i, (category, _) in enumerate(kept)})
        self._reverse_mapping = [self._unknown_token, *(category for category, _ in kept)]
        self._freq = Counter(dict(kept))

    def reverse(self, class_id: int) -> Any:
        """The word of a number."""
        if not self._support_reverse:
            raise ValueError(
                "This vocabulary wasn't initialized with support_reverse to support reverse() "
                "function."
            )
        return self._reverse_mapping[class_id]


@_export("VocabularyProcessor")
class VocabularyProcessor:
    """Makes documents rows of `max_document_length` numbers of words; 0 fills up."""

    def __init__(
        self,
        max_document_length: int,
        min_frequency: int = 0,
        vocabulary: Any = None,
        tokenizer_fn: Callable[[Any], Any] | None = None,
    ) -> None:
        self.max_document_length, self.min_frequency = max_document_length, min_frequency
        self.vocabulary_ = CategoricalVocabulary() if vocabulary is None else vocabulary
        self._tokenizer = tokenizer if tokenizer_fn is None else tokenizer_fn

    def fit(self, raw_documents: Iterable[Any], unused_y: Any = None) -> VocabularyProcessor:
        """Learn the words of the documents."""
        for tokens in self._tokenizer(raw_documents):
            for token in tokens:
                self.vocabulary_.add(token)
        if self.min_frequency > 0:
            self.vocabulary_.trim(self.min_frequency)
        self.vocabulary_.freeze()
        return self

    def fit_transform(self, raw_documents: Any, unused_y: Any = None) -> Iterator[np.ndarray]:
        """Learn the words and yield the rows."""
        self.fit(raw_documents)
        return self.transform(raw_documents)

    def transform(self, raw_documents: Iterable[Any]) -> Iterator[np.ndarray]:
        """Yield the row of each document."""
        for tokens in self._tokenizer(raw_documents):
            row = np.zeros(self.max_document_length, np.int64)
            for i, token in enumerate(tokens):
                if i >= self.max_document_length:
                    break
                row[i] = self.vocabulary_.get(token)
            yield row

    def reverse(self, documents: Iterable[Any]) -> Iterator[str]:
        """Yield the text of each row."""
        for row in documents:
            yield " ".join(self.vocabulary_.reverse(number) for number in row)

    def save(self, filename: str) -> None:
        """Write the processor to a file, to `restore` it from."""
        with open(filename, "wb") as file:
            pickle.dump(self, file)

    @classmethod
    def restore(cls, filename: str) -> VocabularyProcessor:
        """The processor of a file that `save` wrote."""
        with open(filename, "rb") as file:
            found: VocabularyProcessor = pickle.load(file)
        return found


@_export("ByteProcessor")
class ByteProcessor:
    """Makes documents rows of `max_document_length` bytes; 0 fills up."""

    def __init__(self, max_document_length: int) -> None:
        self.max_document_length = max_document_length

    def fit(self, x: Any) -> ByteProcessor:
        return self

    def fit_transform(self, x: Any) -> Iterator[np.ndarray]:
        return self.transform(x)

    def transform(self, x: Iterable[Any]) -> Iterator[np.ndarray]:
        """Yield the row of each document."""
        for document in x:
            data = document if isinstance(document, bytes) else str(document).encode("utf-8")
            row = np.zeros(self.max_document_length, np.int64)
            found = list(data)[: self.max_document_length]
            row[: len(found)] = found
            yield row

    def reverse(self, x: Iterable[Any]) -> Iterator[str]:
        """Yield the text of each row."""
        for row in x:
            data = bytes(int(item) for item in row).rstrip(b"\0")
            yield data.decode("utf-8", "replace")


def extract_pandas_data(data: Any) -> Any:
    """The numbers of a DataFrame; ValueError for columns of other types."""
    if not hasattr(data, "dtypes"):
        return data
    bad = [str(name) for name, kind in data.dtypes.items() if kind.kind not in "biuf"]
    if bad:
        raise ValueError(f"Data types for extracting pandas data must be int, float, or bool. "
                         f"Found: {', '.join(bad)}")  # fmt: skip
    return data.values.astype("float")


def extract_pandas_labels(labels: Any) -> Any:
    """The labels of a DataFrame of one column."""
    if hasattr(labels, "columns"):
        if len(labels.columns) > 1:
            raise ValueError("Only one column for labels is allowed.")
        return labels.values
    return labels


def extract_pandas_matrix(data: Any) -> Any:
    """The values of a DataFrame."""
    return data.values if hasattr(data, "columns") else data


for _function in (extract_pandas_data, extract_pandas_labels, extract_pandas_matrix):
    _name = _function.__name__
    export(f"contrib.learn.{_name}", LEARN + f"learn_io.pandas_io.{_name}")(_function)

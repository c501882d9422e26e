"""tf.keras.preprocessing.text: words as numbers."""

from __future__ import annotations

import json
from collections import Counter, OrderedDict
from collections.abc import Iterator
from hashlib import md5
from typing import Any

import numpy as np

from anode.frontends.tensorflow.opdef import export

FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'


@export("keras.preprocessing.text.text_to_word_sequence")
def text_to_word_sequence(
    text: str, filters: str = FILTERS, lower: bool = True, split: str = " "
) -> list[str]:
    """The words of a text, some characters taken as spaces."""
    text = text.lower() if lower else text
    text = text.translate({ord(mark): split for mark in filters})
    return [word for word in text.split(split) if word]


@export("keras.preprocessing.text.hashing_trick")
def hashing_trick(
    text: str,
    n: int,
    hash_function: Any = None,
    filters: str = FILTERS,
    lower: bool = True,
    split: str = " ",
) -> list[int]:
    """Words as numbers from 1 to n - 1 by a hash."""
    if hash_function is None:
        hash_function = hash
    elif hash_function == "md5":

        def hash_function(word: str) -> int:
            return int(md5(word.encode()).hexdigest(), 16)

    words = text_to_word_sequence(text, filters, lower, split)
    return [hash_function(word) % (n - 1) + 1 for word in words]


@export("keras.preprocessing.text.one_hot")
def one_hot(
    text: str, n: int, filters: str = FILTERS, lower: bool = True, split: str = " "
) -> list[int]:
    """Words as numbers by Python's hash."""
    return hashing_trick(text, n, hash, filters, lower, split)


@export("keras.preprocessing.text.Tokenizer")
class Tokenizer:
    """Numbers for words, the most frequent ones first."""

    def __init__(
        self,
        num_words: int | None = None,
        filters: str = FILTERS,
        lower: bool = True,
        split: str = " ",
        char_level: bool = False,
        oov_token: str | None = None,
        document_count: int = 0,
        **kwargs: Any,
    ) -> None:
        if kwargs:
            raise TypeError("Unrecognized keyword arguments: " + str(kwargs))
        self.num_words, self.filters, self.lower, self.split = num_words, filters, lower, split
        self.char_level, self.oov_token = char_level, oov_token
        self.document_count = document_count
        self.word_counts: OrderedDict[str, int] = OrderedDict()
        self.word_docs: dict[str, int] = {}
        self.word_index: dict[str, int] = {}
        self.index_word: dict[int, str] = {}
        self.index_docs: dict[int, int] = {}

    def _words(self, text: Any) -> list[str]:
        if self.char_level or isinstance(text, list):
            lowered = [t.lower() for t in text] if self.lower else list(text)
            return lowered
        return text_to_word_sequence(text, self.filters, self.lower, self.split)

    def fit_on_texts(self, texts: Any) -> None:
        """Count the words of texts and number them."""
        for text in texts:
            self.document_count += 1
            words = self._words(text)
            for word in words:
                self.word_counts[word] = self.word_counts.get(word, 0) + 1
            for word in set(words):
                self.word_docs[word] = self.word_docs.get(word, 0) + 1
        ordered = sorted(self.word_counts.items(), key=lambda item: item[1], reverse=True)
        names = [] if self.oov_token is None else [self.oov_token]
        names += [word for word, _ in ordered]
        self.word_index = {word: i + 1 for i, word in enumerate(names)}
        self.index_word = {i: word for word, i in self.word_index.items()}
        self.index_docs = {self.word_index[w]: n for w, n in self.word_docs.items()}

    def fit_on_sequences(self, sequences: Any) -> None:
        """Count documents of numbers, for the modes of `sequences_to_matrix`."""
        self.document_count += len(sequences)
        for sequence in sequences:
            for number in set(sequence):
                self.index_docs[number] = self.index_docs.get(number, 0) + 1

    def texts_to_sequences(self, texts: Any) -> list[list[int]]:
        return list(self.texts_to_sequences_generator(texts))

    def texts_to_sequences_generator(self, texts: Any) -> Iterator[list[int]]:
        """The numbers of each text's words; unknown and rare words are left out."""
        unknown = self.word_index.get(self.oov_token) if self.oov_token is not None else None
        for text in texts:
            found = []
            for word in self._words(text):
                number = self.word_index.get(word)
                rare = number is None or (self.num_words and number >= self.num_words)
                if not rare:
                    found.append(number)
                elif unknown is not None:
                    found.append(unknown)
            yield found  # type: ignore[misc]

    def sequences_to_texts(self, sequences: Any) -> list[str]:
        return list(self.sequences_to_texts_generator(sequences))

    def sequences_to_texts_generator(self, sequences: Any) -> Iterator[str]:
        """The words of numbers, joined by spaces."""
        for sequence in sequences:
            words = []
            for number in sequence:
                word = self.index_word.get(number)
                if word is not None and (not self.num_words or number < self.num_words):
                    words.append(word)
                elif self.oov_token is not None:
                    words.append(self.oov_token)
            yield " ".join(words)

    def texts_to_matrix(self, texts: Any, mode: str = "binary") -> Any:
        return self.sequences_to_matrix(self.texts_to_sequences(texts), mode)

    def sequences_to_matrix(self, sequences: Any, mode: str = "binary") -> Any:
        """A row for each document: of 0 and 1, counts, frequencies, or tf-idf."""
        if mode not in ("binary", "count", "freq", "tfidf"):
            raise ValueError("Unknown vectorization mode:", mode)
        if not self.num_words and not self.word_index:
            raise ValueError(
                "Specify a dimension (`num_words` argument), or fit on some text data first."
            )
        if mode == "tfidf" and not self.document_count:
            raise ValueError("Fit the Tokenizer on some data before using tfidf mode.")
        found = np.zeros((len(sequences), self.num_words or len(self.word_index) + 1))
        for row, sequence in zip(found, sequences, strict=True):
            for number, count in Counter(sequence).items():
                if number < len(row):
                    row[number] = self._weight(mode, number, count, len(sequence))
        return found

    def _weight(self, mode: str, number: int, count: int, length: int) -> float:
        if mode == "binary":
            return 1.0
        if mode == "count":
            return count
        if mode == "freq":
            return count / length
        rarity = np.log(1 + self.document_count / (1 + self.index_docs.get(number, 0)))
        return float((1 + np.log(count)) * rarity)

    def get_config(self) -> dict[str, Any]:
        plain = ("num_words", "filters", "lower", "split", "char_level", "oov_token")
        tables = ("word_counts", "word_docs", "index_docs", "index_word", "word_index")
        found = {name: getattr(self, name) for name in (*plain, "document_count")}
        return found | {name: json.dumps(getattr(self, name)) for name in tables}

    def to_json(self, **kwargs: Any) -> str:
        config = {"class_name": type(self).__name__, "config": self.get_config()}
        return json.dumps(config, **kwargs)


@export("keras.preprocessing.text.tokenizer_from_json")
def tokenizer_from_json(json_string: str) -> Tokenizer:
    """A Tokenizer from what `to_json` wrote."""
    config = json.loads(json_string)["config"]
    names = ("word_counts", "word_docs", "index_docs", "index_word", "word_index")
    tables = {name: json.loads(config.pop(name)) for name in names}
    found = Tokenizer(**config)
    for name, table in tables.items():
        numbered = name.startswith("index")
        setattr(found, name, {int(k): v for k, v in table.items()} if numbered else table)
    return found
